//! Interventions: what keepers agree to, or governors decided, how it is carried out, how it ended.
//!
//! ```text
//! propose ─► Open ── approve … approve ──► Install, SetControllers: Running ─► Ended
//!             ├─ withdraw ─► Withdrawn └─► SetKeepers: Ended       ▲
//!             └─ 7 days ───► Expired                               │
//! carry_out ───────────────────────────────────────────────────────┘
//! ```
//!
//! Invariants:
//! - Nothing runs that fewer keepers approve than the threshold, except an upgrade of app_hosting that the registry's governors decided.
//! - The approvals of what is open are those of keepers, and its proposer is one: who becomes none takes theirs along.
//! - A canister has one intervention at most that runs.
//! - A decision of the governors that went live is never carried out again.
//!
//! Cost: O(log n) a call, besides what is open or runs, which is few, and hashing a module once.

mod work;

pub use work::{INSTALL, SET_CONTROLLERS, answered, controllers, controllers_set, next};

use candid::Principal;
use ic_stable_structures::Memory;
use indus_api::{
    Error,
    lifeline::{
        Action, Approval, ApproveArgs, CarryOutArgs, Ended, HealthCheck, Intervention,
        InterventionRecord, InterventionState, KEEPERS_KEY, Keepers, KeepersRecord, LIFETIME_NS,
        MAX_CONTROLLERS, MAX_METHOD_BYTES, MAX_OPEN, MAX_OPEN_OF_KEEPER, ModuleOf, ProposeArgs,
        Why, action_hash, intervention_key,
    },
    paging::{Page, PageArgs},
    registry::ApprovedUpgrade,
};
use indus_kit::{
    Change, Context,
    codes::internal,
    refusals::{conflict, limit_reached, not_found, unauthorized},
    text::{self, invalid},
};
use indus_orchestrator::{
    modules,
    orders::{
        check_argument, check_decided, check_in_time, check_ordered_argument, check_proposal,
        digest,
    },
};
use serde_bytes::ByteBuf;

use crate::{
    keepers::{self, for_keeper},
    state::{
        ACTION_NOT_ENCODED, APPROVED, DAMAGED, EXPIRED, INTERVENTION, KEEPER, KEEPERS_SET,
        PROPOSED, State, WITHDRAWN,
    },
    uploads::{self, Of},
};

/// Proposes an action, and approves it. Who proposes again what is open is answered with it.
///
/// # Errors
/// [`Error::Unauthorized`]; [`Error::Invalid`]; [`Error::NotFound`] for the module; [`Error::LimitReached`]; [`Error::RateLimited`].
pub fn propose<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    args: ProposeArgs,
) -> Result<Intervention, Error> {
    let keepers = for_keeper(state, context)?;
    let ProposeArgs { action, argument } = args;
    check(state.own, &keepers, &action, &argument)?;
    let mut open = active(state)?;
    open.retain(|one| one.state == InterventionState::Open);
    let (all, now_ns) = (open.len() as u64, context.time_ns);
    open.retain(|one| proposed_by(one) == Some(context.caller));
    let same = |one: &&Intervention| one.action == action && !is_over(one, now_ns);
    if let Some(same) = open.iter().find(same) {
        return Ok(same.clone());
    }
    if open.len() >= MAX_OPEN_OF_KEEPER {
        return Err(limit_reached(
            MAX_OPEN_OF_KEEPER as u64,
            "open interventions of one keeper",
        ));
    }
    if all >= MAX_OPEN {
        return Err(limit_reached(MAX_OPEN, "open interventions"));
    }
    if let Action::Install { module_hash, .. } = &action {
        let hash = modules::module_hash(module_hash)?;
        let of = Of(ModuleOf::Keeper(context.caller));
        state.modules.complete(of, &hash)?;
    }
    state.limits.take(context, None, 1)?;
    let approval = Approval {
        keeper: context.caller,
        at_ns: now_ns,
    };
    let why = Why::Votes {
        proposed_by: context.caller,
        approvals: vec![approval],
    };
    let intervention = new(state, context, why, action, InterventionState::Open)?;
    let id = intervention.id;
    let changes = vec![change(&intervention)?];
    state.record(context, PROPOSED, context.caller, changes)?;
    state.active.insert(id, ());
    if let Action::Install { .. } = intervention.action {
        state.arguments.insert(id, argument.into_vec());
    }
    Ok(intervention)
}

