//! The PocketIC protocol, as the unmodified crate `pocket-ic` speaks it to the built `pocket-ic`.

#![allow(clippy::unwrap_used, clippy::panic)]

mod canisters;
mod instances;
