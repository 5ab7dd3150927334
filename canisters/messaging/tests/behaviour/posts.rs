//! Messages.

use indus_api::messaging::{Authenticated, EntryKind, MAX_MESSAGE_BYTES, PAST_EPOCHS, PostArgs};
use serde_bytes::ByteBuf;

use crate::setting::{DAY, Setting, accepted, conversation, invalid_field, person, refused};

#[test]
fn a_message_that_is_sent_again_is_in_the_log_once() {
    let mut s = Setting::new();
    let (id, mut seats) = conversation(&mut s, &[1, 2]);
    let aad = Authenticated {
        id: [9; 16],
        size: 0,
        root: [0; 32],
    };
    let aad = aad.to_bytes();
    let args = seats[0].write_with(id, b"once", &aad);
    let receipt = s.post(person(1), args.clone()).unwrap();
    let blocks = s.state.kit.certified.log_len();
    s.wait(DAY);
    s.reopen();
    assert_eq!(s.post(person(1), args.clone()), Ok(receipt.clone()));
    assert_eq!(s.state.kit.certified.log_len(), blocks);
    // Somebody else's copy, and another message with the same id.
    assert_eq!(refused(s.post(person(2), args)), "already exists");
    let same_id = seats[1].write_with(id, b"twice", &aad);
    assert_eq!(refused(s.post(person(2), same_id)), "already exists");
    let entry = s.entries(id).pop().unwrap();
    assert_eq!(
        (entry.kind, entry.index),
        (EntryKind::Message, receipt.index)
    );
}

#[test]
fn a_message_is_of_its_group_and_of_an_epoch_that_is_near() {
    let mut s = Setting::new();
    let (id, mut seats) = conversation(&mut s, &[1, 2]);
    let (other, _) = conversation(&mut s, &[1, 2]);
    let stray = seats[0].write(other, b"stray");
    assert_eq!(invalid_field(s.post(person(1), stray)), "message");

    let late: Vec<PostArgs> = (0..3).map(|_| seats[0].write(id, b"late")).collect();
    for (passed, args) in (1..).zip(late) {
        let commit = seats[1].commit(id, &[], &[]);
        accepted(&mut s, &mut seats, 1, commit);
        let answer = s.post(person(1), args);
        if passed <= PAST_EPOCHS {
            assert!(answer.is_ok());
        } else {
            assert_eq!(refused(answer), "stale");
        }
    }
    // Of an epoch that the canister has not seen.
    let ahead = seats[1].commit(id, &[], &[]);
    seats[1].merge();
    let early = seats[1].write(id, b"early");
    assert_eq!(refused(s.post(person(2), early.clone())), "stale");
    s.wait(DAY);
    s.submit(person(2), ahead).unwrap();
    assert!(s.post(person(2), early).is_ok());
}

#[test]
fn a_message_has_an_id_and_a_head_of_this_log() {
    let mut s = Setting::new();
    let (id, mut seats) = conversation(&mut s, &[1, 2]);
    let size = s.entries(id).len() as u64;
    let head = |size| Authenticated {
        id: [9; 16],
        size,
        root: [0; 32],
    };
    let good = head(size).to_bytes();
    for aad in [
        vec![],
        good[1..].to_vec(),
        [&good[..], &[0]].concat(),
        head(size + 1).to_bytes().to_vec(),
    ] {
        let args = seats[0].write_with(id, b"text", &aad);
        assert_eq!(invalid_field(s.post(person(1), args)), "message");
    }
    let args = seats[0].write_with(id, b"text", &good);
    assert!(s.post(person(1), args).is_ok());
}

#[test]
fn a_message_is_a_private_one_and_not_too_long() {
    let mut s = Setting::new();
    let (id, mut seats) = conversation(&mut s, &[1, 2]);
    let commit = seats[0].commit(id, &[], &[]);
    seats[0].give_up();
    for message in [commit.commit, ByteBuf::new(), ByteBuf::from(*b"no MLS")] {
        let args = PostArgs {
            conversation: id,
            message,
        };
        assert_eq!(invalid_field(s.post(person(1), args)), "message");
    }
    let longest = seats[0].write(id, &vec![7; MAX_MESSAGE_BYTES - 1_000]);
    assert!(s.post(person(1), longest).is_ok());
    let longer = seats[0].write(id, &vec![7; MAX_MESSAGE_BYTES]);
    assert_eq!(invalid_field(s.post(person(1), longer)), "message");
    let nowhere = PostArgs {
        conversation: 99,
        message: ByteBuf::new(),
    };
    assert_eq!(refused(s.post(person(1), nowhere)), "not found");
}

#[test]
fn who_floods_is_stopped() {
    let mut s = Setting::new();
    let (id, mut seats) = conversation(&mut s, &[1, 2]);
    s.wait(DAY);
    let mut taken = 0;
    loop {
        let args = seats[1].write(id, b"again");
        match s.post(person(2), args) {
            Ok(_) => taken += 1,
            answer => {
                assert_eq!(refused(answer), "rate limited");
                break;
            }
        }
        assert!(taken < 100);
    }
    assert_eq!(taken, 60);
    let other = seats[0].write_with(
        id,
        b"others write on",
        &Authenticated {
            id: [200; 16],
            size: 0,
            root: [0; 32],
        }
        .to_bytes(),
    );
    assert!(s.post(person(1), other).is_ok());
}
