//! What is kept in the store, and under which names.
//!
//! | name | record |
//! | --- | --- |
//! | `device` | [`Device`] |
//! | `founding` | [`Founding`]: a conversation that is being created |
//! | `packages` | key packages that are being uploaded |
//! | `inbox` | [`Log`] of the welcomes |
//! | `conversations` | their numbers |
//! | `conversation`, number | [`Kept`] |
//! | `roots`, conversation, size / 256 | roots of the log at sizes from there on, 32 bytes each |
//! | `message`, conversation, index | [`Message`] |
//! | `seen`, conversation, message id | index |
//! | `outgoing`, conversation, message id | [`Outgoing`] |
//! | `promised`, conversation, index | hash of the entry that a receipt promised |
//! | `alarms`; `alarm`, number; `evidence`, number | how many; [`Alarm`](crate::Alarm); [`Evidence`](crate::Evidence) |
//! | `mls` … | what openmls keeps |

use candid::Principal;
use indus_api::messaging::{CommitArgs, Label, MESSAGE_ID_BYTES};
use indus_verify::LogRoot;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::store::{Store, StoreError, name};

pub(crate) type MessageId = [u8; MESSAGE_ID_BYTES];

const DEVICE: &[u8] = b"device";
const FOUNDING: &[u8] = b"founding";
const PACKAGES: &[u8] = b"packages";
const INBOX: &[u8] = b"inbox";
const CONVERSATIONS: &[u8] = b"conversations";
/// Roots in one record.
const ROOTS: u64 = 256;
const ROOT_BYTES: usize = 32;

/// Whose device the store is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Device {
    /// The principal that calls come from.
    pub(crate) caller: Principal,
    pub(crate) person: Principal,
    pub(crate) messaging: Principal,
    pub(crate) identity: Principal,
    pub(crate) signature_key: ByteBuf,
    /// Key of its inbox, once it has one.
    pub(crate) inbox: Option<ByteBuf>,
    /// Whether identity has certified the key.
    pub(crate) is_bound: bool,
}

/// A conversation that is being created.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Founding {
    pub(crate) group_id: ByteBuf,
    pub(crate) label: Label,
    pub(crate) group_info: ByteBuf,
}

/// A log as far as it was verified.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Log {
    size: u64,
    peaks: Vec<[u8; 32]>,
    /// When the subnet certified the last thing that was verified of it.
    pub(crate) certified_at_ns: u64,
}

impl Log {
    pub(crate) fn new(root: &LogRoot, certified_at_ns: u64) -> Self {
        Self {
            size: root.size(),
            peaks: root.peaks().to_vec(),
            certified_at_ns,
        }
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn root(&self) -> Result<LogRoot, StoreError> {
        LogRoot::from_peaks(self.size, self.peaks.clone()).ok_or(StoreError::Record("a log"))
    }
}

/// A conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) group_id: ByteBuf,
    pub(crate) log: Log,
    /// From this size on, the roots of the log are kept.
    pub(crate) first: u64,
    /// The epoch that this device came in: what was encrypted before is not for it.
    pub(crate) first_epoch: u64,
    /// Whether this device is in the group, as far as it has followed it.
    pub(crate) is_active: bool,
    /// A commit that may have been sent.
    pub(crate) pending: Option<CommitArgs>,
    /// Messages that have no receipt yet, in their order.
    pub(crate) unsent: Vec<MessageId>,
    /// Up to where its messages were shown.
    pub(crate) shown: u64,
}

/// A message that was written here, until it is found in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Outgoing {
    pub(crate) text: String,
    /// MLSMessage.
    pub(crate) payload: ByteBuf,
}

/// What an entry was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// The conversation was created.
    Created,
    /// The group moved to another epoch: who was added, who was removed.
    Changed {
        added: Vec<Principal>,
        removed: Vec<Principal>,
    },
    Text(String),
    /// Encrypted before this device came, and taken after: not for it to read.
    Earlier,
    /// An alarm says why.
    Unreadable,
}

/// An entry of a conversation, verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    pub index: u64,
    /// When the canister took it.
    pub at_ns: u64,
    pub epoch: u64,
    /// The person whose device sent it.
    pub sender: Principal,
    pub what: What,
}

impl Store {
    pub(crate) fn device(&self) -> Result<Option<Device>, StoreError> {
        self.record(DEVICE, "the device")
    }

    pub(crate) fn put_device(&self, device: &Device) -> Result<(), StoreError> {
        self.put_record(DEVICE, device)
    }

    pub(crate) fn founding(&self) -> Result<Option<Founding>, StoreError> {
        self.record(FOUNDING, "a conversation that is being created")
    }

    pub(crate) fn put_founding(&self, founding: Option<&Founding>) -> Result<(), StoreError> {
        match founding {
            Some(founding) => self.put_record(FOUNDING, founding),
            None => {
                self.remove(FOUNDING);
                Ok(())
            }
        }
    }

    pub(crate) fn packages(&self) -> Result<Vec<ByteBuf>, StoreError> {
        Ok(self.record(PACKAGES, "key packages")?.unwrap_or_default())
    }

    pub(crate) fn put_packages(&self, packages: &Vec<ByteBuf>) -> Result<(), StoreError> {
        self.put_record(PACKAGES, packages)
    }

