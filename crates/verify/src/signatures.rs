//! Which signatures were found good already.
//!
//! A fingerprint is SHA-256 over key, signature and root hash, all of fixed length: it stands for a BLS check
//! that succeeded and for nothing else. Only good signatures enter, so nobody without a key can push them
//! out; the oldest leave first.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use ic_verify_bls_signature::PublicKey;
use sha2::{Digest, Sha256};

use crate::key::{self, DerKey, SIGNATURE_BYTES};
use crate::tree::Hash;

/// Fingerprints kept: 64 × 32 bytes, searched in a microsecond.
const CAPACITY: usize = 64;
/// What is signed begins with this (interface specification, "Certificate").
const DOMAIN: &[u8] = b"\x0Dic-state-root";

#[derive(Debug, Default)]
pub(crate) struct GoodSignatures(Mutex<VecDeque<Hash>>);

impl GoodSignatures {
    /// Whether `signature` is that of `der` over `root_hash`. `parse` gives the point of the key, if it
    /// is one, and is called only if it must be.
    pub(crate) fn check<E>(
        &self,
        der: &DerKey,
        parse: impl FnOnce() -> Result<PublicKey, E>,
        root_hash: &Hash,
        signature: &[u8; SIGNATURE_BYTES],
    ) -> Result<bool, E> {
        let fingerprint: Hash = Sha256::new()
            .chain_update(der)
            .chain_update(signature)
            .chain_update(root_hash)
            .finalize()
            .into();
        if self.with(|good| good.contains(&fingerprint)) {
            return Ok(true);
        }
        // Not under the lock: others go on while this one is checked.
        if !key::signed(&parse()?, &[DOMAIN, root_hash].concat(), signature) {
            return Ok(false);
        }
        self.with(|good| {
            if !good.contains(&fingerprint) {
                if good.len() == CAPACITY {
                    good.pop_front();
                }
                good.push_back(fingerprint);
            }
        });
        Ok(true)
    }

    fn with<R>(&self, f: impl FnOnce(&mut VecDeque<Hash>) -> R) -> R {
        // Every state of the queue is a good one, even after a panic of another thread.
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use ic_verify_bls_signature::PrivateKey;

    use super::*;

    const DER: DerKey = [0; 133];

    fn signer() -> PrivateKey {
        PrivateKey::deserialize(&[9; 32]).unwrap()
    }

    fn sign(hash: &Hash) -> [u8; SIGNATURE_BYTES] {
        signer().sign(&[DOMAIN, hash].concat()).serialize()
    }

    #[test]
    fn a_good_signature_is_checked_once() {
        let (good, signature, mut checks) = (GoodSignatures::default(), sign(&[1; 32]), 0);
        for _ in 0..3 {
            let parse = || {
                checks += 1;
                Ok::<_, Infallible>(signer().public_key())
            };
            assert_eq!(good.check(&DER, parse, &[1; 32], &signature), Ok(true));
        }
        assert_eq!(checks, 1);
    }

    #[test]
    fn a_remembered_signature_is_good_for_its_own_key_and_hash_only() {
        let (good, signature) = (GoodSignatures::default(), sign(&[1; 32]));
        let key = || Ok::<_, Infallible>(signer().public_key());
        let other = || Ok::<_, Infallible>(PrivateKey::deserialize(&[8; 32]).unwrap().public_key());
        assert_eq!(good.check(&DER, key, &[1; 32], &signature), Ok(true));
        assert_eq!(good.check(&DER, key, &[2; 32], &signature), Ok(false));
        assert_eq!(
            good.check(&[1; 133], other, &[1; 32], &signature),
            Ok(false)
        );
        let mut changed = signature;
        changed[47] ^= 1;
        assert_eq!(good.check(&DER, key, &[1; 32], &changed), Ok(false));
    }

    #[test]
    fn a_bad_signature_is_not_remembered() {
        let good = GoodSignatures::default();
        let key = || Ok::<_, Infallible>(signer().public_key());
        for _ in 0..2 {
            assert_eq!(good.check(&DER, key, &[1; 32], &sign(&[2; 32])), Ok(false));
        }
        assert_eq!(good.with(|good| good.len()), 0);
    }

    #[test]
    fn no_more_are_kept_than_the_capacity() {
        let good = GoodSignatures::default();
        let key = || Ok::<_, Infallible>(signer().public_key());
        for number in 0..=CAPACITY {
            let hash = [u8::try_from(number).unwrap(); 32];
            assert_eq!(good.check(&DER, key, &hash, &sign(&hash)), Ok(true));
        }
        assert_eq!(good.with(|good| good.len()), CAPACITY);
    }
}
