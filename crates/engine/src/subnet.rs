//! A subnet: canisters, the calls between them, and the state that it certifies.
//!
//! One thread owns a subnet. Messages are executed one after the other in the order in which they were
//! queued; each is one commit, or none ([`crate::execution`]).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use candid::Principal;
use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;

use crate::{
    ErrorCode, Ingress, Path, Reject, RequestId, RequestStatus, Time,
    calls::{Calls, Origin, Request, Work},
    canister::Canister,
    certification::{StateTree, SubnetKey},
    ic0::Environment,
    ingress::IngressHistory,
    metrics::Metrics,
    wasm::Runtime,
};

/// Messages of one round, after which the caller gets to look up.
const ROUND_MESSAGES: usize = 100;
/// Instructions of one round, after which no further message begins in it.
const ROUND_INSTRUCTIONS: u64 = 2_000_000_000;
/// How often heartbeats run, in nanoseconds.
const HEARTBEAT_NS: u64 = 1_000_000_000;

/// Ids that a subnet may give to its canisters, both ends included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CanisterRange {
    first: u64,
    last: u64,
}

impl CanisterRange {
    pub(crate) fn new(first: u64, last: u64) -> Self {
        Self { first, last }
    }

    pub(crate) fn bounds(self) -> (Principal, Principal) {
        (canister_id(self.first), canister_id(self.last))
    }

    pub(crate) fn contains(self, id: &Principal) -> bool {
        let (first, last) = self.bounds();
        id.as_slice().len() == first.as_slice().len()
            && id.as_slice().ends_with(&[1, 1])
            && (first..=last).contains(id)
    }
}

/// The canister id of this number, as the Internet Computer forms them: the number, big-endian, and `01 01`.
fn canister_id(number: u64) -> Principal {
    let mut bytes = [1; 10];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    Principal::from_slice(&bytes)
}

/// See the module's documentation.
pub(crate) struct Subnet {
    pub(crate) id: Principal,
    pub(crate) runtime: Runtime,
    pub(crate) range: CanisterRange,
    next_canister: u64,
    /// Ids that deleted canisters have had: never given out again.
    pub(crate) retired: BTreeSet<Principal>,
    pub(crate) canisters: BTreeMap<Principal, Canister>,
    pub(crate) calls: Calls,
    pub(crate) ingress: IngressHistory,
    pub(crate) tree: StateTree,
    pub(crate) time: Time,
    pub(crate) metrics: Metrics,
    pub(crate) random: ChaCha20Rng,
    root_key: Arc<[u8]>,
    heartbeat: Time,
}

impl Subnet {
    pub(crate) fn new(
        key: Arc<SubnetKey>,
        root_key: Arc<[u8]>,
        runtime: Runtime,
        range: CanisterRange,
        seed: [u8; 32],
        time: Time,
    ) -> Self {
        let mut tree = StateTree::new(key.clone());
        tree.set_time(time);
        Self {
            id: key.subnet_id(),
            runtime,
            range,
            next_canister: range.first,
            retired: BTreeSet::new(),
            canisters: BTreeMap::new(),
            calls: Calls::default(),
            ingress: IngressHistory::default(),
            tree,
            time,
            metrics: Metrics::default(),
            random: ChaCha20Rng::from_seed(seed),
            root_key,
            heartbeat: time,
        }
    }

    pub(crate) fn set_time(&mut self, time: Time) {
        if time > self.time {
            self.time = time;
            self.tree.set_time(time);
            self.ingress.prune(time, &mut self.tree);
        }
    }

    /// Queues a call from outside, unless its id is known.
    pub(crate) fn submit(&mut self, ingress: Ingress) -> Result<(), Reject> {
        if self.ingress.status(&ingress.id) != RequestStatus::Unknown {
            return Ok(());
        }
        if self.ingress.is_full() {
            return Err(Reject::new(
                ErrorCode::IngressHistoryFull,
                "The subnet takes no more calls for now",
            ));
        }
        if ingress.canister_id != Principal::management_canister() {
            self.inspect(&ingress)?;
        }
        self.ingress.receive(&ingress, &mut self.tree);
        self.calls.queue.push_back(Work::Request(Request {
            origin: Origin::Ingress(ingress.id),
            sender: ingress.sender,
            receiver: ingress.canister_id,
            method: ingress.method,
            arg: ingress.arg,
            cycles: 0,
            deadline: 0,
        }));
        Ok(())
    }

    /// Executes a bounded part of what is queued; true if there is more.
    pub(crate) fn run(&mut self) -> bool {
        self.wake();
        let end = self.metrics.instructions() + ROUND_INSTRUCTIONS;
        for _ in 0..ROUND_MESSAGES {
            let Some(work) = self.calls.queue.pop_front() else {
                return false;
            };
            self.execute(work);
            if self.metrics.instructions() >= end {
                break;
            }
        }
        !self.calls.queue.is_empty()
    }

    /// Queues the timers that are due, and heartbeats.
    fn wake(&mut self) {
        let beat = self.time >= self.heartbeat.plus(HEARTBEAT_NS);
        if beat {
            self.heartbeat = self.time;
        }
        for canister in self.canisters.values_mut() {
            if canister.timer_is_due(self.time) {
                // A timer fires once.
                canister.timer = None;
                self.calls.queue.push_back(Work::Timer(canister.id));
            }
            if beat && canister.has_heartbeat() && !canister.heartbeat_queued {
                canister.heartbeat_queued = true;
                self.calls.queue.push_back(Work::Heartbeat(canister.id));
            }
        }
    }

    /// Whether timers or heartbeats may need [`Subnet::run`] though nothing is queued.
    pub(crate) fn has_work(&self) -> bool {
        !self.calls.queue.is_empty()
            || self
                .canisters
                .values()
                .any(|canister| canister.timer_is_due(self.time) || canister.has_heartbeat())
    }

    pub(crate) fn status(&self, id: &RequestId) -> RequestStatus {
        self.ingress.status(id)
    }

    pub(crate) fn read_state(&self, paths: &[Path]) -> Arc<[u8]> {
        self.tree.certificate(paths).bytes()
    }

    /// Whether some canister has this id, or has had it.
    pub(crate) fn is_taken(&self, id: &Principal) -> bool {
        self.canisters.contains_key(id) || self.retired.contains(id)
    }

    /// An id that no canister of this subnet has had; None where they are used up.
    pub(crate) fn new_canister_id(&mut self) -> Option<Principal> {
        while self.next_canister <= self.range.last {
            let id = canister_id(self.next_canister);
            self.next_canister += 1;
            if !self.is_taken(&id) {
                return Some(id);
            }
        }
        None
    }

    /// What a canister can know of itself and of this subnet now.
    pub(crate) fn environment(&self, canister: &Canister) -> Environment {
        Environment {
            canister: canister.id,
            subnet: self.id,
            time: self.time,
            status: canister.status.number(),
            version: canister.version,
            controllers: canister.settings.controllers.clone(),
            variables: canister.settings.variables.clone(),
            balance: canister.balance,
            timer: canister.timer.map_or(0, |timer| timer.0),
            root_key: self.root_key.clone(),
            outstanding_calls: canister.outstanding_calls,
        }
    }
}
