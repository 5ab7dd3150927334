//! Canisters whose heap has 64-bit addresses.

use crate::harness::{Net, code};
use engine::{ErrorCode, Reject};

/// A heap of 5 GiB, of which a few pages beyond 4 GiB are used; methods trap where a byte is not what it should be.
const FAR: &str = r#"(module
    (import "ic0" "msg_reply" (func $reply))
    (memory i64 1)
    (global $messages (mut i64) (i64.const 0))
    (func $at (result i64) (i64.const 0x1_3fff_fff8))
    (func $count (global.set $messages (i64.add (global.get $messages) (i64.const 1))))
    (func $check (param $expected i64)
        (if (i64.ne (i64.load (call $at)) (local.get $expected)) (then unreachable))
        (if (i64.ne (global.get $messages) (local.get $expected)) (then unreachable)))
    (func $write (i64.store (call $at) (global.get $messages)))
    (func (export "canister_update grow")
        (if (i64.eq (memory.grow (i64.const 81919)) (i64.const -1)) (then unreachable))
        (call $reply))
    (func (export "canister_update write") (call $count) (call $write) (call $reply))
    (func (export "canister_update write and trap") (call $count) (call $write) unreachable)
    (func (export "canister_update grow and trap")
        (drop (memory.grow (i64.const 100))) (call $count) (call $write) unreachable)
    (func (export "canister_query is 0") (call $check (i64.const 0)) (call $reply))
    (func (export "canister_query is 1") (call $check (i64.const 1)) (call $reply))
    (func (export "canister_query is 2") (call $check (i64.const 2)) (call $reply))
    (func (export "canister_query write in a query") (call $count) (call $write) (call $reply))
    (func (export "canister_query beyond") (drop (i64.load (i64.const 0x1_4000_0000))))
    (func (export "canister_query far beyond") (drop (i64.load (i64.const -8))))
    (func (export "canister_query far offset")
        (drop (i64.load offset=0xffff_ffff_0000_0000 (i64.const 0x1_0000_0000)))))"#;

#[test]
fn a_heap_beyond_4_gib_is_committed_and_restored_like_any_other() {
    let mut net = Net::new();
    let id = net.install(FAR);
    net.lift_memory_limit(id);
    net.call(id, "grow", &[]).unwrap();
    net.query(id, "is 0", &[]).unwrap();
    net.call(id, "write", &[]).unwrap();
    net.query(id, "is 1", &[]).unwrap();

    let trapped = net.call(id, "write and trap", &[]);
    assert_eq!(code(trapped), ErrorCode::Trapped);
    net.query(id, "is 1", &[]).unwrap();
    net.query(id, "write in a query", &[]).unwrap();
    net.query(id, "is 1", &[]).unwrap();
    // This one costs the instance.
    let trapped = net.call(id, "grow and trap", &[]);
    assert_eq!(code(trapped), ErrorCode::Trapped);
    net.query(id, "is 1", &[]).unwrap();
    net.call(id, "write", &[]).unwrap();
    net.query(id, "is 2", &[]).unwrap();
}

#[test]
fn what_is_not_in_a_64_bit_heap_can_not_be_read() {
    let mut net = Net::new();
    let id = net.install(FAR);
    net.lift_memory_limit(id);
    net.call(id, "grow", &[]).unwrap();
    for method in ["beyond", "far beyond", "far offset"] {
        let Err(Reject {
            error_code,
            message,
            ..
        }) = net.query(id, method, &[])
        else {
            panic!("{method} read something");
        };
        assert_eq!(error_code, Some(ErrorCode::Trapped), "{method}");
        assert!(message.contains("heap out of bounds"), "{message}");
    }
}

#[test]
fn a_64_bit_heap_ends_at_6_gib() {
    let mut net = Net::new();
    for (memory, grow, answer) in [
        ("i64 1", 98_303, 1),
        ("i64 1", 98_304, -1),
        ("i64 1 10", 10, -1),
        ("i64 98304", 0, 98_304),
        ("i64 98304", 1, -1),
    ] {
        let id = net.install(&format!(
            r#"(module
            (import "ic0" "msg_reply" (func $reply))
            (memory {memory})
            (func (export "canister_update grow")
                (if (i64.ne (memory.grow (i64.const {grow})) (i64.const {answer})) (then unreachable))
                (call $reply)))"#
        ));
        net.lift_memory_limit(id);
        net.call(id, "grow", &[])
            .unwrap_or_else(|reject| panic!("{memory} + {grow}: {reject:?}"));
    }
}

#[test]
fn system_calls_take_and_give_64_bit_addresses() {
    let mut net = Net::new();
    let id = net.install(
        r#"(module
        (import "ic0" "msg_arg_data_size" (func $size (result i64)))
        (import "ic0" "msg_arg_data_copy" (func $copy (param i64 i64 i64)))
        (import "ic0" "msg_reply_data_append" (func $append (param i64 i64)))
        (import "ic0" "msg_reply" (func $reply))
        (import "ic0" "call_new" (func $call_new (param i64 i64 i64 i64 i64 i64 i64 i64)))
        (import "ic0" "call_perform" (func $call_perform (result i32)))
        (import "ic0" "canister_self_size" (func $self_size (result i64)))
        (import "ic0" "canister_self_copy" (func $self_copy (param i64 i64 i64)))
        (memory i64 1)
        (table 1 funcref) (elem (i32.const 0) $done)
        (data (i64.const 100) "grow")
        ;; Its argument back, from beyond 4 GiB.
        (func (export "canister_query echo")
            (drop (memory.grow (i64.const 70000)))
            (call $copy (i64.const 0x1_0000_1000) (i64.const 0) (call $size))
            (call $append (i64.const 0x1_0000_1000) (call $size))
            (call $reply))
        ;; A callback gets back an environment that 32 bits can't hold.
        (func $done (param i64)
            (i64.store (i64.const 200) (local.get 0))
            (call $append (i64.const 200) (i64.const 8))
            (call $reply))
        (func (export "canister_update grow") (call $reply))
        (func (export "canister_update call")
            (call $self_copy (i64.const 0) (i64.const 0) (call $self_size))
            (call $call_new (i64.const 0) (call $self_size) (i64.const 100) (i64.const 4)
                (i64.const 0) (i64.const 0x1234_5678_9abc_def0)
                (i64.const 0) (i64.const 0))
            (drop (call $call_perform))))"#,
    );
    assert_eq!(net.query(id, "echo", b"far away").unwrap(), b"far away");
    let environment = net.call(id, "call", &[]).unwrap();
    assert_eq!(environment, 0x1234_5678_9abc_def0_u64.to_le_bytes());
}
