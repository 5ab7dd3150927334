//! Who may call what: every update of the interface, with everybody.

use std::collections::BTreeSet;

use ic_stable_structures::VectorMemory;
use indus_api::{
    Error, Subject,
    decision::Decision,
    licences::{ApplyArgs, DeclineArgs, OpenRoundArgs, RenewArgs, ReorderArgs},
};
use indus_kit::Context;
use license_manager::{State, applications, configuration, grants, order, reviews, rounds, seats};
use serde_bytes::ByteBuf;
use testnet::updates;

use crate::setting::{
    ANONYMOUS, APPLICANT, COLLEAGUE, DAY, HOLDER, OFFICE, QUEUE, REVIEW, STRANGER, Setting,
    UNREGISTERED, commitment, own, seat_args, small,
};

/// The columns of the table.
const EVERYBODY: [u8; 8] = [
    ANONYMOUS,
    UNREGISTERED,
    APPLICANT,
    REVIEW,
    COLLEAGUE,
    OFFICE,
    HOLDER,
    STRANGER,
];

type Logic = Box<dyn Fn(&mut State<VectorMemory>, &Context, &Subject) -> Result<(), Error>>;

/// A method, who may call it (a letter for each of [`EVERYBODY`]: y or n), what is there before, and the call.
struct Row {
    method: &'static str,
    may: &'static str,
    setting: Setting,
    logic: Logic,
}

fn row<T: 'static>(
    method: &'static str,
    may: &'static str,
    setting: Setting,
    logic: impl Fn(&mut State<VectorMemory>, &Context, &Subject) -> Result<T, Error> + 'static,
) -> Row {
    let logic: Logic =
        Box::new(move |state, context, subject| logic(state, context, subject).map(drop));
    Row {
        method,
        may,
        setting,
        logic,
    }
}

/// A round with an application of [`APPLICANT`]'s, reviewed or not.
fn with_application(reviewed: bool) -> Setting {
    let mut s = Setting::new();
    s.open_round();
    s.apply(APPLICANT, QUEUE).unwrap();
    if reviewed {
        s.review(REVIEW, 1, 50).unwrap();
    }
    s
}

/// The same, closed.
fn closed() -> Setting {
    let mut s = with_application(true);
    s.close_round(1).unwrap();
    s
}

/// A seat of [`HOLDER`]'s.
fn held() -> (Setting, indus_api::licences::Seat) {
    let mut s = Setting::new();
    let seat = s.active();
    (s, seat)
}

fn table() -> Vec<Row> {
    let until = Setting::new().time_ns + DAY;
    let open = OpenRoundArgs {
        title: "Spring".into(),
        apply_until_ns: until,
    };
    let reason = || "as decided".to_owned();
    let decline = DeclineArgs {
        application: 1,
        reason: reason(),
    };
    let reorder = ReorderArgs {
        application: 1,
        score: 9,
        reason: reason(),
    };
    let applied = with_application(false);
    let review = applied.review_args(1, 60);
    let mut granted = Setting::new();
    let id = granted.ranked(QUEUE, &[(HOLDER, 50)])[0];
    let claimable = granted.grant(id).unwrap().seat;
    let mut applying = Setting::new();
    applying.open_round();
    let (suspendable, seat) = held();
    let args = seat_args(&seat, 1);
    let suspend = args.clone();
    let (mut suspended, _) = held();
    suspended.suspend(&seat, 1).unwrap();
    let reinstate = args.clone();
    let mut renewable = held().0;
    renewable.time_ns += DAY;
    let renew = RenewArgs {
        seat: seat.seat,
        application: seat.application,
        expires_at_ns: seat.licence().unwrap().expires_at_ns + DAY,
    };
    let mut idle = held().0;
    idle.time_ns += 2 * DAY;
    vec![
        row("open_round", "nnnnnynn", Setting::new(), move |s, c, p| {
            rounds::open(s, c, p, open.clone())
        }),
        row(
            "close_round",
            "nnnnnynn",
            with_application(true),
            |s, c, p| rounds::close(s, c, p, 1),
        ),
        row("apply", "nnyyyyyy", applying, |s, c, p| {
            let args = ApplyArgs {
                audience: QUEUE.audience,
                sector: QUEUE.sector,
                statement: commitment(1),
                idempotency_key: ByteBuf::from([1]),
            };
            applications::apply(s, c, p, args, b"the same")
        }),
        row(
            "withdraw",
            "nnynnnnn",
            with_application(false),
            |s, c, p| applications::withdraw(s, c, p, 1),
        ),
        row("review", "nnnynnnn", applied, move |s, c, p| {
            reviews::review(s, c, p, review.clone())
        }),
        row("recuse", "nnnynnnn", with_application(true), |s, c, p| {
            reviews::recuse(s, c, p, 1)
        }),
        row(
            "decline",
            "nnnnnynn",
            with_application(true),
            move |s, c, p| applications::decline(s, c, p, decline.clone()),
        ),
        row("reorder", "nnnnnynn", closed(), move |s, c, p| {
            order::reorder(s, c, p, reorder.clone())
        }),
        row("grant", "nnnnnynn", closed(), |s, c, p| {
            grants::grant(s, c, p, 1)
        }),
        row("claim", "nnnnnnyn", granted, move |s, c, p| {
            seats::claim(s, c, p, claimable)
        }),
        row("check_in", "nnnnnnyn", idle, move |s, c, p| {
            seats::check_in(s, c, p, claimable)
        }),
        row("suspend", "nnnnnynn", suspendable, move |s, c, p| {
            seats::suspend(s, c, p, suspend.clone())
        }),
        row("reinstate", "nnnnnynn", suspended, move |s, c, p| {
            seats::reinstate(s, c, p, reinstate.clone())
        }),
        row("reclaim", "nnnnnynn", held().0, move |s, c, p| {
            seats::reclaim(s, c, p, args.clone())
        }),
        row("renew", "nnnnnynn", renewable, move |s, c, p| {
            seats::renew(s, c, p, renew.clone())
        }),
    ]
}

