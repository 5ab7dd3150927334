//! What a subnet takes and what not, and that rewriting changes nothing but what can be seen.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

use std::io::Write as _;

use canister_module::{
    CHANGED_EXPORT, CanisterModule, DROP_EXPORT_PREFIX, DROPPED_EXPORT_PREFIX,
    FUNCTION_EXPORT_PREFIX, GLOBAL_EXPORT_PREFIX, MEMORY_EXPORT, MethodKind, ModuleError,
    START_EXPORT, TABLE_EXPORT, Visibility, limits,
};
use sha2::{Digest as _, Sha256};
use wasm_encoder::{CustomSection, Module, RawSection};
use wasmparser::{ExternalKind, Parser, Payload, Validator};

fn wasm(wat: &str) -> Vec<u8> {
    wat::parse_str(wat).unwrap()
}

fn instrument(wasm: &[u8]) -> Vec<u8> {
    CanisterModule::parse(wasm).unwrap().instrument().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn refusal(bytes: &[u8]) -> String {
    CanisterModule::parse(bytes).unwrap_err().to_string()
}

fn with_sections(sections: &[(&str, &[u8])]) -> Vec<u8> {
    let mut module = Module::new();
    for (name, data) in sections {
        module.section(&CustomSection {
            name: (*name).into(),
            data: (*data).into(),
        });
    }
    module.finish()
}

const COUNTER: &str = r#"(module
    (import "ic0" "msg_reply" (func $reply))
    (memory 1) (table 2 funcref) (elem (i32.const 1) $bump)
    (global $count (mut i64) (i64.const 7))
    (global $fixed i32 (i32.const 1))
    (global (export "shown") (mut f32) (f32.const 0))
    (func $start (global.set $count (i64.const 8)))
    (start $start)
    (func $bump (export "canister_update bump") (call $reply))
    (func (export "canister_query ask") (call $reply))
    (func (export "canister_composite_query ask all") (call $reply))
    (func (export "canister_init"))
    (func (export "helper") (param i32)))"#;

#[test]
fn a_module_is_taken_plain_and_gzipped_and_hashed_as_it_was_uploaded() {
    let plain = wasm(COUNTER);
    for uploaded in [plain.clone(), gzip(&plain)] {
        let module = CanisterModule::parse(&uploaded).unwrap();
        assert_eq!(module.wasm, plain);
        assert_eq!(module.hash, <[u8; 32]>::from(Sha256::digest(&uploaded)));
        assert_eq!(module.entry_points.method("bump"), Some(MethodKind::Update));
        assert_eq!(module.entry_points.method("ask"), Some(MethodKind::Query));
        assert_eq!(
            module.entry_points.method("ask all"),
            Some(MethodKind::CompositeQuery)
        );
        assert_eq!(module.entry_points.method("helper"), None);
        assert!(module.entry_points.has_hook("canister_init") && module.entry_points.start);
        assert!(!module.entry_points.has_hook("canister_heartbeat"));
    }
}

#[test]
fn what_is_no_module_is_refused() {
    assert_eq!(
        CanisterModule::parse(b"").unwrap_err(),
        ModuleError::NotAModule
    );
    assert_eq!(
        CanisterModule::parse(b"#!/bin/sh").unwrap_err(),
        ModuleError::NotAModule
    );
    assert_eq!(
        CanisterModule::parse(&gzip(b"text")).unwrap_err(),
        ModuleError::NotAModule
    );
    let mut broken = gzip(&wasm(COUNTER));
    broken.truncate(broken.len() / 2);
    assert_eq!(
        CanisterModule::parse(&broken).unwrap_err(),
        ModuleError::Gzip
    );
    for length in 8..wasm(COUNTER).len() {
        // A prefix may be a smaller module, but never a panic.
        let _ = CanisterModule::parse(&wasm(COUNTER)[..length]);
    }
}

#[test]
fn a_gzip_bomb_ends_at_the_limit() {
    let bomb = gzip(&vec![0; limits::MODULE_BYTES + 5_000_000]);
    let expected = ModuleError::ModuleTooLarge {
        is: limits::MODULE_BYTES + 1,
        limit: limits::MODULE_BYTES,
    };
    assert_eq!(CanisterModule::parse(&bomb).unwrap_err(), expected);
}

