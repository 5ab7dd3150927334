//! A canister: its settings, its status, and the instance that runs its module.

pub(crate) mod chunks;
pub(crate) mod history;
pub(crate) mod log;
pub(crate) mod snapshots;

use std::{collections::BTreeMap, sync::Arc};

use candid::Principal;

use self::{chunks::ChunkStore, history::History, log::Log, snapshots::Snapshots};
use crate::{
    ErrorCode, Reject, Time,
    calls::Origin,
    certification::{StateTree, principals_cbor},
    cycles::{Occupied, Prices},
    ic0::{LogLine, MAX_HEAP_32, MAX_HEAP_64},
    wasm::{Instance, Program, Twins},
};

/// A call that the management canister answers later.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) origin: Origin,
    /// Cycles that go back with the answer.
    pub(crate) cycles: u128,
    pub(crate) since: Time,
}

/// Whether a canister takes calls.
#[derive(Debug)]
pub(crate) enum Status {
    Running,
    /// Waits for its open call contexts; these `stop_canister` calls wait with it.
    Stopping(Vec<Waiting>),
    Stopped,
}

impl Status {
    /// As `ic0.canister_status` tells it.
    pub(crate) fn number(&self) -> u32 {
        match self {
            Self::Running => 1,
            Self::Stopping(_) => 2,
            Self::Stopped => 3,
        }
    }
}

/// Who may see something of a canister besides its controllers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Viewers {
    /// Nobody.
    #[default]
    Controllers,
    Public,
    Allowed(Vec<Principal>),
}

/// Settings that a controller may change (IC interface specification, `update_settings`).
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) controllers: Arc<[Principal]>,
    pub(crate) compute_allocation: u64,
    pub(crate) memory_allocation: u64,
    pub(crate) freezing_threshold: u64,
    pub(crate) reserved_cycles_limit: u128,
    pub(crate) wasm_memory_limit: u64,
    pub(crate) wasm_memory_threshold: u64,
    pub(crate) variables: Arc<BTreeMap<String, String>>,
    pub(crate) log_visibility: Viewers,
    pub(crate) log_memory_limit: u64,
    pub(crate) snapshot_visibility: Viewers,
    pub(crate) status_visibility: Viewers,
    /// What a call from another canister has to bring along.
    pub(crate) minimum_incoming_cycles: u128,
}

impl Settings {
    /// The defaults of the specification.
    pub(crate) fn of(controller: Principal) -> Self {
        Self {
            controllers: Arc::new([controller]),
            compute_allocation: 0,
            memory_allocation: 0,
            freezing_threshold: 2_592_000,
            reserved_cycles_limit: 5_000_000_000_000,
            wasm_memory_limit: 3 << 30,
            wasm_memory_threshold: 0,
            variables: Arc::default(),
            log_visibility: Viewers::Controllers,
            log_memory_limit: log::MIN_LIMIT,
            snapshot_visibility: Viewers::Controllers,
            status_visibility: Viewers::Controllers,
            minimum_incoming_cycles: 0,
        }
    }
}

/// What queries have cost a canister so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct QueryTotals {
    pub(crate) calls: u64,
    pub(crate) instructions: u64,
    pub(crate) request_bytes: u64,
    pub(crate) response_bytes: u64,
}

impl QueryTotals {
    /// Counts one query.
    pub(crate) fn count(&mut self, instructions: u64, request_bytes: usize, response_bytes: usize) {
        self.calls += 1;
        self.instructions += instructions;
        self.request_bytes += request_bytes as u64;
        self.response_bytes += response_bytes as u64;
    }
}

/// What of a canister takes how much memory, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct MemoryUsage {
    pub(crate) heap: u64,
    pub(crate) stable: u64,
    pub(crate) globals: u64,
    pub(crate) module: u64,
    pub(crate) sections: u64,
    pub(crate) history: u64,
    pub(crate) chunks: u64,
    pub(crate) snapshots: u64,
    pub(crate) log: u64,
}

impl MemoryUsage {
    pub(crate) fn total(self) -> u64 {
        self.heap
            + self.stable
            + self.globals
            + self.module
            + self.sections
            + self.history
            + self.chunks
            + self.snapshots
            + self.log
    }
}

/// What can be known of an instance while it runs a message: its committed state.
struct Lent {
    program: Program,
    twins: Arc<Twins>,
    memory_size: (u64, u64),
}

/// Whether `canister_on_low_wasm_memory` has run since the heap's room was last enough (IC interface specification,
/// "On Low Wasm Memory").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum LowMemoryHook {
    #[default]
    ConditionNotSatisfied,
    Ready,
    Executed,
}

