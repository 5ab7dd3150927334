//! A group of three, and messages that one of them forges.

use ed25519_dalek::SigningKey;
use indus_mls::{
    LeafNode, MlsError, commit::Commit, group_info::GroupContext, message::CommitMessage,
};
use openmls::prelude::MlsGroup;

use crate::support::{Bundle, Party, Service, bytes, sign, vector};

/// Anna, Ben and Cleo, at leaves 0, 1 and 2.
pub struct Three {
    pub parties: [Party; 3],
    pub groups: [MlsGroup; 3],
    pub service: Service,
}

impl Three {
    pub fn new() -> Self {
        let parties = ["anna", "ben", "cleo"].map(Party::new);
        let mut group = parties[0].create();
        let mut service = Service::create(&parties[0].group_info(&group));
        let adds = vec![parties[1].key_package(), parties[2].key_package()];
        let bundle = parties[0].commit(&mut group, adds, &[], true);
        let accepted = service.accept(&bundle);
        parties[0].merge(&mut group);
        let tree = service.ratchet_tree();
        let welcome = bundle.welcome.unwrap();
        let join = |at: usize| {
            let welcome = indus_mls::Welcome::from_message(&welcome).unwrap();
            let slice = welcome.slice(&accepted.added[at - 1].reference).unwrap();
            parties[at].join(&slice, &tree)
        };
        let groups = [group, join(1), join(2)];
        Self {
            parties,
            groups,
            service,
        }
    }

    pub fn update(&mut self, at: usize) -> Bundle {
        self.parties[at].commit(&mut self.groups[at], vec![], &[], true)
    }

    pub fn refused(&self, bundle: &Bundle) -> MlsError {
        self.service
            .check(&bundle.commit, &bundle.group_info)
            .unwrap_err()
    }

    /// The same message, with these parts of it changed and signed by `key`.
    pub fn forged(
        &self,
        bundle: &Bundle,
        key: &SigningKey,
        change: impl FnOnce(&mut Parts),
    ) -> Bundle {
        let message = CommitMessage::from_message(&bundle.commit).unwrap();
        let mut parts = Parts {
            group_id: message.group_id.to_vec(),
            epoch: message.epoch,
            sender: [&[1][..], &message.sender.to_be_bytes()].concat(),
            content_type: 3,
            commit: message.commit.to_vec(),
            tag: message.confirmation_tag.to_vec(),
        };
        change(&mut parts);
        let content = [
            &vector(&parts.group_id)[..],
            &parts.epoch.to_be_bytes(),
            &parts.sender,
            &vector(message.authenticated_data),
            &[parts.content_type],
            &parts.commit,
        ]
        .concat();
        let context = self.service.state.group_context().unwrap().to_bytes();
        let tbs = [&[0, 1, 0, 1][..], &content, &context].concat();
        let commit = [
            &[0, 1, 0, 1][..],
            &content,
            &sign(key, "FramedContentTBS", &tbs),
            &vector(&parts.tag),
            &vector(&message.membership_tag),
        ]
        .concat();
        Bundle {
            commit,
            ..bundle.clone()
        }
    }

    /// The same bundle with the path's leaf changed, and signed again by its owner.
    pub fn with_leaf(
        &self,
        bundle: &Bundle,
        at: usize,
        change: impl FnOnce(&mut LeafNode),
    ) -> Bundle {
        let key = &self.parties[at].key;
        let group_id = &self.service.state.group_id;
        let index = u32::try_from(at).unwrap().to_be_bytes();
        self.forged(bundle, key, |parts| {
            let mut leaf = path_leaf(&parts.commit);
            let before = leaf.to_bytes();
            change(&mut leaf);
            let unsigned = leaf.to_bytes();
            let unsigned = &unsigned[..unsigned.len() - 66];
            let tbs = [unsigned, &vector(group_id), &index].concat();
            let after = [unsigned, &sign(key, "LeafNodeTBS", &tbs)].concat();
            parts.commit = replaced(&parts.commit, &before, &after);
        })
    }
}

pub struct Parts {
    pub group_id: Vec<u8>,
    pub epoch: u64,
    pub sender: Vec<u8>,
    pub content_type: u8,
    pub commit: Vec<u8>,
    pub tag: Vec<u8>,
}

pub fn path_leaf(commit: &[u8]) -> LeafNode {
    Commit::from_bytes(commit).unwrap().path.unwrap().leaf_node
}

pub fn replaced(bytes: &[u8], before: &[u8], after: &[u8]) -> Vec<u8> {
    let at = bytes
        .windows(before.len())
        .position(|window| window == before)
        .unwrap();
    [&bytes[..at], after, &bytes[at + before.len()..]].concat()
}

/// A GroupInfo without extensions.
pub fn group_info(context: &GroupContext, tag: &[u8], signer: u32, key: &SigningKey) -> Vec<u8> {
    let tbs = [
        &context.to_bytes()[..],
        &[0],
        &vector(tag),
        &signer.to_be_bytes(),
    ]
    .concat();
    [&[0, 1, 0, 4][..], &tbs, &sign(key, "GroupInfoTBS", &tbs)].concat()
}

pub fn read_group_info(bytes: &[u8]) -> indus_mls::GroupInfo {
    indus_mls::GroupInfo::from_message(bytes).unwrap()
}

/// A commit of these proposals, without a path.
pub fn without_path(proposals: &[Vec<u8>]) -> Vec<u8> {
    [vector(&proposals.concat()), vec![0]].concat()
}

pub fn remove(leaf: u32) -> Vec<u8> {
    [&[1, 0, 3][..], &leaf.to_be_bytes()].concat()
}

pub fn add(key_package: &openmls::prelude::KeyPackage) -> Vec<u8> {
    let message = bytes(key_package.clone().into());
    [&[1, 0, 1][..], &message[4..]].concat()
}
