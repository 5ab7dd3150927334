//! Proposals: every change that matters, and who agreed to it.

use candid::{CandidType, Principal};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use sha2::{Digest as _, Sha256};

use super::{
    CanisterProfile, Governor, GrantRequest, Node, OrganisationProfile, Quorum, Quorums,
    ResidencyPolicy, ServiceProfile, Site, UpgradeOrder,
};

/// Collection of the proposals; keys are ids, leaves [`ProposalRecord`]s: the receipt of a decision.
pub const PROPOSALS: &str = "proposals";

/// Longest encoded action, in bytes.
pub const MAX_PAYLOAD_BYTES: usize = 10_240;
/// Longest reason of a refusal, or for taking a proposal back, in bytes: all votes fit into one record.
pub const MAX_VOTE_REASON_BYTES: usize = 100;
/// Most proposals that one proposer may have open.
pub const MAX_OPEN_PER_PROPOSER: u64 = 200;
/// Most proposals that may be open in all.
pub const MAX_OPEN: u64 = 5_000;
/// How long a proposal is open, unless it says otherwise: 30 days, in nanoseconds.
pub const DEFAULT_LIFETIME_NS: u64 = 30 * 86_400_000_000_000;
/// Longest time that a proposal may be open, or wait for its execution: 90 days, in nanoseconds.
pub const MAX_LIFETIME_NS: u64 = 90 * 86_400_000_000_000;

/// What an approved application makes active: exactly what was applied for.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Application {
    pub organisation: u64,
    pub applicant: Principal,
    pub profile: OrganisationProfile,
}

/// A change of an organisation.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum OrganisationChange {
    /// It may not act for now.
    Suspend { reason: String },
    /// It may act again.
    Reinstate { reason: String },
    /// It will never act again.
    Revoke { reason: String },
    /// Who acts for it: 1 to 10, none anonymous.
    SetAdministrators { administrators: Vec<Principal> },
}

/// What a proposal does when it is executed.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Makes an organisation active. Only an application makes such a proposal.
    Admit(Application),
    ChangeOrganisation {
        organisation: u64,
        change: OrganisationChange,
    },
    /// A service becomes findable. Its organisation's administrators may propose it too.
    PublishService(ServiceProfile),
    RetireService {
        service: u64,
        reason: String,
    },
    /// An organisation may use a service; replaces the grant that it has. The administrators of the organisation that
    /// publishes the service may propose it too.
    GrantAccess(GrantRequest),
    RevokeAccess {
        service: u64,
        organisation: u64,
        reason: String,
    },
    /// A canister is on the subnet, or what is declared of it changes.
    RecordCanister(CanisterProfile),
    RemoveCanister {
        canister: Principal,
        reason: String,
    },
    /// A data centre, or a change of it.
    RecordSite(Site),
    RemoveSite {
        slug: String,
    },
    /// A node at a site, or its move to another.
    RecordNode(Node),
    RemoveNode {
        node: Principal,
    },
    /// A canister's configuration; it pulls it (`get_decision`).
    Configure {
        canister: Principal,
        /// Candid of the canister's `Configuration`.
        configuration: ByteBuf,
    },
    /// An upgrade of a canister, to be carried out by who controls it, exactly so.
    Upgrade(UpgradeOrder),
    /// Constitutional: all governors from now on.
    SetGovernors {
        governors: Vec<Governor>,
    },
    /// Constitutional.
    SetQuorums(Quorums),
    /// Constitutional: where the subnet has to be.
    SetResidencyPolicy(ResidencyPolicy),
}

/// Hash of an encoded action: what approvals bind.
#[must_use]
pub fn payload_hash(payload: &[u8]) -> [u8; 32] {
    Sha256::digest(payload).into()
}

/// A governor who agreed.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    pub governor: Principal,
    /// For which organisation they agreed.
    pub organisation: u64,
    pub at_ns: u64,
}

/// A governor who refused.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    pub governor: Principal,
    pub at_ns: u64,
    pub reason: String,
}

/// Where a proposal stands.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum ProposalState {
    /// It can be approved.
    Open,
    /// The quorum is met; it waits for the time of its execution.
    Approved { at_ns: u64 },
    /// It was carried out, in the message that this names the time of.
    Executed { at_ns: u64 },
    /// It was approved, but could not be carried out any more.
    Failed { at_ns: u64, reason: String },
    /// So many governors refused that the quorum could not be met any more.
    Rejected { at_ns: u64 },
    /// Its proposer took it back.
    Cancelled { at_ns: u64, reason: String },
    /// Its time was over.
    Expired { at_ns: u64 },
}

/// A proposal: with the subnet's signature, a receipt of who decided what.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// Assigned by the registry, from 1 on, never used twice.
    pub id: u64,
    pub proposer: Principal,
    /// Exact Candid of its [`Action`].
    pub payload: ByteBuf,
    /// The organisation that it would admit, for an application.
    pub admits: Option<u64>,
    pub proposed_at_ns: u64,
    pub expires_at_ns: u64,
    /// Not to be carried out before.
    pub not_before_ns: Option<u64>,
    /// What it needs, as of its beginning.
    pub quorum: Quorum,
    pub approvals: Vec<Approval>,
    pub rejections: Vec<Rejection>,
    pub state: ProposalState,
}

/// The certified leaf of a proposal.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum ProposalRecord {
    V1(Proposal),
}

/// Proposes an action.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct ProposeArgs {
    pub action: Action,
    /// How long it is open, in nanoseconds, at most [`MAX_LIFETIME_NS`]; [`DEFAULT_LIFETIME_NS`] without it.
    pub lifetime_ns: Option<u64>,
    /// Not to be carried out before, at most [`MAX_LIFETIME_NS`] from now.
    pub not_before_ns: Option<u64>,
}

/// Agrees to a proposal, exactly as it was read.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct ApproveArgs {
    pub id: u64,
    /// [`payload_hash`] of its payload, 32 bytes.
    pub payload_hash: ByteBuf,
}

/// Refuses a proposal.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct RejectArgs {
    pub id: u64,
    /// [`payload_hash`] of its payload, 32 bytes.
    pub payload_hash: ByteBuf,
    /// 1 to [`MAX_VOTE_REASON_BYTES`] bytes, written like a name.
    pub reason: String,
}

/// Takes a proposal back.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct CancelArgs {
    pub id: u64,
    /// Empty, or at most [`MAX_VOTE_REASON_BYTES`] bytes, written like a name.
    pub reason: String,
}
