//! A group as its delivery service follows it: one accepted commit per epoch.
//!
//! What only members can check, since it takes the epoch's secrets: the membership_tag of a commit; that its confirmation_tag is
//! the one of the key schedule (here it must be the one that the committer signed in the GroupInfo); that the path secrets in its
//! ciphertexts are what they should be (here: that each recipient has one, of the right size); external_pub and the Welcome. A member
//! who gets these wrong breaks the next epoch for others, by a message with its signature.
//!
//! What the caller checks of [`Accepted`]: that nobody who is added has the signature key of another member, who may commit what,
//! and whether a committer may change its signature key.
//!
//! Cost of a commit: one signature for itself, two for each added key package, one for the path's leaf, one for the GroupInfo;
//! beyond that see [`crate::tree`].

mod next;

use candid::CandidType;
use serde::{Deserialize, Serialize};

pub use next::commit;

use crate::{
    GroupInfo, Hash, Key, KeyPackage, LeafNode, LeafNodeSource, MemoryTree, MlsError, NodeChange,
    Nodes, crypto,
    extensions::Extensions,
    group_info::GroupContext,
    tree,
    wire::{Reader, Writer},
};

/// What is kept of a group beside its tree.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Serialize, Deserialize)]
pub struct GroupState {
    #[serde(with = "serde_bytes")]
    pub group_id: Vec<u8>,
    pub epoch: u64,
    #[serde(with = "serde_bytes")]
    pub tree_hash: Hash,
    /// Empty at epoch 0.
    #[serde(with = "serde_bytes")]
    pub confirmed_transcript_hash: Vec<u8>,
    #[serde(with = "serde_bytes")]
    pub interim_transcript_hash: Hash,
    /// The group's extensions, as they are encoded in the GroupContext.
    #[serde(with = "serde_bytes")]
    pub extensions: Vec<u8>,
    #[serde(with = "serde_bytes")]
    pub confirmation_tag: Hash,
}

/// A new group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    pub state: GroupState,
    pub tree: MemoryTree,
    /// The same tree as changes of an empty one.
    pub changes: Vec<NodeChange>,
    pub width: u32,
    /// Of leaf 0.
    pub creator: LeafNode,
}

/// The next epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    pub state: GroupState,
    /// Nodes at or beyond the end of a tree of the new width are gone, and in no change.
    pub changes: Vec<NodeChange>,
    pub width: u32,
    pub sender: u32,
    /// The sender's leaf before the commit; its signature key signed it.
    pub sender_before: LeafNode,
    /// And after it; another one where the commit has a path.
    pub sender_after: LeafNode,
    pub added: Vec<Added>,
    pub removed: Vec<Removed>,
    /// Of the commit.
    pub authenticated_data: Vec<u8>,
}

/// A member that is added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Added {
    /// Leaf index.
    pub index: u32,
    pub reference: Hash,
    pub last_resort: bool,
    pub leaf_node: LeafNode,
}

impl Added {
    #[must_use]
    pub fn identity(&self) -> &[u8] {
        &self.leaf_node.identity
    }

    #[must_use]
    pub fn signature_key(&self) -> &Key {
        &self.leaf_node.signature_key
    }

    fn new(index: u32, key_package: KeyPackage) -> Self {
        Self {
            index,
            reference: key_package.reference(),
            last_resort: key_package.last_resort(),
            leaf_node: key_package.leaf_node,
        }
    }
}

/// A member that is removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// Leaf index.
    pub index: u32,
    pub leaf_node: LeafNode,
}

/// Begins to follow a group that has just been created (RFC 9420, section 11): epoch 0, its creator alone at leaf 0. The
/// GroupInfo contains the ratchet_tree extension.
///
/// # Errors
/// Says what isn't so, or isn't signed.
pub fn create(group_info: &[u8], now_s: u64) -> Result<Created, MlsError> {
    let group_info = GroupInfo::from_message(group_info)?;
    let context = &group_info.group_context;
    if context.epoch != 0 || context.confirmed_transcript_hash.is_some() || group_info.signer != 0 {
        return Err(MlsError::NotNew);
    }
    let content = group_info.ratchet_tree().ok_or(MlsError::NoRatchetTree)?;
    let tree = MemoryTree::read(content, 1).map_err(|error| match error {
        MlsError::TreeFull => MlsError::NotNew,
        error => error,
    })?;
    tree::check(&tree, &context.group_id)?;
    if tree.root_hash() != context.tree_hash {
        return Err(MlsError::GroupInfo("tree hash"));
    }
    let creator = match tree.get(0).and_then(|node| node.leaf()) {
        Some(leaf) => leaf.clone(),
        None => return Err(MlsError::TreeShape),
    };
    match creator.source {
        LeafNodeSource::KeyPackage(lifetime) => lifetime.validate(now_s)?,
        // Some make the group's first leaf anew, with a path that has no nodes.
        LeafNodeSource::Update | LeafNodeSource::Commit(None) => {}
        LeafNodeSource::Commit(Some(_)) => return Err(MlsError::PathParentHash),
    }
    creator.supports(&context.extensions)?;
    group_info.verify(&creator.signature_key)?;
    Ok(Created {
        state: GroupState::new(context, group_info.confirmation_tag),
        changes: vec![NodeChange {
            index: 0,
            node: tree.node(0),
            hash: tree.root_hash(),
        }],
        width: tree.width(),
        tree,
        creator,
    })
}

impl GroupState {
    /// Of a context and the confirmation tag of its epoch (section 8.2; at epoch 0 section 11).
    fn new(context: &GroupContext, confirmation_tag: Hash) -> Self {
        let confirmed = context.confirmed_transcript_hash;
        let confirmed = confirmed.as_ref().map_or(&[][..], |hash| hash);
        let mut input = Writer::new();
        input.raw(confirmed).vector(&confirmation_tag);
        let mut extensions = Writer::new();
        context.extensions.write(&mut extensions);
        Self {
            group_id: context.group_id.clone(),
            epoch: context.epoch,
            tree_hash: context.tree_hash,
            confirmed_transcript_hash: confirmed.to_vec(),
            interim_transcript_hash: crypto::hash(&input.finish()),
            extensions: extensions.finish(),
            confirmation_tag,
        }
    }

    /// The GroupContext of the epoch (section 8.1).
    ///
    /// # Errors
    /// If the state isn't one that came from here.
    pub fn group_context(&self) -> Result<GroupContext, MlsError> {
        let mut reader = Reader::new(&self.extensions);
        let extensions = Extensions::read(&mut reader)?;
        reader.end("the state's extensions")?;
        let confirmed = &*self.confirmed_transcript_hash;
        Ok(GroupContext {
            group_id: self.group_id.clone(),
            epoch: self.epoch,
            tree_hash: self.tree_hash,
            confirmed_transcript_hash: if confirmed.is_empty() {
                None
            } else {
                Some(
                    confirmed
                        .try_into()
                        .map_err(|_| MlsError::WrongLength("the state's transcript hash"))?,
                )
            },
            extensions,
        })
    }
}
