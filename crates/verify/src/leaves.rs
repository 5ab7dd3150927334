//! The leaves of a collection, as changes make them: appended one by one, put in order when a root is asked for.
//!
//! ```text
//! settled (in the order of keys, each once) ++ pending (in the order of the log)
//!        └──────────── sort by key, the last change of each key stays ───────────► settled ─► root
//! ```
//!
//! The root of a Patricia trie over keys in order needs no trie: the forks to the left of a key are those bits in which
//! neighbours first differ, and a stack holds the ones that are open.
//!
//! Invariants
//! - Keys have one length.
//! - After [`Leaves::settle`] nothing is pending, and keys increase.
//!
//! Cost: an entry takes its key and 41 bytes. Settling sorts everything once; a root then takes two hashes an entry. It is
//! done when a root is asked for, or when as much is pending as is settled, so a change costs the same in a long log.

use std::cmp::Ordering;
use std::iter;
use std::thread;

use crate::collections::ChangeFault;
use crate::node;
use crate::tree::Hash;

/// Fewest pending changes that are settled before a root is asked for.
const MIN_PENDING: usize = 1 << 20;
/// Fewest leaves that are worth a thread.
const WORTH_A_THREAD: usize = 1 << 12;

/// A change of a key: in which block, and the hash of the new leaf or none.
type Change = (u64, Option<Hash>);

/// All leaves of a collection: keys, and the hashes of what is there.
#[derive(Clone, Debug, Default)]
pub struct Leaves {
    key_length: usize,
    /// The keys of `changes`, one behind the other.
    keys: Vec<u8>,
    changes: Vec<Change>,
    settled: usize,
}

impl Leaves {
    /// A collection whose keys have this many bytes.
    pub(crate) fn new(key_length: usize) -> Self {
        Self {
            key_length,
            ..Self::default()
        }
    }

    /// Bytes of each key.
    pub fn key_length(&self) -> usize {
        self.key_length
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Keys and hashes of leaves, in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &Hash)> {
        (0..self.changes.len()).filter_map(|at| Some((self.key(at), self.changes[at].1.as_ref()?)))
    }

    /// Key and hash of leaf number `at` in the order of the keys.
    pub(crate) fn get(&self, at: usize) -> Option<(&[u8], &Hash)> {
        let (_, leaf) = self.changes.get(at)?;
        Some((self.key(at), leaf.as_ref()?))
    }

    /// Appends a change that block `index` lists.
    pub(crate) fn push(&mut self, key: &[u8], index: u64, leaf: Option<Hash>) {
        self.keys.extend_from_slice(key);
        self.changes.push((index, leaf));
    }

    /// Appends the pending changes of `other`, whose keys have the same length.
    pub(crate) fn append(&mut self, mut other: Self) {
        self.keys.append(&mut other.keys);
        self.changes.append(&mut other.changes);
    }

    /// The block of the first change.
    pub(crate) fn first_block(&self) -> u64 {
        self.changes.first().map_or(0, |(index, _)| *index)
    }

    /// Whether so much is pending that it is time to settle.
    pub(crate) fn is_full(&self) -> bool {
        self.changes.len() - self.settled >= self.settled.max(MIN_PENDING)
    }

    fn key(&self, at: usize) -> &[u8] {
        &self.keys[at * self.key_length..][..self.key_length]
    }

