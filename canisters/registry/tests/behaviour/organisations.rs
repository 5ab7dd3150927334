//! What applicants, governors and readers can rely on.

use crate::setting::{
    ANONYMOUS, APPLICANT, GOVERNOR, OTHER_APPLICANT, OTHER_GOVERNOR, Setting, invalid_field,
    person, profile, record,
};
use indus_api::{
    Error,
    paging::PageArgs,
    registry::{
        MAX_NAME_BYTES, MAX_PENDING, MAX_PENDING_PER_CALLER, MAX_REASON_BYTES, Organisation,
        OrganisationKey, OrganisationProfile, OrganisationState, organisation_path,
    },
};
use registry::organisations;

fn needs(error: Error) -> String {
    match error {
        Error::Unauthorized { needs } => needs,
        other => panic!("not unauthorized: {other:?}"),
    }
}

fn conflict(error: Error) -> String {
    match error {
        Error::Conflict { reason } => reason,
        other => panic!("no conflict: {other:?}"),
    }
}

fn no_organisation(id: &str) -> Error {
    Error::NotFound {
        what: "organisation".into(),
        id: id.into(),
    }
}

fn taken(slug: &str) -> Error {
    Error::AlreadyExists {
        what: "organisation".into(),
        id: slug.into(),
    }
}

fn get(setting: &Setting, id: u64) -> Organisation {
    organisations::get(&setting.state, OrganisationKey::Id(id)).unwrap()
}

// --- applying

#[test]
fn an_application_is_pending_and_certified_as_it_was_answered() {
    let mut s = Setting::new();
    let answered = s.apply(APPLICANT, profile("nadra")).unwrap();
    let expected = Organisation {
        id: 1,
        profile: profile("nadra"),
        applicant: person(APPLICANT),
        applied_at_ns: s.time_ns,
        state: OrganisationState::Pending,
    };
    assert_eq!(answered, expected);
    assert_eq!(get(&s, 1), expected);
    assert_eq!(s.certified(&organisation_path(1)), Some(record(&expected)));
}

#[test]
fn nobody_changes_anything_anonymously() {
    let mut s = Setting::new();
    let id = s.apply(APPLICANT, profile("nadra")).unwrap().id;
    let hash = s.hash(id);
    assert_eq!(
        needs(s.refused(|s| s.apply(ANONYMOUS, profile("ptcl")))),
        "an authenticated caller"
    );
    assert_eq!(
        needs(s.refused(|s| s.approve(ANONYMOUS, id, &hash))),
        "an authenticated caller"
    );
    assert_eq!(
        needs(s.refused(|s| s.close(ANONYMOUS, id, ""))),
        "an authenticated caller"
    );
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
    assert_eq!(
        s.refused(|s| s.apply(APPLICANT, child(1))),
        no_organisation("1")
    );
    assert_eq!(
        s.refused(|s| s.apply(APPLICANT, child(u64::MAX))),
        no_organisation(&u64::MAX.to_string())
    );

    let pending = s.apply(OTHER_APPLICANT, profile("parent")).unwrap().id;
    assert_eq!(
        conflict(s.refused(|s| s.apply(APPLICANT, child(pending)))),
        "the parent is not active"
    );
    s.close(GOVERNOR, pending, "no such office").unwrap();
    assert_eq!(
        conflict(s.refused(|s| s.apply(APPLICANT, child(pending)))),
        "the parent is not active"
    );

    let parent = s.active("ministry");
    assert_eq!(
        s.apply(APPLICANT, child(parent.id)).unwrap().profile.parent,
        Some(parent.id)
    );
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
    let (first_hash, second_hash) = (s.hash(first), s.hash(second));
    assert_eq!(
        s.approve(GOVERNOR, second, &second_hash).unwrap().applicant,
        person(OTHER_APPLICANT)
    );
    assert_eq!(
        s.refused(|s| s.approve(GOVERNOR, first, &first_hash)),
        taken("nadra")
    );
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
    for caller in [APPLICANT, GOVERNOR] {
        let mut s = Setting::new();
        let ids: Vec<u64> = (0..MAX_PENDING_PER_CALLER)
            .map(|n| s.apply(caller, profile(&format!("office-{n}"))).unwrap().id)
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
        s.close(caller, ids[0], "").unwrap();
        s.apply(caller, profile("one-more")).unwrap();
    }
}

