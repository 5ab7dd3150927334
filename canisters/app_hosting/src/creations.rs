//! Canisters that are being created: a slot of the app's quota, then the subnet, then the canister or the slot back.
//!
//! ```text
//! begin: app.pending + 1 ──► subnet ─┬─► made: kept ──► created: pending − 1, canisters + 1, a leaf of its own
//!  (before the await)                ├─► refused: pending − 1                        │
//!                                    └─► lost: pending − 1, after 30 days            │
//!                                                       forgotten: canisters − 1 ◄───┘ deleted by its owner
//! ```
//!
//! ```text
//! creation   app u64 │ began_at_ns u64 │ person                       numbers big-endian
//! made       number u64 │ of the canister and of each of its controllers: length u8, id
//! ```
//!
//! Invariants:
//! - Canisters and slots of an app are never more than its quota, however many calls are under way.
//! - A slot is given back once, by whichever answer comes first; the subnet answers each call once.
//! - What the subnet made is kept first, as an operation that is pending, and recorded in the message after that one: whatever becomes of
//!   this, the canister gets its record. Where even the first message traps, the slot stays taken for 30 days, since a canister may be there:
//!   the subnet says its id only once.

use candid::Principal;
use ic_stable_structures::Memory;
use indus_api::{
    Error, Subject,
    hosting::{
        App, AppOwner, AppRecord, HostedCanister, HostedCanisterRecord, ListCanistersArgs, app_key,
        canister_key,
    },
    paging::{Page, PageArgs},
};
use indus_kit::{Context, codes::internal, paging::PageRequest, text::invalid};

use crate::{
    apps,
    state::{
        APP, CANISTER, CANISTER_CREATED, CANISTER_FORGOTTEN, CANISTER_LOST, CANISTER_REFUSED,
        CANISTER_REQUESTED, DAMAGED, READING, State, conflict, limit_reached, not_found,
    },
};

/// Kind of the pending operation that records a canister; its argument is what was made.
pub const RECORD: u16 = 2;

/// How long a canister keeps its place in the quota at least, or may be one of which nobody knows, in nanoseconds: 30 days. Each comes with
/// cycles, which its owner can take out.
pub const FORGET_AFTER_NS: u64 = 30 * 24 * 3_600 * 1_000_000_000;

/// Most controllers of a canister, by the Internet Computer's specification.
const MAX_CONTROLLERS: usize = 10;

/// What is to be asked of the subnet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Creation {
    /// The slot.
    pub number: u64,
    pub controllers: Vec<Principal>,
    /// What the canister gets.
    pub cycles: u64,
}

/// Takes a slot for one more canister of the app that the caller chose. `controllers` are those that the caller asks for; this
/// canister is always one of them, so that it can carry out releases and keep the canister alive. It is the only one of what belongs to an
/// agency: nobody passes over the second person. Of the `treasury`, what this canister has of cycles, it keeps a reserve.
///
/// # Errors
/// [`Error::NotFound`] and [`Error::Invalid`] for the app; [`Error::Unauthorized`]; [`Error::Invalid`] for the controllers;
/// [`Error::LimitReached`]; [`Error::RateLimited`].
pub fn begin<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    subject: &Subject,
    entitled: bool,
    controllers: Option<Vec<Principal>>,
    treasury: u128,
) -> Result<Creation, Error> {
    let app = apps::chosen(state, subject.person)?;
    apps::check(subject, app.owner, entitled)?;
    let is_agency = matches!(app.owner, AppOwner::Organisation(_));
    let mut controllers = match controllers {
        None if is_agency => Vec::new(),
        None => vec![context.caller],
        Some(asked) => asked,
    };
    if is_agency && controllers.iter().any(|one| *one != state.own) {
        let reason = "must be this canister alone: it is an agency's app";
        return Err(invalid("controllers", reason));
    }
    if !controllers.contains(&state.own) {
        controllers.push(state.own);
    }
    if controllers.len() > MAX_CONTROLLERS {
        let reason = format!(
            "must be at most {} beside this canister",
            MAX_CONTROLLERS - 1
        );
        return Err(invalid("controllers", reason));
    }
    let configuration = state.in_force()?.configuration;
    let limit = configuration.canisters_of_app;
    if app.canisters.saturating_add(app.pending) >= limit {
        return Err(limit_reached(limit.into(), "canisters of the app"));
    }
    let initial = u128::from(configuration.initial_cycles);
    let reserve = u128::from(configuration.care.reserve_cycles);
    if initial > 0 && treasury < initial + reserve {
        let what = "cycles, which app_hosting keeps for itself";
        return Err(limit_reached(configuration.care.reserve_cycles, what));
    }
    state.take_tokens(context, subject, 1)?;
    let number = state.last_creation.get() + 1;
    let app = App {
        pending: app.pending + 1,
        ..app
    };
    let id = app.id;
    let change = APP.put(&app_key(id), &AppRecord::V1(app))?;
    state.record(context, CANISTER_REQUESTED, subject.person, vec![change])?;
    state.last_creation.set(number);
    let mut stored = id.to_be_bytes().to_vec();
    stored.extend(context.time_ns.to_be_bytes());
    stored.extend(subject.person.as_slice());
    state.creations.insert(number, stored);
    Ok(Creation {
        number,
        controllers,
        cycles: configuration.initial_cycles,
    })
}

