//! Key packages: what a member is added by (RFC 9420, section 10). On the wire they come as MLSMessage(mls_key_package), which
//! is what both openmls and mls-rs write for messages; in an Add proposal they stand bare.

use crate::{
    Hash, Key, LeafNode, LeafNodeSource, Lifetime, MlsError,
    crypto::{self, PublicKey},
    extensions::{Extensions, LAST_RESORT},
    leaf_node::{MLS10, SUITE},
    limits,
    message::{self, WireFormat},
    wire::{Reader, Writer},
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPackage {
    pub init_key: Key,
    pub leaf_node: LeafNode,
    pub extensions: Extensions,
    pub signature: [u8; crypto::SIGNATURE],
}

impl KeyPackage {
    /// Reads MLSMessage(mls_key_package), and validates it (sections 10.1 and 7.3) at `now_s`, in seconds of the Unix epoch.
    ///
    /// # Errors
    /// Says what isn't valid.
    pub fn from_message(bytes: &[u8], now_s: u64) -> Result<Self, MlsError> {
        let body = message::body(bytes, WireFormat::KeyPackage)?;
        let key_package = Self::from_bytes(body)?;
        key_package.validate(now_s)?;
        Ok(key_package)
    }

    /// Reads a bare KeyPackage, without validating it.
    ///
    /// # Errors
    /// If `bytes` aren't exactly one key package.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MlsError> {
        let mut reader = Reader::new(bytes);
        let key_package = Self::read(&mut reader)?;
        reader.end("a key package")?;
        Ok(key_package)
    }

    /// The bare KeyPackage.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        self.write_unsigned(&mut writer);
        writer.vector(&self.signature);
        writer.finish()
    }

    /// Its KeyPackageRef, by which a Welcome names it (section 5.2).
    #[must_use]
    pub fn reference(&self) -> Hash {
        crypto::key_package_reference(&self.to_bytes())
    }

    #[must_use]
    pub fn identity(&self) -> &[u8] {
        &self.leaf_node.identity
    }

    #[must_use]
    pub fn signature_key(&self) -> &Key {
        &self.leaf_node.signature_key
    }

    /// None in a key package that isn't valid.
    #[must_use]
    pub fn lifetime(&self) -> Option<Lifetime> {
        match self.leaf_node.source {
            LeafNodeSource::KeyPackage(lifetime) => Some(lifetime),
            LeafNodeSource::Update | LeafNodeSource::Commit(_) => None,
        }
    }

    /// Whether it may be handed out more than once.
    #[must_use]
    pub fn last_resort(&self) -> bool {
        self.extensions.get(LAST_RESORT).is_some()
    }

    /// # Errors
    /// Says what isn't valid at `now_s`.
    pub fn validate(&self, now_s: u64) -> Result<(), MlsError> {
        self.lifetime()
            .ok_or(MlsError::LeafNodeSource("key_package"))?
            .validate(now_s)?;
        if self.init_key == self.leaf_node.encryption_key {
            return Err(MlsError::InitKey);
        }
        if self
            .extensions
            .get(LAST_RESORT)
            .is_some_and(|data| !data.is_empty())
        {
            return Err(MlsError::WrongLength("the last_resort extension"));
        }
        for extension_type in self.extensions.types() {
            // A mark for the delivery service; not all clients list it.
            if extension_type != LAST_RESORT {
                self.leaf_node.capabilities.extension(extension_type)?;
            }
        }
        // A leaf from a key package is signed without a group and a place in it.
        let key = PublicKey::new(self.signature_key())?;
        self.leaf_node.validate_with(&key, &[], 0)?;
        let mut tbs = Writer::new();
        self.write_unsigned(&mut tbs);
        key.verify(
            "KeyPackageTBS",
            "key package",
            &tbs.finish(),
            &self.signature,
        )
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, MlsError> {
        let start = reader.position();
        message::version(reader.u16()?)?;
        message::cipher_suite(reader.u16()?)?;
        let key_package = Self {
            init_key: reader.vector_of("an init key")?,
            leaf_node: LeafNode::read(reader)?,
            extensions: Extensions::read(reader)?,
            signature: reader.vector_of("a signature")?,
        };
        if reader.since(start).len() > limits::KEY_PACKAGE {
            return Err(MlsError::TooLong("a key package"));
        }
        Ok(key_package)
    }

    fn write_unsigned(&self, writer: &mut Writer) {
        writer.u16(MLS10).u16(SUITE).vector(&self.init_key);
        self.leaf_node.write(writer);
        self.extensions.write(writer);
    }
}
