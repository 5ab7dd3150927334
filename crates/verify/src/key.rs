//! Public keys of subnets: BLS12-381 with the key in G2, in the one DER form of the interface
//! specification ("Certificate", `extract_der`).
//!
//! Layout: 37 fixed bytes (`SEQUENCE` of the algorithm 1.3.6.1.4.1.44668.5.3.1.2.1 with the curve
//! 1.3.6.1.4.1.44668.5.3.2.1, then the head of a bit string), then the compressed point of 96 bytes.

use std::fmt;

use ic_verify_bls_signature::{PublicKey, Signature};

use crate::error::VerifyError;

const DER_PREFIX: [u8; 37] = [
    0x30, 0x81, 0x82, 0x30, 0x1d, 0x06, 0x0d, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0xdc, 0x7c, 0x05,
    0x03, 0x01, 0x02, 0x01, 0x06, 0x0c, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0xdc, 0x7c, 0x05, 0x03,
    0x02, 0x01, 0x03, 0x61, 0x00,
];
const POINT_BYTES: usize = PublicKey::BYTES;
const DER_BYTES: usize = DER_PREFIX.len() + POINT_BYTES;
/// Flag in the first byte of a compressed point: it is the point at infinity.
const INFINITY: u8 = 0x40;

/// Length of a signature: a compressed point in G1.
pub(crate) const SIGNATURE_BYTES: usize = Signature::BYTES;

/// A public key in DER form; a valid point once a signature is checked with it.
pub(crate) type DerKey = [u8; DER_BYTES];

/// What everything is verified against: the public key of the root subnet of a network.
///
/// Get it from where the network was started or from a file that was pinned, never from the network itself.
#[derive(Clone, PartialEq, Eq)]
pub struct RootKey {
    der: DerKey,
    key: PublicKey,
}

impl RootKey {
    /// From the 133-byte DER form, as `/api/v2/status` shows it.
    ///
    /// Errors: [`VerifyError::RootKey`] for anything else, the point at infinity included.
    pub fn from_der(der: &[u8]) -> Result<Self, VerifyError> {
        let der = der.try_into().map_err(|_| VerifyError::RootKey)?;
        Ok(Self {
            der,
            key: parse(&der).ok_or(VerifyError::RootKey)?,
        })
    }

    /// The 133-byte DER form.
    pub fn as_der(&self) -> &[u8; DER_BYTES] {
        &self.der
    }

    pub(crate) fn key(&self) -> &PublicKey {
        &self.key
    }
}

impl fmt::Debug for RootKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RootKey({:?})", self.key)
    }
}

/// The point in a DER form. Costs about a millisecond: it is checked to be in the subgroup.
pub(crate) fn parse(der: &DerKey) -> Option<PublicKey> {
    let point = der.strip_prefix(&DER_PREFIX)?;
    // With the point at infinity as key, the point at infinity signs everything.
    if point[0] & INFINITY != 0 {
        return None;
    }
    PublicKey::deserialize(point).ok()
}

/// Whether `signature` is that of `key` over `message`.
pub(crate) fn signed(key: &PublicKey, message: &[u8], signature: &[u8; SIGNATURE_BYTES]) -> bool {
    Signature::deserialize(signature).is_ok_and(|signature| key.verify(message, &signature).is_ok())
}

#[cfg(test)]
mod tests {
    use ic_verify_bls_signature::PrivateKey;

    use super::*;

    fn der_of(seed: u8) -> DerKey {
        let key = PrivateKey::deserialize(&[seed; 32]).unwrap().public_key();
        [DER_PREFIX.as_slice(), &key.serialize()]
            .concat()
            .try_into()
            .unwrap()
    }

    #[test]
    fn the_der_form_of_a_key_is_accepted_and_given_back() {
        assert_eq!(RootKey::from_der(&der_of(7)).unwrap().as_der(), &der_of(7));
    }

    #[test]
    fn another_length_is_refused() {
        let der = der_of(7);
        for length in 0..DER_BYTES {
            assert_eq!(RootKey::from_der(&der[..length]), Err(VerifyError::RootKey));
        }
        assert_eq!(
            RootKey::from_der(&[der.as_slice(), &[0]].concat()),
            Err(VerifyError::RootKey)
        );
        assert_eq!(
            RootKey::from_der(&der[DER_PREFIX.len()..]),
            Err(VerifyError::RootKey)
        );
    }

    #[test]
    fn another_algorithm_is_refused() {
        for index in 0..DER_PREFIX.len() {
            let mut der = der_of(7);
            der[index] ^= 1;
            assert_eq!(
                RootKey::from_der(&der),
                Err(VerifyError::RootKey),
                "byte {index}"
            );
        }
    }

    #[test]
    fn the_point_at_infinity_is_refused_as_a_key() {
        let mut der = der_of(7);
        der[DER_PREFIX.len()..].fill(0);
        der[DER_PREFIX.len()] = 0xc0;
        assert!(PublicKey::deserialize(&der[DER_PREFIX.len()..]).is_ok());
        assert_eq!(RootKey::from_der(&der), Err(VerifyError::RootKey));
    }

    #[test]
    fn bytes_that_are_no_point_of_the_subgroup_are_refused() {
        let mut der = der_of(7);
        der[DER_PREFIX.len() + 1..].fill(0xff);
        assert_eq!(RootKey::from_der(&der), Err(VerifyError::RootKey));
        // Clearing the flag of the compressed form leaves no valid encoding.
        let mut der = der_of(7);
        der[DER_PREFIX.len()] &= 0x7f;
        assert_eq!(RootKey::from_der(&der), Err(VerifyError::RootKey));
    }
}
