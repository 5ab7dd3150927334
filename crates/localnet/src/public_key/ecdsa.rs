//! ECDSA with SHA-256 on secp256k1 and P-256 (FIPS 186-4, SEC 2).
//!
//! A point has its uncompressed form, a signature is `r ‖ s` of 32 bytes each. With `(r, s)` also `(r, -s)` is a valid
//! signature, on both curves, as on the Internet Computer: request ids don't depend on signatures, so nothing follows from
//! a second form.

use super::KeyError;

/// Length of an uncompressed point: 4, x, y.
const POINT: usize = 65;
const UNCOMPRESSED: u8 = 4;
/// Length of `r ‖ s`.
const SIGNATURE: usize = 64;

#[derive(Clone, Debug)]
pub(crate) struct Secp256k1(ic_secp256k1::PublicKey);

#[derive(Clone, Debug)]
pub(crate) struct P256(ic_secp256r1::PublicKey);

impl Secp256k1 {
    const SCHEME: &str = "secp256k1";

    pub(super) fn read(key: &[u8]) -> Result<Self, KeyError> {
        ic_secp256k1::PublicKey::deserialize_sec1(uncompressed(Self::SCHEME, key)?)
            .map(Self)
            .map_err(|_| no_point(Self::SCHEME))
    }

    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), KeyError> {
        check_length(Self::SCHEME, signature)?;
        verified(
            self.0
                .verify_ecdsa_signature_with_malleability(message, signature),
        )
    }
}

impl P256 {
    const SCHEME: &str = "P-256";

    pub(super) fn read(key: &[u8]) -> Result<Self, KeyError> {
        ic_secp256r1::PublicKey::deserialize_sec1(uncompressed(Self::SCHEME, key)?)
            .map(Self)
            .map_err(|_| no_point(Self::SCHEME))
    }

    /// The key with these coordinates.
    pub(super) fn from_coordinates(x: &[u8], y: &[u8]) -> Result<Self, KeyError> {
        ic_secp256r1::PublicKey::deserialize_from_xy(x, y)
            .map(Self)
            .map_err(|_| no_point(Self::SCHEME))
    }

    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), KeyError> {
        check_length(Self::SCHEME, signature)?;
        verified(self.0.verify_signature(message, signature))
    }

    /// Verifies a signature that is encoded in DER.
    pub(super) fn verify_der(&self, message: &[u8], signature: &[u8]) -> Result<(), KeyError> {
        verified(
            self.0
                .verify_signature_with_der_encoded_sig(message, signature),
        )
    }
}

fn uncompressed<'a>(scheme: &'static str, key: &'a [u8]) -> Result<&'a [u8], KeyError> {
    if key.len() == POINT && key[0] == UNCOMPRESSED {
        Ok(key)
    } else {
        Err(KeyError::Malformed {
            scheme,
            reason: "not an uncompressed point of 65 bytes",
        })
    }
}

fn no_point(scheme: &'static str) -> KeyError {
    KeyError::Malformed {
        scheme,
        reason: "not a point of the curve",
    }
}

fn check_length(scheme: &'static str, signature: &[u8]) -> Result<(), KeyError> {
    if signature.len() == SIGNATURE {
        Ok(())
    } else {
        Err(KeyError::MalformedSignature {
            scheme,
            reason: "not 64 bytes",
        })
    }
}

fn verified(holds: bool) -> Result<(), KeyError> {
    holds.then_some(()).ok_or(KeyError::WrongSignature)
}
