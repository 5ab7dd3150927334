//! A stretch of a collection that was shown whole.
//!
//! Below a path stands one row of labels in increasing order. Forks are transparent, so only a pruned part of the row can
//! hide labels, and only those between the two shown labels beside it:
//!
//! ```text
//! 03 (pruned) 08 0a 0c (pruned)      after 08: 0a and 0c are all up to 0c, and the collection may go on
//! 03 (pruned) 08 0a 0c               after 08: 0a and 0c are all, and the collection ends
//! 03 (pruned) 08 0a 0c               after 05: refused, 06 may be hidden
//! ```
//!
//! Cost: one pass over the row, and the hashes of what is below the entries.

use std::ops::Bound;

use crate::error::VerifyError;
use crate::path;
use crate::tree::{Hash, HashTree, Item, Lookup};
use crate::verified::missing;

/// One label of a collection and what is below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The key.
    pub label: &'a [u8],
    /// The contents of the leaf; none if they are pruned, or if the label leads to something else than a leaf.
    pub leaf: Option<&'a [u8]>,
    /// The hash of what is below the label: of the leaf node, if it is one.
    pub hash: Hash,
}

/// Entries of a collection, none between them left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<'a> {
    /// In the order of their labels.
    pub entries: Vec<Entry<'a>>,
    /// It is proved that the collection has nothing behind the last of `entries` (or behind `after`, if there are none).
    pub end: bool,
}

impl<'a> Page<'a> {
    pub(crate) fn read<P: AsRef<[u8]>>(
        tree: &'a HashTree,
        path: &[P],
        after: Option<&[u8]>,
        until: Bound<&[u8]>,
    ) -> Result<Self, VerifyError> {
        let row = tree.row(path).map_err(|lookup| missing(lookup, path))?;
        let mut entries: Vec<Entry<'a>> = Vec::new();
        // Something pruned stands between the last label and where we are.
        let mut hidden = false;
        let mut end = true;
        let refused = |entries: &[Entry<'_>]| VerifyError::Hidden {
            path: path::text(path),
            after: entries
                .last()
                .map(|entry| entry.label)
                .or(after)
                .map(path::label),
        };
        for item in tree.items(row) {
            let reached = entries.last().map(|entry| entry.label).or(after);
            match item {
                Item::Leaf => return Err(missing(Lookup::NotALeaf, path)),
                Item::Labeled { label, .. } if after.is_some_and(|after| label <= after) => {
                    hidden = false;
                }
                // The stretch is complete, and the collection is not.
                _ if reached.is_some_and(
                    |label| matches!(until, Bound::Included(last) if last <= label),
                ) =>
                {
                    end = false;
                    break;
                }
                Item::Pruned => hidden = true,
                Item::Labeled { .. } if hidden => return Err(refused(&entries)),
                Item::Labeled { label, .. } if !within(label, until) => {
                    end = false;
                    break;
                }
                Item::Labeled { label, below } => entries.push(Entry {
                    label,
                    leaf: tree.contents(below.clone()),
                    hash: tree.hash_of(below),
                }),
            }
        }
        if hidden {
            if until != Bound::Unbounded || entries.is_empty() {
                return Err(refused(&entries));
            }
            end = false;
        }
        Ok(Self { entries, end })
    }
}

fn within(label: &[u8], until: Bound<&[u8]>) -> bool {
    match until {
        Bound::Included(last) => label <= last,
        Bound::Excluded(first) => label < first,
        Bound::Unbounded => true,
    }
}
