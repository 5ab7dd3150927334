//! Instructions are counted exactly as the Internet Computer weighs them, and end at the limits.
//!
//! `weights.csv` has a line for each operator: its weight with a 32-bit and with a 64-bit memory, code that
//! executes it once, and what the rest of that code weighs. `ADDR` stands for the type of an address.

use crate::harness::{Net, code, module, number, wasm};
use candid::Principal;
use engine::ErrorCode;

const WEIGHTS: &str = include_str!("weights.csv");

struct Line {
    operator: &'static str,
    /// With a 32-bit memory, and with a 64-bit one.
    weight: [u64; 2],
    rest: u64,
    code: &'static str,
}

fn weights() -> Vec<Line> {
    let line = |line: &'static str| {
        let mut fields = line.splitn(5, ',');
        let mut next = || fields.next().unwrap();
        Line {
            operator: next(),
            weight: [next().parse().unwrap(), next().parse().unwrap()],
            rest: next().parse().unwrap(),
            code: next(),
        }
    };
    WEIGHTS.lines().skip(1).map(line).collect()
}

/// A module that executes a line's code in a method of its own.
fn executing(line: &Line, memory64: bool) -> String {
    let (address, memory) = if memory64 {
        ("i64", "i64 1")
    } else {
        ("i32", "1")
    };
    let code = line.code.replace("ADDR", address);
    format!(
        r#"(module
        (type $first (func))
        (memory {memory})
        (table 10 funcref)
        (global $global (mut i32) (i32.const 0))
        (global $seven (mut i32) (i32.const 7))
        (global $three (mut i32) (i32.const 3))
        (global $long (mut {address}) ({address}.const 5000))
        (elem (i32.const 0) $nothing)
        (elem $elements func $nothing $nothing $nothing)
        (elem declare func $nothing)
        (data $data "0123456789")
        (func $nothing)
        (func (export "canister_update go") (local i32 {address}) {code}))"#
    )
}

/// What the messages to a method have cost.
fn spent(net: &Net, canister: Principal, method: &str) -> u64 {
    let all = net.network.metrics();
    let of_method = all
        .iter()
        .filter(|m| m.canister == canister && m.method == method);
    of_method.map(|m| m.instructions).sum()
}

