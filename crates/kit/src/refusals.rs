//! The typed refusals that all canisters answer with.

use indus_api::Error;

/// The caller may not do this; `needs` names who may.
pub fn unauthorized(needs: impl Into<String>) -> Error {
    Error::Unauthorized {
        needs: needs.into(),
    }
}

/// There is no such thing.
pub fn not_found(what: &str, id: impl ToString) -> Error {
    Error::NotFound {
        what: what.into(),
        id: id.to_string(),
    }
}

/// The state of the thing does not allow this.
pub fn conflict(reason: impl Into<String>) -> Error {
    Error::Conflict {
        reason: reason.into(),
    }
}

/// A limit of `what` is reached.
pub fn limit_reached(limit: u64, what: &str) -> Error {
    Error::LimitReached {
        limit,
        what: what.into(),
    }
}
