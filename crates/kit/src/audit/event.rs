//! Events: what the logic says has happened, and the Candid that a block holds of it.

use candid::Principal;
use indus_certified::Hash;

use super::block::push_leb128;

/// A collection of the canister, by its place in the canister's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CollectionId(pub usize);

/// A record that is put or removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub collection: CollectionId,
    pub key: Vec<u8>,
    /// The exact bytes of the record, at most [`MAX_RECORD_BYTES`](crate::certified::MAX_RECORD_BYTES); none removes it.
    pub record: Option<Vec<u8>>,
}

/// One thing that happened, with all records that it changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The block's type, one that the canister lists.
    pub kind: &'static str,
    /// Who did it: the caller, or the canister itself for what a timer did.
    pub actor: Principal,
    /// When, nanoseconds since 1970.
    pub time_ns: u64,
    /// Each record once.
    pub changes: Vec<Change>,
    /// Candid of what the records do not tell, at most [`MAX_DETAILS_BYTES`](indus_api::audit::MAX_DETAILS_BYTES).
    pub details: Vec<u8>,
}

/// A leaf of an event that is being encoded: collection, key, hash of the leaf.
pub(crate) type Leaf<'a> = (&'static str, &'a [u8], Option<Hash>);

/// What Candid puts in front of every [`AuditEvent::V1`](indus_api::audit::AuditEvent): its types, the variant's number,
/// and that a principal follows.
pub(super) const HEADER: &[u8] = &[
    0x44, 0x49, 0x44, 0x4c, 0x06, 0x6b, 0x01, 0x9b, 0x96, 0x01, 0x01, 0x6c, 0x03, 0xf5, 0x95, 0x9b,
    0xdd, 0x01, 0x68, 0xc2, 0xb9, 0xdb, 0xda, 0x0a, 0x02, 0x83, 0xe2, 0xb2, 0xe6, 0x0c, 0x03, 0x6d,
    0x7b, 0x6d, 0x04, 0x6c, 0x03, 0x9f, 0x93, 0xc6, 0x02, 0x02, 0xde, 0x9c, 0x8b, 0xfc, 0x02, 0x71,
    0x9e, 0x87, 0xc0, 0xbd, 0x04, 0x05, 0x6e, 0x02, 0x01, 0x00, 0x00, 0x01,
];

/// Candid of an [`AuditEvent`](indus_api::audit::AuditEvent). `leaves` are in the order of collection and key.
pub(crate) fn encode(actor: Principal, leaves: &[Leaf<'_>], details: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER.len() + 64 + 128 * leaves.len() + details.len());
    bytes.extend_from_slice(HEADER);
    // The fields of a record stand in the order of the hashes of their names.
    push_sized(&mut bytes, actor.as_slice());
    push_sized(&mut bytes, details);
    push_number(&mut bytes, leaves.len());
    for (collection, key, leaf) in leaves {
        push_sized(&mut bytes, key);
        push_sized(&mut bytes, collection.as_bytes());
        bytes.push(u8::from(leaf.is_some()));
        if let Some(hash) = leaf {
            push_sized(&mut bytes, hash);
        }
    }
    bytes
}

fn push_sized(bytes: &mut Vec<u8>, part: &[u8]) {
    push_number(bytes, part.len());
    bytes.extend_from_slice(part);
}

fn push_number(bytes: &mut Vec<u8>, number: usize) {
    push_leb128(bytes, number as u64);
}

#[cfg(test)]
mod tests {
    use indus_api::audit::{AuditEvent, AuditEventV1, LeafChange};
    use proptest::prelude::*;
    use serde_bytes::ByteBuf;

    use super::*;

    proptest! {
        #[test]
        fn the_encoding_is_the_one_of_candid(
            actor in proptest::collection::vec(any::<u8>(), 0..=29),
            leaves in proptest::collection::vec(
                (
                    proptest::sample::select(vec!["organisations", "a", ""]),
                    proptest::collection::vec(any::<u8>(), 0..200),
                    any::<Option<Hash>>(),
                ),
                0..200,
            ),
            details in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let actor = Principal::from_slice(&actor);
            let changes = leaves.iter().map(|(collection, key, leaf)| LeafChange {
                collection: (*collection).to_owned(),
                key: ByteBuf::from(key.clone()),
                leaf: leaf.map(|hash| ByteBuf::from(hash.to_vec())),
            });
            let expected = AuditEvent::V1(AuditEventV1 {
                actor,
                changes: changes.collect(),
                details: ByteBuf::from(details.clone()),
            });
            let leaves: Vec<_> = leaves.iter().map(|(c, key, leaf)| (*c, &key[..], *leaf)).collect();
            prop_assert_eq!(encode(actor, &leaves, &details), candid::encode_one(expected).unwrap());
        }
    }
}
