//! Keepers: who decides here, and how many of them have to agree.
//!
//! They are keys, not persons: whoever has to be reached when the suite doesn't work can't be looked up in it.

use candid::Principal;
use ic_stable_structures::Memory;
use indus_api::{
    Error,
    lifeline::{InitArgs, KEEPERS_KEY, Keepers, KeepersRecord, MAX_KEEPERS, MIN_KEEPERS},
};
use indus_kit::{Context, codes::internal, refusals::unauthorized, text::invalid};

use crate::state::{KEEPER, NO_KEEPERS, State};

/// The keepers of a new installation with the id `own`.
///
/// # Errors
/// [`Error::Invalid`].
pub(crate) fn initial(own: Principal, args: InitArgs) -> Result<Keepers, Error> {
    let InitArgs {
        registry,
        app_hosting,
        keepers,
        threshold,
    } = args;
    for (field, canister) in [("registry", registry), ("app_hosting", app_hosting)] {
        if is_nobody(canister) || canister == own {
            return Err(invalid(field, "must be another canister"));
        }
    }
    if registry == app_hosting {
        return Err(invalid("app_hosting", "must not be the registry"));
    }
    check(&keepers, threshold)?;
    Ok(Keepers {
        registry,
        app_hosting,
        keepers,
        threshold,
    })
}

/// Refuses keepers that can't be: too few to lose one, so many that nobody knows them, or so low a threshold that two groups of them could
/// decide against each other.
///
/// # Errors
/// [`Error::Invalid`].
pub(crate) fn check(keepers: &[Principal], threshold: u32) -> Result<(), Error> {
    if !(MIN_KEEPERS..=MAX_KEEPERS).contains(&keepers.len()) {
        let reason = format!("must be {MIN_KEEPERS} to {MAX_KEEPERS}");
        return Err(invalid("keepers", reason));
    }
    check_each("keepers", keepers)?;
    let all = keepers.len();
    let threshold = usize::try_from(threshold).unwrap_or(usize::MAX);
    if threshold > all || threshold <= all / 2 {
        let reason = format!("must be {} to {all}", all / 2 + 1);
        return Err(invalid("threshold", reason));
    }
    Ok(())
}

/// Refuses principals that are nobody, or there twice.
///
/// # Errors
/// [`Error::Invalid`] with `field`.
pub(crate) fn check_each(field: &str, principals: &[Principal]) -> Result<(), Error> {
    if principals.iter().any(|one| is_nobody(*one)) {
        return Err(invalid(field, "must not be anonymous, or the subnet"));
    }
    let mut sorted = principals.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    if sorted.len() < principals.len() {
        return Err(invalid(field, "must each be there once"));
    }
    Ok(())
}

/// Who decides.
///
/// # Errors
/// [`Error::Internal`] if the stored bytes don't say.
pub fn get<M: Memory>(state: &State<M>) -> Result<Keepers, Error> {
    let record = KEEPER.get(&state.kit.certified, &KEEPERS_KEY)?;
    let KeepersRecord::V1(keepers) = record.ok_or_else(|| internal(NO_KEEPERS))?;
    Ok(keepers)
}

/// The same, for a keeper.
///
/// # Errors
/// [`Error::Unauthorized`] to everybody else.
pub(crate) fn for_keeper<M: Memory>(state: &State<M>, context: &Context) -> Result<Keepers, Error> {
    let keepers = get(state)?;
    if keepers.keepers.contains(&context.caller) {
        return Ok(keepers);
    }
    Err(unauthorized("a keeper"))
}

fn is_nobody(principal: Principal) -> bool {
    [Principal::anonymous(), Principal::management_canister()].contains(&principal)
}
