//! Conversations: what is certified of them, who is in them, what members send.

use candid::{CandidType, Principal};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::{CLEARED_CONFIDENTIAL, CLEARED_RESTRICTED, Entry};
use crate::Subject;

/// How sensitive a conversation is. It says who may be in it.
#[derive(
    CandidType, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord,
)]
pub enum Label {
    /// Every person.
    Open,
    /// Who acts for an active organisation.
    Official,
    /// Of those, who has the role [`CLEARED_RESTRICTED`].
    Restricted,
    /// Of those, who has the role [`CLEARED_CONFIDENTIAL`].
    Confidential,
}

impl Label {
    /// Whether somebody may be in such a conversation.
    #[must_use]
    pub fn admits(self, subject: &Subject) -> bool {
        let official = subject.organisation.is_some();
        let has = |role: &str| subject.roles.contains(role);
        match self {
            Self::Open => true,
            Self::Official => official,
            Self::Restricted => official && (has(CLEARED_RESTRICTED) || has(CLEARED_CONFIDENTIAL)),
            Self::Confidential => official && has(CLEARED_CONFIDENTIAL),
        }
    }

    /// Whom it admits, in words.
    #[must_use]
    pub fn needs(self) -> &'static str {
        match self {
            Self::Open => "a registered person",
            Self::Official => "somebody who acts for an active organisation",
            Self::Restricted => "the role cleared-restricted",
            Self::Confidential => "the role cleared-confidential",
        }
    }
}

/// What everybody may know of a conversation.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Conversation {
    pub id: u64,
    /// The MLS epoch: one accepted commit leads to the next one.
    pub epoch: u64,
    /// Hash of the ratchet tree of this epoch (RFC 9420, section 7.8).
    pub tree_hash: ByteBuf,
    /// Hash of all commits up to this epoch (RFC 9420, section 8.2); empty in epoch 0.
    pub confirmed_transcript_hash: ByteBuf,
    /// Size (LEB128) and peaks of the RFC 9162 tree over its entries, as in the leaf of an audit log.
    pub head: ByteBuf,
}

/// The certified leaf of a conversation.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum ConversationRecord {
    V1(Conversation),
}

/// A leaf of the group's ratchet tree.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its number in the tree.
    pub leaf: u32,
    pub person: Principal,
    /// The messaging key of the person's device.
    pub signature_key: ByteBuf,
}

/// A conversation as its members see it. Not certified, but for what is in [`Conversation`]: of the members, the tree hash.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct ConversationView {
    pub conversation: Conversation,
    pub group_id: ByteBuf,
    pub label: Label,
    /// Who created it, and may add and remove others.
    pub owner: Principal,
    pub created_at_ns: u64,
    /// In the order of their leaves.
    pub members: Vec<Member>,
}

/// Creates a conversation of the caller's device alone.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct CreateArgs {
    /// MLSMessage with the GroupInfo of epoch 0, the ratchet tree in it, signed by the caller's device. The group's id is
    /// [`MIN_GROUP_ID_BYTES`](super::MIN_GROUP_ID_BYTES) to [`MAX_GROUP_ID_BYTES`](super::MAX_GROUP_ID_BYTES) random bytes.
    pub group_info: ByteBuf,
    pub label: Label,
}

/// Moves a conversation to its next epoch, with all that belongs to the step.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct CommitArgs {
    pub conversation: u64,
    /// MLSMessage with a PublicMessage of a member: the commit, proposals by value.
    pub commit: ByteBuf,
    /// MLSMessage with the GroupInfo of the next epoch, signed by the committer.
    pub group_info: ByteBuf,
    /// MLSMessage with the Welcome, where somebody is added: one secret for each.
    pub welcome: Option<ByteBuf>,
}

/// What came of a commit.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum CommitOutcome {
    /// It leads to the next epoch.
    Accepted(Receipt),
    /// Another one came first. The entries from the winning commit on, as far as they fit: process them, and try again.
    Stale { epoch: u64, entries: Vec<Entry> },
}

/// Sends a message to the members.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct PostArgs {
    pub conversation: u64,
    /// MLSMessage with a PrivateMessage of application data, whose authenticated data is [`Authenticated`](super::Authenticated).
    pub message: ByteBuf,
}

/// That an entry is in the log. The reply to an update is certified, so this is a proof for the sender, to be kept.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    pub conversation: u64,
    /// The entry's index in the log.
    pub index: u64,
    pub epoch: u64,
    pub at_ns: u64,
    /// [`entry_hash`](super::entry_hash) of the entry.
    pub entry_hash: ByteBuf,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_admits_whom_it_names() {
        let subject = |organisation, roles: &[&str]| Subject {
            person: Principal::from_slice(&[1, 0x7f]),
            organisation,
            roles: roles.iter().map(ToString::to_string).collect(),
        };
        let labels = [
            Label::Open,
            Label::Official,
            Label::Restricted,
            Label::Confidential,
        ];
        for (subject, expected) in [
            (subject(None, &[]), [true, false, false, false]),
            (
                subject(None, &[CLEARED_CONFIDENTIAL]),
                [true, false, false, false],
            ),
            (subject(Some(1), &[]), [true, true, false, false]),
            (
                subject(Some(1), &[CLEARED_RESTRICTED]),
                [true, true, true, false],
            ),
            (subject(Some(1), &[CLEARED_CONFIDENTIAL]), [true; 4]),
        ] {
            assert_eq!(labels.map(|label| label.admits(&subject)), expected);
        }
        for (label, role) in [
            (Label::Restricted, CLEARED_RESTRICTED),
            (Label::Confidential, CLEARED_CONFIDENTIAL),
        ] {
            assert!(label.needs().ends_with(role));
        }
    }
}
