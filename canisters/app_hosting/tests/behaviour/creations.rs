//! Canisters: slots, quotas, controllers.

use app_hosting::creations;
use indus_api::hosting::Configuration;

use crate::releases::proposal;
use crate::setting::{MINUTE, Setting, canister, developer, founder, key, named, own, refusal};

fn small(canisters_of_app: u32) -> Setting {
    Setting::with(Configuration {
        canisters_of_app,
        ..Configuration::default()
    })
}

#[test]
fn a_canister_is_the_callers_and_this_canisters() {
    let mut s = Setting::new();
    s.create_app(&founder(1), named("kisan", None)).unwrap();
    let creation = s.begin(&founder(1)).unwrap();
    assert_eq!(creation.controllers, [key(1), own()]);
    assert_eq!(creation.cycles, Configuration::default().initial_cycles);
    assert_eq!((s.app(1).canisters, s.app(1).pending), (0, 1));
    let id = s.created(&founder(1), &creation).unwrap();
    assert_eq!((s.app(1).canisters, s.app(1).pending), (1, 0));
    let [hosted] = &s.canisters(1)[..] else {
        panic!("one canister");
    };
    assert_eq!((hosted.canister, hosted.app), (id, 1));
    assert_eq!(hosted.controllers, creation.controllers);

    // Whom they ask for; never without this canister, and never too many.
    let asked = vec![own(), canister(77)];
    let creation = s.begin_with(&founder(1), Some(asked.clone())).unwrap();
    assert_eq!(creation.controllers, asked);
    let nine: Vec<_> = (0..9).map(canister).filter(|one| *one != own()).collect();
    let most = s.begin_with(&founder(1), Some(nine.clone())).unwrap();
    assert_eq!(most.controllers.len(), 9);
    let ten: Vec<_> = (10..20).map(canister).collect();
    assert_eq!(
        refusal(s.begin_with(&founder(1), Some(ten))),
        "invalid controllers"
    );
    s.audit();
}

#[test]
fn an_agencys_canister_is_controlled_by_nobody_else() {
    let mut s = Setting::new();
    let office = developer(3, 7);
    s.create_app(&office, named("tax", Some(7))).unwrap();
    s.choose(&office, 1).unwrap();
    for asked in [vec![key(3)], vec![own(), key(3)]] {
        let refused = s.begin_with(&office, Some(asked));
        assert_eq!(refusal(refused), "invalid controllers");
    }
    for asked in [None, Some(vec![]), Some(vec![own()])] {
        let creation = s.begin_with(&office, asked).unwrap();
        assert_eq!(creation.controllers, [own()]);
    }
}

#[test]
fn what_the_treasury_keeps_is_given_to_nobody() {
    let mut s = Setting::new();
    let one = founder(1);
    s.create_app(&one, named("kisan", None)).unwrap();
    let Configuration {
        initial_cycles,
        care,
        ..
    } = Configuration::default();
    let least = u128::from(initial_cycles + care.reserve_cycles);
    let mut begin = |treasury| {
        s.update(&one, |state, context| {
            creations::begin(state, context, &one, true, None, treasury)
        })
    };
    assert_eq!(
        refusal(begin(least - 1)),
        format!("limit {}", care.reserve_cycles)
    );
    begin(least).unwrap();
}

#[test]
fn calls_that_are_under_way_count() {
    let mut s = small(2);
    s.create_app(&founder(1), named("kisan", None)).unwrap();
    let first = s.begin(&founder(1)).unwrap();
    let second = s.begin(&founder(1)).unwrap();
    assert_eq!(refusal(s.begin(&founder(1))), "limit 2");
    s.refused(&founder(1), &first).unwrap();
    let third = s.begin(&founder(1)).unwrap();
    s.created(&founder(1), &second).unwrap();
    s.created(&founder(1), &third).unwrap();
    assert_eq!(refusal(s.begin(&founder(1))), "limit 2");
    assert_eq!((s.app(1).canisters, s.app(1).pending), (2, 0));
    // What has ended ends once.
    for ended in [&first, &second] {
        assert_eq!(refusal(s.refused(&founder(1), ended)), "no creation");
        assert_eq!(refusal(s.created(&founder(1), ended)), "no creation");
    }
    assert_eq!(s.canisters(1).len(), 2);
    s.audit();
}

#[test]
fn an_answer_that_was_lost_keeps_its_slot_over_an_upgrade() {
    let mut s = small(1);
    s.create_app(&founder(1), named("kisan", None)).unwrap();
    let creation = s.begin(&founder(1)).unwrap();
    s.reopen();
    assert_eq!(refusal(s.begin(&founder(1))), "limit 1");
    let after = s.created(&founder(1), &creation).unwrap();
    assert_eq!(s.canisters(1)[0].canister, after);
    s.audit();
}

