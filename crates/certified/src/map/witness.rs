//! Witnesses: the hash tree of the map, pruned to what was asked for.
//!
//! First the keys to be shown are found, each of them present; then one way down writes them all. Between two neighbours
//! that are both shown there is no key, so nothing is left there to be pruned: that is the proof of absence and of
//! completeness.

use std::collections::BTreeMap;

use ic_stable_structures::Memory;

use super::{
    CertifiedMap, MapError,
    layout::{Link, side},
};
use crate::{Encoder, Hash};

/// What a witness is asked to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// What is at this key, or that it is absent.
    Key(&'a [u8]),
    /// The first `limit` keys behind `after` (from the first, without it) up to `until` (to the last, without it), and that
    /// there are no others between them.
    Range {
        after: Option<&'a [u8]>,
        until: Option<&'a [u8]>,
        limit: usize,
    },
}

/// Keys that are shown, and whether with their values.
pub(super) type Shown = BTreeMap<Vec<u8>, bool>;

impl<M: Memory> CertifiedMap<M> {
    /// The keys that answer `requests`.
    pub(super) fn shown(&self, requests: &[Request<'_>]) -> Result<Shown, MapError> {
        let mut shown = Shown::new();
        for request in requests {
            match *request {
                Request::Key(key) => self.show_key(key, &mut shown),
                Request::Range {
                    after,
                    until,
                    limit,
                } => {
                    for bound in [after, until].into_iter().flatten() {
                        self.check_key(bound)?;
                    }
                    self.show_range(after, until, limit, &mut shown);
                }
            }
        }
        Ok(shown)
    }

    fn show_key(&self, key: &[u8], shown: &mut Shown) {
        if self.get(key).is_some() {
            shown.insert(key.to_vec(), true);
        } else if key.len() == self.header.key_bytes {
            self.show_neighbours(key, shown);
        } else {
            // Between which keys it would be, in the order of labels: those with its first bytes, or longer than it.
            let mut same_length = key.to_vec();
            same_length.resize(self.header.key_bytes, 0);
            if self.get(&same_length).is_some() {
                shown.entry(same_length.clone()).or_insert(false);
            }
            self.show_neighbours(&same_length, shown);
        }
    }

    fn show_neighbours(&self, key: &[u8], shown: &mut Shown) {
        let neighbours = self.neighbours(key);
        for leaf in [neighbours.before, neighbours.behind].into_iter().flatten() {
            shown.entry(leaf.key().to_vec()).or_insert(false);
        }
    }

    fn show_range(
        &self,
        after: Option<&[u8]>,
        until: Option<&[u8]>,
        limit: usize,
        shown: &mut Shown,
    ) {
        if let Some(after) = after {
            if self.get(after).is_some() {
                shown.entry(after.to_vec()).or_insert(false);
            } else if let Some(before) = self.neighbours(after).before {
                shown.entry(before.key().to_vec()).or_insert(false);
            }
        }
        for (index, leaf) in self.after(after).enumerate() {
            let beyond = until.is_some_and(|until| leaf.key() > until);
            if beyond {
                // It closes the range.
                shown.entry(leaf.key().to_vec()).or_insert(false);
            }
            if beyond || index == limit {
                return;
            }
            shown.insert(leaf.key().to_vec(), true);
        }
    }

    /// Writes the whole tree, showing `shown`.
    pub(super) fn encode(
        &self,
        shown: &Shown,
        contents: &mut dyn FnMut(&[u8]) -> Option<Vec<u8>>,
        encoder: &mut Encoder,
    ) {
        let shown: Vec<(&[u8], bool)> = shown
            .iter()
            .map(|(key, value)| (&key[..], *value))
            .collect();
        match self.root_link() {
            None => encoder.empty(),
            Some(root) => self.encode_below(root, &self.root_hash(), &shown, contents, encoder),
        }
    }

    fn encode_below(
        &self,
        link: Link,
        hash: &Hash,
        shown: &[(&[u8], bool)],
        contents: &mut dyn FnMut(&[u8]) -> Option<Vec<u8>>,
        encoder: &mut Encoder,
    ) {
        if shown.is_empty() {
            return encoder.pruned(hash);
        }
        if let Some(fork) = self.fork(link) {
            // All of them are below here, so up to this bit they are equal.
            let left = shown.partition_point(|(key, _)| side(key, fork.bit) == 0);
            encoder.fork();
            for (index, part) in [&shown[..left], &shown[left..]].into_iter().enumerate() {
                let hash = &fork.hashes[index];
                self.encode_below(fork.sides[index], hash, part, contents, encoder);
            }
            return;
        }
        let leaf = self.leaf(link);
        encoder.labeled(leaf.key());
        let value = shown.iter().any(|(_, value)| *value);
        match value.then(|| contents(leaf.key())).flatten() {
            Some(contents) => encoder.leaf(&contents),
            None => encoder.pruned(&leaf.value),
        }
    }
}
