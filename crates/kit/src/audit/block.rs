//! ICRC-3 blocks: their hash, and how they are stored and shown.
//!
//! Source: ICRC-3, "Value" (representation-independent hash: a map is the sorted concatenation of the hashes of its keys
//! and values).

use candid::Nat;
use indus_api::icrc3::Value;
use indus_certified::{Hash, sha256};
use serde_bytes::ByteBuf;

use super::event::HEADER;

/// Stored with all of `tx`.
const WHOLE: u8 = 1;
/// Stored without [`HEADER`], which `tx` begins with.
const SHORT: u8 = 2;

/// SHA-256 of the names of the fields, in the order in which a map's hash takes them.
const TS: Hash = [
    0x44, 0xad, 0x63, 0xf6, 0x0a, 0xf0, 0xf6, 0xdb, 0x6f, 0xdd, 0xe6, 0xd5, 0x18, 0x6e, 0xf7, 0x81,
    0x76, 0x36, 0x7d, 0xf2, 0x61, 0xfa, 0x06, 0xbe, 0x30, 0x79, 0xb6, 0xc8, 0x0c, 0x8a, 0xdb, 0xa4,
];
const TX: Hash = [
    0x1b, 0x5b, 0x9c, 0xcb, 0x3e, 0x8d, 0x00, 0x6a, 0x52, 0x30, 0xde, 0x9b, 0xda, 0x23, 0xff, 0x91,
    0xed, 0xc7, 0x94, 0xd4, 0xf5, 0x64, 0x10, 0x56, 0x08, 0x30, 0xb4, 0x18, 0x52, 0x8e, 0x44, 0x6c,
];
const PHASH: Hash = [
    0x88, 0x64, 0xa8, 0x31, 0xa2, 0x94, 0x77, 0x21, 0x2f, 0xd6, 0x89, 0x19, 0x7e, 0xf1, 0x13, 0x96,
    0x9b, 0x9d, 0x63, 0x00, 0x2b, 0x35, 0xf8, 0x7f, 0xdd, 0xfb, 0x8e, 0x13, 0x48, 0x4f, 0x43, 0x72,
];
const BTYPE: Hash = [
    0x02, 0x68, 0x4a, 0xce, 0x65, 0x89, 0x15, 0x92, 0x2f, 0x8d, 0x03, 0x2d, 0xf9, 0xe4, 0x23, 0x53,
    0x5c, 0xc4, 0x5b, 0xbf, 0x3d, 0xbf, 0x8c, 0x7f, 0xe5, 0x7a, 0x37, 0x29, 0x55, 0x14, 0x4d, 0x3f,
];

/// A block of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// What happened.
    pub kind: String,
    /// When, nanoseconds since 1970.
    pub time_ns: u64,
    /// Hash of the block before; none in block 0.
    pub previous: Option<Hash>,
    /// Candid of the [`AuditEvent`](indus_api::audit::AuditEvent).
    pub tx: Vec<u8>,
}

impl Block {
    /// The hash by which the next block, the log and the certified tip know it.
    #[must_use]
    pub fn hash(&self) -> Hash {
        self.hash_with(&sha256::digest(self.kind.as_bytes()))
    }

    /// The same with the hash of its type.
    pub(crate) fn hash_with(&self, kind: &Hash) -> Hash {
        let mut map = Vec::with_capacity(4 * 64);
        let mut field = |name: &Hash, value: Hash| {
            map.extend_from_slice(name);
            map.extend_from_slice(&value);
        };
        field(&BTYPE, *kind);
        field(&TX, sha256::digest(&self.tx));
        field(&TS, sha256::digest(&leb128(self.time_ns)));
        if let Some(previous) = &self.previous {
            field(&PHASH, sha256::digest(previous));
        }
        sha256::digest(&map)
    }

