//! What governors and proposers can rely on.

use crate::setting::{
    ANONYMOUS, APPLICANT, GOVERNORS, INSTALLER, Setting, conflict, init, invalid_field, needs,
    not_found, person, profile,
};
use indus_api::{
    Error,
    paging::PageArgs,
    registry::{
        Action, Governor, OrganisationStatus, ProposalState, ProposeArgs, Quorum, Quorums, Site,
        proposals::{DEFAULT_LIFETIME_NS, MAX_LIFETIME_NS, MAX_VOTE_REASON_BYTES},
    },
};
use registry::{State, proposals};

fn site(slug: &str) -> Action {
    Action::RecordSite(Site {
        slug: slug.into(),
        city: "Quetta".into(),
        country: "PK".into(),
        operator: "ntc".into(),
    })
}

fn governors(of: &[(u8, u64)]) -> Action {
    let governor = |(n, organisation): &(u8, u64)| Governor {
        principal: person(*n),
        organisation: *organisation,
    };
    Action::SetGovernors {
        governors: of.iter().map(governor).collect(),
    }
}

fn quorum(approvals: u32, organisations: u32) -> Quorum {
    Quorum {
        approvals,
        organisations,
    }
}

#[test]
fn the_third_approval_carries_it_out_and_not_the_second() {
    let mut s = Setting::new();
    let id = s.propose(5, site("que-1")).unwrap().id;
    for governor in [1, 2] {
        assert_eq!(s.agree(governor, id).unwrap().state, ProposalState::Open);
    }
    let at_ns = s.time_ns + 1;
    let done = s.agree(3, id).unwrap();
    assert_eq!(done.state, ProposalState::Executed { at_ns });
    assert_eq!(s.state.open_count(), 0);
    let error = s.refused(|s| s.agree(4, id));
    assert_eq!(conflict(error), "the proposal is executed");
    s.assert_explained();
}

#[test]
fn approving_again_changes_nothing_and_counts_once() {
    let mut s = Setting::new();
    let id = s.propose(5, site("que-1")).unwrap().id;
    let first = s.agree(1, id).unwrap();
    let bytes = s.memory.borrow().clone();
    for _ in 0..3 {
        assert_eq!(s.agree(1, id).unwrap(), first);
    }
    assert!(*s.memory.borrow() == bytes);
    s.carried(id);
    // A late repetition is answered with what has become of it.
    assert!(matches!(
        s.agree(1, id).unwrap().state,
        ProposalState::Executed { .. }
    ));
}

#[test]
fn nobody_decides_on_an_own_proposal() {
    let mut s = Setting::new();
    let id = s.propose(1, site("que-1")).unwrap().id;
    let error = s.refused(|s| s.agree(1, id));
    assert_eq!(needs(error), "a governor other than the proposer");
    let error = s.refused(|s| s.reject(1, id, "no"));
    assert_eq!(needs(error), "a governor other than the proposer");
    let own = s.apply(2, profile("nadra")).unwrap().application.unwrap();
    let error = s.refused(|s| s.agree(2, own));
    assert_eq!(needs(error), "a governor other than the proposer");
}

#[test]
fn what_is_not_what_the_governor_read_is_not_approved() {
    let mut s = Setting::new();
    let id = s.propose(1, site("que-1")).unwrap().id;
    let current = s.hash(id);
    let mut other = current;
    other[31] ^= 1;
    let stale = Error::Stale {
        current: hex::encode(current),
    };
    assert_eq!(s.refused(|s| s.approve(2, id, &other)), stale);
    for length in [0, 31, 33, 64] {
        let error = s.refused(|s| s.approve(2, id, &vec![0; length]));
        assert_eq!(invalid_field::<()>(Err(error)), "payload_hash");
    }
    for absent in [0, 7] {
        let error = s.refused(|s| s.approve(2, absent, &current));
        assert_eq!(error, not_found("proposal", absent));
    }
}

