//! Many Merkle logs (RFC 9162, section 2.1) in one memory: of conversations, each of which may have three entries or a million.
//!
//! The same tree as [`CertifiedLog`](crate::CertifiedLog)'s, kept in tiles of six levels instead of node by node, in a B-tree that
//! all logs share:
//!
//! ```text
//! key    log (u64) │ level of the tile (u8) │ number of the tile (u64)
//! value  roots of complete subtrees over 64^level entries each, in their order: 1 to 64 × 32 bytes
//!
//! level 1                  [ root 0..64 │ root 64..128 │ … ]
//! level 0    [ leaf 0 … leaf 63 ] [ leaf 64 … leaf 127 ] [ leaf 128 …
//! ```
//!
//! What else there is of a log, its size and its peaks, is its [`Head`]: small enough to stand in a certified leaf, where whoever
//! owns the log keeps it.
//!
//! Invariants
//! - A tile holds what the head of its log says; what may stand behind that is nobody's, and is written over. So an append is undone by
//!   keeping the earlier head.
//! - Nodes between the levels of tiles follow from them.
//!
//! Cost, for `n` entries: to append, one tile read and written, 3 compressions on average; every 64th time a tile more. A proof reads a
//! tile for each level of tiles, and hashes at most 64 nodes of each. An entry takes 33 bytes, and its share of its tile's slot.

use ic_stable_structures::{Memory, StableBTreeMap, Storable, storable::Bound};
use std::borrow::Cow;

use super::error::check_bound;
use super::{LogError, hash, proofs};
use crate::Hash;

/// Levels of the tree in a tile.
const HEIGHT: u32 = 6;
/// Hashes in a full tile.
const WIDTH: usize = 1 << HEIGHT;

/// Log, level of the tile, its number.
type Key = (u64, u8, u64);

/// Size and peaks of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    size: u64,
    /// Roots of the complete subtrees, the largest first; one for each set bit of `size`.
    peaks: Vec<Hash>,
}

/// Logs by numbers that their owner gives them.
pub struct SharedLogs<M: Memory> {
    tiles: StableBTreeMap<Key, Tile, M>,
}

/// Hashes one behind the other.
#[derive(Clone, Debug)]
struct Tile(Vec<u8>);

impl Storable for Tile {
    const BOUND: Bound = Bound::Bounded {
        max_size: 2_048,
        is_fixed_size: false,
    };

    fn to_bytes(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.0)
    }

    fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn from_bytes(bytes: Cow<'_, [u8]>) -> Self {
        Self(bytes.into_owned())
    }
}

impl Head {
    /// Entries.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root over all entries; of an empty log, SHA-256 of nothing.
    #[must_use]
    pub fn root(&self) -> Hash {
        proofs::fold(self.peaks.iter().rev().copied())
    }

    /// As certified leaves have it: the size, shortest LEB128, then the peaks.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(10 + 32 * self.peaks.len());
        let mut rest = self.size;
        loop {
            let group = rest.to_le_bytes()[0] & 0x7f;
            rest >>= 7;
            if rest == 0 {
                bytes.push(group);
                break;
            }
            bytes.push(group | 0x80);
        }
        bytes.extend_from_slice(self.peaks.as_flattened());
        bytes
    }

    /// What [`to_bytes`](Self::to_bytes) wrote; none for anything else.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut size = 0_u64;
        let mut at = 0;
        loop {
            let byte = *bytes.get(at)?;
            if at == 9 {
                // No log is that long.
                return None;
            }
            size |= u64::from(byte & 0x7f) << (7 * at);
            at += 1;
            if byte & 0x80 == 0 {
                if byte == 0 && at > 1 {
                    return None;
                }
                break;
            }
        }
        let (peaks, rest) = bytes[at..].as_chunks::<32>();
        let complete = rest.is_empty() && peaks.len() == size.count_ones() as usize;
        complete.then(|| Self {
            size,
            peaks: peaks.to_vec(),
        })
    }
}

impl<M: Memory> SharedLogs<M> {
    /// What is in `memory`; no logs, if it is empty.
    #[must_use]
    pub fn open(memory: M) -> Self {
        Self {
            tiles: StableBTreeMap::init(memory),
        }
    }

