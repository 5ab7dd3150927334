//! Random histories of several people, timers, decisions and upgrades, against what the certified records themselves say.
//!
//! After each step the records are read from end to end and searched plainly: nothing of the canister's indexes is believed.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use indus_api::{
    Error,
    decision::Decision,
    licences::{
        Application, ApplicationRecord, ApplicationState, Audience, EntitlementArgs, Ledger,
        LedgerRecord, PRODUCT, QueueArgs, QueueKey, ReorderArgs, SEATS, Seat, SeatRecord, Sector,
    },
    paging::PageArgs,
};
use indus_kit::{CollectionId, Context};
use license_manager::{applications, configuration, grants, order, reviews, rounds, seats, step};
use proptest::{collection::vec, prelude::*, sample::Index};
use serde_bytes::ByteBuf;

use crate::setting::{
    COLLEAGUE, DAY, Directory, OFFICE, OTHER_REVIEW, QUEUE, REVIEW, Setting, own, person, small,
};

const OTHER: QueueKey = QueueKey {
    audience: Audience::Government,
    sector: Sector::Other,
};
const PEOPLE: std::ops::Range<u8> = 20..27;

#[derive(Clone, Debug)]
enum Call {
    OpenRound,
    CloseRound,
    Apply {
        n: u8,
        other: bool,
    },
    Withdraw {
        n: u8,
        id: u64,
    },
    Review {
        n: u8,
        id: u64,
        score: u8,
    },
    /// The whole round, so that histories get on.
    ReviewAll {
        score: u8,
    },
    Recuse {
        n: u8,
        id: u64,
    },
    Decline {
        id: u64,
    },
    Reorder {
        id: u64,
        score: u8,
    },
    /// A round from its beginning to its end.
    Programme {
        first: u8,
        scores: Vec<u8>,
        other: bool,
    },
    Grant {
        id: u64,
    },
    /// To somebody who waits.
    GrantWaiting {
        other: bool,
        which: Index,
    },
    Claim {
        n: u8,
        seat: u64,
    },
    CheckIn {
        n: u8,
        seat: u64,
    },
    Suspend {
        seat: u64,
    },
    Reinstate {
        seat: u64,
    },
    Reclaim {
        seat: u64,
    },
    Configure {
        seats: u32,
    },
    Wait {
        days: u64,
    },
    Tick,
    Reopen,
}

fn calls() -> impl Strategy<Value = Call> {
    let id = || 1..12_u64;
    let seat = || 1..5_u64;
    let reviewer = || prop_oneof![Just(REVIEW), Just(OTHER_REVIEW), Just(COLLEAGUE)];
    prop_oneof![
        3 => Just(Call::OpenRound),
        3 => Just(Call::CloseRound),
        8 => (PEOPLE, any::<bool>()).prop_map(|(n, other)| Call::Apply { n, other }),
        1 => (PEOPLE, id()).prop_map(|(n, id)| Call::Withdraw { n, id }),
        3 => (reviewer(), id(), 0..=100_u8).prop_map(|(n, id, score)| Call::Review { n, id, score }),
        5 => (0..=100_u8).prop_map(|score| Call::ReviewAll { score }),
        1 => (reviewer(), id()).prop_map(|(n, id)| Call::Recuse { n, id }),
        1 => id().prop_map(|id| Call::Decline { id }),
        2 => (id(), 0..=100_u8).prop_map(|(id, score)| Call::Reorder { id, score }),
        2 => id().prop_map(|id| Call::Grant { id }),
        4 => (PEOPLE, vec(0..=100_u8, 2..5), any::<bool>())
            .prop_map(|(first, scores, other)| Call::Programme { first, scores, other }),
        8 => (any::<bool>(), any::<Index>()).prop_map(|(other, which)| Call::GrantWaiting { other, which }),
        5 => (PEOPLE, seat()).prop_map(|(n, seat)| Call::Claim { n, seat }),
        2 => (PEOPLE, seat()).prop_map(|(n, seat)| Call::CheckIn { n, seat }),
        2 => seat().prop_map(|seat| Call::Suspend { seat }),
        2 => seat().prop_map(|seat| Call::Reinstate { seat }),
        2 => seat().prop_map(|seat| Call::Reclaim { seat }),
        1 => (0..4_u32).prop_map(|seats| Call::Configure { seats }),
        4 => prop_oneof![Just(1_u64), Just(14), Just(45), Just(200)].prop_map(|days| Call::Wait { days }),
        4 => Just(Call::Tick),
        1 => Just(Call::Reopen),
    ]
}

/// All records, read from end to end.
struct Records {
    seats: Vec<Seat>,
    applications: Vec<Application>,
    ledgers: Vec<Ledger>,
    open_round: Option<u64>,
}

