//! 20,000 malformed requests over all routes of both servers: each is answered with a typed error, and afterwards the
//! server lives, has kept its memory, and its canister is as it was.
//!
//! The same seed gives the same requests but for their times and ports. What an outsider can sign at all, he signs: a
//! stranger's key, valid but expired, replayed, or meant for something else.

mod interface;
mod mutation;
mod pocket;
mod process;

use std::sync::Arc;

use reqwest::{
    Client, Method, Response,
    header::{CONTENT_TYPE, HOST},
};
use tokio::task::JoinSet;

/// Requests under way at once.
const AT_ONCE: usize = 8;
/// How often a request is sent that gets no answer.
const ATTEMPTS: usize = 5;

/// One request, and what may become of it.
#[derive(Clone, Debug)]
struct Case {
    /// What is wrong with it.
    kind: &'static str,
    method: Method,
    url: String,
    content_type: Option<&'static str>,
    host: Option<String>,
    body: Vec<u8>,
    /// A success is no mistake: it was mutated into something that can be asked.
    may_pass: bool,
}

/// What is said about a refusal.
#[derive(Clone, Copy, Debug)]
enum Words {
    /// One line of text.
    Line,
    /// `{"message": "…"}`.
    Message,
    /// Any words of a gateway, which may also say that the canister behind it serves nothing.
    Free,
}

/// Sends all requests and checks each answer.
async fn send(client: &Client, cases: impl Iterator<Item = Case>, words: Words) {
    let mut under_way = JoinSet::new();
    for case in cases {
        if under_way.len() >= AT_ONCE {
            under_way.join_next().await.unwrap().unwrap();
        }
        let client = client.clone();
        under_way.spawn(async move { check(&client, Arc::new(case), words).await });
    }
    while let Some(done) = under_way.join_next().await {
        done.unwrap();
    }
}

async fn check(client: &Client, case: Arc<Case>, words: Words) {
    let response = answer(client, &case).await;
    let status = response.status();
    let body = response.bytes().await.unwrap();
    if status.is_success() {
        assert!(case.may_pass, "{status} for {case:?}");
        return;
    }
    let expected = status.is_client_error() || (status == 502 && matches!(words, Words::Free));
    assert!(expected, "{status} for {case:?}: {body:?}");
    if status == 405 {
        return;
    }
    match words {
        Words::Line => {
            let text = std::str::from_utf8(&body).unwrap();
            assert_eq!(text.lines().count(), 1, "{status} for {case:?}: {text}");
        }
        Words::Message if status == 404 && body.is_empty() => {}
        Words::Message => {
            let value: serde_json::Value = serde_json::from_slice(&body)
                .unwrap_or_else(|error| panic!("{status} for {case:?}: {body:?}: {error}"));
            // What creates something answers `{"Created": …}` or `{"Error": …}`.
            let error = value.get("Error").unwrap_or(&value);
            assert!(error["message"].is_string(), "{case:?}: {value}");
        }
        Words::Free => {}
    }
}

/// Sends a request until it is answered. A server that answers before it has read all of a body closes the connection, and
/// the next request on it may fall into the gap.
async fn answer(client: &Client, case: &Case) -> Response {
    let mut attempts = 0;
    loop {
        let mut request = client
            .request(case.method.clone(), &case.url)
            .body(case.body.clone());
        if let Some(content_type) = case.content_type {
            request = request.header(CONTENT_TYPE, content_type);
        }
        if let Some(host) = &case.host {
            request = request.header(HOST, host);
        }
        attempts += 1;
        match request.send().await {
            Ok(response) => return response,
            Err(error) => assert!(attempts < ATTEMPTS, "{case:?}: no answer: {error:?}"),
        }
    }
}
