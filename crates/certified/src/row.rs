//! A row of a few labels: the top of a canister's tree, above its maps and leaves.
//!
//! Forks halve the row, so its tree is as flat as can be, and a function of its labels and what is below them.

use crate::{Encoder, Hash, sha256};

/// Labels in increasing order, with the hash of what is below each.
#[derive(Clone, Debug, Default)]
pub struct Row<'a>(Vec<(&'a [u8], Hash)>);

impl<'a> Row<'a> {
    /// A row of these labels, each shorter than [`sha256::MAX_LABEL`]; they are put in order.
    #[must_use]
    pub fn new(mut labels: Vec<(&'a [u8], Hash)>) -> Self {
        labels.sort_unstable_by_key(|(label, _)| *label);
        Self(labels)
    }

    /// The hash of the row's tree.
    #[must_use]
    pub fn root_hash(&self) -> Hash {
        root_hash(&self.0)
    }

    /// Writes the tree, showing the labels in `wanted` that there are, and the neighbours of those that there aren't. What is
    /// below a wanted label is written by `below`, below the others stands a hash.
    pub fn witness(
        &self,
        wanted: &[&[u8]],
        below: &mut dyn FnMut(&[u8], &Hash, &mut Encoder),
        encoder: &mut Encoder,
    ) {
        let mut shown = vec![false; self.0.len()];
        for label in wanted {
            match self.0.binary_search_by_key(label, |(label, _)| *label) {
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
        witness(&self.0, &shown, wanted, below, encoder);
    }
}

fn root_hash(row: &[(&[u8], Hash)]) -> Hash {
    match row {
        [] => sha256::empty(),
        [(label, below)] => sha256::labeled(label, below),
        row => {
            let (left, right) = row.split_at(row.len() / 2);
            sha256::fork(&root_hash(left), &root_hash(right))
        }
    }
}

fn witness(
    row: &[(&[u8], Hash)],
    shown: &[bool],
    wanted: &[&[u8]],
    below: &mut dyn FnMut(&[u8], &Hash, &mut Encoder),
    encoder: &mut Encoder,
) {
    match row {
        [] => encoder.empty(),
        row if !shown.contains(&true) => encoder.pruned(&root_hash(row)),
        [(label, hash)] => {
            encoder.labeled(label);
            if wanted.contains(label) {
                below(label, hash, encoder);
            } else {
                encoder.pruned(hash);
            }
        }
        row => {
            let middle = row.len() / 2;
            encoder.fork();
            let (left, right) = row.split_at(middle);
            witness(left, &shown[..middle], wanted, below, encoder);
            witness(right, &shown[middle..], wanted, below, encoder);
        }
    }
}
