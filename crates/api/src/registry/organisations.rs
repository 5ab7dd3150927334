//! Organisations, from their application to their end.

use candid::{CandidType, Principal};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::{OrganisationStatus, id_key, path};

/// Collection of the organisations; keys are [`organisation_key`]s, leaves [`OrganisationRecord`]s.
pub const ORGANISATIONS: &str = "organisations";

/// Longest slug, in bytes: lower-case letters, digits and single hyphens.
pub const MAX_SLUG_BYTES: usize = 64;
/// Longest name, sector or seat, in bytes.
pub const MAX_NAME_BYTES: usize = 100;
/// Longest reason, in bytes.
pub const MAX_REASON_BYTES: usize = 1_000;
/// Most applications that one caller may have pending.
pub const MAX_PENDING_PER_CALLER: u64 = 3;
/// Most applications that may be pending in all.
pub const MAX_PENDING: u64 = 1_000;
/// Most administrators of one organisation.
pub const MAX_ADMINISTRATORS: usize = 10;
/// Most steps that a record keeps: the first one, and the last ones. The audit log has all.
pub const MAX_STEPS: usize = 16;

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

/// When an organisation came into a status, and why.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub status: OrganisationStatus,
    pub at_ns: u64,
    /// Who brought it there: for a decision, the governor whose approval completed the quorum.
    pub by: Principal,
    /// The proposal that decided it, if one did.
    pub proposal: Option<u64>,
    /// Empty, or at most [`MAX_REASON_BYTES`] bytes.
    pub reason: String,
}

/// An organisation, from its application on.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Organisation {
    /// Assigned by the registry, from 1 on, never used twice.
    pub id: u64,
    pub profile: OrganisationProfile,
    /// Who applied.
    pub applicant: Principal,
    /// Who acts for it, at most [`MAX_ADMINISTRATORS`]: the applicant at first.
    pub administrators: Vec<Principal>,
    pub status: OrganisationStatus,
    /// When the application has to be decided, in nanoseconds since 1970.
    pub due_at_ns: u64,
    /// The proposal that decides on the application; none for a founder.
    pub application: Option<u64>,
    /// At most [`MAX_STEPS`], in the order of time; the first one is the application.
    pub steps: Vec<Step>,
}

/// Where an organisation stood in version 1 of its record.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum V1State {
    Pending,
    Active {
        by: Principal,
        at_ns: u64,
        application_hash: ByteBuf,
    },
    Rejected {
        by: Principal,
        at_ns: u64,
        reason: String,
    },
    Withdrawn {
        at_ns: u64,
        reason: String,
    },
}

/// The certified leaf of an organisation: the exact Candid bytes that the registry stores.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum OrganisationRecord {
    /// Of layout 1.
    V1 {
        id: u64,
        profile: OrganisationProfile,
        applicant: Principal,
        applied_at_ns: u64,
        state: V1State,
    },
    V2(Organisation),
}

impl OrganisationRecord {
    /// The organisation, whatever the version of its record.
    #[must_use]
    pub fn into_current(self) -> Organisation {
        let (id, profile, applicant, applied_at_ns, state) = match self {
            Self::V2(organisation) => return organisation,
            Self::V1 {
                id,
                profile,
                applicant,
                applied_at_ns,
                state,
            } => (id, profile, applicant, applied_at_ns, state),
        };
        let step = |status, at_ns, by, reason| Step {
            status,
            at_ns,
            by,
            proposal: None,
            reason,
        };
        let first = step(
            OrganisationStatus::Pending,
            applied_at_ns,
            applicant,
            String::new(),
        );
        let second = match state {
            V1State::Pending => None,
            V1State::Active { by, at_ns, .. } => {
                Some(step(OrganisationStatus::Active, at_ns, by, String::new()))
            }
            V1State::Rejected { by, at_ns, reason } => {
                Some(step(OrganisationStatus::Rejected, at_ns, by, reason))
            }
            V1State::Withdrawn { at_ns, reason } => Some(step(
                OrganisationStatus::Withdrawn,
                at_ns,
                applicant,
                reason,
            )),
        };
        let status = second
            .as_ref()
            .map_or(OrganisationStatus::Pending, |step| step.status);
        Organisation {
            id,
            profile,
            applicant,
            administrators: vec![applicant],
            status,
            due_at_ns: applied_at_ns,
            application: None,
            steps: std::iter::once(first).chain(second).collect(),
        }
    }
}

/// Names one organisation.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum OrganisationKey {
    Id(u64),
    /// Finds active organisations only.
    Slug(String),
}

/// Key of an organisation in its collection: the id, big-endian.
#[must_use]
pub fn organisation_key(id: u64) -> [u8; 8] {
    id_key(id)
}

/// Certified path of an organisation.
#[must_use]
pub fn organisation_path(id: u64) -> Vec<ByteBuf> {
    path(ORGANISATIONS, &organisation_key(id))
}
