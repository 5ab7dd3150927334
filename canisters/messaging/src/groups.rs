//! The ratchet tree of a conversation in stable memory, node by node: a commit reads and writes the paths that it touches.
//!
//! ```text
//! node   tree hash 32 │ 0x00: blank
//!        tree hash 32 │ 0x01 │ the node as RFC 9420 encodes it
//! ```
//!
//! Invariants:
//! - The nodes are those of the accepted commits; `node_keys` has the encryption key of each that is not blank, `members` each leaf
//!   that is not blank, `occupied` a bit for each of both.
//! - There is no node at or beyond the end of the tree.

use ic_stable_structures::Memory;
use indus_mls::{Hash, Key, Node, NodeChange, Nodes, Occupied};

use crate::state::State;

/// A conversation's tree.
pub(crate) struct Tree<'a, M: Memory> {
    state: &'a State<M>,
    conversation: u64,
    width: u32,
}

impl<'a, M: Memory> Tree<'a, M> {
    pub(crate) fn new(state: &'a State<M>, conversation: u64, width: u32) -> Self {
        Self {
            state,
            conversation,
            width,
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
        self.state
            .node_keys
            .contains_key(&(self.conversation, *key))
    }

    fn occupied(&self) -> Occupied {
        let stored = self.state.occupied.get(&self.conversation);
        // Without any, every commit is refused.
        stored
            .and_then(|bytes| Occupied::from_bytes(self.width, &bytes))
            .unwrap_or_default()
    }
}

/// Makes the changes of a commit, to a tree that was `width_before` wide and is `width` wide after it.
pub(crate) fn apply<M: Memory>(
    state: &mut State<M>,
    conversation: u64,
    width_before: u32,
    width: u32,
    changes: &[NodeChange],
    occupied: &Occupied,
) {
    let forget = |state: &mut State<M>, stored: Option<Vec<u8>>| {
        if let Some(key) = stored.as_deref().and_then(key_of) {
            state.node_keys.remove(&(conversation, key));
        }
    };
    for index in node_count(width)..node_count(width_before) {
        let gone = state.nodes.remove(&(conversation, index));
        forget(state, gone);
    }
    for change in changes {
        let mut bytes = change.hash.to_vec();
        match &change.node {
            None => bytes.push(0),
            Some(node) => {
                bytes.push(1);
                bytes.extend(node.to_bytes());
            }
        }
        let before = state.nodes.insert((conversation, change.index), bytes);
        forget(state, before);
    }
    for node in changes.iter().filter_map(|change| change.node.as_ref()) {
        let key = *node.encryption_key();
        state.node_keys.insert((conversation, key), ());
    }
    state.occupied.insert(conversation, occupied.to_bytes());
}

/// The encryption key of a node as it is stored: behind its hash, that it is not blank, its type, and the length of a key.
fn key_of(stored: &[u8]) -> Option<Key> {
    match stored.get(32..)? {
        [1, _, 32, rest @ ..] => rest.first_chunk().copied(),
        _ => None,
    }
}

/// Nodes of a tree with so many leaves.
fn node_count(width: u32) -> u32 {
    (2 * width).saturating_sub(1)
}
