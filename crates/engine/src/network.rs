//! A network: its subnets, the messages between them, and the delegations from the root subnet to the others.
//!
//! The root subnet's key is the network's: the NNS subnet where there is one, else the first subnet. It certifies key and
//! canister ranges of each other subnet, and every certificate of such a subnet carries that delegation (IC
//! interface specification, "Delegation").
//!
//! ```text
//!   one thread: Network ──run──► subnets, one after the other ──outbox──► each other
//!   any thread: Reader  ──query, read state, submit──► a subnet, while no message is being committed on it
//! ```
//!
//! Each subnet has a lock. The thread that owns the [`Network`] gives it up while Wasm code runs, so a message that
//! runs for long holds up neither reads nor queries nor submissions.

use std::{fmt, ops::Deref, path::PathBuf, sync::Arc};

use candid::Principal;
use ed25519_dalek::{Signer as _, SigningKey};
use ic_certification::Delegation;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};

use crate::{
    CyclesAudit, Effective, HttpRequest, HttpResponse, Ingress, MethodMetrics, NodeSignature, Path,
    Query, Reject, RejectCode, RequestId, RequestStatus, SubnetConfig, SubnetInfo, SubnetKind,
    Time,
    access::{ReadStateRefused, StateReader},
    certification::{SubnetKey, ranges_cbor},
    management,
    subnet::Subnet,
    topology::{self, Directory},
    wasm::Runtime,
};

/// DER of an Ed25519 public key up to the key itself (RFC 8410).
const ED25519_DER_PREFIX: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];
/// How old a delegation may be before the root subnet signs a new one, in nanoseconds.
const DELEGATION_NS: u64 = 60 * 1_000_000_000;
/// Most subnets of a network.
const MAX_SUBNETS: usize = 100;

/// How to set up a network.
#[derive(Clone, Debug)]
pub struct NetworkConfig {
    /// The time at the start.
    pub start: Time,
    /// Keys and randomness all come from this: the same seed gives the same network.
    pub seed: [u8; 32],
    /// At least one.
    pub subnets: Vec<SubnetConfig>,
    /// Folder for compiled modules, which later processes find there; none: each process compiles for itself.
    pub module_cache: Option<PathBuf>,
}

impl NetworkConfig {
    /// A root subnet and an application subnet, nothing kept on disk.
    #[must_use]
    pub fn new(start: Time, seed: [u8; 32]) -> Self {
        Self {
            start,
            seed,
            subnets: vec![
                SubnetConfig::of(SubnetKind::Nns),
                SubnetConfig::of(SubnetKind::Application),
            ],
            module_cache: None,
        }
    }
}

/// The network could not be set up.
#[derive(Debug)]
pub struct SetupError(String);

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SetupError {}

/// A subnet with the node that answers for it.
struct Member {
    info: SubnetInfo,
    subnet: Mutex<Subnet>,
    key: Arc<SubnetKey>,
    node: Node,
}

/// A replica node, which signs answers to queries.
struct Node {
    id: Principal,
    key: SigningKey,
    public_der: Vec<u8>,
}

impl Node {
    fn from_seed(seed: [u8; 32]) -> Self {
        let key = SigningKey::from_bytes(&seed);
        let public_der = [&ED25519_DER_PREFIX[..], key.verifying_key().as_bytes()].concat();
        Self {
            id: Principal::self_authenticating(&public_der),
            key,
            public_der,
        }
    }
}

/// What can be asked of a network from any thread, while another one runs it. Cheap to clone.
#[derive(Clone)]
pub struct Reader {
    members: Arc<[Member]>,
    directory: Arc<Directory>,
}

/// See the module's documentation. One thread owns a network and runs it.
pub struct Network {
    reader: Reader,
    time: Time,
    delegated_at: Time,
}

impl Deref for Network {
    type Target = Reader;

    fn deref(&self) -> &Reader {
        &self.reader
    }
}

