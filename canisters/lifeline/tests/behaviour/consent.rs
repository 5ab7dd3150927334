//! What people are told before they sign.

use candid::{Encode, Principal};
use indus_api::lifeline::{Action, ApproveArgs, CarryOutArgs, HealthCheck, ProposeArgs};
use lifeline::consent::consent;
use serde_bytes::ByteBuf;

fn propose(action: Action) -> (&'static str, Vec<u8>) {
    let args = ProposeArgs {
        action,
        argument: ByteBuf::new(),
    };
    ("propose", Encode!(&args).unwrap())
}

/// An argument of each method that people sign for, and of each action.
fn signed() -> Vec<(&'static str, Vec<u8>)> {
    let someone = Principal::from_slice(&[7]);
    let hash = ByteBuf::from([7; 32]);
    let approval = ApproveArgs {
        id: 7,
        action_hash: hash.clone(),
    };
    let upgrade = CarryOutArgs {
        proposal: 7,
        argument: ByteBuf::new(),
    };
    vec![
        propose(Action::Install {
            canister: someone,
            module_hash: hash.clone(),
            argument_hash: hash,
            health: HealthCheck::Maintenance,
        }),
        propose(Action::SetKeepers {
            keepers: vec![someone],
            threshold: 1,
        }),
        propose(Action::SetControllers {
            canister: someone,
            controllers: vec![someone],
        }),
        ("approve", Encode!(&approval).unwrap()),
        ("withdraw", Encode!(&7_u64).unwrap()),
        ("carry_out", Encode!(&upgrade).unwrap()),
    ]
}

#[test]
fn each_call_that_people_sign_for_has_a_message_of_its_own() {
    let mut intents = Vec::new();
    for (method, argument) in signed() {
        let told = consent(method, &argument);
        intents.extend(told.map(|told| told.intent));
        assert_eq!(consent(method, b"no Candid"), None, "{method}");
    }
    intents.sort_unstable();
    intents.dedup();
    assert_eq!(intents.len(), signed().len());
    let argument = Encode!(&7_u64).unwrap();
    assert_eq!(consent("get_intervention", &argument), None);
}

#[test]
fn each_update_of_the_interface_is_told_of_or_needs_no_signature() {
    let unsigned = [
        "confirm_upgrade",
        "icrc21_canister_call_consent_message",
        "upload_chunk",
    ];
    let interface = lifeline::candid_interface();
    let (_, service) = interface.split_once("service :").unwrap();
    for line in service
        .lines()
        .filter(|line| line.contains(" : (") && !line.contains("query;"))
    {
        let name = line.trim().split(' ').next().unwrap();
        let told = signed().iter().any(|(method, _)| *method == name);
        assert!(told || unsigned.contains(&name), "{name}");
    }
}
