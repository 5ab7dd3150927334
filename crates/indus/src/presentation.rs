//! Presentation files: a licence or a credential, shown by its holder to one verifier, to be verified without a network.
//!
//! Layout ([`crate::sealed`]):
//!
//! ```json
//! {
//!   "format": "indus presentation 1",
//!   "licence": 7,
//!   "statement": {
//!     "canister": "…-cai",
//!     "certificate": "base64 of the CBOR",
//!     "witness": "base64 of the CBOR"
//!   },
//!   "holder": { … the same for the holder's key },
//!   "method": "hexadecimal: the key of the holder's leaf in methods",
//!   "public_key": "base64 of the DER",
//!   "nonce": "hexadecimal",
//!   "verifier": "the name of the one it is for",
//!   "signature": "base64",
//!   "sha256": "of all that is above, as a file of its own"
//! }
//! ```
//! `"credential": ID` stands in the place of `"licence": SEAT` for a credential. What is signed, and what is checked, is
//! [`indus_verify::presentation`]'s.

use std::path::Path;

use indus_verify::presentation::{Certificate, Challenge, Presentation, Shown};
use serde::{Deserialize, Serialize};

use crate::sealed::{self, SealError};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Document {
    format: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    licence: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<u64>,
    statement: Certified,
    holder: Certified,
    method: String,
    public_key: String,
    nonce: String,
    verifier: String,
    signature: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    sha256: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Certified {
    canister: String,
    certificate: String,
    witness: String,
}

impl sealed::Document for Document {
    const FORMAT: &'static str = "indus presentation 1";
    fn sha256(&mut self) -> &mut String {
        &mut self.sha256
    }
}

/// From the bytes of a file.
pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Presentation, SealError> {
    let document: Document = sealed::from_bytes(bytes)?;
    let presentation = Presentation {
        shown: match (document.licence, document.credential) {
            (Some(seat), None) => Shown::Licence { seat },
            (None, Some(id)) => Shown::Credential { id },
            _ => {
                let reason = "either a licence or a credential is shown";
                return Err(SealError::field("licence", reason));
            }
        },
        statement: document.statement.read()?,
        holder: document.holder.read()?,
        method_key: hexadecimal("method", &document.method)?,
        public_key: sealed::blob("public_key", &document.public_key)?,
        challenge: Challenge::new(hexadecimal("nonce", &document.nonce)?, document.verifier)
            .map_err(|error| SealError::field("nonce", error))?,
        signature: sealed::blob("signature", &document.signature)?,
    };
    if to_bytes(&presentation) != bytes {
        return Err(SealError::NotCanonical);
    }
    Ok(presentation)
}

/// Writes it to `path`, in place of what is there.
pub(crate) fn save(presentation: &Presentation, path: &Path) -> std::io::Result<()> {
    sealed::save(document(presentation), path)
}

fn to_bytes(presentation: &Presentation) -> Vec<u8> {
    sealed::to_bytes(document(presentation))
}

fn document(presentation: &Presentation) -> Document {
    let (licence, credential) = match presentation.shown {
        Shown::Licence { seat } => (Some(seat), None),
        Shown::Credential { id } => (None, Some(id)),
    };
    Document {
        format: <Document as sealed::Document>::FORMAT.into(),
        licence,
        credential,
        statement: Certified::of(&presentation.statement),
        holder: Certified::of(&presentation.holder),
        method: hex::encode(&presentation.method_key),
        public_key: sealed::shown_blob(&presentation.public_key),
        nonce: hex::encode(presentation.challenge.nonce()),
        verifier: presentation.challenge.verifier().into(),
        signature: sealed::shown_blob(&presentation.signature),
        sha256: String::new(),
    }
}

impl Certified {
    fn of(certificate: &Certificate) -> Self {
        Self {
            canister: certificate.canister.to_text(),
            certificate: sealed::shown_blob(&certificate.certificate),
            witness: sealed::shown_blob(&certificate.witness),
        }
    }

    fn read(&self) -> Result<Certificate, SealError> {
        Ok(Certificate {
            canister: sealed::principal("canister", &self.canister)?,
            certificate: sealed::blob("certificate", &self.certificate)?,
            witness: sealed::blob("witness", &self.witness)?,
        })
    }
}

fn hexadecimal(field: &'static str, text: &str) -> Result<Vec<u8>, SealError> {
    hex::decode(text).map_err(|error| SealError::field(field, error))
}

#[cfg(test)]
mod tests {
    use candid::Principal;

    use super::*;

    fn example(shown: Shown) -> Presentation {
        let certificate = |n: u8| Certificate {
            canister: Principal::from_slice(&[n, 1, 1]),
            certificate: vec![n; 40],
            witness: vec![n + 1; 41],
        };
        Presentation {
            shown,
            statement: certificate(1),
            holder: certificate(3),
            method_key: vec![5; 32],
            public_key: vec![6; 44],
            challenge: Challenge::new(vec![7; 16], "Bank \"A\"".into()).unwrap(),
            signature: vec![8; 64],
        }
    }

    #[test]
    fn a_file_gives_the_same_presentation_again() {
        for shown in [Shown::Licence { seat: 7 }, Shown::Credential { id: 1 }] {
            let written = example(shown);
            assert_eq!(from_bytes(&to_bytes(&written)).unwrap(), written);
        }
    }

    #[test]
    fn no_byte_of_a_file_can_be_another() {
        let bytes = to_bytes(&example(Shown::Licence { seat: 7 }));
        for at in 0..bytes.len() {
            // The last one makes other white space of white space.
            for flip in [0x01, 0x20, 0x80, 0x2a] {
                let mut other = bytes.clone();
                other[at] ^= flip;
                assert!(from_bytes(&other).is_err(), "byte {at} ^ {flip}");
            }
            assert!(from_bytes(&bytes[..at]).is_err(), "{at} bytes");
        }
    }

    #[test]
    fn what_is_neither_or_both_is_refused() {
        let mut none = document(&example(Shown::Licence { seat: 7 }));
        none.licence = None;
        let mut both = document(&example(Shown::Licence { seat: 7 }));
        both.credential = Some(1);
        for other in [none, both] {
            let error = from_bytes(&sealed::to_bytes(other)).unwrap_err();
            assert_eq!(
                error.to_string(),
                "licence: either a licence or a credential is shown"
            );
        }
    }
}
