//! Unpacking and checking a module.
//!
//! Order: size and gzip → each section by `wasmparser` with the features that a subnet has on, and against the
//! limits → imports → the functions one by one ([`crate::functions`]). Nothing of a refused module is kept.

use std::{collections::BTreeMap, io::Read as _};

use sha2::{Digest as _, Sha256};
use wasmparser::{
    CompositeInnerType, ExternalKind, FuncType, MemoryType, Parser, Payload, TypeRef, ValType,
    ValidPayload, Validator, WasmFeatures,
};

use crate::{
    EntryPoints, Metadata, ModuleError, exports,
    functions::{self, Unchecked},
    imports::{self, Import},
    instrument, limits,
    metadata::Sections,
};

/// A module that a subnet would take.
#[derive(Clone, Debug)]
pub struct CanisterModule {
    /// SHA-256 of the bytes as they were uploaded: what a subnet certifies as `module_hash`.
    pub hash: [u8; 32],
    /// The module, unpacked.
    pub wasm: Vec<u8>,
    /// Addresses of the heap have 64 bits.
    pub memory64: bool,
    pub entry_points: EntryPoints,
    pub metadata: BTreeMap<String, Metadata>,
    /// Functions that [`CanisterModule::instrument`] changes, by their place in the code section.
    rewritten: Vec<usize>,
}

impl CanisterModule {
    /// The hash that a subnet certifies for a module that was uploaded as these bytes.
    #[must_use]
    pub fn hash(uploaded: &[u8]) -> [u8; 32] {
        Sha256::digest(uploaded).into()
    }

    /// Checks a module, plain or gzipped.
    ///
    /// # Errors
    /// The first reason that a subnet would refuse it for.
    pub fn parse(uploaded: &[u8]) -> Result<Self, ModuleError> {
        let wasm = unpack(uploaded)?;
        let (found, rewritten) = inspect(&wasm)?;
        let (memory64, entry_points, metadata) =
            (found.memory64, found.entry_points, found.metadata.by_name);
        Ok(Self {
            hash: Self::hash(uploaded),
            wasm,
            memory64,
            entry_points,
            metadata,
            rewritten,
        })
    }

    /// The module, rewritten so that the host can save and restore all of its state, and count its
    /// instructions.
    ///
    /// # Errors
    /// Where `wasm` is not the module any more that was checked.
    pub fn instrument(&self) -> Result<Vec<u8>, wasmparser::BinaryReaderError> {
        instrument::instrument(&self.wasm, &self.rewritten)
    }
}

fn unpack(uploaded: &[u8]) -> Result<Vec<u8>, ModuleError> {
    let wasm = if uploaded.starts_with(&[0x1f, 0x8b]) {
        let mut wasm = Vec::new();
        // One byte more than the limit tells a module at the limit from one beyond it.
        let limit = limits::MODULE_BYTES as u64 + 1;
        flate2::read::GzDecoder::new(uploaded)
            .take(limit)
            .read_to_end(&mut wasm)
            .map_err(|_| ModuleError::Gzip)?;
        wasm
    } else {
        uploaded.to_vec()
    };
    if wasm.len() > limits::MODULE_BYTES {
        return Err(ModuleError::ModuleTooLarge {
            is: wasm.len(),
            limit: limits::MODULE_BYTES,
        });
    }
    if !wasm.starts_with(b"\0asm") {
        return Err(ModuleError::NotAModule);
    }
    Ok(wasm)
}

/// What a subnet has switched on. Threads, relaxed SIMD and exceptions are off, since execution has to be the
/// same on every replica; constants are plain ones, so that data is placed without running anything; and
/// references are to functions alone, since nothing
/// gives a canister any other.
fn features() -> WasmFeatures {
    WasmFeatures::FLOATS
        | WasmFeatures::MUTABLE_GLOBAL
        | WasmFeatures::BULK_MEMORY
        | WasmFeatures::MULTI_VALUE
        | WasmFeatures::REFERENCE_TYPES
        | WasmFeatures::SATURATING_FLOAT_TO_INT
        | WasmFeatures::SIGN_EXTENSION
        | WasmFeatures::SIMD
        | WasmFeatures::TAIL_CALL
        | WasmFeatures::MEMORY64
}

