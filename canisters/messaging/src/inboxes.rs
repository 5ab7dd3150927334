//! Devices, and the inboxes where their welcomes arrive: each a log of its own, so that a withheld welcome shows.
//!
//! ```text
//! welcome   conversation u64 │ epoch u64 │ at_ns u64 │ MLSMessage without its end       numbers big-endian
//! shared    length u16 │ head │ the end
//! ```
//!
//! A device is known here from its first key package on. What all welcomes of a commit end with is kept once: with the ratchet tree
//! of a large group in it, it is long.
//!
//! Invariant: the head in the inbox's certified leaf is of these welcomes.

use candid::Principal;
use ic_stable_structures::Memory;
use indus_api::{
    Error, Subject,
    messaging::{
        Device, Inbox, InboxRecord, MAX_ENTRIES, MAX_PAGE_BYTES, WelcomeEntry, WelcomesArgs,
        welcome_hash,
    },
};
use indus_certified::Head;
use indus_kit::{
    Change, Context,
    codes::{MEMORY_FULL, internal},
    text::invalid,
};
use serde_bytes::ByteBuf;

use crate::{
    packages,
    state::{DAMAGED, INBOX, State, inbox_log, not_found},
};

/// A page of an inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrived {
    pub welcomes: Vec<WelcomeEntry>,
    /// From the end of the page to the whole inbox.
    pub proof: Vec<[u8; 32]>,
    /// Key of the inbox in its collection.
    pub inbox: [u8; 32],
}

/// What a welcome leads into.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Into<'a> {
    pub(crate) conversation: u64,
    pub(crate) epoch: u64,
    /// Of the log, behind the commit.
    pub(crate) head: &'a [u8],
    /// What all welcomes end with.
    pub(crate) end: &'a [u8],
}

/// A device, by its person and messaging key.
pub(crate) fn find<M: Memory>(
    state: &State<M>,
    person: Principal,
    signature_key: &[u8; 32],
) -> Option<u64> {
    state.devices.get(&(person, *signature_key))
}

/// The devices of a person: messaging keys and numbers, at most [`MAX_DEVICES`](indus_api::messaging::MAX_DEVICES).
pub(crate) fn of_person<M: Memory>(state: &State<M>, person: Principal) -> Vec<([u8; 32], u64)> {
    let all = state
        .devices
        .range((person, [0; 32])..=(person, [0xff; 32]));
    all.map(|entry| (entry.key().1, entry.value())).collect()
}

/// Forgets a device whose key has ended: it is not bound again. Its welcomes stay in its inbox.
pub(crate) fn forget<M: Memory>(state: &mut State<M>, person: Principal, key: [u8; 32]) {
    state.devices.remove(&(person, key));
}

/// The devices of the caller's person, the latest last.
///
/// # Errors
/// [`Error::Internal`].
pub fn list<M: Memory>(state: &State<M>, subject: &Subject) -> Result<Vec<Device>, Error> {
    let mut devices = of_person(state, subject.person);
    devices.sort_unstable_by_key(|(_, device)| *device);
    devices
        .iter()
        .map(|(key, device)| {
            let (packages, has_last_resort) = packages::in_store(state, *device);
            Ok(Device {
                signature_key: ByteBuf::from(key),
                inbox: ByteBuf::from(place(state, *device)?),
                packages,
                has_last_resort,
            })
        })
        .collect()
}

/// A page of a device's welcomes.
///
/// # Errors
/// [`Error::NotFound`] for a device that is not the caller's; [`Error::Invalid`] for the limit.
pub fn welcomes<M: Memory>(
    state: &State<M>,
    subject: &Subject,
    args: &WelcomesArgs,
) -> Result<Arrived, Error> {
    if !(1..=MAX_ENTRIES).contains(&args.limit) {
        return Err(invalid("limit", format!("must be 1 to {MAX_ENTRIES}")));
    }
    let key = args.signature_key.as_slice().try_into().ok();
    let device = key
        .and_then(|key| find(state, subject.person, key))
        .ok_or_else(|| not_found("device", hex::encode(&args.signature_key)))?;
    let inbox = get(state, device)?;
    let head = head(&inbox)?;
    let mut welcomes = Vec::new();
    let mut bytes = 0;
    let log = inbox_log(device);
    let stored = state.logs.payloads(log, &head, args.from);
    for (index, stored) in (args.from..).zip(stored).take(args.limit as usize) {
        let welcome = decode(state, index, &stored).ok_or_else(|| internal(DAMAGED))?;
        bytes += welcome.welcome.len();
        if bytes > MAX_PAGE_BYTES && !welcomes.is_empty() {
            break;
        }
        welcomes.push(welcome);
    }
    let until = args.from.saturating_add(welcomes.len() as u64);
    let proof = crate::history::consistency(state, log, &head, until)?;
    Ok(Arrived {
        welcomes,
        proof,
        inbox: place(state, device)?,
    })
}

