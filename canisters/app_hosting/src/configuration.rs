//! The configuration: what an installation begins with, and what the governors decide afterwards.
//!
//! A decision is pulled from the registry by whoever calls `apply_decision`; what is checked here is that it is meant for this
//! canister, is later than the last one, and can be. What is held beyond a quota that was lowered stays held.

use candid::Principal;
use ic_stable_structures::Memory;
use indus_api::{
    Error,
    decision::Decision,
    hosting::{
        CONFIGURATION_KEY, Configuration, ConfigurationRecord, InForce, InitArgs, MAX_APPS,
        MAX_CANISTERS, MAX_INITIAL_CYCLES, MODULE_BYTES,
    },
};
use indus_kit::{Context, decisions, text::invalid};

use crate::care;
use crate::state::{CONFIGURED, IN_FORCE, State};

/// The configuration of a new installation.
///
/// # Errors
/// [`Error::Invalid`].
pub(crate) fn initial(args: InitArgs) -> Result<InForce, Error> {
    for (field, canister) in [
        ("identity", args.identity),
        ("registry", args.registry),
        ("license_manager", args.license_manager),
    ] {
        if [Principal::anonymous(), Principal::management_canister()].contains(&canister) {
            return Err(invalid(field, "must be a canister"));
        }
    }
    let configuration = args.configuration.unwrap_or_default();
    check(&configuration)?;
    Ok(InForce {
        identity: args.identity,
        registry: args.registry,
        license_manager: args.license_manager,
        configuration,
        decision: None,
    })
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
    state.record(context, CONFIGURED, context.caller, vec![change])?;
    Ok(())
}

fn check(configuration: &Configuration) -> Result<(), Error> {
    let Configuration {
        apps_of_person,
        apps_of_organisation,
        canisters_of_app,
        initial_cycles,
        module_bytes_of_app,
        ref care,
    } = *configuration;
    for (field, value, max) in [
        ("apps_of_person", apps_of_person, MAX_APPS),
        ("apps_of_organisation", apps_of_organisation, MAX_APPS),
        ("canisters_of_app", canisters_of_app, MAX_CANISTERS),
    ] {
        if !(1..=max).contains(&value) {
            return Err(invalid(field, format!("must be 1 to {max}")));
        }
    }
    if initial_cycles > MAX_INITIAL_CYCLES {
        let reason = format!("must be at most {MAX_INITIAL_CYCLES}");
        return Err(invalid("initial_cycles", reason));
    }
    if !MODULE_BYTES.contains(&module_bytes_of_app) {
        let (min, max) = MODULE_BYTES.into_inner();
        let reason = format!("must be {min} to {max}");
        return Err(invalid("module_bytes_of_app", reason));
    }
    care::check(care)
}
