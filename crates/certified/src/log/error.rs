//! Why a log refuses.

use super::region::VERSION;

/// Why an operation on a log was refused. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// There is no such entry in a log of this size.
    #[error("index {index} is not below the size {size}")]
    NoSuchEntry { index: u64, size: u64 },
    /// An argument is too large; bytes, where it is a length.
    #[error("{field} is {value}, above its bound of {bound}")]
    AboveBound {
        field: &'static str,
        value: u64,
        bound: u64,
    },
    /// A memory did not grow.
    #[error("the memory of {memory} can't grow by {pages} Wasm pages")]
    OutOfMemory { memory: &'static str, pages: u64 },
    /// A stored reference points to where no payload can be.
    #[error("{field} {value:#x} points outside of the payloads: the log is damaged")]
    Damaged { field: &'static str, value: u64 },
}

pub(crate) fn check_bound(field: &'static str, value: u64, bound: u64) -> Result<(), LogError> {
    if value > bound {
        return Err(LogError::AboveBound {
            field,
            value,
            bound,
        });
    }
    Ok(())
}

/// Why memories can't be opened as a log. Nothing has been written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// A memory without a page; [`create`](crate::CertifiedLog::create) was never called on it.
    #[error("the memory of {memory} is empty")]
    Empty { memory: &'static str },
    /// A memory that starts with other bytes than a log's.
    #[error("the memory of {memory} starts with {magic:02x?}: it is not a log's")]
    Foreign {
        memory: &'static str,
        magic: [u8; 8],
    },
    /// A layout that this code does not know.
    #[error("the memory of {memory} has layout version {version}; known is {VERSION}")]
    UnknownVersion { memory: &'static str, version: u32 },
    /// A header that contradicts its memory.
    #[error("in the memory of {memory}, {field} is {value}, above its bound of {bound}")]
    Inconsistent {
        memory: &'static str,
        field: &'static str,
        value: u64,
        bound: u64,
    },
    /// A header that points to where no slot for a payload can start.
    #[error("in the memory of payloads, {field} is {offset}, where no slot can be")]
    NotASlot { field: &'static str, offset: u64 },
}
