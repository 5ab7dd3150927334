//! Every layout that was released opens, says what it said then, and can be changed.

use std::path::PathBuf;

use candid::Principal;
use ic_stable_structures::VectorMemory;
use indus_api::registry::{
    Action, ApproveArgs, CancelArgs, Governor, InitArgs, OrganisationKey, OrganisationKind,
    OrganisationProfile, OrganisationStatus, ProposeArgs, Quorum, Quorums, RejectArgs, Site,
    payload_hash,
};
use indus_kit::{Context, kit};
use registry::{State, organisations, proposals, state::LAYOUT};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use sha2::{Digest as _, Sha256};
use testnet::Layouts;

/// What a recorded registry says.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Facts {
    certified_root: String,
    blocks: u64,
    governors: Vec<String>,
    /// SHA-256 of the stored bytes of each organisation, from id 1 on.
    records: Vec<String>,
    pending: u64,
}

fn layouts() -> Layouts {
    Layouts::new(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/layout/released"))
}

fn person(n: u8) -> Principal {
    Principal::from_slice(&[n, 1])
}

fn context(caller: u8, time_ns: u64) -> Context {
    Context {
        caller: person(caller),
        time_ns,
    }
}

fn profile(slug: &str, parent: Option<u64>) -> OrganisationProfile {
    OrganisationProfile {
        slug: slug.into(),
        name: format!("Office of {slug}"),
        kind: OrganisationKind::Agency,
        parent,
        sector: "government".into(),
        seat: "Islamabad".into(),
    }
}

fn hash(state: &State<VectorMemory>, id: u64) -> Option<[u8; 32]> {
    let key = indus_api::registry::organisation_key(id);
    let record = state.kit.certified.get(indus_kit::CollectionId(0), &key)?;
    Some(Sha256::digest(record).into())
}

fn facts(state: &State<VectorMemory>) -> Facts {
    let records = (1..state.next_organisation())
        .filter_map(|id| hash(state, id))
        .map(hex::encode);
    let governors = state.governors().expect("governors");
    Facts {
        certified_root: hex::encode(state.kit.certified.root_hash()),
        blocks: state.kit.certified.log_len(),
        governors: governors
            .iter()
            .map(|one| one.principal.to_text())
            .collect(),
        records: records.collect(),
        pending: state.pending_count(),
    }
}

/// A registry with an organisation and a proposal in most of their states.
fn example() -> (VectorMemory, State<VectorMemory>) {
    let memory = VectorMemory::default();
    let governor = |n: u8| Governor {
        principal: person(n),
        organisation: n.into(),
    };
    let quorum = Quorum {
        approvals: 2,
        organisations: 2,
    };
    let args = InitArgs {
        founders: ["pmo", "moitt", "pda"]
            .map(|slug| profile(slug, None))
            .to_vec(),
        governors: [1, 2, 3].map(governor).to_vec(),
        quorums: Quorums {
            ordinary: quorum,
            constitutional: quorum,
        },
    };
    let mut state = State::create(memory.clone(), &context(9, 1), args).expect("a registry");
    let mut apply = |caller, slug, parent| {
        let applied = organisations::apply(&mut state, &context(caller, 2), profile(slug, parent));
        applied.expect("applied").application.expect("a proposal")
    };
    let [first, second] = ["sbp", "nadra"].map(|slug| apply(10, slug, None));
    let below = apply(11, "psd", Some(1));
    let [withdrawn, in_review, _pending] =
        ["ptcl", "pta", "ogra"].map(|slug| apply(12, slug, None));
    for (governor, id) in [
        (1, first),
        (2, first),
        (1, below),
        (2, below),
        (3, in_review),
    ] {
        approve(&mut state, governor, id, 3);
    }
    for governor in [1, 3] {
        let args = RejectArgs {
            id: second,
            payload_hash: hash_of(&state, second),
            reason: "no such office".into(),
        };
        proposals::reject(&mut state, &context(governor, 4), args).expect("refused");
    }
    let args = CancelArgs {
        id: withdrawn,
        reason: String::new(),
    };
    proposals::cancel(&mut state, &context(12, 5), args).expect("withdrawn");
    let args = ProposeArgs {
        action: Action::RecordSite(Site {
            slug: "isb-1".into(),
            city: "Islamabad".into(),
            country: "PK".into(),
            operator: "ntc".into(),
        }),
        lifetime_ns: None,
        not_before_ns: Some(10),
    };
    let site = proposals::propose(&mut state, &context(3, 6), args)
        .expect("proposed")
        .id;
    for governor in [1, 2] {
        approve(&mut state, governor, site, 7);
    }
    state.kit.certified.commit();
    (memory, state)
}

fn hash_of(state: &State<VectorMemory>, proposal: u64) -> ByteBuf {
    let proposal = state.proposal(proposal).expect("a proposal");
    ByteBuf::from(payload_hash(&proposal.payload).to_vec())
}

fn approve(state: &mut State<VectorMemory>, governor: u8, id: u64, time_ns: u64) {
    let args = ApproveArgs {
        id,
        payload_hash: hash_of(state, id),
    };
    proposals::approve(state, &context(governor, time_ns), args).expect("approved");
}

#[test]
fn every_released_layout_opens_and_says_what_it_said() {
    layouts().record(LAYOUT, || {
        let (memory, state) = example();
        let facts = facts(&state);
        (memory, facts)
    });
    for layout in 1..=LAYOUT {
        let memory = VectorMemory::default();
        let expected: Facts = layouts().load(layout, &memory);
        let mut state = State::open(memory.clone()).expect("it opens");
        let mut found = facts(&state);
        if layout < LAYOUT {
            // Collections that it had not are in the root, empty.
            found.certified_root.clone_from(&expected.certified_root);
        }
        assert_eq!(found, expected, "layout {layout}");

        // It goes on from there, in maintenance first, and opens again.
        state.kit.upgraded(&context(9, 100)).expect("upgraded");
        assert!(state.kit.in_maintenance());
        state
            .kit
            .confirm_upgrade(&context(9, 101))
            .expect("confirmed");
        let status = |state: &State<VectorMemory>, id| {
            let found = organisations::get(state, OrganisationKey::Id(id));
            found.expect("an organisation").status
        };
        // What was pending is decided: in layout 1 by one governor, after the applicant has asked for a proposal.
        let pending = if layout == 1 { 4 } else { 9 };
        assert_eq!(status(&state, pending), OrganisationStatus::Pending);
        let profile = state
            .organisation(pending)
            .expect("an organisation")
            .profile;
        let applied =
            organisations::apply(&mut state, &context(12, 102), profile).expect("applied");
        assert_eq!(applied.id, pending);
        let proposal = applied.application.expect("a proposal");
        for governor in if layout == 1 { &[1][..] } else { &[1, 2] } {
            approve(&mut state, *governor, proposal, 103);
        }
        assert_eq!(status(&state, pending), OrganisationStatus::Active);
        if layout > 1 {
            proposals::execute(&mut state, &context(20, 104), 7).expect("carried out");
        }
        let root = state.kit.certified.commit();
        let again = State::open(memory).expect("it opens again");
        assert_eq!(again.kit.certified.root_hash(), root);
        assert_eq!(again.kit.certified.log_len(), state.kit.certified.log_len());
        assert_eq!(status(&again, pending), OrganisationStatus::Active);
        assert_eq!(
            again.kit.definition().supported_block_types()[0].block_type,
            kit::INSTALLED
        );
    }
}
