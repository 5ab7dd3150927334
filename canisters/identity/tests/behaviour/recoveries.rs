//! Recoveries.

use identity::{persons, recoveries};
use indus_api::{
    identity::{DEFAULT_RECOVERY_DELAY_NS, OpenRecoveryArgs, RecoveryEnd},
    registry::OrganisationStatus,
};

use crate::setting::{
    CLERK_KEY, FOREIGN_OFFICIAL, NEW_KEY, OFFICIAL, Officials, Refusal, SECOND_OFFICIAL,
    THIRD_OFFICIAL, administrator, key, new_method, refusal,
};

#[test]
fn two_officials_and_a_delay_bring_a_person_back() {
    let mut o = Officials::new();
    let id = o.approved(OFFICIAL, SECOND_OFFICIAL);
    o.s.wait(DEFAULT_RECOVERY_DELAY_NS);
    let finished = o.s.finish(key(NEW_KEY), id).unwrap();
    assert!(matches!(finished.end, Some(RecoveryEnd::Finished { .. })));
    o.s.wait(1);
    assert_eq!(o.s.finish(key(OFFICIAL), id), Ok(finished));
    assert_eq!(o.s.register(key(NEW_KEY)).unwrap().id, o.clerk);
    // the others were removed, as it was decided
    let view = persons::view(&o.s.state, &o.s.at(key(NEW_KEY))).unwrap();
    assert_eq!(view.methods.len(), 1);
    assert_eq!(
        refusal(o.s.open_pairing(key(CLERK_KEY))),
        Refusal::Unauthorized
    );
}

#[test]
fn other_methods_stay_if_that_was_decided() {
    let mut o = Officials::new();
    let args = OpenRecoveryArgs {
        remove_others: false,
        ..o.recovery()
    };
    let id = o.s.open_recovery(key(OFFICIAL), args).unwrap().id;
    let hash = o.s.recovery_hash(id);
    o.s.approve_recovery(key(SECOND_OFFICIAL), id, hash)
        .unwrap();
    o.s.wait(DEFAULT_RECOVERY_DELAY_NS);
    o.s.finish(key(OFFICIAL), id).unwrap();
    let view = persons::view(&o.s.state, &o.s.at(key(CLERK_KEY))).unwrap();
    assert_eq!(view.methods.len(), 2);
}

#[test]
fn an_approval_is_of_another_official_and_of_what_they_read() {
    let mut o = Officials::new();
    let id = o.opened(OFFICIAL);
    let hash = o.s.recovery_hash(id);
    let by = |o: &mut Officials, n, hash| refusal(o.s.approve_recovery(key(n), id, hash));
    assert_eq!(by(&mut o, OFFICIAL, hash), Refusal::Unauthorized);
    assert_eq!(by(&mut o, FOREIGN_OFFICIAL, hash), Refusal::Unauthorized);
    assert_eq!(by(&mut o, CLERK_KEY, hash), Refusal::Unauthorized);
    assert_eq!(by(&mut o, SECOND_OFFICIAL, [0; 32]), Refusal::Stale);
    let approved =
        o.s.approve_recovery(key(SECOND_OFFICIAL), id, hash)
            .unwrap();
    o.s.wait(1);
    assert_eq!(
        o.s.approve_recovery(key(SECOND_OFFICIAL), id, hash),
        Ok(approved)
    );
    assert_eq!(by(&mut o, THIRD_OFFICIAL, hash), Refusal::Conflict);
}

#[test]
fn nobody_recovers_themselves() {
    let mut o = Officials::new();
    let official = o.s.register(key(OFFICIAL)).unwrap().id;
    let args = OpenRecoveryArgs {
        person: official,
        ..o.recovery()
    };
    assert_eq!(
        refusal(o.s.open_recovery(key(OFFICIAL), args.clone())),
        Refusal::Unauthorized
    );
    let id = o.s.open_recovery(key(SECOND_OFFICIAL), args).unwrap().id;
    let hash = o.s.recovery_hash(id);
    let refused = o.s.approve_recovery(key(OFFICIAL), id, hash);
    assert_eq!(refusal(refused), Refusal::Unauthorized);
}

#[test]
fn a_person_who_never_accepted_a_role_is_not_the_organisations_to_recover() {
    let mut o = Officials::new();
    let stranger = o.s.person(60);
    let args = o.s.role(stranger, 1, "clerk");
    o.s.grant(administrator(1), args).unwrap();
    let args = OpenRecoveryArgs {
        person: stranger,
        ..o.recovery()
    };
    assert_eq!(
        refusal(o.s.open_recovery(key(OFFICIAL), args)),
        Refusal::Conflict
    );
}

