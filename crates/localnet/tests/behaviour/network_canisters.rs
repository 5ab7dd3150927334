//! What tools ask the network before they create a canister: its subnets, the cycles ledger, the registry of engines.

use candid::{CandidType, Nat, Principal, decode_one, encode_one};
use ic_agent::{Agent, AgentError};
use serde::Deserialize;

use crate::client::{agent, post, server};

const MINTING: &str = "rkp4c-7iaaa-aaaaa-aaaca-cai";
const LEDGER: &str = "um5iw-rqaaa-aaaaq-qaaba-cai";
const ENGINES: &str = "q6cfj-fyaaa-aaaar-qb77q-cai";

fn id(text: &str) -> Principal {
    Principal::from_text(text).unwrap()
}

#[derive(CandidType)]
struct Create {
    amount: Nat,
    creation_args: Option<Creation>,
}

#[derive(CandidType, Default)]
struct Creation {
    subnet_selection: Option<Selection>,
    settings: Option<Settings>,
}

#[derive(CandidType)]
enum Selection {
    Subnet { subnet: Principal },
    Filter { subnet_type: Option<String> },
}

#[derive(CandidType, Default)]
struct Settings {
    controllers: Option<Vec<Principal>>,
    compute_allocation: Option<Nat>,
}

#[derive(CandidType, Debug, Deserialize)]
struct Created {
    block_id: Nat,
    canister_id: Principal,
}

#[derive(CandidType, Debug, Deserialize)]
enum CreateError {
    FailedToCreate {
        fee_block: Option<Nat>,
        refund_block: Option<Nat>,
        error: String,
    },
    GenericError {
        error_code: Nat,
        message: String,
    },
}

