//! GroupInfo: what a member says about its group, signed, for those who join (RFC 9420, section 12.4.3), and the GroupContext
//! in it (section 8.1).

use crate::{
    Hash, Key, MlsError,
    crypto::{self, PublicKey},
    extensions::{EXTERNAL_PUB, Extensions, RATCHET_TREE},
    leaf_node::{MLS10, SUITE},
    message::{self, WireFormat},
    wire::{Reader, Writer},
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupInfo {
    pub group_context: GroupContext,
    pub extensions: Extensions,
    pub confirmation_tag: Hash,
    /// Leaf index.
    pub signer: u32,
    pub signature: [u8; crypto::SIGNATURE],
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupContext {
    pub group_id: Vec<u8>,
    pub epoch: u64,
    pub tree_hash: Hash,
    /// None at epoch 0.
    pub confirmed_transcript_hash: Option<Hash>,
    pub extensions: Extensions,
}

impl GroupInfo {
    /// Reads MLSMessage(mls_group_info), without verifying it.
    ///
    /// # Errors
    /// If it isn't exactly that.
    pub fn from_message(bytes: &[u8]) -> Result<Self, MlsError> {
        Self::from_body(message::body(bytes, WireFormat::GroupInfo)?)
    }

    pub(crate) fn from_body(body: &[u8]) -> Result<Self, MlsError> {
        let mut reader = Reader::new(body);
        let group_info = Self {
            group_context: GroupContext::read(&mut reader)?,
            extensions: Extensions::read(&mut reader)?,
            confirmation_tag: reader.vector_of("a confirmation tag")?,
            signer: reader.u32()?,
            signature: reader.vector_of("a signature")?,
        };
        reader.end("a GroupInfo")?;
        if let Some(data) = group_info.extensions.get(EXTERNAL_PUB) {
            let mut reader = Reader::new(data);
            reader.vector_of::<32>("an external key")?;
            reader.end("the external_pub extension")?;
        }
        Ok(group_info)
    }

    /// The content of its ratchet_tree extension.
    #[must_use]
    pub fn ratchet_tree(&self) -> Option<&[u8]> {
        self.extensions.get(RATCHET_TREE)
    }

    /// # Errors
    /// If it isn't signed by `key`.
    pub fn verify(&self, key: &Key) -> Result<(), MlsError> {
        self.verify_with(&PublicKey::new(key)?)
    }

    pub(crate) fn verify_with(&self, key: &PublicKey) -> Result<(), MlsError> {
        let mut tbs = Writer::new();
        self.group_context.write(&mut tbs);
        self.extensions.write(&mut tbs);
        tbs.vector(&self.confirmation_tag).u32(self.signer);
        key.verify("GroupInfoTBS", "GroupInfo", &tbs.finish(), &self.signature)
    }
}

impl GroupContext {
    /// The RFC's encoding.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        self.write(&mut writer);
        writer.finish()
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, MlsError> {
        message::version(reader.u16()?)?;
        message::cipher_suite(reader.u16()?)?;
        Ok(Self {
            group_id: message::group_id(reader)?.to_vec(),
            epoch: reader.u64()?,
            tree_hash: reader.vector_of("a tree hash")?,
            confirmed_transcript_hash: reader.optional_hash("a transcript hash")?.try_into().ok(),
            extensions: Extensions::read(reader)?,
        })
    }

    fn write(&self, writer: &mut Writer) {
        writer
            .u16(MLS10)
            .u16(SUITE)
            .vector(&self.group_id)
            .u64(self.epoch)
            .vector(&self.tree_hash)
            .vector(
                self.confirmed_transcript_hash
                    .as_ref()
                    .map_or(&[], |hash| hash),
            );
        self.extensions.write(writer);
    }
}
