//! The sample canister: the smallest one that uses all of the kit, for tests that trap, stop and upgrade it.
//!
//! It is a desk for notes (public) and letters (for those concerned). Each note bears a stamp of another desk, the *peer*,
//! which is a second installation of the same module. The peer also says who the callers are. What goes wrong is chosen by
//! `arm` (where this canister traps) and `end` (how it gives stamps); anybody may choose, so it is for tests alone.

pub mod interface;
pub mod letters;
pub mod notes;
mod peer;
pub mod stamps;
pub mod state;
mod traps;

use std::{cell::RefCell, marker::PhantomData, thread::LocalKey, time::Duration};

use candid::{Principal, candid_method};
use ic_cdk::{api, init, post_upgrade, query, update};
use ic_stable_structures::DefaultMemoryImpl;
use indus_api::{
    Error, Subject,
    paging::{Page, PageArgs},
};
use indus_kit::{
    Context, Definition, Kit, arguments,
    http::status::Metric,
    icrc21::Consent,
    shell::{self, Shell},
    standard_endpoints,
    subjects::{CachedSubjects, Subjects as _},
    timers::{self, Job},
};
use serde_bytes::ByteBuf;

use interface::{Ending, InitArgs, Letter, LetterArgs, Note, NoteArgs, PersonArgs, Point, Work};
pub use state::State;

type Desk = State<DefaultMemoryImpl>;

thread_local! {
    static STATE: RefCell<Option<Desk>> = const { RefCell::new(None) };
    static SUBJECTS: RefCell<CachedSubjects> = RefCell::new(CachedSubjects::new(peer::PEER));
}

static JOBS: [Job; 4] = [
    shell::page_job::<Desk>(),
    Job {
        name: "retry",
        interval: Duration::from_secs(10),
        slice: 100,
        run: timers::retry_pending::<Desk>,
    },
    Job {
        name: "settle",
        interval: Duration::from_secs(30),
        slice: 100,
        run: |_, slice| peer::settle_lost(slice),
    },
    Job {
        name: "prune",
        interval: Duration::from_secs(60),
        slice: 2,
        run: peer::prune,
    },
];

impl Shell for Desk {
    type Memory = DefaultMemoryImpl;

    const DEFINITION: &'static Definition = &state::DEFINITION;

    fn state() -> &'static LocalKey<RefCell<Option<Self>>> {
        &STATE
    }

    fn kit(&self) -> &Kit<DefaultMemoryImpl> {
        &self.kit
    }

    fn kit_mut(&mut self) -> &mut Kit<DefaultMemoryImpl> {
        &mut self.kit
    }

    fn subject(&self, context: &Context) -> Result<Subject, Error> {
        SUBJECTS.with_borrow(|subjects| subjects.subject(context))
    }

    fn consent(method: &str, argument: &[u8]) -> Option<Consent> {
        let intent = match method {
            "file_note" => "File a note",
            "post_note" => "Post a note",
            _ => return None,
        };
        let args: NoteArgs = arguments::decode(argument).ok()?;
        let fields = vec![("Title", args.title)];
        Some(Consent { intent, fields })
    }

    fn metrics(&self) -> Vec<Metric> {
        let pending = self.pending.len();
        vec![Metric::gauge(
            "indus_pending_operations",
            "Pending operations",
            pending,
        )]
    }
}

impl Desk {
    /// Changes the state behind the shell's back, so that it stays uncommitted.
    fn uncommitted<T>(change: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        STATE.with_borrow_mut(|desk| match desk {
            Some(desk) => change(desk),
            None => traps::trap(),
        })
    }
}

standard_endpoints!(Desk);

#[init(decode_with = "argument", hidden)]
#[candid_method(init)]
fn init(args: InitArgs) {
    let memory = DefaultMemoryImpl::default();
    shell::start(State::create(memory, &shell::context(), args));
    timers::start::<Desk>(&JOBS);
}