    pub(crate) fn inbox(&self) -> Result<Log, StoreError> {
        Ok(self.record(INBOX, "the inbox")?.unwrap_or_default())
    }

    pub(crate) fn put_inbox(&self, log: &Log) -> Result<(), StoreError> {
        self.put_record(INBOX, log)
    }

    pub(crate) fn conversations(&self) -> Result<Vec<u64>, StoreError> {
        let all = self.record(CONVERSATIONS, "the conversations")?;
        Ok(all.unwrap_or_default())
    }

    pub(crate) fn kept(&self, id: u64) -> Result<Option<Kept>, StoreError> {
        self.record(&name("conversation", &[id]), "a conversation")
    }

    pub(crate) fn put_kept(&self, id: u64, kept: &Kept) -> Result<(), StoreError> {
        let mut all = self.conversations()?;
        if !all.contains(&id) {
            all.push(id);
            all.sort_unstable();
            self.put_record(CONVERSATIONS, &all)?;
        }
        self.put_record(&name("conversation", &[id]), kept)
    }

    /// The root of a conversation's log at a size, if it is kept.
    pub(crate) fn root_at(
        &self,
        id: u64,
        kept: &Kept,
        size: u64,
    ) -> Result<Option<[u8; 32]>, StoreError> {
        if size < kept.first {
            return Ok(None);
        }
        let roots = self.get(&name("roots", &[id, size / ROOTS]))?;
        let at = usize::try_from(size % ROOTS).unwrap_or_default() * ROOT_BYTES;
        let root = roots
            .as_ref()
            .and_then(|roots| roots.get(at..)?.first_chunk());
        Ok(root.copied())
    }

    /// Keeps the root of a conversation's log at its size.
    pub(crate) fn put_root(&self, id: u64, log: &LogRoot) -> Result<(), StoreError> {
        let size = log.size();
        let name = name("roots", &[id, size / ROOTS]);
        let at = usize::try_from(size % ROOTS).unwrap_or_default() * ROOT_BYTES;
        let mut roots = self.get(&name)?.unwrap_or_default();
        roots.resize(at, 0);
        roots.extend(log.root());
        self.put(&name, roots);
        Ok(())
    }

    pub(crate) fn message(&self, id: u64, index: u64) -> Result<Option<Message>, StoreError> {
        self.record(&name("message", &[id, index]), "a message")
    }

    pub(crate) fn put_message(&self, id: u64, message: &Message) -> Result<(), StoreError> {
        self.put_record(&name("message", &[id, message.index]), message)
    }

    pub(crate) fn seen(&self, id: u64, of: &MessageId) -> Result<Option<u64>, StoreError> {
        self.record(&of_message("seen", id, of), "a message's id")
    }

    pub(crate) fn put_seen(&self, id: u64, of: &MessageId, index: u64) -> Result<(), StoreError> {
        self.put_record(&of_message("seen", id, of), &index)
    }

    pub(crate) fn outgoing(&self, id: u64, of: &MessageId) -> Result<Option<Outgoing>, StoreError> {
        self.record(&of_message("outgoing", id, of), "a message to be sent")
    }

    pub(crate) fn put_outgoing(
        &self,
        id: u64,
        of: &MessageId,
        outgoing: &Outgoing,
    ) -> Result<(), StoreError> {
        self.put_record(&of_message("outgoing", id, of), outgoing)
    }

    pub(crate) fn remove_outgoing(&self, id: u64, of: &MessageId) {
        self.remove(&of_message("outgoing", id, of));
    }

    /// The hash of the entry that a receipt promised for an index.
    pub(crate) fn promised(&self, id: u64, index: u64) -> Result<Option<Vec<u8>>, StoreError> {
        self.get(&name("promised", &[id, index]))
    }

    pub(crate) fn put_promised(&self, id: u64, index: u64, hash: &[u8]) {
        self.put(&name("promised", &[id, index]), hash.to_vec());
    }
}

fn of_message(kind: &str, id: u64, of: &MessageId) -> Vec<u8> {
    [&name(kind, &[id])[..], of].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_are_found_by_the_size_that_they_are_of() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store"), &[1; 32]).unwrap();
        let mut log = LogRoot::default();
        let mut roots = vec![log.root()];
        store.put_root(1, &log).unwrap();
        for n in 0..700_u32 {
            log.append(&[u8::try_from(n % 251).unwrap(); 32]);
            store.put_root(1, &log).unwrap();
            roots.push(log.root());
            if n % 100 == 0 {
                store.commit().unwrap();
            }
        }
        let mut kept = Kept {
            group_id: ByteBuf::new(),
            log: Log::new(&log, 0),
            first: 0,
            first_epoch: 0,
            is_active: true,
            pending: None,
            unsent: Vec::new(),
            shown: 0,
        };
        assert_eq!(kept.log.root().unwrap(), log);
        for (size, root) in (0..).zip(&roots) {
            assert_eq!(store.root_at(1, &kept, size).unwrap().as_ref(), Some(root));
        }
        assert_eq!(store.root_at(1, &kept, 701).unwrap(), None);
        assert_eq!(store.root_at(2, &kept, 1).unwrap(), None);
        kept.first = 300;
        assert_eq!(store.root_at(1, &kept, 299).unwrap(), None);
    }
}
