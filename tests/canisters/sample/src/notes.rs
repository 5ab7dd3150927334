//! Notes, each with a stamp of the peer's.
//!
//! ```text
//! file: key in flight ─ stamp asked for, await ─► checked again, written with its stamp, key done
//! post: written, its stamp pending, key done ─ await ─► stamped; by timer, if the answer got lost
//! ```

use ic_stable_structures::Memory;
use indus_api::{
    Error,
    paging::{Page, PageArgs},
};
use indus_kit::{
    Context,
    idempotency::{Begin, Success, Ticket},
    paging::PageRequest,
    text,
};
use sha2::{Digest as _, Sha256};

use crate::{
    interface::{Note, NoteArgs, NoteRecord, Stamp, Wait},
    state::{NOTE, State, UnderWay, decoded, encoded},
};

/// A note was written.
pub const WRITTEN: &str = "note.written";
/// The peer has answered for a note.
pub const STAMPED: &str = "note.stamped";

/// The kind of pending operation that asks for a stamp. Its argument is one byte for [`Wait`], and the note's id.
pub const ASK_FOR_STAMP: u16 = 1;

const MAX_TITLE_BYTES: usize = 100;
/// Code of [`Error::Internal`]: the argument of a pending operation is none.
const NO_STAMP_OPERATION: u32 = 1_002;

/// What a call has to do: nothing but to answer again, or all of it.
pub enum Begun {
    Repeat(Note),
    New(Ticket, UnderWay),
}

/// Begins a call: checked, counted, its key in flight. `bytes` are the call's argument.
///
/// # Errors
/// [`Error::Unauthorized`], [`Error::Invalid`], [`Error::AlreadyExists`], [`Error::RateLimited`], [`Error::Conflict`].
pub fn begin<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    method: &str,
    args: &NoteArgs,
    bytes: &[u8],
) -> Result<Begun, Error> {
    text::name("title", &args.title, MAX_TITLE_BYTES)?;
    let begun = state
        .idempotency
        .begin(context, &args.idempotency_key, method, bytes)?;
    let ticket = match begun {
        Begin::Repeat(Success::Stored(note)) => return decoded(&note).map(Begun::Repeat),
        Begin::Repeat(Success::Elsewhere { .. }) => return Err(no_operation()),
        Begin::New(ticket) => ticket,
    };
    let entered = check(state, args)
        .and_then(|()| state.limits.take(context, None, 1))
        .and_then(|()| {
            state
                .under_way
                .enter((ticket.caller(), ticket.key().to_vec()))
        });
    match entered {
        Ok(under_way) => Ok(Begun::New(ticket, under_way)),
        Err(refused) => {
            state.idempotency.fail(&ticket)?;
            Err(refused)
        }
    }
}

/// What must hold before a call, and again after whatever it awaited.
fn check<M: Memory>(state: &State<M>, args: &NoteArgs) -> Result<(), Error> {
    if state.titles.contains_key(&args.title) {
        return Err(Error::AlreadyExists {
            what: "note".into(),
            id: args.title.clone(),
        });
    }
    Ok(())
}

/// Ends a call that was begun: writes the note with the peer's stamp, if everything still holds; or forgets the key.
///
/// # Errors
/// That of the peer; [`Error::AlreadyExists`] if somebody was faster.
pub fn finish<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    args: NoteArgs,
    ticket: &Ticket,
    stamp: Result<u64, Error>,
) -> Result<Note, Error> {
    let written = stamp.and_then(|number| write(state, context, args, Stamp::Given(number)));
    match &written {
        Ok(note) => {
            let success = Success::Stored(encoded(note)?);
            state.idempotency.succeed(context, ticket, success)?;
        }
        Err(_) => state.idempotency.fail(ticket)?,
    }
    written
}

