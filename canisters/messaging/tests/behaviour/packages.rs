//! Key packages.

use indus_api::messaging::{
    DEFAULT_DAILY_CLAIMS, KEY_PACKAGES, MAX_CLAIMED_PERSONS, MAX_DEVICES, MAX_PACKAGE_BYTES,
    MAX_PACKAGES, MAX_UPLOAD,
};
use messaging::inboxes;
use openmls::prelude::{KeyPackage, Lifetime};
use serde_bytes::ByteBuf;

use crate::setting::{DAY, Device, Setting, invalid_field, person, refused};

fn fill(s: &mut Setting, device: &Device, count: usize) {
    for _ in 0..count {
        s.upload(device.person, vec![device.package()]).unwrap();
        s.wait(DAY / 24);
    }
}

#[test]
fn a_package_is_handed_out_once_and_the_last_resort_again_and_again() {
    let mut s = Setting::new();
    let phone = s.device(2);
    let packages = vec![phone.package(), phone.package(), phone.last_resort()];
    assert_eq!(s.upload(person(2), packages.clone()), Ok(2));
    // Again: they are there.
    let blocks = s.state.kit.certified.log_len();
    assert_eq!(s.upload(person(2), packages.clone()), Ok(2));
    assert_eq!(s.state.kit.certified.log_len(), blocks);

    let mut claimed = Vec::new();
    for n in 0..4 {
        let claims = s.claim(person(1), &[n], &[person(2)]).unwrap();
        let [one] = &claims.claimed[..] else {
            panic!("{claims:?}");
        };
        assert_eq!(one.signature_key.as_slice(), phone.key());
        claimed.push((one.key_package.clone(), one.last_resort));
    }
    claimed[..2].sort();
    let mut ordinary = packages[..2].to_vec();
    ordinary.sort();
    let last_resort = (packages[2].clone(), true);
    let expected = [
        (ordinary[0].clone(), false),
        (ordinary[1].clone(), false),
        last_resort.clone(),
        last_resort,
    ];
    assert_eq!(claimed, expected);
    // What was used can't be put into store again.
    assert_eq!(s.upload(person(2), packages), Ok(0));
    s.audit();
}

#[test]
fn a_repeated_claim_gives_the_same_packages() {
    let mut s = Setting::new();
    let (phone, laptop) = (s.device(2), s.device(2));
    fill(&mut s, &phone, 3);
    fill(&mut s, &laptop, 1);
    let other = s.device(3);
    fill(&mut s, &other, 1);
    let claims = s.claim(person(1), b"a", &[person(2), person(3)]).unwrap();
    assert_eq!(claims.claimed.len(), 3);
    assert_eq!(
        s.claim(person(1), b"a", &[person(2), person(3)]),
        Ok(claims)
    );
    let other = s.claim(person(1), b"a", &[person(2)]);
    assert_eq!(invalid_field(other), "idempotency_key");
    // The laptop has none left, and is named.
    let claims = s.claim(person(1), b"b", &[person(2)]).unwrap();
    assert_eq!(claims.without, [ByteBuf::from(laptop.key())]);
    assert_eq!(claims.claimed.len(), 1);
    s.reopen();
    assert_eq!(s.claim(person(1), b"b", &[person(2)]), Ok(claims));
}

#[test]
fn a_device_that_has_ended_is_not_handed_out() {
    let mut s = Setting::new();
    let (phone, laptop) = (s.device(2), s.device(2));
    fill(&mut s, &phone, 2);
    fill(&mut s, &laptop, 2);
    s.bound.remove(&phone.key());
    let claims = s.claim(person(1), b"a", &[person(2)]).unwrap();
    let [one] = &claims.claimed[..] else {
        panic!("{claims:?}");
    };
    assert_eq!(one.signature_key.as_slice(), laptop.key());
    assert!(claims.without.is_empty());
    let again = s.upload(person(2), vec![phone.package()]);
    assert_eq!(refused(again), "unauthorized");
}

#[test]
fn what_expires_is_not_handed_out() {
    let mut s = Setting::new();
    let phone = s.device(2);
    let short = KeyPackage::builder().key_package_lifetime(Lifetime::new(3_600));
    s.upload(person(2), vec![phone.package_by(short)]).unwrap();
    s.wait(2 * DAY);
    let claims = s.claim(person(1), b"a", &[person(2)]).unwrap();
    assert_eq!(claims.without, [ByteBuf::from(phone.key())]);
    assert!(claims.claimed.is_empty());
}

#[test]
fn packages_are_the_callers_devices() {
    let mut s = Setting::new();
    let phone = s.device(2);
    let laptop = s.device(2);
    for (caller, packages) in [
        (3, vec![phone.package()]),
        (2, vec![phone.package(), laptop.package()]),
        (2, vec![]),
        (2, vec![ByteBuf::from(*b"no MLS")]),
        (2, vec![ByteBuf::from(vec![0; MAX_PACKAGE_BYTES + 1])]),
    ] {
        let answer = s.upload(person(caller), packages);
        assert_eq!(invalid_field(answer), "key_packages");
    }
    let twice = phone.package();
    let answer = s.upload(person(2), vec![twice.clone(), twice]);
    assert_eq!(invalid_field(answer), "key_packages");
    let many = (0..=MAX_UPLOAD).map(|_| phone.package()).collect();
    assert_eq!(invalid_field(s.upload(person(2), many)), "key_packages");
    let two_last = vec![phone.last_resort(), phone.last_resort()];
    assert_eq!(invalid_field(s.upload(person(2), two_last)), "key_packages");
    // A key that identity knows as somebody else's.
    s.bound.insert(phone.key(), person(3));
    let answer = s.upload(person(2), vec![phone.package()]);
    assert_eq!(refused(answer), "unauthorized");
}

