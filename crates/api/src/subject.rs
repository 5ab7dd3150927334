//! Subjects: who a caller is to the canisters of the suite.

use std::collections::BTreeSet;

use candid::{CandidType, Principal};
use serde::{Deserialize, Serialize};

/// Most roles of one subject.
pub const MAX_ROLES: usize = 32;
/// Longest name of a role, in bytes.
pub const MAX_ROLE_BYTES: usize = 64;

/// A person, in the name of an organisation perhaps, with what they may do.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Names the person: the same, whichever of their devices and offices calls.
    pub person: Principal,
    /// Id of the organisation that the caller acts for.
    pub organisation: Option<u64>,
    /// At most [`MAX_ROLES`] names, each 1 to [`MAX_ROLE_BYTES`] bytes long.
    pub roles: BTreeSet<String>,
}
