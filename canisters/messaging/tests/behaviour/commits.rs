//! Commits: one an epoch, by who may.

use indus_api::messaging::{CommitArgs, CommitOutcome, EntryKind};
use serde_bytes::ByteBuf;

use crate::setting::{
    DAY, Seat, Setting, accepted, added, conversation, invalid_field, person, refused,
};

#[test]
fn of_two_commits_one_wins_and_the_other_learns_which() {
    let mut s = Setting::new();
    let (id, mut seats) = conversation(&mut s, &[1, 2, 3]);
    let first = seats[1].commit(id, &[], &[]);
    let second = seats[2].commit(id, &[], &[]);
    s.wait(DAY);
    let CommitOutcome::Accepted(receipt) = s.submit(person(2), first.clone()).unwrap() else {
        panic!("the first one wins");
    };
    // Whose answer was lost asks again.
    let again = s.submit(person(2), first.clone());
    assert_eq!(again, Ok(CommitOutcome::Accepted(receipt.clone())));
    let CommitOutcome::Stale { epoch, entries } = s.submit(person(3), second).unwrap() else {
        panic!("the second one loses");
    };
    assert_eq!(epoch, 3);
    assert_eq!(entries[0].index, receipt.index);
    assert_eq!(entries[0].payload, first.commit);
    seats[1].merge();
    seats[0].receive(&first.commit);
    seats[2].give_up();
    seats[2].receive(&entries[0].payload);
    let next = seats[2].commit(id, &[], &[]);
    accepted(&mut s, &mut seats, 2, next);
    let message = seats[0].write(id, b"still together");
    s.post(person(1), message.clone()).unwrap();
    assert!(seats[1].receive(&message.message).is_some());
    s.audit();
}

#[test]
fn the_owner_adds_and_removes_and_others_their_own_devices() {
    let mut s = Setting::new();
    let (id, mut seats) = conversation(&mut s, &[1, 2, 3]);
    // A second device of person 2, added by the first.
    let phone = s.device(2);
    let package = phone.package();
    s.upload(person(2), vec![package.clone()]).unwrap();
    let stranger = s.device(4);
    let foreign = stranger.package();
    s.upload(person(4), vec![foreign.clone()]).unwrap();
    let refuse = |s: &mut Setting, seats: &mut Vec<Seat>, add: &[ByteBuf], remove: &[u32]| {
        let args = seats[1].commit(id, add, remove);
        assert_eq!(refused(s.submit(person(2), args)), "unauthorized");
        seats[1].give_up();
    };
    s.wait(DAY);
    refuse(&mut s, &mut seats, &[foreign], &[]);
    refuse(&mut s, &mut seats, &[], &[2]);
    refuse(&mut s, &mut seats, &[], &[0]);
    let args = seats[1].commit(id, &[package], &[]);
    accepted(&mut s, &mut seats, 1, args);
    let view = s.view(person(2), id).unwrap();
    let of_two = view.members.iter().filter(|one| one.person == person(2));
    assert_eq!(of_two.count(), 2);

    let args = seats[1].commit(id, &[], &[3]);
    accepted(&mut s, &mut seats, 1, args);
    assert!(s.view(person(2), id).is_ok());
    let args = seats[0].commit(id, &[], &[1, 2]);
    accepted(&mut s, &mut seats, 0, args);
    for n in [2, 3] {
        assert_eq!(refused(s.view(person(n), id)), "unauthorized");
        let late = CommitArgs {
            conversation: id,
            commit: ByteBuf::from(*b"late"),
            group_info: ByteBuf::new(),
            welcome: None,
        };
        assert_eq!(refused(s.submit(person(n), late)), "unauthorized");
    }
    assert_eq!(s.view(person(1), id).unwrap().members.len(), 1);
    s.audit();
}

#[test]
fn who_is_added_is_a_device_that_identity_knows_and_that_is_not_in() {
    let mut s = Setting::new();
    let (id, mut seats) = conversation(&mut s, &[1, 2]);
    let device = s.device(3);
    let package = device.package();
    s.upload(person(3), vec![package.clone()]).unwrap();
    s.bound.remove(&device.key());
    s.wait(DAY);
    let args = seats[0].commit(id, std::slice::from_ref(&package), &[]);
    assert_eq!(refused(s.submit(person(1), args)), "unauthorized");
    seats[0].give_up();
    s.bound.insert(device.key(), person(4));
    let args = seats[0].commit(id, &[package], &[]);
    assert_eq!(refused(s.submit(person(1), args)), "unauthorized");
    seats[0].give_up();

    // One of whom there is no inbox.
    let unknown = s.device(5);
    let args = seats[0].commit(id, &[unknown.package()], &[]);
    assert_eq!(refused(s.submit(person(1), args)), "conflict");
    seats[0].give_up();
}

