//! Leaf nodes: a member's keys, credential and capabilities, signed by itself (RFC 9420, section 7.2).

use crate::{
    Hash, Key, MlsError,
    crypto::{self, PublicKey},
    extensions::{self, Extensions},
    limits,
    wire::{Reader, Writer},
};

/// The version `mls10`.
pub(crate) const MLS10: u16 = 1;
/// The cipher suite.
pub(crate) const SUITE: u16 = 1;
/// The credential type `basic`.
const BASIC: u16 = 1;

const KEY_PACKAGE: u8 = 1;
const UPDATE: u8 = 2;
const COMMIT: u8 = 3;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeafNode {
    pub encryption_key: Key,
    pub signature_key: Key,
    /// Of the basic credential.
    pub identity: Vec<u8>,
    pub capabilities: Capabilities,
    pub source: LeafNodeSource,
    pub extensions: Extensions,
    pub signature: [u8; crypto::SIGNATURE],
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    pub versions: Vec<u16>,
    pub cipher_suites: Vec<u16>,
    pub extensions: Vec<u16>,
    pub proposals: Vec<u16>,
    pub credentials: Vec<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeafNodeSource {
    KeyPackage(Lifetime),
    Update,
    /// The parent hash of the path; none if the leaf is the whole tree.
    Commit(Option<Hash>),
}

/// In seconds of the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    pub not_before: u64,
    pub not_after: u64,
}

impl Lifetime {
    /// Valid at `now_s`, and not for longer than [`limits::LIFETIME`].
    pub(crate) fn validate(&self, now_s: u64) -> Result<(), MlsError> {
        match self.not_after.checked_sub(self.not_before) {
            Some(length) if length <= limits::LIFETIME => {}
            _ => return Err(MlsError::Lifetime),
        }
        if now_s < self.not_before {
            return Err(MlsError::NotYetValid);
        }
        if now_s > self.not_after {
            return Err(MlsError::Expired);
        }
        Ok(())
    }
}

