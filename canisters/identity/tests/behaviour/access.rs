//! Who may call what: each update of the interface, by everybody who might.

use candid::Principal;
use identity::{messaging_keys, subjects};
use indus_api::{
    Error,
    decision::Decision,
    identity::{CREDENTIAL_ISSUER, Configuration},
};
use serde_bytes::ByteBuf;
use testnet::updates;

use crate::setting::{
    CLERK_KEY, DAY, FOREIGN_OFFICIAL, NEW_KEY, OFFICIAL, Officials, SECOND_OFFICIAL, administrator,
    key, messaging_key, own, suite,
};

/// Nobody yet.
const STRANGER: u8 = 50;
/// A person without any role.
const PERSON: u8 = 51;
/// A second key of the clerk's.
const SPARE_KEY: u8 = 43;
/// A key that was offered to be the clerk's.
const OFFERED_KEY: u8 = 44;

const CALLERS: [&str; 8] = [
    "anonymous",
    "stranger",
    "person",
    "administrator",
    "foreign official",
    "official",
    "holder",
    "suite canister",
];

/// Who succeeds with each update of the interface that is not the kit's. The holder is the clerk of organisation 1: what is
/// called is about them.
const TABLE: &[(&str, [bool; 8])] = &[
    // anonymous, stranger, person, administrator, foreign official, official, holder, suite canister
    (
        "accept_role",
        [false, false, false, false, false, false, true, false],
    ),
    (
        "apply_decision",
        [false, true, true, true, true, true, true, true],
    ),
    (
        "approve_recovery",
        [false, false, false, false, false, true, false, false],
    ),
    (
        "bind_messaging_key",
        [false, false, true, false, true, true, true, false],
    ),
    (
        "choose_office",
        [false, false, false, false, false, true, true, false],
    ),
    (
        "confirm_method",
        [false, false, false, false, false, false, true, false],
    ),
    (
        "end_messaging_key",
        [false, false, false, false, false, false, true, false],
    ),
    (
        "finish_recovery",
        [false, false, false, false, false, true, false, false],
    ),
    (
        "grant_role",
        [false, false, false, true, false, false, false, false],
    ),
    (
        "holders_of",
        [false, false, false, false, false, false, false, true],
    ),
    // each in the name of their own organisation
    (
        "issue_credential",
        [false, false, false, false, true, true, false, false],
    ),
    (
        "offer_method",
        [false, true, false, true, false, false, false, false],
    ),
    (
        "open_pairing",
        [false, false, true, false, true, true, true, false],
    ),
    (
        "open_recovery",
        [false, false, false, false, false, true, false, false],
    ),
    (
        "refresh_subject",
        [false, false, true, false, true, true, true, false],
    ),
    (
        "register_person",
        [false, true, true, true, true, true, true, false],
    ),
    (
        "remove_method",
        [false, false, false, false, false, false, true, false],
    ),
    (
        "revoke_credential",
        [false, false, false, false, false, true, false, false],
    ),
    (
        "revoke_role",
        [false, false, false, true, false, false, true, false],
    ),
    // the credential's
    (
        "sign_credential",
        [false, false, false, false, false, false, true, false],
    ),
    (
        "subject_of",
        [false, false, false, false, false, false, true, true],
    ),
    (
        "veto_recovery",
        [false, false, false, false, false, false, true, false],
    ),
];

fn caller(n: usize) -> Principal {
    match CALLERS[n] {
        "anonymous" => Principal::anonymous(),
        "stranger" => key(STRANGER),
        "person" => key(PERSON),
        "administrator" => administrator(1),
        "foreign official" => key(FOREIGN_OFFICIAL),
        "official" => key(OFFICIAL),
        "holder" => key(CLERK_KEY),
        _ => suite(),
    }
}

