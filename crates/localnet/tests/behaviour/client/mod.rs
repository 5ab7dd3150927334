//! A fresh server, and clients of it: ic-agent as users have it, and raw posts for what an agent would never send.

pub(crate) mod counter;

use candid::Principal;
use ic_agent::{Agent, identity::BasicIdentity};
use localnet::{Config, Server};

pub(crate) async fn server() -> Server {
    let config = Config {
        address: [127, 0, 0, 1].into(),
        port: 0,
        seed: [7; 32],
        subnet: engine::SubnetKind::Application,
        module_cache: None,
    };
    Server::start(config).await.unwrap()
}

pub(crate) fn url(server: &Server) -> String {
    format!("http://{}", server.address())
}

pub(crate) fn identity(n: u8) -> BasicIdentity {
    BasicIdentity::from_raw_key(&[n; 32])
}

/// An agent that trusts nothing but the key that the server was started with, and verifies queries.
pub(crate) fn agent(server: &Server, user: u8) -> Agent {
    let agent = Agent::builder()
        .with_url(url(server))
        .with_identity(identity(user))
        .with_verify_query_signatures(true)
        .build()
        .unwrap();
    agent.set_root_key(server.identity().root_key.clone());
    agent
}

/// Creates a canister and installs the counter.
pub(crate) async fn counter(server: &Server, agent: &Agent) -> Principal {
    counter::install(agent, server.identity().default_effective_canister_id).await
}

/// Posts a body as CBOR: status, and text or CBOR.
pub(crate) async fn post(server: &Server, path: &str, body: Vec<u8>) -> (u16, Vec<u8>) {
    let request = reqwest::Client::new().post(url(server) + path);
    let response = request
        .header("content-type", "application/cbor")
        .body(body)
        .send()
        .await
        .unwrap();
    let status = response.status().as_u16();
    (status, response.bytes().await.unwrap().to_vec())
}
