//! Why a messenger did not do something.

use indus_client::ClientError;
use thiserror::Error;

use crate::alarm::Alarm;
use crate::store::StoreError;

/// Why it was not done. Nothing that was begun is lost: what had been written goes on when the same is done again.
#[derive(Debug, Error)]
pub enum MessengerError {
    /// What was answered can't be so. It is kept with its evidence; nothing of it is shown.
    #[error("{0}")]
    Alarm(Box<Alarm>),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What openmls refuses, while doing what.
    #[error("MLS, {doing}: {reason}")]
    Mls { doing: &'static str, reason: String },
    #[error("this device is not in conversation {0}, or has not received its welcome yet")]
    NotIn(u64),
    #[error("this device was removed from conversation {0}")]
    Removed(u64),
    #[error("a text has at most {limit} bytes, this one has {found}")]
    TooLong { limit: usize, found: usize },
    #[error("{0} has no device in the conversation")]
    NoMember(candid::Principal),
    #[error("nobody was added: {0}")]
    NobodyAdded(String),
    #[error("conversation {id} moves on too fast: {tries} commits came too late")]
    TooFast { id: u64, tries: u32 },
    #[error("the message store is of {found}, and the key of {expected}")]
    AnotherDevice { found: String, expected: String },
}

pub(crate) fn mls<E: std::fmt::Display>(doing: &'static str) -> impl FnOnce(E) -> MessengerError {
    move |error| MessengerError::Mls {
        doing,
        reason: error.to_string(),
    }
}
