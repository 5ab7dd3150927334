//! Organisations: all that happens to one.
//!
//! ```text
//!            apply            first approval          quorum               proposals
//! (nothing) ───────► pending ───────────────► in review ──────► active ◄──────────────► suspended
//!                       │                        │                 └────► revoked ◄────────┘
//!                       ├────────────────────────┴── refused, expired ──► rejected
//!                       └── cancelled by the applicant ──► withdrawn
//! ```
//!
//! Invariants:
//! - An application reserves nothing: several may compete for one slug. Slugs of active and suspended organisations are
//!   unique.
//! - The parent of an active organisation was active when it became so.
//! - What becomes active is what was applied for: the profile doesn't change.
//! - A governor's organisation is never suspended or revoked: another governor is named first.
//!
//! Cost: O(log n) a call; `list` in addition what it returns.

use candid::Principal;
use ic_stable_structures::Memory;
use indus_api::{
    Error,
    paging::{Page, PageArgs},
    registry::{
        Application, MAX_ADMINISTRATORS, MAX_NAME_BYTES, MAX_PENDING, MAX_PENDING_PER_CALLER,
        MAX_REASON_BYTES, MAX_SLUG_BYTES, MAX_STEPS, Organisation, OrganisationChange,
        OrganisationKey, OrganisationProfile, OrganisationRecord, OrganisationStatus, Standing,
        Step, id_key,
    },
};
use indus_kit::{
    Context,
    refusals::limit_reached as limit,
    text::{self, invalid},
};

use crate::{
    proposals,
    state::{Effect, ORGANISATION, Plan, State, conflict, not_found},
};

use OrganisationStatus::{Active, InReview, Pending, Rejected, Revoked, Suspended, Withdrawn};

const WHAT: &str = "organisation";
/// How long a decision on an application may take: 30 days, in nanoseconds. It is measured and published.
const DUE_AFTER_NS: u64 = 30 * 86_400_000_000_000;

/// How an application ends that isn't admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Rejected,
    Withdrawn,
}

/// Applies for an organisation in the caller's name, which opens the proposal to admit it.
///
/// The same caller's identical application, while it is pending, is answered again.
///
/// # Errors
/// [`Error::Unauthorized`] to anonymous callers; [`Error::Invalid`] for a field of the profile; [`Error::NotFound`] or
/// [`Error::Conflict`] for a parent that isn't active; [`Error::AlreadyExists`] for a slug that is taken;
/// [`Error::LimitReached`] for too many pending applications; [`Error::QuorumNotMet`] if nobody could decide on it.
pub fn apply<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    profile: OrganisationProfile,
) -> Result<Organisation, Error> {
    let applicant = context.authenticated()?;
    check_profile(&profile)?;
    let (mine, same) = pending_of(state, applicant, &profile)?;
    match same {
        // Of layout 1, which had no proposals: it gets one now.
        Some(same) if same.application.is_none() => return open(state, context, same),
        Some(same) => return Ok(same),
        None => {}
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
        id: state.next_organisation(),
        profile,
        applicant,
        administrators: vec![applicant],
        status: Pending,
        due_at_ns: context.time_ns.saturating_add(DUE_AFTER_NS),
        application: None,
        steps: vec![Step {
            status: Pending,
            at_ns: context.time_ns,
            by: applicant,
            proposal: None,
            reason: String::new(),
        }],
    };
    open(state, context, applied)
}

/// Opens the proposal to admit an organisation.
fn open<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    organisation: Organisation,
) -> Result<Organisation, Error> {
    let (id, applicant) = (organisation.id, organisation.applicant);
    let applied = Organisation {
        application: Some(state.next_proposal()),
        ..organisation
    };
    let application = Application {
        organisation: id,
        applicant,
        profile: applied.profile.clone(),
    };
    let plan = stored(applied.clone(), vec![Effect::AppliedFor { applicant, id }])?;
    proposals::open_application(state, context, application, plan)?;
    Ok(applied)
}

