//! A canister: its settings, its status, and the instance that runs its module.

use std::{collections::BTreeMap, sync::Arc};

use candid::Principal;

use crate::{
    ErrorCode, Reject, Time,
    calls::Origin,
    certification::{StateTree, principals_cbor},
    cycles::{Occupied, Prices},
    ic0::LogLine,
    wasm::{Instance, Program},
};

/// Lines of the log that are kept.
const MAX_LOG_LINES: usize = 1_000;

/// Whether a canister takes calls.
#[derive(Debug)]
pub(crate) enum Status {
    Running,
    /// Waits for its open call contexts; these `stop_canister` calls wait with it.
    Stopping(Vec<Origin>),
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
        }
    }
}

/// One canister of a subnet.
pub(crate) struct Canister {
    pub(crate) id: Principal,
    pub(crate) settings: Settings,
    pub(crate) status: Status,
    pub(crate) version: u64,
    pub(crate) balance: u128,
    pub(crate) instance: Option<Instance>,
    pub(crate) certified_data: Vec<u8>,
    /// When the global timer fires.
    pub(crate) timer: Option<Time>,
    /// Call contexts that are not closed yet.
    pub(crate) open_contexts: usize,
    /// Calls that the canister waits for, by callee.
    pub(crate) outgoing: Arc<BTreeMap<Principal, usize>>,
    /// Until when memory and compute are paid for.
    pub(crate) charged: Time,
    pub(crate) log: std::collections::VecDeque<LogLine>,
    /// A heartbeat waits to be executed.
    pub(crate) heartbeat_queued: bool,
}

impl Canister {
    pub(crate) fn new(id: Principal, settings: Settings, balance: u128, now: Time) -> Self {
        Self {
            id,
            settings,
            status: Status::Running,
            version: 0,
            balance,
            instance: None,
            certified_data: Vec::new(),
            timer: None,
            open_contexts: 0,
            outgoing: Arc::default(),
            charged: now,
            log: std::collections::VecDeque::new(),
            heartbeat_queued: false,
        }
    }

    /// The installed module, if there is one.
    pub(crate) fn program(&self) -> Option<&Program> {
        self.instance.as_ref().map(Instance::program)
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

    /// Bytes that the canister uses.
    pub(crate) fn memory_usage(&self) -> u64 {
        let instance = self.instance.as_ref();
        let (heap, stable) = instance.map_or((0, 0), Instance::memory_size);
        let module = self
            .program()
            .map_or(0, |program| program.module.wasm.len());
        heap + stable + module as u64
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

    /// Whether the global timer fires now. It stays set while the canister is not running.
    pub(crate) fn timer_is_due(&self, now: Time) -> bool {
        matches!(self.status, Status::Running) && self.timer.is_some_and(|timer| timer <= now)
    }

    pub(crate) fn has_heartbeat(&self) -> bool {
        matches!(self.status, Status::Running)
            && self.program().is_some_and(|program| {
                let entry_points = &program.module.entry_points;
                entry_points.has_hook("canister_heartbeat")
            })
    }

    /// Keeps the last lines of what the canister prints.
    pub(crate) fn append_log(&mut self, lines: Vec<LogLine>) {
        self.log.extend(lines);
        let surplus = self.log.len().saturating_sub(MAX_LOG_LINES);
        self.log.drain(..surplus);
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
