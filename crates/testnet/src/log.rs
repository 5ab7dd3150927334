//! A canister with a long audit log, certified: what the verifier is measured with.
//!
//! Each block changes one record: of ten blocks six add an organisation, two change one, two add a grant, whose key is a hash.
//!
//! The formats ask for these hashes, counted in compressions of SHA-256; names of fields and types are hashed once:
//!
//! | of | each |
//! | --- | --- |
//! | block | its time, the hash before it, its event, the map of four fields |
//! | log | its leaf, and an inner node |
//! | record at the head | its labeled node, and a fork |

use std::collections::BTreeSet;

use candid::Principal;
use ic_certification::{HashTree, fork, labeled, leaf, pruned};
use indus_api::audit::{AuditEvent, AuditEventV1, LeafChange};
use indus_verify::{Hash, Replay, StoredBlock, Time, compressions};
use serde_bytes::ByteBuf;
use sha2::{Digest, Sha256};

use crate::{Subnet, cbor, leb128};

/// Time of the first block; each is a second later.
const BEGINS_NS: u64 = 1_700_000_000_000_000_000;
const SECOND_NS: u64 = 1_000_000_000;
/// Bytes of a fork's domain separator and its two hashes.
const FORK_BYTES: usize = 17 + 64;
/// Bytes of a labeled node's domain separator and the hash below.
const LABELED_BYTES: usize = 20 + 32;
/// Bytes of an inner node of the log.
const INNER_BYTES: usize = 65;

/// The log, and what certifies it.
#[derive(Clone, Debug)]
pub struct LongLog {
    /// [`StoredBlock`]s, one behind the other.
    pub stored: Vec<u8>,
    /// The canister.
    pub canister: Principal,
    /// Root key of the network.
    pub root_key_der: Vec<u8>,
    /// Of the head.
    pub certificate: Vec<u8>,
    /// Of the head, as `log_head` shows it.
    pub witness: Vec<u8>,
    /// When it is certified, nanoseconds since 1970.
    pub time_ns: u64,
    /// Compressions of SHA-256 that the formats ask for.
    pub compressions: usize,
}

impl LongLog {
    /// A log of so many blocks.
    ///
    /// # Panics
    /// If the verifier refuses it.
    #[must_use]
    pub fn of(blocks: u64) -> Self {
        let mut stored = Vec::new();
        let mut parent = Hash::default();
        let mut hashes = 0;
        let mut keys = BTreeSet::new();
        let mut organisations = 0_u64;
        let mut time_ns = BEGINS_NS;
        for index in 0..blocks {
            let digest: Hash = Sha256::digest(index.to_le_bytes()).into();
            let chosen = digest
                .first_chunk()
                .map_or(0, |bytes| u64::from_le_bytes(*bytes));
            let (block_type, collection, key) = match index % 10 {
                3 | 7 => ("grant.made", "grants", digest.to_vec()),
                5 | 9 => {
                    let id = 1 + chosen % organisations;
                    (
                        "organisation.changed",
                        "organisations",
                        id.to_be_bytes().to_vec(),
                    )
                }
                _ => {
                    organisations += 1;
                    let id = organisations.to_be_bytes().to_vec();
                    ("organisation.added", "organisations", id)
                }
            };
            let event = event(collection, &key, &digest);
            time_ns += SECOND_NS;
            let block = StoredBlock {
                block_type,
                time: Time::from_nanos(time_ns),
                parent: &parent,
                event: &event,
            };
            block.write(&mut stored).expect("a block of an audit log");
            let fields = if index == 0 { 3 } else { 4 };
            hashes += 1
                + usize::from(index > 0)
                + compressions(event.len())
                + compressions(fields * 64)
                + 1;
            parent = block.hash(index);
            keys.insert((collection, key));
        }
        hashes +=
            compressions(INNER_BYTES) * usize::try_from(blocks.saturating_sub(1)).unwrap_or(0);
        for (_, key) in &keys {
            hashes += compressions(LABELED_BYTES + key.len()) + compressions(FORK_BYTES);
        }
        let canister = Principal::from_slice(&[0, 0, 0, 0, 0, 0x10, 0, 7, 1, 1]);
        let subnet = Subnet::new(1);
        let tree = head(&stored);
        Self {
            stored,
            canister,
            root_key_der: subnet.root_key_der(),
            certificate: subnet.certificate(canister, tree.digest(), time_ns),
            witness: cbor(&tree),
            time_ns,
            compressions: hashes,
        }
    }
}

fn event(collection: &str, key: &[u8], leaf: &Hash) -> Vec<u8> {
    let event = AuditEvent::V1(AuditEventV1 {
        actor: Principal::self_authenticating(key),
        changes: vec![LeafChange {
            collection: collection.into(),
            key: ByteBuf::from(key),
            leaf: Some(ByteBuf::from(leaf.to_vec())),
        }],
        details: ByteBuf::from(*b"20 bytes of details."),
    });
    candid::encode_one(event).expect("it has a Candid form")
}

/// What the canister certifies of this log, the collections pruned.
fn head(stored: &[u8]) -> HashTree {
    let one = std::num::NonZero::<usize>::MIN;
    let mut replay = Replay::new(one);
    replay.read(stored).expect("a log");
    let collections = replay.roots().expect("possible changes");
    let data = collections
        .into_iter()
        .map(|(name, root)| labeled(name, pruned(root)))
        .reduce(fork)
        .map(|collections| labeled("data", collections));
    let last = replay.last_hash().map(|hash| {
        fork(
            labeled("last_block_hash", leaf(hash.to_vec())),
            labeled("last_block_index", leaf(leb128(replay.size() - 1))),
        )
    });
    let log = [leb128(replay.size()), replay.log().peaks().concat()].concat();
    [data, last, Some(labeled("log", leaf(log)))]
        .into_iter()
        .flatten()
        .reduce(fork)
        .expect("the log is there")
}
