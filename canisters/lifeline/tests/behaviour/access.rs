//! Who may call what: each update of the interface, by everybody who might.

use candid::Principal;
use indus_api::{
    Error,
    lifeline::{ApproveArgs, ModuleOf, ProposeArgs, UploadArgs},
};
use lifeline::interventions;
use serde_bytes::ByteBuf;
use testnet::updates;

use crate::setting::{
    ARGUMENT, ONE, Setting, TWO, hash, hosting, install, key, own, refusal, registry, set_keepers,
    upgrade,
};

/// Callers: keeper 1 proposes, keeper 5 is none any more, 11 is a governor who decided the upgrade.
fn callers() -> [(&'static str, Principal); 8] {
    [
        ("proposer", key(1)),
        ("keeper", key(2)),
        ("former keeper", key(5)),
        ("governor", key(11)),
        ("stranger", key(99)),
        ("anonymous", Principal::anonymous()),
        ("app_hosting", hosting()),
        ("lifeline", own()),
    ]
}

/// Who succeeds with each update that is not the kit's.
const TABLE: &[(&str, [bool; 8])] = &[
    // proposer, keeper, former keeper, governor, stranger, anonymous, app_hosting, lifeline
    (
        "approve",
        [true, true, false, false, false, false, false, false],
    ),
    (
        "carry_out",
        [false, false, false, true, false, false, false, false],
    ),
    (
        "propose",
        [true, true, false, false, false, false, false, false],
    ),
    (
        "upload_chunk",
        [true, true, false, false, false, false, false, false],
    ),
    (
        "upload_chunk of a decision",
        [false, false, false, true, false, false, false, false],
    ),
    (
        "withdraw",
        [true, false, false, false, false, false, false, false],
    ),
];

/// Calls a method in a state in which whoever may, succeeds.
fn call(method: &str, caller: Principal) -> Result<(), Error> {
    let mut s = Setting::new();
    s.agreed(set_keepers(&[1, 2, 3, 4], 3)).unwrap();
    match method {
        "upload_chunk" => {
            let args = UploadArgs {
                of: ModuleOf::Keeper(caller),
                module_hash: hash(ONE),
                index: 0,
                chunk: ByteBuf::from(ONE),
            };
            s.upload_chunk(caller, args).map(drop)
        }
        "upload_chunk of a decision" => {
            let decided = upgrade(5, hosting(), TWO);
            s.upload_decided(caller, &decided, TWO).map(drop)
        }
        "carry_out" => {
            let decided = upgrade(5, hosting(), TWO);
            s.upload_decided(key(12), &decided, TWO).unwrap();
            s.carry_out(caller, &decided, ARGUMENT).map(drop)
        }
        "propose" => {
            let args = ProposeArgs {
                action: set_keepers(&[1, 2, 3], 2),
                argument: ByteBuf::new(),
            };
            s.update(caller, |state, context| {
                interventions::propose(state, context, args)
            })
            .map(drop)
        }
        "approve" | "withdraw" => {
            s.upload(1, ONE).unwrap();
            let proposed = s.propose(1, install(registry(), ONE)).unwrap();
            if method == "withdraw" {
                return s
                    .update(caller, |state, context| {
                        interventions::withdraw(state, context, proposed.id)
                    })
                    .map(drop);
            }
            let args = ApproveArgs {
                id: proposed.id,
                action_hash: proposed.action_hash,
            };
            s.update(caller, |state, context| {
                interventions::approve(state, context, &args)
            })
            .map(drop)
        }
        other => panic!("{other}"),
    }
}

#[test]
fn each_method_is_for_those_whom_it_is_for() {
    for (method, expected) in TABLE {
        for ((name, caller), may) in callers().into_iter().zip(expected) {
            let answer = call(method, caller);
            assert_eq!(answer.is_ok(), *may, "{method} by {name}: {answer:?}");
            if !may {
                assert_eq!(refusal(answer), "unauthorized", "{method} by {name}");
            }
        }
    }
}

#[test]
fn each_update_of_the_interface_has_a_row() {
    let mut rows: Vec<_> = TABLE
        .iter()
        .filter_map(|(method, _)| method.split(' ').next())
        .collect();
    rows.dedup();
    assert_eq!(updates(&lifeline::candid_interface()), rows);
}

#[test]
fn what_was_said_of_a_failure_is_for_keepers() {
    let mut s = Setting::new();
    let begun = s.agreed(install(registry(), ONE)).unwrap();
    s.carried(begun.id, Some(TWO), false);
    let mut message = |caller| {
        s.at_once(caller, |state, context| {
            interventions::message(state, context, begun.id)
        })
    };
    assert_eq!(message(key(5)).unwrap().as_deref(), Some("it trapped"));
    for nobody in [key(11), key(99), Principal::anonymous(), registry()] {
        assert_eq!(refusal(message(nobody)), "unauthorized");
    }
}
