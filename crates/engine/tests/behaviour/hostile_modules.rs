//! Modules that mean harm: they are refused or end at a limit, and other canisters keep running.

use crate::harness::{Net, code, module, number, wasm};
use candid::Principal;
use engine::{ErrorCode, Reject};
use ic_management_canister_types::CanisterInstallMode;

/// A canister that counts.
const GOOD: &str = r#"
    (global $count (mut i32) (i32.const 0))
    (func (export "canister_update bump")
        (global.set $count (i32.add (global.get $count) (i32.const 1)))
        (call $answer32 (global.get $count)))"#;

/// A network with a canister that counts, which must go on to do so.
struct Neighbours {
    net: Net,
    good: Principal,
    count: u32,
}

impl Neighbours {
    fn new() -> Self {
        let mut net = Net::new();
        let good = net.install(&module(GOOD));
        Self {
            net,
            good,
            count: 0,
        }
    }

    /// The good canister has kept its state and answers.
    fn check(&mut self) {
        self.count += 1;
        assert_eq!(number(self.net.call(self.good, "bump", &[])), self.count);
    }

    fn try_install(&mut self, wasm: &[u8]) -> Result<Principal, Reject> {
        let id = self.net.create();
        self.net
            .install_code(id, CanisterInstallMode::Install, wasm, &[])
            .map(|()| id)
    }
}

#[test]
fn recursion_without_end_overflows_the_stack_and_nothing_else() {
    let mut all = Neighbours::new();
    let locals = "(local i64) ".repeat(1_000);
    let uses: String = (0..1_000)
        .map(|n| format!("(local.set {n} (i64.add (local.get {n}) (call $opaque)))"))
        .collect();
    let id = all.net.install(&module(&format!(
        r#"
        (type $plain (func))
        (table 2 funcref) (elem (i32.const 0) $indirect)
        (func $direct (call $direct) (call $direct))
        (func $indirect (call_indirect (type $plain) (i32.const 0)) (call $reply))
        (func $left (call $right) (call $reply)) (func $right (call $left) (call $reply))
        (func $opaque (result i64) (i64.load (i32.const 0)))
        (func $large {locals} {uses} (call $large) {uses})
        (func (export "canister_update direct") (call $direct))
        (func (export "canister_update indirect") (call $indirect))
        (func (export "canister_update mutual") (call $left))
        (func (export "canister_update large") (call $large))
        (func (export "canister_query direct query") (call $direct))
        (func (export "canister_update alive") (call $reply))"#
    )));
    for method in ["direct", "indirect", "mutual", "large"] {
        let reject = all.net.call(id, method, &[]).unwrap_err();
        assert_eq!(reject.error_code, Some(ErrorCode::Trapped), "{method}");
        let text = format!("Error from Canister {id}: Canister trapped: stack overflow");
        assert!(reject.message.starts_with(&text), "{}", reject.message);
        all.check();
    }
    let query = all.net.query(id, "direct query", &[]);
    assert_eq!(code(query), ErrorCode::Trapped);
    all.net.call(id, "alive", &[]).unwrap();
}

#[test]
fn a_stack_has_room_for_what_recurses_as_deep_as_on_a_replica() {
    let mut net = Net::new();
    // The test's own thread has a stack of 2 MiB, and each frame at least the return address and two registers.
    let id = net.install(&module(
        r#"(func $depth (param $left i32) (result i32)
            (if (result i32) (local.get $left)
                (then (i32.add (i32.const 1)
                    (call $depth (i32.sub (local.get $left) (i32.const 1)))))
                (else (i32.const 0))))
        (func (export "canister_update go") (call $answer32 (call $depth (i32.const 80000))))
        (func (export "canister_query go down") (call $answer32 (call $depth (i32.const 80000))))"#,
    ));
    assert_eq!(number(net.call(id, "go", &[])), 80_000);
    assert_eq!(number(net.query(id, "go down", &[])), 80_000);
}

