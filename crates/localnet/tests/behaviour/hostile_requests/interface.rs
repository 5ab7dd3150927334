//! The HTTP interface of the Internet Computer.

use std::{borrow::Cow, time::UNIX_EPOCH};

use candid::Principal;
use ed25519_dalek::{Signer as _, SigningKey};
use ic_agent::{Agent, identity::BasicIdentity};
use ic_transport_types::{Delegation, Envelope, EnvelopeContent, SenderInfo, SignedDelegation};
use reqwest::{Client, Method};
use serde_json::Value;

use super::{Case, Words, mutation::Choice, process::Process, send};
use crate::client::counter;

const SECOND: u64 = 1_000_000_000;
const CBOR: &str = "application/cbor";

/// An outsider with a key of his own.
pub(crate) struct Outsider {
    choice: Choice,
    base: String,
    subnet: Principal,
    canister: Principal,
    key: SigningKey,
    /// A call that was executed already.
    executed: Vec<u8>,
    sent: usize,
}

fn now() -> u64 {
    u64::try_from(UNIX_EPOCH.elapsed().unwrap().as_nanos()).unwrap()
}

fn der(key: &SigningKey) -> Vec<u8> {
    let head = hex::decode("302a300506032b6570032100").unwrap();
    [&head[..], key.verifying_key().as_bytes()].concat()
}

fn sender(key: &SigningKey) -> Principal {
    Principal::self_authenticating(der(key))
}

fn signed(
    content: EnvelopeContent,
    owner: &SigningKey,
    signer: &SigningKey,
    links: Option<Vec<SignedDelegation>>,
) -> Vec<u8> {
    let signature = signer.sign(&content.to_request_id().signable());
    Envelope {
        sender_pubkey: Some(der(owner)),
        sender_sig: Some(signature.to_bytes().to_vec()),
        sender_delegation: links,
        content: Cow::Owned(content),
    }
    .encode_bytes()
}

/// The content of a request of this type, for a method that there isn't.
fn content(kind: &str, sender: Principal, canister_id: Principal, expiry: u64) -> EnvelopeContent {
    let (method_name, arg) = ("no_such_method".to_owned(), b"DIDL\0\0".to_vec());
    match kind {
        "call" => EnvelopeContent::Call {
            nonce: None,
            ingress_expiry: expiry,
            sender,
            canister_id,
            method_name,
            arg,
            sender_info: None,
        },
        "query" => EnvelopeContent::Query {
            nonce: None,
            ingress_expiry: expiry,
            sender,
            canister_id,
            method_name,
            arg,
            sender_info: None,
        },
        _ => EnvelopeContent::ReadState {
            ingress_expiry: expiry,
            sender,
            paths: vec![vec!["time".into()]],
        },
    }
}

impl Outsider {
    pub(crate) fn new(
        seed: u8,
        base: String,
        subnet: Principal,
        canister: Principal,
        executed: Vec<u8>,
    ) -> Self {
        Self {
            choice: Choice::seeded(seed),
            base,
            subnet,
            canister,
            key: SigningKey::from_bytes(&[seed; 32]),
            executed,
            sent: 0,
        }
    }

    fn url(&mut self, kind: &str) -> String {
        let version = self.choice.of(&["v2", "v3", "v4"]);
        format!(
            "{}/api/{version}/canister/{}/{kind}",
            self.base, self.canister
        )
    }

