//! The changes that a block's event lists, read where they stand.
//!
//! Canisters of the suite encode their events alike: the same table of types in front, and no number longer than it must be.
//! Such an event is read without Candid's generic decoder, which takes as long as all hashes of a block. Whatever looks
//! otherwise is left to that decoder, so the events that are accepted are the same.

use std::str;

use indus_api::audit::LeafChange;
use serde_bytes::ByteBuf;

/// Candid's header of an [`AuditEvent`](indus_api::audit::AuditEvent), the number of its variant, and that a principal follows.
const HEADER: &[u8] = &[
    0x44, 0x49, 0x44, 0x4c, 0x06, 0x6b, 0x01, 0x9b, 0x96, 0x01, 0x01, 0x6c, 0x03, 0xf5, 0x95, 0x9b,
    0xdd, 0x01, 0x68, 0xc2, 0xb9, 0xdb, 0xda, 0x0a, 0x02, 0x83, 0xe2, 0xb2, 0xe6, 0x0c, 0x03, 0x6d,
    0x7b, 0x6d, 0x04, 0x6c, 0x03, 0x9f, 0x93, 0xc6, 0x02, 0x02, 0xde, 0x9c, 0x8b, 0xfc, 0x02, 0x71,
    0x9e, 0x87, 0xc0, 0xbd, 0x04, 0x05, 0x6e, 0x02, 0x01, 0x00, 0x00, 0x01,
];
const MAX_PRINCIPAL_BYTES: usize = 29;

/// A [`LeafChange`](indus_api::audit::LeafChange) in the bytes of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change<'a> {
    pub(crate) collection: &'a str,
    pub(crate) key: &'a [u8],
    pub(crate) leaf: Option<&'a [u8]>,
}

impl<'a> From<&'a LeafChange> for Change<'a> {
    fn from(change: &'a LeafChange) -> Self {
        Self {
            collection: &change.collection,
            key: &change.key,
            leaf: change.leaf.as_ref().map(|leaf| &leaf[..]),
        }
    }
}

impl From<Change<'_>> for LeafChange {
    fn from(change: Change<'_>) -> Self {
        Self {
            collection: change.collection.into(),
            key: ByteBuf::from(change.key),
            leaf: change.leaf.map(ByteBuf::from),
        }
    }
}

/// The changes of an event; none if it is not encoded as canisters of the suite do it.
pub(crate) fn changes(event: &[u8]) -> Option<Changes<'_>> {
    let mut rest = Rest(event.strip_prefix(HEADER)?);
    if rest.sized()?.len() > MAX_PRINCIPAL_BYTES {
        return None;
    }
    let _details = rest.sized()?;
    let count = rest.number()?;
    let changes = Changes { rest, count };
    // Reading them twice takes less time than keeping them.
    let mut all = changes.clone();
    for _ in 0..count {
        all.next()?;
    }
    all.rest.0.is_empty().then_some(changes)
}

/// Changes that are still to be read.
#[derive(Clone, Debug)]
pub(crate) struct Changes<'a> {
    rest: Rest<'a>,
    count: usize,
}

impl<'a> Iterator for Changes<'a> {
    type Item = Change<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.count = self.count.checked_sub(1)?;
        let key = self.rest.sized()?;
        let collection = str::from_utf8(self.rest.sized()?).ok()?;
        let leaf = match self.rest.byte()? {
            0 => None,
            1 => Some(self.rest.sized()?),
            _ => return None,
        };
        Some(Change {
            collection,
            key,
            leaf,
        })
    }
}

#[derive(Clone, Debug)]
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    /// Shortest LEB128 of a number below 2^21: an event is smaller.
    fn number(&mut self) -> Option<usize> {
        let mut number = 0;
        for shift in [0, 7, 14] {
            let byte = self.byte()?;
            number |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return (byte != 0 || shift == 0).then_some(number);
            }
        }
        None
    }

    /// A length, and as many bytes.
    fn sized(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        let (part, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(part)
    }
}

#[cfg(test)]
mod tests {
    use candid::Principal;
    use indus_api::audit::{AuditEvent, AuditEventV1, LeafChange};
    use proptest::prelude::*;
    use serde_bytes::ByteBuf;

    use super::*;
    use crate::decode;

    fn arbitrary() -> impl Strategy<Value = AuditEvent> {
        let bytes = |length| proptest::collection::vec(any::<u8>(), 0..length);
        let change = ("[a-zن]{0,20}", bytes(200), proptest::option::of(bytes(40))).prop_map(
            |(collection, key, leaf)| LeafChange {
                collection,
                key: ByteBuf::from(key),
                leaf: leaf.map(ByteBuf::from),
            },
        );
        (
            bytes(30),
            proptest::collection::vec(change, 0..150),
            bytes(300),
        )
            .prop_map(|(actor, changes, details)| {
                AuditEvent::V1(AuditEventV1 {
                    actor: Principal::from_slice(&actor),
                    changes,
                    details: ByteBuf::from(details),
                })
            })
    }

    fn owned(changes: Changes<'_>) -> Vec<LeafChange> {
        changes.map(LeafChange::from).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn what_candid_encodes_is_read_without_candid(event in arbitrary()) {
            let bytes = candid::encode_one(&event).unwrap();
            let AuditEvent::V1(event) = event;
            prop_assert_eq!(owned(changes(&bytes).unwrap()), event.changes);
        }

        #[test]
        fn what_is_read_is_what_candid_reads(event in arbitrary(), at: proptest::sample::Index, to: u8) {
            let mut bytes = candid::encode_one(&event).unwrap();
            let at = at.index(bytes.len());
            bytes[at] = to;
            if let Some(read) = changes(&bytes) {
                let AuditEvent::V1(event) = decode::one(&bytes, 1_000).unwrap();
                prop_assert_eq!(owned(read), event.changes);
            }
        }
    }
}