#[test]
fn no_more_than_a_thousand_applications_are_pending_in_all() {
    use indus_api::registry::ApproveArgs;
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

    let context = Context {
        caller: person(GOVERNOR),
        time_ns: 1,
    };
    let application_hash = serde_bytes::ByteBuf::from(s.hash(1).to_vec());
    organisations::approve(
        &mut s.state,
        &context,
        ApproveArgs {
            id: 1,
            application_hash,
        },
    )
    .unwrap();
    apply(&mut s, MAX_PENDING).unwrap();
}

// --- approving

#[test]
fn an_approved_organisation_is_active_and_says_who_approved_what() {
    let mut s = Setting::new();
    let pending = s.apply(APPLICANT, profile("nadra")).unwrap();
    let hash = s.hash(pending.id);
    let active = s.approve(GOVERNOR, pending.id, &hash).unwrap();
    let state = OrganisationState::Active {
        by: person(GOVERNOR),
        at_ns: s.time_ns,
        application_hash: serde_bytes::ByteBuf::from(hash.to_vec()),
    };
    assert_eq!(active, Organisation { state, ..pending });
    assert_eq!(
        s.certified(&organisation_path(active.id)),
        Some(record(&active))
    );
    assert_eq!(s.state.pending_count(), 0);
}

#[test]
fn only_governors_approve_and_never_their_own() {
    let mut s = Setting::new();
    let id = s.apply(APPLICANT, profile("nadra")).unwrap().id;
    let hash = s.hash(id);
    assert_eq!(
        needs(s.refused(|s| s.approve(APPLICANT, id, &hash))),
        "a governor"
    );
    assert_eq!(
        needs(s.refused(|s| s.approve(OTHER_APPLICANT, id, &hash))),
        "a governor"
    );

    let own = s.apply(GOVERNOR, profile("ptcl")).unwrap().id;
    let hash = s.hash(own);
    assert_eq!(
        needs(s.refused(|s| s.approve(GOVERNOR, own, &hash))),
        "a governor other than the applicant"
    );
    s.approve(OTHER_GOVERNOR, own, &hash).unwrap();
}

#[test]
fn what_is_not_what_the_governor_read_is_not_approved() {
    let mut s = Setting::new();
    let id = s.apply(APPLICANT, profile("nadra")).unwrap().id;
    let current = s.hash(id);
    let mut other = current;
    other[31] ^= 1;
    let stale = Error::Stale {
        current: hex::encode(current),
    };
    assert_eq!(s.refused(|s| s.approve(GOVERNOR, id, &other)), stale);
    for length in [0, 31, 33, 64] {
        let error = s.refused(|s| s.approve(GOVERNOR, id, &vec![0; length]));
        assert_eq!(invalid_field::<()>(Err(error)), "application_hash");
    }
    assert_eq!(
        s.refused(|s| s.approve(GOVERNOR, 7, &current)),
        no_organisation("7")
    );
    assert_eq!(
        s.refused(|s| s.approve(GOVERNOR, 0, &current)),
        no_organisation("0")
    );
}

#[test]
fn approving_again_what_was_approved_changes_nothing() {
    let mut s = Setting::new();
    let id = s.apply(APPLICANT, profile("nadra")).unwrap().id;
    let hash = s.hash(id);
    let active = s.approve(GOVERNOR, id, &hash).unwrap();
    let bytes = s.memory.borrow().clone();
    assert_eq!(s.approve(GOVERNOR, id, &hash).unwrap(), active);
    assert_eq!(s.approve(OTHER_GOVERNOR, id, &hash).unwrap(), active);
    assert!(*s.memory.borrow() == bytes);
    let error = s.refused(|s| s.approve(GOVERNOR, id, &[7; 32]));
    assert_eq!(conflict(error), "the organisation is active already");
}

