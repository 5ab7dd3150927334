//! Commits: one for each epoch, with all that belongs to the step.
//!
//! ```text
//! commit of an earlier epoch ──► Stale, with the winning one
//! commit ── MLS: signed by a member's leaf, tree and transcript follow ── policy: who may add and remove whom ──► next epoch
//! ```
//!
//! Policy: the owner adds and removes others; everybody their own devices. Who is added holds the messaging key of their leaf, and the
//! conversation's label admits them.
//!
//! Invariants:
//! - An epoch has one accepted commit. Whoever repeats it gets its receipt again.
//! - Everybody who is added gets a Welcome with their secret, in the same message.
//!
//! Cost: that of [`indus_mls::commit`], and a welcome for each who is added.

use candid::Principal;
use ic_stable_structures::Memory;
use indus_api::{
    Error, Subject,
    messaging::{
        CommitArgs, CommitOutcome, ConversationRecord, Entry, EntryKind, MAX_ADDED,
        MAX_COMMIT_BYTES, MAX_ENTRIES, MAX_LEAVES,
    },
};
use indus_kit::{Context, codes::internal, encoding, text::invalid};
use indus_mls::{
    MlsError, Welcome,
    commit::{Commit, Proposal},
    group::{Accepted, commit},
    message::CommitMessage,
};
use serde_bytes::ByteBuf;

use crate::{
    conversations::{self, Holders, seconds, stale},
    groups::{self, Tree},
    history, inboxes,
    state::{COMMITTED, CONVERSATION, DAMAGED, Group, State, conflict, unauthorized},
};

/// What has to be asked of identity before [`submit`]: the messaging keys of the committer and of everybody who is added; none for
/// a commit that will not be accepted anyway.
///
/// # Errors
/// Those of [`submit`] that don't depend on who holds a key.
pub fn keys<M: Memory>(
    state: &State<M>,
    subject: &Subject,
    args: &CommitArgs,
) -> Result<Vec<[u8; 32]>, Error> {
    let id = args.conversation;
    let group = conversations::of_member(state, subject, id)?;
    check_size(args)?;
    let message = header(&group, args)?;
    let current = group.mls.epoch;
    if message.epoch > current {
        return Err(stale(current));
    }
    if message.epoch < current {
        return Ok(Vec::new());
    }
    // Not verified yet: what is asked about decides nothing by itself.
    let commit = Commit::from_bytes(message.commit)
        .map_err(|refused| invalid("commit", refused.to_string()))?;
    let added = commit
        .proposals
        .iter()
        .filter_map(|proposal| match proposal {
            Proposal::Add(package) => Some(*package.signature_key()),
            Proposal::Remove(_) => None,
        });
    let mut keys: Vec<[u8; 32]> = added.collect();
    if keys.len() > MAX_ADDED {
        return Err(crate::limit(MAX_ADDED, "devices that one commit adds"));
    }
    let sender = state.members.get(&(id, message.sender));
    let (_, key) = sender.ok_or_else(|| invalid("commit", "its sender is no member"))?;
    keys.push(key);
    Ok(keys)
}