#[test]
fn a_new_last_resort_takes_the_place_of_the_old_one() {
    let mut s = Setting::new();
    let phone = s.device(2);
    let second = phone.last_resort();
    s.upload(person(2), vec![phone.last_resort()]).unwrap();
    s.upload(person(2), vec![second.clone()]).unwrap();
    let claims = s.claim(person(1), b"a", &[person(2)]).unwrap();
    assert_eq!(claims.claimed[0].key_package, second);
    let devices = inboxes::list(&s.state, &s.subject(person(2))).unwrap();
    assert_eq!((devices[0].packages, devices[0].has_last_resort), (0, true));
    s.audit();
}

#[test]
fn a_person_has_so_many_devices_and_those_that_have_ended_make_room() {
    let mut s = Setting::new();
    let mut devices = Vec::new();
    for _ in 0..MAX_DEVICES {
        let device = s.device(2);
        s.upload(person(2), vec![device.package()]).unwrap();
        devices.push(device);
        s.wait(DAY / 24);
    }
    let new = s.device(2);
    let package = new.package();
    assert_eq!(refused(s.upload(person(2), vec![package.clone()])), "limit");
    s.bound.remove(&devices[7].key());
    s.bound.remove(&devices[8].key());
    assert_eq!(s.upload(person(2), vec![package]), Ok(1));
    let listed = inboxes::list(&s.state, &s.subject(person(2))).unwrap();
    assert_eq!(listed.len(), MAX_DEVICES - 1);
    assert_eq!(listed.last().unwrap().signature_key.as_slice(), new.key());
    let claims = s.claim(person(1), b"a", &[person(2)]).unwrap();
    assert_eq!(claims.claimed.len(), MAX_DEVICES - 1);
    s.audit();
}

#[test]
fn a_store_has_an_end() {
    let mut s = Setting::new();
    let phone = s.device(2);
    for _ in 0..MAX_PACKAGES / MAX_UPLOAD {
        let packages = (0..MAX_UPLOAD).map(|_| phone.package()).collect();
        s.upload(person(2), packages).unwrap();
        s.wait(DAY / 24);
    }
    let answer = s.upload(person(2), vec![phone.package()]);
    assert_eq!(refused(answer), "limit");
    assert_eq!(s.upload(person(2), vec![phone.last_resort()]), Ok(100));
}

#[test]
fn nobody_drains_anybodys_store() {
    let mut s = Setting::new();
    let phone = s.device(2);
    s.upload(person(2), vec![phone.last_resort()]).unwrap();
    for n in 0..DEFAULT_DAILY_CLAIMS {
        s.claim(person(1), &n.to_be_bytes(), &[person(2)]).unwrap();
        s.wait(1_000_000_000);
    }
    assert_eq!(refused(s.claim(person(1), b"more", &[person(2)])), "limit");
    // Others may, and so may the same tomorrow.
    s.claim(person(3), b"more", &[person(2)]).unwrap();
    s.wait(DAY);
    s.claim(person(1), b"more", &[person(2)]).unwrap();
}

#[test]
fn a_claim_names_persons_that_there_are_each_once() {
    let mut s = Setting::new();
    let phone = s.device(2);
    fill(&mut s, &phone, 1);
    assert_eq!(invalid_field(s.claim(person(1), b"a", &[])), "persons");
    let twice = s.claim(person(1), b"a", &[person(2), person(2)]);
    assert_eq!(invalid_field(twice), "persons");
    let many: Vec<_> = (1..).map(person).take(MAX_CLAIMED_PERSONS + 1).collect();
    assert_eq!(invalid_field(s.claim(person(1), b"a", &many)), "persons");
    let unknown = s.claim(person(1), b"a", &[person(2), person(9)]);
    assert_eq!(refused(unknown), "not found");
    // Nothing was taken.
    let claims = s.claim(person(1), b"a", &[person(2)]).unwrap();
    assert_eq!(claims.claimed.len(), 1);
}

#[test]
fn the_public_log_tells_of_nobody() {
    let mut s = Setting::new();
    let phone = s.device(2);
    fill(&mut s, &phone, 1);
    s.claim(person(1), b"a", &[person(2)]).unwrap();
    let range = indus_api::icrc3::GetBlocksArgs {
        start: 0_u64.into(),
        length: 100_u64.into(),
    };
    let page = s.state.kit.certified.blocks(&[range]).unwrap();
    let log = candid::encode_one(page).unwrap();
    let has = |part: &[u8]| log.windows(part.len()).any(|window| window == part);
    for n in [1, 2] {
        assert!(!has(person(n).as_slice()) && !has(s.at(person(n)).caller.as_slice()));
    }
    assert!(!has(&phone.key()) && !has(&sha2_of(&phone.key())));
    assert!(has(KEY_PACKAGES.as_bytes()));
}

fn sha2_of(bytes: &[u8]) -> [u8; 32] {
    indus_api::identity::messaging_key_key(bytes)
}
