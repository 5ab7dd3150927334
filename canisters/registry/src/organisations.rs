//! Organisations: all that happens to one.
//!
//! ```text
//!            apply            approve (a governor, bound to the hash of what they read)
//! (nothing) ───────► pending ───────► active
//!                       ├── close (a governor, with a reason) ──► rejected
//!                       └── close (the applicant) ──► withdrawn
//! ```
//!
//! Invariants:
//! - A pending application reserves nothing: several may compete for one slug. Active slugs are unique.
//! - The parent of an active organisation was active when it became so.
//! - Nobody decides on an application of their own; they can only take it back.
//! - Repeating what has happened already is answered with the organisation as it is, and changes nothing.
//! - A function that answers with an error has changed nothing.
//!
//! Cost: O(log n) a call; `list` in addition what it returns.

use candid::Principal;
use ic_stable_structures::Memory;
use indus_api::{
    Error,
    paging::{Page, PageArgs},
    registry::{
        ApproveArgs, CloseArgs, MAX_NAME_BYTES, MAX_PENDING, MAX_PENDING_PER_CALLER,
        MAX_REASON_BYTES, MAX_SLUG_BYTES, Organisation, OrganisationKey, OrganisationProfile,
        OrganisationState,
    },
};
use indus_kit::{
    Context,
    paging::PageRequest,
    text::{self, invalid},
};
use serde_bytes::ByteBuf;

use crate::state::{
    APPLIED, APPROVED, REJECTED, State, WITHDRAWN, decode, organisation_id, record_hash,
};

const WHAT: &str = "organisation";

/// Applies for an organisation in the caller's name.
///
/// The same caller's identical application, while it is pending, is answered again.
///
/// # Errors
/// [`Error::Unauthorized`] to anonymous callers; [`Error::Invalid`] for a field of the profile; [`Error::NotFound`] or
/// [`Error::Conflict`] for a parent that isn't active; [`Error::AlreadyExists`] for the slug of an active organisation;
/// [`Error::LimitReached`] for too many pending applications.
pub fn apply<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    profile: OrganisationProfile,
) -> Result<Organisation, Error> {
    let applicant = context.authenticated()?;
    check_profile(&profile)?;
    let (mine, same) = pending_of(state, applicant, &profile)?;
    if let Some(same) = same {
        return Ok(same);
    }
    check_parent(state, profile.parent)?;
    check_slug_is_free(state, &profile.slug)?;
    if mine >= MAX_PENDING_PER_CALLER {
        return Err(limit(
            MAX_PENDING_PER_CALLER,
            "pending applications of one caller",
        ));
    }
    if state.pending_count() >= MAX_PENDING {
        return Err(limit(MAX_PENDING, "pending applications"));
    }
    let applied = Organisation {
        id: state.next_id(),
        profile,
        applicant,
        applied_at_ns: context.time_ns,
        state: OrganisationState::Pending,
    };
    state.put(context, APPLIED, applied)
}

/// Makes the organisation of a pending application active, as it was when the governor read it.
///
/// # Errors
/// [`Error::Unauthorized`] to everyone but governors, and to a governor who applied for it; [`Error::Invalid`] for
/// something that is no SHA-256; [`Error::NotFound`]; [`Error::Stale`] if it isn't what the governor read;
/// [`Error::Conflict`] if it isn't pending, or its parent not active; [`Error::AlreadyExists`] if the slug has been
/// taken since.
pub fn approve<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    args: ApproveArgs,
) -> Result<Organisation, Error> {
    let governor = context.authenticated()?;
    if !state.is_governor(context.caller) {
        return Err(unauthorized("a governor"));
    }
    let approved = <[u8; 32]>::try_from(args.application_hash.as_slice())
        .map_err(|_| invalid("application_hash", "must be 32 bytes long"))?;
    let record = state.record(args.id).ok_or_else(|| not_found(args.id))?;
    let organisation = decode(&record)?;
    if organisation.applicant == governor {
        return Err(unauthorized("a governor other than the applicant"));
    }
    match &organisation.state {
        OrganisationState::Pending => {}
        OrganisationState::Active {
            application_hash, ..
        } if application_hash.as_slice() == approved => {
            return Ok(organisation);
        }
        decided => return Err(not_pending(decided)),
    }
    let current = record_hash(&record);
    if current != approved {
        return Err(Error::Stale {
            current: hex::encode(current),
        });
    }
    check_parent(state, organisation.profile.parent)?;
    check_slug_is_free(state, &organisation.profile.slug)?;
    let active = OrganisationState::Active {
        by: governor,
        at_ns: context.time_ns,
        application_hash: ByteBuf::from(current.to_vec()),
    };
    let approved = Organisation {
        state: active,
        ..organisation
    };
    state.put(context, APPROVED, approved)
}

