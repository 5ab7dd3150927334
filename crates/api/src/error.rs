//! The one error type of all Indus canisters.

use candid::CandidType;
use serde::{Deserialize, Serialize};
use thiserror::Error as ThisError;

/// Why a call was refused. Nothing has changed when a call answers with one of these.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, ThisError)]
pub enum Error {
    /// The caller may not do this; `needs` names who may.
    #[error("not authorized: needs {needs}")]
    Unauthorized { needs: String },
    /// There is no such thing.
    #[error("no {what} {id}")]
    NotFound { what: String, id: String },
    /// Something else has that name already.
    #[error("{what} {id} exists already")]
    AlreadyExists { what: String, id: String },
    /// An argument is not acceptable.
    #[error("{field}: {reason}")]
    Invalid { field: String, reason: String },
    /// What the caller decided on has changed since; `current` is the hash (hex) of what is there now.
    #[error("changed since it was read: it is {current} now")]
    Stale { current: String },
    /// A limit is reached: `limit` of `what`.
    #[error("at most {limit} {what}")]
    LimitReached { limit: u64, what: String },
    /// Too many calls; the next one is answered after this time.
    #[error("too many calls: again in {retry_after_ms} ms")]
    RateLimited { retry_after_ms: u64 },
    /// The state of the thing does not allow this.
    #[error("{reason}")]
    Conflict { reason: String },
    /// Not enough people have agreed.
    #[error("{have} of {need} have agreed")]
    QuorumNotMet { have: u32, need: u32 },
    /// The time for this is over.
    #[error("expired")]
    Expired,
    /// The canister can't answer now.
    #[error("{canister} can't answer now: {reason}")]
    Unavailable { canister: String, reason: String },
    /// A fault of the canister itself; `code` finds the place in the source.
    #[error("internal error {code}")]
    Internal { code: u32 },
}
