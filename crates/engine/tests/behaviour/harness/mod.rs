//! A network to test on, and canisters written in WAT.
#![allow(unreachable_pub, reason = "each test file uses its part")]

pub mod scripts;

use candid::{Decode, Encode, Principal};
use engine::{
    CostSchedule, Effective, ErrorCode, Ingress, Network, NetworkConfig, Path, Query, Reject,
    RequestId, RequestStatus, Time,
};
use ic_management_canister_types::{
    CanisterIdRecord, CanisterInstallMode, CanisterSettings, CanisterStatusResult, InstallCodeArgs,
    ProvisionalCreateCanisterWithCyclesArgs, UpdateSettingsArgs,
};
use sha2::{Digest as _, Sha256};

pub const START: Time = Time(1_780_000_000_000_000_000);

pub struct Net {
    pub network: Network,
    counter: u64,
}

/// The user that owns the canisters of a test.
pub fn alice() -> Principal {
    Principal::self_authenticating(b"alice")
}

pub fn bob() -> Principal {
    Principal::self_authenticating(b"bob")
}

impl Net {
    /// Where nothing costs cycles, so that balances move by what canisters send each other alone.
    pub fn new() -> Self {
        let mut config = NetworkConfig::new(START, [1; 32]);
        for subnet in &mut config.subnets {
            subnet.cost_schedule = CostSchedule::Free;
        }
        Self::with(&config)
    }

    /// At the prices of a subnet of 13 nodes.
    pub fn at_prices() -> Self {
        Self::with(&NetworkConfig::new(START, [1; 32]))
    }

    pub fn with(config: &NetworkConfig) -> Self {
        Self {
            network: Network::new(config).unwrap(),
            counter: 0,
        }
    }

    pub fn ingress(
        &mut self,
        sender: Principal,
        canister: Principal,
        method: &str,
        arg: &[u8],
    ) -> Ingress {
        self.counter += 1;
        Ingress {
            id: RequestId(Sha256::digest(self.counter.to_be_bytes()).into()),
            sender,
            canister_id: canister,
            method: method.to_owned(),
            arg: arg.to_vec(),
            expiry: self.network.time().plus(300_000_000_000),
            sender_info: None,
        }
    }

    pub fn submit(
        &mut self,
        sender: Principal,
        canister: Principal,
        method: &str,
        arg: &[u8],
    ) -> RequestId {
        let ingress = self.ingress(sender, canister, method, arg);
        let id = ingress.id;
        self.network
            .submit(self.network.application_subnet(), ingress)
            .unwrap();
        id
    }

    /// Submits a call on the canister's own subnet.
    pub fn submit_anywhere(
        &mut self,
        sender: Principal,
        canister: Principal,
        method: &str,
        arg: &[u8],
    ) -> Result<RequestId, Reject> {
        let ingress = self.ingress(sender, canister, method, arg);
        let id = ingress.id;
        let subnet = self.network.route(&Effective::Canister(canister)).unwrap();
        self.network.submit(subnet, ingress).map(|()| id)
    }

    /// Submits a management call about a canister, on its subnet.
    pub fn submit_management(
        &mut self,
        method: &str,
        about: Principal,
        arg: &[u8],
    ) -> Result<RequestId, Reject> {
        let subnet = self.network.route(&Effective::Canister(about)).unwrap();
        self.submit_to(subnet, Principal::management_canister(), method, arg)
    }

    fn submit_to(
        &mut self,
        subnet: Principal,
        canister: Principal,
        method: &str,
        arg: &[u8],
    ) -> Result<RequestId, Reject> {
        let ingress = self.ingress(alice(), canister, method, arg);
        let id = ingress.id;
        self.network.submit(subnet, ingress).map(|()| id)
    }