impl LeafNode {
    /// The RFC's encoding.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        self.write(&mut writer);
        writer.finish()
    }

    /// # Errors
    /// If `bytes` aren't exactly one leaf node.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MlsError> {
        let mut reader = Reader::new(bytes);
        let leaf = Self::read(&mut reader)?;
        reader.end("a leaf node")?;
        Ok(leaf)
    }

    /// What its parent hash field says.
    #[must_use]
    pub fn parent_hash(&self) -> Option<&Hash> {
        match &self.source {
            LeafNodeSource::Commit(hash) => hash.as_ref(),
            LeafNodeSource::KeyPackage(_) | LeafNodeSource::Update => None,
        }
    }

    /// Verifies the signature, of a leaf at `index` in the group, and that it supports what it uses (section 7.3).
    ///
    /// # Errors
    /// If one of them isn't so.
    pub fn validate(&self, group_id: &[u8], index: u32) -> Result<(), MlsError> {
        self.validate_with(&PublicKey::new(&self.signature_key)?, group_id, index)
    }

    /// The same with the leaf's signature key as it was read.
    pub(crate) fn validate_with(
        &self,
        key: &PublicKey,
        group_id: &[u8],
        index: u32,
    ) -> Result<(), MlsError> {
        self.capabilities.contain(self)?;
        let mut tbs = Writer::new();
        self.write_unsigned(&mut tbs);
        if !matches!(self.source, LeafNodeSource::KeyPackage(_)) {
            tbs.vector(group_id).u32(index);
        }
        key.verify("LeafNodeTBS", "leaf node", &tbs.finish(), &self.signature)
    }

    /// That it supports the extensions of a group and what they require (sections 7.3, 11.1).
    pub(crate) fn supports(&self, group: &Extensions) -> Result<(), MlsError> {
        let own = &self.capabilities;
        for extension_type in group.types() {
            own.extension(extension_type)?;
        }
        let Some(required) = group.get(extensions::REQUIRED_CAPABILITIES) else {
            return Ok(());
        };
        let mut reader = Reader::new(required);
        for extension_type in numbers(&mut reader)? {
            own.extension(extension_type)?;
        }
        for proposal_type in numbers(&mut reader)? {
            // Types 1 to 7 are the RFC's own, which nobody lists.
            if !(1..=7).contains(&proposal_type) {
                contain(&own.proposals, "proposal", proposal_type)?;
            }
        }
        for credential_type in numbers(&mut reader)? {
            contain(&own.credentials, "credential", credential_type)?;
        }
        reader.end("required capabilities")
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, MlsError> {
        Ok(Self {
            encryption_key: reader.vector_of("an encryption key")?,
            signature_key: reader.vector_of("a signature key")?,
            identity: {
                let credential_type = reader.u16()?;
                if credential_type != BASIC {
                    return Err(MlsError::CredentialType(credential_type));
                }
                reader
                    .vector_up_to(limits::IDENTITY, "an identity")?
                    .to_vec()
            },
            capabilities: Capabilities {
                versions: numbers(reader)?,
                cipher_suites: numbers(reader)?,
                extensions: numbers(reader)?,
                proposals: numbers(reader)?,
                credentials: numbers(reader)?,
            },
            source: match reader.u8()? {
                KEY_PACKAGE => LeafNodeSource::KeyPackage(Lifetime {
                    not_before: reader.u64()?,
                    not_after: reader.u64()?,
                }),
                UPDATE => LeafNodeSource::Update,
                COMMIT => {
                    LeafNodeSource::Commit(reader.optional_hash("a parent hash")?.try_into().ok())
                }
                value => {
                    return Err(MlsError::Undefined {
                        what: "a leaf node's source",
                        value: value.into(),
                    });
                }
            },
            extensions: Extensions::read(reader)?,
            signature: reader.vector_of("a signature")?,
        })
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        self.write_unsigned(writer);
        writer.vector(&self.signature);
    }

    fn write_unsigned(&self, writer: &mut Writer) {
        writer
            .vector(&self.encryption_key)
            .vector(&self.signature_key)
            .u16(BASIC)
            .vector(&self.identity);
        let capabilities = &self.capabilities;
        for numbers in [
            &capabilities.versions,
            &capabilities.cipher_suites,
            &capabilities.extensions,
            &capabilities.proposals,
            &capabilities.credentials,
        ] {
            let mut list = Writer::new();
            for number in numbers {
                list.u16(*number);
            }
            writer.vector(&list.finish());
        }
        match &self.source {
            LeafNodeSource::KeyPackage(lifetime) => writer
                .u8(KEY_PACKAGE)
                .u64(lifetime.not_before)
                .u64(lifetime.not_after),
            LeafNodeSource::Update => writer.u8(UPDATE),
            LeafNodeSource::Commit(hash) => writer
                .u8(COMMIT)
                .vector(hash.as_ref().map_or(&[], |hash| hash)),
        };
        self.extensions.write(writer);
    }
}

impl Capabilities {
    /// What `leaf`, whose capabilities they are, uses itself.
    fn contain(&self, leaf: &LeafNode) -> Result<(), MlsError> {
        contain(&self.versions, "version", MLS10)?;
        contain(&self.cipher_suites, "cipher suite", SUITE)?;
        contain(&self.credentials, "credential", BASIC)?;
        for extension_type in leaf.extensions.types() {
            self.extension(extension_type)?;
        }
        Ok(())
    }

    pub(crate) fn extension(&self, extension_type: u16) -> Result<(), MlsError> {
        if extensions::is_default(extension_type) {
            return Ok(());
        }
        contain(&self.extensions, "extension", extension_type)
    }
}

fn contain(numbers: &[u16], what: &'static str, value: u16) -> Result<(), MlsError> {
    if numbers.contains(&value) {
        Ok(())
    } else {
        Err(MlsError::Capability { what, value })
    }
}

/// A vector of 16-bit numbers.
fn numbers(reader: &mut Reader<'_>) -> Result<Vec<u16>, MlsError> {
    let mut list =
        Reader::new(reader.vector_up_to(2 * limits::CAPABILITIES, "a list of capabilities")?);
    let mut numbers = Vec::new();
    while !list.is_empty() {
        numbers.push(list.u16()?);
    }
    Ok(numbers)
}