fn check(
    own: Principal,
    keepers: &Keepers,
    action: &Action,
    argument: &ByteBuf,
) -> Result<(), Error> {
    let is_ours = |canister: &Principal| {
        if [keepers.registry, keepers.app_hosting].contains(canister) {
            return Ok(());
        }
        Err(invalid("canister", "must be the registry or app_hosting"))
    };
    match action {
        Action::Install {
            canister,
            module_hash,
            argument_hash,
            health,
        } => {
            is_ours(canister)?;
            modules::module_hash(module_hash)?;
            if let HealthCheck::Method(method) = health {
                text::name("health", method, MAX_METHOD_BYTES)?;
            }
            check_argument(argument)?;
            if digest(argument) != *argument_hash {
                return Err(invalid("argument_hash", "must be that of the argument"));
            }
            return Ok(());
        }
        Action::SetKeepers { keepers, threshold } => keepers::check(keepers, *threshold)?,
        Action::SetControllers {
            canister,
            controllers,
        } => {
            is_ours(canister)?;
            if controllers.len() > MAX_CONTROLLERS {
                let reason = format!("must be 1 to {MAX_CONTROLLERS}");
                return Err(invalid("controllers", reason));
            }
            keepers::check_each("controllers", controllers)?;
            if !controllers.contains(&own) {
                return Err(invalid("controllers", "must have the lifeline among them"));
            }
        }
    }
    if argument.is_empty() {
        Ok(())
    } else {
        Err(invalid(
            "argument",
            "must be empty, where none is installed",
        ))
    }
}

/// Approves an intervention, exactly as it was read. With the threshold it begins. Repeatable.
///
/// # Errors
/// [`Error::Unauthorized`]; [`Error::NotFound`]; [`Error::Invalid`] for another hash; [`Error::Expired`]; [`Error::Conflict`] if it can't be
/// approved any more, or would begin while another one of the same canister runs.
pub fn approve<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    args: &ApproveArgs,
) -> Result<Intervention, Error> {
    let keepers = for_keeper(state, context)?;
    let mut intervention = get(state, args.id)?;
    if intervention.action_hash != args.action_hash {
        return Err(invalid("action_hash", "must be that of the intervention"));
    }
    let Why::Votes { approvals, .. } = &intervention.why else {
        return Err(conflict("the governors decided it: it needs no approval"));
    };
    let again = approvals.iter().any(|one| one.keeper == context.caller);
    if again && intervention.state != InterventionState::Open {
        return Ok(intervention);
    }
    check_open(&intervention, context)?;
    let Why::Votes { approvals, .. } = &mut intervention.why else {
        return Err(internal(DAMAGED));
    };
    if !again {
        approvals.push(Approval {
            keeper: context.caller,
            at_ns: context.time_ns,
        });
    }
    if approvals.len() >= usize::try_from(keepers.threshold).unwrap_or(usize::MAX) {
        return begin(state, context, &keepers, intervention);
    }
    if !again {
        let changes = vec![change(&intervention)?];
        state.record(context, APPROVED, context.caller, changes)?;
    }
    Ok(intervention)
}

/// Takes an open intervention back, by who proposed it. Repeatable.
///
/// # Errors
/// [`Error::Unauthorized`]; [`Error::NotFound`]; [`Error::Expired`]; [`Error::Conflict`] if it is not open.
pub fn withdraw<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    id: u64,
) -> Result<Intervention, Error> {
    for_keeper(state, context)?;
    let intervention = get(state, id)?;
    if proposed_by(&intervention) != Some(context.caller) {
        return Err(unauthorized("the keeper who proposed it"));
    }
    if matches!(intervention.state, InterventionState::Withdrawn { .. }) {
        return Ok(intervention);
    }
    check_open(&intervention, context)?;
    let intervention = withdrawn(intervention, context);
    let changes = vec![change(&intervention)?];
    state.record(context, WITHDRAWN, context.caller, changes)?;
    closed(state, &intervention)?;
    Ok(intervention)
}

/// Ends what was not approved in time, `slice` of it at most.
///
/// # Errors
/// [`Error::Internal`].
pub fn expire<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    slice: usize,
) -> Result<(), Error> {
    let mut over = active(state)?;
    over.retain(|one| one.state == InterventionState::Open && is_over(one, context.time_ns));
    over.truncate(slice);
    for one in &mut over {
        one.state = InterventionState::Expired {
            at_ns: context.time_ns,
        };
    }
    if over.is_empty() {
        return Ok(());
    }
    let changes = over.iter().map(change).collect::<Result<_, _>>()?;
    state.record(context, EXPIRED, state.own, changes)?;
    over.iter().try_for_each(|one| closed(state, one))
}

