//! Commitments: what a canister keeps of a text, instead of the text.
//!
//! SHA-256 of a random salt and the text. Who made it keeps both, and can show later what was committed to; nobody else can
//! find out the text, however short it is.

use sha2::{Digest as _, Sha256};

/// Bytes of the salt. They are random: who can guess them can try texts.
pub const SALT_BYTES: usize = 32;

/// The commitment to `text`: SHA-256 of the salt, followed by the text in UTF-8.
#[must_use]
pub fn commitment(salt: &[u8; SALT_BYTES], text: &str) -> [u8; 32] {
    Sha256::new()
        .chain_update(salt)
        .chain_update(text)
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commitment_is_of_its_salt_and_its_text_alone() {
        let made = commitment(&[7; SALT_BYTES], "اطلاق");
        let plain: [u8; 32] = Sha256::digest([&[7; 32][..], "اطلاق".as_bytes()].concat()).into();
        assert_eq!(made, plain);
        assert_ne!(made, commitment(&[8; SALT_BYTES], "اطلاق"));
        assert_ne!(made, commitment(&[7; SALT_BYTES], "اطلاق "));
    }
}
