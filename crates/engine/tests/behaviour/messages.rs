//! One message is one commit: everything it did stays, or nothing.

use crate::harness::{Net, code, module, number};
use engine::{ErrorCode, RejectCode, RequestStatus};

/// Counts in a global, in the heap and in stable memory at once.
const COUNTERS: &str = r#"
    (global $count (mut i32) (i32.const 0))
    (func $bump
        (global.set $count (i32.add (global.get $count) (i32.const 1)))
        (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))
        (if (i64.eqz (call $stable_size)) (then (drop (call $stable_grow (i64.const 1)))))
        (call $stable_read (i64.const 8) (i64.const 0) (i64.const 4))
        (i32.store (i32.const 8) (i32.add (i32.load (i32.const 8)) (i32.const 1)))
        (call $stable_write (i64.const 0) (i64.const 8) (i64.const 4))
        (call $certify (i32.const 0) (i32.const 4)))
    (func (export "canister_update bump") (call $bump) (call $answer32 (global.get $count)))
    (func (export "canister_update bump_and_trap") (call $bump) (call $boom))
    (func (export "canister_update bump_and_grow_and_trap")
        (call $bump) (drop (memory.grow (i32.const 10))) (call $boom))
    (func (export "canister_query bump_and_ask") (global.set $count (i32.const 77))
        (i32.store (i32.const 0) (i32.const 77)) (drop (memory.grow (i32.const 1)))
        (call $answer32 (global.get $count)))
    (func (export "canister_query global") (call $answer32 (global.get $count)))
    (func (export "canister_query heap") (call $answer32 (i32.load (i32.const 0))))
    (func (export "canister_query pages") (call $answer32 (memory.size)))
    (func (export "canister_query stable")
        (call $stable_read (i64.const 8) (i64.const 0) (i64.const 4))
        (call $answer32 (i32.load (i32.const 8))))
"#;

fn counters(net: &mut Net, id: candid::Principal) -> [u32; 3] {
    ["global", "heap", "stable"].map(|method| number(net.query(id, method, &[])))
}

#[test]
fn what_a_message_wrote_stays() {
    let mut net = Net::new();
    let id = net.install(&module(COUNTERS));
    for n in 1..=3 {
        assert_eq!(number(net.call(id, "bump", &[])), n);
    }
    assert_eq!(counters(&mut net, id), [3, 3, 3]);
}

#[test]
fn a_trap_undoes_everything_the_message_did() {
    let mut net = Net::new();
    let id = net.install(&module(COUNTERS));
    net.call(id, "bump", &[]).unwrap();
    for method in ["bump_and_trap", "bump_and_grow_and_trap"] {
        let reject = net.call(id, method, &[]).unwrap_err();
        assert_eq!(reject.error_code, Some(ErrorCode::CalledTrap));
        assert_eq!(reject.code, RejectCode::CanisterError);
        assert!(
            reject
                .message
                .contains("Canister called `ic0.trap` with message: 'boom'"),
            "{reject:?}"
        );
        assert_eq!(counters(&mut net, id), [1, 1, 1]);
        assert_eq!(number(net.query(id, "pages", &[])), 1);
    }
    let tree = net.read_state(&[certified_data(id)]).tree;
    assert_eq!(found(&tree, &certified_data(id)), 1_u32.to_le_bytes());
    // The canister goes on from where it was.
    assert_eq!(number(net.call(id, "bump", &[])), 2);
    assert_eq!(counters(&mut net, id), [2, 2, 2]);
}

#[test]
fn a_query_leaves_no_trace() {
    let mut net = Net::new();
    let id = net.install(&module(COUNTERS));
    net.call(id, "bump", &[]).unwrap();
    assert_eq!(number(net.query(id, "bump_and_ask", &[])), 77);
    assert_eq!(counters(&mut net, id), [1, 1, 1]);
    assert_eq!(number(net.query(id, "pages", &[])), 1);
    // A query method called as an update is agreed on, and still changes nothing.
    assert_eq!(number(net.call(id, "bump_and_ask", &[])), 77);
    assert_eq!(counters(&mut net, id), [1, 1, 1]);
}