fn decoded<R: candid::CandidType + serde::de::DeserializeOwned>(s: &Setting, at: usize) -> Vec<R> {
    let collection = s.state.kit.certified.collection(CollectionId(at));
    let records = collection.after(None);
    records
        .map(|(_, bytes)| candid::decode_one(&bytes).unwrap())
        .collect()
}

fn records(s: &Setting) -> Records {
    let all = PageArgs {
        after: None,
        limit: 100,
    };
    let rounds = rounds::list(&s.state, all).unwrap().items;
    let open: Vec<u64> = rounds
        .iter()
        .filter(|round| round.closed_at_ns.is_none())
        .map(|round| round.id)
        .collect();
    assert!(open.len() < 2);
    Records {
        seats: decoded(s, 0)
            .into_iter()
            .map(|SeatRecord::V1(seat)| seat)
            .collect(),
        applications: decoded(s, 1)
            .into_iter()
            .map(|ApplicationRecord::V1(application)| application)
            .collect(),
        ledgers: decoded(s, 2)
            .into_iter()
            .map(|LedgerRecord::V1(ledger)| ledger)
            .collect(),
        open_round: open.first().copied(),
    }
}

impl Records {
    /// Those that wait in a queue, in the order of the rule.
    fn order(&self, queue: QueueKey) -> Vec<u64> {
        let mut waiting: Vec<&Application> = self
            .applications
            .iter()
            .filter(|one| {
                one.state == ApplicationState::Open
                    && Some(one.content.round) != self.open_round
                    && (one.content.audience, one.content.sector) == (queue.audience, queue.sector)
            })
            .collect();
        waiting.sort_by_key(|one| {
            let content = &one.content;
            (
                content.round,
                Reverse(one.rank()),
                content.applied_at_ns,
                content.id,
            )
        });
        waiting.iter().map(|one| one.content.id).collect()
    }

    fn ledger(&self, queue: QueueKey) -> &Ledger {
        let mut ledgers = self.ledgers.iter();
        let mine = ledgers.find(|one| (one.audience, one.sector) == (queue.audience, queue.sector));
        mine.unwrap()
    }
}

/// What must hold of the records by themselves, and of what the canister says of them.
fn check(s: &Setting) -> Records {
    let now = records(s);
    assert!(now.seats.len() as u64 <= SEATS);
    let numbers: BTreeSet<u64> = now.seats.iter().map(|seat| seat.seat).collect();
    assert!(numbers.iter().all(|seat| (1..=SEATS).contains(seat)));
    assert_eq!(numbers.len(), now.seats.len(), "a seat has one holder");
    let holders: BTreeMap<_, _> = now.seats.iter().map(|one| (one.holder, one.seat)).collect();
    assert_eq!(holders.len(), now.seats.len(), "a person holds one seat");

    for ledger in &now.ledgers {
        let mine = |seat: &&Seat| (seat.audience, seat.sector) == (ledger.audience, ledger.sector);
        let count = |state: fn(&Seat) -> bool| {
            now.seats
                .iter()
                .filter(mine)
                .filter(|seat| state(seat))
                .count()
        };
        use indus_api::licences::SeatState;
        let counted = [
            count(|seat| matches!(seat.state, SeatState::Granted { .. })),
            count(|seat| matches!(seat.state, SeatState::Active(_))),
            count(|seat| matches!(seat.state, SeatState::Suspended { .. })),
        ];
        let told = [ledger.granted, ledger.active, ledger.suspended].map(|count| count as usize);
        assert_eq!(told, counted, "the ledger adds up");
    }

    for (place, application) in now.applications.iter().enumerate() {
        assert_eq!(application.content.id, place as u64 + 1, "none is lost");
    }
    for seat in &now.seats {
        let application = &now.applications[usize::try_from(seat.application).unwrap() - 1];
        assert_eq!(application.content.applicant, seat.holder);
        let granted = matches!(
            application.state,
            ApplicationState::Granted { seat: number, .. } if number == seat.seat
        );
        assert!(granted, "{application:?}");
    }
    let open = now
        .applications
        .iter()
        .filter(|one| one.state == ApplicationState::Open);
    for application in open.clone() {
        let applicant = application.content.applicant;
        assert!(!holders.contains_key(&applicant), "a holder doesn't wait");
    }

    for queue in [QUEUE, OTHER] {
        let page = PageArgs {
            after: None,
            limit: 100,
        };
        let told = order::list(&s.state, QueueArgs { queue, page }).unwrap();
        let told: Vec<u64> = told.items.iter().map(|place| place.application).collect();
        assert_eq!(told, now.order(queue));
    }
    for n in PEOPLE {
        let all = PageArgs {
            after: None,
            limit: 100,
        };
        let mine = applications::list_mine(&s.state, &Directory, &s.context(n), all).unwrap();
        let ids: Vec<u64> = mine.items.iter().map(|one| one.content.id).collect();
        let expected = open
            .clone()
            .filter(|one| one.content.applicant == person(n));
        assert_eq!(ids, expected.map(|one| one.content.id).collect::<Vec<_>>());
        let args = EntitlementArgs {
            person: person(n),
            product: PRODUCT.into(),
        };
        let entitled = seats::check_entitlement(&s.state, &s.context(n), args).unwrap();
        let seat = entitled.map(|entitlement| entitlement.seat);
        assert_eq!(seat, holders.get(&person(n)).copied());
    }
    now
}

