//! Reviews: what reviewers think of the applications of the open round.
//!
//! A reviewer is never of the applicant's own person or organisation, and can be recused. Each has one review, which they may
//! replace until the round is closed; from then on the scores are fixed. A review is bound to the content that was read.
//!
//! Invariant: an open application in a closed round has the reviews that its round needs.

use ic_stable_structures::Memory;
use indus_api::{
    Error, Subject,
    licences::{
        Application, ApplicationContent, ApplicationState, MAX_RECUSALS, MAX_REVIEWS, Review,
        ReviewArgs,
    },
};
use indus_kit::{Context, codes::internal};

use crate::{
    applications::{self, CONTENT_NOT_ENCODED},
    refusals::{commitment, conflict, limit, reviewer, score, unauthorized},
    state::State,
    step::{self, Step},
};

/// Whether somebody may review by who they are: neither the applicant, nor of the applicant's organisation.
pub(crate) fn is_impartial(subject: &Subject, content: &ApplicationContent) -> bool {
    let same_organisation =
        content.organisation.is_some() && content.organisation == subject.organisation;
    subject.person != content.applicant && !same_organisation
}

/// Reviews an application of the open round, by a reviewer of another person and organisation. Repeatable; other words
/// replace the reviewer's earlier ones.
///
/// # Errors
/// [`Error::Unauthorized`]; [`Error::Invalid`]; [`Error::NotFound`]; [`Error::Conflict`] if it can't be reviewed any more;
/// [`Error::Stale`] if it is not what was read; [`Error::LimitReached`] for too many reviews.
pub fn review<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    subject: &Subject,
    args: ReviewArgs,
) -> Result<Application, Error> {
    reviewer(subject)?;
    score(args.score)?;
    commitment("comment", &args.comment)?;
    let before = under_review(state, subject, args.application)?;
    if before.recusals.contains(&subject.person) {
        return Err(unauthorized("a reviewer who was not recused"));
    }
    let hash = before.content.hash();
    let hash = hash.map_err(|_| internal(CONTENT_NOT_ENCODED))?;
    if args.hash != hash[..] {
        return Err(Error::Stale {
            current: hex::encode(hash),
        });
    }
    let review = Review {
        reviewer: subject.person,
        score: args.score,
        comment: args.comment,
        at_ns: context.time_ns,
    };
    let mut after = before.clone();
    let mine = before
        .reviews
        .iter()
        .position(|known| known.reviewer == subject.person);
    match mine {
        Some(place) => {
            let known = &before.reviews[place];
            if (known.score, &known.comment) == (review.score, &review.comment) {
                return Ok(seen_by(subject, before));
            }
            after.reviews[place] = review;
        }
        None if before.reviews.len() >= MAX_REVIEWS => {
            return Err(limit(MAX_REVIEWS as u64, "reviews of one application"));
        }
        None => after.reviews.push(review),
    }
    let step = Step::new(step::REVIEWED).application(Some(before), after.clone());
    step.record(state, context, subject.person)?;
    Ok(seen_by(subject, after))
}

/// Recuses the caller from an application of the open round, and takes their review back. Repeatable; not to be undone.
///
/// # Errors
/// [`Error::Unauthorized`]; [`Error::NotFound`]; [`Error::Conflict`] if it can't be reviewed any more;
/// [`Error::LimitReached`].
pub fn recuse<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    subject: &Subject,
    id: u64,
) -> Result<Application, Error> {
    reviewer(subject)?;
    let before = under_review(state, subject, id)?;
    if before.recusals.contains(&subject.person) {
        return Ok(seen_by(subject, before));
    }
    if before.recusals.len() >= MAX_RECUSALS {
        return Err(limit(MAX_RECUSALS as u64, "recusals from one application"));
    }
    let mut after = before.clone();
    after.recusals.push(subject.person);
    after
        .reviews
        .retain(|review| review.reviewer != subject.person);
    let step = Step::new(step::RECUSED).application(Some(before), after.clone());
    step.record(state, context, subject.person)?;
    Ok(seen_by(subject, after))
}

/// An application that can be reviewed now, by this reviewer.
fn under_review<M: Memory>(
    state: &State<M>,
    subject: &Subject,
    id: u64,
) -> Result<Application, Error> {
    let application = state.application(id)?;
    if !is_impartial(subject, &application.content) {
        return Err(unauthorized(
            "a reviewer of another person and organisation",
        ));
    }
    if application.state != ApplicationState::Open {
        return Err(applications::not_open());
    }
    if state.desk.get().open_round != Some(application.content.round) {
        return Err(conflict("its round is closed: the scores are fixed"));
    }
    Ok(application)
}

/// What a reviewer sees of an application: not what others think of it.
pub(crate) fn seen_by(subject: &Subject, mut application: Application) -> Application {
    application.salt.clear();
    application
        .reviews
        .retain(|review| review.reviewer == subject.person);
    application
}
