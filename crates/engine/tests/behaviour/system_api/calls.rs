//! Calls under construction, and what comes and goes with them.

use candid::Principal;
use engine::{ErrorCode, Reject};

use crate::{
    harness::{Net, START},
    system_api::probe::imports,
};

/// A module with all of `ic0`, one page of memory, a table of callbacks that reply with nothing, and these functions.
fn module(functions: &str) -> String {
    format!(
        r#"(module {}
        (memory 1)
        (data (i32.const 100) "work") (data (i32.const 110) "ask!")
        (table 2 funcref) (elem (i32.const 0) $reply $back)
        (func $reply (param i32) (call $msg_reply))
        (func $answer (param $number i64)
            (i64.store (i32.const 200) (local.get $number))
            (call $msg_reply_data_append (i32.const 200) (i32.const 8))
            (call $msg_reply))
        (func $callee (call $msg_arg_data_copy (i32.const 300) (i32.const 0) (i32.const 10)))
        (func $call (param $method i32)
            (call $call_new (i32.const 300) (i32.const 10) (local.get $method) (i32.const 4)
                (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0)))
        (func $balance (result i64)
            (call $canister_cycle_balance128 (i32.const 400)) (i64.load (i32.const 400)))
        (func $liquid (result i64)
            (call $canister_liquid_cycle_balance128 (i32.const 400)) (i64.load (i32.const 400)))
        (func $burn
            (call $cycles_burn128 (i64.const -1) (i64.const -1) (i32.const 420)))
        {functions})"#,
        imports(false)
    )
}

const NO_CALLBACK: &str = "(func $back (param i32))";

fn number(reply: Result<Vec<u8>, Reject>) -> u64 {
    u64::from_le_bytes(reply.unwrap().try_into().unwrap())
}

fn callee(net: &mut Net) -> Principal {
    net.install(&module(&format!(
        r#"{NO_CALLBACK}
        (func (export "canister_update work") (call $answer (call $msg_deadline)))
        (func (export "canister_query ask!") (call $answer (call $msg_deadline)))"#
    )))
}

#[test]
fn five_hundred_calls_to_one_canister_may_wait_and_others_are_not_in_their_way() {
    let mut net = Net::new();
    let callee = callee(&mut net);
    let id = net.install(&module(&format!(
        r#"{NO_CALLBACK}
        (func (export "canister_update run") (local $sent i64) (local $before i64)
            (call $callee)
            (local.set $before (call $balance))
            (loop $again
                (call $call (i32.const 100))
                (call $call_cycles_add128 (i64.const 0) (i64.const 7))
                (if (i32.eqz (call $call_perform)) (then
                    (local.set $sent (i64.add (local.get $sent) (i64.const 1)))
                    (br $again))))
            ;; the cycles of the one that did not leave are back
            (if (i64.ne (i64.sub (local.get $before) (call $balance)) (i64.mul (local.get $sent) (i64.const 7)))
                (then unreachable))
            ;; the management canister is another callee
            (call $call_new (i32.const 0) (i32.const 0) (i32.const 100) (i32.const 4)
                (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 0))
            (if (call $call_perform) (then unreachable))
            (call $answer (local.get $sent)))"#
    )));
    assert_eq!(number(net.call(id, "run", callee.as_slice())), 500);
    // All of them are answered, so that others can be sent.
    assert_eq!(number(net.call(id, "run", callee.as_slice())), 500);
}

#[test]
fn cycles_of_a_call_that_is_not_made_come_back() {
    let mut net = Net::new();
    let id = net.install(&module(&format!(
        r#"{NO_CALLBACK}
        (func (export "canister_update run") (local $before i64)
            (local.set $before (call $balance))
            (call $call (i32.const 100))
            (call $call_cycles_add128 (i64.const 0) (i64.const 1000))
            (if (i64.ne (i64.sub (local.get $before) (call $balance)) (i64.const 1000)) (then unreachable))
            (call $call (i32.const 100))
            (if (i64.ne (local.get $before) (call $balance)) (then unreachable))
            (call $call_cycles_add128 (i64.const 0) (i64.const 1000))
            (call $answer (local.get $before)))
        (func (export "canister_query balance") (call $answer (call $balance)))"#
    )));
    let before = number(net.call(id, "run", b"0123456789"));
    assert_eq!(number(net.query(id, "balance", &[])), before);
}