/// One canister of a subnet.
pub(crate) struct Canister {
    pub(crate) id: Principal,
    pub(crate) settings: Settings,
    pub(crate) status: Status,
    pub(crate) version: u64,
    pub(crate) balance: u128,
    /// None where there is no code, and while it runs a message.
    pub(crate) instance: Option<Instance>,
    lent: Option<Lent>,
    pub(crate) certified_data: Vec<u8>,
    /// When the global timer fires.
    pub(crate) timer: Option<Time>,
    /// Call contexts that are not closed yet.
    pub(crate) open_contexts: usize,
    /// Calls that the canister waits for, by callee.
    pub(crate) outgoing: Arc<BTreeMap<Principal, usize>>,
    pub(crate) low_memory: LowMemoryHook,
    /// Until when memory and compute are paid for.
    pub(crate) charged: Time,
    pub(crate) log: Log,
    pub(crate) history: History,
    pub(crate) chunks: ChunkStore,
    pub(crate) snapshots: Snapshots,
    /// The installed module as it was uploaded.
    pub(crate) uploaded: Option<Arc<[u8]>>,
    pub(crate) query_stats: QueryTotals,
    /// A heartbeat waits to be executed.
    pub(crate) heartbeat_queued: bool,
}

impl Canister {
    pub(crate) fn new(id: Principal, settings: Settings, balance: u128, now: Time) -> Self {
        let log = Log::new(settings.log_memory_limit);
        Self {
            id,
            settings,
            status: Status::Running,
            version: 0,
            balance,
            instance: None,
            lent: None,
            certified_data: Vec::new(),
            timer: None,
            open_contexts: 0,
            outgoing: Arc::default(),
            low_memory: LowMemoryHook::default(),
            charged: now,
            log,
            history: History::default(),
            chunks: ChunkStore::default(),
            snapshots: Snapshots::default(),
            uploaded: None,
            query_stats: QueryTotals::default(),
            heartbeat_queued: false,
        }
    }

    /// The installed module, if there is one.
    pub(crate) fn program(&self) -> Option<&Program> {
        let lent = self.lent.as_ref().map(|lent| &lent.program);
        self.instance.as_ref().map(Instance::program).or(lent)
    }

    /// Where queries run, if there is code.
    pub(crate) fn twins(&self) -> Option<Arc<Twins>> {
        let lent = self.lent.as_ref().map(|lent| lent.twins.clone());
        self.instance.as_ref().map(Instance::twins).or(lent)
    }

    /// Size of the heap and of the stable memory, in bytes.
    pub(crate) fn memory_size(&self) -> (u64, u64) {
        let lent = self.lent.as_ref().map(|lent| lent.memory_size);
        let here = self.instance.as_ref().map(Instance::memory_size);
        here.or(lent).unwrap_or_default()
    }

    /// Hands out the instance, to be run while the subnet's lock is given up. It must come back, or another one.
    pub(crate) fn lend(&mut self) -> Option<Instance> {
        let instance = self.instance.take()?;
        self.lent = Some(Lent {
            program: instance.program().clone(),
            twins: instance.twins(),
            memory_size: instance.memory_size(),
        });
        Some(instance)
    }

    /// Takes an instance as the canister's.
    pub(crate) fn take_back(&mut self, instance: Instance) {
        self.instance = Some(instance);
        self.lent = None;
    }

    pub(crate) fn is_controlled_by(&self, principal: &Principal) -> bool {
        self.settings.controllers.contains(principal)
    }

    /// Whether the module has a 64-bit memory.
    pub(crate) fn is_memory64(&self) -> bool {
        self.program()
            .is_some_and(|program| program.module.memory64)
    }

    /// Counts calls that are sent (1) or answered (-1).
    pub(crate) fn calls_to(&mut self, callee: Principal, change: isize) {
        let outgoing = Arc::make_mut(&mut self.outgoing);
        let count = outgoing.entry(callee).or_default();
        *count = count.saturating_add_signed(change);
        if *count == 0 {
            outgoing.remove(&callee);
        }
    }

    /// Bytes that the canister uses, by what for.
    pub(crate) fn memory(&self) -> MemoryUsage {
        let (heap, stable) = self.memory_size();
        let module = self.program().map(|program| &program.module);
        let sections = module.map_or(0, |module| {
            let sections = module.metadata.iter();
            sections.map(|(name, m)| name.len() + m.content.len()).sum()
        });
        MemoryUsage {
            heap,
            stable,
            globals: 0,
            module: self.uploaded.as_ref().map_or(0, |bytes| bytes.len() as u64),
            sections: sections as u64,
            history: self.history.bytes(),
            chunks: self.chunks.bytes(),
            snapshots: self.snapshots.bytes(),
            log: self.log.bytes(),
        }
    }

