//! Steps: each change of the state is one event, and everything that follows from it.
//!
//! ```text
//! records before and after ──► Step ──► event: leaves of what changed, with the ledger of the seat
//!                                  └──► indexes and desk: what follows from "before" goes, what follows from "after" comes
//! ```
//!
//! Invariant: nothing else writes a collection or an index, so the indexes say what the records say. A step that is refused
//! has written nothing.
//!
//! Cost: an event with a leaf for each record that changed: a grant changes three (seat, application, ledger).

use candid::Principal;
use ic_stable_structures::Memory;
use indus_api::{
    Error,
    licences::{
        Application, ApplicationRecord, ApplicationState, Ledger, LedgerRecord, QueueKey, Round,
        RoundRecord, SETTINGS_KEY, Seat, SeatRecord, SeatState, Settings, SettingsRecord, id_key,
        ledger_key,
    },
};
use indus_kit::{
    Change, Context, Event,
    codes::{DETAILS_NOT_ENCODED, internal},
};
use serde_bytes::ByteBuf;

use crate::{
    configuration,
    desk::{Desk, place},
    order::{self, OrderKey},
    state::{APPLICATIONS, LEDGERS, ROUNDS, SEATS, SETTINGS, State},
};

/// A round was opened.
pub const ROUND_OPENED: &str = "round.opened";
/// A round was closed, and its order fixed.
pub const ROUND_CLOSED: &str = "round.closed";
/// Somebody applied.
pub const APPLIED: &str = "application.applied";
/// An application was reviewed, for the first time or again.
pub const REVIEWED: &str = "application.reviewed";
/// A reviewer was recused.
pub const RECUSED: &str = "application.recused";
/// An applicant took an application back.
pub const WITHDRAWN: &str = "application.withdrawn";
/// An officer turned an application down.
pub const DECLINED: &str = "application.declined";
/// An officer decided on the place of an application.
pub const REORDERED: &str = "application.reordered";
/// A seat was granted to the first in order; by the canister itself where one became free.
pub const GRANTED: &str = "seat.granted";
/// The holder claimed a seat.
pub const CLAIMED: &str = "seat.claimed";
/// The holder showed that the seat is in use.
pub const CHECKED_IN: &str = "seat.checked-in";
/// A notice was given: by an officer, or by the canister itself to an idle holder.
pub const NOTICED: &str = "seat.noticed";
/// An officer suspended a licence.
pub const SUSPENDED: &str = "seat.suspended";
/// An officer took a suspension or a notice back.
pub const REINSTATED: &str = "seat.reinstated";
/// An officer let a licence last longer.
pub const RENEWED: &str = "seat.renewed";
/// A seat is free: it was not claimed in time.
pub const LAPSED: &str = "seat.lapsed";
/// A seat is free: its licence expired.
pub const EXPIRED: &str = "seat.expired";
/// A seat is free: it was reclaimed after a notice.
pub const RECLAIMED: &str = "seat.reclaimed";
/// A decision of the registry was applied.
pub const CONFIGURED: &str = "settings.changed";

/// All types of blocks.
pub(crate) static KINDS: [&str; 19] = [
    ROUND_OPENED,
    ROUND_CLOSED,
    APPLIED,
    REVIEWED,
    RECUSED,
    WITHDRAWN,
    DECLINED,
    REORDERED,
    GRANTED,
    CLAIMED,
    CHECKED_IN,
    NOTICED,
    SUSPENDED,
    REINSTATED,
    RENEWED,
    LAPSED,
    EXPIRED,
    RECLAIMED,
    CONFIGURED,
];

/// One event in the making: records as they were, and as they become.
#[must_use = "nothing happens until it is recorded"]
pub(crate) struct Step {
    kind: &'static str,
    applications: Vec<(Option<Application>, Application)>,
    seat: (Option<Seat>, Option<Seat>),
    round: Option<Round>,
    settings: Option<Settings>,
    details: Vec<u8>,
}

/// What stands of an open application in an index.
#[derive(PartialEq, Eq)]
enum Entry {
    ToReview,
    Ranked(OrderKey),
}

impl Step {
    pub(crate) const fn new(kind: &'static str) -> Self {
        Self {
            kind,
            applications: Vec::new(),
            seat: (None, None),
            round: None,
            settings: None,
            details: Vec::new(),
        }
    }