async fn create(agent: &Agent, creation_args: Option<Creation>) -> Result<Created, CreateError> {
    let args = Create {
        amount: Nat::from(2_000_000_000_000_u64),
        creation_args,
    };
    let call = agent.update(&id(LEDGER), "create_canister");
    let reply = call.with_arg(encode_one(args).unwrap()).call_and_wait();
    decode_one(&reply.await.unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_network_says_where_users_create_canisters() {
    let server = server().await;
    let agent = agent(&server, 1);
    let nothing = encode_one(()).unwrap();
    let query = agent.query(&id(MINTING), "get_default_subnets");
    let answers = [
        query.with_arg(nothing.clone()).call().await,
        agent
            .update(&id(MINTING), "get_default_subnets")
            .with_arg(nothing)
            .call_and_wait()
            .await,
    ];
    for answer in answers {
        let subnets: Vec<Principal> = decode_one(&answer.unwrap()).unwrap();
        assert_eq!(subnets, [server.identity().application_subnet]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_creates_canisters_for_their_callers() {
    let server = server().await;
    let agent = agent(&server, 1);
    let caller = agent.get_principal().unwrap();
    let subnet = server.identity().application_subnet;
    let controllers = async |canister| {
        let controllers = agent.read_state_canister_controllers(canister).await;
        controllers.unwrap()
    };

    let first = create(&agent, None).await.unwrap();
    assert_eq!(controllers(first.canister_id).await, [caller]);
    let other = Principal::self_authenticating([2]);
    let settings = Settings {
        controllers: Some(vec![other]),
        compute_allocation: None,
    };
    let second = Creation {
        subnet_selection: Some(Selection::Subnet { subnet }),
        settings: Some(settings),
    };
    let second = create(&agent, Some(second)).await.unwrap();
    assert_eq!(controllers(second.canister_id).await, [other]);
    assert_ne!(first.canister_id, second.canister_id);
    assert!(first.block_id < second.block_id);

    for selection in [
        Selection::Subnet { subnet: other },
        Selection::Filter {
            subnet_type: Some("european".into()),
        },
    ] {
        let elsewhere = Creation {
            subnet_selection: Some(selection),
            settings: None,
        };
        let refused = create(&agent, Some(elsewhere)).await.unwrap_err();
        assert!(
            matches!(refused, CreateError::GenericError { .. }),
            "{refused:?}"
        );
    }
    let impossible = Creation {
        subnet_selection: None,
        settings: Some(Settings {
            controllers: None,
            compute_allocation: Some(Nat::from(101_u8)),
        }),
    };
    let refused = create(&agent, Some(impossible)).await.unwrap_err();
    assert!(
        matches!(refused, CreateError::FailedToCreate { .. }),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_that_is_sent_again_makes_one_canister() {
    let server = server().await;
    let agent = agent(&server, 1);
    let args = Create {
        amount: Nat::from(0_u8),
        creation_args: None,
    };
    let signed = agent
        .update(&id(LEDGER), "create_canister")
        .with_arg(encode_one(args).unwrap())
        .sign()
        .unwrap();
    let mut answers = Vec::new();
    for version in ["v2", "v3", "v4"] {
        let path = format!("/api/{version}/canister/{LEDGER}/call");
        let (status, _) = post(&server, &path, signed.signed_update.clone()).await;
        assert_eq!(status, if version == "v2" { 202 } else { 200 });
        let (reply, _) = agent.wait(&signed.request_id, id(LEDGER)).await.unwrap();
        let created: Result<Created, CreateError> = decode_one(&reply).unwrap();
        answers.push(created.unwrap().canister_id);
    }
    answers.dedup();
    let next = create(&agent, None).await.unwrap().canister_id;
    let number = |id: Principal| u64::from_be_bytes(id.as_slice()[..8].try_into().unwrap());
    assert_eq!(answers.len(), 1);
    assert_eq!(number(next), number(answers[0]) + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_registered_an_engines_operator_may_change_it() {
    #[derive(CandidType)]
    struct Set {
        subnet_id: Principal,
        engine_operator_id: Principal,
    }
    #[derive(CandidType)]
    struct Get {
        subnet_id: Option<Principal>,
    }
    #[derive(CandidType, Deserialize)]
    struct Operator {
        engine_operator_id: Option<Principal>,
    }
    #[derive(CandidType, Debug, Deserialize)]
    enum Answer {
        Ok,
        Err(String),
    }
    let server = server().await;
    let (first, second) = (agent(&server, 1), agent(&server, 2));
    let subnet = server.identity().application_subnet;
    let operator = async || {
        let args = Get {
            subnet_id: Some(subnet),
        };
        let query = first.query(&id(ENGINES), "getEngineOperatorBySubnet");
        let reply = query.with_arg(encode_one(args).unwrap()).call();
        let operator: Operator = decode_one(&reply.await.unwrap()).unwrap();
        operator.engine_operator_id
    };
    let set = async |agent: &Agent, engine_operator_id| {
        let args = Set {
            subnet_id: subnet,
            engine_operator_id,
        };
        let call = agent.update(&id(ENGINES), "setEngineOperator");
        let reply = call.with_arg(encode_one(args).unwrap()).call_and_wait();
        decode_one::<Answer>(&reply.await.unwrap()).unwrap()
    };
    assert_eq!(operator().await, None);
    assert!(matches!(set(&first, id(LEDGER)).await, Answer::Ok));
    assert!(matches!(set(&second, id(MINTING)).await, Answer::Err(_)));
    assert_eq!(operator().await, Some(id(LEDGER)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_they_do_not_do_is_refused_as_canisters_refuse_it() {
    let server = server().await;
    let agent = agent(&server, 1);
    let code = |error: AgentError| match error {
        AgentError::CertifiedReject { reject, .. }
        | AgentError::UncertifiedReject { reject, .. } => reject.error_code.unwrap(),
        other => panic!("{other}"),
    };
    for canister in [MINTING, LEDGER, ENGINES] {
        let query = agent.query(&id(canister), "icrc1_name").call().await;
        assert_eq!(code(query.unwrap_err()), "IC0536");
        let update = agent
            .update(&id(canister), "icrc1_transfer")
            .call_and_wait();
        assert_eq!(code(update.await.unwrap_err()), "IC0536");
    }
    // A changing method is no query.
    let query = agent.query(&id(LEDGER), "create_canister").call().await;
    assert_eq!(code(query.unwrap_err()), "IC0536");
    let garbage = agent
        .update(&id(LEDGER), "create_canister")
        .with_arg(*b"DIDL");
    assert_eq!(code(garbage.call_and_wait().await.unwrap_err()), "IC0503");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canister_that_somebody_creates_at_such_an_id_is_asked_itself() {
    #[derive(CandidType)]
    struct At {
        specified_id: Option<Principal>,
    }
    let server = server().await;
    let agent = agent(&server, 1);
    let at = At {
        specified_id: Some(id(MINTING)),
    };
    agent
        .update(
            &Principal::management_canister(),
            "provisional_create_canister_with_cycles",
        )
        .with_effective_canister_id(id(MINTING))
        .with_arg(encode_one(at).unwrap())
        .call_and_wait()
        .await
        .unwrap();
    let asked = agent
        .query(&id(MINTING), "get_default_subnets")
        .call()
        .await;
    let Err(AgentError::UncertifiedReject { reject, .. }) = asked else {
        panic!("it has no module")
    };
    assert_eq!(reject.error_code.unwrap(), "IC0537");
}