    fn kind(&mut self) -> &'static str {
        ["call", "query", "read_state"][self.choice.below(3)]
    }

    /// A request that would be taken.
    fn whole(&self, kind: &str) -> Vec<u8> {
        let content = content(kind, sender(&self.key), self.canister, now() + 200 * SECOND);
        signed(content, &self.key, &self.key, None)
    }

    /// A chain of delegations that starts with the outsider's key, each link shaped before it is signed.
    fn delegated(
        &self,
        kind: &str,
        keys: &[SigningKey],
        shape: impl Fn(&mut Delegation),
    ) -> Vec<u8> {
        let mut signer = &self.key;
        let mut links = Vec::new();
        for key in keys {
            let mut delegation = Delegation {
                pubkey: der(key),
                expiration: now() + 600 * SECOND,
                targets: None,
                permissions: None,
            };
            shape(&mut delegation);
            let signature = signer.sign(&delegation.signable()).to_bytes().to_vec();
            links.push(SignedDelegation {
                delegation,
                signature,
            });
            signer = key;
        }
        let content = content(kind, sender(&self.key), self.canister, now() + 200 * SECOND);
        signed(content, &self.key, signer, Some(links))
    }

    fn bad_chain(&mut self, kind: &str) -> Vec<u8> {
        let key = |n: usize| SigningKey::from_bytes(&[u8::try_from(n + 100).unwrap(); 32]);
        let keys = |count: usize| (0..count).map(key).collect::<Vec<_>>();
        match self.choice.below(5) {
            0 => self.delegated(kind, &keys(21), |_| {}),
            1 => self.delegated(kind, &keys(3), |link| link.expiration = now() - SECOND),
            2 => self.delegated(kind, &[key(1), key(2), key(1)], |_| {}),
            3 => {
                let targets = vec![Principal::anonymous(); 1_001];
                self.delegated(kind, &keys(1), |link| link.targets = Some(targets.clone()))
            }
            _ => {
                let kind = if kind == "read_state" { "query" } else { kind };
                self.delegated(kind, &keys(2), |link| link.targets = Some(vec![]))
            }
        }
    }

    /// A key and a signature of any scheme, or of none.
    fn foreign_key(&mut self, kind: &str) -> Vec<u8> {
        let algorithms = [
            "300506032b6570",
            "301006072a8648ce3d020106052b8104000a",
            "301306072a8648ce3d020106082a8648ce3d030107",
            "300c060a2b0601040183b8430101",
            "300c060a2b0601040183b8430102",
            "3000",
        ];
        let algorithm = hex::decode(self.choice.of(&algorithms)).unwrap();
        let key = self.choice.bytes(100);
        let len = u8::try_from(key.len() + 1).unwrap();
        let bits = [&[0x03, len, 0x00], &key[..]].concat();
        let len = u8::try_from(algorithm.len() + bits.len()).unwrap();
        let info = if len < 0x80 {
            [&[0x30, len], &algorithm[..], &bits].concat()
        } else {
            [&[0x30, 0x81, len], &algorithm[..], &bits].concat()
        };
        let sender = Principal::self_authenticating(&info);
        let content = content(kind, sender, self.canister, now() + 200 * SECOND);
        let signature = [&b"\xd9\xd9\xf7"[..], &self.choice.bytes(300)].concat();
        Envelope {
            sender_pubkey: Some(info),
            sender_sig: Some(signature),
            sender_delegation: None,
            content: Cow::Owned(content),
        }
        .encode_bytes()
    }

    fn bad_read(&mut self) -> Vec<u8> {
        let id = self.canister.as_slice().to_vec();
        let request = vec![b"request_status".to_vec(), vec![7; 31]];
        let many = |n: usize, labels: usize| vec![vec![b"x".to_vec(); labels]; n];
        let paths = match self.choice.below(7) {
            0 => many(1_001, 1),
            1 => many(1, 128),
            2 => many(1_000, 127),
            3 => vec![request],
            4 => vec![vec![b"canister".to_vec(), id, b"certified_data".to_vec()]],
            5 => vec![vec![b"canister".to_vec(), vec![4], b"controllers".to_vec()]],
            _ => vec![vec![self.choice.bytes(1_000)]],
        };
        let content = EnvelopeContent::ReadState {
            ingress_expiry: now() + 200 * SECOND,
            sender: sender(&self.key),
            paths: paths
                .into_iter()
                .map(|path| path.into_iter().map(Into::into).collect())
                .collect(),
        };
        signed(content, &self.key, &self.key, None)
    }

    fn nested(&mut self) -> Vec<u8> {
        let depth = 1 + self.choice.below(50_000);
        let levels: [&[u8]; 6] = [
            &b"\x81"[..],
            b"\x9f",
            b"\xa1\x61a",
            b"\xbf\x67content",
            b"\xd9\xd9\xf7",
            b"\xc2",
        ];
        let level = *self.choice.of(&levels);
        [&b"\xd9\xd9\xf7"[..], &level.repeat(depth)].concat()
    }

    fn long_lengths(&mut self, kind: &str) -> Vec<u8> {
        let mut body = self.whole(kind);
        let at = self.choice.below(body.len());
        let head = *self.choice.of(&[0x5b, 0x7b, 0x9b, 0xbb, 0x5a, 0x9a, 0xdb]);
        let len = self.choice.of(&[
            [0xff; 8],
            [0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            [0, 0, 0, 0, 0xff, 0, 0, 0],
        ]);
        body.splice(at.., [&[head][..], len].concat());
        body
    }

    fn with_sender_info(&mut self, kind: &str) -> Vec<u8> {
        let mut content = content(kind, sender(&self.key), self.canister, now() + 200 * SECOND);
        if let EnvelopeContent::Call { sender_info, .. }
        | EnvelopeContent::Query { sender_info, .. } = &mut content
        {
            *sender_info = Some(SenderInfo {
                info: self.choice.bytes(100),
                signer: self.canister.as_slice().to_vec(),
                sig: self.choice.bytes(200),
            });
        }
        signed(content, &self.key, &self.key, None)
    }

    pub(crate) fn next(&mut self) -> Case {
        self.sent += 1;
        let kind = self.kind();
        let called = if kind == "read_state" { "query" } else { kind };
        let mut case = Case {
            kind: "damaged",
            method: Method::POST,
            url: self.url(kind),
            content_type: Some(CBOR),
            host: None,
            body: vec![],
            may_pass: false,
        };
        match self.sent % 16 {
            0 => {
                let whole = self.whole(kind);
                case.body = self.choice.damaged(&whole);
                // The tag before the request may be missing or cut, and the request is still whole and signed.
                case.may_pass = case.body.ends_with(&whole[3..]);
            }
            1 => {
                case.kind = "bytes";
                case.body = self.choice.bytes(2_000);
            }
            2 => {
                case.kind = "lengths";
                case.body = self.long_lengths(kind);
            }
            3 => {
                case.kind = "nested";
                case.body = self.nested();
            }
            4 => {
                case.kind = "signed by another key";
                let content = content(kind, sender(&self.key), self.canister, now() + 200 * SECOND);
                case.body = signed(
                    content,
                    &self.key,
                    &SigningKey::from_bytes(&[250; 32]),
                    None,
                );
            }
            5 => {
                case.kind = "signature";
                case.body = self.foreign_key(kind);
            }
            6 => {
                case.kind = "expired";
                let expiry = match self.choice.below(3) {
                    0 => self.choice.below(1_000) as u64,
                    1 => now() - SECOND * (1 + self.choice.below(1_000) as u64),
                    _ => now() + SECOND * (400 + self.choice.below(1_000) as u64),
                };
                let content = content(kind, sender(&self.key), self.canister, expiry);
                case.body = signed(content, &self.key, &self.key, None);
            }
            7 => {
                case.kind = "replayed";
                case.url = self.url("call");
                case.body = self.executed.clone();
                case.may_pass = true;
            }
            8 if self.sent % 160 == 8 => {
                case.kind = "oversized";
                case.body = vec![self.choice.byte(); (4 << 20) + 1 + self.choice.below(1 << 20)];
            }
            8 | 9 => {
                case.kind = "content type";
                case.content_type = *self.choice.of(&[
                    None,
                    Some("application/json"),
                    Some("text/plain"),
                    Some("application/cborx"),
                    Some(""),
                ]);
                case.body = self.whole(kind);
            }
            10 => {
                case.kind = "path";
                case.body = self.whole(kind);
                let (base, id) = (&self.base, self.canister);
                case.url = match self.choice.below(7) {
                    0 => format!("{base}/api/v9/canister/{id}/{kind}"),
                    1 => format!("{base}/api/v3/canister/{id}/{kind}/more"),
                    2 => format!(
                        "{base}/api/v3/canister/{}/{kind}",
                        hex::encode(self.choice.bytes(40))
                    ),
                    3 => format!("{base}/api/v3/canister/%00%ff/{kind}"),
                    4 => format!("{base}/api/v3/canister/{}/{kind}", "a".repeat(5_000)),
                    5 => format!(
                        "{base}/api/v3/canister/{}/call",
                        Principal::from_slice(&[0xff; 10])
                    ),
                    _ => format!("{base}/api/{}", hex::encode(self.choice.bytes(40))),
                };
            }
            11 => {
                case.kind = "method";
                case.method = self
                    .choice
                    .of(&[Method::GET, Method::PUT, Method::DELETE, Method::PATCH])
                    .clone();
            }
            12 => {
                case.kind = "subnet";
                let id = *self
                    .choice
                    .of(&[self.subnet, Principal::anonymous(), self.canister]);
                case.url = format!("{}/api/v3/subnet/{id}/{called}", self.base);
                case.body = self.whole(called);
            }
            13 => {
                case.kind = "delegations";
                case.url = self.url(called);
                case.body = self.bad_chain(called);
            }
            14 => {
                case.kind = "read";
                case.url = self.url("read_state");
                case.body = self.bad_read();
            }
            _ => {
                case.kind = "sender_info";
                case.url = self.url(called);
                case.body = self.with_sender_info(called);
            }
        }
        case
    }
}