#[test]
fn a_tail_call_needs_no_stack_and_ends_at_the_limit_of_instructions() {
    let mut all = Neighbours::new();
    let id = all.net.install(&module(
        r#"(func $again
            (memory.fill (i32.const 0) (i32.const 0) (i32.const 50000))
            (return_call $again))
        (func (export "canister_query go") (call $again))"#,
    ));
    assert_eq!(
        code(all.net.query(id, "go", &[])),
        ErrorCode::InstructionLimitExceeded
    );
    all.check();
}

#[test]
fn tables_and_heaps_that_grow_for_ever_meet_their_limits() {
    let mut all = Neighbours::new();
    let id = all.net.install(&module(
        r#"
        (table 1 funcref)
        (func (export "canister_update table")
            (loop $again
                (br_if $again (i32.ne (i32.const -1)
                    (table.grow (ref.null func) (i32.const 50000)))))
            (call $answer32 (table.size)))
        (func (export "canister_update heap")
            (loop $again
                (br_if $again (i32.ne (i32.const -1) (memory.grow (i32.const 16)))))
            (call $answer32 (memory.size)))
        (func (export "canister_update trap at the end")
            (drop (table.grow (ref.null func) (i32.const 900000)))
            (drop (memory.grow (i32.const 40000)))
            (call $boom))"#,
    ));
    all.net.lift_memory_limit(id);
    for _ in 0..3 {
        let trapped = all.net.call(id, "trap at the end", &[]);
        assert_eq!(code(trapped), ErrorCode::CalledTrap);
        all.check();
    }
    assert_eq!(number(all.net.call(id, "table", &[])), 950_001);
    assert_eq!(number(all.net.call(id, "heap", &[])), 65_521);
    all.check();
}

#[test]
fn what_would_hold_up_the_compiler_is_refused_before_it_is_compiled() {
    let mut all = Neighbours::new();
    let calls = format!("(module (func) (func {}))", "call 0 ".repeat(25_000));
    let nested = format!(
        "(module (func {} {}))",
        "block ".repeat(30_000),
        "end ".repeat(30_000)
    );
    let many = format!("(module {})", "(func)".repeat(50_001));
    for (what, wat, text) in [
        ("calls", calls, "complexity"),
        ("blocks", nested, "complexity"),
        ("functions", many, "50001 functions"),
    ] {
        let reject = all.try_install(&wasm(&wat)).unwrap_err();
        assert_eq!(reject.error_code, Some(ErrorCode::InvalidWasm), "{what}");
        assert!(reject.message.contains(text), "{}", reject.message);
        all.check();
    }
}

#[test]
fn a_function_declares_at_most_50_000_locals() {
    let mut all = Neighbours::new();
    // Declared by their number, so the module stays small however many there are.
    let with_locals = |count: u32| {
        let mut leb = Vec::new();
        let mut rest = count;
        while rest >= 0x80 {
            leb.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        leb.push(u8::try_from(rest).unwrap());
        // One declaration; i32; end.
        let body = [&[1][..], &leb, &[0x7f, 0x0b]].concat();
        let code = [&[1, u8::try_from(body.len()).unwrap()][..], &body].concat();
        let mut wasm = b"\0asm\x01\0\0\0".to_vec();
        wasm.extend([1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0]);
        wasm.extend([10, u8::try_from(code.len()).unwrap()]);
        wasm.extend(code);
        wasm
    };
    all.try_install(&with_locals(50_000)).unwrap();
    let reject = all.try_install(&with_locals(50_001)).unwrap_err();
    assert!(reject.message.contains("too many locals"), "{reject:?}");
    assert!(all.try_install(&with_locals(u32::MAX)).is_err());
    all.check();
}

#[test]
fn a_large_branch_table_works_and_a_huge_one_is_refused() {
    let mut all = Neighbours::new();
    let branches = |targets: usize| {
        module(&format!(
            r#"(func (export "canister_update go")
                (block $reply (block $boom
                    (br_table {} 0 (call $arg_size)))
                    (call $boom))
                (call $reply))"#,
            "1 ".repeat(targets)
        ))
    };
    let id = all.net.install(&branches(5_000));
    all.net.call(id, "go", &[1; 1000]).unwrap();
    for targets in [20_001, 65_521] {
        let reject = all.try_install(&wasm(&branches(targets))).unwrap_err();
        assert_eq!(reject.error_code, Some(ErrorCode::InvalidWasm));
        assert!(reject.message.contains("complexity"), "{}", reject.message);
    }
    all.check();
}