#[test]
fn the_same_proposal_while_open_is_answered_again() {
    let mut s = Setting::new();
    let first = s.propose(1, site("que-1")).unwrap();
    let bytes = s.memory.borrow().clone();
    assert_eq!(s.propose(1, site("que-1")).unwrap(), first);
    assert!(*s.memory.borrow() == bytes);
    assert_ne!(s.propose(2, site("que-1")).unwrap().id, first.id);
    s.cancel(1, first.id, "").unwrap();
    assert_ne!(s.propose(1, site("que-1")).unwrap().id, first.id);
}

#[test]
fn a_proposal_is_rejected_when_its_quorum_cannot_be_met_any_more() {
    let mut s = Setting::new();
    // Four governors are left to agree, three have to.
    let id = s.propose(5, site("que-1")).unwrap().id;
    assert_eq!(
        s.reject(1, id, "no such site").unwrap().state,
        ProposalState::Open
    );
    let error = s.refused(|s| s.agree(1, id));
    assert_eq!(conflict(error), "the caller refused it");
    s.agree(3, id).unwrap();
    let error = s.refused(|s| s.reject(3, id, "after all"));
    assert_eq!(conflict(error), "the caller approved it");
    let rejected = s.reject(2, id, "no such site").unwrap();
    assert!(matches!(rejected.state, ProposalState::Rejected { .. }));
    let reasons: Vec<_> = rejected
        .rejections
        .iter()
        .map(|one| &one.reason[..])
        .collect();
    assert_eq!(reasons, ["no such site", "no such site"]);

    let applied = s.apply(APPLICANT, profile("nadra")).unwrap();
    let id = applied.application.unwrap();
    // All five may agree to an application: three refusals end it.
    for governor in [1, 2, 3] {
        s.reject(governor, id, "unknown").unwrap();
    }
    let ended = s.state.organisation(applied.id).unwrap();
    assert_eq!(ended.status, OrganisationStatus::Rejected);
    assert_eq!(ended.steps.last().unwrap().reason, "unknown");
    assert_eq!((s.state.pending_count(), s.state.open_count()), (0, 0));
    s.assert_explained();
}

#[test]
fn a_reason_is_given_and_short() {
    let mut s = Setting::new();
    let id = s.propose(5, site("que-1")).unwrap().id;
    for bad in [
        "",
        " ",
        "a\u{1b}[2J",
        &"a".repeat(MAX_VOTE_REASON_BYTES + 1),
    ] {
        let error = s.refused(|s| s.reject(1, id, bad));
        assert_eq!(invalid_field::<()>(Err(error)), "reason", "{bad:?}");
    }
    let longest = "a".repeat(MAX_VOTE_REASON_BYTES);
    s.reject(1, id, &longest).unwrap();
    let error = s.refused(|s| s.cancel(5, id, "a\n"));
    assert_eq!(invalid_field::<()>(Err(error)), "reason");
}

#[test]
fn only_its_proposer_takes_a_proposal_back() {
    let mut s = Setting::new();
    let applied = s.apply(APPLICANT, profile("nadra")).unwrap();
    let id = applied.application.unwrap();
    let error = s.refused(|s| s.cancel(1, id, ""));
    assert_eq!(needs(error), "its proposer");
    let cancelled = s.cancel(APPLICANT, id, "filed twice").unwrap();
    assert_eq!(s.cancel(APPLICANT, id, "filed twice").unwrap(), cancelled);
    let error = s.refused(|s| s.cancel(APPLICANT, id, ""));
    assert_eq!(conflict(error), "the proposal is cancelled");
    let organisation = s.state.organisation(applied.id).unwrap();
    assert_eq!(organisation.status, OrganisationStatus::Withdrawn);
}

