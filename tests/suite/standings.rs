//! Who loses a role, or whose organisation is suspended: at once for what is sensitive, within a minute for everything.

use std::time::Duration;

use indus_api::{
    Error, Subject,
    identity::{RevocationReason, RevokeRoleArgs, Role},
    licences::{Application, Round, Seat},
    registry::OrganisationChange,
};

use crate::{
    licences::{application, closed_round, review, round},
    suite::{Suite, key},
};

const MINUTE: Duration = Duration::from_secs(60);

fn suspend() -> OrganisationChange {
    OrganisationChange::Suspend {
        reason: "an audit".into(),
    }
}

fn reinstate() -> OrganisationChange {
    OrganisationChange::Reinstate {
        reason: "audited".into(),
    }
}

/// An open round with one application.
fn open_round(suite: &Suite) -> Application {
    let opened: Result<Round, Error> =
        suite.licences(key("officer"), "open_round", (round(suite),));
    opened.unwrap();
    suite.person(key("ayesha"));
    let args = (application("ayesha"),);
    suite.licences(key("ayesha"), "apply", args).unwrap()
}

fn reviewed(suite: &Suite, application: &Application, score: u8) -> Result<Application, Error> {
    suite.licences(key("reviewer"), "review", (review(application, score),))
}

fn is_unauthorized<T>(answer: &Result<T, Error>) -> bool {
    matches!(answer, Err(Error::Unauthorized { .. }))
}

fn is_conflict<T>(answer: &Result<T, Error>) -> bool {
    matches!(answer, Err(Error::Conflict { .. }))
}

#[test]
fn a_suspension_holds_at_once_for_what_is_sensitive() {
    let suite = Suite::new();
    suite.with_officials();
    let officer = key("officer");
    let (_, applied) = closed_round(&suite, "ayesha");
    // Identity knows well where the organisation stands, and so does the license manager who the officer is.
    let told: Result<Subject, Error> = suite.identity(officer, "refresh_subject", ());
    assert_eq!(told.unwrap().organisation, Some(suite.organisation));
    let told: Result<Subject, Error> = suite.licences(officer, "refresh_subject", ());
    assert_eq!(told.unwrap().organisation, Some(suite.organisation));

    suite.change(suite.organisation, suspend());
    let roots = suite.roots(suite.license_manager);
    let grant =
        || -> Result<Seat, Error> { suite.licences(officer, "grant", (applied.content.id,)) };
    assert!(is_unauthorized(&grant()));
    let opened: Result<Round, Error> = suite.licences(officer, "open_round", (round(&suite),));
    assert!(is_unauthorized(&opened));
    assert_eq!(suite.roots(suite.license_manager), roots);
    // Nor does the organisation's administrator appoint anybody.
    let args = suite.offer(suite.person(key("new")), "licence-officer");
    let administrator = key("administrator");
    let appointed: Result<Role, Error> = suite.identity(administrator, "grant_role", (args,));
    assert!(is_conflict(&appointed));

    suite.change(suite.organisation, reinstate());
    assert_eq!(grant().unwrap().holder, applied.content.applicant);
}

#[test]
fn a_suspension_holds_within_a_minute_for_everything() {
    let suite = Suite::new();
    suite.with_officials();
    let applied = open_round(&suite);
    reviewed(&suite, &applied, 50).unwrap();
    suite.change(suite.organisation, suspend());
    suite.pass(MINUTE);
    assert!(is_unauthorized(&reviewed(&suite, &applied, 51)));
    let seen: Result<Application, Error> = suite.query(
        suite.license_manager,
        key("reviewer"),
        "get_application",
        (applied.content.id,),
    );
    assert!(is_unauthorized(&seen));
    suite.change(suite.organisation, reinstate());
    suite.pass(MINUTE);
    reviewed(&suite, &applied, 51).unwrap();
}

/// Two memories of a minute, one behind the other, are not two minutes.
#[test]
fn what_identity_remembers_is_not_told_to_the_suite() {
    let suite = Suite::new();
    suite.with_officials();
    let applied = open_round(&suite);
    suite.pass(MINUTE);
    let told: Result<Subject, Error> = suite.identity(key("reviewer"), "refresh_subject", ());
    assert_eq!(told.unwrap().organisation, Some(suite.organisation));
    suite.change(suite.organisation, suspend());
    suite.pass(MINUTE / 2);
    assert!(is_unauthorized(&reviewed(&suite, &applied, 50)));
}

#[test]
fn a_role_that_was_taken_back_ends_likewise() {
    let suite = Suite::new();
    let (officer, reviewer) = suite.with_officials();
    let applied = open_round(&suite);
    reviewed(&suite, &applied, 50).unwrap();
    for role in [&officer, &reviewer] {
        let args = RevokeRoleArgs {
            id: role.id,
            reason: RevocationReason::Ended,
        };
        let strangers: Result<Role, Error> = suite.identity(key("ayesha"), "revoke_role", (args,));
        assert!(is_unauthorized(&strangers));
        let revoked: Result<Role, Error> =
            suite.identity(key("administrator"), "revoke_role", (args,));
        assert!(revoked.unwrap().revocation.is_some());
    }
    let closed: Result<Round, Error> = suite.licences(key("officer"), "close_round", (1_u64,));
    assert!(is_unauthorized(&closed));
    suite.pass(MINUTE);
    assert!(is_unauthorized(&reviewed(&suite, &applied, 51)));
}
