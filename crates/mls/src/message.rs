//! MLSMessage and what a delivery service takes of it (RFC 9420, section 6).
//!
//! Handshakes come as PublicMessage, and of these only a member's commit; applications as PrivateMessage, of which the header is
//! in the clear. All else is refused with the reason.

use crate::{
    Hash, KeyPackage, MlsError,
    crypto::{self, PublicKey},
    group_info::GroupInfo,
    leaf_node::{MLS10, SUITE},
    limits,
    welcome::Welcome,
    wire::{Reader, Writer},
};

const APPLICATION: u8 = 1;
const PROPOSAL: u8 = 2;
const COMMIT: u8 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WireFormat {
    PublicMessage = 1,
    PrivateMessage = 2,
    Welcome = 3,
    GroupInfo = 4,
    KeyPackage = 5,
}

/// What an MLSMessage contains.
#[derive(Clone, Debug, PartialEq)]
pub enum Message<'a> {
    Commit(CommitMessage<'a>),
    Application(Application<'a>),
    Welcome(Welcome<'a>),
    GroupInfo(GroupInfo),
    KeyPackage(KeyPackage),
}

/// A PublicMessage with a commit of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitMessage<'a> {
    pub group_id: &'a [u8],
    pub epoch: u64,
    /// Leaf index.
    pub sender: u32,
    pub authenticated_data: &'a [u8],
    /// The encoded Commit; [`crate::commit::Commit::from_bytes`] reads it.
    pub commit: &'a [u8],
    pub confirmation_tag: Hash,
    /// Only members can check it.
    pub membership_tag: Hash,
    /// The encoded FramedContent.
    content: &'a [u8],
    signature: [u8; crypto::SIGNATURE],
}

/// The header of an application message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application<'a> {
    pub group_id: &'a [u8],
    pub epoch: u64,
    pub authenticated_data: &'a [u8],
}

impl<'a> Message<'a> {
    /// Reads what any MLSMessage contains, without verifying it.
    ///
    /// # Errors
    /// If it isn't exactly one message, or of a kind that isn't accepted.
    pub fn read(bytes: &'a [u8]) -> Result<Self, MlsError> {
        let (wire_format, body) = open(bytes)?;
        let mut reader = Reader::new(body);
        match wire_format {
            1 => CommitMessage::from_body(body).map(Self::Commit),
            2 => {
                let application = Application::read(&mut reader)?;
                reader.end("a private message")?;
                Ok(Self::Application(application))
            }
            3 => Welcome::from_body(body).map(Self::Welcome),
            4 => GroupInfo::from_body(body).map(Self::GroupInfo),
            5 => KeyPackage::from_bytes(body).map(Self::KeyPackage),
            found => Err(MlsError::WireFormat {
                expected: "a message of RFC 9420",
                found,
            }),
        }
    }
}

impl<'a> Application<'a> {
    /// Reads MLSMessage(mls_private_message) with an application message.
    ///
    /// # Errors
    /// If it isn't exactly that.
    pub fn from_message(bytes: &'a [u8]) -> Result<Self, MlsError> {
        let mut reader = Reader::new(body(bytes, WireFormat::PrivateMessage)?);
        let application = Self::read(&mut reader)?;
        reader.end("a private message")?;
        Ok(application)
    }

    fn read(reader: &mut Reader<'a>) -> Result<Self, MlsError> {
        let group_id = group_id(reader)?;
        let epoch = reader.u64()?;
        match reader.u8()? {
            APPLICATION => {}
            PROPOSAL | COMMIT => return Err(MlsError::PrivateHandshake),
            value => return Err(content_type(value)),
        }
        let authenticated_data = authenticated_data(reader)?;
        // encrypted_sender_data and ciphertext are for members.
        reader.vector()?;
        reader.vector()?;
        Ok(Self {
            group_id,
            epoch,
            authenticated_data,
        })
    }
}

impl<'a> CommitMessage<'a> {
    /// Reads MLSMessage(mls_public_message) with a member's commit, without verifying it.
    ///
    /// # Errors
    /// If it isn't exactly that.
    pub fn from_message(bytes: &'a [u8]) -> Result<Self, MlsError> {
        let (wire_format, body) = open(bytes)?;
        match wire_format {
            1 => Self::from_body(body),
            // Says that handshakes must be public, if it is one.
            2 => Err(Application::read(&mut Reader::new(body)).err().unwrap_or(
                MlsError::WireFormat {
                    expected: "a public message",
                    found: 2,
                },
            )),
            found => Err(MlsError::WireFormat {
                expected: "a public message",
                found,
            }),
        }
    }

