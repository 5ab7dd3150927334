//! Seats: from the grant until they are free again.
//!
//! ```text
//!        grant            claim (the holder)         suspend
//! free ────────► granted ────────► active ◄───────────────────► suspended
//!  ▲                │                │  ▲ check in    reinstate     │
//!  │ not claimed    │                │  │ (takes an idle notice back)
//!  ├────────────────┘                ├──┘                           │
//!  │ expired, or reclaimed after a notice (idle, or an officer's)   │
//!  └─────────────────────────────────┴──────────────────────────────┘
//! ```
//!
//! Dates are fixed when something begins, and stand in the leaf: a later change of the periods moves none. What is past its
//! end takes no more calls, whether the timer has been there or not.
//!
//! Invariants: nobody decides on their own seat. An officer names the application that the seat was granted for, so a
//! decision never hits its next holder. A seat becomes free by [`look_at`] alone.
//!
//! Idle counts from the claim, the last check-in or the end of the last suspension. What the vendor knows of the use of a seat
//! is not taken in.

use ic_stable_structures::Memory;
use indus_api::{
    Error, Subject,
    licences::{
        Entitlement, EntitlementArgs, Licence, MAX_PRODUCT_BYTES, Notice, NoticeCause, PRODUCT,
        RenewArgs, Seat, SeatArgs, SeatRecord, SeatState,
    },
    paging::{Page, PageArgs},
};
use indus_kit::{
    Context,
    text::{self, invalid},
    timers::Progress,
};

use crate::{
    refusals::{commitment, conflict, not_found, not_own, officer, unauthorized},
    state::{SEATS, State},
    step::{self, Step},
};

/// Check-ins that change something, within the time that makes a seat idle: one a day by default.
const CHECK_INS_A_PERIOD: u64 = 45;

/// Claims a seat, by whom it was granted to. Repeatable.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Unauthorized`] to everybody else; [`Error::Expired`] when the time to claim is over;
/// [`Error::Conflict`] if it is suspended.
pub fn claim<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    subject: &Subject,
    seat: u64,
) -> Result<Seat, Error> {
    let before = held_by(state, context, subject, seat)?;
    match before.state {
        SeatState::Granted { .. } => {}
        SeatState::Active(_) => return Ok(before),
        SeatState::Suspended { .. } => return Err(suspended()),
    }
    let now_ns = context.time_ns;
    let periods = state.settings.configuration.periods;
    let active = SeatState::Active(Licence {
        claimed_at_ns: now_ns,
        expires_at_ns: now_ns.saturating_add(periods.term_ns),
        last_active_ns: now_ns,
        idle_at_ns: now_ns.saturating_add(periods.idle_ns),
        notice: None,
    });
    turn(state, context, subject, step::CLAIMED, before, active)
}

/// Shows that a seat is in use, by its holder; takes an idle notice back. Repeatable: soon after the last one it changes
/// nothing.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Unauthorized`] to everybody else; [`Error::Expired`]; [`Error::Conflict`] if it is suspended
/// or not claimed.
pub fn check_in<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    subject: &Subject,
    seat: u64,
) -> Result<Seat, Error> {
    let before = held_by(state, context, subject, seat)?;
    let licence = match &before.state {
        SeatState::Granted { .. } => return Err(not_claimed()),
        SeatState::Active(licence) => licence,
        SeatState::Suspended { .. } => return Err(suspended()),
    };
    let now_ns = context.time_ns;
    let idle_ns = state.settings.configuration.periods.idle_ns;
    let notice = licence.notice.clone();
    let notice = notice.filter(|notice| notice.cause != NoticeCause::Idle);
    let soon = now_ns
        < licence
            .last_active_ns
            .saturating_add(idle_ns / CHECK_INS_A_PERIOD);
    if soon && notice == licence.notice {
        return Ok(before);
    }
    let active = SeatState::Active(Licence {
        last_active_ns: now_ns,
        idle_at_ns: now_ns.saturating_add(idle_ns),
        notice,
        ..licence.clone()
    });
    turn(state, context, subject, step::CHECKED_IN, before, active)
}

/// Suspends a licence, by an officer whom it does not concern: it is not valid until it is reinstated. Repeatable with the
/// same reason.
///
/// # Errors
/// [`Error::Unauthorized`]; [`Error::Invalid`] for the reason; [`Error::NotFound`]; [`Error::Expired`]; [`Error::Conflict`]
/// if the seat was granted for another application, or is not active.
pub fn suspend<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    subject: &Subject,
    args: SeatArgs,
) -> Result<Seat, Error> {
    let before = decided_on(state, context, subject, &args)?;
    let licence = match &before.state {
        SeatState::Granted { .. } => return Err(not_claimed()),
        SeatState::Active(licence) => licence.clone(),
        SeatState::Suspended { reason, .. } if *reason == args.reason => return Ok(before),
        SeatState::Suspended { .. } => return Err(suspended()),
    };
    let suspended = SeatState::Suspended {
        licence,
        reason: args.reason,
        at_ns: context.time_ns,
    };
    turn(state, context, subject, step::SUSPENDED, before, suspended)
}

