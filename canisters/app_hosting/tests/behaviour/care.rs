//! Care: readings, top-ups within their limits, costs of months.

use app_hosting::care::{self, Said};
use candid::Principal;
use indus_api::{
    hosting::{
        COSTS, Care, Configuration, Cost, CostRecord, HostedCanister, ListCostsArgs, READINGS,
        Reading, ReadingRecord, canister_key, cost_key, month_of,
    },
    paging::Page,
};

use crate::{
    releases::{ONE, TWO, hash, proposal},
    setting::{Setting, founder, key, named, own, refusal},
};

const DAY: u64 = 86_400_000_000_000;
const RICH: u128 = 1_000_000;

fn setting() -> (Setting, Principal) {
    let mut s = Setting::with(Configuration {
        care: Care {
            reading_interval_ns: DAY,
            least_cycles: 100,
            top_up_cycles: 1_000,
            cycles_a_month_of_app: 2_500,
            reserve_cycles: 5_000,
            // A paisa for a billion.
            paisa_per_trillion: 1_000,
        },
        ..Configuration::default()
    });
    s.create_app(&founder(1), named("kisan", None)).unwrap();
    let creation = s.begin(&founder(1)).unwrap();
    let canister = s.created(&founder(1), &creation).unwrap();
    (s, canister)
}

impl Setting {
    fn due(&mut self) -> Vec<Principal> {
        self.update(&founder(1), |state, context| care::due(state, context, 10))
            .unwrap()
    }

    fn read(&mut self, canister: Principal, cycles: u128, treasury: u128) -> Option<u128> {
        let said = Said {
            cycles,
            memory_bytes: 7,
            idle_cycles_burned_per_day: 8,
            module_hash: None,
            controllers: vec![key(1), own()],
        };
        self.update(&founder(1), |state, context| {
            care::read(state, context, canister, &said, None, treasury)
        })
        .unwrap()
    }

    /// The subnet says what it runs and who controls it; it was asked when this release was live.
    fn observe(
        &mut self,
        canister: Principal,
        seen: Option<u64>,
        module: Option<&[u8]>,
        controllers: &[Principal],
    ) -> HostedCanister {
        let said = Said {
            cycles: 1_000,
            memory_bytes: 7,
            idle_cycles_burned_per_day: 8,
            module_hash: module.map(hash),
            controllers: controllers.to_vec(),
        };
        self.update(&founder(1), |state, context| {
            care::read(state, context, canister, &said, seen, 0)
        })
        .unwrap();
        self.canisters(1).remove(0)
    }

    fn reading(&self, canister: Principal) -> Reading {
        let key = canister_key(canister).unwrap();
        let ReadingRecord::V1(reading) = self.certified(READINGS, &key);
        reading
    }

    fn cost(&self, app: u64) -> Cost {
        let CostRecord::V1(cost) = self.certified(COSTS, &cost_key(app, month_of(self.time_ns)));
        cost
    }

    fn costs(&self, after: Option<u32>, limit: u32) -> Page<u32, Cost> {
        let args = ListCostsArgs {
            app: 1,
            after,
            limit,
        };
        care::costs(&self.state, args).unwrap()
    }
}

#[test]
fn each_canister_is_read_once_an_interval() {
    let (mut s, canister) = setting();
    assert_eq!(s.due(), [canister]);
    assert!(s.due().is_empty());
    s.reopen();
    assert!(s.due().is_empty());
    s.time_ns += DAY;
    assert_eq!(s.due(), [canister]);
}

#[test]
fn what_was_forgotten_is_read_no_more() {
    let (mut s, canister) = setting();
    s.read(canister, 1_000, 0);
    s.a_month_later();
    s.forget(&founder(1), canister, false).unwrap();
    assert!(s.due().is_empty());
    assert_eq!(
        s.state
            .kit
            .certified
            .collections()
            .iter()
            .find(|one| one.spec().name == READINGS)
            .unwrap()
            .len(),
        0
    );
    s.audit();
}

