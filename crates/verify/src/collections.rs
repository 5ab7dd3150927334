//! The collections of a canister, as the changes that its audit log lists make them.
//!
//! Invariants
//! - After the changes of any block, [`Collections::root`] is what the canister certified below `data`/collection when it
//!   wrote that block, or the log does not explain the state.
//! - Refused changes change nothing.
//!
//! Cost: see `trie.rs`. An entry takes about 160 bytes and its key.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use indus_api::audit::LeafChange;
use thiserror::Error;

use crate::node;
use crate::path;
use crate::tree::Hash;
use crate::trie::Trie;

/// A change that a canister can't have made.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the change of {path}: {fault}")]
pub struct ImpossibleChange {
    /// Collection and key.
    pub path: String,
    /// What is wrong with it.
    pub fault: ChangeFault,
}

/// Why a change is impossible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ChangeFault {
    /// Changes come in the order of collection and key, each once.
    #[error("it is not behind the change before it")]
    Order,
    /// All keys of a collection have one length, also while it is empty.
    #[error("its key has {length} bytes instead of {expected}")]
    KeyLength { length: usize, expected: usize },
    /// Hashes of leaves have 32 bytes.
    #[error("its leaf hash has {length} bytes instead of 32")]
    LeafLength { length: usize },
    /// There is no such entry to remove.
    #[error("it removes an entry that is not there")]
    NothingToRemove,
}

/// Collections by their names, each as far as hashes tell of it.
#[derive(Clone, Debug, Default)]
pub struct Collections {
    tries: BTreeMap<String, Collection>,
}

#[derive(Clone, Debug)]
struct Collection {
    key_length: usize,
    trie: Trie,
}

impl Collections {
    /// Makes the changes of one event: all of them, or none if one is impossible.
    pub fn apply(&mut self, changes: &[LeafChange]) -> Result<(), ImpossibleChange> {
        let mut before: Option<&LeafChange> = None;
        let mut checked = Vec::with_capacity(changes.len());
        for change in changes {
            let leaf = self
                .check(change, before)
                .map_err(|fault| ImpossibleChange {
                    path: path::text(&[change.collection.as_bytes(), &change.key]),
                    fault,
                })?;
            checked.push((change, leaf));
            before = Some(change);
        }
        for (change, leaf) in checked {
            let collection = match self.tries.entry(change.collection.clone()) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(Collection {
                    key_length: change.key.len(),
                    trie: Trie::default(),
                }),
            };
            match leaf {
                Some(leaf) => collection.trie.insert(&change.key, &leaf),
                None => collection.trie.remove(&change.key),
            }
        }
        Ok(())
    }

    /// The new leaf hash of a change that is possible after the one `before` it in the same event.
    fn check(
        &self,
        change: &LeafChange,
        before: Option<&LeafChange>,
    ) -> Result<Option<Hash>, ChangeFault> {
        if before.is_some_and(|before| {
            (&before.collection, &before.key) >= (&change.collection, &change.key)
        }) {
            return Err(ChangeFault::Order);
        }
        let known = self.tries.get(&change.collection);
        let length = change.key.len();
        let expected = known.map(|known| known.key_length).or_else(|| {
            let neighbour = before.filter(|before| before.collection == change.collection);
            neighbour.map(|before| before.key.len())
        });
        if let Some(expected) = expected
            && expected != length
        {
            return Err(ChangeFault::KeyLength { length, expected });
        }
        match &change.leaf {
            Some(leaf) => match leaf.as_slice().try_into() {
                Ok(leaf) => Ok(Some(leaf)),
                Err(_) => Err(ChangeFault::LeafLength { length: leaf.len() }),
            },
            None if known.is_some_and(|known| known.trie.contains(&change.key)) => Ok(None),
            None => Err(ChangeFault::NothingToRemove),
        }
    }

    /// The hash of the hash tree that the collection `name` is certified as; that of nothing, if it was never named.
    pub fn root(&mut self, name: &str) -> Hash {
        match self.tries.get_mut(name) {
            Some(collection) => collection.trie.root_hash(),
            None => node::empty(),
        }
    }

    /// Names of the collections that have entries.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tries
            .iter()
            .filter(|(_, collection)| !collection.trie.is_empty())
            .map(|(name, _)| name.as_str())
    }
}
