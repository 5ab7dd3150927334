//! A collection as a canister certifies it, in memory: a leaf-oriented Merkle Patricia (crit-bit) trie.
//!
//! ```text
//! no entry         empty
//! one entry        labeled(key, leaf)
//! more             fork(left, right): the first bit in which the keys below differ is 0 on the left, 1 on the right
//! ```
//!
//! So the root is a function of the contents alone. Keys have one length; of leaves only the hashes are known.
//!
//! Cost: a change walks from the root to a leaf; the root hash then takes one SHA-256 for each fork above a change, once,
//! however many changes there were. Keys of n bytes make a trie at most 8n deep.

use crate::node;
use crate::tree::Hash;

#[derive(Clone, Debug)]
enum Node {
    Leaf {
        key: Box<[u8]>,
        /// Of the labeled node.
        hash: Hash,
    },
    Fork {
        /// The first bit in which keys below differ, counted from the highest bit of the first byte.
        bit: usize,
        children: [usize; 2],
        /// None after a change below.
        hash: Option<Hash>,
    },
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Trie {
    nodes: Vec<Node>,
    /// Nodes that are in no use.
    free: Vec<usize>,
    root: Option<usize>,
}

impl Trie {
    pub(crate) fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        self.nearest(key).is_some_and(|nearest| nearest == key)
    }

    /// Adds an entry, or changes the one with this key.
    pub(crate) fn insert(&mut self, key: &[u8], leaf: &Hash) {
        let entry = Node::Leaf {
            key: key.into(),
            hash: node::labeled(key, leaf),
        };
        let (Some(nearest), Some(root)) = (self.nearest(key), self.root) else {
            self.root = Some(self.add(entry));
            return;
        };
        let bit = first_difference(key, nearest);
        // Down to the entry itself, or to what a new fork shall stand above: the first that differs later.
        let (mut at, mut above) = (root, None);
        while let Node::Fork {
            bit: other,
            children,
            hash,
        } = &mut self.nodes[at]
            && bit.is_none_or(|bit| *other < bit)
        {
            *hash = None;
            let side = side(key, *other);
            above = Some((at, side));
            at = children[side];
        }
        let Some(bit) = bit else {
            self.nodes[at] = entry;
            return;
        };
        let mut children = [at; 2];
        children[side(key, bit)] = self.add(entry);
        let fork = self.add(Node::Fork {
            bit,
            children,
            hash: None,
        });
        self.link(above, fork);
    }

    /// Removes the entry with this key, if there is one.
    pub(crate) fn remove(&mut self, key: &[u8]) {
        let Some(root) = self.root.filter(|_| self.contains(key)) else {
            return;
        };
        // The forks above the entry, and which side was taken.
        let (mut at, mut above, mut higher) = (root, None, None);
        while let Node::Fork {
            bit,
            children,
            hash,
        } = &mut self.nodes[at]
        {
            *hash = None;
            let side = side(key, *bit);
            higher = above;
            above = Some((at, side));
            at = children[side];
        }
        self.free.push(at);
        match above {
            None => self.root = None,
            Some((fork, side)) => {
                if let Node::Fork { children, .. } = &self.nodes[fork] {
                    let sibling = children[1 - side];
                    self.link(higher, sibling);
                }
                self.free.push(fork);
            }
        }
    }

    /// The hash of the hash tree that the collection is certified as.
    pub(crate) fn root_hash(&mut self) -> Hash {
        let Some(root) = self.root else {
            return node::empty();
        };
        let mut open = vec![root];
        while let Some(at) = open.pop() {
            if let Node::Fork {
                children: [left, right],
                hash: None,
                ..
            } = self.nodes[at]
            {
                match (self.hash(left), self.hash(right)) {
                    (Some(left), Some(right)) => {
                        let complete = node::fork(&left, &right);
                        if let Node::Fork { hash, .. } = &mut self.nodes[at] {
                            *hash = Some(complete);
                        }
                    }
                    (known, _) => {
                        open.push(at);
                        open.push(if known.is_none() { left } else { right });
                    }
                }
            }
        }
        self.hash(root).unwrap_or_else(node::empty)
    }

    fn hash(&self, at: usize) -> Option<Hash> {
        match self.nodes[at] {
            Node::Leaf { hash, .. } => Some(hash),
            Node::Fork { hash, .. } => hash,
        }
    }

    /// The key that shares the most bits with `key`, or one of them.
    fn nearest(&self, key: &[u8]) -> Option<&[u8]> {
        let mut at = self.root?;
        loop {
            match &self.nodes[at] {
                Node::Leaf { key, .. } => return Some(key),
                Node::Fork { bit, children, .. } => at = children[side(key, *bit)],
            }
        }
    }

    fn add(&mut self, node: Node) -> usize {
        match self.free.pop() {
            Some(at) => {
                self.nodes[at] = node;
                at
            }
            None => {
                self.nodes.push(node);
                self.nodes.len() - 1
            }
        }
    }

    /// Puts `at` on a side of a fork, or at the root.
    fn link(&mut self, above: Option<(usize, usize)>, at: usize) {
        match above {
            None => self.root = Some(at),
            Some((fork, side)) => {
                if let Node::Fork { children, .. } = &mut self.nodes[fork] {
                    children[side] = at;
                }
            }
        }
    }
}

/// The side of a fork on which `key` is: its bit `bit`.
fn side(key: &[u8], bit: usize) -> usize {
    match key.get(bit / 8) {
        Some(byte) => usize::from(byte >> (7 - bit % 8) & 1),
        None => 0,
    }
}

/// The first bit in which two keys of one length differ.
fn first_difference(one: &[u8], other: &[u8]) -> Option<usize> {
    one.iter()
        .zip(other)
        .position(|(one, other)| one != other)
        .map(|index| {
            let zeros = (one[index] ^ other[index]).leading_zeros();
            8 * index + usize::try_from(zeros).unwrap_or(0)
        })
}
