//! A canister's own tree that was verified, and typed values in its leaves.
//!
//! Decoding is bounded, because who writes a leaf need not be who wrote its type: fields that the reader
//! doesn't know are skipped at a limited cost.

use candid::de::DecoderConfig;
use candid::{CandidType, utils};
use serde::de::DeserializeOwned;

use crate::error::VerifyError;
use crate::path;
use crate::tree::{HashTree, Lookup};
use crate::verified::found;

/// Most work to decode one leaf, in Candid's units (about one for each byte): tens of milliseconds.
const DECODING_QUOTA: usize = 10_000_000;
/// Most of it for what the reader's type doesn't have.
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
        let mut config = DecoderConfig::new();
        config
            .set_decoding_quota(DECODING_QUOTA)
            .set_skipping_quota(SKIPPING_QUOTA)
            .set_full_error_message(false);
        utils::decode_one_with_config(self.leaf(path)?, &config).map_err(|error| {
            VerifyError::Value {
                path: path::text(path),
                reason: one_line(&error.to_string()),
            }
        })
    }
}

/// Messages of Candid may have several lines.
fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}
