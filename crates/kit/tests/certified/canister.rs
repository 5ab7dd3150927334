//! A canister with two collections, and a client that trusts nothing but the network's key.

use std::collections::BTreeMap;

use candid::{CandidType, Principal};
use ic_stable_structures::VectorMemory;
use indus_api::{Error, Subject};
use indus_kit::{
    Change, CollectionId, CollectionSpec, Context, Definition, Event, Kit, Memories,
    subjects::{Owner, ReadRule},
};
use indus_verify::{Audit, RootKey, Time, TimeBound, VerifiedWitness, Verifier};
use serde::{Deserialize, Serialize};
use testnet::Subnet;

pub(crate) const THINGS: CollectionId = CollectionId(0);
pub(crate) const SECRETS: CollectionId = CollectionId(1);
pub(crate) const CHANGED: &str = "things.changed";

const NOW: u64 = 1_700_000_000_000_000_000;
const SUBNET: Subnet = Subnet::new(7);

pub(crate) static DEFINITION: Definition = Definition {
    kind: "example",
    about: "What is tested.",
    version: "1.0.0",
    layout: 3,
    collections: &[
        CollectionSpec {
            name: "things",
            key_bytes: 8,
            records: 0,
            trie: 1,
            rule: ReadRule::Public,
            owner: |_| None,
        },
        CollectionSpec {
            name: "secrets",
            key_bytes: 32,
            records: 2,
            trie: 3,
            rule: ReadRule::Owner,
            owner: |record| {
                let secret: Secret = candid::decode_one(record).ok()?;
                Some(Owner {
                    person: secret.owner,
                    organisation: None,
                })
            },
        },
    ],
    block_types: &[CHANGED],
};

/// A record that not everybody may read.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Secret {
    pub(crate) owner: Principal,
    pub(crate) salt: [u8; 16],
}

pub(crate) fn person(n: u8) -> Principal {
    Principal::from_slice(&[n, 1])
}

pub(crate) fn subject(n: u8) -> Subject {
    Subject {
        person: person(n),
        organisation: None,
        roles: [].into(),
    }
}

/// Records by collection and key.
pub(crate) type Model = BTreeMap<(usize, Vec<u8>), Vec<u8>>;

/// The canister, and what its records must be.
pub(crate) struct Example {
    pub(crate) memory: VectorMemory,
    pub(crate) kit: Kit<VectorMemory>,
    pub(crate) model: Model,
    time_ns: u64,
}

impl Example {
    pub(crate) fn new() -> Self {
        let memory = VectorMemory::default();
        let memories = Memories::create(memory.clone());
        let mut kit = Kit::create(&memories, &DEFINITION).unwrap();
        kit.installed(&context(1), Vec::new()).unwrap();
        kit.certified.commit();
        Self {
            memory,
            kit,
            model: Model::new(),
            time_ns: 1,
        }
    }

    /// Records an event, in the model too if it is accepted.
    pub(crate) fn record(&mut self, changes: Vec<Change>) -> Result<u64, Error> {
        self.time_ns += 1;
        let index = self.kit.certified.record(Event {
            kind: CHANGED,
            actor: person(1),
            time_ns: self.time_ns,
            changes: changes.clone(),
            details: vec![7; changes.len()],
        })?;
        for change in changes {
            let place = (change.collection.0, change.key);
            match change.record {
                Some(record) => drop(self.model.insert(place, record)),
                None => drop(self.model.remove(&place)),
            }
        }
        Ok(index)
    }

    /// As after an upgrade to the same module: the heap is gone.
    pub(crate) fn reopen(&mut self) {
        let memories = Memories::open(self.memory.clone()).unwrap();
        self.kit = Kit::open(&memories, &DEFINITION).unwrap();
    }

    /// A witness as a client sees it, under a certificate of the network.
    pub(crate) fn verified(&self, witness: &[u8]) -> VerifiedWitness {
        let canister = person(77);
        let certificate = SUBNET.certificate(canister, self.kit.certified.root_hash(), NOW);
        let root_key = RootKey::from_der(&SUBNET.root_key_der()).unwrap();
        Verifier::new(root_key)
            .certificate(
                &certificate,
                canister,
                Time::from_nanos(NOW),
                TimeBound::within(std::time::Duration::from_secs(1)),
            )
            .unwrap()
            .witness(witness)
            .unwrap()
    }

    /// Replays the whole log against what is certified.
    pub(crate) fn audit(&self) {
        let mut audit = Audit::default();
        let size = self.kit.certified.log_len();
        while audit.size() < size {
            let range = indus_api::icrc3::GetBlocksArgs {
                start: audit.size().into(),
                length: 1_000_u64.into(),
            };
            let page = self.kit.certified.blocks(&[range]).unwrap();
            audit
                .page(&candid::encode_one(page).unwrap(), size)
                .unwrap();
        }
        let head = self.verified(&self.kit.certified.witness_of_head().unwrap());
        assert_eq!(audit.check(&head).unwrap().size, size);
    }
}

pub(crate) fn context(time_ns: u64) -> Context {
    Context {
        caller: person(1),
        time_ns,
    }
}

pub(crate) fn put(collection: CollectionId, key: &[u8], record: &[u8]) -> Change {
    Change {
        collection,
        key: key.to_vec(),
        record: Some(record.to_vec()),
    }
}

pub(crate) fn remove(collection: CollectionId, key: &[u8]) -> Change {
    Change {
        collection,
        key: key.to_vec(),
        record: None,
    }
}
