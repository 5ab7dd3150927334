//! Keys that sign, one scheme each.

use std::{fmt, sync::LazyLock};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{Signer as _, SigningKey};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng as _};
use rsa::{Pkcs1v15Sign, traits::PublicKeyParts as _};
use sha2::{Digest as _, Sha256};

use super::certificate::{self, CANISTER, Network, Shape};
use crate::{
    cbor::{Value, encode, field},
    public_key::der,
};

/// Making an RSA key takes a second, so there is one.
static RSA: LazyLock<rsa::PrivateKey> = LazyLock::new(|| rsa_key(1));

fn rsa_key(seed: u8) -> rsa::PrivateKey {
    rsa::PrivateKey::new(&mut ChaCha8Rng::from_seed([seed; 32]), 2_048).unwrap()
}

pub(crate) enum Signer {
    Ed25519(SigningKey),
    Secp256k1(Box<ic_secp256k1::PrivateKey>),
    P256(ic_secp256r1::PrivateKey),
    Es256(ic_secp256r1::PrivateKey),
    Rs256,
    OtherRs256(Box<rsa::PrivateKey>),
    /// A canister of the network 1, with this seed.
    Canister(&'static [u8]),
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ed25519(_) => "Ed25519",
            Self::Secp256k1(_) => "secp256k1",
            Self::P256(_) => "P-256",
            Self::Es256(_) => "WebAuthn with ES256",
            Self::Rs256 | Self::OtherRs256(_) => "WebAuthn with RS256",
            Self::Canister(_) => "canister",
        })
    }
}

impl Signer {
    pub(crate) fn one_of_each() -> Vec<Self> {
        vec![
            Self::Ed25519(SigningKey::from_bytes(&[1; 32])),
            Self::secp256k1(1),
            Self::P256(p256(1)),
            Self::Es256(p256(1)),
            Self::Rs256,
            Self::Canister(b"seed"),
        ]
    }

    /// Other keys of the same schemes.
    pub(crate) fn others() -> Vec<Self> {
        vec![
            Self::Ed25519(SigningKey::from_bytes(&[2; 32])),
            Self::secp256k1(2),
            Self::P256(p256(2)),
            Self::Es256(p256(2)),
            Self::OtherRs256(Box::new(rsa_key(2))),
            Self::Canister(b"another"),
        ]
    }

    pub(crate) fn secp256k1(seed: u8) -> Self {
        Self::Secp256k1(Box::new(ic_secp256k1::PrivateKey::generate_from_seed(&[
            seed,
        ])))
    }

    pub(crate) fn der(&self) -> Vec<u8> {
        match self {
            Self::Ed25519(key) => der::write(der::ED25519, key.verifying_key().as_bytes()),
            Self::Secp256k1(key) => key.public_key().serialize_der(),
            Self::P256(key) => key.public_key().serialize_der(),
            Self::Es256(key) => der::write(der::WEBAUTHN, &cose_p256(key)),
            Self::Rs256 => der::write(der::WEBAUTHN, &cose_of(&RSA)),
            Self::OtherRs256(key) => der::write(der::WEBAUTHN, &cose_of(key)),
            Self::Canister(seed) => certificate::key(CANISTER, seed),
        }
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Ed25519(key) => key.sign(message).to_bytes().to_vec(),
            Self::Secp256k1(key) => key.sign_message_with_ecdsa(message).to_vec(),
            Self::P256(key) => key.sign_message(message).to_vec(),
            Self::Es256(_) | Self::Rs256 | Self::OtherRs256(_) => {
                let challenge = challenge(message);
                self.assert(&format!(
                    r#"{{"type":"webauthn.get","challenge":"{challenge}","origin":"https://indus.example"}}"#
                ))
            }
            Self::Canister(seed) => Network::new(1).sign(Shape::Delegated, seed, message),
        }
    }

    /// What an authenticator answers when it is shown this client data.
    pub(crate) fn assert(&self, client_data: &str) -> Vec<u8> {
        let authenticator_data = [&[7; 32][..], &[1, 0, 0, 0, 3]].concat();
        let signed = [&authenticator_data[..], &Sha256::digest(client_data)].concat();
        let by_rsa = |key: &rsa::PrivateKey| {
            let scheme = Pkcs1v15Sign::new::<rsa::sha2::Sha256>();
            key.sign(scheme, &Sha256::digest(&signed)).unwrap()
        };
        let signature = match self {
            Self::Es256(key) => key.sign_message_with_der_encoded_sig(&signed),
            Self::Rs256 => by_rsa(&RSA),
            Self::OtherRs256(key) => by_rsa(key),
            other => panic!("{other:?} is no authenticator"),
        };
        encode(&Value::Map(vec![
            field("authenticator_data", Value::blob(&authenticator_data)),
            field("client_data_json", Value::text(client_data)),
            field("signature", Value::blob(&signature)),
        ]))
    }
}

pub(crate) fn p256(seed: u64) -> ic_secp256r1::PrivateKey {
    ic_secp256r1::PrivateKey::generate_insecure_key_for_testing(seed)
}

pub(crate) fn challenge(message: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(message)
}

fn cose_p256(key: &ic_secp256r1::PrivateKey) -> Vec<u8> {
    let point = key.public_key().serialize_sec1(false);
    let (x, y) = point[1..].split_at(32);
    let head = hex::decode("a5010203262001215820").unwrap();
    [&head, x, &[0x22, 0x58, 0x20], y].concat()
}

fn cose_of(key: &rsa::PrivateKey) -> Vec<u8> {
    let (modulus, exponent) = (key.n().to_be_bytes(), key.e().to_be_bytes());
    let start = exponent.iter().position(|byte| *byte != 0).unwrap();
    cose_rsa(&modulus, &exponent[start..])
}

pub(crate) fn cose_rsa(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let length = u16::try_from(modulus.len()).unwrap().to_be_bytes();
    let exponent_length = u8::try_from(exponent.len()).unwrap();
    let head = hex::decode("a40103033901002059").unwrap();
    [
        &head,
        &length[..],
        modulus,
        &[0x21, 0x40 + exponent_length],
        exponent,
    ]
    .concat()
}