/// Ends a pending application: withdrawn by its applicant, or rejected by a governor.
///
/// # Errors
/// [`Error::Unauthorized`] to everyone else; [`Error::Invalid`] for the reason; [`Error::NotFound`];
/// [`Error::Conflict`] if it was decided on already.
pub fn close<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    args: CloseArgs,
) -> Result<Organisation, Error> {
    let caller = context.authenticated()?;
    let CloseArgs { id, reason } = args;
    text::optional_name("reason", &reason, MAX_REASON_BYTES)?;
    let organisation = state.organisation(id)?.ok_or_else(|| not_found(id))?;
    let at_ns = context.time_ns;
    let (kind, closed) = if organisation.applicant == caller {
        (WITHDRAWN, OrganisationState::Withdrawn { at_ns, reason })
    } else if state.is_governor(context.caller) {
        text::name("reason", &reason, MAX_REASON_BYTES)?;
        let rejected = OrganisationState::Rejected {
            by: caller,
            at_ns,
            reason,
        };
        (REJECTED, rejected)
    } else {
        return Err(unauthorized("the applicant or a governor"));
    };
    if organisation.state == OrganisationState::Pending {
        let closed = Organisation {
            state: closed,
            ..organisation
        };
        return state.put(context, kind, closed);
    }
    if same_decision(&organisation.state, &closed) {
        return Ok(organisation);
    }
    Err(not_pending(&organisation.state))
}

/// One organisation: in any state by its id, active by its slug.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Invalid`] for something that is no slug.
pub fn get<M: Memory>(state: &State<M>, key: OrganisationKey) -> Result<Organisation, Error> {
    let id = match key {
        OrganisationKey::Id(id) => id,
        OrganisationKey::Slug(slug) => {
            text::slug("slug", &slug, MAX_SLUG_BYTES)?;
            state.active(&slug).ok_or(Error::NotFound {
                what: WHAT.into(),
                id: slug,
            })?
        }
    };
    state.organisation(id)?.ok_or_else(|| not_found(id))
}

/// A page of organisations, in any state, in the order of their ids.
///
/// # Errors
/// [`Error::Invalid`] for the limit.
pub fn list<M: Memory>(
    state: &State<M>,
    args: PageArgs<u64>,
) -> Result<Page<u64, Organisation>, Error> {
    let after = args.after.unwrap_or(0);
    PageRequest::checked(args)?.answer(
        state.organisations_after(after),
        |(key, _)| organisation_id(key),
        |(_, record)| decode(&record).map(Some),
    )
}

fn check_profile(profile: &OrganisationProfile) -> Result<(), Error> {
    text::slug("slug", &profile.slug, MAX_SLUG_BYTES)?;
    text::name("name", &profile.name, MAX_NAME_BYTES)?;
    text::slug("sector", &profile.sector, MAX_NAME_BYTES)?;
    text::name("seat", &profile.seat, MAX_NAME_BYTES)
}

fn check_parent<M: Memory>(state: &State<M>, parent: Option<u64>) -> Result<(), Error> {
    let Some(id) = parent else { return Ok(()) };
    let parent = state.organisation(id)?.ok_or_else(|| not_found(id))?;
    if matches!(parent.state, OrganisationState::Active { .. }) {
        return Ok(());
    }
    Err(Error::Conflict {
        reason: "the parent is not active".into(),
    })
}

fn check_slug_is_free<M: Memory>(state: &State<M>, slug: &str) -> Result<(), Error> {
    if state.active(slug).is_some() {
        return Err(Error::AlreadyExists {
            what: WHAT.into(),
            id: slug.into(),
        });
    }
    Ok(())
}

/// How many applications `applicant` has pending, and the one with this profile.
fn pending_of<M: Memory>(
    state: &State<M>,
    applicant: Principal,
    profile: &OrganisationProfile,
) -> Result<(u64, Option<Organisation>), Error> {
    let mut count = 0;
    for id in state.pending_of(applicant) {
        count += 1;
        if let Some(organisation) = state
            .organisation(id)?
            .filter(|one| one.profile == *profile)
        {
            return Ok((count, Some(organisation)));
        }
    }
    Ok((count, None))
}

/// Whether `asked` repeats `taken`: the same person, the same reason, at whatever time.
fn same_decision(taken: &OrganisationState, asked: &OrganisationState) -> bool {
    use OrganisationState::{Rejected, Withdrawn};
    match (taken, asked) {
        (
            Rejected { by, reason, .. },
            Rejected {
                by: caller,
                reason: why,
                ..
            },
        ) => by == caller && reason == why,
        (Withdrawn { reason, .. }, Withdrawn { reason: why, .. }) => reason == why,
        _ => false,
    }
}

fn not_pending(state: &OrganisationState) -> Error {
    let is = match state {
        OrganisationState::Pending => "pending",
        OrganisationState::Active { .. } => "active",
        OrganisationState::Rejected { .. } => "rejected",
        OrganisationState::Withdrawn { .. } => "withdrawn",
    };
    Error::Conflict {
        reason: format!("the organisation is {is} already"),
    }
}

fn not_found(id: u64) -> Error {
    Error::NotFound {
        what: WHAT.into(),
        id: id.to_string(),
    }
}

fn unauthorized(needs: &str) -> Error {
    Error::Unauthorized {
        needs: needs.into(),
    }
}

fn limit(limit: u64, what: &str) -> Error {
    Error::LimitReached {
        limit,
        what: what.into(),
    }
}