fn derive(seed: &[u8; 32], purpose: &str) -> [u8; 32] {
    Sha256::new()
        .chain_update(seed)
        .chain_update(purpose)
        .finalize()
        .into()
}

impl Network {
    /// Sets up a network without canisters.
    ///
    /// # Errors
    /// Where there is no subnet or too many, or wasmtime can't be set up on this machine.
    pub fn new(config: &NetworkConfig) -> Result<Self, SetupError> {
        let count = config.subnets.len();
        if !(1..=MAX_SUBNETS).contains(&count) {
            let text = format!("{count} subnets, from 1 to {MAX_SUBNETS}");
            return Err(SetupError(text));
        }
        let runtime = Runtime::new(config.module_cache.as_deref())
            .map_err(|error| SetupError(error.to_string()))?;
        let keyed: Vec<_> = (0..)
            .zip(&config.subnets)
            .map(|(n, subnet)| {
                let seed = derive(&config.seed, &format!("subnet {n}"));
                let key = Arc::new(SubnetKey::from_seed(derive(&seed, "key")));
                (subnet, seed, key, topology::ranges(subnet.kind, n))
            })
            .collect();
        let is_nns = |(subnet, ..): &(&SubnetConfig, _, _, _)| subnet.kind == SubnetKind::Nns;
        let root = keyed.iter().position(is_nns).unwrap_or(0);
        let root_key = &keyed[root].2;
        let root_der: Arc<[u8]> = root_key.public_der().into();
        let ids = keyed
            .iter()
            .map(|(_, _, key, ranges)| (key.subnet_id(), ranges.clone()));
        let directory = Arc::new(Directory::new(ids.collect(), root_key.subnet_id()));
        let members = keyed.into_iter().map(|(config_of, seed, key, ranges)| {
            let info = SubnetInfo {
                id: key.subnet_id(),
                config: config_of.clone(),
                ranges: ranges.iter().map(|range| range.bounds()).collect(),
                seed,
                first_canister_id: ranges
                    .last()
                    .map_or(Principal::anonymous(), |r| r.bounds().0),
            };
            let node = Node::from_seed(derive(&seed, "node"));
            let mut subnet = Subnet::new(
                &info,
                key.clone(),
                root_der.clone(),
                directory.clone(),
                runtime.clone(),
                derive(&seed, "randomness"),
                config.start,
            );
            subnet.node = node.id;
            Member {
                subnet: Mutex::new(subnet),
                info,
                key,
                node,
            }
        });
        let mut network = Self {
            reader: Reader {
                members: members.collect(),
                directory,
            },
            time: config.start,
            delegated_at: config.start,
        };
        network.certify_topology();
        network.delegate();
        Ok(network)
    }

