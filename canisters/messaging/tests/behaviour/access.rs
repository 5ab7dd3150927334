//! Who may call what: each update of the interface, by everybody who might.

use indus_api::{
    Error,
    decision::Decision,
    messaging::{Configuration, CreateArgs, Label},
};
use messaging::configuration;
use serde_bytes::ByteBuf;
use testnet::updates;

use crate::setting::{Setting, conversation, own, person};

/// A person who is in no conversation.
const PERSON: u8 = 5;
/// A person without an organisation.
const OUTSIDER: u8 = 6;
/// Callers; who is no person at all is refused before the logic is reached.
const CALLERS: [(&str, u8); 4] = [
    ("person", PERSON),
    ("outsider", OUTSIDER),
    ("member", 2),
    ("owner", 1),
];

/// Who succeeds with each update that is not the kit's.
const TABLE: &[(&str, [bool; 4])] = &[
    // person, outsider, member, owner
    ("apply_decision", [true, true, true, true]),
    ("claim_key_packages", [true, true, true, true]),
    // of the label Official
    ("create_conversation", [true, false, true, true]),
    ("post_message", [false, false, true, true]),
    ("refresh_subject", [true, true, true, true]),
    // that adds somebody else
    ("submit_commit", [false, false, false, true]),
    ("upload_key_packages", [true, true, true, true]),
];

/// Calls a method in a state in which whoever may, succeeds.
fn call(method: &str, n: u8) -> Result<(), Error> {
    let mut s = Setting::new();
    s.subjects.get_mut(&person(OUTSIDER)).unwrap().organisation = None;
    let (id, mut seats) = conversation(&mut s, &[1, 2]);
    s.wait(crate::setting::DAY);
    let caller = person(n);
    let place = seats.iter().position(|seat| seat.device.person == caller);
    let place = place.unwrap_or(0);
    match method {
        "upload_key_packages" => {
            let device = s.device(n);
            s.upload(caller, vec![device.package()]).map(drop)
        }
        "claim_key_packages" => s.claim(caller, b"a", &[person(2)]).map(drop),
        "create_conversation" => {
            let founder = s.device(n).found();
            let args = CreateArgs {
                group_info: founder.group_info(),
                label: Label::Official,
            };
            s.create(caller, args).map(drop)
        }
        "submit_commit" => {
            let device = s.device(3);
            let package = device.package();
            s.upload(person(3), vec![package.clone()]).unwrap();
            let args = seats[place].commit(id, &[package], &[]);
            s.submit(caller, args).map(drop)
        }
        "post_message" => {
            let args = seats[place].write(id, b"text");
            s.post(caller, args).map(drop)
        }
        "refresh_subject" => s.at(caller).authenticated().map(drop),
        "apply_decision" => {
            let decision = Decision {
                proposal: 5,
                canister: own(),
                configuration: ByteBuf::from(candid::encode_one(Configuration::default()).unwrap()),
                executed_at_ns: 1,
            };
            let context = s.at(caller);
            configuration::apply(&mut s.state, &context, 5, &decision)
        }
        other => panic!("{other} has no row"),
    }
}

#[test]
fn each_update_of_the_interface_has_a_row() {
    let rows: Vec<_> = TABLE.iter().map(|(method, _)| *method).collect();
    assert_eq!(updates(&messaging::candid_interface()), rows);
}

#[test]
fn who_may_call_an_update_succeeds_and_nobody_else() {
    for (method, expected) in TABLE {
        for ((name, n), expected) in CALLERS.iter().zip(expected) {
            let answer = call(method, *n);
            assert_eq!(answer.is_ok(), *expected, "{method} by {name}: {answer:?}");
        }
    }
}
