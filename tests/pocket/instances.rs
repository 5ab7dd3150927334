//! Instances: made as configured, apart from each other, and gone when dropped.

use candid::Principal;
use end_to_end::application;

use crate::canisters::{counter, get, update};

#[test]
fn a_canister_is_created_installed_called_and_queried() {
    let pic = application();
    let canister = counter(&pic);
    assert_eq!(
        canister,
        Principal::from_text("lxzze-o7777-77777-aaaaa-cai").unwrap()
    );
    for count in 1..=3_u32 {
        assert_eq!(update(&pic, canister, "inc"), count.to_le_bytes());
        assert_eq!(get(&pic, canister, "get"), count);
    }
}
