//! Heaps of canisters: what moves within them, what moves through the host, and what queries see.

use crate::harness::{Net, code, module, number};
use engine::ErrorCode;

/// 64 MiB of heap, moved by the operators that work on whole ranges, which the host executes.
const RANGES: &str = r#"
    (func $sum (result i32) (local $at i32) (local $sum i32)
        (loop $next
            (local.set $sum (i32.add (i32.mul (local.get $sum) (i32.const 31)) (i32.load (local.get $at))))
            (local.set $at (i32.add (local.get $at) (i32.const 1020)))
            (br_if $next (i32.lt_u (local.get $at) (i32.const 67000000))))
        (local.get $sum))
    (func $shuffle
        (memory.fill (i32.const 100000) (i32.const 7) (i32.const 12000000))
        (memory.copy (i32.const 30000000) (i32.const 60000) (i32.const 20000000))
        (memory.copy (i32.const 29999999) (i32.const 30000000) (i32.const 9000000)))
    (func (export "canister_update grow") (drop (memory.grow (i32.const 1023))) (call $answer32 (memory.size)))
    (func (export "canister_update shuffle") (call $shuffle) (call $answer32 (call $sum)))
    (func (export "canister_update shuffle and trap")
        (memory.fill (i32.const 0) (i32.const 9) (i32.const 67108864)) (call $boom))
    (func (export "canister_update outside")
        (memory.fill (i32.const 67000000) (i32.const 9) (i32.const 200000)))
    (func (export "canister_query shuffle in a query") (call $shuffle) (call $answer32 (call $sum)))
    (func (export "canister_query sum") (call $answer32 (call $sum)))
"#;

#[test]
fn what_the_host_moves_in_a_heap_is_committed_and_restored_too() {
    let mut net = Net::new();
    let id = net.install(&module(RANGES));
    assert_eq!(number(net.call(id, "grow", &[])), 1024);
    let before = number(net.query(id, "sum", &[]));

    let shuffled = number(net.query(id, "shuffle in a query", &[]));
    assert_ne!(shuffled, before);
    assert_eq!(number(net.query(id, "sum", &[])), before);
    assert_eq!(number(net.call(id, "shuffle", &[])), shuffled);
    assert_eq!(number(net.query(id, "sum", &[])), shuffled);

    assert_eq!(
        code(net.call(id, "shuffle and trap", &[])),
        ErrorCode::CalledTrap
    );
    assert_eq!(code(net.call(id, "outside", &[])), ErrorCode::Trapped);
    assert_eq!(number(net.query(id, "sum", &[])), shuffled);
}

#[test]
fn a_heap_of_which_every_second_chunk_is_used_stays_right_over_many_messages() {
    let mut net = Net::new();
    // Writes one word in each of 500 places 4 MiB apart, then counts those that are not what they should be.
    let id = net.install(&module(
        r#"
        (global $round (mut i32) (i32.const 0))
        (func $each (param $write i32) (result i32) (local $place i32) (local $at i32) (local $wrong i32)
            (loop $next
                (local.set $at (i32.add (i32.const 1048576)
                    (i32.mul (local.get $place) (i32.const 4194304))))
                (if (local.get $write)
                    (then (i32.store (local.get $at) (i32.add (local.get $place) (global.get $round)))))
                (local.set $wrong (i32.add (local.get $wrong) (i32.ne (i32.load (local.get $at))
                    (i32.add (local.get $place) (global.get $round)))))
                (local.set $place (i32.add (local.get $place) (i32.const 1)))
                (br_if $next (i32.lt_u (local.get $place) (i32.const 500))))
            (local.get $wrong))
        (func (export "canister_update grow") (drop (memory.grow (i32.const 40000))) (call $reply))
        (func (export "canister_update write")
            (global.set $round (i32.add (global.get $round) (i32.const 1)))
            (call $answer32 (call $each (i32.const 1))))
        (func (export "canister_update write and trap")
            (global.set $round (i32.const 99)) (drop (call $each (i32.const 1))) (call $boom))
        (func (export "canister_query wrong") (call $answer32 (call $each (i32.const 0))))
        "#,
    ));
    net.call(id, "grow", &[]).unwrap();
    for _ in 0..3 {
        assert_eq!(number(net.call(id, "write", &[])), 0);
        assert_eq!(
            code(net.call(id, "write and trap", &[])),
            ErrorCode::CalledTrap
        );
        assert_eq!(number(net.query(id, "wrong", &[])), 0);
    }
}

#[test]
fn hundreds_of_canisters_with_large_heaps_live_side_by_side() {
    let mut net = Net::new();
    let wat = module(
        r#"
        (func (export "canister_update grow")
            (drop (memory.grow (i32.const 48000)))
            (i32.store (i32.const 3000000000) (i32.const 7))
            (drop (call $stable_grow (i64.const 160000)))
            (call $reply))
        (func (export "canister_query ask") (call $answer32 (i32.load (i32.const 3000000000))))
        "#,
    );
    let canisters: Vec<_> = (0..200).map(|_| net.install(&wat)).collect();
    for id in &canisters {
        net.call(*id, "grow", &[]).unwrap();
    }
    for id in &canisters {
        assert_eq!(number(net.query(*id, "ask", &[])), 7);
    }
}
