//! `registry`: who and what is on the subnet.

mod standing;

use candid::{CandidType, Principal};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use sha2::{Digest as _, Sha256};

pub use crate::certified::DATA;
pub use standing::{OrganisationStatus, Standing};

/// Collection of the organisations; keys are [`organisation_key`]s, leaves [`OrganisationRecord`]s.
pub const ORGANISATIONS: &str = "organisations";

/// Collection of the governors; keys are [`governor_key`]s, leaves [`GovernorRecord`]s.
pub const GOVERNORS: &str = "governors";

/// Longest slug, in bytes: lower-case letters, digits and single hyphens.
pub const MAX_SLUG_BYTES: usize = 64;
/// Longest name, sector or seat, in bytes.
pub const MAX_NAME_BYTES: usize = 100;
/// Longest reason for closing an application, in bytes.
pub const MAX_REASON_BYTES: usize = 1_000;
/// Most applications that one caller may have pending.
pub const MAX_PENDING_PER_CALLER: u64 = 3;
/// Most applications that may be pending in all.
pub const MAX_PENDING: u64 = 1_000;
/// Most governors that an installation may name.
pub const MAX_GOVERNORS: usize = 25;

/// What the canister is installed with.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct InitArgs {
    /// Who may decide on applications: 1 to [`MAX_GOVERNORS`], none of them anonymous.
    pub governors: Vec<Principal>,
}

/// Kinds of organisations.
#[derive(
    CandidType, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord,
)]
pub enum OrganisationKind {
    Agency,
    Enterprise,
    Startup,
    University,
    Auditor,
}

/// What an applicant says about an organisation.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct OrganisationProfile {
    /// Short name, unique among active organisations: 1 to [`MAX_SLUG_BYTES`] bytes of `a`–`z`, `0`–`9` and
    /// single hyphens between them.
    pub slug: String,
    /// Full name, 1 to [`MAX_NAME_BYTES`] bytes of UTF-8 without control characters, directional overrides or
    /// white space at its ends.
    pub name: String,
    pub kind: OrganisationKind,
    /// The organisation above this one; it must be active already.
    pub parent: Option<u64>,
    /// Field of work, written like a slug, 1 to [`MAX_NAME_BYTES`] bytes.
    pub sector: String,
    /// City of the head office, written like a name.
    pub seat: String,
}

/// Where an organisation stands.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum OrganisationState {
    /// Applied for. Reserves no name: several applications for one slug may compete.
    Pending,
    /// Approved by a governor.
    Active {
        by: Principal,
        at_ns: u64,
        /// SHA-256 of the certified bytes of the application that the governor approved.
        application_hash: ByteBuf,
    },
    /// Turned down by a governor.
    Rejected {
        by: Principal,
        at_ns: u64,
        reason: String,
    },
    /// Taken back by the applicant; the reason may be empty.
    Withdrawn { at_ns: u64, reason: String },
}

/// An organisation, from its application on.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Organisation {
    /// Assigned by the registry, from 1 on, never used twice.
    pub id: u64,
    pub profile: OrganisationProfile,
    /// Who applied.
    pub applicant: Principal,
    pub applied_at_ns: u64,
    pub state: OrganisationState,
}

/// The certified leaf of an organisation: the exact Candid bytes that the registry stores.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum OrganisationRecord {
    V1(Organisation),
}

/// Approves one application, exactly as it was read.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct ApproveArgs {
    pub id: u64,
    /// SHA-256 of the certified bytes of the application: binds its applicant and all of its content.
    pub application_hash: ByteBuf,
}

/// Closes a pending application.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct CloseArgs {
    pub id: u64,
    /// Why, at most [`MAX_REASON_BYTES`] bytes, written like a name; a governor must give one, an applicant may
    /// leave it empty.
    pub reason: String,
}

/// Names one organisation.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum OrganisationKey {
    Id(u64),
    /// Finds active organisations only.
    Slug(String),
}

/// The certified leaf of a governor.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum GovernorRecord {
    V1 { principal: Principal },
}

/// Key of a governor in its collection: SHA-256 of the principal's bytes.
#[must_use]
pub fn governor_key(principal: Principal) -> [u8; 32] {
    Sha256::digest(principal.as_slice()).into()
}

/// Key of an organisation in its collection: the id, big-endian.
#[must_use]
pub fn organisation_key(id: u64) -> [u8; 8] {
    id.to_be_bytes()
}

/// Certified path of an organisation.
#[must_use]
pub fn organisation_path(id: u64) -> Vec<ByteBuf> {
    [
        DATA.as_bytes(),
        ORGANISATIONS.as_bytes(),
        &organisation_key(id),
    ]
    .into_iter()
    .map(|label| ByteBuf::from(label.to_vec()))
    .collect()
}
