//! Key files: one Ed25519 key, as PKCS#8 in PEM (RFC 8410, section 7), which OpenSSL reads and writes too.
//!
//! ```text
//! -----BEGIN PRIVATE KEY-----
//! base64 of 48 bytes: PREFIX ‖ 32 bytes of seed
//! -----END PRIVATE KEY-----
//! ```
//!
//! Invariants
//! - A file that is there is never replaced; a file is there with all of its key, or not at all.
//! - Only its owner can read it (mode 0600). One that others can read is refused: its key may be known to them.
//! - The seed leaves this module as a [`Key`] only, and no error shows any of it.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use indus_client::Key;
use thiserror::Error;

const HEAD: &str = "-----BEGIN PRIVATE KEY-----";
const TAIL: &str = "-----END PRIVATE KEY-----";
/// DER of PKCS#8, version 1, for Ed25519, up to the seed.
const PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];
/// Largest file that is read; a key file has 119 bytes.
const MAX_BYTES: u64 = 4096;
/// What nobody but the owner may have of the file.
const OF_OTHERS: u32 = 0o077;

/// Why a key file can't be used.
#[derive(Debug, Error)]
pub(crate) enum KeyFileError {
    #[error(transparent)]
    File(#[from] io::Error),
    #[error("it is there already; a key file is never replaced")]
    Exists,
    #[error("others can use it (mode {mode:04o}); chmod 600 it if nobody else has read it")]
    Readable { mode: u32 },
    #[error("it is no Ed25519 key as `indus key new` writes it (PKCS#8 version 1 in PEM)")]
    Format,
}

/// Writes a fresh key to `path`, which must not be there yet, and returns it. Missing folders are made.
pub(crate) fn write(path: &Path) -> Result<Key, KeyFileError> {
    let seed: [u8; 32] = rand::random();
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder)?;
    // Only its owner can read a file of this kind.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(to_pem(&seed).as_bytes())?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path)
        .map_err(|error| match error.error.kind() {
            io::ErrorKind::AlreadyExists => KeyFileError::Exists,
            _ => KeyFileError::File(error.error),
        })?;
    Ok(Key::from_seed(&seed))
}

/// Reads the key in `path`.
pub(crate) fn read(path: &Path) -> Result<Key, KeyFileError> {
    let file = File::open(path)?;
    let mode = file.metadata()?.permissions().mode() & 0o7777;
    if mode & OF_OTHERS != 0 {
        return Err(KeyFileError::Readable { mode });
    }
    let mut text = String::new();
    file.take(MAX_BYTES)
        .read_to_string(&mut text)
        .map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => KeyFileError::Format,
            _ => KeyFileError::File(error),
        })?;
    let seed = from_pem(&text).ok_or(KeyFileError::Format)?;
    Ok(Key::from_seed(&seed))
}

fn to_pem(seed: &[u8; 32]) -> String {
    let body = STANDARD.encode([PREFIX.as_slice(), seed].concat());
    format!("{HEAD}\n{body}\n{TAIL}\n")
}

fn from_pem(text: &str) -> Option<[u8; 32]> {
    let body = text.trim().strip_prefix(HEAD)?.strip_suffix(TAIL)?;
    let der = STANDARD.decode(body.trim()).ok()?;
    der.strip_prefix(&PREFIX)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use super::*;

    #[test]
    fn a_key_that_was_written_is_read_back_and_only_its_owner_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys/a.key");
        let key = write(&path).unwrap();
        assert_eq!(read(&path).unwrap().principal(), key.principal());
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
    }

    #[test]
    fn a_file_that_is_there_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.key");
        fs::write(&path, "something").unwrap();
        assert!(matches!(write(&path), Err(KeyFileError::Exists)));
        assert_eq!(fs::read_to_string(&path).unwrap(), "something");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_key_that_others_can_use_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.key");
        write(&path).unwrap();
        for mode in [0o640, 0o604, 0o620, 0o601] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            assert!(
                matches!(read(&path), Err(KeyFileError::Readable { mode: found }) if found == mode)
            );
        }
        fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
        assert!(read(&path).is_ok());
    }

    #[test]
    fn what_is_no_key_is_refused_without_showing_it() {
        let good = to_pem(&[7; 32]);
        assert_eq!(from_pem(&good), Some([7; 32]));
        for bad in [
            "",
            HEAD,
            &good.replace("MC4C", "MC4D"),
            &good.replace("PRIVATE", "PUBLIC"),
            &format!("{HEAD}\nMC4CAQAw\n{TAIL}"),
        ] {
            assert_eq!(from_pem(bad), None, "{bad}");
        }
        assert!(!KeyFileError::Format.to_string().contains("BEGIN"));
    }

    /// The example of RFC 8410, section 10.3.
    #[test]
    fn the_published_example_is_read() {
        let text = "-----BEGIN PRIVATE KEY-----\n\
            MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
            -----END PRIVATE KEY-----\n";
        let seed = from_pem(text).unwrap();
        assert_eq!(
            hex::encode(seed),
            "d4ee72dbf913584ad5b6d8f1f769f8ad3afe7c28cbf1d4fbe097a88f44755842"
        );
        assert_eq!(to_pem(&seed), text);
    }
}