    /// As it is stored.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(10 + self.kind.len() + 32 + self.tx.len());
        let (version, tx) = match self.tx.strip_prefix(HEADER) {
            Some(rest) => (SHORT, rest),
            None => (WHOLE, &self.tx[..]),
        };
        bytes.push(version);
        bytes.extend_from_slice(&self.time_ns.to_le_bytes());
        bytes.push(u8::try_from(self.kind.len()).unwrap_or(u8::MAX));
        bytes.extend_from_slice(self.kind.as_bytes());
        bytes.extend(self.previous.iter().flatten());
        bytes.extend_from_slice(tx);
        bytes
    }

    /// Block `index` from what was stored; none if this version can't have stored it.
    pub(crate) fn from_bytes(index: u64, bytes: &[u8]) -> Option<Self> {
        let (&[version], rest) = bytes.split_first_chunk()?;
        let (time_ns, rest) = rest.split_first_chunk()?;
        let (&[kind_bytes], rest) = rest.split_first_chunk()?;
        let (kind, rest) = rest.split_at_checked(usize::from(kind_bytes))?;
        let (previous, tx) = if index == 0 {
            (None, rest)
        } else {
            let (previous, tx) = rest.split_first_chunk()?;
            (Some(*previous), tx)
        };
        let tx = match version {
            WHOLE => tx.to_vec(),
            SHORT => [HEADER, tx].concat(),
            _ => return None,
        };
        Some(Self {
            kind: String::from_utf8(kind.to_vec()).ok()?,
            time_ns: u64::from_le_bytes(*time_ns),
            previous,
            tx,
        })
    }

    /// As ICRC-3 shows it.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut fields = vec![
            ("btype".to_owned(), Value::Text(self.kind.clone())),
            ("ts".to_owned(), Value::Nat(Nat::from(self.time_ns))),
            ("tx".to_owned(), Value::Blob(ByteBuf::from(self.tx.clone()))),
        ];
        if let Some(previous) = self.previous {
            let phash = Value::Blob(ByteBuf::from(previous.to_vec()));
            fields.insert(1, ("phash".to_owned(), phash));
        }
        Value::Map(fields)
    }
}

/// Unsigned LEB128.
pub(crate) fn leb128(value: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(10);
    push_leb128(&mut bytes, value);
    bytes
}

/// The same, behind `bytes`.
#[inline]
pub(crate) fn push_leb128(bytes: &mut Vec<u8>, mut value: u64) {
    loop {
        let group = value.to_le_bytes()[0] & 0x7f;
        value >>= 7;
        if value == 0 {
            bytes.push(group);
            return;
        }
        bytes.push(group | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use icrc_ledger_types::icrc::generic_value::ICRC3Value;
    use proptest::prelude::*;

    use super::*;

    fn oracle(value: &Value) -> ICRC3Value {
        match value {
            Value::Blob(bytes) => ICRC3Value::Blob(bytes.clone()),
            Value::Text(text) => ICRC3Value::Text(text.clone()),
            Value::Nat(nat) => ICRC3Value::Nat(nat.clone()),
            Value::Int(int) => ICRC3Value::Int(int.clone()),
            Value::Array(values) => ICRC3Value::Array(values.iter().map(oracle).collect()),
            Value::Map(fields) => ICRC3Value::Map(
                fields
                    .iter()
                    .map(|(name, value)| (name.clone(), oracle(value)))
                    .collect(),
            ),
        }
    }

    #[test]
    fn the_hashes_of_the_names_are_theirs_and_in_order() {
        let names = [("btype", BTYPE), ("tx", TX), ("ts", TS), ("phash", PHASH)];
        for (name, hash) in names {
            assert_eq!(
                hex::encode(sha256::digest(name.as_bytes())),
                hex::encode(hash),
                "{name}"
            );
        }
        assert!(names.is_sorted_by_key(|(_, hash)| hash), "{names:?}");
    }

    proptest! {
        #[test]
        fn a_block_has_the_hash_that_the_ledgers_give_it_and_is_stored_as_it_is(
            kind in "[a-z.]{1,64}",
            time_ns: u64,
            previous: Option<Hash>,
            tx in proptest::collection::vec(any::<u8>(), 0..300),
            is_event: bool,
        ) {
            let tx = if is_event { [HEADER, &tx].concat() } else { tx };
            let (length, left_out) = (tx.len(), if is_event { HEADER.len() } else { 0 });
            let (fixed, hash) = (10 + kind.len(), if previous.is_some() { 32 } else { 0 });
            let block = Block { kind, time_ns, previous, tx };
            prop_assert_eq!(block.hash(), oracle(&block.to_value()).hash());
            let index = u64::from(previous.is_some());
            let bytes = block.to_bytes();
            prop_assert_eq!(bytes.len(), fixed + hash + length - left_out);
            prop_assert_eq!(Block::from_bytes(index, &bytes), Some(block.clone()));
            // As it was stored before.
            let mut whole = bytes[..fixed + hash].to_vec();
            whole[0] = WHOLE;
            whole.extend_from_slice(&block.tx);
            prop_assert_eq!(Block::from_bytes(index, &whole), Some(block));
            let mut newer = bytes;
            newer[0] = SHORT + 1;
            prop_assert_eq!(Block::from_bytes(index, &newer), None);
        }

        #[test]
        fn no_stored_bytes_make_it_panic(index: u64, bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = Block::from_bytes(index, &bytes);
        }
    }
}
