//! Plain icp-cli on a subnet whose engine operator is app_hosting: what a founder types on their own machine; and what dfx calls there.
//!
//! `icp` is the one of `tests/node/node_modules`, which `npm ci` puts there on x64 Linux, or else the one in the PATH.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use candid::{CandidType, Encode, Principal};
use end_to_end::{example_module, icp};
use ic_agent::{Agent, identity::BasicIdentity};
use ic_management_canister_types::{
    CanisterIdRecord, CanisterInstallMode, CanisterSettings, CanisterStatusResult, ChunkHash,
    InstallChunkedCodeArgs, InstallCodeArgs, UpdateSettingsArgs, UploadChunkArgs,
};
use indus_api::{
    Error,
    hosting::{App, CreateAppArgs, HostedCanister, ListCanistersArgs},
    paging::Page,
    registry::DataClass,
};
use indus_client::Key;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::{
    hosting::Host,
    suite::{Suite, key},
};

/// A module without anything in it, and another one.
const FIRST: &[u8] = b"\0asm\x01\0\0\0";
const SECOND: &[u8] = b"\0asm\x01\0\0\0\0\x02\x01x";

/// A canister of a manifest.
fn prebuilt(name: &str) -> String {
    format!(
        "  - name: {name}\n    build:\n      steps:\n        - type: pre-built\n          path: {name}.wasm\n"
    )
}

/// A founder's machine: a project, and a home with a key in it.
struct Machine {
    folder: TempDir,
    hosting: Principal,
    subnet: Principal,
}

impl Machine {
    fn new(host: &Host, url: &str, subnet: Principal, seed: &[u8; 32]) -> Self {
        let machine = Self {
            folder: tempfile::tempdir().unwrap(),
            hosting: host.canister,
            subnet,
        };
        let root_key = hex::encode(host.pic.root_key().unwrap());
        let manifest = format!(
            "networks:\n  - name: pk\n    mode: connected\n    url: {url}\n    root-key: {root_key}\n\
             environments:\n  - name: pk\n    network: pk\n\
             canisters:\n{}{}",
            prebuilt("backend"),
            prebuilt("worker"),
        );
        machine.write("icp.yaml", manifest.as_bytes());
        machine.write("backend.wasm", FIRST);
        machine.write("worker.wasm", FIRST);
        machine.write("key.pem", pem(seed).as_bytes());
        machine.done(&[
            "identity",
            "import",
            "founder",
            "--from-pem",
            "key.pem",
            "--storage",
            "plaintext",
        ]);
        machine
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path().join(name), bytes).unwrap();
    }

    fn run(&self, args: &[&str]) -> Output {
        Command::new(icp())
            .args(args)
            .current_dir(self.path())
            .env("HOME", self.path())
            .env("XDG_CONFIG_HOME", self.path().join("config"))
            .env("XDG_DATA_HOME", self.path().join("data"))
            .env("ENGINE_CANISTER_ID", self.hosting.to_text())
            .output()
            .unwrap()
    }

    fn done(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let said = [&output.stdout[..], &output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(output.status.success(), "icp {args:?}: {said}");
        said
    }

    fn deploy(&self) -> Output {
        let subnet = self.subnet.to_text();
        self.run(&[
            "deploy",
            "-e",
            "pk",
            "--subnet",
            &subnet,
            "--identity",
            "founder",
            "--yes",
        ])
    }
}

/// An Ed25519 key as tools keep it (RFC 8410, section 7).
fn pem(seed: &[u8; 32]) -> String {
    const PREFIX: &[u8] = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
    let key = STANDARD.encode([PREFIX, seed].concat());
    format!("-----BEGIN PRIVATE KEY-----\n{key}\n-----END PRIVATE KEY-----\n")
}

fn module_hash(host: &Host, canister: Principal) -> Vec<u8> {
    let status = host.pic.canister_status(canister, Some(host.canister));
    status.unwrap().module_hash.unwrap()
}

#[test]
fn icp_deploy_creates_canisters_under_the_quota_and_upgrades_them() {
    let seed = [26; 32];
    let founder = Key::from_seed(&seed);
    let mut host = Host::on(Suite::on_an_engine(), founder.principal());
    let args = CreateAppArgs {
        organisation: None,
        name: "kisan".into(),
        data_class: DataClass::Public,
    };
    let app: Result<App, Error> = host
        .update(host.canister, founder.principal(), "create_app", (args,))
        .unwrap();
    let app = app.unwrap().id;

    let subnet = host.pic.get_subnet(host.canister).unwrap();
    let url = host.live();
    let machine = Machine::new(&host, &url, subnet, &seed);
    // Who they are, those that run this module first.
    let deployed = |module: &[u8], running: usize| {
        let output = machine.deploy();
        let said = [&output.stdout[..], &output.stderr].concat();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&said)
        );
        let args = ListCanistersArgs {
            app,
            after: None,
            limit: 10,
        };
        let page: Result<Page<Principal, HostedCanister>, Error> =
            host.query(host.canister, key("anybody"), "list_canisters", (args,));
        let all: Vec<Principal> = page.unwrap().items.iter().map(|one| one.canister).collect();
        let hash = Sha256::digest(module).to_vec();
        let run = all.iter().filter(|one| module_hash(&host, **one) == hash);
        assert_eq!(run.count(), running);
        all
    };
    let created = deployed(FIRST, 2);
    assert_eq!(created.len(), 2);
    machine.write("backend.wasm", SECOND);
    assert_eq!(deployed(SECOND, 1), created);
    for canister in created {
        let person = host.person(founder.principal());
        assert_eq!(host.hosted(canister).created_by, person);
    }
}

