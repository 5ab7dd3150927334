//! Rewrites a module so that the host can reach all of its state, and count its instructions.
//!
//! Between two messages a canister's state is its memories, its mutable globals, its table and the segments
//! that it has dropped. wasmtime shows the host only what a module exports, so the memory, the table and each
//! mutable global (Rust's stack pointer, for one) are exported under reserved names. The `(start)` function
//! becomes an ordinary export too: the engine runs it itself, so that it is metered and may trap.
//!
//! Few modules change their table or drop segments. Those get more:
//! - a global that says that something of the kind happened, and one for each segment that code drops;
//! - a function for each such segment that drops it, for a new instance;
//! - an export of every function, so that an element of the table can be recognised.
//!
//! What is inserted into the code is told in [`crate::code`]. Custom sections are left out; everything else
//! is copied byte by byte.

use std::{collections::BTreeMap, ops::Range};

use wasm_encoder::{ExportKind, ExportSection, Module, RawSection};
use wasmparser::{BinaryReaderError, CompositeInnerType, ExternalKind, Parser, Payload, TypeRef};

use crate::{
    code::{Marks, Sites, dropper},
    sections::{CODE, EXPORTS, FUNCTIONS, GLOBALS, ORDER, START, TYPES, extended, leb128},
};

/// No module may export names with this prefix itself.
pub const RESERVED_EXPORT_PREFIX: &str = "engine:";
/// Exports of mutable globals are named this and a number.
pub const GLOBAL_EXPORT_PREFIX: &str = "engine:global ";
/// Export of the memory.
pub const MEMORY_EXPORT: &str = "engine:memory";
/// Export of the table.
pub const TABLE_EXPORT: &str = "engine:table";
/// Export of what was the `(start)` function.
pub const START_EXPORT: &str = "engine:start";
/// Export of the global that is 1 when the table or a segment may have changed.
pub const CHANGED_EXPORT: &str = "engine:changed";
/// Exports of the globals that are 1 when a segment was dropped are named this and a segment.
pub const DROPPED_EXPORT_PREFIX: &str = "engine:dropped ";
/// Exports of the functions that drop a segment are named this and a segment.
pub const DROP_EXPORT_PREFIX: &str = "engine:drop ";
/// Where the table can change, exports of all functions are named this and a number.
pub const FUNCTION_EXPORT_PREFIX: &str = "engine:function ";

/// What is known of a module after one look at it.
#[derive(Default)]
struct Parts<'a> {
    /// Functions whose code changes, by their place in the code section, in order.
    rewritten: &'a [usize],
    sections: BTreeMap<u8, Range<usize>>,
    sites: Sites<'a>,
    exports: ExportSection,
    types: u32,
    /// Index of the type `() -> ()`, if the module has it.
    plain_type: Option<u32>,
    functions: u32,
    globals: u32,
}

/// The same module, rewritten; `rewritten` are the functions whose code changes.
pub(crate) fn instrument(wasm: &[u8], rewritten: &[usize]) -> Result<Vec<u8>, BinaryReaderError> {
    let mut parts = Parts {
        rewritten,
        ..Parts::default()
    };
    parts.read(wasm)?;
    let mut new: BTreeMap<u8, Vec<u8>> = BTreeMap::new();
    let marks = if parts.sites.marks {
        parts.add_state(wasm, &mut new)?
    } else {
        Marks::default()
    };
    if !parts.sites.is_empty() {
        let droppers = parts.sites.drops.len();
        let mut bodies = parts.sites.encode(wasm, &marks);
        for segment in parts.sites.drops.keys() {
            dropper(&mut bodies, *segment);
        }
        let mut code = Vec::with_capacity(5 + bodies.len());
        leb128(&mut code, count(parts.sites.len() + droppers));
        code.extend(bodies);
        new.insert(CODE, code);
    }
    let mut out = Module::new();
    for id in ORDER {
        if id == EXPORTS {
            out.section(&parts.exports);
        } else if let Some(data) = new.get(&id) {
            out.section(&RawSection { id, data });
        } else if let Some(range) = parts.sections.get(&id) {
            out.section(&RawSection {
                id,
                data: &wasm[range.clone()],
            });
        }
    }
    Ok(out.finish())
}

