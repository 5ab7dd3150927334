//! HTTPS outcalls that a live network performs itself.
//!
//! Each is one request to the server that its URL names, by HTTPS; by plain HTTP to this machine alone, for tests. Redirects
//! are not followed. At most [`MAX_UNDER_WAY`] are under way at a time; the others wait. What the canister gets is bounded by
//! what it asked for, and by a time.

use std::{collections::BTreeSet, net::IpAddr, sync::OnceLock, time::Duration};

use engine::{HttpRequest, HttpResponse, Network, Principal, RejectCode};
use reqwest::{Client, Method, Response, Url, redirect};
use tokio::runtime::Handle;

use super::WeakExecutor;

/// Longest answer where the canister names no length.
const MAX_RESPONSE: u64 = 2_000_000;
/// Longest time that a server may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Most requests at a time.
const MAX_UNDER_WAY: usize = 64;

/// What an outcall ends in.
type Ended = Result<HttpResponse, (RejectCode, String)>;

/// The requests of one network that are under way.
pub(crate) struct Outcalls {
    executor: WeakExecutor,
    runtime: Handle,
    under_way: BTreeSet<(Principal, u64)>,
}

impl Outcalls {
    pub(super) fn new(executor: WeakExecutor, runtime: Handle) -> Self {
        Self {
            executor,
            runtime,
            under_way: BTreeSet::new(),
        }
    }

    /// Whether a request is being performed, so that it is not for a client to answer.
    pub(crate) fn is_under_way(&self, subnet: Principal, id: u64) -> bool {
        self.under_way.contains(&(subnet, id))
    }

    /// Begins to perform what waits.
    pub(super) fn perform(&mut self, network: &Network) {
        for request in network.http_requests() {
            if self.under_way.len() >= MAX_UNDER_WAY {
                return;
            }
            let key = (request.subnet, request.id);
            if !self.under_way.insert(key) {
                continue;
            }
            let executor = self.executor.clone();
            self.runtime.spawn(async move {
                let (subnet, id) = (request.subnet, request.id);
                let ended = perform(request).await;
                executor.answer(subnet, id, ended).await;
            });
        }
    }

    pub(super) fn ended(&mut self, subnet: Principal, id: u64) {
        self.under_way.remove(&(subnet, id));
    }
}

/// Asks the server.
async fn perform(request: HttpRequest) -> Ended {
    let failed = |error: String| (RejectCode::SysTransient, error);
    let url = Url::parse(&request.url)
        .map_err(|error| (RejectCode::SysFatal, format!("{}: {error}", request.url)))?;
    if !may_be_asked(&url) {
        let text = format!("{url}: only https:// can be asked");
        return Err((RejectCode::SysFatal, text));
    }
    let method = Method::from_bytes(request.method.as_bytes())
        .map_err(|error| (RejectCode::SysFatal, error.to_string()))?;
    let client = client().ok_or_else(|| failed("there is no HTTP client".to_owned()))?;
    let mut asked = client.request(method, url).body(request.body);
    for (name, value) in &request.headers {
        asked = asked.header(name, value);
    }
    let limit = request.max_response_bytes.unwrap_or(MAX_RESPONSE);
    let limit = usize::try_from(limit.min(MAX_RESPONSE)).unwrap_or(usize::MAX);
    let answered = async {
        let response = asked.send().await.map_err(|error| failed(text(&error)))?;
        read(response, limit).await
    };
    match tokio::time::timeout(TIMEOUT, answered).await {
        Ok(ended) => ended,
        Err(_) => Err(failed(format!(
            "no answer within {} seconds",
            TIMEOUT.as_secs()
        ))),
    }
}

/// Reads an answer, as far as the canister takes it.
async fn read(mut response: Response, limit: usize) -> Ended {
    let status = response.status().as_u16();
    let headers = response.headers().iter();
    let headers: Vec<(String, String)> = headers
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes());
            (name.to_string(), value.into_owned())
        })
        .collect();
    let mut left = limit;
    let mut take = |len: usize| {
        left = left.checked_sub(len).ok_or_else(|| {
            let text = format!("Http body exceeds size limit of {limit} bytes.");
            (RejectCode::SysFatal, text)
        })?;
        Ok(())
    };
    take(
        headers
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum(),
    )?;
    let mut body = Vec::new();
    loop {
        let chunk = response.chunk().await;
        match chunk.map_err(|error| (RejectCode::SysTransient, text(&error)))? {
            None => break,
            Some(chunk) => {
                take(chunk.len())?;
                body.extend_from_slice(&chunk);
            }
        }
    }
    Ok(HttpResponse {
        status,
        headers,
        body,
    })
}

/// An error with what led to it.
fn text(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

fn may_be_asked(url: &Url) -> bool {
    let local = || {
        let host = url.host_str().unwrap_or_default();
        let address = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || address.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
    };
    url.scheme() == "https" || (url.scheme() == "http" && local())
}

/// The client of this process: making one reads the machine's certificates.
fn client() -> Option<&'static Client> {
    static CLIENT: OnceLock<Option<Client>> = OnceLock::new();
    let make = || {
        let client = Client::builder().redirect(redirect::Policy::none());
        client.no_proxy().build().ok()
    };
    CLIENT.get_or_init(make).as_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_goes_to_this_machine_alone() {
        for allowed in [
            "https://example.org/x",
            "http://127.0.0.1:1/",
            "http://localhost:1/",
            "http://[::1]:1/",
        ] {
            assert!(may_be_asked(&allowed.parse().unwrap()), "{allowed}");
        }
        for refused in [
            "http://example.org/",
            "http://192.0.2.1/",
            "http://localhost.example.org/",
            "ftp://localhost/",
            "file:///etc/passwd",
        ] {
            assert!(!may_be_asked(&refused.parse().unwrap()), "{refused}");
        }
    }
}
