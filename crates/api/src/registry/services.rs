//! Services, who may use them, and the rule that decides it: the same for the canister and for offline verifiers.

use candid::{CandidType, Principal};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::{DataClass, Organisation, OrganisationStatus};

/// Collection of the services; keys are ids, leaves [`ServiceRecord`]s.
pub const SERVICES: &str = "services";
/// Collection of the access grants; keys are [`grant_key`]s, leaves [`GrantRecord`]s. So the grants of one service are
/// neighbours, and a page of them proves that these are all. No leaf is no right.
pub const GRANTS: &str = "grants";

/// Most operations of one service.
pub const MAX_OPERATIONS: usize = 32;
/// Longest name of an operation, written like a slug or a method (`a`–`z`, `0`–`9`, `_`, `-`), in bytes.
pub const MAX_OPERATION_BYTES: usize = 64;
/// Longest purpose of a grant, in bytes.
pub const MAX_PURPOSE_BYTES: usize = 500;
/// Longest validity of a grant: 5 years, in nanoseconds.
pub const MAX_GRANT_NS: u64 = 5 * 366 * 86_400_000_000_000;

/// What an organisation says about a service.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct ServiceProfile {
    /// The organisation that publishes it.
    pub organisation: u64,
    /// Written like a slug.
    pub slug: String,
    /// Written like a name.
    pub name: String,
    /// The canister that serves it.
    pub canister: Principal,
    /// SHA-256 of its Candid interface file.
    pub interface_hash: ByteBuf,
    /// 1 to [`MAX_OPERATIONS`], none twice.
    pub operations: Vec<String>,
    /// What it handles at most.
    pub data_class: DataClass,
}

/// Whether a service can be used.
#[derive(CandidType, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceState {
    Published,
    Retired,
}

/// A service.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Service {
    pub id: u64,
    pub profile: ServiceProfile,
    pub state: ServiceState,
    pub published_at_ns: u64,
    pub retired_at_ns: Option<u64>,
}

/// The certified leaf of a service.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum ServiceRecord {
    V1(Service),
}

/// Asks that an organisation may use a service.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct GrantRequest {
    pub service: u64,
    /// Who may use it.
    pub organisation: u64,
    /// Some of the service's operations, at least one.
    pub operations: Vec<String>,
    /// What for, written like a name, 1 to [`MAX_PURPOSE_BYTES`] bytes.
    pub purpose: String,
    /// Until when, in nanoseconds since 1970, at most [`MAX_GRANT_NS`] from its execution.
    pub valid_until_ns: u64,
}

/// A right to use a service.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct AccessGrant {
    pub service: u64,
    pub organisation: u64,
    pub operations: Vec<String>,
    pub purpose: String,
    pub granted_at_ns: u64,
    pub valid_until_ns: u64,
    /// The proposal that decided it.
    pub proposal: u64,
}

/// The certified leaf of a grant.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum GrantRecord {
    V1(AccessGrant),
}

/// Key of a grant: id of the service, id of the organisation, both big-endian.
#[must_use]
pub fn grant_key(service: u64, organisation: u64) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&service.to_be_bytes());
    key[8..].copy_from_slice(&organisation.to_be_bytes());
    key
}

/// Asks whether an organisation may use an operation of a service.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct CheckAccessArgs {
    pub organisation: u64,
    pub service: u64,
    pub operation: String,
}

/// The answer, and the reason for a refusal.
#[derive(CandidType, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Until this time, if nothing is decided before.
    Allowed { until_ns: u64 },
    /// The organisation is not active, or there is none.
    OrganisationNotActive,
    /// The service is retired, or there is none.
    ServiceNotPublished,
    /// It has no right to this service.
    NoGrant,
    /// It has a right, but not to this operation.
    OperationNotGranted,
    /// It had a right.
    Expired,
}

/// Whether an organisation may use an operation of a service, from what is recorded about the three.
#[must_use]
pub fn access(
    organisation: Option<&Organisation>,
    service: Option<&Service>,
    grant: Option<&AccessGrant>,
    operation: &str,
    at_ns: u64,
) -> Access {
    if organisation.is_none_or(|one| one.status != OrganisationStatus::Active) {
        return Access::OrganisationNotActive;
    }
    if service.is_none_or(|one| one.state != ServiceState::Published) {
        return Access::ServiceNotPublished;
    }
    let Some(grant) = grant else {
        return Access::NoGrant;
    };
    if !grant.operations.iter().any(|one| one == operation) {
        return Access::OperationNotGranted;
    }
    if at_ns >= grant.valid_until_ns {
        return Access::Expired;
    }
    Access::Allowed {
        until_ns: grant.valid_until_ns,
    }
}
