//! The REST protocol of PocketIC, and what lies behind it: instances' interfaces and a gateway.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use candid::Principal;
use ic_agent::{Agent, identity::BasicIdentity};
use reqwest::{Client, Method};
use serde_json::{Value, json};

use super::{Case, Words, interface::Outsider, mutation::Choice, process::Process, send};
use crate::client::counter;

/// A live instance with a canister, and one whose time stands still.
struct Target {
    base: String,
    live: u64,
    still: u64,
    canister: Principal,
    subnet: Principal,
}

/// Bodies that would be understood, with the paths that they go to. Where they would change the canister's state they
/// are for one that there isn't.
fn requests(target: &Target) -> Vec<(String, Value)> {
    let blob = |bytes: &[u8]| STANDARD.encode(bytes);
    let canister = blob(target.canister.as_slice());
    let nobody = blob(&[0, 0, 0, 0, 0, 0, 0, 0x77, 1, 1]);
    let subnet = blob(target.subnet.as_slice());
    let live = |path: &str| format!("/instances/{}/{path}", target.live);
    let still = |path: &str| format!("/instances/{}/{path}", target.still);
    let id = json!({"effective_principal": {"SubnetId": subnet}, "message_id": blob(&[7; 32])});
    let call = json!({
        "sender": blob(&[4]),
        "canister_id": canister,
        "effective_principal": {"CanisterId": canister},
        "method": "no_such_method",
        "payload": blob(b"DIDL\0\0"),
        "sender_info": {"info": blob(b"x"), "signer": canister},
    });
    vec![
        (live("read/query"), call.clone()),
        (live("update/submit_ingress_message"), call),
        (live("update/await_ingress_message"), id.clone()),
        (
            live("read/ingress_status"),
            json!({"raw_message_id": id, "raw_caller": {"principal_id": blob(&[4])}}),
        ),
        (live("read/get_cycles"), json!({"canister_id": canister})),
        (
            live("read/get_controllers"),
            json!({"canister_id": canister}),
        ),
        (live("read/get_subnet"), json!({"canister_id": canister})),
        (
            live("read/get_stable_memory"),
            json!({"canister_id": canister}),
        ),
        (live("read/pub_key"), json!({"subnet_id": subnet})),
        (live("auto_progress"), json!({"artificial_delay_ms": 1})),
        (
            live("update/set_stable_memory"),
            json!({"canister_id": nobody, "blob_id": "ab".repeat(32)}),
        ),
        (
            live("update/add_cycles"),
            json!({"canister_id": nobody, "amount": 1}),
        ),
        (
            live("update/mock_canister_http"),
            json!({
                "subnet_id": {"subnet_id": subnet},
                "request_id": 0,
                "response": {"CanisterHttpReply": {"status": 200, "headers": [], "body": blob(b"x")}},
                "additional_responses": [],
            }),
        ),
        (
            live("update/canister_snapshot_download"),
            json!({
                "sender": {"principal_id": blob(&[4])},
                "canister_id": {"canister_id": nobody},
                "snapshot_id": blob(&[7; 16]),
                "snapshot_dir": "/nonexistent/snapshot",
            }),
        ),
        (
            live("update/canister_snapshot_upload"),
            json!({
                "sender": {"principal_id": blob(&[4])},
                "canister_id": {"canister_id": nobody},
                "replace_snapshot": null,
                "snapshot_dir": "/nonexistent/snapshot",
            }),
        ),
        (still("update/tick"), json!({"blockmakers": null})),
        (
            still("update/set_time"),
            json!({"nanos_since_epoch": 1_700_000_000_000_000_000_u64}),
        ),
        (
            still("update/set_certified_time"),
            json!({"nanos_since_epoch": 1_700_000_000_000_000_000_u64}),
        ),
        (
            still("update/delete_subnet"),
            json!({"subnet_id": blob(&[9; 29])}),
        ),
        (
            "/verify_signature".to_owned(),
            json!({
                "msg": blob(b"m"), "sig": blob(b"\xd9\xd9\xf7\xa0"), "pubkey": blob(&[0x30, 3, 0x30, 0, 3]), "root_pubkey": blob(&[0x30; 133]),
            }),
        ),
        (
            "/http_gateway".to_owned(),
            json!({
                "ip_addr": null, "port": 0, "forward_to": {"PocketIcInstance": 99_999}, "domains": ["localhost"], "https_config": null,
            }),
        ),
        ("/http_gateway/99999/stop".to_owned(), json!({})),
        ("/instances/99999/update/tick".to_owned(), json!({})),
        ("/instances/99999/stop_progress".to_owned(), json!({})),
        (
            "/instances".to_owned(),
            json!({"subnet_config_set": "all of them", "icp_features": {}}),
        ),
        ("/blobstore".to_owned(), json!("bytes")),
        ("/blobstore/".to_owned(), json!([1, 2])),
    ]
}