#[test]
fn only_functions_of_ic0_with_their_types_may_be_imported() {
    for (import, reason) in [
        (
            r#""wasi_snapshot_preview1" "fd_write" (func)"#,
            "Module imports function 'fd_write' from 'wasi_snapshot_preview1' that is not exported by the runtime.",
        ),
        (
            r#""env" "time" (func (result i64))"#,
            "Module imports function \"time\" from \"env\", expected to be imported from one of [\"ic0\"] instead.",
        ),
        (
            r#""ic0" "no_such_call" (func)"#,
            "that is not exported by the runtime.",
        ),
        (
            r#""env" "memory" (memory 1)"#,
            "Importing memories is not allowed.",
        ),
        (
            r#""env" "table" (table 1 funcref)"#,
            "Importing tables is not allowed.",
        ),
        (
            r#""env" "global" (global i32)"#,
            "Importing globals is not allowed.",
        ),
        (
            r#""ic0" "time" (func (result i32))"#,
            "Expected return type [I64] for 'time', got [I32].",
        ),
        (
            r#""ic0" "trap" (func (param i32))"#,
            "Expected input params [I32, I32] for 'trap', got [I32].",
        ),
    ] {
        let text = refusal(&wasm(&format!("(module (import {import}))")));
        assert!(text.contains(reason), "{import}: {text}");
    }
}

#[test]
fn with_a_64_bit_memory_pointers_have_64_bits_and_the_functions_for_32_are_gone() {
    let module = |import: &str| wasm(&format!("(module (import {import}) (memory i64 1))"));
    for import in [
        r#""ic0" "trap" (func (param i64 i64))"#,
        r#""ic0" "msg_caller_size" (func (result i64))"#,
        r#""ic0" "msg_reject_code" (func (result i32))"#,
    ] {
        assert!(CanisterModule::parse(&module(import)).unwrap().memory64);
    }
    for import in [
        r#""ic0" "trap" (func (param i32 i32))"#,
        r#""ic0" "stable_size" (func (result i32))"#,
        r#""ic0" "msg_cycles_available" (func (result i64))"#,
    ] {
        assert!(
            CanisterModule::parse(&module(import)).is_err(),
            "{import} was taken"
        );
    }
    assert!(!CanisterModule::parse(&wasm("(module)")).unwrap().memory64);
}

