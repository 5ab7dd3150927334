//! Who may call what: each update of the interface, by everybody who might.

use app_hosting::configuration;
use indus_api::{Error, Subject, decision::Decision, hosting::Configuration};
use serde_bytes::ByteBuf;
use testnet::updates;

use crate::{
    releases::{approver, proposal},
    setting::{Setting, developer, founder, named, own},
};

/// Callers; who is no person at all is refused before the logic is reached.
fn callers() -> [(&'static str, Subject); 6] {
    let mut clerk = developer(8, 7);
    clerk.roles.clear();
    [
        ("licence holder", founder(2)),
        ("person", founder(9)),
        ("clerk", clerk),
        ("developer", developer(7, 7)),
        ("owner", founder(1)),
        ("approver", approver(6, 7)),
    ]
}

/// Who succeeds with each update that is not the kit's.
const TABLE: &[(&str, [bool; 6])] = &[
    // licence holder, person, clerk, developer, owner, approver
    ("apply_decision", [true, true, true, true, true, true]),
    // the organisation's
    ("approve_release", [false, false, false, false, false, true]),
    // the owner is the governor who decided it
    ("carry_out", [false, false, false, false, true, false]),
    // the owner's app
    ("choose_app", [false, false, false, false, true, false]),
    // for themselves
    ("create_app", [true, false, false, false, true, false]),
    // for the app that they chose: the owner's, or the organisation's
    ("create_canister", [false, false, false, true, true, false]),
    // the owner's app
    ("forget_canister", [false, false, false, false, true, false]),
    // the owner's app
    ("propose_release", [false, false, false, false, true, false]),
    ("refresh_subject", [true, true, true, true, true, true]),
    // the owner's app
    ("roll_back", [false, false, false, false, true, false]),
    ("upload_chunk", [false, false, false, false, true, false]),
    // the organisation's
    ("withdraw_release", [false, false, false, true, false, true]),
];

/// Calls a method in a state in which whoever may, succeeds.
fn call(method: &str, subject: &Subject) -> Result<(), Error> {
    let mut s = Setting::new();
    s.create_app(&founder(1), named("kisan", None)).unwrap();
    let office = developer(7, 7);
    s.create_app(&office, named("tax", Some(7))).unwrap();
    s.choose(&office, 2).unwrap();
    match method {
        "create_app" => s.create_app(subject, named("mandi", None)).map(drop),
        "choose_app" => s.choose(subject, 1).map(drop),
        "create_canister" => s.begin(subject).map(drop),
        "refresh_subject" => Ok(()),
        "upload_chunk" => s.upload(subject, 1, b"module").map(drop),
        "forget_canister" => {
            let creation = s.begin(&founder(1)).unwrap();
            let canister = s.created(&founder(1), &creation).unwrap();
            s.a_month_later();
            s.forget(subject, canister, false).map(drop)
        }
        "propose_release" | "roll_back" => {
            let (one, creation) = (founder(1), s.begin(&founder(1)).unwrap());
            let canister = s.created(&one, &creation).unwrap();
            for (n, module) in [(1, b"first module"), (2, b"other module")] {
                s.upload(&one, 1, module).unwrap();
                if method == "propose_release" && n == 2 {
                    break;
                }
                s.propose(&one, proposal(canister, module)).unwrap();
                s.carried(n, None, true);
            }
            match method {
                "roll_back" => s.roll_back(subject, canister, None).map(drop),
                _ => s
                    .propose(subject, proposal(canister, b"other module"))
                    .map(drop),
            }
        }
        "approve_release" | "withdraw_release" => {
            let creation = s.begin(&office).unwrap();
            let canister = s.created(&office, &creation).unwrap();
            s.upload(&office, 2, b"module").unwrap();
            let proposed = s.propose(&office, proposal(canister, b"module")).unwrap();
            match method {
                "approve_release" => s.approve(subject, &proposed).map(drop),
                _ => s.withdraw(subject, proposed.id).map(drop),
            }
        }
        "carry_out" => s.carry_out(subject).map(drop),
        "apply_decision" => s.update(subject, |state, context| {
            let configuration = Configuration::default();
            let decision = Decision {
                proposal: 1,
                canister: own(),
                executed_at_ns: 1,
                configuration: ByteBuf::from(candid::encode_one(configuration).unwrap()),
            };
            configuration::apply(state, context, 1, &decision)
        }),
        other => panic!("{other}"),
    }
}

#[test]
fn each_method_is_for_those_whom_it_is_for() {
    for (method, expected) in TABLE {
        for ((name, subject), may) in callers().iter().zip(expected) {
            let answer = call(method, subject);
            assert_eq!(answer.is_ok(), *may, "{method} by {name}: {answer:?}");
        }
    }
}

#[test]
fn each_update_of_the_interface_has_a_row() {
    let rows: Vec<_> = TABLE.iter().map(|(method, _)| *method).collect();
    assert_eq!(updates(&app_hosting::candid_interface()), rows);
}