/// What the sections say, collected while they are read.
#[derive(Default)]
struct Found<'a> {
    types: Vec<Option<FuncType>>,
    imports: Vec<Import<'a>>,
    /// Type index of each function, the imported ones first.
    functions: Vec<u32>,
    memory64: bool,
    entry_points: EntryPoints,
    metadata: Sections,
}

fn inspect(wasm: &[u8]) -> Result<(Found<'_>, Vec<usize>), ModuleError> {
    let mut validator = Validator::new_with_features(features());
    let mut found = Found::default();
    let mut bodies: Vec<Unchecked<'_>> = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload?;
        if let Payload::CodeSectionStart { size, .. } = payload {
            check_code_section(size as usize)?;
        }
        if let ValidPayload::Func(function, body) = validator.payload(&payload)? {
            bodies.push((function, body));
        }
        found.read(payload)?;
    }
    for import in &found.imports {
        imports::check(import, &found.types, found.memory64)?;
    }
    found.entry_points.check()?;
    let rewritten = functions::check(bodies)?;
    Ok((found, rewritten))
}

impl<'a> Found<'a> {
    /// Reads one section, which is valid.
    fn read(&mut self, section: Payload<'a>) -> Result<(), ModuleError> {
        match section {
            Payload::TypeSection(section) => {
                for group in section {
                    for ty in group?.into_types() {
                        self.types.push(match ty.composite_type.inner {
                            CompositeInnerType::Func(ty) => Some(ty),
                            _ => None,
                        });
                    }
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    if let TypeRef::Func(ty) = import.ty {
                        self.functions.push(ty);
                    }
                    self.imports.push(Import {
                        module: import.module,
                        name: import.name,
                        ty: import.ty,
                    });
                }
            }
            Payload::FunctionSection(section) => {
                at_most("functions", section.count(), limits::FUNCTIONS)?;
                for ty in section {
                    self.functions.push(ty?);
                }
            }
            Payload::TableSection(section) => {
                at_most("tables", section.count(), limits::TABLES)?;
                for table in section {
                    check_table(table?.ty.initial)?;
                }
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    let memory = memory?;
                    self.memory64 |= memory.memory64;
                    check_memory(memory)?;
                }
            }
            Payload::GlobalSection(section) => {
                at_most("globals", section.count(), limits::GLOBALS)?;
                for global in section {
                    let ty = global?.ty.content_type;
                    if let ValType::Ref(_) = ty {
                        return Err(ModuleError::GlobalType(ty));
                    }
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    exports::check_name(export.name)?;
                    if export.kind == ExternalKind::Func {
                        let ty = self.functions.get(export.index as usize);
                        let ty = ty.and_then(|ty| self.types.get(*ty as usize)?.as_ref());
                        self.entry_points.add(export.name, ty)?;
                    }
                }
            }
            Payload::StartSection { .. } => self.entry_points.start = true,
            Payload::CustomSection(section) => self.metadata.add(section.name(), section.data())?,
            _ => {}
        }
        Ok(())
    }
}

fn check_code_section(size: usize) -> Result<(), ModuleError> {
    if size > limits::CODE_SECTION_BYTES {
        return Err(ModuleError::CodeSectionTooLarge {
            is: size,
            limit: limits::CODE_SECTION_BYTES,
        });
    }
    Ok(())
}

fn check_table(elements: u64) -> Result<(), ModuleError> {
    let is = usize::try_from(elements).unwrap_or(usize::MAX);
    if is > limits::TABLE_ELEMENTS {
        return Err(ModuleError::TooMany {
            what: "elements of a table",
            is,
            limit: limits::TABLE_ELEMENTS,
        });
    }
    Ok(())
}

/// The rules of WebAssembly bound a 32-bit memory already.
fn check_memory(memory: MemoryType) -> Result<(), ModuleError> {
    let limit = limits::MEMORY64_BYTES / (64 * 1024);
    let is = memory.maximum.unwrap_or(0).max(memory.initial);
    if memory.memory64 && is > limit {
        return Err(ModuleError::MemoryTooLarge { is, limit });
    }
    Ok(())
}

fn at_most(what: &'static str, is: u32, limit: u32) -> Result<(), ModuleError> {
    if is > limit {
        return Err(ModuleError::TooMany {
            what,
            is: is as usize,
            limit: limit as usize,
        });
    }
    Ok(())
}
