//! Why a subnet would not take a module.
//!
//! The texts are those that the Internet Computer shows to whoever installs the module, behind
//! `Canister's Wasm module is not valid: `.

use thiserror::Error;
use wasmparser::ValType;

/// See the module's documentation.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ModuleError {
    /// Neither WebAssembly nor gzip of it.
    #[error("Failed to decode wasm module: unsupported canister module format.")]
    NotAModule,
    /// The gzip stream is cut off or damaged.
    #[error("Failed to decode wasm module: the gzip stream is broken.")]
    Gzip,
    /// The module is larger than a subnet unpacks.
    #[error("Wasm module size of {is} exceeds the maximum allowed size of {limit}.")]
    ModuleTooLarge { is: usize, limit: usize },
    #[error("Wasm module code section size of {is} exceeds the maximum allowed size of {limit}.")]
    CodeSectionTooLarge { is: usize, limit: usize },
    /// It breaks a rule of WebAssembly, or uses what subnets have switched off.
    #[error("Wasmtime failed to validate wasm module wasmtime::Module::validate() failed with {0}")]
    Invalid(String),
    #[error("Wasm module has an invalid import section. {0}")]
    Import(String),
    /// An imported function or an entry point has another type than it must have.
    #[error("Wasm module has an invalid function signature. {0}")]
    Signature(String),
    #[error("Wasm module has an invalid export section. {0}")]
    Export(String),
    #[error(
        "Duplicate function '{name}' exported multiple times with different call types: update, query, or composite_query."
    )]
    DuplicateMethod { name: String },
    #[error(
        "The number of exported functions called `canister_update <name>`, `canister_query <name>`, or `canister_composite_query <name>` is {is} which exceeds {limit}."
    )]
    TooManyMethods { is: usize, limit: usize },
    #[error(
        "The sum of `<name>` lengths in exported functions called `canister_update <name>`, `canister_query <name>`, or `canister_composite_query <name>` is {is} which exceeds the allowed limit of {limit}."
    )]
    MethodNamesTooLong { is: usize, limit: usize },
    /// `what` is functions, globals, custom sections, tables or elements of a table.
    #[error("Wasm module defined {is} {what} which exceeds the maximum number allowed {limit}.")]
    TooMany {
        what: &'static str,
        is: usize,
        limit: usize,
    },
    /// A heap that no canister may have; in Wasm pages.
    #[error("Wasm module memory of {is} pages exceeds the maximum allowed size of {limit} pages.")]
    MemoryTooLarge { is: u64, limit: u64 },
    #[error("Wasm module has an invalid global section. Unsupported global type: {0:?}")]
    GlobalType(ValType),
    #[error("Wasm module has an invalid custom section. {0}")]
    CustomSection(String),
    /// The compiler would need too long for this function.
    #[error(
        "Wasm module contains a function at index {index} with complexity {is} which exceeds the maximum complexity allowed {limit}."
    )]
    FunctionTooComplex { index: usize, is: u64, limit: u64 },
    #[error(
        "Wasm module contains a function at index {index} of size {is} that exceeds the maximum allowed size of {limit}."
    )]
    FunctionTooLarge {
        index: usize,
        is: usize,
        limit: usize,
    },
}

impl From<wasmparser::BinaryReaderError> for ModuleError {
    fn from(error: wasmparser::BinaryReaderError) -> Self {
        Self::Invalid(error.to_string())
    }
}
