//! Who may read what: letters are for those concerned, by whatever method they are read.

use std::{collections::BTreeSet, time::Duration};

use candid::{Encode, Principal};
use indus_api::{CertifiedRead, Error, Subject};
use sample::interface::{CLERK, LETTERS, Letter, LetterArgs, LetterRecord};
use serde_bytes::ByteBuf;

use crate::desks::{Desks, person};

fn subject(number: u8, organisation: u64, roles: &[&str]) -> Subject {
    Subject {
        person: person(number),
        organisation: Some(organisation),
        roles: roles
            .iter()
            .map(ToString::to_string)
            .collect::<BTreeSet<_>>(),
    }
}

fn letter(text: &str) -> Vec<u8> {
    Encode!(&LetterArgs {
        idempotency_key: ByteBuf::from(format!("key of {text}")),
        text: text.into(),
    })
    .unwrap()
}

fn keep(desks: &Desks, sender: Principal, text: &str) -> Result<u64, Error> {
    desks
        .update(desks.desk, sender, "keep_letter", letter(text))
        .unwrap()
}

fn refresh(desks: &Desks, sender: Principal) -> Result<Subject, Error> {
    desks
        .update(desks.desk, sender, "refresh_subject", Encode!().unwrap())
        .unwrap()
}

fn read(desks: &Desks, reader: Principal) -> Result<Letter, Error> {
    let id = Encode!(&1_u64).unwrap();
    desks.query(desks.desk, reader, "read_letter", id).unwrap()
}

fn certified_read(desks: &Desks, reader: Principal) -> Result<CertifiedRead, Error> {
    let path = ["data".into(), LETTERS.into(), 1_u64.to_be_bytes().to_vec()];
    let paths = vec![path.map(ByteBuf::from).to_vec()];
    let paths = Encode!(&paths).unwrap();
    desks
        .query(desks.desk, reader, "certified_read", paths)
        .unwrap()
}

#[test]
fn letters_are_for_those_concerned() {
    let desks = Desks::new();
    let (owner, colleague, clerk, stranger) = (person(1), person(2), person(3), person(4));
    desks.introduce(owner, Some(subject(1, 7, &[])));
    desks.introduce(colleague, Some(subject(2, 7, &[])));
    desks.introduce(clerk, Some(subject(3, 8, &[CLERK])));
    desks.introduce(stranger, Some(subject(4, 8, &["another"])));
    assert_eq!(keep(&desks, owner, "confidential"), Ok(1));
    assert_eq!(keep(&desks, owner, "confidential"), Ok(1));

    for reader in [owner, colleague, clerk] {
        refresh(&desks, reader).unwrap();
        let letter = read(&desks, reader).unwrap();
        assert_eq!((letter.person, &letter.text[..]), (owner, "confidential"));
        assert_eq!(letter.salt.len(), 16);
        let answer = certified_read(&desks, reader).unwrap();
        let witness = desks.verified(desks.desk, &answer);
        let path = [&b"data"[..], LETTERS.as_bytes(), &1_u64.to_be_bytes()];
        let LetterRecord::V1(certified) = witness.value(&path).unwrap();
        assert_eq!(certified, letter);
        let [(_, Some(_))] = &desks.listed(desks.desk, LETTERS, reader)[..] else {
            panic!("the record is listed")
        };
    }
    refresh(&desks, stranger).unwrap();
    for refused in [
        read(&desks, stranger).map(drop),
        certified_read(&desks, stranger).map(drop),
        // Who is no subject here, and anonymous callers.
        refresh(&desks, person(5)).map(drop),
        refresh(&desks, Principal::anonymous()).map(drop),
        read(&desks, Principal::anonymous()).map(drop),
        certified_read(&desks, Principal::anonymous()).map(drop),
        keep(&desks, Principal::anonymous(), "nobody's").map(drop),
        keep(&desks, person(5), "nobody's").map(drop),
    ] {
        assert!(
            matches!(refused, Err(Error::Unauthorized { .. })),
            "{refused:?}"
        );
    }
    // Everybody sees that there is a letter, and its hash.
    for reader in [stranger, person(5), Principal::anonymous()] {
        let [(key, None)] = &desks.listed(desks.desk, LETTERS, reader)[..] else {
            panic!("the key alone is listed")
        };
        assert_eq!(key[..], 1_u64.to_be_bytes());
    }
    assert!(!desks.block_types(desks.desk).is_empty());
}

#[test]
fn a_revocation_holds_within_a_minute() {
    let desks = Desks::new();
    desks.introduce(person(1), Some(subject(1, 7, &[])));
    keep(&desks, person(1), "confidential").unwrap();
    let unknown = |answer: Result<Letter, Error>| {
        assert!(
            matches!(&answer, Err(Error::Unavailable { reason, .. }) if reason == "refresh"),
            "{answer:?}"
        );
    };
    unknown(read(&desks, person(2)));
    assert!(read(&desks, person(1)).is_ok());
    desks.introduce(person(1), None);
    desks.pass(Duration::from_secs(60));
    unknown(read(&desks, person(1)));
    let refused = refresh(&desks, person(1));
    assert!(
        matches!(refused, Err(Error::Unauthorized { .. })),
        "{refused:?}"
    );
}

#[test]
fn who_cant_be_asked_for_is_refused() {
    let desks = Desks::new();
    desks.introduce(person(1), Some(subject(1, 7, &[])));
    desks.stop(desks.peer);
    for refused in [
        refresh(&desks, person(1)).map(drop),
        keep(&desks, person(1), "confidential").map(drop),
    ] {
        let Err(Error::Unavailable { canister, .. }) = &refused else {
            panic!("{refused:?}")
        };
        assert_eq!(canister, "the peer");
    }
    desks.start(desks.peer);
    assert_eq!(refresh(&desks, person(1)), Ok(subject(1, 7, &[])));
    // Asking was over each time, so the next one is asked for again.
    assert_eq!(keep(&desks, person(1), "confidential"), Ok(1));
    // An upgrade forgets who is who, and asks again.
    desks.upgrade(false).unwrap();
    desks.confirm(crate::desks::CONTROLLER).unwrap();
    assert!(read(&desks, person(1)).is_err());
    refresh(&desks, person(1)).unwrap();
    assert!(read(&desks, person(1)).is_ok());
}

#[test]
fn letters_of_equal_text_have_different_hashes() {
    let desks = Desks::new();
    for number in [1, 2] {
        desks.introduce(person(number), Some(subject(number, 7, &[])));
        keep(&desks, person(number), "the same").unwrap();
        refresh(&desks, person(number)).unwrap();
    }
    let second = Encode!(&2_u64).unwrap();
    let one = read(&desks, person(1)).unwrap();
    let other: Result<Letter, Error> = desks
        .query(desks.desk, person(2), "read_letter", second)
        .unwrap();
    assert_ne!(one.salt, other.unwrap().salt);
}
