//! What this desk asks its peer and the subnet for, and what it does with the answers: all that awaits.

use candid::{CandidType, Principal};
use ic_stable_structures::{DefaultMemoryImpl, memory_manager::VirtualMemory};
use indus_api::{Error, Subject};
use indus_kit::{
    Context,
    calls::{
        Call, CallError, Canister as _,
        pending::{Operation, Outcome, Pending, Saga, attempt},
    },
    shell,
    subjects::{Subjects as _, cache},
    timers::Progress,
};
use serde::de::DeserializeOwned;
use serde_bytes::ByteBuf;

use crate::{
    Desk, SUBJECTS,
    interface::{Ending, LetterArgs, Note, NoteArgs, Point, Stamp, Wait},
    letters::{self, SALT_BYTES},
    notes, stamps, traps,
};

/// How the peer is called in errors.
pub(crate) const PEER: &str = "the peer";
/// How the management canister is called in errors.
const SUBNET: &str = "the subnet";
/// How long a key stays in flight though no call of it is under way, in nanoseconds: a minute.
const LOST_AFTER_NS: u64 = 60_000_000_000;

/// Asks the peer for a stamp, directly: what was checked before is checked again when it answers.
pub(crate) async fn file_note(args: NoteArgs, bytes: &[u8]) -> Result<Note, Error> {
    let (begun, peer) = shell::update(|desk: &mut Desk, context| {
        let begun = notes::begin(desk, context, "file_note", &args, bytes)?;
        Ok((begun, desk.peer()))
    })?;
    let (ticket, _under_way) = match begun {
        notes::Begun::Repeat(note) => return Ok(note),
        notes::Begun::New(ticket, under_way) => (ticket, under_way),
    };
    traps::at(Point::BeforeCall);
    let answer = ask_for_stamp(peer, notes::operation_key(&ticket), args.call).await;
    let at = match answer {
        Ok(_) => Point::Reply,
        Err(_) => Point::Rejection,
    };
    traps::at(at);
    // The peer knows the operation again, so whatever became of the call, it may be made once more.
    let stamp = answer.unwrap_or_else(|failed| Err(failed.of(PEER)));
    let note = shell::update(|desk: &mut Desk, context| {
        notes::finish(desk, context, args, &ticket, stamp)
    });
    if at == Point::Reply {
        traps::at(Point::ReplyRecorded);
    }
    note
}

/// Writes the note at once; its stamp comes now, or later.
pub(crate) async fn post_note(args: NoteArgs, bytes: &[u8]) -> Result<Note, Error> {
    let posted = shell::update(|desk: &mut Desk, context| {
        match notes::begin(desk, context, "post_note", &args, bytes)? {
            notes::Begun::Repeat(note) => Ok((note, None)),
            notes::Begun::New(ticket, _) => {
                let (note, operation) = notes::post(desk, context, args, &ticket)?;
                Ok((note, Some(operation)))
            }
        }
    });
    let (note, operation) = posted?;
    if let Some(operation) = operation {
        // What it couldn't do now, the timer does.
        let _later = attempt::<Desk>(operation).await;
    }
    Ok(note)
}

impl Saga for Desk {
    type Memory = VirtualMemory<DefaultMemoryImpl>;

    fn pending<T>(run: impl FnOnce(&mut Pending<Self::Memory>) -> T) -> T {
        shell::tick(|desk: &mut Desk, _| run(&mut desk.pending))
    }

    async fn perform(operation: Operation) -> Outcome {
        let Ok((id, wait)) = notes::operation(&operation.argument) else {
            return Outcome::Retry;
        };
        let peer = shell::tick(|desk: &mut Desk, _| desk.peer());
        traps::at(Point::BeforeCall);
        let Ok(answer) = ask_for_stamp(peer, operation.key().to_vec(), wait).await else {
            traps::at(Point::Rejection);
            return Outcome::Retry;
        };
        traps::at(Point::Reply);
        let recorded =
            shell::tick(|desk: &mut Desk, context| notes::stamped(desk, context, id, answer));
        traps::at(Point::ReplyRecorded);
        match recorded {
            Ok(()) => Outcome::Settled,
            Err(_) => Outcome::Retry,
        }
    }
}

async fn ask_for_stamp(
    peer: Principal,
    operation: Vec<u8>,
    wait: Wait,
) -> Result<Result<u64, Error>, CallError> {
    let call = Call::new(peer, "stamp", &ByteBuf::from(operation))?;
    let reply = match wait {
        Wait::Suite => call.suite::<Desk>().await?,
        Wait::Outside => call.outside::<Desk>().await?,
    };
    reply.candid()
}