/// Has an upgrade of app_hosting carried out, exactly as the registry's governors decided, by one of those who did. Repeatable: one that runs,
/// or went live, is answered with.
///
/// # Errors
/// [`Error::Unauthorized`]; [`Error::Invalid`] for the argument, and for an upgrade of any other canister; [`Error::NotFound`] for the
/// module; [`Error::Conflict`] while another intervention in app_hosting runs; [`Error::RateLimited`].
pub fn carry_out<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    upgrade: &ApprovedUpgrade,
    args: CarryOutArgs,
) -> Result<Intervention, Error> {
    check_decided(context, upgrade)?;
    check_proposal(upgrade, args.proposal)?;
    let keepers = keepers::get(state)?;
    check_about(&keepers, upgrade)?;
    if let Some(id) = state.upgrades.get(&upgrade.proposal) {
        let before = get(state, id)?;
        let failed = |how| how != Ended::Live;
        if !matches!(before.state, InterventionState::Ended { how, .. } if failed(how)) {
            return Ok(before);
        }
    }
    let order = &upgrade.order;
    check_in_time(context, upgrade)?;
    check_ordered_argument(order, &args.argument)?;
    check_idle(state, order.canister)?;
    let of = ModuleOf::Decision {
        proposal: upgrade.proposal,
    };
    let hash = modules::module_hash(&order.module_hash)?;
    state.modules.complete(Of(of), &hash)?;
    state.limits.take(context, None, 1)?;
    let why = Why::Decision {
        proposal: upgrade.proposal,
        by: context.caller,
    };
    let action = Action::Install {
        canister: order.canister,
        module_hash: order.module_hash.clone(),
        argument_hash: order.argument_hash.clone(),
        health: HealthCheck::Maintenance,
    };
    let intervention = Intervention {
        replaced: Some(order.previous_hash.clone()),
        ..new(state, context, why, action, running(context))?
    };
    let work = work::prepared(state, &intervention, args.argument)?;
    let intervention = work::started(state, context, intervention, work)?;
    state.upgrades.insert(upgrade.proposal, intervention.id);
    Ok(intervention)
}

/// Refuses a decision about any other canister than app_hosting, which upgrades all others itself.
pub(crate) fn check_about(keepers: &Keepers, upgrade: &ApprovedUpgrade) -> Result<(), Error> {
    if upgrade.order.canister == keepers.app_hosting {
        return Ok(());
    }
    Err(invalid("proposal", "must be about app_hosting"))
}

// --- how it goes on -------------------------------------------------------------------------------------------------

/// Begins what enough keepers approve.
fn begin<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    keepers: &Keepers,
    intervention: Intervention,
) -> Result<Intervention, Error> {
    let (canister, work) = match &intervention.action {
        Action::SetKeepers {
            keepers: new,
            threshold,
        } => {
            let new = Keepers {
                keepers: new.clone(),
                threshold: *threshold,
                ..keepers.clone()
            };
            return set_keepers(state, context, keepers, new, intervention);
        }
        Action::Install { canister, .. } => {
            let argument = state.arguments.get(&intervention.id).unwrap_or_default();
            let argument = ByteBuf::from(argument);
            (
                *canister,
                Some(work::prepared(state, &intervention, argument)?),
            )
        }
        Action::SetControllers { canister, .. } => (*canister, None),
    };
    check_idle(state, canister)?;
    let intervention = Intervention {
        state: running(context),
        ..intervention
    };
    let intervention = match work {
        Some(work) => work::started(state, context, intervention, work)?,
        None => {
            work::ordered(state, context, &intervention, SET_CONTROLLERS)?;
            intervention
        }
    };
    state.arguments.remove(&intervention.id);
    Ok(intervention)
}

/// Others are keepers from now on. What is open and was proposed by who is none any more is taken back; approvals of those don't count.
fn set_keepers<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    before: &Keepers,
    new: Keepers,
    intervention: Intervention,
) -> Result<Intervention, Error> {
    let intervention = Intervention {
        state: InterventionState::Ended {
            at_ns: context.time_ns,
            how: Ended::Live,
        },
        ..intervention
    };
    let mut changes = vec![
        KEEPER.put(&KEEPERS_KEY, &KeepersRecord::V1(new.clone()))?,
        change(&intervention)?,
    ];
    let mut taken_back = Vec::new();
    let is_keeper = |who: Principal| new.keepers.contains(&who);
    for mut one in active(state)? {
        if one.state != InterventionState::Open || one.id == intervention.id {
            continue;
        }
        let Why::Votes {
            proposed_by,
            approvals,
        } = &mut one.why
        else {
            continue;
        };
        if is_keeper(*proposed_by) {
            approvals.retain(|approval| is_keeper(approval.keeper));
        } else {
            one = withdrawn(one, context);
            taken_back.push(one.clone());
        }
        changes.push(change(&one)?);
    }
    state.record(context, KEEPERS_SET, context.caller, changes)?;
    closed(state, &intervention)?;
    for one in taken_back {
        closed(state, &one)?;
    }
    for keeper in &before.keepers {
        uploads::left(state, &new.keepers, *keeper)?;
    }
    Ok(intervention)
}

