//! Whether a commit may become a group's next epoch (RFC 9420, sections 12.2 to 12.4).

use std::collections::BTreeSet;

use super::{Accepted, Added, GroupState, Removed};
use crate::{
    GroupInfo, Key, KeyPackage, LeafNode, LeafNodeSource, MlsError, Nodes,
    commit::{Commit, Proposal, UpdatePath},
    crypto::PublicKey,
    group_info::GroupContext,
    message::CommitMessage,
    tree::Overlay,
};

/// Checks a commit, with the committer's GroupInfo of the epoch that it leads to, against a group's state and its tree. Nothing
/// is changed; what is accepted says what changes. `now_s` is in seconds of the Unix epoch.
///
/// The GroupInfo needs no ratchet_tree extension: whoever keeps the tree serves it ([`crate::tree::ratchet_tree`]). If there is one
/// it isn't read; those who join compare it with the tree hash.
///
/// # Errors
/// Says which check failed.
pub fn commit(
    state: &GroupState,
    nodes: &dyn Nodes,
    commit: &[u8],
    group_info: &[u8],
    now_s: u64,
) -> Result<Accepted, MlsError> {
    let message = CommitMessage::from_message(commit)?;
    if message.group_id != state.group_id {
        return Err(MlsError::OtherGroup);
    }
    if message.epoch != state.epoch {
        return Err(MlsError::WrongEpoch {
            current: state.epoch,
            given: message.epoch,
        });
    }
    let group_info = GroupInfo::from_message(group_info)?;
    let context = state.group_context()?;
    let mut tree = Overlay::new(nodes);
    if tree.root_hash() != state.tree_hash {
        return Err(MlsError::TreeOfState);
    }
    let sender_before = tree.member(message.sender)?;
    let key = PublicKey::new(&sender_before.signature_key)?;
    message.verify(&key, &context.to_bytes())?;

    let Commit { proposals, path } = Commit::from_bytes(message.commit)?;
    let (removes, adds) = sort(proposals, message.sender, nodes.width())?;
    if path.is_none() && (!removes.is_empty() || adds.is_empty()) {
        return Err(MlsError::PathRequired);
    }
    for key_package in &adds {
        key_package.validate(now_s)?;
        key_package.leaf_node.supports(&context.extensions)?;
    }
    if let Some(path) = &path {
        check_leaf(path, &sender_before, message.sender, &context, &key)?;
    }
    check_keys(nodes, &adds, path.as_ref())?;

    // Removes before adds (section 12.3), and the path on the tree that results.
    let mut removed = Vec::with_capacity(removes.len());
    for index in removes {
        let leaf_node = tree.remove(index)?;
        removed.push(Removed { index, leaf_node });
    }
    let mut added = Vec::with_capacity(adds.len());
    for key_package in adds {
        let index = tree.add(key_package.leaf_node.clone())?;
        added.push(Added::new(index, key_package));
    }
    tree.truncate()?;
    if let Some(path) = path {
        let new = added.iter().map(|added| added.index).collect();
        tree.update(message.sender, path, &new)?;
    }
    let sender_after = tree.member(message.sender)?;

    let expected = GroupContext {
        epoch: state.epoch.checked_add(1).ok_or(MlsError::LastEpoch)?,
        tree_hash: tree.root_hash(),
        confirmed_transcript_hash: Some(
            message.confirmed_transcript_hash(&state.interim_transcript_hash),
        ),
        ..context
    };
    let key = key.or(&sender_after.signature_key)?;
    check_group_info(&group_info, &expected, &message, &key)?;
    let (width, changes) = tree.finish();
    Ok(Accepted {
        state: GroupState::new(&expected, message.confirmation_tag),
        changes,
        width,
        sender: message.sender,
        sender_before,
        sender_after,
        added,
        removed,
        authenticated_data: message.authenticated_data.to_vec(),
    })
}