    fn from_body(body: &'a [u8]) -> Result<Self, MlsError> {
        let mut reader = Reader::new(body);
        let group_id = group_id(&mut reader)?;
        let epoch = reader.u64()?;
        let sender = match reader.u8()? {
            1 => reader.u32()?,
            2 => return Err(MlsError::Sender("external")),
            3 => return Err(MlsError::Sender("new_member_proposal")),
            4 => return Err(MlsError::Sender("new_member_commit")),
            value => {
                return Err(MlsError::Undefined {
                    what: "a sender's type",
                    value: value.into(),
                });
            }
        };
        let authenticated_data = authenticated_data(&mut reader)?;
        match reader.u8()? {
            COMMIT => {}
            APPLICATION => return Err(MlsError::PublicApplication),
            PROPOSAL => return Err(MlsError::Proposal),
            value => return Err(content_type(value)),
        }
        let start = reader.position();
        crate::commit::skip(&mut reader)?;
        let commit = reader.since(start);
        let content = reader.since(0);
        let message = Self {
            group_id,
            epoch,
            sender,
            authenticated_data,
            commit,
            content,
            signature: reader.vector_of("a signature")?,
            confirmation_tag: reader.vector_of("a confirmation tag")?,
            membership_tag: reader.vector_of("a membership tag")?,
        };
        reader.end("a public message")?;
        Ok(message)
    }

    /// Verifies the sender's signature, in the group's current context (section 6.1).
    pub(crate) fn verify(&self, key: &PublicKey, group_context: &[u8]) -> Result<(), MlsError> {
        let mut tbs = Writer::new();
        tbs.u16(MLS10)
            .u16(WireFormat::PublicMessage as u16)
            .raw(self.content)
            .raw(group_context);
        key.verify("FramedContentTBS", "commit", &tbs.finish(), &self.signature)
    }

    /// The confirmed transcript hash after it (section 8.2).
    pub(crate) fn confirmed_transcript_hash(&self, interim: &Hash) -> Hash {
        let mut input = Writer::new();
        input
            .raw(interim)
            .u16(WireFormat::PublicMessage as u16)
            .raw(self.content)
            .vector(&self.signature);
        crypto::hash(&input.finish())
    }
}

/// What MLSMessage(mls_private_message) with an application message of this group and epoch begins with: all before its
/// authenticated data.
#[must_use]
pub fn application_header(group_id: &[u8], epoch: u64) -> Vec<u8> {
    let mut header = Writer::new();
    header
        .u16(MLS10)
        .u16(WireFormat::PrivateMessage as u16)
        .vector(group_id)
        .u64(epoch)
        .u8(APPLICATION);
    header.finish()
}

/// The body of an MLSMessage that must be of `expected`.
pub(crate) fn body(bytes: &[u8], expected: WireFormat) -> Result<&[u8], MlsError> {
    let (found, body) = open(bytes)?;
    if found != expected as u16 {
        return Err(MlsError::WireFormat {
            expected: match expected {
                WireFormat::PublicMessage => "a public message",
                WireFormat::PrivateMessage => "a private message",
                WireFormat::Welcome => "a Welcome",
                WireFormat::GroupInfo => "a GroupInfo",
                WireFormat::KeyPackage => "a key package",
            },
            found,
        });
    }
    Ok(body)
}

/// Wire format and body of an MLSMessage.
fn open(bytes: &[u8]) -> Result<(u16, &[u8]), MlsError> {
    if bytes.len() > limits::MESSAGE {
        return Err(MlsError::TooLong("a message"));
    }
    let mut reader = Reader::new(bytes);
    version(reader.u16()?)?;
    let wire_format = reader.u16()?;
    Ok((wire_format, bytes.get(4..).unwrap_or_default()))
}

pub(crate) fn version(version: u16) -> Result<(), MlsError> {
    if version == MLS10 {
        Ok(())
    } else {
        Err(MlsError::Version(version))
    }
}

pub(crate) fn cipher_suite(suite: u16) -> Result<(), MlsError> {
    if suite == SUITE {
        Ok(())
    } else {
        Err(MlsError::CipherSuite(suite))
    }
}

pub(crate) fn group_id<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], MlsError> {
    reader.vector_up_to(limits::GROUP_ID, "a group id")
}

fn authenticated_data<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], MlsError> {
    reader.vector_up_to(limits::AUTHENTICATED_DATA, "authenticated data")
}

fn content_type(value: u8) -> MlsError {
    MlsError::Undefined {
        what: "a content type",
        value: value.into(),
    }
}