/// Forgets what was kept for an intervention that is over, besides its record.
fn closed<M: Memory>(state: &mut State<M>, over: &Intervention) -> Result<(), Error> {
    state.active.remove(&over.id);
    state.arguments.remove(&over.id);
    let live = |how| how == Ended::Live;
    let live = matches!(over.state, InterventionState::Ended { how, .. } if live(how));
    uploads::tidy(state, over, live)
}

// --- what there is --------------------------------------------------------------------------------------------------

/// What a canister, or the subnet, said of an intervention that was not carried out, for keepers.
///
/// # Errors
/// [`Error::Unauthorized`]; [`Error::NotFound`].
pub fn message<M: Memory>(
    state: &State<M>,
    context: &Context,
    id: u64,
) -> Result<Option<String>, Error> {
    for_keeper(state, context)?;
    get(state, id)?;
    Ok(state.messages.get(&id))
}

/// An intervention.
///
/// # Errors
/// [`Error::NotFound`].
pub fn get<M: Memory>(state: &State<M>, id: u64) -> Result<Intervention, Error> {
    let record = INTERVENTION.get(&state.kit.certified, &intervention_key(id))?;
    let InterventionRecord::V1(one) = record.ok_or_else(|| not_found("intervention", id))?;
    Ok(one)
}

/// A page of interventions, in the order of their ids.
///
/// # Errors
/// [`Error::Invalid`] for the limit.
pub fn list<M: Memory>(
    state: &State<M>,
    args: PageArgs<u64>,
) -> Result<Page<u64, Intervention>, Error> {
    let shown = |InterventionRecord::V1(one)| Ok(Some(one));
    INTERVENTION.page(&state.kit.certified, args, shown)
}

/// Those that are open or run.
pub(crate) fn active<M: Memory>(state: &State<M>) -> Result<Vec<Intervention>, Error> {
    state.active.keys().map(|id| get(state, id)).collect()
}

/// Refuses a second intervention in a canister while one runs.
fn check_idle<M: Memory>(state: &State<M>, canister: Principal) -> Result<(), Error> {
    let busy = |one: &Intervention| {
        matches!(one.state, InterventionState::Running { .. }) && about(one) == Some(canister)
    };
    if active(state)?.iter().any(busy) {
        return Err(conflict("another intervention in the canister runs"));
    }
    Ok(())
}

fn check_open(intervention: &Intervention, context: &Context) -> Result<(), Error> {
    if intervention.state != InterventionState::Open {
        return Err(conflict("the intervention is not open"));
    }
    if is_over(intervention, context.time_ns) {
        return Err(Error::Expired);
    }
    Ok(())
}

/// Whether what is open can't be approved any more.
fn is_over(open: &Intervention, now_ns: u64) -> bool {
    now_ns.saturating_sub(open.proposed_at_ns) >= LIFETIME_NS
}

fn proposed_by(intervention: &Intervention) -> Option<Principal> {
    match intervention.why {
        Why::Votes { proposed_by, .. } => Some(proposed_by),
        Why::Decision { .. } => None,
    }
}

/// The canister that it is about, besides this one.
fn about(intervention: &Intervention) -> Option<Principal> {
    match intervention.action {
        Action::Install { canister, .. } | Action::SetControllers { canister, .. } => {
            Some(canister)
        }
        Action::SetKeepers { .. } => None,
    }
}

fn new<M: Memory>(
    state: &State<M>,
    context: &Context,
    why: Why,
    action: Action,
    at: InterventionState,
) -> Result<Intervention, Error> {
    let hash = action_hash(&action).ok_or_else(|| internal(ACTION_NOT_ENCODED))?;
    Ok(Intervention {
        id: INTERVENTION.len(&state.kit.certified) + 1,
        why,
        action,
        action_hash: ByteBuf::from(hash),
        proposed_at_ns: context.time_ns,
        replaced: None,
        state: at,
    })
}

fn running(context: &Context) -> InterventionState {
    InterventionState::Running {
        since_ns: context.time_ns,
    }
}

fn withdrawn(intervention: Intervention, context: &Context) -> Intervention {
    Intervention {
        state: InterventionState::Withdrawn {
            at_ns: context.time_ns,
        },
        ..intervention
    }
}

fn change(intervention: &Intervention) -> Result<Change, Error> {
    INTERVENTION.put(
        &intervention_key(intervention.id),
        &InterventionRecord::V1(intervention.clone()),
    )
}
