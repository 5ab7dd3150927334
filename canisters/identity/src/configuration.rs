//! The configuration: who may ask who somebody is, and how long a recovery waits. Governors decide on it in the registry.
//!
//! Invariant: decisions are applied in the order of their ids, each once.
//!
//! Cost: one record.

use candid::Principal;
use ic_stable_structures::Memory;
use indus_api::{
    Error,
    decision::Decision,
    identity::{
        CONFIGURATION_KEY, Configuration, ConfigurationRecord, InForce, MAX_RECOVERY_DELAY_NS,
        MAX_SUITE_CANISTERS, MIN_RECOVERY_DELAY_NS,
    },
};
use indus_kit::{Context, decisions, text::invalid};

use crate::state::{CONFIGURED, IN_FORCE, State};

/// Whether a decision was applied already: then there is nothing to ask the registry.
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

/// Applies what the governors decided about this canister. Repeatable.
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
