//! The bytes are a history of a certified log, which has to answer as its model does.

#![no_main]

#[path = "../../crates/certified/tests/log/model.rs"]
mod model;
#[path = "../../crates/certified/tests/log/operations.rs"]
mod operations;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| operations::run(bytes));