    /// Brings everything into its order.
    ///
    /// Errors: the first block that removes what isn't there, and the key.
    pub(crate) fn settle(&mut self, threads: usize) -> Result<(), (u64, Vec<u8>, ChangeFault)> {
        if self.settled == self.changes.len() {
            return Ok(());
        }
        let prefix = |at: usize| {
            let key = self.key(at);
            let mut prefix = [0; 8];
            let length = key.len().min(8);
            prefix[..length].copy_from_slice(&key[..length]);
            u64::from_be_bytes(prefix)
        };
        let mut order: Vec<(u64, usize)> =
            (0..self.changes.len()).map(|at| (prefix(at), at)).collect();
        // Of one key the earlier change comes first.
        let short = self.key_length <= 8;
        let compare = |one: &(u64, usize), other: &(u64, usize)| {
            let keys = || match short {
                true => Ordering::Equal,
                false => self.key(one.1).cmp(self.key(other.1)),
            };
            one.0
                .cmp(&other.0)
                .then_with(keys)
                .then(one.1.cmp(&other.1))
        };
        sort(&mut order, threads, &compare);
        let mut fault: Option<(u64, usize)> = None;
        let (mut keys, mut changes) = (Vec::with_capacity(self.keys.len()), Vec::new());
        changes.reserve(order.len());
        // Whether the key of the change before has a leaf.
        let mut present = false;
        for (place, (prefix, at)) in order.iter().enumerate() {
            let same = |other: Option<&(u64, usize)>| {
                other.is_some_and(|other| {
                    other.0 == *prefix && (short || self.key(other.1) == self.key(*at))
                })
            };
            let (index, leaf) = self.changes[*at];
            present &= place > 0 && same(order.get(place - 1));
            if leaf.is_none() && !present && fault.is_none_or(|(earlier, _)| index < earlier) {
                fault = Some((index, *at));
            }
            present = leaf.is_some();
            if present && !same(order.get(place + 1)) {
                keys.extend_from_slice(self.key(*at));
                changes.push((index, leaf));
            }
        }
        if let Some((index, at)) = fault {
            return Err((index, self.key(at).to_vec(), ChangeFault::NothingToRemove));
        }
        self.settled = changes.len();
        self.keys = keys;
        self.changes = changes;
        Ok(())
    }

    /// The hash of the hash tree that the collection is certified as. Everything is settled.
    pub(crate) fn root(&self, threads: usize) -> Hash {
        if self.is_empty() {
            return node::empty();
        }
        self.subtree(0, self.changes.len(), threads)
    }

    /// The root over the leaves from `from` up to `to`, of which there are some.
    fn subtree(&self, from: usize, to: usize, threads: usize) -> Hash {
        // The top fork is where the first and the last key differ. Threads are few, so it doesn't go deep.
        if threads > 1
            && to - from >= WORTH_A_THREAD
            && let Some(bit) = first_difference(self.key(from), self.key(to - 1))
        {
            let split = from + self.first_with(from, to, bit);
            let (left, right) = thread::scope(|scope| {
                let left = scope.spawn(|| self.subtree(from, split, threads / 2));
                let right = self.subtree(split, to, threads - threads / 2);
                (left.join(), right)
            });
            // It doesn't panic; if it did, the root would be another.
            return node::fork(&left.unwrap_or_default(), &right);
        }
        // Open forks, whose bits increase: the hash of the left side of each.
        let mut open: Vec<(usize, Hash)> = Vec::new();
        let mut complete = self.leaf(from);
        for at in from + 1..to {
            let bit = first_difference(self.key(at - 1), self.key(at)).unwrap_or(usize::MAX);
            while let Some((_, left)) = open.pop_if(|(deeper, _)| *deeper > bit) {
                complete = node::fork(&left, &complete);
            }
            open.push((bit, complete));
            complete = self.leaf(at);
        }
        let above = open.into_iter().rev();
        above.fold(complete, |right, (_, left)| node::fork(&left, &right))
    }

    /// Of the leaves from `from` up to `to`, how many have a 0 in `bit`: they stand in front.
    fn first_with(&self, from: usize, to: usize, bit: usize) -> usize {
        let (mut low, mut high) = (0, to - from);
        while low < high {
            let middle = low + (high - low) / 2;
            let byte = self.key(from + middle)[bit / 8];
            if byte >> (7 - bit % 8) & 1 == 0 {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    fn leaf(&self, at: usize) -> Hash {
        let (_, leaf) = &self.changes[at];
        node::labeled(self.key(at), &leaf.unwrap_or_default())
    }
}

/// The first bit in which two keys of one length differ.
fn first_difference(one: &[u8], other: &[u8]) -> Option<usize> {
    let index = iter::zip(one, other).position(|(one, other)| one != other)?;
    let zeros = (one[index] ^ other[index]).leading_zeros();
    usize::try_from(zeros).ok().map(|zeros| 8 * index + zeros)
}

/// Sorts on so many threads.
fn sort<T: Send>(items: &mut [T], threads: usize, compare: &(impl Fn(&T, &T) -> Ordering + Sync)) {
    if threads < 2 || items.len() < WORTH_A_THREAD {
        return items.sort_unstable_by(compare);
    }
    let middle = items.len() / 2;
    let (lower, _, upper) = items.select_nth_unstable_by(middle, compare);
    thread::scope(|scope| {
        scope.spawn(|| sort(lower, threads / 2, compare));
        sort(upper, threads - threads / 2, compare);
    });
}
