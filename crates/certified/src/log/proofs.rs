//! Roots, proofs and tiles of a log.

use ic_stable_structures::Memory;

use super::error::{LogError, check_bound};
use super::{CertifiedLog, hash, position};
use crate::Hash;

/// Levels of the tree in a tile, as in <https://c2sp.org/tlog-tiles>.
const TILE_HEIGHT: u32 = 8;

/// Hashes in a full tile.
const TILE_WIDTH: u64 = 1 << TILE_HEIGHT;

impl<M: Memory> CertifiedLog<M> {
    /// Roots of the complete subtrees that the log falls into, from the largest to the smallest: one for each bit that is
    /// set in its length.
    #[must_use]
    pub fn peaks(&self) -> &[Hash] {
        &self.peaks
    }

    /// The root over all entries (RFC 9162, section 2.1.1); of an empty log, SHA-256 of nothing.
    #[must_use]
    pub fn root(&self) -> Hash {
        fold(self.peaks.iter().rev().copied())
    }

    /// The root that the log had with `size` entries.
    ///
    /// # Errors
    /// [`LogError::AboveBound`] if it never had so many.
    pub fn root_at(&self, size: u64) -> Result<Hash, LogError> {
        check_bound("size", size, self.size)?;
        Ok(self.tree(0, size))
    }

    /// Proof that entry `index` is in the tree of the first `size` entries: the siblings on its path, from the leaf up
    /// (RFC 9162, section 2.1.3.1).
    ///
    /// # Errors
    /// [`LogError::AboveBound`] if the log never had so many, [`LogError::NoSuchEntry`] if `index` is not below `size`.
    pub fn inclusion(&self, index: u64, size: u64) -> Result<Vec<Hash>, LogError> {
        check_bound("size", size, self.size)?;
        inclusion(index, size, |start, end| self.tree(start, end))
    }

    /// Proof that the tree of the first `to` entries continues the one of the first `from` (RFC 9162, section 2.1.4.1).
    /// It is empty where there is nothing to prove: for equal sizes, and from the empty tree.
    ///
    /// # Errors
    /// [`LogError::AboveBound`] if `from` is above `to`, or the log never had `to` entries.
    pub fn consistency(&self, from: u64, to: u64) -> Result<Vec<Hash>, LogError> {
        check_bound("to", to, self.size)?;
        check_bound("from", from, to)?;
        Ok(consistency(from, to, |start, end| self.tree(start, end)))
    }

    /// Tile `index` of `level`: the complete subtrees over 256^`level` entries each, from the `256·index`-th on; at most
    /// 256 of them, fewer at the edge of the tree, none beyond (<https://c2sp.org/tlog-tiles>).
    #[must_use]
    pub fn tile(&self, level: u8, index: u64) -> Vec<Hash> {
        let level = TILE_HEIGHT * u32::from(level);
        let complete = self.size.checked_shr(level).unwrap_or(0);
        let first = index.saturating_mul(TILE_WIDTH);
        let end = first.saturating_add(TILE_WIDTH).min(complete);
        if level == 0 && first < end {
            return self.leaves(first, end);
        }
        (first..end).map(|index| self.node(level, index)).collect()
    }

    /// The leaves of a tile, in one read: the bytes between them cost less than a call for each.
    fn leaves(&self, first: u64, end: u64) -> Vec<Hash> {
        let lengths = (first..end).map(position::appended);
        let bytes = self
            .nodes
            .read_vec(position::end(first), lengths.clone().sum());
        let mut at = 0;
        lengths
            .map(|length| {
                let mut leaf = [0; 32];
                leaf.copy_from_slice(&bytes[at..at + 32]);
                at += length;
                leaf
            })
            .collect()
    }

    /// The root of the tree over the entries from `start` to before `end`, which is one of RFC 9162's splits.
    fn tree(&self, start: u64, end: u64) -> Hash {
        tree(start, end, |level, index| self.node(level, index))
    }

    fn node(&self, level: u32, index: u64) -> Hash {
        self.nodes.read(position::node(level, index))
    }
}

/// The proof of an entry among `size`, where `tree` gives the root over a part of the log.
pub(super) fn inclusion(
    index: u64,
    size: u64,
    mut tree: impl FnMut(u64, u64) -> Hash,
) -> Result<Vec<Hash>, LogError> {
    if index >= size {
        return Err(LogError::NoSuchEntry { index, size });
    }
    let (mut start, mut end) = (0, size);
    let mut path = Vec::new();
    while end - start > 1 {
        let middle = split(start, end);
        if index < middle {
            path.push(tree(middle, end));
            end = middle;
        } else {
            path.push(tree(start, middle));
            start = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// The proof that a log goes on, where `tree` gives the root over a part of it.
pub(super) fn consistency(from: u64, to: u64, mut tree: impl FnMut(u64, u64) -> Hash) -> Vec<Hash> {
    let (mut start, mut end) = (0, to);
    let mut path = Vec::new();
    while from > start && from < end {
        let middle = split(start, end);
        if from <= middle {
            path.push(tree(middle, end));
            end = middle;
        } else {
            path.push(tree(start, middle));
            start = middle;
        }
    }
    // The old tree's root is known to whoever verifies, so only a part of the old tree is told.
    if start > 0 {
        path.push(tree(start, end));
    }
    path.reverse();
    path
}

/// The root over a part of the log that is one of RFC 9162's splits, from its complete subtrees.
pub(super) fn tree(start: u64, end: u64, mut node: impl FnMut(u32, u64) -> Hash) -> Hash {
    let subtrees = position::subtrees(start, end).rev();
    fold(subtrees.map(|(level, index)| node(level, index)))
}

/// The root over complete subtrees, given from right to left.
pub(super) fn fold(subtrees: impl Iterator<Item = Hash>) -> Hash {
    subtrees
        .reduce(|right, left| hash::parent(&left, &right))
        .unwrap_or(hash::EMPTY_ROOT)
}

/// Where RFC 9162 splits a tree of at least two entries: behind the largest power of two that is smaller than the tree.
fn split(start: u64, end: u64) -> u64 {
    start + (1 << (end - start - 1).ilog2())
}
