//! The log of a conversation: a message into it, a page out of it, the stable memory that it takes.

use std::sync::OnceLock;

use candid::{Decode, Encode};
use indus_api::{
    Error,
    messaging::{EntriesArgs, EntriesPage, EntryKind, MAX_ENTRIES, PostArgs, Receipt},
};
use messaging::posts;

use super::{
    device::{Device, Founder, Template},
    setting::{Draft, Live, SECOND_NS},
};

/// Devices in the conversation, of a person each.
const MEMBERS: u64 = 10;
/// Bytes that are written, before MLS.
const TEXT: usize = 500;
/// Messages that are certified together where they are laid out.
const TOGETHER: u64 = 1_000;
/// Messages that are posted: twenty of each member, who may send sixty at once.
const POSTED: u64 = 200;
/// Pages that are read, here and there.
const PAGES: u64 = 50;

/// What was measured at one length.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_field_names, reason = "what they are of")]
pub(crate) struct Figures {
    /// Instructions of a message.
    pub(crate) post: f64,
    /// Instructions of a page of 100 messages.
    pub(crate) fetch: f64,
    /// Bytes of that page, as a multiple of those of its payloads.
    pub(crate) fetch_ratio: f64,
    /// Stable bytes for each message.
    pub(crate) message_bytes: f64,
    /// The same without the audit log.
    pub(crate) message_bytes_log: f64,
}

/// The figures at 10,000 messages.
pub(crate) fn small() -> anyhow::Result<Figures> {
    static SMALL: OnceLock<Figures> = OnceLock::new();
    once(&SMALL, 10_000)
}

/// The figures at a million messages.
pub(crate) fn long() -> anyhow::Result<Figures> {
    static LONG: OnceLock<Figures> = OnceLock::new();
    once(&LONG, 1_000_000)
}

fn once(cell: &'static OnceLock<Figures>, messages: u64) -> anyhow::Result<Figures> {
    if let Some(known) = cell.get() {
        return Ok(*known);
    }
    let figures = measure(messages)?;
    eprintln!("bench: {messages} messages: {figures:?}");
    Ok(*cell.get_or_init(|| figures))
}

#[allow(clippy::cast_precision_loss, reason = "far below 2^53")]
fn measure(messages: u64) -> anyhow::Result<Figures> {
    let (mut draft, mut devices) = Draft::new(MEMBERS)?;
    let others = devices.split_off(1);
    let founder = devices.remove(0);
    let (id, mut founder) = draft.conversation(founder, &others)?;
    let template = founder.write(&[7; TEXT])?;
    let members = members(&founder, &others);
    let before = draft.bytes()?;
    for number in 0..messages {
        // Each member sends one a second, as fast as they may for long.
        draft.time_ns += SECOND_NS / MEMBERS;
        let (context, subject) = draft.calling(sender(&members, number));
        let args = post(id, &template, number);
        posts::post(&mut draft.state, &context, &subject, args)?;
        if number % TOGETHER == TOGETHER - 1 {
            draft.state.kit.certified.commit();
        }
    }
    draft.state.kit.certified.commit();
    let after = draft.bytes()?;
    let (grown, audit) = (after.0 - before.0, after.1 - before.1);
    eprintln!("bench: {messages} messages: {grown} bytes, {audit} of them of the audit log");

    let mut live = draft.begin()?;
    for member in &members {
        live.introduce(member)?;
    }
    let post = posted(&mut live, id, &template, &members, messages)?;
    let (fetch, fetch_ratio) = fetched(&live, id, members[1], messages)?;
    Ok(Figures {
        post,
        fetch,
        fetch_ratio,
        message_bytes: grown as f64 / messages as f64,
        message_bytes_log: (grown - audit) as f64 / messages as f64,
    })
}

fn members<'a>(founder: &'a Founder, others: &'a [Device]) -> Vec<&'a Device> {
    std::iter::once(&founder.device).chain(others).collect()
}

/// Everybody writes in turn.
fn sender<'a>(members: &[&'a Device], number: u64) -> &'a Device {
    let turn = number % members.len() as u64;
    // Less than there are members.
    members[usize::try_from(turn).unwrap_or(0)]
}

fn post(conversation: u64, template: &Template, number: u64) -> PostArgs {
    PostArgs {
        conversation,
        message: template.message(number),
    }
}

/// Instructions of a message into the log, which has so many.
#[allow(clippy::cast_precision_loss, reason = "far below 2^53")]
fn posted(
    live: &mut Live,
    id: u64,
    template: &Template,
    members: &[&Device],
    messages: u64,
) -> anyhow::Result<f64> {
    let mut before = 0;
    let mut last = None;
    for number in messages..=messages + POSTED {
        let argument = Encode!(&post(id, template, number))?;
        let caller = sender(members, number).caller;
        let receipt: Receipt = live.update(caller, "post_message", argument)?;
        if last.is_some_and(|last| receipt.index != last + 1) || receipt.index < messages {
            anyhow::bail!("a receipt: {receipt:?}");
        }
        // The first one is for the types.
        if last.is_none() {
            before = live.spent();
        }
        last = Some(receipt.index);
    }
    Ok((live.spent() - before) as f64 / POSTED as f64)
}

/// Instructions and bytes of a page of 100 messages, those to a byte of their payloads.
#[allow(clippy::cast_precision_loss, reason = "far below 2^53")]
fn fetched(live: &Live, id: u64, reader: &Device, messages: u64) -> anyhow::Result<(f64, f64)> {
    let (mut instructions, mut bytes, mut payloads) = (0, 0, 0);
    for page in 0..PAGES {
        // Of messages alone, which begin behind the conversation's first entries.
        let from = MEMBERS + page * (messages - u64::from(MAX_ENTRIES)) / PAGES;
        let args = EntriesArgs {
            conversation: id,
            from,
            limit: MAX_ENTRIES,
        };
        let before = live.spent();
        let reply = live.query(reader.caller, "entries", Encode!(&args)?)?;
        instructions += live.spent() - before;
        bytes += reply.len();
        let page = Decode!(&reply, Result<EntriesPage, Error>)??;
        let complete = page.entries.len() == MAX_ENTRIES as usize
            && (from..)
                .zip(&page.entries)
                .all(|(index, entry)| entry.index == index && entry.kind == EntryKind::Message);
        if !complete {
            anyhow::bail!("a page of {} entries from {from} on", page.entries.len());
        }
        payloads += page
            .entries
            .iter()
            .map(|one| one.payload.len())
            .sum::<usize>();
    }
    Ok((
        instructions as f64 / PAGES as f64,
        bytes as f64 / payloads as f64,
    ))
}
