//! Web Authentication (W3C WebAuthn Level 2; IC interface specification, "Web Authentication").
//!
//! ```text
//!   signature = 55799({ authenticator_data: blob, client_data_json: text, signature: blob })
//!   signature.signature signs authenticator_data ‖ SHA-256(client_data_json)
//!   client_data_json.challenge = base64url(message)
//! ```
//!
//! The subnet looks at nothing else: neither at the origin nor at what the authenticator says about the user. ECDSA
//! signatures are in DER here, as authenticators make them, with either sign of `s`.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rsa::{BoxedUint, Pkcs1v15Sign};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::{
    KeyError,
    cose::{self, CoseKey},
    ecdsa,
};
use crate::cbor::{self, Value};

const SCHEME: &str = "WebAuthn";

/// Sizes of an RSA modulus, in bits, as on the Internet Computer.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2_048..=8_192;
/// Longest signature with all that it is about, in bytes. Authenticators of today stay under 2 KiB.
const MAX_ASSERTION: usize = 16 * 1024;

#[derive(Clone, Debug)]
pub(crate) enum Key {
    Es256(ecdsa::P256),
    Rs256(Box<rsa::PublicKey>),
}

/// The field of the client data that counts.
#[derive(Deserialize)]
struct ClientData {
    challenge: String,
}

/// What an authenticator has answered.
struct Assertion<'a> {
    authenticator_data: Cow<'a, [u8]>,
    client_data: Cow<'a, [u8]>,
    signature: Cow<'a, [u8]>,
}

impl Key {
    pub(super) fn read(key: &[u8]) -> Result<Self, KeyError> {
        match cose::read(key)? {
            CoseKey::Es256 { x, y } => ecdsa::P256::from_coordinates(x, y).map(Self::Es256),
            CoseKey::Rs256 { modulus, exponent } => rsa_key(modulus, exponent).map(Self::Rs256),
        }
    }

    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), KeyError> {
        let assertion = Assertion::read(signature)?;
        let client: ClientData = serde_json::from_slice(&assertion.client_data)
            .map_err(|_| malformed("client_data_json is not JSON with a challenge"))?;
        if client.challenge.trim_end_matches('=') != URL_SAFE_NO_PAD.encode(message) {
            return Err(KeyError::WrongChallenge);
        }
        let hash = Sha256::digest(&assertion.client_data);
        let signed = [&assertion.authenticator_data, &hash[..]].concat();
        match self {
            Self::Es256(key) => key.verify_der(&signed, &assertion.signature),
            Self::Rs256(key) => key
                .verify(
                    Pkcs1v15Sign::new::<rsa::sha2::Sha256>(),
                    &Sha256::digest(&signed),
                    &assertion.signature,
                )
                .map_err(|_| KeyError::WrongSignature),
        }
    }
}

impl<'a> Assertion<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, KeyError> {
        if bytes.len() > MAX_ASSERTION {
            return Err(malformed("longer than 16 KiB"));
        }
        let Ok(Value::Map(mut fields)) = cbor::decode(bytes) else {
            return Err(malformed("not a CBOR map"));
        };
        let mut field = |name: &str| {
            let at = fields.iter().position(|(found, _)| found == name);
            match at.map(|at| fields.swap_remove(at).1) {
                Some(Value::Blob(bytes)) => Ok(bytes),
                // Some clients write the JSON as a blob.
                Some(Value::Text(text)) if name == "client_data_json" => Ok(match text {
                    Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
                    Cow::Owned(text) => Cow::Owned(text.into_bytes()),
                }),
                _ => Err(malformed("a field is missing or of the wrong type")),
            }
        };
        Ok(Self {
            authenticator_data: field("authenticator_data")?,
            client_data: field("client_data_json")?,
            signature: field("signature")?,
        })
    }
}

fn rsa_key(modulus: &[u8], exponent: &[u8]) -> Result<Box<rsa::PublicKey>, KeyError> {
    let malformed = |reason| KeyError::Malformed {
        scheme: "RSA",
        reason,
    };
    // Lengths first: nothing is computed with numbers of any size.
    if modulus.len() > RSA_BITS.end() / 8 + 1 || exponent.len() > 8 {
        return Err(malformed("modulus or exponent too long"));
    }
    if exponent.last().is_none_or(|low| low % 2 == 0) {
        return Err(malformed("the exponent is even"));
    }
    let modulus = BoxedUint::from_be_slice_vartime(modulus);
    let exponent = BoxedUint::from_be_slice_vartime(exponent);
    rsa::PublicKey::new_with_size_limits(modulus, exponent, RSA_BITS)
        .map(Box::new)
        .map_err(|_| malformed("not an odd modulus of 2,048 to 8,192 bits with a small exponent"))
}

fn malformed(reason: &'static str) -> KeyError {
    KeyError::MalformedSignature {
        scheme: SCHEME,
        reason,
    }
}
