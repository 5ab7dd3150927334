//! Which certificates and witnesses are accepted, and which error each bad one gives.

use std::time::Duration;

use crate::network::{
    BOUND, KEY, NOW, Network, Signer, State, canister, cbor, leb128, path, ranges, tree,
};
use candid::Principal;
use ic_certification::{Delegation, labeled, pruned};
use indus_verify::{Fault, Lookup, Part, RootKey, Time, TimeBound, Verifier, VerifyError};

const GREETING: [&[u8]; 3] = [b"data", b"greetings", &KEY];

#[test]
fn a_value_is_verified_from_the_root_key_down() {
    let network = Network::new();
    let certificate = network.verify().unwrap();
    assert_eq!(certificate.canister(), network.canister);
    assert_eq!(certificate.subnet(), Some(network.subnet_id));
    assert_eq!(certificate.time(), Time::from_nanos(NOW));
    assert_eq!(
        certificate.certified_data().unwrap(),
        tree(&network.data).digest()
    );
    let witness = certificate.witness(&network.witness()).unwrap();
    assert_eq!(witness.value::<String>(&GREETING).unwrap(), "salaam");
    assert_eq!(
        witness.leaf(&GREETING).unwrap(),
        candid::encode_one("salaam").unwrap()
    );
}

#[test]
fn a_certificate_of_the_root_subnet_needs_no_delegation_and_no_range() {
    let network = Network::new();
    let direct = network.root.certify(&network.state, None);
    let certificate = network.verify_bytes(&direct).unwrap();
    assert_eq!(certificate.subnet(), None);
    assert!(certificate.witness(&network.witness()).is_ok());
}

#[test]
fn a_certificate_of_another_subnet_without_a_delegation_is_refused() {
    let network = Network::new();
    let direct = network.subnet.certify(&network.state, None);
    assert_eq!(
        network.verify_bytes(&direct).unwrap_err(),
        VerifyError::Signature(Part::Certificate)
    );
}

#[test]
fn another_root_key_is_refused() {
    let network = Network::new();
    let verifier = Verifier::new(Signer::new(3).root_key());
    let error = verifier
        .certificate(
            &network.certificate(),
            network.canister,
            Time::from_nanos(NOW),
            BOUND,
        )
        .unwrap_err();
    assert_eq!(error, VerifyError::Signature(Part::Delegation));
    assert_eq!(RootKey::from_der(b"key").unwrap_err(), VerifyError::RootKey);
}

#[test]
fn a_delegation_that_the_subnet_signed_itself_is_refused() {
    let network = Network::new();
    let delegation = Delegation {
        subnet_id: network.subnet_id.as_slice().to_vec(),
        certificate: network.subnet.certify(&network.delegated, None),
    };
    let certificate = network.subnet.certify(&network.state, Some(delegation));
    assert_eq!(
        network.verify_bytes(&certificate).unwrap_err(),
        VerifyError::Signature(Part::Delegation)
    );
}

#[test]
fn a_certificate_signed_with_another_key_than_the_delegated_one_is_refused() {
    let network = Network::new();
    for signer in [network.root, Signer::new(3)] {
        let certificate = signer.certify(&network.state, Some(network.delegation()));
        assert_eq!(
            network.verify_bytes(&certificate).unwrap_err(),
            VerifyError::Signature(Part::Certificate)
        );
    }
}

#[test]
fn a_delegation_to_something_that_is_no_key_is_refused() {
    let mut infinity = Network::new().subnet.der();
    infinity[37..].fill(0);
    infinity[37] = 0xc0;
    for key in [vec![], vec![0; 133], infinity] {
        let mut network = Network::new();
        network.delegated.insert(network.key_path(), key);
        assert_eq!(network.verify().unwrap_err(), VerifyError::SubnetKey);
    }
}

