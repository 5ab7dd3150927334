//! The log of a conversation: what was sent, in the order in which it was accepted, under one RFC 9162 tree.
//!
//! ```text
//! entry   kind u8 │ epoch u64 │ at_ns u64 │ length u8 │ sender │ payload       numbers big-endian
//! ```
//!
//! What a message begins with follows from the group and the epoch, so it isn't kept: see `SHORT`.
//!
//! Invariant: the head in the conversation's certified leaf is of these entries.
//!
//! Cost: an entry is one write, its leaf another one; a page reads its entries, and proves them by one consistency proof.

use candid::Principal;
use ic_stable_structures::Memory;
use indus_api::{
    Error,
    messaging::{
        Conversation, Entry, EntryKind, MAX_ENTRIES, MAX_PAGE_BYTES, Receipt, entry_to_hash,
    },
};
use indus_certified::{Head, sha256::digest};
use indus_kit::{
    Context,
    codes::{MEMORY_FULL, internal},
    text::invalid,
};
use indus_mls::message::application_header;
use serde_bytes::ByteBuf;

use crate::state::{DAMAGED, State, not_found};

/// Bytes of an entry before its sender.
const FIXED: usize = 1 + 8 + 8 + 1;
/// Stored kind of a message without its [`application_header`].
const SHORT: u8 = 3;

/// The head of a conversation's log.
pub(crate) fn head(conversation: &Conversation) -> Result<Head, Error> {
    Head::from_bytes(&conversation.head).ok_or_else(|| internal(DAMAGED))
}

/// An entry that comes next in a log with this head.
pub(crate) fn next(
    context: &Context,
    head: &Head,
    kind: EntryKind,
    epoch: u64,
    sender: Principal,
    payload: ByteBuf,
) -> Entry {
    Entry {
        index: head.size(),
        kind,
        epoch,
        at_ns: context.time_ns,
        sender,
        payload,
    }
}

/// Takes an entry into the log of the conversation that has this group, and gives its receipt. It counts once the head is certified.
///
/// # Errors
/// [`Error::Internal`] if stable memory is full; nothing has changed then.
pub(crate) fn append<M: Memory>(
    state: &mut State<M>,
    (conversation, group_id): (u64, &[u8]),
    head: &mut Head,
    entry: &Entry,
) -> Result<Receipt, Error> {
    let hash = hash(conversation, entry);
    let appended = state
        .logs
        .append(conversation, head, &hash, &encode(group_id, entry));
    appended.map_err(|_| internal(MEMORY_FULL))?;
    Ok(receipt(conversation, entry, hash))
}

/// The receipt of an entry that is there.
pub(crate) fn receipt_of(conversation: u64, entry: &Entry) -> Receipt {
    receipt(conversation, entry, hash(conversation, entry))
}

/// An entry, if there is one.
pub(crate) fn find<M: Memory>(
    state: &State<M>,
    (conversation, group_id): (u64, &[u8]),
    head: &Head,
    index: u64,
) -> Result<Option<Entry>, Error> {
    let stored = state.logs.payload(conversation, head, index);
    stored
        .map(|stored| decode(group_id, index, &stored).ok_or_else(|| internal(DAMAGED)))
        .transpose()
}

/// An entry.
pub(crate) fn read<M: Memory>(
    state: &State<M>,
    conversation: u64,
    index: u64,
) -> Result<Entry, Error> {
    let head = head(&state.conversation(conversation)?)?;
    let group = state.group(conversation)?;
    find(state, (conversation, &group.mls.group_id), &head, index)?
        .ok_or_else(|| not_found("entry", index))
}

/// Entries from one on, at most `limit` and [`MAX_PAGE_BYTES`], at least one of those that there are.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Invalid`] for the limit.
pub fn page<M: Memory>(
    state: &State<M>,
    conversation: u64,
    from: u64,
    limit: u32,
) -> Result<Vec<Entry>, Error> {
    if !(1..=MAX_ENTRIES).contains(&limit) {
        return Err(invalid("limit", format!("must be 1 to {MAX_ENTRIES}")));
    }
    let head = head(&state.conversation(conversation)?)?;
    let group = state.group(conversation)?;
    let mut entries = Vec::new();
    let mut bytes = 0;
    let stored = state.logs.payloads(conversation, &head, from);
    for (index, stored) in (from..).zip(stored).take(limit as usize) {
        bytes += stored.len();
        if bytes > MAX_PAGE_BYTES && !entries.is_empty() {
            break;
        }
        let entry = decode(&group.mls.group_id, index, &stored);
        entries.push(entry.ok_or_else(|| internal(DAMAGED))?);
    }
    Ok(entries)
}

