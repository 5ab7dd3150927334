//! Hashes and signatures of the cipher suite: labelled signatures (RFC 9420, section 5.1.2), references (5.2).

use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest, Sha256};

use crate::{Hash, Key, MlsError, wire::Writer};

pub(crate) const SIGNATURE: usize = 64;

pub(crate) fn hash(parts: &[&[u8]]) -> Hash {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// RefHash of a key package.
pub(crate) fn key_package_reference(key_package: &[u8]) -> Hash {
    let mut input = Writer::new();
    input
        .vector(b"MLS 1.0 KeyPackage Reference")
        .vector(key_package);
    hash(&[&input.finish()])
}

/// VerifyWithLabel. Strict, so that all verifiers agree about each signature.
pub(crate) fn verify(
    key: &Key,
    label: &str,
    what: &'static str,
    content: &[u8],
    signature: &[u8; SIGNATURE],
) -> Result<(), MlsError> {
    let key = VerifyingKey::from_bytes(key).map_err(|_| MlsError::SignatureKey)?;
    let mut signed = Writer::new();
    signed
        .vector(format!("MLS 1.0 {label}").as_bytes())
        .vector(content);
    key.verify_strict(&signed.finish(), &Signature::from_bytes(signature))
        .map_err(|_| MlsError::Signature(what))
}
