//! Exports of whole collections, each proved complete at one head of the log.
//!
//! ```text
//! pages ─► each certified at its own size of the log ─┐
//!                                                     ├─► roll forward ─► changed in between? ─► read again ─┐
//! blocks up to a certified head, audited ─────────────┘         ▲                                            │
//!                                                               └─── the next head ◄─────────────────────────┘
//! root over (key, leaf hash) of all records = certified root of the collection at the head
//! ```
//!
//! The canister may be written to all the while. What a block says last of a key is what the collection has at the head;
//! a key that no block names since its page was read, is as it was on the page.
//!
//! Invariants
//! - What is returned is the collection as it was at one certified head: the roots are equal, whoever answered what.
//! - No page is of an earlier log than the audit that it is rolled forward by, or changes would be missed.
//!
//! Cost: a query for each [`MAX_LIST`] records; that of the audit; a page for each stretch of records that changed while
//! they were read. All records are in memory, and a trie over them at the end.

use std::collections::{BTreeMap, BTreeSet};

use indus_api::audit::{AuditEvent, LeafChange};
use indus_api::certified::{CertifiedListArgs, MAX_LIST};
use indus_verify::{Audit, Block, Collections, Hash, LogHead, Time};
use serde_bytes::ByteBuf;

use crate::audited::{AuditedCanister, CERTIFIED_LIST, CertifiedPage, CertifiedRecord};
use crate::connection::unverified;
use crate::error::ClientError;

/// How often a collection is rolled forward before giving up. Each time only what changed during the time before is read.
const MAX_ROUNDS: u32 = 10;

/// A whole collection at one head of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// All records there are, in the order of their keys.
    pub records: Vec<CertifiedRecord>,
    /// The certified root of the collection, which they make.
    pub root: Hash,
    /// The certified head of the log, which explains them.
    pub head: LogHead,
    /// When the subnet's state was like this.
    pub certified_at: Time,
    /// Pages that were read.
    pub pages: u64,
    /// Records that had changed since, and were read again.
    pub read_again: u64,
}

impl AuditedCanister {
    /// Reads all records of `collection`, and proves that they are all. `audit` is brought to the same head; one that
    /// begins at block 0 is as good as one that knows the log up to now.
    ///
    /// Errors: as [`AuditedCanister::page`] and [`AuditedCanister::audit`]; [`ClientError::Older`] if a page is behind
    /// `audit`; [`ClientError::Incomplete`]; [`ClientError::Unsettled`].
    pub async fn export(&self, collection: &str, audit: &mut Audit) -> Result<Export, ClientError> {
        let mut reading = Reading::default();
        loop {
            let after = reading.last_key();
            if reading.add(self.next_page(collection, after, audit.size()).await?) {
                break;
            }
        }
        for _ in 0..MAX_ROUNDS {
            let certified = self.head().await?;
            // A page of a later state can't be rolled back.
            if certified.head.size < reading.newest {
                return Err(ClientError::Older {
                    method: String::from("log_head"),
                    size: certified.head.size,
                    known: reading.newest,
                });
            }
            let mut changes = Changes::default();
            self.replay(audit, &certified, |block| changes.see(collection, block))
                .await?;
            let mut stale = reading.roll_forward(changes);
            let settled = stale.is_empty();
            while let Some(first) = stale.first() {
                let page = self
                    .next_page(collection, key_before(first), audit.size())
                    .await?;
                reading.replace(page, &mut stale);
            }
            let root = certified
                .collection_root(collection)
                .map_err(|reason| unverified("log_head", reason))?;
            if reading.root(collection) == Some(root) {
                return Ok(Export {
                    records: reading.records.into_values().collect(),
                    root,
                    head: certified.head,
                    certified_at: certified.certified_at,
                    pages: reading.pages,
                    read_again: reading.read_again,
                });
            }
            if settled {
                return Err(ClientError::Incomplete {
                    collection: collection.into(),
                });
            }
        }
        Err(ClientError::Unsettled {
            collection: collection.into(),
            rounds: MAX_ROUNDS,
        })
    }

    /// The page behind `after`, of a log of at least `known` blocks.
    async fn next_page(
        &self,
        collection: &str,
        after: Option<Vec<u8>>,
        known: u64,
    ) -> Result<CertifiedPage, ClientError> {
        let args = CertifiedListArgs {
            collection: collection.into(),
            after: after.map(ByteBuf::from),
            limit: MAX_LIST,
        };
        let page = self.page(&args).await?;
        if page.head.size < known {
            return Err(ClientError::Older {
                method: CERTIFIED_LIST.into(),
                size: page.head.size,
                known,
            });
        }
        Ok(page)
    }
}