/// Takes a welcome into the log of a device's inbox, and gives the change that certifies it. [`keep`] has to follow.
///
/// # Errors
/// [`Error::Internal`].
pub(crate) fn arriving<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    device: u64,
    into: Into<'_>,
    welcome: Vec<u8>,
) -> Result<Change, Error> {
    let inbox = get(state, device)?;
    let mut head = head(&inbox)?;
    let entry = WelcomeEntry {
        index: head.size(),
        conversation: into.conversation,
        epoch: into.epoch,
        at_ns: context.time_ns,
        head: ByteBuf::from(into.head),
        welcome: ByteBuf::from(welcome),
    };
    let own = entry.welcome.strip_suffix(into.end).unwrap_or_default();
    let mut stored = Vec::with_capacity(24 + own.len());
    for number in [entry.conversation, entry.epoch, entry.at_ns] {
        stored.extend(number.to_be_bytes());
    }
    stored.extend(own);
    let hash = welcome_hash(&entry);
    let log = inbox_log(device);
    let appended = state.logs.append(log, &mut head, &hash, &stored);
    appended.map_err(|_| internal(MEMORY_FULL))?;
    let record = InboxRecord::V1(Inbox {
        head: ByteBuf::from(head.to_bytes()),
        ..inbox
    });
    INBOX.put(&place(state, device)?, &record)
}

/// Keeps what the welcomes into an epoch of a conversation have in common, when their event is recorded.
pub(crate) fn keep<M: Memory>(state: &mut State<M>, into: Into<'_>) {
    let Into { head, end, .. } = into;
    // A head has less than 10 + 64 * 32 bytes.
    let length = u16::try_from(head.len()).unwrap_or(u16::MAX).to_be_bytes();
    let shared = [&length[..], head, end].concat();
    let place = (into.conversation, into.epoch);
    state.shared_welcomes.insert(place, shared);
}

/// The change that gives a device an inbox, and its key: for [`added`] when the event is recorded.
pub(crate) fn adding<M: Memory>(
    state: &mut State<M>,
    person: Principal,
    signature_key: &[u8; 32],
) -> Result<(Change, [u8; 32]), Error> {
    let of = [person.as_slice(), signature_key].concat();
    let place = state
        .randomness
        .key_of(&of)
        .ok_or_else(|| internal(DAMAGED))?;
    let record = InboxRecord::V1(Inbox {
        person,
        signature_key: ByteBuf::from(*signature_key),
        head: ByteBuf::from(Head::default().to_bytes()),
        salt: state.randomness.salt()?,
    });
    Ok((INBOX.put(&place, &record)?, place))
}

/// Notes a new device, and gives its number.
pub(crate) fn added<M: Memory>(
    state: &mut State<M>,
    person: Principal,
    signature_key: [u8; 32],
    place: [u8; 32],
) -> u64 {
    let device = state.inbox_keys.len() + 1;
    state.inbox_keys.insert(device, place);
    state.devices.insert((person, signature_key), device);
    device
}

fn place<M: Memory>(state: &State<M>, device: u64) -> Result<[u8; 32], Error> {
    let place = state.inbox_keys.get(&device);
    place.ok_or_else(|| internal(DAMAGED))
}

fn get<M: Memory>(state: &State<M>, device: u64) -> Result<Inbox, Error> {
    let place = place(state, device)?;
    let record = INBOX.get(&state.kit.certified, &place)?;
    let InboxRecord::V1(inbox) = record.ok_or_else(|| internal(DAMAGED))?;
    Ok(inbox)
}

fn head(inbox: &Inbox) -> Result<Head, Error> {
    Head::from_bytes(&inbox.head).ok_or_else(|| internal(DAMAGED))
}

fn decode<M: Memory>(state: &State<M>, index: u64, stored: &[u8]) -> Option<WelcomeEntry> {
    let (conversation, rest) = stored.split_first_chunk()?;
    let (epoch, rest) = rest.split_first_chunk()?;
    let (at_ns, own) = rest.split_first_chunk()?;
    let (conversation, epoch) = (
        u64::from_be_bytes(*conversation),
        u64::from_be_bytes(*epoch),
    );
    let shared = state.shared_welcomes.get(&(conversation, epoch))?;
    let (length, rest) = shared.split_first_chunk()?;
    let (head, end) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    Some(WelcomeEntry {
        index,
        conversation,
        epoch,
        at_ns: u64::from_be_bytes(*at_ns),
        head: ByteBuf::from(head),
        welcome: ByteBuf::from([own, end].concat()),
    })
}
