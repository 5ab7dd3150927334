//! What callers may write: up to each bound, and not beyond it.

use indus_api::{
    Error,
    licences::{
        ApplyArgs, DeclineArgs, EntitlementArgs, MAX_REASON_BYTES, MAX_TITLE_BYTES, OpenRoundArgs,
        PRODUCT, QueueArgs, ReorderArgs, Round, SEATS, SeatArgs,
    },
    paging::{MAX_PAGE, PageArgs},
};
use license_manager::{applications, order, reviews, rounds, seats};
use serde_bytes::ByteBuf;

use crate::setting::{
    APPLICANT, HOLDER, OFFICE, QUEUE, REVIEW, Setting, commitment, invalid_field, person, seat_args,
};

fn open(s: &mut Setting, title: &str, apply_until_ns: u64) -> Result<Round, Error> {
    let args = OpenRoundArgs {
        title: title.into(),
        apply_until_ns,
    };
    s.call(OFFICE, |state, context, subject| {
        rounds::open(state, context, subject, args)
    })
}

#[test]
fn a_round_has_a_title_and_a_future() {
    let mut s = Setting::new();
    let later = s.time_ns + 1_000;
    for bad in ["", " a", "a\nb", &"t".repeat(MAX_TITLE_BYTES + 1)] {
        assert_eq!(invalid_field(open(&mut s, bad, later)), "title");
    }
    let now = s.time_ns + 1;
    assert_eq!(invalid_field(open(&mut s, "t", now)), "apply_until_ns");
    let next = s.time_ns + 2;
    open(&mut s, &"t".repeat(MAX_TITLE_BYTES), next).unwrap();
}

#[test]
fn commitments_are_32_bytes_and_keys_1_to_64() {
    let mut s = Setting::new();
    s.open_round();
    let apply = |s: &mut Setting, statement: usize, key: usize| {
        let args = ApplyArgs {
            audience: QUEUE.audience,
            sector: QUEUE.sector,
            statement: ByteBuf::from(vec![1; statement]),
            idempotency_key: ByteBuf::from(vec![1; key]),
        };
        s.apply_with(APPLICANT, args)
    };
    for length in [0, 31, 33] {
        assert_eq!(invalid_field(apply(&mut s, length, 1)), "statement");
    }
    for length in [0, 65] {
        assert_eq!(invalid_field(apply(&mut s, 32, length)), "idempotency_key");
    }
    apply(&mut s, 32, 64).unwrap();
    for length in [0, 31, 33] {
        let mut args = s.review_args(1, 50);
        args.comment = ByteBuf::from(vec![1; length]);
        let refused = s.call(REVIEW, |state, context, subject| {
            reviews::review(state, context, subject, args)
        });
        assert_eq!(invalid_field(refused), "comment");
    }
    let mut held = Setting::new();
    let seat = held.active();
    for length in [0, 31, 33] {
        let args = SeatArgs {
            reason: ByteBuf::from(vec![1; length]),
            ..seat_args(&seat, 1)
        };
        for method in [seats::suspend, seats::reinstate, seats::reclaim] {
            let refused = held.call(OFFICE, |state, context, subject| {
                method(state, context, subject, args.clone())
            });
            assert_eq!(invalid_field(refused), "reason");
        }
    }
}

#[test]
fn scores_are_0_to_100() {
    let mut s = Setting::new();
    s.open_round();
    s.apply(APPLICANT, QUEUE).unwrap();
    assert_eq!(invalid_field(s.review(REVIEW, 1, 101)), "score");
    for score in [0, 100] {
        s.review(REVIEW, 1, score).unwrap();
    }
    s.close_round(1).unwrap();
    for (score, accepted) in [(101, false), (100, true), (0, true)] {
        let args = ReorderArgs {
            application: 1,
            score,
            reason: "r".into(),
        };
        let answer = s.call(OFFICE, |state, context, subject| {
            order::reorder(state, context, subject, args)
        });
        assert_eq!(answer.is_ok(), accepted, "{answer:?}");
    }
}

#[test]
fn reasons_are_one_line_of_at_most_1000_bytes() {
    let mut s = Setting::new();
    s.ranked(QUEUE, &[(APPLICANT, 50)]);
    for bad in ["", "a\nb", &"r".repeat(MAX_REASON_BYTES + 1)] {
        let reorder = ReorderArgs {
            application: 1,
            score: 1,
            reason: bad.into(),
        };
        let refused = s.call(OFFICE, |state, context, subject| {
            order::reorder(state, context, subject, reorder)
        });
        assert_eq!(invalid_field(refused), "reason");
        let decline = DeclineArgs {
            application: 1,
            reason: bad.into(),
        };
        let refused = s.call(OFFICE, |state, context, subject| {
            applications::decline(state, context, subject, decline)
        });
        assert_eq!(invalid_field(refused), "reason");
    }
    let longest = DeclineArgs {
        application: 1,
        reason: "r".repeat(MAX_REASON_BYTES),
    };
    s.call(OFFICE, |state, context, subject| {
        applications::decline(state, context, subject, longest)
    })
    .unwrap();
}

#[test]
fn what_there_is_not_is_named() {
    let mut s = Setting::new();
    let not_found = |what: &str, id: u64| Error::NotFound {
        what: what.into(),
        id: id.to_string(),
    };
    for id in [0, 1, u64::MAX] {
        let application = not_found("application", id);
        assert_eq!(s.grant(id), Err(application.clone()));
        let withdrawn = s.call(APPLICANT, |state, context, subject| {
            applications::withdraw(state, context, subject, id)
        });
        assert_eq!(withdrawn, Err(application));
        assert_eq!(s.close_round(id), Err(not_found("round", id)));
    }
    for seat in [0, 1, SEATS + 1, u64::MAX] {
        let absent = Err(not_found("seat in use", seat));
        assert_eq!(s.claim(HOLDER, seat), absent);
        assert_eq!(s.check_in(HOLDER, seat), absent);
        assert_eq!(seats::get(&s.state, seat), absent);
    }
    let entitlement = |product: &str| {
        let args = EntitlementArgs {
            person: person(HOLDER),
            product: product.into(),
        };
        seats::check_entitlement(&s.state, &s.context(HOLDER), args)
    };
    assert_eq!(entitlement(PRODUCT), Ok(None));
    assert!(matches!(
        entitlement("another"),
        Err(Error::NotFound { .. })
    ));
    for bad in ["", "Not a slug", &"p".repeat(65)] {
        assert_eq!(invalid_field(entitlement(bad)), "product");
    }
    let reason = commitment(1);
    assert_eq!(reason.len(), 32);
}

#[test]
fn pages_are_1_to_100() {
    let s = Setting::new();
    for limit in [0, MAX_PAGE + 1] {
        let args = PageArgs { after: None, limit };
        assert_eq!(invalid_field(seats::list(&s.state, args.clone())), "limit");
        assert_eq!(invalid_field(rounds::list(&s.state, args)), "limit");
        let page = PageArgs { after: None, limit };
        let args = QueueArgs { queue: QUEUE, page };
        assert_eq!(invalid_field(order::list(&s.state, args)), "limit");
    }
    for limit in [1, MAX_PAGE] {
        let args = PageArgs { after: None, limit };
        seats::list(&s.state, args).unwrap();
    }
}
