//! The server as its clients find it: a process of its own, over HTTP.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, bail};
use candid::Principal;
use ed25519_dalek::{Signer as _, SigningKey};
use ic_transport_types::{Envelope, EnvelopeContent, QueryResponse, to_request_id};
use pocket_ic::PocketIc;

use crate::{
    modules,
    server::{Server, install, median, update},
};

const SAMPLES: usize = 5;
const SECONDS: Duration = Duration::from_secs(5);
/// Signed queries at a time.
const CLIENTS: usize = 8;

fn milliseconds(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1_000.0
}

/// From the start of the process to the first answer of a small canister, its module compiled by an earlier process.
pub(crate) fn first_call() -> anyhow::Result<f64> {
    let cache = tempfile::tempdir()?;
    let mut times = Vec::new();
    for _ in 0..=SAMPLES {
        let start = Instant::now();
        let server = Server::start(cache.path())?;
        let pic = server.instance()?;
        let canister = install(&pic, modules::counter())?;
        update(&pic, canister, "count")?;
        times.push(milliseconds(start));
    }
    // The first one compiled the module.
    times.remove(0);
    Ok(median(times))
}

fn timed_install(pic: &PocketIc, module: Vec<u8>) -> f64 {
    let canister = pic.create_canister();
    pic.add_cycles(canister, 1_000_000_000_000_000);
    let start = Instant::now();
    pic.install_canister(canister, module, Vec::new(), None);
    milliseconds(start)
}

fn large(seed: u32) -> anyhow::Result<Vec<u8>> {
    let module = modules::large(seed);
    if module.len() < 1_000_000 {
        bail!("the module has only {} bytes", module.len());
    }
    Ok(module)
}

/// The installation of a module with more than 1 MB of code that nobody has compiled before.
pub(crate) fn install_cold() -> anyhow::Result<f64> {
    let cache = tempfile::tempdir()?;
    let server = Server::start(cache.path())?;
    let pic = server.instance()?;
    let mut times = Vec::new();
    for seed in 0..SAMPLES {
        times.push(timed_install(&pic, large(u32::try_from(seed)?)?));
    }
    Ok(median(times))
}

/// The same when an earlier server process has compiled it.
pub(crate) fn install_warm() -> anyhow::Result<f64> {
    let cache = tempfile::tempdir()?;
    let module = large(0)?;
    let mut times = Vec::new();
    for _ in 0..=SAMPLES {
        let server = Server::start(cache.path())?;
        times.push(timed_install(&server.instance()?, module.clone()));
    }
    times.remove(0);
    Ok(median(times))
}

/// Update calls of one client, one after another.
pub(crate) fn updates() -> anyhow::Result<f64> {
    let cache = tempfile::tempdir()?;
    let server = Server::start(cache.path())?;
    let pic = server.instance()?;
    let canister = install(&pic, modules::counter())?;
    for _ in 0..200 {
        update(&pic, canister, "count")?;
    }
    let start = Instant::now();
    let mut calls = 0_u32;
    while start.elapsed() < SECONDS {
        for _ in 0..100 {
            update(&pic, canister, "count")?;
        }
        calls += 100;
    }
    Ok(f64::from(calls) / start.elapsed().as_secs_f64())
}

/// Queries over HTTP, each signed by its client and its reply by the node.
pub(crate) fn queries() -> anyhow::Result<f64> {
    let cache = tempfile::tempdir()?;
    let server = Server::start(cache.path())?;
    let mut pic = server.instance()?;
    let canister = install(&pic, modules::counter())?;
    update(&pic, canister, "count")?;
    let gateway = pic.make_live(None);
    let url = gateway.join(&format!("api/v3/canister/{canister}/query"))?;
    let asked = Arc::new(AtomicU64::new(0));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let http = reqwest::Client::builder().tcp_nodelay(true).build()?;
    let elapsed = runtime.block_on(async {
        let start = Instant::now();
        let clients = (0..CLIENTS).map(|n| {
            let (http, url, asked) = (http.clone(), url.clone(), asked.clone());
            let key = SigningKey::from_bytes(&[u8::try_from(n).unwrap_or(0) + 1; 32]);
            tokio::spawn(async move {
                while start.elapsed() < SECONDS {
                    let body = signed_query(&key, canister)?;
                    let answer = http
                        .post(url.clone())
                        .header("content-type", "application/cbor")
                        .body(body)
                        .send()
                        .await?;
                    let answer = answer.error_for_status()?.bytes().await?;
                    let answer: QueryResponse = serde_cbor::from_slice(&answer)?;
                    match answer {
                        QueryResponse::Replied { signatures, .. } if !signatures.is_empty() => {}
                        other => bail!("a query: {other:?}"),
                    }
                    asked.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            })
        });
        for client in clients.collect::<Vec<_>>() {
            client.await.context("a client")??;
        }
        anyhow::Ok(start.elapsed())
    })?;
    #[allow(clippy::cast_precision_loss, reason = "a few thousand")]
    Ok(asked.load(Ordering::Relaxed) as f64 / elapsed.as_secs_f64())
}

/// An envelope (IC interface specification, "Request: Query call").
fn signed_query(key: &SigningKey, canister: Principal) -> anyhow::Result<Vec<u8>> {
    const DER_PREFIX: [u8; 12] = [
        0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
    ];
    let public = [&DER_PREFIX[..], key.verifying_key().as_bytes()].concat();
    let expiry = SystemTime::now().duration_since(UNIX_EPOCH)? + Duration::from_secs(120);
    let content = EnvelopeContent::Query {
        ingress_expiry: u64::try_from(expiry.as_nanos())?,
        sender: Principal::self_authenticating(&public),
        canister_id: canister,
        method_name: "get".to_owned(),
        arg: Vec::new(),
        nonce: None,
        sender_info: None,
    };
    let id = to_request_id(&content)?;
    let signature = key.sign(&[b"\x0Aic-request", id.as_slice()].concat());
    let envelope = Envelope {
        content: std::borrow::Cow::Owned(content),
        sender_pubkey: Some(public),
        sender_sig: Some(signature.to_bytes().to_vec()),
        sender_delegation: None,
    };
    Ok(envelope.encode_bytes())
}

/// Memory of a server with five installed canisters that have been called, at rest.
pub(crate) fn idle() -> anyhow::Result<f64> {
    let cache = tempfile::tempdir()?;
    let server = Server::start(cache.path())?;
    let pic = server.instance()?;
    for seed in 0..5 {
        let canister = install(&pic, modules::counter())?;
        update(&pic, canister, "count")?;
        if seed == 0 {
            // One of them is large.
            let canister = install(&pic, modules::large(seed))?;
            update(&pic, canister, "run")?;
        }
    }
    std::thread::sleep(Duration::from_secs(2));
    #[allow(clippy::cast_precision_loss, reason = "far below 2^53")]
    Ok(server.memory()? as f64 / 1e6)
}
