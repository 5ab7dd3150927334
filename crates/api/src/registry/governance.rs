//! Governors, and how many of them decide.

use candid::{CandidType, Principal};
use serde::{Deserialize, Serialize};

use super::{OrganisationProfile, ResidencyPolicy, ResidencyStatement};

/// Collection of the governors; keys are [`principal_key`](super::principal_key)s, leaves [`GovernorRecord`]s.
pub const GOVERNORS: &str = "governors";
/// Collection of what holds for all; keys are the constants below, leaves [`PolicyRecord`]s.
pub const POLICIES: &str = "policies";
/// Key of the quorums.
pub const QUORUMS_KEY: [u8; 8] = 1_u64.to_be_bytes();
/// Key of the residency policy. None is there before one is decided.
pub const RESIDENCY_KEY: [u8; 8] = 2_u64.to_be_bytes();
/// Key of the residency statement: where the subnet is, as of the last change of its sites and nodes.
pub const STATEMENT_KEY: [u8; 8] = 3_u64.to_be_bytes();

/// Most governors.
pub const MAX_GOVERNORS: usize = 25;

/// A person who decides, in the name of an organisation.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Governor {
    pub principal: Principal,
    /// Id of an active organisation.
    pub organisation: u64,
}

/// How many have to agree: m of all governors, from at least k organisations. Who proposed is not counted.
#[derive(CandidType, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quorum {
    /// 1 to [`MAX_GOVERNORS`].
    pub approvals: u32,
    /// 1 to `approvals`.
    pub organisations: u32,
}

/// The quorums of ordinary and of constitutional proposals.
#[derive(CandidType, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quorums {
    pub ordinary: Quorum,
    /// For what governs the others: governors, quorums, the residency policy.
    pub constitutional: Quorum,
}

/// What the canister is installed with.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct InitArgs {
    /// Organisations that are active from the start, with the ids 1, 2, …; a parent is one of those before. 1 to
    /// [`MAX_GOVERNORS`].
    pub founders: Vec<OrganisationProfile>,
    /// Who decides: 1 to [`MAX_GOVERNORS`], none of them anonymous, each of a founding organisation.
    pub governors: Vec<Governor>,
    /// They must be reachable, whichever governor proposes.
    pub quorums: Quorums,
}

/// The certified leaf of a governor.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum GovernorRecord {
    /// Of layout 1: of no organisation.
    V1 {
        principal: Principal,
    },
    V2(Governor),
}

/// The certified leaf of a policy.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum PolicyRecord {
    QuorumsV1(Quorums),
    ResidencyV1(ResidencyPolicy),
    StatementV1(ResidencyStatement),
}
