//! What may be read of the state tree, by whom and where (IC interface specification, "Request: Read state").

use crate::client::{self, agent, counter, post, server, url};
use candid::Principal;
use ic_agent::{
    Agent, AgentError, Identity as _,
    agent::CallResponse,
    hash_tree::{Label, LookupResult},
    identity::{DelegatedIdentity, Delegation, SignedDelegation},
};
use localnet::Server;

type Path = Vec<Label<Vec<u8>>>;

fn path(labels: &[&[u8]]) -> Path {
    labels.iter().map(|label| (*label).into()).collect()
}

async fn read(agent: &Agent, canister: Principal, labels: &[&[u8]]) -> Result<bool, u16> {
    status(
        agent.read_state_raw(vec![path(labels)], canister).await,
        labels,
    )
}

async fn read_at_subnet(agent: &Agent, subnet: Principal, labels: &[&[u8]]) -> Result<bool, u16> {
    status(
        agent
            .read_subnet_state_raw(vec![path(labels)], subnet)
            .await,
        labels,
    )
}

/// Whether there is a value, or the status of the refusal.
fn status(read: Result<ic_agent::Certificate, AgentError>, labels: &[&[u8]]) -> Result<bool, u16> {
    match read {
        Ok(certificate) => Ok(!matches!(
            certificate.tree.lookup_path(labels),
            LookupResult::Absent
        )),
        Err(AgentError::HttpError(payload)) => Err(payload.status),
        Err(error) => panic!("{error}"),
    }
}