    /// A handle for other threads.
    #[must_use]
    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }

    /// Writes who is who into all state trees.
    fn certify_topology(&mut self) {
        let mut entries: Vec<(Path, Vec<u8>)> = Vec::new();
        for member in self.members.iter() {
            let subnet = member.info.id.as_slice().to_vec();
            let ranges = ranges_cbor(&member.info.ranges);
            let mut of_subnet = |labels: &[&[u8]], value: Vec<u8>| {
                let labels = labels.iter().map(|label| label.to_vec());
                let path = [b"subnet".to_vec(), subnet.clone()]
                    .into_iter()
                    .chain(labels)
                    .collect();
                entries.push((path, value));
            };
            of_subnet(&[b"public_key"], member.key.public_der().to_vec());
            of_subnet(&[b"canister_ranges"], ranges.clone());
            let kind = member.info.config.kind.type_name();
            of_subnet(&[b"type"], kind.as_bytes().to_vec());
            of_subnet(
                &[b"node", member.node.id.as_slice(), b"public_key"],
                member.node.public_der.clone(),
            );
            // One shard, named by the first id.
            let first = member.info.ranges.iter().map(|(first, _)| *first).min();
            let first = first.unwrap_or(Principal::management_canister());
            let shard = vec![
                b"canister_ranges".to_vec(),
                subnet.clone(),
                first.as_slice().to_vec(),
            ];
            entries.push((shard, ranges));
        }
        for member in self.members.iter() {
            let mut subnet = member.subnet.lock();
            for (path, value) in &entries {
                let path: Vec<&[u8]> = path.iter().map(Vec::as_slice).collect();
                subnet.tree.insert(&path, value.clone());
            }
        }
    }

    /// Has the root subnet sign for the other subnets' keys and ranges, the latter in both forms.
    fn delegate(&mut self) {
        let root = self.member(self.root_subnet());
        for member in self.members.iter() {
            if member.info.id == root.info.id {
                continue;
            }
            let subnet = member.info.id.as_slice().to_vec();
            let paths = [
                vec![b"subnet".to_vec(), subnet.clone(), b"public_key".to_vec()],
                vec![
                    b"subnet".to_vec(),
                    subnet.clone(),
                    b"canister_ranges".to_vec(),
                ],
                vec![b"canister_ranges".to_vec(), subnet.clone()],
            ];
            let certificate = root.subnet.lock().tree.certificate(&paths);
            member.subnet.lock().tree.delegate(Delegation {
                subnet_id: subnet,
                certificate: certificate.bytes().to_vec(),
            });
        }
        self.delegated_at = self.time;
    }

    #[must_use]
    pub fn time(&self) -> Time {
        self.time
    }

    /// Moves the time on; never back.
    pub fn advance_time(&mut self, now: Time) {
        if now <= self.time {
            return;
        }
        self.time = now;
        for member in self.members.iter() {
            member.subnet.lock().set_time(now);
        }
        if now >= self.delegated_at.plus(DELEGATION_NS) {
            self.delegate();
        }
    }

    /// Executes a bounded part of what is queued, timers that are due included; true if there is more.
    ///
    /// Messages to other subnets arrive before this returns, and are executed by the next call.
    pub fn run(&mut self) -> bool {
        let mut more = false;
        for member in self.members.iter() {
            more |= Subnet::run(&mut member.subnet.lock());
        }
        for member in self.members.iter() {
            let sent = std::mem::take(&mut member.subnet.lock().outbox);
            for (subnet, work) in sent {
                more = true;
                self.member(subnet)
                    .subnet
                    .lock()
                    .calls
                    .queue
                    .push_back(work);
            }
        }
        more
    }

    /// Whether [`Network::run`] would have something to do.
    #[must_use]
    pub fn has_work(&self) -> bool {
        self.members
            .iter()
            .any(|member| member.subnet.lock().has_work())
    }
}

impl Reader {
    /// Public key of the root subnet: DER, 133 bytes. What clients pin.
    #[must_use]
    pub fn root_key(&self) -> &[u8] {
        self.member(self.root_subnet()).key.public_der()
    }

    #[must_use]
    pub fn root_subnet(&self) -> Principal {
        self.directory.root()
    }

    /// The first application subnet; where there is none, the first cloud engine, or the first subnet.
    #[must_use]
    pub fn application_subnet(&self) -> Principal {
        let first = |kind| {
            let mut members = self.members.iter();
            members.find(|member| member.info.config.kind == kind)
        };
        first(SubnetKind::Application)
            .or_else(|| first(SubnetKind::CloudEngine))
            .unwrap_or(&self.members[0])
            .info
            .id
    }

    /// An id of the application subnet, to address its management canister by.
    #[must_use]
    pub fn default_effective_canister_id(&self) -> Principal {
        self.member(self.application_subnet())
            .info
            .first_canister_id
    }

    /// All subnets, in the order of the configuration.
    #[must_use]
    pub fn topology(&self) -> Vec<SubnetInfo> {
        let members = self.members.iter();
        members.map(|member| member.info.clone()).collect()
    }

    /// Public key of a subnet: DER, 133 bytes.
    #[must_use]
    pub fn subnet_key(&self, subnet: Principal) -> Option<&[u8]> {
        let mut members = self.members.iter();
        let found = members.find(|member| member.info.id == subnet);
        found.map(|member| member.key.public_der())
    }

