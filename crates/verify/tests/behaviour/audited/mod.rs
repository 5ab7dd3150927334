//! A canister with an audit log, as the design has it, made of other people's parts: hashes of blocks by
//! `icrc-ledger-types`, the log's tree by `ct-merkle`, hash trees by `ic-certification`.

use std::collections::BTreeMap;

use candid::{Nat, Principal};
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use ic_certification::{HashTree, empty, fork, labeled, leaf, pruned};
use icrc_ledger_types::icrc::generic_value::ICRC3Value;
use indus_api::audit::{AuditEvent, AuditEventV1, LeafChange};
use indus_api::icrc3::{BlockWithId, GetBlocksResult, Value};
use indus_verify::{Hash, VerifiedWitness};
use serde_bytes::ByteBuf;
use sha2::Sha256;

use crate::network::{Network, cbor, leb128};
use crate::patricia;

/// What a call changed: collection, key, and the new bytes or none.
pub(crate) type Change<'a> = (&'a str, Vec<u8>, Option<Vec<u8>>);

#[derive(Clone, Default)]
pub(crate) struct Canister {
    pub(crate) collections: BTreeMap<String, BTreeMap<Vec<u8>, Vec<u8>>>,
    pub(crate) blocks: Vec<Value>,
    pub(crate) time: u64,
    /// What is below the label `sig`, if it is there.
    pub(crate) signatures: Option<HashTree>,
}

impl Canister {
    /// A canister in whose life something has happened.
    pub(crate) fn with_a_past() -> Self {
        let mut canister = Self::default();
        for number in 0..8_u8 {
            let key = vec![0, 10 * number];
            canister.act(&[("seats", key, Some(vec![number; 5]))]);
        }
        canister.act(&[
            ("grants", vec![7; 32], Some(b"first".to_vec())),
            ("grants", vec![9; 32], Some(b"second".to_vec())),
            ("seats", vec![0, 30], None),
            ("seats", vec![0, 35], Some(b"moved".to_vec())),
        ]);
        canister.act(&[]);
        canister.act(&[("grants", vec![7; 32], None)]);
        canister
    }

