//! ct-merkle agrees.

use ct_merkle::digest::Output;
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use ct_merkle::{ConsistencyProof, InclusionProof, RootHash};
use ic_stable_structures::VectorMemory;
use indus_certified::{CertifiedLog, Hash};
use sha2::Sha256;

use crate::{empty, leaf};

const SIZE: u64 = 600;

fn log() -> CertifiedLog<VectorMemory> {
    let mut log = empty();
    for index in 0..SIZE {
        log.append(&leaf(index), &[]).unwrap();
    }
    log
}

fn root_at(log: &CertifiedLog<VectorMemory>, size: u64) -> RootHash<Sha256> {
    RootHash::new(Output::<Sha256>::from(log.root_at(size).unwrap()), size)
}

fn digests(proof: &[Hash]) -> Vec<Output<Sha256>> {
    proof.iter().map(|&hash| hash.into()).collect()
}

#[test]
fn every_root_is_the_one_of_another_implementation() {
    let mut log = empty();
    let mut tree = MemoryBackedTree::<Sha256, Hash>::new();
    let mut roots = vec![tree.root()];
    for index in 0..SIZE {
        assert_eq!(
            log.root().as_slice(),
            roots.last().unwrap().as_bytes().as_slice()
        );
        log.append(&leaf(index), &[]).unwrap();
        tree.push(leaf(index));
        roots.push(tree.root());
    }
    for (size, root) in roots.iter().enumerate() {
        assert_eq!(&root_at(&log, size as u64), root, "root of {size} entries");
    }
}

#[test]
fn another_implementation_accepts_inclusion_proofs_for_their_entry_alone() {
    let log = log();
    for size in (1..=SIZE).filter(|size| size % 37 == 0 || *size < 20 || size.is_power_of_two()) {
        let root = root_at(&log, size);
        for index in 0..size {
            let proof = digests(&log.inclusion(index, size).unwrap());
            let proof = InclusionProof::from_digests(&proof);
            root.verify_inclusion(&leaf(index), index, &proof).unwrap();
            root.verify_inclusion(&leaf(index + 1), index, &proof)
                .unwrap_err();
        }
    }
}

#[test]
fn another_implementation_accepts_consistency_proofs_for_their_sizes_alone() {
    let log = log();
    for to in (1..=SIZE).filter(|size| size % 37 == 0 || *size < 20 || size.is_power_of_two()) {
        let root = root_at(&log, to);
        for from in 1..=to {
            let proof = digests(&log.consistency(from, to).unwrap());
            let proof = ConsistencyProof::from_digests(&proof);
            root.verify_consistency(&root_at(&log, from), &proof)
                .unwrap();
            let other = RootHash::new(Output::<Sha256>::from([9; 32]), from);
            root.verify_consistency(&other, &proof).unwrap_err();
        }
    }
}
