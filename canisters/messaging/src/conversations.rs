//! Conversations: how they begin, who is in them, what their members read.
//!
//! Invariants:
//! - A group is in one conversation. Its creator's device is its first leaf, a messaging key of theirs that holds.
//! - Members read what is in a conversation, as long as they may be in it; of others nobody does.

use std::collections::BTreeMap;

use candid::Principal;
use ic_stable_structures::Memory;
use indus_api::{
    Error, Subject,
    messaging::{
        Conversation, ConversationRecord, ConversationView, CreateArgs, EntryKind,
        MAX_GROUP_ID_BYTES, MAX_MESSAGE_BYTES, MIN_GROUP_ID_BYTES, Member,
    },
    paging::{Page, PageArgs},
};
use indus_certified::Head;
use indus_kit::{Context, codes::internal, encoding, paging::PageRequest, text::invalid};
use indus_mls::{
    group::{self, Created, GroupState},
    tree::ratchet_tree,
};
use serde_bytes::ByteBuf;
use sha2::{Digest as _, Sha256};

use crate::{
    groups::{self, Tree},
    history,
    state::{CONVERSATION, CREATED, DAMAGED, Group, State, unauthorized},
};

/// Who holds messaging keys, as identity has just said: none for a key that does not hold.
pub type Holders = BTreeMap<[u8; 32], Option<Subject>>;

/// Seconds in the nanoseconds of a message's time.
pub(crate) fn seconds(context: &Context) -> u64 {
    context.time_ns / 1_000_000_000
}

/// The messaging key of the device that creates a conversation: identity has to be asked who holds it.
///
/// # Errors
/// [`Error::Invalid`] for a group that can't be one.
pub fn creator(context: &Context, args: &CreateArgs) -> Result<[u8; 32], Error> {
    read(context, args).map(|created| created.creator.signature_key)
}

/// Begins a conversation of the caller's device alone. Repeatable.
///
/// # Errors
/// [`Error::Unauthorized`] to whom the label does not admit, and for a key that is not the caller's; [`Error::Invalid`];
/// [`Error::AlreadyExists`] for a group that there is; [`Error::RateLimited`].
pub fn create<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    subject: &Subject,
    args: CreateArgs,
    holders: &Holders,
) -> Result<ConversationView, Error> {
    admits(args.label, subject)?;
    let created = read(context, &args)?;
    let key = created.creator.signature_key;
    if created.creator.identity != subject.person.as_slice() {
        return Err(invalid(
            "group_info",
            "its credential must be the caller's person",
        ));
    }
    admits(args.label, holder(holders, &key, subject.person)?)?;
    let group_hash: [u8; 32] = Sha256::digest(&created.state.group_id).into();
    if let Some(id) = state.group_ids.get(&group_hash) {
        let first = history::read(state, id, 0)?;
        if first.payload == args.group_info && first.sender == subject.person {
            return view(state, subject, id);
        }
        return Err(Error::AlreadyExists {
            what: "group".into(),
            id: hex::encode(group_hash),
        });
    }
    state.limits.take(context, None, 5)?;
    let id = CONVERSATION.len(&state.kit.certified) + 1;
    let mut head = Head::default();
    let entry = history::next(
        context,
        &head,
        EntryKind::Created,
        0,
        subject.person,
        args.group_info,
    );
    let place = (id, &created.state.group_id[..]);
    history::append(state, place, &mut head, &entry)?;
    let group = Group {
        width: created.width,
        leaves: 1,
        label: args.label,
        owner: subject.person,
        created_at_ns: context.time_ns,
        mls: created.state,
    };
    let record = ConversationRecord::V1(certified(id, &group.mls, &head));
    let stored = encoding::encode(&group).map_err(|_| internal(DAMAGED))?;
    let change = CONVERSATION.put(&id.to_be_bytes(), &record)?;
    state.record(context, CREATED, vec![change])?;
    state.groups.insert(id, stored);
    state.group_ids.insert(group_hash, id);
    groups::apply(state, id, 0, created.width, &created.changes);
    join(state, id, 0, subject.person, key);
    view(state, subject, id)
}

/// A conversation, for its members.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Unauthorized`].
pub fn view<M: Memory>(
    state: &State<M>,
    subject: &Subject,
    id: u64,
) -> Result<ConversationView, Error> {
    let group = of_member(state, subject, id)?;
    let members = state.members.range((id, 0)..=(id, u32::MAX));
    let members = members.map(|entry| {
        let ((_, leaf), (person, key)) = (*entry.key(), entry.value());
        Member {
            leaf,
            person,
            signature_key: ByteBuf::from(key),
        }
    });
    Ok(ConversationView {
        conversation: state.conversation(id)?,
        group_id: ByteBuf::from(group.mls.group_id),
        label: group.label,
        owner: group.owner,
        created_at_ns: group.created_at_ns,
        members: members.collect(),
    })
}

