//! The canister that tests of the interface call.

use candid::{CandidType, Encode, Principal, decode_one};
use ic_agent::Agent;

/// A canister with a counter.
///
/// `inc` adds one and replies the count, `get` queries it; both as 4 bytes, little-endian. `whoami` replies the caller's
/// bytes, `refuse` and `refuse_query` reject, `fall` traps, `silent` never answers. `only_inspected` is declined
/// by `canister_inspect_message`.
const COUNTER: &str = r#"
(module
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_reject" (func $reject (param i32 i32)))
  (import "ic0" "msg_caller_size" (func $caller_size (result i32)))
  (import "ic0" "msg_caller_copy" (func $caller_copy (param i32 i32 i32)))
  (import "ic0" "msg_method_name_size" (func $method_name_size (result i32)))
  (import "ic0" "accept_message" (func $accept))
  (import "ic0" "trap" (func $trap (param i32 i32)))
  (memory 1)
  (data (i32.const 100) "not today")
  (func (export "canister_inspect_message")
    (if (i32.ne (call $method_name_size) (i32.const 14)) (then (call $accept))))
  (func (export "canister_update inc")
    (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))
    (call $append (i32.const 0) (i32.const 4))
    (call $reply))
  (func (export "canister_query get")
    (call $append (i32.const 0) (i32.const 4))
    (call $reply))
  (func (export "canister_update whoami")
    (call $caller_copy (i32.const 8) (i32.const 0) (call $caller_size))
    (call $append (i32.const 8) (call $caller_size))
    (call $reply))
  (func (export "canister_update refuse") (call $reject (i32.const 100) (i32.const 9)))
  (func (export "canister_query refuse_query") (call $reject (i32.const 100) (i32.const 9)))
  (func (export "canister_update fall") (call $trap (i32.const 100) (i32.const 9)))
  (func (export "canister_update silent"))
  (func (export "canister_update only_inspected") (call $reply)))
"#;

#[derive(CandidType, candid::Deserialize)]
struct CanisterIdRecord {
    canister_id: Principal,
}

#[derive(CandidType)]
struct CreateArgs {
    amount: Option<candid::Nat>,
}

#[derive(CandidType, candid::Deserialize)]
enum Mode {
    #[serde(rename = "install")]
    Install,
}

#[derive(CandidType)]
struct InstallArgs {
    mode: Mode,
    canister_id: Principal,
    wasm_module: serde_bytes::ByteBuf,
    arg: serde_bytes::ByteBuf,
}

/// Creates a canister on the subnet of the id `anywhere` and installs the counter.
pub(crate) async fn install(agent: &Agent, anywhere: Principal) -> Principal {
    let management = Principal::management_canister();
    let reply = agent
        .update(&management, "provisional_create_canister_with_cycles")
        .with_effective_canister_id(anywhere)
        .with_arg(Encode!(&CreateArgs { amount: None }).unwrap())
        .call_and_wait()
        .await
        .unwrap();
    let CanisterIdRecord { canister_id } = decode_one(&reply).unwrap();
    let install = InstallArgs {
        mode: Mode::Install,
        canister_id,
        wasm_module: wat::parse_str(COUNTER).unwrap().into(),
        arg: vec![].into(),
    };
    agent
        .update(&management, "install_code")
        .with_effective_canister_id(canister_id)
        .with_arg(Encode!(&install).unwrap())
        .call_and_wait()
        .await
        .unwrap();
    canister_id
}
