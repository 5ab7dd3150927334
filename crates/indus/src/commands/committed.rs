//! Texts that are committed to: what is sent is a hash of them and a random salt, and what its author keeps is a file.
//!
//! Layout (JSON), only its owner can read it (mode 0600):
//!
//! ```json
//! {
//!   "format": "indus commitment 1",
//!   "text": "what was written",
//!   "salt": "64 hexadecimal digits",
//!   "commitment": "64 hexadecimal digits: SHA-256 of the salt and the text"
//! }
//! ```
//!
//! Invariants
//! - The text leaves this machine in no call. The file is there before the call is made.
//! - A file that is there is never replaced. If it commits to the same text it counts again, so that a call can be repeated.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use indus_api::commitment::{SALT_BYTES, commitment};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use thiserror::Error;

use crate::failure::Failure;

const FORMAT: &str = "indus commitment 1";
/// Longest text, in bytes: a statement of some pages.
const MAX_TEXT_BYTES: u64 = 256 * 1024;
/// Largest file: each byte of a text may be six in JSON.
const MAX_BYTES: u64 = 7 * MAX_TEXT_BYTES;

/// A text, and where its commitment is kept.
#[derive(Args)]
pub(crate) struct Text {
    /// The text. It is not sent: what is sent is a hash of it and of a random salt.
    #[arg(long, required_unless_present = "text_file")]
    text: Option<String>,
    /// A file with the text.
    #[arg(long, value_name = "FILE", conflicts_with = "text")]
    text_file: Option<PathBuf>,
    /// Where text and salt are kept, so that you can show later what you wrote. Keep this file.
    #[arg(long, value_name = "FILE")]
    commitment: PathBuf,
}

/// Why a file of a commitment can't be used.
#[derive(Debug, Error)]
pub(crate) enum CommitmentError {
    #[error(transparent)]
    File(#[from] io::Error),
    #[error("it commits to another text; a commitment is never replaced")]
    OtherText,
    #[error("it is no commitment: {0}")]
    Format(String),
    #[error("its commitment is not that of its salt and its text")]
    Differs,
}

/// A text and its salt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Commitment {
    pub(crate) text: String,
    salt: [u8; SALT_BYTES],
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: String,
    text: String,
    salt: String,
    commitment: String,
}

impl Text {
    /// The commitment to the text, kept.
    pub(crate) fn commit(&self) -> Result<ByteBuf, Failure> {
        let text = match (&self.text, &self.text_file) {
            (Some(text), _) => text.clone(),
            (None, Some(path)) => {
                read(path, MAX_TEXT_BYTES).map_err(|error| Failure::file(path, error))?
            }
            (None, None) => return Err(Failure::Usage("there is no text".into())),
        };
        let path = &self.commitment;
        let kept = Commitment::kept(text, path).map_err(|error| Failure::file(path, error))?;
        Ok(ByteBuf::from(kept.hash()))
    }

    /// Where it is kept.
    pub(crate) fn file(&self) -> String {
        self.commitment.display().to_string()
    }
}

impl Commitment {
    /// What is sent.
    pub(crate) fn hash(&self) -> [u8; 32] {
        commitment(&self.salt, &self.text)
    }

    /// The salt, in hexadecimal.
    pub(crate) fn salt(&self) -> String {
        hex::encode(self.salt)
    }

    /// A commitment to `text` in the file `path`: the one that is there, or a new one.
    fn kept(text: String, path: &Path) -> Result<Self, CommitmentError> {
        match Self::load(path) {
            Ok(there) if there.text == text => return Ok(there),
            Ok(_) => return Err(CommitmentError::OtherText),
            Err(CommitmentError::File(error)) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let made = Self {
            text,
            salt: rand::random(),
        };
        made.save(path)?;
        Ok(made)
    }

    /// Reads the file `path`, and checks its commitment.
    pub(crate) fn load(path: &Path) -> Result<Self, CommitmentError> {
        let format = |reason: String| CommitmentError::Format(reason);
        let document: Document = serde_json::from_str(&read(path, MAX_BYTES)?)
            .map_err(|error| format(error.to_string()))?;
        if document.format != FORMAT {
            return Err(format(format!("its format is {:?}", document.format)));
        }
        let salt = hex::decode(&document.salt).ok();
        let loaded = Self {
            text: document.text,
            salt: salt
                .and_then(|salt| salt.try_into().ok())
                .ok_or_else(|| format(format!("its salt is not {SALT_BYTES} bytes")))?,
        };
        if hex::encode(loaded.hash()) == document.commitment {
            Ok(loaded)
        } else {
            Err(CommitmentError::Differs)
        }
    }

    fn save(&self, path: &Path) -> Result<(), CommitmentError> {
        let document = Document {
            format: FORMAT.into(),
            text: self.text.clone(),
            salt: self.salt(),
            commitment: hex::encode(self.hash()),
        };
        let text = serde_json::to_string_pretty(&document).map_err(io::Error::from)?;
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        // Only its owner can read a file of this kind.
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(text.as_bytes())?;
        file.write_all(b"\n")?;
        file.as_file().sync_all()?;
        file.persist_noclobber(path).map_err(|error| error.error)?;
        Ok(())
    }
}

fn read(path: &Path, max_bytes: u64) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?
        .take(max_bytes + 1)
        .read_to_string(&mut text)?;
    if text.len() as u64 > max_bytes {
        return Err(io::Error::other(format!(
            "it has more than {max_bytes} bytes"
        )));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_commitment_is_kept_where_only_its_owner_reads_it_and_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("statement.json");
        let made = Commitment::kept("بیان".into(), &path).unwrap();
        assert_eq!(Commitment::load(&path).unwrap(), made);
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o7777,
            0o600
        );
        let again = Commitment::kept("بیان".into(), &path).unwrap();
        assert_eq!(again.hash(), made.hash());
        let other = Commitment::kept("another".into(), &path);
        assert!(matches!(other, Err(CommitmentError::OtherText)));
        assert_eq!(Commitment::load(&path).unwrap(), made);
    }

    #[test]
    fn two_commitments_to_one_text_differ() {
        let folder = tempfile::tempdir().unwrap();
        let of = |name: &str| Commitment::kept("yes".into(), &folder.path().join(name)).unwrap();
        assert_ne!(of("a").hash(), of("b").hash());
    }

    #[test]
    fn a_file_that_was_changed_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reason.json");
        Commitment::kept("late".into(), &path).unwrap();
        let good = fs::read_to_string(&path).unwrap();
        fs::write(&path, good.replace("late", "Late")).unwrap();
        assert!(matches!(
            Commitment::load(&path),
            Err(CommitmentError::Differs)
        ));
        for bad in [
            "",
            "{}",
            &good.replace("commitment 1", "commitment 2"),
            &good.replace("\"salt\": \"", "\"salt\": \"00"),
        ] {
            fs::write(&path, bad).unwrap();
            assert!(
                matches!(Commitment::load(&path), Err(CommitmentError::Format(_))),
                "{bad}"
            );
        }
    }
}
