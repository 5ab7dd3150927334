//! Applications and reviews, until a round is closed.

use indus_api::{
    Error,
    licences::{
        Application, ApplicationState, ApplyArgs, Audience, Configuration, MAX_RECUSALS,
        MAX_REVIEWS, QueueKey, REVIEWER, ReviewArgs, Sector, application_path,
    },
    paging::PageArgs,
};
use indus_kit::{Context, idempotency::LIFETIME_NS};
use license_manager::{applications, reviews};
use serde_bytes::ByteBuf;

use crate::setting::{
    APPLICANT, COLLEAGUE, DAY, Directory, HOLDER, OFFICE, OTHER_REVIEW, QUEUE, REVIEW, STRANGER,
    Setting, commitment, conflict, invalid_field, limit, needs, person, small, subject,
};

fn recuse(s: &mut Setting, n: u8, id: u64) -> Result<Application, Error> {
    s.call(n, |state, context, subject| {
        reviews::recuse(state, context, subject, id)
    })
}

fn withdraw(s: &mut Setting, n: u8, id: u64) -> Result<Application, Error> {
    s.call(n, |state, context, subject| {
        applications::withdraw(state, context, subject, id)
    })
}

#[test]
fn an_application_is_open_and_names_the_person_not_the_caller() {
    let mut s = Setting::new();
    s.open_round();
    let applied = s.apply(APPLICANT, QUEUE).unwrap();
    assert_eq!(applied.content.applicant, person(APPLICANT));
    assert_eq!(applied.content.organisation, Some(7));
    assert_eq!(applied.state, ApplicationState::Open);
    assert_eq!(applied.salt.len(), 16);
    assert_eq!(s.get(1), applied);
    let second = s.apply(HOLDER, QUEUE).unwrap();
    assert_ne!(second.salt, applied.salt);
}

#[test]
fn there_is_no_application_without_a_round_or_after_its_time() {
    let mut s = Setting::new();
    assert_eq!(conflict(s.apply(APPLICANT, QUEUE)), "no round is open");
    let round = s.open_round();
    s.time_ns = round.apply_until_ns - 2;
    s.apply(APPLICANT, QUEUE).unwrap();
    assert_eq!(s.apply(HOLDER, QUEUE), Err(Error::Expired));
    s.review(REVIEW, 1, 1).unwrap();
    s.close_round(round.id).unwrap();
    assert_eq!(conflict(s.apply(APPLICANT, QUEUE)), "no round is open");
}

#[test]
fn a_repeated_application_is_answered_again_for_a_day_and_counts_once() {
    let mut s = Setting::new();
    s.open_round();
    let args = ApplyArgs {
        audience: QUEUE.audience,
        sector: QUEUE.sector,
        statement: commitment(1),
        idempotency_key: ByteBuf::from([1; 64]),
    };
    let first = s.apply_with(APPLICANT, args.clone()).unwrap();
    let blocks = s.blocks();
    assert_eq!(s.apply_with(APPLICANT, args.clone()), Ok(first));
    assert_eq!(s.blocks(), blocks);
    let other = ApplyArgs {
        statement: commitment(2),
        ..args.clone()
    };
    assert_eq!(
        invalid_field(s.apply_with(APPLICANT, other)),
        "idempotency_key"
    );
    s.time_ns += LIFETIME_NS;
    assert_eq!(s.apply_with(APPLICANT, args).unwrap().content.id, 2);
}

#[test]
fn a_person_has_three_open_applications_and_a_day_its_limit() {
    let mut configuration = small();
    configuration.limits.applications_a_day = 4;
    let mut s = Setting::with(configuration);
    s.open_round();
    for _ in 0..3 {
        s.apply(APPLICANT, QUEUE).unwrap();
    }
    let refused = limit(s.apply(APPLICANT, QUEUE));
    assert_eq!(refused, (3, "open applications of one person".into()));
    withdraw(&mut s, APPLICANT, 1).unwrap();
    s.apply(APPLICANT, QUEUE).unwrap();
    let refused = limit(s.apply(HOLDER, QUEUE));
    assert_eq!(refused, (4, "applications in one day".into()));
    s.time_ns += DAY;
    s.apply(HOLDER, QUEUE).unwrap();
}

