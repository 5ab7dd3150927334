//! Which nodes of a tree are not blank: a bit each, so that who looks for members or blanks reads no nodes.
//!
//! Invariant: bits at or beyond the end of the tree are 0.

use std::ops::Range;

use super::math;

/// The nodes of a tree that are not blank.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Occupied {
    /// Leaf i.
    leaves: Bits,
    /// Parent i is node 2i + 1; below a node are the parents from its first leaf on, one less than leaves.
    parents: Bits,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Bits(Vec<u64>);

impl Occupied {
    /// None of a tree with so many leaves.
    pub(crate) fn none(width: u32) -> Self {
        let mut none = Self::default();
        none.resize(width);
        none
    }

    /// Of a tree with so many leaves, these nodes.
    #[must_use]
    pub fn of(width: u32, nodes: impl IntoIterator<Item = u32>) -> Self {
        let mut occupied = Self::none(width);
        for node in nodes {
            occupied.set(node, true);
        }
        occupied
    }

    /// Makes room for so many leaves; what is beyond them is forgotten.
    pub(crate) fn resize(&mut self, width: u32) {
        self.leaves.resize(width, width);
        self.parents.resize(width, width.saturating_sub(1));
    }

    pub(crate) fn set(&mut self, node: u32, occupied: bool) {
        let bits = if node.is_multiple_of(2) {
            &mut self.leaves
        } else {
            &mut self.parents
        };
        bits.set(node / 2, occupied);
    }

    /// The first blank leaf before `width`.
    pub(crate) fn first_blank(&self, width: u32) -> Option<u32> {
        let words = (0..).zip(&self.leaves.0);
        words
            .filter(|(_, word)| **word != u64::MAX)
            .map(|(at, word)| 64 * at + word.trailing_ones())
            .find(|leaf| *leaf < width)
    }

    /// The last member.
    pub(crate) fn last_member(&self) -> Option<u32> {
        let words = self.leaves.0.iter().enumerate();
        let last = words.rev().find(|(_, word)| **word != 0);
        last.and_then(|(at, word)| Some(64 * u32::try_from(at).ok()? + word.ilog2()))
    }

    /// Members below a node, itself included.
    pub(crate) fn members(&self, node: u32) -> u32 {
        self.leaves.count(math::leaves(node))
    }

    /// Parents below a node that are not blank, itself included.
    pub(crate) fn parents(&self, node: u32) -> u32 {
        let leaves = math::leaves(node);
        self.parents.count(leaves.start..leaves.end - 1)
    }
}

impl Bits {
    /// Words for so many bits, of which `used` may be set.
    fn resize(&mut self, bits: u32, used: u32) {
        self.0.resize(bits.div_ceil(64) as usize, 0);
        for (at, word) in (0..).zip(&mut self.0) {
            *word &= mask(at, &(0..used));
        }
    }

    fn set(&mut self, at: u32, value: bool) {
        if let Some(word) = self.0.get_mut(at as usize / 64) {
            let bit = 1 << (at % 64);
            *word = if value { *word | bit } else { *word & !bit };
        }
    }

    /// Bits that are set.
    fn count(&self, range: Range<u32>) -> u32 {
        let words = (range.start / 64)..range.end.div_ceil(64);
        words
            .filter_map(|at| Some(self.0.get(at as usize)? & mask(at, &range)))
            .map(u64::count_ones)
            .sum()
    }
}

/// The bits of word `at` that are in a range.
fn mask(at: u32, range: &Range<u32>) -> u64 {
    let below = |end: u32| match end.saturating_sub(64 * at) {
        bits @ 0..64 => (1 << bits) - 1,
        _ => u64::MAX,
    };
    below(range.end) & !below(range.start)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand::{RngExt as _, SeedableRng as _};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn it_counts_and_finds_as_a_set_of_nodes_does() {
        let mut random = ChaCha8Rng::seed_from_u64(6);
        for width in [1, 2, 32, 64, 128, 1_024] {
            let mut occupied = Occupied::none(width);
            let mut nodes = BTreeSet::new();
            for _ in 0..4 * width {
                let node = random.random_range(0..math::nodes(width));
                let is_set = random.random_bool(0.7);
                occupied.set(node, is_set);
                if is_set {
                    nodes.insert(node);
                } else {
                    nodes.remove(&node);
                }
            }
            let leaf = |leaf: &u32| nodes.contains(&math::leaf(*leaf));
            assert_eq!(
                occupied.first_blank(width),
                (0..width).find(|one| !leaf(one))
            );
            assert_eq!(occupied.last_member(), (0..width).rev().find(leaf));
            for node in 0..math::nodes(width) {
                let leaves = math::leaves(node);
                let members = leaves.clone().filter(leaf).count();
                assert_eq!(occupied.members(node) as usize, members);
                let below = 2 * leaves.start..2 * leaves.end - 1;
                let parents = nodes.range(below).filter(|node| *node % 2 == 1).count();
                assert_eq!(occupied.parents(node) as usize, parents);
            }
            assert_eq!(Occupied::of(width, nodes.iter().copied()), occupied);
            let mut wider = occupied.clone();
            wider.resize(2 * width);
            assert_eq!(wider.last_member(), occupied.last_member());
            wider.resize(width);
            assert_eq!(wider, occupied);
        }
    }

    #[test]
    fn a_full_tree_has_no_blank_leaf_and_grows_by_some() {
        let mut occupied = Occupied::none(64);
        for leaf in 0..64 {
            assert_eq!(occupied.first_blank(64), Some(leaf));
            occupied.set(math::leaf(leaf), true);
        }
        assert_eq!(occupied.first_blank(64), None);
        occupied.resize(128);
        assert_eq!(occupied.first_blank(128), Some(64));
        occupied.resize(32);
        assert_eq!(occupied.members(math::root(32)), 32);
        assert_eq!(occupied.first_blank(32), None);
    }
}
