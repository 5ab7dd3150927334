//! Canisters that mean harm: whatever one of them does, the others keep running.

use crate::harness::{Net, START, alice, code, module, number, wasm};
use candid::Principal;
use engine::{ErrorCode, RequestStatus, Time};
use ic_management_canister_types::{
    CanisterInstallMode, CanisterSettings, UpdateSettingsArgs, UpgradeFlags,
};

const SECOND: u64 = 1_000_000_000;

/// A loop that never ends; each turn costs 16 thousand instructions, so that limits of hundreds of billions come soon.
const SPIN: &str =
    r#"(func $spin (loop $l (memory.fill (i32.const 0) (i32.const 0) (i32.const 16384)) (br $l)))"#;

fn spinning(rest: &str) -> String {
    module(&format!("{SPIN} {rest}"))
}

/// A canister that must keep answering.
struct Bystander(Principal);

impl Bystander {
    fn install(net: &mut Net) -> Self {
        Self(net.install(&module(
            r#"(global $n (mut i32) (i32.const 0))
            (func (export "canister_update count")
                (global.set $n (i32.add (global.get $n) (i32.const 1)))
                (call $answer32 (global.get $n)))
            (func (export "canister_query ask") (call $answer32 (i32.const 7)))"#,
        )))
    }

    fn answers(&self, net: &mut Net) {
        number(net.call(self.0, "count", &[]));
        assert_eq!(number(net.query(self.0, "ask", &[])), 7);
    }
}

#[test]
fn an_endless_update_query_or_inspection_ends_at_its_limit() {
    let mut net = Net::new();
    let bystander = Bystander::install(&mut net);
    let hostile = net.install(&spinning(
        r#"(func (export "canister_update spin") (call $spin))
        (func (export "canister_query look") (call $spin))
        (func (export "canister_composite_query compose") (call $spin))"#,
    ));
    assert_eq!(
        code(net.call(hostile, "spin", &[])),
        ErrorCode::InstructionLimitExceeded
    );
    bystander.answers(&mut net);
    // As an update too.
    for result in [
        net.query(hostile, "look", &[]),
        net.query(hostile, "compose", &[]),
        net.call(hostile, "look", &[]),
    ] {
        assert_eq!(code(result), ErrorCode::InstructionLimitExceeded);
    }
    bystander.answers(&mut net);

    let hostile = net.install(&spinning(
        r#"(func (export "canister_update any") (call $reply))
        (func (export "canister_inspect_message") (call $spin))"#,
    ));
    assert_eq!(
        code(net.call(hostile, "any", &[])),
        ErrorCode::InstructionLimitExceeded
    );
    bystander.answers(&mut net);
}

#[test]
fn endless_timers_heartbeats_and_low_memory_hooks_end_at_their_limits() {
    let mut net = Net::new();
    let bystander = Bystander::install(&mut net);
    let hostile = net.install(&spinning(
        r#"(func (export "canister_update arm") (drop (call $timer_set (i64.const 1))) (call $reply))
        (func (export "canister_update grow") (drop (memory.grow (i32.const 16))) (call $reply))
        (func (export "canister_global_timer") (call $spin))
        (func (export "canister_on_low_wasm_memory") (call $spin))"#,
    ));
    net.call(hostile, "arm", &[]).unwrap();
    bystander.answers(&mut net);
    let settings = CanisterSettings {
        wasm_memory_threshold: Some((3_u64 << 30).into()),
        ..CanisterSettings::default()
    };
    let args = UpdateSettingsArgs {
        canister_id: hostile,
        settings,
        sender_canister_version: None,
    };
    net.management("update_settings", &args).unwrap();
    net.call(hostile, "grow", &[]).unwrap();
    bystander.answers(&mut net);

    net.install(&spinning(
        r#"(func (export "canister_heartbeat") (call $spin))"#,
    ));
    for second in 1..4 {
        net.network.advance_time(Time(START.0 + second * SECOND));
        net.network.run();
        bystander.answers(&mut net);
    }
}

