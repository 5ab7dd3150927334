//! The trust file: all that a client believes without proof.
//!
//! Layout (JSON, at most [`MAX_TRUST_FILE_BYTES`]):
//! ```json
//! {
//!   "format": 1,
//!   "network": "http://127.0.0.1:8000",
//!   "root_key": "3081…",
//!   "root_key_source": "localnet, started by indus as process 4711",
//!   "subnet": "…-cai",
//!   "canisters": { "registry": "…-cai" }
//! }
//! ```
//! `root_key` is the 133-byte DER form in hexadecimal. Unknown fields and other formats are refused: half of a
//! trust decision is worse than none.
//!
//! Invariants
//! - What is loaded is valid: a URL with a host, a key on the curve, principals.
//! - A reader finds the old file or the new one, never a part: it is written beside and renamed.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use candid::Principal;
use indus_verify::RootKey;
use reqwest::Url;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Largest file that is read.
pub const MAX_TRUST_FILE_BYTES: u64 = 64 * 1024;
const FORMAT: u32 = 1;

/// A network, and what is trusted about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustFile {
    /// Where the network's HTTP interface is: `http` or `https`, and a host.
    pub network: Url,
    /// What everything is verified against.
    pub root_key: RootKey,
    /// Where the root key comes from, for people.
    pub root_key_source: String,
    /// The subnet that the canisters live on.
    pub subnet: Principal,
    /// Canister ids by name: `registry` …
    pub canisters: BTreeMap<String, Principal>,
}

/// Why a trust file can't be used.
#[derive(Debug, Error)]
pub enum TrustFileError {
    /// It can't be read.
    #[error("trust file {}: {reason}", path.display())]
    Read { path: PathBuf, reason: io::Error },
    /// It can't be written.
    #[error("trust file {} can't be written: {reason}", path.display())]
    Write { path: PathBuf, reason: io::Error },
    /// It is not JSON of the expected shape.
    #[error("trust file {}: {reason}", path.display())]
    Json {
        path: PathBuf,
        reason: serde_json::Error,
    },
    /// A field's value is not acceptable.
    #[error("trust file {}: {field}: {reason}", path.display())]
    Field {
        path: PathBuf,
        field: &'static str,
        reason: String,
    },
    /// There is no canister of that name in it.
    #[error("the trust file names no canister {0}")]
    NoCanister(String),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: u32,
    network: String,
    root_key: String,
    root_key_source: String,
    subnet: String,
    canisters: BTreeMap<String, String>,
}

/// Enough of a document to see whether the rest can be understood.
#[derive(Deserialize)]
struct Head {
    format: u32,
}

impl TrustFile {
    /// Reads and validates `path`.
    pub fn load(path: &Path) -> Result<Self, TrustFileError> {
        let failed = |reason| TrustFileError::Read {
            path: path.into(),
            reason,
        };
        let mut text = String::new();
        let file = fs::File::open(path).map_err(failed)?;
        file.take(MAX_TRUST_FILE_BYTES + 1)
            .read_to_string(&mut text)
            .map_err(failed)?;
        if text.len() as u64 > MAX_TRUST_FILE_BYTES {
            return Err(failed(io::Error::other(format!(
                "larger than {MAX_TRUST_FILE_BYTES} bytes"
            ))));
        }
        Self::parse(path, &text)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, TrustFileError> {
        let json = |reason| TrustFileError::Json {
            path: path.into(),
            reason,
        };
        let field = |field, reason| TrustFileError::Field {
            path: path.into(),
            field,
            reason,
        };
        let head: Head = serde_json::from_str(text).map_err(json)?;
        if head.format != FORMAT {
            return Err(field(
                "format",
                format!("{} is unknown, {FORMAT} is expected", head.format),
            ));
        }
        let document: Document = serde_json::from_str(text).map_err(json)?;
        let root_key = hex::decode(&document.root_key)
            .map_err(|error| field("root_key", error.to_string()))?;
        let mut canisters = BTreeMap::new();
        for (name, id) in document.canisters {
            let id = Principal::from_text(&id)
                .map_err(|error| field("canisters", format!("{name}: {error}")))?;
            canisters.insert(name, id);
        }
        Ok(Self {
            network: network(&document.network).map_err(|reason| field("network", reason))?,
            root_key: RootKey::from_der(&root_key)
                .map_err(|error| field("root_key", error.to_string()))?,
            root_key_source: document.root_key_source,
            subnet: Principal::from_text(&document.subnet)
                .map_err(|error| field("subnet", error.to_string()))?,
            canisters,
        })
    }

    /// Writes it to `path`, in place of what is there; makes the folder if need be.
    pub fn save(&self, path: &Path) -> Result<(), TrustFileError> {
        self.write(path).map_err(|reason| TrustFileError::Write {
            path: path.into(),
            reason,
        })
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        fs::create_dir_all(folder)?;
        let document = Document {
            format: FORMAT,
            network: self.network.to_string(),
            root_key: hex::encode(self.root_key.as_der()),
            root_key_source: self.root_key_source.clone(),
            subnet: self.subnet.to_text(),
            canisters: self
                .canisters
                .iter()
                .map(|(name, id)| (name.clone(), id.to_text()))
                .collect(),
        };
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        serde_json::to_writer_pretty(&mut file, &document)?;
        file.write_all(b"\n")?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    }

    /// The id of the canister called `name`.
    pub fn canister(&self, name: &str) -> Result<Principal, TrustFileError> {
        self.canisters
            .get(name)
            .copied()
            .ok_or_else(|| TrustFileError::NoCanister(name.into()))
    }
}

/// A URL that the agent can use.
fn network(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(format!("{text} is not an http or https URL"));
    }
    Ok(url)
}

