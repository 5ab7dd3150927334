//! Messages on a heap of 1 GiB that is all resident, timed within this process: what the engine takes, without HTTP.

use std::time::Instant;

use anyhow::{Context as _, bail};
use candid::{Decode, Encode, Principal};
use engine::{
    Ingress, Network, NetworkConfig, RequestId, RequestStatus, SubnetConfig, SubnetKind, Time,
};
use ic_management_canister_types::{
    CanisterIdRecord, CanisterInstallMode, InstallCodeArgs, ProvisionalCreateCanisterWithCyclesArgs,
};
use sha2::{Digest as _, Sha256};

use crate::{modules, server::median};

/// Timed messages.
const SAMPLES: usize = 101;

struct Net {
    network: Network,
    calls: u64,
}

impl Net {
    fn new() -> anyhow::Result<Self> {
        let mut config = NetworkConfig::new(Time(1_780_000_000_000_000_000), [7; 32]);
        config.subnets = vec![SubnetConfig::of(SubnetKind::Application)];
        Ok(Self {
            network: Network::new(&config)?,
            calls: 0,
        })
    }

    fn call(&mut self, to: Principal, method: &str, arg: Vec<u8>) -> anyhow::Result<RequestStatus> {
        self.calls += 1;
        let id = RequestId(Sha256::digest(self.calls.to_be_bytes()).into());
        let subnet = self.network.application_subnet();
        let ingress = Ingress {
            id,
            sender: Principal::self_authenticating(b"bench"),
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

    fn reply(&mut self, to: Principal, method: &str, arg: Vec<u8>) -> anyhow::Result<Vec<u8>> {
        match self.call(to, method, arg)? {
            RequestStatus::Replied(reply) => Ok(reply),
            other => bail!("{method}: {other:?}"),
        }
    }
}

fn filled() -> anyhow::Result<(Net, Principal)> {
    let mut net = Net::new()?;
    let management = Principal::management_canister();
    let args = ProvisionalCreateCanisterWithCyclesArgs {
        amount: Some(1_000_000_000_000_000_u64.into()),
        ..ProvisionalCreateCanisterWithCyclesArgs::default()
    };
    let reply = net.reply(
        management,
        "provisional_create_canister_with_cycles",
        Encode!(&args)?,
    )?;
    let canister = Decode!(&reply, CanisterIdRecord)?.canister_id;
    let args = InstallCodeArgs {
        mode: CanisterInstallMode::Install,
        canister_id: canister,
        wasm_module: modules::large_heap(),
        arg: Vec::new(),
        sender_canister_version: None,
    };
    net.reply(management, "install_code", Encode!(&args)?)?;
    // All of it written before, and resident.
    net.reply(canister, "fill", Vec::new())?;
    net.reply(canister, "fill", Vec::new())?;
    Ok((net, canister))
}

fn timed(method: &str, replies: bool) -> anyhow::Result<f64> {
    let (mut net, canister) = filled().context("filling the heap")?;
    let mut times = Vec::new();
    for _ in 0..SAMPLES {
        let start = Instant::now();
        let status = net.call(canister, method, Vec::new())?;
        times.push(start.elapsed().as_secs_f64() * 1_000.0);
        if matches!(status, RequestStatus::Replied(_)) != replies {
            bail!("{method}: {status:?}");
        }
    }
    Ok(median(times))
}

/// Ten written pages, rolled back.
pub(crate) fn trap() -> anyhow::Result<f64> {
    timed("touch_and_trap", false)
}

/// Ten written pages, committed.
pub(crate) fn commit() -> anyhow::Result<f64> {
    timed("touch", true)
}
