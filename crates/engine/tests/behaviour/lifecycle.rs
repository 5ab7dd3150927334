//! Installing, upgrading, stopping: what survives, and who may.

use crate::harness::{Net, alice, bob, code, module, number, wasm};
use candid::{Encode, Principal};
use engine::{ErrorCode, RequestStatus};
use ic_management_canister_types::{
    CanisterIdRecord, CanisterInstallMode, CanisterSettings, CanisterStatusType,
    ProvisionalCreateCanisterWithCyclesArgs, UpdateSettingsArgs,
};

const FIRST: &str = r#"
    (global $start (mut i32) (i32.const 0))
    (func $on_start (global.set $start (i32.const 5)))
    (start $on_start)
    (func (export "canister_init")
        (i32.store (i32.const 0) (i32.const 11))
        (drop (call $stable_grow (i64.const 1)))
        (call $certify (i32.const 60000) (i32.const 4))
        (call $stable_write (i64.const 0) (i64.const 0) (i64.const 4)))
    (func (export "canister_pre_upgrade")
        (i32.store (i32.const 0) (i32.const 12))
        (call $stable_write (i64.const 4) (i64.const 0) (i64.const 4)))
    (func (export "canister_query started") (call $answer32 (global.get $start)))
    (func (export "canister_query heap") (call $answer32 (i32.load (i32.const 0))))
    (func (export "canister_query at0") (call $stable_read (i64.const 8) (i64.const 0) (i64.const 4))
        (call $answer32 (i32.load (i32.const 8))))
    (func (export "canister_query at4") (call $stable_read (i64.const 8) (i64.const 4) (i64.const 4))
        (call $answer32 (i32.load (i32.const 8))))
    (func (export "canister_query version") (call $answer32 (i32.wrap_i64 (call $version))))
"#;

fn with_post_upgrade(body: &str) -> String {
    module(&format!(
        "{FIRST} (func (export \"canister_post_upgrade\") {body})"
    ))
}

#[test]
fn an_upgrade_keeps_stable_memory_and_drops_the_heap() {
    let mut net = Net::new();
    let id = net.install(&module(FIRST));
    assert_eq!(number(net.query(id, "started", &[])), 5);
    assert_eq!(number(net.query(id, "heap", &[])), 11);
    assert_eq!(number(net.query(id, "version", &[])), 1);

    net.upgrade(id, &with_post_upgrade("(nop)")).unwrap();
    assert_eq!(number(net.query(id, "heap", &[])), 0);
    assert_eq!(number(net.query(id, "started", &[])), 5);
    assert_eq!(number(net.query(id, "at0", &[])), 11);
    assert_eq!(number(net.query(id, "at4", &[])), 12);
    assert_eq!(number(net.query(id, "version", &[])), 2);

    net.install_code(
        id,
        CanisterInstallMode::Reinstall,
        &wasm(&module(FIRST)),
        &[],
    )
    .unwrap();
    assert_eq!(number(net.query(id, "at4", &[])), 0);
}

#[test]
fn an_upgrade_that_fails_anywhere_leaves_the_canister_as_it_was() {
    let mut net = Net::new();
    let id = net.install(&module(FIRST));
    let hash = net.canister_status(id).module_hash;
    for (wat, error) in [
        (
            with_post_upgrade(
                "(call $stable_write (i64.const 0) (i64.const 0) (i64.const 4)) (call $boom)",
            ),
            ErrorCode::CalledTrap,
        ),
        (
            with_post_upgrade("(drop (call $stable_grow (i64.const 5))) unreachable"),
            ErrorCode::Trapped,
        ),
        (
            module("(func $s (call $boom)) (start $s)"),
            ErrorCode::CalledTrap,
        ),
        (
            module("(func (export \"canister_post_upgrade\") (call $reply))"),
            ErrorCode::ContractViolation,
        ),
    ] {
        let reject = net.upgrade(id, &wat).unwrap_err();
        assert_eq!(reject.error_code, Some(error), "{}", reject.message);
        assert_eq!(number(net.query(id, "heap", &[])), 11);
        assert_eq!(number(net.query(id, "at0", &[])), 11);
        assert_eq!(number(net.query(id, "at4", &[])), 0);
        assert_eq!(net.canister_status(id).module_hash, hash);
        assert_eq!(
            net.canister_status(id).memory_metrics.stable_memory_size,
            65_536_u32
        );
    }
    net.upgrade(id, &with_post_upgrade("(nop)")).unwrap();
}

