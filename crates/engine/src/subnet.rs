//! A subnet: canisters, the calls between them, and the state that it certifies.
//!
//! One thread owns a subnet. Messages are executed one after the other in the order in which they were
//! queued; each is one commit, or none ([`crate::execution`]).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use candid::Principal;
use parking_lot::MutexGuard;
use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;

use crate::{
    Ingress, Reject, RequestId, RequestStatus, SubnetConfig, SubnetInfo, Time,
    calls::{Calls, Origin, Request, Work},
    canister::Canister,
    certification::{StateTree, SubnetKey},
    cycles::{CHARGE_NS, Ledger, NODES, Prices},
    ic0::{Context, Environment, Occupation},
    ingress::IngressHistory,
    limits::Limits,
    management,
    metrics::{Load, Metrics},
    topology::{CanisterRange, Directory, canister_id, canister_number},
    wasm::Runtime,
};

/// Messages of one round, after which the caller gets to look up.
const ROUND_MESSAGES: usize = 100;
/// Instructions of one round, after which no further message begins in it.
const ROUND_INSTRUCTIONS: u64 = 2_000_000_000;
/// How often heartbeats run, in nanoseconds.
const HEARTBEAT_NS: u64 = 1_000_000_000;

/// A subnet with its lock held, which is given up while Wasm code runs.
pub(crate) type Held<'a> = MutexGuard<'a, Subnet>;

/// See the module's documentation.
pub(crate) struct Subnet {
    pub(crate) id: Principal,
    pub(crate) runtime: Runtime,
    pub(crate) config: SubnetConfig,
    pub(crate) directory: Arc<Directory>,
    /// Ids for new canisters, from `next_canister` on.
    new_canisters: CanisterRange,
    next_canister: u64,
    /// Ids that deleted canisters have had: never given out again.
    pub(crate) retired: BTreeSet<Principal>,
    pub(crate) canisters: BTreeMap<Principal, Canister>,
    pub(crate) calls: Calls,
    /// Messages to other subnets, which the network delivers.
    pub(crate) outbox: Vec<(Principal, Work)>,
    pub(crate) ingress: IngressHistory,
    pub(crate) tree: StateTree,
    pub(crate) time: Time,
    pub(crate) metrics: Metrics,
    pub(crate) prices: Prices,
    pub(crate) ledger: Ledger,
    pub(crate) limits: Limits,
    pub(crate) random: ChaCha20Rng,
    /// The node that answers for the subnet.
    pub(crate) node: Principal,
    pub(crate) rounds: management::Rounds,
    pub(crate) outcalls: management::Outcalls,
    root_key: Arc<[u8]>,
    heartbeat: Time,
    /// When memory and compute were last charged.
    charged: Time,
}

