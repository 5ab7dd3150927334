//! The configuration: who may ask who somebody is, and how long a recovery waits. Governors decide on it in the registry.
//!
//! Invariant: decisions are applied in the order of their ids, each once.
//!
//! Cost: one record.

use candid::Principal;
use ic_stable_structures::Memory;
use indus_api::{
    Error,
    decision::{Decision, MAX_CONFIGURATION_BYTES},
    identity::{
        CONFIGURATION_KEY, Configuration, ConfigurationRecord, InForce, MAX_RECOVERY_DELAY_NS,
        MAX_SUITE_CANISTERS, MIN_RECOVERY_DELAY_NS,
    },
};
use indus_kit::{Context, arguments, text::invalid};

use crate::state::{CONFIGURED, IN_FORCE, State, conflict};

/// Whether a decision was applied already: then there is nothing to ask the registry.
///
/// # Errors
/// [`Error::Unauthorized`] to anonymous callers; [`Error::Conflict`] for a decision before the last one.
pub fn is_applied<M: Memory>(
    state: &State<M>,
    context: &Context,
    proposal: u64,
) -> Result<bool, Error> {
    context.authenticated()?;
    match state.in_force()?.decision {
        Some(last) if last > proposal => Err(conflict(format!("decision {last} was applied"))),
        last => Ok(last == Some(proposal)),
    }
}

/// Applies what the governors decided about this canister. Repeatable.
///
/// # Errors
/// Those of [`is_applied`]; [`Error::Invalid`] for a decision about another canister, or a configuration that can't be.
pub fn apply<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    proposal: u64,
    decision: &Decision,
) -> Result<(), Error> {
    if is_applied(state, context, proposal)? {
        return Ok(());
    }
    if decision.proposal != proposal || decision.canister != state.own {
        return Err(invalid(
            "proposal",
            "must be a decision about this canister",
        ));
    }
    let bytes = &decision.configuration;
    let configuration: Configuration = Some(bytes)
        .filter(|bytes| bytes.len() <= MAX_CONFIGURATION_BYTES)
        .and_then(|bytes| arguments::decode(bytes).ok())
        .ok_or_else(|| invalid("configuration", "must be Candid of a Configuration"))?;
    check(&configuration)?;
    let record = ConfigurationRecord::V1(InForce {
        registry: state.in_force()?.registry,
        configuration,
        decision: Some(proposal),
    });
    let change = IN_FORCE.put(&CONFIGURATION_KEY, &record)?;
    state.record(context, context.caller, CONFIGURED, vec![change])
}

/// Checks a configuration.
///
/// # Errors
/// [`Error::Invalid`] for its fields.
pub(crate) fn check(configuration: &Configuration) -> Result<(), Error> {
    let mut canisters = configuration.suite_canisters.clone();
    if canisters.len() > MAX_SUITE_CANISTERS {
        let reason = format!("must be at most {MAX_SUITE_CANISTERS}");
        return Err(invalid("suite_canisters", reason));
    }
    canisters.sort_unstable();
    let nobody = [Principal::anonymous(), Principal::management_canister()];
    if canisters.iter().any(|one| nobody.contains(one)) {
        return Err(invalid("suite_canisters", "must be canisters"));
    }
    if canisters.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(invalid("suite_canisters", "must not name any twice"));
    }
    let bounds = MIN_RECOVERY_DELAY_NS..=MAX_RECOVERY_DELAY_NS;
    let delay_ns = configuration.recovery_delay_ns;
    if delay_ns.is_some_and(|delay_ns| !bounds.contains(&delay_ns)) {
        return Err(invalid("recovery_delay_ns", "must be a second to 14 days"));
    }
    Ok(())
}
