//! What is measured in instructions: the certified structures, and what a user would pick instead, at the same work.
//!
//! A record of 200 bytes is stored under the SHA-256 of its number, and certified: here in [`CertifiedRecords`], there in
//! an `RbTree` of ic-certified-map on the heap, with the bytes in a `StableBTreeMap`.
//!
//! The same code lays out large states natively ([`Structures::create`], [`Structures::fill`]); they are loaded as stable
//! memory, and `open` takes them over. The `RbTree` has no such form: `peer_fill` grows it, as an upgrade would have to.

pub mod events;

use std::cell::RefCell;

use candid::CandidType;
use ic_cdk::{api::instruction_counter, update};
use ic_certified_map::{AsHashTree, HashTree, RbTree};
use ic_stable_structures::{
    DefaultMemoryImpl, Memory, StableBTreeMap,
    memory_manager::{MemoryId, MemoryManager, VirtualMemory},
};
use indus_certified::{CertifiedLog, CertifiedRecords, Encoder, Hash, Request, sha256};
use serde::{Deserialize, Serialize as _};

/// Bytes of a record.
pub const RECORD_BYTES: usize = 200;

type Key = [u8; 32];

/// What is in stable memory.
pub struct Structures<M: Memory> {
    records: CertifiedRecords<VirtualMemory<M>>,
    /// Bytes of the peer's records.
    peer: StableBTreeMap<Key, Vec<u8>, VirtualMemory<M>>,
    log: CertifiedLog<VirtualMemory<M>>,
}

impl<M: Memory> Structures<M> {
    fn memories(memory: M) -> [VirtualMemory<M>; 5] {
        let manager = MemoryManager::init(memory);
        [0, 1, 2, 3, 4].map(|id| manager.get(MemoryId::new(id)))
    }

    /// Empty structures.
    ///
    /// # Panics
    /// If the memory can't grow.
    #[must_use]
    #[allow(clippy::expect_used, reason = "a benchmark")]
    pub fn create(memory: M) -> Self {
        let [trie, values, nodes, payloads, peer] = Self::memories(memory);
        Self {
            records: CertifiedRecords::create(trie, values, 32).expect("records"),
            peer: StableBTreeMap::new(peer),
            log: CertifiedLog::create(nodes, payloads).expect("a log"),
        }
    }

    #[allow(clippy::expect_used, reason = "a benchmark")]
    fn open(memory: M) -> Self {
        let [trie, values, nodes, payloads, peer] = Self::memories(memory);
        Self {
            records: CertifiedRecords::open(trie, values, 32).expect("records"),
            peer: StableBTreeMap::load(peer),
            log: CertifiedLog::open(nodes, payloads).expect("a log"),
        }
    }

    /// Records `from..to`, certified, without a commit for each.
    ///
    /// # Panics
    /// If the memory can't grow.
    #[allow(clippy::expect_used, reason = "a benchmark")]
    pub fn fill(&mut self, from: u64, to: u64) {
        for n in from..to {
            let (key, record) = (key(n), record(n));
            self.records.put(&key, Some(&record)).expect("put");
            self.peer.insert(key, record);
            if n % 1_000 == 0 {
                self.records.commit();
            }
        }
        self.records.commit();
    }

    /// Bytes of the trie.
    #[must_use]
    pub fn trie_bytes(&self) -> u64 {
        self.records.map().stable_bytes()
    }

    /// Entries up to `size` for the log.
    ///
    /// # Panics
    /// If the memory can't grow.
    #[allow(clippy::expect_used, reason = "a benchmark")]
    pub fn fill_log(&mut self, size: u64) {
        for n in self.log.len()..size {
            self.log.append(&key(n), &record(n)).expect("appended");
        }
    }
}

/// The key of record `n`.
fn key(n: u64) -> Key {
    sha256::digest(&n.to_be_bytes())
}

fn record(n: u64) -> Vec<u8> {
    let mut record = vec![0; RECORD_BYTES];
    for part in record.chunks_mut(8) {
        part.copy_from_slice(&n.to_be_bytes()[..part.len()]);
    }
    record
}

/// A leaf whose bytes are in the records.
struct LeafHash(Hash);

impl AsHashTree for LeafHash {
    fn root_hash(&self) -> Hash {
        self.0
    }

    fn as_hash_tree(&self) -> HashTree<'_> {
        HashTree::Pruned(self.0)
    }
}

thread_local! {
    static OURS: RefCell<Option<Structures<DefaultMemoryImpl>>> = const { RefCell::new(None) };
    static PEER: RefCell<RbTree<Key, LeafHash>> = const { RefCell::new(RbTree::new()) };
}

/// What some operations took.
#[derive(CandidType, Deserialize, Clone, Copy, Debug)]
pub struct Took {
    /// In all.
    pub instructions: u64,
    /// Bytes of the encoded witnesses, in all.
    pub witness_bytes: u64,
}

