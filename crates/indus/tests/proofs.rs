//! `indus verify` as a user types it: exit codes, what is printed, and JSON that programs can read.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::process::{Command, Output, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use candid::Principal;
use ic_certification::{HashTree, fork, labeled, leaf};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use testnet::{Subnet, cbor};

const CANISTER: &str = "rrkah-fqaaa-aaaaa-aaaaq-cai";

#[derive(Serialize)]
struct Document {
    format: &'static str,
    canister: &'static str,
    paths: Vec<[&'static str; 3]>,
    certificate: String,
    witness: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
}

/// A folder with `proof.json` and `root.key`, written by the format's description.
fn folder() -> TempDir {
    let subnet = Subnet::new(1);
    let numbers = fork(
        labeled(1_u64.to_be_bytes(), leaf(*b"one")),
        labeled(3_u64.to_be_bytes(), leaf(*b"three")),
    );
    let tree: HashTree = labeled("data", labeled("numbers", numbers));
    let canister = Principal::from_text(CANISTER).unwrap();
    let certificate = subnet.certificate(canister, tree.digest(), 1_700_000_000_000_000_000);
    let mut document = Document {
        format: "indus proof 1",
        canister: CANISTER,
        paths: vec![
            ["data", "numbers", "0x0000000000000001"],
            ["data", "numbers", "0x0000000000000002"],
        ],
        certificate: STANDARD.encode(certificate),
        witness: STANDARD.encode(cbor(&tree)),
        sha256: None,
    };
    let text = |document: &Document| serde_json::to_string_pretty(document).unwrap() + "\n";
    document.sha256 = Some(hex::encode(Sha256::digest(text(&document))));
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("proof.json"), text(&document)).unwrap();
    fs::write(folder.path().join("root.key"), subnet.root_key_der()).unwrap();
    fs::write(
        folder.path().join("other.key"),
        Subnet::new(2).root_key_der(),
    )
    .unwrap();
    folder
}

fn indus(folder: &TempDir, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_indus"))
        .args(arguments)
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn verify(folder: &TempDir, arguments: &[&str]) -> (i32, String, String) {
    let output = indus(folder, &[&["verify", "proof.json"], arguments].concat());
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn a_proof_is_shown_and_the_exit_code_is_0() {
    let (code, shown, errors) = verify(&folder(), &["--root-key", "root.key"]);
    assert_eq!((code, errors.as_str()), (0, ""));
    for line in [
        "canister:    rrkah-fqaaa-aaaaa-aaaaq-cai",
        "certified:   2023-11-14T22:13:20Z, ",
        "present:     data/numbers/0x0000000000000001",
        "  bytes      6f6e65",
        "absent:      data/numbers/0x0000000000000002",
        "2 of 2 paths are proved",
    ] {
        assert!(shown.contains(line), "{line}\n{shown}");
    }
}

#[test]
fn programs_read_the_same_as_json() {
    let arguments = ["--root-key", "root.key", "--canister", CANISTER, "--json"];
    let (code, shown, _) = verify(&folder(), &arguments);
    let document: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((code, &document["verified"]), (0, &Value::Bool(true)));
    assert_eq!(document["certified_at"], "2023-11-14T22:13:20Z");
    assert_eq!(document["paths"][0]["bytes"], "6f6e65");
    assert_eq!(document["paths"][1]["found"], "absent");
}

#[test]
fn what_is_not_proved_is_said_in_one_line_and_the_exit_code_is_1() {
    let folder = folder();
    for (arguments, said) in [
        (&["--root-key", "other.key"][..], "is not signed by the key"),
        (
            &["--root-key", "root.key", "--max-age", "24h"],
            "more than 86400s ago",
        ),
        (
            &["--root-key", "root.key", "--canister", "aaaaa-aa"],
            "it is about canister",
        ),
    ] {
        let (code, shown, errors) = verify(&folder, arguments);
        assert_eq!(
            (code, shown.as_str(), errors.lines().count()),
            (1, "", 1),
            "{errors}"
        );
        assert!(errors.contains(said), "{errors}");
        let (code, shown, _) = verify(&folder, &[arguments, &["--json"]].concat());
        let document: Value = serde_json::from_str(&shown).unwrap();
        assert_eq!((code, &document["verified"]), (1, &Value::Bool(false)));
        assert!(document["error"].as_str().unwrap().contains(said));
    }
    let path = folder.path().join("proof.json");
    let mut bytes = fs::read(&path).unwrap();
    bytes[100] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert_eq!(verify(&folder, &["--root-key", "root.key"]).0, 1);
}

#[test]
fn a_wrong_command_line_and_files_that_cannot_be_used_have_the_exit_code_2() {
    let folder = folder();
    for arguments in [
        &["verify", "proof.json"][..],
        &["verify", "--root-key", "root.key"],
        &["verify", "proof.json", "--root-key", "missing.key"],
        &["verify", "proof.json", "--root-key", "proof.json"],
        &["verify", "missing.json", "--root-key", "root.key"],
        &[
            "verify",
            "proof.json",
            "--root-key",
            "root.key",
            "--max-age",
            "soon",
        ],
        &[
            "verify",
            "proof.json",
            "--root-key",
            "root.key",
            "--canister",
            "x",
        ],
        &[
            "prove",
            "--url",
            "http://127.0.0.1:1",
            "--root-key",
            "root.key",
            "--canister",
            CANISTER,
            "--out",
            "p",
        ],
        &[
            "prove",
            "--url",
            "http://127.0.0.1:1",
            "--root-key",
            "root.key",
            "--canister",
            CANISTER,
            "--out",
            "p",
            "a//b",
        ],
    ] {
        let output = indus(&folder, arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?} {output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
    }
}

#[test]
fn nothing_is_written_when_no_answer_comes() {
    let folder = folder();
    let output = indus(
        &folder,
        &[
            "prove",
            "--url",
            "http://127.0.0.1:1",
            "--root-key",
            "root.key",
            "--canister",
            CANISTER,
            "data/numbers/u64:1",
            "--out",
            "new.json",
        ],
    );
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(!folder.path().join("new.json").exists());
}
