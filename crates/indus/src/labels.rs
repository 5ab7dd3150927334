//! Paths of certified trees, as people write them: `data/organisations/u64:7`.
//!
//! | label | stands for |
//! | --- | --- |
//! | `organisations` | these bytes |
//! | `0x00ff` | bytes in hexadecimal |
//! | `u64:7` | 8 bytes, big-endian: the key that a canister made of a number |
//! | `principal:aaaaa-aa` | SHA-256 of the principal: the key that a canister made of one |
//!
//! A label is shown in the first form if it can be, or else in the second.

use std::fmt::Write;

use candid::Principal;
use sha2::{Digest, Sha256};

const HEXADECIMAL: &str = "0x";
const NUMBER: &str = "u64:";
const PRINCIPAL: &str = "principal:";

/// The labels of one path.
pub(crate) type Labels = Vec<Vec<u8>>;

/// Reads a path; a slash may stand in front.
pub(crate) fn parse(path: &str) -> Result<Labels, String> {
    path.strip_prefix('/')
        .unwrap_or(path)
        .split('/')
        .map(label)
        .collect()
}

/// Reads one label.
pub(crate) fn label(text: &str) -> Result<Vec<u8>, String> {
    if let Some(digits) = text.strip_prefix(HEXADECIMAL) {
        return hex::decode(digits).map_err(|error| format!("label {text}: {error}"));
    }
    if let Some(number) = text.strip_prefix(NUMBER) {
        let number: Result<u64, _> = number.parse();
        return match number {
            Ok(number) => Ok(number.to_be_bytes().to_vec()),
            Err(error) => Err(format!("label {text}: {error}")),
        };
    }
    if let Some(principal) = text.strip_prefix(PRINCIPAL) {
        return match Principal::from_text(principal) {
            Ok(principal) => Ok(Sha256::digest(principal.as_slice()).to_vec()),
            Err(error) => Err(format!("label {text}: {error}")),
        };
    }
    if is_plain(text.as_bytes()) {
        Ok(text.as_bytes().to_vec())
    } else {
        Err(format!(
            "label {text:?} is not plain text; write its bytes as 0x…"
        ))
    }
}

/// One label as it is shown and stored.
pub(crate) fn shown_label(label: &[u8]) -> String {
    if is_plain(label) && !is_special(label) {
        return label.iter().map(|byte| char::from(*byte)).collect();
    }
    let mut text = String::from(HEXADECIMAL);
    for byte in label {
        // Writing to a string can't fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// A path as it is shown.
pub(crate) fn shown(path: &[impl AsRef<[u8]>]) -> String {
    let labels: Vec<_> = path
        .iter()
        .map(|label| shown_label(label.as_ref()))
        .collect();
    labels.join("/")
}

fn is_plain(label: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_graphic() && *byte != b'/';
    !label.is_empty() && label.iter().all(plain)
}

fn is_special(label: &[u8]) -> bool {
    [HEXADECIMAL, NUMBER, PRINCIPAL]
        .iter()
        .any(|form| label.starts_with(form.as_bytes()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_and_principals_are_written_as_people_know_them() {
        let path = parse("/data/organisations/u64:258").unwrap();
        assert_eq!(
            path,
            [
                b"data".to_vec(),
                b"organisations".to_vec(),
                vec![0, 0, 0, 0, 0, 0, 1, 2]
            ]
        );
        assert_eq!(shown(&path), "data/organisations/0x0000000000000102");
        let key = label("principal:aaaaa-aa").unwrap();
        assert_eq!(key, Sha256::digest([]).to_vec());
        for bad in [
            "",
            "/",
            "a//b",
            "a b",
            "0x0",
            "u64:x",
            "u64:-1",
            "principal:x",
            "وزارت",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_again(label in proptest::collection::vec(any::<u8>(), 0..12)) {
            prop_assert_eq!(super::label(&shown_label(&label)), Ok(label));
        }

        #[test]
        fn words_that_look_like_another_form_are_read_again(text in "(0x|u64:|principal:)[0-9a-f]{0,4}") {
            prop_assert_eq!(super::label(&shown_label(text.as_bytes())), Ok(text.into_bytes()));
        }
    }
}
