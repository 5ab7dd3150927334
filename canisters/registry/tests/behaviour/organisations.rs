//! What applicants, governors and readers can rely on.

use crate::setting::{
    APPLICANT, FIRST, GOVERNORS, OTHER_APPLICANT, Setting, conflict, invalid_field, not_found,
    person, profile, record,
};
use indus_api::{
    Error,
    paging::PageArgs,
    registry::{
        Action, MAX_NAME_BYTES, MAX_PENDING, MAX_PENDING_PER_CALLER, MAX_STEPS, OrganisationChange,
        OrganisationKey, OrganisationProfile, OrganisationStatus, Step, organisation_path,
    },
};
use registry::organisations;

fn no_organisation(id: impl ToString) -> Error {
    not_found("organisation", id)
}

fn status(s: &Setting, id: u64) -> OrganisationStatus {
    s.state.organisation(id).unwrap().status
}

fn change(organisation: u64, change: OrganisationChange) -> Action {
    Action::ChangeOrganisation {
        organisation,
        change,
    }
}

fn suspend(organisation: u64) -> Action {
    let reason = "under investigation".into();
    change(organisation, OrganisationChange::Suspend { reason })
}

fn reinstate(organisation: u64) -> Action {
    let reason = "cleared".into();
    change(organisation, OrganisationChange::Reinstate { reason })
}

fn revoke(organisation: u64) -> Action {
    let reason = "dissolved".into();
    change(organisation, OrganisationChange::Revoke { reason })
}

fn taken(slug: &str) -> Error {
    Error::AlreadyExists {
        what: "organisation".into(),
        id: slug.into(),
    }
}

// --- applying

#[test]
fn an_application_is_pending_and_certified_as_it_was_answered() {
    let mut s = Setting::new();
    let answered = s.apply(APPLICANT, profile("nadra")).unwrap();
    assert_eq!((answered.id, answered.application), (FIRST, Some(1)));
    assert_eq!(answered.profile, profile("nadra"));
    assert_eq!(answered.administrators, [person(APPLICANT)]);
    let first = Step {
        status: OrganisationStatus::Pending,
        at_ns: s.time_ns,
        by: person(APPLICANT),
        proposal: None,
        reason: String::new(),
    };
    assert_eq!(answered.steps, [first]);
    assert_eq!(answered.due_at_ns - s.time_ns, 30 * 86_400_000_000_000);
    assert_eq!(s.state.organisation(FIRST).unwrap(), answered);
    assert_eq!(
        s.certified(&organisation_path(FIRST)),
        Some(record(&answered))
    );
}

#[test]
fn each_step_says_when_it_was_taken_by_whom_and_by_which_decision() {
    let mut s = Setting::new();
    let active = s.active("nadra");
    let steps: Vec<_> = active
        .steps
        .iter()
        .map(|one| (one.status, one.by, one.proposal))
        .collect();
    assert_eq!(
        steps,
        [
            (OrganisationStatus::Pending, person(APPLICANT), None),
            (OrganisationStatus::InReview, person(1), Some(1)),
            (OrganisationStatus::Active, person(3), Some(1)),
        ]
    );
    assert!(active.steps.is_sorted_by_key(|step| step.at_ns));
    for n in 0..MAX_STEPS {
        let action = if n % 2 == 0 {
            suspend(active.id)
        } else {
            reinstate(active.id)
        };
        s.decided(action);
    }
    let steps = s.state.organisation(active.id).unwrap().steps;
    assert_eq!(steps.len(), MAX_STEPS);
    assert_eq!(steps[0].status, OrganisationStatus::Pending);
}

#[test]
fn each_bad_field_of_a_profile_is_refused_by_its_name() {
    let long = "a".repeat(MAX_NAME_BYTES + 1);
    type Change = fn(&mut OrganisationProfile, String);
    let fields: [(&str, Change, Vec<&str>); 4] = [
        (
            "slug",
            |p, text| p.slug = text,
            vec!["", "-", "A", "a--b", "a b", &long[..65]],
        ),
        (
            "name",
            |p, text| p.name = text,
            vec!["", " ", "a\nb", "\u{202e}a", &long],
        ),
        (
            "sector",
            |p, text| p.sector = text,
            vec!["", "Health", "a b", &long],
        ),
        (
            "seat",
            |p, text| p.seat = text,
            vec!["", "\t", "a\u{7f}", &long],
        ),
    ];
    let mut s = Setting::new();
    for (field, change, texts) in fields {
        for text in texts {
            let mut bad = profile("nadra");
            change(&mut bad, text.into());
            let error = s.refused(|s| s.apply(APPLICANT, bad));
            assert_eq!(invalid_field::<()>(Err(error)), field, "{text:?}");
        }
    }
}

