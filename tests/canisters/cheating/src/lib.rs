//! `messaging`, upgraded by controllers who cheat: all of the real code, and two methods that falsify a log and certify what they did.
//!
//! The subnet vouches for the result, so only what clients remember and tell each other shows it.

#[path = "../../../../canisters/messaging/src/lib.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "there it is the root of a crate, and has tests"
)]
mod messaging;

// The real code names its parts from the root of its crate.
pub(crate) use messaging::*;

use candid::Principal;
use ic_cdk::update;
use indus_api::Error;
use indus_api::messaging::{Conversation, ConversationRecord, EntryKind};
use indus_certified::Head;
use indus_kit::{Context, shell};
use serde_bytes::ByteBuf;

use messaging::state::{CONVERSATION, POSTED};

/// Anybody: adds an entry to a conversation's log that nobody sent.
#[update(hidden)]
fn cheat_append(
    conversation: u64,
    kind: EntryKind,
    epoch: u64,
    sender: Principal,
    payload: ByteBuf,
) -> Result<(), Error> {
    shell::update(|state: &mut Messaging, context| {
        let known = state.conversation(conversation)?;
        let mut head = history::head(&known)?;
        let entry = history::next(context, &head, kind, epoch, sender, payload);
        let group = state.group(conversation)?;
        let place = (conversation, &group.mls.group_id[..]);
        history::append(state, place, &mut head, &entry)?;
        certify(state, context, known, &head)
    })
}

/// Anybody: makes a conversation's log anew, of some of its entries in another order.
#[update(hidden)]
fn cheat_rewrite(conversation: u64, order: Vec<u64>) -> Result<(), Error> {
    shell::update(|state: &mut Messaging, context| {
        let known = state.conversation(conversation)?;
        let entries = order
            .iter()
            .map(|index| history::read(state, conversation, *index))
            .collect::<Result<Vec<_>, _>>()?;
        let group = state.group(conversation)?;
        let place = (conversation, &group.mls.group_id[..]);
        let mut head = Head::default();
        for mut entry in entries {
            entry.index = head.size();
            history::append(state, place, &mut head, &entry)?;
        }
        certify(state, context, known, &head)
    })
}

fn certify(
    state: &mut Messaging,
    context: &Context,
    known: Conversation,
    head: &Head,
) -> Result<(), Error> {
    let id = known.id.to_be_bytes();
    let record = ConversationRecord::V1(Conversation {
        head: ByteBuf::from(head.to_bytes()),
        ..known
    });
    let change = CONVERSATION.put(&id, &record)?;
    state.record(context, POSTED, vec![change])
}
