//! What an auditor is handed, as files: `tests/export`, which the tests of the verifier for JavaScript read too
//! (`tests/node/verify.test.js`).
//!
//! ```text
//! root_key.der       what to verify against
//! certificate.cbor   of the canister in meta.json, at its time_ns
//! witness.cbor       shows the seats 0x0014, 0x0023 and 0x0028 (`data`/`seats`), the names of the collections, and the
//!                    head of the log
//! blocks.candid      answer to `icrc3_get_blocks`: the whole log
//! ```
//!
//! `UPDATE_EXPORT=1` writes them.

use crate::patricia;
use std::env;
use std::fs;
use std::path::Path;

use crate::audited::Canister;
use crate::network::{BOUND, NOW, Network, cbor, path};
use ic_certification::pruned;
use indus_verify::{Audit, RootKey, Time, Verifier};

/// The files by their names.
fn export() -> Vec<(&'static str, Vec<u8>)> {
    let canister = Canister::with_a_past();
    let tree = canister.tree_with(|name, whole| match name {
        "seats" => {
            let entries = patricia::leaves(&canister.collections[name]);
            patricia::showing(&entries, |key| (20..=40).contains(&key[1]))
        }
        _ => pruned(whole.digest()),
    });
    let mut network = Network::new();
    let id = network.canister;
    let certified_data = path(&[b"canister", id.as_slice(), b"certified_data"]);
    network.state.insert(certified_data, tree.digest().to_vec());
    let meta = serde_json::json!({ "canister": id.to_text(), "time_ns": NOW.to_string() });
    vec![
        ("root_key.der", network.root.der()),
        ("certificate.cbor", network.certificate()),
        ("witness.cbor", cbor(&tree)),
        (
            "blocks.candid",
            canister.get_blocks(0, canister.blocks.len()),
        ),
        ("meta.json", format!("{meta}\n").into_bytes()),
    ]
}

#[test]
fn the_files_are_what_the_canister_of_the_tests_exports() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/export");
    for (name, bytes) in export() {
        if env::var_os("UPDATE_EXPORT").is_some() {
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(name), &bytes).unwrap();
        }
        let recorded = fs::read(folder.join(name)).unwrap();
        assert!(recorded == bytes, "{name}: UPDATE_EXPORT=1 writes it");
    }
}

#[test]
fn the_files_are_all_that_an_auditor_needs() {
    let files = export();
    let file = |wanted| &files.iter().find(|(name, _)| *name == wanted).unwrap().1;
    let verifier = Verifier::new(RootKey::from_der(file("root_key.der")).unwrap());
    let id = Network::new().canister;
    let witness = verifier
        .certificate(file("certificate.cbor"), id, Time::from_nanos(NOW), BOUND)
        .unwrap()
        .witness(file("witness.cbor"))
        .unwrap();
    let mut audit = Audit::default();
    let head = witness.log_head().unwrap();
    audit.page(file("blocks.candid"), head.size).unwrap();
    assert_eq!(audit.check(&witness), Ok(head));
}
