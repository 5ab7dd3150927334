//! Random histories of a registry: whatever people do in whatever order, and whenever it is closed and opened again,
//! nothing is decided without its quorum, twice, or lost, and the log explains all.

use std::collections::{BTreeMap, BTreeSet};

use crate::setting::{ANONYMOUS, APPLICANT, INSTALLER, OTHER_APPLICANT, Setting, person, profile};
use indus_api::registry::{
    Action, Governor, OrganisationChange, OrganisationKey, OrganisationStatus, Proposal,
    ProposalState, ProposeArgs, payload_hash,
};
use proptest::{collection::vec, prelude::*};
use registry::{State, organisations, proposals};

const DAY: u64 = 86_400_000_000_000;

#[derive(Clone, Debug)]
enum Step {
    Apply {
        caller: u8,
        slug: u8,
    },
    Change {
        caller: u8,
        organisation: u64,
        change: u8,
    },
    Governors {
        caller: u8,
        newcomer: u8,
    },
    Schedule {
        caller: u8,
        organisation: u64,
        days: u64,
    },
    Approve {
        caller: u8,
        back: u64,
        wrong: bool,
    },
    Reject {
        caller: u8,
        back: u64,
    },
    Cancel {
        caller: u8,
        back: u64,
    },
    Execute {
        caller: u8,
        back: u64,
    },
    Days(u64),
    Tick,
    Reopen,
}

fn steps() -> impl Strategy<Value = Step> {
    let caller = || {
        prop_oneof![
            1 => Just(ANONYMOUS),
            12 => 1..=6_u8,
            3 => Just(APPLICANT),
            3 => Just(OTHER_APPLICANT),
        ]
    };
    let organisation = || 4..12_u64;
    // Counted from the last one: those that are open are among them.
    let back = || 0..4_u64;
    prop_oneof![
        6 => (caller(), 0..4_u8).prop_map(|(caller, slug)| Step::Apply { caller, slug }),
        4 => (caller(), organisation(), 0..3_u8)
            .prop_map(|(caller, organisation, change)| Step::Change { caller, organisation, change }),
        1 => (caller(), 5..8_u8).prop_map(|(caller, newcomer)| Step::Governors { caller, newcomer }),
        2 => (caller(), organisation(), 0..40_u64)
            .prop_map(|(caller, organisation, days)| Step::Schedule { caller, organisation, days }),
        30 => (caller(), back(), prop::bool::weighted(0.05))
            .prop_map(|(caller, back, wrong)| Step::Approve { caller, back, wrong }),
        4 => (caller(), back()).prop_map(|(caller, back)| Step::Reject { caller, back }),
        1 => (caller(), back()).prop_map(|(caller, back)| Step::Cancel { caller, back }),
        2 => (caller(), back()).prop_map(|(caller, back)| Step::Execute { caller, back }),
        1 => (1..40_u64).prop_map(Step::Days),
        2 => Just(Step::Tick),
        2 => Just(Step::Reopen),
    ]
}

fn change(organisation: u64, which: u8) -> Action {
    let reason = String::from("as decided");
    let change = match which {
        0 => OrganisationChange::Suspend { reason },
        1 => OrganisationChange::Reinstate { reason },
        _ => OrganisationChange::Revoke { reason },
    };
    Action::ChangeOrganisation {
        organisation,
        change,
    }
}

/// Takes a step; whether it is accepted is the registry's business.
fn take(s: &mut Setting, step: Step) {
    let id = |s: &Setting, back: u64| s.state.next_proposal().saturating_sub(1 + back);
    match step {
        Step::Apply { caller, slug } => drop(s.apply(caller, profile(&format!("office-{slug}")))),
        Step::Change {
            caller,
            organisation,
            change: which,
        } => drop(s.propose(caller, change(organisation, which))),
        Step::Governors { caller, newcomer } => {
            let governor = |(n, organisation): (u8, u64)| Governor {
                principal: person(n),
                organisation,
            };
            let governors = [(1, 1), (2, 2), (3, 3), (4, 4), (newcomer, 5)].map(governor);
            let governors = governors.to_vec();
            drop(s.propose(caller, Action::SetGovernors { governors }));
        }
        Step::Schedule {
            caller,
            organisation,
            days,
        } => {
            let args = ProposeArgs {
                action: change(organisation, 0),
                lifetime_ns: Some(20 * DAY),
                not_before_ns: Some(s.time_ns + days * DAY),
            };
            drop(s.message(caller, |state, context| {
                proposals::propose(state, context, args)
            }));
        }
        Step::Approve {
            caller,
            back,
            wrong,
        } => {
            let id = id(s, back);
            let mut hash = s.hash(id);
            hash[0] ^= u8::from(wrong);
            drop(s.approve(caller, id, &hash));
        }
        Step::Reject { caller, back } => drop(s.reject(caller, id(s, back), "no")),
        Step::Cancel { caller, back } => drop(s.cancel(caller, id(s, back), "")),
        Step::Execute { caller, back } => {
            let id = id(s, back);
            drop(s.message(caller, |state, context| {
                proposals::execute(state, context, id)
            }));
        }
        Step::Days(days) => s.time_ns += days * DAY,
        Step::Tick => {
            s.message(INSTALLER, |state, context| {
                registry::tick(state, context, 3)
            });
        }
        Step::Reopen => s.state = State::open(s.memory.clone()).unwrap(),
    }
}