/// What the log says last of each key of a collection: the hash of its leaf, or that it was removed.
#[derive(Default)]
struct Changes(BTreeMap<Vec<u8>, Option<ByteBuf>>);

impl Changes {
    fn see(&mut self, collection: &str, block: &Block) {
        let AuditEvent::V1(event) = &block.event;
        for change in &event.changes {
            if change.collection == collection {
                self.0.insert(change.key.to_vec(), change.leaf.clone());
            }
        }
    }
}

/// The records of a collection as far as they were read.
#[derive(Default)]
struct Reading {
    records: BTreeMap<Vec<u8>, CertifiedRecord>,
    /// Size of the longest log that a page is of.
    newest: u64,
    pages: u64,
    read_again: u64,
}

impl Reading {
    /// Where the next page starts.
    fn last_key(&self) -> Option<Vec<u8>> {
        self.records.last_key_value().map(|(key, _)| key.clone())
    }

    /// Adds the page behind the last key; says whether the collection ends there.
    fn add(&mut self, page: CertifiedPage) -> bool {
        self.count(&page);
        let records = page.records.into_iter();
        self.records
            .extend(records.map(|record| (record.key.clone(), record)));
        page.end
    }

    /// Brings the records to the state after `changes`, but for those whose bytes have to be read again: their keys.
    fn roll_forward(&mut self, changes: Changes) -> BTreeSet<Vec<u8>> {
        let mut stale = BTreeSet::new();
        for (key, leaf) in changes.0 {
            match leaf {
                None => {
                    self.records.remove(&key);
                }
                Some(leaf) => {
                    let known = self.records.get(&key);
                    if known.is_none_or(|record| record.leaf != leaf.as_slice()) {
                        stale.insert(key);
                    }
                }
            }
        }
        stale
    }

    /// Takes from a page the records with `stale` keys. Of those that the page reaches none is stale any more: a record
    /// that isn't there, or is another, has changed again, which the log will tell.
    fn replace(&mut self, page: CertifiedPage, stale: &mut BTreeSet<Vec<u8>>) {
        self.count(&page);
        let reached = page.records.last().map(|record| record.key.clone());
        for record in page.records {
            if stale.remove(&record.key) {
                self.read_again += 1;
                self.records.insert(record.key.clone(), record);
            }
        }
        match reached {
            Some(reached) if !page.end => *stale = stale.split_off(&reached),
            _ => stale.clear(),
        }
    }

    fn count(&mut self, page: &CertifiedPage) {
        self.newest = self.newest.max(page.head.size);
        self.pages += 1;
    }

    /// The root of the collection that has these records alone; none if there is no such collection.
    fn root(&self, collection: &str) -> Option<Hash> {
        let changes: Vec<LeafChange> = self
            .records
            .values()
            .map(|record| LeafChange {
                collection: collection.into(),
                key: ByteBuf::from(record.key.clone()),
                leaf: Some(ByteBuf::from(record.leaf.to_vec())),
            })
            .collect();
        let mut collections = Collections::default();
        collections.apply(&changes).ok()?;
        Some(collections.root(collection))
    }
}