#[test]
fn a_delegation_without_a_key_for_its_subnet_is_refused() {
    let mut network = Network::new();
    network.delegated.remove(&network.key_path());
    let error = network.verify().unwrap_err();
    assert!(
        matches!(
            error,
            VerifyError::Missing {
                part: Part::Delegation,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_delegation_for_another_subnet_is_refused() {
    let network = Network::new();
    let delegation = Delegation {
        subnet_id: canister(9).as_slice().to_vec(),
        certificate: network.delegation().certificate,
    };
    let certificate = network.subnet.certify(&network.state, Some(delegation));
    let error = network.verify_bytes(&certificate).unwrap_err();
    assert!(
        matches!(
            error,
            VerifyError::Missing {
                part: Part::Delegation,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_nested_delegation_is_refused_even_if_every_signature_is_good() {
    let network = Network::new();
    let middle = Delegation {
        subnet_id: network.subnet_id.as_slice().to_vec(),
        certificate: network
            .root
            .certify(&network.delegated, Some(network.delegation())),
    };
    let certificate = network.subnet.certify(&network.state, Some(middle));
    assert_eq!(
        network.verify_bytes(&certificate).unwrap_err(),
        VerifyError::NestedDelegation
    );
}

fn is_foreign(network: &Network) -> bool {
    match network.verify() {
        Ok(_) => false,
        Err(VerifyError::ForeignCanister { canister, subnet }) => {
            assert_eq!((canister, subnet), (network.canister, network.subnet_id));
            true
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_canister_outside_of_the_ranges_is_refused() {
    let mut network = Network::new();
    for (number, foreign) in [
        (0, false),
        (0xf_ffff, false),
        (0x10_0000, false),
        (0x1f_ffff, false),
        (0x20_0000, true),
        (0x2f_ffff, true),
        (0x30_0000, false),
        (0x3f_ffff, false),
        (0x40_0000, true),
        (u64::MAX, true),
    ] {
        network.canister = canister(number);
        assert_eq!(is_foreign(&network), foreign, "{number:x}");
    }
    // It sorts before the first shard.
    network.canister = Principal::management_canister();
    assert!(is_foreign(&network));
}

/// Takes the sharded ranges out of the delegation.
fn without_shards(network: &mut Network) {
    network
        .delegated
        .retain(|path, _| path[0] != b"canister_ranges");
}

fn flat_path(network: &Network) -> Vec<Vec<u8>> {
    path(&[b"subnet", network.subnet_id.as_slice(), b"canister_ranges"])
}

#[test]
fn the_older_form_of_ranges_counts_where_the_new_one_is_absent() {
    let mut network = Network::new();
    without_shards(&mut network);
    network
        .delegated
        .insert(flat_path(&network), ranges(&[(0x10_0000, 0x1f_ffff)]));
    assert!(!is_foreign(&network));
    network
        .delegated
        .insert(flat_path(&network), ranges(&[(0x20_0000, 0x2f_ffff)]));
    assert!(is_foreign(&network));
}

#[test]
fn the_new_form_of_ranges_counts_where_both_are_present() {
    let mut network = Network::new();
    network
        .delegated
        .insert(flat_path(&network), ranges(&[(0x20_0000, 0x2f_ffff)]));
    assert!(!is_foreign(&network));
    network.canister = canister(0x20_0001);
    assert!(is_foreign(&network));
}

#[test]
fn only_the_shard_of_the_canister_counts() {
    let mut network = Network::new();
    let first = path(&[
        b"canister_ranges",
        network.subnet_id.as_slice(),
        canister(0).as_slice(),
    ]);
    network.delegated.insert(first, ranges(&[(0, 0x4f_ffff)]));
    network.canister = canister(0x40_0000);
    assert!(is_foreign(&network));
}

#[test]
fn ranges_of_another_subnet_do_not_count() {
    let mut network = Network::new();
    without_shards(&mut network);
    let other = path(&[
        b"canister_ranges",
        canister(3).as_slice(),
        canister(0).as_slice(),
    ]);
    network.delegated.insert(other, ranges(&[(0, u64::MAX)]));
    let error = network.verify().unwrap_err();
    assert!(
        matches!(
            error,
            VerifyError::Missing {
                part: Part::Delegation,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn malformed_ranges_are_refused() {
    let mut network = Network::new();
    let shard = path(&[
        b"canister_ranges",
        network.subnet_id.as_slice(),
        canister(0x10_0000).as_slice(),
    ]);
    network
        .delegated
        .insert(shard, ranges(&[(0x10_0000, 0x1f_ffff)])[3..].to_vec());
    let error = network.verify().unwrap_err();
    assert!(
        matches!(error, VerifyError::Malformed { part: Part::CanisterRanges, malformed } if malformed.fault == Fault::MissingTag),
        "{error}"
    );
}

#[test]
fn a_certificate_that_is_too_old_is_refused() {
    let mut network = Network::new();
    let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap();
    let oldest = NOW - nanos(BOUND.max_age);
    network.state.insert(path(&[b"time"]), leb128(oldest));
    assert_eq!(network.verify().unwrap().time(), Time::from_nanos(oldest));
    network.state.insert(path(&[b"time"]), leb128(oldest - 1));
    let error = network.verify().unwrap_err();
    assert!(
        matches!(
            error,
            VerifyError::Stale {
                part: Part::Certificate,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_certificate_from_the_future_is_refused() {
    let mut network = Network::new();
    let latest = NOW + u64::try_from(BOUND.max_ahead.as_nanos()).unwrap();
    network.state.insert(path(&[b"time"]), leb128(latest));
    assert!(network.verify().is_ok());
    network.state.insert(path(&[b"time"]), leb128(latest + 1));
    let error = network.verify().unwrap_err();
    assert!(
        matches!(
            error,
            VerifyError::Future {
                part: Part::Certificate,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_delegation_has_a_time_bound_of_its_own() {
    let mut network = Network::new();
    let oldest = NOW - u64::try_from(TimeBound::MAX_DELEGATION_AGE.as_nanos()).unwrap();
    network.delegated.insert(path(&[b"time"]), leb128(oldest));
    assert!(network.verify().is_ok());
    network
        .delegated
        .insert(path(&[b"time"]), leb128(oldest - 1));
    let error = network.verify().unwrap_err();
    assert!(
        matches!(
            error,
            VerifyError::Stale {
                part: Part::Delegation,
                ..
            }
        ),
        "{error}"
    );
    network.delegated.insert(path(&[b"time"]), leb128(2 * NOW));
    let error = network.verify().unwrap_err();
    assert!(
        matches!(
            error,
            VerifyError::Future {
                part: Part::Delegation,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_certificate_or_delegation_without_a_time_is_refused() {
    let mut network = Network::new();
    network.state.remove(&path(&[b"time"]));
    let missing = |part| VerifyError::Missing {
        part,
        path: String::from("/time"),
    };
    assert_eq!(network.verify().unwrap_err(), missing(Part::Certificate));
    network.delegated.remove(&path(&[b"time"]));
    assert_eq!(network.verify().unwrap_err(), missing(Part::Delegation));
}

#[test]
fn a_time_that_is_not_the_shortest_leb128_is_refused() {
    for wrong in [
        vec![],
        vec![0x80],
        vec![0x85, 0x00],
        [leb128(NOW), vec![0]].concat(),
        vec![0xff; 11],
    ] {
        let mut network = Network::new();
        network.state.insert(path(&[b"time"]), wrong);
        assert_eq!(
            network.verify().unwrap_err(),
            VerifyError::Time(Part::Certificate)
        );
    }
}

#[test]
fn a_witness_of_another_tree_is_refused() {
    let mut network = Network::new();
    let certificate = network.verify().unwrap();
    network
        .data
        .insert(path(&GREETING), candid::encode_one("hello").unwrap());
    assert_eq!(
        certificate.witness(&network.witness()).unwrap_err(),
        VerifyError::WrongWitness
    );
}

#[test]
fn certified_data_that_is_no_hash_is_refused() {
    for length in [0, 31, 33] {
        let mut network = Network::new();
        let data = path(&[b"canister", network.canister.as_slice(), b"certified_data"]);
        network.state.insert(data, vec![0; length]);
        let certificate = network.verify().unwrap();
        assert_eq!(
            certificate.witness(&network.witness()).unwrap_err(),
            VerifyError::CertifiedData { length }
        );
    }
}

#[test]
fn a_certificate_that_does_not_show_the_certified_data_verifies_no_witness() {
    let mut network = Network::new();
    network.state.remove(&path(&[
        b"canister",
        network.canister.as_slice(),
        b"certified_data",
    ]));
    let certificate = network.verify().unwrap();
    let error = certificate.witness(&network.witness()).unwrap_err();
    assert!(
        matches!(
            error,
            VerifyError::Missing {
                part: Part::Certificate,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn absent_pruned_and_inner_paths_are_told_apart() {
    let network = Network::new();
    let certificate = network.verify().unwrap();
    let witness = certificate.witness(&network.witness()).unwrap();
    let absent: [&[u8]; 3] = [b"data", b"greetings", b"none"];
    assert!(matches!(
        witness.leaf(&absent),
        Err(VerifyError::Absent { .. })
    ));
    assert!(matches!(
        witness.value::<String>(&absent),
        Err(VerifyError::Absent { .. })
    ));
    assert!(matches!(
        witness.leaf(&GREETING[..2]),
        Err(VerifyError::NotALeaf { .. })
    ));
    let below: State = network
        .data
        .iter()
        .map(|(path, leaf)| (path[1..].to_vec(), leaf.clone()))
        .collect();
    let hidden = labeled("data", pruned::<[u8; 32]>(tree(&below).digest()));
    let witness = certificate.witness(&cbor(&hidden)).unwrap();
    assert!(matches!(
        witness.leaf(&GREETING),
        Err(VerifyError::Unknown { .. })
    ));
}

#[test]
fn a_leaf_of_another_type_is_an_error_in_one_line() {
    let network = Network::new();
    let witness = network
        .verify()
        .unwrap()
        .witness(&network.witness())
        .unwrap();
    let error = witness.value::<u64>(&GREETING).unwrap_err();
    assert!(matches!(error, VerifyError::Value { .. }), "{error}");
    assert!(!error.to_string().contains('\n'), "{error}");
}

/// Candid of a record with one field, a vector of that many nulls: a few bytes whatever the number.
fn nulls(count: u64) -> Vec<u8> {
    [
        b"DIDL\x02\x6d\x7f\x6c\x01\x05\x00\x01\x01".to_vec(),
        leb128(count),
    ]
    .concat()
}

#[test]
fn an_unknown_field_is_skipped_unless_that_costs_too_much() {
    let mut network = Network::new();
    let data = path(&[b"canister", network.canister.as_slice(), b"certified_data"]);
    let mut value = |count| {
        network.data.insert(path(&GREETING), nulls(count));
        network
            .state
            .insert(data.clone(), tree(&network.data).digest().to_vec());
        network
            .verify()
            .unwrap()
            .witness(&network.witness())
            .unwrap()
            .value::<Nothing>(&GREETING)
    };
    assert!(value(100).is_ok());
    for count in [40_000, 1_000_000, u64::MAX] {
        let error = value(count).unwrap_err();
        assert!(matches!(error, VerifyError::Value { .. }), "{error}");
    }
}

#[derive(candid::CandidType, serde::Deserialize, Debug)]
struct Nothing {}

#[test]
fn what_the_subnet_says_of_the_canister_is_read_verified() {
    let mut network = Network::new();
    let request: [&[u8]; 3] = [b"request_status", &[1; 32], b"status"];
    network.state.insert(path(&request), b"replied".to_vec());
    let certificate = network.verify().unwrap();
    assert_eq!(
        certificate.canister_leaf(&[b"module_hash"]).unwrap(),
        [5; 32]
    );
    assert!(matches!(
        certificate.canister_leaf(&["metadata", "none"]),
        Err(VerifyError::Absent { .. })
    ));
    assert_eq!(certificate.leaf(&request).unwrap(), b"replied");
    let other: [&[u8]; 3] = [b"request_status", &[2; 32], b"status"];
    assert_eq!(certificate.lookup(&other).unwrap(), Lookup::Absent);
}

#[test]
fn what_the_subnet_says_of_others_is_not_believed() {
    let mut network = Network::new();
    let stranger = canister(0x50_0000);
    let foreign: [[&[u8]; 3]; 3] = [
        [b"canister", stranger.as_slice(), b"module_hash"],
        [b"subnet", b"another", b"public_key"],
        [b"canister_ranges", b"another", b"shard"],
    ];
    for labels in &foreign {
        network.state.insert(path(labels), vec![1]);
    }
    let own = path(&[b"subnet", network.subnet_id.as_slice(), b"type"]);
    network.state.insert(own.clone(), b"application".to_vec());
    let certificate = network.verify().unwrap();
    for labels in &foreign {
        let error = certificate.leaf(labels).unwrap_err();
        assert!(
            matches!(error, VerifyError::NotAuthoritative { .. }),
            "{error}"
        );
    }
    assert_eq!(certificate.leaf(&own).unwrap(), b"application");
    // The root subnet speaks for all subnets.
    let root = network
        .verify_bytes(&network.root.certify(&network.state, None))
        .unwrap();
    assert!(root.leaf(&foreign[0]).is_err());
    assert_eq!(root.leaf(&foreign[1]).unwrap(), [1]);
}