#[test]
fn a_large_heap_is_committed_and_restored_page_by_page() {
    let mut net = Net::new();
    let id = net.install(&module(
        r#"
        (func (export "canister_update fill") (local $at i32)
            (drop (memory.grow (i32.const 1023)))
            (local.set $at (i32.const 65536))
            (loop $next
                (i32.store (local.get $at) (local.get $at))
                (local.set $at (i32.add (local.get $at) (i32.const 65536)))
                (br_if $next (i32.lt_u (local.get $at) (i32.const 67108864))))
            (call $answer32 (memory.size)))
        (func (export "canister_update spoil") (local $at i32)
            (local.set $at (i32.const 65536))
            (loop $next
                (i32.store (local.get $at) (i32.const 1))
                (local.set $at (i32.add (local.get $at) (i32.const 131072)))
                (br_if $next (i32.lt_u (local.get $at) (i32.const 67108864))))
            (drop (memory.grow (i32.const 1)))
            unreachable)
        (func (export "canister_query wrong") (local $at i32) (local $wrong i32)
            (local.set $at (i32.const 65536))
            (loop $next
                (local.set $wrong (i32.add (local.get $wrong)
                    (i32.ne (i32.load (local.get $at)) (local.get $at))))
                (local.set $at (i32.add (local.get $at) (i32.const 65536)))
                (br_if $next (i32.lt_u (local.get $at) (i32.const 67108864))))
            (call $answer32 (local.get $wrong)))
        "#,
    ));
    assert_eq!(number(net.call(id, "fill", &[])), 1024);
    assert_eq!(number(net.query(id, "wrong", &[])), 0);
    assert_eq!(code(net.call(id, "spoil", &[])), ErrorCode::Trapped);
    assert_eq!(number(net.query(id, "wrong", &[])), 0);
}

#[test]
fn endless_loops_end_at_the_limit_and_others_keep_running() {
    let mut net = Net::new();
    let endless = net.install(&module(
        r#"
        (func (export "canister_query spin") (loop $again (br $again)))
        (func (export "canister_inspect_message") (loop $again (br $again)))
        (func (export "canister_update any") (call $reply))
        "#,
    ));
    let other = net.install(&module(COUNTERS));
    assert_eq!(
        code(net.query(endless, "spin", &[])),
        ErrorCode::InstructionLimitExceeded
    );
    assert_eq!(
        code(net.call(endless, "any", &[])),
        ErrorCode::InstructionLimitExceeded
    );
    assert_eq!(number(net.call(other, "bump", &[])), 1);
}

#[test]
fn a_canister_that_grows_without_bound_meets_the_limit_of_its_memory() {
    let mut net = Net::new();
    let id = net.install(&module(
        r#"
        (func $grow (local $pages i32)
            (loop $again
                (local.set $pages (memory.size))
                (br_if $again (i32.ne (memory.grow (i32.const 1024)) (i32.const -1))))
            (call $answer32 (local.get $pages)))
        (func (export "canister_update grow") (call $grow))
        (func (export "canister_query grow_and_forget") (call $grow))
        (func (export "canister_update grow_stable") (local $pages i32)
            (loop $again
                (br_if $again (i64.ne (call $stable_grow (i64.const 65536)) (i64.const -1))))
            (call $answer32 (i32.wrap_i64 (call $stable_size))))
        (func $deep (call $deep) (call $deep))
        (func (export "canister_update recurse") (call $deep))
        "#,
    ));
    // Controllers may limit the heap of updates, and do by default; queries end where addresses do.
    assert_eq!(
        code(net.call(id, "grow", &[])),
        ErrorCode::WasmMemoryLimitExceeded
    );
    let pages = number(net.query(id, "grow_and_forget", &[]));
    assert!((64_000..=65_536).contains(&pages), "{pages}");
    assert_eq!(number(net.call(id, "grow_stable", &[])), 500 * 16_384);
    let reject = net.call(id, "recurse", &[]).unwrap_err();
    assert!(reject.message.contains("stack overflow"), "{reject:?}");
    assert_eq!(number(net.call(id, "grow_stable", &[])), 500 * 16_384);
}

