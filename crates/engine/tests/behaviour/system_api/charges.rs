//! What each system call costs, to the instruction.

use std::collections::BTreeMap;

use canister_module::system_api::FUNCTIONS;

use crate::system_api::probe::{
    INSPECT, Place, Probe, QUERY, REJECT, REPLY, UPDATE, What, bytes, exists, operators,
};

/// Weight of the call itself.
const CALL: u64 = 5;

/// The fixed charge by the table of the Internet Computer.
fn charge(name: &str) -> u64 {
    match name {
        "stable64_read" | "stable64_write" | "stable64_size" | "stable_read" | "stable_write"
        | "stable_size" => 20,
        "stable64_grow" | "stable_grow" | "debug_print" => 100,
        "performance_counter" => 200,
        "is_controller" => 1_000,
        "call_new" => 1_500,
        "call_perform" => 5_000,
        _ => 500,
    }
}

/// A place where the function succeeds, and how its messages are counted.
fn at(name: &str) -> (Place, &'static str) {
    match name {
        "msg_reject_msg_size" | "msg_reject_msg_copy" => (REJECT, "callback"),
        "msg_reject_code" | "msg_cycles_refunded" | "msg_cycles_refunded128" => (REPLY, "callback"),
        "msg_method_name_size" | "msg_method_name_copy" | "accept_message" => (INSPECT, "system"),
        "data_certificate_size" | "data_certificate_copy" => (QUERY, "query"),
        _ => (UPDATE, "update"),
    }
}

fn measure(probe: &mut Probe, name: &str, what: What) -> u64 {
    let (place, kind) = at(name);
    let before = probe.instructions(kind);
    let _ = probe.run(place, what);
    probe.instructions(kind) - before
}

fn check(memory64: bool) {
    let mut probe = Probe::new(memory64);
    let mut wrong = BTreeMap::new();
    for (index, (name, _)) in FUNCTIONS.iter().enumerate() {
        if !exists(index, memory64) || name.starts_with("mint_cycles") {
            continue;
        }
        let with = measure(&mut probe, name, What::Ready(index));
        let mut without = measure(&mut probe, name, What::Needs(index));
        // What the probe does itself where the function has done it, or does not return.
        match *name {
            "msg_reply" | "msg_reject" | "accept_message" => {
                // Says that it answered (constant, global), instead of answering (call).
                without += 1 + 2;
                without -= CALL + 500;
            }
            "trap" => {
                // The count of runs (2 · global, constant, addition), the question whether to reply (call, global,
                // test, branch), the reply.
                without -= (2 + 1 + 1 + 2) + (CALL + 2 + 1 + 2) + (CALL + 500);
            }
            _ => {}
        }
        let mut expected = operators(name) + CALL + charge(name) + bytes(name);
        if name.ends_with("_write") {
            // The page that it writes, for the first time in this message.
            expected += 1_000;
        }
        if with != without + expected {
            wrong.insert(*name, (with, without, expected));
        }
    }
    assert!(
        wrong.is_empty(),
        "(with it, without it, should be more): {wrong:?}"
    );
}

#[test]
fn each_function_costs_its_charge_and_the_bytes_that_it_moves() {
    check(false);
}

#[test]
fn it_costs_the_same_with_a_64_bit_memory() {
    check(true);
}