    /// A new canister with this module on a subnet.
    pub fn install_on(&mut self, subnet: Principal, wat: &str) -> Principal {
        let args = ProvisionalCreateCanisterWithCyclesArgs::default();
        let management = Principal::management_canister();
        let id = self
            .submit_to(
                subnet,
                management,
                "provisional_create_canister_with_cycles",
                &Encode!(&args).unwrap(),
            )
            .unwrap();
        self.run();
        let RequestStatus::Replied(reply) = self.network.status(subnet, &id) else {
            panic!("not created");
        };
        let canister = Decode!(&reply, CanisterIdRecord).unwrap().canister_id;
        let id = self.reinstall(canister, wat).unwrap();
        self.run();
        let status = self.network.status(subnet, &id);
        assert!(matches!(status, RequestStatus::Replied(_)), "{status:?}");
        canister
    }

    /// Submits the reinstallation of a canister.
    pub fn reinstall(&mut self, canister_id: Principal, wat: &str) -> Result<RequestId, Reject> {
        let args = InstallCodeArgs {
            mode: CanisterInstallMode::Reinstall,
            canister_id,
            wasm_module: wasm(wat),
            arg: Vec::new(),
            sender_canister_version: None,
        };
        self.submit_management("install_code", canister_id, &Encode!(&args).unwrap())
    }

    pub fn run(&mut self) {
        while self.network.run() {}
    }

    pub fn status(&self, id: &RequestId) -> RequestStatus {
        self.network.status(self.network.application_subnet(), id)
    }

    pub fn call_as(
        &mut self,
        sender: Principal,
        canister: Principal,
        method: &str,
        arg: &[u8],
    ) -> Result<Vec<u8>, Reject> {
        let ingress = self.ingress(sender, canister, method, arg);
        let id = ingress.id;
        self.network
            .submit(self.network.application_subnet(), ingress)?;
        self.run();
        match self.status(&id) {
            RequestStatus::Replied(reply) => Ok(reply),
            RequestStatus::Rejected(reject) => Err(reject),
            other => panic!("the call is {other:?}"),
        }
    }

    pub fn call(
        &mut self,
        canister: Principal,
        method: &str,
        arg: &[u8],
    ) -> Result<Vec<u8>, Reject> {
        self.call_as(alice(), canister, method, arg)
    }

    pub fn query(
        &mut self,
        canister: Principal,
        method: &str,
        arg: &[u8],
    ) -> Result<Vec<u8>, Reject> {
        let query = Query {
            sender: alice(),
            canister_id: canister,
            method: method.to_owned(),
            arg: arg.to_vec(),
            sender_info: None,
        };
        self.network.query(self.network.application_subnet(), query)
    }

    pub fn management<T: candid::CandidType>(
        &mut self,
        method: &str,
        arg: &T,
    ) -> Result<Vec<u8>, Reject> {
        self.call(
            Principal::management_canister(),
            method,
            &Encode!(arg).unwrap(),
        )
    }

    pub fn create(&mut self) -> Principal {
        let args = ProvisionalCreateCanisterWithCyclesArgs::default();
        let reply = self
            .management("provisional_create_canister_with_cycles", &args)
            .unwrap();
        Decode!(&reply, CanisterIdRecord).unwrap().canister_id
    }

    pub fn install_code(
        &mut self,
        canister_id: Principal,
        mode: CanisterInstallMode,
        module: &[u8],
        arg: &[u8],
    ) -> Result<(), Reject> {
        let args = InstallCodeArgs {
            mode,
            canister_id,
            wasm_module: module.to_vec(),
            arg: arg.to_vec(),
            sender_canister_version: None,
        };
        self.management("install_code", &args).map(|_| ())
    }

    /// A new canister with this module.
    pub fn install(&mut self, wat: &str) -> Principal {
        let id = self.create();
        self.install_code(id, CanisterInstallMode::Install, &wasm(wat), &[])
            .unwrap();
        id
    }

    /// Lifts the limit that a heap has by default.
    pub fn lift_memory_limit(&mut self, canister_id: Principal) {
        let settings = CanisterSettings {
            wasm_memory_limit: Some(0_u64.into()),
            ..CanisterSettings::default()
        };
        let args = UpdateSettingsArgs {
            canister_id,
            settings,
            sender_canister_version: None,
        };
        self.management("update_settings", &args).unwrap();
    }