fn every_operator_weighs_what_the_table_says(memory64: bool) {
    let mut net = Net::new();
    let mut wrong = Vec::new();
    for line in weights() {
        let id = net.install(&executing(&line, memory64));
        // Nobody replies, or a trap was what the line is about; it is counted all the same.
        let _ = net.call(id, "go", &[]);
        let expected = line.weight[usize::from(memory64)] + line.rest;
        let is = spent(&net, id, "go");
        if is != expected {
            wrong.push(format!("{}: {is}, not {expected}", line.operator));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_operator_weighs_what_the_table_says_with_a_32_bit_memory() {
    every_operator_weighs_what_the_table_says(false);
}

#[test]
fn every_operator_weighs_what_the_table_says_with_a_64_bit_memory() {
    every_operator_weighs_what_the_table_says(true);
}

#[test]
fn loops_and_branches_are_counted_as_often_as_they_are_executed() {
    let mut net = Net::new();
    let id = net.install(
        r#"(module
        (func $half (param i32) (result i32) (i32.div_u (local.get 0) (i32.const 2)))
        (func (export "canister_update go") (local i32)
            (local.set 0 (i32.const 10))
            (loop $again
                (if (i32.and (local.get 0) (i32.const 1))
                    (then (drop (call $half (local.get 0))))
                    (else nop))
                (br_if $again
                    (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))"#,
    );
    let _ = net.call(id, "go", &[]);
    // Before the loop; each round; the odd and the even ones of ten.
    let half = 1 + 5 + 1 + 1 + 10 + 1;
    assert_eq!(
        spent(&net, id, "go"),
        2 + 10 * (3 + 2 + 3 + 1 + 2) + 5 * half + 5
    );
}

#[test]
fn a_message_that_does_nothing_costs_nothing() {
    let mut net = Net::new();
    let id = net.install(r#"(module (func (export "canister_update go")))"#);
    let _ = net.call(id, "go", &[]);
    assert_eq!(spent(&net, id, "go"), 0);
}

#[test]
fn a_canister_sees_the_count_that_it_is_charged() {
    let mut net = Net::new();
    let id = net.install(&module(
        r#"(func (export "canister_update go") (local $before i64)
            (local.set $before (call $counter (i32.const 0)))
            (drop (i32.div_u (i32.const 1) (i32.const 1)))
            (call $answer32
                (i32.wrap_i64 (i64.sub (call $counter (i32.const 0)) (local.get $before)))))"#,
    ));
    // local.set; two constants, the division, drop; a constant and the call with its charge of 200.
    assert_eq!(number(net.call(id, "go", &[])), 1 + 13 + 1 + 5 + 200);
}

/// Rounds of an inner loop that fills a page of 64 KiB, so that a limit is reached in seconds.
const BURN: &str = r#"
    (func $burn (param $rounds i32)
        (loop $again
            (memory.fill (i32.const 0) (i32.const 0) (i32.const 32768))
            (br_if $again
                (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1))))))
    (func $rounds (result i32)
        (call $arg_copy (i32.const 40000) (i32.const 0) (i32.const 4))
        (i32.load (i32.const 40000)))"#;
/// What a round costs.
const ROUND: u64 = 100 + 32_768 + 3 + 2 + 4;

#[test]
fn a_message_may_execute_40_billion_instructions_and_a_query_5() {
    let mut net = Net::new();
    let id = net.install(&module(&format!(
        r#"{BURN}
        (func (export "canister_update update") (call $burn (call $rounds)) (call $reply))
        (func (export "canister_query query") (call $burn (call $rounds)) (call $reply))"#
    )));
    for (method, limit) in [("update", 40_000_000_000_u64), ("query", 5_000_000_000)] {
        let rounds = u32::try_from(limit / ROUND).unwrap();
        let ask = |net: &mut Net, rounds: u32| {
            let arg = rounds.to_le_bytes();
            if method == "query" {
                net.query(id, method, &arg)
            } else {
                net.call(id, method, &arg)
            }
        };
        // One round less leaves room for what is around the loop.
        assert_eq!(ask(&mut net, rounds - 1).unwrap(), [0_u8; 0]);
        let spent_before = spent(&net, id, method);
        assert!(limit - spent_before < 2 * ROUND, "{spent_before}");
        let reject = ask(&mut net, rounds + 1).unwrap_err();
        assert_eq!(reject.error_code, Some(ErrorCode::InstructionLimitExceeded));
        let text = format!(
            "Error from Canister {id}: Canister exceeded the limit of {limit} instructions for single message execution."
        );
        assert!(reject.message.starts_with(&text), "{}", reject.message);
        assert_eq!(spent(&net, id, method) - spent_before, limit);
    }
}

#[test]
fn bulk_operators_end_at_the_limit_before_they_begin() {
    let mut net = Net::new();
    let id = net.install(&module(&format!(
        r#"{BURN}
        (func (export "canister_query fill") (loop $again
            (memory.fill (i32.const 0) (i32.const 7) (i32.const 65536)) (br $again)))
        (func (export "canister_query copy") (loop $again
            (memory.copy (i32.const 0) (i32.const 1) (i32.const 65535)) (br $again)))"#
    )));
    for method in ["fill", "copy"] {
        assert_eq!(
            code(net.query(id, method, &[])),
            ErrorCode::InstructionLimitExceeded,
            "{method}"
        );
    }
}

#[test]
fn rewritten_code_still_does_what_it_did() {
    let mut net = Net::new();
    let grow = r#"
        (func (export "canister_update go")
            (call $answer32 (i32.add
                (i32.mul (i32.const 1000) (memory.grow (i32.const 2)))
                (memory.size))))"#;
    let id = net.install(&module(grow));
    assert_eq!(number(net.call(id, "go", &[])), 1_003);
    assert_eq!(number(net.call(id, "go", &[])), 3_005);
    // Modules are found again by their hash.
    let same = net.install(&module(grow));
    assert_eq!(number(net.call(same, "go", &[])), 1_003);
    assert_eq!(
        net.canister_status(id).module_hash,
        net.canister_status(same).module_hash
    );
    let other = wasm("(module)");
    net.install_code(
        same,
        ic_management_canister_types::CanisterInstallMode::Reinstall,
        &other,
        &[],
    )
    .unwrap();
    assert_eq!(code(net.call(same, "go", &[])), ErrorCode::MethodNotFound);
}
