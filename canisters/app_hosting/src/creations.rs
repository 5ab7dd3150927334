//! Canisters that are being created: a slot of the app's quota, then the subnet, then the canister or the slot back.
//!
//! ```text
//! begin: app.pending + 1 ──► subnet ─┬─► created: pending − 1, canisters + 1, a leaf of its own
//!  (before the await)                └─► refused: pending − 1
//! ```
//!
//! ```text
//! creation   app u64 │ began_at_ns u64 │ person      numbers big-endian
//! ```
//!
//! Invariants:
//! - Canisters and slots of an app are never more than its quota, however many calls are under way.
//! - A slot is given back once, by whichever answer comes first; the subnet answers each call once. Where this canister itself lost
//!   the answer, the slot stays taken: a canister may be there.

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
        APP, CANISTER, CANISTER_CREATED, CANISTER_REFUSED, CANISTER_REQUESTED, DAMAGED, State,
        limit_reached, not_found,
    },
};

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
/// agency: nobody passes over the second person.
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
    state.limits.take(context, None, 1)?;
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
    let app = App {
        pending: app.pending.saturating_sub(1),
        ..app
    };
    let change = APP.put(&app_key(app.id), &AppRecord::V1(app))?;
    state.record(context, CANISTER_REFUSED, person, vec![change])?;
    state.creations.remove(&creation.number);
    Ok(())
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
    let of_app = state.canisters_of.keys_range(first..);
    let canisters = of_app
        .take_while(|(of, _)| *of == app)
        .map(|(_, canister)| canister)
        .filter(|canister| Some(*canister) != after);
    request.answer(
        canisters,
        |canister| *canister,
        |canister| get(state, canister).map(Some),
    )
}

/// The app of a slot, and who took it.
fn under_way<M: Memory>(state: &State<M>, number: u64) -> Result<(App, Principal), Error> {
    let stored = state
        .creations
        .get(&number)
        .ok_or_else(|| not_found("creation", number))?;
    let read = || {
        let (app, rest) = stored.split_first_chunk()?;
        let (_, person) = rest.split_first_chunk::<8>()?;
        let person = Principal::try_from_slice(person).ok()?;
        Some((u64::from_be_bytes(*app), person))
    };
    let (app, person) = read().ok_or_else(|| internal(DAMAGED))?;
    Ok((state.app(app)?, person))
}