#[test]
fn a_parent_must_be_active_first() {
    let mut s = Setting::new();
    let child = |parent| OrganisationProfile {
        parent: Some(parent),
        ..profile("child")
    };
    for absent in [0, FIRST, u64::MAX] {
        let error = s.refused(|s| s.apply(APPLICANT, child(absent)));
        assert_eq!(error, no_organisation(absent));
    }
    let parent = s.apply(OTHER_APPLICANT, profile("parent")).unwrap();
    let error = s.refused(|s| s.apply(APPLICANT, child(parent.id)));
    assert_eq!(conflict(error), "the parent is not active");
    s.carried(parent.application.unwrap());
    let applied = s.apply(APPLICANT, child(parent.id)).unwrap();
    // It may have ceased to be since.
    s.decided(suspend(parent.id));
    let failed = s.carried(applied.application.unwrap());
    assert_eq!(
        format!("{:?}", failed.state),
        format!(
            "Failed {{ at_ns: {}, reason: \"the parent is not active\" }}",
            s.time_ns
        )
    );
    assert_eq!(status(&s, applied.id), OrganisationStatus::Rejected);
}

#[test]
fn applying_again_with_the_same_profile_is_answered_with_the_same_application() {
    let mut s = Setting::new();
    let first = s.apply(APPLICANT, profile("nadra")).unwrap();
    let bytes = s.memory.borrow().clone();
    assert_eq!(s.apply(APPLICANT, profile("nadra")).unwrap(), first);
    assert!(*s.memory.borrow() == bytes);
    let renamed = OrganisationProfile {
        name: "NADRA".into(),
        ..profile("nadra")
    };
    assert_ne!(s.apply(APPLICANT, renamed).unwrap().id, first.id);
}

#[test]
fn pending_applications_reserve_no_name() {
    let mut s = Setting::new();
    let first = s.apply(APPLICANT, profile("nadra")).unwrap().id;
    let second = s.apply(OTHER_APPLICANT, profile("nadra")).unwrap().id;
    let proposal = |s: &Setting, id| s.state.organisation(id).unwrap().application.unwrap();
    s.carried(proposal(&s, second));
    assert_eq!(status(&s, second), OrganisationStatus::Active);
    s.carried(proposal(&s, first));
    assert_eq!(status(&s, first), OrganisationStatus::Rejected);
    let by_slug = organisations::get(&s.state, OrganisationKey::Slug("nadra".into())).unwrap();
    assert_eq!(by_slug.id, second);
}

#[test]
fn the_slug_of_an_active_organisation_is_taken() {
    let mut s = Setting::new();
    s.active("nadra");
    assert_eq!(
        s.refused(|s| s.apply(OTHER_APPLICANT, profile("nadra"))),
        taken("nadra")
    );
}

#[test]
fn a_caller_may_have_three_applications_pending_and_no_more_even_a_governor() {
    for caller in [APPLICANT, GOVERNORS[0]] {
        let mut s = Setting::new();
        let ids: Vec<u64> = (0..MAX_PENDING_PER_CALLER)
            .map(|n| {
                let applied = s.apply(caller, profile(&format!("office-{n}"))).unwrap();
                applied.application.unwrap()
            })
            .collect();
        let refused = s.refused(|s| s.apply(caller, profile("one-more")));
        let what = "pending applications of one caller".to_owned();
        assert_eq!(
            refused,
            Error::LimitReached {
                limit: MAX_PENDING_PER_CALLER,
                what
            }
        );
        s.cancel(caller, ids[0], "").unwrap();
        s.apply(caller, profile("one-more")).unwrap();
    }
}

#[test]
fn no_more_than_a_thousand_applications_are_pending_in_all() {
    use indus_kit::Context;
    let mut s = Setting::new();
    let apply = |s: &mut Setting, n: u64| {
        let caller =
            candid::Principal::from_slice(&(n / MAX_PENDING_PER_CALLER + 1_000).to_be_bytes());
        let context = Context { caller, time_ns: n };
        let reply = organisations::apply(&mut s.state, &context, profile(&format!("office-{n}")));
        s.state.kit.certified.commit();
        reply
    };
    for n in 0..MAX_PENDING {
        apply(&mut s, n).unwrap();
    }
    assert_eq!(s.state.pending_count(), MAX_PENDING);
    let refused = s.refused(|s| apply(s, MAX_PENDING));
    assert_eq!(
        refused,
        Error::LimitReached {
            limit: MAX_PENDING,
            what: "pending applications".into()
        }
    );

    s.carried(1);
    apply(&mut s, MAX_PENDING).unwrap();
}

