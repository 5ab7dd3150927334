//! A subnet within this process: what the engine does, without HTTP.

use anyhow::bail;
use candid::{CandidType, Decode, Encode, Principal};
use engine::{
    Ingress, Network, NetworkConfig, Query, RequestId, RequestStatus, SubnetConfig, SubnetKind,
    Time,
};
use ic_management_canister_types::{
    CanisterIdRecord, CanisterInstallMode, InstallCodeArgs, ProvisionalCreateCanisterWithCyclesArgs,
};
use ic_stable_structures::VectorMemory;
use sha2::{Digest as _, Sha256};

use crate::structures;

const SENDER: &[u8] = b"bench";
/// When a subnet begins, in nanoseconds since 1970.
pub(crate) const START_NS: u64 = 1_780_000_000_000_000_000;
/// Methods by which timers run: the system's, and the one of `ic-cdk-timers` within it.
const TIMERS: [&str; 2] = ["canister_global_timer", "<ic-cdk internal> timer_executor"];

/// Whoever calls, where it doesn't matter.
pub(crate) fn nobody() -> Principal {
    Principal::self_authenticating(SENDER)
}

/// The principal of a key, one a name and number.
pub(crate) fn key(name: &str, number: u64) -> Principal {
    Principal::self_authenticating([name.as_bytes(), &number.to_be_bytes()].concat())
}

/// A subnet without HTTP.
pub(crate) struct Net {
    network: Network,
    calls: u64,
}

impl Net {
    pub(crate) fn new() -> anyhow::Result<Self> {
        Self::beginning(START_NS)
    }

    /// One that begins at this time.
    pub(crate) fn beginning(time_ns: u64) -> anyhow::Result<Self> {
        let mut config = NetworkConfig::new(Time(time_ns), [7; 32]);
        config.subnets = vec![SubnetConfig::of(SubnetKind::Application)];
        Ok(Self {
            network: Network::new(&config)?,
            calls: 0,
        })
    }

    pub(crate) fn call(
        &mut self,
        to: Principal,
        method: &str,
        arg: Vec<u8>,
    ) -> anyhow::Result<RequestStatus> {
        self.call_by(nobody(), to, method, arg)
    }

    fn call_by(
        &mut self,
        sender: Principal,
        to: Principal,
        method: &str,
        arg: Vec<u8>,
    ) -> anyhow::Result<RequestStatus> {
        self.calls += 1;
        let id = RequestId(Sha256::digest(self.calls.to_be_bytes()).into());
        let subnet = self.network.application_subnet();
        let ingress = Ingress {
            id,
            sender,
            canister_id: to,
            method: method.to_owned(),
            arg,
            expiry: self.network.time().plus(60_000_000_000),
            sender_info: None,
        };
        if let Err(reject) = self.network.submit(subnet, ingress) {
            bail!("{}", reject.message);
        }
        while self.network.run() {}
        Ok(self.network.status(subnet, &id))
    }

    pub(crate) fn reply(
        &mut self,
        to: Principal,
        method: &str,
        arg: Vec<u8>,
    ) -> anyhow::Result<Vec<u8>> {
        self.reply_to(nobody(), to, method, arg)
    }

    /// What an update of this caller is answered with.
    pub(crate) fn reply_to(
        &mut self,
        sender: Principal,
        to: Principal,
        method: &str,
        arg: Vec<u8>,
    ) -> anyhow::Result<Vec<u8>> {
        match self.call_by(sender, to, method, arg)? {
            RequestStatus::Replied(reply) => Ok(reply),
            other => bail!("{method}: {other:?}"),
        }
    }

    /// Moves the time on, and runs the timers that are due then.
    pub(crate) fn pass(&mut self, nanos: u64) {
        self.network.advance_time(self.network.time().plus(nanos));
        while self.network.run() {}
    }

    /// A canister with this module.
    pub(crate) fn install(
        &mut self,
        wasm_module: Vec<u8>,
        arg: Vec<u8>,
    ) -> anyhow::Result<Principal> {
        let canister = self.create()?;
        self.install_code(canister, CanisterInstallMode::Install, wasm_module, arg)?;
        Ok(canister)
    }

    /// A canister without a module.
    pub(crate) fn create(&mut self) -> anyhow::Result<Principal> {
        let args = ProvisionalCreateCanisterWithCyclesArgs {
            amount: Some(1_000_000_000_000_000_u64.into()),
            ..ProvisionalCreateCanisterWithCyclesArgs::default()
        };
        let method = "provisional_create_canister_with_cycles";
        let reply = self.reply(Principal::management_canister(), method, Encode!(&args)?)?;
        Ok(Decode!(&reply, CanisterIdRecord)?.canister_id)
    }

    /// Installs or upgrades.
    pub(crate) fn install_code(
        &mut self,
        canister_id: Principal,
        mode: CanisterInstallMode,
        wasm_module: Vec<u8>,
        arg: Vec<u8>,
    ) -> anyhow::Result<()> {
        let args = InstallCodeArgs {
            mode,
            canister_id,
            wasm_module,
            arg,
            sender_canister_version: None,
        };
        self.reply(
            Principal::management_canister(),
            "install_code",
            Encode!(&args)?,
        )?;
        Ok(())
    }

    /// Installs a canister of the suite and lets it open this memory, which is emptied.
    pub(crate) fn begin(
        &mut self,
        canister: Principal,
        name: &str,
        init: &impl CandidType,
        memory: &VectorMemory,
    ) -> anyhow::Result<()> {
        let module = structures::module(name)?;
        let (install, upgrade) = (
            CanisterInstallMode::Install,
            CanisterInstallMode::Upgrade(None),
        );
        self.install_code(canister, install, module.clone(), Encode!(init)?)?;
        self.load(canister, &memory.borrow())?;
        *memory.borrow_mut() = Vec::new();
        self.install_code(canister, upgrade, module, Vec::new())?;
        self.reply(canister, "confirm_upgrade", Encode!()?)?;
        Ok(())
    }

    /// Answers a query.
    pub(crate) fn query(
        &self,
        to: Principal,
        method: &str,
        arg: Vec<u8>,
    ) -> anyhow::Result<Vec<u8>> {
        self.answer_to(nobody(), to, method, arg)
    }

    /// What a query of this caller is answered with.
    pub(crate) fn answer_to(
        &self,
        sender: Principal,
        to: Principal,
        method: &str,
        arg: Vec<u8>,
    ) -> anyhow::Result<Vec<u8>> {
        let query = Query {
            sender,
            canister_id: to,
            method: method.to_owned(),
            arg,
            sender_info: None,
        };
        let subnet = self.network.application_subnet();
        match self.network.query(subnet, query) {
            Ok(reply) => Ok(reply),
            Err(reject) => bail!("{method}: {}", reject.message),
        }
    }

    /// What all messages of a canister have executed, its installations included and its timers left out.
    pub(crate) fn instructions(&self, canister: Principal) -> u64 {
        let metrics = self.network.metrics();
        let of_it = metrics
            .iter()
            .filter(|one| one.canister == canister && !TIMERS.contains(&one.method.as_str()));
        of_it.map(|one| one.instructions).sum()
    }

    /// Puts `bytes` into the canister's stable memory.
    pub(crate) fn load(&self, canister: Principal, bytes: &[u8]) -> anyhow::Result<()> {
        if self.network.reader().set_stable_memory(&canister, bytes) {
            Ok(())
        } else {
            bail!("{} bytes of stable memory were not taken", bytes.len())
        }
    }
}
