//! Messages: ordered, kept and proved; read by members alone.
//!
//! Invariants:
//! - A message is in the log once, however often it is sent: its id, in the authenticated data, stands for it.
//! - Its sender is a member who still may be one, its epoch the current one or one of the last [`PAST_EPOCHS`].
//!
//! Cost: O(log n); one event, one entry, one fingerprint.

use ic_stable_structures::Memory;
use indus_api::{
    Error, Subject,
    messaging::{
        Authenticated, Conversation, ConversationRecord, EntryKind, MAX_MESSAGE_BYTES,
        MESSAGE_ID_BYTES, PAST_EPOCHS, PostArgs, Receipt,
    },
};
use indus_kit::{Context, codes::internal, text::invalid};
use indus_mls::message::Application;
use serde_bytes::ByteBuf;

use crate::{
    conversations, history,
    state::{CONVERSATION, DAMAGED, POSTED, State},
};

/// Takes a message of the caller's, or answers with the receipt that it got before.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Unauthorized`] to who is no member, or may be none any more; [`Error::Invalid`] for the message;
/// [`Error::Stale`] for an epoch that is over, or to come; [`Error::AlreadyExists`] for the id of another message;
/// [`Error::RateLimited`]; [`Error::LimitReached`] for a log that is full.
pub fn post<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    subject: &Subject,
    args: PostArgs,
) -> Result<Receipt, Error> {
    let id = args.conversation;
    let group = conversations::of_member(state, subject, id)?;
    if args.message.len() > MAX_MESSAGE_BYTES {
        let reason = format!("must be at most {MAX_MESSAGE_BYTES} bytes long");
        return Err(invalid("message", reason));
    }
    let message = Application::from_message(&args.message)
        .map_err(|refused| invalid("message", refused.to_string()))?;
    if message.group_id != group.mls.group_id {
        return Err(invalid("message", "is of another group"));
    }
    let authenticated = Authenticated::from_bytes(message.authenticated_data).ok_or_else(|| {
        invalid(
            "message",
            "its authenticated data must be a message id and a head",
        )
    })?;
    let current = group.mls.epoch;
    let epoch = message.epoch;
    let conversation = state.conversation(id)?;
    let mut head = history::head(&conversation)?;
    let place = (id, &group.mls.group_id[..]);
    let fingerprint = fingerprint(state, id, &authenticated.id)?;
    for index in state.message_ids.get(fingerprint) {
        // Of this conversation or another one.
        let Some(entry) = history::find(state, place, &head, index.into())? else {
            continue;
        };
        if entry.kind != EntryKind::Message || id_of(&entry.payload) != Some(authenticated.id) {
            continue;
        }
        if entry.payload == args.message && entry.sender == subject.person {
            return Ok(history::receipt_of(id, &entry));
        }
        return Err(Error::AlreadyExists {
            what: "message".into(),
            id: hex::encode(authenticated.id),
        });
    }
    if !(current.saturating_sub(PAST_EPOCHS)..=current).contains(&epoch) {
        return Err(conversations::stale(current));
    }
    if authenticated.size > head.size() {
        return Err(invalid("message", "its head is of a log that there is not"));
    }
    let number = u32::try_from(head.size())
        .ok()
        .filter(|number| *number < u32::MAX)
        .ok_or_else(|| crate::limit(u32::MAX as usize, "entries of a conversation"))?;
    state.limits.take(context, None, 1)?;
    let entry = history::next(
        context,
        &head,
        EntryKind::Message,
        epoch,
        subject.person,
        args.message,
    );
    let receipt = history::append(state, place, &mut head, &entry)?;
    let record = ConversationRecord::V1(Conversation {
        head: ByteBuf::from(head.to_bytes()),
        ..conversation
    });
    let change = CONVERSATION.put(&id.to_be_bytes(), &record)?;
    state.record(context, POSTED, vec![change])?;
    state.message_ids.insert(fingerprint, number);
    Ok(receipt)
}

/// By which the index of a message is found: nobody else can make two ids that have the same one.
fn fingerprint<M: Memory>(
    state: &State<M>,
    conversation: u64,
    id: &[u8; MESSAGE_ID_BYTES],
) -> Result<u32, Error> {
    // One block of SHA-256 with the seed; there are never as many conversations as seven bytes count.
    let mut of = [0; 7 + MESSAGE_ID_BYTES];
    of[..7].copy_from_slice(&conversation.to_be_bytes()[1..]);
    of[7..].copy_from_slice(id);
    let key = state.randomness.key_of(&of);
    let [a, b, c, d, ..] = key.ok_or_else(|| internal(DAMAGED))?;
    Ok(u32::from_be_bytes([a, b, c, d]))
}

/// The id of a message that is in the log.
fn id_of(message: &[u8]) -> Option<[u8; MESSAGE_ID_BYTES]> {
    let message = Application::from_message(message).ok()?;
    Some(Authenticated::from_bytes(message.authenticated_data)?.id)
}
