//! Governors: the people who decide on applications, named when the canister is installed.

use candid::Principal;
use ic_stable_structures::Memory;
use indus_api::{Error, Subject, registry::MAX_GOVERNORS};
use indus_kit::{Context, subjects::Subjects, text::invalid};

use crate::state::State;

/// The role of a governor.
const ROLE: &str = "governor";

/// The governors of an installation, sorted.
///
/// # Errors
/// [`Error::Invalid`] for none, too many, an anonymous one, or the same one twice.
pub(crate) fn checked(mut governors: Vec<Principal>) -> Result<Vec<Principal>, Error> {
    if !(1..=MAX_GOVERNORS).contains(&governors.len()) {
        return Err(invalid(
            "governors",
            format!("must be 1 to {MAX_GOVERNORS}"),
        ));
    }
    if governors.contains(&Principal::anonymous()) {
        return Err(invalid("governors", "must not be anonymous"));
    }
    governors.sort_unstable();
    if governors.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(invalid("governors", "must not name anyone twice"));
    }
    Ok(governors)
}

/// Subjects as the registry knows them: principals in its own state.
pub(crate) struct Governors<'a, M: Memory>(pub(crate) &'a State<M>);

impl<M: Memory> Subjects for Governors<'_, M> {
    fn subject(&self, context: &Context) -> Result<Subject, Error> {
        let person = context.authenticated()?;
        let role = self.0.is_governor(person).then(|| ROLE.to_owned());
        Ok(Subject {
            person,
            organisation: None,
            roles: role.into_iter().collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(n: u8) -> Principal {
        Principal::from_slice(&[n, 1])
    }

    fn reason(governors: Vec<Principal>) -> String {
        match checked(governors) {
            Err(Error::Invalid { field, reason }) if field == "governors" => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn governors_are_kept_sorted() {
        assert_eq!(
            checked(vec![person(2), person(1)]),
            Ok(vec![person(1), person(2)])
        );
    }

    #[test]
    fn there_must_be_governors_and_not_too_many() {
        assert_eq!(reason(vec![]), "must be 1 to 25");
        let many: Vec<_> = (0..=MAX_GOVERNORS)
            .map(|n| person(u8::try_from(n).unwrap()))
            .collect();
        assert_eq!(reason(many), "must be 1 to 25");
    }

    #[test]
    fn nobody_governs_anonymously_or_twice() {
        assert_eq!(
            reason(vec![Principal::anonymous()]),
            "must not be anonymous"
        );
        assert_eq!(
            reason(vec![person(1), person(2), person(1)]),
            "must not name anyone twice"
        );
    }
}