/// The root key of the Internet Computer's mainnet, as published in the interface specification.
#[cfg(test)]
const MAINNET: &str = "308182301d060d2b0601040182dc7c0503010201060c2b0601040182dc7c05030201036100814c0e6ec71fab58\
                       3b08bd81373c255c3c371b2e84863c98a4f1e08b74235d14fb5d9c0cd546d9685f913a0c0b2cc5341583bf4b\
                       4392e467db96d65b9bb4cb717112f8472e0d5a4d14505ffd7484b01291091c5f87b98883463f98091a0baaae";

/// A trust file of nowhere, for tests.
#[cfg(test)]
pub(crate) fn example() -> TrustFile {
    TrustFile {
        network: Url::parse("http://127.0.0.1:8000").unwrap(),
        root_key: RootKey::from_der(&hex::decode(MAINNET).unwrap()).unwrap(),
        root_key_source: String::from("a test"),
        subnet: Principal::from_slice(&[1; 29]),
        canisters: BTreeMap::from([(String::from("registry"), Principal::from_slice(&[2; 10]))]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(field: &str, value: serde_json::Value) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trust.json");
        example().save(&path).unwrap();
        let mut document: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        document[field] = value;
        fs::write(&path, document.to_string()).unwrap();
        let message = TrustFile::load(&path).unwrap_err().to_string();
        message.replace(&path.display().to_string(), "F")
    }

    #[test]
    fn what_is_saved_is_loaded_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("made/on/the/way/trust.json");
        example().save(&path).unwrap();
        assert_eq!(TrustFile::load(&path).unwrap(), example());
    }

    #[test]
    fn saving_replaces_the_file_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trust.json");
        example().save(&path).unwrap();
        let other = TrustFile {
            root_key_source: String::from("another"),
            ..example()
        };
        other.save(&path).unwrap();
        assert_eq!(TrustFile::load(&path).unwrap(), other);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn every_bad_field_is_named() {
        for (field, value, message) in [
            (
                "format",
                2.into(),
                "trust file F: format: 2 is unknown, 1 is expected",
            ),
            (
                "network",
                "ftp://x".into(),
                "trust file F: network: ftp://x is not an http or https URL",
            ),
            (
                "network",
                "nowhere".into(),
                "trust file F: network: relative URL without a base",
            ),
            (
                "root_key",
                "xy".into(),
                "trust file F: root_key: Invalid character 'x' at position 0",
            ),
            (
                "root_key",
                "00".into(),
                "trust file F: root_key: the root key is not a DER-encoded BLS12-381 public key",
            ),
        ] {
            assert_eq!(with(field, value), message);
        }
        assert!(with("subnet", "no-such".into()).starts_with("trust file F: subnet: "));
        assert!(
            with("canisters", serde_json::json!({"registry": "!"}))
                .starts_with("trust file F: canisters: registry")
        );
        assert!(with("rootKey", "x".into()).starts_with("trust file F: unknown field `rootKey`"));
        assert!(
            with("subnet", serde_json::Value::Null).starts_with("trust file F: invalid type: null")
        );
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = TrustFile::load(Path::new("/nonexistent/trust.json"))
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("trust file /nonexistent/trust.json: No such file"),
            "{error}"
        );
    }

    #[test]
    fn an_endless_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trust.json");
        fs::File::create(&path)
            .unwrap()
            .set_len(MAX_TRUST_FILE_BYTES + 1)
            .unwrap();
        assert!(
            TrustFile::load(&path)
                .unwrap_err()
                .to_string()
                .ends_with("larger than 65536 bytes")
        );
    }

    #[test]
    fn a_canister_that_is_not_in_it_is_an_error() {
        assert_eq!(
            example().canister("registry").unwrap(),
            Principal::from_slice(&[2; 10])
        );
        assert_eq!(
            example().canister("identity").unwrap_err().to_string(),
            "the trust file names no canister identity"
        );
    }
}