#[test]
fn everybody_may_do_what_the_table_says_and_nothing_else() {
    for Row {
        method,
        may,
        mut setting,
        logic,
    } in table()
    {
        let may = |place: usize| may.as_bytes()[place] == b'y';
        let (yes, no): (Vec<usize>, Vec<usize>) = (0..EVERYBODY.len()).partition(|p| may(*p));
        for place in no {
            let caller = EVERYBODY[place];
            let refused = setting.call(caller, |s, c, p| logic(s, c, p));
            assert!(
                matches!(refused, Err(Error::Unauthorized { .. })),
                "{method} by {caller}: {refused:?}"
            );
        }
        for place in yes {
            let caller = EVERYBODY[place];
            let blocks = setting.blocks();
            let allowed = setting.call(caller, |s, c, p| logic(s, c, p));
            assert_eq!(allowed, Ok(()), "{method} by {caller}");
            assert_eq!(setting.blocks(), blocks + 1, "{method} by {caller}");
            let again = setting.call(caller, |s, c, p| logic(s, c, p));
            assert_eq!(again, Ok(()), "{method} by {caller}, again");
            assert_eq!(setting.blocks(), blocks + 1, "{method} by {caller}, again");
        }
    }
}

#[test]
fn a_decision_is_applied_by_whoever_is_authenticated() {
    for caller in EVERYBODY {
        let mut s = Setting::new();
        let decision = Decision {
            proposal: 4,
            canister: own(),
            configuration: ByteBuf::from(candid::encode_one(small()).unwrap()),
            executed_at_ns: s.time_ns,
        };
        let context = s.context(caller);
        let applied = configuration::apply(&mut s.state, &context, own(), 4, &decision);
        let anonymous = matches!(applied, Err(Error::Unauthorized { .. }));
        assert_eq!(anonymous, caller == ANONYMOUS, "{applied:?}");
        assert_eq!(applied.is_ok(), caller != ANONYMOUS, "{applied:?}");
    }
}

#[test]
fn every_update_of_the_interface_has_a_row() {
    let rows = table().into_iter().map(|row| row.method);
    // Neither has anything to do with who somebody is.
    let others = ["apply_decision", "refresh_subject"];
    let tested: BTreeSet<_> = rows.chain(others).collect();
    let interface = license_manager::candid_interface();
    assert!(updates(&interface).iter().map(String::as_str).eq(tested));
}

#[test]
fn nobody_decides_in_a_matter_of_their_own() {
    let mut s = Setting::new();
    let round = s.open_round().id;
    let id = s.apply(OFFICE, QUEUE).unwrap().content.id;
    let decline = DeclineArgs {
        application: id,
        reason: "as decided".into(),
    };
    let other = "an officer whom it does not concern";
    let declined = s.call(OFFICE, |s, c, p| applications::decline(s, c, p, decline));
    assert_eq!(crate::setting::needs(declined), other);
    s.review(REVIEW, id, 100).unwrap();
    s.close_round(round).unwrap();
    let reorder = ReorderArgs {
        application: id,
        score: 100,
        reason: "as decided".into(),
    };
    let reordered = s.call(OFFICE, |s, c, p| order::reorder(s, c, p, reorder));
    assert_eq!(crate::setting::needs(reordered), other);
    assert_eq!(crate::setting::needs(s.grant(id)), other);
    let seat = s
        .call(crate::setting::OTHER_OFFICE, |s, c, p| {
            grants::grant(s, c, p, id)
        })
        .unwrap();
    let seat = s.claim(OFFICE, seat.seat).unwrap();
    assert_eq!(crate::setting::needs(s.suspend(&seat, 1)), other);
    assert_eq!(crate::setting::needs(s.reclaim(&seat, 1)), other);
    assert_eq!(crate::setting::needs(s.reinstate(&seat)), other);
}
