//! Installs, upgrades and restores other canisters, step by step, so that nothing that happens on the way leaves one half-done.
//!
//! ```text
//! look ─► ask ─► upload … ─► stop ─► keep ─► install ─► start ─► probe ─► confirm ─► discard ─► tidy ─► Live
//!           │                 │        │         │         │        │         │
//!  nothing was done yet       └────────┴─────────┘         └────────┴─────────┘ it does not come up
//!           ▼                          ▼                             ▼
//!        Refused             start ─► discard ─► tidy       stop ─► load ─► start ─► wake ─► discard ─► tidy
//!                                  = Refused                            = Restored, or Broken
//! ```
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`work`] | where an installation stands, and what comes next: no call, no clock |
//! | [`step`] | the calls that steps are |
//! | [`works`] | those that are under way, in stable memory |
//! | [`orders`] | what governors decided: who may have it carried out, and with what |
//! | [`modules`] | modules in stable memory, uploaded in chunks and checked by their hash |
//!
//! Invariants:
//! - Each step is one call. Where an installation stands is stored before the call and after its answer; whoever finds one whose answer was
//!   lost (a trap in the callback, an upgrade of the orchestrator) goes on so that it does not matter whether the call was carried out.
//! - A canister is stopped from before its snapshot until it is started, so nobody is told anything that the snapshot would not know.
//! - A snapshot is put back only until the new module is confirmed. A canister that keeps to the maintenance protocol answers nobody else
//!   before, so nothing that it acknowledged is lost; of others, what they acknowledge between start and probe.
//! - Calls that the canister could hold up, its own methods and its stopping, are best-effort: it can't keep the orchestrator from stopping.

pub mod modules;
pub mod orders;
pub mod step;
pub mod work;
pub mod works;

pub use modules::Modules;
pub use step::{Answer, Step};
pub use work::{Going, Plan, Work};
pub use works::Works;
