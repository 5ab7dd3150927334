//! Refusals: who may do what, and the errors that several nouns share.

use candid::Principal;
use indus_api::{
    Error, Subject,
    licences::{COMMITMENT_BYTES, MAX_REASON_BYTES, MAX_SCORE, OFFICER, REVIEWER},
};
pub(crate) use indus_kit::refusals::{conflict, limit_reached as limit, not_found, unauthorized};
use indus_kit::text::{self, invalid};

/// Refuses whoever is no officer.
pub(crate) fn officer(subject: &Subject) -> Result<(), Error> {
    role(subject, OFFICER)
}

/// Refuses whoever is no reviewer.
pub(crate) fn reviewer(subject: &Subject) -> Result<(), Error> {
    role(subject, REVIEWER)
}

fn role(subject: &Subject, role: &str) -> Result<(), Error> {
    if subject.roles.contains(role) {
        return Ok(());
    }
    Err(unauthorized(format!("the role {role}")))
}

/// Refuses an officer who would decide in a matter of their own.
pub(crate) fn not_own(subject: &Subject, person: Principal) -> Result<(), Error> {
    if subject.person == person {
        return Err(unauthorized("an officer whom it does not concern"));
    }
    Ok(())
}

/// A commitment has the length of one.
pub(crate) fn commitment(field: &str, bytes: &[u8]) -> Result<(), Error> {
    if bytes.len() == COMMITMENT_BYTES {
        return Ok(());
    }
    let reason = format!("must be {COMMITMENT_BYTES} bytes long");
    Err(invalid(field, reason))
}

/// A score is one.
pub(crate) fn score(score: u8) -> Result<(), Error> {
    if score <= MAX_SCORE {
        return Ok(());
    }
    Err(invalid("score", format!("must be 0 to {MAX_SCORE}")))
}

/// A reason is given, in one line.
pub(crate) fn reason(reason: &str) -> Result<(), Error> {
    text::name("reason", reason, MAX_REASON_BYTES)
}
