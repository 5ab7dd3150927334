//! What can be wrong with a presentation, in one line each.

use candid::Principal;
use indus_api::time::rfc3339;
use thiserror::Error;

use super::{MAX_VERIFIER_BYTES, NONCE_BYTES};
use crate::error::VerifyError;
use crate::time::Time;

fn utc(time: &Time) -> String {
    rfc3339(time.as_nanos())
}

/// The piece of a presentation that an error speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Evidence {
    /// What is shown: the seat, or the credential.
    #[error("what is shown")]
    Statement,
    /// The holder's key.
    #[error("the holder's key")]
    Holder,
}

/// Why a presentation proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PresentationError {
    /// The nonce is too short to be unique, or too long.
    #[error("a nonce has {} to {} bytes", NONCE_BYTES.start(), NONCE_BYTES.end())]
    NonceLength,
    /// The verifier's name is too long.
    #[error("a verifier's name has at most {MAX_VERIFIER_BYTES} bytes")]
    VerifierLength,
    /// It was signed for another nonce: it is an old one, or was meant for somebody else.
    #[error("it was signed for another nonce")]
    OtherNonce,
    /// It was signed for another verifier.
    #[error("it was signed for the verifier {found:?}, not for {expected:?}")]
    OtherVerifier { expected: String, found: String },
    /// It is about a canister that the verifier does not count on.
    #[error("{part} is of canister {found}, not of {expected}")]
    OtherCanister {
        part: Evidence,
        expected: Principal,
        found: Principal,
    },
    /// The public key is not an Ed25519 key in DER.
    #[error("the public key is not an Ed25519 key in DER")]
    PublicKey,
    /// The nonce is not signed by that key.
    #[error("the signature over the nonce is not that of the public key")]
    Signature,
    /// A certificate or a witness proves nothing.
    #[error("{part} is not proved: {reason}")]
    Unproved { part: Evidence, reason: VerifyError },
    /// The nonce was signed by another key than the one that is certified.
    #[error("the nonce was signed by the key {found}, and the certified key is {certified}")]
    OtherKey {
        certified: Principal,
        found: Principal,
    },
    /// Under this key another record is certified.
    #[error("under the key of {what} {asked}, {what} {found} is certified")]
    WrongRecord {
        what: &'static str,
        asked: u64,
        found: u64,
    },
    /// Who shows it is not who holds it.
    #[error("its holder is {holder}, and {shown_by} shows it")]
    OtherHolder {
        holder: Principal,
        shown_by: Principal,
    },
    /// The seat was granted, and its licence not claimed.
    #[error("the seat is not claimed")]
    Unclaimed,
    /// The licence does not count until it is reinstated.
    #[error("the licence has been suspended since {}", utc(since))]
    Suspended { since: Time },
    /// It has ended.
    #[error("it ended at {}, and has to be valid at {}", utc(ended), utc(at))]
    Ended { ended: Time, at: Time },
    /// The credential was taken back.
    #[error("the credential is revoked")]
    Revoked,
    /// The credential's JSON is not the one that its hash is of, or is another canister's.
    #[error("the credential's JSON is not the one that was issued")]
    Json,
}
