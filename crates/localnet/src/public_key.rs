//! Public keys of senders: Ed25519 in DER (RFC 8410). The other schemes of the specification are told apart by their
//! prefix, so that the error names the one that isn't supported.

use ed25519_dalek::{Signature, VerifyingKey};
use thiserror::Error;

/// `SubjectPublicKeyInfo` up to the 32 bytes of an Ed25519 key.
const ED25519: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// Object identifiers in DER of the schemes that the specification allows besides.
const OTHERS: [(&[u8], &str); 4] = [
    (
        &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a],
        "secp256k1 keys",
    ),
    (
        &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07],
        "P-256 keys",
    ),
    (
        &[
            0x06, 0x0a, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xb8, 0x43, 0x01, 0x01,
        ],
        "WebAuthn keys",
    ),
    (
        &[
            0x06, 0x0a, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xb8, 0x43, 0x01, 0x02,
        ],
        "canister signatures",
    ),
];

/// An object identifier lies within the first bytes of a key.
const OID_WITHIN: usize = 32;

/// What is wrong with a key, or with a signature by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum KeyError {
    #[error("not supported yet: {0}")]
    NotSupported(&'static str),
    #[error("not a DER-encoded Ed25519 key of 44 bytes")]
    Malformed,
    #[error("the 32 bytes of the key are no point of the curve")]
    NotAPoint,
    #[error("not a signature of 64 bytes")]
    MalformedSignature,
    #[error("the signature does not verify")]
    WrongSignature,
}

/// A key that signatures are verified with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Reads a DER-encoded key.
    ///
    /// # Errors
    /// It isn't an Ed25519 key.
    pub(crate) fn from_der(der: &[u8]) -> Result<Self, KeyError> {
        let Some(key) = der.strip_prefix(&ED25519) else {
            let start = &der[..der.len().min(OID_WITHIN)];
            let other = OTHERS
                .iter()
                .find(|(oid, _)| start.windows(oid.len()).any(|bytes| bytes == *oid));
            return Err(other.map_or(KeyError::Malformed, |(_, name)| {
                KeyError::NotSupported(name)
            }));
        };
        let key = <&[u8; 32]>::try_from(key).map_err(|_| KeyError::Malformed)?;
        VerifyingKey::from_bytes(key)
            .map(Self)
            .map_err(|_| KeyError::NotAPoint)
    }

    /// Verifies a signature over the message.
    ///
    /// # Errors
    /// It isn't one by this key.
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), KeyError> {
        let signature =
            Signature::from_slice(signature).map_err(|_| KeyError::MalformedSignature)?;
        self.0
            .verify_strict(message, &signature)
            .map_err(|_| KeyError::WrongSignature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_other_schemes_are_named() {
        let prefixes = [
            (
                "3056301006072a8648ce3d020106052b8104000a034200",
                "secp256k1 keys",
            ),
            (
                "3059301306072a8648ce3d020106082a8648ce3d030107034200",
                "P-256 keys",
            ),
            ("305e300c060a2b0601040183b8430101034e00", "WebAuthn keys"),
            (
                "303c300c060a2b0601040183b8430102032c00",
                "canister signatures",
            ),
        ];
        for (prefix, name) in prefixes {
            let der = [hex::decode(prefix).unwrap(), vec![4; 65]].concat();
            assert_eq!(PublicKey::from_der(&der), Err(KeyError::NotSupported(name)));
        }
    }

    #[test]
    fn keys_of_another_length_are_refused() {
        for len in [0, 31, 33] {
            let der = [&ED25519[..], &vec![1; len]].concat();
            assert_eq!(PublicKey::from_der(&der), Err(KeyError::Malformed));
        }
        assert_eq!(PublicKey::from_der(&[]), Err(KeyError::Malformed));
    }
}
