//! Identity: registrations, and who callers are to the license manager.

use candid::{Encode, Principal};
use ic_stable_structures::VectorMemory;
use identity::{State, persons, roles};
use indus_api::{
    Error, Subject,
    identity::{GrantArgs, InitArgs, LICENCE_OFFICER, MethodKind, Person, RegisterArgs},
    licences::{Application, Seat},
    registry::{OrganisationKind, OrganisationStatus, Standing},
};
use indus_kit::Context;
use serde_bytes::ByteBuf;

use super::{
    OPERATIONS, licences, registry,
    setting::{Spent, Suite, key, mean, unexpected},
};
use crate::net::START_NS;

/// Of so many persons, one is an official, each of an organisation of their own.
const OFFICIALS: u64 = 100;
/// Between two registrations, in nanoseconds: as fast as all of them are let in.
const INTERVAL_NS: u64 = 100_000_000;
const DAY_NS: u64 = 86_400_000_000_000;
/// No application and no seat has this id.
const UNKNOWN: u64 = u64::MAX;

/// Instructions of one call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    /// Of a query of the license manager that has to know who is calling, less one that doesn't.
    pub(crate) cached: f64,
    /// Of the whole of that query.
    pub(crate) cached_query: f64,
    /// Of `refresh_subject` of the license manager, in all three canisters.
    pub(crate) remote: f64,
    /// Of a registration.
    pub(crate) register: f64,
}

/// The key of a person, from their number.
pub(super) fn caller(number: u64) -> Principal {
    key("person", number)
}

/// The key of an official, from their number.
pub(super) fn official(number: u64) -> Principal {
    caller(number * OFFICIALS)
}

fn registration() -> RegisterArgs {
    RegisterArgs {
        kind: MethodKind::Ed25519,
        alias_commitment: Some(ByteBuf::from([7; 32])),
    }
}

/// An identity canister with so many persons, each of one device, some of them officials. Returns the first persons.
pub(super) fn fill(
    memory: VectorMemory,
    own: Principal,
    init: InitArgs,
    records: u64,
) -> anyhow::Result<Vec<Principal>> {
    let mut context = Context {
        caller: Principal::management_canister(),
        time_ns: START_NS - DAY_NS - records * INTERVAL_NS,
    };
    let mut identity = State::create(memory, &context, own, init)?;
    identity.randomness.seed([7; 32]);
    let mut first = Vec::new();
    for number in 0..records {
        context.time_ns += INTERVAL_NS;
        context.caller = caller(number);
        let person = persons::register(&mut identity, &context, registration())?.id;
        if number < licences::APPLICATIONS {
            first.push(person);
        }
        if number % OFFICIALS == 0 {
            appoint(&mut identity, &context, number / OFFICIALS, person)?;
            // As a timer does it, once a minute.
            identity.limits.prune(context.time_ns, 1_000);
            identity.kit.certified.commit();
        }
    }
    identity.kit.certified.commit();
    Ok(first)
}

/// Gives a person, who calls, a role that they accept.
fn appoint(
    identity: &mut State<VectorMemory>,
    context: &Context,
    official: u64,
    person: Principal,
) -> anyhow::Result<()> {
    let organisation = registry::organisation(official + 1);
    let administrator = registry::administrator(organisation);
    let standing = Standing {
        organisation,
        status: OrganisationStatus::Active,
        kind: OrganisationKind::Agency,
        sector: "government".into(),
        administrators: vec![administrator],
    };
    let by = Context {
        caller: administrator,
        ..*context
    };
    let args = GrantArgs {
        person,
        organisation,
        role: LICENCE_OFFICER.into(),
        valid_from_ns: context.time_ns,
        valid_until_ns: START_NS + 365 * DAY_NS,
    };
    let role = roles::grant(identity, &by, args, Some(&standing))?;
    roles::accept(identity, context, role.id)?;
    Ok(())
}

pub(super) fn measure(suite: &mut Suite, records: u64) -> anyhow::Result<Figures> {
    let (cached, cached_query, remote) = subjects(suite, records)?;
    Ok(Figures {
        cached,
        cached_query,
        remote,
        register: register(suite)?,
    })
}

/// From an official's principal to their person, organisation and roles: asked for, then known.
fn subjects(suite: &mut Suite, records: u64) -> anyhow::Result<(f64, f64, f64)> {
    let calls = u64::from(OPERATIONS).min(records / OFFICIALS);
    let mut remote = Spent::default();
    for number in 0..calls {
        let official = official(number);
        let before = suite.spent();
        let subject: Subject = suite.update(
            official,
            suite.license_manager,
            "refresh_subject",
            Encode!()?,
        )?;
        // The first one is for the types.
        if number > 0 {
            remote = remote.and(suite.spent().since(before));
        }
        if subject.organisation != Some(registry::organisation(number + 1)) {
            return Err(unexpected("a subject", &subject));
        }
    }
    eprintln!(
        "bench: a resolved caller: {remote:?} in {} calls",
        calls - 1
    );
    let (mut knows, mut asks_nobody) = (0, 0);
    for number in 0..calls {
        let official = official(number);
        knows += unknown::<Application>(suite, official, "get_application")?;
        asks_nobody += unknown::<Seat>(suite, official, "get_seat")?;
    }
    let of = u32::try_from(calls)?;
    let (knows, asks_nobody) = (mean(knows, of), mean(asks_nobody, of));
    Ok((knows - asks_nobody, knows, mean(remote.total(), of - 1)))
}

/// What it takes the license manager to say that something isn't there.
fn unknown<R: candid::CandidType + serde::de::DeserializeOwned + std::fmt::Debug>(
    suite: &Suite,
    caller: Principal,
    method: &str,
) -> anyhow::Result<u64> {
    let before = suite.spent();
    let answer: Result<R, Error> =
        suite.query(caller, suite.license_manager, method, Encode!(&UNKNOWN)?)?;
    if !matches!(answer, Err(Error::NotFound { .. })) {
        return Err(unexpected(method, &answer));
    }
    Ok(suite.spent().since(before).license_manager)
}

fn register(suite: &mut Suite) -> anyhow::Result<f64> {
    let mut instructions = 0;
    for number in 0..=OPERATIONS {
        let newcomer = key("newcomer", number.into());
        let args = Encode!(&registration())?;
        let before = suite.spent();
        let _: Person = suite.update(newcomer, suite.identity, "register_person", args)?;
        // The first one is for the types.
        if number > 0 {
            instructions += suite.spent().since(before).identity;
        }
    }
    Ok(mean(instructions, OPERATIONS))
}
