//! The order in which seats are granted, one queue an audience and sector.
//!
//! ```text
//! key: audience (u8) │ sector (u8) │ round (u64) │ 65,535 - rank (u16) │ applied at (u64) │ application (u64)
//! ```
//!
//! Keys are big-endian, so their byte order is the order of the queue: earlier rounds first, then higher ranks, then
//! earlier applications, then lower ids. The index is kept while an application is reviewed; closing a round has nothing to
//! sort, it only ends what can move an application.
//!
//! Invariant: in a closed round, an application moves by [`reorder`] alone, which its leaf and the log tell.
//!
//! Cost: O(log n).

use std::ops::Bound;

use ic_stable_structures::Memory;
use indus_api::{
    Error, Subject,
    licences::{Application, ApplicationState, Place, QueueArgs, QueueKey, Regrading, ReorderArgs},
    paging::{Page, PageArgs},
};
use indus_kit::{Context, paging::PageRequest};

use crate::{
    applications,
    refusals::{conflict, not_own, officer, reason, score},
    state::State,
    step::{self, Step},
};

/// See the [module](self).
pub(crate) type OrderKey = [u8; 28];

/// Where an application stands in its queue.
pub(crate) fn key(application: &Application) -> OrderKey {
    let content = &application.content;
    let queue = QueueKey {
        audience: content.audience,
        sector: content.sector,
    };
    let place = Place {
        round: content.round,
        rank: application.rank(),
        applied_at_ns: content.applied_at_ns,
        application: content.id,
    };
    key_of(queue, place)
}

fn key_of(queue: QueueKey, place: Place) -> OrderKey {
    let mut key = [0; 28];
    key[0] = queue.audience.code();
    key[1] = queue.sector.code();
    key[2..10].copy_from_slice(&place.round.to_be_bytes());
    key[10..12].copy_from_slice(&(u16::MAX - place.rank).to_be_bytes());
    key[12..20].copy_from_slice(&place.applied_at_ns.to_be_bytes());
    key[20..].copy_from_slice(&place.application.to_be_bytes());
    key
}

fn place_of(key: &OrderKey) -> Place {
    let number = |at: usize| u64::from_be_bytes(std::array::from_fn(|place| key[at + place]));
    Place {
        round: number(2),
        rank: u16::MAX - u16::from_be_bytes([key[10], key[11]]),
        applied_at_ns: number(12),
        application: number(20),
    }
}

/// The keys of a queue's closed rounds.
fn waiting<M: Memory>(state: &State<M>, queue: QueueKey) -> (OrderKey, OrderKey) {
    let at = |round| {
        let mut key = [0; 28];
        key[0] = queue.audience.code();
        key[1] = queue.sector.code();
        key[2..10].copy_from_slice(&u64::to_be_bytes(round));
        key
    };
    // The open round is the last one.
    (at(0), at(state.desk.get().open_round.unwrap_or(u64::MAX)))
}

/// The application that is first in a queue, of those whose order is fixed.
pub(crate) fn first<M: Memory>(state: &State<M>, queue: QueueKey) -> Option<u64> {
    let (start, end) = waiting(state, queue);
    let first = state.order.keys_range(start..end).next()?;
    Some(place_of(&first).application)
}

/// A page of a queue: those that wait, in their order. Everybody may know it.
///
/// # Errors
/// [`Error::Invalid`] for the limit.
pub fn list<M: Memory>(state: &State<M>, args: QueueArgs) -> Result<Page<Place, Place>, Error> {
    let QueueArgs { queue, page } = args;
    let (start, end) = waiting(state, queue);
    let start = match page.after {
        None => Bound::Included(start),
        Some(after) => Bound::Excluded(key_of(queue, after)),
    };
    // Not a range up to the end: the caller may ask for what is behind it.
    let keys = state.order.keys_range((start, Bound::Unbounded));
    let keys = keys.take_while(|key| *key < end);
    PageRequest::checked(page)?.answer(
        keys.map(|key| place_of(&key)),
        |place| *place,
        |place| Ok(Some(place)),
    )
}

/// A page of the applications of the open round that lack reviews, in the order of their ids.
pub(crate) fn list_to_review<M: Memory>(
    state: &State<M>,
    args: PageArgs<u64>,
) -> Result<Page<u64, u64>, Error> {
    let request = PageRequest::checked(args)?;
    let ids = state.to_review.keys_range(request.range());
    request.answer(ids, |id| *id, |id| Ok(Some(id)))
}

/// Decides that a waiting application counts as with another score, by an officer whom it does not concern.
///
/// # Errors
/// [`Error::Unauthorized`]; [`Error::Invalid`] for score or reason; [`Error::NotFound`]; [`Error::Conflict`] if it does not
/// wait in a fixed order.
pub fn reorder<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    subject: &Subject,
    args: ReorderArgs,
) -> Result<Application, Error> {
    officer(subject)?;
    score(args.score)?;
    reason(&args.reason)?;
    let before = state.application(args.application)?;
    not_own(subject, before.content.applicant)?;
    if before.state != ApplicationState::Open {
        return Err(applications::not_open());
    }
    if state.desk.get().open_round == Some(before.content.round) {
        return Err(conflict("its round is open: reviews decide"));
    }
    let same = |known: &Regrading| {
        (known.score, known.by, &known.reason) == (args.score, subject.person, &args.reason)
    };
    if before.regrading.as_ref().is_some_and(same) {
        return Ok(before);
    }
    let after = Application {
        regrading: Some(Regrading {
            score: args.score,
            by: subject.person,
            reason: args.reason,
            at_ns: context.time_ns,
        }),
        ..before.clone()
    };
    let step = Step::new(step::REORDERED).application(Some(before), after.clone());
    step.record(state, context, subject.person)?;
    Ok(after)
}

#[cfg(test)]
mod tests {
    use indus_api::licences::{Audience, Sector};
    use proptest::prelude::*;

    use super::*;

    fn places() -> impl Strategy<Value = Place> {
        (0..3_u64, 0..=6_000_u16, 0..4_u64, any::<u64>()).prop_map(
            |(round, rank, applied_at_ns, application)| Place {
                round,
                rank,
                applied_at_ns,
                application,
            },
        )
    }

    proptest! {
        #[test]
        fn keys_stand_in_the_order_of_the_rule(one in places(), other in places()) {
            let queue = QueueKey { audience: Audience::Startups, sector: Sector::Fintech };
            let rule = |place: &Place| {
                (place.round, std::cmp::Reverse(place.rank), place.applied_at_ns, place.application)
            };
            let (first, second) = (key_of(queue, one), key_of(queue, other));
            prop_assert_eq!(first.cmp(&second), rule(&one).cmp(&rule(&other)));
            prop_assert_eq!(place_of(&first), one);
        }
    }
}