#[test]
fn nobody_uses_up_a_day_alone_by_taking_applications_back() {
    let mut s = Setting::new();
    s.open_round();
    for _ in 0..10 {
        let id = s.apply(APPLICANT, QUEUE).unwrap().content.id;
        withdraw(&mut s, APPLICANT, id).unwrap();
    }
    let refused = s.apply(APPLICANT, QUEUE);
    assert!(
        matches!(refused, Err(Error::RateLimited { .. })),
        "{refused:?}"
    );
    s.apply(HOLDER, QUEUE).unwrap();
}

#[test]
fn who_holds_a_seat_does_not_apply() {
    let mut s = Setting::new();
    s.active();
    s.open_round();
    assert_eq!(
        conflict(s.apply(HOLDER, QUEUE)),
        "the applicant holds seat 1"
    );
}

#[test]
fn a_round_is_closed_when_every_open_application_has_its_reviews() {
    let mut configuration = small();
    configuration.limits.reviews_needed = 2;
    let mut s = Setting::with(configuration);
    s.open_round();
    s.apply(APPLICANT, QUEUE).unwrap();
    s.apply(HOLDER, QUEUE).unwrap();
    s.review(REVIEW, 1, 10).unwrap();
    s.review(OTHER_REVIEW, 1, 10).unwrap();
    s.review(REVIEW, 2, 10).unwrap();
    let lacking = "1 applications lack reviews, application 2 is the first";
    assert_eq!(conflict(s.close_round(1)), lacking);
    // The same reviewer's second word is not a second review.
    s.review(REVIEW, 2, 11).unwrap();
    assert_eq!(conflict(s.close_round(1)), lacking);
    s.review(OTHER_REVIEW, 2, 10).unwrap();
    recuse(&mut s, OTHER_REVIEW, 2).unwrap();
    assert_eq!(conflict(s.close_round(1)), lacking);
    assert_eq!(
        needs(s.review(OTHER_REVIEW, 2, 10)),
        "a reviewer who was not recused"
    );
    withdraw(&mut s, HOLDER, 2).unwrap();
    let closed = s.close_round(1).unwrap();
    assert_eq!(closed.closed_at_ns, Some(s.time_ns));
    assert_eq!(s.close_round(1), Ok(closed));
    let fixed = "its round is closed: the scores are fixed";
    assert_eq!(conflict(s.review(REVIEW, 1, 99)), fixed);
    assert_eq!(conflict(recuse(&mut s, REVIEW, 1)), fixed);
}

#[test]
fn one_round_is_open_at_a_time() {
    let mut s = Setting::new();
    let first = s.open_round();
    let another = indus_api::licences::OpenRoundArgs {
        title: "Autumn".into(),
        apply_until_ns: first.apply_until_ns,
    };
    let refused = s.call(OFFICE, |state, context, subject| {
        license_manager::rounds::open(state, context, subject, another)
    });
    assert_eq!(conflict(refused), "round 1 is open");
    s.close_round(1).unwrap();
    assert_eq!(s.open_round().id, 2);
}

#[test]
fn a_review_is_bound_to_what_was_read_and_can_be_replaced() {
    let mut s = Setting::new();
    s.open_round();
    s.apply(APPLICANT, QUEUE).unwrap();
    let stale = ReviewArgs {
        hash: commitment(9),
        ..s.review_args(1, 50)
    };
    let refused = s.call(REVIEW, |state, context, subject| {
        reviews::review(state, context, subject, stale)
    });
    let current = hex::encode(s.get(1).content.hash().unwrap());
    assert_eq!(refused, Err(Error::Stale { current }));
    s.review(REVIEW, 1, 50).unwrap();
    s.review(OTHER_REVIEW, 1, 61).unwrap();
    assert_eq!(s.get(1).rank(), 55 * 60 + 30);
    s.review(REVIEW, 1, 20).unwrap();
    assert_eq!(s.get(1).reviews.len(), 2);
    assert_eq!(s.get(1).rank(), 40 * 60 + 30);
}

#[test]
fn a_reviewer_sees_their_own_review_only_and_nobody_else_sees_anything() {
    let mut s = Setting::new();
    s.open_round();
    s.apply(APPLICANT, QUEUE).unwrap();
    s.review(OTHER_REVIEW, 1, 61).unwrap();
    let answered = s.review(REVIEW, 1, 50).unwrap();
    assert_eq!(answered.reviews.len(), 1);
    assert!(answered.salt.is_empty());
    let seen = |n| applications::get(&s.state, &Directory, &s.context(n), 1);
    assert_eq!(seen(REVIEW), Ok(answered));
    assert_eq!(seen(APPLICANT).unwrap().reviews.len(), 2);
    for n in [COLLEAGUE, STRANGER, HOLDER] {
        assert!(needs(seen(n)).ends_with("or a reviewer of it"), "{n}");
    }
}

