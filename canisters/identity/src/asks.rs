//! What identity asks others for: where an organisation stands, what governors decided, a seed. All that awaits.
//!
//! ```text
//! update ── checked, counted ── commit ─ await: a question ─► checked again from the start, with the answer ── commit
//! ```
//!
//! Each `await` is a question that changes nothing at the callee and nothing here, so a call whose answer is lost may be made
//! again, and two at once do no harm: only the message after the answer decides, on the state that it finds.
//!
//! Invariants: whoever makes the canister ask has taken a token of their bucket, but for the canisters of the suite; at most
//! [`MAX_QUESTIONS`] are open at once.

use std::{cell::Cell, collections::BTreeMap, thread::LocalKey};

use candid::Principal;
use indus_api::{Error, Subject, identity::MAX_MESSAGING_KEYS, registry::Standing};
use indus_kit::{
    Context,
    calls::{self, Canister as _},
    decisions,
    guard::{Guard, Guards},
    shell,
};
use serde_bytes::ByteBuf;

use crate::{
    Identity, configuration, messaging_keys,
    state::unauthorized,
    subjects::{self, Found},
};

/// How the registry is called in errors.
const REGISTRY: &str = "registry";
/// Most questions at once: half of what the system's queue between two canisters holds.
const MAX_QUESTIONS: usize = 250;

thread_local! {
    static QUESTIONS: Guards<u64> = Guards::new("questions to the registry at once", MAX_QUESTIONS);
    static NEXT_QUESTION: Cell<u64> = const { Cell::new(0) };
}

/// Asks the registry where the organisation stands that `find` names, for a caller who has a token left. None is asked about,
/// if it names none.
pub(crate) async fn standing(
    find: impl FnOnce(&Identity, &Context) -> Result<Option<u64>, Error>,
) -> Result<Option<Standing>, Error> {
    let organisation = shell::update(|state: &mut Identity, context| {
        let organisation = find(state, context)?;
        if organisation.is_some() {
            state.limits.take(context, None, 1)?;
        }
        Ok(organisation)
    })?;
    match organisation {
        Some(organisation) => ask(organisation).await,
        None => Ok(None),
    }
}

/// Who a principal speaks for, for a canister of the suite or themselves; none for everybody else, and for nobody. A canister
/// of the suite is told what holds now; a person, what held within the last minute.
pub(crate) async fn subject_of(principal: Principal) -> Result<Option<Subject>, Error> {
    let find = |state: &mut Identity, context: &Context| {
        if !subjects::may_ask(state, context, principal)? {
            return Ok(Found::Nobody);
        }
        if context.caller != principal {
            return subjects::find_afresh(state, principal, context.time_ns, None);
        }
        let found = subjects::find(state, principal, context.time_ns)?;
        if matches!(found, Found::Asks(_)) {
            state.limits.take(context, None, 1)?;
        }
        Ok(found)
    };
    let organisation = match shell::update(find)? {
        Found::Nobody => return Ok(None),
        Found::Person(subject) => return Ok(Some(subject)),
        Found::Asks(organisation) => organisation,
    };
    let standing = ask(organisation).await?;
    let find = |state: &mut Identity, context: &Context| {
        if !subjects::may_ask(state, context, principal)? {
            return Ok(Found::Nobody);
        }
        subjects::find_afresh(state, principal, context.time_ns, standing.as_ref())
    };
    match shell::update(find)? {
        Found::Nobody => Ok(None),
        Found::Person(subject) => Ok(Some(subject)),
        // The office has changed in between, or the registry doesn't know it: nobody is an official of that.
        Found::Asks(_) => Err(Error::Unavailable {
            canister: REGISTRY.into(),
            reason: "it does not say where the organisation stands".into(),
        }),
    }
}

