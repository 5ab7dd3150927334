//! `install_code` and `uninstall_code`: every option, and what stays of a canister.

use candid::Encode;
use engine::{ErrorCode, Principal, RequestStatus};
use ic_management_canister_types::{
    CanisterInstallMode, CanisterSettings, UpgradeFlags, WasmMemoryPersistence,
};

use crate::{
    harness::{Net, alice, module, number, wasm},
    management::{record, refused},
};

const COUNTER: &str = r#"
    (global $count (mut i32) (i32.const 0))
    (func (export "canister_pre_upgrade") (call $boom))
    (func (export "canister_update timer")
        (drop (call $timer_set (i64.const 9000000000000000000)))
        (call $certify (i32.const 60000) (i32.const 4))
        (i32.store (i32.const 0) (i32.const 7))
        (call $reply))
    (func (export "canister_query at0") (call $answer32 (i32.load (i32.const 0))))
    (func (export "canister_update was_set")
        (call $answer32 (i32.wrap_i64 (i64.shr_u (call $timer_set (i64.const 0)) (i64.const 32)))))
"#;

fn persistent(body: &str) -> String {
    module(&format!(
        r#"(@custom "icp:private enhanced-orthogonal-persistence" "") {body}"#
    ))
}

fn upgrade(
    net: &mut Net,
    id: Principal,
    wat: &str,
    flags: UpgradeFlags,
) -> Result<(), engine::Reject> {
    net.install_code(
        id,
        CanisterInstallMode::Upgrade(Some(flags)),
        &wasm(wat),
        &[],
    )
    .map(|_| ())
}

#[test]
fn pre_upgrade_is_skipped_where_that_is_asked_for() {
    let mut net = Net::new();
    let id = net.install(&module(COUNTER));
    let flags = |skip_pre_upgrade| UpgradeFlags {
        skip_pre_upgrade,
        wasm_memory_persistence: None,
    };
    for skip in [None, Some(false)] {
        refused(
            upgrade(&mut net, id, &module(COUNTER), flags(skip)),
            ErrorCode::CalledTrap,
            "boom",
        );
    }
    assert_eq!(net.info(id).total_num_changes, 2);
    upgrade(&mut net, id, &module(COUNTER), flags(Some(true))).unwrap();
    assert_eq!(net.info(id).total_num_changes, 3);
}

#[test]
fn a_heap_that_was_meant_to_persist_is_not_dropped_by_accident() {
    let mut net = Net::new();
    let body = COUNTER.replace("(call $boom)", "(nop)");
    let id = net.install(&persistent(&body));
    let flags = |wasm_memory_persistence| UpgradeFlags {
        skip_pre_upgrade: None,
        wasm_memory_persistence,
    };
    refused(
        upgrade(&mut net, id, &persistent(&body), flags(None)),
        ErrorCode::ContractViolation,
        "Missing upgrade option: Enhanced orthogonal persistence requires the `wasm_memory_persistence` upgrade option.",
    );
    refused(
        upgrade(
            &mut net,
            id,
            &module(&body),
            flags(Some(WasmMemoryPersistence::Keep)),
        ),
        ErrorCode::ContractViolation,
        "Invalid upgrade option: The `wasm_memory_persistence: opt Keep` upgrade option requires that the new canister module supports enhanced orthogonal persistence.",
    );
    net.call(id, "timer", &[]).unwrap();
    upgrade(
        &mut net,
        id,
        &persistent(&body),
        flags(Some(WasmMemoryPersistence::Replace)),
    )
    .unwrap();
    assert_eq!(number(net.query(id, "at0", &[])), 0);
}

#[test]
fn an_upgrade_keeps_certified_data_and_a_reinstallation_nothing_both_stop_the_timer() {
    let mut net = Net::new();
    let body = COUNTER.replace("(call $boom)", "(nop)");
    let id = net.install(&module(&body));
    let certified = |net: &Net| {
        let path = vec![
            b"canister".to_vec(),
            id.as_slice().to_vec(),
            b"certified_data".to_vec(),
        ];
        let tree = net.read_state(std::slice::from_ref(&path)).tree;
        match tree.lookup_path(path.iter()) {
            ic_certification::LookupResult::Found(data) => data.to_vec(),
            other => panic!("{other:?}"),
        }
    };
    net.call(id, "timer", &[]).unwrap();
    assert_eq!(certified(&net), b"boom");
    net.upgrade(id, &module(&body)).unwrap();
    assert_eq!(certified(&net), b"boom");
    assert_eq!(number(net.call(id, "was_set", &[])), 0);
    net.call(id, "timer", &[]).unwrap();
    net.install_code(
        id,
        CanisterInstallMode::Reinstall,
        &wasm(&module(&body)),
        &[],
    )
    .unwrap();
    assert_eq!(certified(&net), b"");
    assert_eq!(number(net.call(id, "was_set", &[])), 0);
}

