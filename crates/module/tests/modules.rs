//! What a subnet takes and what not, and that rewriting changes nothing but what can be seen.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

use std::io::Write as _;

use canister_module::{
    CanisterModule, GLOBAL_EXPORT_PREFIX, MEMORY_EXPORT, MethodKind, ModuleError, START_EXPORT,
    TABLE_EXPORT, Visibility, instrument, limits,
};
use sha2::{Digest as _, Sha256};
use wasm_encoder::{CustomSection, Module, RawSection};
use wasmparser::{ExternalKind, Parser, Payload, Validator};

fn wasm(wat: &str) -> Vec<u8> {
    wat::parse_str(wat).unwrap()
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
    let expected = ModuleError::Limit {
        what: "bytes of the unpacked module",
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
            "may import from ic0 only",
        ),
        (r#""ic0" "no_such_call" (func)"#, "no such function"),
        (r#""ic0" "memory" (memory 1)"#, "no such function"),
        (r#""ic0" "time" (func (result i32))"#, "another type"),
    ] {
        let text = refusal(&wasm(&format!("(module (import {import}))")));
        assert!(text.contains(reason), "{import}: {text}");
    }
}

#[test]
fn entry_points_are_named_and_typed_as_the_specification_says() {
    for (exports, reason) in [
        (r#"(func (export "canister_innit"))"#, "no such entry point"),
        (
            r#"(func (export "canister_init") (result i32) i32.const 0)"#,
            "takes and returns nothing",
        ),
        (
            r#"(func (export "canister_query a")) (func (export "canister_update a"))"#,
            "exported twice",
        ),
        (r#"(func (export "engine:start"))"#, "the name is reserved"),
    ] {
        let text = refusal(&wasm(&format!("(module {exports})")));
        assert!(text.contains(reason), "{exports}: {text}");
    }
}

#[test]
fn the_limits_of_a_real_subnet_hold() {
    let functions = |n: usize| wasm(&format!("(module {})", "(func)".repeat(n)));
    assert!(CanisterModule::parse(&functions(50_000)).is_ok());
    assert!(refusal(&functions(50_001)).contains("functions: 50001, at most 50000"));

    let globals = |n: usize| {
        wasm(&format!(
            "(module {})",
            "(global i32 (i32.const 0))".repeat(n)
        ))
    };
    assert!(CanisterModule::parse(&globals(1_000)).is_ok());
    assert!(refusal(&globals(1_001)).contains("globals: 1001"));

    let methods = |n: usize| {
        let method = |i| format!(r#"(func (export "canister_query m{i}"))"#);
        wasm(&format!(
            "(module {})",
            (0..n).map(method).collect::<String>()
        ))
    };
    assert!(CanisterModule::parse(&methods(1_000)).is_ok());
    assert!(refusal(&methods(1_001)).contains("exported methods: 1001"));

    let long = format!(
        r#"(module (func (export "canister_query {}")))"#,
        "x".repeat(20_001)
    );
    assert!(refusal(&wasm(&long)).contains("bytes of method names"));
    let operators = format!("(module (func {}))", "nop ".repeat(1_000_001));
    assert!(refusal(&wasm(&operators)).contains("operators of a function"));
    assert!(refusal(&wasm("(module (table 1000001 funcref))")).contains("elements of a table"));
    assert_eq!(
        CanisterModule::parse(&wasm("(module (memory i64 1))")).unwrap_err(),
        ModuleError::Memory64
    );
}

#[test]
fn what_a_subnet_has_switched_off_is_refused() {
    for wat in [
        "(module (memory 1 1 shared))",
        "(module (memory 1) (memory 1))",
        "(module (tag) (func throw 0))",
        "(module (func (result v128) v128.const i32x4 0 0 0 0 v128.const i32x4 0 0 0 0 i8x16.relaxed_swizzle))",
    ] {
        assert!(
            refusal(&wasm(wat)).starts_with("not valid WebAssembly"),
            "{wat}"
        );
    }
}

#[test]
fn a_global_that_could_not_be_saved_is_refused() {
    let global = |ty: &str| wasm(&format!("(module (global {ty} (ref.null func)))"));
    assert!(CanisterModule::parse(&global("funcref")).is_ok());
    assert_eq!(
        CanisterModule::parse(&global("(mut funcref)")).unwrap_err(),
        ModuleError::ReferenceGlobal
    );
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
            .contains("neither icp:public nor icp:private")
    );
    assert!(
        refusal(&with_sections(&[
            ("icp:public a", b""),
            ("icp:private a", b"")
        ]))
        .contains("named \"a\"")
    );
    let names: Vec<String> = (0..17).map(|n| format!("icp:public {n}")).collect();
    let many: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b""[..])).collect();
    assert!(refusal(&with_sections(&many)).contains("icp: custom sections: 17"));
    let large = vec![0; 1024 * 1024];
    assert!(
        refusal(&with_sections(&[("icp:public a", &large)]))
            .contains("bytes of icp: custom sections")
    );
}

#[test]
fn rewriting_shows_all_state_and_keeps_the_rest() {
    let before = wasm(COUNTER);
    let after = instrument(&before).unwrap();
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

    // The sections besides exports and start are the same bytes.
    let sections = |wasm: &[u8]| -> Vec<(u8, Vec<u8>)> {
        let sections = Parser::new(0)
            .parse_all(wasm)
            .filter_map(|p| p.unwrap().as_section());
        sections
            .filter(|(id, _)| ![7, 8].contains(id))
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
            .validate_all(&instrument(&wasm(wat)).unwrap())
            .unwrap();
    }
    let mut only_custom = Module::new();
    only_custom.section(&RawSection {
        id: 0,
        data: b"\x01xdata",
    });
    Validator::new()
        .validate_all(&instrument(&only_custom.finish()).unwrap())
        .unwrap();
}