    /// Appends an entry to the log with this number and head, and returns its index.
    pub fn append(&mut self, log: u64, head: &mut Head, entry: &Hash) -> u64 {
        let index = head.size;
        let mut node = hash::leaf(entry);
        self.put(log, 0, index, &node);
        for level in 1..=index.trailing_ones() {
            // There is a peak for each bit that is set.
            let Some(left) = head.peaks.pop() else {
                break;
            };
            node = hash::parent(&left, &node);
            if level % HEIGHT == 0 {
                self.put(log, level / HEIGHT, index >> level, &node);
            }
        }
        head.peaks.push(node);
        head.size += 1;
        index
    }

    /// Proof that entry `index` is among the first `size` (RFC 9162, section 2.1.3.1).
    ///
    /// # Errors
    /// [`LogError::AboveBound`] if the log never had so many, [`LogError::NoSuchEntry`] if `index` is not below `size`.
    pub fn inclusion(
        &self,
        log: u64,
        head: &Head,
        index: u64,
        size: u64,
    ) -> Result<Vec<Hash>, LogError> {
        check_bound("size", size, head.size)?;
        proofs::inclusion(index, size, |start, end| self.tree(log, start, end))
    }

    /// Proof that the first `to` entries begin with the first `from` (RFC 9162, section 2.1.4.1); empty where there is nothing to
    /// prove.
    ///
    /// # Errors
    /// [`LogError::AboveBound`] if `from` is above `to`, or the log never had `to` entries.
    pub fn consistency(
        &self,
        log: u64,
        head: &Head,
        from: u64,
        to: u64,
    ) -> Result<Vec<Hash>, LogError> {
        check_bound("to", to, head.size)?;
        check_bound("from", from, to)?;
        let tree = |start, end| self.tree(log, start, end);
        Ok(proofs::consistency(from, to, tree))
    }

    /// The root that the log had with `size` entries.
    ///
    /// # Errors
    /// [`LogError::AboveBound`] if it never had so many.
    pub fn root_at(&self, log: u64, head: &Head, size: u64) -> Result<Hash, LogError> {
        check_bound("size", size, head.size)?;
        Ok(self.tree(log, 0, size))
    }

    fn tree(&self, log: u64, start: u64, end: u64) -> Hash {
        proofs::tree(start, end, |level, index| self.node(log, level, index))
    }

    /// The root of subtree `index` of `level`, which is complete.
    fn node(&self, log: u64, level: u32, index: u64) -> Hash {
        let below = level % HEIGHT;
        let first = index << below;
        let hashes = self.tile(log, level / HEIGHT, first >> HEIGHT);
        let at = place(first);
        let mut row: Vec<Hash> = hashes.as_chunks::<32>().0[at..at + (1 << below)].to_vec();
        while let [_, _, ..] = row[..] {
            row = row
                .as_chunks::<2>()
                .0
                .iter()
                .map(|[left, right]| hash::parent(left, right))
                .collect();
        }
        row[0]
    }

    /// Puts the root of subtree `index` of a level of tiles behind those before it.
    fn put(&mut self, log: u64, level: u32, index: u64, node: &Hash) {
        let number = index >> HEIGHT;
        let mut tile = match place(index) {
            0 => Vec::with_capacity(32),
            _ => self.tile(log, level, number),
        };
        // What is behind the head is of an append whose owner kept the earlier head.
        tile.truncate(32 * place(index));
        tile.extend_from_slice(node);
        self.tiles.insert(key(log, level, number), Tile(tile));
    }

    fn tile(&self, log: u64, level: u32, number: u64) -> Vec<u8> {
        let tile = self.tiles.get(&key(log, level, number));
        tile.map_or_else(Vec::new, |Tile(hashes)| hashes)
    }
}

fn key(log: u64, level: u32, number: u64) -> Key {
    // A log of 2^64 entries has 11 levels of tiles.
    (log, u8::try_from(level).unwrap_or(u8::MAX), number)
}

