//! What other canisters ask the registry about an organisation.

use candid::{CandidType, Principal};
use serde::{Deserialize, Serialize};

use super::OrganisationKind;

/// Where an organisation stands.
#[derive(
    CandidType, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord,
)]
pub enum OrganisationStatus {
    /// Applied for; nobody has looked at it. Reserves no name: several applications for one slug may compete.
    Pending,
    /// At least one governor has agreed, and not enough.
    InReview,
    /// It may act.
    Active,
    /// It may not act, until it is reinstated.
    Suspended,
    /// It will never act again. Its slug is free.
    Revoked,
    /// Turned down by a governor.
    Rejected,
    /// Taken back by the applicant.
    Withdrawn,
}

/// Whether an organisation may act, and who acts for it: what `organisation_standing` answers.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub organisation: u64,
    pub status: OrganisationStatus,
    pub kind: OrganisationKind,
    /// Field of work.
    pub sector: String,
    /// Who may appoint its officials, at most 10.
    pub administrators: Vec<Principal>,
}