/// Keeps a letter of somebody whom the peer knows, with a salt of the subnet's.
pub(crate) async fn keep_letter(args: LetterArgs, bytes: &[u8]) -> Result<u64, Error> {
    let context = shell::context();
    let subject = if SUBJECTS.with_borrow(|subjects| subjects.needs_fresh(&context, false)) {
        refresh_subject().await?
    } else {
        SUBJECTS.with_borrow(|subjects| subjects.subject(&context))?
    };
    let begun = shell::update(|desk: &mut Desk, context| {
        letters::begin(desk, context, &subject, &args, bytes)
    })?;
    let (ticket, _under_way) = match begun {
        letters::Begun::Repeat(id) => return Ok(id),
        letters::Begun::New(ticket, under_way) => (ticket, under_way),
    };
    let salt = salt().await;
    shell::update(|desk: &mut Desk, context| {
        letters::finish(desk, context, &subject, args, &ticket, salt)
    })
}

async fn salt() -> Result<[u8; SALT_BYTES], Error> {
    let random: ByteBuf = suite(Principal::management_canister(), "raw_rand", &())
        .await
        .map_err(|failed| failed.of(SUBNET))?;
    let salt = random.first_chunk().copied();
    salt.ok_or_else(|| CallError::Malformed.of(SUBNET))
}

/// Asks the peer who the caller is.
pub(crate) async fn refresh_subject() -> Result<Subject, Error> {
    let peer = shell::query(|desk: &Desk, _| Ok(desk.peer()))?;
    cache::pull(&SUBJECTS, shell::context(), Desk::time_ns, async |caller| {
        suite(peer, "subject_of", &caller)
            .await
            .map_err(|failed| failed.of(PEER))
    })
    .await
}

async fn suite<R: CandidType + DeserializeOwned + 'static>(
    callee: Principal,
    method: &str,
    argument: &impl CandidType,
) -> Result<R, CallError> {
    let reply = Call::new(callee, method, argument)?.suite::<Desk>().await?;
    reply.candid()
}

/// Gives a stamp, and answers as it was told to; none if it rejects.
pub(crate) async fn stamp(operation: &[u8]) -> Option<Result<u64, Error>> {
    let ending = traps::ending();
    if ending == Ending::Refuse {
        return Some(Err(Error::Conflict {
            reason: "told to refuse".into(),
        }));
    }
    let given = shell::update(|desk: &mut Desk, context| stamps::give(desk, context, operation));
    match ending {
        Ending::Trap => traps::trap(),
        Ending::Reject => return None,
        Ending::Late => {
            while traps::ending() == Ending::Late {
                // Answered in a later round.
                let _some = salt().await;
            }
        }
        Ending::Reply | Ending::Refuse => {}
    }
    Some(given)
}

/// Tries to call while something is uncommitted. The call must be refused.
pub(crate) async fn call_uncommitted(args: NoteArgs) -> Result<Note, Error> {
    let context = shell::context();
    let peer = shell::query(|desk: &Desk, _| Ok(desk.peer()))?;
    let wait = args.call;
    let title = args.title.clone();
    let note = Desk::uncommitted(|desk| notes::write(desk, &context, args, Stamp::Pending));
    let answer = ask_for_stamp(peer, title.into_bytes(), wait).await;
    shell::tick(|_: &mut Desk, _| ());
    match answer {
        Ok(_) => note,
        Err(failed) => Err(failed.of(PEER)),
    }
}

/// Forgets keys in flight of calls that are not under way: their end was lost in a trap.
pub(crate) fn settle_lost(slice: usize) -> Progress {
    shell::tick(|desk: &mut Desk, context| {
        let before_ns = context.time_ns.saturating_sub(LOST_AFTER_NS);
        for ticket in desk.idempotency.unsettled(before_ns, slice) {
            let call = (ticket.caller(), ticket.key().to_vec());
            if desk.under_way.enter(call).is_ok() {
                // One that can't be read stays for somebody to look at.
                let _forgotten = desk.idempotency.fail(&ticket);
            }
        }
    });
    traps::at(Point::Slice);
    Progress::Done
}

/// Drops what is over.
pub(crate) fn prune(context: &Context, slice: usize) -> Progress {
    let more = shell::tick(|desk: &mut Desk, _| {
        let buckets = desk.limits.prune(context.time_ns, slice);
        let keys = desk.idempotency.prune(context.time_ns, slice);
        buckets || keys.unwrap_or(false)
    });
    traps::at(Point::Slice);
    if more { Progress::More } else { Progress::Done }
}
