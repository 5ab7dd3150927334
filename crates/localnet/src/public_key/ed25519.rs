//! Ed25519 (RFC 8032). Verification is strict: no point of small order, one encoding of each point and scalar.

use ed25519_dalek::{Signature, VerifyingKey};

use super::KeyError;

const SCHEME: &str = "Ed25519";

#[derive(Clone, Debug)]
pub(crate) struct Key(VerifyingKey);

impl Key {
    pub(super) fn read(key: &[u8]) -> Result<Self, KeyError> {
        let malformed = |reason| KeyError::Malformed {
            scheme: SCHEME,
            reason,
        };
        let key = <&[u8; 32]>::try_from(key).map_err(|_| malformed("not 32 bytes"))?;
        VerifyingKey::from_bytes(key)
            .map(Self)
            .map_err(|_| malformed("not a point of the curve"))
    }

    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), KeyError> {
        let signature =
            Signature::from_slice(signature).map_err(|_| KeyError::MalformedSignature {
                scheme: SCHEME,
                reason: "not 64 bytes",
            })?;
        self.0
            .verify_strict(message, &signature)
            .map_err(|_| KeyError::WrongSignature)
    }
}
