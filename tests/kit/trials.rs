//! Calls that go wrong: wherever the own callback traps, however the callee ends, whenever the caller is stopped or upgraded,
//! nothing that was acknowledged is lost, and the callee has done each operation once.

use std::time::Duration;

use indus_api::Error;
use pocket_ic::IngressStatusResult;
use sample::interface::{Ending, Note, Point, Stamp, Wait};

use crate::desks::{CONTROLLER, Desks, note, person};

/// Rounds that a call and its answer take between subnets, and some.
const ROUNDS: usize = 6;
/// Longer than a call outside of the suite is waited for, and than a lost key is left in flight.
const A_WHILE: Duration = Duration::from_secs(70);

/// How the peer is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Callee {
    Ends(Ending),
    Stopped,
}

const CALLEES: [Callee; 6] = [
    Callee::Ends(Ending::Reply),
    Callee::Ends(Ending::Refuse),
    Callee::Ends(Ending::Reject),
    Callee::Ends(Ending::Trap),
    Callee::Ends(Ending::Late),
    Callee::Stopped,
];

/// What happens to the caller.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Interruption {
    /// Stopped, and started again.
    Stop,
    /// Stopped, upgraded, started and confirmed.
    Upgrade,
}

/// One call, and what goes wrong with it.
#[derive(Clone, Copy, Debug)]
struct Trial {
    method: &'static str,
    wait: Wait,
    callee: Callee,
    trap: Option<Point>,
    /// What, and before which round.
    interruption: Option<(Interruption, usize)>,
}

impl Trial {
    /// Whether the peer replies before all is well again, however late.
    fn is_answered(&self) -> bool {
        match self.callee {
            Callee::Ends(Ending::Reply | Ending::Refuse) => true,
            Callee::Ends(Ending::Late) => self.wait == Wait::Suite,
            Callee::Ends(Ending::Reject | Ending::Trap) | Callee::Stopped => false,
        }
    }

    /// Whether the first attempt comes to the point where it traps.
    fn traps(&self) -> bool {
        match self.trap {
            None => false,
            Some(Point::Reply | Point::ReplyRecorded) => self.is_answered(),
            Some(Point::Rejection) => !self.is_answered(),
            Some(Point::BeforeCall | Point::Slice) => true,
        }
    }
}

/// Makes the call, then lets all be well again: in the end there is one note with one stamp. True if something was left to
/// do when the caller was interrupted.
fn run(desks: &Desks, number: u8, trial: Trial) -> bool {
    let said = format!("{trial:?}");
    let (author, title) = (person(number), format!("trial {number}"));
    let args = note(&title, trial.wait);
    let stamps = desks.stamps();
    match trial.callee {
        Callee::Ends(ending) => desks.peer_ends(ending),
        Callee::Stopped => desks.stop(desks.peer),
    }
    desks.arm(trial.trap);

    let call = desks.submit(author, trial.method, &args);
    let (mut stop, mut in_the_middle) = (None, false);
    for round in 0..ROUNDS {
        if let Some((interruption, before)) = trial.interruption
            && before == round
        {
            let work = desks.work();
            in_the_middle = work.under_way + work.pending > 0;
            stop = Some((interruption, desks.submit_stop(desks.desk)));
        }
        desks.tick();
    }
    if trial.wait == Wait::Outside {
        desks.pass(A_WHILE);
    }

    match trial.callee {
        Callee::Ends(_) => desks.peer_ends(Ending::Reply),
        Callee::Stopped => desks.start(desks.peer),
    }
    if let Some((interruption, stop)) = stop {
        desks.pic.await_call(stop).expect(&said);
        if interruption == Interruption::Upgrade {
            desks.upgrade(false).expect(&said);
        }
        desks.start(desks.desk);
        desks.confirm(CONTROLLER).expect(&said);
    }
    for _ in 0..ROUNDS {
        desks.tick();
    }
    desks.arm(None);
    let IngressStatusResult::Success(first) = desks.pic.ingress_status_as(call, author) else {
        panic!("{said}: the call has not ended")
    };
    let first: Option<Result<Note, Error>> =
        first.ok().map(|reply| candid::decode_one(&reply).unwrap());
    if trial.interruption.is_none() {
        assert_eq!(first.is_none(), trial.traps(), "{said}: {first:?}");
    }

    for _ in 0..8 {
        desks.pass(A_WHILE);
        if desks.work().pending == 0 {
            break;
        }
    }
    let work = desks.work();
    assert_eq!((work.pending, work.under_way), (0, 0), "{said}");

    let again = desks.write(author, trial.method, &args).expect(&said);
    if let Some(Ok(note)) = &first {
        assert_eq!(again.as_ref(), Ok(note), "{said}: the first success again");
    }
    let again = again.expect(&said);
    assert_eq!(
        desks.write(author, trial.method, &args).expect(&said),
        Ok(again.clone()),
        "{said}"
    );
    let mut notes = desks.notes();
    notes.retain(|note| note.title == title);
    let [note] = &notes[..] else {
        panic!("{said}: {notes:?}")
    };
    assert_eq!((note.id, note.author), (again.id, author), "{said}");
    match note.stamp {
        Stamp::Given(number) => {
            assert_eq!((stamps + 1, number), (desks.stamps(), number), "{said}")
        }
        // Only a peer that still refused when it was asked.
        Stamp::Refused(Error::Conflict { .. }) if trial.callee == Callee::Ends(Ending::Refuse) => {
            assert_eq!(desks.stamps(), stamps, "{said}");
        }
        _ => panic!("{said}: {note:?}"),
    }
    in_the_middle
}

