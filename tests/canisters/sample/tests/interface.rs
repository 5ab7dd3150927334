//! The Candid interface is the committed one.
//!
//! `UPDATE_CANDID=1 cargo test --release --workspace candid` rewrites it.

#[test]
fn the_committed_candid_interface_is_the_one_of_the_source() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/sample.did");
    let current = sample::candid_interface();
    if std::env::var_os("UPDATE_CANDID").is_some() {
        std::fs::write(file, &current).expect("it can be written");
    }
    assert_eq!(std::fs::read_to_string(file).unwrap_or_default(), current);
}
