//! Why the state in a stable memory can't be opened.

use thiserror::Error;

use crate::memories::NotManaged;

/// Why a memory can't be opened. Nothing was written to it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OpenError {
    /// The memory is not one that this canister has written.
    #[error(transparent)]
    NotManaged(#[from] NotManaged),
    /// There are memories, and no installation in them.
    #[error("stable memory holds no installation: install, don't upgrade")]
    NotInstalled,
    /// The memory is another canister's.
    #[error("stable memory is that of canister kind {found}, and this is {expected}")]
    AnotherKind {
        found: String,
        expected: &'static str,
    },
    /// The layout is of another version, most likely a newer one.
    #[error("stable memory has layout {found}, and this module knows layout {known} only")]
    UnknownLayout { found: u32, known: u32 },
    /// What should be there is not readable.
    #[error("stable memory is damaged: {0}")]
    Damaged(&'static str),
}