#[test]
fn what_founders_do_with_their_own_tools_is_in_the_record_by_the_next_reading() {
    let (mut s, canister) = setting();
    let one = founder(1);
    let both = [key(1), own()];
    let installed = s.observe(canister, None, Some(ONE), &both);
    assert_eq!(installed.module_hash, Some(hash(ONE)));
    assert_eq!(installed.release, None);
    let shared = s.observe(canister, None, Some(ONE), &[key(1), key(2), own()]);
    assert_eq!(shared.controllers, [key(1), key(2), own()]);

    s.upload(&one, 1, TWO).unwrap();
    s.propose(&one, proposal(canister, TWO)).unwrap();
    // What is said during a release, or was asked before it, is not what is.
    let during = s.observe(canister, None, None, &both);
    assert_eq!(during, shared);
    s.carried(1, Some(ONE), true);
    let before = s.observe(canister, None, Some(ONE), &both);
    assert_eq!(before.module_hash, Some(hash(TWO)));
    assert_eq!(before.controllers, shared.controllers);
    let blocks = s.state.kit.certified.log_len();
    let same = s.observe(canister, Some(1), Some(TWO), &both);
    assert_eq!((same.release, same.controllers), (Some(1), both.to_vec()));
    assert_eq!(s.state.kit.certified.log_len(), blocks + 1);

    // Another module in the place of the release: that is live no more, and can be brought back.
    let replaced = s.observe(canister, Some(1), Some(b"another"), &both);
    assert_eq!(replaced.module_hash, Some(hash(b"another")));
    assert_eq!((replaced.release, replaced.release_before), (None, Some(1)));
    let back = s.roll_back(&one, canister, None).unwrap();
    assert_eq!((back.rolls_back_to, back.module_hash), (Some(1), hash(TWO)));
    s.audit();
}

#[test]
fn what_was_used_is_what_is_missing() {
    let (mut s, canister) = setting();
    assert_eq!(s.read(canister, 9_000_000_000, 0), None);
    assert_eq!(s.cost(1).cycles_used, 0);
    s.read(canister, 4_000_000_000, 0);
    let cost = s.cost(1);
    assert_eq!((cost.cycles_used, cost.readings), (5_000_000_000, 2));
    assert_eq!(cost.millipaisa, 5_000);
    let reading = s.reading(canister);
    assert_eq!((reading.cycles, reading.memory_bytes), (4_000_000_000, 7));
    // Its owner gave it some: nobody has used less than nothing.
    s.read(canister, 8_000_000_000, 0);
    assert_eq!(s.cost(1).cycles_used, 5_000_000_000);
    s.audit();
}

#[test]
fn who_has_too_little_is_given_some_within_the_limits() {
    let (mut s, canister) = setting();
    // Not below what the treasury keeps.
    assert_eq!(s.read(canister, 99, 5_999), None);
    assert_eq!(s.read(canister, 100, RICH), None, "enough");
    assert_eq!(s.read(canister, 99, 6_000), Some(1_000));
    assert_eq!(s.reading(canister).topped_up_since, 1_000);
    // It used all of it.
    assert_eq!(s.read(canister, 50, RICH), Some(1_000));
    let cost = s.cost(1);
    assert_eq!(
        (cost.cycles_used, cost.cycles_topped_up),
        (1 + 1_049, 2_000)
    );
    // No third time in this month, for any canister of the app.
    assert_eq!(s.read(canister, 50, RICH), None);
    s.time_ns += 31 * DAY;
    assert_eq!(s.read(canister, 50, RICH), Some(1_000));
    s.audit();
}

#[test]
fn what_was_not_given_is_booked_back() {
    let (mut s, canister) = setting();
    for _ in 0..5 {
        assert_eq!(s.read(canister, 50, RICH), Some(1_000));
        s.update(&founder(1), |state, context| {
            care::not_given(state, context, canister, 1_000)
        })
        .unwrap();
        assert_eq!(s.cost(1).cycles_topped_up, 0);
        assert_eq!(s.reading(canister).topped_up_since, 0);
    }
    assert_eq!(s.cost(1).cycles_used, 0);
    s.audit();
}

#[test]
fn months_are_listed_in_order() {
    let (mut s, canister) = setting();
    for _ in 0..3 {
        s.read(canister, 1_000, 0);
        s.time_ns += 31 * DAY;
    }
    let first = s.costs(None, 2);
    assert_eq!(first.items.len(), 2);
    let second = s.costs(first.next, 2);
    assert_eq!((second.items.len(), second.next), (1, None));
    assert!(first.items[1].month < second.items[0].month);
    let unknown = ListCostsArgs {
        app: 9,
        after: None,
        limit: 1,
    };
    assert_eq!(refusal(care::costs(&s.state, unknown)), "no app");
}
