//! A network of two subnets: a root subnet, whose key is the network's, and an application subnet, where
//! the canisters live.
//!
//! The root subnet delegates to the application subnet: it certifies that subnet's key and canister ranges,
//! and every certificate of the application subnet carries that delegation (IC interface specification,
//! "Delegation").

use std::{fmt, sync::Arc};

use candid::Principal;
use ed25519_dalek::{Signer as _, SigningKey};
use ic_certification::Delegation;
use sha2::{Digest as _, Sha256};

use crate::{
    Effective, Ingress, MethodMetrics, NodeSignature, Path, Query, Reject, RequestId,
    RequestStatus, Time,
    certification::{SubnetKey, ranges_cbor},
    management,
    subnet::{CanisterRange, Subnet},
    wasm::Runtime,
};
use canister_module::Visibility;

/// Canister ids of the root subnet: as on the Internet Computer, the lowest.
const ROOT_RANGE: (u64, u64) = (0, 0xf_ffff);
/// Canister ids of the application subnet.
const APPLICATION_RANGE: (u64, u64) = (0x10_0000, 0x1f_ffff);
/// DER of an Ed25519 public key up to the key itself (RFC 8410).
const ED25519_DER_PREFIX: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];
/// How old a delegation may be before the root subnet signs a new one, in nanoseconds.
const DELEGATION_NS: u64 = 60 * 1_000_000_000;
/// Most labels of a path that may be read.
const MAX_PATH: usize = 127;
/// Most paths that may be read at once.
const MAX_PATHS: usize = 1_000;

/// How to set up a network.
#[derive(Clone, Debug)]
pub struct NetworkConfig {
    /// The time at the start.
    pub start: Time,
    /// Keys and randomness all come from this: the same seed gives the same network.
    pub seed: [u8; 32],
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

/// Why a part of the state may not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadStateRefused {
    /// The request is malformed: HTTP 400.
    Invalid(String),
    /// The sender may not read this: HTTP 403.
    Forbidden(String),
}

/// A subnet with the one node that answers for it.
struct Member {
    subnet: Subnet,
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

/// See the module's documentation. One thread owns a network.
pub struct Network {
    root: Member,
    application: Member,
    time: Time,
    delegated_at: Time,
}

impl Network {
    /// Sets up a network without canisters.
    ///
    /// # Errors
    /// Where wasmtime can't be set up on this machine.
    pub fn new(config: &NetworkConfig) -> Result<Self, SetupError> {
        let runtime = Runtime::new().map_err(|error| SetupError(error.to_string()))?;
        let derive = |purpose: &str| -> [u8; 32] {
            Sha256::new()
                .chain_update(config.seed)
                .chain_update(purpose)
                .finalize()
                .into()
        };
        let root_key = Arc::new(SubnetKey::from_seed(derive("root subnet key")));
        let application_key = Arc::new(SubnetKey::from_seed(derive("application subnet key")));
        let root_der: Arc<[u8]> = root_key.public_der().into();
        let member = |key: Arc<SubnetKey>, (first, last), purpose: &str| Member {
            subnet: Subnet::new(
                key.clone(),
                root_der.clone(),
                runtime.clone(),
                CanisterRange::new(first, last),
                derive(&format!("{purpose} randomness")),
                config.start,
            ),
            key,
            node: Node::from_seed(derive(&format!("{purpose} node"))),
        };
        let mut network = Self {
            root: member(root_key, ROOT_RANGE, "root"),
            application: member(application_key, APPLICATION_RANGE, "application"),
            time: config.start,
            delegated_at: config.start,
        };
        network.certify_topology();
        network.delegate();
        Ok(network)
    }