/// A value that is something else somewhere.
fn garbled(choice: &mut Choice, value: &Value) -> Value {
    let garbage = |choice: &mut Choice| match choice.below(12) {
        0 => Value::Null,
        1 => json!(-1),
        2 => json!(u64::MAX),
        3 => json!(1.5e300),
        4 => json!("a".repeat(choice.below(5_000))),
        5 => json!(STANDARD.encode(choice.bytes(60))),
        6 => json!([]),
        7 => json!({}),
        8 => json!(true),
        9 => json!("\u{0}\u{202e}/../..%00"),
        10 => json!({"SubnetId": "AA=="}),
        _ => (0..choice.below(100)).fold(json!(0), |inner, _| json!([inner])),
    };
    match value {
        Value::Object(fields) if choice.below(8) > 0 => {
            let mut fields = fields.clone();
            let names: Vec<String> = fields.keys().cloned().collect();
            if names.is_empty() {
                return garbage(choice);
            }
            let name = choice.of(&names).clone();
            if choice.below(4) == 0 {
                fields.remove(&name);
            } else {
                let inner = garbled(choice, &fields[&name]);
                fields.insert(name, inner);
            }
            Value::Object(fields)
        }
        _ => garbage(choice),
    }
}

fn next(choice: &mut Choice, base: &str, requests: &[(String, Value)]) -> Case {
    let (path, value) = choice.of(requests).clone();
    let text = value.to_string().into_bytes();
    let mut case = Case {
        kind: "damaged",
        method: Method::POST,
        url: format!("{base}{path}"),
        content_type: Some("application/json"),
        host: None,
        body: text.clone(),
        // Much of what is damaged is JSON still, and may be of the right form.
        may_pass: true,
    };
    match choice.below(8) {
        0 => case.body = choice.damaged(&text),
        1 => {
            case.kind = "bytes";
            case.body = choice.bytes(1_000);
        }
        2 => {
            case.kind = "nested";
            let depth = choice.below(50_000);
            case.body = choice
                .of(&["[", "{\"sender\":", "[{\"a\":"])
                .repeat(depth)
                .into_bytes();
        }
        3 => {
            case.kind = "path";
            case.url = match choice.below(7) {
                0 => format!(
                    "{base}/instances/{}/read/get_time",
                    choice.of(&["x", "-1", "99999999999999999999", "%00"])
                ),
                1 => format!("{base}/instances/4711{path}"),
                2 => format!("{base}/blobstore/{}", hex::encode(choice.bytes(40))),
                3 => format!("{base}{path}/{}", hex::encode(choice.bytes(20))),
                4 => format!("{base}/read_graph/a/b"),
                5 => {
                    case.method = Method::DELETE;
                    format!("{base}/instances/{}", 1_000 + choice.below(1_000))
                }
                _ => format!("{base}/{}", hex::encode(choice.bytes(20))),
            };
        }
        4 => {
            case.kind = "method";
            case.method = choice
                .of(&[Method::PUT, Method::PATCH, Method::GET])
                .clone();
        }
        _ => {
            case.kind = "garbled";
            case.body = garbled(choice, &value).to_string().into_bytes();
        }
    }
    case
}

/// Requests to a gateway, most of them for canisters that don't answer them.
fn to_gateway(choice: &mut Choice, port: u64, canister: Principal) -> Case {
    let host = match choice.below(5) {
        0 => format!("{canister}.localhost:{port}"),
        1 => format!("{}.localhost", hex::encode(choice.bytes(30))),
        2 => "aaaaa-aa.localhost".to_owned(),
        3 => format!("{}.example", "a.".repeat(choice.below(50))),
        _ => format!("localhost:{port}"),
    };
    let path = match choice.below(5) {
        0 => format!("/?canisterId={}", hex::encode(choice.bytes(30))),
        1 => format!("/%00%ff/{}", hex::encode(choice.bytes(30))),
        2 => format!("/../{}", "a/".repeat(choice.below(1_000))),
        3 => "/_/raw".to_owned(),
        _ => format!(
            "/{}?{}",
            hex::encode(choice.bytes(30)),
            "a=b&".repeat(choice.below(100))
        ),
    };
    Case {
        kind: "gateway",
        method: choice
            .of(&[Method::GET, Method::POST, Method::PUT, Method::DELETE])
            .clone(),
        url: format!("http://127.0.0.1:{port}{path}"),
        content_type: Some("text/plain"),
        host: Some(host),
        body: choice.bytes(500),
        may_pass: false,
    }
}