/// What may have become of the applications and seats in one step.
fn check_step(before: &Records, after: &Records) {
    for (old, new) in before.applications.iter().zip(&after.applications) {
        assert_eq!(old.content, new.content);
        if old.state != ApplicationState::Open {
            assert_eq!(old, new, "what is closed stays as it is");
        }
        let rank_is_fixed = Some(old.content.round) != before.open_round;
        if rank_is_fixed && old.rank() != new.rank() {
            assert_ne!(old.regrading, new.regrading, "moved without a decision");
        }
    }
    for seat in &after.seats {
        let known = before
            .seats
            .iter()
            .any(|old| old.application == seat.application);
        let ledger = after.ledger(QueueKey {
            audience: seat.audience,
            sector: seat.sector,
        });
        assert!(
            known || ledger.held() <= ledger.quota,
            "granted beyond the quota"
        );
    }
}

/// The newly granted applications of a step, in the order of their seats' events, must be the first ones in order.
fn check_grants(before: &Records, after: &Records) {
    for queue in [QUEUE, OTHER] {
        let order = before.order(queue);
        let still: BTreeSet<u64> = after.order(queue).into_iter().collect();
        let is_granted = |id: &u64| {
            let one = &after.applications[usize::try_from(*id).unwrap() - 1];
            matches!(one.state, ApplicationState::Granted { .. })
        };
        let last = order.iter().rposition(is_granted);
        if let Some(last) = last {
            let overtaken = order[..last].iter().find(|id| still.contains(id));
            assert_eq!(overtaken, None, "overtaken in {order:?}");
        }
    }
}

fn make(s: &mut Setting, call: Call, now: &Records) {
    let seat = |number: u64| now.seats.iter().find(|seat| seat.seat == number).cloned();
    let refused: Option<Error> = match call {
        Call::OpenRound => {
            if now.open_round.is_none() {
                s.open_round();
            }
            None
        }
        Call::CloseRound => now.open_round.and_then(|id| s.close_round(id).err()),
        Call::Apply { n, other } => s.apply(n, if other { OTHER } else { QUEUE }).err(),
        Call::Withdraw { n, id } => s
            .call(n, |state, context, subject| {
                applications::withdraw(state, context, subject, id)
            })
            .err(),
        Call::Review { n, id, score } => {
            if now.applications.len() as u64 >= id {
                s.review(n, id, score).err()
            } else {
                None
            }
        }
        Call::ReviewAll { score } => {
            for id in 1..=now.applications.len() as u64 {
                let spread = u8::try_from(u64::from(score) * id % 101).unwrap();
                let _closed = s.review(REVIEW, id, spread);
            }
            None
        }
        Call::Recuse { n, id } => s
            .call(n, |state, context, subject| {
                reviews::recuse(state, context, subject, id)
            })
            .err(),
        Call::Decline { id } => s
            .call(OFFICE, |state, context, subject| {
                let args = indus_api::licences::DeclineArgs {
                    application: id,
                    reason: "as decided".into(),
                };
                applications::decline(state, context, subject, args)
            })
            .err(),
        Call::Reorder { id, score } => s
            .call(OFFICE, |state, context, subject| {
                let args = ReorderArgs {
                    application: id,
                    score,
                    reason: "as decided".into(),
                };
                order::reorder(state, context, subject, args)
            })
            .err(),
        Call::Grant { id } => s.grant(id).err(),
        Call::Programme {
            first,
            scores,
            other,
        } => {
            if now.open_round.is_none() {
                let round = s.open_round().id;
                for (n, score) in (first..PEOPLE.end).zip(scores) {
                    if let Ok(applied) = s.apply(n, if other { OTHER } else { QUEUE }) {
                        s.review(REVIEW, applied.content.id, score).unwrap();
                    }
                }
                s.close_round(round).unwrap();
            }
            None
        }
        Call::GrantWaiting { other, which } => {
            let queue = if other { OTHER } else { QUEUE };
            let waiting = now.order(queue);
            if !waiting.is_empty() {
                let place = which.index(waiting.len());
                let ledger = now.ledger(queue);
                let may = place == 0 && ledger.held() < ledger.quota;
                let answer = s.grant(waiting[place]);
                assert_eq!(answer.is_ok(), may, "{answer:?}");
            }
            None
        }
        Call::Claim { n, seat } => s.claim(n, seat).err(),
        Call::CheckIn { n, seat } => s.check_in(n, seat).err(),
        Call::Suspend { seat: number } => seat(number).and_then(|seat| s.suspend(&seat, 1).err()),
        Call::Reinstate { seat: number } => seat(number).and_then(|seat| s.reinstate(&seat).err()),
        Call::Reclaim { seat: number } => seat(number).and_then(|seat| s.reclaim(&seat, 1).err()),
        Call::Configure { seats } => {
            let mut changed = small();
            changed.quotas[0].seats = seats;
            let id = s.state.settings().decision + 1;
            let decision = Decision {
                proposal: id,
                canister: own(),
                configuration: ByteBuf::from(candid::encode_one(changed).unwrap()),
                executed_at_ns: 0,
            };
            s.call(OFFICE, |state, context, _| {
                configuration::apply(state, context, own(), id, &decision)
            })
            .err()
        }
        Call::Wait { days } => {
            s.time_ns += days * DAY;
            None
        }
        Call::Tick => {
            s.tick();
            let left = records(s);
            let over = left
                .seats
                .iter()
                .find(|seat| seat.ends_at_ns() <= s.time_ns);
            assert_eq!(over, None, "a timer has overlooked it");
            None
        }
        Call::Reopen => {
            s.reopen();
            None
        }
    };
    assert!(
        !matches!(refused, Some(Error::Internal { .. })),
        "{refused:?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_history_keeps_the_seats_the_quotas_and_the_order(history in vec(calls(), 1..90)) {
        let mut s = Setting::new();
        let mut now = check(&s);
        for call in history {
            make(&mut s, call, &now);
            let after = check(&s);
            check_step(&now, &after);
            check_grants(&now, &after);
            now = after;
        }
        s.audit();
    }
}