/// Takes a suspension back, and any notice, by an officer whom it does not concern. Repeatable.
///
/// # Errors
/// As for [`suspend`]; [`Error::Conflict`] if the seat was not claimed.
pub fn reinstate<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    subject: &Subject,
    args: SeatArgs,
) -> Result<Seat, Error> {
    let before = decided_on(state, context, subject, &args)?;
    let licence = match &before.state {
        SeatState::Granted { .. } => return Err(not_claimed()),
        SeatState::Active(licence) if licence.notice.is_none() => return Ok(before),
        SeatState::Active(licence) | SeatState::Suspended { licence, .. } => licence.clone(),
    };
    let idle_ns = state.settings.configuration.periods.idle_ns;
    let active = SeatState::Active(Licence {
        last_active_ns: context.time_ns,
        idle_at_ns: context.time_ns.saturating_add(idle_ns),
        notice: None,
        ..licence
    });
    let after = Seat {
        state: active,
        ..before.clone()
    };
    let step = Step::new(step::REINSTATED).seat(Some(before), Some(after.clone()));
    step.reason(&args.reason)?
        .record(state, context, subject.person)?;
    Ok(after)
}

/// Gives notice that a seat will be reclaimed, by an officer whom it does not concern. Repeatable with the same reason.
///
/// # Errors
/// As for [`suspend`]; [`Error::Conflict`] if the seat was not claimed, or another decided notice was given.
pub fn reclaim<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    subject: &Subject,
    args: SeatArgs,
) -> Result<Seat, Error> {
    let before = decided_on(state, context, subject, &args)?;
    let known = before.licence().ok_or_else(not_claimed)?.notice.as_ref();
    let mut notice = Notice {
        cause: NoticeCause::Decided {
            reason: args.reason,
        },
        given_at_ns: context.time_ns,
        reclaim_at_ns: context
            .time_ns
            .saturating_add(state.settings.configuration.periods.notice_ns),
    };
    if let Some(known) = known {
        if known.cause == notice.cause {
            return Ok(before);
        }
        if known.cause != NoticeCause::Idle {
            return Err(conflict("a notice was given for another reason"));
        }
        // Nobody gains time by being idle.
        notice.reclaim_at_ns = notice.reclaim_at_ns.min(known.reclaim_at_ns);
    }
    let noticed = with_licence(before.state.clone(), |licence| {
        licence.notice = Some(notice);
    });
    turn(state, context, subject, step::NOTICED, before, noticed)
}

/// Lets a licence last longer, by an officer whom it does not concern. Repeatable.
///
/// # Errors
/// As for [`suspend`]; [`Error::Invalid`] for a time that is earlier than the licence expires, or more than a term away.
pub fn renew<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    subject: &Subject,
    args: RenewArgs,
) -> Result<Seat, Error> {
    officer(subject)?;
    let before = granted_for(state, context, subject, args.seat, args.application)?;
    let expires_at_ns = before.licence().ok_or_else(not_claimed)?.expires_at_ns;
    if args.expires_at_ns == expires_at_ns {
        return Ok(before);
    }
    let term_ns = state.settings.configuration.periods.term_ns;
    let last = context.time_ns.saturating_add(term_ns);
    if args.expires_at_ns < expires_at_ns || args.expires_at_ns > last {
        let reason = "must be later than it expires, and at most a term from now";
        return Err(invalid("expires_at_ns", reason));
    }
    let renewed = with_licence(before.state.clone(), |licence| {
        licence.expires_at_ns = args.expires_at_ns;
    });
    turn(state, context, subject, step::RENEWED, before, renewed)
}

/// Looks at no more than `slice` of the seats whose time has come: frees those at their end, and gives notice to idle
/// holders.
pub fn look_at<M: Memory>(state: &mut State<M>, context: &Context, slice: usize) -> Progress {
    let due = state.due.keys_range(..=(context.time_ns, u64::MAX));
    let due: Vec<u64> = due.take(slice).map(|(_, seat)| seat).collect();
    // One that can't be read stays for somebody to look at, and is tried again with the next interval.
    let passed = due
        .into_iter()
        .filter(|seat| pass(state, context, *seat).is_ok());
    if passed.count() == slice {
        Progress::More
    } else {
        Progress::Done
    }
}

