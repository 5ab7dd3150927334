//! The ratchet tree of a conversation in stable memory, node by node: a commit reads and writes the paths that it touches.
//!
//! ```text
//! node   tree hash 32 │ 0x00: blank
//!        tree hash 32 │ 0x01 │ the node as RFC 9420 encodes it
//! tags   of each node, from node 0 on: 0 if it is blank, else the first bytes of its encryption key ([`tag`]), u32 little-endian
//! ```
//!
//! Tags say which nodes are blank, and which few may have a key, without a look at any node.
//!
//! Invariant: nodes and tags are those of the accepted commits; there is none beyond the end of the tree.

use ic_stable_structures::Memory;
use indus_mls::{Hash, Key, Node, NodeChange, Nodes, Occupied};

use crate::state::State;

/// A conversation's tree.
pub(crate) struct Tree<'a, M: Memory> {
    state: &'a State<M>,
    conversation: u64,
    width: u32,
    tags: Vec<u32>,
}

impl<'a, M: Memory> Tree<'a, M> {
    pub(crate) fn new(state: &'a State<M>, conversation: u64, width: u32) -> Self {
        Self {
            state,
            conversation,
            width,
            tags: tags(state, conversation),
        }
    }

    fn stored(&self, index: u32) -> Vec<u8> {
        let stored = self.state.nodes.get(&(self.conversation, index));
        stored.unwrap_or_default()
    }
}

impl<M: Memory> Nodes for Tree<'_, M> {
    fn width(&self) -> u32 {
        self.width
    }

    fn node(&self, index: u32) -> Option<Node> {
        if self.tags.get(index as usize) == Some(&0) {
            return None;
        }
        match self.stored(index).get(32..) {
            Some([1, node @ ..]) => Node::from_bytes(node).ok(),
            _ => None,
        }
    }

    fn hash(&self, index: u32) -> Hash {
        let stored = self.stored(index);
        stored.first_chunk().copied().unwrap_or_default()
    }

    fn has_key(&self, key: &Key) -> bool {
        let wanted = tag(key);
        let mut same = (0..).zip(&self.tags).filter(|(_, tag)| **tag == wanted);
        same.any(|(index, _)| {
            let node = self.node(index);
            node.is_some_and(|node| node.encryption_key() == key)
        })
    }

    fn occupied(&self) -> Occupied {
        let nodes = (0..).zip(&self.tags);
        let occupied = nodes.filter(|(_, tag)| **tag != 0);
        Occupied::of(self.width, occupied.map(|(index, _)| index))
    }
}

/// Makes the changes of a commit, to a tree that was `width_before` wide and is `width` wide after it.
pub(crate) fn apply<M: Memory>(
    state: &mut State<M>,
    conversation: u64,
    width_before: u32,
    width: u32,
    changes: &[NodeChange],
) {
    for index in node_count(width)..node_count(width_before) {
        state.nodes.remove(&(conversation, index));
    }
    let mut tags = tags(state, conversation);
    tags.resize(node_count(width) as usize, 0);
    for change in changes {
        let mut bytes = change.hash.to_vec();
        match &change.node {
            None => bytes.push(0),
            Some(node) => {
                bytes.push(1);
                bytes.extend(node.to_bytes());
            }
        }
        state.nodes.insert((conversation, change.index), bytes);
        if let Some(of) = tags.get_mut(change.index as usize) {
            let node = change.node.as_ref();
            *of = node.map_or(0, |node| tag(node.encryption_key()));
        }
    }
    let bytes = tags.into_iter().flat_map(u32::to_le_bytes);
    state.tags.insert(conversation, bytes.collect());
}

fn tags<M: Memory>(state: &State<M>, conversation: u64) -> Vec<u32> {
    let bytes = state.tags.get(&conversation).unwrap_or_default();
    let (tags, _) = bytes.as_chunks::<4>();
    tags.iter().map(|tag| u32::from_le_bytes(*tag)).collect()
}

/// Never 0.
fn tag([a, b, c, d, ..]: &Key) -> u32 {
    u32::from_le_bytes([*a, *b, *c, *d]).max(1)
}

/// Nodes of a tree with so many leaves.
fn node_count(width: u32) -> u32 {
    (2 * width).saturating_sub(1)
}
