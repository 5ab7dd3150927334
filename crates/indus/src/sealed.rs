//! Files that are kept and verified later: JSON exactly as `serde_json` writes it with two spaces, a line feed at the end, and
//! as its last field `sha256`, of all that is above as a file of its own (that is, without that field).
//!
//! Invariants
//! - A document has one file: a byte that differs makes it another document, or none.
//! - `sha256` proves nothing to anybody who could have written the file. It tells a damaged file from a forged one, and finds
//!   damage that turns a true statement into another true one.
//! - A reader finds the old file or the new one, never a part: it is written beside and renamed.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use candid::Principal;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use thiserror::Error;

/// Largest file that is read: certificates and witnesses of answers of 3 MiB, in base64, and what stands beside them.
const MAX_BYTES: u64 = 8 * 1024 * 1024;

/// What a file holds. `sha256` is its last field, and left out if it is empty.
pub(crate) trait Document: Serialize + DeserializeOwned {
    /// The value of its first field, `format`.
    const FORMAT: &'static str;
    fn sha256(&mut self) -> &mut String;
}

/// Why a file is not such a document.
#[derive(Debug, Error)]
pub(crate) enum SealError {
    #[error("it is not of the format {expected:?}: {reason}")]
    Format {
        expected: &'static str,
        reason: String,
    },
    #[error("it is damaged: its sha256 is that of another content")]
    Damaged,
    #[error("it is not written as it has to be: the same content has other bytes")]
    NotCanonical,
    #[error("{field}: {reason}")]
    Field { field: &'static str, reason: String },
}

impl SealError {
    pub(crate) fn field(field: &'static str, reason: impl ToString) -> Self {
        Self::Field {
            field,
            reason: reason.to_string(),
        }
    }
}

/// Enough of a document to see what it is.
#[derive(serde::Deserialize)]
struct Head {
    format: String,
}

/// The bytes of `path`; more than any document has if it is longer.
pub(crate) fn load(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Writes a document to `path`, in place of what is there. Missing folders are made.
pub(crate) fn save<D: Document>(document: D, path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(&to_bytes(document))?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// What format a file says that it has.
pub(crate) fn format(bytes: &[u8]) -> Option<String> {
    let head: Head = serde_json::from_slice(bytes).ok()?;
    Some(head.format)
}

pub(crate) fn to_bytes<D: Document>(mut document: D) -> Vec<u8> {
    document.sha256().clear();
    let hash = hex::encode(Sha256::digest(pretty(&document)));
    *document.sha256() = hash;
    pretty(&document)
}

/// The document of these bytes. What it says in its fields is the caller's to read, and with it whether it would be written
/// like this again.
pub(crate) fn from_bytes<D: Document>(bytes: &[u8]) -> Result<D, SealError> {
    let refused = |reason: String| SealError::Format {
        expected: D::FORMAT,
        reason,
    };
    if bytes.len() as u64 > MAX_BYTES {
        return Err(refused(format!("it has more than {MAX_BYTES} bytes")));
    }
    let head: Head = serde_json::from_slice(bytes).map_err(|error| refused(error.to_string()))?;
    if head.format != D::FORMAT {
        return Err(refused(format!("its format is {:?}", head.format)));
    }
    let mut document: D =
        serde_json::from_slice(bytes).map_err(|error| refused(error.to_string()))?;
    let said = std::mem::take(document.sha256());
    if said != hex::encode(Sha256::digest(pretty(&document))) {
        return Err(SealError::Damaged);
    }
    *document.sha256() = said;
    if pretty(&document) != bytes {
        return Err(SealError::NotCanonical);
    }
    Ok(document)
}

/// Bytes in a field, in base64.
pub(crate) fn blob(field: &'static str, text: &str) -> Result<Vec<u8>, SealError> {
    STANDARD
        .decode(text)
        .map_err(|error| SealError::field(field, error))
}

/// Bytes as a field has them.
pub(crate) fn shown_blob(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// A principal in a field.
pub(crate) fn principal(field: &'static str, text: &str) -> Result<Principal, SealError> {
    Principal::from_text(text).map_err(|error| SealError::field(field, error))
}

fn pretty(document: &impl Serialize) -> Vec<u8> {
    // Strings and lists of them have a JSON form.
    let mut bytes = serde_json::to_vec_pretty(document).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}