impl<'a> Parts<'a> {
    fn read(&mut self, wasm: &'a [u8]) -> Result<(), BinaryReaderError> {
        for payload in Parser::new(0).parse_all(wasm) {
            let payload = payload?;
            if let Some((id, range)) = payload.as_section()
                && id != START
            {
                self.sections.insert(id, range);
            }
            self.add(payload)?;
        }
        Ok(())
    }

    fn add(&mut self, payload: Payload<'a>) -> Result<(), BinaryReaderError> {
        match payload {
            Payload::TypeSection(section) => {
                for group in section {
                    for ty in group?.into_types() {
                        if let CompositeInnerType::Func(ty) = &ty.composite_type.inner
                            && ty.params().is_empty()
                            && ty.results().is_empty()
                        {
                            self.plain_type = Some(self.types);
                        }
                        self.types += 1;
                    }
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    if let TypeRef::Func(_) = import?.ty {
                        self.functions += 1;
                    }
                }
            }
            Payload::FunctionSection(section) => self.functions += section.count(),
            Payload::TableSection(section) if section.count() > 0 => {
                self.exports.export(TABLE_EXPORT, ExportKind::Table, 0);
            }
            Payload::MemorySection(section) if section.count() > 0 => {
                self.exports.export(MEMORY_EXPORT, ExportKind::Memory, 0);
            }
            Payload::GlobalSection(section) => {
                self.globals = section.count();
                for (index, global) in (0..).zip(section) {
                    if global?.ty.mutable {
                        let name = format!("{GLOBAL_EXPORT_PREFIX}{index}");
                        self.exports.export(&name, ExportKind::Global, index);
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
                    self.exports.export(export.name, kind, export.index);
                }
            }
            Payload::StartSection { func, .. } => {
                self.exports.export(START_EXPORT, ExportKind::Func, func);
            }
            Payload::CodeSectionEntry(body) => match self.rewritten.split_first() {
                Some((first, rest)) if *first == self.sites.len() => {
                    self.rewritten = rest;
                    self.sites.add(body)?;
                }
                _ => self.sites.keep(body),
            },
            _ => {}
        }
        Ok(())
    }

    /// Adds the globals and functions that tell and restore changes of the table and of segments.
    fn add_state(
        &mut self,
        wasm: &[u8],
        new: &mut BTreeMap<u8, Vec<u8>>,
    ) -> Result<Marks, BinaryReaderError> {
        let section = |id: u8| self.sections.get(&id).cloned();
        // The global that says that there was a change comes first, then one for each segment.
        let mut marks = Marks {
            changed: self.globals,
            dropped: BTreeMap::new(),
        };
        self.exports
            .export(CHANGED_EXPORT, ExportKind::Global, marks.changed);
        let plain_type = self.plain_type.unwrap_or(self.types);
        let mut functions = Vec::new();
        for (number, segment) in (0..).zip(self.sites.drops.keys()) {
            let name = segment.name();
            let global = marks.changed + 1 + number;
            marks.dropped.insert(*segment, global);
            let dropped = format!("{DROPPED_EXPORT_PREFIX}{name}");
            self.exports.export(&dropped, ExportKind::Global, global);
            let drop = format!("{DROP_EXPORT_PREFIX}{name}");
            self.exports
                .export(&drop, ExportKind::Func, self.functions + number);
            leb128(&mut functions, plain_type);
        }
        for index in 0..self.functions {
            let name = format!("{FUNCTION_EXPORT_PREFIX}{index}");
            self.exports.export(&name, ExportKind::Func, index);
        }
        let drops = count(self.sites.drops.len());
        // Mutable, an i32, at first 0.
        let globals = [0x7f, 1, 0x41, 0, 0x0b].repeat(1 + drops as usize);
        new.insert(
            GLOBALS,
            extended(wasm, section(GLOBALS), 1 + drops, &globals)?,
        );
        if drops > 0 {
            new.insert(
                FUNCTIONS,
                extended(wasm, section(FUNCTIONS), drops, &functions)?,
            );
            if self.plain_type.is_none() {
                new.insert(TYPES, extended(wasm, section(TYPES), 1, &[0x60, 0, 0])?);
            }
        }
        Ok(marks)
    }
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "a module has fewer functions and segments than bytes, and at most 100 MiB of them"
)]
fn count(items: usize) -> u32 {
    items as u32
}
