//! The management canister: what each method does, whom it lets, what it refuses and how, and that what it refuses
//! changes nothing.

mod chunks;
mod code;
mod creating;
mod history;
mod logs;
mod outcalls;
mod permissions;
mod settings;
mod snapshots;
mod stopping;
mod subnet;

use crate::harness::{Net, alice};
use candid::{CandidType, Decode, Encode, Principal, utils::ArgumentEncoder};
use engine::{ErrorCode, Query, Reject, RejectCode};
use ic_management_canister_types::{
    CanisterIdRecord, CanisterInfoArgs, CanisterInfoResult, CanisterSettings, UpdateSettingsArgs,
};
use serde::Deserialize;

/// A canister that calls whatever it is told to, and passes the answer on. Its argument:
/// cycles (8 bytes, little-endian), length and bytes of the callee, length and bytes of the method, payload.
/// A reject is passed on as the digit of its code and its text.
pub(crate) const FORWARDER: &str = r#"(module
    (import "ic0" "msg_reply" (func $reply))
    (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
    (import "ic0" "msg_reject" (func $reject (param i32 i32)))
    (import "ic0" "msg_reject_code" (func $reject_code (result i32)))
    (import "ic0" "msg_reject_msg_size" (func $reject_size (result i32)))
    (import "ic0" "msg_reject_msg_copy" (func $reject_copy (param i32 i32 i32)))
    (import "ic0" "msg_arg_data_size" (func $arg_size (result i32)))
    (import "ic0" "msg_arg_data_copy" (func $arg_copy (param i32 i32 i32)))
    (import "ic0" "call_new" (func $call_new (param i32 i32 i32 i32 i32 i32 i32 i32)))
    (import "ic0" "call_data_append" (func $data (param i32 i32)))
    (import "ic0" "call_cycles_add" (func $add (param i64)))
    (import "ic0" "call_perform" (func $perform (result i32)))
    (import "ic0" "msg_cycles_accept" (func $accept (param i64) (result i64)))
    (memory 40)
    (table 2 funcref) (elem (i32.const 0) $on_reply $on_reject)
    (func $on_reply (param i32)
        (call $arg_copy (i32.const 0) (i32.const 0) (call $arg_size))
        (call $append (i32.const 0) (call $arg_size))
        (call $reply))
    (func $on_reject (param i32)
        (i32.store8 (i32.const 0) (i32.add (i32.const 48) (call $reject_code)))
        (call $reject_copy (i32.const 1) (i32.const 0) (call $reject_size))
        (call $reject (i32.const 0) (i32.add (i32.const 1) (call $reject_size))))
    (func (export "canister_update forward") (local $callee i32) (local $name i32) (local $payload i32)
        (call $arg_copy (i32.const 0) (i32.const 0) (call $arg_size))
        (local.set $callee (i32.load8_u (i32.const 8)))
        (local.set $name (i32.add (i32.const 9) (local.get $callee)))
        (call $call_new (i32.const 9) (local.get $callee)
            (i32.add (local.get $name) (i32.const 1)) (i32.load8_u (local.get $name))
            (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0))
        (call $add (i64.load (i32.const 0)))
        (local.set $payload (i32.add (i32.add (local.get $name) (i32.const 1)) (i32.load8_u (local.get $name))))
        (call $data (local.get $payload) (i32.sub (call $arg_size) (local.get $payload)))
        (drop (call $perform)))
    (func (export "canister_update take") (drop (call $accept (i64.const 1000000000000))) (call $reply)))"#;

impl Net {
    /// What a management method replies.
    pub(crate) fn ask<A: CandidType, T: CandidType + for<'a> Deserialize<'a>>(
        &mut self,
        method: &str,
        arg: &A,
    ) -> Result<T, Reject> {
        let reply = self.management(method, arg)?;
        Ok(Decode!(&reply, T).unwrap())
    }

    pub(crate) fn ask_as<A: CandidType, T: CandidType + for<'a> Deserialize<'a>>(
        &mut self,
        sender: Principal,
        method: &str,
        arg: &A,
    ) -> Result<T, Reject> {
        let arg = Encode!(arg).unwrap();
        let reply = self.call_as(sender, Principal::management_canister(), method, &arg)?;
        Ok(Decode!(&reply, T).unwrap())
    }

    /// The same by a query.
    pub(crate) fn ask_query<A: CandidType, T: CandidType + for<'a> Deserialize<'a>>(
        &mut self,
        sender: Principal,
        method: &str,
        arg: &A,
    ) -> Result<T, Reject> {
        let query = Query {
            sender,
            canister_id: Principal::management_canister(),
            method: method.to_owned(),
            arg: Encode!(arg).unwrap(),
            sender_info: None,
        };
        let subnet = self.network.application_subnet();
        let reply = self.network.query(subnet, query)?;
        Ok(Decode!(&reply, T).unwrap())
    }

    /// Has a canister of [`FORWARDER`] call the management canister.
    pub(crate) fn forward<A: ArgumentEncoder>(
        &mut self,
        by: Principal,
        method: &str,
        cycles: u64,
        args: A,
    ) -> Result<Vec<u8>, Reject> {
        let payload = candid::encode_args(args).unwrap();
        let callee = Principal::management_canister();
        self.call(by, "forward", &forwarded(callee, method, cycles, &payload))
    }

    pub(crate) fn info(&mut self, canister_id: Principal) -> CanisterInfoResult {
        let args = CanisterInfoArgs {
            canister_id,
            num_requested_changes: Some(20),
        };
        self.ask_query(alice(), "canister_info", &args).unwrap()
    }

    pub(crate) fn set(
        &mut self,
        canister_id: Principal,
        settings: CanisterSettings,
    ) -> Result<(), Reject> {
        let args = UpdateSettingsArgs {
            canister_id,
            settings,
            sender_canister_version: None,
        };
        self.management("update_settings", &args).map(|_| ())
    }
}

/// The argument of a forwarder.
pub(crate) fn forwarded(callee: Principal, method: &str, cycles: u64, payload: &[u8]) -> Vec<u8> {
    [
        &cycles.to_le_bytes()[..],
        &[callee.as_slice().len() as u8],
        callee.as_slice(),
        &[method.len() as u8],
        method.as_bytes(),
        payload,
    ]
    .concat()
}

pub(crate) fn record(canister_id: Principal) -> CanisterIdRecord {
    CanisterIdRecord { canister_id }
}

/// That a call was refused with this code, and with a text that contains this.
#[track_caller]
pub(crate) fn refused<T: std::fmt::Debug>(result: Result<T, Reject>, code: ErrorCode, text: &str) {
    let reject = result.unwrap_err();
    assert_eq!(reject.error_code, Some(code), "{}", reject.message);
    assert_eq!(reject.code, code.reject_code());
    assert!(reject.message.contains(text), "{}", reject.message);
}

/// That a forwarder's call was refused with this reject code, and with a text that contains this.
#[track_caller]
pub(crate) fn passed_on<T: std::fmt::Debug>(
    result: Result<T, Reject>,
    code: RejectCode,
    text: &str,
) {
    let message = result.unwrap_err().message;
    assert!(message.starts_with(&(code as u32).to_string()), "{message}");
    assert!(message.contains(text), "{message}");
}
