//! The log of a conversation: what was sent, in the order in which it was accepted, under one RFC 9162 tree.
//!
//! ```text
//! entry   kind u8 │ epoch u64 │ at_ns u64 │ length u8 │ sender │ payload       numbers big-endian
//! ```
//!
//! Invariant: the head in the conversation's certified leaf is of these entries.
//!
//! Cost: an entry is one write, its tile another one; a page reads its entries, and proves them by one consistency proof.

use candid::Principal;
use ic_stable_structures::Memory;
use indus_api::{
    Error,
    messaging::{Conversation, Entry, EntryKind, MAX_ENTRIES, MAX_PAGE_BYTES, Receipt, entry_hash},
};
use indus_certified::Head;
use indus_kit::{Context, codes::internal, text::invalid};
use serde_bytes::ByteBuf;

use crate::state::{DAMAGED, State, not_found};

/// Bytes of an entry before its sender.
const FIXED: usize = 1 + 8 + 8 + 1;

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

/// Takes an entry into the tree of its log, and gives its receipt. It counts once the head is certified; [`keep`] has to follow.
pub(crate) fn append<M: Memory>(
    state: &mut State<M>,
    conversation: u64,
    head: &mut Head,
    entry: &Entry,
) -> Receipt {
    let hash = entry_hash(conversation, entry);
    state.logs.append(conversation, head, &hash);
    receipt(conversation, entry, hash)
}

/// Keeps an entry, when its event is recorded.
pub(crate) fn keep<M: Memory>(state: &mut State<M>, conversation: u64, entry: &Entry) {
    let sender = entry.sender.as_slice();
    let mut bytes = Vec::with_capacity(FIXED + sender.len() + entry.payload.len());
    bytes.push(number(entry.kind));
    bytes.extend(entry.epoch.to_be_bytes());
    bytes.extend(entry.at_ns.to_be_bytes());
    // A principal has at most 29 bytes.
    bytes.push(u8::try_from(sender.len()).unwrap_or(u8::MAX));
    bytes.extend(sender);
    bytes.extend(entry.payload.iter());
    state.entries.insert((conversation, entry.index), bytes);
}

/// The receipt of an entry that is there.
pub(crate) fn receipt_of<M: Memory>(
    state: &State<M>,
    conversation: u64,
    index: u64,
) -> Result<(Entry, Receipt), Error> {
    let entry = read(state, conversation, index)?;
    let hash = entry_hash(conversation, &entry);
    let receipt = receipt(conversation, &entry, hash);
    Ok((entry, receipt))
}

/// An entry.
pub(crate) fn read<M: Memory>(
    state: &State<M>,
    conversation: u64,
    index: u64,
) -> Result<Entry, Error> {
    let stored = state
        .entries
        .get(&(conversation, index))
        .ok_or_else(|| not_found("entry", index))?;
    decode(index, &stored).ok_or_else(|| internal(DAMAGED))
}

/// Entries from one on, at most `limit` and [`MAX_PAGE_BYTES`], at least one of those that there are.
///
/// # Errors
/// [`Error::Invalid`] for the limit.
pub fn page<M: Memory>(
    state: &State<M>,
    conversation: u64,
    from: u64,
    limit: u32,
) -> Result<Vec<Entry>, Error> {
    if !(1..=MAX_ENTRIES).contains(&limit) {
        return Err(invalid("limit", format!("must be 1 to {MAX_ENTRIES}")));
    }
    let mut entries = Vec::new();
    let mut bytes = 0;
    let range = (conversation, from)..=(conversation, u64::MAX);
    for stored in state.entries.range(range).take(limit as usize) {
        let (_, index) = *stored.key();
        let stored = stored.value();
        bytes += stored.len();
        if bytes > MAX_PAGE_BYTES && !entries.is_empty() {
            break;
        }
        entries.push(decode(index, &stored).ok_or_else(|| internal(DAMAGED))?);
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

fn number(kind: EntryKind) -> u8 {
    match kind {
        EntryKind::Created => 0,
        EntryKind::Commit => 1,
        EntryKind::Message => 2,
    }
}

fn decode(index: u64, stored: &[u8]) -> Option<Entry> {
    let (kind, rest) = stored.split_first()?;
    let (epoch, rest) = rest.split_first_chunk()?;
    let (at_ns, rest) = rest.split_first_chunk()?;
    let (length, rest) = rest.split_first()?;
    let (sender, payload) = rest.split_at_checked(usize::from(*length))?;
    Some(Entry {
        index,
        kind: match kind {
            0 => EntryKind::Created,
            1 => EntryKind::Commit,
            2 => EntryKind::Message,
            _ => return None,
        },
        epoch: u64::from_be_bytes(*epoch),
        at_ns: u64::from_be_bytes(*at_ns),
        sender: Principal::try_from_slice(sender).ok()?,
        payload: ByteBuf::from(payload),
    })
}

#[cfg(test)]
mod tests {
    use ic_stable_structures::VectorMemory;
    use indus_api::messaging::{Configuration, InitArgs};

    use super::*;

    #[test]
    fn entries_are_kept_as_they_are() {
        let canister = |n: u8| Principal::from_slice(&[n, 1, 1]);
        let context = Context {
            caller: canister(9),
            time_ns: 7,
        };
        let args = InitArgs {
            identity: canister(1),
            registry: canister(2),
            configuration: Configuration::default(),
        };
        let memory = VectorMemory::default();
        let mut state = State::create(memory, &context, canister(3), args).expect("a state");
        let kinds = [EntryKind::Created, EntryKind::Commit, EntryKind::Message];
        let entries: Vec<Entry> = (0..)
            .zip(kinds)
            .zip([(1, 0), (11, 1_000), (29, 2_000)])
            .map(|((index, kind), (sender, payload))| Entry {
                index,
                kind,
                epoch: 300 + index,
                at_ns: u64::MAX - index,
                sender: Principal::from_slice(&[1; 29][..sender]),
                payload: ByteBuf::from(vec![5; payload]),
            })
            .collect();
        for entry in &entries {
            keep(&mut state, 1, entry);
        }
        assert_eq!(page(&state, 1, 0, 100), Ok(entries.clone()));
        assert_eq!(page(&state, 1, 1, 1), Ok(entries[1..2].to_vec()));
        assert_eq!(page(&state, 2, 0, 100), Ok(vec![]));
        assert_eq!(read(&state, 1, 2), Ok(entries[2].clone()));
    }
}
