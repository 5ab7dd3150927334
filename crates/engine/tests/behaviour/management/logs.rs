//! `fetch_canister_logs`: what is kept, and who may read it.

use candid::{Decode, Encode, Principal};
use engine::{ErrorCode, RejectCode};
use ic_management_canister_types::{
    CanisterLogFilter, CanisterSettings, FetchCanisterLogsArgs, FetchCanisterLogsResult,
    LogVisibility,
};

use crate::{
    harness::{Net, alice, bob, code, module},
    management::{FORWARDER, passed_on, record, refused},
};

const TALKER: &str = r#"
    (import "ic0" "debug_print" (func $print (param i32 i32)))
    (func (export "canister_update say")
        (call $arg_copy (i32.const 0) (i32.const 0) (call $arg_size))
        (call $print (i32.const 0) (call $arg_size))
        (call $reply))
    (func (export "canister_update fail")
        (call $print (i32.const 60000) (i32.const 4))
        (call $boom))
"#;

fn talker() -> String {
    // Imports come first.
    let (import, body) = TALKER.split_at(TALKER.find("(func (export").unwrap());
    module(body).replacen("(module", &format!("(module {import}"), 1)
}

fn logs(
    net: &mut Net,
    reader: Principal,
    canister_id: Principal,
    filter: Option<CanisterLogFilter>,
) -> Result<Vec<(u64, String)>, engine::Reject> {
    let args = FetchCanisterLogsArgs {
        canister_id,
        filter,
    };
    let result: FetchCanisterLogsResult = net.ask_query(reader, "fetch_canister_logs", &args)?;
    let records = result.canister_log_records.into_iter();
    let text = |content| String::from_utf8(content).unwrap();
    Ok(records.map(|r| (r.idx, text(r.content))).collect())
}

#[test]
fn prints_and_traps_are_numbered_and_timed() {
    let mut net = Net::new();
    let id = net.install(&talker());
    net.call(id, "say", b"one").unwrap();
    assert_eq!(code(net.call(id, "fail", &[])), ErrorCode::CalledTrap);
    net.call(id, "say", b"two").unwrap();
    let all = logs(&mut net, alice(), id, None).unwrap();
    let texts: Vec<&str> = all.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(texts.first(), Some(&"one"));
    assert_eq!(texts.last(), Some(&"two"));
    assert!(
        texts
            .iter()
            .any(|text| text.starts_with("[TRAP]: ") && text.contains("boom"))
    );
    assert!(all.iter().map(|(idx, _)| *idx).eq(0..all.len() as u64));
    let filter = CanisterLogFilter::ByIdx { start: 0, end: 1 };
    assert_eq!(
        logs(&mut net, alice(), id, Some(filter)).unwrap(),
        [(0, "one".to_owned())]
    );
    let filter = CanisterLogFilter::ByTimestampNanos {
        start: net.network.time().0 + 1,
        end: u64::MAX,
    };
    assert!(
        logs(&mut net, alice(), id, Some(filter))
            .unwrap()
            .is_empty()
    );
}

#[test]
fn the_limit_of_the_log_is_kept_and_zero_switches_it_off() {
    let mut net = Net::new();
    let id = net.install(&talker());
    for _ in 0..10 {
        net.call(id, "say", &[b'x'; 1_000]).unwrap();
    }
    let size = |net: &mut Net| net.canister_status(id).memory_metrics.log_memory_store_size;
    assert_eq!(logs(&mut net, alice(), id, None).unwrap().len(), 4);
    assert!(size(&mut net) <= 4_096_u32);
    let limit = |bytes: u64| CanisterSettings {
        log_memory_limit: Some(bytes.into()),
        ..Default::default()
    };
    net.set(id, limit(1 << 20)).unwrap();
    for _ in 0..10 {
        net.call(id, "say", &[b'x'; 1_000]).unwrap();
    }
    assert_eq!(logs(&mut net, alice(), id, None).unwrap().len(), 14);
    net.set(id, limit(0)).unwrap();
    net.call(id, "say", b"lost").unwrap();
    assert!(logs(&mut net, alice(), id, None).unwrap().is_empty());
    assert_eq!(size(&mut net), candid::Nat::from(0_u8));
}

#[test]
fn the_visibility_says_who_reads_a_log() {
    let mut net = Net::new();
    let id = net.install(&talker());
    let reader = net.install(FORWARDER);
    net.call(id, "say", b"secret").unwrap();
    let visible = |visibility| CanisterSettings {
        log_visibility: Some(visibility),
        ..Default::default()
    };
    let denied = |net: &mut Net| {
        refused(
            logs(net, bob(), id, None),
            ErrorCode::CanisterRejectedMessage,
            "is not allowed to access canister logs",
        );
    };
    denied(&mut net);
    net.set(id, visible(LogVisibility::AllowedViewers(vec![bob()])))
        .unwrap();
    logs(&mut net, bob(), id, None).unwrap();
    logs(&mut net, alice(), id, None).unwrap();
    net.set(id, visible(LogVisibility::AllowedViewers(vec![])))
        .unwrap();
    denied(&mut net);
    let args = FetchCanisterLogsArgs {
        canister_id: id,
        filter: None,
    };
    let method = "fetch_canister_logs";
    passed_on(
        net.forward(reader, method, 0, (&args,)),
        RejectCode::CanisterReject,
        "is not allowed to access canister logs",
    );
    net.set(id, visible(LogVisibility::Public)).unwrap();
    logs(&mut net, bob(), id, None).unwrap();
    let reply = net.forward(reader, method, 0, (&args,)).unwrap();
    let records = Decode!(&reply, FetchCanisterLogsResult)
        .unwrap()
        .canister_log_records;
    assert_eq!(records[0].content, b"secret");
    refused(
        net.call(
            Principal::management_canister(),
            method,
            &Encode!(&args).unwrap(),
        ),
        ErrorCode::CanisterRejectedMessage,
        "ic00 method fetch_canister_logs can not be called via ingress messages",
    );
}

#[test]
fn the_log_survives_an_upgrade_and_goes_with_the_code() {
    let mut net = Net::new();
    let id = net.install(&talker());
    net.call(id, "say", b"before").unwrap();
    net.upgrade(id, &talker()).unwrap();
    net.call(id, "say", b"after").unwrap();
    assert_eq!(logs(&mut net, alice(), id, None).unwrap().len(), 2);
    net.management("uninstall_code", &record(id)).unwrap();
    assert!(logs(&mut net, alice(), id, None).unwrap().is_empty());
}
