//! Modules that are uploaded, for what founders and developers release and what governors decided.
//!
//! Invariant: an app's modules make room for that app's only. What runs, or is about to, never does; what ran before does last.

use std::collections::BTreeMap;

use ic_stable_structures::Memory;
use indus_api::{
    Error, Subject,
    hosting::{ModuleArgs, ReleaseOf, UploadArgs, Uploaded},
    registry::ApprovedUpgrade,
};
use indus_kit::{Context, text::invalid};
use indus_orchestrator::{
    modules::{self, ModuleHash, Need},
    orders::check_decided,
};

use crate::{apps, creations, releases, state::State};

/// Takes in a chunk of a module for an app, by who may change it.
///
/// # Errors
/// [`Error::NotFound`] for the app; [`Error::Unauthorized`]; those of [`modules::Modules::upload`].
pub fn upload<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    subject: &Subject,
    args: UploadArgs,
) -> Result<Uploaded, Error> {
    let ReleaseOf::App(app) = args.of else {
        return Err(invalid("of", "must be an app"));
    };
    let owner = state.app(app)?.owner;
    apps::check(subject, owner, true)?;
    let limit = state.in_force()?.configuration.module_bytes_of_app;
    let needed = needed(state, app)?;
    taken(state, context, args, limit, &needed)
}

/// The same for an upgrade of the suite, by those who decided it.
///
/// # Errors
/// [`Error::Unauthorized`]; those of [`modules::Modules::upload`].
pub fn upload_for_upgrade<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    upgrade: &ApprovedUpgrade,
    args: UploadArgs,
) -> Result<Uploaded, Error> {
    check_decided(context, upgrade)?;
    let of = ReleaseOf::Upgrade {
        proposal: upgrade.proposal,
    };
    if args.of != of || args.module_hash != upgrade.order.module_hash {
        return Err(invalid("module_hash", "must be the one that was approved"));
    }
    let limit = state.in_force()?.configuration.module_bytes_of_app;
    taken(state, context, args, limit, &BTreeMap::new())
}

fn taken<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    args: UploadArgs,
    limit: u64,
    needed: &BTreeMap<ModuleHash, Need>,
) -> Result<Uploaded, Error> {
    let hash = modules::module_hash(&args.module_hash)?;
    let chunk = (args.index, args.chunk.into_vec());
    state
        .modules
        .upload(context.time_ns, (args.of, &hash), chunk, limit, |hash| {
            needed.get(hash).copied().unwrap_or(Need::None)
        })
}

/// What there is of a module.
///
/// # Errors
/// [`Error::NotFound`].
pub fn get<M: Memory>(state: &State<M>, args: &ModuleArgs) -> Result<Uploaded, Error> {
    let hash = modules::module_hash(&args.module_hash)?;
    state.modules.get(args.of, &hash)
}

/// The modules that an app's canisters run, or are about to run, and those that they ran before.
fn needed<M: Memory>(state: &State<M>, app: u64) -> Result<BTreeMap<ModuleHash, Need>, Error> {
    let mut needed = BTreeMap::new();
    for canister in creations::of_app(state, app) {
        let hosted = creations::get(state, canister)?;
        let open = state.open_releases.get(&canister);
        if let Some(before) = hosted.release_before {
            let hash = modules::module_hash(&releases::get(state, before)?.module_hash)?;
            needed.entry(hash).or_insert(Need::Spare);
        }
        for id in [hosted.release, open].into_iter().flatten() {
            let hash = modules::module_hash(&releases::get(state, id)?.module_hash)?;
            needed.insert(hash, Need::All);
        }
    }
    Ok(needed)
}
