//! Keys that sign calls: Ed25519 (RFC 8032), in memory only.

use std::fmt;
use std::sync::Arc;

use candid::Principal;
use ic_agent::identity::{BasicIdentity, Identity};
use indus_verify::presentation::ToSign;
use sha2::{Digest, Sha256};

/// What stands in front of everything that a secret is derived from: no call, certificate or presentation begins like this.
const DERIVED: &[u8] = b"\x14indus-derived-secret";

/// A signing key and the principal that calls signed with it come from.
///
/// Copies share the key. It can't be read back or written anywhere.
#[derive(Clone)]
pub struct Key {
    identity: Arc<BasicIdentity>,
    principal: Principal,
}

impl Key {
    /// A fresh key from the operating system's randomness.
    #[must_use]
    pub fn generate() -> Self {
        Self::from_seed(&rand::random())
    }

    /// The key of a 32-byte seed (RFC 8032, section 5.1.5).
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let identity = BasicIdentity::from_raw_key(seed);
        let principal = Principal::self_authenticating(identity.public_key().unwrap_or_default());
        Self {
            identity: Arc::new(identity),
            principal,
        }
    }

    /// The self-authenticating principal of the key.
    #[must_use]
    pub fn principal(&self) -> Principal {
        self.principal
    }

    /// Its public key in DER (RFC 8410).
    #[must_use]
    pub fn public_key(&self) -> Vec<u8> {
        self.identity.public_key().unwrap_or_default()
    }

    /// Its signature over what a presentation is signed with.
    #[must_use]
    pub fn sign(&self, presentation: &ToSign) -> Vec<u8> {
        // Signing with a key in memory does not fail, and nobody accepts an empty signature.
        let signed = self.identity.sign_arbitrary(presentation.as_bytes());
        signed
            .ok()
            .and_then(|signed| signed.signature)
            .unwrap_or_default()
    }

    /// A secret of whoever has the key, for one purpose: the SHA-256 of a signature that is never shown (Ed25519 signs the same thing
    /// the same way each time).
    #[must_use]
    pub fn derived(&self, purpose: &str) -> [u8; 32] {
        let message = [DERIVED, purpose.as_bytes()].concat();
        // Signing with a key in memory does not fail.
        let signed = self.identity.sign_arbitrary(&message).ok();
        let signature = signed.and_then(|signed| signed.signature);
        Sha256::digest(signature.unwrap_or_default()).into()
    }

    pub(crate) fn identity(&self) -> Arc<dyn Identity> {
        self.identity.clone()
    }
}

/// The principal only.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.principal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_fresh_keys_differ() {
        assert_ne!(Key::generate().principal(), Key::generate().principal());
    }

    #[test]
    fn a_key_signs_as_the_principal_it_names() {
        let key = Key::from_seed(&[7; 32]);
        assert_eq!(key.identity().sender(), Ok(key.principal()));
        assert_eq!(key.principal(), Key::from_seed(&[7; 32]).principal());
        assert_ne!(key.principal(), Principal::anonymous());
    }

    #[test]
    fn a_derived_secret_is_that_of_the_key_and_the_purpose() {
        let key = Key::from_seed(&[7; 32]);
        assert_eq!(key.derived("one"), Key::from_seed(&[7; 32]).derived("one"));
        assert_ne!(key.derived("one"), key.derived("two"));
        assert_ne!(key.derived("one"), Key::from_seed(&[8; 32]).derived("one"));
        assert_ne!(key.derived("one"), <[u8; 32]>::from(Sha256::digest([])));
    }

    #[test]
    fn debug_output_shows_no_secret() {
        let key = Key::from_seed(&[7; 32]);
        assert_eq!(format!("{key:?}"), format!("Key({})", key.principal()));
    }
}
