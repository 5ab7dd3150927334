//! The Candid interface is the committed one, and old clients can use it.
//!
//! `UPDATE_CANDID=1 cargo test --release -p registry` rewrites `candid/registry.did`.

use std::{env, fs, path::PathBuf};

use candid_parser::utils::{CandidSource, service_compatible};

fn candid_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../candid")
}

/// Whether a client of `old` can call a canister with the interface `new`.
fn serves_clients_of(old: &str, new: &str) -> Result<(), String> {
    service_compatible(CandidSource::Text(new), CandidSource::Text(old))
        .map_err(|error| error.to_string())
}

#[test]
fn the_committed_interface_is_the_one_of_the_source() {
    let file = candid_folder().join("registry.did");
    let current = registry::candid_interface();
    if env::var_os("UPDATE_CANDID").is_some() {
        fs::write(&file, &current).expect("candid/registry.did can be written");
    }
    let committed = fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(
        committed, current,
        "to accept the change: UPDATE_CANDID=1 cargo test --release -p registry"
    );
}

#[test]
fn clients_of_every_released_interface_are_served() {
    let folder = candid_folder().join("released");
    let current = registry::candid_interface();
    for entry in fs::read_dir(&folder).expect("candid/released is there") {
        let file = entry.expect("candid/released can be listed").path();
        let name = file
            .file_name()
            .and_then(|name| name.to_str())
            .expect("a name in UTF-8");
        if name.starts_with("registry-") && name.ends_with(".did") {
            let released = fs::read_to_string(&file).expect("a released interface can be read");
            serves_clients_of(&released, &current)
                .unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }
}

const OLD: &str =
    "service : { get : (nat64) -> (variant { Ok : record { id : nat64 }; Err : text }) query }";

#[test]
fn a_method_more_and_a_field_more_in_an_answer_serve_old_clients() {
    let new = "service : {
        get : (nat64) -> (variant { Ok : record { id : nat64; name : text }; Err : text }) query;
        list : () -> (vec nat64) query;
    }";
    assert_eq!(serves_clients_of(OLD, new), Ok(()));
}

#[test]
fn an_optional_argument_more_serves_old_clients() {
    let new = "service : {
        get : (nat64, opt text) -> (variant { Ok : record { id : nat64 }; Err : text }) query;
    }";
    assert_eq!(serves_clients_of(OLD, new), Ok(()));
}

#[test]
fn what_would_break_an_old_client_is_refused() {
    for new in [
        // a method that is gone
        "service : {}",
        // a field that is gone from an answer
        "service : { get : (nat64) -> (variant { Ok : record {}; Err : text }) query }",
        // an answer that an old client can't decode
        "service : { get : (nat64) -> (variant { Ok : record { id : nat64 }; Err : text; Later }) query }",
        // an argument of another type
        "service : { get : (text) -> (variant { Ok : record { id : nat64 }; Err : text }) query }",
        // a query that became an update
        "service : { get : (nat64) -> (variant { Ok : record { id : nat64 }; Err : text }) }",
    ] {
        assert!(serves_clients_of(OLD, new).is_err(), "{new}");
    }
}
