//! Snapshots of a canister: its module, memories, chunks and certified data at a moment, taken from it or uploaded.
//!
//! Pages and chunks are shared with the canister and with other snapshots until one side changes.

use std::{collections::BTreeMap, fmt::Write as _};

use candid::Principal;

use super::chunks::ChunkStore;
use crate::{
    Time,
    memory::{GlobalValue, Image},
};

/// Most snapshots of a canister.
pub(crate) const MAX_SNAPSHOTS: usize = 10;

/// How far the hook that warns of a full heap has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HookStatus {
    NotSatisfied,
    Ready,
    Executed,
}

/// One snapshot.
pub(crate) struct Snapshot {
    /// Made from uploads, and not complete before the last of them.
    pub(crate) is_uploaded: bool,
    pub(crate) taken_at: Time,
    /// Of the canister when it was taken.
    pub(crate) canister_version: u64,
    /// As it was uploaded: plain or gzipped.
    pub(crate) module: Vec<u8>,
    pub(crate) image: Image,
    pub(crate) chunks: ChunkStore,
    pub(crate) certified_data: Vec<u8>,
    /// When the global timer fires, if it does; None where an upload does not say.
    pub(crate) timer: Option<Option<Time>>,
    pub(crate) hook: Option<HookStatus>,
}

impl Snapshot {
    /// Bytes that it counts as.
    pub(crate) fn bytes(&self) -> u64 {
        let globals = self.image.globals.iter().map(|global| match global {
            GlobalValue::I32(_) | GlobalValue::F32(_) => 4,
            GlobalValue::I64(_) | GlobalValue::F64(_) => 8,
            GlobalValue::V128(_) => 16,
        });
        globals.sum::<u64>()
            + self.module.len() as u64
            + self.image.heap_len()
            + self.image.stable_len()
            + self.chunks.bytes()
            + self.certified_data.len() as u64
    }
}

/// Names a snapshot: a number of the canister, and the canister's id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SnapshotId(Vec<u8>);

impl SnapshotId {
    fn new(canister: Principal, number: u64) -> Self {
        Self([&number.to_be_bytes()[..], canister.as_slice()].concat())
    }

    /// What a caller says; None where no snapshot can have such an id.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let owner = bytes.get(8..)?;
        Principal::try_from_slice(owner).ok()?;
        Some(Self(bytes.to_vec()))
    }

    /// The canister that it is a snapshot of.
    pub(crate) fn owner(&self) -> Principal {
        Principal::from_slice(&self.0[8..])
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.0.clone()
    }
}

impl std::fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = String::new();
        for byte in &self.0 {
            write!(text, "{byte:02x}")?;
        }
        f.write_str(&text)
    }
}

/// The snapshots of a canister.
#[derive(Default)]
pub(crate) struct Snapshots {
    by_id: BTreeMap<SnapshotId, Snapshot>,
    next: u64,
}

impl Snapshots {
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn get(&self, id: &SnapshotId) -> Option<&Snapshot> {
        self.by_id.get(id)
    }

    pub(crate) fn get_mut(&mut self, id: &SnapshotId) -> Option<&mut Snapshot> {
        self.by_id.get_mut(id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&SnapshotId, &Snapshot)> {
        self.by_id.iter()
    }

    /// Keeps a snapshot of this canister.
    pub(crate) fn insert(&mut self, canister: Principal, snapshot: Snapshot) -> SnapshotId {
        let id = SnapshotId::new(canister, self.next);
        self.next += 1;
        self.by_id.insert(id.clone(), snapshot);
        id
    }

    pub(crate) fn remove(&mut self, id: &SnapshotId) {
        self.by_id.remove(id);
    }

    /// Bytes that they count as together.
    pub(crate) fn bytes(&self) -> u64 {
        self.by_id.values().map(Snapshot::bytes).sum()
    }
}
