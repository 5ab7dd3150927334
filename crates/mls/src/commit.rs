//! Commits: Add and Remove by value, and the UpdatePath (RFC 9420, section 12.4).

use crate::{Key, KeyPackage, LeafNode, MlsError, limits, wire::Reader};

#[derive(Clone, Debug, PartialEq)]
pub struct Commit {
    pub proposals: Vec<Proposal>,
    pub path: Option<UpdatePath>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Proposal {
    Add(Box<KeyPackage>),
    /// A leaf index.
    Remove(u32),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdatePath {
    pub leaf_node: LeafNode,
    pub nodes: Vec<UpdatePathNode>,
}

/// A node's new key. The path secrets are encrypted for those below its copath child: only their number is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdatePathNode {
    pub encryption_key: Key,
    pub ciphertexts: u32,
}

impl Commit {
    /// # Errors
    /// If `bytes` aren't exactly one commit, or contain a proposal that isn't accepted.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MlsError> {
        let mut reader = Reader::new(bytes);
        let proposals = proposals(reader.vector()?)?;
        let path = if reader.optional()? {
            Some(UpdatePath {
                leaf_node: LeafNode::read(&mut reader)?,
                nodes: path_nodes(reader.vector()?)?,
            })
        } else {
            None
        };
        reader.end("a commit")?;
        Ok(Self { proposals, path })
    }
}

/// Reads past a commit, which has no length of its own on the wire.
pub(crate) fn skip(reader: &mut Reader<'_>) -> Result<(), MlsError> {
    reader.vector()?;
    if reader.optional()? {
        LeafNode::read(reader)?;
        reader.vector()?;
    }
    Ok(())
}

fn proposals(bytes: &[u8]) -> Result<Vec<Proposal>, MlsError> {
    let mut reader = Reader::new(bytes);
    let mut proposals = Vec::new();
    while !reader.is_empty() {
        if proposals.len() == limits::PROPOSALS {
            return Err(MlsError::TooLong("a list of proposals"));
        }
        match reader.u8()? {
            1 => {}
            2 => return Err(MlsError::ProposalByReference),
            value => {
                return Err(MlsError::Undefined {
                    what: "the type of a proposal or reference",
                    value: value.into(),
                });
            }
        }
        proposals.push(match reader.u16()? {
            1 => Proposal::Add(Box::new(KeyPackage::read(&mut reader)?)),
            3 => Proposal::Remove(reader.u32()?),
            2 => return Err(MlsError::ProposalType("Update")),
            4 => return Err(MlsError::ProposalType("PreSharedKey")),
            5 => return Err(MlsError::ProposalType("ReInit")),
            6 => return Err(MlsError::ProposalType("ExternalInit")),
            7 => return Err(MlsError::ProposalType("GroupContextExtensions")),
            unknown => return Err(MlsError::UnknownProposal(unknown)),
        });
    }
    Ok(proposals)
}

fn path_nodes(bytes: &[u8]) -> Result<Vec<UpdatePathNode>, MlsError> {
    let mut reader = Reader::new(bytes);
    let mut nodes = Vec::new();
    while !reader.is_empty() {
        // A direct path is no longer than a tree is high.
        if nodes.len() > limits::LEAVES.ilog2() as usize {
            return Err(MlsError::TooLong("an UpdatePath"));
        }
        let encryption_key = reader.vector_of("an encryption key")?;
        let mut list = Reader::new(reader.vector()?);
        let mut ciphertexts = 0_u32;
        while !list.is_empty() {
            list.vector_of::<32>("an encapsulated key")?;
            // A path secret and the tag of AES-GCM.
            list.vector_of::<48>("an encrypted path secret")?;
            ciphertexts = ciphertexts
                .checked_add(1)
                .ok_or(MlsError::TooLong("an UpdatePath"))?;
        }
        nodes.push(UpdatePathNode {
            encryption_key,
            ciphertexts,
        });
    }
    Ok(nodes)
}