/// Sends a call and gives its request id, once it has ended.
async fn called(agent: &Agent, canister: Principal) -> Vec<u8> {
    let signed = agent.update(&canister, "inc").sign().unwrap();
    let id = signed.request_id.to_vec();
    let response = agent.update_signed(canister, signed.signed_update).await;
    assert!(matches!(response, Ok(CallResponse::Response(_))));
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_is_served_for_every_id_of_the_network() {
    let server = server().await;
    let agent = agent(&server, 1);
    let nobody = server.identity().default_effective_canister_id;
    let ledger = Principal::from_text("ryjl3-tyaaa-aaaaa-aaaba-cai").unwrap();
    for id in [nobody, ledger] {
        assert_eq!(read(&agent, id, &[b"time"]).await, Ok(true), "{id}");
    }
    let subnet = server.identity().application_subnet;
    assert_eq!(read_at_subnet(&agent, subnet, &[b"time"]).await, Ok(true));
    let foreign = Principal::from_slice(&[0xff; 10]);
    assert_eq!(read(&agent, foreign, &[b"time"]).await, Err(400));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_of_subnets_is_read_where_the_specification_says() {
    let server = server().await;
    let agent = agent(&server, 1);
    let canister = counter(&server, &agent).await;
    let subnet = server.identity().application_subnet;
    let id = subnet.as_slice();
    for labels in [
        &[&b"subnet"[..]][..],
        &[b"subnet", id, b"public_key"],
        &[b"subnet", id, b"type"],
    ] {
        assert_eq!(read(&agent, canister, labels).await, Ok(true));
        assert_eq!(read_at_subnet(&agent, subnet, labels).await, Ok(true));
    }
    let ranges = [&b"canister_ranges"[..], id];
    assert_eq!(read_at_subnet(&agent, subnet, &ranges).await, Ok(true));
    assert_eq!(read(&agent, canister, &ranges).await, Err(404));
    let metrics = [&b"subnet"[..], id, b"metrics"];
    assert_eq!(read_at_subnet(&agent, subnet, &metrics).await, Ok(true));
    assert_eq!(read(&agent, canister, &metrics).await, Err(404));
    let load = agent.read_state_subnet_metrics(subnet).await.unwrap();
    assert_eq!(load.num_canisters, 1);
    assert!(load.canister_state_bytes > 65_536, "{load:?}");
    let transactions = load.update_transactions_total;
    called(&agent, canister).await;
    let load = agent.read_state_subnet_metrics(subnet).await.unwrap();
    assert_eq!(load.update_transactions_total, transactions + 1);
    let of_another = [&b"subnet"[..], &[7; 29], b"metrics"];
    assert_eq!(read_at_subnet(&agent, subnet, &of_another).await, Err(400));
    for labels in [
        &[][..],
        &[&b"canister_ranges"[..]],
        &[b"time", b"more"],
        &[b"nothing"],
    ] {
        assert_eq!(read(&agent, canister, labels).await, Err(404));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canister_is_read_at_its_own_address() {
    let server = server().await;
    let agent = agent(&server, 1);
    let (canister, other) = (
        counter(&server, &agent).await,
        counter(&server, &agent).await,
    );
    let id = canister.as_slice();
    for name in [&b"module_hash"[..], b"controllers"] {
        let labels = [&b"canister"[..], id, name];
        assert_eq!(read(&agent, canister, &labels).await, Ok(true));
        assert_eq!(read(&agent, other, &labels).await, Err(400));
    }
    let metadata = [&b"canister"[..], id, b"metadata", b"none"];
    assert_eq!(read(&agent, canister, &metadata).await, Ok(false));
    let not_utf8 = [&b"canister"[..], id, b"metadata", b"\xff"];
    assert_eq!(read(&agent, canister, &not_utf8).await, Err(400));
    let certified_data = [&b"canister"[..], id, b"certified_data"];
    assert_eq!(read(&agent, canister, &certified_data).await, Err(404));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_of_a_request_is_its_senders() {
    let server = server().await;
    let (owner, stranger) = (agent(&server, 1), agent(&server, 2));
    let (canister, other) = (
        counter(&server, &owner).await,
        counter(&server, &owner).await,
    );
    let id = called(&owner, canister).await;
    let status = [&b"request_status"[..], &id, b"status"];
    assert_eq!(read(&owner, canister, &status).await, Ok(true));
    assert_eq!(read(&stranger, canister, &status).await, Err(403));
    assert_eq!(read(&owner, other, &status).await, Err(403));
    let subnet = server.identity().application_subnet;
    assert_eq!(read_at_subnet(&owner, subnet, &status).await, Err(403));

    let unknown = [&b"request_status"[..], &[7; 32]];
    assert_eq!(read(&stranger, canister, &unknown).await, Ok(false));
    let short = [&b"request_status"[..], &[7; 31]];
    assert_eq!(read(&owner, canister, &short).await, Err(400));
    let of_two = vec![path(&status), path(&unknown)];
    let refused = owner.read_state_raw(of_two, canister).await;
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("More than one request ID")
    );
}

/// An agent of user 1 that was delegated to for these canisters only.
fn limited(server: &Server, targets: Vec<Principal>) -> Agent {
    let (owner, session) = (client::identity(1), client::identity(9));
    let delegation = Delegation {
        pubkey: session.public_key().unwrap(),
        expiration: u64::MAX,
        targets: Some(targets),
        permissions: None,
    };
    let signature = owner
        .sign_delegation(&delegation)
        .unwrap()
        .signature
        .unwrap();
    let link = SignedDelegation {
        delegation,
        signature,
    };
    let key = owner.public_key().unwrap();
    let identity = DelegatedIdentity::new(key, Box::new(session), vec![link]).unwrap();
    let agent = Agent::builder()
        .with_url(url(server))
        .with_identity(identity);
    let agent = agent.build().unwrap();
    agent.set_root_key(server.identity().root_key.clone());
    agent
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delegation_with_targets_reads_requests_to_its_targets() {
    let server = server().await;
    let owner = agent(&server, 1);
    let (canister, other) = (
        counter(&server, &owner).await,
        counter(&server, &owner).await,
    );
    let id = called(&owner, canister).await;
    let status = [&b"request_status"[..], &id, b"status"];
    let (within, beyond) = (
        limited(&server, vec![canister]),
        limited(&server, vec![other]),
    );
    assert_eq!(read(&within, canister, &status).await, Ok(true));
    assert_eq!(read(&beyond, canister, &status).await, Err(403));
    // A call within the targets ends as any other does.
    let id = called(&within, canister).await;
    let status = [&b"request_status"[..], &id];
    assert_eq!(read(&within, canister, &status).await, Ok(true));
    let refused = beyond.update(&canister, "inc").call_and_wait().await;
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("not for canister")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn at_a_subnet_nothing_but_what_concerns_it_is_called() {
    let server = server().await;
    let agent = agent(&server, 1);
    let canister = counter(&server, &agent).await;
    let subnet = server.identity().application_subnet;
    let signed = agent.update(&canister, "inc").sign().unwrap().signed_update;
    let path = format!("/api/v4/subnet/{subnet}/call");
    assert_eq!(post(&server, &path, signed).await.0, 400);
    let query = agent.query(&canister, "get").sign().unwrap().signed_query;
    let path = format!("/api/v3/subnet/{subnet}/query");
    assert_eq!(post(&server, &path, query).await.0, 400);
}
