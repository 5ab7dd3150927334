//! Roles: what a person may do for an organisation.

use candid::{CandidType, Principal};
use serde::{Deserialize, Serialize};

use crate::paging::PageArgs;

/// Why something was taken back. A closed list, because what anybody wrote would stay in a public log for ever.
#[derive(
    CandidType, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord,
)]
pub enum RevocationReason {
    /// The task or the employment has ended.
    Ended,
    /// Something else takes its place.
    Replaced,
    /// It should not have been given.
    Mistake,
    /// It was misused, or its holder's keys were lost.
    Misuse,
}

/// That something was taken back.
#[derive(CandidType, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// The administrator, or the person who gave it up.
    pub by: Principal,
    pub at_ns: u64,
    pub reason: RevocationReason,
}

/// A role that an organisation's administrator offered a person.
///
/// It counts from `valid_from_ns` (inclusive) to `valid_until_ns` (exclusive), when the person has accepted it, unless it
/// is revoked, and while the organisation is active.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Role {
    pub id: u64,
    pub person: Principal,
    pub organisation: u64,
    /// A slug of at most [`MAX_ROLE_BYTES`](crate::subject::MAX_ROLE_BYTES). It means something within its organisation.
    pub role: String,
    pub valid_from_ns: u64,
    pub valid_until_ns: u64,
    pub granted_by: Principal,
    pub granted_at_ns: u64,
    pub accepted_at_ns: Option<u64>,
    pub revocation: Option<Revocation>,
}

impl Role {
    /// Whether the person holds it at this time, if the organisation is active.
    #[must_use]
    pub fn is_held(&self, time_ns: u64) -> bool {
        self.accepted_at_ns.is_some()
            && self.revocation.is_none()
            && (self.valid_from_ns..self.valid_until_ns).contains(&time_ns)
    }

    /// Whether it will never be held again.
    #[must_use]
    pub fn has_ended(&self, time_ns: u64) -> bool {
        self.revocation.is_some() || self.valid_until_ns <= time_ns
    }
}

/// The certified leaf of a role.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum RoleRecord {
    V1(Role),
}

/// Offers a person a role.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct GrantArgs {
    pub person: Principal,
    pub organisation: u64,
    /// As in [`Role`].
    pub role: String,
    /// At most [`MAX_ROLE_LEAD_NS`](super::MAX_ROLE_LEAD_NS) from now.
    pub valid_from_ns: u64,
    /// In the future, and at most [`MAX_ROLE_VALIDITY_NS`](super::MAX_ROLE_VALIDITY_NS) after it begins.
    pub valid_until_ns: u64,
}

/// Takes a role back.
#[derive(CandidType, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct RevokeRoleArgs {
    pub id: u64,
    pub reason: RevocationReason,
}

/// Asks for a page of roles, in the order of their ids, ended ones included.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct ListRolesArgs {
    /// Only those of this organisation.
    pub organisation: Option<u64>,
    /// Only those of this person.
    pub person: Option<Principal>,
    pub page: PageArgs<u64>,
}
