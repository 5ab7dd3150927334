//! The three canisters together, with a million organisations and a million persons: what their calls take in instructions.
//!
//! Flow: canisters → states laid out natively by the canisters' own code, loaded as stable memory → upgrades, which open them
//! → calls as people make them, each of them checked for its answer.
//!
//! What is counted is what localnet meters as the Internet Computer does: the messages of a call, with the callbacks of the
//! calls that it makes, without timers. Of each kind of call, some were made before: what a canister prepares at the first
//! use of a type since its start is not counted.

mod hosting;
mod identity;
mod licences;
mod registry;
mod setting;

use std::sync::OnceLock;

pub(crate) use hosting::create as create_app;
use setting::Suite;

/// Calls that a figure is the mean of.
const OPERATIONS: u32 = 200;

/// What was measured at one size: instructions, means of one call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    pub(crate) registry: registry::Figures,
    pub(crate) identity: identity::Figures,
    pub(crate) licences: licences::Figures,
}

/// The figures at 10,000 organisations and persons.
pub(crate) fn small() -> anyhow::Result<Figures> {
    static SMALL: OnceLock<Figures> = OnceLock::new();
    once(&SMALL, 10_000)
}

/// The figures at a million of both.
pub(crate) fn large() -> anyhow::Result<Figures> {
    static LARGE: OnceLock<Figures> = OnceLock::new();
    once(&LARGE, 1_000_000)
}

fn once(cell: &'static OnceLock<Figures>, records: u64) -> anyhow::Result<Figures> {
    if let Some(known) = cell.get() {
        return Ok(*known);
    }
    let (mut suite, order) = Suite::new(records)?;
    let figures = Figures {
        registry: registry::measure(&mut suite, records)?,
        identity: identity::measure(&mut suite, records)?,
        licences: licences::measure(&mut suite, &order)?,
    };
    eprintln!("bench: {records} organisations and persons: {figures:?}");
    Ok(*cell.get_or_init(|| figures))
}
