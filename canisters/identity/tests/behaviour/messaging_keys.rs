//! Messaging keys.

use candid::Principal;
use identity::messaging_keys;
use indus_api::identity::{
    BindMessagingKeyArgs, MAX_MESSAGING_KEYS, MESSAGING_KEYS, MessagingKey, messaging_key_key,
};
use serde_bytes::ByteBuf;

use crate::setting::{
    CLERK_KEY, NEW_KEY, OFFICIAL, Officials, Refusal, SECOND_OFFICIAL, invalid_field, key,
    messaging_key, refusal, suite,
};

/// A second device of the clerk's.
const PHONE: u8 = 50;

fn with_a_phone() -> Officials {
    let mut o = Officials::new();
    let code = o.s.open_pairing(key(CLERK_KEY)).unwrap().code;
    o.s.offer(key(PHONE), o.clerk, &code).unwrap();
    o.s.confirm(key(CLERK_KEY), key(PHONE)).unwrap();
    o
}

fn read(o: &Officials, seed: u8) -> MessagingKey {
    let context = o.s.at(key(OFFICIAL));
    messaging_keys::read(&o.s.state, &context, &messaging_key(seed)).unwrap()
}

/// Whose devices the suite is told these are.
fn devices(o: &Officials, seeds: &[u8]) -> Vec<Option<Principal>> {
    let keys: Vec<ByteBuf> = seeds.iter().map(|seed| messaging_key(*seed)).collect();
    messaging_keys::devices(&o.s.state, &o.s.at(suite()), &keys).unwrap()
}

#[test]
fn a_key_is_its_devices_and_every_person_reads_it() {
    let mut o = with_a_phone();
    let bound = o.s.bind_for(key(CLERK_KEY), 1, o.clerk).unwrap();
    assert_eq!((bound.person, bound.ended_at_ns), (o.clerk, None));
    let blocks = o.s.state.kit.certified.log_len();
    o.s.wait(1);
    assert_eq!(o.s.bind_for(key(CLERK_KEY), 1, o.clerk), Ok(bound.clone()));
    assert_eq!(o.s.state.kit.certified.log_len(), blocks);
    o.s.bind_for(key(PHONE), 2, o.clerk).unwrap();
    assert_eq!(read(&o, 1), bound);
    assert_eq!(
        devices(&o, &[2, 9, 1]),
        [Some(key(PHONE)), None, Some(key(CLERK_KEY))]
    );
    let stranger = o.s.at(key(99));
    let refused = messaging_keys::read(&o.s.state, &stranger, &messaging_key(1));
    assert_eq!(refusal(refused), Refusal::Unauthorized);
    o.s.audit();
}

#[test]
fn a_key_is_bound_once_by_who_has_it() {
    let mut o = with_a_phone();
    o.s.bind_for(key(CLERK_KEY), 1, o.clerk).unwrap();
    let official = o.s.person(OFFICIAL);
    for (caller, person) in [(PHONE, o.clerk), (OFFICIAL, official)] {
        let again = o.s.bind_for(key(caller), 1, person);
        assert_eq!(refusal(again), Refusal::AlreadyExists);
    }
    // A proof for somebody else is none.
    let stolen = o.s.bind_for(key(OFFICIAL), 3, o.clerk);
    assert_eq!(invalid_field(stolen), "proof");
    let good = BindMessagingKeyArgs {
        signature_key: messaging_key(4),
        proof: ByteBuf::from([0; 64]),
    };
    for (args, field) in [
        (good.clone(), "proof"),
        (
            BindMessagingKeyArgs {
                proof: ByteBuf::from([0; 63]),
                ..good.clone()
            },
            "proof",
        ),
        (
            BindMessagingKeyArgs {
                signature_key: ByteBuf::from([1; 31]),
                ..good.clone()
            },
            "signature_key",
        ),
        // The neutral element, for which everybody can sign.
        (
            BindMessagingKeyArgs {
                signature_key: ByteBuf::from([[1].as_slice(), &[0; 31]].concat()),
                ..good
            },
            "signature_key",
        ),
    ] {
        assert_eq!(invalid_field(o.s.bind_with(key(PHONE), args)), field);
    }
}

