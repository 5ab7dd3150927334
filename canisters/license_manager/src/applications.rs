//! Applications: made by whoever is registered, taken back by them, turned down by an officer.
//!
//! ```text
//!          apply          grant (to the first in order)
//! (nothing) ───► open ─────────────────► granted
//!                  ├── withdraw (the applicant) ──► withdrawn
//!                  ├── decline (an officer) ──► declined
//!                  └── (another application of the same person is granted) ──► superseded
//! ```
//!
//! Invariants: an application is never removed. Who holds a seat has no open application. What was asked for never changes.

use ic_stable_structures::Memory;
use indus_api::{
    Error, Subject,
    licences::{
        Application, ApplicationContent, ApplicationRecord, ApplicationState, ApplyArgs,
        DeclineArgs, OFFICER, REVIEWER,
    },
    paging::{Page, PageArgs},
};
use indus_kit::{
    Context,
    codes::internal,
    encoding,
    idempotency::{Begin, Success},
    paging::PageRequest,
    subjects::{Owner, ReadRule, Subjects},
};
use serde_bytes::ByteBuf;

use crate::{
    refusals::{commitment, conflict, limit, not_own, officer, reason, unauthorized},
    reviews,
    state::State,
    step::{self, Step},
};

/// Code of [`Error::Internal`]: what is kept of a success is no id.
const NO_APPLICATION_ID: u32 = 1_000;
/// Code of [`Error::Internal`]: an application's content can't be encoded.
pub(crate) const CONTENT_NOT_ENCODED: u32 = 1_001;

/// Whose an application is, from its bytes: a matter of the person, not of the organisation that they act for.
pub(crate) fn owner(record: &[u8]) -> Option<Owner> {
    let ApplicationRecord::V1(application) = encoding::decode(record).ok()?;
    Some(owner_of(&application))
}

fn owner_of(application: &Application) -> Owner {
    Owner {
        person: application.content.applicant,
        organisation: None,
    }
}

/// Applies for a seat in the open round. `bytes` are the call's argument, by which a repeated call is known.
///
/// # Errors
/// [`Error::Invalid`]; [`Error::Conflict`] if no round is open, or the person holds a seat; [`Error::Expired`] when the round
/// accepts no more; [`Error::LimitReached`] and [`Error::RateLimited`] for too many; [`Error::Unavailable`] before there is
/// randomness.
pub fn apply<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    subject: &Subject,
    args: ApplyArgs,
    bytes: &[u8],
) -> Result<Application, Error> {
    commitment("statement", &args.statement)?;
    let begun = state
        .idempotency
        .begin(context, &args.idempotency_key, "apply", bytes)?;
    let ticket = match begun {
        Begin::New(ticket) => ticket,
        Begin::Repeat(Success::Stored(id)) => {
            let id = id.try_into().map_err(|_| internal(NO_APPLICATION_ID))?;
            return state.application(u64::from_be_bytes(id));
        }
        Begin::Repeat(Success::Elsewhere { .. }) => return Err(internal(NO_APPLICATION_ID)),
    };
    let made = make(state, context, subject, args);
    match &made {
        Ok(application) => {
            let id = application.content.id.to_be_bytes().to_vec();
            state
                .idempotency
                .succeed(context, &ticket, Success::Stored(id))?;
        }
        Err(_) => state.idempotency.fail(&ticket)?,
    }
    made
}

fn make<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    subject: &Subject,
    args: ApplyArgs,
) -> Result<Application, Error> {
    let person = subject.person;
    let round = state
        .desk
        .get()
        .open_round
        .ok_or_else(|| conflict("no round is open"))?;
    if context.time_ns >= state.round(round)?.apply_until_ns {
        return Err(Error::Expired);
    }
    if let Some(seat) = state.holders.get(&person) {
        return Err(conflict(format!("the applicant holds seat {seat}")));
    }
    let limits = state.settings.configuration.limits;
    let most = u64::from(limits.open_per_person);
    let open = state.open.keys_range((person, 0)..=(person, u64::MAX));
    if open.take(limits.open_per_person as usize).count() as u64 == most {
        return Err(limit(most, "open applications of one person"));
    }
    let id = state.next_application();
    let most = u64::from(limits.applications_a_day);
    if state.desk.get().applied_on_day_of(context.time_ns, id) >= most {
        return Err(limit(most, "applications in one day"));
    }
    let salt = ByteBuf::from(state.salt()?);
    state.limits.take_of(person, context.time_ns, None, 1)?;
    let application = Application {
        content: ApplicationContent {
            id,
            round,
            applicant: person,
            organisation: subject.organisation,
            audience: args.audience,
            sector: args.sector,
            statement: args.statement,
            applied_at_ns: context.time_ns,
        },
        reviews: Vec::new(),
        recusals: Vec::new(),
        regrading: None,
        state: ApplicationState::Open,
        salt,
    };
    let step = Step::new(step::APPLIED).application(None, application.clone());
    step.record(state, context, person)?;
    Ok(application)
}

