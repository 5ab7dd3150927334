//! Proof files: what a canister certified about some paths, to be kept and verified without a network.
//!
//! Layout ([`crate::sealed`]):
//!
//! ```json
//! {
//!   "format": "indus proof 1",
//!   "canister": "…-cai",
//!   "paths": [
//!     ["data", "organisations", "0x0000000000000007"]
//!   ],
//!   "certificate": "base64 of the CBOR",
//!   "witness": "base64 of the CBOR",
//!   "sha256": "of all that is above, as a file of its own"
//! }
//! ```
//!
//! Cost: two BLS checks.

use std::path::Path;

use candid::Principal;
use indus_api::certified::{MAX_LABEL_BYTES, MAX_PATH_LABELS, MAX_PATHS};
use indus_verify::{Lookup, RootKey, Time, TimeBound, Verifier, VerifyError, leaf_hash};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::known;
use crate::labels::{self, Labels};
use crate::sealed::{self, SealError};

/// A proof, not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proof {
    pub(crate) canister: Principal,
    /// What was asked for: 1 to [`MAX_PATHS`].
    pub(crate) paths: Vec<Labels>,
    /// CBOR.
    pub(crate) certificate: Vec<u8>,
    /// CBOR.
    pub(crate) witness: Vec<u8>,
}

/// What a file proves.
#[derive(Debug)]
pub(crate) struct Proved {
    pub(crate) canister: Principal,
    /// The subnet that signed; none is the root subnet.
    pub(crate) subnet: Option<Principal>,
    pub(crate) time: Time,
    pub(crate) statements: Vec<Statement>,
}

/// What is proved about one path.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Statement {
    pub(crate) path: Labels,
    /// None if it is proved that there is nothing.
    pub(crate) found: Option<Found>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) bytes: Vec<u8>,
    /// The hash of the leaf, which the audit log names.
    pub(crate) leaf: [u8; 32],
    /// Candid as text, where the type is known.
    pub(crate) candid: Option<String>,
}

/// Why a file proves nothing.
#[derive(Debug, Error)]
pub(crate) enum ProofError {
    #[error(transparent)]
    File(#[from] SealError),
    #[error("it is about canister {found}, not about {expected}")]
    OtherCanister {
        expected: Principal,
        found: Principal,
    },
    #[error(transparent)]
    Unproved(#[from] VerifyError),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Document {
    format: String,
    canister: String,
    paths: Vec<Vec<String>>,
    certificate: String,
    witness: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    sha256: String,
}

impl sealed::Document for Document {
    const FORMAT: &'static str = "indus proof 1";
    fn sha256(&mut self) -> &mut String {
        &mut self.sha256
    }
}

impl Proof {
    /// From the bytes of a file.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, ProofError> {
        let document: Document = sealed::from_bytes(bytes)?;
        let labels = |path: &Vec<String>| path.iter().map(|label| labels::label(label)).collect();
        let proof = Self {
            canister: sealed::principal("canister", &document.canister)?,
            paths: document
                .paths
                .iter()
                .map(labels)
                .collect::<Result<_, _>>()
                .map_err(|reason: String| SealError::field("paths", reason))?,
            certificate: sealed::blob("certificate", &document.certificate)?,
            witness: sealed::blob("witness", &document.witness)?,
        };
        check_paths(&proof.paths).map_err(|reason| SealError::field("paths", reason))?;
        if sealed::to_bytes(proof.document()) != bytes {
            return Err(SealError::NotCanonical.into());
        }
        Ok(proof)
    }

    /// Writes it to `path`, in place of what is there.
    pub(crate) fn save(&self, path: &Path) -> std::io::Result<()> {
        sealed::save(self.document(), path)
    }

    fn document(&self) -> Document {
        let shown = |path: &Labels| {
            path.iter()
                .map(|label| labels::shown_label(label))
                .collect()
        };
        Document {
            format: <Document as sealed::Document>::FORMAT.into(),
            canister: self.canister.to_text(),
            paths: self.paths.iter().map(shown).collect(),
            certificate: sealed::shown_blob(&self.certificate),
            witness: sealed::shown_blob(&self.witness),
            sha256: String::new(),
        }
    }

    /// Verifies all of it against the root key. If `expected` is given, it must be about that canister.
    pub(crate) fn verify(
        &self,
        root_key: RootKey,
        expected: Option<Principal>,
        now: Time,
        bound: TimeBound,
    ) -> Result<Proved, ProofError> {
        if let Some(expected) = expected
            && expected != self.canister
        {
            let found = self.canister;
            return Err(ProofError::OtherCanister { expected, found });
        }
        let certificate =
            Verifier::new(root_key).certificate(&self.certificate, self.canister, now, bound)?;
        let witness = certificate.witness(&self.witness)?;
        let statement = |path: &Labels| {
            let found = match witness.lookup(path) {
                Lookup::Found(bytes) => Some(Found {
                    bytes: bytes.to_vec(),
                    leaf: leaf_hash(bytes),
                    candid: collection(path).and_then(|name| known::text(name, bytes)),
                }),
                _ => {
                    witness.absent(path)?;
                    None
                }
            };
            Ok(Statement {
                path: path.clone(),
                found,
            })
        };
        Ok(Proved {
            canister: self.canister,
            subnet: certificate.subnet(),
            time: certificate.time(),
            statements: self
                .paths
                .iter()
                .map(statement)
                .collect::<Result<_, VerifyError>>()?,
        })
    }
}

/// The limits of `certified_read`.
pub(crate) fn check_paths(paths: &[Labels]) -> Result<(), String> {
    if !(1..=MAX_PATHS).contains(&paths.len()) {
        return Err(format!("1 to {MAX_PATHS} paths can be asked for"));
    }
    let too_long = |path: &&Labels| {
        path.len() > MAX_PATH_LABELS || path.iter().any(|label| label.len() > MAX_LABEL_BYTES)
    };
    match paths.iter().find(too_long) {
        Some(path) => Err(format!(
            "{}: a path has at most {MAX_PATH_LABELS} labels of {MAX_LABEL_BYTES} bytes",
            labels::shown(path)
        )),
        None => Ok(()),
    }
}

/// The collection that the path of a record is in.
fn collection(path: &Labels) -> Option<&[u8]> {
    match &path[..] {
        [data, collection, _] if data == indus_api::certified::DATA.as_bytes() => Some(collection),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
