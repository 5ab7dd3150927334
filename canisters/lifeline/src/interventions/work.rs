//! How an intervention is carried out: what is begun, the step that comes next, what came of it, how it ended.

use candid::Principal;
use ic_stable_structures::Memory;
use indus_api::{
    Error,
    lifeline::{Action, Ended, Failure, HealthCheck, Intervention, InterventionState},
};
use indus_kit::{Context, calls::CallError, codes::internal};
use indus_orchestrator::{
    Answer, Going, Plan, Step, Work, modules,
    work::MAX_RETRIES,
    works::{self, Next, Prepared},
};
use serde_bytes::ByteBuf;

use super::{change, closed, get};
use crate::{
    state::{DAMAGED, ENDED, STARTED, State},
    uploads::{self, Of},
};

/// Kind of the pending operation that carries an installation out; its argument is the intervention's id, big-endian.
pub const INSTALL: u16 = 1;
/// The same of one that sets controllers.
pub const SET_CONTROLLERS: u16 = 2;

/// Records that an installation begins, and has it carried out.
pub(super) fn started<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    intervention: Intervention,
    work: Prepared,
) -> Result<Intervention, Error> {
    ordered(state, context, &intervention, INSTALL)?;
    state.works.begin(intervention.id, work);
    Ok(intervention)
}

/// Records that it begins, and has it carried out, by whoever comes first: who asked for it, or the timer.
pub(super) fn ordered<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    intervention: &Intervention,
    kind: u16,
) -> Result<(), Error> {
    let changes = vec![change(intervention)?];
    let argument = works::operation(intervention.id);
    let operation = state.pending.record(context.time_ns, kind, argument)?;
    let recorded = state.record(context, STARTED, context.caller, changes);
    if recorded.is_err() {
        state.pending.cancel(operation)?;
    }
    recorded?;
    state.active.insert(intervention.id, ());
    Ok(())
}

/// The work of an installation, not begun.
pub(super) fn prepared<M: Memory>(
    state: &State<M>,
    intervention: &Intervention,
    argument: ByteBuf,
) -> Result<Prepared, Error> {
    let Action::Install {
        canister,
        module_hash,
        health,
        ..
    } = &intervention.action
    else {
        return Err(internal(DAMAGED));
    };
    let hash = modules::module_hash(module_hash)?;
    let of = Of(uploads::of(intervention));
    works::prepared(Plan {
        canister: *canister,
        module_hash: module_hash.clone(),
        chunks: state.modules.get(of, &hash)?.chunks,
        argument,
        previous: intervention.replaced.clone(),
        keep_memory: false,
        health: health.clone(),
        controllers: None,
        // What is installed so answers nobody until it is told to.
        confirms: (*health != HealthCheck::Maintenance).then_some(true),
    })
}

/// The next step of an installation, with the canister that it is about; none if it does not run.
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
    let of = uploads::of(&get(state, id)?);
    let modules = &state.modules;
    let chunk = |hash: &modules::ModuleHash, index| modules.chunk(Of(of), hash, index);
    match state.works.next(context.time_ns, id, chunk)? {
        None => Ok(None),
        Some(Next::Take(canister, step)) => Ok(Some((canister, step))),
        Some(Next::Over(work, how)) => installed(state, context, id, &work, how).map(|()| None),
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
        installed(state, context, id, &work, how)?;
    }
    Ok(going)
}

/// The canister whose controllers an intervention sets, and who they are; none if it does not run.
///
/// # Errors
/// [`Error::Internal`].
pub fn controllers<M: Memory>(
    state: &State<M>,
    id: u64,
) -> Result<Option<(Principal, Vec<Principal>)>, Error> {
    let intervention = get(state, id)?;
    Ok(match (intervention.state, intervention.action) {
        (
            InterventionState::Running { .. },
            Action::SetControllers {
                canister,
                controllers,
            },
        ) => Some((canister, controllers)),
        _ => None,
    })
}

/// Takes in what came of setting them, at the attempt of this number. Whether it is over: what may not have been done is done again, and
/// what surely was not, [`MAX_RETRIES`] times.
///
/// # Errors
/// [`Error::Internal`].
pub fn controllers_set<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    id: u64,
    attempt: u32,
    answer: Result<(), CallError>,
) -> Result<bool, Error> {
    let refused = Ended::Refused(Failure::NotControlled);
    let (how, message) = match answer {
        Ok(()) => (Ended::Live, None),
        Err(CallError::Rejected { message, .. }) => (refused, Some(message)),
        Err(failed) if !failed.may_have_run() && attempt > MAX_RETRIES => {
            (refused, Some(failed.to_string()))
        }
        Err(_) => return Ok(false),
    };
    ended(state, context, id, None, message, how)?;
    Ok(true)
}

/// Records how an installation ended.
fn installed<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    id: u64,
    work: &Work,
    how: Ended,
) -> Result<(), Error> {
    let replaced = work.before().cloned();
    ended(state, context, id, replaced, work.said(), how)
}

/// Records how an intervention ended.
fn ended<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    id: u64,
    replaced: Option<ByteBuf>,
    message: Option<String>,
    how: Ended,
) -> Result<(), Error> {
    let intervention = Intervention {
        replaced,
        state: InterventionState::Ended {
            at_ns: context.time_ns,
            how,
        },
        ..get(state, id)?
    };
    let changes = vec![change(&intervention)?];
    state.record(context, ENDED, state.own, changes)?;
    state.works.end(id);
    if let Some(message) = message {
        state.messages.insert(id, message);
    }
    closed(state, &intervention)
}
