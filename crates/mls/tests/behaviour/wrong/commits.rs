//! Commits by the wrong sender, for the wrong epoch, with the wrong proposals.

use indus_mls::{Message, MlsError, message::CommitMessage};

use crate::{
    support::{Bundle, Party, bytes, vector},
    wrong::three::{Three, add, group_info, read_group_info, remove, without_path},
};

#[test]
fn what_is_written_here_is_accepted_where_nothing_is_changed() {
    let mut three = Three::new();
    let bundle = three.update(1);
    let same = three.forged(&bundle, &three.parties[1].key, |_| {});
    assert_eq!(same.commit, bundle.commit);
    let same = three.with_leaf(&bundle, 1, |_| {});
    assert_eq!(same.commit, bundle.commit);
    let read = read_group_info(&bundle.group_info);
    let written = group_info(
        &read.group_context,
        &read.confirmation_tag,
        1,
        &three.parties[1].key,
    );
    three.service.accept(&Bundle {
        group_info: written,
        ..bundle
    });
}

#[test]
fn another_members_signature_another_epoch_and_another_group() {
    let mut three = Three::new();
    let bundle = three.update(1);
    let forged = three.forged(&bundle, &three.parties[2].key, |_| {});
    assert_eq!(three.refused(&forged), MlsError::Signature("commit"));
    let forged = three.forged(&bundle, &three.parties[1].key, |parts| {
        parts.sender = vec![1, 0, 0, 0, 2];
    });
    assert_eq!(three.refused(&forged), MlsError::Signature("commit"));
    for epoch in [0, 2, u64::MAX] {
        let forged = three.forged(&bundle, &three.parties[1].key, |parts| parts.epoch = epoch);
        let expected = MlsError::WrongEpoch {
            current: 1,
            given: epoch,
        };
        assert_eq!(three.refused(&forged), expected);
    }
    assert_eq!(
        Three::new().refused(&bundle),
        MlsError::OtherGroup,
        "of three others"
    );
}

#[test]
fn a_commit_that_comes_again_and_one_that_lost() {
    let mut three = Three::new();
    let (first, second) = (three.update(1), three.update(2));
    three.service.accept(&first);
    for late in [&first, &second] {
        assert_eq!(
            three.refused(late),
            MlsError::WrongEpoch {
                current: 2,
                given: 1
            }
        );
    }
}

#[test]
fn a_member_that_was_removed() {
    let mut three = Three::new();
    let bundle = three.parties[0].commit(&mut three.groups[0], vec![], &[2], true);
    three.service.accept(&bundle);
    let bundle = three.update(2);
    let forged = three.forged(&bundle, &three.parties[2].key, |parts| parts.epoch = 2);
    assert_eq!(three.refused(&forged), MlsError::NoMember(2));
    let forged = three.forged(&bundle, &three.parties[2].key, |parts| {
        parts.epoch = 2;
        parts.sender = vec![1, 255, 255, 255, 255];
    });
    assert_eq!(three.refused(&forged), MlsError::NoMember(u32::MAX));
}

#[test]
fn proposals_that_no_commit_may_contain() {
    let mut three = Three::new();
    let bundle = three.update(1);
    let dora = Party::new("dora");
    let key_package = dora.key_package();
    let another = dora.key_package();
    let commit = CommitMessage::from_message(&bundle.commit).unwrap().commit;
    let path = &commit[1..];
    let with_path = |proposals: &[Vec<u8>]| [&vector(&proposals.concat())[..], path].concat();
    let context_extensions = vec![1, 0, 7, 0];
    for (commit, expected) in [
        (with_path(&[remove(1)]), MlsError::OwnRemoval),
        (
            with_path(&[remove(2), remove(2)]),
            MlsError::RemovedTwice(2),
        ),
        (with_path(&[remove(3)]), MlsError::NoMember(3)),
        (with_path(&[remove(4)]), MlsError::NoMember(4)),
        (with_path(&[remove(u32::MAX)]), MlsError::NoMember(u32::MAX)),
        (
            without_path(&[add(&key_package), add(&key_package)]),
            MlsError::AddedTwice,
        ),
        (
            without_path(&[add(&key_package), add(&another)]),
            MlsError::SignatureKeyTwice,
        ),
        (without_path(&[]), MlsError::PathRequired),
        (
            without_path(&[remove(2), add(&key_package)]),
            MlsError::PathRequired,
        ),
        (
            with_path(&[[vec![2], vector(&[7; 32])].concat()]),
            MlsError::ProposalByReference,
        ),
        (
            with_path(&[context_extensions]),
            MlsError::ProposalType("GroupContextExtensions"),
        ),
        (
            with_path(&[vec![1, 0, 2]]),
            MlsError::ProposalType("Update"),
        ),
        (
            with_path(&[vec![1, 0, 4]]),
            MlsError::ProposalType("PreSharedKey"),
        ),
        (
            with_path(&[vec![1, 0, 5]]),
            MlsError::ProposalType("ReInit"),
        ),
        (
            with_path(&[vec![1, 0, 6]]),
            MlsError::ProposalType("ExternalInit"),
        ),
        (
            with_path(&[vec![1, 0x0a, 0x0a]]),
            MlsError::UnknownProposal(0x0a0a),
        ),
    ] {
        let forged = three.forged(&bundle, &three.parties[1].key, |parts| {
            parts.commit = commit;
        });
        assert_eq!(three.refused(&forged), expected);
    }
}

#[test]
fn senders_and_contents_that_are_no_members_commit() {
    let mut three = Three::new();
    let bundle = three.update(1);
    let key = &three.parties[1].key;
    for (sender, expected) in [
        (vec![2, 0, 0, 0, 0], MlsError::Sender("external")),
        (vec![3], MlsError::Sender("new_member_proposal")),
        (vec![4], MlsError::Sender("new_member_commit")),
    ] {
        let forged = three.forged(&bundle, key, |parts| parts.sender = sender);
        assert_eq!(three.refused(&forged), expected);
    }
    for (content_type, expected) in [(1, MlsError::PublicApplication), (2, MlsError::Proposal)] {
        let forged = three.forged(&bundle, key, |parts| parts.content_type = content_type);
        assert_eq!(three.refused(&forged), expected);
    }
    // A private message: of an application it is read, of a handshake not.
    let application = three.groups[2]
        .create_message(
            &three.parties[2].provider,
            &three.parties[2].signer,
            b"hello",
        )
        .map(bytes)
        .unwrap();
    let Ok(Message::Application(header)) = Message::read(&application) else {
        panic!("no application message");
    };
    assert_eq!(header.group_id, three.service.state.group_id);
    assert_eq!(header.epoch, 1);
    let content_type = 4 + vector(header.group_id).len() + 8;
    for handshake in [2, 3] {
        let mut private = application.clone();
        private[content_type] = handshake;
        assert_eq!(Message::read(&private), Err(MlsError::PrivateHandshake));
        let private = Bundle {
            commit: private,
            ..bundle.clone()
        };
        assert_eq!(three.refused(&private), MlsError::PrivateHandshake);
    }
    let application = Bundle {
        commit: application,
        ..bundle
    };
    assert!(matches!(
        three.refused(&application),
        MlsError::WireFormat { found: 2, .. }
    ));
}

#[test]
fn a_tree_that_isnt_the_states() {
    let mut three = Three::new();
    let bundle = three.update(1);
    three.service.tree = Three::new().service.tree;
    assert_eq!(three.refused(&bundle), MlsError::TreeOfState);
}
