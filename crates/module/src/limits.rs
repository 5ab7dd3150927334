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
/// Most complex function.
pub const FUNCTION_COMPLEXITY: u64 = 1_000_000;
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
/// Most tables.
pub const TABLES: u32 = 1;
/// Largest table, in elements, at the start and later.
pub const TABLE_ELEMENTS: usize = 1_000_000;
/// Largest heap with 32-bit addresses, in bytes.
pub const MEMORY32_BYTES: u64 = 4 << 30;
/// Largest heap with 64-bit addresses, in bytes.
pub const MEMORY64_BYTES: u64 = 6 << 30;
