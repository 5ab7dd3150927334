//! Every layout that was released opens, says what it said then, and goes on: with a release that is under way, too.

use std::path::PathBuf;

use app_hosting::{
    care::{self, Said},
    state::LAYOUT,
};
use ic_stable_structures::VectorMemory;
use indus_api::hosting::{Ended, ReleaseState};
use serde::{Deserialize, Serialize};
use testnet::{Basics, Layouts};

use crate::{
    releases::{approver, hash, proposal},
    setting::{Setting, developer, founder, named},
};

const ONE: &[u8] = b"the first module";
const TWO: &[u8] = b"the second module";

/// What a recorded app_hosting says.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Facts {
    #[serde(flatten)]
    basics: Basics,
    /// Canisters of the apps 1 and 2, slots that are taken, and releases that are live.
    canisters: Vec<(String, Option<u64>)>,
    slots: [u32; 2],
    /// Releases that are under way.
    running: u64,
}

fn layouts() -> Layouts {
    Layouts::new(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/released"))
}

fn facts(s: &Setting) -> Facts {
    let canisters = [1, 2].into_iter().flat_map(|app| s.canisters(app));
    Facts {
        basics: Basics::of(&s.state.kit, s.time_ns),
        canisters: canisters
            .map(|one| (one.canister.to_text(), one.release))
            .collect(),
        slots: [s.app(1).pending, s.app(2).pending],
        running: s.state.pending.len(),
    }
}

/// A founder's app with two live releases and a third one that is stopped in its middle, a slot whose canister has not come, a reading; an
/// agency's app with a release that waits for its second person.
fn example() -> (VectorMemory, Facts) {
    let mut s = Setting::new();
    let (one, office) = (founder(1), developer(2, 7));
    s.create_app(&one, named("kisan", None)).unwrap();
    let creation = s.begin(&one).unwrap();
    let canister = s.created(&one, &creation).unwrap();
    s.begin(&one).unwrap();
    for (n, module) in [(1, ONE), (2, TWO)] {
        s.upload(&one, 1, module).unwrap();
        s.propose(&one, proposal(canister, module)).unwrap();
        s.carried(n, None, true);
    }
    s.update(&one, |state, context| {
        let said = Said {
            cycles: 7,
            memory_bytes: 8,
            idle_cycles_burned_per_day: 9,
            module_hash: Some(hash(TWO)),
            controllers: creation.controllers.clone(),
        };
        care::read(state, context, canister, &said, Some(2), u128::MAX)
    })
    .unwrap();
    s.create_app(&office, named("tax", Some(7))).unwrap();
    s.choose(&office, 2).unwrap();
    let creation = s.begin(&office).unwrap();
    let theirs = s.created(&office, &creation).unwrap();
    s.upload(&office, 2, ONE).unwrap();
    s.propose(&office, proposal(theirs, ONE)).unwrap();
    s.roll_back(&one, canister, None).unwrap();
    s.steps(4, Some(TWO), true, 6);
    let facts = facts(&s);
    (s.memory.clone(), facts)
}

#[test]
fn every_released_layout_opens_and_goes_on() {
    layouts().record(LAYOUT, example);
    for layout in 1..=LAYOUT {
        let mut s = Setting::new();
        s.memory = VectorMemory::default();
        let recorded: Facts = layouts().load(layout, &s.memory);
        s.time_ns = recorded.basics.time_ns;
        s.reopen();
        assert_eq!(facts(&s), recorded, "layout {layout}");

        // What was under way goes on from where it was.
        assert_eq!(s.carried(4, Some(TWO), true).0, Ended::Live);
        let waits = s.release(3);
        assert_eq!(waits.state, ReleaseState::Proposed);
        s.approve(&approver(3, 7), &waits).unwrap();
        assert_eq!(s.carried(3, None, true).0, Ended::Live);
        let canister = s.canisters(1)[0].canister;
        s.roll_back(&founder(1), canister, None).unwrap();
        assert_eq!(s.carried(5, Some(ONE), true).0, Ended::Live);
        assert_eq!(s.release(5).rolls_back_to, Some(2));
        s.begin(&founder(1)).unwrap();
        assert_eq!(s.app(1).pending, recorded.slots[0] + 1);
        s.reopen();
        s.audit();
    }
}