#[test]
fn a_proposal_expires_to_the_nanosecond_and_by_itself() {
    let mut s = Setting::new();
    let applied = s.apply(APPLICANT, profile("nadra")).unwrap();
    let id = applied.application.unwrap();
    let end = s.state.proposal(id).unwrap().expires_at_ns;
    assert_eq!(end, s.time_ns + DEFAULT_LIFETIME_NS);
    s.time_ns = end - 2;
    s.agree(1, id).unwrap();
    let error = s.refused(|s| s.agree(2, id));
    assert_eq!(error, Error::Expired);
    s.message(INSTALLER, |state, context| {
        registry::tick(state, context, 10)
    });
    let expired = s.state.proposal(id).unwrap();
    assert!(matches!(expired.state, ProposalState::Expired { .. }));
    let organisation = s.state.organisation(applied.id).unwrap();
    assert_eq!(organisation.status, OrganisationStatus::Rejected);
    assert_eq!(s.state.open_count(), 0);
}

#[test]
fn a_scheduled_proposal_waits_for_its_time_and_is_checked_again_then() {
    let mut s = Setting::new();
    let later = s.time_ns + 1_000;
    let scheduled = |s: &mut Setting, slug: &str| {
        let args = ProposeArgs {
            action: site(slug),
            lifetime_ns: None,
            not_before_ns: Some(later),
        };
        let proposal = s.message(5, |state, context| proposals::propose(state, context, args));
        s.carried(proposal.unwrap().id)
    };
    let first = scheduled(&mut s, "que-1");
    let second = scheduled(&mut s, "que-2");
    assert!(matches!(first.state, ProposalState::Approved { .. }));
    let execute = |s: &mut Setting, caller, id| {
        s.message(caller, |state, context| {
            proposals::execute(state, context, id)
        })
    };
    let error = s.refused(|s| execute(s, 1, first.id));
    assert_eq!(conflict(error), "its time has not come");
    s.time_ns = later - 1;
    let error = s.refused(|s| execute(s, ANONYMOUS, first.id));
    assert_eq!(needs(error), "an authenticated caller");
    let done = execute(&mut s, APPLICANT, first.id).unwrap();
    assert!(matches!(done.state, ProposalState::Executed { .. }));
    assert_eq!(execute(&mut s, 1, first.id).unwrap(), done);
    // The timer does what nobody asks for.
    s.message(INSTALLER, |state, context| {
        registry::tick(state, context, 10)
    });
    let done = s.state.proposal(second.id).unwrap();
    assert!(matches!(done.state, ProposalState::Executed { .. }));
    s.assert_explained();
}

#[test]
fn times_are_bounded() {
    let mut s = Setting::new();
    let now = s.time_ns + 1;
    for (lifetime_ns, not_before_ns, field) in [
        (Some(0), None, "lifetime_ns"),
        (Some(MAX_LIFETIME_NS + 1), None, "lifetime_ns"),
        (None, Some(now + MAX_LIFETIME_NS + 1), "not_before_ns"),
        (None, Some(u64::MAX), "not_before_ns"),
    ] {
        let args = ProposeArgs {
            action: site("que-1"),
            lifetime_ns,
            not_before_ns,
        };
        s.time_ns = now - 1;
        let error =
            s.refused(|s| s.message(1, |state, context| proposals::propose(state, context, args)));
        assert_eq!(invalid_field::<()>(Err(error)), field);
    }
}

#[test]
fn what_no_quorum_could_decide_is_refused_before_anybody_votes() {
    let mut s = Setting::new();
    let set = |ordinary, constitutional| {
        Action::SetQuorums(Quorums {
            ordinary,
            constitutional,
        })
    };
    // Five governors, one of whom proposes: four can agree.
    let error = s.refused(|s| s.propose(1, set(quorum(5, 3), quorum(4, 3))));
    assert_eq!(error, Error::QuorumNotMet { have: 4, need: 5 });
    let error = s.refused(|s| s.propose(1, governors(&[(1, 1), (2, 2), (3, 3), (4, 4)])));
    assert_eq!(error, Error::QuorumNotMet { have: 3, need: 4 });
    // Enough people, of too few organisations.
    let one_sided = governors(&[(1, 1), (2, 1), (3, 1), (4, 2), (5, 3)]);
    let error = s.refused(|s| s.propose(1, one_sided));
    assert_eq!(error, Error::QuorumNotMet { have: 2, need: 3 });
    for bad in [quorum(0, 0), quorum(3, 0), quorum(3, 4)] {
        let error = s.refused(|s| s.propose(1, set(bad, quorum(4, 3))));
        assert_eq!(invalid_field::<()>(Err(error)), "ordinary");
    }
    let nobody = governors(&[(1, 1), (2, 2), (3, 3), (4, 4), (5, 99)]);
    let error = s.refused(|s| s.propose(1, nobody));
    assert_eq!(error, not_found("organisation", 99));
}

