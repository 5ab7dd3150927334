//! Messaging keys: which Ed25519 key of which person a device signs with in encrypted conversations.
//!
//! ```text
//! device ── method (its principal) ── person
//!    └───── messaging key ── leaf `messaging_keys`/SHA-256(key): person, since when, until when
//! ```
//!
//! With these leaves identity is the Authentication Service of MLS (RFC 9420, section 5.3.1; RFC 9750): the credential of a
//! member is the person's id, its signature key is one of these. A device has one at a time, and it ends with the device's
//! method. A leaf stays when the key has ended, so what was signed before can still be judged.

use candid::{CandidType, Principal};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use sha2::{Digest as _, Sha256};

/// Bytes of a messaging key: an Ed25519 public key (RFC 8032).
pub const MESSAGING_KEY_BYTES: usize = 32;
/// Bytes of the proof that somebody has the private key: an Ed25519 signature.
pub const MESSAGING_PROOF_BYTES: usize = 64;
/// Most keys in one question of who holds them.
pub const MAX_MESSAGING_KEYS: usize = 100;

/// What stands in front of everything that a messaging key signs to be bound. Nothing that MLS signs begins like this: there
/// the first bytes are a length and "MLS 1.0 ".
const DOMAIN: &[u8; 20] = b"\x13indus-messaging-key";

/// A messaging key.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct MessagingKey {
    /// [`MESSAGING_KEY_BYTES`].
    pub signature_key: ByteBuf,
    pub person: Principal,
    /// Key of the device's method in its collection.
    pub method: ByteBuf,
    pub bound_at_ns: u64,
    /// When it ended: another took its place, its person ended it, or its method was removed.
    pub ended_at_ns: Option<u64>,
    pub salt: ByteBuf,
}

/// The certified leaf of a messaging key.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum MessagingKeyRecord {
    V1(MessagingKey),
}

/// Binds a messaging key to the device that calls.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct BindMessagingKeyArgs {
    /// [`MESSAGING_KEY_BYTES`].
    pub signature_key: ByteBuf,
    /// Signature by that key of [`to_prove`].
    pub proof: ByteBuf,
}

/// Key of a messaging key in its collection.
#[must_use]
pub fn messaging_key_key(signature_key: &[u8]) -> [u8; 32] {
    Sha256::digest(signature_key).into()
}

/// What a messaging key signs, so that nobody binds a key of somebody else: the canister `identity`, and the person.
#[must_use]
pub fn to_prove(identity: Principal, person: Principal) -> Vec<u8> {
    let mut bytes = DOMAIN.to_vec();
    for principal in [identity, person] {
        let slice = principal.as_slice();
        // A principal has at most 29 bytes.
        bytes.push(u8::try_from(slice.len()).unwrap_or(u8::MAX));
        bytes.extend(slice);
    }
    bytes
}
