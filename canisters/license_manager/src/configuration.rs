//! The configuration: what an installation begins with, and what the governors decide afterwards.
//!
//! A decision is pulled from the registry by whoever calls `apply_decision`; what is checked here is that it is meant for
//! this canister, is later than the last one, and can be.
//!
//! Invariant: the quotas add up to no more seats than there are. What is held beyond a quota that was lowered stays held.

use candid::Principal;
use ic_stable_structures::Memory;
use indus_api::{
    Error,
    decision::Decision,
    licences::{Configuration, InitArgs, Ledger, Limits, Periods, QueueKey, SEATS, Settings},
};
use indus_kit::{Context, decisions, text::invalid};

use crate::{
    desk::{QUEUES, place, queues},
    state::State,
    step::{self, Step},
};

const SECOND_NS: u64 = 1_000_000_000;
const TEN_YEARS_NS: u64 = 10 * 365 * 24 * 60 * 60 * SECOND_NS;

/// Most open applications that a person can be allowed: as many leaves more may change with a grant.
const MAX_OPEN_PER_PERSON: u32 = 10;
const MAX_APPLICATIONS_A_DAY: u32 = 100_000;
const MAX_REVIEWS_NEEDED: u32 = 3;

/// The settings and ledgers of a new installation.
///
/// # Errors
/// [`Error::Invalid`].
pub(crate) fn initial(args: InitArgs) -> Result<(Settings, Vec<Ledger>), Error> {
    for (field, canister) in [("identity", args.identity), ("registry", args.registry)] {
        if [Principal::anonymous(), Principal::management_canister()].contains(&canister) {
            return Err(invalid(field, "must be a canister"));
        }
    }
    let configuration = args.configuration.unwrap_or_default();
    check(&configuration)?;
    let empty: Vec<Ledger> = queues()
        .map(|QueueKey { audience, sector }| Ledger {
            audience,
            sector,
            quota: 0,
            granted: 0,
            active: 0,
            suspended: 0,
            vacancies: 0,
        })
        .collect();
    let ledgers = with_quotas(&empty, &configuration).collect();
    let settings = Settings {
        identity: args.identity,
        registry: args.registry,
        decision: 0,
        configuration,
    };
    Ok((settings, ledgers))
}

/// The ledgers with the quotas of a configuration.
pub(crate) fn with_quotas(
    ledgers: &[Ledger],
    configuration: &Configuration,
) -> impl Iterator<Item = Ledger> {
    let mut quotas = [0; QUEUES];
    for quota in &configuration.quotas {
        let queue = QueueKey {
            audience: quota.audience,
            sector: quota.sector,
        };
        quotas[place(queue)] = quota.seats;
    }
    ledgers
        .iter()
        .zip(quotas)
        .map(|(ledger, quota)| Ledger { quota, ..*ledger })
}

fn check(configuration: &Configuration) -> Result<(), Error> {
    let Configuration {
        quotas,
        limits,
        periods,
    } = configuration;
    let mut named = [false; QUEUES];
    for quota in quotas {
        let queue = QueueKey {
            audience: quota.audience,
            sector: quota.sector,
        };
        if std::mem::replace(&mut named[place(queue)], true) {
            return Err(invalid(
                "quotas",
                "must name no sector of an audience twice",
            ));
        }
    }
    let seats: u64 = quotas.iter().map(|quota| u64::from(quota.seats)).sum();
    if seats > SEATS {
        return Err(invalid("quotas", format!("must add up to at most {SEATS}")));
    }
    let Limits {
        open_per_person,
        applications_a_day,
        reviews_needed,
    } = *limits;
    for (field, value, max) in [
        ("open_per_person", open_per_person, MAX_OPEN_PER_PERSON),
        (
            "applications_a_day",
            applications_a_day,
            MAX_APPLICATIONS_A_DAY,
        ),
        ("reviews_needed", reviews_needed, MAX_REVIEWS_NEEDED),
    ] {
        if !(1..=max).contains(&value) {
            return Err(invalid(field, format!("must be 1 to {max}")));
        }
    }
    let Periods {
        claim_ns,
        term_ns,
        idle_ns,
        notice_ns,
    } = *periods;
    for (field, value) in [
        ("claim_ns", claim_ns),
        ("term_ns", term_ns),
        ("idle_ns", idle_ns),
        ("notice_ns", notice_ns),
    ] {
        if !(SECOND_NS..=TEN_YEARS_NS).contains(&value) {
            return Err(invalid(field, "must be a second to ten years"));
        }
    }
    Ok(())
}

/// Whether a decision was applied, for who may have one applied.
///
/// # Errors
/// Those of [`decisions::is_applied`].
pub fn is_applied<M: Memory>(state: &State<M>, context: &Context, id: u64) -> Result<bool, Error> {
    decisions::is_applied(context, Some(state.settings.decision), id)
}

/// Applies decision `id` as the registry told it. `this` is the canister itself.
///
/// # Errors
/// Those of [`is_applied`] and [`decisions::configuration`]; [`Error::Invalid`] for what can't be.
pub fn apply<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    this: Principal,
    id: u64,
    decision: &Decision,
) -> Result<(), Error> {
    if is_applied(state, context, id)? {
        return Ok(());
    }
    let configuration = decisions::configuration(this, id, decision)?;
    check(&configuration)?;
    let settings = Settings {
        decision: id,
        configuration,
        ..state.settings.clone()
    };
    Step::new(step::CONFIGURED)
        .settings(settings)
        .record(state, context, context.caller)
}