    /// Bytes that the canister uses.
    pub(crate) fn memory_usage(&self) -> u64 {
        self.memory().total()
    }

    /// Whether less of the heap's room is left than the controllers want to hear of. Notes it; true when that is new.
    pub(crate) fn runs_low(&mut self) -> bool {
        let limit = match self.settings.wasm_memory_limit {
            0 if self.is_memory64() => MAX_HEAP_64,
            0 => MAX_HEAP_32,
            limit => limit,
        };
        let left = limit.saturating_sub(self.memory_size().0);
        let is_low = left < self.settings.wasm_memory_threshold;
        let new = is_low && self.low_memory == LowMemoryHook::ConditionNotSatisfied;
        if new {
            self.low_memory = LowMemoryHook::Ready;
        } else if !is_low {
            self.low_memory = LowMemoryHook::ConditionNotSatisfied;
        }
        new
    }

    /// What it pays for.
    pub(crate) fn occupied(&self) -> Occupied {
        Occupied {
            memory: self.memory_usage().max(self.settings.memory_allocation),
            compute: self.settings.compute_allocation,
        }
    }

    /// The balance below which it is frozen.
    pub(crate) fn freezing_reserve(&self, prices: Prices) -> u128 {
        prices.freezing_reserve(self.occupied(), self.settings.freezing_threshold)
    }

    pub(crate) fn is_frozen(&self, prices: Prices) -> bool {
        self.balance < self.freezing_reserve(prices)
    }

    /// Takes cycles for something that must not freeze the canister. Where they are missing, a controller learns how many.
    pub(crate) fn withdraw(
        &mut self,
        cycles: u128,
        prices: Prices,
        caller: &Principal,
    ) -> Result<(), Reject> {
        if cycles == 0 {
            return Ok(());
        }
        let needed = cycles.saturating_add(self.freezing_reserve(prices));
        if self.balance >= needed {
            self.balance -= cycles;
            return Ok(());
        }
        let id = self.id;
        let message = if self.is_controlled_by(caller) {
            let missing = needed - self.balance;
            format!(
                "Canister {id} is out of cycles: please top up the canister with at least {missing} additional cycles"
            )
        } else {
            format!("Canister {id} is out of cycles")
        };
        Err(Reject::new(ErrorCode::OutOfCycles, message))
    }

    /// Whether the global timer fires now, for a message of at most so many instructions. It stays set while the canister is
    /// not running, and while it can't pay for that.
    pub(crate) fn timer_fires(&self, now: Time, prices: Prices, limit: u64) -> bool {
        let is_due =
            matches!(self.status, Status::Running) && self.timer.is_some_and(|timer| timer <= now);
        let price = prices.execution(limit, self.is_memory64());
        let needed = price.saturating_add(self.freezing_reserve(prices));
        is_due && (price == 0 || self.balance >= needed)
    }

    pub(crate) fn has_heartbeat(&self) -> bool {
        matches!(self.status, Status::Running)
            && self.program().is_some_and(|program| {
                let entry_points = &program.module.entry_points;
                entry_points.has_hook("canister_heartbeat")
            })
    }

    /// Keeps what the canister prints.
    pub(crate) fn append_log(&mut self, lines: Vec<LogLine>) {
        for line in lines {
            self.log.append(line.time, line.content);
        }
    }

    /// Whether somebody is a controller, or a viewer of what these viewers may see.
    pub(crate) fn is_visible_to(&self, viewers: &Viewers, caller: &Principal) -> bool {
        match viewers {
            Viewers::Public => true,
            Viewers::Controllers => self.is_controlled_by(caller),
            Viewers::Allowed(allowed) => allowed.contains(caller) || self.is_controlled_by(caller),
        }
    }

    /// Writes all that is certified of the canister itself; after an installation or new settings.
    pub(crate) fn certify(&self, tree: &mut StateTree) {
        let id = self.id.as_slice();
        tree.delete(&[b"canister", id]);
        tree.insert(
            &[b"canister", id, b"controllers"],
            principals_cbor(&self.settings.controllers),
        );
        self.certify_data(tree);
        let Some(program) = self.program() else {
            return;
        };
        let module = &program.module;
        tree.insert(&[b"canister", id, b"module_hash"], module.hash.to_vec());
        for (name, metadata) in &module.metadata {
            let path: [&[u8]; 4] = [b"canister", id, b"metadata", name.as_bytes()];
            tree.insert(&path, metadata.content.clone());
        }
    }

    /// Writes the certified data; after a message.
    pub(crate) fn certify_data(&self, tree: &mut StateTree) {
        tree.insert(
            &[b"canister", self.id.as_slice(), b"certified_data"],
            self.certified_data.clone(),
        );
    }
}
