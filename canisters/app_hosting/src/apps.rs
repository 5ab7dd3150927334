//! Apps: who may have one, and which of them somebody creates canisters for.
//!
//! ```text
//! valid licence ──► app of a person            developer of an organisation ──► app of that organisation
//! ```
//!
//! Invariants:
//! - No two apps of one owner have one name: so making an app is repeatable.
//! - Who may make an app in a name may create canisters for it, and nobody else.
//!
//! Cost: O(log n), and one look at each app of the owner when one more is made ([`indus_api::hosting::MAX_APPS`] at most).

use candid::Principal;
use ic_stable_structures::Memory;
use indus_api::{
    Error, Subject,
    hosting::{
        APP_DEVELOPER, App, AppName, AppOwner, AppRecord, CreateAppArgs, ListAppsArgs,
        MAX_APP_NAME_BYTES, app_key,
    },
    paging::{Page, PageArgs},
};
use indus_kit::{
    Context,
    paging::PageRequest,
    text::{invalid, slug},
};

use crate::state::{
    APP, APP_CREATED, State, conflict, limit_reached, name_key, not_found, owner_key, unauthorized,
};

/// In whose name somebody acts; none without an organisation: for themselves.
///
/// # Errors
/// [`Error::Unauthorized`] to who is no developer of that organisation.
pub(crate) fn acting(subject: &Subject, organisation: Option<u64>) -> Result<AppOwner, Error> {
    let Some(organisation) = organisation else {
        return Ok(AppOwner::Person(subject.person));
    };
    let is_developer =
        subject.organisation == Some(organisation) && subject.roles.contains(APP_DEVELOPER);
    if is_developer {
        Ok(AppOwner::Organisation(organisation))
    } else {
        Err(unauthorized(format!(
            "who acts for the organisation and has the role {APP_DEVELOPER}"
        )))
    }
}

/// Refuses whoever may not make anything for this owner now.
///
/// # Errors
/// [`Error::Unauthorized`].
pub(crate) fn check(subject: &Subject, owner: AppOwner, entitled: bool) -> Result<(), Error> {
    match owner {
        AppOwner::Person(person) if person != subject.person => {
            Err(unauthorized("the owner of the app"))
        }
        AppOwner::Person(_) if !entitled => Err(unauthorized("the holder of a valid licence")),
        AppOwner::Person(_) => Ok(()),
        AppOwner::Organisation(organisation) => acting(subject, Some(organisation)).map(drop),
    }
}

/// Makes an app, or answers with the one that was made so before. `entitled`: the caller holds a valid licence.
///
/// # Errors
/// [`Error::Unauthorized`]; [`Error::Invalid`] for the name; [`Error::Conflict`] for an app of that name which is another one;
/// [`Error::LimitReached`]; [`Error::RateLimited`].
pub fn create<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    subject: &Subject,
    entitled: bool,
    args: CreateAppArgs,
) -> Result<App, Error> {
    let owner = acting(subject, args.organisation)?;
    check(subject, owner, entitled)?;
    slug("name", &args.name, MAX_APP_NAME_BYTES)?;
    let of = owner_key(owner);
    let name = name_key(of, &args.name);
    if let Some(id) = state.names.get(&name) {
        let app = state.app(id)?;
        if app.data_class == args.data_class {
            return Ok(app);
        }
        return Err(conflict(
            "there is an app of that name with another data class",
        ));
    }
    let configuration = state.in_force()?.configuration;
    let limit = match owner {
        AppOwner::Person(_) => configuration.apps_of_person,
        AppOwner::Organisation(_) => configuration.apps_of_organisation,
    };
    let has = state.apps_of.keys_range((of, 0)..=(of, u64::MAX)).count();
    if has >= limit as usize {
        return Err(limit_reached(limit.into(), "apps of one owner"));
    }
    state.take_tokens(context, subject, 1)?;
    let app = App {
        id: APP.len(&state.kit.certified) + 1,
        owner,
        name: args.name,
        data_class: args.data_class,
        created_at_ns: context.time_ns,
        canisters: 0,
        pending: 0,
    };
    let change = APP.put(&app_key(app.id), &AppRecord::V1(app.clone()))?;
    state.record(context, APP_CREATED, subject.person, vec![change])?;
    state.apps_of.insert((of, app.id), ());
    state.names.insert(name, app.id);
    Ok(app)
}

/// The app of an owner with a name.
///
/// # Errors
/// [`Error::NotFound`].
pub fn named<M: Memory>(state: &State<M>, args: AppName) -> Result<App, Error> {
    let AppName { owner, name } = args;
    match state.names.get(&name_key(owner_key(owner), &name)) {
        Some(id) => state.app(id),
        None => Err(not_found("app", name)),
    }
}

/// A page of an owner's apps, in the order of their ids.
///
/// # Errors
/// [`Error::Invalid`] for the limit.
pub fn list<M: Memory>(state: &State<M>, args: ListAppsArgs) -> Result<Page<u64, App>, Error> {
    let ListAppsArgs {
        owner,
        after,
        limit,
    } = args;
    let of = owner_key(owner);
    let first = after.map_or(0, |id| id.saturating_add(1));
    let ids = state.apps_of.keys_range((of, first)..=(of, u64::MAX));
    PageRequest::checked(PageArgs { after, limit })?.answer(
        ids,
        |(_, id)| *id,
        |(_, id)| state.app(id).map(Some),
    )
}

/// Chooses the app that the caller's tools create canisters for.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Unauthorized`] for an app that is not the caller's to change.
pub fn choose<M: Memory>(state: &mut State<M>, subject: &Subject, id: u64) -> Result<App, Error> {
    let app = state.app(id)?;
    // Whether they may use it is looked at when they do.
    check(subject, app.owner, true)?;
    state.chosen.insert(subject.person, id);
    Ok(app)
}

/// The app that somebody's tools create canisters for: the one that they chose, or the only one that they have.
///
/// # Errors
/// [`Error::NotFound`] without any; [`Error::Invalid`] where they have to choose.
pub(crate) fn chosen<M: Memory>(state: &State<M>, person: Principal) -> Result<App, Error> {
    if let Some(id) = state.chosen.get(&person) {
        return state.app(id);
    }
    let of = owner_key(AppOwner::Person(person));
    let mut own = state.apps_of.keys_range((of, 0)..=(of, u64::MAX));
    match (own.next(), own.next()) {
        // What tools like icp-cli show to somebody who has not begun here.
        (None, _) => Err(not_found(
            "app",
            "of the caller's: create one first, or choose one of the organisation's",
        )),
        (Some((_, id)), None) => state.app(id),
        (Some(_), Some(_)) => Err(invalid("app", "must be chosen: the caller has several")),
    }
}