#[test]
fn fifteen_hundred_seats_are_granted_and_not_one_more() {
    let all = indus_api::licences::Configuration {
        quotas: vec![indus_api::licences::Quota {
            audience: QUEUE.audience,
            sector: QUEUE.sector,
            seats: u32::try_from(SEATS).unwrap(),
        }],
        limits: indus_api::licences::Limits {
            applications_a_day: 2_000,
            ..small().limits
        },
        ..small()
    };
    let mut s = Setting::with(all);
    s.open_round();
    let someone = |n: u64| indus_api::Subject {
        person: candid::Principal::from_slice(&n.to_be_bytes()),
        ..crate::setting::subject(20)
    };
    for n in 1..=SEATS + 1 {
        let applicant = someone(n);
        let context = Context {
            caller: applicant.person,
            time_ns: s.time_ns,
        };
        let args = indus_api::licences::ApplyArgs {
            audience: QUEUE.audience,
            sector: QUEUE.sector,
            statement: crate::setting::commitment(1),
            idempotency_key: ByteBuf::from([1]),
        };
        applications::apply(&mut s.state, &context, &applicant, args, b"").unwrap();
        s.review(REVIEW, n, 50).unwrap();
    }
    s.close_round(1).unwrap();
    for n in 1..=SEATS {
        assert_eq!(s.grant(n).unwrap().seat, n);
    }
    let full = crate::setting::limit(s.grant(SEATS + 1));
    assert_eq!(full, (SEATS, "seats of this audience and sector".into()));
    let now = records(&s);
    assert_eq!(now.seats.len() as u64, SEATS);
    // They lapse at once, in bounded slices, and the last one is granted by itself.
    s.time_ns += 14 * DAY;
    let context = s.context(77);
    let first = seats::look_at(&mut s.state, &context, 100);
    assert_eq!(first, indus_kit::timers::Progress::More);
    assert_eq!(records(&s).seats.len() as u64, SEATS - 100);
    s.tick();
    assert_eq!(records(&s).seats.len(), 1);
    assert_eq!(seats::get(&s.state, 1).unwrap().application, SEATS + 1);
    let again = grants::fill(&mut s.state, &context, 100);
    assert_eq!(again, indus_kit::timers::Progress::Done);
    let kinds = s.audit();
    let lapsed = kinds.iter().filter(|kind| *kind == step::LAPSED).count();
    assert_eq!(lapsed as u64, SEATS);
}