// --- closing

#[test]
fn an_applicant_withdraws_with_or_without_a_reason() {
    let mut s = Setting::new();
    for reason in ["", "filed twice"] {
        let id = s.apply(APPLICANT, profile("nadra")).unwrap().id;
        let closed = s.close(APPLICANT, id, reason).unwrap();
        let expected = OrganisationState::Withdrawn {
            at_ns: s.time_ns,
            reason: reason.into(),
        };
        assert_eq!(closed.state, expected);
        assert_eq!(s.certified(&organisation_path(id)), Some(record(&closed)));
    }
}

#[test]
fn a_governor_rejects_with_a_reason() {
    let mut s = Setting::new();
    let id = s.apply(APPLICANT, profile("nadra")).unwrap().id;
    for bad in [
        String::new(),
        " ".into(),
        "a\u{1b}[2J".into(),
        "a".repeat(MAX_REASON_BYTES + 1),
    ] {
        let error = s.refused(|s| s.close(GOVERNOR, id, &bad));
        assert_eq!(invalid_field::<()>(Err(error)), "reason", "{bad:?}");
    }
    let closed = s.close(GOVERNOR, id, "no such office").unwrap();
    let expected = OrganisationState::Rejected {
        by: person(GOVERNOR),
        at_ns: s.time_ns,
        reason: "no such office".into(),
    };
    assert_eq!(closed.state, expected);
    assert_eq!(s.state.pending_count(), 0);
}

#[test]
fn nobody_else_closes_an_application() {
    let mut s = Setting::new();
    let id = s.apply(APPLICANT, profile("nadra")).unwrap().id;
    let error = s.refused(|s| s.close(OTHER_APPLICANT, id, "because"));
    assert_eq!(needs(error), "the applicant or a governor");
    assert_eq!(
        s.refused(|s| s.close(GOVERNOR, 2, "because")),
        no_organisation("2")
    );
}

#[test]
fn what_was_decided_stays_decided() {
    let mut s = Setting::new();
    let active = s.active("nadra").id;
    assert_eq!(
        conflict(s.refused(|s| s.close(GOVERNOR, active, "no"))),
        "the organisation is active already"
    );
    assert_eq!(
        conflict(s.refused(|s| s.close(APPLICANT, active, ""))),
        "the organisation is active already"
    );

    let rejected = s.apply(APPLICANT, profile("ptcl")).unwrap().id;
    let hash = s.hash(rejected);
    let closed = s.close(GOVERNOR, rejected, "no").unwrap();
    assert_eq!(s.close(GOVERNOR, rejected, "no").unwrap(), closed);
    assert_eq!(
        conflict(s.refused(|s| s.close(GOVERNOR, rejected, "yes"))),
        "the organisation is rejected already"
    );
    assert_eq!(
        conflict(s.refused(|s| s.close(OTHER_GOVERNOR, rejected, "no"))),
        "the organisation is rejected already"
    );
    assert_eq!(
        conflict(s.refused(|s| s.approve(GOVERNOR, rejected, &hash))),
        "the organisation is rejected already"
    );

    let withdrawn = s.apply(APPLICANT, profile("ptcl")).unwrap().id;
    let hash = s.hash(withdrawn);
    let closed = s.close(APPLICANT, withdrawn, "").unwrap();
    assert_eq!(s.close(APPLICANT, withdrawn, "").unwrap(), closed);
    assert_eq!(
        conflict(s.refused(|s| s.close(GOVERNOR, withdrawn, "no"))),
        "the organisation is withdrawn already"
    );
    assert_eq!(
        conflict(s.refused(|s| s.approve(GOVERNOR, withdrawn, &hash))),
        "the organisation is withdrawn already"
    );
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
        organisations::get(&s.state, OrganisationKey::Id(9)),
        Err(no_organisation("9"))
    );
}

#[test]
fn pages_follow_the_ids_and_end() {
    let mut s = Setting::new();
    for n in 0..5 {
        s.active(&format!("office-{n}"));
    }
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