#[test]
fn loops_in_loops_and_locals_across_branches_are_bounded() {
    let mut all = Neighbours::new();
    let loops = |depth: usize| {
        let (open, close) = (
            "loop ".repeat(depth),
            "(br_if 0 (local.get 0)) end ".repeat(depth),
        );
        module(&format!("(func (param i32) {open} {close})"))
    };
    all.net.install(&loops(150));
    let locals = |count: usize, branches: usize| {
        module(&format!(
            "(func {} {})",
            "(local i64)".repeat(count),
            "(block (br 0))".repeat(branches)
        ))
    };
    all.net.install(&locals(500, 5_000));
    for wat in [loops(250), locals(10_000, 3_000)] {
        let reject = all.try_install(&wasm(&wat)).unwrap_err();
        assert_eq!(reject.error_code, Some(ErrorCode::InvalidWasm));
        assert!(reject.message.contains("complexity"), "{}", reject.message);
    }
    all.check();
}

#[test]
fn modules_at_the_limits_are_compiled_and_run() {
    let mut all = Neighbours::new();
    let functions: String = (0..49_990)
        .map(|n| format!("(func (result i32) (i32.add (i32.const {n}) (i32.const 1)))"))
        .collect();
    let long = "nop ".repeat(900_000);
    let globals = "(global (mut i64) (i64.const 0))".repeat(1_000);
    let id = all.net.install(&module(&format!(
        r#"{globals}{functions}
        (func (export "canister_update go") {long} (call $reply))"#
    )));
    all.net.call(id, "go", &[]).unwrap();
    all.check();
}

#[test]
fn data_and_elements_outside_end_the_installation_alone() {
    let mut all = Neighbours::new();
    for wat in [
        r#"(module (memory 1) (data (i32.const 65530) "outside"))"#,
        "(module (memory 1) (data (i32.const -1) \"a\"))",
        "(module (table 1 funcref) (elem (i32.const 1) $f) (func $f))",
        "(module (memory 1) (func $f unreachable) (start $f))",
    ] {
        let reject = all.try_install(&wasm(wat)).unwrap_err();
        assert!(reject.error_code.is_some(), "{wat}");
        all.check();
    }
}

#[test]
fn mutilated_modules_are_refused_or_run_but_never_end_the_network() {
    let mut all = Neighbours::new();
    let whole = wasm(&module(
        r#"(table 4 funcref) (elem (i32.const 0) $reply) (elem $e func $boom)
        (data $d "data") (global $g (mut i64) (i64.const 1))
        (func (export "canister_update go") (local f64)
            (memory.init $d (i32.const 0) (i32.const 0) (i32.const 2)) (data.drop $d)
            (table.init $e (i32.const 1) (i32.const 0) (i32.const 1)) (elem.drop $e)
            (drop (memory.grow (i32.const 1)))
            (if (call $arg_size) (then (call $boom)) (else (call $reply))))"#,
    ));
    // A xorshift; any seed but 0 will do.
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut below = |n: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % n as u64).unwrap()
    };
    for _ in 0..1_000 {
        let mut wasm = whole.clone();
        for _ in 0..=below(3) {
            match below(3) {
                0 => {
                    let at = below(wasm.len());
                    wasm[at] = u8::try_from(below(256)).unwrap();
                }
                1 => wasm.truncate(1 + below(wasm.len())),
                _ => {
                    let at = below(wasm.len());
                    wasm.insert(at, u8::try_from(below(256)).unwrap());
                }
            }
        }
        if let Ok(id) = all.try_install(&wasm) {
            let _ = all.net.call(id, "go", &[]);
        }
    }
    all.check();
}
