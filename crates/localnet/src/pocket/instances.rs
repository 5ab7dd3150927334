//! Instances: networks that clients create and delete, and find by a number that is never used again.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{Path, Request, State},
    http::{StatusCode, Uri, uri::PathAndQuery},
    response::{IntoResponse, Response},
};
use engine::{Network, Principal};
use parking_lot::Mutex;
use pocket_ic::common::rest::{
    CanisterIdRange, CreateInstanceResponse, HttpGatewayBackend, HttpGatewayConfig, InstanceConfig,
    InstanceId, SubnetConfig, SubnetKind, Topology,
};
use tokio::task::block_in_place;
use tower_service::Service as _;

use super::{
    Pocket,
    answer::{Body, Failure},
    configuration::{self, Setup},
    gateway,
};
use crate::{
    executor::Executor,
    http::{App, router},
};

/// Most instances at a time: each has a thread, and memory for its canisters.
const MAX_INSTANCES: usize = 256;
/// How long a deletion waits for what the instance is doing.
const FAREWELL: Duration = Duration::from_secs(30);

/// One network.
pub(super) struct Instance {
    pub(super) executor: Executor,
    /// What its subnets were asked to be, in the order of the network.
    kinds: Vec<SubnetKind>,
    /// The HTTP interface of the Internet Computer.
    interface: Router,
    /// Calls so far: no two have the same id.
    nonce: AtomicU64,
}

impl Instance {
    /// The subnets as clients see them.
    pub(super) fn topology(&self) -> Topology {
        let reader = self.executor.reader();
        let subnets = reader.topology().into_iter().zip(&self.kinds);
        Topology {
            subnet_configs: subnets
                .map(|(subnet, kind)| {
                    let ranges = subnet.ranges.into_iter();
                    let admins = subnet.config.admins;
                    let config = SubnetConfig {
                        subnet_kind: *kind,
                        subnet_admins: (!admins.is_empty())
                            .then(|| admins.into_iter().map(Into::into).collect()),
                        cost_schedule: configuration::cost_schedule(subnet.config.cost_schedule),
                        subnet_seed: subnet.seed,
                        instruction_config: configuration::instructions(subnet.config.benchmarking),
                        canister_ranges: ranges
                            .map(|(start, end)| CanisterIdRange {
                                start: start.into(),
                                end: end.into(),
                            })
                            .collect(),
                    };
                    (subnet.id, config)
                })
                .collect(),
            default_effective_canister_id: self.default_canister().into(),
        }
    }

    /// An id by which the subnet is addressed that takes canisters whose creator doesn't choose one.
    pub(super) fn default_canister(&self) -> Principal {
        self.default_subnet().first_canister_id
    }

    pub(super) fn next_nonce(&self) -> u64 {
        self.nonce.fetch_add(1, Ordering::Relaxed)
    }

    /// The first application subnet, or what comes next to one.
    pub(super) fn default_subnet(&self) -> engine::SubnetInfo {
        let mut subnets = self.executor.reader().topology();
        let preferred = [
            SubnetKind::Application,
            SubnetKind::VerifiedApplication,
            SubnetKind::System,
        ];
        let found = preferred
            .iter()
            .find_map(|kind| self.kinds.iter().position(|other| other == kind));
        subnets.swap_remove(found.unwrap_or(0))
    }
}

/// See the module's documentation.
#[derive(Default)]
pub(super) struct Instances(Mutex<Table>);

#[derive(Default)]
struct Table {
    instances: BTreeMap<InstanceId, Arc<Instance>>,
    next: InstanceId,
    /// Instances that are being made.
    coming: usize,
}

/// Room for an instance that is being made.
struct Reserved<'a>(&'a Instances);

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        self.0.0.lock().coming -= 1;
    }
}

impl Instances {
    fn reserve(&self) -> Result<Reserved<'_>, Failure> {
        let mut table = self.0.lock();
        if table.instances.len() + table.coming >= MAX_INSTANCES {
            let text = format!("there are {MAX_INSTANCES} instances, and no more at a time");
            return Err(Failure::bad(text));
        }
        table.coming += 1;
        Ok(Reserved(self))
    }

    fn add(&self, instance: Arc<Instance>) -> InstanceId {
        let mut table = self.0.lock();
        let id = table.next;
        table.next += 1;
        table.instances.insert(id, instance);
        id
    }

    pub(super) fn get(&self, id: InstanceId) -> Result<Arc<Instance>, Failure> {
        let table = self.0.lock();
        table.instances.get(&id).cloned().ok_or_else(|| {
            let text = if id < table.next {
                "Instance was deleted"
            } else {
                "Instance not found"
            };
            Failure::new(StatusCode::NOT_FOUND, text)
        })
    }
}

