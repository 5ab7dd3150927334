//! Entries of a conversation's log and of an inbox, and the hashes that stand for them.
//!
//! A hash is SHA-256 of what is written here, numbers big-endian; the leaf of the RFC 9162 tree is SHA-256(0x00 ‖ hash).
//!
//! ```text
//! entry    "\x0dindus-entry-1"   conversation u64 ‖ index u64 ‖ epoch u64 ‖ at_ns u64 ‖ kind u8 ‖ length u8 ‖ sender ‖ SHA-256(payload)
//! welcome  "\x0findus-welcome-1" index u64 ‖ conversation u64 ‖ epoch u64 ‖ at_ns u64 ‖ SHA-256(head) ‖ SHA-256(welcome)
//! ```
//! A payload may be dropped one day; its entry, and every proof of it, stay.

use candid::{CandidType, Principal};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use sha2::{Digest as _, Sha256};

use crate::CertifiedRead;

/// Bytes of a message id.
pub const MESSAGE_ID_BYTES: usize = 16;
/// Bytes of [`Authenticated`].
pub const AUTHENTICATED_BYTES: usize = 1 + MESSAGE_ID_BYTES + 8 + 32;

const ENTRY_DOMAIN: &[u8; 14] = b"\x0dindus-entry-1";
const WELCOME_DOMAIN: &[u8; 16] = b"\x0findus-welcome-1";
/// First byte of [`Authenticated`].
const VERSION: u8 = 1;

/// What an entry is.
#[derive(CandidType, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// The GroupInfo that the conversation was created with: entry 0.
    Created,
    /// A commit that was accepted; its epoch is the one that it ends.
    Commit,
    /// A message.
    Message,
}

/// An entry of a conversation's log.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub index: u64,
    pub kind: EntryKind,
    /// The epoch that it was sent in.
    pub epoch: u64,
    /// When it was accepted.
    pub at_ns: u64,
    /// The person whose device sent it.
    pub sender: Principal,
    /// An MLSMessage.
    pub payload: ByteBuf,
}

/// A welcome in a device's inbox.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct WelcomeEntry {
    pub index: u64,
    pub conversation: u64,
    /// The epoch that it leads into.
    pub epoch: u64,
    pub at_ns: u64,
    /// Head of the conversation's log behind the commit that adds the device, as in [`Conversation::head`](super::Conversation::head):
    /// from there on its entries are for the device to read.
    pub head: ByteBuf,
    /// MLSMessage with a Welcome that holds this device's secret alone.
    pub welcome: ByteBuf,
}

/// The authenticated data of every message: what the sender says in the clear, and nobody can change.
///
/// `0x01 ‖ id ‖ size u64 ‖ root`: a random id, which lets the canister drop repeated messages, and the head of the log that the
/// sender saw last, which lets receivers find out that the canister shows them another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authenticated {
    pub id: [u8; MESSAGE_ID_BYTES],
    /// Entries of the log that the sender had verified.
    pub size: u64,
    /// The root over them.
    pub root: [u8; 32],
}

/// Asks for entries of a conversation's log, in their order.
#[derive(CandidType, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntriesArgs {
    pub conversation: u64,
    /// The first index.
    pub from: u64,
    /// 1 to [`MAX_ENTRIES`](super::MAX_ENTRIES).
    pub limit: u32,
}

/// Entries without a gap, with what proves that they are the log's: whoever has the peaks of the first `from` entries appends
/// these, and goes on to the certified head by `consistency`.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct EntriesPage {
    pub entries: Vec<Entry>,
    /// RFC 9162 proof from the end of this page to the certified size.
    pub consistency: Vec<ByteBuf>,
    /// Proves the conversation's leaf.
    pub certified: CertifiedRead,
}

/// Asks for the welcomes of a device of the caller's.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct WelcomesArgs {
    /// The device's messaging key.
    pub signature_key: ByteBuf,
    /// The first index.
    pub from: u64,
    /// 1 to [`MAX_ENTRIES`](super::MAX_ENTRIES).
    pub limit: u32,
}

/// Welcomes without a gap; proved as [`EntriesPage`] is.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct WelcomesPage {
    pub welcomes: Vec<WelcomeEntry>,
    pub consistency: Vec<ByteBuf>,
    /// Proves the inbox's leaf.
    pub certified: CertifiedRead,
}

