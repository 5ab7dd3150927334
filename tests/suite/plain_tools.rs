//! Plain icp-cli on a subnet whose engine operator is app_hosting: what a founder types on their own machine.
//!
//! `icp` is the one of `tests/node/node_modules`, which `npm ci` puts there on x64 Linux, or else the one in the PATH.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use candid::Principal;
use end_to_end::icp;
use indus_api::{
    Error,
    hosting::{App, CreateAppArgs, HostedCanister, ListCanistersArgs},
    paging::Page,
    registry::DataClass,
};
use indus_client::Key;
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
