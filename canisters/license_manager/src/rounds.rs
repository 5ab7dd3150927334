//! Rounds: one after the other, so that who applied in an earlier one stands before who applied in a later one.
//!
//! ```text
//!            open                          close (all open applications have their reviews)
//! (nothing) ──────► open: apply, review ──────────► closed: grants, in its order
//! ```
//!
//! Closing is one event: the [order](crate::order) is there already.

use ic_stable_structures::Memory;
use indus_api::{
    Error, Subject,
    licences::{MAX_TITLE_BYTES, OpenRoundArgs, Round, RoundRecord},
    paging::{Page, PageArgs},
};
use indus_kit::{
    Context,
    text::{self, invalid},
};

use crate::{
    refusals::{conflict, officer},
    state::{ROUNDS, State},
    step::{self, Step},
};

/// Opens a round, by an officer. Repeating it while it is open answers it again.
///
/// # Errors
/// [`Error::Unauthorized`]; [`Error::Invalid`]; [`Error::Conflict`] while another one is open.
pub fn open<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    subject: &Subject,
    args: OpenRoundArgs,
) -> Result<Round, Error> {
    officer(subject)?;
    text::name("title", &args.title, MAX_TITLE_BYTES)?;
    if let Some(id) = state.desk.get().open_round {
        let round = state.round(id)?;
        let same = round.opened_by == subject.person
            && round.title == args.title
            && round.apply_until_ns == args.apply_until_ns;
        if same {
            return Ok(round);
        }
        return Err(conflict(format!("round {id} is open")));
    }
    if args.apply_until_ns <= context.time_ns {
        return Err(invalid("apply_until_ns", "must be in the future"));
    }
    let round = Round {
        id: ROUNDS.len(&state.kit.certified) + 1,
        title: args.title,
        opened_by: subject.person,
        opened_at_ns: context.time_ns,
        apply_until_ns: args.apply_until_ns,
        reviews_needed: state.settings.configuration.limits.reviews_needed,
        closed_at_ns: None,
    };
    let step = Step::new(step::ROUND_OPENED).round(round.clone());
    step.record(state, context, subject.person)?;
    Ok(round)
}

/// Closes a round, by an officer, before its time perhaps: the log tells. Its order is fixed from now on. Repeatable.
///
/// # Errors
/// [`Error::Unauthorized`]; [`Error::NotFound`]; [`Error::Conflict`] while an open application of it lacks reviews.
pub fn close<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    subject: &Subject,
    id: u64,
) -> Result<Round, Error> {
    officer(subject)?;
    let round = state.round(id)?;
    if round.closed_at_ns.is_some() {
        return Ok(round);
    }
    if let Some((first, ())) = state.to_review.first_key_value() {
        let lacking = state.to_review.len();
        return Err(conflict(format!(
            "{lacking} applications lack reviews, application {first} is the first"
        )));
    }
    let round = Round {
        closed_at_ns: Some(context.time_ns),
        ..round
    };
    let step = Step::new(step::ROUND_CLOSED).round(round.clone());
    step.record(state, context, subject.person)?;
    Ok(round)
}

/// A page of rounds, in the order of their ids.
///
/// # Errors
/// [`Error::Invalid`] for the limit.
pub fn list<M: Memory>(state: &State<M>, args: PageArgs<u64>) -> Result<Page<u64, Round>, Error> {
    ROUNDS.page(&state.kit.certified, args, |RoundRecord::V1(round)| {
        Ok(Some(round))
    })
}
