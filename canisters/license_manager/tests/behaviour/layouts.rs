//! Every layout that was released opens, says what it said then, and goes on.

use std::{collections::BTreeMap, path::PathBuf};

use ic_stable_structures::VectorMemory;
use indus_api::licences::SeatState;
use license_manager::{State, seats, state::LAYOUT};
use serde::{Deserialize, Serialize};
use testnet::Layouts;

use crate::setting::{APPLICANT, DAY, HOLDER, QUEUE, REVIEW, STRANGER, Setting, person};

/// What a recorded license manager says.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Facts {
    certified_root: String,
    blocks: u64,
    /// Records of each collection.
    records: BTreeMap<String, u64>,
    time_ns: u64,
}

fn layouts() -> Layouts {
    Layouts::new(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/released"))
}

fn facts(setting: &Setting) -> Facts {
    let certified = &setting.state.kit.certified;
    let records = certified.collections().iter();
    let records = records.map(|one| (one.spec().name.to_owned(), one.len()));
    Facts {
        certified_root: hex::encode(certified.root_hash()),
        blocks: certified.log_len(),
        records: records.collect(),
        time_ns: setting.time_ns,
    }
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
        let facts = facts(&s);
        (s.memory.clone(), facts)
    });
    for layout in 1..=LAYOUT {
        let mut s = Setting::new();
        s.memory = VectorMemory::default();
        let expected: Facts = layouts().load(layout, &s.memory);
        s.time_ns = expected.time_ns;
        s.state = State::open(s.memory.clone()).unwrap();
        assert_eq!(facts(&s), expected, "layout {layout}");
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
