//! The HTTP interface: which path is answered by what.
//!
//! | method, path | answer |
//! | --- | --- |
//! | GET `/api/v2/status` | root key and health, in CBOR; never waits for the subnet |
//! | POST `/api/{v2,v3,v4}/canister/{id}/{call,query,read_state}` | see the modules; `call` is asynchronous at v2, synchronous at v3 and v4 |
//! | POST `/api/{v2,v3,v4}/subnet/{id}/{call,query,read_state}` | the same for what concerns a subnet |
//! | GET `/_/metrics` | counters in the Prometheus text format |
//!
//! The versions of a path differ in nothing else: certificates carry both forms of canister ranges. Anything else is
//! 404. Refusals are plain text. Pages of any origin may call, as on the Internet Computer.

mod body;
mod call;
mod diagnostics;
mod query;
mod read_state;

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::{OriginalUri, Request},
    http::{HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use candid::Principal;
use engine::Effective;

use crate::{
    answer,
    authentication::{Authenticated, Authenticator},
    envelope::Envelope,
    executor::Executor,
    network_canisters::{NetworkCanister, NetworkCanisters},
    refusal::Refusal,
};

pub(crate) use body::whole as whole_body;
pub use body::{BODY_TIMEOUT, MAX_BODY, MAX_CALL};

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct App {
    executor: Executor,
    /// Body of the answer of the status endpoint.
    status: Arc<[u8]>,
    authenticator: Authenticator,
    /// Canisters that this program answers for, if it does.
    network_canisters: Option<NetworkCanisters>,
}

impl App {
    pub(crate) fn new(executor: Executor) -> Self {
        Self {
            status: answer::status(executor.reader().root_key()).into(),
            authenticator: Authenticator::new(executor.reader().root_key()),
            network_canisters: None,
            executor,
        }
    }

    /// Believes every request whom it says that it is from, and whatever its expiry.
    pub(crate) fn without_authentication(self) -> Self {
        Self {
            authenticator: Authenticator::credulous(),
            ..self
        }
    }

    /// Answers for the canisters of the network that tools ask before they create one.
    pub(crate) fn with_network_canisters(self) -> Self {
        let canisters = NetworkCanisters::new(self.executor.clone());
        Self {
            network_canisters: Some(canisters),
            ..self
        }
    }

    /// The canister of this id, if this program answers for it.
    fn network_canister(&self, id: &Principal) -> Option<NetworkCanister> {
        self.network_canisters.as_ref()?.at(id)
    }

    /// See [`Authenticator::open`].
    async fn open<T: Send + 'static>(
        &self,
        body: Bytes,
        kind: &'static str,
        then: impl FnOnce(Envelope<'_>, Authenticated) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let now = self.executor.now();
        self.authenticator.open(body, kind, now, then).await
    }
}

/// All routes. The state is one network; more than one network means more than one router.
pub(crate) fn router(app: App) -> Router {
    let mut router = Router::new()
        .route("/api/v2/status", get(diagnostics::status))
        .route("/_/metrics", get(diagnostics::metrics));
    for version in ["v2", "v3", "v4"] {
        let call = if version == "v2" {
            post(call::asynchronous)
        } else {
            post(call::synchronous)
        };
        for scope in ["canister", "subnet"] {
            let path = |endpoint| format!("/api/{version}/{scope}/{{id}}/{endpoint}");
            router = router
                .route(&path("call"), call.clone())
                .route(&path("query"), post(query::query))
                .route(&path("read_state"), post(read_state::read_state));
        }
    }
    router
        .fallback(async || Refusal::NoSuchPath)
        .layer(middleware::from_fn(cross_origin))
        .with_state(app)
}

/// Reads what the path is about: `/api/<version>/{canister,subnet}/<id>/<endpoint>`.
fn effective(uri: &OriginalUri, id: &str) -> Result<Effective, Refusal> {
    let id = Principal::from_text(id)
        .map_err(|_| Refusal::NotAPrincipal(id.chars().take(64).collect()))?;
    let subnet = uri.path().split('/').nth(3) == Some("subnet");
    Ok(if subnet {
        Effective::Subnet(id)
    } else {
        Effective::Canister(id)
    })
}

/// A CBOR answer.
fn cbor(body: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "application/cbor")], body).into_response()
}

/// Lets pages of any origin read the answers (Fetch standard, "CORS protocol").
pub(crate) async fn cross_origin(request: Request, next: Next) -> Response {
    let preflight = request.method() == Method::OPTIONS;
    let mut response = if preflight {
        StatusCode::NO_CONTENT.into_response()
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        HeaderValue::from_static("*"),
    );
    if preflight {
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static("GET, POST, OPTIONS"),
        );
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            HeaderValue::from_static("*"),
        );
        headers.insert(
            header::ACCESS_CONTROL_MAX_AGE,
            HeaderValue::from_static("600"),
        );
    }
    response
}
