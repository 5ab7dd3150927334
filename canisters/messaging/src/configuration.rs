//! The configuration: what an installation begins with, and what the governors decide afterwards.
//!
//! A decision is pulled from the registry by whoever calls `apply_decision`; what is checked here is that it is meant for this
//! canister, is later than the last one, and can be.

use candid::Principal;
use ic_stable_structures::Memory;
use indus_api::{
    Error,
    decision::Decision,
    messaging::{
        CONFIGURATION_KEY, Configuration, ConfigurationRecord, DEFAULT_DAILY_CLAIMS, InForce,
        InitArgs,
    },
};
use indus_kit::{Context, decisions, text::invalid};

use crate::state::{CONFIGURED, IN_FORCE, State};

/// Most claims a day that can be configured.
const MAX_DAILY_CLAIMS: u32 = 1_000;

/// The configuration of a new installation.
///
/// # Errors
/// [`Error::Invalid`].
pub(crate) fn initial(args: InitArgs) -> Result<InForce, Error> {
    for (field, canister) in [("identity", args.identity), ("registry", args.registry)] {
        if [Principal::anonymous(), Principal::management_canister()].contains(&canister) {
            return Err(invalid(field, "must be a canister"));
        }
    }
    check(&args.configuration)?;
    Ok(InForce {
        identity: args.identity,
        registry: args.registry,
        configuration: args.configuration,
        decision: None,
    })
}

/// Most claims of one caller upon one person in 24 hours.
pub(crate) fn daily_claims(configuration: &Configuration) -> u32 {
    configuration.daily_claims.unwrap_or(DEFAULT_DAILY_CLAIMS)
}

/// Whether a decision was applied, for who may have one applied.
///
/// # Errors
/// Those of [`decisions::is_applied`].
pub fn is_applied<M: Memory>(
    state: &State<M>,
    context: &Context,
    proposal: u64,
) -> Result<bool, Error> {
    decisions::is_applied(context, state.in_force()?.decision, proposal)
}

/// Applies what the registry said of a decision. Repeatable.
///
/// # Errors
/// Those of [`is_applied`] and [`decisions::configuration`]; [`Error::Invalid`] for what can't be.
pub fn apply<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    proposal: u64,
    decision: &Decision,
) -> Result<(), Error> {
    if is_applied(state, context, proposal)? {
        return Ok(());
    }
    let configuration = decisions::configuration(state.own, proposal, decision)?;
    check(&configuration)?;
    let in_force = InForce {
        configuration,
        decision: Some(proposal),
        ..state.in_force()?
    };
    let change = IN_FORCE.put(&CONFIGURATION_KEY, &ConfigurationRecord::V1(in_force))?;
    state.record(context, CONFIGURED, vec![change])
}

fn check(configuration: &Configuration) -> Result<(), Error> {
    match configuration.daily_claims {
        Some(claims) if !(1..=MAX_DAILY_CLAIMS).contains(&claims) => Err(invalid(
            "daily_claims",
            format!("must be 1 to {MAX_DAILY_CLAIMS}"),
        )),
        _ => Ok(()),
    }
}