#[test]
fn code_can_be_changed_while_a_canister_is_stopped() {
    let mut net = Net::new();
    let body = COUNTER.replace("(call $boom)", "(nop)");
    let id = net.create();
    net.management("stop_canister", &record(id)).unwrap();
    let module = wasm(&module(&body));
    for mode in [
        CanisterInstallMode::Install,
        CanisterInstallMode::Upgrade(None),
        CanisterInstallMode::Reinstall,
    ] {
        net.install_code(id, mode, &module, &[]).unwrap();
    }
    net.management("uninstall_code", &record(id)).unwrap();
    assert_eq!(net.canister_status(id).version, 4);
}

#[test]
fn an_installation_that_fails_has_changed_nothing() {
    let mut net = Net::new();
    let id = net.create();
    let failing = wasm(&module(r#"(func (export "canister_init") (call $boom))"#));
    let before = (net.canister_status(id), net.info(id));
    refused(
        net.install_code(id, CanisterInstallMode::Install, &failing, &[]),
        ErrorCode::CalledTrap,
        "boom",
    );
    refused(
        net.install_code(id, CanisterInstallMode::Upgrade(None), &failing, &[]),
        ErrorCode::ModuleNotFound,
        "contains no Wasm module",
    );
    let after = (net.canister_status(id), net.info(id));
    assert_eq!(after.0.version, before.0.version);
    assert_eq!(after.0.module_hash, None);
    assert_eq!(after.1.total_num_changes, before.1.total_num_changes);
}

#[test]
fn removing_code_rejects_what_is_still_owed_an_answer() {
    let mut net = Net::new();
    let id = net.install(&module(
        r#"
        (table 1 funcref) (elem (i32.const 0) $again)
        (data (i32.const 100) "raw_rand")
        (data (i32.const 200) "DIDL\00\00")
        (func $ask
            (call $call_new (i32.const 0) (i32.const 0) (i32.const 100) (i32.const 8)
                (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
            (call $call_data_append (i32.const 200) (i32.const 6))
            (drop (call $call_perform)))
        (func $again (param i32) (call $ask))
        (func (export "canister_update begin") (call $ask))
        "#,
    ));
    let waiting = net.submit(alice(), id, "begin", &[]);
    net.network.run();
    net.network.run();
    let arg = Encode!(&record(id)).unwrap();
    net.submit(
        alice(),
        Principal::management_canister(),
        "uninstall_code",
        &arg,
    );
    net.run();
    let RequestStatus::Rejected(reject) = net.status(&waiting) else {
        panic!("still waiting");
    };
    assert!(
        reject.message.contains("Canister has been uninstalled"),
        "{}",
        reject.message
    );
    let status = net.canister_status(id);
    assert_eq!(status.module_hash, None);
    let settings = CanisterSettings::default();
    net.set(id, settings).unwrap();
}

#[test]
fn a_heap_is_kept_where_that_is_asked_for_and_comes_back_where_the_upgrade_fails() {
    let mut net = Net::new();
    let first =
        persistent(&COUNTER.replace("(call $boom)", "(i32.store (i32.const 4) (i32.const 8))"));
    let id = net.install(&first);
    net.call(id, "timer", &[]).unwrap();
    let keep = UpgradeFlags {
        skip_pre_upgrade: None,
        wasm_memory_persistence: Some(WasmMemoryPersistence::Keep),
    };
    let with_hook = |body: &str| {
        persistent(&format!(
            r#"{} (func (export "canister_post_upgrade") {body})
            (func (export "canister_query at4") (call $answer32 (i32.load (i32.const 4))))"#,
            COUNTER.replace("(call $boom)", "(nop)")
        ))
    };
    let failing = with_hook("(i32.store (i32.const 0) (i32.const 99)) (call $boom)");
    refused(
        upgrade(&mut net, id, &failing, keep),
        ErrorCode::CalledTrap,
        "boom",
    );
    assert_eq!(number(net.query(id, "at0", &[])), 7);
    upgrade(&mut net, id, &with_hook("(nop)"), keep).unwrap();
    assert_eq!(number(net.query(id, "at0", &[])), 7);
    // What pre_upgrade wrote is kept, too.
    assert_eq!(number(net.query(id, "at4", &[])), 8);
    net.call(id, "timer", &[]).unwrap();
    assert_eq!(number(net.query(id, "at0", &[])), 7);
}
