//! Who may call which method: each method about a canister × each role, as a table.

use candid::{CandidType, Encode, Principal};
use engine::{ErrorCode, Reject};
use ic_management_canister_types::{
    CanisterInstallMode, CanisterSettings, InstallChunkedCodeArgs, InstallCodeArgs,
    StatusVisibility, UpdateSettingsArgs, UploadChunkArgs,
};

use crate::{
    harness::{Net, alice, bob, wasm},
    management::{FORWARDER, record, refused},
};

fn encoded(arg: &impl CandidType) -> Vec<u8> {
    Encode!(arg).unwrap()
}

/// An argument for each method that concerns a canister and is for controllers.
fn methods(id: Principal) -> Vec<(&'static str, Vec<u8>)> {
    let update = UpdateSettingsArgs {
        canister_id: id,
        settings: CanisterSettings::default(),
        sender_canister_version: None,
    };
    let install = InstallCodeArgs {
        mode: CanisterInstallMode::Reinstall,
        canister_id: id,
        wasm_module: wasm(FORWARDER),
        arg: vec![],
        sender_canister_version: None,
    };
    let chunked = InstallChunkedCodeArgs {
        mode: CanisterInstallMode::Reinstall,
        target_canister: id,
        store_canister: None,
        chunk_hashes_list: vec![],
        wasm_module_hash: vec![0; 32],
        arg: vec![],
        sender_canister_version: None,
    };
    let chunk = UploadChunkArgs {
        canister_id: id,
        chunk: vec![1],
    };
    let about = encoded(&record(id));
    vec![
        ("update_settings", encoded(&update)),
        ("install_code", encoded(&install)),
        ("install_chunked_code", encoded(&chunked)),
        ("upload_chunk", encoded(&chunk)),
        ("stored_chunks", about.clone()),
        ("clear_chunk_store", about.clone()),
        ("stop_canister", about.clone()),
        ("start_canister", about.clone()),
        ("uninstall_code", about.clone()),
        ("delete_canister", about),
    ]
}

fn is_permission(reject: &Reject) -> bool {
    reject.error_code == Some(ErrorCode::InvalidController)
}

#[test]
fn users_who_control_nothing_are_refused_before_the_call_is_taken() {
    let mut net = Net::new();
    let id = net.install(FORWARDER);
    for (method, arg) in methods(id) {
        let management = Principal::management_canister();
        let ingress = net.ingress(bob(), management, method, &arg);
        let subnet = net.network.application_subnet();
        refused(
            net.network.submit(subnet, ingress),
            ErrorCode::InvalidController,
            &format!("Only controllers of canister {id} can call ic00 method {method}"),
        );
    }
    // Its controller gets through to the method itself.
    for (method, arg) in methods(id) {
        let result = net.call_as(alice(), Principal::management_canister(), method, &arg);
        assert!(
            !result.is_err_and(|reject| is_permission(&reject)),
            "{method}"
        );
    }
}

#[test]
fn canisters_are_held_to_the_same() {
    let mut net = Net::new();
    let id = net.install(FORWARDER);
    let stranger = net.install(FORWARDER);
    let management = Principal::management_canister();
    for (method, arg) in methods(id) {
        let by = |net: &mut Net, caller| {
            let arg = super::forwarded(management, method, 0, &arg);
            let result = net.call(caller, "forward", &arg);
            result.map_err(|reject| reject.message)
        };
        let refused = by(&mut net, stranger).unwrap_err();
        assert!(
            refused.contains("Only the controllers of the canister"),
            "{method}: {refused}"
        );
        // A canister manages its own chunks without being its own controller, and nothing else.
        let own = ["upload_chunk", "stored_chunks", "clear_chunk_store"].contains(&method);
        assert_eq!(by(&mut net, id).is_ok(), own, "{method}");
    }
}

#[test]
fn the_status_is_for_whom_it_is_visible_to() {
    let mut net = Net::new();
    let id = net.install(FORWARDER);
    let method = "canister_status";
    let visible = |visibility| CanisterSettings {
        status_visibility: Some(visibility),
        ..Default::default()
    };
    let arg = encoded(&record(id));
    let ask = |net: &mut Net, who| {
        let management = Principal::management_canister();
        net.call_as(who, management, method, &arg)
    };
    let denied = |net: &mut Net| {
        let text = format!(
            "Caller {} is not allowed to read the canister status",
            bob()
        );
        refused(ask(net, bob()), ErrorCode::StatusAccessDenied, &text);
        let query = net.ask_query::<_, ()>(bob(), method, &record(id));
        refused(query, ErrorCode::StatusAccessDenied, &text);
    };
    denied(&mut net);
    net.set(id, visible(StatusVisibility::AllowedViewers(vec![bob()])))
        .unwrap();
    ask(&mut net, bob()).unwrap();
    ask(&mut net, alice()).unwrap();
    net.set(id, visible(StatusVisibility::AllowedViewers(vec![])))
        .unwrap();
    denied(&mut net);
    net.set(id, visible(StatusVisibility::Public)).unwrap();
    ask(&mut net, bob()).unwrap();
    net.set(id, visible(StatusVisibility::Controllers)).unwrap();
    denied(&mut net);
    // A canister always reads its own.
    net.forward(id, method, 0, (&record(id),)).unwrap();
}
