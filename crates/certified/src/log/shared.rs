//! Many Merkle logs (RFC 9162, section 2.1), each entry with the bytes that it stands for: of conversations, of which one may have
//! three entries and another one a million.
//!
//! The same trees as [`CertifiedLog`](crate::CertifiedLog)'s, kept in pieces of four levels instead of node by node:
//!
//! ```text
//! first memory    B-tree: log (u64), level of the piece (u8), its number (u64) → where in the second memory it is (u64)
//!
//! second memory
//!  0               8         12        16          24            32
//! ┌───────────────┬─────────┬─────────┬───────────┬─────────────┬──────────────────────────────────────┐
//! │ "INDLOG-S"    │ version │ 0       │ end       │ appended    │ pieces and payloads as they came, to │
//! │               │ u32 = 1 │ u32     │ u64       │ u64         │ the end                              │
//! └───────────────┴─────────┴─────────┴───────────┴─────────────┴──────────────────────────────────────┘
//!
//! level 1   [ root 0..16 │ root 16..32 │ … ]           a piece has room for 16 roots of 32 bytes
//! level 0   [ leaf 0 … leaf 15 ] [ leaf 16 …           or for 16 leaves of 40: leaf hash 32 │ payload 8
//! ```
//!
//! Piece `number` of `level` has the roots of the complete subtrees over 16^level entries each, from the `16·number`-th on. A payload is
//! told by its offset · 2²² + its length, little-endian like all numbers here.
//!
//! What else there is of a log, its size and its peaks, is its [`Head`]: small enough to stand in a certified leaf, where whoever
//! owns the log keeps it.
//!
//! Invariants
//! - A piece holds what the head of its log says; what may stand behind that is nobody's, and is written over. So an append is undone
//!   by keeping the earlier head, and costs its bytes.
//! - Nodes between the levels of pieces follow from them.
//! - What an error is returned for has changed nothing. Opening writes nothing but to an empty memory.
//!
//! Cost, for `n` entries: to append, one look into the B-tree and three writes, 3 compressions on average; every 16th time a new piece
//! more. A proof reads a piece for each of its nodes, and hashes at most 16 nodes of it. An entry takes its payload, 40 bytes, and 5 of
//! what lies above it.

use ic_stable_structures::{Memory, StableBTreeMap};

use super::error::check_bound;
use super::region::{self, Kind, Region};
use super::{LogError, MAX_PAYLOAD, OpenError, hash, proofs};
use crate::Hash;

/// Levels of the tree in a piece.
const HEIGHT: u32 = 4;
/// Hashes in a full piece.
const WIDTH: u64 = 1 << HEIGHT;
/// Bytes of a leaf and its payload's place, and of a root above.
const LEAF: u64 = LEAF_BYTES as u64;
const LEAF_BYTES: usize = 40;
const ROOT: u64 = 32;
/// More than one append takes beside its payload: a piece of leaves, and one of roots at each level.
const ROOM: u64 = WIDTH * (LEAF + 15 * ROOT);
/// Where pieces and payloads begin.
const BEGIN: u64 = region::header_bytes(2);

const LENGTH_BITS: u32 = 22;
/// The highest end whose offset has room beside a length: 4 TiB.
const MAX_END: u64 = 1 << (u64::BITS - LENGTH_BITS);

const KIND: Kind = Kind {
    name: "shared logs",
    magic: *b"INDLOG-S",
};