    pub fn upgrade(&mut self, id: Principal, wat: &str) -> Result<(), Reject> {
        self.install_code(id, CanisterInstallMode::Upgrade(None), &wasm(wat), &[])
    }

    pub fn canister_status(&mut self, canister_id: Principal) -> CanisterStatusResult {
        let reply = self
            .management("canister_status", &CanisterIdRecord { canister_id })
            .unwrap();
        Decode!(&reply, CanisterStatusResult).unwrap()
    }

    pub fn read_state(&self, paths: &[Path]) -> ic_certification::Certificate {
        let bytes = self
            .network
            .read_state(self.network.application_subnet(), paths);
        serde_cbor::from_slice(&bytes).unwrap()
    }
}

pub fn wasm(wat: &str) -> Vec<u8> {
    wat::parse_str(wat).unwrap()
}

pub fn code(result: Result<Vec<u8>, Reject>) -> ErrorCode {
    result.unwrap_err().error_code.unwrap()
}

/// Wraps functions into a module: imports that most tests need, a memory of one page, and
/// - `$answer32 (i32)`: replies with the number, little-endian;
/// - `$boom`: traps with the text "boom".
pub fn module(body: &str) -> String {
    format!(
        r#"(module
        (import "ic0" "msg_reply" (func $reply))
        (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
        (import "ic0" "msg_reject" (func $reject (param i32 i32)))
        (import "ic0" "msg_arg_data_size" (func $arg_size (result i32)))
        (import "ic0" "msg_arg_data_copy" (func $arg_copy (param i32 i32 i32)))
        (import "ic0" "msg_reject_code" (func $reject_code (result i32)))
        (import "ic0" "msg_cycles_accept" (func $accept_cycles (param i64) (result i64)))
        (import "ic0" "msg_cycles_refunded" (func $refunded (result i64)))
        (import "ic0" "canister_cycle_balance" (func $balance (result i64)))
        (import "ic0" "canister_version" (func $version (result i64)))
        (import "ic0" "canister_self_size" (func $self_size (result i32)))
        (import "ic0" "canister_self_copy" (func $self_copy (param i32 i32 i32)))
        (import "ic0" "accept_message" (func $accept))
        (import "ic0" "call_new" (func $call_new (param i32 i32 i32 i32 i32 i32 i32 i32)))
        (import "ic0" "call_on_cleanup" (func $call_on_cleanup (param i32 i32)))
        (import "ic0" "call_cycles_add" (func $call_cycles_add (param i64)))
        (import "ic0" "call_data_append" (func $call_data_append (param i32 i32)))
        (import "ic0" "call_perform" (func $call_perform (result i32)))
        (import "ic0" "certified_data_set" (func $certify (param i32 i32)))
        (import "ic0" "data_certificate_present" (func $certificate_present (result i32)))
        (import "ic0" "data_certificate_size" (func $certificate_size (result i32)))
        (import "ic0" "data_certificate_copy" (func $certificate_copy (param i32 i32 i32)))
        (import "ic0" "global_timer_set" (func $timer_set (param i64) (result i64)))
        (import "ic0" "time" (func $time (result i64)))
        (import "ic0" "performance_counter" (func $counter (param i32) (result i64)))
        (import "ic0" "stable64_grow" (func $stable_grow (param i64) (result i64)))
        (import "ic0" "stable64_size" (func $stable_size (result i64)))
        (import "ic0" "stable64_read" (func $stable_read (param i64 i64 i64)))
        (import "ic0" "stable64_write" (func $stable_write (param i64 i64 i64)))
        (import "ic0" "trap" (func $trap (param i32 i32)))
        (memory 1)
        (data (i32.const 60000) "boom")
        (func $boom (call $trap (i32.const 60000) (i32.const 4)))
        (func $answer32 (param $n i32)
            (i32.store (i32.const 50000) (local.get $n))
            (call $append (i32.const 50000) (i32.const 4))
            (call $reply))
        {body})"#
    )
}

/// The number that `$answer32` replied with.
pub fn number(reply: Result<Vec<u8>, Reject>) -> u32 {
    u32::from_le_bytes(reply.unwrap().try_into().unwrap())
}
