//! Who may read a collection's records.
//!
//! One rule a collection, enforced alike for plain, certified and list reads. It sees the reader's subject and the record's
//! owner, never the record.
//!
//! Invariants: a rule other than [`ReadRule::Public`] refuses whoever the source of subjects doesn't know. A rule has no
//! exceptions for controllers or operators.
//!
//! Cost: one look-up of the subject, but for public records; a list looks it up once.

use candid::Principal;
use indus_api::{Error, Subject};

use super::Subjects;
use crate::Context;

/// Whose record it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// [`Subject::person`] of the one that it is about.
    pub person: Principal,
    /// The organisation whose members may read it as well.
    pub organisation: Option<u64>,
}

/// Who may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadRule {
    /// Everybody, anonymous callers included.
    Public,
    /// Every person.
    Persons,
    /// The person whom the record is about, and their organisation.
    Owner,
    /// Whoever has this role.
    Role(&'static str),
    /// Those whom the record is about, and whoever has this role.
    OwnerOrRole(&'static str),
}

impl ReadRule {
    /// Whether `reader` may read what is `owner`'s; no reader is somebody unknown.
    #[must_use]
    pub fn allows(self, owner: &Owner, reader: Option<&Subject>) -> bool {
        let Some(reader) = reader else {
            return self == Self::Public;
        };
        match self {
            Self::Public | Self::Persons => true,
            Self::Owner => owner.is(reader),
            Self::Role(role) => reader.roles.contains(role),
            Self::OwnerOrRole(role) => owner.is(reader) || reader.roles.contains(role),
        }
    }

    /// The reader, for [`ReadRule::allows`]: nobody is asked for what everybody may read.
    ///
    /// # Errors
    /// Those of [`Subjects::subject`].
    pub fn reader(
        self,
        subjects: &impl Subjects,
        context: &Context,
    ) -> Result<Option<Subject>, Error> {
        match self {
            Self::Public => Ok(None),
            Self::Persons | Self::Owner | Self::Role(_) | Self::OwnerOrRole(_) => {
                subjects.subject(context).map(Some)
            }
        }
    }

    /// Refuses a caller who may not read what is `owner`'s.
    ///
    /// # Errors
    /// [`Error::Unauthorized`], which names who may; those of [`Subjects::subject`].
    pub fn check(
        self,
        owner: &Owner,
        subjects: &impl Subjects,
        context: &Context,
    ) -> Result<(), Error> {
        let reader = self.reader(subjects, context)?;
        if self.allows(owner, reader.as_ref()) {
            return Ok(());
        }
        Err(Error::Unauthorized {
            needs: self.needs(),
        })
    }

    /// Who may read, in words.
    #[must_use]
    pub fn needs(self) -> String {
        const OWNER: &str = "the person or organisation that it belongs to";
        match self {
            Self::Public => "nothing".into(),
            Self::Persons => "a registered person".into(),
            Self::Owner => OWNER.into(),
            Self::Role(role) => format!("the role {role}"),
            Self::OwnerOrRole(role) => format!("{OWNER}, or the role {role}"),
        }
    }
}

impl Owner {
    fn is(&self, reader: &Subject) -> bool {
        self.person == reader.person
            || (self.organisation.is_some() && self.organisation == reader.organisation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: [ReadRule; 5] = [
        ReadRule::Public,
        ReadRule::Persons,
        ReadRule::Owner,
        ReadRule::Role("auditor"),
        ReadRule::OwnerOrRole("auditor"),
    ];

    fn person(n: u8) -> Principal {
        Principal::from_slice(&[n, 1])
    }

    fn reader(n: u8, organisation: Option<u64>, roles: &[&str]) -> Subject {
        Subject {
            person: person(n),
            organisation,
            roles: roles.iter().map(ToString::to_string).collect(),
        }
    }

    fn allowed(owner: &Owner, reader: Option<&Subject>) -> [bool; 5] {
        RULES.map(|rule| rule.allows(owner, reader))
    }

    #[test]
    fn each_rule_lets_in_whom_it_names_and_nobody_else() {
        let owner = Owner {
            person: self::person(1),
            organisation: Some(7),
        };
        let owns = [true, true, true, false, true];
        let audits = [true, true, false, true, true];
        let person = [true, true, false, false, false];
        let unknown = [true, false, false, false, false];
        for (subject, expected) in [
            (reader(1, None, &[]), owns),
            (reader(1, Some(8), &["member"]), owns),
            (reader(2, Some(7), &[]), owns),
            (reader(2, Some(8), &["auditor"]), audits),
            (reader(2, Some(8), &["Auditor", "auditors"]), person),
            (reader(2, None, &[]), person),
        ] {
            assert_eq!(allowed(&owner, Some(&subject)), expected, "{subject:?}");
        }
        assert_eq!(allowed(&owner, None), unknown);
    }

    #[test]
    fn persons_without_organisation_do_not_share_one() {
        let owner = Owner {
            person: person(1),
            organisation: None,
        };
        assert!(!ReadRule::Owner.allows(&owner, Some(&reader(2, None, &[]))));
    }

    /// Knows callers with the number 1 only.
    struct One;

    impl Subjects for One {
        fn subject(&self, context: &Context) -> Result<Subject, Error> {
            if context.caller == person(1) {
                Ok(reader(1, None, &[]))
            } else {
                Err(Error::Expired)
            }
        }
    }

    #[test]
    fn public_records_ask_for_nobody_and_others_say_who_may_read() {
        let by = |n| Context {
            caller: person(n),
            time_ns: 1,
        };
        let owner = Owner {
            person: person(1),
            organisation: None,
        };
        assert_eq!(ReadRule::Public.check(&owner, &One, &by(2)), Ok(()));
        assert_eq!(ReadRule::Owner.check(&owner, &One, &by(1)), Ok(()));
        assert_eq!(
            ReadRule::Owner.check(&owner, &One, &by(2)),
            Err(Error::Expired)
        );
        assert_eq!(
            ReadRule::Role("auditor").check(&owner, &One, &by(1)),
            Err(Error::Unauthorized {
                needs: "the role auditor".into()
            })
        );
    }
}