    /// The subnet that is responsible for what a request is addressed to.
    #[must_use]
    pub fn route(&self, effective: &Effective) -> Option<Principal> {
        match effective {
            Effective::Canister(id) => self.directory.of_canister(id),
            Effective::Subnet(id) => self.directory.is_subnet(id).then_some(*id),
        }
    }

    /// The member of this id; the root subnet for an id that no subnet has.
    fn member(&self, subnet: Principal) -> &Member {
        let find = |id| self.members.iter().find(|member| member.info.id == id);
        find(subnet)
            .or_else(|| find(self.directory.root()))
            .unwrap_or(&self.members[0])
    }

    /// Takes an update call, to be executed by [`Network::run`]. One that is known already is not taken
    /// again.
    ///
    /// # Errors
    /// Where it is refused before execution: no such canister, stopped, or its `inspect_message` declines.
    pub fn submit(&self, subnet: Principal, ingress: Ingress) -> Result<(), Reject> {
        let mut subnet = self.member(subnet).subnet.lock();
        if ingress.canister_id == Principal::management_canister()
            && subnet.status(&ingress.id) == RequestStatus::Unknown
        {
            management::accepts(&subnet, &ingress)?;
        }
        Subnet::submit(&mut subnet, ingress)
    }

    /// Takes an update call that no canister answers, but whoever serves the network: [`Reader::end`] ends it. False
    /// where it is known already.
    ///
    /// # Errors
    /// [`ErrorCode::IngressHistoryFull`](crate::ErrorCode::IngressHistoryFull).
    pub fn take(&self, subnet: Principal, ingress: &Ingress) -> Result<bool, Reject> {
        let mut subnet = self.member(subnet).subnet.lock();
        let Subnet {
            ingress: history,
            tree,
            ..
        } = &mut *subnet;
        if history.is_full() && history.status(&ingress.id) == RequestStatus::Unknown {
            return Err(Reject::history_full());
        }
        Ok(history.receive(ingress, tree))
    }

    /// Ends a call that was taken by [`Reader::take`].
    pub fn end(&self, subnet: Principal, id: &RequestId, result: Result<Vec<u8>, Reject>) {
        let mut subnet = self.member(subnet).subnet.lock();
        let Subnet {
            ingress: history,
            tree,
            ..
        } = &mut *subnet;
        history.finish(id, result, tree);
    }

    /// How far an update call has come.
    #[must_use]
    pub fn status(&self, subnet: Principal, id: &RequestId) -> RequestStatus {
        self.member(subnet).subnet.lock().status(id)
    }

    /// Who sent an update call, if it is known.
    #[must_use]
    pub fn sender(&self, subnet: Principal, id: &RequestId) -> Option<Principal> {
        let subnet = self.member(subnet).subnet.lock();
        subnet.ingress.parties(id).map(|(sender, _)| sender)
    }

    /// Answers a query from the state as of the last message.
    ///
    /// # Errors
    /// Where there is no such query method, or it rejects or traps.
    pub fn query(&self, subnet: Principal, query: Query) -> Result<Vec<u8>, Reject> {
        Subnet::query(&mut self.member(subnet).subnet.lock(), query)
    }

    /// Checks whether a sender may read these paths (IC interface specification, "Request: Read state").
    ///
    /// # Errors
    /// The first reason why not.
    pub fn may_read_state(
        &self,
        subnet: Principal,
        effective: &Effective,
        reader: &StateReader,
        paths: &[Path],
    ) -> Result<(), ReadStateRefused> {
        let subnet = self.member(subnet).subnet.lock();
        crate::access::may_read_state(&subnet, effective, reader, paths)
    }

    /// A certificate (CBOR) that reveals these paths, or that they are absent.
    #[must_use]
    pub fn read_state(&self, subnet: Principal, paths: &[Path]) -> Arc<[u8]> {
        // Signed with the lock given up.
        let certificate = self.member(subnet).subnet.lock().tree.certificate(paths);
        certificate.bytes()
    }

