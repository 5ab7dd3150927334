//! Subjects: from a principal to a person, the organisation that they act for, and their roles.
//!
//! ```text
//! principal ── method ── person ── offices (roles held now, by organisation) ── the method's office, or the only one
//!                                                        │
//!                     Subject ◄── roles count while ── standing of that organisation: asked for now, if a canister of
//!                                                      the suite wants to know; at most a minute old otherwise
//! ```
//!
//! Invariant: it fails closed. Where the standing is not known, nobody is told anything but that the registry has to be asked.
//! Where the organisation is not active, the person is nobody's official.
//!
//! Cost: a record for each role that the person has accepted (at most 64).

use std::collections::{BTreeMap, BTreeSet};

use candid::Principal;
use ic_stable_structures::Memory;
use indus_api::{
    Error, Subject,
    registry::{OrganisationStatus, Standing},
};
use indus_kit::{Context, subjects::cache::REFRESH};

use crate::{
    methods,
    roles::{self, Offices},
    state::{State, conflict, unauthorized},
};

/// What is known of a principal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// It speaks for no person.
    Nobody,
    Person(Subject),
    /// It depends on where this organisation stands: the registry has to be asked.
    Asks(u64),
}

/// Who a principal speaks for, by what is remembered of where organisations stand.
///
/// # Errors
/// [`Error::Internal`] if stored bytes are no record.
pub fn find<M: Memory>(
    state: &State<M>,
    principal: Principal,
    time_ns: u64,
) -> Result<Found, Error> {
    find_by(state, principal, time_ns, |organisation| {
        state.standings.fresh(organisation, time_ns)
    })
}

/// Who a principal speaks for, by what the registry has just said; nothing yet, before it is asked. For the canisters of the
/// suite, which remember the answer themselves: two memories of a minute, one behind the other, would be two minutes.
///
/// # Errors
/// [`Error::Internal`] if stored bytes are no record.
pub fn find_afresh<M: Memory>(
    state: &State<M>,
    principal: Principal,
    time_ns: u64,
    standing: Option<&Standing>,
) -> Result<Found, Error> {
    find_by(state, principal, time_ns, |organisation| {
        standing.filter(|standing| standing.organisation == organisation)
    })
}

/// The same of several principals, by what the registry has said of their organisations.
///
/// # Errors
/// [`Error::Internal`] if stored bytes are no record.
pub fn find_among<M: Memory>(
    state: &State<M>,
    principal: Principal,
    time_ns: u64,
    standings: &BTreeMap<u64, Option<Standing>>,
) -> Result<Found, Error> {
    find_by(state, principal, time_ns, |organisation| {
        standings.get(&organisation)?.as_ref()
    })
}

fn find_by<'a, M: Memory>(
    state: &State<M>,
    principal: Principal,
    time_ns: u64,
    standing_of: impl FnOnce(u64) -> Option<&'a Standing>,
) -> Result<Found, Error> {
    let Some(method) = methods::find(state, principal)? else {
        return Ok(Found::Nobody);
    };
    let offices = roles::offices(state, method.person, time_ns)?;
    let mut subject = Subject {
        person: method.person,
        organisation: None,
        roles: Default::default(),
    };
    let Some((organisation, roles)) = chosen(offices, method.office) else {
        return Ok(Found::Person(subject));
    };
    let Some(standing) = standing_of(organisation) else {
        return Ok(Found::Asks(organisation));
    };
    if standing.status == OrganisationStatus::Active {
        subject.organisation = Some(organisation);
        subject.roles = roles;
    }
    Ok(Found::Person(subject))
}

/// Whether `principal` may be told of to this caller: to a canister of the suite, or themselves.
///
/// # Errors
/// [`Error::Internal`] if stored bytes are no record.
pub fn may_ask<M: Memory>(
    state: &State<M>,
    context: &Context,
    principal: Principal,
) -> Result<bool, Error> {
    if context.caller == principal {
        return Ok(true);
    }
    let suite = state.in_force()?.configuration.suite_canisters;
    Ok(suite.contains(&context.caller))
}

/// The caller, from what is known without asking.
///
/// # Errors
/// [`Error::Unauthorized`] to who is no person; [`Error::Unavailable`] with the reason [`REFRESH`] where the registry has to
/// be asked.
pub fn of_caller<M: Memory>(state: &State<M>, context: &Context) -> Result<Subject, Error> {
    let caller = context.authenticated()?;
    match find(state, caller, context.time_ns)? {
        Found::Person(subject) => Ok(subject),
        Found::Nobody => Err(unauthorized("a registered person")),
        Found::Asks(_) => Err(Error::Unavailable {
            canister: "identity".into(),
            reason: REFRESH.into(),
        }),
    }
}

/// The organisation that the caller acts for, whose standing has to be asked for.
///
/// # Errors
/// [`Error::Unauthorized`] to who acts for none.
pub fn office<M: Memory>(state: &State<M>, context: &Context) -> Result<u64, Error> {
    held(state, context).map(|(organisation, _)| organisation)
}

/// An official: a person with a role in the organisation that they act for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Official {
    pub(crate) person: Principal,
    pub(crate) organisation: u64,
}

/// The caller, if they have this role in the organisation that they act for, and it is active by this standing, which was
/// asked for just now.
pub(crate) fn official<M: Memory>(
    state: &State<M>,
    context: &Context,
    role: &str,
    standing: Option<&Standing>,
) -> Result<Official, Error> {
    let needs = || unauthorized(format!("the role {role}"));
    let (organisation, roles) = held(state, context).map_err(|_| needs())?;
    if !roles.contains(role) {
        return Err(needs());
    }
    // The method may have been given another office while the registry was asked.
    let standing = standing
        .filter(|standing| standing.organisation == organisation)
        .ok_or_else(|| conflict("the organisation has changed, or is no longer known"))?;
    roles::check_active(standing)?;
    let person = methods::of_caller(state, context)?.person;
    Ok(Official {
        person,
        organisation,
    })
}

/// The caller's office, and their roles in it.
fn held<M: Memory>(state: &State<M>, context: &Context) -> Result<(u64, BTreeSet<String>), Error> {
    let method = methods::of_caller(state, context)?;
    let offices = roles::offices(state, method.person, context.time_ns)?;
    chosen(offices, method.office).ok_or_else(|| unauthorized("a role in an organisation"))
}

/// The office that was chosen, or the only one.
fn chosen(mut offices: Offices, office: Option<u64>) -> Option<(u64, BTreeSet<String>)> {
    match office {
        Some(organisation) => offices.remove_entry(&organisation),
        None if offices.len() == 1 => offices.pop_first(),
        None => None,
    }
}
