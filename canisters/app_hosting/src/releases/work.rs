//! How a release is carried out: what is begun, the step that comes next, what came of it, how it ended.

use candid::Principal;
use ic_stable_structures::Memory;
use indus_api::{
    Error,
    hosting::{
        AppOwner, Ended, HostedCanister, HostedCanisterRecord, Release, ReleaseOf, ReleaseState,
        canister_key,
    },
};
use indus_kit::{Context, codes::internal};
use indus_orchestrator::{
    Answer, Going, Plan, Step, Work,
    modules::{self, ModuleHash},
    works::{self, Next, Prepared},
};
use serde_bytes::ByteBuf;

use super::{change, get};
use crate::{
    creations,
    state::{CANISTER, DAMAGED, RELEASE_ENDED, RELEASE_STARTED, State, limit_reached},
};

/// Releases of one app that are carried out at once.
pub const MAX_RUNNING_OF_APP: usize = 5;

/// Kind of the pending operation that carries a release out; its argument is the release's id, big-endian.
pub const CARRY_OUT: u16 = 1;

/// Records that a release begins, and has it carried out.
pub(super) fn started<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    actor: Principal,
    release: &Release,
    argument: Vec<u8>,
) -> Result<(), Error> {
    if let ReleaseOf::App(app) = release.of {
        let is_running = |canister| {
            let open = state.open_releases.get(&canister);
            open.is_some_and(|id| state.works.contains(id))
        };
        let running = creations::of_app(state, app).filter(|one| is_running(*one));
        if running.count() >= MAX_RUNNING_OF_APP {
            return Err(limit_reached(
                MAX_RUNNING_OF_APP as u64,
                "releases of the app at once",
            ));
        }
    }
    let work = work(state, release, argument)?;
    let operation = order(state, context, release.id)?;
    let recorded = state.record(context, RELEASE_STARTED, actor, vec![change(release)?]);
    if recorded.is_err() {
        state.pending.cancel(operation)?;
    }
    recorded?;
    state.works.begin(release.id, work);
    Ok(())
}

/// The work of a release, not begun.
fn work<M: Memory>(
    state: &State<M>,
    release: &Release,
    argument: Vec<u8>,
) -> Result<Prepared, Error> {
    let hash = modules::module_hash(&release.module_hash)?;
    let chunks = state.modules.get(release.of, &hash)?.chunks;
    let (previous, controllers) = match release.of {
        ReleaseOf::App(app) => match state.app(app)?.owner {
            AppOwner::Organisation(_) => (None, Some(vec![state.own])),
            AppOwner::Person(_) => (None, None),
        },
        ReleaseOf::Upgrade { .. } => (release.replaced.clone(), None),
    };
    works::prepared(Plan {
        canister: release.canister,
        module_hash: release.module_hash.clone(),
        chunks,
        argument: ByteBuf::from(argument),
        previous,
        keep_memory: release.keep_memory,
        health: release.health.clone(),
        controllers,
        confirms: None,
    })
}

/// Has a release carried out, by whoever comes first: who asked for it, or the timer.
fn order<M: Memory>(state: &mut State<M>, context: &Context, id: u64) -> Result<u64, Error> {
    let argument = works::operation(id);
    state.pending.record(context.time_ns, CARRY_OUT, argument)
}

/// The next step of a release, with the canister that it is about; none if it does not run.
///
/// # Errors
/// [`Error::Internal`].
pub fn next<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    id: u64,
) -> Result<Option<(Principal, Step)>, Error> {
    if !state.works.contains(id) {
        return Ok(None);
    }
    let of = get(state, id)?.of;
    let modules = &state.modules;
    let chunk = |hash: &ModuleHash, index| modules.chunk(of, hash, index);
    match state.works.next(context.time_ns, id, chunk)? {
        None => Ok(None),
        Some(Next::Take(canister, step)) => Ok(Some((canister, step))),
        Some(Next::Over(work, how)) => ended(state, context, id, &work, how).map(|()| None),
    }
}

/// Takes in the answer to the step that is under way. How it goes on; [`Going::Ended`] is recorded.
///
/// # Errors
/// [`Error::Internal`].
pub fn answered<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    id: u64,
    answer: Answer,
) -> Result<Going, Error> {
    let (going, work) = state.works.answered(id, answer)?;
    if let Going::Ended(how) = going {
        ended(state, context, id, &work, how)?;
    }
    Ok(going)
}

/// Records how a release ended.
fn ended<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    id: u64,
    work: &Work,
    how: Ended,
) -> Result<(), Error> {
    let release = get(state, id)?;
    let release = Release {
        replaced: work.before().cloned(),
        state: ReleaseState::Ended {
            at_ns: context.time_ns,
            how,
        },
        ..release
    };
    let mut changes = vec![change(&release)?];
    if let (Ended::Live, ReleaseOf::App(_)) = (how, release.of) {
        let hosted = creations::get(state, release.canister)?;
        let key = canister_key(release.canister).ok_or_else(|| internal(DAMAGED))?;
        let hosted = HostedCanister {
            release: Some(id),
            release_before: hosted.release,
            module_hash: Some(release.module_hash.clone()),
            ..hosted
        };
        changes.push(CANISTER.put(&key, &HostedCanisterRecord::V1(hosted))?);
    }
    state.record(context, RELEASE_ENDED, state.own, changes)?;
    state.works.end(id);
    state.open_releases.remove(&release.canister);
    if let Some(said) = work.said() {
        state.messages.insert(id, said);
    }
    if how != Ended::Live {
        state.arguments.remove(&id);
    } else if let ReleaseOf::Upgrade { .. } = release.of {
        let hash = modules::module_hash(&release.module_hash)?;
        state.modules.drop_module(release.of, &hash);
    }
    Ok(())
}
