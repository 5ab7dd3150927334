//! Time: where it begins, how it moves, and what it sets off.

use std::time::Duration;

use end_to_end::application;
use pocket_ic::{PocketIc, Time};

use crate::canisters::{counter, get, update};

/// 2021-05-06 19:17:10 UTC.
const GENESIS: u64 = 1_620_328_630_000_000_000;

fn nanos(pic: &PocketIc) -> u64 {
    pic.get_time().as_nanos_since_unix_epoch()
}

#[test]
fn each_round_has_a_time_of_its_own() {
    let pic = application();
    assert_eq!(nanos(&pic), GENESIS);
    pic.tick();
    pic.tick();
    assert_eq!(nanos(&pic), GENESIS + 2);
    // A round after the time was set has that time.
    pic.set_time(Time::from_nanos_since_unix_epoch(GENESIS + 1_000));
    pic.tick();
    assert_eq!(nanos(&pic), GENESIS + 1_000);
    pic.tick();
    assert_eq!(nanos(&pic), GENESIS + 1_001);
    pic.advance_time(Duration::from_secs(1));
    assert_eq!(nanos(&pic), GENESIS + 1_000_001_001);
    pic.set_certified_time(Time::from_nanos_since_unix_epoch(GENESIS + 2_000_000_000));
    assert_eq!(nanos(&pic), GENESIS + 2_000_000_000);
}

#[test]
fn canisters_see_the_time_of_the_instance() {
    let pic = application();
    let canister = counter(&pic);
    let set = GENESIS + 123_456_789;
    pic.set_time(Time::from_nanos_since_unix_epoch(set));
    pic.tick();
    let reply = pic.query_call(canister, candid::Principal::anonymous(), "now", vec![]);
    assert_eq!(reply.unwrap(), set.to_le_bytes());
}

#[test]
#[should_panic(expected = "SettingTimeIntoPast")]
fn time_is_not_set_back() {
    let pic = application();
    pic.set_time(Time::from_nanos_since_unix_epoch(GENESIS - 1));
}

#[test]
fn a_timer_fires_when_its_time_has_come_and_not_before() {
    let pic = application();
    let canister = counter(&pic);
    update(&pic, canister, "arm");
    pic.advance_time(Duration::from_secs(9));
    pic.tick();
    assert_eq!(get(&pic, canister, "get"), 0);
    pic.advance_time(Duration::from_secs(2));
    pic.tick();
    assert_eq!(get(&pic, canister, "get"), 100);
    pic.advance_time(Duration::from_secs(20));
    pic.tick();
    assert_eq!(get(&pic, canister, "get"), 100);
}
