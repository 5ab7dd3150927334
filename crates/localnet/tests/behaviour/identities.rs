//! Who may be a user: an agent with each kind of identity creates, installs, calls, queries, reads and upgrades, with
//! verification on.

use std::time::{Duration, UNIX_EPOCH};

use crate::signer::{self, Signer, key};
use candid::{CandidType, Deserialize, Encode, Principal, decode_one};
use ic_agent::{
    Agent, Identity,
    identity::{
        BasicIdentity, DelegatedIdentity, Delegation, InfoAwareIdentity, Prime256v1Identity,
        Secp256k1Identity, SignedDelegation,
    },
};
use localnet::{Config, Server};
use serde_bytes::ByteBuf;

const MANAGEMENT: Principal = Principal::management_canister();

#[derive(CandidType)]
struct Create {
    amount: Option<candid::Nat>,
}

#[derive(CandidType, Deserialize)]
struct Created {
    canister_id: Principal,
}

#[derive(CandidType)]
enum Mode {
    #[allow(non_camel_case_types)]
    install,
    #[allow(non_camel_case_types)]
    upgrade(Option<Options>),
}

#[derive(CandidType)]
struct Options {
    skip_pre_upgrade: Option<bool>,
}

#[derive(CandidType)]
struct Install {
    mode: Mode,
    canister_id: Principal,
    wasm_module: ByteBuf,
    arg: ByteBuf,
}

async fn server() -> Server {
    let config = Config {
        address: [127, 0, 0, 1].into(),
        port: 0,
        seed: [7; 32],
        subnet: engine::SubnetKind::Application,
        module_cache: None,
    };
    Server::start(config).await.unwrap()
}

fn agent(server: &Server, identity: impl Identity + 'static) -> Agent {
    let agent = Agent::builder()
        .with_url(format!("http://{}", server.address()))
        .with_identity(identity)
        .with_verify_query_signatures(true)
        .build()
        .unwrap();
    agent.set_root_key(server.identity().root_key.clone());
    agent
}

async fn create(server: &Server, agent: &Agent) -> Principal {
    let reply = agent
        .update(&MANAGEMENT, "provisional_create_canister_with_cycles")
        .with_effective_canister_id(server.identity().default_effective_canister_id)
        .with_arg(Encode!(&Create { amount: None }).unwrap())
        .call_and_wait()
        .await
        .unwrap();
    decode_one::<Created>(&reply).unwrap().canister_id
}

async fn install(agent: &Agent, canister_id: Principal, mode: Mode) {
    let install = Install {
        mode,
        canister_id,
        wasm_module: signer::module().into(),
        arg: vec![].into(),
    };
    agent
        .update(&MANAGEMENT, "install_code")
        .with_effective_canister_id(canister_id)
        .with_arg(Encode!(&install).unwrap())
        .call_and_wait()
        .await
        .unwrap();
}

async fn update(agent: &Agent, canister: Principal, method: &str) -> Vec<u8> {
    let call = agent.update(&canister, method);
    call.call_and_wait().await.unwrap()
}

/// All that a user does with a canister, from its creation to its upgrade.
async fn lives(server: &Server, identity: impl Identity + 'static) {
    let user = identity.sender().unwrap();
    let agent = agent(server, identity);
    let canister = create(server, &agent).await;
    install(&agent, canister, Mode::install).await;
    assert_eq!(update(&agent, canister, "whoami").await, user.as_slice());
    let queried = agent.query(&canister, "whoami_query").call().await.unwrap();
    assert_eq!(queried, user.as_slice());
    let controllers = agent.read_state_canister_controllers(canister).await;
    assert_eq!(controllers.unwrap(), [user]);
    let options = Options {
        skip_pre_upgrade: Some(true),
    };
    install(&agent, canister, Mode::upgrade(Some(options))).await;
    assert_eq!(update(&agent, canister, "whoami").await, user.as_slice());
}

fn secp256k1() -> Secp256k1Identity {
    let key = ic_secp256k1::PrivateKey::generate_from_seed(b"a user");
    Secp256k1Identity::from_pem(key.serialize_rfc5915_pem()).unwrap()
}

fn p256() -> Prime256v1Identity {
    let key = ic_secp256r1::PrivateKey::generate_insecure_key_for_testing(1);
    Prime256v1Identity::from_pem(key.serialize_rfc5915_pem()).unwrap()
}