#[test]
fn traps_say_what_happened_as_the_internet_computer_says_it() {
    let mut net = Net::new();
    let id = net.install(&module(
        r#"
        (func (export "canister_update unreachable") unreachable)
        (func (export "canister_update divide")
            (drop (i32.div_u (i32.const 1) (call $arg_size))))
        (func (export "canister_update heap") (drop (i32.load (i32.const 100000000))))
        (func (export "canister_update stable") (call $stable_read (i64.const 0) (i64.const 9) (i64.const 1)))
        (func (export "canister_update silent"))
        (func (export "canister_update twice") (call $reply) (call $reply))
        (func (export "canister_update certificate") (drop (call $certificate_size)))
        (func (export "canister_update far") (call $append (i32.const 65530) (i32.const 10)))
        (func (export "canister_update rejects") (call $reject (i32.const 60000) (i32.const 4)))
        "#,
    ));
    for (method, error, text) in [
        ("unreachable", ErrorCode::Trapped, "unreachable"),
        ("divide", ErrorCode::Trapped, "integer division by 0"),
        ("heap", ErrorCode::Trapped, "heap out of bounds"),
        ("stable", ErrorCode::Trapped, "stable memory out of bounds"),
        ("silent", ErrorCode::DidNotReply, "did not reply"),
        ("twice", ErrorCode::ContractViolation, "already replied"),
        (
            "certificate",
            ErrorCode::ContractViolation,
            "cannot be executed in update mode",
        ),
        (
            "far",
            ErrorCode::ContractViolation,
            "msg.reply: src=65530 + length=10 exceeds the slice size=65536",
        ),
        (
            "missing",
            ErrorCode::MethodNotFound,
            "Canister has no update method 'missing'",
        ),
    ] {
        let reject = net.call(id, method, &[]).unwrap_err();
        assert_eq!(reject.error_code, Some(error), "{method}");
        assert!(
            reject.message.contains(text),
            "{method}: {}",
            reject.message
        );
    }
    let reject = net.call(id, "rejects", &[]).unwrap_err();
    assert_eq!(
        (reject.code, reject.message.as_str()),
        (RejectCode::CanisterReject, "boom")
    );
}

#[test]
fn a_call_that_is_sent_twice_runs_once() {
    let mut net = Net::new();
    let id = net.install(&module(COUNTERS));
    let ingress = net.ingress(crate::harness::alice(), id, "bump", &[]);
    let subnet = net.network.application_subnet();
    for _ in 0..3 {
        net.network.submit(subnet, ingress.clone()).unwrap();
        net.run();
    }
    assert_eq!(counters(&mut net, id), [1, 1, 1]);
    assert_eq!(
        net.status(&ingress.id),
        RequestStatus::Replied(1_u32.to_le_bytes().to_vec())
    );
    // Its status is forgotten in the end, long after it could be sent again.
    net.network
        .advance_time(ingress.expiry.plus(299_000_000_000));
    assert_ne!(net.status(&ingress.id), RequestStatus::Unknown);
    net.network
        .advance_time(ingress.expiry.plus(301_000_000_000));
    assert_eq!(net.status(&ingress.id), RequestStatus::Unknown);
}

#[test]
fn instructions_are_counted_the_same_every_time() {
    let mut net = Net::new();
    let id = net.install(&module(
        r#"(func (export "canister_update count")
            (call $answer32 (i32.wrap_i64 (i64.sub (i64.const 0)
                (i64.sub (call $counter (i32.const 0)) (call $counter (i32.const 0)))))))"#,
    ));
    let cost = number(net.call(id, "count", &[]));
    // Between two readings: the constant, the call (5) and the fixed charge (200).
    assert_eq!(cost, 1 + 5 + 200);
    let count = |net: &Net| {
        let metrics = net.network.metrics();
        metrics
            .iter()
            .find(|m| m.method == "count")
            .map(|m| m.instructions)
            .unwrap()
    };
    let once = count(&net);
    net.call(id, "count", &[]).unwrap();
    assert_eq!(count(&net), 2 * once);
}

fn certified_data(id: candid::Principal) -> engine::Path {
    vec![
        b"canister".to_vec(),
        id.as_slice().to_vec(),
        b"certified_data".to_vec(),
    ]
}

fn found(tree: &ic_certification::HashTree, path: &engine::Path) -> Vec<u8> {
    match tree.lookup_path(path.iter()) {
        ic_certification::LookupResult::Found(bytes) => bytes.to_vec(),
        other => panic!("{other:?}"),
    }
}
