//! All canisters of a process share a budget of memory. One test in a program of its own, since a process has one budget.

#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "one test uses a part of it")]
#[path = "behaviour/harness/mod.rs"]
mod harness;

use engine::{ErrorCode, limit_memory, memory_held};
use harness::{Net, code, module, number};
use ic_management_canister_types::CanisterIdRecord;

const MIB: u64 = 1 << 20;

/// Takes memory in every way there is.
const GREEDY: &str = r#"
    (func $touch (param $mib i32) (local $at i32) (local $end i32)
        (drop (memory.grow (i32.const 48000)))
        (local.set $at (i32.const 65536))
        (local.set $end (i32.mul (local.get $mib) (i32.const 1048576)))
        (loop $next
            (i32.store (local.get $at) (i32.const 1))
            (local.set $at (i32.add (local.get $at) (i32.const 4096)))
            (br_if $next (i32.lt_u (local.get $at) (local.get $end)))))
    (func (export "canister_update touch 100 MiB") (call $touch (i32.const 100)) (call $reply))
    (func (export "canister_update touch 600 MiB") (call $touch (i32.const 600)) (call $reply))
    (func (export "canister_query touch 600 MiB in a query") (call $touch (i32.const 600)) (call $reply))
    (func (export "canister_update fill 600 MiB")
        (drop (memory.grow (i32.const 48000)))
        (memory.fill (i32.const 65536) (i32.const 1) (i32.const 600000000))
        (call $reply))
    (func (export "canister_update trap after all")
        (drop (memory.grow (i32.const 48000)))
        (memory.fill (i32.const 65536) (i32.const 1) (i32.const 600000000))
        (call $boom))
    (func (export "canister_update stable") (local $at i64)
        (drop (call $stable_grow (i64.const 160000)))
        (loop $next
            (call $stable_write (local.get $at) (i64.const 0) (i64.const 65536))
            (local.set $at (i64.add (local.get $at) (i64.const 65536)))
            (br_if $next (i64.lt_u (local.get $at) (i64.const 600000000))))
        (call $reply))
    (func (export "canister_update read what is empty") (local $at i32)
        (drop (call $stable_grow (i64.const 160000)))
        (drop (memory.grow (i32.const 1000)))
        (call $stable_read (i64.const 0) (i64.const 0) (i64.const 1000000))
        (call $stable_read (i64.const 0) (i64.const 10000000000) (i64.const 1000000))
        (call $reply))
"#;

/// Must go on working.
const GOOD: &str = r#"
    (func (export "canister_update bump")
        (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))
        (call $answer32 (i32.load (i32.const 0))))"#;

#[test]
fn canisters_that_take_all_memory_fail_alone_and_give_it_back() {
    limit_memory(256 * MIB);
    let mut net = Net::new();
    let good = net.install(&module(GOOD));
    let greedy = [(); 3].map(|()| net.install(&module(GREEDY)));
    let mut count = 0;
    let mut bump = |net: &mut Net| {
        count += 1;
        assert_eq!(number(net.call(good, "bump", &[])), count);
    };
    bump(&mut net);
    let held = memory_held();

    for id in greedy {
        for method in ["touch 600 MiB", "fill 600 MiB", "stable"] {
            assert_eq!(
                code(net.call(id, method, &[])),
                ErrorCode::OutOfMemory,
                "{method}"
            );
            bump(&mut net);
            assert_eq!(memory_held(), held, "after {method}");
        }
        let refused = net.call(id, "trap after all", &[]);
        assert_eq!(code(refused), ErrorCode::OutOfMemory);
        let refused = net.query(id, "touch 600 MiB in a query", &[]);
        assert_eq!(code(refused), ErrorCode::OutOfMemory);
        bump(&mut net);
        assert_eq!(memory_held(), held);
        // What was never written takes nothing.
        net.call(id, "read what is empty", &[]).unwrap();
        assert!(memory_held() < held + 8 * MIB);
    }

    // What fits is granted, until it does not fit any more.
    net.call(greedy[0], "touch 100 MiB", &[]).unwrap();
    net.call(greedy[1], "touch 100 MiB", &[]).unwrap();
    assert!(memory_held() > 200 * MIB && memory_held() <= 256 * MIB);
    let refused = net.call(greedy[2], "touch 100 MiB", &[]);
    assert_eq!(code(refused), ErrorCode::OutOfMemory);
    bump(&mut net);
    // And granted again when somebody else gave it back.
    let record = CanisterIdRecord {
        canister_id: greedy[0],
    };
    net.management("uninstall_code", &record).unwrap();
    assert!(memory_held() < 200 * MIB);
    net.call(greedy[2], "touch 100 MiB", &[]).unwrap();
    bump(&mut net);
}
