//! Hashes and signatures of the cipher suite: labelled signatures (RFC 9420, section 5.1.2), references (5.2).

use ed25519_dalek::{Signature, Verifier as _, VerifyingKey};
use indus_certified::sha256;

use crate::{Hash, Key, MlsError, wire::Writer};

pub(crate) const SIGNATURE: usize = 64;

pub(crate) fn hash(bytes: &[u8]) -> Hash {
    sha256::digest(bytes)
}

/// RefHash of a key package.
pub(crate) fn key_package_reference(key_package: &[u8]) -> Hash {
    let mut input = Writer::new();
    input
        .vector(b"MLS 1.0 KeyPackage Reference")
        .vector(key_package);
    hash(&input.finish())
}

/// The y coordinates of the points of small order, as they are encoded: of orders 4, 1, 2, 8 and 8.
const SMALL_ORDER: [[u8; 32]; 5] = [
    [0; 32],
    [
        1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0,
    ],
    [
        0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0x7f,
    ],
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
];

/// A signature key, read once for all that it has signed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PublicKey {
    bytes: Key,
    point: VerifyingKey,
}

impl PublicKey {
    pub(crate) fn new(bytes: &Key) -> Result<Self, MlsError> {
        let point = VerifyingKey::from_bytes(bytes).map_err(|_| MlsError::SignatureKey)?;
        Ok(Self {
            bytes: *bytes,
            point,
        })
    }

    /// The key that has these bytes, which is most often this one.
    pub(crate) fn or(&self, bytes: &Key) -> Result<Self, MlsError> {
        if self.bytes == *bytes {
            Ok(*self)
        } else {
            Self::new(bytes)
        }
    }

    /// VerifyWithLabel.
    pub(crate) fn verify(
        &self,
        label: &str,
        what: &'static str,
        content: &[u8],
        signature: &[u8; SIGNATURE],
    ) -> Result<(), MlsError> {
        let mut signed = Writer::new();
        signed
            .vector(format!("MLS 1.0 {label}").as_bytes())
            .vector(content);
        if verifies(&self.point, &signed.finish(), signature) {
            Ok(())
        } else {
            Err(MlsError::Signature(what))
        }
    }
}

/// Strictly, so that all verifiers agree about each signature: neither key nor R is of small order. The same as `verify_strict`, which
/// takes the point of R out of its encoding for this; but R has to be the canonical encoding of what comes out anyway, and those of
/// small order are few.
fn verifies(key: &VerifyingKey, signed: &[u8], signature: &[u8; SIGNATURE]) -> bool {
    let signature = Signature::from_bytes(signature);
    let mut y = *signature.r_bytes();
    y[31] &= 0x7f;
    !key.is_weak() && !SMALL_ORDER.contains(&y) && key.verify(signed, &signature).is_ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use ed25519_dalek::{Signer as _, SigningKey};
    use rand::{RngExt as _, SeedableRng as _};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// Both signs of x, where x isn't 0.
    fn points() -> BTreeSet<[u8; 32]> {
        let both = SMALL_ORDER.into_iter().flat_map(|y| {
            let mut negative = y;
            negative[31] |= 0x80;
            [y, negative]
        });
        let of_order_1_or_2 = |y: &[u8; 32]| y[31] & 0x80 != 0 && (y[0] == 1 || y[0] == 0xec);
        both.filter(|y| !of_order_1_or_2(y)).collect()
    }

    #[test]
    fn the_points_of_small_order_are_all_eight() {
        assert_eq!(points().len(), 8);
        for point in points() {
            let key = VerifyingKey::from_bytes(&point).expect("a point");
            assert!(key.is_weak() && key.to_bytes() == point, "{point:?}");
        }
    }

    #[test]
    fn a_signature_verifies_exactly_if_it_does_strictly() {
        let mut random = ChaCha8Rng::seed_from_u64(25_519);
        let points: Vec<_> = points().into_iter().collect();
        let mut good = 0;
        for _ in 0..500 {
            let signer = SigningKey::from_bytes(&random.random());
            let message: [u8; 40] = random.random();
            let mut signature = signer.sign(&message).to_bytes();
            let mut key = signer.verifying_key();
            match random.random_range(0..6) {
                0 => signature[random.random_range(0..64)] ^= 1 << random.random_range(0..8),
                1 => {
                    signature[..32].copy_from_slice(&points[random.random_range(0..8)]);
                }
                2 => {
                    key = VerifyingKey::from_bytes(&points[random.random_range(0..8)]).unwrap();
                    // With s = 0, R = 0 or another one of small order verifies under such a key.
                    signature[..32].copy_from_slice(&points[random.random_range(0..8)]);
                    signature[32..].fill(0);
                }
                _ => {}
            }
            let strictly = key
                .verify_strict(&message, &Signature::from_bytes(&signature))
                .is_ok();
            assert_eq!(verifies(&key, &message, &signature), strictly);
            good += usize::from(strictly);
        }
        assert!((200..400).contains(&good), "{good}");
    }
}
