//! `registry`: who and what is on the subnet, and who decided it.

pub mod governance;
pub mod inventory;
pub mod organisations;
pub mod proposals;
pub mod residency;
pub mod services;
mod standing;

use candid::Principal;
use serde_bytes::ByteBuf;
use sha2::{Digest as _, Sha256};

pub use crate::certified::DATA;
pub use governance::{
    GOVERNORS, Governor, GovernorRecord, InitArgs, MAX_GOVERNORS, POLICIES, PolicyRecord,
    QUORUMS_KEY, Quorum, Quorums, RESIDENCY_KEY, STATEMENT_KEY,
};
pub use inventory::{
    ApprovedUpgrade, CANISTERS, CanisterEntry, CanisterProfile, CanisterRecord, DataClass, Drift,
    Observation, UpgradeOrder,
};
pub use organisations::{
    MAX_ADMINISTRATORS, MAX_NAME_BYTES, MAX_PENDING, MAX_PENDING_PER_CALLER, MAX_REASON_BYTES,
    MAX_SLUG_BYTES, MAX_STEPS, ORGANISATIONS, Organisation, OrganisationKey, OrganisationKind,
    OrganisationProfile, OrganisationRecord, Step, V1State, organisation_key, organisation_path,
};
pub use proposals::{
    Action, Application, Approval, ApproveArgs, CancelArgs, OrganisationChange, PROPOSALS,
    Proposal, ProposalRecord, ProposalState, ProposeArgs, RejectArgs, Rejection, payload_hash,
};
pub use residency::{
    MAX_NODES, MAX_SITES, NODES, Node, NodeRecord, ResidencyPolicy, ResidencyStatement, SITES,
    Site, SiteRecord,
};
pub use services::{
    Access, AccessGrant, CheckAccessArgs, GRANTS, GrantRecord, GrantRequest, SERVICES, Service,
    ServiceProfile, ServiceRecord, ServiceState, access, grant_key,
};
pub use standing::{OrganisationStatus, Standing};

/// Key of a principal in a collection: SHA-256 of its bytes.
#[must_use]
pub fn principal_key(principal: Principal) -> [u8; 32] {
    Sha256::digest(principal.as_slice()).into()
}

/// Key of a slug in a collection: SHA-256 of its bytes.
#[must_use]
pub fn slug_key(slug: &str) -> [u8; 32] {
    Sha256::digest(slug.as_bytes()).into()
}

/// Key of an id in a collection: big-endian.
#[must_use]
pub fn id_key(id: u64) -> [u8; 8] {
    id.to_be_bytes()
}

/// Certified path of a record.
#[must_use]
pub fn path(collection: &str, key: &[u8]) -> Vec<ByteBuf> {
    [DATA.as_bytes(), collection.as_bytes(), key]
        .into_iter()
        .map(|label| ByteBuf::from(label.to_vec()))
        .collect()
}
