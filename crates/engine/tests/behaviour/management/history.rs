//! `canister_info` and `canister_metadata`.

use candid::{Decode, Encode, Principal};
use engine::{ErrorCode, RejectCode};
use ic_management_canister_types::{
    CanisterInfoArgs, CanisterInfoResult, CanisterInstallMode, CanisterMetadataArgs,
    CanisterMetadataResult, CanisterSettings, ChangeDetails, ChangeOrigin, CodeDeploymentMode,
    EnvironmentVariable, ProvisionalCreateCanisterWithCyclesArgs, UpdateSettingsArgs,
};
use sha2::{Digest as _, Sha256};

use crate::{
    harness::{Net, alice, bob, wasm},
    management::{FORWARDER, passed_on, record, refused},
};

#[test]
fn every_change_of_code_and_controllers_is_recorded_with_version_and_origin() {
    let mut net = Net::new();
    let forwarder = net.install(FORWARDER);
    let id = net.create();
    let module = wasm(FORWARDER);
    let hash = Sha256::digest(&module).to_vec();
    for mode in [
        CanisterInstallMode::Install,
        CanisterInstallMode::Reinstall,
        CanisterInstallMode::Upgrade(None),
    ] {
        net.install_code(id, mode, &module, &[]).unwrap();
    }
    let settings = CanisterSettings {
        controllers: Some(vec![alice(), forwarder]),
        ..Default::default()
    };
    net.set(id, settings.clone()).unwrap();
    let args = UpdateSettingsArgs {
        canister_id: id,
        settings,
        sender_canister_version: Some(17),
    };
    net.forward(forwarder, "update_settings", 0, (&args,))
        .unwrap();
    // Other settings are no such change, but one of the version.
    net.set(id, CanisterSettings::default()).unwrap();
    net.management("uninstall_code", &record(id)).unwrap();

    let info = net.info(id);
    assert_eq!(info.total_num_changes, 7);
    assert_eq!(info.module_hash, None);
    let mut controllers = vec![alice(), forwarder];
    controllers.sort();
    assert_eq!(info.controllers, controllers);
    let versions: Vec<u64> = info
        .recent_changes
        .iter()
        .map(|c| c.canister_version)
        .collect();
    assert_eq!(versions, [0, 1, 2, 3, 4, 5, 7]);
    let details: Vec<_> = info
        .recent_changes
        .iter()
        .map(|c| c.details.clone().unwrap())
        .collect();
    let ChangeDetails::Creation(creation) = &details[0] else {
        panic!("{:?}", details[0]);
    };
    assert_eq!(creation.controllers, [alice()]);
    assert_eq!(creation.environment_variables_hash, None);
    for (details, mode) in details[1..4].iter().zip([
        CodeDeploymentMode::Install,
        CodeDeploymentMode::Reinstall,
        CodeDeploymentMode::Upgrade,
    ]) {
        let ChangeDetails::CodeDeployment(deployed) = details else {
            panic!("{details:?}");
        };
        assert_eq!(deployed.mode, mode);
        assert_eq!(deployed.module_hash, hash);
    }
    assert!(matches!(&details[4], ChangeDetails::ControllersChange(_)));
    assert!(matches!(&details[6], ChangeDetails::CodeUninstall));
    let ChangeOrigin::FromUser(user) = &info.recent_changes[4].origin else {
        panic!("not from a user");
    };
    assert_eq!(user.user_id, alice());
    let ChangeOrigin::FromCanister(canister) = &info.recent_changes[5].origin else {
        panic!("not from a canister");
    };
    assert_eq!(canister.canister_id, forwarder);
    assert_eq!(canister.canister_version, Some(17));
}

