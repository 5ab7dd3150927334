//! Public keys of senders and what they sign (IC interface specification, "Signatures").
//!
//! | scheme | key within the DER | signature |
//! | --- | --- | --- |
//! | Ed25519 | 32 bytes | 64 bytes |
//! | ECDSA on secp256k1 or P-256, SHA-256 | uncompressed point, 65 bytes | r and s, 64 bytes |
//! | WebAuthn | COSE: P-256, or RSA PKCS#1 v1.5 | CBOR of an assertion, see [`webauthn`] |
//! | canister | canister id and seed | CBOR of a certificate and a hash tree, see [`canister`] |
//!
//! Every key is a `SubjectPublicKeyInfo` in DER, which names the scheme. A file here per scheme.
//!
//! Keys and signatures come from outside. Before any arithmetic their lengths are checked against [`MAX_KEY`] and
//! [`MAX_SIGNATURE`] and the limits of the scheme.
//!
//! Cost of a verification: Ed25519 and ECDSA 0.05 to 0.3 ms, RSA up to 3 ms, a canister signature two BLS
//! verifications, about 5 ms: those are [`heavy`](PublicKey::is_heavy).

mod canister;
mod cose;
mod der;
mod ecdsa;
mod ed25519;
mod webauthn;

use candid::Principal;
use thiserror::Error;

pub(crate) use canister::RootKey;

/// Longest key in DER, in bytes. The longest of a scheme with a size, RSA of 8,192 bits, takes about 1,070.
pub(crate) const MAX_KEY: usize = 2_048;
/// Longest signature, in bytes: the certificate and the tree of a canister signature, with room for large subnets.
pub(crate) const MAX_SIGNATURE: usize = 64 * 1024;

/// What is wrong with a key, or with a signature by it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum KeyError {
    #[error("the key is longer than {MAX_KEY} bytes")]
    TooLong,
    #[error("the key is not a DER-encoded SubjectPublicKeyInfo")]
    NotDer,
    #[error("the key is of a scheme that is not supported")]
    UnknownScheme,
    #[error("malformed {scheme} key: {reason}")]
    Malformed {
        scheme: &'static str,
        reason: &'static str,
    },
    #[error("malformed {scheme} signature: {reason}")]
    MalformedSignature {
        scheme: &'static str,
        reason: &'static str,
    },
    #[error("the signature does not verify")]
    WrongSignature,
    #[error("the challenge that was signed is not this request")]
    WrongChallenge,
    #[error("the canister signature does not verify: {0}")]
    WrongCanisterSignature(String),
}

/// A key that signatures are verified with.
#[derive(Clone, Debug)]
pub(crate) enum PublicKey {
    Ed25519(ed25519::Key),
    Secp256k1(ecdsa::Secp256k1),
    P256(ecdsa::P256),
    WebAuthn(webauthn::Key),
    Canister(canister::Key),
}

impl PublicKey {
    /// Reads a DER-encoded key.
    ///
    /// # Errors
    /// It isn't a key of a supported scheme.
    pub(crate) fn from_der(der: &[u8]) -> Result<Self, KeyError> {
        let info = der::read(der)?;
        Ok(match info.algorithm {
            der::ED25519 => Self::Ed25519(ed25519::Key::read(info.key)?),
            der::SECP256K1 => Self::Secp256k1(ecdsa::Secp256k1::read(info.key)?),
            der::P256 => Self::P256(ecdsa::P256::read(info.key)?),
            der::WEBAUTHN => Self::WebAuthn(webauthn::Key::read(info.key)?),
            der::CANISTER => Self::Canister(canister::Key::read(info.key)?),
            _ => return Err(KeyError::UnknownScheme),
        })
    }

    /// Whether verifying a signature by this key takes milliseconds. Cheap, unlike [`PublicKey::from_der`].
    pub(crate) fn is_heavy(der: &[u8]) -> bool {
        der::read(der).is_ok_and(|info| matches!(info.algorithm, der::WEBAUTHN | der::CANISTER))
    }

    /// The canister that signs for this key, if one does.
    pub(crate) fn canister(&self) -> Option<Principal> {
        match self {
            Self::Canister(key) => Some(key.canister()),
            _ => None,
        }
    }

    /// Verifies a signature over the message. Canister signatures are certified up to the root key.
    ///
    /// # Errors
    /// It isn't one by this key.
    pub(crate) fn verify(
        &self,
        message: &[u8],
        signature: &[u8],
        root: &RootKey,
    ) -> Result<(), KeyError> {
        match self {
            Self::Ed25519(key) => key.verify(message, signature),
            Self::Secp256k1(key) => key.verify(message, signature),
            Self::P256(key) => key.verify(message, signature),
            Self::WebAuthn(key) => key.verify(message, signature),
            Self::Canister(key) => key.verify(message, signature, root),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