/// Takes a commit of the caller's.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Unauthorized`] to who is no member, or may not do this; [`Error::Invalid`] for what is wrong in the
/// messages; [`Error::Conflict`] for somebody who is in already; [`Error::LimitReached`]; [`Error::RateLimited`].
pub fn submit<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    subject: &Subject,
    args: CommitArgs,
    holders: &Holders,
) -> Result<CommitOutcome, Error> {
    let id = args.conversation;
    let mut group = conversations::of_member(state, subject, id)?;
    check_size(&args)?;
    let epoch = header(&group, &args)?.epoch;
    let current = group.mls.epoch;
    if epoch > current {
        return Err(stale(current));
    }
    if epoch < current {
        return late(state, subject, &args, epoch, current);
    }
    let accepted = verify(state, context, &group, &args)?;
    check_policy(state, subject, &group, id, &accepted, holders)?;
    let welcome = welcome(args.welcome.as_ref(), &accepted)?;
    let welcomes = slices(welcome.as_ref(), &accepted)?;
    let devices = accepted
        .added
        .iter()
        .map(|added| {
            let person = person(added.identity())?;
            inboxes::find(state, person, added.signature_key())
                .ok_or_else(|| conflict("whoever is added has to have uploaded a key package"))
        })
        .collect::<Result<Vec<u64>, Error>>()?;
    state.limits.take(context, Some(id), 2)?;

    let conversation = state.conversation(id)?;
    let mut head = history::head(&conversation)?;
    let entry = history::next(
        context,
        &head,
        EntryKind::Commit,
        epoch,
        subject.person,
        args.commit,
    );
    let receipt = history::append(state, (id, &group.mls.group_id), &mut head, &entry)?;
    let next = accepted.state.epoch;
    let record = ConversationRecord::V1(conversations::certified(id, &accepted.state, &head));
    let mut changes = vec![CONVERSATION.put(&id.to_be_bytes(), &record)?];
    let into = inboxes::Into {
        conversation: id,
        epoch: next,
        head: &head.to_bytes(),
        end: &welcome.as_ref().map(Welcome::shared).unwrap_or_default(),
    };
    for (device, welcome) in devices.into_iter().zip(welcomes) {
        let change = inboxes::arriving(state, context, device, into, welcome)?;
        changes.push(change);
    }
    let width_before = group.width;
    group.leaves = leaves(&group, &accepted);
    group.mls = accepted.state;
    group.width = accepted.width;
    let stored = encoding::encode(&group).map_err(|_| internal(DAMAGED))?;
    state.record(context, COMMITTED, changes)?;

    state.commits.insert((id, epoch), entry.index);
    state.groups.insert(id, stored);
    groups::apply(state, id, width_before, accepted.width, &accepted.changes);
    for removed in &accepted.removed {
        conversations::leave(state, id, removed.index);
    }
    for added in &accepted.added {
        let person = person(added.identity())?;
        conversations::join(state, id, added.index, person, *added.signature_key());
    }
    if welcome.is_some() {
        inboxes::keep(state, into);
    }
    Ok(CommitOutcome::Accepted(receipt))
}

/// What is said to a commit of an epoch that is over.
fn late<M: Memory>(
    state: &State<M>,
    subject: &Subject,
    args: &CommitArgs,
    epoch: u64,
    current: u64,
) -> Result<CommitOutcome, Error> {
    let id = args.conversation;
    let index = state
        .commits
        .get(&(id, epoch))
        .ok_or_else(|| internal(DAMAGED))?;
    let winner = history::read(state, id, index)?;
    if winner.payload == args.commit && winner.sender == subject.person {
        let receipt = history::receipt_of(id, &winner);
        return Ok(CommitOutcome::Accepted(receipt));
    }
    let entries: Vec<Entry> = history::page(state, id, index, MAX_ENTRIES)?;
    Ok(CommitOutcome::Stale {
        epoch: current,
        entries,
    })
}

fn check_size(args: &CommitArgs) -> Result<(), Error> {
    let welcome = args.welcome.as_ref().map_or(0, |welcome| welcome.len());
    if args.commit.len() + args.group_info.len() + welcome > MAX_COMMIT_BYTES {
        let reason =
            format!("must have at most {MAX_COMMIT_BYTES} bytes, with all that goes with it");
        return Err(invalid("commit", reason));
    }
    Ok(())
}

/// The commit, as far as it is read without the tree: of this group.
fn header<'a>(group: &Group, args: &'a CommitArgs) -> Result<CommitMessage<'a>, Error> {
    let message = CommitMessage::from_message(&args.commit)
        .map_err(|refused| invalid("commit", refused.to_string()))?;
    if message.group_id != group.mls.group_id {
        return Err(invalid("commit", "is of another group"));
    }
    Ok(message)
}

fn verify<M: Memory>(
    state: &State<M>,
    context: &Context,
    group: &Group,
    args: &CommitArgs,
) -> Result<Accepted, Error> {
    let tree = Tree::new(state, args.conversation, group.width);
    let accepted = commit(
        &group.mls,
        &tree,
        &args.commit,
        &args.group_info,
        seconds(context),
    );
    accepted.map_err(|refused| {
        let field = match refused {
            MlsError::GroupInfo(_) => "group_info",
            _ => "commit",
        };
        invalid(field, refused.to_string())
    })
}