#[test]
fn constitutional_changes_need_four() {
    let mut s = Setting::new();
    let next = governors(&[(1, 1), (2, 2), (3, 3), (4, 4), (6, 5)]);
    let id = s.propose(1, next).unwrap().id;
    for governor in [2, 3, 4] {
        assert_eq!(s.agree(governor, id).unwrap().state, ProposalState::Open);
    }
    let done = s.agree(5, id).unwrap();
    assert!(matches!(done.state, ProposalState::Executed { .. }));
    // The fifth has left, and another one has come.
    let error = s.refused(|s| s.propose(5, site("que-1")));
    assert_eq!(needs(error), "a governor");
    s.propose(6, site("que-1")).unwrap();
    s.state = State::open(s.memory.clone()).unwrap();
    s.propose(6, site("que-2")).unwrap();
    s.assert_explained();
}

#[test]
fn the_approval_of_a_governor_who_has_left_does_not_count() {
    let mut s = Setting::new();
    let id = s.propose(1, site("que-1")).unwrap().id;
    s.agree(5, id).unwrap();
    s.agree(2, id).unwrap();
    s.decided_by_four(governors(&[(1, 1), (2, 2), (3, 3), (4, 4), (6, 5)]));
    assert_eq!(s.agree(3, id).unwrap().state, ProposalState::Open);
    let done = s.agree(4, id).unwrap();
    assert!(matches!(done.state, ProposalState::Executed { .. }));
}

impl Setting {
    fn decided_by_four(&mut self, action: Action) {
        let id = self.propose(1, action).unwrap().id;
        for governor in [2, 3, 4, 5] {
            self.agree(governor, id).unwrap();
        }
    }
}

#[test]
fn an_installation_that_could_never_decide_is_refused() {
    let refusal = |change: fn(&mut indus_api::registry::InitArgs)| {
        let mut args = init();
        change(&mut args);
        Setting::with(args).err().expect("refused")
    };
    let field = |error| invalid_field::<()>(Err(error));
    assert_eq!(field(refusal(|args| args.governors.clear())), "governors");
    assert_eq!(field(refusal(|args| args.founders.clear())), "founders");
    assert_eq!(
        field(refusal(
            |args| args.governors[0].principal = person(ANONYMOUS)
        )),
        "governors"
    );
    assert_eq!(
        field(refusal(|args| args.governors[0].principal = person(2))),
        "governors"
    );
    assert_eq!(
        field(refusal(|args| args.governors[0].organisation = 6)),
        "governors"
    );
    assert_eq!(
        field(refusal(|args| args.founders[1].slug = "council-1".into())),
        "founders"
    );
    assert_eq!(
        field(refusal(|args| args.founders[1].parent = Some(2))),
        "parent"
    );
    assert_eq!(
        refusal(|args| args.governors.truncate(3)),
        Error::QuorumNotMet { have: 2, need: 3 }
    );
}

#[test]
fn proposals_are_listed_in_pages() {
    let mut s = Setting::new();
    for n in 0..3 {
        s.propose(GOVERNORS[0], site(&format!("site-{n}"))).unwrap();
    }
    let page = |after, limit| {
        let page = proposals::list(&s.state, PageArgs { after, limit }).unwrap();
        let ids: Vec<_> = page.items.iter().map(|one| one.id).collect();
        (ids, page.next)
    };
    assert_eq!(page(None, 2), (vec![1, 2], Some(2)));
    assert_eq!(page(Some(2), 2), (vec![3], None));
}
