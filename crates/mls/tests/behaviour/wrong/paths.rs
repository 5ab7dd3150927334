//! UpdatePaths that don't fit their committer or the tree.

use indus_mls::{LeafNodeSource, MlsError, commit::Commit, message::CommitMessage};

use crate::{
    support::vector,
    wrong::three::{Three, path_leaf, replaced},
};

#[test]
fn a_path_that_isnt_its_committers() {
    let mut three = Three::new();
    let bundle = three.update(1);
    // Changed without a new signature of the leaf.
    let forged = three.forged(&bundle, &three.parties[1].key, |parts| {
        let key = path_leaf(&parts.commit).encryption_key;
        let mut other = key;
        other[0] ^= 1;
        parts.commit = replaced(&parts.commit, &key, &other);
    });
    assert_eq!(three.refused(&forged), MlsError::Signature("leaf node"));
    let forged = three.with_leaf(&bundle, 1, |leaf| leaf.identity = b"eve".to_vec());
    assert_eq!(three.refused(&forged), MlsError::PathIdentity);
    let forged = three.with_leaf(&bundle, 1, |leaf| leaf.source = LeafNodeSource::Update);
    assert_eq!(three.refused(&forged), MlsError::LeafNodeSource("commit"));
    for hash in [None, Some([7; 32])] {
        let forged = three.with_leaf(&bundle, 1, |leaf| {
            leaf.source = LeafNodeSource::Commit(hash);
        });
        assert_eq!(three.refused(&forged), MlsError::PathParentHash);
    }
    let forged = three.with_leaf(&bundle, 1, |leaf| leaf.capabilities.cipher_suites.clear());
    assert!(matches!(
        three.refused(&forged),
        MlsError::Capability { value: 1, .. }
    ));
    // A key that another leaf has, and one of the path twice.
    let taken = three.service.tree.clone();
    let taken = *indus_mls::Nodes::node(&taken, 0).unwrap().encryption_key();
    let forged = three.with_leaf(&bundle, 1, |leaf| leaf.encryption_key = taken);
    assert_eq!(three.refused(&forged), MlsError::EncryptionKey);
    let path = Commit::from_bytes(CommitMessage::from_message(&bundle.commit).unwrap().commit)
        .unwrap()
        .path
        .unwrap();
    assert_eq!(path.nodes.len(), 2);
    let forged = three.with_leaf(&bundle, 1, |leaf| {
        leaf.encryption_key = path.nodes[0].encryption_key;
    });
    assert_eq!(three.refused(&forged), MlsError::EncryptionKey);
    // A node of the path replaced: the leaf's parent hash isn't of it.
    let forged = three.forged(&bundle, &three.parties[1].key, |parts| {
        parts.commit = replaced(&parts.commit, &path.nodes[1].encryption_key, &[9; 32]);
    });
    assert_eq!(three.refused(&forged), MlsError::PathParentHash);
}

#[test]
fn a_path_of_another_length_or_for_others() {
    let mut three = Three::new();
    let bundle = three.update(1);
    let message = CommitMessage::from_message(&bundle.commit).unwrap();
    let leaf = path_leaf(message.commit).to_bytes();
    let node = |key: u8, recipients: usize| {
        let ciphertext = [vector(&[1; 32]), vector(&[2; 48])].concat();
        [vector(&[key; 32]), vector(&ciphertext.repeat(recipients))].concat()
    };
    for (nodes, expected) in [
        (
            vec![node(1, 1)],
            MlsError::PathLength {
                expected: 2,
                given: 1,
            },
        ),
        (
            vec![node(1, 1), node(2, 1), node(3, 1)],
            MlsError::PathLength {
                expected: 2,
                given: 3,
            },
        ),
        (
            vec![node(1, 1), node(2, 2)],
            MlsError::PathCiphertexts { node: 3, given: 2 },
        ),
        (
            vec![node(1, 0), node(2, 1)],
            MlsError::PathCiphertexts { node: 1, given: 0 },
        ),
        (
            (0..20).map(|key| node(key, 1)).collect(),
            MlsError::TooLong("an UpdatePath"),
        ),
    ] {
        let forged = three.forged(&bundle, &three.parties[1].key, |parts| {
            parts.commit = [&[0, 1][..], &leaf, &vector(&nodes.concat())].concat();
        });
        assert_eq!(three.refused(&forged), expected);
    }
}
