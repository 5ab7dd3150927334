//! Who may call what: each update of the interface, by everybody who might.

use app_hosting::configuration;
use candid_parser::utils::CandidSource;
use indus_api::{Error, Subject, decision::Decision, hosting::Configuration};
use serde_bytes::ByteBuf;

use crate::setting::{Setting, developer, founder, named, own};

/// Callers; who is no person at all is refused before the logic is reached.
fn callers() -> [(&'static str, Subject); 5] {
    let mut clerk = developer(8, 7);
    clerk.roles.clear();
    [
        ("licence holder", founder(2)),
        ("person", founder(9)),
        ("clerk", clerk),
        ("developer", developer(7, 7)),
        ("owner", founder(1)),
    ]
}

/// Who succeeds with each update that is not the kit's.
const TABLE: &[(&str, [bool; 5])] = &[
    // licence holder, person, clerk, developer, owner
    ("apply_decision", [true, true, true, true, true]),
    // the owner's app
    ("choose_app", [false, false, false, false, true]),
    // for themselves
    ("create_app", [true, false, false, false, true]),
    // for the app that they chose: the owner's, or the organisation's
    ("create_canister", [false, false, false, true, true]),
    ("refresh_subject", [true, true, true, true, true]),
];

/// Updates that all canisters have, which the kit answers and tests.
const OF_THE_KIT: &[&str] = &["confirm_upgrade", "icrc21_canister_call_consent_message"];

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
    let did = app_hosting::candid_interface();
    let (types, service) = CandidSource::Text(&did).load().unwrap();
    let service = types.as_service(&service.unwrap()).unwrap().to_vec();
    let mut updates: Vec<String> = service
        .into_iter()
        .filter(|(_, method)| types.as_func(method).unwrap().modes.is_empty())
        .map(|(name, _)| name)
        .filter(|name| !OF_THE_KIT.contains(&name.as_str()))
        .collect();
    updates.sort_unstable();
    let rows: Vec<_> = TABLE.iter().map(|(method, _)| *method).collect();
    assert_eq!(updates, rows);
}
