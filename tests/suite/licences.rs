//! A round of licences, from the persons who take part in it to the proof of a seat.

use std::time::Duration;

use candid::Principal;
use indus_api::{
    Error, Subject,
    identity::{LICENCE_OFFICER, LICENCE_REVIEWER},
    licences::{
        Application, ApplyArgs, Audience, Entitlement, EntitlementArgs, OpenRoundArgs, PRODUCT,
        ReviewArgs, Round, Seat, SeatRecord, SeatState, Sector, seat_path,
    },
};
use serde_bytes::ByteBuf;

use crate::suite::{CONTROLLER, DAY_NS, Suite, commitment, governor, key};

/// How somebody's round is opened.
pub(crate) fn round(suite: &Suite) -> OpenRoundArgs {
    OpenRoundArgs {
        title: "پہلا دور".into(),
        apply_until_ns: suite.now_ns() + 30 * DAY_NS,
    }
}

/// What an applicant of this name asks for.
pub(crate) fn application(name: &str) -> ApplyArgs {
    ApplyArgs {
        audience: Audience::Startups,
        sector: Sector::Health,
        statement: commitment(name),
        idempotency_key: ByteBuf::from(format!("of {name}")),
    }
}

/// A review of what was read.
pub(crate) fn review(application: &Application, score: u8) -> ReviewArgs {
    ReviewArgs {
        application: application.content.id,
        hash: ByteBuf::from(application.content.hash().unwrap()),
        score,
        comment: commitment("comment"),
    }
}

/// A round with this applicant, reviewed and closed: the applicant's person, and their application.
pub(crate) fn closed_round(suite: &Suite, applicant: &str) -> (Principal, Application) {
    closed_round_of(suite, applicant, key(applicant))
}

/// The same for an applicant with this key.
pub(crate) fn closed_round_of(
    suite: &Suite,
    applicant: &str,
    caller: Principal,
) -> (Principal, Application) {
    let officer = key("officer");
    let opened: Round = suite
        .licences(officer, "open_round", (round(suite),))
        .unwrap();
    let person = suite.person(caller);
    let args = (application(applicant),);
    let applied: Application = suite.licences(caller, "apply", args).unwrap();
    let args = (review(&applied, 70),);
    let reviewed: Result<Application, Error> = suite.licences(key("reviewer"), "review", args);
    reviewed.unwrap();
    let closed: Result<Round, Error> = suite.licences(officer, "close_round", (opened.id,));
    assert!(closed.unwrap().closed_at_ns.is_some());
    (person, applied)
}

/// The certified leaf of a seat; none if the seat is certified to be free.
pub(crate) fn certified_seat(suite: &Suite, seat: u64) -> Option<Seat> {
    let path = seat_path(seat);
    let witness = suite.certified(suite.license_manager, vec![path.clone()]);
    if witness.absent(&path).is_ok() {
        return None;
    }
    let SeatRecord::V1(seat) = witness.value(&path).unwrap();
    Some(seat)
}

#[test]
fn the_license_manager_learns_who_somebody_is_and_nobody_else_does() {
    let suite = Suite::new();
    let (role, _) = suite.with_officials();
    let officer = key("officer");
    let expected = Subject {
        person: role.person,
        organisation: Some(suite.organisation),
        roles: [LICENCE_OFFICER.to_owned()].into(),
    };
    for asks in [suite.license_manager, officer] {
        let told = suite.subject_of(asks, officer).unwrap();
        assert_eq!(told, Some(expected.clone()));
    }
    let strangers = [
        suite.registry,
        suite.identity,
        key("reviewer"),
        key("administrator"),
        governor(1),
        CONTROLLER,
        Principal::anonymous(),
    ];
    for stranger in strangers {
        assert_eq!(suite.subject_of(stranger, officer).unwrap(), None);
    }
    let told: Result<Subject, Error> = suite.licences(officer, "refresh_subject", ());
    assert_eq!(told, Ok(expected));
    // Who is no person is nobody, whoever asks.
    assert_eq!(
        suite
            .subject_of(suite.license_manager, key("nobody"))
            .unwrap(),
        None
    );
}

#[test]
fn a_role_counts_from_its_acceptance_on() {
    let suite = Suite::new();
    let officer = key("officer");
    let args = suite.offer(suite.person(officer), LICENCE_OFFICER);
    let administrator = key("administrator");
    let offered: Result<indus_api::identity::Role, Error> =
        suite.identity(administrator, "grant_role", (args.clone(),));
    let id = offered.unwrap().id;
    let open = || -> Result<Round, Error> {
        let args = OpenRoundArgs {
            apply_until_ns: DAY_NS + suite.now_ns(),
            title: "Round".into(),
        };
        suite.licences(officer, "open_round", (args,))
    };
    assert!(matches!(open(), Err(Error::Unauthorized { .. })));
    // Nobody but an administrator offers a role, and nobody but its person accepts it.
    let refused: Result<indus_api::identity::Role, Error> =
        suite.identity(officer, "grant_role", (args,));
    assert!(matches!(refused, Err(Error::Unauthorized { .. })));
    suite.person(key("another"));
    for other in [administrator, key("another")] {
        let refused: Result<indus_api::identity::Role, Error> =
            suite.identity(other, "accept_role", (id,));
        assert!(matches!(refused, Err(Error::Unauthorized { .. })));
    }
    let accepted: Result<indus_api::identity::Role, Error> =
        suite.identity(officer, "accept_role", (id,));
    accepted.unwrap();
    assert_eq!(open().unwrap().id, 1);
}

