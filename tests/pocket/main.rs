//! The PocketIC protocol, as the unmodified crate `pocket-ic` speaks it to the built `pocket-ic`.

#![allow(clippy::unwrap_used, clippy::panic)]

mod calls;
mod canisters;
mod gateway;
mod instances;
mod live;
mod outcalls;
mod server;
mod site;
mod snapshots;
mod state;
mod time;