/// Writes the note with its stamp pending, in the message in which its key was begun. Returns the operation that asks for
/// the stamp.
///
/// # Errors
/// [`Error::LimitReached`] for too many operations; [`Error::Internal`].
pub fn post<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    args: NoteArgs,
    ticket: &Ticket,
) -> Result<(Note, u64), Error> {
    let wait = args.call;
    let argument = [&[wait as u8][..], &state.next_id(NOTE).to_be_bytes()].concat();
    let posted = state
        .pending
        .record(context.time_ns, ASK_FOR_STAMP, argument)
        .and_then(|operation| {
            let note = write(state, context, args, Stamp::Pending)?;
            Ok((note, operation))
        });
    match &posted {
        Ok((note, _)) => {
            let success = Success::Stored(encoded(note)?);
            state.idempotency.succeed(context, ticket, success)?;
        }
        Err(_) => state.idempotency.fail(ticket)?,
    }
    posted
}

/// The note that a pending operation is about, and how the peer is asked.
///
/// # Errors
/// [`Error::Internal`] for another argument.
pub fn operation(argument: &[u8]) -> Result<(u64, Wait), Error> {
    let (&[wait], id) = argument.split_first_chunk().ok_or_else(no_operation)?;
    let wait = if wait == Wait::Suite as u8 {
        Wait::Suite
    } else {
        Wait::Outside
    };
    let id = id.try_into().map_err(|_| no_operation())?;
    Ok((u64::from_be_bytes(id), wait))
}

/// Takes in what the peer answered for a note.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Internal`].
pub fn stamped<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    id: u64,
    answer: Result<u64, Error>,
) -> Result<(), Error> {
    let stamp = answer.map_or_else(Stamp::Refused, Stamp::Given);
    let note = Note {
        stamp,
        ..get(state, id)?
    };
    state.put(context, STAMPED, NOTE, key(id), &NoteRecord::V1(note))
}

/// A note.
///
/// # Errors
/// [`Error::NotFound`].
pub fn get<M: Memory>(state: &State<M>, id: u64) -> Result<Note, Error> {
    let bytes = state.kit.certified.get(NOTE, &key(id));
    let NoteRecord::V1(note) = decoded(&bytes.ok_or_else(|| Error::NotFound {
        what: "note".into(),
        id: id.to_string(),
    })?)?;
    Ok(note)
}

/// A page of notes, in the order of their ids.
///
/// # Errors
/// [`Error::Invalid`] for the limit.
pub fn list<M: Memory>(state: &State<M>, args: PageArgs<u64>) -> Result<Page<u64, Note>, Error> {
    let after = args.after.map(u64::to_be_bytes);
    let notes = state.kit.certified.collection(NOTE);
    let entries = notes.after(after.as_ref().map(|after| &after[..]));
    let read = entries.map(|(_, record)| decoded(&record).map(|NoteRecord::V1(note)| note));
    PageRequest::checked(args)?.answer(
        read,
        |note| note.as_ref().map_or(0, |note| note.id),
        |note| note.map(Some),
    )
}

/// By which the peer knows a call that is made again: SHA-256 over the caller's length, the caller and the key.
#[must_use]
pub fn operation_key(ticket: &Ticket) -> Vec<u8> {
    let caller = ticket.caller();
    Sha256::new()
        .chain_update((caller.as_slice().len() as u64).to_be_bytes())
        .chain_update(caller.as_slice())
        .chain_update(ticket.key())
        .finalize()
        .to_vec()
}

/// Writes a new note.
///
/// # Errors
/// [`Error::AlreadyExists`], [`Error::Internal`].
pub fn write<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    args: NoteArgs,
    stamp: Stamp,
) -> Result<Note, Error> {
    check(state, &args)?;
    let note = Note {
        id: state.next_id(NOTE),
        author: context.caller,
        title: args.title.clone(),
        stamp,
    };
    let record = NoteRecord::V1(note.clone());
    state.put(context, WRITTEN, NOTE, key(note.id), &record)?;
    state.titles.insert(args.title, note.id);
    Ok(note)
}

fn key(id: u64) -> Vec<u8> {
    id.to_be_bytes().to_vec()
}

fn no_operation() -> Error {
    indus_kit::codes::internal(NO_STAMP_OPERATION)
}