/// The subnet made the canister: keeps that it did, to be [`recorded`]. Answers with the operation that does it.
///
/// # Errors
/// Those of [`Pending::record`](indus_kit::calls::pending::Pending::record).
pub fn made<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    creation: &Creation,
    canister: Principal,
) -> Result<u64, Error> {
    let mut argument = creation.number.to_be_bytes().to_vec();
    for id in [canister].iter().chain(&creation.controllers) {
        let id = id.as_slice();
        // No principal has more than 29 bytes.
        argument.push(u8::try_from(id.len()).unwrap_or(u8::MAX));
        argument.extend(id);
    }
    state.pending.record(context.time_ns, RECORD, argument)
}

/// Records what was [`made`]; once, however often it is tried.
///
/// # Errors
/// [`Error::Internal`].
pub fn recorded<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    argument: &[u8],
) -> Result<(), Error> {
    let (creation, canister) = parsed(argument).ok_or_else(|| internal(DAMAGED))?;
    if state.creations.contains_key(&creation.number) {
        created(state, context, &creation, canister)?;
    }
    Ok(())
}

fn parsed(argument: &[u8]) -> Option<(Creation, Principal)> {
    let (number, mut rest) = argument.split_first_chunk()?;
    let mut ids = Vec::new();
    while let Some((&length, bytes)) = rest.split_first() {
        let (id, others) = bytes.split_at_checked(length.into())?;
        ids.push(Principal::try_from_slice(id).ok()?);
        rest = others;
    }
    let (&canister, controllers) = ids.split_first()?;
    let creation = Creation {
        number: u64::from_be_bytes(*number),
        controllers: controllers.to_vec(),
        cycles: 0,
    };
    Some((creation, canister))
}

/// The canister is there. Answers with the index of the block that says so.
///
/// # Errors
/// [`Error::NotFound`] for a slot that is no more; [`Error::Internal`].
pub fn created<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    creation: &Creation,
    canister: Principal,
) -> Result<u64, Error> {
    let (app, person) = under_way(state, creation.number)?;
    let key = canister_key(canister).ok_or_else(|| internal(DAMAGED))?;
    let app = App {
        canisters: app.canisters + 1,
        pending: app.pending.saturating_sub(1),
        ..app
    };
    let id = app.id;
    let hosted = HostedCanister {
        canister,
        app: id,
        created_by: person,
        created_at_ns: context.time_ns,
        controllers: creation.controllers.clone(),
        release: None,
        release_before: None,
        module_hash: None,
    };
    let changes = vec![
        APP.put(&app_key(id), &AppRecord::V1(app))?,
        CANISTER.put(&key, &HostedCanisterRecord::V1(hosted))?,
    ];
    let block = state.record(context, CANISTER_CREATED, person, changes)?;
    state.creations.remove(&creation.number);
    state.canisters_of.insert((id, canister), ());
    state.readings_due.insert((context.time_ns, canister), ());
    Ok(block)
}

/// The subnet surely created none: the slot is free again.
///
/// # Errors
/// [`Error::NotFound`] for a slot that is no more; [`Error::Internal`].
pub fn refused<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    creation: &Creation,
) -> Result<(), Error> {
    let (app, person) = under_way(state, creation.number)?;
    freed(
        state,
        context,
        creation.number,
        app,
        CANISTER_REFUSED,
        person,
    )
}

/// Gives the slots back of which nobody will know any more what the subnet answered; `slice` of them at most.
///
/// # Errors
/// [`Error::Internal`].
pub fn give_up<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    slice: usize,
) -> Result<(), Error> {
    let oldest: Vec<u64> = state.creations.keys().take(slice).collect();
    for number in oldest {
        let (app, since_ns, _) = slot(state, number)?;
        // Numbers grow with time.
        if context.time_ns < since_ns.saturating_add(FORGET_AFTER_NS) {
            break;
        }
        let app = state.app(app)?;
        freed(state, context, number, app, CANISTER_LOST, state.own)?;
    }
    Ok(())
}

