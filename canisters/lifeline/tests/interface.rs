//! The Candid interface is the committed one.
//!
//! `UPDATE_CANDID=1 cargo test --release --workspace --test interface` rewrites `candid/lifeline.did`.

use std::{env, fs, path::PathBuf};

#[test]
fn the_committed_interface_is_the_one_of_the_source() {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../candid/lifeline.did");
    let current = lifeline::candid_interface();
    if env::var_os("UPDATE_CANDID").is_some() {
        fs::write(&file, &current).expect("candid/lifeline.did can be written");
    }
    let committed = fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(
        committed, current,
        "to accept the change: UPDATE_CANDID=1 cargo test --release --workspace --test interface"
    );
}
