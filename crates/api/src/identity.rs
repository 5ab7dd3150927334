//! `identity`: who is calling.
//!
//! | collection | key | leaf | who reads it |
//! | --- | --- | --- | --- |
//! | [`PERSONS`] | SHA-256 of the person's id | [`PersonRecord`] | the person |
//! | [`METHODS`] | salted hash, see [`ListedMethod::key`] | [`MethodRecord`] | the person |
//! | [`ROLES`] | id | [`RoleRecord`] | everybody |
//! | [`RECOVERIES`] | id | [`RecoveryRecord`] | the person, recovery officers |
//! | [`MESSAGING_KEYS`] | SHA-256 of the key | [`MessagingKeyRecord`] | every person |
//! | [`CREDENTIALS`] | id | [`CredentialRecord`] | the holder |
//! | [`REVOKED_CREDENTIALS`] | id | [`RevokedCredentialRecord`] | everybody |
//! | [`CONFIGURATION`] | 0 | [`ConfigurationRecord`] | everybody |
//!
//! Ids are `u64`, big-endian in keys, from 1 on, never used twice. A leaf that not everybody reads holds a random salt of
//! [`SALT_BYTES`], so that its hash, which everybody may export, tells nothing of it.

pub mod credential;
mod messaging_keys;
mod persons;
mod recoveries;
mod roles;

use candid::{CandidType, Principal};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use sha2::{Digest as _, Sha256};

use crate::certified::DATA;

pub use credential::{
    Achievement, Credential, CredentialRecord, CredentialView, IssueArgs, RevokeCredentialArgs,
    RevokedCredential, RevokedCredentialRecord,
};
pub use messaging_keys::{
    BindMessagingKeyArgs, MAX_MESSAGING_KEYS, MESSAGING_KEY_BYTES, MESSAGING_PROOF_BYTES,
    MessagingKey, MessagingKeyRecord, messaging_key_key, to_prove,
};
pub use persons::{
    ListedMethod, Method, MethodKind, MethodRecord, NewMethod, OfferArgs, Pairing, Person,
    PersonRecord, PersonView, RegisterArgs,
};
pub use recoveries::{
    Approval, ApproveRecoveryArgs, OpenRecoveryArgs, Recovery, RecoveryEnd, RecoveryRecord,
};
pub use roles::{
    GrantArgs, ListRolesArgs, Revocation, RevocationReason, RevokeRoleArgs, Role, RoleRecord,
};

/// Collection of the persons; keys are [`person_key`]s.
pub const PERSONS: &str = "persons";
/// Collection of the authentication methods.
pub const METHODS: &str = "methods";
/// Collection of the role grants.
pub const ROLES: &str = "roles";
/// Collection of the recoveries.
pub const RECOVERIES: &str = "recoveries";
/// Collection of the credentials.
pub const CREDENTIALS: &str = "credentials";
/// Collection of the credentials that were revoked: who proves that an id is not in it proves that its credential holds.
pub const REVOKED_CREDENTIALS: &str = "revoked_credentials";
/// Collection of the keys that devices sign with in encrypted conversations; keys are [`messaging_key_key`]s.
pub const MESSAGING_KEYS: &str = "messaging_keys";
/// Collection of the one configuration, with the key [`CONFIGURATION_KEY`].
pub const CONFIGURATION: &str = "configuration";

/// Key of the configuration.
pub const CONFIGURATION_KEY: [u8; 8] = [0; 8];

/// May review applications for licences.
pub const LICENCE_REVIEWER: &str = "licence-reviewer";
/// May grant and reclaim licences.
pub const LICENCE_OFFICER: &str = "licence-officer";
/// May recover persons of the organisation.
pub const RECOVERY_OFFICER: &str = "recovery-officer";
/// May issue credentials in the organisation's name.
pub const CREDENTIAL_ISSUER: &str = "credential-issuer";
/// May read what the organisation has to keep.
pub const RECORDS_OFFICER: &str = "records-officer";

