//! The order, and who gets a seat.

use indus_api::{
    Error,
    licences::{
        Application, ApplicationState, Audience, DeclineArgs, EntitlementArgs, PRODUCT, Place,
        QueueArgs, QueueKey, ReorderArgs, Sector, quota_path, seat_path,
    },
    paging::{Page, PageArgs},
};
use license_manager::{applications, order, seats, step};

use crate::setting::{
    APPLICANT, DAY, HOLDER, OFFICE, OTHER_REVIEW, QUEUE, REVIEW, STRANGER, Setting, conflict,
    limit, person,
};

fn order_of(s: &Setting, queue: QueueKey) -> Vec<u64> {
    let args = QueueArgs {
        queue,
        page: PageArgs {
            after: None,
            limit: 100,
        },
    };
    let page = order::list(&s.state, args).unwrap();
    page.items.iter().map(|place| place.application).collect()
}

fn reorder(s: &mut Setting, application: u64, score: u8) -> Result<Application, Error> {
    let args = ReorderArgs {
        application,
        score,
        reason: "an appeal".into(),
    };
    s.call(OFFICE, |state, context, subject| {
        order::reorder(state, context, subject, args)
    })
}

#[test]
fn the_order_is_by_mean_score_then_time_and_is_there_when_the_round_is_closed() {
    let mut s = Setting::new();
    let round = s.open_round().id;
    for n in 20..24 {
        s.apply(n, QUEUE).unwrap();
    }
    for (id, score) in [(1, 50), (2, 90), (3, 50), (4, 51)] {
        s.review(REVIEW, id, score).unwrap();
    }
    s.review(OTHER_REVIEW, 2, 11).unwrap();
    assert_eq!(order_of(&s, QUEUE), [0; 0], "there is no order yet");
    assert_eq!(
        conflict(s.grant(4)),
        "its round is open: there is no order yet"
    );
    s.close_round(round).unwrap();
    assert_eq!(order_of(&s, QUEUE), [4, 2, 1, 3]);
    assert_eq!(conflict(s.grant(2)), "application 4 is first");
    s.reopen();
    for (place, id) in [4, 2].into_iter().enumerate() {
        let seat = s.grant(id).unwrap();
        assert_eq!(seat.seat, place as u64 + 1);
        assert_eq!(s.grant(id), Ok(seat), "repeated");
    }
    let full = (2, "seats of this audience and sector".into());
    assert_eq!(limit(s.grant(1)), full);
    assert_eq!(order_of(&s, QUEUE), [1, 3]);
    s.audit();
}

#[test]
fn an_earlier_round_stands_before_a_later_one() {
    let mut s = Setting::new();
    s.ranked(QUEUE, &[(20, 10), (21, 20)]);
    s.ranked(QUEUE, &[(22, 99)]);
    assert_eq!(order_of(&s, QUEUE), [2, 1, 3]);
    s.open_round();
    s.apply(23, QUEUE).unwrap();
    s.review(REVIEW, 4, 100).unwrap();
    assert_eq!(order_of(&s, QUEUE), [2, 1, 3], "the open round waits");
    s.grant(2).unwrap();
    s.grant(1).unwrap();
}

#[test]
fn the_order_changes_by_a_logged_decision_only() {
    let mut s = Setting::new();
    let round = s.open_round().id;
    s.apply(20, QUEUE).unwrap();
    s.review(REVIEW, 1, 10).unwrap();
    assert_eq!(
        conflict(reorder(&mut s, 1, 90)),
        "its round is open: reviews decide"
    );
    s.close_round(round).unwrap();
    s.ranked(QUEUE, &[(21, 80), (22, 70)]);
    assert_eq!(order_of(&s, QUEUE), [1, 2, 3]);
    reorder(&mut s, 3, 81).unwrap();
    assert_eq!(order_of(&s, QUEUE), [1, 3, 2]);
    let regrading = s.get(3).regrading.unwrap();
    assert_eq!(regrading.by, person(OFFICE));
    assert_eq!(regrading.reason, "an appeal");
    assert_eq!(s.audit().last().unwrap(), step::REORDERED);
    let granted = s.grant(1).unwrap();
    assert_eq!(
        conflict(reorder(&mut s, 1, 5)),
        "the application is not open"
    );
    assert_eq!(granted.seat, 1);
}

#[test]
fn a_declined_application_leaves_the_order() {
    let mut s = Setting::new();
    s.ranked(QUEUE, &[(20, 10), (21, 20)]);
    let decline = DeclineArgs {
        application: 2,
        reason: "not what it said".into(),
    };
    let declined = s
        .call(OFFICE, |state, context, subject| {
            applications::decline(state, context, subject, decline)
        })
        .unwrap();
    assert!(matches!(declined.state, ApplicationState::Declined { .. }));
    assert_eq!(order_of(&s, QUEUE), [1]);
    assert_eq!(conflict(s.grant(2)), "the application is not open");
}

