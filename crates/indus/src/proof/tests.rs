//! Proof files of a test's own subnet: what is in them is proved, and no other byte can be.

use std::time::Duration;

use ic_certification::{HashTree, fork, labeled, leaf, pruned};
use indus_api::registry::GovernorRecord;
use testnet::{Subnet, cbor};

use super::*;
use crate::sealed::to_bytes;

const SUBNET: Subnet = Subnet::new(1);
const NOW: u64 = 1_700_000_000_000_000_000;
const ANY_AGE: TimeBound = TimeBound::within(Duration::MAX);

fn canister() -> Principal {
    Principal::from_slice(&[0, 0, 0, 0, 0, 0, 0, 7, 1, 1])
}

fn governor() -> Vec<u8> {
    let principal = Principal::from_slice(&[5]);
    candid::encode_one(GovernorRecord::V1 { principal }).unwrap()
}

/// A governor, a number that has no known type, and one key that is proved absent.
fn example() -> Proof {
    let others: HashTree = pruned([3; 32]);
    let tree = labeled(
        "data",
        fork(
            labeled(
                "governors",
                fork(labeled([7; 32], leaf(governor())), others),
            ),
            labeled(
                "numbers",
                fork(labeled([1], leaf(*b"one")), labeled([3], pruned([4; 32]))),
            ),
        ),
    );
    let path = |collection: &str, key: &[u8]| {
        [
            b"data".to_vec(),
            collection.as_bytes().to_vec(),
            key.to_vec(),
        ]
        .to_vec()
    };
    Proof {
        canister: canister(),
        paths: vec![
            path("governors", &[7; 32]),
            path("numbers", &[1]),
            path("numbers", &[2]),
        ],
        certificate: SUBNET.certificate(canister(), tree.digest(), NOW),
        witness: cbor(&tree),
    }
}

fn root_key() -> RootKey {
    RootKey::from_der(&SUBNET.root_key_der()).unwrap()
}

fn verified(proof: &Proof) -> Result<Proved, ProofError> {
    proof.verify(root_key(), None, Time::from_nanos(NOW), ANY_AGE)
}

#[test]
fn a_file_gives_the_same_proof_again_and_says_what_is_there_and_what_is_not() {
    let proof = Proof::from_bytes(&to_bytes(example().document())).unwrap();
    assert_eq!(proof, example());
    let proved = verified(&proof).unwrap();
    assert_eq!(
        (proved.canister, proved.time),
        (canister(), Time::from_nanos(NOW))
    );
    let [governor_found, number, nothing] = &proved.statements[..] else {
        panic!("{proved:?}");
    };
    let found = governor_found.found.as_ref().unwrap();
    assert_eq!(
        (&found.bytes, found.leaf),
        (&governor(), leaf_hash(&governor()))
    );
    assert!(found.candid.as_ref().unwrap().contains("principal"));
    let found = number.found.as_ref().unwrap();
    assert_eq!((&found.bytes[..], &found.candid), (&b"one"[..], &None));
    assert_eq!(nothing.found, None);
}

#[test]
fn no_byte_of_a_file_can_be_another() {
    let bytes = to_bytes(example().document());
    for at in 0..bytes.len() {
        // The last one makes other white space of white space.
        for flip in [0x01, 0x20, 0x80, 0x2a] {
            let mut other = bytes.clone();
            other[at] ^= flip;
            let refused = Proof::from_bytes(&other).is_err();
            assert!(refused, "byte {at} ^ {flip}");
        }
        assert!(Proof::from_bytes(&bytes[..at]).is_err(), "{at} bytes");
    }
    assert!(Proof::from_bytes(&[&bytes[..], b"\n"].concat()).is_err());
}

#[test]
fn who_makes_the_hash_anew_still_proves_nothing() {
    for at in 0..example().certificate.len() {
        let mut proof = example();
        proof.certificate[at] ^= 1;
        let proof = Proof::from_bytes(&to_bytes(proof.document())).unwrap();
        assert!(verified(&proof).is_err(), "byte {at} of the certificate");
    }
    for at in 0..example().witness.len() {
        let mut proof = example();
        proof.witness[at] ^= 1;
        let proof = Proof::from_bytes(&to_bytes(proof.document())).unwrap();
        assert!(verified(&proof).is_err(), "byte {at} of the witness");
    }
    let mut proof = example();
    proof.paths[0][2][0] ^= 0x80;
    let error = verified(&proof).unwrap_err().to_string();
    assert!(error.starts_with("nothing is proved about"), "{error}");
}

#[test]
fn another_key_another_canister_and_an_old_certificate_are_refused() {
    let proof = example();
    let now = Time::from_nanos(NOW + 10_000_000_000);
    let bound = |seconds| TimeBound::within(Duration::from_secs(seconds));
    let other_key = RootKey::from_der(&Subnet::new(2).root_key_der()).unwrap();
    let refused = |result: Result<Proved, ProofError>| result.unwrap_err().to_string();
    assert!(
        proof
            .verify(root_key(), Some(canister()), now, bound(10))
            .is_ok()
    );
    assert!(refused(proof.verify(root_key(), None, now, bound(9))).contains("more than 9s ago"));
    assert!(refused(proof.verify(other_key, None, now, ANY_AGE)).contains("is not signed by"));
    let other = Principal::from_slice(&[9]);
    let error = refused(proof.verify(root_key(), Some(other), now, ANY_AGE));
    assert!(error.starts_with("it is about canister"), "{error}");
    let stolen = Proof {
        canister: other,
        ..proof
    };
    assert!(refused(verified(&stolen)).contains("does not certify"));
}
