//! Proofs with one thing changed: every byte of a witness, every bit of a certificate.
//!
//! A changed certificate that can still be read costs a BLS check, so the bits are spread over threads that
//! share a verifier: what is not changed (the delegation, mostly) is checked once.

use std::thread;

use crate::evidence::{self, Evidence};
use candid::Principal;
use indus_verify::{VerifiedCertificate, VerifyError};

/// Calls `check` for each of `0..count`, on all processors.
fn spread(count: usize, check: impl Fn(usize) + Sync) {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for first in 0..threads {
            let check = &check;
            scope.spawn(move || (first..count).step_by(threads).for_each(check));
        }
    });
}

fn with_witness() -> Vec<Evidence> {
    let mut all = evidence::recorded();
    all.retain(|evidence| evidence.witness.is_some());
    all.push(evidence::made());
    all
}

#[test]
fn recorded_proofs_are_verified() {
    for evidence in evidence::recorded() {
        let certificate = evidence.verify(&evidence.certificate).unwrap();
        assert_eq!(
            certificate.canister(),
            evidence.canister,
            "{}",
            evidence.name
        );
        if let Some((witness, path)) = &evidence.witness {
            assert!(
                certificate.witness(witness).unwrap().leaf(path).is_ok(),
                "{}",
                evidence.name
            );
        }
    }
}

#[test]
fn recorded_proofs_of_a_delegated_subnet_do_not_serve_canisters_outside_of_it() {
    for mut evidence in evidence::recorded() {
        // The management canister is in no range.
        evidence.canister = Principal::management_canister();
        match evidence.verify(&evidence.certificate) {
            Ok(certificate) => assert_eq!(certificate.subnet(), None, "{}", evidence.name),
            Err(error) => assert!(
                matches!(error, VerifyError::ForeignCanister { .. }),
                "{}: {error}",
                evidence.name
            ),
        }
    }
}

#[test]
fn every_other_value_of_every_byte_of_a_witness_is_refused() {
    for evidence in with_witness() {
        let certificate: VerifiedCertificate = evidence.verify(&evidence.certificate).unwrap();
        let (witness, path) = evidence.witness.as_ref().unwrap();
        assert!(certificate.witness(witness).unwrap().leaf(path).is_ok());
        spread(witness.len(), |at| {
            let mut changed = witness.clone();
            for difference in 1..=255 {
                changed[at] = witness[at] ^ difference;
                assert!(
                    certificate.witness(&changed).is_err(),
                    "{}: byte {at} as {}",
                    evidence.name,
                    changed[at]
                );
            }
        });
    }
}

#[test]
fn every_flipped_bit_of_a_certificate_is_refused() {
    for evidence in with_witness() {
        evidence.verify(&evidence.certificate).unwrap();
        spread(8 * evidence.certificate.len(), |bit| {
            let mut changed = evidence.certificate.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(
                evidence.verify(&changed).is_err(),
                "{}: bit {bit}",
                evidence.name
            );
        });
    }
}

#[test]
fn every_truncated_or_extended_proof_is_refused() {
    for evidence in with_witness() {
        let certificate = evidence.verify(&evidence.certificate).unwrap();
        let (witness, _) = evidence.witness.as_ref().unwrap();
        for length in 0..evidence.certificate.len() {
            assert!(
                evidence.verify(&evidence.certificate[..length]).is_err(),
                "{}: {length}",
                evidence.name
            );
        }
        for length in 0..witness.len() {
            assert!(
                certificate.witness(&witness[..length]).is_err(),
                "{}: {length}",
                evidence.name
            );
        }
        for extra in 0..=255 {
            assert!(
                evidence
                    .verify(&[&evidence.certificate[..], &[extra]].concat())
                    .is_err()
            );
            assert!(
                certificate
                    .witness(&[&witness[..], &[extra]].concat())
                    .is_err()
            );
        }
    }
}

#[test]
fn a_witness_is_not_a_certificate_and_a_certificate_is_not_a_witness() {
    for evidence in with_witness() {
        let certificate = evidence.verify(&evidence.certificate).unwrap();
        assert!(certificate.witness(&evidence.certificate).is_err());
        assert!(
            evidence
                .verify(&evidence.witness.as_ref().unwrap().0)
                .is_err()
        );
    }
}
