//! A tree with the changes of a commit on top, while it is tried (RFC 9420, sections 7.5 to 7.9).
//!
//! Invariants: `dirty` contains each changed node and all its ancestors; a hash is in `hashes` only if nothing below it has
//! changed since. Nodes beyond those of the tree below have no hash there, so each of them is hashed here.
//!
//! The tree is cut down once, when all proposals are applied, and not after each removal: the right half that goes is empty, so
//! its nodes are blank, and an Add takes the same leaf whether the blank ones are there or come back.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Node, NodeChange, Nodes, Occupied, ParentNode, leaf_hash, math, parent_hash, parent_tree_hash,
};
use crate::{Hash, LeafNode, MlsError, commit::UpdatePath, limits};

pub(crate) struct Overlay<'a> {
    below: &'a dyn Nodes,
    width: u32,
    changed: BTreeMap<u32, Option<Node>>,
    dirty: BTreeSet<u32>,
    hashes: BTreeMap<u32, Hash>,
    occupied: Occupied,
}

impl<'a> Overlay<'a> {
    pub(crate) fn new(below: &'a dyn Nodes) -> Self {
        Self {
            below,
            width: below.width(),
            changed: BTreeMap::new(),
            dirty: BTreeSet::new(),
            hashes: BTreeMap::new(),
            occupied: below.occupied(),
        }
    }

    /// The member at a leaf.
    pub(crate) fn member(&self, leaf: u32) -> Result<LeafNode, MlsError> {
        if leaf >= self.width {
            return Err(MlsError::NoMember(leaf));
        }
        match self.node(math::leaf(leaf)) {
            Some(Node::Leaf(leaf)) => Ok(*leaf),
            Some(Node::Parent(_)) => Err(MlsError::NodeType(math::leaf(leaf))),
            None => Err(MlsError::NoMember(leaf)),
        }
    }

    /// Blanks a member's leaf and direct path, and returns it (section 7.8 cuts the tree down, which [`Self::truncate`] does).
    pub(crate) fn remove(&mut self, leaf: u32) -> Result<LeafNode, MlsError> {
        let member = self.member(leaf)?;
        self.set(math::leaf(leaf), None);
        for step in math::direct_path(math::leaf(leaf), self.width) {
            self.set(step.node, None);
        }
        Ok(member)
    }

    /// Puts a new member at the first blank leaf, and returns its index (section 7.7).
    pub(crate) fn add(&mut self, member: LeafNode) -> Result<u32, MlsError> {
        let leaf = match self.occupied.first_blank(self.width) {
            Some(leaf) => leaf,
            None => {
                let leaf = self.width;
                self.width = match self.width {
                    0 => 1,
                    width if width < limits::LEAVES => 2 * width,
                    _ => return Err(MlsError::TreeFull),
                };
                self.occupied.resize(self.width);
                leaf
            }
        };
        self.set(math::leaf(leaf), Some(Node::Leaf(Box::new(member))));
        for step in math::direct_path(math::leaf(leaf), self.width) {
            if let Some(Node::Parent(mut parent)) = self.node(step.node)
                && let Err(at) = parent.unmerged_leaves.binary_search(&leaf)
            {
                parent.unmerged_leaves.insert(at, leaf);
                self.set(step.node, Some(Node::Parent(parent)));
            }
        }
        Ok(leaf)
    }

    /// Halves the tree while its right half is empty.
    pub(crate) fn truncate(&mut self) -> Result<(), MlsError> {
        let last = self.occupied.last_member().ok_or(MlsError::TreeShape)?;
        while self.width > 1 && last < self.width / 2 {
            self.width /= 2;
        }
        self.occupied.resize(self.width);
        Ok(())
    }

