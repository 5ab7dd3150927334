//! One of a log's two memories: its header, its growth, its reads and writes.

use ic_stable_structures::Memory;

use super::error::{LogError, OpenError};
use crate::WASM_PAGE;

/// The layout that this code writes, and the only one that it reads.
pub(crate) const VERSION: u32 = 1;

/// Magic, version and four bytes of zeros, before the fields.
const IDENTITY: u64 = 16;

/// Length of a header with so many fields.
pub(crate) const fn header_bytes(fields: u64) -> u64 {
    IDENTITY + 8 * fields
}

/// What a memory is for.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    /// Its name in errors.
    pub(crate) name: &'static str,
    pub(crate) magic: [u8; 8],
}

pub(crate) struct Region<M> {
    memory: M,
    kind: Kind,
}

impl<M: Memory> Region<M> {
    pub(crate) fn new(memory: M, kind: Kind) -> Self {
        Self { memory, kind }
    }

    pub(crate) fn write_header<const N: usize>(&self, fields: [u64; N]) {
        self.write(0, &self.kind.magic);
        self.write(8, &u64::from(VERSION).to_le_bytes());
        self.write_fields(0, fields);
    }

    /// Overwrites fields of the header, from the given one on.
    pub(crate) fn write_fields<const N: usize>(&self, first: usize, fields: [u64; N]) {
        let offset = header_bytes(first as u64);
        self.write(offset, fields.map(u64::to_le_bytes).as_flattened());
    }

    /// The header's fields, if it is one of this kind in the known version.
    pub(crate) fn fields<const N: usize>(&self) -> Result<[u64; N], OpenError> {
        let memory = self.kind.name;
        if self.memory.size() == 0 {
            return Err(OpenError::Empty { memory });
        }
        let magic = self.read(0);
        if magic != self.kind.magic {
            return Err(OpenError::Foreign { memory, magic });
        }
        let version = u32::from_le_bytes(self.read(8));
        if version != VERSION {
            return Err(OpenError::UnknownVersion { memory, version });
        }
        let mut bytes = [[0; 8]; N];
        self.memory.read(IDENTITY, bytes.as_flattened_mut());
        Ok(bytes.map(u64::from_le_bytes))
    }

    /// Refuses a value of the header that is above its bound.
    pub(crate) fn check(
        &self,
        field: &'static str,
        value: u64,
        bound: u64,
    ) -> Result<(), OpenError> {
        if value <= bound {
            return Ok(());
        }
        Err(OpenError::Inconsistent {
            memory: self.kind.name,
            field,
            value,
            bound,
        })
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.memory.size().saturating_mul(WASM_PAGE)
    }

    /// Makes sure that there are so many bytes.
    pub(crate) fn grow_to(&self, end: u64) -> Result<(), LogError> {
        let pages = end.saturating_sub(self.bytes()).div_ceil(WASM_PAGE);
        if pages > 0 && self.memory.grow(pages) < 0 {
            return Err(LogError::OutOfMemory {
                memory: self.kind.name,
                pages,
            });
        }
        Ok(())
    }

    pub(crate) fn read<const N: usize>(&self, offset: u64) -> [u8; N] {
        let mut bytes = [0; N];
        self.memory.read(offset, &mut bytes);
        bytes
    }

    pub(crate) fn read_vec(&self, offset: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.memory.read(offset, &mut bytes);
        bytes
    }

    pub(crate) fn write(&self, offset: u64, bytes: &[u8]) {
        self.memory.write(offset, bytes);
    }
}
