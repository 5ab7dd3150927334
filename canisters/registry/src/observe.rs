//! Asking the subnet about the canisters of the inventory.
//!
//! Around the call: one at a time for each canister, and what the answer is recorded in is looked up after it. A lost answer
//! costs an observation, which the timer asks for again.

use std::cell::RefCell;

use candid::{CandidType, Principal};
use ic_stable_structures::DefaultMemoryImpl;
use indus_api::{Error, registry::CanisterEntry};
use indus_kit::{
    Context,
    calls::{Call, CallError},
    guard::Guards,
    shell,
    timers::{self, Progress},
};
use serde::Deserialize;

use crate::{Registry, State, inventory};

/// Most questions at once.
const MAX_UNDER_WAY: usize = 50;
/// Longest answer, in bytes: a hash and ten controllers, without changes.
const MAX_REPLY_BYTES: usize = 2_000;

thread_local! {
    static UNDER_WAY: Guards<Principal> = Guards::new("observations at once", MAX_UNDER_WAY);
    /// Where the next slice begins. In the heap: after an upgrade it begins with the first one.
    static CURSOR: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Argument of the management canister's `canister_info` (IC interface specification).
#[derive(CandidType)]
struct CanisterInfoArgs {
    canister_id: Principal,
    num_requested_changes: Option<u64>,
}

/// What this canister needs of its answer.
#[derive(CandidType, Deserialize)]
struct CanisterInfo {
    module_hash: Option<serde_bytes::ByteBuf>,
    controllers: Vec<Principal>,
}

/// Asks about a canister, and records the answer if it is news.
///
/// # Errors
/// [`Error::Unauthorized`] to anonymous callers; [`Error::NotFound`] for a canister that is not in the inventory;
/// [`Error::Conflict`] while it is asked about; [`Error::LimitReached`]; [`Error::Unavailable`] without an answer.
pub(crate) async fn observe(canister: Principal) -> Result<CanisterEntry, Error> {
    shell::query(|state: &Registry, context| {
        context.authenticated()?;
        inventory::get(state, canister)
    })?;
    asked(canister).await
}

async fn asked(canister: Principal) -> Result<CanisterEntry, Error> {
    let _under_way = UNDER_WAY.with(|under_way| under_way.enter(canister))?;
    let args = CanisterInfoArgs {
        canister_id: canister,
        num_requested_changes: None,
    };
    let info = info(&args)
        .await
        .map_err(|error| error.of("management canister"))?;
    shell::update(|state: &mut State<DefaultMemoryImpl>, context| {
        let module_hash = info.module_hash.map(serde_bytes::ByteBuf::into_vec);
        inventory::observed(state, context, canister, module_hash, info.controllers)
    })
}

async fn info(args: &CanisterInfoArgs) -> Result<CanisterInfo, CallError> {
    let management = Principal::management_canister();
    let call = Call::new(management, "canister_info", args)?.with_max_reply(MAX_REPLY_BYTES);
    call.suite::<Registry>().await?.candid()
}

/// Asks about the canisters whose observations are old, each in a message of its own.
pub(crate) fn slice(context: &Context, slice: usize) -> Progress {
    let after = CURSOR.take();
    let query = |state: &Registry, _: &Context| {
        Ok(inventory::stale(state, context, after.as_deref(), slice))
    };
    // In maintenance no job runs.
    let (stale, next) = shell::query(query).unwrap_or_default();
    for canister in stale {
        timers::soon(async move {
            // What can't be asked now is asked for again.
            let _later = asked(canister).await;
        });
    }
    let more = next.is_some();
    CURSOR.set(next);
    if more { Progress::More } else { Progress::Done }
}