fn freed<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    number: u64,
    app: App,
    kind: &'static str,
    actor: Principal,
) -> Result<(), Error> {
    let app = App {
        pending: app.pending.saturating_sub(1),
        ..app
    };
    let change = APP.put(&app_key(app.id), &AppRecord::V1(app))?;
    state.record(context, kind, actor, vec![change])?;
    state.creations.remove(&number);
    Ok(())
}

/// A canister, and its app, that the caller may have forgotten.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Unauthorized`].
pub fn may_forget<M: Memory>(
    state: &State<M>,
    subject: &Subject,
    canister: Principal,
) -> Result<(HostedCanister, App), Error> {
    let hosted = get(state, canister)?;
    let app = state.app(hosted.app)?;
    // Nothing is had by it that takes a licence.
    apps::check(subject, app.owner, true)?;
    Ok((hosted, app))
}

/// Forgets a canister that the subnet has no more, so that another one can have its place in the quota. What was released to it, and what it
/// cost, stays.
///
/// # Errors
/// Those of [`may_forget`]; [`Error::Conflict`] if it exists, a release of it is open, or it was created lately.
pub fn forget<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    subject: &Subject,
    canister: Principal,
    exists: bool,
) -> Result<App, Error> {
    let (hosted, app) = may_forget(state, subject, canister)?;
    if exists {
        return Err(conflict("the canister exists: delete it first"));
    }
    if state.open_releases.contains_key(&canister) {
        return Err(conflict("a release of the canister is open"));
    }
    if context.time_ns < hosted.created_at_ns.saturating_add(FORGET_AFTER_NS) {
        return Err(conflict("the canister was created less than 30 days ago"));
    }
    let key = canister_key(canister).ok_or_else(|| internal(DAMAGED))?;
    let app = App {
        canisters: app.canisters.saturating_sub(1),
        ..app
    };
    let mut changes = vec![
        APP.put(&app_key(app.id), &AppRecord::V1(app.clone()))?,
        CANISTER.removed(&key),
    ];
    if READING.contains(&state.kit.certified, &key) {
        changes.push(READING.removed(&key));
    }
    state.record(context, CANISTER_FORGOTTEN, subject.person, changes)?;
    state.canisters_of.remove(&(app.id, canister));
    Ok(app)
}

/// A canister that was created here.
///
/// # Errors
/// [`Error::NotFound`].
pub fn get<M: Memory>(state: &State<M>, canister: Principal) -> Result<HostedCanister, Error> {
    let record = match canister_key(canister) {
        Some(key) => CANISTER.get(&state.kit.certified, &key)?,
        None => None,
    };
    let HostedCanisterRecord::V1(hosted) =
        record.ok_or_else(|| not_found("canister", canister.to_text()))?;
    Ok(hosted)
}

/// A page of an app's canisters, in the order of their ids.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Invalid`] for the limit.
pub fn list<M: Memory>(
    state: &State<M>,
    args: ListCanistersArgs,
) -> Result<Page<Principal, HostedCanister>, Error> {
    let ListCanistersArgs { app, after, limit } = args;
    state.app(app)?;
    let request = PageRequest::checked(PageArgs { after, limit })?;
    let first = (app, after.unwrap_or(Principal::management_canister()));
    let canisters = since(state, first).filter(|canister| Some(*canister) != after);
    request.answer(
        canisters,
        |canister| *canister,
        |canister| get(state, canister).map(Some),
    )
}

/// All canisters of an app: as many as its quota allows.
pub(crate) fn of_app<M: Memory>(state: &State<M>, app: u64) -> impl Iterator<Item = Principal> {
    since(state, (app, Principal::management_canister()))
}

fn since<M: Memory>(state: &State<M>, first: (u64, Principal)) -> impl Iterator<Item = Principal> {
    let all = state.canisters_of.keys_range(first..);
    all.take_while(move |(of, _)| *of == first.0)
        .map(|(_, canister)| canister)
}

/// The app of a slot, and who took it.
fn under_way<M: Memory>(state: &State<M>, number: u64) -> Result<(App, Principal), Error> {
    let (app, _, person) = slot(state, number)?;
    Ok((state.app(app)?, person))
}

/// A slot as it is stored: its app, since when it is taken, by whom.
fn slot<M: Memory>(state: &State<M>, number: u64) -> Result<(u64, u64, Principal), Error> {
    let stored = state
        .creations
        .get(&number)
        .ok_or_else(|| not_found("creation", number))?;
    let read = || {
        let (app, rest) = stored.split_first_chunk()?;
        let (since_ns, person) = rest.split_first_chunk()?;
        let person = Principal::try_from_slice(person).ok()?;
        Some((
            u64::from_be_bytes(*app),
            u64::from_be_bytes(*since_ns),
            person,
        ))
    };
    read().ok_or_else(|| internal(DAMAGED))
}