#[test]
fn twenty_changes_are_kept_and_as_many_shown_as_asked_for() {
    let mut net = Net::new();
    let asker = net.install(FORWARDER);
    let id = net.create();
    let settings = CanisterSettings {
        controllers: Some(vec![alice()]),
        ..Default::default()
    };
    for _ in 0..24 {
        net.set(id, settings.clone()).unwrap();
    }
    let info = net.info(id);
    assert_eq!(info.total_num_changes, 25);
    assert_eq!(info.recent_changes.len(), 20);
    assert_eq!(info.recent_changes[19].canister_version, 24);
    let args = |num_requested_changes| CanisterInfoArgs {
        canister_id: id,
        num_requested_changes,
    };
    // Any canister may ask.
    let reply = net
        .forward(asker, "canister_info", 0, (&args(Some(2)),))
        .unwrap();
    assert_eq!(
        Decode!(&reply, CanisterInfoResult)
            .unwrap()
            .recent_changes
            .len(),
        2
    );
    let reply = net
        .forward(asker, "canister_info", 0, (&args(None),))
        .unwrap();
    assert!(
        Decode!(&reply, CanisterInfoResult)
            .unwrap()
            .recent_changes
            .is_empty()
    );
}

#[test]
fn a_creation_with_variables_records_their_hash() {
    let mut net = Net::new();
    let variable = |name: &str, value: &str| EnvironmentVariable {
        name: name.to_owned(),
        value: value.to_owned(),
    };
    let hash_of = |net: &mut Net, variables| {
        let args = ProvisionalCreateCanisterWithCyclesArgs {
            settings: Some(CanisterSettings {
                environment_variables: Some(variables),
                ..Default::default()
            }),
            ..Default::default()
        };
        let created: ic_management_canister_types::CanisterIdRecord = net
            .ask("provisional_create_canister_with_cycles", &args)
            .unwrap();
        let changes = net.info(created.canister_id).recent_changes;
        match changes[0].details.clone().unwrap() {
            ChangeDetails::Creation(creation) => creation.environment_variables_hash.unwrap(),
            other => panic!("{other:?}"),
        }
    };
    let first = hash_of(&mut net, vec![variable("a", "1"), variable("b", "2")]);
    let second = hash_of(&mut net, vec![variable("b", "2"), variable("a", "1")]);
    assert_eq!(first, second);
    assert_ne!(
        first,
        hash_of(&mut net, vec![variable("a", "2"), variable("b", "1")])
    );
}

#[test]
fn metadata_is_for_everybody_or_for_controllers() {
    let mut net = Net::new();
    let stranger = net.install(FORWARDER);
    let owner = net.install(FORWARDER);
    let with_sections = r#"(module
        (@custom "icp:public kind" "registry")
        (@custom "icp:private secret" "42"))"#;
    let id = net.install(with_sections);
    let settings = CanisterSettings {
        controllers: Some(vec![alice(), owner]),
        ..Default::default()
    };
    net.set(id, settings).unwrap();
    let args = |name: &str| CanisterMetadataArgs {
        canister_id: id,
        name: name.to_owned(),
    };
    let value = |reply: Vec<u8>| Decode!(&reply, CanisterMetadataResult).unwrap().value;
    let method = "canister_metadata";
    let kind = net.forward(stranger, method, 0, (&args("kind"),)).unwrap();
    assert_eq!(value(kind), b"registry");
    let secret = net.forward(owner, method, 0, (&args("secret"),)).unwrap();
    assert_eq!(value(secret), b"42");
    for name in ["secret", "nothing"] {
        passed_on(
            net.forward(stranger, method, 0, (&args(name),)),
            RejectCode::CanisterReject,
            &format!("has no metadata section with the name {name}."),
        );
    }
    let empty = CanisterMetadataArgs {
        canister_id: net.create(),
        name: "kind".to_owned(),
    };
    passed_on(
        net.forward(stranger, method, 0, (&empty,)),
        RejectCode::CanisterReject,
        "has no Wasm module",
    );
    let arg = Encode!(&args("kind")).unwrap();
    refused(
        net.call_as(bob(), Principal::management_canister(), method, &arg),
        ErrorCode::CanisterRejectedMessage,
        "can not be called via ingress messages",
    );
}
