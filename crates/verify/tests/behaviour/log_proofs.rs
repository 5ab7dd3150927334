//! Proofs of logs, against `ct-merkle`, which makes them.

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use indus_verify::log::{verify_consistency, verify_inclusion};
use indus_verify::{Hash, LogHead, LogRoot, VerifyError};
use proptest::collection::vec;
use proptest::prelude::*;
use sha2::{Digest, Sha256};

/// Logs of all sizes up to this are tried: complete trees, and every shape between them.
const SIZES: u64 = 40;

type Tree = MemoryBackedTree<Sha256, Hash>;

fn entry(index: u64) -> Hash {
    Sha256::digest(index.to_be_bytes()).into()
}

fn tree(size: u64) -> Tree {
    let mut tree = Tree::new();
    (0..size).for_each(|index| tree.push(entry(index)));
    tree
}

fn head(tree: &Tree) -> LogHead {
    LogHead {
        root: (*tree.root().as_bytes()).into(),
        size: tree.len(),
    }
}

fn hashes(bytes: &[u8]) -> Vec<Hash> {
    let (hashes, rest) = bytes.as_chunks();
    assert!(rest.is_empty());
    hashes.to_vec()
}

/// `proof` with each bit of one of its bytes flipped, cut at each length, and made longer.
fn changes(proof: &[Hash]) -> Vec<Vec<Hash>> {
    let mut changed = Vec::new();
    for index in 0..32 * proof.len() {
        let mut proof = proof.to_vec();
        proof[index / 32][index % 32] ^= 1 << (index % 8);
        changed.push(proof);
    }
    changed.extend((0..proof.len()).map(|length| proof[..length].to_vec()));
    changed.extend((1..proof.len()).map(|first| proof[first..].to_vec()));
    for extra in [[0; 32], proof.last().copied().unwrap_or_default()] {
        changed.push([proof, &[extra]].concat());
    }
    changed
}

#[test]
fn roots_of_growing_logs_agree() {
    let mut log = LogRoot::default();
    for size in 0..=300 {
        let tree = tree(size);
        if size > 0 {
            log.append(&entry(size - 1));
            assert_eq!(log.head(), head(&tree));
        }
        let again = LogRoot::from_peaks(size, log.peaks().to_vec()).unwrap();
        assert_eq!(again, log);
        assert_eq!(again.root(), log.root());
    }
    assert_eq!(
        LogRoot::default().root().to_vec(),
        Sha256::digest([]).to_vec()
    );
}

#[test]
fn peaks_of_another_number_than_the_size_has_are_refused() {
    for (size, peaks) in [(0, 1), (1, 0), (2, 2), (3, 1), (u64::MAX, 64), (1 << 63, 1)] {
        assert_eq!(LogRoot::from_peaks(size, vec![[0; 32]; peaks]), None);
    }
    assert!(LogRoot::from_peaks((1 << 63) - 1, vec![[0; 32]; 63]).is_some());
}

#[test]
fn every_entry_is_proved_and_every_changed_proof_refused() {
    for size in 1..=SIZES {
        let tree = tree(size);
        let head = head(&tree);
        for index in 0..size {
            let proof = tree.prove_inclusion(usize::try_from(index).unwrap());
            let proof = hashes(proof.as_bytes());
            let verify =
                |entry, index, proof: &[Hash]| verify_inclusion(&entry, index, proof, &head);
            assert_eq!(
                verify(entry(index), index, &proof),
                Ok(()),
                "{index} of {size}"
            );
            let refused = Err(VerifyError::NotIncluded { index, size });
            assert_eq!(verify(entry(index + 1), index, &proof), refused);
            for changed in changes(&proof) {
                assert_eq!(verify(entry(index), index, &changed), refused);
            }
            for other in (0..=size).chain([u64::MAX]).filter(|other| *other != index) {
                assert!(verify(entry(index), other, &proof).is_err());
            }
        }
    }
}

#[test]
fn every_prefix_is_proved_and_every_changed_proof_refused() {
    for to in 1..=SIZES {
        let longer = tree(to);
        for from in 1..to {
            let proof = longer.prove_consistency(usize::try_from(to - from).unwrap());
            let proof = hashes(proof.as_bytes());
            let (from, to) = (head(&tree(from)), head(&longer));
            assert_eq!(verify_consistency(&from, &to, &proof), Ok(()));
            let refused = Err(VerifyError::NotConsistent {
                from: from.size,
                to: to.size,
            });
            for changed in changes(&proof) {
                assert_eq!(verify_consistency(&from, &to, &changed), refused);
            }
            let mut other = from;
            other.root[31] ^= 1;
            assert_eq!(verify_consistency(&other, &to, &proof), refused);
            let mut other = to;
            other.root[0] ^= 0x80;
            assert_eq!(verify_consistency(&from, &other, &proof), refused);
            assert!(verify_consistency(&to, &from, &proof).is_err());
        }
    }
}

#[test]
fn every_log_begins_with_nothing_and_with_itself_by_an_empty_proof() {
    let (nothing, five) = (LogRoot::default().head(), head(&tree(5)));
    let other = LogHead {
        root: [1; 32],
        ..nothing
    };
    assert_eq!(verify_consistency(&nothing, &five, &[]), Ok(()));
    assert_eq!(verify_consistency(&five, &five, &[]), Ok(()));
    assert_eq!(verify_consistency(&nothing, &nothing, &[]), Ok(()));
    for (from, to, proof) in [
        (nothing, five, vec![five.root]),
        (five, five, vec![five.root]),
        (other, five, vec![]),
        (other, nothing, vec![]),
        (five, nothing, vec![]),
    ] {
        assert!(verify_consistency(&from, &to, &proof).is_err());
    }
}

#[test]
fn an_inner_node_is_no_entry() {
    // The two halves of a log of two, hashed as a leaf, are not its root.
    let pair = head(&tree(2));
    let single = LogHead { size: 1, ..pair };
    assert!(verify_inclusion(&pair.root, 0, &[], &single).is_err());
}

#[test]
fn a_head_is_read_from_its_one_encoding() {
    let leaf = |size: &[u8], peaks: usize| {
        let contents = [size.to_vec(), vec![7; 32 * peaks]].concat();
        LogHead::from_leaf(&contents)
    };
    let empty = Ok(LogRoot::default().head());
    assert_eq!(leaf(&[0], 0), empty);
    for (size, number) in [(&[1][..], 1), (&[0x80, 1], 128)] {
        let root = [7; 32];
        let expected = LogHead { root, size: number };
        assert_eq!(leaf(size, 1), Ok(expected));
    }
    assert_eq!(leaf(&[3], 2).unwrap().size, 3);
    for (bad, peaks) in [
        (&[][..], 0),
        (&[0x80], 0),
        (&[0x80, 0], 0),
        (&[0], 1),
        (&[1], 0),
        (&[1], 2),
        (&[1, 1], 1),
        (
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
            64,
        ),
    ] {
        assert_eq!(leaf(bad, peaks), Err(VerifyError::LogHead), "{bad:?}");
    }
    assert_eq!(LogHead::from_leaf(&[1; 32]), Err(VerifyError::LogHead));
}

proptest! {
    #[test]
    fn no_proof_makes_it_panic(
        index: u64, from in any::<(u64, Hash)>(), to in any::<(u64, Hash)>(), proof in vec(any::<Hash>(), 0..130),
    ) {
        let head = |(size, root)| LogHead { root, size };
        prop_assert!(verify_inclusion(&[0; 32], index, &proof, &head(to)).is_err());
        prop_assert!(verify_consistency(&head(from), &head(to), &proof).is_err());
    }
}