#[test]
fn endless_callbacks_and_cleanups_end_at_their_limits() {
    let mut net = Net::new();
    let bystander = Bystander::install(&mut net);
    let caller = |back: &str, cleanup: &str| {
        spinning(&format!(
            r#"(table 2 funcref) (elem (i32.const 0) $back $cleanup)
            (data (i32.const 20000) "count")
            (func $back (param i32) {back})
            (func $cleanup (param i32) {cleanup})
            (func (export "canister_update call")
                (call $arg_copy (i32.const 30000) (i32.const 0) (i32.const 10))
                (call $call_new (i32.const 30000) (i32.const 10) (i32.const 20000) (i32.const 5)
                    (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
                (call $call_on_cleanup (i32.const 1) (i32.const 0))
                (if (call $call_perform) (then (call $boom))))"#
        ))
    };
    let nobody = Principal::from_slice(&[0, 0, 0, 0, 0, 0, 0, 9, 1, 1]);
    let endless = net.install(&caller("(call $spin)", ""));
    // As a callback for a reply, and for a reject.
    for callee in [bystander.0, nobody] {
        assert_eq!(
            code(net.call(endless, "call", callee.as_slice())),
            ErrorCode::InstructionLimitExceeded
        );
        bystander.answers(&mut net);
    }
    let endless = net.install(&caller("(call $boom)", "(call $spin)"));
    let failed = net
        .call(endless, "call", bystander.0.as_slice())
        .unwrap_err();
    assert_eq!(failed.error_code, Some(ErrorCode::CalledTrap));
    assert!(
        failed.message.contains("call_on_cleanup also failed"),
        "{}",
        failed.message
    );
    bystander.answers(&mut net);
}

#[test]
fn an_endless_installation_ends_at_its_limit_and_leaves_what_was_there() {
    let mut net = Net::new();
    let bystander = Bystander::install(&mut net);
    let id = net.create();
    let endless = wasm(&spinning(r#"(func (export "canister_init") (call $spin))"#));
    let refused = net.install_code(id, CanisterInstallMode::Install, &endless, &[]);
    assert_eq!(
        refused.unwrap_err().error_code,
        Some(ErrorCode::InstructionLimitExceeded)
    );
    bystander.answers(&mut net);
    assert_eq!(net.canister_status(id).module_hash, None);
}

#[test]
fn an_endless_pre_upgrade_can_be_skipped() {
    let mut net = Net::new();
    let bystander = Bystander::install(&mut net);
    let stuck = net.install(&spinning(
        r#"(func (export "canister_pre_upgrade") (call $spin))"#,
    ));
    let plain = module(r#"(func (export "canister_query ask") (call $answer32 (i32.const 3)))"#);
    let refused = net.upgrade(stuck, &plain).unwrap_err();
    assert_eq!(
        refused.error_code,
        Some(ErrorCode::InstructionLimitExceeded)
    );
    bystander.answers(&mut net);
    let skip = UpgradeFlags {
        skip_pre_upgrade: Some(true),
        wasm_memory_persistence: None,
    };
    net.install_code(
        stuck,
        CanisterInstallMode::Upgrade(Some(skip)),
        &wasm(&plain),
        &[],
    )
    .unwrap();
    assert_eq!(number(net.query(stuck, "ask", &[])), 3);
}

#[test]
fn an_endless_start_or_post_upgrade_leaves_the_code_before() {
    let mut net = Net::new();
    let bystander = Bystander::install(&mut net);
    let plain = module(r#"(func (export "canister_query ask") (call $answer32 (i32.const 3)))"#);
    let good = net.install(&plain);
    for endless in [
        spinning("(start $spin)"),
        spinning(r#"(func (export "canister_post_upgrade") (call $spin))"#),
    ] {
        let refused = net.upgrade(good, &endless).unwrap_err();
        assert_eq!(
            refused.error_code,
            Some(ErrorCode::InstructionLimitExceeded)
        );
        bystander.answers(&mut net);
        assert_eq!(number(net.query(good, "ask", &[])), 3);
    }
}

/// `flood` sends as many calls to the callee as it can, and replies with how many were taken.
const FLOOD: &str = r#"
    (table 1 funcref) (elem (i32.const 0) $back)
    (data (i32.const 100) "flood")
    (global $n (mut i32) (i32.const 0))
    (func $back (param i32))
    (func (export "canister_update flood")
        (local $sent i32)
        (if (call $arg_size) (then
            (call $arg_copy (i32.const 0) (i32.const 0) (i32.const 10))
            (loop $l
                (call $call_new (i32.const 0) (i32.const 10) (i32.const 100) (i32.const 5)
                    (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
                (if (i32.eqz (call $call_perform)) (then
                    (local.set $sent (i32.add (local.get $sent) (i32.const 1)))
                    (br_if $l (i32.lt_u (local.get $sent) (i32.const 5000))))))))
        (call $answer32 (local.get $sent)))"#;

#[test]
fn five_hundred_calls_to_one_canister_may_be_under_way_and_calls_to_others_besides() {
    let mut net = Net::new();
    let bystander = Bystander::install(&mut net);
    let hostile = net.install(&module(FLOOD));
    let (a, b) = (net.install(&module(FLOOD)), net.install(&module(FLOOD)));
    let flood =
        |net: &mut Net, callee: Principal| net.submit(alice(), hostile, "flood", callee.as_slice());
    // Both before anything is answered.
    let calls = [flood(&mut net, a), flood(&mut net, b)];
    net.run();
    for id in calls {
        let RequestStatus::Replied(reply) = net.status(&id) else {
            panic!("no reply");
        };
        assert_eq!(reply, 500_u32.to_le_bytes());
    }
    bystander.answers(&mut net);
}

#[test]
fn calls_to_ever_new_callees_end_when_they_hold_all_the_memory_for_messages() {
    let mut net = Net::new();
    let bystander = Bystander::install(&mut net);
    // Each call goes to another id.
    let hostile = net.install(&module(
        r#"(table 1 funcref) (elem (i32.const 0) $back)
        (func $back (param i32))
        (func (export "canister_update flood")
            (local $sent i32)
            (i64.store (i32.const 0) (i64.const 0x7f))
            (i32.store16 (i32.const 8) (i32.const 0x0101))
            (loop $l
                (i32.store (i32.const 4) (local.get $sent))
                (call $call_new (i32.const 0) (i32.const 10) (i32.const 0) (i32.const 0)
                    (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
                (if (i32.eqz (call $call_perform)) (then
                    (local.set $sent (i32.add (local.get $sent) (i32.const 1)))
                    (br_if $l (i32.lt_u (local.get $sent) (i32.const 100000))))))
            (call $answer32 (local.get $sent)))"#,
    ));
    // 8 GiB, of which each call takes the 2 MiB that its answer may come to take.
    assert_eq!(number(net.call(hostile, "flood", &[])), 4_096);
    bystander.answers(&mut net);
    // All were answered, and the memory is free again.
    assert_eq!(number(net.call(hostile, "flood", &[])), 4_096);
}

#[test]
fn a_canister_that_floods_itself_is_answered_like_any_other() {
    let mut net = Net::new();
    let bystander = Bystander::install(&mut net);
    let hostile = net.install(&module(FLOOD));
    assert_eq!(number(net.call(hostile, "flood", hostile.as_slice())), 500);
    bystander.answers(&mut net);
    // And again, once all are answered.
    assert_eq!(number(net.call(hostile, "flood", hostile.as_slice())), 500);
}

#[test]
fn a_canister_that_calls_itself_for_ever_leaves_turns_to_others() {
    let mut net = Net::new();
    let bystander = Bystander::install(&mut net);
    let hostile = net.install(&module(
        r#"(table 1 funcref) (elem (i32.const 0) $again)
        (data (i32.const 100) "loop")
        (func $send
            (call $self_copy (i32.const 0) (i32.const 0) (call $self_size))
            (call $call_new (i32.const 0) (call $self_size) (i32.const 100) (i32.const 4)
                (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
            (drop (call $call_perform)))
        (func $again (param i32) (call $send))
        (func (export "canister_update loop") (call $send) (call $reply))"#,
    ));
    net.submit(alice(), hostile, "loop", &[]);
    for _ in 0..20 {
        assert!(net.network.run(), "it goes on for ever");
    }
    let id = net.submit(alice(), bystander.0, "count", &[]);
    for _ in 0..20 {
        net.network.run();
    }
    assert_eq!(net.status(&id), RequestStatus::Replied(vec![1, 0, 0, 0]));
}