    /// An application changes, or is made.
    pub(crate) fn application(mut self, before: Option<Application>, after: Application) -> Self {
        self.applications.push((before, after));
        self
    }

    /// A seat changes, is granted, or becomes free.
    pub(crate) fn seat(mut self, before: Option<Seat>, after: Option<Seat>) -> Self {
        self.seat = (before, after);
        self
    }

    /// A round is opened or closed.
    pub(crate) fn round(mut self, after: Round) -> Self {
        self.round = Some(after);
        self
    }

    /// The settings change, and the quotas with them.
    pub(crate) fn settings(mut self, after: Settings) -> Self {
        self.settings = Some(after);
        self
    }

    /// Why, where no record tells: a commitment.
    pub(crate) fn reason(mut self, reason: &ByteBuf) -> Result<Self, Error> {
        self.details = candid::encode_one(reason).map_err(|_| internal(DETAILS_NOT_ENCODED))?;
        Ok(self)
    }

    /// Records the event, then all that follows from it.
    ///
    /// # Errors
    /// [`Error::Internal`]; nothing has changed then.
    pub(crate) fn record<M: Memory>(
        self,
        state: &mut State<M>,
        context: &Context,
        actor: Principal,
    ) -> Result<(), Error> {
        let ledgers = self.ledgers(state);
        let mut changes = Vec::with_capacity(4);
        for ledger in &ledgers {
            let key = ledger_key(ledger.audience, ledger.sector);
            changes.push(LEDGERS.put(&key, &LedgerRecord::V1(*ledger))?);
        }
        let Self {
            kind,
            applications,
            seat: (seat_before, seat_after),
            round,
            settings,
            details,
        } = self;
        let mut turned = Vec::with_capacity(applications.len());
        for (before, after) in applications {
            let key = id_key(after.content.id);
            let record = ApplicationRecord::V1(after);
            changes.push(APPLICATIONS.put(&key, &record)?);
            let ApplicationRecord::V1(after) = record;
            turned.push((before, after));
        }
        changes.extend(seat_change(&seat_before, &seat_after)?);
        if let Some(round) = &round {
            let record = RoundRecord::V1(round.clone());
            changes.push(ROUNDS.put(&id_key(round.id), &record)?);
        }
        if let Some(settings) = &settings {
            let record = SettingsRecord::V1(settings.clone());
            changes.push(SETTINGS.put(&SETTINGS_KEY, &record)?);
        }
        state.kit.certified.record(Event {
            kind,
            actor,
            time_ns: context.time_ns,
            changes,
            details,
        })?;

        for ledger in ledgers {
            let queue = QueueKey {
                audience: ledger.audience,
                sector: ledger.sector,
            };
            state.ledgers[place(queue)] = ledger;
        }
        if let Some(settings) = settings {
            state.settings = settings;
        }
        let mut desk = state.desk.get().clone();
        for (before, after) in &turned {
            follow_application(state, &mut desk, before.as_ref(), after);
        }
        follow_seat(state, &mut desk, seat_before.as_ref(), seat_after.as_ref());
        if let Some(round) = round {
            desk.open_round = round.closed_at_ns.is_none().then_some(round.id);
            desk.reviews_needed = round.reviews_needed;
        }
        if desk != *state.desk.get() {
            state.desk.set(desk);
        }
        Ok(())
    }

    /// The ledgers that change.
    fn ledgers<M: Memory>(&self, state: &State<M>) -> Vec<Ledger> {
        if let Some(settings) = &self.settings {
            let quotas = configuration::with_quotas(&state.ledgers, &settings.configuration);
            let changed = quotas.zip(&state.ledgers).filter(|(new, old)| new != *old);
            return changed.map(|(new, _)| new).collect();
        }
        let (before, after) = &self.seat;
        let Some(seat) = after.as_ref().or(before.as_ref()) else {
            return Vec::new();
        };
        let old = state.ledger(queue_of_seat(seat));
        let mut ledger = *old;
        if let Some(seat) = before {
            *count(&mut ledger, &seat.state) -= 1;
        }
        if let Some(seat) = after {
            *count(&mut ledger, &seat.state) += 1;
        }
        match (before, after) {
            (None, Some(_)) => ledger.vacancies = ledger.vacancies.saturating_sub(1),
            (Some(_), None) => ledger.vacancies += 1,
            _ => {}
        }
        if ledger == *old {
            return Vec::new();
        }
        vec![ledger]
    }
}

