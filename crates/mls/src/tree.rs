//! The public ratchet tree (RFC 9420, sections 4 and 7).
//!
//! [`Nodes`] is a tree as its keeper keeps it. A commit is tried on an overlay of it, and comes out as [`NodeChange`]s. Nodes are
//! numbered as in the RFC's array: leaf i is node 2i, parents stand between.
//!
//! Cost: a commit reads and hashes the direct paths of the leaves that it touches; each in the order of log n, when the tree is
//! warm. Where it is blank, members are counted by bits; only parents that aren't blank are read for the resolutions on the
//! committer's copath. Doubling the tree gives each new node its hash, once.

mod check;
mod math;
mod memory;
mod node;
mod occupied;
mod overlay;

pub(crate) use check::check;
pub use memory::MemoryTree;
pub use node::{Node, ParentNode};
pub use occupied::Occupied;
pub(crate) use overlay::Overlay;

use crate::{Hash, Key, wire::Writer};

/// A tree as it is kept between commits.
pub trait Nodes {
    /// The number of leaves, blank ones too: a power of two, or 0 where there is no tree.
    fn width(&self) -> u32;

    /// A node; `None` is a blank one.
    fn node(&self, index: u32) -> Option<Node>;

    /// The tree hash of the subtree at a node.
    fn hash(&self, index: u32) -> Hash;

    /// Whether any node has this encryption key.
    fn has_key(&self, key: &Key) -> bool;

    /// Which nodes aren't blank. Keepers of large trees know it without a look at each.
    fn occupied(&self) -> Occupied {
        let nodes = 0..math::nodes(self.width());
        Occupied::of(
            self.width(),
            nodes.filter(|index| self.node(*index).is_some()),
        )
    }
}

/// A node that is another, or has another hash, after a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeChange {
    pub index: u32,
    /// `None` is a blank node.
    pub node: Option<Node>,
    /// The tree hash of the subtree at the node.
    pub hash: Hash,
}

/// The content of the ratchet_tree extension (section 12.4.3.3), for those who join.
#[must_use]
pub fn ratchet_tree(nodes: &dyn Nodes) -> Vec<u8> {
    let mut list = Writer::new();
    // The list ends with the last node that isn't blank.
    let mut blanks = 0;
    for index in 0..math::nodes(nodes.width()) {
        let Some(node) = nodes.node(index) else {
            blanks += 1;
            continue;
        };
        for _ in 0..blanks {
            list.u8(0);
        }
        blanks = 0;
        list.u8(1);
        node.write(&mut list);
    }
    let mut writer = Writer::new();
    writer.vector(&list.finish());
    writer.finish()
}

/// The tree hash of a leaf (section 7.8).
fn leaf_hash(index: u32, node: Option<&Node>) -> Hash {
    let mut input = Writer::new();
    input.u8(1).u32(index / 2);
    write_content(&mut input, node);
    crate::crypto::hash(&input.finish())
}

/// The tree hash of a parent.
fn parent_tree_hash(node: Option<&Node>, left: &Hash, right: &Hash) -> Hash {
    let mut input = Writer::new();
    input.u8(2);
    write_content(&mut input, node);
    input.vector(left).vector(right);
    crate::crypto::hash(&input.finish())
}

/// `optional<LeafNode>` or `optional<ParentNode>`.
fn write_content(input: &mut Writer, node: Option<&Node>) {
    match node {
        None => input.u8(0),
        Some(node) => {
            input.u8(1);
            node.write_content(input);
            input
        }
    };
}

/// The parent hash of a node with respect to its copath child (section 7.9).
fn parent_hash(key: &Key, parent_hash: Option<&Hash>, original_sibling_tree_hash: &Hash) -> Hash {
    let mut input = Writer::new();
    input
        .vector(key)
        .vector(parent_hash.map_or(&[], |hash| hash))
        .vector(original_sibling_tree_hash);
    crate::crypto::hash(&input.finish())
}