fn took(work: impl FnOnce() -> u64) -> Took {
    let before = instruction_counter();
    let witness_bytes = work();
    Took {
        instructions: instruction_counter() - before,
        witness_bytes,
    }
}

fn ours<T>(work: impl FnOnce(&mut Structures<DefaultMemoryImpl>) -> T) -> T {
    OURS.with_borrow_mut(|ours| match ours {
        Some(ours) => work(ours),
        None => ic_cdk::api::trap("open first"),
    })
}

fn records(from: u64, to: u64) -> Vec<(Key, Vec<u8>)> {
    (from..to).map(|n| (key(n), record(n))).collect()
}

/// Takes over what was loaded into stable memory.
#[update]
fn open() {
    OURS.set(Some(Structures::open(DefaultMemoryImpl::default())));
}

/// One SHA-256 block, `count` times.
#[update]
fn sha256_blocks(count: u64) -> Took {
    let mut hash = [7; 32];
    took(|| {
        for _ in 0..count {
            hash = sha256::digest(&hash);
        }
        u64::from(hash[0])
    })
}

/// Certifies records `from..to` one by one, their leaf hashes given: what the trie takes.
#[update]
fn map_insert(from: u64, to: u64) -> Took {
    let leaves: Vec<_> = records(from, to)
        .into_iter()
        .map(|(key, record)| (key, sha256::leaf(&record)))
        .collect();
    ours(|ours| {
        took(|| {
            for (key, leaf) in leaves {
                // Without a value.
                let _ = ours.records.stage(&key, Some((leaf, 0)));
                ours.records.commit();
            }
            0
        })
    })
}

/// Stores and certifies records `from..to` one by one.
#[update]
fn record_insert(from: u64, to: u64) -> Took {
    let records = records(from, to);
    ours(|ours| {
        took(|| {
            for (key, record) in records {
                let _ = ours.records.put(&key, Some(&record));
                ic_cdk::api::certified_data_set(ours.records.commit());
            }
            0
        })
    })
}

/// The same with ic-certified-map.
#[update]
fn peer_record_insert(from: u64, to: u64) -> Took {
    let records = records(from, to);
    ours(|ours| {
        PEER.with_borrow_mut(|peer| {
            took(|| {
                for (key, record) in records {
                    peer.insert(key, LeafHash(ic_certified_map::leaf_hash(&record)));
                    ours.peer.insert(key, record);
                    ic_cdk::api::certified_data_set(peer.root_hash());
                }
                0
            })
        })
    })
}

/// Grows the peer's tree by records `from..to`, whose bytes are stored already.
#[update]
fn peer_fill(from: u64, to: u64) {
    PEER.with_borrow_mut(|peer| {
        for n in from..to {
            peer.insert(key(n), LeafHash(ic_certified_map::leaf_hash(&record(n))));
        }
    });
}

/// Reads every `step`th of the records `0..to` with its witness.
#[update]
fn read(to: u64, step: u64) -> Took {
    let keys: Vec<_> = (0..to)
        .step_by(usize::try_from(step).unwrap_or(1))
        .map(key)
        .collect();
    ours(|ours| {
        took(|| {
            let mut bytes = 0;
            for key in &keys {
                let mut encoder = Encoder::new();
                let _ = ours
                    .records
                    .witness(&[Request::Key(key)], &|_| true, &mut encoder);
                bytes += encoder.finish().len() as u64;
            }
            bytes
        })
    })
}

/// The same with ic-certified-map.
#[update]
fn peer_read(to: u64, step: u64) -> Took {
    let keys: Vec<_> = (0..to)
        .step_by(usize::try_from(step).unwrap_or(1))
        .map(key)
        .collect();
    ours(|ours| {
        PEER.with_borrow(|peer| {
            took(|| {
                let mut bytes = 0;
                for key in &keys {
                    let record = ours.peer.get(key).unwrap_or_default();
                    let witness = peer.nested_witness(key, |_| HashTree::Leaf(record.into()));
                    let mut serializer = serde_cbor::Serializer::new(Vec::new());
                    let _ = serializer
                        .self_describe()
                        .and_then(|()| witness.serialize(&mut serializer));
                    bytes += serializer.into_inner().len() as u64;
                }
                bytes
            })
        })
    })
}

/// Appends `count` entries of 200 bytes to the log, one by one, each with the new root.
#[update]
fn log_append(count: u64) -> Took {
    ours(|ours| {
        let size = ours.log.len();
        let entries = records(size, size + count);
        took(|| {
            for (hash, payload) in &entries {
                let _ = ours.log.append(hash, payload);
                ic_cdk::api::certified_data_set(ours.log.root());
            }
            0
        })
    })
}

/// The Candid interface.
#[cfg(not(target_family = "wasm"))]
#[must_use]
pub fn candid_interface() -> String {
    candid::export_service!();
    __export_service()
}
