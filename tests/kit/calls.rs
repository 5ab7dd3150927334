//! Calls out: what is refused before it is made, and what timers make of what is left.

use std::time::Duration;

use candid::Encode;
use indus_api::Error;
use indus_kit::codes::UNCOMMITTED_CALL;
use sample::interface::{Ending, Note, Point, Stamp, Wait};

use crate::desks::{Desks, note, person};

#[test]
fn nothing_is_called_while_something_is_uncommitted() {
    let desks = Desks::new();
    for wait in [Wait::Suite, Wait::Outside] {
        let args = Encode!(&note(&format!("{wait:?}"), wait)).unwrap();
        let refused: Result<Note, Error> = desks
            .update(desks.desk, person(1), "call_uncommitted", args)
            .unwrap();
        assert_eq!(
            refused,
            Err(Error::Internal {
                code: UNCOMMITTED_CALL
            })
        );
    }
    for _ in 0..6 {
        desks.tick();
    }
    assert_eq!(desks.block_types(desks.peer), ["canister.installed"]);
    assert_eq!(desks.stamps(), 0);
}

#[test]
fn timers_that_trap_come_again_and_others_dont_notice() {
    let desks = Desks::new();
    desks.peer_ends(Ending::Trap);
    let args = note("mine", Wait::Suite);
    let posted = desks.write(person(1), "post_note", &args).unwrap().unwrap();
    assert_eq!(posted.stamp, Stamp::Pending);
    let run = |name| {
        let runs = desks.work().last_runs;
        runs.iter().find(|(job, _)| job == name).unwrap().1
    };
    let jobs = ["settle", "prune", "retry", "pages"];
    let before = jobs.map(run);
    desks.arm(Some(Point::Slice));
    desks.pass(Duration::from_secs(70));
    let trapped = jobs.map(run);
    assert_eq!(before[..2], trapped[..2]);
    assert!(before[2] < trapped[2] && before[3] < trapped[3]);
    assert_eq!(desks.work().pending, 1);

    desks.peer_ends(Ending::Reply);
    desks.arm(None);
    for _ in 0..4 {
        desks.pass(Duration::from_secs(70));
    }
    let after = jobs.map(run);
    assert!(
        trapped
            .iter()
            .zip(&after)
            .all(|(trapped, after)| trapped < after)
    );
    assert_eq!(desks.work().pending, 0);
    assert_eq!(desks.notes()[0].stamp, Stamp::Given(1));
}

#[test]
fn a_late_answer_to_a_timers_attempt_is_taken_in_once() {
    let desks = Desks::new();
    desks.peer_ends(Ending::Trap);
    let args = note("mine", Wait::Suite);
    desks.write(person(1), "post_note", &args).unwrap().unwrap();
    // The timer's attempt takes longer than the timers' own calls may, and than several more intervals.
    desks.peer_ends(Ending::Late);
    for _ in 0..8 {
        desks.pass(Duration::from_secs(70));
    }
    assert_eq!(desks.work().pending, 1);
    desks.peer_ends(Ending::Reply);
    desks.pass(Duration::from_secs(70));
    assert_eq!((desks.work().pending, desks.stamps()), (0, 1));
    let stamped = |block: &String| block == "note.stamped";
    let blocks = desks.block_types(desks.desk);
    assert_eq!(blocks.iter().filter(|block| stamped(block)).count(), 1);
}

#[test]
fn many_operations_are_settled_each_by_itself() {
    let desks = Desks::new();
    desks.peer_ends(Ending::Trap);
    for number in 1..=20 {
        let args = note(&format!("note {number}"), Wait::Suite);
        desks
            .write(person(number), "post_note", &args)
            .unwrap()
            .unwrap();
    }
    assert_eq!(desks.work().pending, 20);
    desks.peer_ends(Ending::Reply);
    for _ in 0..3 {
        desks.pass(Duration::from_secs(70));
    }
    assert_eq!((desks.work().pending, desks.stamps()), (0, 20));
    let mut stamps: Vec<_> = desks.notes().into_iter().map(|note| note.stamp).collect();
    stamps.sort_by_key(|stamp| match stamp {
        Stamp::Given(number) => *number,
        _ => 0,
    });
    assert!(stamps.into_iter().eq((1..=20).map(Stamp::Given)));
}
