//! Seeded mutations of real messages of both libraries: nothing panics, and what is accepted is what was sent.
//!
//! One thing is outside all signatures: a commit's membership_tag. Its confirmation tag is too, but that must be the one that the
//! GroupInfo, which is signed, has.

use crate::support::{Bundle, Party, Service, bytes, now, rs};
use indus_mls::{KeyPackage, MemoryTree, Message, Welcome, tree};
use rand::{RngExt, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;

struct Real {
    service: Service,
    bundle: Bundle,
    key_package: Vec<u8>,
    application: Vec<u8>,
}

fn of_openmls() -> Real {
    let parties: Vec<_> = (0..6).map(|name| Party::new(&name.to_string())).collect();
    let mut group = parties[0].create();
    let mut service = Service::create(&parties[0].group_info(&group));
    let adds = parties[1..5].iter().map(Party::key_package).collect();
    service.accept(&parties[0].commit(&mut group, adds, &[], false));
    parties[0].merge(&mut group);
    service.accept(&parties[0].commit(&mut group, vec![], &[2], true));
    parties[0].merge(&mut group);
    let application = group
        .create_message(&parties[0].provider, &parties[0].signer, b"hello")
        .map(bytes)
        .unwrap();
    let adds = vec![parties[5].key_package()];
    Real {
        key_package: bytes(adds[0].clone().into()),
        application,
        bundle: parties[0].commit(&mut group, adds, &[3], true),
        service,
    }
}

fn of_mls_rs() -> Real {
    let creator = rs::client("0", true);
    let others: Vec<_> = (1..5)
        .map(|name| rs::client(&name.to_string(), true))
        .collect();
    let mut group = creator
        .create_group(Default::default(), Default::default(), None)
        .unwrap();
    let group_info = group.group_info_message(true).unwrap().to_bytes().unwrap();
    let mut service = Service::create(&group_info);
    let adds: Vec<_> = others[1..].iter().map(rs::key_package).collect();
    service.accept(&rs::commit(&mut group, &adds, &[]));
    group.apply_pending_commit().unwrap();
    let application = group
        .encrypt_application_message(b"hello", Default::default())
        .unwrap()
        .to_bytes()
        .unwrap();
    let key_package = rs::key_package(&others[0]);
    Real {
        bundle: rs::commit(&mut group, std::slice::from_ref(&key_package), &[2]),
        key_package,
        application,
        service,
    }
}

/// Changes a message by one to three flips, cuts, and pieces of any of the messages.
fn mutated(rng: &mut ChaCha8Rng, message: &[u8], all: &[Vec<u8>]) -> Vec<u8> {
    let mut message = message.to_vec();
    for _ in 0..rng.random_range(1..=3) {
        if message.is_empty() {
            break;
        }
        let at = rng.random_range(0..message.len());
        match rng.random_range(0..6) {
            0..3 => message[at] ^= 1 << rng.random_range(0..8),
            3 => message.truncate(at),
            4 => {
                let end = message.len().min(at + rng.random_range(1..64));
                message.drain(at..end);
            }
            _ => {
                let from = all.choose(rng).unwrap();
                let start = rng.random_range(0..from.len());
                let end = from.len().min(start + rng.random_range(1..128));
                let replaced = if rng.random() { end - start } else { 0 };
                let until = message.len().min(at + replaced);
                message.splice(at..until, from[start..end].iter().copied());
            }
        }
    }
    message
}

fn try_all(real: &Real, seed: u64, rounds: usize) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let service = &real.service;
    let Bundle {
        commit,
        welcome,
        group_info,
    } = &real.bundle;
    let welcome = welcome.as_ref().unwrap();
    service.check(commit, group_info).unwrap();
    let ratchet_tree = service.ratchet_tree();
    let all = [
        commit.clone(),
        welcome.clone(),
        group_info.clone(),
        real.key_package.clone(),
        real.application.clone(),
        ratchet_tree.clone(),
    ];
    let mut accepted = 0;
    for round in 0..rounds {
        let original = &all[round % all.len()];
        let message = mutated(&mut rng, original, &all);
        let same = message == *original;
        let _ = Message::read(&message);
        match round % all.len() {
            0 => {
                if service.check(&message, group_info).is_ok() {
                    let signed = commit.len() - 32;
                    assert_eq!(message[..signed], commit[..signed]);
                    accepted += usize::from(!same);
                }
            }
            1 => {
                if let Ok(welcome) = Welcome::from_message(&message) {
                    for reference in welcome.references() {
                        let slice = welcome.slice(reference).unwrap();
                        Welcome::from_message(&slice).unwrap();
                    }
                }
            }
            2 => assert!(same || service.check(commit, &message).is_err()),
            3 => assert!(same || KeyPackage::from_message(&message, now()).is_err()),
            4 => {}
            _ => {
                // Not signed as a whole; but it has one encoding.
                if let Ok(tree) = MemoryTree::from_ratchet_tree(&message, &service.state.group_id) {
                    assert_eq!(tree::ratchet_tree(&tree), message);
                    assert!(same || tree.root_hash() != service.state.tree_hash);
                }
            }
        }
    }
    assert!(accepted > 0, "no mutation hit the membership_tag alone");
}

#[test]
fn mutations_of_messages_of_openmls() {
    try_all(&of_openmls(), 1, 50_000);
}

#[test]
fn mutations_of_messages_of_mls_rs() {
    try_all(&of_mls_rs(), 2, 50_000);
}
