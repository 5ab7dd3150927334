//! Codes of [`Error::Internal`] that are the kit's: faults of the canister itself. Canisters number theirs from 1,000 on.

use indus_api::Error;

/// Stable memory can't grow.
pub const MEMORY_FULL: u32 = 1;
/// An event is larger than any may be.
pub const EVENT_TOO_LARGE: u32 = 2;
/// An event changes one record twice.
pub const RECORD_CHANGED_TWICE: u32 = 3;
/// A key is not of its collection's length, or can't be in its tree.
pub const KEY_REFUSED: u32 = 4;
/// An event removes a record that is not there.
pub const RECORD_MISSING: u32 = 5;
/// A read with proof was asked for while something was uncommitted.
pub const UNCOMMITTED: u32 = 6;
/// A stored block can't be read.
pub const BLOCK_UNREADABLE: u32 = 7;
/// The details of an event can't be encoded.
pub const DETAILS_NOT_ENCODED: u32 = 8;
/// A stored idempotency record is not one, or of a later version.
pub const IDEMPOTENCY_UNREADABLE: u32 = 9;
/// A stored pending operation is not one, or of a later version.
pub const OPERATION_UNREADABLE: u32 = 10;
/// A call was to be made while something was uncommitted.
pub const UNCOMMITTED_CALL: u32 = 11;
/// The pages could not be certified.
pub const PAGES_NOT_CERTIFIED: u32 = 12;

/// A record can't be encoded.
pub const RECORD_NOT_ENCODED: u32 = 13;
/// A stored record is not one, or of a later version.
pub const RECORD_NOT_DECODED: u32 = 14;

/// The error with a code.
#[must_use]
pub fn internal(code: u32) -> Error {
    Error::Internal { code }
}
