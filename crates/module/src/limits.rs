//! What a real subnet accepts of a module (IC interface specification, "Canister module format", and the
//! replica's configuration).

/// Longest module, unpacked.
pub const MODULE_BYTES: usize = 100 * 1024 * 1024;
/// Longest code section.
pub const CODE_SECTION_BYTES: usize = 12 * 1024 * 1024;
/// Most functions, imported ones not counted.
pub const FUNCTIONS: u32 = 50_000;
/// Longest function, in operators.
pub const FUNCTION_OPERATORS: usize = 1_000_000;
/// Most globals.
pub const GLOBALS: u32 = 1_000;
/// Most `icp:` custom sections.
pub const METADATA_SECTIONS: usize = 16;
/// Names and contents of the `icp:` custom sections together, in bytes.
pub const METADATA_BYTES: usize = 1024 * 1024;
/// Most exported methods.
pub const METHODS: usize = 1_000;
/// Names of the exported methods together, in bytes.
pub const METHOD_NAME_BYTES: usize = 20_000;
/// Most tables. wasmtime's own pools are sized by this.
pub const TABLES: u32 = 10;
/// Largest table, in elements, at the start.
pub const TABLE_ELEMENTS: usize = 1_000_000;
