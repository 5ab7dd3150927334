//! Verifies a whole tree, as somebody who joins does (RFC 9420, sections 7.9.2 and 12.4.3.1).
//!
//! Cost: for each parent its resolution and its unmerged leaves, each of them log n hashes; n log n resolved nodes at most.

use std::collections::BTreeSet;

use super::{MemoryTree, Node, Nodes, ParentNode, leaf_hash, math, parent_hash, parent_tree_hash};
use crate::{Hash, MlsError};

pub(crate) fn check(tree: &MemoryTree, group_id: &[u8]) -> Result<(), MlsError> {
    let mut encryption_keys = BTreeSet::new();
    let mut signature_keys = BTreeSet::new();
    // Leaves first: each stands for itself.
    let nodes = math::nodes(tree.width());
    for index in (0..nodes).step_by(2).chain((1..nodes).step_by(2)) {
        let Some(node) = tree.get(index) else {
            continue;
        };
        if !encryption_keys.insert(*node.encryption_key()) {
            return Err(MlsError::EncryptionKey);
        }
        match (node, math::children(index)) {
            (Node::Leaf(leaf), None) => {
                leaf.validate(group_id, index / 2)?;
                if !signature_keys.insert(leaf.signature_key) {
                    return Err(MlsError::SignatureKeyTwice);
                }
            }
            (Node::Parent(parent), Some(children)) => {
                check_unmerged(tree, index, parent)?;
                if !linked(tree, parent, children) {
                    return Err(MlsError::ParentHash(index));
                }
            }
            _ => return Err(MlsError::NodeType(index)),
        }
    }
    Ok(())
}

/// Unmerged leaves are members below the parent, in order, and unmerged at each parent between that isn't blank.
fn check_unmerged(tree: &MemoryTree, index: u32, parent: &ParentNode) -> Result<(), MlsError> {
    let wrong = MlsError::UnmergedLeaves(index);
    let below = math::leaves(index);
    let in_order = parent
        .unmerged_leaves
        .windows(2)
        .all(|pair| pair[0] < pair[1]);
    if !in_order {
        return Err(wrong);
    }
    for leaf in &parent.unmerged_leaves {
        if !below.contains(leaf) || tree.get(math::leaf(*leaf)).is_none() {
            return Err(wrong);
        }
        let between = math::direct_path(math::leaf(*leaf), tree.width())
            .take_while(|step| step.node != index)
            .filter_map(|step| tree.get(step.node));
        for node in between {
            if node.unmerged_leaves().binary_search(leaf).is_err() {
                return Err(wrong);
            }
        }
    }
    Ok(())
}

/// Whether a parent is parent-hash valid: the node that its last path came through has its parent hash.
fn linked(tree: &MemoryTree, parent: &ParentNode, [left, right]: [u32; 2]) -> bool {
    [(left, right), (right, left)]
        .into_iter()
        .any(|(child, sibling)| {
            let original = original_hash(tree, sibling, &parent.unmerged_leaves);
            let expected = parent_hash(
                &parent.encryption_key,
                parent.parent_hash.as_ref(),
                &original,
            );
            let mut resolution = Vec::new();
            resolve(tree, child, &mut resolution);
            let below = math::leaves(child);
            let unmerged: BTreeSet<u32> = parent
                .unmerged_leaves
                .iter()
                .filter(|leaf| below.contains(*leaf))
                .map(|leaf| math::leaf(*leaf))
                .collect();
            // All of the resolution but that node is unmerged.
            let mut merged = resolution.iter().filter(|node| !unmerged.contains(node));
            let (Some(descendant), None) = (merged.next(), merged.next()) else {
                return false;
            };
            resolution.len() == unmerged.len() + 1
                && tree.get(*descendant).and_then(Node::parent_hash) == Some(&expected)
        })
}

/// The resolution of a node. As deep as the tree is high.
fn resolve(tree: &MemoryTree, index: u32, resolution: &mut Vec<u32>) {
    match tree.get(index) {
        Some(node) => {
            resolution.push(index);
            resolution.extend(node.unmerged_leaves().iter().map(|leaf| math::leaf(*leaf)));
        }
        None => {
            for child in math::children(index).into_iter().flatten() {
                resolve(tree, child, resolution);
            }
        }
    }
}

/// The tree hash at a node, as if the leaves in `without` (in order) had never been added. As deep as the tree is high.
fn original_hash(tree: &MemoryTree, index: u32, without: &[u32]) -> Hash {
    let below = math::leaves(index);
    let from = without.partition_point(|leaf| *leaf < below.start);
    let to = without.partition_point(|leaf| *leaf < below.end);
    let without = without.get(from..to).unwrap_or_default();
    if without.is_empty() {
        return tree.hash(index);
    }
    let Some([left, right]) = math::children(index) else {
        return leaf_hash(index, None);
    };
    let mut node = tree.node(index);
    if let Some(Node::Parent(parent)) = &mut node {
        parent
            .unmerged_leaves
            .retain(|leaf| without.binary_search(leaf).is_err());
    }
    parent_tree_hash(
        node.as_ref(),
        &original_hash(tree, left, without),
        &original_hash(tree, right, without),
    )
}