#[test]
fn a_module_that_no_subnet_takes_is_refused_with_the_reason() {
    let mut net = Net::new();
    let id = net.create();
    for (wasm, reason) in [
        (
            b"nonsense".to_vec(),
            "Failed to decode wasm module: unsupported canister module format.",
        ),
        (
            wasm(r#"(module (import "env" "now" (func)))"#),
            "Wasm module has an invalid import section. Module imports function 'now' from 'env' that is not exported by the runtime.",
        ),
        (
            wasm(r#"(module (import "ic0" "msg_reply" (func (param i32))))"#),
            "Wasm module has an invalid function signature. Expected input params [] for 'msg_reply', got [I32].",
        ),
        (
            wasm(r#"(module (func (export "canister_update x") (param i32)))"#),
            "Wasm module has an invalid function signature. Expected input params [] for 'canister_update x', got [I32].",
        ),
        (
            wasm(r#"(module (func (export "canister_initialise")))"#),
            "Wasm module has an invalid export section. Exporting reserved function 'canister_initialise' with \"canister_\" prefix",
        ),
        (
            wasm("(module (memory 1) (memory 1))"),
            "Wasmtime failed to validate wasm module wasmtime::Module::validate() failed with multiple memories (at offset 0xa)",
        ),
        (
            wasm("(module (memory i64 98305))"),
            "Wasm module memory of 98305 pages exceeds",
        ),
    ] {
        let reject = net
            .install_code(id, CanisterInstallMode::Install, &wasm, &[])
            .unwrap_err();
        assert_eq!(reject.error_code, Some(ErrorCode::InvalidWasm));
        let expected =
            format!("Error from Canister {id}: Canister's Wasm module is not valid: {reason}");
        assert!(reject.message.starts_with(&expected), "{}", reject.message);
    }
    assert_eq!(code(net.call(id, "any", &[])), ErrorCode::ModuleNotFound);
    net.install_code(id, CanisterInstallMode::Install, &wasm(&module(FIRST)), &[])
        .unwrap();
    let again = net.install_code(id, CanisterInstallMode::Install, &wasm(&module(FIRST)), &[]);
    assert_eq!(again.unwrap_err().error_code, Some(ErrorCode::NonEmpty));
}

#[test]
fn only_controllers_manage_a_canister() {
    let mut net = Net::new();
    let id = net.install(&module(FIRST));
    let management = Principal::management_canister();
    let arg = Encode!(&CanisterIdRecord { canister_id: id }).unwrap();
    for method in [
        "stop_canister",
        "start_canister",
        "delete_canister",
        "uninstall_code",
    ] {
        assert_eq!(
            code(net.call_as(bob(), management, method, &arg)),
            ErrorCode::InvalidController,
            "{method}"
        );
    }
    assert_eq!(
        code(net.call(management, "no_such_method", &arg)),
        ErrorCode::MethodNotFound
    );
    assert_eq!(
        code(net.call(management, "canister_status", b"DIDL")),
        ErrorCode::InvalidManagementPayload
    );

    let settings = CanisterSettings {
        controllers: Some(vec![bob()]),
        ..Default::default()
    };
    let args = UpdateSettingsArgs {
        canister_id: id,
        settings,
        sender_canister_version: None,
    };
    net.management("update_settings", &args).unwrap();
    assert_eq!(
        code(net.call(management, "canister_status", &arg)),
        ErrorCode::StatusAccessDenied
    );
    net.call_as(bob(), management, "canister_status", &arg)
        .unwrap();
    let path = vec![
        b"canister".to_vec(),
        id.as_slice().to_vec(),
        b"controllers".to_vec(),
    ];
    let certificate = net.read_state(std::slice::from_ref(&path));
    let ic_certification::LookupResult::Found(bytes) = certificate.tree.lookup_path(path.iter())
    else {
        panic!()
    };
    let controllers: Vec<serde_bytes::ByteBuf> = serde_cbor::from_slice(bytes).unwrap();
    assert_eq!(controllers, [bob().as_slice()]);
    let _ = alice();
}

#[test]
fn a_stopped_canister_answers_nobody_until_it_is_started() {
    let mut net = Net::new();
    let id = net.install(&module(FIRST));
    let record = CanisterIdRecord { canister_id: id };
    net.management("stop_canister", &record).unwrap();
    assert_eq!(net.canister_status(id).status, CanisterStatusType::Stopped);
    assert_eq!(code(net.call(id, "any", &[])), ErrorCode::Stopped);
    assert_eq!(code(net.query(id, "heap", &[])), ErrorCode::Stopped);
    // Stopping again is no error; an upgrade works; starting brings everything back.
    net.management("stop_canister", &record).unwrap();
    net.upgrade(id, &with_post_upgrade("(nop)")).unwrap();
    net.management("start_canister", &record).unwrap();
    assert_eq!(number(net.query(id, "at0", &[])), 11);
}

#[test]
fn stopping_waits_for_calls_under_way() {
    let mut net = Net::new();
    // Calls itself; the callback runs while the canister is stopping.
    let id = net.install(&module(
        r#"
        (table 2 funcref) (elem (i32.const 0) $on_reply $on_reject)
        (data (i32.const 100) "pong")
        (func $on_reply (param i32) (call $answer32 (i32.const 1)))
        (func $on_reject (param i32) (call $answer32 (i32.const 2)))
        (func (export "canister_update pong") (call $reply))
        (func (export "canister_update ping")
            (call $self_copy (i32.const 0) (i32.const 0) (call $self_size))
            (call $call_new (i32.const 0) (call $self_size) (i32.const 100) (i32.const 4)
                (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0))
            (drop (call $call_perform)))
        "#,
    ));
    let ping = net.submit(alice(), id, "ping", &[]);
    let arg = Encode!(&CanisterIdRecord { canister_id: id }).unwrap();
    let stop = net.submit(
        alice(),
        Principal::management_canister(),
        "stop_canister",
        &arg,
    );
    net.run();
    // The stop came between: the canister no longer took its own call, and answered from the callback.
    assert_eq!(
        net.status(&ping),
        RequestStatus::Replied(2_u32.to_le_bytes().to_vec())
    );
    assert!(matches!(net.status(&stop), RequestStatus::Replied(_)));
    assert_eq!(net.canister_status(id).status, CanisterStatusType::Stopped);
}

#[test]
fn a_deleted_canister_is_gone_and_its_id_is_not_used_again() {
    let mut net = Net::new();
    let id = net.install(&module(FIRST));
    let record = CanisterIdRecord { canister_id: id };
    assert_eq!(
        net.management("delete_canister", &record)
            .unwrap_err()
            .error_code,
        Some(ErrorCode::NotStopped)
    );
    net.management("stop_canister", &record).unwrap();
    net.management("delete_canister", &record).unwrap();
    assert_eq!(
        code(net.query(id, "heap", &[])),
        ErrorCode::CanisterNotFound
    );
    assert_ne!(net.create(), id);
    // Not even for the asking: whoever trusts the id trusts what it was.
    let again = ProvisionalCreateCanisterWithCyclesArgs {
        specified_id: Some(id),
        ..Default::default()
    };
    let refused = net.management("provisional_create_canister_with_cycles", &again);
    assert_eq!(code(refused), ErrorCode::InvalidManagementPayload);
}

#[test]
fn arguments_that_would_take_endless_work_are_refused() {
    let mut net = Net::new();
    let id = net.install(&module(FIRST));
    // Beside the canister id, a `vec null` with this many elements, in a few bytes.
    let arg = Encode!(&CanisterIdRecord { canister_id: id }).unwrap();
    let id_value = &arg[arg.len() - id.as_slice().len() - 2..];
    let beside = |count: &[u8]| {
        let types = b"DIDL\x02\x6c\x01\xb3\xc4\xb1\xf2\x04\x68\x6d\x7f\x02\x00\x01";
        [types, id_value, count].concat()
    };
    let management = Principal::management_canister();
    net.call(management, "canister_status", &beside(&[3]))
        .unwrap();
    let hundred_million = beside(&[0x80, 0xc2, 0xd7, 0x2f]);
    assert_eq!(
        code(net.call(management, "canister_status", &hundred_million)),
        ErrorCode::InvalidManagementPayload
    );
}
