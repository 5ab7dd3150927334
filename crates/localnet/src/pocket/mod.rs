//! The REST protocol of PocketIC, which the crate `pocket-ic` and `@dfinity/pic` speak.
//!
//! One server holds several instances; each is a network with a thread of its own. Every operation is answered when it is
//! done, so the protocol's answers "started" and "busy", and the graph of past operations, don't occur.
//!
//! | method, path | what |
//! | --- | --- |
//! | GET, POST `/instances`; DELETE `/instances/{i}` | list, create, delete |
//! | `/instances/{i}/read/…`, `/instances/{i}/update/…` | [`read`], [`update`], [`ingress`], [`outcalls`], [`snapshots`] |
//! | GET, POST `/instances/{i}/auto_progress`; POST `/instances/{i}/stop_progress` | [`progress`] |
//! | `/instances/{i}/api/…`, GET `/instances/{i}/_/…` | the HTTP interface of the Internet Computer for the instance |
//! | GET, POST `/http_gateway`; POST `/http_gateway/{g}/stop` | [`gateway`] |
//! | POST `/blobstore`, GET `/blobstore/{id}` | [`blobs`] |
//! | POST `/verify_signature` | [`signature`] |
//! | GET `/status` | 200 while it listens |
//!
//! Each path may end with a slash. Invariants:
//! 1. Instances, gateways and blobs are bounded in number or size, and so is each body.
//! 2. An instance that is not live changes by requests alone: the same requests give the same state.
//! 3. Web pages reach the HTTP interfaces and the gateways, not the protocol.
//! 4. A request that can't be understood is answered 400 with a message, and changes nothing.

mod activity;
mod answer;
mod blobs;
mod configuration;
mod gateway;
mod gateway_server;
mod ingress;
mod instances;
mod outcalls;
mod progress;
mod read;
mod reject;
mod signature;
mod snapshots;
mod update;

use std::{
    io,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    extract::{Request, State},
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{MethodRouter, get, post},
};

use self::{
    activity::Activity, answer::Failure, blobs::Blobs, gateway::Gateways, instances::Instances,
};
use crate::listener::Listener;

pub(crate) use gateway_server::with_sites;

/// Where to serve.
#[derive(Clone, Debug)]
pub struct PocketConfig {
    pub address: IpAddr,
    /// 0: any free port.
    pub port: u16,
    /// Folder for compiled modules.
    pub module_cache: Option<PathBuf>,
}

/// What the handlers share.
struct Pocket {
    /// Where this server listens.
    address: SocketAddr,
    module_cache: Option<PathBuf>,
    activity: Activity,
    instances: Instances,
    gateways: Gateways,
    blobs: Blobs,
}

/// A running PocketIC server.
pub struct PocketServer {
    listener: Listener,
    pocket: Arc<Pocket>,
}

