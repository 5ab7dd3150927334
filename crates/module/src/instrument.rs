//! Rewrites a module so that the host can reach all of its state.
//!
//! Between two messages a canister's state is its memories and its mutable globals. wasmtime shows the host
//! only what a module exports, so the memory, each mutable global (Rust's stack pointer, for one) and the
//! table that callbacks are called through are exported under reserved names. The `(start)` function becomes an
//! ordinary export too: the engine runs it itself, so that it is metered and may trap.
//!
//! Everything else is copied byte by byte.

use wasm_encoder::{ExportKind, ExportSection, Module, RawSection, SectionId};
use wasmparser::{BinaryReaderError, ExternalKind, Parser, Payload};

/// Exports of globals are named this and a number; no module may export names with this prefix itself.
pub const GLOBAL_EXPORT_PREFIX: &str = "engine:";
/// Export of the memory.
pub const MEMORY_EXPORT: &str = "engine:memory";
/// Export of the first table.
pub const TABLE_EXPORT: &str = "engine:table";
/// Export of what was the `(start)` function.
pub const START_EXPORT: &str = "engine:start";

/// The same module with its memory, mutable globals, first table and `(start)` function exported.
///
/// # Errors
/// Where the module isn't valid WebAssembly; [`crate::CanisterModule::parse`] has found that out before.
pub fn instrument(wasm: &[u8]) -> Result<Vec<u8>, BinaryReaderError> {
    let exports = exports(wasm)?;
    let mut out = Module::new();
    let mut pending = Some(exports);
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload?;
        let Some((id, range)) = payload.as_section() else {
            continue;
        };
        if id == SectionId::Start as u8 {
            continue;
        }
        // The export section stands behind the globals and before everything else.
        let behind = matches!(id, 7 | 9 | 10 | 11 | 12);
        if behind && let Some(exports) = pending.take() {
            out.section(&exports);
        }
        if id != SectionId::Export as u8 {
            out.section(&RawSection {
                id,
                data: &wasm[range],
            });
        }
    }
    if let Some(exports) = pending {
        out.section(&exports);
    }
    Ok(out.finish())
}

fn exports(wasm: &[u8]) -> Result<ExportSection, BinaryReaderError> {
    let mut exports = ExportSection::new();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::TableSection(section) if section.count() > 0 => {
                exports.export(TABLE_EXPORT, ExportKind::Table, 0);
            }
            Payload::MemorySection(section) if section.count() > 0 => {
                exports.export(MEMORY_EXPORT, ExportKind::Memory, 0);
            }
            Payload::GlobalSection(section) => {
                for (index, global) in (0..).zip(section) {
                    if global?.ty.mutable {
                        exports.export(
                            &format!("{GLOBAL_EXPORT_PREFIX}{index}"),
                            ExportKind::Global,
                            index,
                        );
                    }
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    let kind = match export.kind {
                        ExternalKind::Func | ExternalKind::FuncExact => ExportKind::Func,
                        ExternalKind::Table => ExportKind::Table,
                        ExternalKind::Memory => ExportKind::Memory,
                        ExternalKind::Global => ExportKind::Global,
                        ExternalKind::Tag => ExportKind::Tag,
                    };
                    exports.export(export.name, kind, export.index);
                }
            }
            Payload::StartSection { func, .. } => {
                exports.export(START_EXPORT, ExportKind::Func, func);
            }
            _ => {}
        }
    }
    Ok(exports)
}
