//! The clock, across each expiry: a nanosecond before, and at it.

use identity::subjects::Found;
use indus_api::identity::{
    Configuration, MIN_RECOVERY_DELAY_NS, PAIRING_NS, RECOVERY_LIFETIME_NS, RECOVERY_OFFICER,
};

use crate::setting::{
    CLERK, CLERK_KEY, DAY, OFFICIAL, Officials, Refusal, SECOND_OFFICIAL, Setting, administrator,
    key, own, refusal,
};

/// Lets the next message come at this time.
fn at(s: &mut Setting, time_ns: u64) {
    s.time_ns = time_ns - 1;
}

#[test]
fn a_pairing_is_open_for_a_quarter_of_an_hour() {
    for (late, good) in [(0, true), (1, false)] {
        let mut s = Setting::new();
        let person = s.person(1);
        let pairing = s.open_pairing(key(1)).unwrap();
        assert_eq!(pairing.ends_at_ns, s.time_ns + PAIRING_NS);
        at(&mut s, pairing.ends_at_ns - 1 + late);
        assert_eq!(s.offer(key(2), person, &pairing.code).is_ok(), good);

        let mut s = Setting::new();
        let person = s.person(1);
        let pairing = s.open_pairing(key(1)).unwrap();
        s.offer(key(2), person, &pairing.code).unwrap();
        at(&mut s, pairing.ends_at_ns - 1 + late);
        assert_eq!(s.confirm(key(1), key(2)).is_ok(), good);
    }
}

#[test]
fn a_role_is_held_from_its_beginning_to_its_end() {
    let mut s = Setting::new();
    let person = s.person(1);
    let mut args = s.role(person, 1, CLERK);
    args.valid_from_ns = s.time_ns + DAY;
    args.valid_until_ns = s.time_ns + 2 * DAY;
    let (from_ns, until_ns) = (args.valid_from_ns, args.valid_until_ns);
    let id = s.grant(administrator(1), args).unwrap().id;
    s.accept(key(1), id).unwrap();
    for (time_ns, held) in [
        (from_ns - 1, false),
        (from_ns, true),
        (until_ns - 1, true),
        (until_ns, false),
    ] {
        s.time_ns = time_ns;
        assert_eq!(
            s.subject(key(1)).unwrap().organisation.is_some(),
            held,
            "{time_ns}"
        );
    }
    // nobody asks for whom nobody is an official
    assert!(matches!(s.found(key(1)), Found::Person(_)));
}

#[test]
fn an_offer_can_be_accepted_until_its_end() {
    for (late, good) in [(0, true), (1, false)] {
        let mut s = Setting::new();
        let person = s.person(1);
        let args = s.role(person, 1, CLERK);
        let end = args.valid_until_ns;
        let id = s.grant(administrator(1), args).unwrap().id;
        at(&mut s, end - 1 + late);
        assert_eq!(s.accept(key(1), id).is_ok(), good);
    }
}

#[test]
fn a_recovery_is_ready_when_the_delay_is_over_and_not_before() {
    let mut o = Officials::new();
    let id = o.approved(OFFICIAL, SECOND_OFFICIAL);
    let ready = o.s.time_ns + 72 * 3_600 * 1_000_000_000;
    at(&mut o.s, ready - 1);
    assert_eq!(refusal(o.s.finish(key(OFFICIAL), id)), Refusal::Conflict);
    assert!(o.s.finish(key(OFFICIAL), id).is_ok());
}

#[test]
fn the_delay_is_the_one_that_the_governors_decided_on() {
    let mut o = Officials::new();
    let configuration = Configuration {
        suite_canisters: vec![],
        recovery_delay_ns: Some(MIN_RECOVERY_DELAY_NS),
    };
    let decision = indus_api::decision::Decision {
        proposal: 1,
        canister: own(),
        configuration: candid::encode_one(configuration).unwrap().into(),
        executed_at_ns: 1,
    };
    o.s.apply_decision(key(1), 1, &decision).unwrap();
    let id = o.approved(OFFICIAL, SECOND_OFFICIAL);
    let ready = o.s.time_ns + MIN_RECOVERY_DELAY_NS;
    at(&mut o.s, ready - 1);
    assert_eq!(refusal(o.s.finish(key(OFFICIAL), id)), Refusal::Conflict);
    assert!(o.s.finish(key(OFFICIAL), id).is_ok());
}

#[test]
fn nothing_becomes_of_a_recovery_after_thirty_days() {
    let mut o = Officials::new();
    let id = o.opened(OFFICIAL);
    let end = o.s.time_ns + RECOVERY_LIFETIME_NS;
    let hash = o.s.recovery_hash(id);
    at(&mut o.s, end);
    let refused = o.s.approve_recovery(key(SECOND_OFFICIAL), id, hash);
    assert_eq!(refusal(refused), Refusal::Expired);
    assert_eq!(refusal(o.s.veto(key(CLERK_KEY), id)), Refusal::Expired);
    assert_eq!(o.opened(SECOND_OFFICIAL), id + 1);

    for (late, good) in [(0, true), (1, false)] {
        let mut o = Officials::new();
        let id = o.approved(OFFICIAL, SECOND_OFFICIAL);
        let opened = identity::recoveries::read(&o.s.state, &o.s.at(key(CLERK_KEY)), id);
        at(&mut o.s, opened.unwrap().ends_at_ns - 1 + late);
        assert_eq!(o.s.finish(key(OFFICIAL), id).is_ok(), good);
    }
}

#[test]
fn an_official_whose_role_ends_during_the_delay_recovers_nobody() {
    let mut o = Officials::new();
    // the third official gets the role of a day
    let person = o.s.person(70);
    let mut args = o.s.role(person, 1, RECOVERY_OFFICER);
    args.valid_until_ns = o.s.time_ns + DAY;
    let role = o.s.grant(administrator(1), args).unwrap().id;
    o.s.accept(key(70), role).unwrap();
    let id = o.approved(70, OFFICIAL);
    o.s.wait(4 * DAY);
    assert_eq!(refusal(o.s.finish(key(OFFICIAL), id)), Refusal::Conflict);
}
