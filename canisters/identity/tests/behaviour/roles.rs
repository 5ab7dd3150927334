//! Roles.

use identity::roles;
use indus_api::{
    identity::{ListRolesArgs, MAX_ROLES_IN_ORGANISATION, RECOVERY_OFFICER},
    paging::PageArgs,
    registry::OrganisationStatus,
};

use crate::setting::{CLERK, DAY, Refusal, Setting, administrator, key, refusal};

#[test]
fn a_role_counts_from_its_acceptance_on() {
    let mut s = Setting::new();
    let person = s.person(1);
    let args = s.role(person, 1, CLERK);
    let role = s.grant(administrator(1), args.clone()).unwrap();
    assert_eq!(s.grant(administrator(1), args), Ok(role.clone()));
    assert!(s.subject(key(1)).unwrap().roles.is_empty());
    let accepted = s.accept(key(1), role.id).unwrap();
    assert_eq!(s.accept(key(1), role.id), Ok(accepted));
    let subject = s.subject(key(1)).unwrap();
    assert_eq!(
        (subject.organisation, subject.roles),
        (Some(1), [CLERK.to_owned()].into())
    );
}

#[test]
fn a_role_that_is_taken_back_is_never_held_again() {
    let mut s = Setting::new();
    s.official(1, 1, CLERK);
    let revoked = s.revoke_role(administrator(1), 1).unwrap();
    s.wait(1);
    assert_eq!(s.revoke_role(key(1), 1), Ok(revoked));
    assert_eq!(s.subject(key(1)).unwrap().organisation, None);
    assert_eq!(refusal(s.accept(key(1), 1)), Refusal::Expired);
}

#[test]
fn an_organisation_that_is_not_active_gives_no_roles_and_may_take_them_back() {
    use OrganisationStatus::{Active, InReview, Pending, Rejected, Revoked, Suspended, Withdrawn};
    for status in [Pending, InReview, Suspended, Revoked, Rejected, Withdrawn] {
        let mut s = Setting::new();
        let person = s.official(1, 1, CLERK);
        s.set_status(1, status);
        let args = s.role(person, 1, RECOVERY_OFFICER);
        assert_eq!(refusal(s.grant(administrator(1), args)), Refusal::Conflict);
        s.wait(60 * crate::setting::SECOND);
        let subject = s.subject(key(1)).unwrap();
        assert_eq!(
            (subject.organisation, subject.roles.len()),
            (None, 0),
            "{status:?}"
        );
        s.revoke_role(administrator(1), 1).unwrap();
        s.set_status(1, Active);
        s.wait(60 * crate::setting::SECOND);
        assert_eq!(s.subject(key(1)).unwrap().organisation, None);
    }
}

#[test]
fn roles_of_one_name_do_not_overlap() {
    let mut s = Setting::new();
    let person = s.person(1);
    let args = s.role(person, 1, CLERK);
    let id = s.grant(administrator(1), args.clone()).unwrap().id;
    let mut later = args.clone();
    later.valid_from_ns = args.valid_until_ns - 1;
    later.valid_until_ns += DAY;
    assert_eq!(
        refusal(s.grant(administrator(1), later.clone())),
        Refusal::AlreadyExists
    );
    later.valid_from_ns += 1;
    let next = s.grant(administrator(1), later.clone()).unwrap().id;
    assert_eq!((id, next), (1, 2));
    // another name, and another organisation
    let other = s.role(person, 1, RECOVERY_OFFICER);
    assert!(s.grant(administrator(1), other).is_ok());
    let other = s.role(person, 2, CLERK);
    assert!(s.grant(administrator(2), other).is_ok());
    // and the place of one that was taken back is free
    s.revoke_role(administrator(1), id).unwrap();
    let mut again = s.role(person, 1, CLERK);
    again.valid_until_ns = later.valid_from_ns;
    assert!(s.grant(administrator(1), again).is_ok());
}

#[test]
fn roles_that_are_over_make_room_for_others() {
    let mut s = Setting::new();
    let person = s.person(1);
    for n in 0..MAX_ROLES_IN_ORGANISATION {
        let mut args = s.role(person, 1, &format!("role-{n}"));
        args.valid_until_ns = s.time_ns + DAY;
        let id = s.grant(administrator(1), args).unwrap().id;
        s.accept(key(1), id).unwrap();
    }
    let more = s.role(person, 1, "one-more");
    assert_eq!(
        refusal(s.grant(administrator(1), more.clone())),
        Refusal::Limit
    );
    s.wait(DAY);
    let id = s.grant(administrator(1), more).unwrap().id;
    s.accept(key(1), id).unwrap();
    let roles = s.subject(key(1)).unwrap().roles;
    assert_eq!(roles, ["one-more".to_owned()].into());
}

#[test]
fn no_organisation_knows_of_another_ones_people() {
    let mut s = Setting::new();
    let person = s.official(1, 1, CLERK);
    // the administrator of one organisation can't grant for another
    let args = s.role(person, 2, CLERK);
    assert_eq!(
        refusal(s.grant(administrator(1), args)),
        Refusal::Unauthorized
    );
    assert_eq!(
        refusal(s.revoke_role(administrator(2), 1)),
        Refusal::Unauthorized
    );
    // and an offer that nobody accepted changes nothing for the person
    let args = s.role(person, 2, CLERK);
    s.grant(administrator(2), args).unwrap();
    assert_eq!(s.subject(key(1)).unwrap().organisation, Some(1));
}

#[test]
fn lists_show_what_was_asked_for() {
    let mut s = Setting::new();
    let first = s.official(1, 1, CLERK);
    s.official(2, 1, CLERK);
    s.official(1, 2, CLERK);
    let list = |organisation, person| {
        let page = PageArgs {
            after: None,
            limit: 10,
        };
        let args = ListRolesArgs {
            organisation,
            person,
            page,
        };
        let items = roles::list(&s.state, args).unwrap().items;
        items.iter().map(|role| role.id).collect::<Vec<_>>()
    };
    assert_eq!(list(None, None), [1, 2, 3]);
    assert_eq!(list(Some(1), None), [1, 2]);
    assert_eq!(list(None, Some(first)), [1, 3]);
    assert_eq!(list(Some(2), Some(first)), [3]);
    assert_eq!(list(Some(3), None), [0; 0]);
}