/// Bytes of the salt in a leaf.
pub const SALT_BYTES: usize = 16;
/// Bytes of a commitment: SHA-256 of a salt of the client's and what is committed to.
pub const COMMITMENT_BYTES: usize = 32;
/// Most authentication methods of a person.
pub const MAX_METHODS: usize = 10;
/// Characters of a pairing code.
pub const CODE_CHARACTERS: usize = 8;
/// Of which characters codes are: none of them looks like another. 32 of them, so a code has 40 bits.
pub const CODE_ALPHABET: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
/// How long a pairing is open, in nanoseconds: 15 minutes.
pub const PAIRING_NS: u64 = 15 * 60 * SECOND_NS;
/// Wrong codes that end a pairing.
pub const PAIRING_TRIES: u8 = 3;
/// Longest validity of a role, in nanoseconds: 3 years with their leap day.
pub const MAX_ROLE_VALIDITY_NS: u64 = 1_096 * DAY_NS;
/// How far ahead a role may begin, in nanoseconds: a year.
pub const MAX_ROLE_LEAD_NS: u64 = 366 * DAY_NS;
/// Most roles that one organisation has offered or given a person, those that have ended aside.
pub const MAX_ROLES_IN_ORGANISATION: usize = 16;
/// Most roles that a person holds in all.
pub const MAX_ROLES_OF_PERSON: usize = 64;
/// Delay of a recovery unless configured otherwise, in nanoseconds: 72 hours.
pub const DEFAULT_RECOVERY_DELAY_NS: u64 = 72 * 60 * 60 * SECOND_NS;
/// Shortest delay of a recovery, in nanoseconds: a second. How long people need to notice one is the governors' to decide; a
/// second is for trying it.
pub const MIN_RECOVERY_DELAY_NS: u64 = SECOND_NS;
/// Longest delay of a recovery, in nanoseconds: 14 days.
pub const MAX_RECOVERY_DELAY_NS: u64 = 14 * DAY_NS;
/// How long a recovery may take from its opening on, in nanoseconds: 30 days.
pub const RECOVERY_LIFETIME_NS: u64 = 30 * DAY_NS;
/// Most canisters of the suite.
pub const MAX_SUITE_CANISTERS: usize = 32;

const SECOND_NS: u64 = 1_000_000_000;
const DAY_NS: u64 = 24 * 60 * 60 * SECOND_NS;

/// Last byte of the principals that name persons: the class that the Internet Computer reserves, so that no key and no
/// canister ever has such a name (IC interface specification, "Special forms of principals").
pub const PERSON_CLASS: u8 = 0x7f;

/// What the canister is installed with.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct InitArgs {
    /// The registry, which says where organisations stand and what governors decide.
    pub registry: Principal,
    pub configuration: Configuration,
}

/// What governors may change, by a decision of the registry.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// Who may ask who somebody is: at most [`MAX_SUITE_CANISTERS`], each once.
    pub suite_canisters: Vec<Principal>,
    /// From the approval of a recovery to its end, [`MIN_RECOVERY_DELAY_NS`] to [`MAX_RECOVERY_DELAY_NS`]; none for
    /// [`DEFAULT_RECOVERY_DELAY_NS`].
    pub recovery_delay_ns: Option<u64>,
}

/// The certified leaf of the configuration.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum ConfigurationRecord {
    V1(InForce),
}

/// The configuration in force.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    pub registry: Principal,
    pub configuration: Configuration,
    /// The last decision that was applied.
    pub decision: Option<u64>,
}

/// Key of a person in its collection: SHA-256 of the id's bytes.
#[must_use]
pub fn person_key(person: Principal) -> [u8; 32] {
    Sha256::digest(person.as_slice()).into()
}

/// Key of a role, recovery or credential in its collection: the id, big-endian.
#[must_use]
pub fn id_key(id: u64) -> [u8; 8] {
    id.to_be_bytes()
}

/// Certified path of a record.
#[must_use]
pub fn path(collection: &str, key: &[u8]) -> Vec<ByteBuf> {
    [DATA.as_bytes(), collection.as_bytes(), key]
        .map(|label| ByteBuf::from(label.to_vec()))
        .into()
}
