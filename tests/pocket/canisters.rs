//! Small canisters to test with.

use candid::Principal;
use pocket_ic::PocketIc;

/// A counter.
///
/// `inc` adds one to a number in the heap and one in stable memory, and replies the former as 4 bytes, little-endian; it
/// certifies it too. `get` and `get_stable` are queries of the two. `whoami` replies the caller's bytes, `now` the
/// time, `cycles` the balance (16 bytes), `refuse` rejects, `fall` traps, `silent` doesn't answer, `wait` calls itself for
/// ever. `arm` sets a timer 10 seconds from now; when it fires, it adds 100. `only_inspected` is declined by
/// `canister_inspect_message`.
const COUNTER: &str = r#"
(module
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_reject" (func $reject (param i32 i32)))
  (import "ic0" "msg_caller_size" (func $caller_size (result i32)))
  (import "ic0" "msg_caller_copy" (func $caller_copy (param i32 i32 i32)))
  (import "ic0" "msg_method_name_size" (func $method_name_size (result i32)))
  (import "ic0" "msg_arg_data_size" (func $arg_size (result i32)))
  (import "ic0" "msg_arg_data_copy" (func $arg_copy (param i32 i32 i32)))
  (import "ic0" "accept_message" (func $accept))
  (import "ic0" "time" (func $time (result i64)))
  (import "ic0" "global_timer_set" (func $timer (param i64) (result i64)))
  (import "ic0" "canister_cycle_balance128" (func $balance (param i32)))
  (import "ic0" "canister_self_copy" (func $self_copy (param i32 i32 i32)))
  (import "ic0" "call_new" (func $call_new (param i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "ic0" "call_data_append" (func $call_data (param i32 i32)))
  (import "ic0" "call_perform" (func $call_perform (result i32)))
  (import "ic0" "stable64_size" (func $stable_size (result i64)))
  (import "ic0" "stable64_grow" (func $stable_grow (param i64) (result i64)))
  (import "ic0" "stable64_read" (func $stable_read (param i64 i64 i64)))
  (import "ic0" "stable64_write" (func $stable_write (param i64 i64 i64)))
  (import "ic0" "certified_data_set" (func $certify (param i32 i32)))
  (import "ic0" "trap" (func $trap (param i32 i32)))
  (table funcref (elem $answered $again))
  (memory 1)
  (data (i32.const 100) "not today")
  (data (i32.const 200) "wait")
  (data (i32.const 210) "inc")
  (func $add (param $n i32)
    (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (local.get $n)))
    (call $certify (i32.const 0) (i32.const 4)))
  (func $add_stable
    (if (i64.eqz (call $stable_size)) (then (drop (call $stable_grow (i64.const 1)))))
    (call $stable_read (i64.const 16) (i64.const 0) (i64.const 4))
    (i32.store (i32.const 16) (i32.add (i32.load (i32.const 16)) (i32.const 1)))
    (call $stable_write (i64.const 0) (i64.const 16) (i64.const 4)))
  (func $answer (param i32 i32)
    (call $append (local.get 0) (local.get 1))
    (call $reply))
  (func (export "canister_inspect_message")
    (if (i32.ne (call $method_name_size) (i32.const 14)) (then (call $accept))))
  (func (export "canister_update inc")
    (call $add (i32.const 1))
    (call $add_stable)
    (call $answer (i32.const 0) (i32.const 4)))
  (func (export "canister_query get") (call $answer (i32.const 0) (i32.const 4)))
  (func (export "canister_query get_stable")
    (if (i64.ne (call $stable_size) (i64.const 0))
      (then (call $stable_read (i64.const 16) (i64.const 0) (i64.const 4))))
    (call $answer (i32.const 16) (i32.const 4)))
  (func (export "canister_update whoami")
    (call $caller_copy (i32.const 32) (i32.const 0) (call $caller_size))
    (call $answer (i32.const 32) (call $caller_size)))
  (func (export "canister_query now")
    (i64.store (i32.const 64) (call $time))
    (call $answer (i32.const 64) (i32.const 8)))
  (func (export "canister_query cycles")
    (call $balance (i32.const 64))
    (call $answer (i32.const 64) (i32.const 16)))
  (func (export "canister_update refuse") (call $reject (i32.const 100) (i32.const 9)))
  (func (export "canister_query refuse_query") (call $reject (i32.const 100) (i32.const 9)))
  (func (export "canister_update fall") (call $trap (i32.const 100) (i32.const 9)))
  (func (export "canister_update silent"))
  (func (export "canister_update only_inspected") (call $reply))
  (func (export "canister_update arm")
    (drop (call $timer (i64.add (call $time) (i64.const 10000000000))))
    (call $reply))
  (func (export "canister_global_timer") (call $add (i32.const 100)))
  (func $call (param $id i32) (param $len i32) (param $name i32) (param $name_len i32) (param $then i32)
    (call $call_new (local.get $id) (local.get $len) (local.get $name) (local.get $name_len)
      (local.get $then) (i32.const 0) (local.get $then) (i32.const 0))
    (drop (call $call_perform)))
  (func $answered (param i32)
    (call $arg_copy (i32.const 64) (i32.const 0) (i32.const 4))
    (call $answer (i32.const 64) (i32.const 4)))
  (func $again (param i32) (call $wait))
  (func $wait
    (call $self_copy (i32.const 128) (i32.const 0) (i32.const 10))
    (call $call (i32.const 128) (i32.const 10) (i32.const 100) (i32.const 9) (i32.const 1)))
  (func (export "canister_update wait") (call $wait))
  (func (export "canister_update forward")
    (call $arg_copy (i32.const 128) (i32.const 0) (call $arg_size))
    (call $call (i32.const 128) (call $arg_size) (i32.const 210) (i32.const 3) (i32.const 0))))
"#;

pub(crate) fn counter_module() -> Vec<u8> {
    wat::parse_str(COUNTER).unwrap()
}

/// The counter with so many bytes more.
pub(crate) fn large_counter_module(more: usize) -> Vec<u8> {
    let mut module = counter_module();
    // A custom section: id, size, length of the name, name, content.
    let content = more + 2;
    module.push(0);
    let mut rest = content;
    loop {
        let low = u8::try_from(rest & 0x7f).unwrap();
        rest >>= 7;
        if rest == 0 {
            module.push(low);
            break;
        }
        module.push(low | 0x80);
    }
    module.extend([1, b'x']);
    module.extend((0..more).map(|i| u8::try_from(i * i % 251).unwrap()));
    module
}

/// A new counter, which the anonymous principal controls.
pub(crate) fn counter(pic: &PocketIc) -> Principal {
    let canister = pic.create_canister();
    pic.install_canister(canister, counter_module(), vec![], None);
    canister
}

/// Calls as the anonymous principal.
pub(crate) fn update(pic: &PocketIc, canister: Principal, method: &str) -> Vec<u8> {
    pic.update_call(canister, Principal::anonymous(), method, vec![])
        .unwrap()
}

/// Queries a number of 4 bytes as the anonymous principal.
pub(crate) fn get(pic: &PocketIc, canister: Principal, method: &str) -> u32 {
    let reply = pic.query_call(canister, Principal::anonymous(), method, vec![]);
    u32::from_le_bytes(reply.unwrap().try_into().unwrap())
}
