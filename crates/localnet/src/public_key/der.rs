//! `SubjectPublicKeyInfo` (RFC 5280, section 4.1) in DER:
//!
//! ```text
//!   SEQUENCE {
//!     SEQUENCE { algorithm OBJECT IDENTIFIER, parameters }
//!     BIT STRING key
//!   }
//! ```
//!
//! The algorithms here are compared byte by byte, as DER has one encoding of each.

use super::{KeyError, MAX_KEY};

const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 0x03;

/// 1.3.101.112 (RFC 8410).
pub(super) const ED25519: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x70];
/// 1.2.840.10045.2.1 with the curve 1.3.132.0.10 (RFC 5480).
pub(super) const SECP256K1: &[u8] = &[
    0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a,
];
/// 1.2.840.10045.2.1 with the curve 1.2.840.10045.3.1.7 (RFC 5480).
pub(super) const P256: &[u8] = &[
    0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d,
    0x03, 0x01, 0x07,
];
/// 1.3.6.1.4.1.56387.1.1 (IC interface specification, "Web Authentication").
pub(super) const WEBAUTHN: &[u8] = &[
    0x06, 0x0a, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xb8, 0x43, 0x01, 0x01,
];
/// 1.3.6.1.4.1.56387.1.2 (IC interface specification, "Canister signatures").
pub(super) const CANISTER: &[u8] = &[
    0x06, 0x0a, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xb8, 0x43, 0x01, 0x02,
];

/// The parts of a key.
pub(super) struct KeyInfo<'a> {
    /// Identifier and parameters, in DER.
    pub(super) algorithm: &'a [u8],
    pub(super) key: &'a [u8],
}

/// Reads exactly one `SubjectPublicKeyInfo`.
pub(super) fn read(der: &[u8]) -> Result<KeyInfo<'_>, KeyError> {
    if der.len() > MAX_KEY {
        return Err(KeyError::TooLong);
    }
    parse(der).ok_or(KeyError::NotDer)
}

fn parse(der: &[u8]) -> Option<KeyInfo<'_>> {
    let (info, after) = element(SEQUENCE, der)?;
    let (algorithm, rest) = element(SEQUENCE, info)?;
    let (bits, after_key) = element(BIT_STRING, rest)?;
    // The first byte says how many bits at the end aren't used.
    let key = bits.strip_prefix(&[0])?;
    (after.is_empty() && after_key.is_empty()).then_some(KeyInfo { algorithm, key })
}

/// The content of the element of this type at the start, and what comes after it.
fn element(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = der.strip_prefix(&[tag])?;
    let (first, rest) = rest.split_first()?;
    let (len, rest) = match (*first, rest) {
        (..=0x7f, _) => (usize::from(*first), rest),
        // Lengths have their shortest form.
        (0x81, [len, rest @ ..]) if *len >= 0x80 => (usize::from(*len), rest),
        (0x82, [high, low, rest @ ..]) if *high > 0 => {
            (usize::from(u16::from_be_bytes([*high, *low])), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(len)
}

/// Writes a `SubjectPublicKeyInfo`.
#[cfg(test)]
pub(super) fn write(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    fn element(tag: u8, content: &[u8]) -> Vec<u8> {
        let len = u16::try_from(content.len()).unwrap().to_be_bytes();
        let head = match len {
            [0, low @ ..=0x7f] => vec![tag, low],
            [0, low] => vec![tag, 0x81, low],
            [high, low] => vec![tag, 0x82, high, low],
        };
        [&head, content].concat()
    }
    let bits = [&[0], key].concat();
    let content = [element(SEQUENCE, algorithm), element(BIT_STRING, &bits)].concat();
    element(SEQUENCE, &content)
}