/// The leaves to remove and the key packages to add, each of them once (section 12.2).
fn sort(
    proposals: Vec<Proposal>,
    sender: u32,
    width: u32,
) -> Result<(Vec<u32>, Vec<KeyPackage>), MlsError> {
    let (mut removes, mut adds) = (Vec::new(), Vec::new());
    let (mut removed, mut added) = (BTreeSet::new(), BTreeSet::new());
    for proposal in proposals {
        match proposal {
            Proposal::Remove(leaf) if leaf == sender => return Err(MlsError::OwnRemoval),
            Proposal::Remove(leaf) if leaf >= width => return Err(MlsError::NoMember(leaf)),
            Proposal::Remove(leaf) => {
                if !removed.insert(leaf) {
                    return Err(MlsError::RemovedTwice(leaf));
                }
                removes.push(leaf);
            }
            Proposal::Add(key_package) => {
                if !added.insert(key_package.reference()) {
                    return Err(MlsError::AddedTwice);
                }
                adds.push(*key_package);
            }
        }
    }
    Ok((removes, adds))
}

/// The path's leaf is the sender's, made for this commit (sections 7.3 and 12.4.2).
fn check_leaf(
    path: &UpdatePath,
    before: &LeafNode,
    sender: u32,
    context: &GroupContext,
    key: &PublicKey,
) -> Result<(), MlsError> {
    let leaf = &path.leaf_node;
    if !matches!(leaf.source, LeafNodeSource::Commit(_)) {
        return Err(MlsError::LeafNodeSource("commit"));
    }
    if leaf.identity != before.identity {
        return Err(MlsError::PathIdentity);
    }
    leaf.supports(&context.extensions)?;
    let key = key.or(&leaf.signature_key)?;
    leaf.validate_with(&key, &context.group_id, sender)
}

/// Encryption keys are new, and signature keys of those who are added and of the path's leaf differ. Stricter than the RFC, which
/// lets a key come back that goes with this commit.
fn check_keys(
    nodes: &dyn Nodes,
    adds: &[KeyPackage],
    path: Option<&UpdatePath>,
) -> Result<(), MlsError> {
    let leaves = || {
        adds.iter()
            .map(|key_package| &key_package.leaf_node)
            .chain(path.map(|path| &path.leaf_node))
    };
    let parents = path.into_iter().flat_map(|path| &path.nodes);
    let keys = leaves()
        .map(|leaf| &leaf.encryption_key)
        .chain(parents.map(|node| &node.encryption_key));
    let mut seen: BTreeSet<&Key> = BTreeSet::new();
    for key in keys {
        if !seen.insert(key) || nodes.has_key(key) {
            return Err(MlsError::EncryptionKey);
        }
    }
    let mut seen: BTreeSet<&Key> = BTreeSet::new();
    for leaf in leaves() {
        if !seen.insert(&leaf.signature_key) {
            return Err(MlsError::SignatureKeyTwice);
        }
    }
    Ok(())
}

/// The committer says what the commit leads to.
fn check_group_info(
    group_info: &GroupInfo,
    expected: &GroupContext,
    message: &CommitMessage<'_>,
    key: &PublicKey,
) -> Result<(), MlsError> {
    let context = &group_info.group_context;
    let differs = |what| Err(MlsError::GroupInfo(what));
    if context.group_id != expected.group_id {
        return differs("group id");
    }
    if context.epoch != expected.epoch {
        return differs("epoch");
    }
    if context.tree_hash != expected.tree_hash {
        return differs("tree hash");
    }
    if context.confirmed_transcript_hash != expected.confirmed_transcript_hash {
        return differs("confirmed transcript hash");
    }
    if context.extensions != expected.extensions {
        return differs("group context extensions");
    }
    if group_info.confirmation_tag != message.confirmation_tag {
        return differs("confirmation tag");
    }
    if group_info.signer != message.sender {
        return Err(MlsError::GroupInfoSigner(group_info.signer));
    }
    group_info.verify_with(key)
}