#[test]
fn a_device_has_one_key_and_what_has_ended_stays_ended() {
    let mut o = with_a_phone();
    o.s.bind_for(key(PHONE), 1, o.clerk).unwrap();
    o.s.wait(5);
    let at = o.s.time_ns;
    o.s.bind_for(key(PHONE), 2, o.clerk).unwrap();
    assert!(read(&o, 1).ended_at_ns.is_some_and(|ended| ended >= at));
    assert_eq!(devices(&o, &[1, 2]), [None, Some(key(PHONE))]);
    let again = o.s.bind_for(key(PHONE), 1, o.clerk);
    assert_eq!(refusal(again), Refusal::AlreadyExists);

    // By another device of the same person, and by nobody else.
    assert_eq!(refusal(o.s.end_key(key(OFFICIAL), 2)), Refusal::NotFound);
    let ended = o.s.end_key(key(CLERK_KEY), 2).unwrap();
    o.s.wait(1);
    assert_eq!(o.s.end_key(key(CLERK_KEY), 2), Ok(ended));
    assert_eq!(devices(&o, &[1, 2]), [None, None]);
    assert_eq!(refusal(o.s.end_key(key(CLERK_KEY), 3)), Refusal::NotFound);
    o.s.bind_for(key(PHONE), 3, o.clerk).unwrap();
    assert_eq!(devices(&o, &[3]), [Some(key(PHONE))]);
    o.s.reopen();
    assert_eq!(devices(&o, &[1, 2, 3]), [None, None, Some(key(PHONE))]);
    o.s.audit();
}

#[test]
fn a_key_ends_with_its_device() {
    let mut o = with_a_phone();
    o.s.bind_for(key(CLERK_KEY), 1, o.clerk).unwrap();
    o.s.bind_for(key(PHONE), 2, o.clerk).unwrap();
    o.s.remove(key(CLERK_KEY), key(PHONE)).unwrap();
    assert!(read(&o, 2).ended_at_ns.is_some());
    assert_eq!(devices(&o, &[1, 2]), [Some(key(CLERK_KEY)), None]);
    o.s.audit();

    let id = o.approved(OFFICIAL, SECOND_OFFICIAL);
    o.s.wait(3 * crate::setting::DAY);
    o.s.finish(key(NEW_KEY), id).unwrap();
    assert!(read(&o, 1).ended_at_ns.is_some());
    assert_eq!(devices(&o, &[1, 2]), [None, None]);
    o.s.bind_for(key(NEW_KEY), 3, o.clerk).unwrap();
    assert_eq!(devices(&o, &[3]), [Some(key(NEW_KEY))]);
    o.s.audit();
}

#[test]
fn keys_are_asked_about_a_hundred_at_a_time() {
    let o = with_a_phone();
    let ask = |count| {
        let keys = vec![messaging_key(1); count];
        messaging_keys::devices(&o.s.state, &o.s.at(suite()), &keys)
    };
    assert_eq!(ask(MAX_MESSAGING_KEYS).unwrap().len(), MAX_MESSAGING_KEYS);
    assert_eq!(refusal(ask(MAX_MESSAGING_KEYS + 1)), Refusal::Limit);
}

#[test]
fn persons_read_the_leaf_and_nobody_else_does() {
    let mut o = with_a_phone();
    o.s.bind_for(key(PHONE), 1, o.clerk).unwrap();
    let place = messaging_key_key(&messaging_key(1));
    let path = indus_api::identity::path(MESSAGING_KEYS, &place);
    let official = o.s.subject(key(OFFICIAL)).unwrap();
    let certified = &o.s.state.kit.certified;
    assert!(certified.is_restricted(std::slice::from_ref(&path)));
    let read = |reader| certified.witness_of_paths(std::slice::from_ref(&path), reader);
    assert!(read(Some(&official)).is_ok());
    assert_eq!(refusal(read(None)), Refusal::Unauthorized);
}
