//! The ratchet tree of a conversation in stable memory, node by node: a commit reads and writes the paths that it touches.
//!
//! ```text
//! node   tree hash 32 │ 0x00: blank
//!        tree hash 32 │ 0x01 │ the node as RFC 9420 encodes it
//! ```
//!
//! Invariants:
//! - The nodes are those of the accepted commits; `node_keys` has the encryption key of each that is not blank, `members` each leaf
//!   that is not blank.
//! - Nodes at or beyond the end of the tree are of a wider one that it was; nobody reads them, a wider one writes them anew.

use ic_stable_structures::Memory;
use indus_mls::{Hash, Key, Node, NodeChange, Nodes};

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

    /// Leaves that are not blank, from one on.
    fn leaves(&self, from: u32) -> impl DoubleEndedIterator<Item = u32> {
        let range = (self.conversation, from)..(self.conversation, self.width);
        self.state.members.keys_range(range).map(|(_, leaf)| leaf)
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

    fn next_blank(&self, from: u32) -> Option<u32> {
        // The first number that is missing.
        let gap = (from..)
            .zip(self.leaves(from))
            .find(|(at, leaf)| at != leaf);
        match gap {
            Some((blank, _)) => Some(blank),
            None => {
                let members = u32::try_from(self.leaves(from).count()).unwrap_or(u32::MAX);
                from.checked_add(members)
                    .filter(|blank| *blank < self.width)
            }
        }
    }

    fn last_member(&self, end: u32) -> Option<u32> {
        let range = (self.conversation, 0)..(self.conversation, end.min(self.width));
        self.state
            .members
            .keys_range(range)
            .next_back()
            .map(|(_, leaf)| leaf)
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
    let key_of = |node: &Node| *node.encryption_key();
    let old: Vec<Key> = {
        let tree = Tree::new(state, conversation, width_before);
        let changed = changes.iter().map(|change| change.index);
        // A tree is as wide as its leaves; it has twice as many nodes less one.
        let gone = node_count(width)..node_count(width_before);
        let changed: Vec<u32> = changed
            .filter(|index| *index < node_count(width_before))
            .chain(gone)
            .collect();
        let nodes = changed.into_iter().filter_map(|index| tree.node(index));
        nodes.map(|node| key_of(&node)).collect()
    };
    for key in old {
        state.node_keys.remove(&(conversation, key));
    }
    for index in node_count(width)..node_count(width_before) {
        state.nodes.remove(&(conversation, index));
    }
    for change in changes {
        let mut bytes = change.hash.to_vec();
        match &change.node {
            None => bytes.push(0),
            Some(node) => {
                bytes.push(1);
                bytes.extend(node.to_bytes());
                state.node_keys.insert((conversation, key_of(node)), ());
            }
        }
        state.nodes.insert((conversation, change.index), bytes);
    }
}

/// Nodes of a tree with so many leaves.
fn node_count(width: u32) -> u32 {
    (2 * width).saturating_sub(1)
}