// --- after the admission

#[test]
fn an_organisation_is_suspended_reinstated_and_revoked_by_decision() {
    let mut s = Setting::new();
    let id = s.active("nadra").id;
    let error = s.refused(|s| s.propose(1, reinstate(id)));
    assert_eq!(conflict(error), "the organisation is active");
    s.decided(suspend(id));
    assert_eq!(status(&s, id), OrganisationStatus::Suspended);
    let error = s.refused(|s| s.propose(1, suspend(id)));
    assert_eq!(conflict(error), "the organisation is suspended");
    // It keeps its name.
    assert_eq!(
        s.refused(|s| s.apply(OTHER_APPLICANT, profile("nadra"))),
        taken("nadra")
    );
    s.decided(reinstate(id));
    assert_eq!(status(&s, id), OrganisationStatus::Active);
    s.decided(revoke(id));
    assert_eq!(status(&s, id), OrganisationStatus::Revoked);
    for action in [suspend(id), reinstate(id), revoke(id)] {
        let error = s.refused(|s| s.propose(1, action));
        assert_eq!(conflict(error), "the organisation is revoked");
    }
    let again = s.active("nadra");
    assert_ne!(again.id, id);
    s.assert_explained();
}

#[test]
fn an_organisation_that_governs_is_not_suspended_or_revoked() {
    let mut s = Setting::new();
    for action in [suspend(2), revoke(2)] {
        let error = s.refused(|s| s.propose(1, action));
        assert_eq!(conflict(error), "a governor is of this organisation");
    }
}

#[test]
fn administrators_are_few_and_known() {
    let mut s = Setting::new();
    let id = s.active("nadra").id;
    let set = |administrators| change(id, OrganisationChange::SetAdministrators { administrators });
    let many: Vec<_> = (20..31).map(person).collect();
    for bad in [vec![], vec![person(0)], vec![person(7), person(7)], many] {
        let error = s.refused(|s| s.propose(1, set(bad)));
        assert_eq!(invalid_field::<()>(Err(error)), "administrators");
    }
    s.decided(set(vec![person(20), person(21)]));
    let standing = organisations::standing(&s.state, id).unwrap();
    assert_eq!(standing.administrators, [person(20), person(21)]);
    assert_eq!(organisations::standing(&s.state, id + 1), None);
}

// --- reading

#[test]
fn slugs_find_active_organisations_only() {
    let mut s = Setting::new();
    let by_slug =
        |s: &Setting, slug: &str| organisations::get(&s.state, OrganisationKey::Slug(slug.into()));
    s.apply(OTHER_APPLICANT, profile("ptcl")).unwrap();
    assert_eq!(by_slug(&s, "ptcl"), Err(no_organisation("ptcl")));
    let active = s.active("nadra");
    assert_eq!(by_slug(&s, "nadra"), Ok(active));
    assert_eq!(invalid_field(by_slug(&s, "no slug")), "slug");
    assert_eq!(
        organisations::get(&s.state, OrganisationKey::Id(99)),
        Err(no_organisation("99"))
    );
}

#[test]
fn pages_follow_the_ids_and_end() {
    let s = Setting::new();
    let page = |after, limit| {
        let page = organisations::list(&s.state, PageArgs { after, limit }).unwrap();
        (
            page.items.into_iter().map(|one| one.id).collect::<Vec<_>>(),
            page.next,
        )
    };
    assert_eq!(page(None, 2), (vec![1, 2], Some(2)));
    assert_eq!(page(Some(2), 2), (vec![3, 4], Some(4)));
    assert_eq!(page(Some(4), 2), (vec![5], None));
    assert_eq!(page(None, 5), (vec![1, 2, 3, 4, 5], None));
    assert_eq!(page(Some(5), 1), (vec![], None));
    assert_eq!(page(Some(u64::MAX), 1), (vec![], None));
    for limit in [0, 101, u32::MAX] {
        assert_eq!(
            invalid_field(organisations::list(
                &s.state,
                PageArgs { after: None, limit }
            )),
            "limit"
        );
    }
}