/// Where in its tile a subtree is.
fn place(index: u64) -> usize {
    // Less than `WIDTH`.
    usize::try_from(index % WIDTH as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use ic_stable_structures::VectorMemory;
    use proptest::prelude::*;

    use super::*;
    use crate::CertifiedLog;

    fn entry(log: u64, index: u64) -> Hash {
        crate::sha256::digest(&[log.to_be_bytes(), index.to_be_bytes()].concat())
    }

    /// Appends to a log of its own and to one among others.
    struct Both {
        alone: CertifiedLog<VectorMemory>,
        memory: VectorMemory,
        shared: SharedLogs<VectorMemory>,
        heads: [Head; 3],
    }

    impl Both {
        fn of(entries: u64) -> Self {
            let memory = VectorMemory::default();
            let mut both = Self {
                alone: CertifiedLog::create(VectorMemory::default(), VectorMemory::default())
                    .unwrap(),
                shared: SharedLogs::open(memory.clone()),
                memory,
                heads: Default::default(),
            };
            for index in 0..entries {
                for log in 0..3 {
                    let entry = entry(log, index);
                    let head = &mut both.heads[usize::try_from(log).unwrap()];
                    assert_eq!(both.shared.append(log, head, &entry), index);
                    if log == 1 {
                        both.alone.append(&entry, b"").unwrap();
                    }
                }
            }
            both
        }
    }

    #[test]
    fn a_log_among_others_is_the_log_that_it_would_be_alone() {
        for entries in [
            0, 1, 2, 63, 64, 65, 127, 128, 200, 4_095, 4_096, 4_097, 5_000,
        ] {
            let both = Both::of(entries);
            let head = &both.heads[1];
            assert_eq!(head.size(), entries);
            assert_eq!(head.root(), both.alone.root());
            assert_eq!(head.peaks, both.alone.peaks());
            let reopened = SharedLogs::open(both.memory.clone());
            for size in [0, 1, 64, 65, 100, 4_000, 4_096, 4_999, entries] {
                let expected = both.alone.root_at(size);
                assert_eq!(reopened.root_at(1, head, size), expected, "{size}");
                for index in [0, 1, 63, 64, 99, 4_095, 4_096, size.saturating_sub(1)] {
                    assert_eq!(
                        reopened.inclusion(1, head, index, size),
                        both.alone.inclusion(index, size),
                        "{index} of {size}"
                    );
                    assert_eq!(
                        reopened.consistency(1, head, index, size),
                        both.alone.consistency(index, size),
                        "{index} to {size}"
                    );
                }
            }
        }
    }

    #[test]
    fn an_append_whose_head_was_not_kept_is_undone() {
        let mut both = Both::of(127);
        for _ in 0..2 {
            let mut dropped = both.heads[1].clone();
            both.shared.append(1, &mut dropped, &[9; 32]);
        }
        for index in 127..130 {
            let entry = entry(1, index);
            both.shared.append(1, &mut both.heads[1], &entry);
            both.alone.append(&entry, b"").unwrap();
        }
        assert_eq!(both.heads[1].root(), both.alone.root());
        assert_eq!(
            both.shared.inclusion(1, &both.heads[1], 127, 130),
            both.alone.inclusion(127, 130)
        );
    }

    #[test]
    fn a_head_is_read_as_it_was_written_and_nothing_else_is() {
        for entries in [0, 1, 2, 3, 64, 127, 128, 129, 200] {
            let head = Both::of(entries).heads[2].clone();
            let bytes = head.to_bytes();
            assert_eq!(Head::from_bytes(&bytes), Some(head));
            assert_eq!(Head::from_bytes(&bytes[..bytes.len() - 1]), None);
            assert_eq!(Head::from_bytes(&[&bytes[..], &[0]].concat()), None);
        }
        for malformed in [&[][..], &[0x80, 0], &[0x80], &[0xff; 9], &[0xff; 400]] {
            assert_eq!(Head::from_bytes(malformed), None, "{malformed:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_head_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            if let Some(head) = Head::from_bytes(&bytes) {
                prop_assert_eq!(head.to_bytes(), bytes);
            }
        }
    }
}
