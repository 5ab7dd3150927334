//! Calls between canisters, timers and the inspection of messages.

use crate::harness::{Net, alice, code, module, number};
use candid::{Encode, Principal};
use engine::{ErrorCode, RejectCode, RequestStatus};
use ic_management_canister_types::CanisterIdRecord;

/// `call` takes a callee (10 bytes) and calls its method `work`, sending 1,000 cycles.
fn caller(on_reply: &str, on_reject: &str, rest: &str) -> String {
    module(&format!(
        r#"
        (global $state (mut i32) (i32.const 0))
        (table 3 funcref) (elem (i32.const 0) $on_reply $on_reject $on_cleanup)
        (data (i32.const 100) "work")
        (func $on_reply (param $env i32) (global.set $state (i32.const 100)) {on_reply})
        (func $on_reject (param $env i32) {on_reject})
        (func $on_cleanup (param $env i32)
            (global.set $state (i32.add (global.get $state) (local.get $env))))
        (func (export "canister_update call")
            (global.set $state (i32.const 1))
            (call $arg_copy (i32.const 0) (i32.const 0) (i32.const 10))
            (call $call_new (i32.const 0) (i32.const 10) (i32.const 100) (i32.const 4)
                (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0))
            (call $call_on_cleanup (i32.const 2) (i32.const 41))
            (call $call_cycles_add (i64.const 1000))
            (if (call $call_perform) (then (call $boom))))
        (func (export "canister_query state") (call $answer32 (global.get $state)))
        (func (export "canister_query balance") (call $answer32 (i32.wrap_i64 (call $balance))))
        {rest}"#
    ))
}

fn callee(work: &str) -> String {
    module(&format!(
        r#"(func (export "canister_update work") {work})
        (func (export "canister_query balance") (call $answer32 (i32.wrap_i64 (call $balance))))"#
    ))
}

fn plain() -> String {
    caller(
        "(call $answer32 (i32.wrap_i64 (call $refunded)))",
        "(call $answer32 (i32.add (i32.const 1000000) (call $reject_code)))",
        "",
    )
}

#[test]
fn a_reply_comes_back_with_what_was_not_accepted() {
    let mut net = Net::new();
    let caller = net.install(&plain());
    let callee = net.install(&callee(
        "(drop (call $accept_cycles (i64.const 300))) (call $reply)",
    ));
    let before = [caller, callee].map(|id| number(net.query(id, "balance", &[])));
    assert_eq!(number(net.call(caller, "call", callee.as_slice())), 700);
    let after = [caller, callee].map(|id| number(net.query(id, "balance", &[])));
    assert_eq!(before[0] - after[0], 300);
    assert_eq!(after[1] - before[1], 300);
    assert_eq!(number(net.query(caller, "state", &[])), 100);
}

#[test]
fn every_way_a_callee_can_fail_arrives_as_a_reject_with_all_cycles_back() {
    let mut net = Net::new();
    let id = net.install(&plain());
    let before = number(net.query(id, "balance", &[]));
    let reject = net.install(&callee("(call $reject (i32.const 60000) (i32.const 4))"));
    let trap = net.install(&callee(
        "(drop (call $accept_cycles (i64.const 300))) (call $boom)",
    ));
    let silent = net.install(&callee(""));
    let empty = net.create();
    let nobody = Principal::from_slice(&[0, 0, 0, 0, 0, 0x1f, 0xff, 0xff, 1, 1]);
    for (callee, code) in [
        (reject, RejectCode::CanisterReject),
        (trap, RejectCode::CanisterError),
        (silent, RejectCode::CanisterError),
        (empty, RejectCode::CanisterError),
        (nobody, RejectCode::DestinationInvalid),
    ] {
        assert_eq!(
            number(net.call(id, "call", callee.as_slice())),
            1_000_000 + code as u32
        );
        assert_eq!(number(net.query(id, "balance", &[])), before);
    }
}

#[test]
fn a_callback_that_traps_leaves_what_was_before_it_and_runs_cleanup() {
    let mut net = Net::new();
    let id = net.install(&caller("(call $boom)", "(call $boom)", ""));
    let callee = net.install(&callee("(call $reply)"));
    let reject = net.call(id, "call", callee.as_slice()).unwrap_err();
    assert_eq!(reject.error_code, Some(ErrorCode::CalledTrap));
    // 1 from before the await, not 100 from the callback; 41 from the cleanup.
    assert_eq!(number(net.query(id, "state", &[])), 42);
}