/// Makes the trials one after the other. Of interruptions some are before, some in the middle of the call.
fn all(trials: impl IntoIterator<Item = Trial>) {
    let desks = Desks::new();
    let trials: Vec<_> = trials.into_iter().collect();
    let in_the_middle = (1..)
        .zip(&trials)
        .filter(|(number, trial)| run(&desks, *number, **trial))
        .count();
    let interrupted = trials.iter().any(|trial| trial.interruption.is_some());
    assert_eq!(interrupted, in_the_middle > 0);
    assert!(in_the_middle < trials.len());
}

fn trapping(method: &'static str, wait: Wait) -> impl Iterator<Item = Trial> {
    let traps = [
        None,
        Some(Point::BeforeCall),
        Some(Point::Reply),
        Some(Point::ReplyRecorded),
        Some(Point::Rejection),
    ];
    CALLEES.into_iter().flat_map(move |callee| {
        traps.map(|trap| Trial {
            method,
            wait,
            callee,
            trap,
            interruption: None,
        })
    })
}

fn interrupted(
    method: &'static str,
    interruption: Interruption,
    callees: &[Callee],
    trap: Option<Point>,
) -> impl Iterator<Item = Trial> {
    callees.iter().flat_map(move |callee| {
        (0..ROUNDS).map(move |round| Trial {
            method,
            wait: Wait::Suite,
            callee: *callee,
            trap,
            interruption: Some((interruption, round)),
        })
    })
}

#[test]
fn a_direct_call_to_the_suite_survives_every_trap() {
    all(trapping("file_note", Wait::Suite));
}

#[test]
fn a_direct_call_outside_the_suite_survives_every_trap() {
    all(trapping("file_note", Wait::Outside));
}

#[test]
fn a_pending_operation_in_the_suite_survives_every_trap() {
    all(trapping("post_note", Wait::Suite));
}

#[test]
fn a_pending_operation_outside_the_suite_survives_every_trap() {
    all(trapping("post_note", Wait::Outside));
}

#[test]
fn a_direct_call_survives_upgrades_between_any_two_rounds() {
    all(interrupted(
        "file_note",
        Interruption::Upgrade,
        &CALLEES,
        None,
    ));
}

#[test]
fn a_pending_operation_survives_upgrades_between_any_two_rounds() {
    all(interrupted(
        "post_note",
        Interruption::Upgrade,
        &CALLEES,
        None,
    ));
}

#[test]
fn calls_survive_stops_between_any_two_rounds() {
    let callees = [Callee::Ends(Ending::Reply), Callee::Ends(Ending::Late)];
    all(["file_note", "post_note"]
        .into_iter()
        .flat_map(|method| interrupted(method, Interruption::Stop, &callees, None)));
}

#[test]
fn calls_survive_upgrades_and_traps_at_once() {
    let callees = [Callee::Ends(Ending::Reply)];
    let trap = Some(Point::ReplyRecorded);
    all(["file_note", "post_note"]
        .into_iter()
        .flat_map(|method| interrupted(method, Interruption::Upgrade, &callees, trap)));
}
