//! The hash of ICRC-3 values, which is the hash of blocks (ICRC-3, "Value": representation-independent hashing).
//!
//! | value | hash: SHA-256 of |
//! | --- | --- |
//! | Blob, Text | its bytes |
//! | Nat, Int | its shortest LEB128, SLEB128 |
//! | Array | the hashes of its items |
//! | Map | for each field the hash of its name and the hash of its value, sorted |
//!
//! Cost: one SHA-256 for each value and name, and time in proportion to the bytes, also of large numbers; values inside
//! of values are kept on a stack of its own.

use std::mem;

use indus_api::icrc3::Value;
use sha2::{Digest, Sha256};

use crate::tree::Hash;

/// The hash of `value`.
pub fn hash(value: &Value) -> Hash {
    let mut above: Vec<Open<'_>> = Vec::new();
    let mut current = Open::new(value);
    loop {
        if let Some(part) = current.next() {
            above.push(mem::replace(&mut current, Open::new(part)));
        } else {
            let hash = current.hash();
            match above.pop() {
                None => return hash,
                Some(mut outer) => {
                    outer.hashes.push(hash);
                    current = outer;
                }
            }
        }
    }
}

/// A value that is being hashed.
struct Open<'a> {
    value: &'a Value,
    /// Hashes of its first parts.
    hashes: Vec<Hash>,
}

impl<'a> Open<'a> {
    fn new(value: &'a Value) -> Self {
        Self {
            value,
            hashes: Vec::new(),
        }
    }

    /// The first part that isn't hashed.
    fn next(&self) -> Option<&'a Value> {
        match self.value {
            Value::Array(items) => items.get(self.hashes.len()),
            Value::Map(fields) => fields.get(self.hashes.len()).map(|(_, value)| value),
            _ => None,
        }
    }

    /// Its hash, when all of its parts are hashed.
    fn hash(self) -> Hash {
        match self.value {
            Value::Blob(bytes) => sha256(bytes),
            Value::Text(text) => sha256(text.as_bytes()),
            Value::Nat(number) => sha256(&leb128(&number.0.to_bytes_le(), false)),
            Value::Int(number) => sha256(&leb128(&number.0.to_signed_bytes_le(), true)),
            Value::Array(_) => sha256(self.hashes.as_flattened()),
            Value::Map(fields) => {
                let names = fields.iter().map(|(name, _)| sha256(name.as_bytes()));
                let mut pairs: Vec<[Hash; 2]> =
                    names.zip(self.hashes).map(<[Hash; 2]>::from).collect();
                pairs.sort_unstable();
                sha256(pairs.as_flattened().as_flattened())
            }
        }
    }
}

fn sha256(bytes: &[u8]) -> Hash {
    Sha256::digest(bytes).into()
}

/// Shortest LEB128 or, for numbers with a sign, SLEB128 of a number whose bytes are given from the lowest (in two's
/// complement, if it has a sign). Bits are moved once, where dividing a large number by 128 again and again would not
/// end.
fn leb128(bytes: &[u8], signed: bool) -> Vec<u8> {
    let negative = signed && bytes.last().is_some_and(|last| last & 0x80 != 0);
    let fill = if negative { 0x7f } else { 0 };
    let bit = |index: usize| match bytes.get(index / 8) {
        Some(byte) => byte >> (index % 8) & 1,
        None => fill & 1,
    };
    let mut groups: Vec<u8> = (0..bytes.len() * 8)
        .step_by(7)
        .map(|first| (0..7).fold(0, |group, offset| group | bit(first + offset) << offset))
        .collect();
    // What the sign (or the absence of more) already says is left out.
    while let [.., lower, last] = groups[..]
        && last == fill
        && (!signed || lower & 0x40 == fill & 0x40)
    {
        groups.pop();
    }
    if let Some((_, lower)) = groups.split_last_mut() {
        lower.iter_mut().for_each(|group| *group |= 0x80);
    }
    groups
}
