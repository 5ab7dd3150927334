//! Roles: what a person may do for an organisation.
//!
//! ```text
//!            grant (an administrator)        accept (the person)
//! (nothing) ──────────────────────► offered ───────────────────► accepted: held from … until …
//!                                      └──────── revoke (an administrator, or the person) ────┴──► revoked
//! ```
//!
//! An administrator is a principal that the registry names for the organisation. A role is a name within its organisation:
//! whoever trusts one looks at the organisation as well.
//!
//! Invariants:
//! - A role counts for nothing before its person has accepted it. So no organisation comes to power over a person (see
//!   [recoveries](crate::recoveries)), nor changes for whom they act, without them.
//! - Roles of one name that a person has in an organisation do not overlap in time.
//! - A role ends by itself: that is found when it is read. While the organisation is not active, it is not held by anybody
//!   ([`subjects`](crate::subjects)).
//!
//! Cost: O(log n), and a record for each role that the person has (16 in an organisation, 64 in all).

use std::collections::{BTreeMap, BTreeSet};

use candid::Principal;
use ic_stable_structures::Memory;
use indus_api::{
    Error,
    identity::{
        GrantArgs, ListRolesArgs, MAX_ROLE_LEAD_NS, MAX_ROLE_VALIDITY_NS,
        MAX_ROLES_IN_ORGANISATION, MAX_ROLES_OF_PERSON, Revocation, RevokeRoleArgs, Role,
        RoleRecord, id_key,
    },
    paging::Page,
    registry::{OrganisationStatus, Standing},
    subject::MAX_ROLE_BYTES,
};
use indus_kit::{
    Context,
    text::{self, invalid},
};

use crate::{
    methods, persons,
    state::{
        ROLE, ROLE_ACCEPTED, ROLE_GRANTED, ROLE_REVOKED, State, conflict, limit, not_found,
        unauthorized,
    },
};

/// The roles that a person holds in each organisation.
pub type Offices = BTreeMap<u64, BTreeSet<String>>;

/// Offers a person a role. The identical offer, while it has not ended, is answered again. `standing` is what the registry
/// says about the organisation now.
///
/// # Errors
/// [`Error::Invalid`] for a field; [`Error::NotFound`] for the organisation or the person; [`Error::Unauthorized`] to who is
/// no administrator of it; [`Error::Conflict`] if it is not active; [`Error::AlreadyExists`] for a role that overlaps;
/// [`Error::LimitReached`].
pub fn grant<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    args: GrantArgs,
    standing: Option<&Standing>,
) -> Result<Role, Error> {
    check(context, &args)?;
    let standing = administered(context, args.organisation, standing)?;
    check_active(standing)?;
    persons::check(state, args.person)?;
    let mut live = 0;
    let mut over = Vec::new();
    for id in ids_in(state, args.organisation, args.person) {
        let role = get(state, id)?;
        if role.has_ended(context.time_ns) {
            over.push(id);
            continue;
        }
        live += 1;
        if role.role != args.role {
            continue;
        }
        if (role.valid_from_ns, role.valid_until_ns) == (args.valid_from_ns, args.valid_until_ns) {
            return Ok(role);
        }
        if role.valid_from_ns < args.valid_until_ns && args.valid_from_ns < role.valid_until_ns {
            return Err(Error::AlreadyExists {
                what: "role".into(),
                id: id.to_string(),
            });
        }
    }
    if live >= MAX_ROLES_IN_ORGANISATION {
        let what = "roles of a person in an organisation";
        return Err(limit(MAX_ROLES_IN_ORGANISATION, what));
    }
    let role = Role {
        id: state.next_id(ROLE),
        person: args.person,
        organisation: args.organisation,
        role: args.role,
        valid_from_ns: args.valid_from_ns,
        valid_until_ns: args.valid_until_ns,
        granted_by: context.caller,
        granted_at_ns: context.time_ns,
        accepted_at_ns: None,
        revocation: None,
    };
    let role = put(state, context, context.caller, ROLE_GRANTED, role)?;
    for id in over {
        forget(state, role.organisation, role.person, id);
    }
    state
        .roles_in
        .insert((role.organisation, role.person, role.id), ());
    Ok(role)
}

/// Accepts a role that was offered to the caller's person. Repeatable.
///
/// # Errors
/// [`Error::Unauthorized`] to everybody else; [`Error::NotFound`]; [`Error::Expired`] if it has ended;
/// [`Error::LimitReached`].
pub fn accept<M: Memory>(state: &mut State<M>, context: &Context, id: u64) -> Result<Role, Error> {
    let person = methods::of_caller(state, context)?.person;
    let role = get(state, id)?;
    if role.person != person {
        return Err(unauthorized("the person to whom the role was offered"));
    }
    if role.has_ended(context.time_ns) {
        return Err(Error::Expired);
    }
    if role.accepted_at_ns.is_some() {
        return Ok(role);
    }
    let mut live = 0;
    let mut over = Vec::new();
    for (organisation, id) in office_ids(state, person) {
        if get(state, id)?.has_ended(context.time_ns) {
            over.push((organisation, id));
        } else {
            live += 1;
        }
    }
    if live >= MAX_ROLES_OF_PERSON {
        return Err(limit(MAX_ROLES_OF_PERSON, "roles of a person"));
    }
    let accepted = Role {
        accepted_at_ns: Some(context.time_ns),
        ..role
    };
    let role = put(state, context, person, ROLE_ACCEPTED, accepted)?;
    for (organisation, id) in over {
        forget(state, organisation, person, id);
    }
    state.offices_of.insert((person, role.organisation, id), ());
    Ok(role)
}