/// The key before `key` among those of its length; none if it is the first. A page that starts behind it begins with `key`.
#[must_use]
pub fn key_before(key: &[u8]) -> Option<Vec<u8>> {
    let mut before = key.to_vec();
    for byte in before.iter_mut().rev() {
        let (less, borrow) = byte.overflowing_sub(1);
        *byte = less;
        if !borrow {
            return Some(before);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use indus_verify::{LogRoot, leaf_hash};
    use proptest::prelude::*;

    use super::*;

    const NAME: &str = "c";

    /// The records after `history`, of which each entry is one block: a key, and its new contents or none.
    fn state(history: &[(u8, Option<u8>)]) -> BTreeMap<u8, u8> {
        let mut state = BTreeMap::new();
        for (key, contents) in history {
            match contents {
                Some(contents) => state.insert(*key, *contents),
                None => state.remove(key),
            };
        }
        state
    }

    fn page(history: &[(u8, Option<u8>)], after: Option<&[u8]>, limit: usize) -> CertifiedPage {
        let state = state(history);
        let behind = |key: &u8| after.is_none_or(|after| [*key].as_slice() > after);
        let mut records: Vec<_> = state
            .iter()
            .filter(|(key, _)| behind(key))
            .map(|(key, contents)| CertifiedRecord {
                key: vec![*key],
                bytes: Some(vec![*contents]),
                leaf: leaf_hash(&[*contents]),
            })
            .collect();
        let end = records.len() <= limit;
        records.truncate(limit);
        CertifiedPage {
            records,
            end,
            head: LogHead {
                size: history.len() as u64,
                ..LogRoot::default().head()
            },
            certified_at: Time::default(),
        }
    }

    fn changes(history: &[(u8, Option<u8>)]) -> Changes {
        let leaf = |contents: u8| ByteBuf::from(leaf_hash(&[contents]).to_vec());
        let change = |(key, contents): &(u8, Option<u8>)| (vec![*key], contents.map(leaf));
        Changes(history.iter().map(change).collect())
    }

    proptest! {
        /// `read` says how long the history is at each page; what comes after the last of them stays unread.
        #[test]
        fn whatever_is_written_while_it_is_read_the_end_is_the_state_at_a_head(
            history in proptest::collection::vec((0u8..24, proptest::option::weighted(0.7, any::<u8>())), 0..120),
            mut read in proptest::collection::vec(0usize..120, 64),
            limit in 1usize..6,
            audited in 0usize..120,
        ) {
            read.sort_unstable();
            let mut times = read.into_iter().map(|size| size.min(history.len()));
            let mut now = || times.next().unwrap_or(history.len());
            let mut reading = Reading::default();
            let first = now();
            // No page is of an earlier log than the audit.
            let mut audited = audited.min(first);
            let mut size = first;
            while !reading.add(page(&history[..size], reading.last_key().as_deref(), limit)) {
                size = now();
            }
            loop {
                let head = now().max(usize::try_from(reading.newest).unwrap());
                let mut stale = reading.roll_forward(changes(&history[audited..head]));
                audited = head;
                while let Some(first) = stale.first() {
                    let after = key_before(first);
                    reading.replace(page(&history[..now().max(head)], after.as_deref(), limit), &mut stale);
                }
                let read: BTreeMap<u8, u8> = reading
                    .records
                    .values()
                    .map(|record| (record.key[0], record.bytes.as_ref().unwrap()[0]))
                    .collect();
                let settled = read == state(&history[..head]);
                if settled {
                    break;
                }
                prop_assert!(head < history.len(), "nothing is written any more, and it is another");
            }
        }
    }

    #[test]
    fn what_was_removed_is_gone_and_what_was_added_is_read() {
        let mut reading = Reading::default();
        let before_it = [(1, Some(1)), (2, Some(2))];
        assert!(reading.add(page(&before_it, None, 10)));
        let now = [(1, Some(1)), (2, Some(2)), (1, None), (3, Some(3))];
        let mut stale = reading.roll_forward(changes(&now));
        assert_eq!(stale, BTreeSet::from([vec![3]]));
        reading.replace(page(&now, Some(&[2]), 10), &mut stale);
        assert_eq!((stale.len(), reading.read_again, reading.newest), (0, 1, 4));
        let keys: Vec<_> = reading.records.keys().map(|key| key[0]).collect();
        assert_eq!(keys, [2, 3]);
    }

    #[test]
    fn the_root_tells_any_other_set_of_records_apart() {
        let root = |history: &[(u8, Option<u8>)]| {
            let mut reading = Reading::default();
            reading.add(page(history, None, 100));
            reading.root(NAME).unwrap()
        };
        let whole = root(&[(1, Some(1)), (2, Some(2)), (3, Some(3))]);
        assert_eq!(
            root(&[(3, Some(3)), (2, Some(9)), (2, Some(2)), (1, Some(1))]),
            whole
        );
        for other in [
            &[(1, Some(1)), (2, Some(2))][..],
            &[(1, Some(1)), (2, Some(2)), (3, Some(4))],
            &[(1, Some(1)), (2, Some(2)), (4, Some(3))],
            &[],
        ] {
            assert_ne!(root(other), whole);
        }
    }

    #[test]
    fn keys_of_two_lengths_are_no_collection() {
        let mut reading = Reading::default();
        let mut both = page(&[(1, Some(1)), (2, Some(2))], None, 100);
        both.records[1].key.push(0);
        reading.add(both);
        assert_eq!(reading.root(NAME), None);
    }

    #[test]
    fn the_key_before_a_key_has_its_length() {
        assert_eq!(key_before(&[0, 1]), Some(vec![0, 0]));
        assert_eq!(key_before(&[1, 0, 0]), Some(vec![0, 255, 255]));
        assert_eq!(key_before(&[0, 0]), None);
        assert_eq!(key_before(&[]), None);
    }
}
