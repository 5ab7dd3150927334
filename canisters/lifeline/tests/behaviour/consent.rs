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
    let told = signed();
    for name in testnet::updates(&lifeline::candid_interface()) {
        let is_told = told.iter().any(|(method, _)| *method == name);
        assert!(is_told || ["upload_chunk"].contains(&&*name), "{name}");
    }
}
