//! Witnesses: the hash tree of the map, pruned to what was asked for.
//!
//! First the keys to be shown are found, each of them present; then one way down writes them all. Between two neighbours
//! that are both shown there is no key, so nothing is left there to be pruned: that is the proof of absence and of
//! completeness. A key that is asked for alone is written at once, and only sought if it turns out to be absent.

use std::collections::BTreeMap;

use ic_stable_structures::Memory;

use super::{
    CertifiedMap, MapError,
    layout::{Fork, Link, side},
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

/// Gives the value of a key that is shown, from the key and its note, or nothing if only the hash is.
pub type Contents<'a> = &'a mut dyn FnMut(&[u8], u64) -> Option<Vec<u8>>;

/// Keys that are shown, and whether with their values.
type Shown = BTreeMap<Vec<u8>, bool>;

/// A key that should be shown is not there.
struct Absent;

impl<M: Memory> CertifiedMap<M> {
    pub(super) fn write_witness(
        &self,
        requests: &[Request<'_>],
        contents: Contents<'_>,
        encoder: &mut Encoder,
    ) -> Result<(), MapError> {
        if let [Request::Key(key)] = *requests
            && key.len() == self.header.key_bytes
        {
            let start = encoder.len();
            if self.encode(&[(key, true)], contents, encoder).is_ok() {
                return Ok(());
            }
            encoder.truncate(start);
        }
        let shown = self.shown(requests)?;
        let shown: Vec<_> = shown
            .iter()
            .map(|(key, value)| (&key[..], *value))
            .collect();
        // They were all found.
        self.encode(&shown, contents, encoder).or(Ok(()))
    }

    /// The keys that answer `requests`.
    fn shown(&self, requests: &[Request<'_>]) -> Result<Shown, MapError> {
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
    fn encode(
        &self,
        shown: &[(&[u8], bool)],
        contents: Contents<'_>,
        encoder: &mut Encoder,
    ) -> Result<(), Absent> {
        let Some(root) = self.root_link() else {
            encoder.empty();
            return Ok(());
        };
        let mut writer = Writer {
            map: self,
            room: Fork::ROOM,
            contents,
            encoder,
        };
        writer.below(root, &self.root_hash(), shown)
    }
}

struct Writer<'a, M: Memory> {
    map: &'a CertifiedMap<M>,
    /// Of the fork that is looked at: a way down has many.
    room: Fork,
    contents: Contents<'a>,
    encoder: &'a mut Encoder,
}

impl<M: Memory> Writer<'_, M> {
    /// Writes what is below a link.
    fn below(&mut self, link: Link, hash: &Hash, shown: &[(&[u8], bool)]) -> Result<(), Absent> {
        let Some((key, value)) = shown.first() else {
            self.encoder.pruned(hash);
            return Ok(());
        };
        if let Some(fork) = self.map.fork(link, &mut self.room) {
            // All of them are below here, so up to this bit they are equal.
            let left = shown.partition_point(|(key, _)| side(key, fork.bit()) == 0);
            let links = [fork.link(0), fork.link(1)];
            let hashes = *fork.hashes();
            self.encoder.fork();
            let (left, right) = shown.split_at(left);
            let (hashes, _) = hashes.as_chunks();
            self.below(links[0], &hashes[0], left)?;
            return self.below(links[1], &hashes[1], right);
        }
        let leaf = self.map.leaf(link);
        if leaf.key() != *key {
            return Err(Absent);
        }
        self.encoder.labeled(key);
        match value.then(|| (self.contents)(key, leaf.note())).flatten() {
            Some(contents) => self.encoder.leaf(&contents),
            None => self.encoder.pruned(&leaf.hash()),
        }
        Ok(())
    }
}
