//! What users do, with the agent that they use: every answer is verified against the pinned root key.

use crate::client::{self, agent, counter, post, server, url};
use candid::Principal;
use ic_agent::{
    Agent, AgentError, Identity as _,
    agent::{CallResponse, RejectCode, RequestStatusResponse},
    identity::{AnonymousIdentity, DelegatedIdentity, Delegation, SignedDelegation},
};

async fn get(agent: &Agent, canister: &Principal) -> u32 {
    let reply = agent.query(canister, "get").call().await.unwrap();
    u32::from_le_bytes(reply.try_into().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canister_is_created_installed_called_and_queried() {
    let server = server().await;
    let agent = agent(&server, 1);
    let canister = counter(&server, &agent).await;
    for count in 1..=3_u32 {
        let reply = agent
            .update(&canister, "inc")
            .call_and_wait()
            .await
            .unwrap();
        assert_eq!(reply, count.to_le_bytes());
        assert_eq!(get(&agent, &canister).await, count);
    }
    let hash = agent
        .read_state_canister_module_hash(canister)
        .await
        .unwrap();
    assert_eq!(hash.len(), 32);
    let controllers = agent
        .read_state_canister_controllers(canister)
        .await
        .unwrap();
    assert_eq!(controllers, [agent.get_principal().unwrap()]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canister_sees_who_calls() {
    let server = server().await;
    let owner = agent(&server, 1);
    let canister = counter(&server, &owner).await;
    let user = agent(&server, 2);
    let reply = user
        .update(&canister, "whoami")
        .call_and_wait()
        .await
        .unwrap();
    assert_eq!(reply, client::identity(2).sender().unwrap().as_slice());

    let anonymous = Agent::builder()
        .with_url(url(&server))
        .with_identity(AnonymousIdentity)
        .build()
        .unwrap();
    anonymous.set_root_key(server.identity().root_key.clone());
    let reply = anonymous
        .update(&canister, "whoami")
        .call_and_wait()
        .await
        .unwrap();
    assert_eq!(reply, Principal::anonymous().as_slice());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delegated_identity_calls_in_the_owners_name_within_its_targets() {
    let server = server().await;
    let owner = agent(&server, 1);
    let canister = counter(&server, &owner).await;
    let user = |targets: Vec<Principal>| {
        let (owner, session) = (client::identity(3), client::identity(4));
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
        let chain = vec![SignedDelegation {
            delegation,
            signature,
        }];
        let identity =
            DelegatedIdentity::new(owner.public_key().unwrap(), Box::new(session), chain).unwrap();
        let agent = Agent::builder()
            .with_url(url(&server))
            .with_identity(identity)
            .build()
            .unwrap();
        agent.set_root_key(server.identity().root_key.clone());
        agent
    };
    let reply = user(vec![canister])
        .update(&canister, "whoami")
        .call_and_wait()
        .await
        .unwrap();
    assert_eq!(reply, client::identity(3).sender().unwrap().as_slice());

    let elsewhere = user(vec![
        server.identity().default_effective_canister_id,
        Principal::anonymous(),
    ]);
    let other = Principal::from_slice(&[0, 0, 0, 0, 0, 0x1f, 0, 0, 1, 1]);
    let refused = elsewhere
        .update(&other, "whoami")
        .call_and_wait()
        .await
        .unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("the delegation is not for canister"),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_and_traps_come_back_certified() {
    let server = server().await;
    let agent = agent(&server, 1);
    let canister = counter(&server, &agent).await;
    for (method, code, text) in [
        ("refuse", RejectCode::CanisterReject, "not today"),
        ("fall", RejectCode::CanisterError, "not today"),
        ("silent", RejectCode::CanisterError, ""),
    ] {
        let error = agent
            .update(&canister, method)
            .call_and_wait()
            .await
            .unwrap_err();
        let AgentError::CertifiedReject { reject, .. } = &error else {
            panic!("{method}: {error}")
        };
        assert_eq!(reject.reject_code, code, "{method}");
        assert!(
            reject.reject_message.contains(text),
            "{method}: {}",
            reject.reject_message
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_before_execution_is_an_uncertified_reject() {
    let server = server().await;
    let agent = agent(&server, 1);
    let canister = counter(&server, &agent).await;
    let mut nobody = canister.as_slice().to_vec();
    nobody[7] = 200;
    let nobody = Principal::from_slice(&nobody);
    for (canister, method) in [(canister, "only_inspected"), (nobody, "inc")] {
        let error = agent
            .update(&canister, method)
            .call_and_wait()
            .await
            .unwrap_err();
        assert!(
            matches!(error, AgentError::UncertifiedReject { .. }),
            "{error}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_is_rejected_is_signed_too() {
    let server = server().await;
    let agent = agent(&server, 1);
    let canister = counter(&server, &agent).await;
    for method in ["refuse_query", "no_such_method", "inc"] {
        let error = agent.query(&canister, method).call().await.unwrap_err();
        assert!(
            matches!(error, AgentError::UncertifiedReject { .. }),
            "{method}: {error}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_root_key_is_not_believed() {
    let server = server().await;
    let agent = agent(&server, 1);
    let canister = counter(&server, &agent).await;
    let mut key = server.identity().root_key.clone();
    let other = localnet::Server::start(localnet::Config {
        address: [127, 0, 0, 1].into(),
        port: 0,
        seed: [8; 32],
        subnet: engine::SubnetKind::Application,
        module_cache: None,
    });
    key.copy_from_slice(&other.await.unwrap().identity().root_key);
    agent.set_root_key(key);
    assert!(
        agent
            .update(&canister, "inc")
            .call_and_wait()
            .await
            .is_err()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_sent_again_runs_once_and_answers_the_same() {
    let server = server().await;
    let agent = agent(&server, 1);
    let canister = counter(&server, &agent).await;
    let signed = agent.update(&canister, "inc").sign().unwrap();
    for version in ["v2", "v3", "v4"] {
        let path = format!("/api/{version}/canister/{canister}/call");
        let (status, _) = post(&server, &path, signed.signed_update.clone()).await;
        assert_eq!(status, if version == "v2" { 202 } else { 200 });
    }
    for _ in 0..2 {
        let response = agent
            .update_signed(canister, signed.signed_update.clone())
            .await
            .unwrap();
        let CallResponse::Response(reply) = response else {
            panic!("it has ended")
        };
        assert_eq!(reply, 1_u32.to_le_bytes());
    }
    assert_eq!(get(&agent, &canister).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_calls_are_all_executed() {
    let server = server().await;
    let agent = agent(&server, 1);
    let canister = counter(&server, &agent).await;
    let calls = (0..50).map(|_| {
        let agent = agent.clone();
        tokio::spawn(async move { agent.update(&canister, "inc").call_and_wait().await })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap().unwrap();
    }
    assert_eq!(get(&agent, &canister).await, 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_of_a_request_is_for_its_sender_alone() {
    let server = server().await;
    let owner = agent(&server, 1);
    let canister = counter(&server, &owner).await;
    let signed = owner.update(&canister, "inc").sign().unwrap();
    owner
        .update_signed(canister, signed.signed_update)
        .await
        .unwrap();

    let (status, _) = owner
        .request_status_raw(&signed.request_id, canister)
        .await
        .unwrap();
    assert!(matches!(status, RequestStatusResponse::Replied(_)));
    let refused = agent(&server, 2)
        .request_status_raw(&signed.request_id, canister)
        .await
        .unwrap_err();
    let AgentError::HttpError(refused) = refused else {
        panic!("{refused}")
    };
    assert_eq!(refused.status, 403);

    let unknown = ic_agent::RequestId::new(&[3; 32]);
    let (status, _) = owner.request_status_raw(&unknown, canister).await.unwrap();
    assert_eq!(status, RequestStatusResponse::Unknown);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_subnet_describes_itself() {
    let server = server().await;
    let agent = agent(&server, 1);
    let status = agent.status().await.unwrap();
    assert_eq!(status.root_key.unwrap(), server.identity().root_key);
    assert_eq!(status.replica_health_status.as_deref(), Some("healthy"));
    let subnet = agent
        .get_subnet_by_id(&server.identity().application_subnet)
        .await
        .unwrap();
    assert!(subnet.contains_canister(&server.identity().default_effective_canister_id));
}
