//! Repeated calls: the first success again, and nothing twice.

use std::time::Duration;

use candid::Encode;
use indus_api::Error;
use sample::interface::{Ending, NoteArgs, Point, Wait};
use serde_bytes::ByteBuf;

use crate::desks::{Desks, note, person};

fn in_progress() -> Error {
    Error::Conflict {
        reason: "in_progress".into(),
    }
}

#[test]
fn a_repeated_call_in_flight_is_a_conflict_and_then_the_first_success() {
    let desks = Desks::new();
    let args = note("mine", Wait::Suite);
    desks.peer_ends(Ending::Late);
    let first = desks.submit(person(1), "file_note", &args);
    for _ in 0..6 {
        desks.tick();
    }
    assert_eq!(desks.work().under_way, 1);
    // However long it takes: it isn't lost, it is late.
    for _ in 0..3 {
        desks.pass(Duration::from_secs(100));
        let again = desks.write(person(1), "file_note", &args).unwrap();
        assert_eq!(again, Err(in_progress()));
    }
    desks.peer_ends(Ending::Reply);
    let reply = desks.pic.await_call(first).unwrap();
    let first: Result<_, Error> = candid::decode_one(&reply).unwrap();
    let again = desks.write(person(1), "file_note", &args).unwrap();
    assert_eq!(again, first);
    assert!(first.is_ok() && desks.notes().len() == 1 && desks.stamps() == 1);
}

#[test]
fn a_call_whose_end_was_lost_may_be_made_again_when_the_timer_has_settled_it() {
    let desks = Desks::new();
    let args = note("mine", Wait::Suite);
    desks.arm(Some(Point::ReplyRecorded));
    desks.write(person(1), "file_note", &args).unwrap_err();
    assert!(desks.notes().is_empty() && desks.stamps() == 1);
    // The trap took the guard back, and not the key.
    assert_eq!((desks.work().under_way, desks.work().keys), (0, 1));
    let again = desks.write(person(1), "file_note", &args).unwrap();
    assert_eq!(again, Err(in_progress()));

    desks.arm(None);
    desks.pass(Duration::from_secs(100));
    assert_eq!(desks.work().keys, 0);
    let again = desks.write(person(1), "file_note", &args).unwrap();
    assert!(again.is_ok() && desks.notes().len() == 1 && desks.stamps() == 1);
}

#[test]
fn a_key_is_for_one_call_of_one_person() {
    let desks = Desks::new();
    let args = note("mine", Wait::Suite);
    let first = desks.write(person(1), "file_note", &args).unwrap();
    assert!(first.is_ok());
    let other = NoteArgs {
        title: "another".into(),
        ..args.clone()
    };
    for (method, args) in [("file_note", &other), ("post_note", &args)] {
        let refused = desks.write(person(1), method, args).unwrap();
        assert!(
            matches!(&refused, Err(Error::Invalid { field, .. }) if field == "idempotency_key"),
            "{refused:?}"
        );
    }
    assert!(desks.write(person(2), "file_note", &other).unwrap().is_ok());
    for key in [0, 65] {
        let args = NoteArgs {
            idempotency_key: ByteBuf::from(vec![1; key]),
            ..other.clone()
        };
        let refused = desks.write(person(1), "file_note", &args).unwrap();
        assert!(matches!(refused, Err(Error::Invalid { .. })), "{refused:?}");
    }
}

#[test]
fn what_was_checked_before_a_call_is_checked_again_after_it() {
    let desks = Desks::new();
    desks.peer_ends(Ending::Late);
    let args = note("the same title", Wait::Suite);
    let slow = desks.submit(person(1), "file_note", &args);
    for _ in 0..6 {
        desks.tick();
    }
    // Meanwhile somebody else writes it.
    let fast = desks.submit(person(2), "post_note", &args);
    for _ in 0..6 {
        desks.tick();
    }
    desks.peer_ends(Ending::Reply);
    let reply = desks.pic.await_call(slow).unwrap();
    let slow: Result<sample::interface::Note, Error> = candid::decode_one(&reply).unwrap();
    assert!(matches!(slow, Err(Error::AlreadyExists { .. })), "{slow:?}");
    desks.pic.await_call(fast).unwrap();
    let [note] = &desks.notes()[..] else {
        panic!("{:?}", desks.notes())
    };
    assert_eq!(note.author, person(2));
}

#[test]
fn a_key_is_forgotten_a_day_after_its_success_and_pruned() {
    let desks = Desks::new();
    let args = note("mine", Wait::Suite);
    desks.write(person(1), "file_note", &args).unwrap().unwrap();
    desks.pass(Duration::from_secs(23 * 3_600));
    assert_eq!(desks.work().keys, 1);
    desks.pass(Duration::from_secs(3_700));
    desks.pass(Duration::from_secs(70));
    assert_eq!((desks.work().keys, desks.work().buckets), (0, 0));
    let again = desks.write(person(1), "file_note", &args).unwrap();
    assert!(
        matches!(again, Err(Error::AlreadyExists { .. })),
        "{again:?}"
    );
}

#[test]
fn who_calls_too_often_waits_and_nobody_else() {
    let desks = Desks::new();
    for number in 0..10 {
        let args = note(&format!("note {number}"), Wait::Suite);
        desks.write(person(1), "post_note", &args).unwrap().unwrap();
    }
    let args = note("one more", Wait::Suite);
    let refused = desks.write(person(1), "post_note", &args).unwrap();
    let Err(Error::RateLimited { retry_after_ms }) = refused else {
        panic!("{refused:?}")
    };
    assert!(desks.write(person(2), "post_note", &args).unwrap().is_ok());
    // An upgrade doesn't make it forget.
    desks.upgrade(false).unwrap();
    desks.confirm(crate::desks::CONTROLLER).unwrap();
    let args = note("and another", Wait::Suite);
    let refused = desks.write(person(1), "post_note", &args).unwrap();
    assert!(
        matches!(refused, Err(Error::RateLimited { .. })),
        "{refused:?}"
    );
    desks.pass(Duration::from_millis(retry_after_ms));
    assert!(desks.write(person(1), "post_note", &args).unwrap().is_ok());
}

#[test]
fn anonymous_callers_have_no_keys() {
    let desks = Desks::new();
    let args = Encode!(&note("mine", Wait::Suite)).unwrap();
    let refused: Result<sample::interface::Note, Error> = desks
        .update(
            desks.desk,
            candid::Principal::anonymous(),
            "file_note",
            args,
        )
        .unwrap();
    assert!(
        matches!(refused, Err(Error::Unauthorized { .. })),
        "{refused:?}"
    );
}
