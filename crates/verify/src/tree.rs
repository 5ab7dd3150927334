//! Hash trees: labelled Merkle trees of which parts may be pruned to their hashes.
//!
//! Encoding (interface specification, "Certification encoding"), each node a CBOR array:
//!
//! ```text
//! empty [0]   fork [1, left, right]   labeled [2, label, subtree]   leaf [3, contents]   pruned [4, hash]
//! ```
//!
//! In memory a tree is the list of its nodes in the order of the encoding. The subtree of a labeled node is
//! the nodes from the next one up to `end`; forks need no links, because what is below a label is read as
//! one row of labeled and pruned nodes, whatever forks hold it together:
//!
//! ```text
//! 0 fork   1 labeled "a" (end 3)   2 leaf   3 fork   4 labeled "b" (end 6)   5 pruned   6 pruned
//! ```
//!
//! Invariants
//! - Labels in one row strictly increase and a leaf stands alone, so a lookup has one answer.
//! - The root hash is computed while reading; a tree can't be changed afterwards.
//! - Reading and looking up use loops, not recursion.
//!
//! Cost: reading takes time in proportion to the bytes, with one SHA-256 a node (0.2 s for the worst tree of
//! 2 MiB); a node takes 16 bytes of memory and at least 2 of the encoding, of which a copy is kept. A lookup
//! passes over the row at each label of the path. Hashes of subtrees are not kept: they are computed when asked for.

use std::cmp::Ordering;
use std::ops::Range;

use crate::cbor::Reader;
use crate::error::{Fault, Malformed};
use crate::node;

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// Most nodes above one another, the root and the last one included. Decoders of other clients stop at
/// 128 nested arrays too; trees of Indus canisters stay below 100.
pub const MAX_DEPTH: usize = 128;

/// Largest encoded tree, in bytes: above the largest answer of a canister.
pub const MAX_TREE_BYTES: usize = 4 * 1024 * 1024;

// Kinds of nodes.
const EMPTY: u64 = 0;
const FORK: u64 = 1;
const LABELED: u64 = 2;
const LEAF: u64 = 3;
const PRUNED: u64 = 4;

/// A part of the encoded tree.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: u32,
    length: u32,
}

#[derive(Clone, Copy, Debug)]
enum Node {
    Empty,
    Fork,
    Labeled {
        label: Span,
        end: u32,
    },
    Leaf(Span),
    /// Where its hash is.
    Pruned(u32),
}

const _: () = assert!(size_of::<Node>() <= 16);

/// A hash tree that was read from its one accepted encoding.
#[derive(Clone, Debug)]
pub struct HashTree {
    encoded: Box<[u8]>,
    nodes: Vec<Node>,
    root_hash: Hash,
}

/// What a hash tree proves about a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup<'a> {
    /// There is a leaf with this content.
    Found(&'a [u8]),
    /// There is nothing.
    Absent,
    /// Nothing: the part that would show it is pruned.
    Unknown,
    /// The path ends above a leaf, or goes on below one.
    NotALeaf,
}

/// What stands in a row, as far as it matters: forks and empty nodes hold nothing.
pub(crate) enum Item<'a> {
    /// A label, and the nodes below it.
    Labeled {
        label: &'a [u8],
        below: Range<usize>,
    },
    /// Any number of labels, or a leaf.
    Pruned,
    /// A leaf alone.
    Leaf,
}

/// A node whose subtree is being read.
enum Open<'a> {
    /// A fork whose left side is being read.
    Left,
    /// A fork whose right side is being read, and the hash of the left one.
    Right(Hash),
    /// A labeled node, by its index.
    Labeled {
        index: usize,
        label: &'a [u8],
        span: Span,
    },
}

