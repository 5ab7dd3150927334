//! Nodes of a ratchet tree, and their encoding (RFC 9420, sections 7.1 and 12.4.3.3).

use crate::{
    Hash, Key, LeafNode, MlsError, limits,
    wire::{Reader, Writer},
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    Leaf(Box<LeafNode>),
    Parent(ParentNode),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParentNode {
    pub encryption_key: Key,
    /// None where there is no node above that isn't blank.
    pub parent_hash: Option<Hash>,
    /// Leaf indices, in order.
    pub unmerged_leaves: Vec<u32>,
}

impl Node {
    /// The RFC's encoding of a Node.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        self.write(&mut writer);
        writer.finish()
    }

    /// # Errors
    /// If `bytes` aren't exactly one node.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MlsError> {
        let mut reader = Reader::new(bytes);
        let node = Self::read(&mut reader)?;
        reader.end("a node")?;
        Ok(node)
    }

    #[must_use]
    pub fn encryption_key(&self) -> &Key {
        match self {
            Self::Leaf(leaf) => &leaf.encryption_key,
            Self::Parent(parent) => &parent.encryption_key,
        }
    }

    #[must_use]
    pub fn leaf(&self) -> Option<&LeafNode> {
        match self {
            Self::Leaf(leaf) => Some(leaf),
            Self::Parent(_) => None,
        }
    }

    /// What the parent hash field of the node says.
    pub(crate) fn parent_hash(&self) -> Option<&Hash> {
        match self {
            Self::Leaf(leaf) => leaf.parent_hash(),
            Self::Parent(parent) => parent.parent_hash.as_ref(),
        }
    }

    pub(crate) fn unmerged_leaves(&self) -> &[u32] {
        match self {
            Self::Leaf(_) => &[],
            Self::Parent(parent) => &parent.unmerged_leaves,
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, MlsError> {
        match reader.u8()? {
            1 => LeafNode::read(reader).map(|leaf| Self::Leaf(Box::new(leaf))),
            2 => Ok(Self::Parent(ParentNode {
                encryption_key: reader.vector_of("an encryption key")?,
                parent_hash: reader.optional_hash("a parent hash")?.try_into().ok(),
                unmerged_leaves: {
                    let most = 4 * limits::LEAVES as usize;
                    let mut list =
                        Reader::new(reader.vector_up_to(most, "a list of unmerged leaves")?);
                    let mut leaves = Vec::new();
                    while !list.is_empty() {
                        leaves.push(list.u32()?);
                    }
                    leaves
                },
            })),
            value => Err(MlsError::Undefined {
                what: "a node's type",
                value: value.into(),
            }),
        }
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.u8(match self {
            Self::Leaf(_) => 1,
            Self::Parent(_) => 2,
        });
        self.write_content(writer);
    }

    /// The LeafNode or ParentNode itself.
    pub(crate) fn write_content(&self, writer: &mut Writer) {
        match self {
            Self::Leaf(leaf) => leaf.write(writer),
            Self::Parent(parent) => {
                let mut list = Writer::new();
                for leaf in &parent.unmerged_leaves {
                    list.u32(*leaf);
                }
                writer
                    .vector(&parent.encryption_key)
                    .vector(parent.parent_hash.as_ref().map_or(&[], |hash| hash))
                    .vector(&list.finish());
            }
        }
    }
}