/// The caller replies with the deadline that the callee sees.
fn deadline(net: &mut Net, method: u32, seconds: Option<u32>) -> u64 {
    let callee = callee(net);
    let best_effort = seconds.map_or(String::new(), |seconds| {
        format!("(call $call_with_best_effort_response (i32.const {seconds}))")
    });
    let id = net.install(&module(&format!(
        r#"(func $back (param i32)
            (call $msg_arg_data_copy (i32.const 500) (i32.const 0) (i32.const 8))
            (call $answer (i64.load (i32.const 500))))
        (func (export "canister_update run")
            (call $callee)
            (call $call (i32.const {method}))
            {best_effort}
            (if (call $call_perform) (then unreachable)))"#
    )));
    number(net.call(id, "run", callee.as_slice()))
}

#[test]
fn deadlines_are_whole_seconds_at_most_five_minutes_away_and_queries_have_none() {
    const SECOND: u64 = 1_000_000_000;
    let mut net = Net::new();
    net.network.advance_time(START.plus(123_456_789));
    assert_eq!(deadline(&mut net, 100, None), 0);
    assert_eq!(deadline(&mut net, 100, Some(10)), START.0 + 10 * SECOND);
    assert_eq!(
        deadline(&mut net, 100, Some(4_000_000_000)),
        START.0 + 300 * SECOND
    );
    assert_eq!(deadline(&mut net, 110, Some(10)), 0);
}

#[test]
fn the_second_performance_counter_goes_on_in_callbacks() {
    let mut net = Net::new();
    let callee = callee(&mut net);
    let id = net.install(&module(
        r#"(global $first (mut i64) (i64.const 0))
        (func $back (param i32) (local $so_far i64)
            (local.set $so_far (call $performance_counter (i32.const 1)))
            ;; more than before and this message together would be is not counted, nor less
            (if (i64.lt_u (i64.sub (local.get $so_far) (call $performance_counter (i32.const 0)))
                    (i64.sub (global.get $first) (i64.const 210)))
                (then unreachable))
            (call $answer (i64.extend_i32_u (i64.gt_u (local.get $so_far) (global.get $first)))))
        (func (export "canister_update run")
            (call $callee)
            (call $call (i32.const 100))
            (drop (call $call_perform))
            (global.set $first (call $performance_counter (i32.const 1)))
            (if (i64.ne (i64.sub (call $performance_counter (i32.const 0)) (global.get $first))
                ;; what lies between the readings
                (i64.const 208))
                (then unreachable)))"#,
    ));
    assert_eq!(number(net.call(id, "run", callee.as_slice())), 1);
}

#[test]
fn setting_the_timer_tells_what_it_was() {
    let mut net = Net::new();
    let id = net.install(&module(&format!(
        r#"{NO_CALLBACK}
        (func $set (param $time i64) (param $before i64)
            (if (i64.ne (call $global_timer_set (local.get $time)) (local.get $before)) (then unreachable)))
        (func (export "canister_update run")
            (call $set (i64.const -1) (i64.const 0))
            (call $set (i64.const -2) (i64.const -1))
            (call $set (i64.const 0) (i64.const -2))
            (call $set (i64.const -3) (i64.const 0))
            (call $msg_reply))
        (func (export "canister_update again") (call $set (i64.const 0) (i64.const -3)) (call $msg_reply))
        (func (export "canister_update traps") (call $set (i64.const -4) (i64.const 0)) unreachable)"#
    )));
    net.call(id, "run", &[]).unwrap();
    net.call(id, "again", &[]).unwrap();
    net.call(id, "traps", &[]).unwrap_err();
    net.call(id, "run", &[]).unwrap();
}

#[test]
fn what_a_call_costs_is_what_performing_it_takes() {
    let mut net = Net::at_prices();
    let callee = callee(&mut net);
    let id = net.install(&module(&format!(
        r#"{NO_CALLBACK}
        (func (export "canister_update run") (local $before i64) (local $liquid i64)
            (call $callee)
            (call $call (i32.const 100))
            (call $call_data_append (i32.const 300) (i32.const 10))
            (local.set $before (call $balance))
            (local.set $liquid (call $liquid))
            (if (i64.ge_u (local.get $liquid) (local.get $before)) (then unreachable))
            (drop (call $call_perform))
            (call $cost_call (i64.const 4) (i64.const 10) (i32.const 430))
            (if (i64.ne (i64.sub (local.get $before) (call $balance)) (i64.load (i32.const 430)))
                (then unreachable))
            (if (i64.ne (i64.sub (local.get $liquid) (call $liquid)) (i64.load (i32.const 430)))
                (then unreachable))
            (call $answer (i64.load (i32.const 430))))"#
    )));
    // Sending 14 bytes, the longest answer, and the most expensive callback.
    let expected = 260_000 + 14 * 1_000 + 2 * 1024 * 1024 * 1_000 + 5_000_000 + 40_000_000_000;
    assert_eq!(number(net.call(id, "run", callee.as_slice())), expected);
}

