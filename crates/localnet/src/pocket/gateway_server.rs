//! What a gateway does with a request.
//!
//! | request | answered by |
//! | --- | --- |
//! | `/api/…` | the network |
//! | of a canister: `<id>.<domain>`, `<id>.raw.<domain>`, `?canisterId=<id>`, or a page of one that refers to this | its `http_request`, whose response is verified except at a raw domain |
//! | `/_/…` otherwise | the network |
//! | any other | 400, or the network that the gateway is part of |
//!
//! The label before the domain may have a name and `--` in front of the id.

use std::sync::{Arc, Weak};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, Uri, header, uri::PathAndQuery},
    middleware,
    response::{IntoResponse, Response},
};
use engine::Principal;
use gateway_agent::Agent;
use ic_http_gateway::{HttpGatewayClient, HttpGatewayRequestArgs};
use reqwest::Url;
use tower_service::Service as _;

use super::{activity::Activity, instances::Instance};
use crate::http::{cross_origin, whole_body};

/// Largest body of a request to a canister. One that doesn't fit into a message is refused by the network.
const MAX_BODY: usize = 10 << 20;

/// What stands behind a gateway.
#[derive(Clone)]
pub(super) enum Backend {
    /// An instance of this server. It may be deleted meanwhile.
    Instance(Weak<Instance>),
    /// A network elsewhere.
    Elsewhere { client: reqwest::Client, url: Url },
    /// The network on whose port this gateway is.
    Here(Router),
}

impl Backend {
    pub(super) fn elsewhere(url: Url) -> Self {
        Self::Elsewhere {
            client: reqwest::Client::new(),
            url,
        }
    }
}

struct Server {
    activity: Activity,
    backend: Backend,
    client: HttpGatewayClient,
    domains: Vec<String>,
}

/// The routes of a gateway.
pub(super) fn router(
    activity: Activity,
    backend: Backend,
    agent: Agent,
    domains: Vec<String>,
) -> Router {
    let server = Arc::new(Server {
        activity,
        backend,
        client: HttpGatewayClient::new(ic_http_gateway::HttpGatewayClientArgs { agent }),
        domains: domains
            .iter()
            .map(|domain| domain.to_ascii_lowercase())
            .collect(),
    });
    Router::new()
        .fallback(answer)
        .layer(middleware::from_fn(cross_origin))
        .with_state(server)
}

/// A network's interface, and the sites of its canisters on the same port: at `<id>.localhost`.
pub(crate) fn with_sites(interface: Router, agent: Agent) -> Router {
    let domains = vec![String::from("localhost")];
    router(Activity::new(), Backend::Here(interface), agent, domains)
}

async fn answer(State(server): State<Arc<Server>>, request: Request) -> Response {
    let _under_way = server.activity.begin();
    let path = request.uri().path();
    if path.starts_with("/api/") {
        return server.forward(request).await;
    }
    match site(request.uri(), request.headers(), &server.domains) {
        Some(site) => server.visit(site, request).await,
        None if path.starts_with("/_/") || matches!(server.backend, Backend::Here(_)) => {
            server.forward(request).await
        }
        None => refuse(
            StatusCode::BAD_REQUEST,
            "which canister is this for? Its id can be a subdomain of this host, or ?canisterId=<id>",
        ),
    }
}

impl Server {
    /// Has the network answer.
    async fn forward(&self, mut request: Request) -> Response {
        let path = request.uri().path_and_query();
        let path = path.map_or("/", PathAndQuery::as_str).to_owned();
        match &self.backend {
            Backend::Instance(instance) => match instance.upgrade() {
                Some(instance) => instance.forward(request, &path).await,
                None => refuse(StatusCode::NOT_FOUND, "the instance was deleted"),
            },
            Backend::Elsewhere { client, url } => pass_on(client, url, &path, request)
                .await
                .unwrap_or_else(|error| refuse(StatusCode::BAD_GATEWAY, &error.to_string())),
            Backend::Here(interface) => {
                // What this router has noted there is not about the other one.
                request.extensions_mut().clear();
                let answered = interface.clone().call(request);
                answered.await.unwrap_or_else(|never| match never {})
            }
        }
    }

    /// Has a canister answer.
    async fn visit(&self, site: Site, request: Request) -> Response {
        let (head, body) = request.into_parts();
        let body = match whole_body(body, MAX_BODY).await {
            Ok(body) => body,
            Err(refusal) => return refusal.into_response(),
        };
        let mut asked = self.client.request(HttpGatewayRequestArgs {
            canister_request: Request::from_parts(head, body),
            canister_id: site.canister,
        });
        asked.unsafe_set_skip_verification(site.raw);
        asked.send().await.canister_response.map(Body::new)
    }
}

