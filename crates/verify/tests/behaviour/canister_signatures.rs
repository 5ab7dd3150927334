//! Canister signatures and signed credentials: what this verifier accepts, the library that everybody uses accepts too; each
//! wrong thing is refused.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use candid::Principal;
use ic_certification::{HashTree, fork, labeled, leaf, pruned};
use ic_signature_verification::verify_canister_sig;
use indus_api::identity::{Achievement, Credential};
use indus_api::signatures::{SEED, key, public_key, seed_hash};
use indus_verify::canister_signature::encode;
use indus_verify::signed_credential::{
    ProvedCredential, SignedCredential, SignedCredentialError, to_jws,
};
use indus_verify::{Part, RootKey, Time, TimeBound, Verifier, VerifyError};
use serde_bytes::ByteBuf;
use testnet::{Subnet, cbor};

const SUBNET: Subnet = Subnet::new(1);
const NOW: u64 = 1_700_000_000_000_000_000;
const HOUR: u64 = 3_600_000_000_000;
const BOUND: TimeBound = TimeBound::within(Duration::from_secs(300));
/// What of a DER-encoded root key is the key.
const RAW_KEY: usize = 37;

fn signer() -> Principal {
    Principal::from_slice(&[0, 0, 0, 0, 0, 0, 0, 7, 1, 1])
}

fn verifier() -> Verifier {
    Verifier::new(RootKey::from_der(&SUBNET.root_key_der()).unwrap())
}

/// The tree of a canister that signs this message, with `contents` in its leaf.
fn tree(message: &[u8], contents: &[u8]) -> HashTree {
    fork(
        labeled("data", pruned([1; 32])),
        labeled(
            "sig",
            labeled(
                seed_hash(),
                fork(
                    labeled([0; 32], pruned([2; 32])),
                    labeled(key(message), leaf(contents.to_vec())),
                ),
            ),
        ),
    )
}

fn signature(tree: &HashTree) -> Vec<u8> {
    let certificate = SUBNET.certificate(signer(), tree.digest(), NOW);
    encode(&certificate, &cbor(tree)).unwrap()
}

