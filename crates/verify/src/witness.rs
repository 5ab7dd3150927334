//! A canister's own tree that was verified, and typed values in its leaves.
//!
//! Decoding is bounded, because who writes a leaf need not be who wrote its type: fields that the reader
//! doesn't know are skipped at a limited cost. One witness may show any number of paths; each is asked for by itself.

use std::ops::Bound;

use candid::CandidType;
use serde::de::DeserializeOwned;

use crate::decode;
use crate::error::VerifyError;
use crate::page::Page;
use crate::path;
use crate::tree::{Hash, HashTree, Lookup};
use crate::verified::{found, missing};

/// Most work for what the reader's type of a leaf doesn't have, in Candid's units (about one for each byte).
const SKIPPING_QUOTA: usize = 100_000;

/// The part of a canister's certified tree that a witness showed.
#[derive(Clone, Debug)]
pub struct VerifiedWitness {
    tree: HashTree,
}

impl VerifiedWitness {
    pub(crate) fn new(tree: HashTree) -> Self {
        Self { tree }
    }

    /// What it proves about `path`.
    pub fn lookup<P: AsRef<[u8]>>(&self, path: &[P]) -> Lookup<'_> {
        self.tree.lookup(path)
    }

    /// The bytes of the leaf at `path`.
    ///
    /// Errors: [`VerifyError::Absent`], [`VerifyError::Unknown`], [`VerifyError::NotALeaf`].
    pub fn leaf<P: AsRef<[u8]>>(&self, path: &[P]) -> Result<&[u8], VerifyError> {
        found(self.lookup(path), path)
    }

    /// The leaf at `path`, decoded from Candid: one argument of type `T` (or of a subtype), no bytes after it.
    ///
    /// Errors: as [`VerifiedWitness::leaf`], and [`VerifyError::Value`].
    pub fn value<T>(&self, path: &[impl AsRef<[u8]>]) -> Result<T, VerifyError>
    where
        T: CandidType + DeserializeOwned,
    {
        decode::one(self.leaf(path)?, SKIPPING_QUOTA).map_err(|reason| VerifyError::Value {
            path: path::text(path),
            reason,
        })
    }

    /// That there is nothing at `path`.
    ///
    /// Errors: [`VerifyError::Present`] if there is a leaf or a subtree, [`VerifyError::Unknown`], and
    /// [`VerifyError::NotALeaf`] if the path goes on below a leaf.
    pub fn absent<P: AsRef<[u8]>>(&self, path: &[P]) -> Result<(), VerifyError> {
        match self.tree.lookup(path) {
            Lookup::Absent => Ok(()),
            Lookup::Unknown => Err(missing(Lookup::Unknown, path)),
            Lookup::NotALeaf if self.tree.row(path).is_err() => {
                Err(missing(Lookup::NotALeaf, path))
            }
            Lookup::Found(_) | Lookup::NotALeaf => Err(VerifyError::Present {
                path: path::text(path),
            }),
        }
    }

    /// The hash of whatever is below `path`, shown or pruned: a leaf, a collection, everything.
    ///
    /// Errors: [`VerifyError::Absent`] if the label at its end is, [`VerifyError::Unknown`], and
    /// [`VerifyError::NotALeaf`] if the path goes on below a leaf.
    pub fn subtree_hash<P: AsRef<[u8]>>(&self, path: &[P]) -> Result<Hash, VerifyError> {
        match self.tree.row(path) {
            Ok(row) => Ok(self.tree.hash_of(row)),
            Err(lookup) => Err(missing(lookup, path)),
        }
    }

    /// The entries directly below `path` whose labels are greater than `after` (all without it) and within `until`, with
    /// the proof that there are no others.
    ///
    /// If `until` is a label, the proof reaches it, whether there is such an entry or not. If it is unbounded, the proof
    /// reaches the last entry that is shown, and [`Page::end`] tells whether the collection ends there. What the witness
    /// shows or hides outside of that stretch does not matter. Entries may have their contents pruned; see
    /// [`Entry`](crate::Entry).
    ///
    /// A pruned part hides labels between those that are shown beside it, so a witness for a page shows `after` itself,
    /// or the neighbours between which it would be.
    ///
    /// Errors: [`VerifyError::Hidden`] if an entry may be hidden in that stretch, or an unbounded one shows neither an
    /// entry nor the end; [`VerifyError::Absent`], [`VerifyError::Unknown`] or [`VerifyError::NotALeaf`] if `path` does
    /// not lead to entries.
    pub fn entries<P: AsRef<[u8]>>(
        &self,
        path: &[P],
        after: Option<&[u8]>,
        until: Bound<&[u8]>,
    ) -> Result<Page<'_>, VerifyError> {
        Page::read(&self.tree, path, after, until)
    }
}