#[test]
fn entry_points_are_named_and_typed_as_the_specification_says() {
    for (exports, reason) in [
        (
            r#"(func (export "canister_innit"))"#,
            "Exporting reserved function 'canister_innit' with \"canister_\" prefix",
        ),
        (
            r#"(func (export "canister_init") (result i32) i32.const 0)"#,
            "Expected return type [] for 'canister_init', got [I32].",
        ),
        (
            r#"(func (export "canister_on_low_wasm_memory") (param i64))"#,
            "Expected input params [] for 'canister_on_low_wasm_memory', got [I64].",
        ),
        (
            r#"(func (export "canister_query a")) (func (export "canister_update a"))"#,
            "Duplicate function 'a' exported multiple times",
        ),
        (
            r#"(func (export "engine:start"))"#,
            "Exporting reserved symbol engine:start not allowed.",
        ),
        (
            r#"(global (export "canister counter_instructions") i64 (i64.const 0))"#,
            "Exporting reserved symbol canister counter_instructions not allowed.",
        ),
    ] {
        let text = refusal(&wasm(&format!("(module {exports})")));
        assert!(text.contains(reason), "{exports}: {text}");
    }
    for hook in [
        "canister_global_timer",
        "canister_heartbeat",
        "canister_init",
        "canister_inspect_message",
        "canister_on_low_wasm_memory",
        "canister_post_upgrade",
        "canister_pre_upgrade",
    ] {
        let module = wasm(&format!(r#"(module (func (export "{hook}")))"#));
        let module = CanisterModule::parse(&module).unwrap();
        assert!(module.entry_points.has_hook(hook));
    }
}

#[test]
fn the_limits_of_a_real_subnet_hold() {
    let many = |item: &str, n: usize| wasm(&format!("(module {})", item.repeat(n)));
    assert!(CanisterModule::parse(&many("(func)", 50_000)).is_ok());
    assert_eq!(
        refusal(&many("(func)", 50_001)),
        "Wasm module defined 50001 functions which exceeds the maximum number allowed 50000."
    );
    let global = "(global i32 (i32.const 0))";
    assert!(CanisterModule::parse(&many(global, 1_000)).is_ok());
    assert!(refusal(&many(global, 1_001)).contains("1001 globals"));
    assert!(refusal(&many("(table 1 funcref)", 2)).contains("2 tables"));

    let methods = |n: usize| {
        let method = |i| format!(r#"(func (export "canister_query m{i}"))"#);
        wasm(&format!(
            "(module {})",
            (0..n).map(method).collect::<String>()
        ))
    };
    assert!(CanisterModule::parse(&methods(1_000)).is_ok());
    assert!(refusal(&methods(1_001)).contains("is 1001 which exceeds 1000."));
    let method = |length: usize| {
        wasm(&format!(
            r#"(module (func (export "canister_query {}")))"#,
            "x".repeat(length)
        ))
    };
    assert!(CanisterModule::parse(&method(20_000)).is_ok());
    assert!(refusal(&method(20_001)).contains("is 20001 which exceeds the allowed limit of 20000"));

    assert!(CanisterModule::parse(&wasm("(module (table 1000000 funcref))")).is_ok());
    assert!(
        refusal(&wasm("(module (table 1000001 funcref))")).contains("1000001 elements of a table")
    );
    assert!(CanisterModule::parse(&wasm("(module (memory i64 1 98304))")).is_ok());
    for memory in ["i64 1 98305", "i64 98305"] {
        assert!(
            refusal(&wasm(&format!("(module (memory {memory}))"))).contains("98305 pages"),
            "{memory}"
        );
    }
}

#[test]
fn a_function_is_neither_too_long_nor_too_complex() {
    let function = |operators: String| wasm(&format!("(module (func) (func {operators}))"));
    // The end of the function is an operator too.
    assert!(CanisterModule::parse(&function("nop ".repeat(999_999))).is_ok());
    assert_eq!(
        CanisterModule::parse(&function("nop ".repeat(1_000_000))).unwrap_err(),
        ModuleError::FunctionTooComplex {
            index: 1,
            is: 1_000_001,
            limit: 1_000_000
        }
    );
    assert!(CanisterModule::parse(&function("call 0 ".repeat(19_999))).is_ok());
    assert!(
        refusal(&function("call 0 ".repeat(20_000)))
            .contains("a function at index 1 with complexity 1000001 which exceeds")
    );
}

#[test]
fn the_first_bad_function_is_told_however_many_threads_look() {
    // Large enough for several threads; the first is good, and one in each half bad.
    let long = format!("(func {})", "nop ".repeat(200_000));
    let bad = "(func (result i32))";
    let module = format!("(module {long}{bad}{long}{long}{bad}{long})");
    let parsed = wat::parse_str(&module).unwrap();
    let text = refusal(&parsed);
    let alone = refusal(&wasm(&format!("(module {long}{bad})")));
    let place = |text: &str| {
        usize::from_str_radix(text.rsplit("0x").next().unwrap().trim_end_matches(')'), 16).unwrap()
    };
    // The headers of the two modules differ by a few bytes.
    assert!(place(&text).abs_diff(place(&alone)) < 64, "{text}; {alone}");
}

#[test]
fn a_code_section_beyond_12_mib_is_refused_before_it_is_read() {
    // One function, and nothing of it.
    let mut section = vec![1];
    section.resize(12 * 1024 * 1024 + 2, 0);
    let mut module = Module::new();
    for (id, data) in [(1, &[1, 0x60, 0, 0][..]), (3, &[1, 0]), (10, &section)] {
        module.section(&RawSection { id, data });
    }
    assert_eq!(
        refusal(&module.finish()),
        "Wasm module code section size of 12582913 exceeds the maximum allowed size of 12582912."
    );
}

#[test]
fn data_is_placed_at_constants_alone() {
    let module = |memory: &str, offset: &str| {
        wasm(&format!(
            "(module (global i32 (i32.const 0)) (memory {memory}) (data (offset {offset}) \"x\"))"
        ))
    };
    assert!(CanisterModule::parse(&module("1", "i32.const 1")).is_ok());
    assert!(CanisterModule::parse(&module("i64 1", "i64.const 1")).is_ok());
    assert!(refusal(&module("1", "global.get 0")).contains("constant expression required"),);
}

#[test]
fn what_a_subnet_has_switched_off_is_refused() {
    for wat in [
        "(module (memory 1 1 shared))",
        "(module (memory 1) (memory 1))",
        "(module (tag) (func throw 0))",
        "(module (func (result v128) v128.const i32x4 0 0 0 0 v128.const i32x4 0 0 0 0 i8x16.relaxed_swizzle))",
        "(module (table 1 externref))",
        "(module (type (struct)))",
        "(module (global i32 (i32.add (i32.const 1) (i32.const 2))))",
        "(module (memory 1 (pagesize 1)))",
    ] {
        assert!(
            refusal(&wasm(wat)).starts_with(
                "Wasmtime failed to validate wasm module wasmtime::Module::validate() failed with "
            ),
            "{wat}"
        );
    }
}

#[test]
fn a_global_that_could_not_be_saved_is_refused() {
    for ty in ["funcref", "(mut funcref)"] {
        let text = refusal(&wasm(&format!("(module (global {ty} (ref.null func)))")));
        assert!(text.contains("Unsupported global type"), "{text}");
    }
    let v128 = "(module (global (mut v128) (v128.const i64x2 0 0)))";
    assert!(CanisterModule::parse(&wasm(v128)).is_ok());
}

#[test]
fn metadata_sections_are_read_and_bounded() {
    let module = with_sections(&[
        ("icp:public a", b"1"),
        ("icp:private b", b"2"),
        ("name", b"\0\0"),
        ("x", b"3"),
    ]);
    let metadata = CanisterModule::parse(&module).unwrap().metadata;
    let seen: Vec<_> = metadata
        .iter()
        .map(|(n, m)| (n.as_str(), m.visibility, m.content.as_slice()))
        .collect();
    assert_eq!(
        seen,
        [
            ("a", Visibility::Public, &b"1"[..]),
            ("b", Visibility::Private, &b"2"[..])
        ]
    );

    assert!(
        refusal(&with_sections(&[("icp:secret a", b"")]))
            .contains("'icp:secret a' has no public/private scope defined")
    );
    assert!(
        refusal(&with_sections(&[
            ("icp:public a", b""),
            ("icp:private a", b"")
        ]))
        .contains("name a already exists")
    );
    let names: Vec<String> = (0..17).map(|n| format!("icp:public {n}")).collect();
    let many: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b""[..])).collect();
    assert!(refusal(&with_sections(&many)).contains("17 custom sections"));
    let large = vec![0; 1024 * 1024];
    assert!(
        refusal(&with_sections(&[("icp:public a", &large)]))
            .contains("total size of the custom sections exceeds the maximum allowed")
    );
}

#[test]
fn rewriting_shows_all_state_and_keeps_the_rest() {
    let before = wasm(COUNTER);
    let after = instrument(&before);
    Validator::new().validate_all(&after).unwrap();

    let exported = |name: &str| {
        Parser::new(0)
            .parse_all(&after)
            .find_map(|payload| match payload.unwrap() {
                Payload::ExportSection(section) => section
                    .into_iter()
                    .map(Result::unwrap)
                    .find(|e| e.name == name)
                    .map(|e| (e.kind, e.index)),
                _ => None,
            })
    };
    assert_eq!(exported(MEMORY_EXPORT), Some((ExternalKind::Memory, 0)));
    assert_eq!(exported(TABLE_EXPORT), Some((ExternalKind::Table, 0)));
    assert_eq!(exported(START_EXPORT), Some((ExternalKind::Func, 1)));
    // Mutable globals, exported before or not; what can't change needs no saving.
    assert_eq!(
        exported(&format!("{GLOBAL_EXPORT_PREFIX}0")),
        Some((ExternalKind::Global, 0))
    );
    assert_eq!(exported(&format!("{GLOBAL_EXPORT_PREFIX}1")), None);
    assert_eq!(
        exported(&format!("{GLOBAL_EXPORT_PREFIX}2")),
        Some((ExternalKind::Global, 2))
    );
    assert_eq!(
        exported("canister_update bump"),
        Some((ExternalKind::Func, 2))
    );

    // The sections besides exports and start are the same bytes; custom ones go.
    let sections = |wasm: &[u8]| -> Vec<(u8, Vec<u8>)> {
        let sections = Parser::new(0)
            .parse_all(wasm)
            .filter_map(|p| p.unwrap().as_section());
        sections
            .filter(|(id, _)| ![0, 7, 8].contains(id))
            .map(|(id, range)| (id, wasm[range].to_vec()))
            .collect()
    };
    assert_eq!(sections(&before), sections(&after));
    assert!(
        !Parser::new(0)
            .parse_all(&after)
            .any(|p| matches!(p.unwrap(), Payload::StartSection { .. }))
    );
}

#[test]
fn a_module_without_exports_or_code_can_be_rewritten() {
    for wat in [
        "(module)",
        "(module (memory 1))",
        "(module (global (mut i32) (i32.const 0)))",
    ] {
        Validator::new()
            .validate_all(&instrument(&wasm(wat)))
            .unwrap();
    }
    let mut only_custom = Module::new();
    only_custom.section(&RawSection {
        id: 0,
        data: b"\x01xdata",
    });
    Validator::new()
        .validate_all(&instrument(&only_custom.finish()))
        .unwrap();
}

/// The exports of a rewritten module that start like this, without that start.
fn exports(wasm: &[u8], prefix: &str) -> Vec<String> {
    let section = Parser::new(0)
        .parse_all(wasm)
        .find_map(|p| match p.unwrap() {
            Payload::ExportSection(section) => Some(section),
            _ => None,
        });
    section
        .unwrap()
        .into_iter()
        .filter_map(|export| Some(export.unwrap().name.strip_prefix(prefix)?.to_owned()))
        .collect()
}

#[test]
fn what_can_change_tables_and_segments_is_watched_and_nothing_else_is() {
    let still = instrument(&wasm(COUNTER));
    assert!(exports(&still, CHANGED_EXPORT).is_empty());
    assert!(exports(&still, FUNCTION_EXPORT_PREFIX).is_empty());

    // No type of the module fits a function that drops a segment, and it has no globals.
    let moving = wasm(
        r#"(module
            (memory 1) (table 1 funcref)
            (data "a") (data "b") (elem func 0)
            (func (param i32)
                (table.set 0 (i32.const 0) (ref.null func))
                (memory.init 1 (i32.const 0) (i32.const 0) (i32.const 0))
                (data.drop 1) (elem.drop 0) (data.drop 1))
            (func (param i32) (drop (memory.grow (local.get 0)))))"#,
    );
    let after = instrument(&moving);
    Validator::new().validate_all(&after).unwrap();
    assert_eq!(exports(&after, CHANGED_EXPORT), [""]);
    assert_eq!(exports(&after, FUNCTION_EXPORT_PREFIX), ["0", "1"]);
    for prefix in [DROPPED_EXPORT_PREFIX, DROP_EXPORT_PREFIX] {
        assert_eq!(exports(&after, prefix), ["data 1", "element 0"]);
    }
}

#[test]
fn only_functions_that_grow_or_drop_are_rewritten() {
    let before = wasm(
        "(module (memory 1) (func (param i32)) (func (result i32) (memory.grow (i32.const 1))))",
    );
    let after = instrument(&before);
    let bodies = |wasm: &[u8]| -> Vec<Vec<u8>> {
        Parser::new(0)
            .parse_all(wasm)
            .filter_map(|payload| match payload.unwrap() {
                Payload::CodeSectionEntry(body) => Some(wasm[body.range()].to_vec()),
                _ => None,
            })
            .collect()
    };
    let (before, after) = (bodies(&before), bodies(&after));
    assert_eq!(before[0], after[0]);
    assert_eq!(before[1].len() + 45, after[1].len());
}