impl Subnet {
    pub(crate) fn new(
        info: &SubnetInfo,
        key: Arc<SubnetKey>,
        root_key: Arc<[u8]>,
        directory: Arc<Directory>,
        runtime: Runtime,
        seed: [u8; 32],
        time: Time,
    ) -> Self {
        let mut tree = StateTree::new(key);
        tree.set_time(time);
        let ranges = directory.ranges(&info.id);
        let new_canisters = ranges
            .last()
            .copied()
            .unwrap_or_else(|| unreachable!("every subnet has ids"));
        Self {
            id: info.id,
            runtime,
            config: info.config.clone(),
            directory,
            new_canisters,
            next_canister: new_canisters.first,
            retired: BTreeSet::new(),
            canisters: BTreeMap::new(),
            calls: Calls::default(),
            outbox: Vec::new(),
            ingress: IngressHistory::default(),
            tree,
            time,
            metrics: Metrics::default(),
            prices: Prices::of(&info.config),
            ledger: Ledger::default(),
            limits: Limits::of(&info.config),
            random: ChaCha20Rng::from_seed(seed),
            node: info.id,
            rounds: management::Rounds::default(),
            outcalls: management::Outcalls::default(),
            root_key,
            heartbeat: time,
            charged: time,
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
    pub(crate) fn submit(this: &mut Held<'_>, ingress: Ingress) -> Result<(), Reject> {
        if this.ingress.status(&ingress.id) != RequestStatus::Unknown {
            return Ok(());
        }
        if this.ingress.is_full() {
            return Err(Reject::history_full());
        }
        let is_management = this.is_management(&ingress.canister_id);
        let payer = if !is_management {
            Self::inspect(this, &ingress)?;
            Some(ingress.canister_id)
        } else if ingress.method.starts_with("provisional_") {
            // Minting cycles must not fail for want of them.
            None
        } else {
            management::target(&ingress.arg).ok()
        };
        let bytes = (ingress.method.len() + ingress.arg.len()) as u64;
        let fee = this.prices.ingress(bytes);
        let subnet: &mut Self = this;
        if subnet.ingress.status(&ingress.id) != RequestStatus::Unknown {
            // It has arrived a second time while it was inspected.
            return Ok(());
        }
        if let Some(canister) = payer.and_then(|id| subnet.canisters.get_mut(&id)) {
            let mut paid = fee;
            if is_management && ingress.method == "update_settings" {
                // Other settings can end a canister's being frozen, so they cost what is there.
                paid = fee.min(canister.balance);
                canister.balance -= paid;
            } else {
                canister.withdraw(fee, subnet.prices, &ingress.sender)?;
            }
            subnet.ledger.burned += paid;
        }
        subnet.ingress.receive(&ingress, &mut subnet.tree);
        this.calls.queue.push_back(Work::Request(Request {
            origin: Origin::Ingress(ingress.id),
            sender: ingress.sender,
            sender_info: ingress.sender_info,
            receiver: ingress.canister_id,
            method: ingress.method,
            arg: ingress.arg,
            cycles: 0,
            deadline: 0,
        }));
        Ok(())
    }

    /// Executes a bounded part of what is queued; true if there is more.
    pub(crate) fn run(this: &mut Held<'_>) -> bool {
        this.wake();
        management::begin_round(this);
        let end = this.metrics.instructions() + ROUND_INSTRUCTIONS;
        for _ in 0..ROUND_MESSAGES {
            let Some(work) = this.calls.queue.pop_front() else {
                break;
            };
            Self::execute(this, work);
            if this.metrics.instructions() >= end {
                break;
            }
        }
        this.certify_load();
        !this.calls.queue.is_empty() || management::has_work(this)
    }

    /// Certifies how much there is on the subnet, as of the end of a round.
    fn certify_load(&mut self) {
        let bytes = self.canisters.values().map(Canister::memory_usage).sum();
        let load = Load::new(
            self.canisters.len(),
            bytes,
            self.ledger.burned,
            self.metrics.messages(),
        );
        let id = self.id.as_slice();
        self.tree.insert(&[b"subnet", id, b"metrics"], load.cbor());
    }

    /// Charges what is due, and queues the timers that are due, heartbeats, and rejects of expired calls.
    fn wake(&mut self) {
        self.charge();
        self.calls.expire(self.time.0);
        let beat = self.time >= self.heartbeat.plus(HEARTBEAT_NS);
        if beat {
            self.heartbeat = self.time;
        }
        let limit = self.limits.of_context(Context::System);
        for canister in self.canisters.values_mut() {
            if canister.timer_fires(self.time, self.prices, limit) {
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

    /// Takes the price of memory and compute; who can't pay loses its code.
    fn charge(&mut self) {
        if self.time < self.charged.plus(CHARGE_NS) {
            return;
        }
        self.charged = self.time;
        let mut broke = Vec::new();
        for canister in self.canisters.values_mut() {
            let nanos = self.time.0.saturating_sub(canister.charged.0);
            canister.charged = self.time;
            let price = self.prices.occupation(canister.occupied(), nanos);
            if price > canister.balance {
                broke.push(canister.id);
            }
            let paid = price.min(canister.balance);
            canister.balance -= paid;
            self.ledger.burned += paid;
        }
        for id in broke {
            management::remove_code(self, id);
        }
    }

    /// Whether timers or heartbeats may need [`Subnet::run`] though nothing is queued.
    pub(crate) fn has_work(&self) -> bool {
        !self.calls.queue.is_empty()
            || self.calls.expires(self.time.0)
            || management::has_work(self)
            || self.canisters.values().any(|canister| {
                let limit = self.limits.of_context(Context::System);
                canister.has_heartbeat() || canister.timer_fires(self.time, self.prices, limit)
            })
    }

    pub(crate) fn status(&self, id: &RequestId) -> RequestStatus {
        self.ingress.status(id)
    }

    /// Whether some canister has this id, or has had it.
    pub(crate) fn is_taken(&self, id: &Principal) -> bool {
        self.canisters.contains_key(id) || self.retired.contains(id)
    }

    /// An id that no canister of this subnet has had; None where they are used up.
    pub(crate) fn new_canister_id(&mut self) -> Option<Principal> {
        while self.next_canister <= self.new_canisters.last {
            let id = canister_id(self.next_canister);
            self.next_canister += 1;
            if !self.is_taken(&id) {
                return Some(id);
            }
        }
        None
    }

    /// Whether this is an id of the subnet.
    pub(crate) fn is_responsible_for(&self, id: &Principal) -> bool {
        self.directory.of_canister(id) == Some(self.id)
    }

    /// Whether this is an id that the subnet gives to a new canister, now or later.
    pub(crate) fn gives_out(&self, id: &Principal) -> bool {
        canister_number(id).is_some_and(|number| {
            (self.new_canisters.first..=self.new_canisters.last).contains(&number)
        })
    }

    /// Mints cycles for a canister, and returns its balance then.
    pub(crate) fn mint(&mut self, id: Principal, amount: u128) -> Option<u128> {
        let canister = self.canisters.get_mut(&id)?;
        let before = canister.balance;
        canister.balance = before.saturating_add(amount);
        self.ledger.minted += canister.balance - before;
        Some(canister.balance)
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
            outgoing: canister.outgoing.clone(),
            message_room: self.calls.room(),
            prices: self.prices,
            nodes: NODES,
            occupation: Occupation {
                memory: canister.memory_usage(),
                memory_allocation: canister.settings.memory_allocation,
                compute: canister.settings.compute_allocation,
                freezing_threshold: canister.settings.freezing_threshold,
            },
            callback_limit: self.limits.of_context(Context::Reply),
            memory64: canister.is_memory64(),
            wasm_memory_limit: canister.settings.wasm_memory_limit,
        }
    }
}