/// Asks for proofs about a conversation's log, which everybody may have.
#[derive(CandidType, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProofArgs {
    pub conversation: u64,
    /// The entry, or the smaller size.
    pub from: u64,
    /// The size of the log that the proof is about.
    pub size: u64,
}

impl EntryKind {
    fn number(self) -> u8 {
        match self {
            Self::Created => 0,
            Self::Commit => 1,
            Self::Message => 2,
        }
    }
}

impl Authenticated {
    /// Its bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; AUTHENTICATED_BYTES] {
        let mut bytes = [VERSION; AUTHENTICATED_BYTES];
        bytes[1..17].copy_from_slice(&self.id);
        bytes[17..25].copy_from_slice(&self.size.to_be_bytes());
        bytes[25..].copy_from_slice(&self.root);
        bytes
    }

    /// From its bytes; none for anything else.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        let (id, rest) = rest.split_first_chunk()?;
        let (size, root) = rest.split_first_chunk()?;
        let authenticated = Self {
            id: *id,
            size: u64::from_be_bytes(*size),
            root: root.try_into().ok()?,
        };
        (*version == VERSION).then_some(authenticated)
    }
}

/// What stands for an entry in its conversation's log.
#[must_use]
pub fn entry_hash(conversation: u64, entry: &Entry) -> [u8; 32] {
    let payload = Sha256::digest(&entry.payload).into();
    Sha256::digest(entry_to_hash(conversation, entry, &payload)).into()
}

/// What [`entry_hash`] is the SHA-256 of, with the SHA-256 of the entry's payload.
#[must_use]
pub fn entry_to_hash(conversation: u64, entry: &Entry, payload: &[u8; 32]) -> Vec<u8> {
    let sender = entry.sender.as_slice();
    let mut bytes = Vec::with_capacity(128);
    bytes.extend_from_slice(ENTRY_DOMAIN);
    for number in [conversation, entry.index, entry.epoch, entry.at_ns] {
        bytes.extend_from_slice(&number.to_be_bytes());
    }
    bytes.push(entry.kind.number());
    // A principal has at most 29 bytes.
    bytes.push(u8::try_from(sender.len()).unwrap_or(u8::MAX));
    bytes.extend_from_slice(sender);
    bytes.extend_from_slice(payload);
    bytes
}

/// What stands for a welcome in its inbox.
#[must_use]
pub fn welcome_hash(entry: &WelcomeEntry) -> [u8; 32] {
    Sha256::new()
        .chain_update(WELCOME_DOMAIN)
        .chain_update(entry.index.to_be_bytes())
        .chain_update(entry.conversation.to_be_bytes())
        .chain_update(entry.epoch.to_be_bytes())
        .chain_update(entry.at_ns.to_be_bytes())
        .chain_update(Sha256::digest(&entry.head))
        .chain_update(Sha256::digest(&entry.welcome))
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry {
            index: 1,
            kind: EntryKind::Message,
            epoch: 2,
            at_ns: 3,
            sender: Principal::from_slice(&[4, 0x7f]),
            payload: ByteBuf::from(*b"payload"),
        }
    }

    #[test]
    fn each_field_counts_in_the_hash_of_an_entry() {
        let original = entry_hash(7, &entry());
        assert_eq!(original, entry_hash(7, &entry()));
        let mut hashes = vec![original, entry_hash(8, &entry())];
        let changes: [fn(&mut Entry); 6] = [
            |one| one.index = 9,
            |one| one.kind = EntryKind::Commit,
            |one| one.epoch = 9,
            |one| one.at_ns = 9,
            |one| one.sender = Principal::from_slice(&[5, 0x7f]),
            |one| one.payload = ByteBuf::from(*b"payloae"),
        ];
        for change in changes {
            let mut other = entry();
            change(&mut other);
            hashes.push(entry_hash(7, &other));
        }
        let all = hashes.len();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), all);
    }

    #[test]
    fn authenticated_data_is_read_as_it_was_written_and_nothing_else_is() {
        let authenticated = Authenticated {
            id: [5; 16],
            size: 258,
            root: [9; 32],
        };
        let bytes = authenticated.to_bytes();
        assert_eq!(Authenticated::from_bytes(&bytes), Some(authenticated));
        assert_eq!(Authenticated::from_bytes(&bytes[1..]), None);
        assert_eq!(
            Authenticated::from_bytes(&[&bytes[..], &[0]].concat()),
            None
        );
        let mut other = bytes;
        other[0] = 2;
        assert_eq!(Authenticated::from_bytes(&other), None);
    }
}
