//! Welcomes: a secret for each new member, named by the reference of its key package (RFC 9420, section 12.4.3.1).
//!
//! A delivery service keeps them apart: [`Welcome::slice`] is the message with one secret, all else as it was sent, which the
//! new member joins by just as well, since the secrets are not signed as a list.

use crate::{
    Hash, MlsError,
    leaf_node::{MLS10, SUITE},
    message::{self, WireFormat},
    wire::{Reader, Writer},
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome<'a> {
    secrets: Vec<(Hash, &'a [u8])>,
    encrypted_group_info: &'a [u8],
}

impl<'a> Welcome<'a> {
    /// Reads MLSMessage(mls_welcome).
    ///
    /// # Errors
    /// If it isn't exactly that, or names a key package twice.
    pub fn from_message(bytes: &'a [u8]) -> Result<Self, MlsError> {
        Self::from_body(message::body(bytes, WireFormat::Welcome)?)
    }

    pub(crate) fn from_body(body: &'a [u8]) -> Result<Self, MlsError> {
        let mut reader = Reader::new(body);
        message::cipher_suite(reader.u16()?)?;
        let mut list = Reader::new(reader.vector()?);
        let mut secrets = Vec::new();
        while !list.is_empty() {
            let start = list.position();
            let reference = list.vector_of("a key package reference")?;
            list.vector_of::<32>("an encapsulated key")?;
            list.vector()?;
            secrets.push((reference, list.since(start)));
        }
        let encrypted_group_info = reader.vector()?;
        reader.end("a Welcome")?;
        let mut references: Vec<&Hash> = secrets.iter().map(|(reference, _)| reference).collect();
        references.sort_unstable();
        if references.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(MlsError::AddedTwice);
        }
        Ok(Self {
            secrets,
            encrypted_group_info,
        })
    }

    /// The key packages that there are secrets for, in the order of the message.
    pub fn references(&self) -> impl Iterator<Item = &Hash> {
        self.secrets.iter().map(|(reference, _)| reference)
    }

    /// How every slice ends: what is for all new members alike.
    #[must_use]
    pub fn shared(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.vector(self.encrypted_group_info);
        writer.finish()
    }

    /// MLSMessage(mls_welcome) with the secret for one key package.
    ///
    /// # Errors
    /// If there is none.
    pub fn slice(&self, reference: &Hash) -> Result<Vec<u8>, MlsError> {
        let (_, secret) = self
            .secrets
            .iter()
            .find(|(of, _)| of == reference)
            .ok_or(MlsError::NoSecret)?;
        let mut writer = Writer::new();
        writer
            .u16(MLS10)
            .u16(WireFormat::Welcome as u16)
            .u16(SUITE)
            .vector(secret)
            .vector(self.encrypted_group_info);
        Ok(writer.finish())
    }
}
