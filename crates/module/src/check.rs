//! Unpacking and checking a module.
//!
//! Order: size and gzip → WebAssembly validation by `wasmparser` with the features that a subnet has on →
//! imports, exports, metadata and counts against the limits. Nothing of a refused module is kept.

use std::{collections::BTreeMap, io::Read as _};

use sha2::{Digest as _, Sha256};
use thiserror::Error;
use wasmparser::{
    CompositeInnerType, ExternalKind, FuncType, Parser, Payload, TypeRef, ValidPayload, Validator,
    WasmFeatures,
};

use crate::{EntryPoints, GLOBAL_EXPORT_PREFIX, Metadata, limits, metadata::Sections, system_api};

/// Why a subnet would not take a module.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ModuleError {
    #[error("neither WebAssembly nor gzip of it")]
    NotAModule,
    #[error("the gzip stream is broken")]
    Gzip,
    #[error("not valid WebAssembly: {0}")]
    Invalid(String),
    #[error("imports {module}.{name}: {reason}")]
    Import {
        module: String,
        name: String,
        reason: &'static str,
    },
    #[error("exports {name:?}: {reason}")]
    Export { name: String, reason: &'static str },
    #[error("{0}")]
    Metadata(String),
    #[error("{what}: {is}, at most {limit}")]
    Limit {
        what: &'static str,
        is: usize,
        limit: usize,
    },
    /// A reference can't be saved with a canister's state and restored in another instance.
    #[error("a mutable global holds a reference")]
    ReferenceGlobal,
    #[error("64-bit memories are not supported yet")]
    Memory64,
}

impl ModuleError {
    pub(crate) fn limit(what: &'static str, is: usize, limit: usize) -> Self {
        Self::Limit { what, is, limit }
    }
}

/// A module that a subnet would take.
#[derive(Clone, Debug)]
pub struct CanisterModule {
    /// SHA-256 of the bytes as they were uploaded: what a subnet certifies as `module_hash`.
    pub hash: [u8; 32],
    /// The module, unpacked.
    pub wasm: Vec<u8>,
    pub entry_points: EntryPoints,
    pub metadata: BTreeMap<String, Metadata>,
}

impl CanisterModule {
    /// Checks a module, plain or gzipped.
    ///
    /// # Errors
    /// The first reason that a subnet would refuse it for.
    pub fn parse(uploaded: &[u8]) -> Result<Self, ModuleError> {
        let wasm = unpack(uploaded)?;
        let (entry_points, metadata) = inspect(&wasm)?;
        Ok(Self {
            hash: Sha256::digest(uploaded).into(),
            wasm,
            entry_points,
            metadata,
        })
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
        return Err(ModuleError::limit(
            "bytes of the unpacked module",
            wasm.len(),
            limits::MODULE_BYTES,
        ));
    }
    if !wasm.starts_with(b"\0asm") {
        return Err(ModuleError::NotAModule);
    }
    Ok(wasm)
}

/// What a subnet has switched on. Threads, relaxed SIMD and exceptions are off: execution has to be the
/// same on every replica.
fn features() -> WasmFeatures {
    WasmFeatures::WASM1
        | WasmFeatures::BULK_MEMORY
        | WasmFeatures::MULTI_VALUE
        | WasmFeatures::REFERENCE_TYPES
        | WasmFeatures::SATURATING_FLOAT_TO_INT
        | WasmFeatures::SIGN_EXTENSION
        | WasmFeatures::SIMD
        | WasmFeatures::TAIL_CALL
        | WasmFeatures::MEMORY64
}