#[test]
fn only_what_does_not_freeze_the_canister_can_be_burned_sent_or_grown_on() {
    let mut net = Net::at_prices();
    let id = net.install(&module(&format!(
        r#"{NO_CALLBACK}
        (func (export "canister_update burn") (local $liquid i64) (local $before i64)
            (local.set $before (call $balance))
            (local.set $liquid (call $liquid))
            (call $burn)
            (if (i64.ne (i64.load (i32.const 420)) (local.get $liquid)) (then unreachable))
            (if (i64.ne (i64.sub (local.get $before) (local.get $liquid)) (call $balance)) (then unreachable))
            (if (i64.ne (call $liquid) (i64.const 0)) (then unreachable))
            ;; nothing is left for a call
            (call $call (i32.const 100))
            (if (i32.ne (call $call_perform) (i32.const 2)) (then unreachable))
            (call $burn)
            (call $answer (i64.load (i32.const 420))))
        (func (export "canister_update send")
            (call $call (i32.const 100))
            (call $call_cycles_add128 (i64.const 0) (i64.add (call $liquid) (i64.const 1))))
        (func (export "canister_update grow") (call $burn) (drop (memory.grow (i32.const 1))))
        (func (export "canister_update grow_stable") (call $burn) (drop (call $stable64_grow (i64.const 1))))
        (func (export "canister_query look") (drop (memory.grow (i32.const 1000))) (call $msg_reply))"#
    )));
    let text = format!("Canister {id} is out of cycles");
    let reject = net.call(id, "send", b"0123456789").unwrap_err();
    assert_eq!(reject.message, format!("Error from Canister {id}: {text}"));
    for method in ["grow", "grow_stable"] {
        let reject = net.call(id, method, &[]).unwrap_err();
        assert_eq!(
            reject.error_code,
            Some(ErrorCode::InsufficientCyclesInMemoryGrow)
        );
        let (_, text) = reject
            .message
            .split_once("Canister cannot grow memory by ")
            .unwrap();
        let (text, help) = text
            .split_once(" additional cycles are required..\n")
            .unwrap();
        assert!(help.starts_with("Try topping up the canister. See documentation: "));
        let missing = text
            .strip_prefix("65536 bytes due to insufficient cycles. At least ")
            .unwrap();
        // A page of 64 KiB for the 30 days of the freezing threshold; days are rounded.
        let a_day = 127_000_u128 * 65_536 * 86_400 / (1 << 30);
        assert!(
            missing.parse::<u128>().unwrap().abs_diff(a_day * 30) <= 30,
            "{missing}"
        );
    }
    assert_eq!(net.query(id, "look", &[]), Ok(vec![]));
    assert_eq!(number(net.call(id, "burn", b"0123456789")), 0);
}

#[test]
fn prices_are_those_of_a_subnet_with_thirteen_nodes() {
    let mut net = Net::at_prices();
    let source = module(&format!(
        r#"{NO_CALLBACK}
        (func (export "canister_query nodes") (call $answer (i64.extend_i32_u (call $subnet_self_node_count))))
        (func (export "canister_query create")
            (call $cost_create_canister (i32.const 400)) (call $answer (i64.load (i32.const 400))))
        (func (export "canister_query http")
            (call $cost_http_request (i64.const 100) (i64.const 1000) (i32.const 400))
            (call $answer (i64.load (i32.const 400))))"#
    ));
    let id = net.install(&source);
    assert_eq!(number(net.query(id, "nodes", &[])), 13);
    assert_eq!(number(net.query(id, "create", &[])), 500_000_000_000);
    let http = (3_000_000 + 60_000 * 13 + 400 * 100 + 800 * 1_000) * 13;
    assert_eq!(number(net.query(id, "http", &[])), http);
    let mut free = Net::new();
    let id = free.install(&source);
    for method in ["create", "http"] {
        assert_eq!(number(free.query(id, method, &[])), 0);
    }
}