/// The queue that a seat belongs to.
pub(crate) fn queue_of_seat(seat: &Seat) -> QueueKey {
    QueueKey {
        audience: seat.audience,
        sector: seat.sector,
    }
}

/// The queue that an application belongs to.
pub(crate) fn queue_of(application: &Application) -> QueueKey {
    QueueKey {
        audience: application.content.audience,
        sector: application.content.sector,
    }
}

fn count<'a>(ledger: &'a mut Ledger, state: &SeatState) -> &'a mut u32 {
    match state {
        SeatState::Granted { .. } => &mut ledger.granted,
        SeatState::Active(_) => &mut ledger.active,
        SeatState::Suspended { .. } => &mut ledger.suspended,
    }
}

fn seat_change(before: &Option<Seat>, after: &Option<Seat>) -> Result<Option<Change>, Error> {
    match (before, after) {
        (_, Some(seat)) => {
            let record = SeatRecord::V1(seat.clone());
            SEATS.put(&id_key(seat.seat), &record).map(Some)
        }
        (Some(seat), None) => Ok(Some(SEATS.removed(&id_key(seat.seat)))),
        (None, None) => Ok(None),
    }
}

/// Where an application stands in the indexes. All open ones of closed rounds have their reviews.
fn entry(desk: &Desk, application: &Application) -> Option<Entry> {
    if application.state != ApplicationState::Open {
        return None;
    }
    let reviews = u32::try_from(application.reviews.len()).unwrap_or(u32::MAX);
    if desk.open_round == Some(application.content.round) && reviews < desk.reviews_needed {
        return Some(Entry::ToReview);
    }
    Some(Entry::Ranked(order::key(application)))
}

fn follow_application<M: Memory>(
    state: &mut State<M>,
    desk: &mut Desk,
    before: Option<&Application>,
    after: &Application,
) {
    let (id, applicant) = (after.content.id, after.content.applicant);
    let old = before.and_then(|before| entry(desk, before));
    let new = entry(desk, after);
    if old != new {
        match old {
            Some(Entry::ToReview) => drop(state.to_review.remove(&id)),
            Some(Entry::Ranked(key)) => {
                state.order.remove(&key);
                desk.queue(queue_of(after), false);
            }
            None => drop(state.open.insert((applicant, id), ())),
        }
        match new {
            Some(Entry::ToReview) => drop(state.to_review.insert(id, ())),
            Some(Entry::Ranked(key)) => {
                state.order.insert(key, ());
                desk.queue(queue_of(after), true);
            }
            None => drop(state.open.remove(&(applicant, id))),
        }
    }
    match before {
        Some(before) => desk.count(&before.state, false),
        None => desk.applied(after.content.applied_at_ns, id),
    }
    desk.count(&after.state, true);
}

fn follow_seat<M: Memory>(
    state: &mut State<M>,
    desk: &mut Desk,
    before: Option<&Seat>,
    after: Option<&Seat>,
) {
    let due = |seat: &Seat| (look_at_ns(seat), seat.seat);
    let (old, new) = (before.map(due), after.map(due));
    if old != new {
        if let Some(old) = old {
            state.due.remove(&old);
        }
        if let Some(new) = new {
            state.due.insert(new, ());
        }
    }
    match (before, after) {
        (None, Some(seat)) => {
            state.holders.insert(seat.holder, seat.seat);
            desk.set_seat(seat.seat, true);
        }
        (Some(seat), None) => {
            state.holders.remove(&seat.holder);
            desk.set_seat(seat.seat, false);
        }
        _ => {}
    }
}

/// When a seat has to be looked at next: at its end, or when its holder gets a notice.
fn look_at_ns(seat: &Seat) -> u64 {
    match &seat.state {
        SeatState::Active(licence) if licence.notice.is_none() => {
            licence.idle_at_ns.min(seat.ends_at_ns())
        }
        _ => seat.ends_at_ns(),
    }
}