impl PocketServer {
    /// Listens, without instances. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The address can't be listened on.
    pub async fn start(config: PocketConfig) -> io::Result<Self> {
        let bound = Listener::bind(SocketAddr::new(config.address, config.port)).await?;
        let pocket = Arc::new(Pocket {
            address: bound.address(),
            module_cache: config.module_cache,
            activity: Activity::new(),
            instances: Instances::default(),
            gateways: Gateways::default(),
            blobs: Blobs::default(),
        });
        Ok(Self {
            listener: bound.serve(router(pocket.clone())),
            pocket,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// Ends when there has been no request for so long, and none is under way.
    pub async fn idle_for(&self, ttl: Duration) {
        self.pocket.activity.idle_for(ttl).await;
    }

    /// Stops: no new connection, and requests under way have a short time to end.
    pub async fn stop(self) {
        self.pocket.gateways.stop_all().await;
        self.listener.stop().await;
    }
}

fn router(pocket: Arc<Pocket>) -> Router {
    let paths = Paths(Router::new())
        .at("/status", get(async || StatusCode::OK))
        .at("/blobstore", post(blobs::upload))
        .at("/blobstore/{id}", get(blobs::download))
        .at("/verify_signature", post(signature::verify))
        .at("/http_gateway", get(gateway::list).post(gateway::create))
        .at("/http_gateway/{gateway}/stop", post(gateway::stop))
        .at("/instances", get(instances::list).post(instances::create));
    let paths = in_instances(paths);
    paths
        .0
        .fallback(async || StatusCode::NOT_FOUND)
        .layer(middleware::from_fn(not_for_pages))
        .layer(middleware::from_fn_with_state(pocket.clone(), count))
        .with_state(pocket)
}

/// The routes of an instance.
fn in_instances(paths: Paths) -> Paths {
    let instance = |path: &str| format!("/instances/{{instance}}{path}");
    let mut paths = paths
        .at(&instance(""), axum::routing::delete(instances::delete))
        .at(
            &instance("/auto_progress"),
            get(progress::is_live).post(progress::start),
        )
        .at(&instance("/stop_progress"), post(progress::stop))
        .at(&instance("/_/topology"), get(read::topology));
    let reads: [(&str, MethodRouter<Arc<Pocket>>); 11] = [
        ("topology", get(read::topology)),
        ("get_time", get(read::time)),
        ("get_canister_http", get(outcalls::list)),
        ("get_cycles", post(read::cycles)),
        ("get_controllers", post(read::controllers)),
        ("get_subnet", post(read::subnet)),
        ("get_stable_memory", post(read::stable_memory)),
        ("pub_key", post(read::public_key)),
        ("query", post(ingress::query)),
        ("ingress_status", post(ingress::status)),
        ("auto_progress", get(progress::is_live)),
    ];
    for (name, route) in reads {
        paths = paths.at(&instance(&format!("/read/{name}")), route);
    }
    let updates: [(&str, MethodRouter<Arc<Pocket>>); 12] = [
        ("set_time", post(update::set_time)),
        ("set_certified_time", post(update::set_certified_time)),
        ("tick", post(update::tick)),
        ("add_cycles", post(update::add_cycles)),
        ("set_stable_memory", post(update::set_stable_memory)),
        ("delete_subnet", post(update::delete_subnet)),
        ("submit_ingress_message", post(ingress::submit)),
        ("await_ingress_message", post(ingress::finish)),
        ("mock_canister_http", post(outcalls::answer)),
        (
            "mock_flexible_canister_http",
            post(outcalls::answer_flexible),
        ),
        ("canister_snapshot_download", post(snapshots::download)),
        ("canister_snapshot_upload", post(snapshots::upload)),
    ];
    for (name, route) in updates {
        paths = paths.at(&instance(&format!("/update/{name}")), route);
    }
    for below in ["/api/{*path}", "/_/{*path}"] {
        paths.0 = paths
            .0
            .route(&instance(below), axum::routing::any(instances::interface));
    }
    paths
}

/// Routes that may end with a slash.
struct Paths(Router<Arc<Pocket>>);

impl Paths {
    fn at(self, path: &str, route: MethodRouter<Arc<Pocket>>) -> Self {
        let slashed = format!("{path}/");
        Self(self.0.route(&slashed, route.clone()).route(path, route))
    }
}

/// Refuses what a web page sends, except to the HTTP interface of an instance: pages must not write files or start servers
/// on this machine. The clients of this protocol are no pages, and name no origin.
async fn not_for_pages(request: Request, next: Next) -> Response {
    let mut segments = request.uri().path().split('/').skip(1);
    let interface =
        segments.next() == Some("instances") && matches!(segments.nth(1), Some("api" | "_"));
    if !interface && request.headers().contains_key(header::ORIGIN) {
        let failure = Failure::new(StatusCode::FORBIDDEN, "this protocol is not for web pages");
        return failure.into_response();
    }
    next.run(request).await
}

/// Keeps the server alive while a request is under way.
async fn count(State(pocket): State<Arc<Pocket>>, request: Request, next: Next) -> Response {
    let _under_way = pocket.activity.begin();
    next.run(request).await
}