/// What this verifier says.
fn check(
    signer: Principal,
    seed: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<Time, VerifyError> {
    let now = Time::from_nanos(NOW);
    verifier()
        .canister_signature(signer, seed, message, signature, now, BOUND)
        .map(|certificate| certificate.time())
}

fn other_library(signer: Principal, message: &[u8], signature: &[u8]) -> Result<(), String> {
    let root_key = SUBNET.root_key_der();
    verify_canister_sig(
        message,
        signature,
        &public_key(signer),
        &root_key[RAW_KEY..],
    )
}

#[test]
fn a_signature_is_one_for_every_verifier() {
    let signature = signature(&tree(b"salaam", b""));
    assert_eq!(
        check(signer(), SEED, b"salaam", &signature),
        Ok(Time::from_nanos(NOW))
    );
    assert_eq!(other_library(signer(), b"salaam", &signature), Ok(()));
}

#[test]
fn another_message_signer_seed_or_leaf_is_refused() {
    let good = signature(&tree(b"salaam", b""));
    let refused = check(signer(), SEED, b"salaan", &good).unwrap_err();
    assert!(
        matches!(
            refused,
            VerifyError::Unknown { .. } | VerifyError::Absent { .. }
        ),
        "{refused}"
    );
    assert!(other_library(signer(), b"salaan", &good).is_err());
    let refused = check(signer(), b"other", b"salaam", &good).unwrap_err();
    assert!(matches!(refused, VerifyError::Absent { .. }), "{refused}");
    let other = Principal::from_slice(&[0, 0, 0, 0, 0, 0, 0, 8, 1, 1]);
    assert!(check(other, SEED, b"salaam", &good).is_err());
    assert!(other_library(other, b"salaam", &good).is_err());
    let full = signature(&tree(b"salaam", b"x"));
    let refused = check(signer(), SEED, b"salaam", &full).unwrap_err();
    assert!(matches!(refused, VerifyError::Value { .. }), "{refused}");
    assert!(other_library(signer(), b"salaam", &full).is_err());
    // A tree that the canister did not certify.
    let certificate = SUBNET.certificate(signer(), [3; 32], NOW);
    let forged = encode(&certificate, &cbor(&tree(b"salaam", b""))).unwrap();
    assert_eq!(
        check(signer(), SEED, b"salaam", &forged),
        Err(VerifyError::WrongWitness)
    );
}

#[test]
fn an_old_signature_is_refused_by_its_age() {
    let signature = signature(&tree(b"salaam", b""));
    let later = Time::from_nanos(NOW + HOUR);
    let refused =
        verifier().canister_signature(signer(), SEED, b"salaam", &signature, later, BOUND);
    assert!(matches!(refused, Err(VerifyError::Stale { .. })));
}

#[test]
fn no_byte_can_be_another_or_be_missing() {
    let good = signature(&tree(b"salaam", b""));
    for at in 0..good.len() {
        let mut other = good.clone();
        other[at] ^= 1;
        assert!(check(signer(), SEED, b"salaam", &other).is_err(), "{at}");
        assert!(
            check(signer(), SEED, b"salaam", &good[..at]).is_err(),
            "{at}"
        );
    }
    let longer = [&good[..], &[0]].concat();
    let refused = check(signer(), SEED, b"salaam", &longer).unwrap_err();
    let part = Part::CanisterSignature;
    assert!(matches!(refused, VerifyError::Malformed { part: found, .. } if found == part));
    assert!(encode(b"", b"no tag").is_err());
}

fn credential() -> Credential {
    Credential {
        id: 7,
        canister: signer(),
        registry: Principal::from_slice(&[3, 1, 1]),
        organisation: 3,
        holder: Principal::from_slice(&[9, 0x7f]),
        achievement: Achievement {
            programme: "rust-2026".into(),
            name: "Rust".into(),
            description: "Six weeks.".into(),
            criteria: "Passes.".into(),
        },
        issued_at_ns: NOW - HOUR,
        valid_until_ns: Some(NOW + HOUR),
        json_hash: ByteBuf::new(),
        salt: ByteBuf::from([4; 16]),
    }
}

fn jws(credential: &Credential) -> String {
    let tree = tree(&credential.signed_message().unwrap(), b"");
    let certificate = SUBNET.certificate(signer(), tree.digest(), NOW);
    to_jws(credential, &certificate, &cbor(&tree)).unwrap()
}

fn prove(
    jws: &str,
    canister: Principal,
    now: u64,
) -> Result<ProvedCredential, SignedCredentialError> {
    let bound = TimeBound::within(Duration::from_secs(7_200));
    SignedCredential::from_jws(jws.as_bytes())?.verify(
        &verifier(),
        canister,
        Time::from_nanos(now),
        bound,
    )
}

#[test]
fn a_signed_credential_is_what_was_issued() {
    let credential = credential();
    let jws = jws(&credential);
    assert!(SignedCredential::looks_like_one(jws.as_bytes()));
    let proved = prove(&format!("{jws}\n"), signer(), NOW).unwrap();
    assert_eq!(Some(proved.json), credential.json());
    assert_eq!(proved.name, "Rust");
    assert!(proved.id.ends_with(":credential:7"), "{}", proved.id);
    assert!(
        proved.issuer.ends_with(":organisation:3"),
        "{}",
        proved.issuer
    );
    assert_eq!(proved.certified_at, Time::from_nanos(NOW));
    // Any library of canister signatures finds the same, with the key that the header names.
    let (input, signature) = jws.rsplit_once('.').unwrap();
    let message = [b"\x1aiccs_verifiable_credential", input.as_bytes()].concat();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    assert_eq!(other_library(signer(), &message, &signature), Ok(()));
}

#[test]
fn a_signed_credential_of_another_canister_or_time_is_refused() {
    let jws = jws(&credential());
    let other = Principal::from_slice(&[0, 0, 0, 0, 0, 0, 0, 8, 1, 1]);
    assert_eq!(
        prove(&jws, other, NOW),
        Err(SignedCredentialError::OtherKey { expected: other })
    );
    assert!(prove(&jws, signer(), NOW + HOUR - 1_000_000_000).is_ok());
    assert!(matches!(
        prove(&jws, signer(), NOW + HOUR),
        Err(SignedCredentialError::Ended { .. })
    ));
    let for_ever = Credential {
        valid_until_ns: None,
        ..credential()
    };
    assert!(prove(&self::jws(&for_ever), signer(), NOW + HOUR).is_ok());
}

#[test]
fn no_character_of_a_signed_credential_can_be_another() {
    let jws = jws(&credential());
    for at in 0..jws.len() {
        for other in [b'A', b'.', b'-', 0x80] {
            let mut bytes = jws.clone().into_bytes();
            if bytes[at] == other {
                continue;
            }
            bytes[at] = other;
            let read = SignedCredential::from_jws(&bytes);
            let now = Time::from_nanos(NOW);
            let proved = read.and_then(|read| read.verify(&verifier(), signer(), now, BOUND));
            assert!(proved.is_err(), "{at}");
        }
    }
    for malformed in ["", "eyJ", "a.b", "eyJ.e.y.J", "e30.e30.AA", "!.e30.AA"] {
        assert!(matches!(
            prove(malformed, signer(), NOW),
            Err(SignedCredentialError::Malformed { .. })
        ));
    }
}