    /// Applies an UpdatePath of `sender`, after all proposals (sections 7.5, 7.6 and 7.9). `added` are the leaves of this commit,
    /// which get the path secrets by their Welcome.
    pub(crate) fn update(
        &mut self,
        sender: u32,
        path: UpdatePath,
        added: &BTreeSet<u32>,
    ) -> Result<(), MlsError> {
        let steps: Vec<_> = math::direct_path(math::leaf(sender), self.width).collect();
        let filtered: Vec<_> = steps
            .iter()
            // Its resolution isn't empty: no parent is left without a member, since the last one that goes blanks it.
            .filter(|step| self.occupied.members(step.copath) > 0)
            .collect();
        if filtered.len() != path.nodes.len() {
            return Err(MlsError::PathLength {
                expected: count(filtered.len()),
                given: count(path.nodes.len()),
            });
        }
        for (step, node) in filtered.iter().zip(&path.nodes) {
            let mut left = Some(node.ciphertexts);
            self.count_resolution(step.copath, added, &mut left);
            if left != Some(0) {
                return Err(MlsError::PathCiphertexts {
                    node: step.node,
                    given: node.ciphertexts,
                });
            }
        }
        // From the top down, since each parent hash contains the one above.
        let mut above = None;
        let mut parents = Vec::new();
        for (step, node) in filtered.iter().zip(&path.nodes).rev() {
            let sibling = self.hash(step.copath);
            parents.push((
                step.node,
                ParentNode {
                    encryption_key: node.encryption_key,
                    parent_hash: above,
                    unmerged_leaves: Vec::new(),
                },
            ));
            above = Some(parent_hash(&node.encryption_key, above.as_ref(), &sibling));
        }
        if path.leaf_node.parent_hash() != above.as_ref() {
            return Err(MlsError::PathParentHash);
        }
        for step in &steps {
            self.set(step.node, None);
        }
        for (node, parent) in parents {
            self.set(node, Some(Node::Parent(parent)));
        }
        self.set(
            math::leaf(sender),
            Some(Node::Leaf(Box::new(path.leaf_node))),
        );
        Ok(())
    }

    pub(crate) fn root_hash(&mut self) -> Hash {
        self.hash(math::root(self.width))
    }

    /// The new width, and all that has changed in a tree of it.
    pub(crate) fn finish(mut self) -> (u32, Vec<NodeChange>) {
        self.root_hash();
        let end = math::nodes(self.width);
        let new = math::nodes(self.below.width())..end;
        let indices: BTreeSet<u32> = self.dirty.range(..end).copied().chain(new).collect();
        let changes = indices
            .into_iter()
            .map(|index| NodeChange {
                index,
                node: self.node(index),
                hash: self.hash(index),
            })
            .collect();
        (self.width, changes)
    }

    fn node(&self, index: u32) -> Option<Node> {
        match self.changed.get(&index) {
            Some(node) => node.clone(),
            None if self.is_new(index) => None,
            None => self.below.node(index),
        }
    }

    fn is_new(&self, index: u32) -> bool {
        index >= math::nodes(self.below.width())
    }

    fn set(&mut self, index: u32, node: Option<Node>) {
        self.occupied.set(index, node.is_some());
        self.changed.insert(index, node);
        let path = math::direct_path(index, self.width).map(|step| step.node);
        for node in std::iter::once(index).chain(path) {
            let is_new = self.dirty.insert(node);
            let had_hash = self.hashes.remove(&node).is_some();
            if !is_new && !had_hash {
                // Nor has anything above it one.
                break;
            }
        }
    }

    /// The tree hash at a node. As deep as the tree is high.
    fn hash(&mut self, index: u32) -> Hash {
        if let Some(hash) = self.hashes.get(&index) {
            return *hash;
        }
        if !self.dirty.contains(&index) && !self.is_new(index) {
            return self.below.hash(index);
        }
        let hash = match math::children(index) {
            None => leaf_hash(index, self.node(index).as_ref()),
            Some([left, right]) => {
                let (left, right) = (self.hash(left), self.hash(right));
                parent_tree_hash(self.node(index).as_ref(), &left, &right)
            }
        };
        self.hashes.insert(index, hash);
        hash
    }

    /// Takes the length of a node's resolution, without the leaves in `added`, from what is `left`, until none is (section 4.1.1).
    /// As deep as the tree is high.
    fn count_resolution(&self, index: u32, added: &BTreeSet<u32>, left: &mut Option<u32>) {
        if left.is_none() {
            return;
        }
        let length = if self.occupied.parents(index) == 0 {
            let added = added.range(math::leaves(index)).count();
            self.occupied.members(index).saturating_sub(count(added))
        } else if let Some(Node::Parent(parent)) = self.node(index) {
            let unmerged = parent.unmerged_leaves.iter();
            1 + count(unmerged.filter(|leaf| !added.contains(leaf)).count())
        } else {
            for child in math::children(index).into_iter().flatten() {
                self.count_resolution(child, added, left);
            }
            0
        };
        *left = left.and_then(|left| left.checked_sub(length));
    }
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