    /// Writes who is who into both state trees.
    fn certify_topology(&mut self) {
        let mut entries: Vec<(Path, Vec<u8>)> = Vec::new();
        for (member, kind) in [(&self.root, "system"), (&self.application, "application")] {
            let subnet = member.subnet.id.as_slice().to_vec();
            let (first, last) = member.subnet.range.bounds();
            let ranges = ranges_cbor(&[(first, last)]);
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
            of_subnet(&[b"type"], kind.as_bytes().to_vec());
            of_subnet(
                &[b"node", member.node.id.as_slice(), b"public_key"],
                member.node.public_der.clone(),
            );
            let shard = vec![
                b"canister_ranges".to_vec(),
                subnet.clone(),
                first.as_slice().to_vec(),
            ];
            entries.push((shard, ranges));
        }
        for member in [&mut self.root, &mut self.application] {
            for (path, value) in &entries {
                let path: Vec<&[u8]> = path.iter().map(Vec::as_slice).collect();
                member.subnet.tree.insert(&path, value.clone());
            }
        }
    }

    /// Has the root subnet sign for the application subnet's key and ranges, in both forms.
    fn delegate(&mut self) {
        let subnet = self.application.subnet.id.as_slice().to_vec();
        let paths = [
            vec![b"subnet".to_vec(), subnet.clone(), b"public_key".to_vec()],
            vec![
                b"subnet".to_vec(),
                subnet.clone(),
                b"canister_ranges".to_vec(),
            ],
            vec![b"canister_ranges".to_vec(), subnet.clone()],
        ];
        let certificate = self.root.subnet.tree.certificate(&paths).bytes().to_vec();
        self.application.subnet.tree.delegate(Delegation {
            subnet_id: subnet,
            certificate,
        });
        self.delegated_at = self.time;
    }

    /// Public key of the root subnet: DER, 133 bytes. What clients pin.
    #[must_use]
    pub fn root_key(&self) -> &[u8] {
        self.root.key.public_der()
    }

    #[must_use]
    pub fn root_subnet(&self) -> Principal {
        self.root.subnet.id
    }

    #[must_use]
    pub fn application_subnet(&self) -> Principal {
        self.application.subnet.id
    }

    /// An id of the application subnet, to address its management canister by.
    #[must_use]
    pub fn default_effective_canister_id(&self) -> Principal {
        self.application.subnet.range.bounds().0
    }

    /// The subnet that is responsible for what a request is addressed to.
    #[must_use]
    pub fn route(&self, effective: &Effective) -> Option<Principal> {
        let member =
            [&self.application, &self.root]
                .into_iter()
                .find(|member| match effective {
                    Effective::Canister(id) => member.subnet.range.contains(id),
                    Effective::Subnet(id) => member.subnet.id == *id,
                })?;
        Some(member.subnet.id)
    }

    fn member(&self, subnet: Principal) -> &Member {
        if subnet == self.root.subnet.id {
            &self.root
        } else {
            &self.application
        }
    }

    fn subnet_mut(&mut self, subnet: Principal) -> &mut Subnet {
        if subnet == self.root.subnet.id {
            &mut self.root.subnet
        } else {
            &mut self.application.subnet
        }
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
        self.root.subnet.set_time(now);
        self.application.subnet.set_time(now);
        if now >= self.delegated_at.plus(DELEGATION_NS) {
            self.delegate();
        }
    }

    /// Takes an update call, to be executed by [`Network::run`]. One that is known already is not taken
    /// again.
    ///
    /// # Errors
    /// Where it is refused before execution: no such canister, stopped, or its `inspect_message` declines.
    pub fn submit(&mut self, subnet: Principal, ingress: Ingress) -> Result<(), Reject> {
        let subnet = self.subnet_mut(subnet);
        if ingress.canister_id == Principal::management_canister()
            && subnet.status(&ingress.id) == RequestStatus::Unknown
        {
            management::accepts(subnet, &ingress)?;
        }
        subnet.submit(ingress)
    }

    /// Executes a bounded part of what is queued, timers that are due included; true if there is more.
    pub fn run(&mut self) -> bool {
        let root = self.root.subnet.run();
        let application = self.application.subnet.run();
        root || application
    }

    /// Whether [`Network::run`] would have something to do.
    #[must_use]
    pub fn has_work(&self) -> bool {
        self.root.subnet.has_work() || self.application.subnet.has_work()
    }

    /// How far an update call has come.
    #[must_use]
    pub fn status(&self, subnet: Principal, id: &RequestId) -> RequestStatus {
        self.member(subnet).subnet.status(id)
    }