fn inspect(wasm: &[u8]) -> Result<(EntryPoints, BTreeMap<String, Metadata>), ModuleError> {
    let invalid =
        |error: wasmparser::BinaryReaderError| ModuleError::Invalid(error.message().to_owned());
    let mut validator = Validator::new_with_features(features());
    let mut entry_points = EntryPoints::default();
    let mut metadata = Sections::default();
    let mut types: Vec<Option<FuncType>> = Vec::new();
    // Type index of each function, the imported ones first.
    let mut functions: Vec<u32> = Vec::new();
    let mut bodies = Vec::new();

    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload.map_err(invalid)?;
        if let ValidPayload::Func(function, body) = validator.payload(&payload).map_err(invalid)? {
            bodies.push((function, body));
        }
        match payload {
            Payload::TypeSection(section) => {
                for group in section {
                    for ty in group.map_err(invalid)?.into_types() {
                        types.push(match ty.composite_type.inner {
                            CompositeInnerType::Func(ty) => Some(ty),
                            _ => None,
                        });
                    }
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import.map_err(invalid)?;
                    functions.push(check_import(import.module, import.name, import.ty, &types)?);
                }
            }
            Payload::FunctionSection(section) => {
                if section.count() > limits::FUNCTIONS {
                    return Err(over("functions", section.count(), limits::FUNCTIONS));
                }
                for ty in section {
                    functions.push(ty.map_err(invalid)?);
                }
            }
            Payload::TableSection(section) => {
                if section.count() > limits::TABLES {
                    return Err(over("tables", section.count(), limits::TABLES));
                }
                for table in section {
                    let initial = table.map_err(invalid)?.ty.initial;
                    if initial > limits::TABLE_ELEMENTS as u64 {
                        let is = usize::try_from(initial).unwrap_or(usize::MAX);
                        return Err(ModuleError::limit(
                            "elements of a table",
                            is,
                            limits::TABLE_ELEMENTS,
                        ));
                    }
                }
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    if memory.map_err(invalid)?.memory64 {
                        return Err(ModuleError::Memory64);
                    }
                }
            }
            Payload::GlobalSection(section) => {
                if section.count() > limits::GLOBALS {
                    return Err(over("globals", section.count(), limits::GLOBALS));
                }
                for global in section {
                    let ty = global.map_err(invalid)?.ty;
                    if ty.mutable && ty.content_type.is_reference_type() {
                        return Err(ModuleError::ReferenceGlobal);
                    }
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export.map_err(invalid)?;
                    if export.name.starts_with(GLOBAL_EXPORT_PREFIX) {
                        let name = export.name.to_owned();
                        return Err(ModuleError::Export {
                            name,
                            reason: "the name is reserved",
                        });
                    }
                    if export.kind == ExternalKind::Func {
                        let ty = function_type(&types, &functions, export.index);
                        let is_entry =
                            ty.is_some_and(|ty| ty.params().is_empty() && ty.results().is_empty());
                        entry_points.add(export.name, is_entry)?;
                    }
                }
            }
            Payload::StartSection { .. } => entry_points.start = true,
            Payload::CodeSectionStart { size, .. }
                if size as usize > limits::CODE_SECTION_BYTES =>
            {
                return Err(ModuleError::limit(
                    "bytes of the code section",
                    size as usize,
                    limits::CODE_SECTION_BYTES,
                ));
            }
            Payload::CustomSection(section) => metadata.add(section.name(), section.data())?,
            _ => {}
        }
    }

    let mut allocations = wasmparser::FuncValidatorAllocations::default();
    for (function, body) in bodies {
        let mut operators = body.get_operators_reader().map_err(invalid)?;
        let mut count = 0;
        while !operators.eof() {
            operators.read().map_err(invalid)?;
            count += 1;
        }
        if count > limits::FUNCTION_OPERATORS {
            return Err(ModuleError::limit(
                "operators of a function",
                count,
                limits::FUNCTION_OPERATORS,
            ));
        }
        let mut function = function.into_validator(allocations);
        function.validate(&body).map_err(invalid)?;
        allocations = function.into_allocations();
    }
    Ok((entry_points, metadata.by_name))
}

/// The type index of an import that is a function of `ic0` with the right type; anything else is refused.
fn check_import(
    module: &str,
    name: &str,
    ty: TypeRef,
    types: &[Option<FuncType>],
) -> Result<u32, ModuleError> {
    let refused = |reason| ModuleError::Import {
        module: module.to_owned(),
        name: name.to_owned(),
        reason,
    };
    if module != "ic0" {
        return Err(refused("a canister may import from ic0 only"));
    }
    let (TypeRef::Func(index), Some((params, results))) = (ty, system_api::signature(name, false))
    else {
        return Err(refused("ic0 has no such function"));
    };
    match types.get(index as usize) {
        Some(Some(ty)) if ty.params() == params && ty.results() == results => Ok(index),
        _ => Err(refused("the function has another type")),
    }
}

fn function_type<'a>(
    types: &'a [Option<FuncType>],
    functions: &[u32],
    index: u32,
) -> Option<&'a FuncType> {
    types
        .get(*functions.get(index as usize)? as usize)?
        .as_ref()
}

fn over(what: &'static str, is: u32, limit: u32) -> ModuleError {
    ModuleError::limit(what, is as usize, limit as usize)
}
