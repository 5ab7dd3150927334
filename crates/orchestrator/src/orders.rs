//! Upgrades that governors decided: who may have one carried out, and with what.

use indus_api::{
    Error,
    hosting::MAX_RELEASE_ARGUMENT_BYTES,
    registry::{ApprovedUpgrade, UpgradeOrder},
};
use indus_kit::{
    Context,
    refusals::{limit_reached, unauthorized},
    text::invalid,
};
use serde_bytes::ByteBuf;
use sha2::{Digest as _, Sha256};

/// Refuses everybody but those who decided an upgrade.
///
/// # Errors
/// [`Error::Unauthorized`].
pub fn check_decided(context: &Context, upgrade: &ApprovedUpgrade) -> Result<(), Error> {
    if upgrade.decided_by.contains(&context.caller) {
        return Ok(());
    }
    Err(unauthorized("a governor who decided the upgrade"))
}

/// How long an upgrade that was decided can be carried out for the first time, in nanoseconds: 30 days. What the governors had in mind then need
/// not be what is good for the canister later.
pub const ORDER_LIFETIME_NS: u64 = 30 * 24 * 3_600 * 1_000_000_000;

/// Refuses what was decided too long ago.
///
/// # Errors
/// [`Error::Expired`].
pub fn check_in_time(context: &Context, upgrade: &ApprovedUpgrade) -> Result<(), Error> {
    let over_ns = upgrade.executed_at_ns.saturating_add(ORDER_LIFETIME_NS);
    if context.time_ns < over_ns {
        return Ok(());
    }
    Err(Error::Expired)
}

/// Refuses an answer of the registry about another proposal than the one that was asked for.
///
/// # Errors
/// [`Error::Invalid`].
pub fn check_proposal(upgrade: &ApprovedUpgrade, proposal: u64) -> Result<(), Error> {
    if upgrade.proposal == proposal {
        return Ok(());
    }
    Err(invalid("proposal", "must be the one that was asked for"))
}

/// Refuses an argument that is longer than any may be.
///
/// # Errors
/// [`Error::LimitReached`].
pub fn check_argument(argument: &[u8]) -> Result<(), Error> {
    if argument.len() <= MAX_RELEASE_ARGUMENT_BYTES {
        return Ok(());
    }
    Err(limit_reached(
        MAX_RELEASE_ARGUMENT_BYTES as u64,
        "bytes of argument",
    ))
}

/// Refuses any argument but the one that was decided.
///
/// # Errors
/// [`Error::LimitReached`]; [`Error::Invalid`].
pub fn check_ordered_argument(order: &UpgradeOrder, argument: &[u8]) -> Result<(), Error> {
    check_argument(argument)?;
    if digest(argument) == order.argument_hash {
        return Ok(());
    }
    Err(invalid("argument", "is not the one that was approved"))
}

/// SHA-256.
#[must_use]
pub fn digest(bytes: &[u8]) -> ByteBuf {
    ByteBuf::from(Sha256::digest(bytes).to_vec())
}