    /// Changes leaves, and writes the block that says so.
    pub(crate) fn act(&mut self, changes: &[Change<'_>]) {
        for (collection, key, contents) in changes {
            let collection = self.collections.entry(collection.to_string()).or_default();
            match contents {
                Some(contents) => drop(collection.insert(key.clone(), contents.clone())),
                None => drop(collection.remove(key)),
            }
        }
        self.time += 5;
        let block = self.block(listed(changes));
        self.blocks.push(block);
    }

    /// The block that comes next, if it lists `changes`.
    pub(crate) fn block(&self, changes: Vec<LeafChange>) -> Value {
        let event = AuditEvent::V1(AuditEventV1 {
            actor: Principal::anonymous(),
            changes,
            details: ByteBuf::from(*b"details"),
        });
        let mut fields = vec![
            field("btype", Value::Text(String::from("seat.granted"))),
            field("ts", Value::Nat(Nat::from(self.time))),
            field("tx", Value::Blob(candid::encode_one(event).unwrap().into())),
        ];
        if let Some(last) = self.blocks.last() {
            let hash = ByteBuf::from(block_hash(last));
            fields.push(field("phash", Value::Blob(hash)));
        }
        Value::Map(fields)
    }

    pub(crate) fn log(&self) -> MemoryBackedTree<Sha256, Hash> {
        let mut log = MemoryBackedTree::new();
        self.blocks
            .iter()
            .for_each(|block| log.push(block_hash(block)));
        log
    }

    /// Roots of the complete subtrees of the log, each a log of its own.
    fn peaks(&self) -> Vec<Hash> {
        let mut rest = &self.blocks[..];
        let mut peaks = Vec::new();
        while !rest.is_empty() {
            let complete = 1 << rest.len().ilog2();
            let mut log: MemoryBackedTree<Sha256, Hash> = MemoryBackedTree::new();
            let (subtree, behind) = rest.split_at(complete);
            subtree.iter().for_each(|block| log.push(block_hash(block)));
            peaks.push(log.root().as_bytes()[..].try_into().unwrap());
            rest = behind;
        }
        peaks
    }

    /// The certified tree, with `row` of each collection, by its name, instead of the whole one.
    pub(crate) fn tree_with(&self, row: impl Fn(&str, HashTree) -> HashTree) -> HashTree {
        let collections: Vec<(Vec<u8>, HashTree)> = self
            .collections
            .iter()
            .map(|(name, contents)| {
                let whole = patricia::whole(&patricia::leaves(contents));
                (name.clone().into_bytes(), row(name, whole))
            })
            .collect();
        let log = self.log();
        let head = [leb128(log.len()), self.peaks().concat()].concat();
        let mut nodes = vec![
            labeled("data", joined(&collections)),
            labeled("log", leaf(head)),
        ];
        if let Some(last) = self.blocks.last() {
            nodes.insert(1, labeled("last_block_hash", leaf(block_hash(last))));
            let index = leb128(log.len() - 1);
            nodes.insert(2, labeled("last_block_index", leaf(index)));
        }
        if let Some(signatures) = &self.signatures {
            nodes.push(labeled("sig", signatures.clone()));
        }
        nodes.into_iter().reduce(fork).unwrap()
    }

    /// What shows the names of the collections and the head of the log.
    pub(crate) fn head(&self) -> HashTree {
        self.tree_with(|_, whole| pruned(whole.digest()))
    }

    /// Candid of the answer to a call for blocks.
    pub(crate) fn get_blocks(&self, start: usize, length: usize) -> Vec<u8> {
        let blocks = self.blocks.iter().enumerate().skip(start).take(length);
        candid::encode_one(GetBlocksResult {
            log_length: Nat::from(self.blocks.len()),
            blocks: blocks
                .map(|(id, block)| BlockWithId {
                    id: Nat::from(id),
                    block: block.clone(),
                })
                .collect(),
            archived_blocks: vec![],
        })
        .unwrap()
    }
}

/// The changes as a block lists them.
pub(crate) fn listed(changes: &[Change<'_>]) -> Vec<LeafChange> {
    changes
        .iter()
        .map(|(collection, key, contents)| LeafChange {
            collection: collection.to_string(),
            key: key.clone().into(),
            leaf: contents
                .as_ref()
                .map(|contents| leaf(contents.clone()).digest().to_vec().into()),
        })
        .collect()
}

pub(crate) fn field(name: &str, value: Value) -> (String, Value) {
    (String::from(name), value)
}

pub(crate) fn block_hash(block: &Value) -> Hash {
    oracle(block).hash()
}

fn oracle(value: &Value) -> ICRC3Value {
    match value {
        Value::Blob(bytes) => ICRC3Value::Blob(bytes.clone()),
        Value::Text(text) => ICRC3Value::Text(text.clone()),
        Value::Nat(number) => ICRC3Value::Nat(number.clone()),
        Value::Int(number) => ICRC3Value::Int(number.clone()),
        Value::Array(items) => ICRC3Value::Array(items.iter().map(oracle).collect()),
        Value::Map(fields) => ICRC3Value::Map(
            fields
                .iter()
                .map(|(name, value)| (name.clone(), oracle(value)))
                .collect(),
        ),
    }
}

/// A row of labels of any length.
fn joined(entries: &patricia::Entries) -> HashTree {
    entries
        .iter()
        .map(|(label, below)| labeled(label.clone(), below.clone()))
        .reduce(fork)
        .unwrap_or_else(empty)
}

/// `tree` as what a canister certified and showed.
pub(crate) fn verified(tree: &HashTree) -> VerifiedWitness {
    Network::certifying(tree.digest())
        .witness(&cbor(tree))
        .unwrap()
}
