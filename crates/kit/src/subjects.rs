//! Subjects: from a caller to a person, their organisation and their roles.
//!
//! ```text
//!                       registry: its own state
//! caller ── Subjects ──┤                                              ReadRule ──► may read, or not
//!                       others: CachedSubjects ◄── pull ── identity
//! ```
//!
//! Logic asks a [`Subjects`] source and never knows which it is. The shell asks it first whether the operation
//! [needs a fresh answer](Subjects::needs_fresh), and pulls one if so. After the `await`, everything else that the operation
//! was checked against may have changed: the logic runs from its start then.
//!
//! Invariant: who isn't known is refused. No error, and no silence of identity, gives anybody a role.

pub mod cache;
pub mod read_rule;

use indus_api::{
    Error,
    subject::{MAX_ROLE_BYTES, MAX_ROLES},
};

use crate::{Context, text::invalid};

pub use cache::CachedSubjects;
pub use indus_api::Subject;
pub use read_rule::{Owner, ReadRule};

/// Where subjects come from.
pub trait Subjects {
    /// Who the caller is.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] to anonymous callers and to those who are nobody here; [`Error::Unavailable`] with the
    /// reason [`cache::REFRESH`] if the source has to be asked first.
    fn subject(&self, context: &Context) -> Result<Subject, Error>;

    /// Whether an update has to pull the caller's subject before it asks for it. A source that decides itself never has to.
    fn needs_fresh(&self, _context: &Context, _sensitive: bool) -> bool {
        false
    }
}

/// Checks that a subject is within its bounds.
///
/// # Errors
/// [`Error::Invalid`] for `roles`.
pub fn check(subject: &Subject) -> Result<(), Error> {
    if subject.roles.len() > MAX_ROLES {
        return Err(invalid("roles", format!("must be at most {MAX_ROLES}")));
    }
    let fits = |role: &String| (1..=MAX_ROLE_BYTES).contains(&role.len());
    if !subject.roles.iter().all(fits) {
        let reason = format!("must each be 1 to {MAX_ROLE_BYTES} bytes long");
        return Err(invalid("roles", reason));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use candid::Principal;

    use super::*;

    fn with_roles(roles: impl IntoIterator<Item = String>) -> Subject {
        Subject {
            person: Principal::from_slice(&[1]),
            organisation: None,
            roles: roles.into_iter().collect(),
        }
    }

    #[test]
    fn roles_are_few_and_short() {
        let numbered = |count: usize| with_roles((0..count).map(|n| format!("role-{n}")));
        assert_eq!(check(&numbered(MAX_ROLES)), Ok(()));
        assert_eq!(
            check(&numbered(MAX_ROLES + 1)),
            Err(invalid("roles", "must be at most 32"))
        );
        assert_eq!(check(&with_roles(["r".repeat(MAX_ROLE_BYTES)])), Ok(()));
        for length in [0, MAX_ROLE_BYTES + 1] {
            assert_eq!(
                check(&with_roles(["r".repeat(length)])),
                Err(invalid("roles", "must each be 1 to 64 bytes long"))
            );
        }
    }
}