fn check_policy<M: Memory>(
    state: &State<M>,
    subject: &Subject,
    group: &Group,
    id: u64,
    accepted: &Accepted,
    holders: &Holders,
) -> Result<(), Error> {
    let member = state.members.get(&(id, accepted.sender));
    let (sender, key) = member.ok_or_else(|| internal(DAMAGED))?;
    if sender != subject.person {
        return Err(unauthorized("the person whose leaf signed the commit"));
    }
    // Who has lost what the label asks for may be known otherwise for a minute; identity has just said so.
    let holder = conversations::holder(holders, &key, sender)?;
    conversations::admits(group.label, holder)?;
    let after = &accepted.sender_after;
    if after.signature_key != key || after.identity != sender.as_slice() {
        return Err(invalid(
            "commit",
            "it must not change its sender's key or credential",
        ));
    }
    let is_owner = sender == group.owner;
    for removed in &accepted.removed {
        let member = state.members.get(&(id, removed.index));
        let (person, _) = member.ok_or_else(|| internal(DAMAGED))?;
        if !is_owner && person != sender {
            return Err(unauthorized(
                "the conversation's owner, to remove somebody else",
            ));
        }
    }
    if leaves(group, accepted) > MAX_LEAVES {
        return Err(crate::limit(
            MAX_LEAVES as usize,
            "leaves of a conversation",
        ));
    }
    for added in &accepted.added {
        let person = person(added.identity())?;
        if !is_owner && person != sender {
            return Err(unauthorized(
                "the conversation's owner, to add somebody else",
            ));
        }
        let holder = conversations::holder(holders, added.signature_key(), person)?;
        conversations::admits(group.label, holder)?;
        let same = |leaf: u32| accepted.removed.iter().any(|removed| removed.index == leaf);
        let in_already = leaf_of(state, id, person, added.signature_key());
        if in_already.is_some_and(|leaf| !same(leaf)) {
            return Err(conflict("a device that is added is a member already"));
        }
    }
    let mut keys: Vec<_> = accepted
        .added
        .iter()
        .map(|added| *added.signature_key())
        .collect();
    keys.sort_unstable();
    if keys.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(conflict("a device is added twice"));
    }
    Ok(())
}

/// Leaves that are not blank, after a commit.
fn leaves(group: &Group, accepted: &Accepted) -> u32 {
    let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
    group
        .leaves
        .saturating_add(count(accepted.added.len()))
        .saturating_sub(count(accepted.removed.len()))
}

/// The leaf of a device.
fn leaf_of<M: Memory>(state: &State<M>, id: u64, person: Principal, key: &[u8; 32]) -> Option<u32> {
    // Most are in no leaf, which takes one look.
    state.conversations_of.get(&(person, id))?;
    let members = state.members.range((id, 0)..=(id, u32::MAX));
    members
        .filter(|entry| entry.value() == (person, *key))
        .map(|entry| entry.key().1)
        .next()
}

/// The Welcome of those who are added, if anybody is.
fn welcome<'a>(
    sent: Option<&'a ByteBuf>,
    accepted: &Accepted,
) -> Result<Option<Welcome<'a>>, Error> {
    let welcome = match sent {
        None if accepted.added.is_empty() => return Ok(None),
        None => return Err(wrong_welcome("is needed for those who are added")),
        Some(_) if accepted.added.is_empty() => return Err(wrong_welcome("is for nobody")),
        Some(welcome) => Welcome::from_message(welcome).map_err(wrong_welcome)?,
    };
    if welcome.references().count() != accepted.added.len() {
        return Err(wrong_welcome("must have one secret for each who is added"));
    }
    Ok(Some(welcome))
}

/// The Welcome of each who is added, in their order.
fn slices(welcome: Option<&Welcome<'_>>, accepted: &Accepted) -> Result<Vec<Vec<u8>>, Error> {
    let Some(welcome) = welcome else {
        return Ok(Vec::new());
    };
    let added = accepted.added.iter();
    added
        .map(|added| welcome.slice(&added.reference))
        .collect::<Result<_, _>>()
        .map_err(wrong_welcome)
}

fn wrong_welcome(reason: impl ToString) -> Error {
    invalid("welcome", reason.to_string())
}

fn person(identity: &[u8]) -> Result<Principal, Error> {
    Principal::try_from_slice(identity)
        .map_err(|_| invalid("commit", "a credential is no person's id"))
}