#[test]
fn the_bytes_of_an_application_are_for_its_applicant_and_officers() {
    let mut s = Setting::new();
    s.open_round();
    s.apply(APPLICANT, QUEUE).unwrap();
    let read = |n: u8| {
        let paths = [application_path(1)];
        let certified = &s.state.kit.certified;
        certified.witness_of_paths(&paths, Some(&subject(n)))
    };
    for n in [APPLICANT, OFFICE] {
        read(n).unwrap();
    }
    for n in [COLLEAGUE, REVIEW, STRANGER] {
        assert!(matches!(read(n), Err(Error::Unauthorized { .. })), "{n}");
    }
}

#[test]
fn an_application_takes_six_reviews_and_ten_recusals() {
    let mut s = Setting::new();
    s.open_round();
    s.apply(APPLICANT, QUEUE).unwrap();
    let args = s.review_args(1, 50);
    let reviewer = |n: u8| indus_api::Subject {
        roles: [REVIEWER.to_owned()].into(),
        ..subject(n)
    };
    for n in 0..=MAX_REVIEWS {
        let n = u8::try_from(n).unwrap() + 100;
        let context: Context = s.context(n);
        let reviewed = reviews::review(&mut s.state, &context, &reviewer(n), args.clone());
        if usize::from(n) < 100 + MAX_REVIEWS {
            reviewed.unwrap();
        } else {
            assert_eq!(limit(reviewed), (6, "reviews of one application".into()));
        }
    }
    for n in 0..=MAX_RECUSALS {
        let n = u8::try_from(n).unwrap() + 120;
        let context = s.context(n);
        let recused = reviews::recuse(&mut s.state, &context, &reviewer(n), 1);
        if usize::from(n) < 120 + MAX_RECUSALS {
            recused.unwrap();
        } else {
            assert_eq!(limit(recused), (10, "recusals from one application".into()));
        }
    }
    assert_eq!(s.get(1).reviews.len(), 6);
}

#[test]
fn two_thousand_apply_on_one_day_where_that_is_allowed() {
    let mut configuration = Configuration::default();
    configuration.limits.applications_a_day = 2_000;
    let mut s = Setting::with(configuration);
    s.open_round();
    for n in 0..=2_000_u64 {
        let applicant = indus_api::Subject {
            person: candid::Principal::from_slice(&n.to_be_bytes()),
            ..subject(STRANGER)
        };
        let context = Context {
            caller: applicant.person,
            time_ns: s.time_ns,
        };
        let args = ApplyArgs {
            audience: Audience::Education,
            sector: Sector::Other,
            statement: commitment(1),
            idempotency_key: ByteBuf::from([1]),
        };
        let applied = applications::apply(&mut s.state, &context, &applicant, args, b"");
        assert_eq!(applied.is_ok(), n < 2_000, "{applied:?}");
    }
    s.state.kit.certified.commit();
}

#[test]
fn a_person_lists_their_own_open_applications() {
    let mut s = Setting::new();
    s.open_round();
    let other = QueueKey {
        audience: Audience::Government,
        sector: Sector::Other,
    };
    for (n, queue) in [(APPLICANT, QUEUE), (HOLDER, QUEUE), (APPLICANT, other)] {
        s.apply(n, queue).unwrap();
    }
    let mine = |n, after, limit| {
        let args = PageArgs { after, limit };
        let page = applications::list_mine(&s.state, &Directory, &s.context(n), args).unwrap();
        let ids: Vec<u64> = page.items.iter().map(|item| item.content.id).collect();
        (ids, page.next)
    };
    assert_eq!(mine(APPLICANT, None, 1), (vec![1], Some(1)));
    assert_eq!(mine(APPLICANT, Some(1), 1), (vec![3], None));
    assert_eq!(mine(APPLICANT, Some(u64::MAX), 1), (vec![], None));
    assert_eq!(mine(STRANGER, None, 100), (vec![], None));
}