fn pass<M: Memory>(state: &mut State<M>, context: &Context, seat: u64) -> Result<(), Error> {
    let before = state.seat(seat)?;
    let now_ns = context.time_ns;
    if before.ends_at_ns() <= now_ns {
        let kind = match before.licence() {
            None => step::LAPSED,
            Some(licence) if licence.expires_at_ns <= now_ns => step::EXPIRED,
            Some(_) => step::RECLAIMED,
        };
        let step = Step::new(kind).seat(Some(before), None);
        return step.record(state, context, context.caller);
    }
    let notice_ns = state.settings.configuration.periods.notice_ns;
    let noticed = with_licence(before.state.clone(), |licence| {
        licence.notice = Some(Notice {
            cause: NoticeCause::Idle,
            given_at_ns: now_ns,
            reclaim_at_ns: now_ns.saturating_add(notice_ns),
        });
    });
    let after = Seat {
        state: noticed,
        ..before.clone()
    };
    let step = Step::new(step::NOTICED).seat(Some(before), Some(after));
    step.record(state, context, context.caller)
}

/// A seat in use.
///
/// # Errors
/// [`Error::NotFound`] for a free one.
pub fn get<M: Memory>(state: &State<M>, seat: u64) -> Result<Seat, Error> {
    state.seat(seat)
}

/// A page of the seats in use, in their order.
///
/// # Errors
/// [`Error::Invalid`] for the limit.
pub fn list<M: Memory>(state: &State<M>, args: PageArgs<u64>) -> Result<Page<u64, Seat>, Error> {
    SEATS.page(&state.kit.certified, args, |SeatRecord::V1(seat)| {
        Ok(Some(seat))
    })
}

/// Whether somebody may use a product now; nothing if they hold no seat.
///
/// # Errors
/// [`Error::Invalid`] and [`Error::NotFound`] for the product.
pub fn check_entitlement<M: Memory>(
    state: &State<M>,
    context: &Context,
    args: EntitlementArgs,
) -> Result<Option<Entitlement>, Error> {
    text::slug("product", &args.product, MAX_PRODUCT_BYTES)?;
    if args.product != PRODUCT {
        return Err(not_found("product", args.product));
    }
    let Some(seat) = state.holders.get(&args.person) else {
        return Ok(None);
    };
    let seat = state.seat(seat)?;
    Ok(Some(Entitlement {
        seat: seat.seat,
        valid: seat.is_valid_at(context.time_ns),
        state: seat.state,
        time_ns: context.time_ns,
    }))
}

/// A seat that the caller holds, and that is not at its end.
fn held_by<M: Memory>(
    state: &State<M>,
    context: &Context,
    subject: &Subject,
    seat: u64,
) -> Result<Seat, Error> {
    let seat = state.seat(seat)?;
    if seat.holder != subject.person {
        return Err(unauthorized("the holder of the seat"));
    }
    not_over(context, seat)
}

/// A seat that an officer may decide on for a reason.
fn decided_on<M: Memory>(
    state: &State<M>,
    context: &Context,
    subject: &Subject,
    args: &SeatArgs,
) -> Result<Seat, Error> {
    officer(subject)?;
    commitment("reason", &args.reason)?;
    granted_for(state, context, subject, args.seat, args.application)
}

fn granted_for<M: Memory>(
    state: &State<M>,
    context: &Context,
    subject: &Subject,
    seat: u64,
    application: u64,
) -> Result<Seat, Error> {
    let seat = state.seat(seat)?;
    if seat.application != application {
        let granted_for = seat.application;
        return Err(conflict(format!(
            "the seat was granted for application {granted_for}"
        )));
    }
    not_own(subject, seat.holder)?;
    not_over(context, seat)
}

fn not_over(context: &Context, seat: Seat) -> Result<Seat, Error> {
    if seat.ends_at_ns() <= context.time_ns {
        return Err(Error::Expired);
    }
    Ok(seat)
}

fn with_licence(mut state: SeatState, change: impl FnOnce(&mut Licence)) -> SeatState {
    match &mut state {
        SeatState::Granted { .. } => {}
        SeatState::Active(licence) | SeatState::Suspended { licence, .. } => change(licence),
    }
    state
}

fn turn<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    subject: &Subject,
    kind: &'static str,
    before: Seat,
    becomes: SeatState,
) -> Result<Seat, Error> {
    let after = Seat {
        state: becomes,
        ..before.clone()
    };
    let step = Step::new(kind).seat(Some(before), Some(after.clone()));
    step.record(state, context, subject.person)?;
    Ok(after)
}

fn not_claimed() -> Error {
    conflict("the seat was not claimed")
}

fn suspended() -> Error {
    conflict("the seat is suspended")
}