#[test]
fn nobody_gets_two_seats_the_other_applications_are_superseded() {
    let other = QueueKey {
        audience: Audience::Government,
        sector: Sector::Other,
    };
    let mut s = Setting::new();
    let round = s.open_round().id;
    for (n, queue) in [(20, QUEUE), (20, other), (21, other)] {
        let id = s.apply(n, queue).unwrap().content.id;
        s.review(REVIEW, id, 90 - u8::try_from(id).unwrap())
            .unwrap();
    }
    s.close_round(round).unwrap();
    s.grant(1).unwrap();
    let superseded = ApplicationState::Superseded {
        application: 1,
        at_ns: s.time_ns,
    };
    assert_eq!(s.get(2).state, superseded);
    assert_eq!(order_of(&s, other), [3]);
    s.grant(3).unwrap();
    s.audit();
}

#[test]
fn a_seat_that_becomes_free_goes_to_the_next_in_order() {
    let mut s = Setting::new();
    s.ranked(QUEUE, &[(20, 50), (21, 40), (22, 30), (23, 20)]);
    s.grant(1).unwrap();
    s.tick();
    assert_eq!(
        order_of(&s, QUEUE),
        [2, 3, 4],
        "only what became free is filled"
    );
    s.grant(2).unwrap();
    s.claim(20, 1).unwrap();
    s.time_ns += 14 * DAY;
    s.tick();
    let next = seats::get(&s.state, 2).unwrap();
    assert_eq!((next.application, next.holder), (3, person(22)));
    assert!(matches!(
        s.get(2).state,
        ApplicationState::Granted { seat: 2, .. }
    ));
    assert_eq!(
        conflict(s.grant(2)),
        "a seat was granted, and is free again"
    );
    assert_eq!(order_of(&s, QUEUE), [4]);
    let kinds = s.audit();
    assert_eq!(kinds[kinds.len() - 2..], [step::LAPSED, step::GRANTED]);
}

#[test]
fn a_vacancy_waits_for_somebody_who_waits() {
    let mut s = Setting::new();
    s.ranked(QUEUE, &[(20, 50)]);
    s.grant(1).unwrap();
    s.time_ns += 14 * DAY;
    s.tick();
    s.ranked(QUEUE, &[(21, 50), (22, 40)]);
    s.tick();
    assert_eq!(seats::get(&s.state, 1).unwrap().application, 2);
    assert_eq!(order_of(&s, QUEUE), [3], "one became free, one was filled");
}

#[test]
fn pages_of_an_order_follow_each_other() {
    let mut s = Setting::new();
    s.ranked(QUEUE, &[(20, 10), (21, 20), (22, 30)]);
    let page = |after: Option<Place>| -> Page<Place, Place> {
        let page = PageArgs { after, limit: 2 };
        order::list(&s.state, QueueArgs { queue: QUEUE, page }).unwrap()
    };
    let first = page(None);
    let second = page(first.next);
    assert_eq!((first.items.len(), second.items.len()), (2, 1));
    assert_eq!(second.items[0].application, 1);
    assert_eq!(second.items[0].rank, 600);
    assert_eq!(second.next, None);
    let beyond = Place {
        round: u64::MAX,
        rank: 0,
        applied_at_ns: u64::MAX,
        application: u64::MAX,
    };
    assert_eq!(page(Some(beyond)).items, []);
    let best = Place {
        round: 0,
        rank: u16::MAX,
        applied_at_ns: 0,
        application: 0,
    };
    assert_eq!(page(Some(best)).items.len(), 2);
}

#[test]
fn a_free_seat_is_certified_to_be_absent_and_a_granted_one_is_not_valid_yet() {
    let mut s = Setting::new();
    let id = s.ranked(QUEUE, &[(HOLDER, 50)])[0];
    let certified = |s: &Setting, seat: u64| {
        let key = seat_path(seat)[2].to_vec();
        s.state.kit.certified.get(indus_kit::CollectionId(0), &key)
    };
    assert_eq!(certified(&s, 1), None);
    let seat = s.grant(id).unwrap();
    let record = indus_api::licences::SeatRecord::V1(seat.clone());
    assert_eq!(certified(&s, 1), Some(candid::encode_one(record).unwrap()));
    assert!(!seat.is_valid_at(s.time_ns));
    let entitled = |s: &Setting, n: u8| {
        let args = EntitlementArgs {
            person: person(n),
            product: PRODUCT.into(),
        };
        let context = s.context(STRANGER);
        seats::check_entitlement(&s.state, &context, args).unwrap()
    };
    assert!(!entitled(&s, HOLDER).unwrap().valid);
    assert_eq!(entitled(&s, APPLICANT), None);
    s.claim(HOLDER, 1).unwrap();
    assert!(entitled(&s, HOLDER).unwrap().valid);
    let ledger = s.state.ledgers().iter().find(|ledger| ledger.active == 1);
    let ledger = ledger.unwrap();
    assert_eq!(
        (ledger.audience, ledger.sector),
        (QUEUE.audience, QUEUE.sector)
    );
    let key = quota_path(QUEUE.audience, QUEUE.sector)[2].to_vec();
    let record = indus_api::licences::LedgerRecord::V1(*ledger);
    assert_eq!(
        s.state.kit.certified.get(indus_kit::CollectionId(2), &key),
        Some(candid::encode_one(record).unwrap())
    );
}