#[test]
fn a_device_that_has_ended_commits_no_more() {
    let mut s = Setting::new();
    let (id, mut seats) = conversation(&mut s, &[1, 2]);
    s.bound.remove(&seats[1].device.key());
    s.wait(DAY);
    let args = seats[1].commit(id, &[], &[]);
    assert_eq!(refused(s.submit(person(2), args.clone())), "unauthorized");
    // Nor does anybody for it.
    assert_eq!(refused(s.submit(person(1), args)), "unauthorized");
}

#[test]
fn everybody_who_is_added_is_welcome_and_nobody_else() {
    let mut s = Setting::new();
    let (id, mut seats) = conversation(&mut s, &[1, 2]);
    let device = s.device(3);
    let package = device.package();
    s.upload(person(3), vec![package.clone()]).unwrap();
    s.wait(DAY);
    let good = seats[0].commit(id, &[package], &[]);
    seats[0].give_up();
    let none = seats[0].commit(id, &[], &[]);
    seats[0].give_up();
    let other_welcome = {
        let spare = s.device(4).package();
        let args = seats[0].commit(id, &[spare], &[]);
        seats[0].give_up();
        args.welcome
    };
    for args in [
        CommitArgs {
            welcome: None,
            ..good.clone()
        },
        CommitArgs {
            welcome: other_welcome,
            ..good.clone()
        },
        CommitArgs {
            welcome: Some(ByteBuf::from(*b"no MLS")),
            ..good.clone()
        },
        CommitArgs {
            welcome: good.welcome.clone(),
            ..none.clone()
        },
    ] {
        assert_eq!(invalid_field(s.submit(person(1), args)), "welcome");
    }
    let wrong_info = CommitArgs {
        group_info: none.group_info.clone(),
        ..good.clone()
    };
    assert_eq!(invalid_field(s.submit(person(1), wrong_info)), "group_info");
    let wrong_group = CommitArgs {
        commit: {
            let (other, mut others) = conversation(&mut s, &[1]);
            others[0].commit(other, &[], &[]).commit
        },
        ..good.clone()
    };
    assert_eq!(refused(s.submit(person(1), wrong_group)), "invalid");
    let entries = s.entries(id).len();
    assert_eq!(entries, 2);
}

#[test]
fn commits_of_a_conversation_are_limited() {
    let mut s = Setting::new();
    let (id, mut seats) = conversation(&mut s, &[1, 2]);
    s.wait(DAY);
    let mut taken = 0;
    loop {
        let args = seats[1].commit(id, &[], &[]);
        match s.submit(person(2), args.clone()) {
            Ok(CommitOutcome::Accepted(_)) => {
                seats[1].merge();
                seats[0].receive(&args.commit);
                taken += 1;
                assert!(taken < 20);
            }
            answer => {
                assert_eq!(refused(answer), "rate limited");
                break;
            }
        }
    }
    assert!(taken >= 5);
    let commits = s.entries(id);
    let commits = commits.iter().filter(|one| one.kind == EntryKind::Commit);
    assert_eq!(commits.count(), taken + 1);
}

#[test]
fn many_come_and_go_and_the_tree_follows() {
    let mut s = Setting::new();
    let (id, mut seats) = conversation(&mut s, &[1]);
    for round in 0..3_u8 {
        for n in 2..=8 {
            let device = s.device(n);
            let seat = added(&mut s, id, &mut seats, device);
            seats.push(seat);
        }
        // By different committers, so that parents fill.
        for by in [3, 5, 7] {
            let args = seats[by].commit(id, &[], &[]);
            accepted(&mut s, &mut seats, by, args);
        }
        let gone: Vec<u32> = match round {
            0 => vec![1, 2, 3, 4, 5, 6, 7],
            1 => vec![7, 6, 5, 4, 3, 2, 1],
            _ => vec![2, 4, 6],
        };
        let args = seats[0].commit(id, &[], &gone);
        accepted(&mut s, &mut seats, 0, args);
        seats.retain(|seat| seat.group.is_active());
        s.reopen();
        let message = seats[0].write(id, b"who is left?");
        s.post(person(1), message.clone()).unwrap();
        for seat in &mut seats[1..] {
            assert!(seat.receive(&message.message).is_some());
        }
        assert_eq!(s.view(person(1), id).unwrap().members.len(), seats.len());
    }
    assert_eq!(seats.len(), 5);
    s.entries(id);
    s.audit();
}