/// Sends a request to a network elsewhere.
async fn pass_on(
    client: &reqwest::Client,
    url: &Url,
    path: &str,
    request: Request,
) -> Result<Response, Box<dyn std::error::Error>> {
    let url = format!("{}{path}", url.as_str().trim_end_matches('/'));
    let (head, body) = request.into_parts();
    let mut sent = client.request(head.method, url);
    if let Some(kind) = head.headers.get(header::CONTENT_TYPE) {
        sent = sent.header(header::CONTENT_TYPE, kind);
    }
    let received = sent.body(whole_body(body, MAX_BODY).await?).send().await?;
    let mut response = Response::builder().status(received.status());
    if let Some(kind) = received.headers().get(header::CONTENT_TYPE) {
        response = response.header(header::CONTENT_TYPE, kind);
    }
    Ok(response.body(Body::new(reqwest::Body::from(received)))?)
}

fn refuse(status: StatusCode, why: &str) -> Response {
    (status, format!("{why}\n")).into_response()
}

/// A canister that a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Site {
    canister: Principal,
    /// Its responses are taken as they are.
    raw: bool,
}

/// Finds out which canister a request is for.
fn site(uri: &Uri, headers: &HeaderMap, domains: &[String]) -> Option<Site> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(header::HOST).or_else(|| uri.authority().map(|authority| authority.as_str()));
    let referer: Option<Uri> = text(header::REFERER).and_then(|referer| referer.parse().ok());
    let by_referer = || {
        let referer = referer.as_ref()?;
        let authority = referer.authority()?.as_str();
        by_host(authority, domains).or_else(|| by_query(referer))
    };
    host.and_then(|host| by_host(host, domains))
        .or_else(|| by_query(uri))
        .or_else(by_referer)
}

fn by_host(host: &str, domains: &[String]) -> Option<Site> {
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    let host = host.to_ascii_lowercase();
    let below = domains.iter().find_map(|domain| {
        let below = host.strip_suffix(domain.as_str())?;
        below.strip_suffix('.')
    })?;
    let (label, raw) = match below.strip_suffix(".raw") {
        Some(label) => (label, true),
        None => (below, false),
    };
    let id = label.rsplit("--").next()?;
    let canister = Principal::from_text(id).ok()?;
    Some(Site { canister, raw })
}

fn by_query(uri: &Uri) -> Option<Site> {
    let mut pairs = uri.query()?.split('&');
    let id = pairs.find_map(|pair| pair.strip_prefix("canisterId="))?;
    let canister = Principal::from_text(id).ok()?;
    Some(Site {
        canister,
        raw: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "rrkah-fqaaa-aaaaa-aaaaq-cai";

    fn found(uri: &str, host: &str, referer: Option<&str>) -> Option<Site> {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(referer) = referer {
            headers.insert(header::REFERER, referer.parse().unwrap());
        }
        let domains = [String::from("localhost"), String::from("little.example")];
        site(&uri.parse().unwrap(), &headers, &domains)
    }

    fn verified() -> Option<Site> {
        let canister = Principal::from_text(ID).unwrap();
        Some(Site {
            canister,
            raw: false,
        })
    }

    #[test]
    fn a_canister_is_found_in_the_host() {
        assert_eq!(
            found("/", &format!("{ID}.localhost:8000"), None),
            verified()
        );
        assert_eq!(
            found("/", &format!("{ID}.little.example"), None),
            verified()
        );
        assert_eq!(
            found("/", &format!("shop--{ID}.localhost"), None),
            verified()
        );
        let raw = found("/", &format!("{ID}.raw.localhost"), None).unwrap();
        assert!(raw.raw);
    }

    #[test]
    fn a_canister_is_found_in_the_query_and_in_the_page_that_refers() {
        let page = format!("/a?x=1&canisterId={ID}");
        assert_eq!(found(&page, "127.0.0.1:1", None), verified());
        let referer = format!("http://localhost:1{page}");
        assert_eq!(
            found("/style.css", "localhost:1", Some(&referer)),
            verified()
        );
        let referer = format!("http://{ID}.localhost:1/");
        assert_eq!(
            found("/style.css", "localhost:1", Some(&referer)),
            verified()
        );
    }

    #[test]
    fn nothing_is_found_where_there_is_nothing() {
        for host in [
            "localhost",
            ".localhost",
            "happy.localhost",
            "a.b.localhost",
            "rrkah-fqaaa-aaaaa-aaaaq-cai.elsewhere",
            "rrkah-fqaaa-aaaaa-aaaaq-cailocalhost",
            "",
        ] {
            assert_eq!(
                found("/rrkah-fqaaa-aaaaa-aaaaq-cai", host, None),
                None,
                "{host}"
            );
        }
        assert_eq!(found("/?canisterId=nobody", "localhost", None), None);
    }
}