/// A page of the conversations that the caller's person is in, in the order of their ids.
///
/// # Errors
/// [`Error::Invalid`] for the limit.
pub fn list<M: Memory>(
    state: &State<M>,
    subject: &Subject,
    args: PageArgs<u64>,
) -> Result<Page<u64, Conversation>, Error> {
    let person = subject.person;
    let first = args.after.map_or(0, |id| id.saturating_add(1));
    let ids = state
        .conversations_of
        .keys_range((person, first)..=(person, u64::MAX));
    PageRequest::checked(args)?.answer(
        ids,
        |(_, id)| *id,
        |(_, id)| state.conversation(id).map(Some),
    )
}

/// The ratchet tree of the current epoch, for members: whoever joins needs it beside their Welcome.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Unauthorized`].
pub fn tree<M: Memory>(state: &State<M>, subject: &Subject, id: u64) -> Result<ByteBuf, Error> {
    let group = of_member(state, subject, id)?;
    let tree = Tree::new(state, id, group.width);
    Ok(ByteBuf::from(ratchet_tree(&tree)))
}

/// The group of a conversation, for a member who may be in it.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Unauthorized`].
pub(crate) fn of_member<M: Memory>(
    state: &State<M>,
    subject: &Subject,
    id: u64,
) -> Result<Group, Error> {
    let group = state.group(id)?;
    if !state.conversations_of.contains_key(&(subject.person, id)) {
        return Err(unauthorized("a member of the conversation"));
    }
    admits(group.label, subject)?;
    Ok(group)
}

/// Refuses whom a label does not admit.
pub(crate) fn admits(label: indus_api::messaging::Label, subject: &Subject) -> Result<(), Error> {
    if label.admits(subject) {
        Ok(())
    } else {
        Err(unauthorized(label.needs()))
    }
}

/// The holder of a messaging key, who must be this person.
pub(crate) fn holder<'a>(
    holders: &'a Holders,
    key: &[u8; 32],
    person: Principal,
) -> Result<&'a Subject, Error> {
    holders
        .get(key)
        .and_then(Option::as_ref)
        .filter(|holder| holder.person == person)
        .ok_or_else(|| unauthorized("a messaging key of that person which holds"))
}

/// That the conversation is in another epoch.
pub(crate) fn stale(epoch: u64) -> Error {
    Error::Stale {
        current: epoch.to_string(),
    }
}

/// What is certified of a group in this state.
pub(crate) fn certified(id: u64, mls: &GroupState, head: &Head) -> Conversation {
    Conversation {
        id,
        epoch: mls.epoch,
        tree_hash: ByteBuf::from(mls.tree_hash),
        confirmed_transcript_hash: ByteBuf::from(mls.confirmed_transcript_hash.clone()),
        head: ByteBuf::from(head.to_bytes()),
    }
}

/// Notes that a leaf is somebody's.
pub(crate) fn join<M: Memory>(
    state: &mut State<M>,
    id: u64,
    leaf: u32,
    person: Principal,
    key: [u8; 32],
) {
    state.members.insert((id, leaf), (person, key));
    let leaves = state.conversations_of.get(&(person, id)).unwrap_or(0);
    state.conversations_of.insert((person, id), leaves + 1);
}

/// Notes that a leaf is nobody's any more.
pub(crate) fn leave<M: Memory>(state: &mut State<M>, id: u64, leaf: u32) {
    let Some((person, _)) = state.members.remove(&(id, leaf)) else {
        return;
    };
    match state.conversations_of.get(&(person, id)) {
        Some(leaves) if leaves > 1 => {
            state.conversations_of.insert((person, id), leaves - 1);
        }
        _ => {
            state.conversations_of.remove(&(person, id));
        }
    }
}

fn read(context: &Context, args: &CreateArgs) -> Result<Created, Error> {
    if args.group_info.len() > MAX_MESSAGE_BYTES {
        let reason = format!("must be at most {MAX_MESSAGE_BYTES} bytes long");
        return Err(invalid("group_info", reason));
    }
    let created = group::create(&args.group_info, seconds(context))
        .map_err(|refused| invalid("group_info", refused.to_string()))?;
    let length = created.state.group_id.len();
    if !(MIN_GROUP_ID_BYTES..=MAX_GROUP_ID_BYTES).contains(&length) {
        let reason =
            format!("the group's id must have {MIN_GROUP_ID_BYTES} to {MAX_GROUP_ID_BYTES} bytes");
        return Err(invalid("group_info", reason));
    }
    Ok(created)
}
