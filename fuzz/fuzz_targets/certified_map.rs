//! The bytes are a history of a certified map, which has to answer as its model does, with witnesses that hold.

#![no_main]

#[allow(dead_code, reason = "not everything is needed by operations")]
#[path = "../../crates/certified/tests/map/model.rs"]
mod model;
#[path = "../../crates/certified/tests/map/operations.rs"]
mod operations;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| operations::run(bytes));