    /// The time of a subnet, as its certificates say it.
    #[must_use]
    pub fn time_of(&self, subnet: Principal) -> Time {
        self.member(subnet).subnet.lock().time
    }

    /// Signs an answer to a query as the subnet's node.
    #[must_use]
    pub fn sign_as_node(&self, subnet: Principal, message: &[u8]) -> NodeSignature {
        let node = &self.member(subnet).node;
        NodeSignature {
            node: node.id,
            signature: node.key.sign(message).to_bytes(),
        }
    }

    /// What all messages have cost so far.
    #[must_use]
    pub fn metrics(&self) -> Vec<MethodMetrics> {
        let members = self.members.iter();
        members
            .flat_map(|member| member.subnet.lock().metrics.all().collect::<Vec<_>>())
            .collect()
    }

    /// Does something with a canister that exists.
    pub(crate) fn with_canister<T>(
        &self,
        id: &Principal,
        act: impl FnOnce(&mut Subnet) -> T,
    ) -> Option<T> {
        let subnet = self.directory.of_canister(id)?;
        let mut subnet = self.member(subnet).subnet.lock();
        subnet.canisters.contains_key(id).then(|| act(&mut subnet))
    }

    /// The subnet that a canister is on, if there is such a canister.
    #[must_use]
    pub fn subnet_of(&self, id: &Principal) -> Option<Principal> {
        self.with_canister(id, |subnet| subnet.id)
    }

    /// Balance of a canister.
    #[must_use]
    pub fn cycles(&self, id: &Principal) -> Option<u128> {
        self.with_canister(id, |subnet| subnet.canisters.get(id).map(|c| c.balance))
            .flatten()
    }

    /// Mints cycles for a canister, and returns its balance then.
    pub fn add_cycles(&self, id: &Principal, amount: u128) -> Option<u128> {
        self.with_canister(id, |subnet| subnet.mint(*id, amount))
            .flatten()
    }

    /// HTTPS outcalls of canisters that wait for their answers, by subnet and age.
    #[must_use]
    pub fn http_requests(&self) -> Vec<HttpRequest> {
        let members = self.members.iter();
        members
            .flat_map(|member| {
                let subnet = member.subnet.lock();
                subnet.outcalls.requests().cloned().collect::<Vec<_>>()
            })
            .collect()
    }

    /// Answers an HTTPS outcall, by [`HttpRequest::subnet`] and [`HttpRequest::id`]; false where it waits no longer.
    pub fn answer_http(
        &self,
        subnet: Principal,
        id: u64,
        result: Result<HttpResponse, (RejectCode, String)>,
    ) -> bool {
        let member = self.members.iter().find(|member| member.info.id == subnet);
        member.is_some_and(|member| management::answer_http(&mut member.subnet.lock(), id, result))
    }

    /// Where all cycles of the network are.
    #[must_use]
    pub fn audit(&self) -> CyclesAudit {
        let mut audit = CyclesAudit::default();
        for member in self.members.iter() {
            let subnet = member.subnet.lock();
            audit.minted += subnet.ledger.minted;
            audit.burned += subnet.ledger.burned;
            audit.balances += subnet.canisters.values().map(|c| c.balance).sum::<u128>();
            audit.in_flight += subnet.calls.cycles_in_flight();
            audit.in_flight += management::cycles_in_flight(&subnet);
            audit.in_flight += subnet
                .outbox
                .iter()
                .map(|(_, work)| work.cycles())
                .sum::<u128>();
        }
        audit
    }

    /// Controllers of a canister.
    #[must_use]
    pub fn controllers(&self, id: &Principal) -> Option<Vec<Principal>> {
        self.with_canister(id, |subnet| {
            let canister = subnet.canisters.get(id);
            canister.map(|canister| canister.settings.controllers.to_vec())
        })
        .flatten()
    }
}