#[test]
fn a_veto_ends_it_at_any_time_before_the_end() {
    let mut o = Officials::new();
    let id = o.approved(OFFICIAL, SECOND_OFFICIAL);
    o.s.wait(2 * DEFAULT_RECOVERY_DELAY_NS);
    let vetoed = o.s.veto(key(CLERK_KEY), id).unwrap();
    o.s.wait(1);
    assert_eq!(o.s.veto(key(CLERK_KEY), id), Ok(vetoed));
    assert_eq!(refusal(o.s.finish(key(OFFICIAL), id)), Refusal::Conflict);
    // and another one may be opened
    assert_eq!(o.opened(SECOND_OFFICIAL), id + 1);
}

#[test]
fn one_recovery_of_a_person_at_a_time() {
    let mut o = Officials::new();
    let id = o.opened(OFFICIAL);
    assert_eq!(o.opened(OFFICIAL), id);
    let args = o.recovery();
    assert_eq!(
        refusal(o.s.open_recovery(key(SECOND_OFFICIAL), args)),
        Refusal::Conflict
    );
    let args = OpenRecoveryArgs {
        new_method: new_method(99),
        ..o.recovery()
    };
    assert_eq!(
        refusal(o.s.open_recovery(key(OFFICIAL), args)),
        Refusal::Conflict
    );
}

/// What may change under a recovery: nothing goes on then.
type Undermine = fn(&mut Officials);

const UNDERMINED: [(&str, Undermine); 4] = [
    ("the organisation is suspended", |o| {
        o.s.set_status(1, OrganisationStatus::Suspended);
    }),
    ("the first official has lost the role", |o| {
        // roles 1 and 2 are the first official's
        o.s.revoke_role(administrator(1), 1).unwrap();
    }),
    ("the person has left", |o| {
        let clerk = o.clerk;
        let role = (1..20).find(|id| {
            identity::roles::get(&o.s.state, *id).is_ok_and(|role| role.person == clerk)
        });
        o.s.revoke_role(key(CLERK_KEY), role.unwrap()).unwrap();
    }),
    ("the key has become somebody's", |o| {
        o.s.register(key(NEW_KEY)).unwrap();
    }),
];

#[test]
fn what_a_recovery_rests_on_is_checked_at_its_end() {
    for (what, undermine) in UNDERMINED {
        let mut o = Officials::new();
        let id = o.approved(OFFICIAL, SECOND_OFFICIAL);
        o.s.wait(DEFAULT_RECOVERY_DELAY_NS);
        undermine(&mut o);
        assert!(o.s.finish(key(SECOND_OFFICIAL), id).is_err(), "{what}");
        assert_eq!(o.s.register(key(CLERK_KEY)).unwrap().id, o.clerk, "{what}");
    }
    let mut o = Officials::new();
    let id = o.approved(OFFICIAL, SECOND_OFFICIAL);
    o.s.wait(DEFAULT_RECOVERY_DELAY_NS);
    // roles 3 and 4 are the second official's
    o.s.revoke_role(administrator(1), 3).unwrap();
    assert_eq!(refusal(o.s.finish(key(OFFICIAL), id)), Refusal::Conflict);
}

#[test]
fn what_a_recovery_rests_on_is_checked_at_its_approval() {
    for (what, undermine) in &UNDERMINED[..3] {
        let mut o = Officials::new();
        let id = o.opened(OFFICIAL);
        let hash = o.s.recovery_hash(id);
        undermine(&mut o);
        assert!(
            o.s.approve_recovery(key(SECOND_OFFICIAL), id, hash)
                .is_err(),
            "{what}"
        );
    }
}

#[test]
fn a_recovery_is_shown_to_its_person_and_to_recovery_officers() {
    let mut o = Officials::new();
    let id = o.opened(OFFICIAL);
    for n in [SECOND_OFFICIAL, FOREIGN_OFFICIAL] {
        o.s.subject(key(n));
    }
    let stranger = o.s.person(60);
    assert_ne!(stranger, o.clerk);
    let read = |n: u8| recoveries::read(&o.s.state, &o.s.at(key(n)), id);
    assert!(read(CLERK_KEY).is_ok() && read(SECOND_OFFICIAL).is_ok());
    assert_eq!(refusal(read(60)), Refusal::Unauthorized);
    assert_eq!(refusal(read(61)), Refusal::Unauthorized);
    let view = persons::view(&o.s.state, &o.s.at(key(CLERK_KEY))).unwrap();
    assert_eq!(view.recovery.map(|recovery| recovery.id), Some(id));
}
