//! Letters, which not everybody may read.

use ic_stable_structures::Memory;
use indus_api::{Error, Subject};
use indus_kit::{
    Context,
    idempotency::{Begin, Success, Ticket},
    subjects::{Owner, ReadRule, Subjects},
    text,
};
use serde_bytes::ByteBuf;

use crate::{
    interface::{CLERK, Letter, LetterArgs, LetterRecord},
    state::{LETTER, State, UnderWay, decoded},
};

/// A letter was kept.
pub const KEPT: &str = "letter.kept";
/// Bytes of a salt.
pub const SALT_BYTES: usize = 16;

const MAX_TEXT_BYTES: usize = 1_000;
/// Code of [`Error::Internal`]: what is kept of a success is no id.
const NO_LETTER_ID: u32 = 1_003;

/// What a call has to do.
pub enum Begun {
    Repeat(u64),
    New(Ticket, UnderWay),
}

/// Whose a letter is, from its bytes.
#[must_use]
pub fn owner(record: &[u8]) -> Option<Owner> {
    let LetterRecord::V1(letter) = decoded(record).ok()?;
    Some(owner_of(&letter))
}

fn owner_of(letter: &Letter) -> Owner {
    Owner {
        person: letter.person,
        organisation: letter.organisation,
    }
}

/// Begins a call of somebody known.
///
/// # Errors
/// [`Error::Invalid`], [`Error::RateLimited`], [`Error::Conflict`].
pub fn begin<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    subject: &Subject,
    args: &LetterArgs,
    bytes: &[u8],
) -> Result<Begun, Error> {
    text::name("text", &args.text, MAX_TEXT_BYTES)?;
    let begun = state
        .idempotency
        .begin(context, &args.idempotency_key, "keep_letter", bytes)?;
    let ticket = match begun {
        Begin::New(ticket) => ticket,
        Begin::Repeat(Success::Stored(id)) => {
            let id = id.try_into().map(u64::from_be_bytes);
            return id.map(Begun::Repeat).map_err(|_| no_id());
        }
        Begin::Repeat(Success::Elsewhere { .. }) => return Err(no_id()),
    };
    let entered = state
        .limits
        .take(context, subject.organisation, 1)
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

/// Ends a call that was begun: keeps the letter with its salt, and returns its id; or forgets the key.
///
/// # Errors
/// That of the salt; [`Error::Internal`].
pub fn finish<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    subject: &Subject,
    args: LetterArgs,
    ticket: &Ticket,
    salt: Result<[u8; SALT_BYTES], Error>,
) -> Result<u64, Error> {
    let kept = salt.and_then(|salt| {
        let id = state.next_id(LETTER);
        let letter = LetterRecord::V1(Letter {
            id,
            person: subject.person,
            organisation: subject.organisation,
            text: args.text,
            salt: ByteBuf::from(salt),
        });
        state.put(context, KEPT, LETTER, id.to_be_bytes().to_vec(), &letter)?;
        Ok(id)
    });
    match kept {
        Ok(id) => {
            let success = Success::Stored(id.to_be_bytes().to_vec());
            state.idempotency.succeed(context, ticket, success)?;
        }
        Err(_) => state.idempotency.fail(ticket)?,
    }
    kept
}

/// A letter, for those who may read it.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Unauthorized`], and [`Error::Unavailable`] for a caller who isn't known now.
pub fn read<M: Memory>(
    state: &State<M>,
    subjects: &impl Subjects,
    context: &Context,
    id: u64,
) -> Result<Letter, Error> {
    let bytes = state.kit.certified.get(LETTER, &id.to_be_bytes());
    let LetterRecord::V1(letter) = decoded(&bytes.ok_or_else(|| Error::NotFound {
        what: "letter".into(),
        id: id.to_string(),
    })?)?;
    ReadRule::OwnerOrRole(CLERK).check(&owner_of(&letter), subjects, context)?;
    Ok(letter)
}

fn no_id() -> Error {
    indus_kit::codes::internal(NO_LETTER_ID)
}