/// The proof from the end of a page of a conversation to its whole log.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Invalid`] for a page that begins behind the end.
pub fn proof<M: Memory>(
    state: &State<M>,
    conversation: u64,
    until: u64,
) -> Result<Vec<[u8; 32]>, Error> {
    let head = head(&state.conversation(conversation)?)?;
    consistency(state, conversation, &head, until)
}

/// The proof from the end of a page to the whole log.
///
/// # Errors
/// [`Error::Invalid`] for a page that begins behind the end.
pub(crate) fn consistency<M: Memory>(
    state: &State<M>,
    log: u64,
    head: &Head,
    until: u64,
) -> Result<Vec<[u8; 32]>, Error> {
    let size = head.size();
    let proof = state.logs.consistency(log, head, until, size);
    proof.map_err(|_| invalid("from", format!("must be at most {size}")))
}

fn receipt(conversation: u64, entry: &Entry, hash: [u8; 32]) -> Receipt {
    Receipt {
        conversation,
        index: entry.index,
        epoch: entry.epoch,
        at_ns: entry.at_ns,
        entry_hash: ByteBuf::from(hash),
    }
}

fn hash(conversation: u64, entry: &Entry) -> [u8; 32] {
    let payload = digest(&entry.payload);
    digest(&entry_to_hash(conversation, entry, &payload))
}

fn encode(group_id: &[u8], entry: &Entry) -> Vec<u8> {
    let header = application_header(group_id, entry.epoch);
    let short = match entry.kind {
        EntryKind::Message => entry.payload.strip_prefix(&*header),
        EntryKind::Created | EntryKind::Commit => None,
    };
    let (kind, payload) = match (short, entry.kind) {
        (Some(short), _) => (SHORT, short),
        (None, EntryKind::Created) => (0, &**entry.payload),
        (None, EntryKind::Commit) => (1, &**entry.payload),
        (None, EntryKind::Message) => (2, &**entry.payload),
    };
    let sender = entry.sender.as_slice();
    let mut bytes = Vec::with_capacity(FIXED + sender.len() + payload.len());
    bytes.push(kind);
    bytes.extend(entry.epoch.to_be_bytes());
    bytes.extend(entry.at_ns.to_be_bytes());
    // A principal has at most 29 bytes.
    bytes.push(u8::try_from(sender.len()).unwrap_or(u8::MAX));
    bytes.extend(sender);
    bytes.extend(payload);
    bytes
}

fn decode(group_id: &[u8], index: u64, stored: &[u8]) -> Option<Entry> {
    let (kind, rest) = stored.split_first()?;
    let (epoch, rest) = rest.split_first_chunk()?;
    let (at_ns, rest) = rest.split_first_chunk()?;
    let (length, rest) = rest.split_first()?;
    let (sender, payload) = rest.split_at_checked(usize::from(*length))?;
    let epoch = u64::from_be_bytes(*epoch);
    let (kind, mut header) = match *kind {
        0 => (EntryKind::Created, Vec::new()),
        1 => (EntryKind::Commit, Vec::new()),
        2 => (EntryKind::Message, Vec::new()),
        SHORT => (EntryKind::Message, application_header(group_id, epoch)),
        _ => return None,
    };
    header.extend(payload);
    Some(Entry {
        index,
        kind,
        epoch,
        at_ns: u64::from_be_bytes(*at_ns),
        sender: Principal::try_from_slice(sender).ok()?,
        payload: ByteBuf::from(header),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_kept_as_they_are_and_messages_without_what_follows_from_the_rest() {
        let kinds = [EntryKind::Created, EntryKind::Commit, EntryKind::Message];
        let (group_id, epoch) = (&[6; 16][..], 300);
        let header = application_header(group_id, epoch);
        let message = [&header[..], &[5; 500]].concat();
        let other = [&application_header(&[7; 16], epoch)[..], &[5; 500]].concat();
        for kind in kinds {
            for sender in [1, 11, 29] {
                for payload in [&[][..], &[5; 2_000], &header, &message, &other] {
                    let entry = Entry {
                        index: 7,
                        kind,
                        epoch,
                        at_ns: u64::MAX - 1,
                        sender: Principal::from_slice(&[1; 29][..sender]),
                        payload: ByteBuf::from(payload),
                    };
                    let stored = encode(group_id, &entry);
                    let short = kind == EntryKind::Message && payload.starts_with(&header);
                    let left_out = if short { header.len() } else { 0 };
                    assert_eq!(stored.len(), FIXED + sender + payload.len() - left_out);
                    assert_eq!(decode(group_id, 7, &stored), Some(entry));
                }
            }
        }
        assert_eq!(decode(group_id, 0, &[4; 40]), None);
        assert_eq!(decode(group_id, 0, &[]), None);
    }
}