/// A governor has agreed, and not enough.
pub(crate) fn plan_review<M: Memory>(
    state: &State<M>,
    context: &Context,
    id: u64,
    proposal: u64,
) -> Result<Plan, Error> {
    let organisation = state.organisation(id)?;
    moved(
        context,
        proposal,
        organisation,
        InReview,
        String::new(),
        vec![],
    )
}

/// The organisation becomes active.
pub(crate) fn plan_admission<M: Memory>(
    state: &State<M>,
    context: &Context,
    id: u64,
    proposal: u64,
) -> Result<Plan, Error> {
    let organisation = state.organisation(id)?;
    check_status(&organisation, &[Pending, InReview])?;
    check_parent(state, organisation.profile.parent)?;
    check_slug_is_free(state, &organisation.profile.slug)?;
    let effects = vec![
        Effect::Decided {
            applicant: organisation.applicant,
            id,
        },
        Effect::SlugTaken {
            slug: organisation.profile.slug.clone(),
            id,
        },
    ];
    moved(
        context,
        proposal,
        organisation,
        Active,
        String::new(),
        effects,
    )
}

/// The application has ended otherwise.
pub(crate) fn plan_end<M: Memory>(
    state: &State<M>,
    context: &Context,
    id: u64,
    proposal: u64,
    ending: Ending,
    reason: String,
) -> Result<Plan, Error> {
    let organisation = state.organisation(id)?;
    let status = match ending {
        Ending::Rejected => Rejected,
        Ending::Withdrawn => Withdrawn,
    };
    let applicant = organisation.applicant;
    let effects = vec![Effect::Decided { applicant, id }];
    moved(context, proposal, organisation, status, reason, effects)
}

/// Suspends, reinstates or revokes an organisation, or gives it other administrators.
pub(crate) fn plan_change<M: Memory>(
    state: &State<M>,
    context: &Context,
    proposal: u64,
    id: u64,
    change: OrganisationChange,
) -> Result<Plan, Error> {
    let organisation = state.organisation(id)?;
    let (status, reason, effects) = match change {
        OrganisationChange::Suspend { reason } => {
            check_status(&organisation, &[Active])?;
            check_unrepresented(state, id)?;
            (Suspended, reason, vec![])
        }
        OrganisationChange::Reinstate { reason } => {
            check_status(&organisation, &[Suspended])?;
            check_parent(state, organisation.profile.parent)?;
            (Active, reason, vec![])
        }
        OrganisationChange::Revoke { reason } => {
            check_status(&organisation, &[Active, Suspended])?;
            check_unrepresented(state, id)?;
            let slug = organisation.profile.slug.clone();
            (Revoked, reason, vec![Effect::SlugFree { slug }])
        }
        OrganisationChange::SetAdministrators { administrators } => {
            check_status(&organisation, &[Active, Suspended])?;
            check_administrators(&administrators)?;
            let changed = Organisation {
                administrators,
                ..organisation
            };
            return stored(changed, vec![]);
        }
    };
    text::name("reason", &reason, MAX_REASON_BYTES)?;
    moved(context, proposal, organisation, status, reason, effects)
}

fn moved(
    context: &Context,
    proposal: u64,
    mut organisation: Organisation,
    status: OrganisationStatus,
    reason: String,
    effects: Vec<Effect>,
) -> Result<Plan, Error> {
    organisation.status = status;
    if organisation.steps.len() >= MAX_STEPS {
        // The first one, the application, stays.
        organisation.steps.remove(1);
    }
    organisation.steps.push(Step {
        status,
        at_ns: context.time_ns,
        by: context.caller,
        proposal: Some(proposal),
        reason,
    });
    stored(organisation, effects)
}

fn stored(organisation: Organisation, effects: Vec<Effect>) -> Result<Plan, Error> {
    let key = id_key(organisation.id);
    let change = ORGANISATION.put(&key, &OrganisationRecord::V2(organisation))?;
    Ok(Plan {
        changes: vec![change],
        effects,
    })
}

