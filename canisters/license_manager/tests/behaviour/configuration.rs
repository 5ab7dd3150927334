//! What the governors can decide.

use candid::Principal;
use ic_stable_structures::VectorMemory;
use indus_api::{
    Error,
    decision::Decision,
    licences::{Audience, Configuration, InitArgs, Quota, SEATS, Sector},
};
use license_manager::{State, configuration, seats, step};
use serde_bytes::ByteBuf;

use crate::setting::{
    DAY, HOLDER, QUEUE, SECOND, STRANGER, Setting, conflict, invalid_field, limit, own, small,
};

const TEN_YEARS: u64 = 3_650 * DAY;

fn decision(proposal: u64, configuration: &Configuration) -> Decision {
    Decision {
        proposal,
        canister: own(),
        configuration: ByteBuf::from(candid::encode_one(configuration).unwrap()),
        executed_at_ns: 0,
    }
}

fn apply(s: &mut Setting, id: u64, decision: &Decision) -> Result<(), Error> {
    s.call(STRANGER, |state, context, _| {
        configuration::apply(state, context, own(), id, decision)
    })
}

fn refused(change: impl FnOnce(&mut Configuration)) -> String {
    let mut configuration = small();
    change(&mut configuration);
    let mut s = Setting::new();
    let refused = apply(&mut s, 1, &decision(1, &configuration));
    let args = InitArgs {
        identity: own(),
        registry: own(),
        configuration: Some(configuration),
    };
    let context = s.context(STRANGER);
    let installed = State::create(VectorMemory::default(), &context, args);
    assert_eq!(installed.err(), refused.clone().err());
    invalid_field(refused)
}

#[test]
fn decisions_are_applied_once_in_their_order() {
    let mut s = Setting::new();
    let mut configuration = small();
    configuration.quotas[0].seats = 5;
    let second = decision(2, &configuration);
    apply(&mut s, 2, &second).unwrap();
    assert_eq!(s.state.settings().decision, 2);
    assert_eq!(s.state.settings().configuration, configuration);
    let blocks = s.blocks();
    apply(&mut s, 2, &second).unwrap();
    assert_eq!(s.blocks(), blocks);
    let older = apply(&mut s, 1, &decision(1, &small()));
    assert_eq!(conflict(older), "decision 2 was applied");
    apply(&mut s, 7, &decision(7, &small())).unwrap();
    assert_eq!(s.audit().last().unwrap(), step::CONFIGURED);
    s.reopen();
    assert_eq!(s.state.settings().decision, 7);
    assert_eq!(s.state.settings().configuration, small());
}

#[test]
fn a_decision_for_another_canister_or_of_another_proposal_is_refused() {
    let mut s = Setting::new();
    let other = Decision {
        canister: Principal::from_slice(&[4, 1, 1]),
        ..decision(1, &small())
    };
    assert_eq!(invalid_field(apply(&mut s, 1, &other)), "proposal");
    let another = decision(2, &small());
    assert_eq!(invalid_field(apply(&mut s, 1, &another)), "proposal");
    let broken = Decision {
        configuration: ByteBuf::from(b"not candid".to_vec()),
        ..decision(1, &small())
    };
    assert_eq!(invalid_field(apply(&mut s, 1, &broken)), "configuration");
}

#[test]
fn quotas_add_up_to_1500_at_most_and_name_nothing_twice() {
    let whole = Quota {
        audience: Audience::Education,
        sector: Sector::Other,
        seats: u32::try_from(SEATS).unwrap(),
    };
    let mut s = Setting::new();
    let all = Configuration {
        quotas: vec![whole],
        ..small()
    };
    apply(&mut s, 1, &decision(1, &all)).unwrap();
    let more = |c: &mut Configuration| c.quotas = vec![whole, small().quotas[1]];
    assert_eq!(refused(more), "quotas");
    let huge = |c: &mut Configuration| c.quotas[0].seats = u32::MAX;
    assert_eq!(refused(huge), "quotas");
    let twice = |c: &mut Configuration| c.quotas.push(small().quotas[0]);
    assert_eq!(refused(twice), "quotas");
}

#[test]
fn limits_and_periods_have_their_bounds() {
    for (value, good) in [(0, false), (1, true), (10, true), (11, false)] {
        let set = |c: &mut Configuration| c.limits.open_per_person = value;
        check(set, good, "open_per_person");
    }
    for (value, good) in [(0, false), (1, true), (100_000, true), (100_001, false)] {
        let set = |c: &mut Configuration| c.limits.applications_a_day = value;
        check(set, good, "applications_a_day");
    }
    for (value, good) in [(0, false), (1, true), (3, true), (4, false)] {
        let set = |c: &mut Configuration| c.limits.reviews_needed = value;
        check(set, good, "reviews_needed");
    }
    for (value, good) in [
        (SECOND - 1, false),
        (SECOND, true),
        (TEN_YEARS, true),
        (TEN_YEARS + 1, false),
    ] {
        check(|c| c.periods.claim_ns = value, good, "claim_ns");
        check(|c| c.periods.term_ns = value, good, "term_ns");
        check(|c| c.periods.idle_ns = value, good, "idle_ns");
        check(|c| c.periods.notice_ns = value, good, "notice_ns");
    }
}

fn check(set: impl Fn(&mut Configuration), good: bool, field: &str) {
    if good {
        let mut configuration = small();
        set(&mut configuration);
        let mut s = Setting::new();
        apply(&mut s, 1, &decision(1, &configuration)).unwrap();
    } else {
        assert_eq!(refused(set), field);
    }
}

#[test]
fn an_installation_names_the_canisters_that_it_asks() {
    let s = Setting::new();
    for (field, identity, registry) in [
        ("identity", Principal::anonymous(), own()),
        ("registry", own(), Principal::management_canister()),
    ] {
        let args = InitArgs {
            identity,
            registry,
            configuration: None,
        };
        let context = s.context(STRANGER);
        let created = State::create(VectorMemory::default(), &context, args);
        assert_eq!(invalid_field(created.map(drop)), field);
    }
}

#[test]
fn a_lower_quota_takes_no_seat_away_and_gives_none() {
    let mut s = Setting::new();
    s.ranked(QUEUE, &[(HOLDER, 50), (20, 40), (21, 30)]);
    s.grant(1).unwrap();
    s.grant(2).unwrap();
    let mut lower = small();
    lower.quotas[0].seats = 1;
    apply(&mut s, 1, &decision(1, &lower)).unwrap();
    let full = (1, "seats of this audience and sector".into());
    assert_eq!(limit(s.grant(3)), full);
    s.claim(HOLDER, 1).unwrap();
    s.time_ns += 14 * DAY;
    s.tick();
    assert!(seats::get(&s.state, 1).is_ok());
    assert!(
        seats::get(&s.state, 2).is_err(),
        "free, and beyond the quota"
    );
    apply(&mut s, 2, &decision(2, &small())).unwrap();
    s.tick();
    assert_eq!(seats::get(&s.state, 2).unwrap().application, 3);
    s.audit();
}

#[test]
fn dates_that_stand_are_not_moved_by_other_periods() {
    let mut s = Setting::new();
    let active = s.active();
    let mut shorter = small();
    shorter.periods.idle_ns = DAY;
    shorter.periods.term_ns = 2 * DAY;
    apply(&mut s, 1, &decision(1, &shorter)).unwrap();
    s.time_ns += 10 * DAY;
    s.tick();
    assert_eq!(seats::get(&s.state, 1), Ok(active));
    let checked = s.check_in(HOLDER, 1).unwrap();
    assert_eq!(checked.licence().unwrap().idle_at_ns, s.time_ns + DAY);
}
