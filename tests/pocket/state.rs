//! What a client reads and sets past the canisters: cycles, controllers, subnets, keys, stable memory.

use std::io::Write as _;

use candid::Principal;
use end_to_end::{application, pocket_ic};
use flate2::{Compression, write::GzEncoder};
use pocket_ic::common::rest::BlobCompression;

use crate::canisters::{counter, get};

const NOBODY: &str = "lqy7q-dh777-77777-aaaaq-cai";

#[test]
fn cycles_are_added_and_counted() {
    let pic = application();
    let canister = pic.create_canister();
    let before = pic.cycle_balance(canister);
    assert_eq!(before, 100_000_000_000_000);
    assert_eq!(pic.add_cycles(canister, 7), before + 7);
    assert_eq!(pic.cycle_balance(canister), before + 7);
    assert_eq!(pic.add_cycles(canister, u128::MAX), u128::MAX);
    assert_eq!(pic.cycle_balance(canister), u128::MAX);
}

#[test]
fn controllers_are_those_of_the_settings() {
    let pic = application();
    let canister = pic.create_canister();
    assert_eq!(pic.get_controllers(canister), [Principal::anonymous()]);
    let controllers = vec![
        Principal::from_slice(&[1; 29]),
        Principal::from_slice(&[2; 29]),
    ];
    pic.set_controllers(canister, None, controllers.clone())
        .unwrap();
    let mut now = pic.get_controllers(canister);
    now.sort();
    assert_eq!(now, controllers);
}

#[test]
fn a_canister_exists_from_its_creation_to_its_deletion() {
    let pic = application();
    let nobody = Principal::from_text(NOBODY).unwrap();
    assert!(!pic.canister_exists(nobody));
    let canister = pic.create_canister();
    assert_eq!(
        pic.get_subnet(canister),
        Some(pic.topology().get_app_subnets()[0])
    );
    pic.stop_canister(canister, None).unwrap();
    pic.delete_canister(canister, None).unwrap();
    assert!(!pic.canister_exists(canister));
}

#[test]
#[should_panic(expected = "CanisterNotFound")]
fn a_canister_that_is_not_there_has_no_cycles() {
    application().cycle_balance(Principal::from_text(NOBODY).unwrap());
}

#[test]
#[should_panic(expected = "CanisterNotFound")]
fn a_canister_that_is_not_there_has_no_controllers() {
    application().get_controllers(Principal::from_text(NOBODY).unwrap());
}

#[test]
fn the_root_key_is_that_of_the_nns_subnet() {
    let pic = pocket_ic()
        .with_nns_subnet()
        .with_application_subnet()
        .build();
    let key = pic.root_key().unwrap();
    assert_eq!(key.len(), 133);
    let nns = pic.topology().get_nns().unwrap();
    assert_eq!(Principal::self_authenticating(&key), nns);
    assert_eq!(application().root_key(), None);
}

#[test]
fn stable_memory_is_replaced_plain_and_packed() {
    let pic = application();
    let canister = counter(&pic);
    assert!(pic.get_stable_memory(canister).is_empty());
    pic.set_stable_memory(canister, vec![5, 0, 0, 0], BlobCompression::NoCompression);
    assert_eq!(get(&pic, canister, "get_stable"), 5);
    let memory = pic.get_stable_memory(canister);
    assert_eq!((memory.len(), &memory[..4]), (65_536, &[5, 0, 0, 0][..]));

    let mut large = vec![0; 200_000];
    large[0] = 6;
    large[199_999] = 1;
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(&large).unwrap();
    pic.set_stable_memory(canister, packed.finish().unwrap(), BlobCompression::Gzip);
    assert_eq!(get(&pic, canister, "get_stable"), 6);
    let memory = pic.get_stable_memory(canister);
    assert_eq!(memory.len(), 4 * 65_536);
    assert_eq!(memory[..200_000], large);
    assert!(memory[200_000..].iter().all(|byte| *byte == 0));
}

#[test]
#[should_panic(expected = "CanisterIsEmpty")]
fn a_canister_without_a_module_has_no_stable_memory() {
    let pic = application();
    let canister = pic.create_canister();
    pic.get_stable_memory(canister);
}

#[test]
fn what_is_no_canister_signature_is_not_verified() {
    let pic = pocket_ic().with_nns_subnet().build();
    let key = pic.root_key().unwrap();
    let verify = |signer: Vec<u8>, key: Vec<u8>| {
        pic.verify_canister_signature(b"message".to_vec(), vec![1, 2, 3], signer, key)
    };
    // Neither bytes that are no key, nor a key that is no canister's.
    for signer in [vec![4], key.clone()] {
        assert!(!verify(signer, key.clone()).unwrap_err().is_empty());
    }
}
