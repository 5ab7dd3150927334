//! Messages: ordered, kept and proved; read by members alone.
//!
//! Invariants:
//! - A message is in the log once, however often it is sent: its id, in the authenticated data, stands for it.
//! - Its sender is a member who still may be one, its epoch the current one or one of the last [`PAST_EPOCHS`].
//!
//! Cost: O(log n); one event, one entry, one tile.

use ic_stable_structures::Memory;
use indus_api::{
    Error, Subject,
    messaging::{
        Authenticated, Conversation, ConversationRecord, EntryKind, MAX_MESSAGE_BYTES, PAST_EPOCHS,
        PostArgs, Receipt,
    },
};
use indus_kit::{Context, text::invalid};
use indus_mls::message::Application;
use serde_bytes::ByteBuf;

use crate::{
    conversations, history,
    state::{CONVERSATION, POSTED, State},
};

/// Takes a message of the caller's, or answers with the receipt that it got before.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Unauthorized`] to who is no member, or may be none any more; [`Error::Invalid`] for the message;
/// [`Error::Stale`] for an epoch that is over, or to come; [`Error::AlreadyExists`] for the id of another message;
/// [`Error::RateLimited`].
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
    let place = (id, authenticated.id);
    if let Some(index) = state.message_ids.get(&place) {
        let (entry, receipt) = history::receipt_of(state, id, index)?;
        if entry.payload == args.message && entry.sender == subject.person {
            return Ok(receipt);
        }
        return Err(Error::AlreadyExists {
            what: "message".into(),
            id: hex::encode(authenticated.id),
        });
    }
    if !(current.saturating_sub(PAST_EPOCHS)..=current).contains(&epoch) {
        return Err(conversations::stale(current));
    }
    let conversation = state.conversation(id)?;
    let mut head = history::head(&conversation)?;
    if authenticated.size > head.size() {
        return Err(invalid("message", "its head is of a log that there is not"));
    }
    state.limits.take(context, None, 1)?;
    let entry = history::next(
        context,
        &head,
        EntryKind::Message,
        epoch,
        subject.person,
        args.message,
    );
    let receipt = history::append(state, id, &mut head, &entry);
    let record = ConversationRecord::V1(Conversation {
        head: ByteBuf::from(head.to_bytes()),
        ..conversation
    });
    let change = CONVERSATION.put(&id.to_be_bytes(), &record)?;
    state.record(context, POSTED, vec![change])?;
    history::keep(state, id, &entry);
    state.message_ids.insert(place, entry.index);
    Ok(receipt)
}