/// What everyone can know of the canister, each certified or signed.
async fn observed(agent: &Agent, canister: Principal) -> (Vec<u8>, Vec<u8>, Vec<Principal>) {
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
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_malformed_gets_through_the_interface() {
    let mut server = Process::localnet();
    let status: Value = serde_json::from_str(&server.line()).unwrap();
    let text = |name: &str| status[name].as_str().unwrap().to_owned();
    let base = format!("http://127.0.0.1:{}", status["gateway_port"]);
    let agent = Agent::builder()
        .with_url(&base)
        .with_identity(BasicIdentity::from_raw_key(&[1; 32]))
        .with_verify_query_signatures(true)
        .build()
        .unwrap();
    agent.set_root_key(hex::decode(text("root_key")).unwrap());
    let anywhere = Principal::from_text(text("default_effective_canister_id")).unwrap();
    let canister = counter::install(&agent, anywhere).await;
    let executed = agent.update(&canister, "inc").sign().unwrap();
    let url = format!("{base}/api/v4/canister/{canister}/call");
    let client = Client::new();
    let first = client
        .post(url)
        .header("content-type", CBOR)
        .body(executed.signed_update.clone())
        .send();
    assert_eq!(first.await.unwrap().status(), 200);

    let subnet = Principal::from_text(text("application_subnet")).unwrap();
    let mut outsider = Outsider::new(11, base, subnet, canister, executed.signed_update);
    let before = observed(&agent, canister).await;
    assert_eq!(before.0, 1_u32.to_le_bytes());
    send(&client, (0..1_000).map(|_| outsider.next()), Words::Line).await;
    let memory = server.memory();
    send(&client, (0..11_000).map(|_| outsider.next()), Words::Line).await;
    server.is_as_before(memory);
    assert_eq!(observed(&agent, canister).await, before);
    let reply = agent
        .update(&canister, "inc")
        .call_and_wait()
        .await
        .unwrap();
    assert_eq!(reply, 2_u32.to_le_bytes());
}
