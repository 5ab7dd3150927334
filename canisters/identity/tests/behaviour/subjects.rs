//! Who a caller is to other canisters.

use identity::{standings::LIFETIME_NS, subjects};
use indus_api::identity::RECOVERY_OFFICER;

use crate::setting::{CLERK, Refusal, Setting, key, refusal, suite};
use identity::subjects::Found;

#[test]
fn roles_count_while_the_standing_is_known_and_never_beyond() {
    let mut s = Setting::new();
    s.official(1, 1, CLERK);
    s.wait(LIFETIME_NS);
    assert_eq!(s.found(key(1)), Found::Asks(1));
    let context = s.at(key(1));
    assert_eq!(
        refusal(subjects::of_caller(&s.state, &context)),
        Refusal::Unavailable
    );
    s.subject(key(1)).unwrap();
    s.wait(LIFETIME_NS - 1);
    assert!(matches!(s.found(key(1)), Found::Person(_)));
    s.wait(1);
    assert_eq!(s.found(key(1)), Found::Asks(1));
    s.reopen();
    assert_eq!(s.found(key(1)), Found::Asks(1));
}

#[test]
fn who_holds_no_role_is_known_without_a_question() {
    let mut s = Setting::new();
    let person = s.person(1);
    assert!(matches!(s.found(key(1)), Found::Person(subject) if subject.person == person));
    assert_eq!(s.found(key(2)), Found::Nobody);
}

#[test]
fn a_person_acts_for_the_only_organisation_or_for_the_one_that_the_method_chose() {
    let mut s = Setting::new();
    s.official(1, 1, CLERK);
    assert_eq!(s.subject(key(1)).unwrap().organisation, Some(1));
    s.official(1, 2, RECOVERY_OFFICER);
    // two: for none, until one is chosen
    assert_eq!(s.subject(key(1)).unwrap().organisation, None);
    s.choose(key(1), Some(2)).unwrap();
    let subject = s.subject(key(1)).unwrap();
    assert_eq!(subject.organisation, Some(2));
    assert_eq!(subject.roles, [RECOVERY_OFFICER.to_owned()].into());
    s.choose(key(1), Some(1)).unwrap();
    assert_eq!(s.subject(key(1)).unwrap().roles, [CLERK.to_owned()].into());
    // an office that ends is not replaced by another one
    s.revoke_role(key(1), 1).unwrap();
    assert_eq!(s.subject(key(1)).unwrap().organisation, None);
    s.choose(key(1), None).unwrap();
    assert_eq!(s.subject(key(1)).unwrap().organisation, Some(2));
}

#[test]
fn a_choice_that_is_repeated_is_no_event() {
    let mut s = Setting::new();
    s.official(1, 1, CLERK);
    let chosen = s.choose(key(1), Some(1)).unwrap();
    let blocks = s.state.kit.certified.log_len();
    assert_eq!(s.choose(key(1), Some(1)), Ok(chosen));
    assert_eq!(s.state.kit.certified.log_len(), blocks);
}

#[test]
fn a_person_is_shown_to_the_suite_and_to_themselves() {
    let mut s = Setting::new();
    s.person(1);
    let may = |caller| subjects::may_ask(&s.state, &s.at(caller), key(1)).unwrap();
    assert!(may(suite()) && may(key(1)));
    assert!(!may(key(2)) && !may(crate::setting::canister(4)));
}
