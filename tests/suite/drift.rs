//! What runs is what was declared, by what the subnet says; and if it isn't, the registry finds out.

use std::{io::Read, time::Duration};

use candid::{Encode, Principal};
use end_to_end::identity_module;
use flate2::read::GzDecoder;
use indus_api::{
    Error,
    registry::{
        Action, CANISTERS, CanisterEntry, CanisterProfile, CanisterRecord, DataClass, Drift,
        UpgradeOrder, path, payload_hash, principal_key,
    },
};
use serde_bytes::ByteBuf;

use crate::suite::{CONTROLLER, Suite, key};

fn hash(module: &[u8]) -> ByteBuf {
    ByteBuf::from(payload_hash(module))
}

/// What is certified of identity.
fn entry(suite: &Suite) -> CanisterEntry {
    let path = path(CANISTERS, &principal_key(suite.identity));
    let witness = suite.certified(suite.registry, vec![path.clone()]);
    let CanisterRecord::V1(entry) = witness.value(&path).unwrap();
    entry
}

fn observe(suite: &Suite, canister: Principal) -> Result<CanisterEntry, Error> {
    suite.registry(key("anybody"), "observe_canister", (canister,))
}

fn replace(suite: &Suite, module: Vec<u8>) {
    let args = Encode!().unwrap();
    suite
        .pic
        .upgrade_canister(suite.identity, module, args, Some(CONTROLLER))
        .unwrap();
    suite.confirm(suite.identity);
}

#[test]
fn a_module_that_was_replaced_is_drift_until_the_governors_agree_to_it() {
    let suite = Suite::new();
    let unknown = observe(&suite, suite.identity);
    assert!(
        matches!(unknown, Err(Error::NotFound { .. })),
        "{unknown:?}"
    );
    suite.decided(Action::RecordCanister(CanisterProfile {
        canister: suite.identity,
        organisation: suite.organisation,
        name: "identity".into(),
        module_hash: Some(hash(&identity_module())),
        data_class: DataClass::Confidential,
    }));
    assert_eq!(entry(&suite).drift, Drift::Unknown);
    let observed = observe(&suite, suite.identity).unwrap();
    assert_eq!(observed.drift, Drift::Match);
    assert_eq!(entry(&suite), observed);
    let seen = observed.observation.unwrap();
    assert_eq!(seen.module_hash, Some(hash(&identity_module())));
    assert_eq!(seen.controllers, [CONTROLLER]);

    // The same code, packed otherwise, is another module.
    let mut other = Vec::new();
    GzDecoder::new(&identity_module()[..])
        .read_to_end(&mut other)
        .unwrap();
    replace(&suite, other.clone());
    let drifted = observe(&suite, suite.identity).unwrap();
    assert_eq!(drifted.drift, Drift::Drift);
    assert_eq!(entry(&suite), drifted);
    assert_eq!(drifted.observation.unwrap().module_hash, Some(hash(&other)));

    suite.decided(Action::Upgrade(UpgradeOrder {
        canister: suite.identity,
        module_hash: hash(&other),
        argument_hash: hash(&Encode!().unwrap()),
        previous_hash: hash(&identity_module()),
        source_commit: "0123456789abcdef0123456789abcdef01234567".into(),
        version: "1.0.1".into(),
    }));
    assert_eq!(entry(&suite).drift, Drift::Match);

    // Nobody has to ask: within an hour and a little the registry looks by itself.
    replace(&suite, identity_module());
    suite.pass(Duration::from_secs(70 * 60));
    assert_eq!(entry(&suite).drift, Drift::Drift);
}
