//! Commands for agencies, one file a noun.

pub(crate) mod key;
