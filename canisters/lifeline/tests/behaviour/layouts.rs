//! Every layout that was released opens, says what it said then, and goes on: with an installation that is under way, too.

use std::{collections::BTreeMap, path::PathBuf};

use ic_stable_structures::VectorMemory;
use indus_api::lifeline::{Ended, InterventionState};
use indus_kit::Context;
use indus_orchestrator::{Answer, step::Info};
use lifeline::{interventions, state::LAYOUT};
use serde::{Deserialize, Serialize};
use testnet::{Basics, Layouts};

use crate::setting::{
    ARGUMENT, ONE, Setting, TWO, hosting, install, key, registry, set_controllers, set_keepers,
    upgrade,
};

/// What a recorded lifeline says.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Facts {
    #[serde(flatten)]
    basics: Basics,
    keepers: usize,
    /// Those that are over, in words.
    ended: BTreeMap<u64, String>,
    /// What was said of a failure.
    message: Option<String>,
    /// Installations that are under way.
    running: u64,
}

fn layouts() -> Layouts {
    Layouts::new(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/released"))
}

fn facts(s: &Setting) -> Facts {
    let ended = (1..=6).filter_map(|id| match s.get(id).state {
        InterventionState::Ended { how, .. } => Some((id, format!("{how:?}"))),
        _ => None,
    });
    let keeper = Context {
        caller: key(1),
        time_ns: s.time_ns,
    };
    Facts {
        basics: Basics::of(&s.state.kit, s.time_ns),
        keepers: s.keepers().keepers.len(),
        ended: ended.collect(),
        message: interventions::message(&s.state, &keeper, 2).unwrap(),
        running: s.state.pending.len(),
    }
}

/// 1: live. 2: undone. 3: new keepers. 4: what the governors decided, live. 5: one that waits for keepers, and its module. 6: one that is
/// stopped in its middle.
fn example() -> (VectorMemory, Facts) {
    let mut s = Setting::new();
    s.agreed(install(registry(), ONE)).unwrap();
    assert_eq!(s.carried(1, None, true).0, Ended::Live);
    s.agreed(install(registry(), TWO)).unwrap();
    let (undone, _) = s.carried(2, Some(ONE), false);
    assert_ne!(undone, Ended::Live);
    s.agreed(set_keepers(&[1, 2, 3, 4], 3)).unwrap();
    let decided = upgrade(5, hosting(), ONE);
    s.upload_decided(key(11), &decided, ONE).unwrap();
    s.carry_out(key(11), &decided, ARGUMENT).unwrap();
    let said = |asked| {
        Answer::Info(Info {
            name: "app_hosting".into(),
            maintenance: asked > 0,
            blocks: 7 + asked,
        })
    };
    assert_eq!(s.carried_with(4, Some(ONE), said).0, Ended::Live);
    s.upload(2, TWO).unwrap();
    let waits = s.propose(2, install(hosting(), TWO)).unwrap();
    s.approve(4, &waits).unwrap();
    s.agreed(install(registry(), TWO)).unwrap();
    for _ in 0..6 {
        s.step(6, Some(ONE), |_| Answer::Done);
    }
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

        // What was under way goes on from where it was, what waited is agreed to with what was uploaded for it.
        assert_eq!(s.carried(6, Some(ONE), true).0, Ended::Live);
        s.approve(3, &s.get(5)).unwrap();
        let (undone, _) = s.carried(5, Some(ONE), false);
        assert_ne!(undone, Ended::Live);
        s.agreed(set_controllers(registry(), &[7])).unwrap();
        assert!(s.set(7, 1, Ok(())));
        s.reopen();
        s.audit();
    }
}
