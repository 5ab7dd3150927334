//! Every layout that was released opens, says what it said then, and goes on.

use std::path::PathBuf;

use ic_stable_structures::VectorMemory;
use indus_api::licences::SeatState;
use license_manager::{State, seats, state::LAYOUT};
use testnet::{Basics, Layouts};

use crate::setting::{APPLICANT, DAY, HOLDER, QUEUE, REVIEW, STRANGER, Setting, person};

fn layouts() -> Layouts {
    Layouts::new(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/released"))
}

/// A closed round with a seat that is in use, one that waits to be claimed, and somebody who waits; and an open round with an
/// application that was reviewed.
fn example() -> Setting {
    let mut s = Setting::new();
    let ids = s.ranked(QUEUE, &[(HOLDER, 90), (APPLICANT, 80), (STRANGER, 70)]);
    let seat = s.grant(ids[0]).unwrap().seat;
    s.claim(HOLDER, seat).unwrap();
    s.grant(ids[1]).unwrap();
    s.open_round();
    let id = s.apply(20, QUEUE).unwrap().content.id;
    s.review(REVIEW, id, 10).unwrap();
    s
}

#[test]
fn every_released_layout_opens_and_goes_on() {
    layouts().record(LAYOUT, || {
        let s = example();
        let basics = Basics::of(&s.state.kit, s.time_ns);
        (s.memory.clone(), basics)
    });
    for layout in 1..=LAYOUT {
        let mut s = Setting::new();
        s.memory = VectorMemory::default();
        let expected: Basics = layouts().load(layout, &s.memory);
        s.time_ns = expected.time_ns;
        s.state = State::open(s.memory.clone()).unwrap();
        assert_eq!(
            Basics::of(&s.state.kit, s.time_ns),
            expected,
            "layout {layout}"
        );
        s.state.seed([8; 32]);

        let held = seats::get(&s.state, 1).unwrap();
        assert!(matches!(held.state, SeatState::Active(_)));
        // The second seat is not claimed in time: who waits has it.
        s.time_ns += 15 * DAY;
        s.tick();
        let next = seats::get(&s.state, 2).unwrap();
        assert_eq!(next.holder, person(STRANGER));
        s.claim(STRANGER, 2).unwrap();
        s.close_round(2).unwrap();
        s.audit();
        s.reopen();
        s.audit();
    }
}