#[test]
fn a_timer_fires_once_when_it_is_due() {
    let mut net = Net::new();
    let id = net.install(&module(
        r#"
        (global $fired (mut i32) (i32.const 0))
        (func (export "canister_global_timer") (global.set $fired (i32.add (global.get $fired) (i32.const 1))))
        (func (export "canister_update set")
            (drop (call $timer_set (i64.add (call $time) (i64.const 5000000000)))) (call $reply))
        (func (export "canister_query fired") (call $answer32 (global.get $fired)))
        "#,
    ));
    net.call(id, "set", &[]).unwrap();
    let start = net.network.time();
    for (seconds, fired) in [(4, 0), (5, 1), (6, 1), (60, 1)] {
        net.network
            .advance_time(start.plus(seconds * 1_000_000_000));
        net.run();
        assert_eq!(
            number(net.query(id, "fired", &[])),
            fired,
            "after {seconds} s"
        );
    }
}

#[test]
fn a_canister_may_decline_a_call_before_it_is_taken() {
    let mut net = Net::new();
    let id = net.install(&module(
        r#"
        (func (export "canister_inspect_message")
            (if (call $arg_size) (then (call $accept))))
        (func (export "canister_update any") (call $answer32 (i32.const 9)))
        "#,
    ));
    assert_eq!(
        code(net.call(id, "any", &[])),
        ErrorCode::CanisterRejectedMessage
    );
    assert_eq!(number(net.call(id, "any", &[1])), 9);
}

/// `set` sets a timer of five seconds, `fired` says whether it fired.
const TIMED: &str = r#"
    (global $fired (mut i32) (i32.const 0))
    (func (export "canister_global_timer") (global.set $fired (i32.const 1)))
    (func (export "canister_update set")
        (drop (call $timer_set (i64.add (call $time) (i64.const 5000000000)))) (call $reply))
    (func (export "canister_query fired") (call $answer32 (global.get $fired)))
"#;

#[test]
fn a_timer_that_falls_due_while_the_canister_is_stopped_fires_when_it_is_started() {
    let mut net = Net::new();
    let id = net.install(&module(TIMED));
    net.call(id, "set", &[]).unwrap();
    let record = CanisterIdRecord { canister_id: id };
    net.management("stop_canister", &record).unwrap();
    net.network
        .advance_time(net.network.time().plus(9_000_000_000));
    net.run();
    assert!(!net.network.has_work());
    net.management("start_canister", &record).unwrap();
    net.run();
    assert_eq!(number(net.query(id, "fired", &[])), 1);
}

#[test]
fn a_timer_that_falls_due_in_the_round_in_which_the_canister_is_stopped_fires_when_it_is_started() {
    let mut net = Net::new();
    let id = net.install(&module(TIMED));
    net.call(id, "set", &[]).unwrap();
    let record = CanisterIdRecord { canister_id: id };
    let arg = Encode!(&record).unwrap();
    // The stop is queued before the timer.
    net.submit_management("stop_canister", id, &arg).unwrap();
    net.network
        .advance_time(net.network.time().plus(9_000_000_000));
    net.run();
    assert!(!net.network.has_work());
    net.management("start_canister", &record).unwrap();
    net.run();
    assert_eq!(number(net.query(id, "fired", &[])), 1);
}

#[test]
fn cycles_come_back_to_a_canister_that_lost_its_code_meanwhile() {
    let mut net = Net::new();
    let caller = net.install(&plain());
    let callee = net.install(&callee("(call $reply)"));
    let before = net.canister_status(caller).cycles;
    // Both are queued before anything runs: the code goes while the call is under way.
    let call = net.submit(alice(), caller, "call", callee.as_slice());
    let arg = Encode!(&CanisterIdRecord {
        canister_id: caller
    })
    .unwrap();
    net.submit(
        alice(),
        Principal::management_canister(),
        "uninstall_code",
        &arg,
    );
    net.run();
    let RequestStatus::Rejected(reject) = net.status(&call) else {
        panic!("{:?}", net.status(&call));
    };
    assert_eq!(reject.message, "Canister has been uninstalled.");
    assert_eq!(net.canister_status(caller).cycles, before);
}

#[test]
fn what_was_sent_back_with_the_answer_can_not_be_accepted_any_more() {
    let mut net = Net::new();
    let caller = net.install(&plain());
    let callee = net.install(&callee(
        "(call $reply) (drop (call $accept_cycles (i64.const 1000)))",
    ));
    let before = [caller, callee].map(|id| net.canister_status(id).cycles);
    assert_eq!(number(net.call(caller, "call", callee.as_slice())), 1_000);
    assert_eq!(
        [caller, callee].map(|id| net.canister_status(id).cycles),
        before
    );
}

#[test]
fn a_status_is_kept_as_long_as_the_call_is_under_way() {
    let mut net = Net::new();
    let id = net.install(&module(
        r#"(func (export "canister_update any") (call $reply))"#,
    ));
    let call = net.submit(alice(), id, "any", &[]);
    net.network
        .advance_time(net.network.time().plus(3_600_000_000_000));
    assert_eq!(net.status(&call), RequestStatus::Received);
    net.run();
    assert_eq!(net.status(&call), RequestStatus::Replied(Vec::new()));
    net.network
        .advance_time(net.network.time().plus(3_600_000_000_000));
    assert_eq!(net.status(&call), RequestStatus::Unknown);
}