/// Whether the caller can take a role back without the registry being asked: their own. Otherwise the organisation to ask
/// about.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Unauthorized`] to anonymous callers.
pub fn revocation_asks<M: Memory>(
    state: &State<M>,
    context: &Context,
    id: u64,
) -> Result<Option<u64>, Error> {
    let caller = context.authenticated()?;
    let role = get(state, id)?;
    let own = methods::find(state, caller)?.is_some_and(|method| method.person == role.person);
    Ok((!own).then_some(role.organisation))
}

/// Takes a role back, or gives it up. Repeatable: the first revocation stays. An organisation that is not active may still
/// take its roles back.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Unauthorized`] to everybody but administrators and the person.
pub fn revoke<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    args: RevokeRoleArgs,
    standing: Option<&Standing>,
) -> Result<Role, Error> {
    let by = match revocation_asks(state, context, args.id)? {
        None => methods::of_caller(state, context)?.person,
        Some(organisation) => {
            administered(context, organisation, standing)?;
            context.caller
        }
    };
    let role = get(state, args.id)?;
    if role.revocation.is_some() {
        return Ok(role);
    }
    let revoked = Role {
        revocation: Some(Revocation {
            by,
            at_ns: context.time_ns,
            reason: args.reason,
        }),
        ..role
    };
    let role = put(state, context, by, ROLE_REVOKED, revoked)?;
    forget(state, role.organisation, role.person, role.id);
    Ok(role)
}

/// A role, in any state.
///
/// # Errors
/// [`Error::NotFound`].
pub fn get<M: Memory>(state: &State<M>, id: u64) -> Result<Role, Error> {
    let RoleRecord::V1(role) = ROLE
        .get(&state.kit.certified, &id_key(id))?
        .ok_or_else(|| not_found("role", id))?;
    Ok(role)
}

/// A page of roles, in any state, in the order of their ids.
///
/// # Errors
/// [`Error::Invalid`] for the limit.
pub fn list<M: Memory>(state: &State<M>, args: ListRolesArgs) -> Result<Page<u64, Role>, Error> {
    let ListRolesArgs {
        organisation,
        person,
        page,
    } = args;
    ROLE.page(&state.kit.certified, page, |RoleRecord::V1(role)| {
        let asked = organisation.is_none_or(|id| id == role.organisation)
            && person.is_none_or(|id| id == role.person);
        Ok(asked.then_some(role))
    })
}

/// The roles that a person holds at this time in each organisation, if it is active.
///
/// # Errors
/// [`Error::Internal`] if stored bytes are no record.
pub fn offices<M: Memory>(
    state: &State<M>,
    person: Principal,
    time_ns: u64,
) -> Result<Offices, Error> {
    let mut offices = Offices::new();
    for (organisation, id) in office_ids(state, person) {
        let role = get(state, id)?;
        if role.is_held(time_ns) {
            offices.entry(organisation).or_default().insert(role.role);
        }
    }
    Ok(offices)
}

/// What an organisation has to be for anybody to act in its name.
pub(crate) fn check_active(standing: &Standing) -> Result<(), Error> {
    if standing.status == OrganisationStatus::Active {
        return Ok(());
    }
    Err(conflict("the organisation is not active"))
}

/// What can be said against a grant before the registry is asked.
///
/// # Errors
/// [`Error::Invalid`] for a field; [`Error::Unauthorized`] to anonymous callers.
pub fn check(context: &Context, args: &GrantArgs) -> Result<(), Error> {
    context.authenticated()?;
    text::slug("role", &args.role, MAX_ROLE_BYTES)?;
    let (from_ns, until_ns) = (args.valid_from_ns, args.valid_until_ns);
    if from_ns > context.time_ns.saturating_add(MAX_ROLE_LEAD_NS) {
        return Err(invalid("valid_from_ns", "must be within a year from now"));
    }
    if until_ns <= from_ns || until_ns <= context.time_ns {
        let reason = "must be in the future, and after the beginning";
        return Err(invalid("valid_until_ns", reason));
    }
    if until_ns - from_ns > MAX_ROLE_VALIDITY_NS {
        return Err(invalid(
            "valid_until_ns",
            "must be within three years of the beginning",
        ));
    }
    Ok(())
}

/// The standing of an organisation of which the caller is an administrator.
fn administered<'a>(
    context: &Context,
    organisation: u64,
    standing: Option<&'a Standing>,
) -> Result<&'a Standing, Error> {
    let standing = standing
        .filter(|standing| standing.organisation == organisation)
        .ok_or_else(|| not_found("organisation", organisation))?;
    if standing.administrators.contains(&context.caller) {
        return Ok(standing);
    }
    Err(unauthorized("an administrator of the organisation"))
}

fn put<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    actor: Principal,
    kind: &'static str,
    role: Role,
) -> Result<Role, Error> {
    let change = ROLE.put(&id_key(role.id), &RoleRecord::V1(role.clone()))?;
    state.record(context, actor, kind, vec![change])?;
    Ok(role)
}

/// Takes a role that has ended out of the indices.
fn forget<M: Memory>(state: &mut State<M>, organisation: u64, person: Principal, id: u64) {
    state.roles_in.remove(&(organisation, person, id));
    state.offices_of.remove(&(person, organisation, id));
}

fn ids_in<M: Memory>(state: &State<M>, organisation: u64, person: Principal) -> Vec<u64> {
    let all = (organisation, person, 0)..=(organisation, person, u64::MAX);
    state.roles_in.keys_range(all).map(|(.., id)| id).collect()
}

fn office_ids<M: Memory>(state: &State<M>, person: Principal) -> Vec<(u64, u64)> {
    let all = (person, 0, 0)..=(person, u64::MAX, u64::MAX);
    let keys = state.offices_of.keys_range(all);
    keys.map(|(_, organisation, id)| (organisation, id))
        .collect()
}
