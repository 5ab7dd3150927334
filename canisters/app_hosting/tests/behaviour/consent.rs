//! What people are told before they sign.

use app_hosting::consent::consent;
use candid::{Encode, Nat, Principal};
use indus_api::{
    hosting::{
        ApproveReleaseArgs, CarryOutArgs, CreateAppArgs, HealthCheck, ProposeReleaseArgs,
        RollBackArgs, engine::CreateCanisterArgs,
    },
    registry::DataClass,
};
use serde_bytes::ByteBuf;

/// An argument of each method that people sign for.
fn signed() -> Vec<(&'static str, Vec<u8>)> {
    let app = CreateAppArgs {
        organisation: Some(7),
        name: "tax-return".into(),
        data_class: DataClass::Official,
    };
    let canister = CreateCanisterArgs {
        from_subaccount: None,
        created_at_time: None,
        amount: Nat::from(0_u8),
        creation_args: None,
    };
    let someone = Principal::from_slice(&[7]);
    let hash = ByteBuf::from([7; 32]);
    let release = ProposeReleaseArgs {
        canister: someone,
        module_hash: hash.clone(),
        argument: ByteBuf::new(),
        health: HealthCheck::Installs,
        keep_memory: false,
    };
    let approval = ApproveReleaseArgs {
        release: 7,
        module_hash: hash.clone(),
        argument_hash: hash,
    };
    let back = RollBackArgs {
        canister: someone,
        to: Some(7),
    };
    let upgrade = CarryOutArgs {
        proposal: 7,
        argument: ByteBuf::new(),
    };
    let encoded = [
        ("propose_release", Encode!(&release)),
        ("approve_release", Encode!(&approval)),
        ("withdraw_release", Encode!(&7_u64)),
        ("roll_back", Encode!(&back)),
        ("carry_out", Encode!(&upgrade)),
        ("create_app", Encode!(&app)),
        ("choose_app", Encode!(&7_u64)),
        ("create_canister", Encode!(&canister)),
        ("forget_canister", Encode!(&someone)),
        ("apply_decision", Encode!(&7_u64)),
    ];
    encoded
        .map(|(method, argument)| (method, argument.unwrap_or_default()))
        .into()
}

#[test]
fn each_method_that_people_sign_for_has_a_message_of_its_own() {
    let mut intents = Vec::new();
    for (method, argument) in signed() {
        let told = consent(method, &argument);
        intents.extend(told.map(|told| told.intent));
        assert_eq!(consent(method, b"no Candid"), None, "{method}");
    }
    intents.sort_unstable();
    intents.dedup();
    assert_eq!(intents.len(), signed().len());
    for method in ["refresh_subject", "get_app"] {
        assert_eq!(consent(method, &Encode!(&7_u64).unwrap_or_default()), None);
    }
}

#[test]
fn each_update_of_the_interface_is_told_of_or_needs_no_signature() {
    let told = signed();
    for name in testnet::updates(&app_hosting::candid_interface()) {
        let is_told = told.iter().any(|(method, _)| *method == name);
        assert!(
            is_told || ["refresh_subject", "upload_chunk"].contains(&&*name),
            "{name}"
        );
    }
}
