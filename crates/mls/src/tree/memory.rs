//! A tree in memory: all nodes with their hashes, and which keys are in use.

use std::collections::BTreeMap;

use super::{Node, NodeChange, Nodes, Occupied, check, leaf_hash, math, parent_tree_hash};
use crate::{Hash, Key, MlsError, limits, wire::Reader};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryTree {
    width: u32,
    nodes: Vec<Option<Node>>,
    hashes: Vec<Hash>,
    keys: BTreeMap<Key, u32>,
    occupied: Occupied,
}

impl MemoryTree {
    /// Of the content of a ratchet_tree extension (RFC 9420, section 12.4.3.3). All that a joiner verifies of a tree is verified
    /// but its hash, which is [`Self::root_hash`]: leaves with their signatures, unmerged leaves, parent hashes, keys.
    ///
    /// # Errors
    /// Says which of these is wrong.
    pub fn from_ratchet_tree(content: &[u8], group_id: &[u8]) -> Result<Self, MlsError> {
        let tree = Self::read(content, limits::LEAVES)?;
        check(&tree, group_id)?;
        Ok(tree)
    }

    /// Reads a tree of at most `most` leaves, and verifies nothing of it.
    pub(crate) fn read(content: &[u8], most: u32) -> Result<Self, MlsError> {
        let mut reader = Reader::new(content);
        let mut list = Reader::new(reader.vector()?);
        reader.end("the ratchet_tree extension")?;
        let mut nodes = Vec::new();
        while !list.is_empty() {
            if nodes.len() >= math::nodes(most) as usize {
                return Err(MlsError::TreeFull);
            }
            nodes.push(if list.optional()? {
                Some(Node::read(&mut list)?)
            } else {
                None
            });
        }
        if !matches!(nodes.last(), Some(Some(_))) {
            return Err(MlsError::TreeShape);
        }
        // The vector ends with its last node; the tree is the smallest that has room for it.
        let leaves = u32::try_from(nodes.len() / 2 + 1).map_err(|_| MlsError::TreeFull)?;
        let width = leaves.next_power_of_two();
        nodes.resize(math::nodes(width) as usize, None);
        Ok(Self::of(width, nodes))
    }

    /// The tree hash.
    #[must_use]
    pub fn root_hash(&self) -> Hash {
        self.hash(math::root(self.width))
    }

    /// Takes over what a commit has changed: the tree's new width, and its nodes.
    pub fn apply(&mut self, width: u32, changes: &[NodeChange]) {
        // Nodes that are cut off are in no change.
        for index in math::nodes(width)..math::nodes(self.width) {
            self.set(index, None);
        }
        self.width = width;
        self.nodes.resize(math::nodes(width) as usize, None);
        self.hashes.resize(math::nodes(width) as usize, [0; 32]);
        self.occupied.resize(width);
        // Keys that move to another node are forgotten first.
        for change in changes {
            self.set(change.index, None);
        }
        for change in changes {
            self.set(change.index, change.node.clone());
            if let Some(hash) = self.hashes.get_mut(change.index as usize) {
                *hash = change.hash;
            }
        }
    }

    fn of(width: u32, nodes: Vec<Option<Node>>) -> Self {
        let mut tree = Self {
            width,
            nodes: vec![None; nodes.len()],
            hashes: vec![[0; 32]; nodes.len()],
            occupied: Occupied::none(width),
            ..Self::default()
        };
        for (index, node) in (0..).zip(nodes) {
            tree.set(index, node);
        }
        // Children before parents: by height.
        for level in 0..=width.max(1).ilog2() {
            let first = (1_u32 << level) - 1;
            for index in (first..math::nodes(width)).step_by(2 << level) {
                let node = tree.get(index);
                let hash = match math::children(index) {
                    None => leaf_hash(index, node),
                    Some([left, right]) => {
                        parent_tree_hash(node, &tree.hash(left), &tree.hash(right))
                    }
                };
                tree.hashes[index as usize] = hash;
            }
        }
        tree
    }

    pub(crate) fn get(&self, index: u32) -> Option<&Node> {
        self.nodes.get(index as usize)?.as_ref()
    }

    fn set(&mut self, index: u32, node: Option<Node>) {
        self.occupied.set(index, node.is_some());
        if let Some(before) = self.get(index).map(|node| *node.encryption_key())
            && self.keys.get(&before) == Some(&index)
        {
            self.keys.remove(&before);
        }
        if let Some(node) = &node {
            self.keys.insert(*node.encryption_key(), index);
        }
        if let Some(place) = self.nodes.get_mut(index as usize) {
            *place = node;
        }
    }
}

impl Nodes for MemoryTree {
    fn width(&self) -> u32 {
        self.width
    }

    fn node(&self, index: u32) -> Option<Node> {
        self.get(index).cloned()
    }

    fn hash(&self, index: u32) -> Hash {
        self.hashes.get(index as usize).copied().unwrap_or_default()
    }

    fn has_key(&self, key: &Key) -> bool {
        self.keys.contains_key(key)
    }

    fn occupied(&self) -> Occupied {
        self.occupied.clone()
    }
}