/// Log, level of the piece, its number.
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
    index: StableBTreeMap<Key, u64, M>,
    region: Region<M>,
    /// Where the next piece or payload goes.
    end: u64,
    /// Entries of all logs.
    appended: u64,
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
    /// What is in these memories; no logs, if the second one is empty.
    ///
    /// # Errors
    /// [`OpenError`] for a memory that is another one's, or can't grow.
    pub fn open(index: M, data: M) -> Result<Self, OpenError> {
        let is_new = data.size() == 0;
        let region = Region::new(data, KIND);
        let [end, appended] = if is_new {
            region
                .grow_to(BEGIN)
                .map_err(|_| OpenError::Empty { memory: KIND.name })?;
            region.write_header([BEGIN, 0]);
            [BEGIN, 0]
        } else {
            let [end, appended] = region.fields()?;
            region.check("end", end, region.bytes().min(MAX_END))?;
            [end, appended]
        };
        Ok(Self {
            index: StableBTreeMap::init(index),
            region,
            end,
            appended,
        })
    }

    /// Appends an entry to the log with this number and head, with the bytes that it stands for, and returns its index.
    ///
    /// # Errors
    /// [`LogError::AboveBound`] for a payload of more than [`MAX_PAYLOAD`] bytes; [`LogError::OutOfMemory`].
    pub fn append(
        &mut self,
        log: u64,
        head: &mut Head,
        entry: &Hash,
        payload: &[u8],
    ) -> Result<u64, LogError> {
        let length = payload.len() as u64;
        check_bound("length of the payload", length, MAX_PAYLOAD as u64)?;
        let most = self.end + length + ROOM;
        check_bound("end of the payloads", most, MAX_END)?;
        self.region.grow_to(most)?;

        let index = head.size;
        let mut node = hash::leaf(entry);
        let mut leaf = [0; LEAF_BYTES];
        leaf[..32].copy_from_slice(&node);
        leaf[32..].copy_from_slice(&(self.end << LENGTH_BITS | length).to_le_bytes());
        self.region.write(self.end, payload);
        self.end += length;
        self.put((log, 0, index >> HEIGHT), index % WIDTH, &leaf);
        for level in 1..=index.trailing_ones() {
            // There is a peak for each bit that is set.
            let Some(left) = head.peaks.pop() else {
                break;
            };
            node = hash::parent(&left, &node);
            if level % HEIGHT == 0 {
                let above = index >> level;
                let key = key(log, level / HEIGHT, above >> HEIGHT);
                self.put(key, above % WIDTH, &node);
            }
        }
        head.peaks.push(node);
        head.size += 1;
        self.appended += 1;
        self.region.write_fields(0, [self.end, self.appended]);
        Ok(index)
    }

    /// Entries that were ever appended, to all logs.
    #[must_use]
    pub fn appended(&self) -> u64 {
        self.appended
    }

    /// The payloads of a log from entry `from` on, in their order. They end early only if the memory is damaged.
    pub fn payloads(&self, log: u64, head: &Head, from: u64) -> impl Iterator<Item = Vec<u8>> {
        let mut piece = None;
        let payloads = (from..head.size).map(move |index| {
            let number = index >> HEIGHT;
            let offset = match piece {
                Some((known, offset)) if known == number => offset,
                _ => self.index.get(&(log, 0, number))?,
            };
            piece = Some((number, offset));
            let place = u64::from_le_bytes(self.region.read(offset + LEAF * (index % WIDTH) + 32));
            let length = usize::try_from(place & ((1 << LENGTH_BITS) - 1)).ok()?;
            Some(self.region.read_vec(place >> LENGTH_BITS, length))
        });
        payloads.map_while(|payload| payload)
    }

    /// The payload of an entry.
    #[must_use]
    pub fn payload(&self, log: u64, head: &Head, index: u64) -> Option<Vec<u8>> {
        self.payloads(log, head, index).next()
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

    /// The root of subtree `index` of `level`, which is complete. Zeros, which prove nothing, if the memory is damaged.
    fn node(&self, log: u64, level: u32, index: u64) -> Hash {
        let below = level % HEIGHT;
        let first = index << below;
        let key = key(log, level / HEIGHT, first >> HEIGHT);
        let Some(offset) = self.index.get(&key) else {
            return Hash::default();
        };
        let mut row: Vec<Hash> = (first..first + (1 << below))
            .map(|index| self.region.read(offset + stride(key) * (index % WIDTH)))
            .collect();
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

    /// Writes what stands at `place` of a piece. The piece is new if it is the first there.
    fn put(&mut self, key: Key, place: u64, hash: &[u8]) {
        let known = if place == 0 {
            None
        } else {
            self.index.get(&key)
        };
        let offset = known.unwrap_or_else(|| {
            let offset = self.end;
            self.index.insert(key, offset);
            self.end += WIDTH * stride(key);
            offset
        });
        self.region.write(offset + place * stride(key), hash);
    }
}

fn key(log: u64, level: u32, number: u64) -> Key {
    // A log of 2^64 entries has 16 levels of pieces.
    (log, u8::try_from(level).unwrap_or(u8::MAX), number)
}

/// From one hash of a piece to the next.
fn stride((_, level, _): Key) -> u64 {
    if level == 0 { LEAF } else { ROOT }
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

    fn payload(log: u64, index: u64) -> Vec<u8> {
        vec![log.to_le_bytes()[0]; usize::try_from(index % 50).unwrap()]
    }

    fn opened([index, data]: &[VectorMemory; 2]) -> SharedLogs<VectorMemory> {
        SharedLogs::open(index.clone(), data.clone()).unwrap()
    }

    /// Appends to a log of its own and to one among others.
    struct Both {
        alone: CertifiedLog<VectorMemory>,
        memories: [VectorMemory; 2],
        shared: SharedLogs<VectorMemory>,
        heads: [Head; 3],
    }

    impl Both {
        fn of(entries: u64) -> Self {
            let memories = [VectorMemory::default(), VectorMemory::default()];
            let mut both = Self {
                alone: CertifiedLog::create(VectorMemory::default(), VectorMemory::default())
                    .unwrap(),
                shared: opened(&memories),
                memories,
                heads: Default::default(),
            };
            for index in 0..entries {
                for log in 0..3 {
                    let entry = entry(log, index);
                    let head = &mut both.heads[usize::try_from(log).unwrap()];
                    let payload = payload(log, index);
                    let appended = both.shared.append(log, head, &entry, &payload);
                    assert_eq!(appended, Ok(index));
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
            0, 1, 2, 15, 16, 17, 127, 255, 256, 257, 4_095, 4_096, 4_097, 5_000,
        ] {
            let both = Both::of(entries);
            let head = &both.heads[1];
            assert_eq!(head.size(), entries);
            assert_eq!(head.root(), both.alone.root());
            assert_eq!(head.peaks, both.alone.peaks());
            let reopened = opened(&both.memories);
            for (log, head) in (0..).zip(&both.heads) {
                for from in [
                    0,
                    1,
                    15,
                    16,
                    17,
                    entries.saturating_sub(1),
                    entries,
                    u64::MAX,
                ] {
                    let expected = (from..entries).map(|index| payload(log, index));
                    assert!(reopened.payloads(log, head, from).eq(expected), "{from}");
                }
            }
            for size in [0, 1, 15, 16, 17, 64, 65, 100, 4_000, 4_096, 4_999, entries] {
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
            both.shared
                .append(1, &mut dropped, &[9; 32], b"dropped")
                .unwrap();
        }
        for index in 127..130 {
            let entry = entry(1, index);
            let payload = payload(1, index);
            both.shared
                .append(1, &mut both.heads[1], &entry, &payload)
                .unwrap();
            both.alone.append(&entry, b"").unwrap();
        }
        assert_eq!(both.heads[1].root(), both.alone.root());
        let payloads = both.shared.payloads(1, &both.heads[1], 127);
        assert!(payloads.eq((127..130).map(|index| payload(1, index))));
        assert_eq!(
            both.shared.inclusion(1, &both.heads[1], 127, 130),
            both.alone.inclusion(127, 130)
        );
    }

    #[test]
    fn what_is_refused_changes_nothing_and_foreign_memories_are() {
        let mut both = Both::of(20);
        let head = both.heads[1].clone();
        let mut refused = head.clone();
        let long = vec![0; MAX_PAYLOAD + 1];
        let bound = both.shared.append(1, &mut refused, &[9; 32], &long);
        assert!(
            matches!(bound, Err(LogError::AboveBound { .. })),
            "{bound:?}"
        );
        assert_eq!(refused, head);
        let longest = &long[1..];
        assert_eq!(
            both.shared.append(1, &mut refused, &[9; 32], longest),
            Ok(20)
        );
        assert_eq!(
            both.shared.payload(1, &refused, 20).as_deref(),
            Some(longest)
        );
        assert_eq!(both.shared.payload(1, &refused, 21), None);

        let [index, data] = both.memories;
        for (offset, byte) in [(0, b'X'), (8, 2), (23, 1)] {
            let damaged = VectorMemory::default();
            damaged.borrow_mut().extend_from_slice(&data.borrow());
            damaged.write(offset, &[byte]);
            let before = damaged.borrow().clone();
            assert!(SharedLogs::open(index.clone(), damaged.clone()).is_err());
            assert!(*damaged.borrow() == before);
        }
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
