//! What the canister signs: the collection whose tree also stands below the label `sig` ([`indus_api::signatures`]).
//!
//! Invariant: a message is signed by an event of the log, and withdrawn by one.
//!
//! Cost: that of an event with a record without bytes.

use ic_stable_structures::Memory;
use indus_api::signatures::{SIGNATURES, key};

use crate::{Certified, Change, CollectionId, CollectionSpec, subjects::ReadRule};

/// The collection of signatures of a canister that signs.
#[derive(Clone, Copy, Debug)]
pub struct Signatures(CollectionId);

impl Signatures {
    /// The collection at this place of the canister's list.
    #[must_use]
    pub const fn new(place: usize) -> Self {
        Self(CollectionId(place))
    }

    /// What the canister lists at that place. Everybody may read it: a hash tells nothing to who can't guess the message.
    #[must_use]
    pub const fn spec(records: u8, trie: u8) -> CollectionSpec {
        CollectionSpec {
            name: SIGNATURES,
            key_bytes: 32,
            records,
            trie,
            rule: ReadRule::Public,
            owner: |_| None,
        }
    }

    /// Whether a message is signed.
    #[must_use]
    pub fn contains<M: Memory>(&self, certified: &Certified<M>, message: &[u8]) -> bool {
        certified.collection(self.0).contains(&key(message))
    }

    /// The change that signs a message.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Change {
        self.change(message, Some(Vec::new()))
    }

    /// The change that withdraws a message that is signed.
    #[must_use]
    pub fn withdraw(&self, message: &[u8]) -> Change {
        self.change(message, None)
    }

    fn change(&self, message: &[u8], record: Option<Vec<u8>>) -> Change {
        Change {
            collection: self.0,
            key: key(message).to_vec(),
            record,
        }
    }
}