/// Calls a method in a state in which whoever may, succeeds.
fn call(method: &str, caller: Principal) -> Result<(), Error> {
    let mut o = Officials::new();
    let person = o.s.person(PERSON);
    let clerk = o.clerk;
    match method {
        "register_person" => o.s.register(caller).map(drop),
        "open_pairing" => o.s.open_pairing(caller).map(drop),
        "offer_method" => {
            let code = o.s.open_pairing(key(CLERK_KEY)).unwrap().code;
            o.s.offer(caller, clerk, &code)
        }
        "confirm_method" => {
            let code = o.s.open_pairing(key(CLERK_KEY)).unwrap().code;
            o.s.offer(key(OFFERED_KEY), clerk, &code).unwrap();
            o.s.confirm(caller, key(OFFERED_KEY)).map(drop)
        }
        "remove_method" => {
            let code = o.s.open_pairing(key(CLERK_KEY)).unwrap().code;
            o.s.offer(key(SPARE_KEY), clerk, &code).unwrap();
            o.s.confirm(key(CLERK_KEY), key(SPARE_KEY)).unwrap();
            o.s.remove(caller, key(SPARE_KEY))
        }
        "bind_messaging_key" => {
            let method = identity::methods::find(&o.s.state, caller)?;
            let person = method.map_or(clerk, |method| method.person);
            o.s.bind_for(caller, 7, person).map(drop)
        }
        "end_messaging_key" => {
            o.s.bind_for(key(CLERK_KEY), 7, clerk).unwrap();
            o.s.end_key(caller, 7).map(drop)
        }
        "holders_of" => {
            o.s.bind_for(key(CLERK_KEY), 7, clerk).unwrap();
            let keys = [messaging_key(7)];
            messaging_keys::devices(&o.s.state, &o.s.at(caller), &keys).map(drop)
        }
        "choose_office" => o.s.choose(caller, Some(1)).map(drop),
        "grant_role" => {
            let args = o.s.role(person, 1, CREDENTIAL_ISSUER);
            o.s.grant(caller, args).map(drop)
        }
        "accept_role" => {
            let args = o.s.role(clerk, 2, CREDENTIAL_ISSUER);
            let id = o.s.grant(administrator(2), args).unwrap().id;
            o.s.accept(caller, id).map(drop)
        }
        "revoke_role" => {
            let args = o.s.role(clerk, 1, CREDENTIAL_ISSUER);
            let id = o.s.grant(administrator(1), args).unwrap().id;
            o.s.revoke_role(caller, id).map(drop)
        }
        "open_recovery" => {
            let args = o.recovery();
            o.s.open_recovery(caller, args).map(drop)
        }
        "approve_recovery" => {
            let id = o.opened(SECOND_OFFICIAL);
            let hash = o.s.recovery_hash(id);
            o.s.approve_recovery(caller, id, hash).map(drop)
        }
        "veto_recovery" => {
            let id = o.opened(SECOND_OFFICIAL);
            o.s.veto(caller, id).map(drop)
        }
        "finish_recovery" => {
            let id = o.approved(SECOND_OFFICIAL, OFFICIAL);
            o.s.wait(3 * DAY);
            o.s.finish(caller, id).map(drop)
        }
        "issue_credential" => {
            let args = o.credential();
            o.s.issue(caller, args).map(drop)
        }
        "sign_credential" => {
            let args = o.credential();
            let id = o.s.issue(key(OFFICIAL), args).unwrap().credential.id;
            o.s.sign(caller, id).map(drop)
        }
        "revoke_credential" => {
            let args = o.credential();
            let id = o.s.issue(key(SECOND_OFFICIAL), args).unwrap().credential.id;
            o.s.revoke_credential(caller, id).map(drop)
        }
        "subject_of" => {
            let may = subjects::may_ask(&o.s.state, &o.s.at(caller), key(CLERK_KEY))?;
            may.then_some(()).ok_or(Error::Expired)
        }
        "refresh_subject" => {
            o.s.subject(caller);
            subjects::of_caller(&o.s.state, &o.s.at(caller)).map(drop)
        }
        "apply_decision" => {
            let configuration = Configuration {
                suite_canisters: vec![],
                recovery_delay_ns: None,
            };
            let decision = Decision {
                proposal: 5,
                canister: own(),
                configuration: ByteBuf::from(candid::encode_one(configuration).unwrap()),
                executed_at_ns: 1,
            };
            o.s.apply_decision(caller, 5, &decision)
        }
        other => panic!("{other} has no row"),
    }
}

#[test]
fn each_update_of_the_interface_has_a_row() {
    let rows: Vec<_> = TABLE.iter().map(|(method, _)| *method).collect();
    assert_eq!(updates(&identity::candid_interface()), rows);
}

#[test]
fn who_may_call_an_update_succeeds_and_nobody_else() {
    for (method, expected) in TABLE {
        for (n, name) in CALLERS.iter().enumerate() {
            let answer = call(method, caller(n));
            assert_eq!(
                answer.is_ok(),
                expected[n],
                "{method} by {name}: {answer:?}"
            );
        }
    }
}

#[test]
fn the_new_key_of_a_recovery_may_finish_it() {
    let mut o = Officials::new();
    let id = o.approved(SECOND_OFFICIAL, OFFICIAL);
    o.s.wait(3 * DAY);
    assert!(o.s.finish(key(NEW_KEY), id).is_ok());
}