#[test]
fn a_round_goes_from_its_opening_to_a_certified_seat() {
    let suite = Suite::new();
    let (officer_role, reviewer_role) = suite.with_officials();
    let (officer, reviewer) = (key("officer"), key("reviewer"));
    assert_eq!(reviewer_role.role, LICENCE_REVIEWER);

    // Officers open rounds, and nobody else.
    let args = round(&suite);
    for other in [reviewer, key("administrator"), governor(1)] {
        let refused: Result<Round, Error> = suite.licences(other, "open_round", (args.clone(),));
        assert!(
            matches!(refused, Err(Error::Unauthorized { .. })),
            "{refused:?}"
        );
    }
    let opened: Round = suite.licences(officer, "open_round", (args,)).unwrap();
    assert_eq!((opened.id, opened.opened_by), (1, officer_role.person));

    // Persons apply. Two of them, the better one later.
    let unknown: Result<Application, Error> =
        suite.licences(key("bilal"), "apply", (application("bilal"),));
    assert!(
        matches!(unknown, Err(Error::Unauthorized { .. })),
        "{unknown:?}"
    );
    let mut applied = Vec::new();
    for name in ["bilal", "ayesha"] {
        let person = suite.person(key(name));
        let apply = || -> Result<Application, Error> {
            suite.licences(key(name), "apply", (application(name),))
        };
        let made = apply().unwrap();
        assert_eq!(apply().unwrap(), made, "the same key, the same application");
        assert_eq!(made.content.applicant, person);
        applied.push(made);
    }
    let [bilal, ayesha] = &applied[..] else {
        panic!("two applications")
    };

    // A reviewer reads and reviews; an officer without that role doesn't.
    let _known: Result<Subject, Error> = suite.licences(reviewer, "refresh_subject", ());
    for (made, score) in [(bilal, 60), (ayesha, 90)] {
        let id = made.content.id;
        let read: Result<Application, Error> =
            suite.query(suite.license_manager, reviewer, "get_application", (id,));
        let read = read.unwrap();
        assert_eq!(read.content, made.content);
        let refused: Result<Application, Error> =
            suite.licences(officer, "review", (review(&read, score),));
        assert!(matches!(refused, Err(Error::Unauthorized { .. })));
        let early: Result<Round, Error> = suite.licences(officer, "close_round", (1_u64,));
        assert!(matches!(early, Err(Error::Conflict { .. })), "{early:?}");
        let reviewed: Result<Application, Error> =
            suite.licences(reviewer, "review", (review(&read, score),));
        let [given] = &reviewed.unwrap().reviews[..] else {
            panic!("one review")
        };
        assert_eq!((given.reviewer, given.score), (reviewer_role.person, score));
    }
    let closed: Round = suite.licences(officer, "close_round", (1_u64,)).unwrap();
    assert!(closed.closed_at_ns.is_some());

    // The best one first.
    let grant = |id: u64| -> Result<Seat, Error> { suite.licences(officer, "grant", (id,)) };
    let passed_over = grant(bilal.content.id);
    assert!(
        matches!(passed_over, Err(Error::Conflict { .. })),
        "{passed_over:?}"
    );
    let granted = grant(ayesha.content.id).unwrap();
    assert_eq!(
        (granted.seat, granted.holder),
        (1, ayesha.content.applicant)
    );
    assert_eq!(
        certified_seat(&suite, 1).as_ref(),
        Some(&granted),
        "what is answered is what is certified"
    );
    assert!(!granted.is_valid_at(suite.now_ns()));
    let entitled = |person| -> Option<Entitlement> {
        let args = EntitlementArgs {
            person,
            product: PRODUCT.into(),
        };
        let anonymous = Principal::anonymous();
        let answer: Result<Option<Entitlement>, Error> = suite.query(
            suite.license_manager,
            anonymous,
            "check_entitlement",
            (args,),
        );
        answer.unwrap()
    };
    assert!(!entitled(granted.holder).unwrap().valid);

    // Claimed by its person alone.
    for other in ["bilal", "officer"] {
        let refused: Result<Seat, Error> = suite.licences(key(other), "claim", (1_u64,));
        assert!(matches!(refused, Err(Error::Unauthorized { .. })));
    }
    let claimed: Seat = suite.licences(key("ayesha"), "claim", (1_u64,)).unwrap();
    assert!(matches!(claimed.state, SeatState::Active(_)));
    assert!(entitled(claimed.holder).unwrap().valid);
    assert_eq!(entitled(bilal.content.applicant), None);
    assert_eq!(certified_seat(&suite, 1), Some(claimed.clone()));
    assert!(claimed.is_valid_at(suite.now_ns()));
    assert_eq!(certified_seat(&suite, 2), None);

    // And it ends by itself: idle, given notice, free again, and the next in order has it.
    suite.pass(Duration::from_secs(46 * 24 * 60 * 60));
    assert!(
        certified_seat(&suite, 1)
            .unwrap()
            .licence()
            .unwrap()
            .notice
            .is_some()
    );
    suite.pass(Duration::from_secs(15 * 24 * 60 * 60));
    assert_eq!(entitled(claimed.holder), None);
    let next = certified_seat(&suite, 1).unwrap();
    assert_eq!(next.holder, bilal.content.applicant);
}