/// Nanoseconds since 1970, an hour from now.
fn in_an_hour() -> u64 {
    let hour = UNIX_EPOCH.elapsed().unwrap() + Duration::from_secs(3_600);
    u64::try_from(hour.as_nanos()).unwrap()
}

fn delegation(to: &dyn Identity) -> Delegation {
    Delegation {
        pubkey: to.public_key().unwrap(),
        expiration: in_an_hour(),
        targets: None,
        permissions: None,
    }
}

/// An identity whose owner delegates to a session's key.
fn delegated(owner: &dyn Identity, session: Box<dyn Identity>) -> DelegatedIdentity {
    let delegation = delegation(&*session);
    let signature = owner.sign_delegation(&delegation).unwrap();
    let link = SignedDelegation {
        delegation,
        signature: signature.signature.unwrap(),
    };
    DelegatedIdentity::new(owner.public_key().unwrap(), session, vec![link]).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_with_an_ed25519_key_is_served() {
    lives(&server().await, BasicIdentity::from_raw_key(&[1; 32])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_with_a_secp256k1_key_is_served() {
    lives(&server().await, secp256k1()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_with_a_p256_key_is_served() {
    lives(&server().await, p256()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_delegates_is_served() {
    let server = server().await;
    let session = || Box::new(BasicIdentity::from_raw_key(&[9; 32]));
    lives(
        &server,
        delegated(&BasicIdentity::from_raw_key(&[1; 32]), Box::new(p256())),
    )
    .await;
    lives(&server, delegated(&secp256k1(), session())).await;
    lives(&server, delegated(&p256(), session())).await;
}

/// A canister that signs for its users, as Internet Identity does.
async fn signing_canister(server: &Server) -> Signer {
    let agent = agent(server, BasicIdentity::from_raw_key(&[1; 32]));
    let canister = create(server, &agent).await;
    install(&agent, canister, Mode::install).await;
    Signer { agent, canister }
}

/// An identity of a canister's user, for a session.
async fn user_of(signer: &Signer, server: &Server, seed: &[u8]) -> DelegatedIdentity {
    let session = BasicIdentity::from_raw_key(&[9; 32]);
    let delegation = delegation(&session);
    let link = SignedDelegation {
        signature: signer.sign(seed, &delegation.signable()).await,
        delegation,
    };
    DelegatedIdentity::new_with_root_key(
        key(signer.canister, seed),
        Box::new(session),
        vec![link],
        &server.identity().root_key,
    )
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_that_a_canister_signs_for_is_served() {
    let server = server().await;
    let signer = signing_canister(&server).await;
    lives(&server, user_of(&signer, &server, b"user 1").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canister_is_told_what_another_says_about_its_caller() {
    let server = server().await;
    let signer = signing_canister(&server).await;
    let user = user_of(&signer, &server, b"user 1").await;
    let info = b"an inspector of the Cabinet Division".to_vec();
    let signature = signer
        .sign(b"user 1", &[&b"\x0Eic-sender-info"[..], &info].concat())
        .await;
    let root_key = &server.identity().root_key;
    let user = InfoAwareIdentity::new_with_root_key(user, info.clone(), signature, root_key);
    let agent = agent(&server, user.unwrap());
    let canister = signer.canister;
    let told = [&info[..], canister.as_slice()].concat();
    assert_eq!(update(&agent, canister, "caller_info").await, told);
    let queried = agent.query(&canister, "caller_info_query").call().await;
    assert_eq!(queried.unwrap(), told);
    // The canister itself speaks for nobody's caller but its own.
    assert_eq!(update(&signer.agent, canister, "caller_info").await, b"");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_by_a_canister_of_another_network_is_refused() {
    let (here, elsewhere) = (
        server().await,
        Server::start(Config {
            address: [127, 0, 0, 1].into(),
            port: 0,
            seed: [8; 32],
            subnet: engine::SubnetKind::Application,
            module_cache: None,
        }),
    );
    let elsewhere = elsewhere.await.unwrap();
    let signer = signing_canister(&elsewhere).await;
    let user = user_of(&signer, &elsewhere, b"user 1").await;
    let agent = agent(&here, user);
    let refused = agent.query(&signer.canister, "whoami_query").call().await;
    let error = refused.unwrap_err().to_string();
    assert!(
        error.contains("sender_delegation: the canister signature does not verify"),
        "{error}"
    );
}
