//! Clients of every interface that was released are served by the canister of today.
//!
//! `candid/NAME.did` is the interface of the source (each canister's own test says so); `candid/released/NAME-VERSION.did` is what
//! clients may have been made from.

use std::{fs, path::Path};

use candid_parser::utils::{CandidSource, service_compatible};
use end_to_end::project;

/// Whether a client of `old` can call a canister with the interface `new`.
fn serves_clients_of(old: &str, new: &str) -> Result<(), String> {
    service_compatible(CandidSource::Text(new), CandidSource::Text(old))
        .map_err(|error| error.to_string())
}

fn text(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

#[test]
fn clients_of_every_released_interface_are_served() {
    let folder = project().join("candid");
    for canister in [
        "registry",
        "identity",
        "messaging",
        "license_manager",
        "app_hosting",
        "lifeline",
    ] {
        let current = text(&folder.join(format!("{canister}.did")));
        let mut released = 0;
        for entry in fs::read_dir(folder.join("released")).expect("candid/released is there") {
            let file = entry.expect("candid/released can be listed").path();
            let name = file.file_stem().and_then(|name| name.to_str());
            let name = name.and_then(|name| name.split_once('-'));
            if name.is_some_and(|(name, _version)| name == canister) {
                serves_clients_of(&text(&file), &current)
                    .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
                released += 1;
            }
        }
        assert!(released > 0, "{canister} has no released interface");
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
