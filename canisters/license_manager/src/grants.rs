//! Grants: from the first in order to the lowest free seat, while the quota has room.
//!
//! ```text
//! grant (an officer names the application that they expect to be first) ──┐
//!                                                                         ├──► seat granted, to be claimed
//! fill (the canister itself, for each seat that became free) ─────────────┘
//! ```
//!
//! Invariants: nobody is overtaken. Nobody holds two seats: with a grant, the person's other open applications are
//! superseded. At most the quota is held, and at most as many seats as there are keys.
//!
//! Cost: an event of three leaves, and one more for each superseded application.

use candid::Principal;
use ic_stable_structures::Memory;
use indus_api::{
    Error, Subject,
    licences::{Application, ApplicationState, QueueKey, SEATS, Seat, SeatState},
};
use indus_kit::{Context, timers::Progress};

use crate::{
    applications,
    desk::queues,
    order,
    refusals::{conflict, limit, not_own, officer},
    state::State,
    step::{self, Step, queue_of},
};

/// Grants the lowest free seat to an application, which must be the first in its order, by an officer. Repeating it answers
/// the seat again, while it is that grant.
///
/// # Errors
/// [`Error::Unauthorized`]; [`Error::NotFound`]; [`Error::Conflict`] if it doesn't wait, or another one is first;
/// [`Error::LimitReached`] if the quota has no room.
pub fn grant<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    subject: &Subject,
    id: u64,
) -> Result<Seat, Error> {
    officer(subject)?;
    let application = state.application(id)?;
    not_own(subject, application.content.applicant)?;
    match application.state {
        ApplicationState::Open => {}
        ApplicationState::Granted { seat, .. } => {
            let seat = state.find_seat(seat)?;
            return seat
                .filter(|seat| seat.application == id)
                .ok_or_else(|| conflict("a seat was granted, and is free again"));
        }
        _ => return Err(applications::not_open()),
    }
    match order::first(state, queue_of(&application)) {
        Some(first) if first == id => {}
        Some(first) if state.desk.get().open_round != Some(application.content.round) => {
            return Err(conflict(format!("application {first} is first")));
        }
        _ => return Err(conflict("its round is open: there is no order yet")),
    }
    give(state, context, subject.person, application)
}

/// Grants at most `slice` of the seats that became free to those who are first in the same queues.
pub fn fill<M: Memory>(state: &mut State<M>, context: &Context, slice: usize) -> Progress {
    let mut left = slice;
    for queue in queues() {
        while has_vacancy(state, queue)
            && let Some(first) = order::first(state, queue)
        {
            if left == 0 {
                return Progress::More;
            }
            let granted = state
                .application(first)
                .and_then(|application| give(state, context, context.caller, application));
            if granted.is_err() {
                // It stays for somebody to look at; the other queues go on.
                break;
            }
            left -= 1;
        }
    }
    Progress::Done
}

fn has_vacancy<M: Memory>(state: &State<M>, queue: QueueKey) -> bool {
    let ledger = state.ledger(queue);
    ledger.vacancies > 0 && ledger.held() < ledger.quota
}

fn give<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    actor: Principal,
    application: Application,
) -> Result<Seat, Error> {
    let QueueKey { audience, sector } = queue_of(&application);
    let ledger = state.ledger(QueueKey { audience, sector });
    if ledger.held() >= ledger.quota {
        return Err(limit(
            ledger.quota.into(),
            "seats of this audience and sector",
        ));
    }
    let free = state.desk.get().lowest_free_seat();
    let number = free.ok_or_else(|| limit(SEATS, "seats"))?;
    let (id, holder) = (application.content.id, application.content.applicant);
    let seat = Seat {
        seat: number,
        holder,
        audience,
        sector,
        application: id,
        granted_at_ns: context.time_ns,
        state: SeatState::Granted {
            claim_by_ns: context
                .time_ns
                .saturating_add(state.settings.configuration.periods.claim_ns),
        },
    };
    let granted = ApplicationState::Granted {
        seat: number,
        at_ns: context.time_ns,
    };
    let mut step = Step::new(step::GRANTED)
        .seat(None, Some(seat.clone()))
        .application(Some(application.clone()), closed(application, granted));
    let others = state.open.keys_range((holder, 0)..=(holder, u64::MAX));
    for (_, other) in others.filter(|(_, other)| *other != id) {
        let other = state.application(other)?;
        let superseded = ApplicationState::Superseded {
            application: id,
            at_ns: context.time_ns,
        };
        step = step.application(Some(other.clone()), closed(other, superseded));
    }
    step.record(state, context, actor)?;
    Ok(seat)
}

fn closed(application: Application, state: ApplicationState) -> Application {
    Application {
        state,
        ..application
    }
}