async fn created(client: &Client, url: &str, body: &Value) -> Value {
    let response = client.post(url).json(body).send().await.unwrap();
    assert!(response.status().is_success(), "{}", response.status());
    let created: Value = response.json().await.unwrap();
    created["Created"].clone()
}

async fn instance(client: &Client, base: &str) -> Value {
    let config = json!({"subnet_config_set": {"application": [{
        "state_config": "New", "instruction_config": "Production", "subnet_admins": null, "cost_schedule": "Normal",
    }], "system": [], "verified_application": [], "cloud_engine": [],
        "nns": null, "sns": null, "ii": null, "fiduciary": null, "bitcoin": null}});
    created(client, &format!("{base}/instances"), &config).await
}

async fn get(client: &Client, url: String) -> Vec<u8> {
    let response = client.get(url).send().await.unwrap();
    assert_eq!(response.status(), 200);
    response.bytes().await.unwrap().to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_malformed_gets_through_the_protocol_of_pocket_ic() {
    let mut server = Process::pocket_ic();
    let base = format!("http://127.0.0.1:{}", server.line().trim());
    let client = Client::new();
    let (first, second) = (
        instance(&client, &base).await,
        instance(&client, &base).await,
    );
    let live = first["instance_id"].as_u64().unwrap();
    let interface = format!("{base}/instances/{live}");
    let start = client.post(format!("{interface}/auto_progress"));
    let started = start
        .json(&json!({"artificial_delay_ms": null}))
        .send()
        .await;
    assert_eq!(started.unwrap().status(), 200);

    let anywhere = &first["topology"]["default_effective_canister_id"]["canister_id"];
    let anywhere = Principal::from_slice(&STANDARD.decode(anywhere.as_str().unwrap()).unwrap());
    let agent = Agent::builder()
        .with_url(format!("{interface}/"))
        .with_identity(BasicIdentity::from_raw_key(&[1; 32]))
        .build()
        .unwrap();
    agent.fetch_root_key().await.unwrap();
    let canister = counter::install(&agent, anywhere).await;
    let executed = agent.update(&canister, "inc").sign().unwrap();
    agent
        .update_signed(canister, executed.signed_update.clone())
        .await
        .unwrap();
    let subnets = first["topology"]["subnet_configs"].as_object().unwrap();
    let subnet = Principal::from_text(subnets.keys().next().unwrap()).unwrap();
    let target = Target {
        base: base.clone(),
        live,
        still: second["instance_id"].as_u64().unwrap(),
        canister,
        subnet,
    };
    let gateway = json!({"ip_addr": null, "port": null, "forward_to": {"PocketIcInstance": live}, "domains": null, "https_config": null});
    let gateway = created(&client, &format!("{base}/http_gateway"), &gateway).await;
    let port = gateway["port"].as_u64().unwrap();

    let observe = async || {
        (
            agent.query(&canister, "get").call().await.unwrap(),
            agent
                .read_state_canister_module_hash(canister)
                .await
                .unwrap(),
            agent
                .read_state_canister_controllers(canister)
                .await
                .unwrap(),
        )
    };
    let before = observe().await;
    let requests = requests(&target);
    let mut choice = Choice::seeded(21);
    let mut outsider = Outsider::new(22, interface, subnet, canister, executed.signed_update);
    let mut flood = async |scale: usize| {
        let protocol = (0..6 * scale).map(|_| next(&mut choice, &target.base, &requests));
        send(
            &client,
            protocol.collect::<Vec<_>>().into_iter(),
            Words::Message,
        )
        .await;
        send(&client, (0..scale).map(|_| outsider.next()), Words::Line).await;
        let web = (0..scale).map(|_| to_gateway(&mut choice, port, canister));
        send(&client, web.collect::<Vec<_>>().into_iter(), Words::Free).await;
    };
    flood(100).await;
    let memory = server.memory();
    flood(900).await;
    server.is_as_before(memory);
    assert_eq!(observe().await, before);
    let reply = agent
        .update(&canister, "inc")
        .call_and_wait()
        .await
        .unwrap();
    assert_eq!(reply, 2_u32.to_le_bytes());
    get(
        &client,
        format!("{base}/instances/{}/read/get_time", target.still),
    )
    .await;
}
