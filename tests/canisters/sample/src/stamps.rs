//! Stamps that this desk gives to others: to each operation of a canister one, however often it asks.

use candid::Principal;
use ic_stable_structures::Memory;
use indus_api::Error;
use indus_kit::{Context, text::invalid};
use sha2::{Digest as _, Sha256};

use crate::{
    interface::StampRecord,
    state::{STAMP, State, decoded},
};

/// A stamp was given.
pub const GIVEN: &str = "stamp.given";

const MAX_OPERATION_BYTES: usize = 64;

/// Gives a stamp for the caller's operation, or the one that it has.
///
/// # Errors
/// [`Error::Invalid`] for the operation; [`Error::Internal`].
pub fn give<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    operation: &[u8],
) -> Result<u64, Error> {
    if !(1..=MAX_OPERATION_BYTES).contains(&operation.len()) {
        return Err(invalid("operation", "must be 1 to 64 bytes long"));
    }
    let key = stamp_key(context.caller, operation);
    if let Some(bytes) = state.kit.certified.get(STAMP, &key) {
        let StampRecord::V1 { number, .. } = decoded(&bytes)?;
        return Ok(number);
    }
    let number = state.next_id(STAMP);
    let record = StampRecord::V1 {
        number,
        to: context.caller,
    };
    state.put(context, GIVEN, STAMP, key.to_vec(), &record)?;
    Ok(number)
}

/// The key of a stamp: SHA-256 over the canister's length, the canister and the operation.
#[must_use]
pub fn stamp_key(to: Principal, operation: &[u8]) -> [u8; 32] {
    Sha256::new()
        .chain_update((to.as_slice().len() as u64).to_be_bytes())
        .chain_update(to.as_slice())
        .chain_update(operation)
        .finalize()
        .into()
}