    /// Answers a query from the state as of the last message.
    ///
    /// # Errors
    /// Where there is no such query method, or it rejects or traps.
    pub fn query(&mut self, subnet: Principal, query: Query) -> Result<Vec<u8>, Reject> {
        self.subnet_mut(subnet).query(query)
    }

    /// Checks whether a sender may read these paths (IC interface specification, "Request: Read state").
    ///
    /// # Errors
    /// The first reason why not.
    pub fn may_read_state(
        &self,
        subnet: Principal,
        effective: &Effective,
        sender: &Principal,
        paths: &[Path],
    ) -> Result<(), ReadStateRefused> {
        if paths.len() > MAX_PATHS {
            return Err(ReadStateRefused::Invalid(format!(
                "{} paths, at most {MAX_PATHS}",
                paths.len()
            )));
        }
        let subnet = &self.member(subnet).subnet;
        let mut requests = Vec::new();
        for path in paths {
            if path.len() > MAX_PATH {
                return Err(ReadStateRefused::Invalid(format!(
                    "a path of {} labels, at most {MAX_PATH}",
                    path.len()
                )));
            }
            let labels: Vec<&[u8]> = path.iter().map(Vec::as_slice).collect();
            may_read(subnet, effective, sender, &labels)?;
            if let [b"request_status", id, ..] = labels[..] {
                requests.push(id.to_vec());
            }
        }
        requests.sort_unstable();
        requests.dedup();
        if requests.len() > 1 {
            return Err(ReadStateRefused::Invalid(
                "paths of one request at a time, please".to_owned(),
            ));
        }
        Ok(())
    }

    /// A certificate (CBOR) that reveals these paths, or that they are absent.
    #[must_use]
    pub fn read_state(&self, subnet: Principal, paths: &[Path]) -> Arc<[u8]> {
        self.member(subnet).subnet.read_state(paths)
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
        self.root
            .subnet
            .metrics
            .all()
            .chain(self.application.subnet.metrics.all())
            .collect()
    }
}

fn may_read(
    subnet: &Subnet,
    effective: &Effective,
    sender: &Principal,
    path: &[&[u8]],
) -> Result<(), ReadStateRefused> {
    let forbidden = |reason: &str| Err(ReadStateRefused::Forbidden(reason.to_owned()));
    let of_canister = |id: &[u8]| matches!(effective, Effective::Canister(e) if e.as_slice() == id);
    match path {
        [b"time"] | [b"subnet", ..] | [b"canister_ranges", ..] => Ok(()),
        [b"request_status", id, ..] => {
            let Ok(id) = <[u8; 32]>::try_from(*id) else {
                return Err(ReadStateRefused::Invalid(
                    "a request id has 32 bytes".to_owned(),
                ));
            };
            match subnet.ingress.parties(&RequestId(id)) {
                Some((owner, _)) if owner != *sender => {
                    forbidden("the request was sent by somebody else")
                }
                Some((_, canister))
                    if canister != Principal::management_canister()
                        && !of_canister(canister.as_slice()) =>
                {
                    forbidden("the request was sent to another canister")
                }
                _ => Ok(()),
            }
        }
        [b"canister", id, b"controllers" | b"module_hash"] if of_canister(id) => Ok(()),
        [b"canister", id, b"metadata", name] if of_canister(id) => {
            let Ok(name) = std::str::from_utf8(name) else {
                return Err(ReadStateRefused::Invalid(
                    "the name of a metadata section is UTF-8".to_owned(),
                ));
            };
            let canister = Principal::try_from_slice(id)
                .ok()
                .and_then(|id| subnet.canisters.get(&id));
            let private = canister.is_some_and(|canister| {
                let module = canister
                    .instance
                    .as_ref()
                    .map(|instance| &instance.program().module);
                let metadata = module.and_then(|module| module.metadata.get(name));
                metadata.is_some_and(|metadata| metadata.visibility == Visibility::Private)
                    && !canister.is_controlled_by(sender)
            });
            if private {
                forbidden("the metadata section is private")
            } else {
                Ok(())
            }
        }
        _ => forbidden("no such path can be read here"),
    }
}