/// `GET /instances`: a word for each instance that there has been.
pub(super) async fn list(State(pocket): State<Arc<Pocket>>) -> Json<Vec<&'static str>> {
    let table = pocket.instances.0.lock();
    // What has gone first is not listed; the word for it would be the same each time.
    let states = (0..table.next).map(|id| {
        if table.instances.contains_key(&id) {
            "Available"
        } else {
            "Deleted"
        }
    });
    Json(states.collect())
}

/// `POST /instances`.
pub(super) async fn create(
    State(pocket): State<Arc<Pocket>>,
    Body(config): Body<InstanceConfig>,
) -> Response {
    match make(&pocket, config).await {
        Ok(created) => (StatusCode::CREATED, Json(created)).into_response(),
        Err(failure) => {
            let error = CreateInstanceResponse::Error {
                message: failure.message().to_owned(),
            };
            (StatusCode::BAD_REQUEST, Json(error)).into_response()
        }
    }
}

async fn make(
    pocket: &Arc<Pocket>,
    config: InstanceConfig,
) -> Result<CreateInstanceResponse, Failure> {
    let _room = pocket.instances.reserve()?;
    let Setup {
        mut network,
        kinds,
        live,
        gateway,
        authenticates,
    } = configuration::read(config).map_err(Failure::bad)?;
    network.module_cache = pocket.module_cache.clone();
    let network = block_in_place(|| Network::new(&network))
        .map_err(|error| Failure::bad(error.to_string()))?;
    let executor = Executor::spawn(network).map_err(|error| Failure::bad(error.to_string()))?;
    let mut app = App::new(executor.clone());
    if !authenticates {
        app = app.without_authentication();
    }
    let instance = Arc::new(Instance {
        interface: router(app),
        executor,
        kinds,
        nonce: AtomicU64::new(0),
    });
    if let Some(delay) = live {
        instance.executor.go_live(delay).await?;
    }
    let topology = instance.topology();
    let id = pocket.instances.add(instance);
    let http_gateway_info = match gateway {
        None => None,
        Some(config) => {
            let config = HttpGatewayConfig {
                ip_addr: config.ip_addr,
                port: config.port,
                forward_to: HttpGatewayBackend::PocketIcInstance(id),
                domains: config.domains,
                https_config: config.https_config,
                domain_custom_provider_local_file: config.domain_custom_provider_local_file,
            };
            match gateway::start(pocket, config).await {
                Ok(info) => Some(info),
                Err(failure) => {
                    pocket.instances.0.lock().instances.remove(&id);
                    return Err(failure);
                }
            }
        }
    };
    Ok(CreateInstanceResponse::Created {
        instance_id: id,
        topology,
        http_gateway_info,
    })
}

/// `DELETE /instances/{instance}`: answers when the memory is free again.
pub(super) async fn delete(
    State(pocket): State<Arc<Pocket>>,
    Path(id): Path<InstanceId>,
) -> Result<StatusCode, Failure> {
    let found = pocket.instances.get(id)?;
    drop(found);
    pocket.gateways.stop_of_instance(id).await;
    let removed = pocket.instances.0.lock().instances.remove(&id);
    if let Some(instance) = removed {
        let executor = instance.executor.clone();
        drop(instance);
        let _ = tokio::time::timeout(FAREWELL, executor.dropped()).await;
    }
    Ok(StatusCode::OK)
}

/// `/instances/{instance}/api/…` and `/instances/{instance}/_/…`.
pub(super) async fn interface(
    State(pocket): State<Arc<Pocket>>,
    Path((id, _)): Path<(InstanceId, String)>,
    request: Request,
) -> Result<Response, Failure> {
    let instance = pocket.instances.get(id)?;
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", PathAndQuery::as_str);
    // From the third segment on.
    let below = path.splitn(4, '/').nth(3).unwrap_or_default();
    let below = format!("/{below}");
    Ok(instance.forward(request, &below).await)
}

impl Instance {
    /// Has the HTTP interface answer a request, for another path.
    pub(super) async fn forward(&self, request: Request, path: &str) -> Response {
        if path == "/_/topology" {
            return Json(self.topology()).into_response();
        }
        let Ok(uri) = path.parse::<Uri>() else {
            return StatusCode::BAD_REQUEST.into_response();
        };
        let (mut head, body) = request.into_parts();
        head.uri = uri;
        // What the outer router has noted there is about the other path.
        head.extensions.clear();
        let answered = self.interface.clone().call(Request::from_parts(head, body));
        answered.await.unwrap_or_else(|never| match never {})
    }
}
