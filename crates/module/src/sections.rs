//! Sections of a binary module, taken apart and put together again.
//!
//! A section that holds a list is a count (LEB128) and its entries, so entries can be added behind those that
//! are there without a look at them.

use std::ops::Range;

use wasmparser::{BinaryReader, BinaryReaderError};

/// Ids of the sections, in the order in which they stand (WebAssembly core specification, "Binary format").
pub(crate) const ORDER: [u8; 13] = [1, 2, 3, 4, 5, 13, 6, 7, 8, 9, 12, 10, 11];

pub(crate) const TYPES: u8 = 1;
pub(crate) const FUNCTIONS: u8 = 3;
pub(crate) const GLOBALS: u8 = 6;
pub(crate) const EXPORTS: u8 = 7;
pub(crate) const START: u8 = 8;
pub(crate) const CODE: u8 = 10;

/// Appends an unsigned LEB128 number.
pub(crate) fn leb128(bytes: &mut Vec<u8>, mut number: u32) {
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return;
        }
        bytes.push(low | 0x80);
    }
}

/// The list of a section (or none, where there is no such section) with `count` further entries.
pub(crate) fn extended(
    wasm: &[u8],
    section: Option<Range<usize>>,
    count: u32,
    entries: &[u8],
) -> Result<Vec<u8>, BinaryReaderError> {
    let (before, old) = match section {
        Some(range) => {
            let mut reader = BinaryReader::new(&wasm[range.clone()], range.start);
            let before = reader.read_var_u32()?;
            (before, &wasm[reader.original_position()..range.end])
        }
        None => (0, &[][..]),
    };
    let mut bytes = Vec::with_capacity(5 + old.len() + entries.len());
    leb128(&mut bytes, before + count);
    bytes.extend_from_slice(old);
    bytes.extend_from_slice(entries);
    Ok(bytes)
}
