//! Every layout that was released opens, says what it said then, and goes on.

use std::path::PathBuf;

use identity::{State, messaging_keys, state::LAYOUT};
use indus_api::identity::{DEFAULT_RECOVERY_DELAY_NS, RecoveryEnd};
use indus_api::signatures::SIGNATURES;
use serde::{Deserialize, Serialize};
use testnet::{Basics, Layouts};

use crate::{
    setting::{
        CLERK_KEY, NEW_KEY, OFFICIAL, Officials, Refusal, SECOND_OFFICIAL, Setting, key,
        messaging_key, own, refusal, suite,
    },
    sparse::SparseMemory,
};

/// What a recorded identity says.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Facts {
    #[serde(flatten)]
    basics: Basics,
    /// The clerk of [`example`].
    clerk: String,
}

fn layouts() -> Layouts {
    Layouts::new(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/released"))
}

fn facts(setting: &Setting, clerk: String) -> Facts {
    Facts {
        basics: Basics::of(&setting.state.kit, setting.time_ns),
        clerk,
    }
}

/// Officials, a clerk with two keys whose recovery waits, a credential that holds and one that does not, two messaging keys, an
/// open pairing.
fn example() -> Officials {
    let mut o = Officials::new();
    let code = o.s.open_pairing(key(CLERK_KEY)).unwrap().code;
    o.s.offer(key(50), o.clerk, &code).unwrap();
    o.s.confirm(key(CLERK_KEY), key(50)).unwrap();
    let args = o.credential();
    o.s.issue(key(OFFICIAL), args.clone()).unwrap();
    let other = indus_api::identity::IssueArgs {
        idempotency_key: serde_bytes::ByteBuf::from(*b"two"),
        ..args
    };
    o.s.issue(key(OFFICIAL), other).unwrap();
    o.s.revoke_credential(key(OFFICIAL), 2).unwrap();
    o.s.bind_for(key(50), 1, o.clerk).unwrap();
    let official = o.s.person(OFFICIAL);
    o.s.bind_for(key(OFFICIAL), 2, official).unwrap();
    o.approved(OFFICIAL, SECOND_OFFICIAL);
    o.s.open_pairing(key(OFFICIAL)).unwrap();
    o
}

#[test]
fn every_released_layout_opens_and_goes_on() {
    layouts().record(LAYOUT, || {
        let o = example();
        let facts = facts(&o.s, o.clerk.to_text());
        (o.s.memory.clone(), facts)
    });
    for layout in 1..=LAYOUT {
        let mut s = Setting::new();
        s.memory = SparseMemory::default();
        let expected: Facts = layouts().load(layout, &s.memory);
        s.time_ns = expected.basics.time_ns;
        s.state = State::open(s.memory.clone(), own()).unwrap();
        let mut found = facts(&s, expected.clerk.clone());
        if layout < LAYOUT {
            // What has been added since is there, and empty.
            found
                .basics
                .certified_root
                .clone_from(&expected.basics.certified_root);
            let known = &expected.basics.records;
            found
                .basics
                .records
                .retain(|name, records| known.contains_key(name) || *records > 0);
        }
        assert_eq!(found, expected, "layout {layout}");
        s.state.randomness.seed([8; 32]);

        // The keys are the clerk's until the recovery that waits takes them.
        for n in [CLERK_KEY, 50] {
            assert_eq!(s.person(n).to_text(), expected.clerk);
        }
        s.wait(DEFAULT_RECOVERY_DELAY_NS);
        let finished = s.finish(key(NEW_KEY), 1).unwrap();
        assert!(matches!(finished.end, Some(RecoveryEnd::Finished { .. })));
        assert_eq!(s.person(NEW_KEY).to_text(), expected.clerk);
        assert_eq!(
            refusal(s.open_pairing(key(CLERK_KEY))),
            Refusal::Unauthorized
        );
        let devices = |s: &Setting| {
            let keys = [1, 2].map(messaging_key);
            messaging_keys::devices(&s.state, &s.at(suite()), &keys).unwrap()
        };
        let official = (layout > 1).then_some(key(OFFICIAL));
        assert_eq!(devices(&s), [None, official]);
        // Credentials of before layout 2 are signed once their holder asks, the revoked one is not.
        s.sign(key(NEW_KEY), 1).unwrap();
        assert_eq!(refusal(s.sign(key(NEW_KEY), 2)), Refusal::Conflict);
        let signed = |s: &Setting| {
            let collections = s.state.kit.certified.collections().iter();
            collections
                .filter(|one| one.spec().name == SIGNATURES)
                .map(|one| one.len())
                .sum::<u64>()
        };
        assert_eq!(signed(&s), 1);
        s.audit();
        s.revoke_credential(key(OFFICIAL), 1).unwrap();
        assert_eq!(signed(&s), 0);
        s.audit();
        s.reopen();
        s.audit();
    }
}