#[test]
fn a_slot_of_which_nobody_knows_is_given_back_after_a_month() {
    let mut s = small(2);
    let one = founder(1);
    s.create_app(&one, named("kisan", None)).unwrap();
    let first = s.begin(&one).unwrap();
    let give_up = |s: &mut Setting, slice| {
        s.update(&founder(9), |state, context| {
            creations::give_up(state, context, slice)
        })
        .unwrap();
    };
    s.time_ns += creations::FORGET_AFTER_NS - 60 * MINUTE;
    let second = s.begin(&one).unwrap();
    give_up(&mut s, 10);
    assert_eq!((s.app(1).canisters, s.app(1).pending), (0, 2));
    s.time_ns += 60 * MINUTE;
    s.reopen();
    give_up(&mut s, 0);
    assert_eq!(s.app(1).pending, 2);
    give_up(&mut s, 10);
    assert_eq!(s.app(1).pending, 1);
    // An answer that comes even later is too late.
    assert_eq!(refusal(s.created(&one, &first)), "no creation");
    s.created(&one, &second).unwrap();
    assert_eq!((s.app(1).canisters, s.app(1).pending), (1, 0));
    s.a_month_later();
    give_up(&mut s, 10);
    assert_eq!((s.app(1).canisters, s.app(1).pending), (1, 0));
    s.audit();
}

#[test]
fn what_the_subnet_made_is_recorded_whatever_comes_between() {
    let mut s = small(1);
    s.create_app(&founder(1), named("kisan", None)).unwrap();
    let creation = s.begin(&founder(1)).unwrap();
    let id = canister(1_000);
    s.update(&founder(1), |state, context| {
        creations::made(state, context, &creation, id)
    })
    .unwrap();
    // A trap, an upgrade.
    s.reopen();
    assert_eq!((s.app(1).canisters, s.app(1).pending), (0, 1));
    let operation = s.state.pending.oldest().unwrap().unwrap();
    assert_eq!(operation.kind, creations::RECORD);
    for _ in 0..2 {
        s.update(&founder(1), |state, context| {
            creations::recorded(state, context, &operation.argument)
        })
        .unwrap();
        assert_eq!((s.app(1).canisters, s.app(1).pending), (1, 0));
    }
    let hosted = s.canisters(1).remove(0);
    assert_eq!(
        (hosted.canister, hosted.created_by),
        (id, founder(1).person)
    );
    assert_eq!(hosted.controllers, creation.controllers);
    for length in 0..operation.argument.len() {
        let cut = &operation.argument[..length];
        // Between two controllers it is another argument.
        let _any = s.update(&founder(1), |state, context| {
            creations::recorded(state, context, cut)
        });
    }
    assert_eq!(s.canisters(1).len(), 1);
    s.audit();
}

#[test]
fn a_canister_that_was_deleted_is_forgotten() {
    let mut s = small(1);
    let one = founder(1);
    s.create_app(&one, named("kisan", None)).unwrap();
    let creation = s.begin(&one).unwrap();
    let id = s.created(&one, &creation).unwrap();
    assert_eq!(refusal(s.forget(&one, canister(7), false)), "no canister");
    assert_eq!(refusal(s.forget(&founder(2), id, false)), "unauthorized");
    assert_eq!(refusal(s.forget(&one, id, true)), "conflict");
    s.upload(&one, 1, b"module").unwrap();
    s.propose(&one, proposal(id, b"module")).unwrap();
    assert_eq!(refusal(s.forget(&one, id, false)), "conflict");
    s.carried(1, None, true);
    assert_eq!(refusal(s.forget(&one, id, false)), "conflict", "too young");
    s.a_month_later();
    // Who has no licence any more may have a canister forgotten, and no other one.
    s.licensed.remove(&one.person);
    let app = s.forget(&one, id, false).unwrap();
    assert_eq!((app.canisters, s.app(1)), (0, app));
    assert!(s.canisters(1).is_empty());
    assert_eq!(refusal(s.forget(&one, id, false)), "no canister");
    assert_eq!(refusal(s.begin(&one)), "unauthorized");
    s.licensed.insert(one.person);
    assert_eq!(
        refusal(s.propose(&one, proposal(id, b"module"))),
        "no canister"
    );
    let creation = s.begin(&one).unwrap();
    s.created(&one, &creation).unwrap();
    s.reopen();
    assert_eq!(s.canisters(1).len(), 1);
    s.audit();
}

#[test]
fn a_licence_that_has_ended_creates_nothing_more() {
    let mut s = Setting::new();
    let one = founder(1);
    s.create_app(&one, named("kisan", None)).unwrap();
    let creation = s.begin(&one).unwrap();
    s.licensed.remove(&one.person);
    assert_eq!(refusal(s.begin(&one)), "unauthorized");
    // What was under way goes on.
    s.created(&one, &creation).unwrap();
}

#[test]
fn who_has_several_apps_chooses() {
    let mut s = Setting::new();
    let one = founder(1);
    assert_eq!(refusal(s.begin(&one)), "no app");
    s.create_app(&one, named("kisan", None)).unwrap();
    s.create_app(&one, named("mandi", None)).unwrap();
    assert_eq!(refusal(s.begin(&one)), "invalid app");
    s.choose(&one, 2).unwrap();
    s.reopen();
    let creation = s.begin(&one).unwrap();
    s.created(&one, &creation).unwrap();
    assert_eq!((s.canisters(1).len(), s.canisters(2).len()), (0, 1));

    assert_eq!(refusal(s.choose(&founder(2), 1)), "unauthorized");
    assert_eq!(refusal(s.choose(&one, 3)), "no app");
    // A developer of an agency has it done in the agency's name.
    let office = developer(3, 7);
    s.create_app(&office, named("tax", Some(7))).unwrap();
    assert_eq!(refusal(s.begin(&office)), "no app");
    s.choose(&office, 3).unwrap();
    assert!(s.begin(&office).is_ok());
    // And not when they have left it.
    assert_eq!(refusal(s.begin(&founder(3))), "unauthorized");
    s.audit();
}