/// Who holds these messaging keys now, for a canister of the suite. Each organisation is asked about once.
pub(crate) async fn holders_of(signature_keys: &[ByteBuf]) -> Result<Vec<Option<Subject>>, Error> {
    let mut standings: BTreeMap<u64, Option<Standing>> = BTreeMap::new();
    loop {
        let unknown = shell::query(|state: &Identity, context| {
            holders(state, context, signature_keys, &standings)
        })?;
        let organisation = match unknown {
            Ok(holders) => return Ok(holders),
            Err(organisation) => organisation,
        };
        // The registry doesn't know it, or the office has changed again and again: nobody is an official of that.
        if standings.contains_key(&organisation) || standings.len() > MAX_MESSAGING_KEYS {
            return Err(Error::Unavailable {
                canister: REGISTRY.into(),
                reason: "it does not say where the organisation stands".into(),
            });
        }
        standings.insert(organisation, ask(organisation).await?);
    }
}

/// The holders, by these standings; or an organisation that has to be asked about.
fn holders(
    state: &Identity,
    context: &Context,
    signature_keys: &[ByteBuf],
    standings: &BTreeMap<u64, Option<Standing>>,
) -> Result<Result<Vec<Option<Subject>>, u64>, Error> {
    let mut holders = Vec::new();
    for device in messaging_keys::devices(state, context, signature_keys)? {
        let Some(principal) = device else {
            holders.push(None);
            continue;
        };
        match subjects::find_among(state, principal, context.time_ns, standings)? {
            Found::Nobody => holders.push(None),
            Found::Person(subject) => holders.push(Some(subject)),
            Found::Asks(organisation) => return Ok(Err(organisation)),
        }
    }
    Ok(Ok(holders))
}

/// The caller's subject, so that queries know it for a minute.
pub(crate) async fn refresh_subject() -> Result<Subject, Error> {
    let caller = shell::context().authenticated()?;
    let subject = subject_of(caller).await?;
    subject.ok_or_else(|| unauthorized("a registered person"))
}

/// Draws the seed, if there is none.
pub(crate) async fn seeded() -> Result<(), Error> {
    let is_seeded = shell::update(|state: &mut Identity, context| {
        context.authenticated()?;
        Ok(state.randomness.is_seeded())
    })?;
    if is_seeded {
        return Ok(());
    }
    let _open = question()?;
    let seed = calls::random::<Identity>().await?;
    shell::update(|state: &mut Identity, _| {
        state.randomness.seed(seed);
        Ok(())
    })
}

/// Asks the registry for a decision, and applies it.
pub(crate) async fn apply_decision(proposal: u64) -> Result<(), Error> {
    let registry = shell::update(|state: &mut Identity, context| {
        if configuration::is_applied(state, context, proposal)? {
            return Ok(None);
        }
        state.limits.take(context, None, 1)?;
        Ok(Some(state.in_force()?.registry))
    })?;
    let Some(registry) = registry else {
        return Ok(());
    };
    let open = question()?;
    let decision = decisions::pull::<Identity>(registry, proposal).await;
    drop(open);
    let decision = decision?;
    shell::update(|state: &mut Identity, context| {
        configuration::apply(state, context, proposal, &decision)
    })
}

/// Asks the registry where an organisation stands, and remembers the answer.
async fn ask(organisation: u64) -> Result<Option<Standing>, Error> {
    let _open = question()?;
    let registry = shell::query(|state: &Identity, _| state.in_force())?.registry;
    let asked_at_ns = Identity::time_ns();
    let standing: Option<Standing> =
        calls::ask::<Identity, _>(registry, "organisation_standing", &organisation)
            .await
            .map_err(|failed| failed.of(REGISTRY))?;
    shell::update(|state: &mut Identity, _| {
        state
            .standings
            .keep(organisation, standing.clone(), asked_at_ns);
        Ok(standing)
    })
}

/// Enters a question among those that are open.
fn question() -> Result<Guard<u64>, Error> {
    let next: &'static LocalKey<Cell<u64>> = &NEXT_QUESTION;
    next.set(next.get() + 1);
    QUESTIONS.with(|questions| questions.enter(next.get()))
}