/// A management call about a canister, as agents make it.
async fn managed<R: CandidType + DeserializeOwned>(
    agent: &Agent,
    canister: Principal,
    method: &str,
    args: &impl CandidType,
) -> R {
    let call = agent
        .update(&Principal::management_canister(), method)
        .with_effective_canister_id(canister)
        .with_arg(Encode!(args).unwrap());
    let reply = call.call_and_wait().await.unwrap();
    candid::decode_one(&reply).unwrap()
}

/// The same of one that replies nothing.
async fn done(agent: &Agent, canister: Principal, method: &str, args: &impl CandidType) {
    let call = agent
        .update(&Principal::management_canister(), method)
        .with_effective_canister_id(canister)
        .with_arg(Encode!(args).unwrap());
    call.call_and_wait().await.unwrap();
}

/// dfx is in no package registry. These are the calls that it makes to deploy to a canister that `indus app link` has told it of.
#[test]
fn what_dfx_calls_works_on_canisters_that_app_hosting_made() {
    let seed = [27; 32];
    let founder = Key::from_seed(&seed).principal();
    let mut host = Host::on(Suite::on_an_engine(), founder);
    let args = CreateAppArgs {
        organisation: None,
        name: "kisan".into(),
        data_class: DataClass::Public,
    };
    let app: Result<App, Error> = host
        .update(host.canister, founder, "create_app", (args,))
        .unwrap();
    app.unwrap();
    let created = host.create_as(founder).unwrap();
    let canister = created.canister_id;
    let root_key = host.pic.root_key().unwrap();
    let url = host.live();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(deployed_by_dfx(&url, root_key, &seed, canister));
    let hash = Sha256::digest(example_module("kisan")).to_vec();
    assert_eq!(module_hash(&host, canister), hash);
}

async fn deployed_by_dfx(url: &str, root_key: Vec<u8>, seed: &[u8; 32], canister: Principal) {
    let agent = Agent::builder()
        .with_url(url)
        .with_identity(BasicIdentity::from_raw_key(seed))
        .build()
        .unwrap();
    agent.set_root_key(root_key);
    let of = CanisterIdRecord {
        canister_id: canister,
    };
    // Is it ours, is it empty?
    let controllers = agent.read_state_canister_controllers(canister).await;
    let own = agent.get_principal().unwrap();
    assert!(controllers.unwrap().contains(&own));
    let empty = agent.read_state_canister_module_hash(canister).await;
    assert!(empty.is_err());
    let status: CanisterStatusResult = managed(&agent, canister, "canister_status", &of).await;
    assert_eq!(status.module_hash, None);

    // A module that does not fit into one message goes through the chunk store.
    let module = example_module("kisan");
    let wasm_module_hash = Sha256::digest(&module).to_vec();
    let mut chunk_hashes_list = Vec::new();
    done(&agent, canister, "clear_chunk_store", &of).await;
    for chunk in module.chunks(module.len() / 2 + 1) {
        let args = UploadChunkArgs {
            canister_id: canister,
            chunk: chunk.to_vec(),
        };
        let stored: ChunkHash = managed(&agent, canister, "upload_chunk", &args).await;
        chunk_hashes_list.push(stored);
    }
    let stored: Vec<ChunkHash> = managed(&agent, canister, "stored_chunks", &of).await;
    assert_eq!(stored.len(), chunk_hashes_list.len());
    let args = InstallChunkedCodeArgs {
        mode: CanisterInstallMode::Install,
        target_canister: canister,
        store_canister: None,
        chunk_hashes_list,
        wasm_module_hash: wasm_module_hash.clone(),
        arg: Encode!().unwrap(),
        sender_canister_version: None,
    };
    done(&agent, canister, "install_chunked_code", &args).await;
    let runs = agent.read_state_canister_module_hash(canister).await;
    assert_eq!(runs.unwrap(), wasm_module_hash);
    let interface = agent.read_state_canister_metadata(canister, "candid:service");
    let interface = String::from_utf8(interface.await.unwrap()).unwrap();
    assert!(interface.contains("set_price"), "{interface}");

    // The next time it is upgraded, in one message.
    let args = InstallCodeArgs {
        mode: CanisterInstallMode::Upgrade(None),
        canister_id: canister,
        wasm_module: module,
        arg: Encode!().unwrap(),
        sender_canister_version: None,
    };
    done(&agent, canister, "install_code", &args).await;
    let args = UpdateSettingsArgs {
        canister_id: canister,
        settings: CanisterSettings {
            freezing_threshold: Some(7_776_000_u32.into()),
            ..CanisterSettings::default()
        },
        sender_canister_version: None,
    };
    done(&agent, canister, "update_settings", &args).await;
    let status: CanisterStatusResult = managed(&agent, canister, "canister_status", &of).await;
    assert_eq!(status.settings.freezing_threshold, 7_776_000_u32);
}
