//! Encryption of what is in the file.
//!
//! Two keys come from the device's secret (HKDF-SHA256, RFC 5869). Names become places by HMAC-SHA256 (RFC 2104). Values are closed
//! with XChaCha20-Poly1305, whose nonces of 24 bytes are drawn at random; the place is authenticated, so that values can't be exchanged.

use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use super::StoreError;

const SALT: &[u8] = b"indus-message-store-1";
const NONCE: usize = 24;

pub(super) struct Seal {
    places: Hmac<Sha256>,
    values: XChaCha20Poly1305,
}

impl Seal {
    pub(super) fn new(secret: &[u8; 32]) -> Self {
        let keys = Hkdf::<Sha256>::new(Some(SALT), secret);
        let key = |purpose: &[u8]| {
            let mut key = [0; 32];
            // 32 bytes are never too many to ask for.
            if keys.expand(purpose, &mut key).is_err() {
                key = *secret;
            }
            key
        };
        let mut places = [0; 64];
        // HMAC pads a shorter key with zeros.
        places[..32].copy_from_slice(&key(b"places"));
        Self {
            places: <Hmac<Sha256> as KeyInit>::new(&places.into()),
            values: XChaCha20Poly1305::new(&key(b"values").into()),
        }
    }

    /// Where something with this name is.
    pub(super) fn place(&self, name: &[u8]) -> [u8; 32] {
        let mut place = self.places.clone();
        place.update(name);
        place.finalize().into_bytes().into()
    }

    pub(super) fn close(&self, place: &[u8; 32], value: &[u8]) -> Result<Vec<u8>, StoreError> {
        let nonce: [u8; NONCE] = rand::random();
        let payload = Payload {
            msg: value,
            aad: place,
        };
        let closed = self.values.encrypt(&XNonce::from(nonce), payload);
        let closed = closed.map_err(|_| StoreError::Sealed)?;
        Ok([&nonce[..], &closed].concat())
    }

    pub(super) fn open(&self, place: &[u8; 32], sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
        let (nonce, closed) = sealed
            .split_first_chunk::<NONCE>()
            .ok_or(StoreError::Sealed)?;
        let payload = Payload {
            msg: closed,
            aad: place,
        };
        let opened = self.values.decrypt(&XNonce::from(*nonce), payload);
        opened.map_err(|_| StoreError::Sealed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_closed_opens_in_its_place_only() {
        let seal = Seal::new(&[1; 32]);
        let (here, there) = (seal.place(b"here"), seal.place(b"there"));
        let closed = seal.close(&here, b"value").unwrap();
        assert_eq!(seal.open(&here, &closed).unwrap(), b"value");
        assert!(seal.open(&there, &closed).is_err());
        assert!(Seal::new(&[2; 32]).open(&here, &closed).is_err());
        for at in 0..closed.len() {
            let mut damaged = closed.clone();
            damaged[at] ^= 1;
            assert!(seal.open(&here, &damaged).is_err(), "{at}");
            assert!(seal.open(&here, &closed[..at]).is_err(), "{at}");
        }
        assert_ne!(seal.close(&here, b"value").unwrap(), closed);
        assert_ne!(Seal::new(&[2; 32]).place(b"here"), here);
    }
}
