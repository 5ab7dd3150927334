//! The verifier's challenge, and what a holder signs for it.
//!
//! ```text
//! bytes  what
//! 19     \x12 "indus-presentation": no request, delegation or certificate begins like this
//! 1      1: a licence, 2: a credential
//! 8      number of the seat, id of the credential, big-endian
//! 1 + n  the canister that keeps it
//! 1 + n  the canister that keeps the holder's key
//! 1 + n  the nonce
//! 1 + n  the verifier's name, UTF-8
//! ```
//! Each `1 + n` is a length and so many bytes. Signed with Ed25519 (RFC 8032), as it is. A public key is DER (RFC 8410).

use std::ops::RangeInclusive;

use candid::Principal;
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest as _, Sha256};

use super::{PresentationError, Shown};
use crate::tree::Hash;

const DOMAIN: &[u8] = b"\x12indus-presentation";
/// DER of an Ed25519 public key, up to its 32 bytes.
const DER_PREFIX: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// How long a nonce may be, in bytes: nobody guesses the shortest.
pub const NONCE_BYTES: RangeInclusive<usize> = 16..=64;
/// Longest name of a verifier, in bytes.
pub const MAX_VERIFIER_BYTES: usize = 100;

/// What a verifier chose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    nonce: Vec<u8>,
    verifier: String,
}

impl Challenge {
    /// A challenge with [`NONCE_BYTES`] random bytes, used once, of a verifier with this name: at most
    /// [`MAX_VERIFIER_BYTES`], empty for none.
    ///
    /// # Errors
    /// [`PresentationError::NonceLength`], [`PresentationError::VerifierLength`].
    pub fn new(nonce: Vec<u8>, verifier: String) -> Result<Self, PresentationError> {
        if !NONCE_BYTES.contains(&nonce.len()) {
            return Err(PresentationError::NonceLength);
        }
        if verifier.len() > MAX_VERIFIER_BYTES {
            return Err(PresentationError::VerifierLength);
        }
        Ok(Self { nonce, verifier })
    }

    /// The nonce.
    #[must_use]
    pub fn nonce(&self) -> &[u8] {
        &self.nonce
    }

    /// The verifier's name; empty if it gave none.
    #[must_use]
    pub fn verifier(&self) -> &str {
        &self.verifier
    }

    /// Refuses what was signed for another challenge.
    pub(super) fn check(&self, signed: &Self) -> Result<(), PresentationError> {
        if self.nonce != signed.nonce {
            return Err(PresentationError::OtherNonce);
        }
        if self.verifier != signed.verifier {
            return Err(PresentationError::OtherVerifier {
                expected: self.verifier.clone(),
                found: signed.verifier.clone(),
            });
        }
        Ok(())
    }

    pub(super) fn to_sign(&self, shown: Shown, canister: Principal, identity: Principal) -> ToSign {
        let (kind, id) = match shown {
            Shown::Licence { seat } => (1, seat),
            Shown::Credential { id } => (2, id),
        };
        let mut bytes = DOMAIN.to_vec();
        bytes.push(kind);
        bytes.extend(id.to_be_bytes());
        for part in [
            canister.as_slice(),
            identity.as_slice(),
            &self.nonce,
            self.verifier.as_bytes(),
        ] {
            // Each is at most 100 bytes long.
            bytes.push(u8::try_from(part.len()).unwrap_or(u8::MAX));
            bytes.extend(part);
        }
        ToSign(bytes)
    }
}

/// What a holder signs. It can't be taken for anything else that a key signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToSign(Vec<u8>);

impl ToSign {
    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Their SHA-256, for people.
    #[must_use]
    pub fn sha256(&self) -> Hash {
        Sha256::digest(&self.0).into()
    }

    /// Refuses a signature that is not of this key, strictly: no point of small order, one encoding of everything.
    pub(super) fn check(
        &self,
        public_key: &[u8],
        signature: &[u8],
    ) -> Result<(), PresentationError> {
        let key = public_key
            .strip_prefix(&DER_PREFIX)
            .and_then(|key| key.try_into().ok())
            .and_then(|key| VerifyingKey::from_bytes(key).ok())
            .ok_or(PresentationError::PublicKey)?;
        Signature::from_slice(signature)
            .and_then(|signature| key.verify_strict(&self.0, &signature))
            .map_err(|_| PresentationError::Signature)
    }
}