/// One organisation: in any state by its id, active or suspended by its slug.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Invalid`] for something that is no slug.
pub fn get<M: Memory>(state: &State<M>, key: OrganisationKey) -> Result<Organisation, Error> {
    let id = match key {
        OrganisationKey::Id(id) => id,
        OrganisationKey::Slug(slug) => {
            text::slug("slug", &slug, MAX_SLUG_BYTES)?;
            state.by_slug(&slug).ok_or_else(|| not_found(WHAT, slug))?
        }
    };
    state.organisation(id)
}

/// Whether an organisation may act, and who acts for it; none if there is no such organisation.
#[must_use]
pub fn standing<M: Memory>(state: &State<M>, id: u64) -> Option<Standing> {
    let organisation = state.organisation(id).ok()?;
    Some(Standing {
        organisation: id,
        status: organisation.status,
        kind: organisation.profile.kind,
        sector: organisation.profile.sector,
        administrators: organisation.administrators,
    })
}

/// A page of organisations, in any state, in the order of their ids.
///
/// # Errors
/// [`Error::Invalid`] for the limit.
pub fn list<M: Memory>(
    state: &State<M>,
    args: PageArgs<u64>,
) -> Result<Page<u64, Organisation>, Error> {
    ORGANISATION.page(&state.kit.certified, args, |record| {
        Ok(Some(record.into_current()))
    })
}

pub(crate) fn check_profile(profile: &OrganisationProfile) -> Result<(), Error> {
    text::slug("slug", &profile.slug, MAX_SLUG_BYTES)?;
    text::name("name", &profile.name, MAX_NAME_BYTES)?;
    text::slug("sector", &profile.sector, MAX_NAME_BYTES)?;
    text::name("seat", &profile.seat, MAX_NAME_BYTES)
}

/// Checks that an organisation is there, and active.
pub(crate) fn check_active<M: Memory>(state: &State<M>, id: u64) -> Result<(), Error> {
    check_status(&state.organisation(id)?, &[Active])
}

fn check_administrators(administrators: &[Principal]) -> Result<(), Error> {
    const FIELD: &str = "administrators";
    if !(1..=MAX_ADMINISTRATORS).contains(&administrators.len()) {
        return Err(invalid(FIELD, format!("must be 1 to {MAX_ADMINISTRATORS}")));
    }
    if administrators.contains(&Principal::anonymous()) {
        return Err(invalid(FIELD, "must not be anonymous"));
    }
    let mut sorted = administrators.to_vec();
    sorted.sort_unstable();
    if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(invalid(FIELD, "must not name anyone twice"));
    }
    Ok(())
}

fn check_unrepresented<M: Memory>(state: &State<M>, id: u64) -> Result<(), Error> {
    if state.governance()?.is_represented(id) {
        return Err(conflict("a governor is of this organisation"));
    }
    Ok(())
}

fn check_parent<M: Memory>(state: &State<M>, parent: Option<u64>) -> Result<(), Error> {
    let Some(id) = parent else { return Ok(()) };
    check_active(state, id).map_err(|error| match error {
        Error::Conflict { .. } => conflict("the parent is not active"),
        other => other,
    })
}

fn check_slug_is_free<M: Memory>(state: &State<M>, slug: &str) -> Result<(), Error> {
    if state.by_slug(slug).is_some() {
        return Err(Error::AlreadyExists {
            what: WHAT.into(),
            id: slug.into(),
        });
    }
    Ok(())
}

fn check_status(organisation: &Organisation, wanted: &[OrganisationStatus]) -> Result<(), Error> {
    if wanted.contains(&organisation.status) {
        return Ok(());
    }
    let is = match organisation.status {
        Pending => "pending",
        InReview => "in review",
        Active => "active",
        Suspended => "suspended",
        Revoked => "revoked",
        Rejected => "rejected",
        Withdrawn => "withdrawn",
    };
    Err(conflict(format!("the organisation is {is}")))
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
        let organisation = state.organisation(id)?;
        if organisation.profile == *profile {
            return Ok((count, Some(organisation)));
        }
    }
    Ok((count, None))
}