/// Takes an application back, by its applicant. Repeatable.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Unauthorized`] to everybody else; [`Error::Conflict`] if it is not open.
pub fn withdraw<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    subject: &Subject,
    id: u64,
) -> Result<Application, Error> {
    let before = state.application(id)?;
    if before.content.applicant != subject.person {
        return Err(unauthorized("the applicant"));
    }
    match before.state {
        ApplicationState::Open => {}
        ApplicationState::Withdrawn { .. } => return Ok(before),
        _ => return Err(not_open()),
    }
    let at_ns = context.time_ns;
    let closed = ApplicationState::Withdrawn { at_ns };
    close(state, context, subject, step::WITHDRAWN, before, closed)
}

/// Turns an application down, by an officer whom it does not concern, while it waits or is under review. Repeatable with the
/// same reason.
///
/// # Errors
/// [`Error::Unauthorized`]; [`Error::Invalid`] for the reason; [`Error::NotFound`]; [`Error::Conflict`] if it is not open.
pub fn decline<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    subject: &Subject,
    args: DeclineArgs,
) -> Result<Application, Error> {
    officer(subject)?;
    reason(&args.reason)?;
    let before = state.application(args.application)?;
    not_own(subject, before.content.applicant)?;
    match &before.state {
        ApplicationState::Open => {}
        ApplicationState::Declined { by, reason, .. }
            if (by, reason) == (&subject.person, &args.reason) =>
        {
            return Ok(before);
        }
        _ => return Err(not_open()),
    }
    let closed = ApplicationState::Declined {
        by: subject.person,
        reason: args.reason,
        at_ns: context.time_ns,
    };
    close(state, context, subject, step::DECLINED, before, closed)
}

fn close<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    subject: &Subject,
    kind: &'static str,
    before: Application,
    closed: ApplicationState,
) -> Result<Application, Error> {
    let after = Application {
        state: closed,
        ..before.clone()
    };
    let step = Step::new(kind).application(Some(before), after.clone());
    step.record(state, context, subject.person)?;
    Ok(after)
}

/// An application: all of it for its applicant and officers; without its salt and the reviews of others for a reviewer who
/// may review it.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Unauthorized`]; [`Error::Unavailable`] for a caller who isn't known now.
pub fn get<M: Memory>(
    state: &State<M>,
    subjects: &impl Subjects,
    context: &Context,
    id: u64,
) -> Result<Application, Error> {
    let subject = subjects.subject(context)?;
    let application = state.application(id)?;
    let rule = ReadRule::OwnerOrRole(OFFICER);
    if rule.allows(&owner_of(&application), Some(&subject)) {
        return Ok(application);
    }
    if !subject.roles.contains(REVIEWER) || !reviews::is_impartial(&subject, &application.content) {
        return Err(unauthorized(format!(
            "{}, or a reviewer of it",
            rule.needs()
        )));
    }
    Ok(reviews::seen_by(&subject, application))
}

/// A page of the caller's open applications, in the order of their ids.
///
/// # Errors
/// [`Error::Invalid`] for the limit; [`Error::Unavailable`] for a caller who isn't known now.
pub fn list_mine<M: Memory>(
    state: &State<M>,
    subjects: &impl Subjects,
    context: &Context,
    args: PageArgs<u64>,
) -> Result<Page<u64, Application>, Error> {
    let person = subjects.subject(context)?.person;
    let after = args.after.map_or(0, |after| after.saturating_add(1));
    let mine = state.open.keys_range((person, after)..=(person, u64::MAX));
    PageRequest::checked(args)?.answer(
        mine.map(|(_, id)| id),
        |id| *id,
        |id| state.application(id).map(Some),
    )
}

/// The refusal of what only open applications take.
pub(crate) fn not_open() -> Error {
    conflict("the application is not open")
}
