//! Who may have an app, and how many.

use app_hosting::apps;
use indus_api::{
    hosting::{AppName, AppOwner, Configuration, ListAppsArgs, MAX_APP_NAME_BYTES},
    registry::DataClass,
};

use crate::setting::{Setting, developer, founder, named, person, refusal};

#[test]
fn a_licence_is_what_a_founder_needs_and_an_office_what_an_agency_does() {
    let mut s = Setting::new();
    let app = s.create_app(&founder(1), named("kisan", None)).unwrap();
    assert_eq!(app.owner, AppOwner::Person(person(1)));
    assert_eq!(s.app(1), app);
    let without = s.create_app(&founder(9), named("kisan", None));
    assert_eq!(refusal(without), "unauthorized");

    // Nobody asks a developer for a licence.
    let office = s.create_app(&developer(9, 7), named("kisan", Some(7)));
    assert_eq!(office.unwrap().owner, AppOwner::Organisation(7));
    for stranger in [developer(9, 8), founder(1)] {
        let refused = s.create_app(&stranger, named("other", Some(7)));
        assert_eq!(refusal(refused), "unauthorized");
    }
    let mut clerk = developer(9, 7);
    clerk.roles.clear();
    let refused = s.create_app(&clerk, named("other", Some(7)));
    assert_eq!(refusal(refused), "unauthorized");
    s.audit();
}

#[test]
fn an_app_that_is_made_again_is_the_same_unless_it_is_another_one() {
    let mut s = Setting::new();
    let app = s.create_app(&founder(1), named("kisan", None)).unwrap();
    let blocks = s.state.kit.certified.log_len();
    s.reopen();
    assert_eq!(
        s.create_app(&founder(1), named("kisan", None)),
        Ok(app.clone())
    );
    assert_eq!(s.state.kit.certified.log_len(), blocks);
    let mut secret = named("kisan", None);
    secret.data_class = DataClass::Secret;
    assert_eq!(refusal(s.create_app(&founder(1), secret)), "conflict");
    // Others have names of their own.
    assert_eq!(
        s.create_app(&founder(2), named("kisan", None)).unwrap().id,
        2
    );
    let find = |s: &Setting, n: u8, name: &str| {
        let owner = AppOwner::Person(person(n));
        let name = name.into();
        apps::named(&s.state, AppName { owner, name }).map(|app| app.id)
    };
    assert_eq!(find(&s, 1, "kisan"), Ok(1));
    assert_eq!(find(&s, 2, "kisan"), Ok(2));
    assert_eq!(refusal(find(&s, 2, "other")), "no app");
}

#[test]
fn names_are_slugs_of_bounded_length() {
    let mut s = Setting::new();
    let longest = "a".repeat(MAX_APP_NAME_BYTES);
    assert!(s.create_app(&founder(1), named(&longest, None)).is_ok());
    for wrong in [
        String::new(),
        format!("{longest}a"),
        "Kisan".into(),
        "a b".into(),
    ] {
        let refused = s.create_app(&founder(1), named(&wrong, None));
        assert_eq!(refusal(refused), "invalid name", "{wrong}");
    }
}

#[test]
fn owners_have_as_many_apps_as_is_configured() {
    let mut s = Setting::with(Configuration {
        apps_of_person: 2,
        apps_of_organisation: 3,
        ..Configuration::default()
    });
    for (subject, organisation, most) in [(founder(1), None, 2), (developer(2, 7), Some(7), 3)] {
        for n in 0..most {
            s.create_app(&subject, named(&format!("app-{n}"), organisation))
                .unwrap();
        }
        let more = s.create_app(&subject, named("one-more", organisation));
        assert_eq!(refusal(more), format!("limit {most}"));
        // What is there already is no more.
        assert!(s.create_app(&subject, named("app-0", organisation)).is_ok());
    }
    let args = |after| ListAppsArgs {
        owner: AppOwner::Organisation(7),
        after,
        limit: 2,
    };
    let first = apps::list(&s.state, args(None)).unwrap();
    let second = apps::list(&s.state, args(first.next)).unwrap();
    let ids = first.items.iter().chain(&second.items).map(|app| app.id);
    assert!(ids.eq([3, 4, 5]));
    assert_eq!(second.next, None);
}
