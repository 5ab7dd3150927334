//! Composite queries: calls to other canisters' queries, callbacks, cleanup, limits; and queries beside a message.

use crate::harness::{Net, alice, code, module, number};
use candid::Principal;
use engine::{ErrorCode, Query, RejectCode};

/// `ask` takes a callee (10 bytes) and asks its query `answer`.
fn asker(on_reply: &str, on_reject: &str, cleanup: &str, rest: &str) -> String {
    module(&format!(
        r#"
        (global $state (mut i32) (i32.const 0))
        (table 3 funcref) (elem (i32.const 0) $on_reply $on_reject $on_cleanup)
        (data (i32.const 100) "answer")
        (data (i32.const 120) "ask")
        (func $on_reply (param $env i32) {on_reply})
        (func $on_reject (param $env i32) {on_reject})
        (func $on_cleanup (param $env i32) {cleanup})
        (func $ask (param $method i32) (param $len i32)
            (call $call_new (i32.const 0) (i32.const 10) (local.get $method) (local.get $len)
                (i32.const 0) (i32.const 7) (i32.const 1) (i32.const 7))
            (call $call_on_cleanup (i32.const 2) (i32.const 7))
            (if (call $call_perform) (then (call $boom))))
        (func (export "canister_composite_query ask")
            (call $arg_copy (i32.const 0) (i32.const 0) (i32.const 10))
            (i32.store (i32.const 200) (i32.const 5))
            (global.set $state (i32.const 5))
            (call $ask (i32.const 100) (i32.const 6)))
        (func (export "canister_query answer") (call $answer32 (i32.const 42)))
        (func (export "canister_query state") (call $answer32 (global.get $state)))
        {rest}"#
    ))
}

const SUM: &str = "(call $answer32 (i32.add (global.get $state) (i32.load (i32.const 200))))";
const REJECTED: &str = "(call $answer32 (i32.add (i32.const 1000000) (call $reject_code)))";

#[test]
fn a_callback_sees_what_the_query_wrote_and_nothing_of_it_stays() {
    let mut net = Net::new();
    let a = net.install(&asker(SUM, REJECTED, "", ""));
    let b = net.install(&asker(SUM, REJECTED, "", ""));
    assert_eq!(number(net.query(a, "ask", b.as_slice())), 10);
    assert_eq!(number(net.query(a, "state", &[])), 0);
}

#[test]
fn the_callee_of_a_composite_query_may_be_missing_or_itself_waiting() {
    let mut net = Net::new();
    let a = net.install(&asker(SUM, REJECTED, "", ""));
    let nobody = Principal::from_slice(&[0, 0, 0, 0, 0, 0, 0, 9, 1, 1]);
    assert_eq!(
        number(net.query(a, "ask", nobody.as_slice())),
        1_000_000 + RejectCode::DestinationInvalid as u32
    );
    // A canister can't ask itself while it waits: the graph has no loops.
    assert_eq!(
        number(net.query(a, "ask", a.as_slice())),
        1_000_000 + RejectCode::CanisterError as u32
    );
}

#[test]
fn a_callback_that_traps_is_undone_before_its_cleanup_runs() {
    let mut net = Net::new();
    let b = net.install(&asker(SUM, REJECTED, "", ""));
    // The callback writes 99 and traps; the cleanup traps too unless it finds what was there before.
    let write_and_trap = "(i32.store (i32.const 200) (i32.const 99)) (global.set $state (i32.const 99)) (call $boom)";
    let check = "(if (i32.ne (i32.add (global.get $state) (i32.load (i32.const 200))) (i32.const 10)) (then unreachable))";
    let a = net.install(&asker(write_and_trap, "", check, ""));
    let failed = net.query(a, "ask", b.as_slice()).unwrap_err();
    assert_eq!(failed.error_code, Some(ErrorCode::CalledTrap));
    assert!(failed.message.contains("boom"), "{}", failed.message);
    assert!(!failed.message.contains("cleanup"), "{}", failed.message);

    let a = net.install(&asker(write_and_trap, "", "unreachable", ""));
    let failed = net.query(a, "ask", b.as_slice()).unwrap_err();
    assert!(
        failed.message.contains("boom") && failed.message.contains("call_on_cleanup also failed"),
        "{}",
        failed.message
    );
}

#[test]
fn a_composite_query_that_nobody_answers_is_rejected() {
    let mut net = Net::new();
    let a = net.install(&asker("", "", "", ""));
    let b = net.install(&asker(SUM, REJECTED, "", ""));
    assert_eq!(
        code(net.query(a, "ask", b.as_slice())),
        ErrorCode::DidNotReply
    );
}

#[test]
fn a_composite_query_cannot_be_called_as_an_update_nor_by_an_update() {
    let mut net = Net::new();
    let a = net.install(&asker(SUM, REJECTED, "", ""));
    let refused = net.call(a, "ask", a.as_slice()).unwrap_err();
    assert_eq!(
        refused.error_code,
        Some(ErrorCode::CompositeQueryInReplicatedMode)
    );
}

#[test]
fn a_query_is_answered_while_a_message_of_the_same_canister_runs() {
    let mut net = Net::new();
    let canister = net.install(&module(
        r#"(global $n (mut i32) (i32.const 1))
        (func (export "canister_update spin")
            (local $i i64)
            (global.set $n (i32.const 2))
            (i32.store (i32.const 300) (i32.const 2))
            (loop $l
                (local.set $i (i64.add (local.get $i) (i64.const 1)))
                (br_if $l (i64.lt_u (local.get $i) (i64.const 2000000000))))
            (call $reply))
        (func (export "canister_query get")
            (call $answer32 (i32.add (global.get $n) (i32.load (i32.const 300)))))"#,
    ));
    let id = net.submit(alice(), canister, "spin", &[]);
    let reader = net.network.reader();
    let subnet = net.network.application_subnet();
    let (started, start) = std::sync::mpsc::channel();
    let asking = std::thread::spawn(move || {
        let mut seen = Vec::new();
        start.recv().unwrap();
        // Until the message has ended, which the status says.
        while !matches!(
            reader.status(subnet, &id),
            engine::RequestStatus::Replied(_)
        ) {
            let query = Query {
                sender: alice(),
                canister_id: canister,
                method: "get".to_owned(),
                arg: Vec::new(),
                sender_info: None,
            };
            let before = reader.status(subnet, &id);
            let answer = number(reader.query(subnet, query));
            let after = reader.status(subnet, &id);
            if before == after && before == engine::RequestStatus::Processing {
                seen.push(answer);
            }
        }
        seen
    });
    started.send(()).unwrap();
    net.run();
    let seen = asking.join().unwrap();
    assert!(!seen.is_empty(), "no query was answered beside the message");
    assert!(seen.iter().all(|answer| *answer == 1), "{seen:?}");
    assert_eq!(number(net.query(canister, "get", &[])), 4);
}
