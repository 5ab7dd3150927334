//! HTTP gateways (HTTP gateway protocol specification): canisters as web sites, each gateway on a port of its own.
//!
//! `/http_gateway` starts, lists and stops them; [`super::gateway_server`] is what one does.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use gateway_agent::Agent;
use parking_lot::Mutex;
use pocket_ic::common::rest::{
    CreateHttpGatewayResponse, HttpGatewayBackend, HttpGatewayConfig, HttpGatewayDetails,
    HttpGatewayInfo, InstanceId,
};
use tokio::time::timeout;

use super::{
    Pocket,
    answer::{Answer, Body, Failure},
    gateway_server::{Backend, router},
};
use crate::listener::Listener;

/// Most gateways at a time.
const MAX_GATEWAYS: usize = 256;
/// Most domains of a gateway, besides its address.
const MAX_DOMAINS: usize = 100;
/// How long a network elsewhere may take to say its root key.
const ROOT_KEY_TIMEOUT: Duration = Duration::from_secs(10);

/// See the module's documentation.
#[derive(Default)]
pub(super) struct Gateways(Mutex<Table>);

#[derive(Default)]
struct Table {
    gateways: BTreeMap<InstanceId, Gateway>,
    next: InstanceId,
}

struct Gateway {
    config: HttpGatewayConfig,
    listener: Listener,
}

impl Gateways {
    /// Stops the gateways of an instance.
    pub(super) async fn stop_of_instance(&self, id: InstanceId) {
        let stopped: Vec<Gateway> = {
            let mut table = self.0.lock();
            let of_instance = table.gateways.extract_if(.., |_, gateway| {
                gateway.config.forward_to == HttpGatewayBackend::PocketIcInstance(id)
            });
            of_instance.map(|(_, gateway)| gateway).collect()
        };
        for gateway in stopped {
            gateway.listener.stop().await;
        }
    }

    pub(super) async fn stop_all(&self) {
        let all = std::mem::take(&mut self.0.lock().gateways);
        for gateway in all.into_values() {
            gateway.listener.stop().await;
        }
    }
}

/// `POST /http_gateway`.
pub(super) async fn create(
    State(pocket): State<Arc<Pocket>>,
    Body(config): Body<HttpGatewayConfig>,
) -> Response {
    match start(&pocket, config).await {
        Ok(info) => {
            let created = CreateHttpGatewayResponse::Created(info);
            (StatusCode::CREATED, Json(created)).into_response()
        }
        Err(failure) => {
            let error = CreateHttpGatewayResponse::Error {
                message: failure.message().to_owned(),
            };
            (StatusCode::BAD_REQUEST, Json(error)).into_response()
        }
    }
}

/// Starts a gateway.
///
/// # Errors
/// It is asked for what this server can't do, its backend isn't there, or its address can't be listened on.
pub(super) async fn start(
    pocket: &Arc<Pocket>,
    config: HttpGatewayConfig,
) -> Result<HttpGatewayInfo, Failure> {
    if config.https_config.is_some() {
        return Err(Failure::bad(
            "https_config is not supported: gateways speak plain HTTP",
        ));
    }
    if config.domain_custom_provider_local_file.is_some() {
        return Err(Failure::bad(
            "domain_custom_provider_local_file is not supported",
        ));
    }
    let domains = config
        .domains
        .clone()
        .unwrap_or_else(|| vec![String::from("localhost")]);
    if domains.len() > MAX_DOMAINS {
        return Err(Failure::bad(format!("at most {MAX_DOMAINS} domains")));
    }
    if pocket.gateways.0.lock().gateways.len() >= MAX_GATEWAYS {
        let text = format!("there are {MAX_GATEWAYS} gateways, and no more at a time");
        return Err(Failure::bad(text));
    }
    let ip: IpAddr = match &config.ip_addr {
        None => Ipv4Addr::LOCALHOST.into(),
        Some(text) => {
            let parsed = text.parse();
            parsed.map_err(|_| Failure::bad(format!("ip_addr: {text:?} is not an IP address")))?
        }
    };
    let (backend, agent) = backend(pocket, &config.forward_to).await?;
    let address = SocketAddr::new(ip, config.port.unwrap_or(0));
    let bound = Listener::bind(address)
        .await
        .map_err(|error| Failure::bad(format!("Failed to bind to address {address}: {error}")))?;
    let listener = bound.serve(router(pocket.activity.clone(), backend, agent, domains));
    let port = listener.address().port();
    let mut table = pocket.gateways.0.lock();
    let id = table.next;
    table.next += 1;
    table.gateways.insert(id, Gateway { config, listener });
    Ok(HttpGatewayInfo {
        instance_id: id,
        port,
    })
}

/// What a gateway stands before, and an agent that trusts it.
async fn backend(
    pocket: &Arc<Pocket>,
    forward_to: &HttpGatewayBackend,
) -> Result<(Backend, Agent), Failure> {
    let agent = |url: &str| {
        let built = Agent::builder().with_url(url).build();
        built.map_err(|error| Failure::bad(format!("{url}: {error}")))
    };
    match forward_to {
        HttpGatewayBackend::PocketIcInstance(id) => {
            let instance = pocket.instances.get(*id)?;
            // Not the port alone: the server may listen on another address than the loopback.
            let agent = agent(&format!("http://{}/instances/{id}/", pocket.address))?;
            agent.set_root_key(instance.executor.reader().root_key().to_vec());
            Ok((Backend::Instance(Arc::downgrade(&instance)), agent))
        }
        HttpGatewayBackend::Replica(text) => {
            let url = reqwest::Url::parse(text)
                .ok()
                .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
                .ok_or_else(|| Failure::bad(format!("forward_to: {text:?} is not a URL")))?;
            let agent = agent(url.as_str())?;
            let fetched = timeout(ROOT_KEY_TIMEOUT, agent.fetch_root_key()).await;
            fetched
                .map_err(|_| Failure::bad(format!("Timed out fetching root key from {url}")))?
                .map_err(|error| Failure::bad(format!("no root key from {url}: {error}")))?;
            Ok((Backend::elsewhere(url), agent))
        }
    }
}

/// `GET /http_gateway`.
pub(super) async fn list(State(pocket): State<Arc<Pocket>>) -> Json<Vec<HttpGatewayDetails>> {
    let table = pocket.gateways.0.lock();
    let gateways = table.gateways.iter();
    let details = gateways.map(|(id, gateway)| HttpGatewayDetails {
        instance_id: *id,
        port: gateway.listener.address().port(),
        forward_to: gateway.config.forward_to.clone(),
        domains: gateway.config.domains.clone(),
        https_config: None,
    });
    Json(details.collect())
}

/// `POST /http_gateway/{gateway}/stop`. One that is stopped already is no error.
pub(super) async fn stop(
    State(pocket): State<Arc<Pocket>>,
    Path(id): Path<InstanceId>,
) -> Answer<()> {
    let stopped = pocket.gateways.0.lock().gateways.remove(&id);
    if let Some(gateway) = stopped {
        gateway.listener.stop().await;
    }
    Ok(Json(()))
}