fn is_over(proposal: &Proposal) -> bool {
    !matches!(
        proposal.state,
        ProposalState::Open | ProposalState::Approved { .. }
    )
}

/// What holds between any two messages.
fn check(s: &Setting, before: &BTreeMap<u64, Proposal>) -> BTreeMap<u64, Proposal> {
    let proposals: BTreeMap<u64, Proposal> = (1..s.state.next_proposal())
        .map(|id| (id, s.state.proposal(id).unwrap()))
        .collect();
    for (id, was) in before {
        let is = &proposals[id];
        assert!(
            !is_over(was) || is == was,
            "what is over has changed: {is:?}"
        );
        assert_eq!((&is.payload, is.proposer), (&was.payload, was.proposer));
        assert!(is.approvals.starts_with(&was.approvals), "a vote is lost");
    }
    let mut open = 0;
    for proposal in proposals.values() {
        let voters: BTreeSet<_> = proposal.approvals.iter().map(|one| one.governor).collect();
        assert_eq!(
            voters.len(),
            proposal.approvals.len(),
            "somebody voted twice"
        );
        assert!(
            !voters.contains(&proposal.proposer),
            "an own proposal was approved"
        );
        let carried = matches!(
            proposal.state,
            ProposalState::Executed { .. }
                | ProposalState::Approved { .. }
                | ProposalState::Failed { .. }
        );
        let of: BTreeSet<_> = proposal
            .approvals
            .iter()
            .map(|one| one.organisation)
            .collect();
        let met = voters.len() >= proposal.quorum.approvals as usize
            && of.len() >= proposal.quorum.organisations as usize;
        assert!(!carried || met, "decided without a quorum: {proposal:?}");
        if let (ProposalState::Executed { at_ns }, Some(not_before)) =
            (&proposal.state, proposal.not_before_ns)
        {
            assert!(*at_ns >= not_before, "carried out before its time");
        }
        open += u64::from(!is_over(proposal));
        assert_eq!(payload_hash(&proposal.payload), s.hash(proposal.id));
    }
    assert_eq!(
        s.state.open_count(),
        open,
        "a proposal is lost, or never ends"
    );

    let all: Vec<_> = (1..s.state.next_organisation())
        .map(|id| s.state.organisation(id).unwrap())
        .collect();
    let mut slugs = BTreeSet::new();
    let mut pending = 0;
    for organisation in &all {
        use OrganisationStatus::{Active, InReview, Pending, Suspended};
        let key = OrganisationKey::Slug(organisation.profile.slug.clone());
        match organisation.status {
            Active | Suspended => {
                assert!(
                    slugs.insert(&organisation.profile.slug),
                    "a slug is taken twice"
                );
                let found = organisations::get(&s.state, key).unwrap();
                assert_eq!(found.id, organisation.id);
            }
            Pending | InReview => {
                pending += 1;
                let proposal = &proposals[&organisation.application.unwrap()];
                assert!(!is_over(proposal), "an application is decided and pending");
            }
            _ => {}
        }
    }
    assert_eq!(s.state.pending_count(), pending);
    proposals
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn nothing_is_decided_without_its_quorum_twice_or_lost(steps in vec(steps(), 1..120)) {
        let mut s = Setting::new();
        let mut proposals = BTreeMap::new();
        for step in steps {
            take(&mut s, step);
            proposals = check(&s, &proposals);
        }
        s.assert_explained();
    }
}
