//! A row of a few labels: the top of a canister's tree, above its maps and leaves.
//!
//! Forks halve the row again and again, so its tree is flat, and a function of its labels and of what is below them.
//!
//! Cost: a changed label takes its own hash and log2 n forks, once for all changes between two roots. It is on the heap.

use std::ops::Range;

use crate::{Encoder, Hash, sha256};

/// Labels in increasing order, with the hash of what is below each.
#[derive(Clone, Debug, Default)]
pub struct Row {
    labels: Vec<(&'static str, Hash)>,
    /// Hashes of the row's tree where they are known: the root at 0, the halves of node n at 2n + 1 and 2n + 2.
    nodes: Vec<Option<Hash>>,
}

impl Row {
    /// Lets `label`, which is at most [`sha256::MAX_LABEL`] bytes long, stand above a subtree with the hash `below`.
    pub fn set(&mut self, label: &'static str, below: Hash) {
        match self.find(label) {
            Ok(at) if self.labels[at].1 == below => {}
            Ok(at) => {
                self.labels[at].1 = below;
                self.forget(at);
            }
            Err(at) => {
                self.labels.insert(at, (label, below));
                self.nodes = vec![None; 4 * self.labels.len()];
            }
        }
    }

    /// The hash of the row's tree.
    pub fn root_hash(&mut self) -> Hash {
        self.settle(0, 0..self.labels.len())
    }

    /// Writes the tree, showing the labels in `wanted` that there are, and the neighbours of those that there aren't. What is
    /// below a wanted label is written by `below`; below the others stands a hash.
    ///
    /// # Errors
    /// Those of `below`.
    pub fn witness<E>(
        &self,
        wanted: &[&[u8]],
        below: &mut dyn FnMut(&'static str, &mut Encoder) -> Result<(), E>,
        encoder: &mut Encoder,
    ) -> Result<(), E> {
        let mut shown = vec![false; self.labels.len()];
        for label in wanted {
            match self
                .labels
                .binary_search_by_key(label, |(label, _)| label.as_bytes())
            {
                Ok(at) => shown[at] = true,
                Err(at) => {
                    for neighbour in [at.checked_sub(1), Some(at)].into_iter().flatten() {
                        if let Some(shown) = shown.get_mut(neighbour) {
                            *shown = true;
                        }
                    }
                }
            }
        }
        self.encode(0, 0..self.labels.len(), &shown, wanted, below, encoder)
    }

    fn find(&self, label: &str) -> Result<usize, usize> {
        self.labels.binary_search_by_key(&label, |(label, _)| label)
    }

    /// Forgets the hashes above label `at`.
    fn forget(&mut self, at: usize) {
        let (mut node, mut range) = (0, 0..self.labels.len());
        loop {
            self.nodes[node] = None;
            if range.len() == 1 {
                return;
            }
            let [left, right] = halves(&range);
            (node, range) = if left.contains(&at) {
                (2 * node + 1, left)
            } else {
                (2 * node + 2, right)
            };
        }
    }

    /// The hash of a node, and keeps it.
    fn settle(&mut self, node: usize, range: Range<usize>) -> Hash {
        if range.len() > 1 {
            for (side, half) in halves(&range).into_iter().enumerate() {
                if self.nodes[2 * node + 1 + side].is_none() {
                    self.settle(2 * node + 1 + side, half);
                }
            }
        }
        let hash = self.hash(node, range);
        if let Some(kept) = self.nodes.get_mut(node) {
            *kept = Some(hash);
        }
        hash
    }

    /// The hash of a node, from what is kept.
    fn hash(&self, node: usize, range: Range<usize>) -> Hash {
        if let Some(known) = self.nodes.get(node).copied().flatten() {
            return known;
        }
        match range.len() {
            0 => sha256::empty(),
            1 => {
                let (label, below) = self.labels[range.start];
                sha256::labeled(label.as_bytes(), &below)
            }
            _ => {
                let [left, right] = halves(&range);
                let left = self.hash(2 * node + 1, left);
                sha256::fork(&left, &self.hash(2 * node + 2, right))
            }
        }
    }

    fn encode<E>(
        &self,
        node: usize,
        range: Range<usize>,
        shown: &[bool],
        wanted: &[&[u8]],
        below: &mut dyn FnMut(&'static str, &mut Encoder) -> Result<(), E>,
        encoder: &mut Encoder,
    ) -> Result<(), E> {
        if range.is_empty() {
            encoder.empty();
            return Ok(());
        }
        if !shown[range.clone()].contains(&true) {
            encoder.pruned(&self.hash(node, range));
            return Ok(());
        }
        if range.len() == 1 {
            let (label, hash) = self.labels[range.start];
            encoder.labeled(label.as_bytes());
            if wanted.contains(&label.as_bytes()) {
                return below(label, encoder);
            }
            encoder.pruned(&hash);
            return Ok(());
        }
        encoder.fork();
        for (side, half) in halves(&range).into_iter().enumerate() {
            self.encode(2 * node + 1 + side, half, shown, wanted, below, encoder)?;
        }
        Ok(())
    }
}

fn halves(range: &Range<usize>) -> [Range<usize>; 2] {
    let middle = range.start + range.len() / 2;
    [range.start..middle, middle..range.end]
}

#[cfg(test)]
mod tests {
    use ic_certification::{HashTree, LookupResult};

    use super::*;

    const LABELS: [&str; 6] = [
        "data",
        "http_expr",
        "last_block_hash",
        "last_block_index",
        "log",
        "sig",
    ];

    fn witness(row: &Row, wanted: &[&[u8]]) -> HashTree {
        let mut encoder = Encoder::new();
        let mut below = |label: &'static str, encoder: &mut Encoder| {
            encoder.leaf(label.as_bytes());
            Ok::<(), ()>(())
        };
        row.witness(wanted, &mut below, &mut encoder).unwrap();
        serde_cbor::from_slice(&encoder.finish()).unwrap()
    }

    #[test]
    fn every_label_is_proved_present_or_absent_in_rows_of_every_length() {
        for length in 0..=LABELS.len() {
            let mut row = Row::default();
            // Backwards, so that each is put before the others.
            for label in LABELS[..length].iter().rev() {
                row.set(label, sha256::leaf(label.as_bytes()));
            }
            let root = row.root_hash();
            for (at, label) in LABELS.iter().enumerate() {
                let tree = witness(&row, &[label.as_bytes()]);
                assert_eq!(tree.digest(), root);
                let expected = if at < length {
                    LookupResult::Found(label.as_bytes())
                } else {
                    LookupResult::Absent
                };
                assert_eq!(tree.lookup_path([label.as_bytes()]), expected);
            }
            for absent in [&b""[..], b"a", b"last_block_hasi", b"zz"] {
                let tree = witness(&row, &[absent, b"data"]);
                assert_eq!(tree.digest(), root);
                assert_eq!(tree.lookup_path([absent]), LookupResult::Absent);
            }
        }
    }

    #[test]
    fn a_changed_row_has_the_root_of_one_made_anew() {
        let mut changed = Row::default();
        for label in LABELS {
            changed.set(label, [0; 32]);
        }
        for (at, label) in LABELS.iter().enumerate() {
            changed.root_hash();
            changed.set(label, sha256::digest(&at.to_be_bytes()));
        }
        let mut anew = Row::default();
        for (at, label) in LABELS.iter().enumerate() {
            anew.set(label, sha256::digest(&at.to_be_bytes()));
        }
        assert_eq!(changed.root_hash(), anew.root_hash());
    }
}
