//! The license manager: a seat for the first in order.

use candid::{Encode, Principal};
use ic_stable_structures::VectorMemory;
use indus_api::{
    Subject,
    identity::{LICENCE_OFFICER, LICENCE_REVIEWER},
    licences::{
        ApplyArgs, Audience, Configuration, InitArgs, Limits, OpenRoundArgs, QueueArgs, QueueKey,
        ReviewArgs, Seat, Sector,
    },
    paging::PageArgs,
};
use indus_kit::Context;
use license_manager::{State, applications, grants, order, reviews, rounds};
use serde_bytes::ByteBuf;

use super::{
    identity,
    setting::{Spent, Suite, key, mean, unexpected},
};
use crate::net::START_NS;

/// Applications of the round, each of somebody else.
pub(super) const APPLICATIONS: u64 = 3_000;
/// Seats of each queue that were granted before.
const GRANTED: usize = 20;
/// Seats of each queue that are granted while it is measured.
const MEASURED: u32 = 20;
/// The official who grants them: none who has applied.
pub(super) const OFFICER: u64 = 50;
const DAY_NS: u64 = 86_400_000_000_000;
const FILLED_NS: u64 = START_NS - DAY_NS;

/// Instructions of one call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    /// Of `grant` in the license manager.
    pub(crate) grant: f64,
    /// The same with what identity and the registry take, who are asked about the officer.
    pub(crate) grant_total: f64,
}

pub(super) fn configuration() -> Configuration {
    let configuration = Configuration::default();
    let limits = Limits {
        applications_a_day: 10_000,
        ..configuration.limits
    };
    Configuration {
        limits,
        ..configuration
    }
}

fn queues() -> Vec<QueueKey> {
    let of = |audience| Sector::ALL.map(|sector| QueueKey { audience, sector });
    Audience::ALL.into_iter().flat_map(of).collect()
}

/// A license manager with a closed round, whose applicants are these persons, and some granted seats. Returns the next
/// applications, each in front when those before it have their seats.
pub(super) fn fill(
    memory: VectorMemory,
    init: InitArgs,
    applicants: &[Principal],
) -> anyhow::Result<Vec<u64>> {
    let mut context = Context {
        caller: key("official", 0),
        time_ns: FILLED_NS,
    };
    let with_role = |role: &str| Subject {
        person: key(role, 0),
        organisation: Some(1),
        roles: [role.to_owned()].into(),
    };
    let (officer, reviewer) = (with_role(LICENCE_OFFICER), with_role(LICENCE_REVIEWER));
    let mut licences = State::create(memory, &context, init)?;
    licences.seed([7; 32]);
    let round = OpenRoundArgs {
        title: "Spring".into(),
        apply_until_ns: FILLED_NS + DAY_NS,
    };
    let round = rounds::open(&mut licences, &context, &officer, round)?.id;
    let queues = queues();
    for (number, (applicant, queue)) in (0_u64..).zip(applicants.iter().zip(queues.iter().cycle()))
    {
        context.time_ns += 1;
        context.caller = identity::caller(number);
        apply(&mut licences, &context, *applicant, *queue, &reviewer)?;
    }
    rounds::close(&mut licences, &context, &officer, round)?;
    let mut next = Vec::new();
    for queue in queues {
        let page = PageArgs {
            after: None,
            limit: 100,
        };
        let order = order::list(&licences, QueueArgs { queue, page })?.items;
        let (granted, waiting) = order.split_at(GRANTED);
        for place in granted {
            grants::grant(&mut licences, &context, &officer, place.application)?;
        }
        let waiting = waiting.iter().take(MEASURED.try_into()?);
        next.extend(waiting.map(|place| place.application));
    }
    licences.kit.certified.commit();
    Ok(next)
}

/// Applies for a seat, which is reviewed.
fn apply(
    licences: &mut State<VectorMemory>,
    context: &Context,
    person: Principal,
    queue: QueueKey,
    reviewer: &Subject,
) -> anyhow::Result<()> {
    let QueueKey { audience, sector } = queue;
    let args = ApplyArgs {
        audience,
        sector,
        statement: ByteBuf::from([7; 32]),
        idempotency_key: ByteBuf::from(person.as_slice()),
    };
    let bytes = Encode!(&args)?;
    let applicant = Subject {
        person,
        organisation: None,
        roles: Default::default(),
    };
    let content = applications::apply(licences, context, &applicant, args, &bytes)?.content;
    // Any order but that of the applications.
    let score = u8::try_from(content.id * 37 % 101)?;
    let review = ReviewArgs {
        application: content.id,
        hash: ByteBuf::from(content.hash()?),
        score,
        comment: ByteBuf::from([score; 32]),
    };
    reviews::review(licences, context, reviewer, review)?;
    Ok(())
}

pub(super) fn measure(suite: &mut Suite, order: &[u64]) -> anyhow::Result<Figures> {
    let officer = identity::official(OFFICER);
    let mut spent = Spent::default();
    for (number, application) in order.iter().enumerate() {
        let before = suite.spent();
        let argument = Encode!(application)?;
        let seat: Seat = suite.update(officer, suite.license_manager, "grant", argument)?;
        if seat.application != *application {
            return Err(unexpected("a grant", &seat));
        }
        // The first one is for the types.
        if number > 0 {
            spent = spent.and(suite.spent().since(before));
        }
    }
    let calls = u32::try_from(order.len())? - 1;
    Ok(Figures {
        grant: mean(spent.license_manager, calls),
        grant_total: mean(spent.total(), calls),
    })
}
