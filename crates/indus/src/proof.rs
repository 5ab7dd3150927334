//! Proof files: what a canister certified about some paths, to be kept and verified without a network.
//!
//! Layout (JSON, exactly as `serde_json` writes it with two spaces, and a line feed at the end):
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
//! Invariants
//! - A proof has one file: a byte that differs makes it another proof, or none.
//! - `sha256` proves nothing to anybody who could have written the file. It tells a damaged file from a forged one, and finds
//!   damage that turns a true statement into another true one.
//!
//! Cost: two BLS checks.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use candid::Principal;
use indus_api::certified::{MAX_LABEL_BYTES, MAX_PATH_LABELS, MAX_PATHS};
use indus_verify::{Lookup, RootKey, Time, TimeBound, Verifier, VerifyError, leaf_hash};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::known;
use crate::labels::{self, Labels};

const FORMAT: &str = "indus proof 1";
/// Largest file that is read: a certificate and a witness of an answer of 3 MiB, in base64, and the paths.
const MAX_BYTES: u64 = 8 * 1024 * 1024;

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
    #[error("it is no proof file: {0}")]
    Format(String),
    #[error("it is damaged: its sha256 is that of another content")]
    Damaged,
    #[error("it is not written as a proof file is: the same content has other bytes")]
    NotCanonical,
    #[error("{field}: {reason}")]
    Field { field: &'static str, reason: String },
    #[error("it is about canister {found}, not about {expected}")]
    OtherCanister {
        expected: Principal,
        found: Principal,
    },
    #[error(transparent)]
    Unproved(#[from] VerifyError),
}

/// All of a file but the hash.
#[derive(Serialize)]
struct Contents<'a> {
    format: &'a str,
    canister: String,
    paths: Vec<Vec<String>>,
    certificate: String,
    witness: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: String,
    canister: String,
    paths: Vec<Vec<String>>,
    certificate: String,
    witness: String,
    sha256: String,
}

impl Proof {
    /// Reads `path`; the outer error is that of the file system.
    pub(crate) fn load(path: &Path) -> std::io::Result<Result<Self, ProofError>> {
        let mut bytes = Vec::new();
        File::open(path)?
            .take(MAX_BYTES + 1)
            .read_to_end(&mut bytes)?;
        Ok(Self::from_bytes(&bytes))
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, ProofError> {
        if bytes.len() as u64 > MAX_BYTES {
            let reason = format!("it has more than {MAX_BYTES} bytes");
            return Err(ProofError::Format(reason));
        }
        let document: Document =
            serde_json::from_slice(bytes).map_err(|error| ProofError::Format(error.to_string()))?;
        if document.format != FORMAT {
            let reason = format!("its format is {:?}, not {FORMAT:?}", document.format);
            return Err(ProofError::Format(reason));
        }
        let field = |field, reason: String| ProofError::Field { field, reason };
        let blob = |name, text: &str| {
            STANDARD
                .decode(text)
                .map_err(|error| field(name, error.to_string()))
        };
        let labels = |path: &Vec<String>| path.iter().map(|label| labels::label(label)).collect();
        let proof = Self {
            canister: Principal::from_text(&document.canister)
                .map_err(|error| field("canister", error.to_string()))?,
            paths: document
                .paths
                .iter()
                .map(labels)
                .collect::<Result<_, _>>()
                .map_err(|reason| field("paths", reason))?,
            certificate: blob("certificate", &document.certificate)?,
            witness: blob("witness", &document.witness)?,
        };
        check_paths(&proof.paths).map_err(|reason| field("paths", reason))?;
        if document.sha256 != hex::encode(Sha256::digest(proof.contents())) {
            return Err(ProofError::Damaged);
        }
        if proof.to_bytes() != bytes {
            return Err(ProofError::NotCanonical);
        }
        Ok(proof)
    }

    /// Writes it to `path`, in place of what is there.
    pub(crate) fn save(&self, path: &Path) -> std::io::Result<()> {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(&self.to_bytes())?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    }

    fn contents(&self) -> Vec<u8> {
        let document = self.document(String::new());
        pretty(&Contents {
            format: FORMAT,
            canister: document.canister,
            paths: document.paths,
            certificate: document.certificate,
            witness: document.witness,
        })
    }

    fn to_bytes(&self) -> Vec<u8> {
        pretty(&self.document(hex::encode(Sha256::digest(self.contents()))))
    }

    fn document(&self, sha256: String) -> Document {
        let shown = |path: &Labels| {
            path.iter()
                .map(|label| labels::shown_label(label))
                .collect()
        };
        Document {
            format: FORMAT.into(),
            canister: self.canister.to_text(),
            paths: self.paths.iter().map(shown).collect(),
            certificate: STANDARD.encode(&self.certificate),
            witness: STANDARD.encode(&self.witness),
            sha256,
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

fn pretty(document: &impl Serialize) -> Vec<u8> {
    // Strings and lists of them have a JSON form.
    let mut bytes = serde_json::to_vec_pretty(document).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

#[cfg(test)]
mod tests;