impl HashTree {
    /// Reads a tree from self-described CBOR, as canisters give witnesses.
    ///
    /// Errors: the first byte that is not as it must be.
    pub fn from_cbor(bytes: &[u8]) -> Result<Self, Malformed> {
        if bytes.len() > MAX_TREE_BYTES {
            return Err(Malformed {
                at: MAX_TREE_BYTES,
                fault: Fault::TooLarge,
            });
        }
        let mut reader = Reader::new(bytes);
        reader.self_described()?;
        let tree = Self::read(&mut reader)?;
        reader.end()?;
        Ok(tree)
    }

    /// Reads a tree that is an item of something larger, without a tag.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let start = reader.position();
        let mut nodes = Vec::new();
        let mut open = Vec::new();
        // The last label of each row from the root to where we are.
        let mut rows: Vec<Option<&[u8]>> = vec![None];
        loop {
            let at = reader.position();
            if open.len() >= MAX_DEPTH {
                return Err(reader.fault_at(at, Fault::TooDeep));
            }
            let mut complete = match (reader.array()?, reader.unsigned()?) {
                (1, EMPTY) => {
                    nodes.push(Node::Empty);
                    node::empty()
                }
                (3, FORK) => {
                    nodes.push(Node::Fork);
                    open.push(Open::Left);
                    continue;
                }
                (3, LABELED) => {
                    let label = reader.bytes()?;
                    if let Some(last) = rows.last_mut() {
                        if last.is_some_and(|last| last >= label) {
                            return Err(reader.fault_at(at, Fault::UnorderedLabels));
                        }
                        *last = Some(label);
                    }
                    rows.push(None);
                    let span = span(reader, start, label)?;
                    open.push(Open::Labeled {
                        index: nodes.len(),
                        label,
                        span,
                    });
                    nodes.push(Node::Labeled {
                        label: span,
                        end: 0,
                    });
                    continue;
                }
                (2, LEAF) => {
                    if matches!(open.last(), Some(Open::Left | Open::Right(_))) {
                        return Err(reader.fault_at(at, Fault::LeafInFork));
                    }
                    let contents = reader.bytes()?;
                    nodes.push(Node::Leaf(span(reader, start, contents)?));
                    node::leaf_hash(contents)
                }
                (2, PRUNED) => {
                    let hidden = reader.bytes_of::<32>()?;
                    nodes.push(Node::Pruned(span(reader, start, hidden)?.start));
                    *hidden
                }
                _ => return Err(reader.fault_at(at, Fault::Unexpected)),
            };
            // A subtree is complete. Close what it completes, up to a fork that lacks its right side.
            loop {
                match open.pop() {
                    None => {
                        return Ok(Self {
                            encoded: reader.since(start).into(),
                            nodes,
                            root_hash: complete,
                        });
                    }
                    Some(Open::Left) => {
                        open.push(Open::Right(complete));
                        break;
                    }
                    Some(Open::Right(left)) => {
                        complete = node::fork(&left, &complete);
                    }
                    Some(Open::Labeled { index, label, span }) => {
                        nodes[index] = Node::Labeled {
                            label: span,
                            end: narrow(reader, nodes.len())?,
                        };
                        complete = node::labeled(label, &complete);
                        rows.pop();
                    }
                }
            }
        }
    }

    /// The hash that the tree has with or without its pruned parts.
    pub fn root_hash(&self) -> Hash {
        self.root_hash
    }

    /// What the tree proves about `path`: the labels from the root to a leaf.
    pub fn lookup<P: AsRef<[u8]>>(&self, path: &[P]) -> Lookup<'_> {
        let row = match self.row(path) {
            Ok(row) => row,
            Err(lookup) => return lookup,
        };
        match self.nodes[row] {
            [Node::Leaf(contents)] => Lookup::Found(self.bytes(contents)),
            [Node::Pruned(_)] => Lookup::Unknown,
            [Node::Empty] => Lookup::Absent,
            _ => Lookup::NotALeaf,
        }
    }

    /// The labels that are shown directly below `path`, in their order.
    pub(crate) fn labels<'a>(&'a self, path: &[&[u8]]) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.items(self.row(path).unwrap_or_default())
            .filter_map(|item| match item {
                Item::Labeled { label, .. } => Some(label),
                Item::Pruned | Item::Leaf => None,
            })
    }

    /// The nodes below `path`: one subtree, of at least one node. What a lookup says if there are none.
    pub(crate) fn row<P: AsRef<[u8]>>(&self, path: &[P]) -> Result<Range<usize>, Lookup<'static>> {
        path.iter().try_fold(0..self.nodes.len(), |row, label| {
            self.below(row, label.as_ref())
        })
    }

    fn below(&self, row: Range<usize>, wanted: &[u8]) -> Result<Range<usize>, Lookup<'static>> {
        // Something pruned stands between the last label that is too small and where we are.
        let mut hidden = false;
        for item in self.items(row) {
            match item {
                Item::Labeled { label, below } => match label.cmp(wanted) {
                    Ordering::Less => hidden = false,
                    Ordering::Equal => return Ok(below),
                    Ordering::Greater => break,
                },
                Item::Pruned => hidden = true,
                Item::Leaf => return Err(Lookup::NotALeaf),
            }
        }
        Err(if hidden {
            Lookup::Unknown
        } else {
            Lookup::Absent
        })
    }

    /// What stands in `row`, from left to right.
    pub(crate) fn items(&self, row: Range<usize>) -> impl Iterator<Item = Item<'_>> {
        let mut index = row.start;
        std::iter::from_fn(move || {
            while index < row.end {
                let at = index;
                index += 1;
                match self.nodes[at] {
                    Node::Labeled { label, end } => {
                        index = end as usize;
                        return Some(Item::Labeled {
                            label: self.bytes(label),
                            below: at + 1..index,
                        });
                    }
                    Node::Pruned(_) => return Some(Item::Pruned),
                    Node::Leaf(_) => return Some(Item::Leaf),
                    Node::Empty | Node::Fork => {}
                }
            }
            None
        })
    }

    /// The contents of the leaf that is all of `row`.
    pub(crate) fn contents(&self, row: Range<usize>) -> Option<&[u8]> {
        match self.nodes[row] {
            [Node::Leaf(contents)] => Some(self.bytes(contents)),
            _ => None,
        }
    }

    /// The hash of the subtree that is all of `row`, as [`HashTree::row`] and [`HashTree::items`] give rows.
    pub(crate) fn hash_of(&self, row: Range<usize>) -> Hash {
        // From the last node to the first, the hashes of a node's children are the last ones that were put here.
        let mut hashes: Vec<Hash> = Vec::new();
        for node in self.nodes[row].iter().rev() {
            let mut child = || hashes.pop().unwrap_or_default();
            let hash = match *node {
                Node::Empty => node::empty(),
                Node::Fork => node::fork(&child(), &child()),
                Node::Labeled { label, .. } => node::labeled(self.bytes(label), &child()),
                Node::Leaf(contents) => node::leaf_hash(self.bytes(contents)),
                Node::Pruned(start) => {
                    let mut hash = Hash::default();
                    hash.copy_from_slice(self.bytes(Span { start, length: 32 }));
                    hash
                }
            };
            hashes.push(hash);
        }
        hashes.pop().unwrap_or_default()
    }

    fn bytes(&self, span: Span) -> &[u8] {
        &self.encoded[span.start as usize..][..span.length as usize]
    }
}

/// Where the last `part.len()` bytes that `reader` read are, counted from `start`.
fn span(reader: &Reader<'_>, start: usize, part: &[u8]) -> Result<Span, Malformed> {
    Ok(Span {
        start: narrow(reader, reader.position() - start - part.len())?,
        length: narrow(reader, part.len())?,
    })
}

fn narrow(reader: &Reader<'_>, value: usize) -> Result<u32, Malformed> {
    u32::try_from(value).map_err(|_| reader.fault_at(reader.position(), Fault::TooLarge))
}

#[cfg(test)]
mod tests;
