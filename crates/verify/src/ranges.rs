//! Which canisters a subnet is responsible for, as its delegation certifies it.
//!
//! ```text
//! /canister_ranges/<subnet>/<shard>       shard: first canister id of the shard     (preferred)
//! /subnet/<subnet>/canister_ranges        all ranges in one leaf                    (older)
//! leaf: 55799([ [first, last], … ])       both ends included, in order, disjoint
//! ```
//!
//! Ids are compared byte for byte. Of the sharded form, the shard that counts is the one with the greatest
//! label up to the canister's id; delegations usually show that one alone.

use candid::Principal;

use crate::cbor::Reader;
use crate::certificate::principal;
use crate::error::{Fault, Malformed, Part, VerifyError};
use crate::path;
use crate::tree::{HashTree, Lookup};

const SHARDED: &[u8] = b"canister_ranges";

/// Refuses `canister` unless `tree`, which the root key signed, assigns it to `subnet`.
pub(crate) fn check(
    tree: &HashTree,
    subnet: Principal,
    canister: Principal,
) -> Result<(), VerifyError> {
    let foreign = || VerifyError::ForeignCanister { canister, subnet };
    let (id, wanted) = (subnet.as_slice(), canister.as_slice());
    let mut shards = tree.labels(&[SHARDED, id]).peekable();
    let leaf = if shards.peek().is_some() {
        let shard = shards
            .take_while(|shard| *shard <= wanted)
            .last()
            .ok_or_else(foreign)?;
        leaf(tree, &[SHARDED, id, shard])?
    } else {
        leaf(tree, &[b"subnet", id, b"canister_ranges"])?
    };
    let inside = contains(leaf, wanted).map_err(|malformed| VerifyError::Malformed {
        part: Part::CanisterRanges,
        malformed,
    })?;
    if inside { Ok(()) } else { Err(foreign()) }
}

fn leaf<'a>(tree: &'a HashTree, path: &[&[u8]]) -> Result<&'a [u8], VerifyError> {
    match tree.lookup(path) {
        Lookup::Found(leaf) => Ok(leaf),
        _ => Err(VerifyError::Missing {
            part: Part::Delegation,
            path: path::text(path),
        }),
    }
}

/// Whether one of the encoded ranges has `wanted` in it. All of them are checked to be well-formed.
fn contains(encoded: &[u8], wanted: &[u8]) -> Result<bool, Malformed> {
    let mut reader = Reader::new(encoded);
    reader.self_described()?;
    let mut inside = false;
    let mut previous: Option<Principal> = None;
    for _ in 0..reader.array()? {
        let at = reader.position();
        reader.array_of(2)?;
        let first = principal(&mut reader)?;
        let last = principal(&mut reader)?;
        let after_previous = previous.is_none_or(|previous| previous.as_slice() < first.as_slice());
        if !after_previous || first.as_slice() > last.as_slice() {
            return Err(reader.fault_at(at, Fault::UnorderedRanges));
        }
        inside |= (first.as_slice()..=last.as_slice()).contains(&wanted);
        previous = Some(last);
    }
    reader.end()?;
    Ok(inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One-byte ids, for short cases.
    fn encoded(ranges: &[(u8, u8)]) -> Vec<u8> {
        let mut bytes = vec![0xd9, 0xd9, 0xf7, 0x80 + u8::try_from(ranges.len()).unwrap()];
        for (first, last) in ranges {
            bytes.extend([0x82, 0x41, *first, 0x41, *last]);
        }
        bytes
    }

    #[test]
    fn both_ends_of_a_range_are_inside_and_their_neighbours_are_not() {
        let ranges = encoded(&[(10, 20), (30, 30)]);
        for (id, inside) in [
            (9, false),
            (10, true),
            (20, true),
            (21, false),
            (30, true),
            (31, false),
        ] {
            assert_eq!(contains(&ranges, &[id]), Ok(inside), "{id}");
        }
        assert_eq!(contains(&encoded(&[]), &[1]), Ok(false));
    }

    #[test]
    fn overlapping_unordered_and_reversed_ranges_are_refused() {
        for ranges in [
            &[(10, 20), (20, 30)][..],
            &[(30, 40), (10, 20)],
            &[(20, 10)],
        ] {
            assert_eq!(
                contains(&encoded(ranges), &[15]).unwrap_err().fault,
                Fault::UnorderedRanges
            );
        }
    }

    #[test]
    fn malformed_ranges_are_refused_even_after_a_match() {
        let good = encoded(&[(10, 20), (30, 40)]);
        for end in 0..good.len() {
            assert!(contains(&good[..end], &[15]).is_err(), "{end} bytes");
        }
        assert_eq!(
            contains(&[good.as_slice(), &[0]].concat(), &[15])
                .unwrap_err()
                .fault,
            Fault::TrailingBytes
        );
        assert_eq!(
            contains(&good[3..], &[15]).unwrap_err().fault,
            Fault::MissingTag
        );
        assert_eq!(
            contains(&[0xd9, 0xd9, 0xf7, 0x98, 0], &[15])
                .unwrap_err()
                .fault,
            Fault::NotShortest
        );
        let too_long = [
            &[0xd9, 0xd9, 0xf7, 0x81, 0x82, 0x58, 30][..],
            &[0; 30],
            &[0x41, 1],
        ]
        .concat();
        assert_eq!(
            contains(&too_long, &[15]).unwrap_err().fault,
            Fault::Unexpected
        );
    }

    #[test]
    fn a_claim_of_endless_ranges_ends_with_the_bytes() {
        let endless = [
            0xd9, 0xd9, 0xf7, 0x9b, 255, 255, 255, 255, 255, 255, 255, 255,
        ];
        assert_eq!(
            contains(&endless, &[15]).unwrap_err().fault,
            Fault::Truncated
        );
    }
}