/// Traps at its end, if it is told to.
#[post_upgrade(decode_with = "argument", hidden)]
fn post_upgrade(trap: bool) {
    shell::upgrade(State::open(DefaultMemoryImpl::default()));
    timers::start::<Desk>(&JOBS);
    if trap {
        traps::trap();
    }
}

/// Any authenticated caller: a note that is written when the peer has given its stamp.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
async fn file_note(args: NoteArgs) -> Result<Note, Error> {
    peer::file_note(args, &api::msg_arg_data()).await
}

/// Any authenticated caller: a note that is written at once, and gets its stamp in the end.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
async fn post_note(args: NoteArgs) -> Result<Note, Error> {
    peer::post_note(args, &api::msg_arg_data()).await
}

/// Whom the peer knows: keeps a letter, and returns its id.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
async fn keep_letter(args: LetterArgs) -> Result<u64, Error> {
    peer::keep_letter(args, &api::msg_arg_data()).await
}

/// Any authenticated caller: asks the peer who they are, so that queries know it for a minute.
#[update]
async fn refresh_subject() -> Result<Subject, Error> {
    peer::refresh_subject().await
}

/// Whom the letter is of, their organisation, clerks: a letter. Not certified.
#[query(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(query)]
fn read_letter(id: u64) -> Result<Letter, Error> {
    shell::query(|desk: &Desk, context| {
        SUBJECTS.with_borrow(|subjects| letters::read(desk, subjects, context, id))
    })
}

/// Everybody: a note. Not certified.
#[query(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(query)]
fn get_note(id: u64) -> Result<Note, Error> {
    shell::query(|desk: &Desk, _| notes::get(desk, id))
}

/// Everybody: a page of notes, in the order of their ids. Not certified.
#[query(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(query)]
fn list_notes(args: PageArgs<u64>) -> Result<Page<u64, Note>, Error> {
    shell::query(|desk: &Desk, _| notes::list(desk, args))
}

/// Everybody: what is not done yet.
#[query]
fn work() -> Result<Work, Error> {
    let last_runs = timers::last_runs().into_iter();
    shell::query(|desk: &Desk, _| {
        Ok(Work {
            pending: desk.pending.len(),
            keys: desk.idempotency.len(),
            buckets: desk.limits.len(),
            under_way: desk.under_way.len() as u64,
            last_runs: last_runs.map(|(job, at)| (job.into(), at)).collect(),
        })
    })
}

/// Canisters: a stamp for the caller's operation (1 to 64 bytes), the same one however often it is asked for.
#[update(decode_with = "argument", hidden, manual_reply = true)]
#[candid_method(update)]
async fn stamp(operation: ByteBuf) -> PhantomData<Result<u64, Error>> {
    match peer::stamp(&operation).await.map(candid::encode_one) {
        Some(Ok(reply)) => api::msg_reply(reply),
        Some(Err(_)) | None => api::msg_reject("told to"),
    }
    PhantomData
}

/// Canisters: who somebody is.
#[query(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(query)]
fn subject_of(caller: Principal) -> Option<Subject> {
    shell::query(|desk: &Desk, _| Ok(desk.person(caller))).unwrap_or_default()
}

/// Tests: says who somebody is.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
fn set_person(args: PersonArgs) -> Result<(), Error> {
    shell::update(|desk: &mut Desk, _| desk.set_person(args.caller, args.subject.as_ref()))
}

/// Tests: traps at this point from now on, until an upgrade.
#[update(decode_with = "argument", hidden)]
#[candid_method(update)]
fn arm(point: Option<Point>) {
    traps::arm(point);
}

/// Tests: answers `stamp` in this way from now on, until an upgrade.
#[update(decode_with = "argument", hidden)]
#[candid_method(update)]
fn end(ending: Ending) {
    traps::end(ending);
}

/// Tests: tries to call the peer while a note is uncommitted.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
async fn call_uncommitted(args: NoteArgs) -> Result<Note, Error> {
    peer::call_uncommitted(args).await
}

/// The Candid interface, as `sample.did` has it.
#[cfg(not(target_family = "wasm"))]
#[must_use]
pub fn candid_interface() -> String {
    candid::export_service!();
    __export_service()
}
