//! The root key, from the file that the caller names and from nowhere else.
//!
//! | form | how it is known |
//! | --- | --- |
//! | DER | 133 bytes |
//! | PEM | `-----BEGIN PUBLIC KEY-----` |
//! | hexadecimal | 266 digits of the DER form |
//! | trust file | JSON, of which the root key is taken |

use std::fs::File;
use std::io::Read;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use indus_client::TrustFile;
use indus_verify::RootKey;

use crate::failure::Failure;

/// Largest file that is read: a trust file.
const MAX_BYTES: u64 = indus_client::MAX_TRUST_FILE_BYTES;
const PEM_BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const PEM_END: &str = "-----END PUBLIC KEY-----";

/// Reads the key in `path`, in whichever form.
pub(crate) fn load(path: &Path) -> Result<RootKey, Failure> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| Failure::file(path, error))?;
    if let Ok(key) = RootKey::from_der(&bytes) {
        return Ok(key);
    }
    let text = std::str::from_utf8(&bytes).unwrap_or_default().trim();
    if text.starts_with('{') {
        return match TrustFile::load(path) {
            Ok(trust) => Ok(trust.root_key),
            Err(error) => Err(Failure::Usage(error.to_string())),
        };
    }
    let pem = text
        .strip_prefix(PEM_BEGIN)
        .and_then(|rest| rest.strip_suffix(PEM_END));
    let der = match pem {
        Some(body) => STANDARD
            .decode(body.split_whitespace().collect::<String>())
            .ok(),
        None => hex::decode(text).ok(),
    };
    der.and_then(|der| RootKey::from_der(&der).ok())
        .ok_or_else(|| {
            let expected = "no BLS12-381 public key as DER, PEM, hexadecimal or in a trust file";
            Failure::file(path, expected)
        })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn every_form_gives_the_same_key_and_anything_else_is_refused() {
        let der = testnet::Subnet::new(1).root_key_der();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        let base64 = STANDARD.encode(&der);
        let (first, second) = base64.split_at(64);
        let pem = format!("{PEM_BEGIN}\n{first}\n{second}\n{PEM_END}\n");
        for form in [
            der.clone(),
            pem.into_bytes(),
            hex::encode(&der).into_bytes(),
            format!("{}\n", hex::encode(&der)).into_bytes(),
        ] {
            fs::write(&file, form).unwrap();
            assert_eq!(load(&file).unwrap().as_der()[..], der);
        }
        for other in [&der[1..], b"", b"{}", PEM_BEGIN.as_bytes(), b"00"] {
            fs::write(&file, other).unwrap();
            assert_eq!(load(&file).unwrap_err().exit_code(), 2);
        }
        assert_eq!(load(folder.path()).unwrap_err().exit_code(), 2);
    }
}
