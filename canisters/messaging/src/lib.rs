//! The `messaging` canister: official communication, end to end encrypted, whose log can be verified.
//!
//! This file is the shell: one endpoint a method, besides those that all canisters have. What an endpoint asks of others is in
//! `suite`; everything else runs natively over a [`State`]: [`packages`], [`conversations`], [`commits`], [`posts`], [`inboxes`].
//! Handshakes are read and verified by `indus_mls`; contents are never read.

pub mod commits;
pub mod configuration;
mod consent;
pub mod conversations;
pub(crate) mod groups;
pub mod history;
pub mod inboxes;
pub mod packages;
pub mod posts;
pub mod state;
mod suite;

use std::{cell::RefCell, thread::LocalKey, time::Duration};

use candid::candid_method;
use ic_cdk::{api, init, post_upgrade, query, update};
use ic_stable_structures::DefaultMemoryImpl;
use indus_api::{
    Error, Subject,
    messaging::{
        CONVERSATIONS, ClaimArgs, Claims, CommitArgs, CommitOutcome, Conversation,
        ConversationRecord, ConversationView, CreateArgs, Device, EntriesArgs, EntriesPage, Entry,
        INBOXES, InForce, InboxRecord, InitArgs, KeyPackageRecord, PostArgs, ProofArgs, Receipt,
        UploadArgs, WelcomesArgs, WelcomesPage, entry_hash,
    },
    paging::{Page, PageArgs},
};
use indus_kit::{
    Context, Definition, Kit, encoding,
    http::status::Metric,
    icrc21::Consent,
    shell::{self, Shell},
    standard_endpoints,
    subjects::CachedSubjects,
    text::invalid,
    timers::{self, Job, Progress},
};
use serde_bytes::ByteBuf;

pub use state::State;

pub(crate) type Messaging = State<DefaultMemoryImpl>;

thread_local! {
    static STATE: RefCell<Option<Messaging>> = const { RefCell::new(None) };
    pub(crate) static SUBJECTS: RefCell<CachedSubjects> = RefCell::new(CachedSubjects::new(suite::IDENTITY));
}

static JOBS: [Job; 3] = [
    shell::page_job::<Messaging>(),
    Job {
        name: "seed",
        interval: Duration::from_secs(60),
        slice: 1,
        run: |_, _| {
            // A message of its own: a job can't await. What fails is tried again.
            ic_cdk_timers::set_timer(Duration::ZERO, async {
                let _later = suite::draw_seed().await;
            });
            Progress::Done
        },
    },
    Job {
        name: "prune",
        interval: Duration::from_secs(60),
        slice: 500,
        run: |_, slice| shell::tick(|state: &mut Messaging, context| state.prune(context, slice)),
    },
];

impl Shell for Messaging {
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
        suite::known_caller(context)
    }

    fn consent(method: &str, argument: &[u8]) -> Option<Consent> {
        consent::consent(method, argument)
    }

    fn prepare() {
        encoding::prepare::<ConversationRecord>();
        encoding::prepare::<InboxRecord>();
        encoding::prepare::<KeyPackageRecord>();
        encoding::prepare::<PostArgs>();
        encoding::prepare::<Result<Receipt, Error>>();
        encoding::prepare::<EntriesArgs>();
        encoding::prepare::<Result<EntriesPage, Error>>();
    }

    fn metrics(&self) -> Vec<Metric> {
        vec![
            Metric::gauge(
                "indus_entries",
                "Entries of all conversations and inboxes",
                self.logs.appended(),
            ),
            Metric::gauge(
                "indus_devices",
                "Devices that have ever had a key package",
                self.inbox_keys.len(),
            ),
        ]
    }
}

standard_endpoints!(Messaging);

/// A limit of `what` is reached.
pub(crate) fn limit(limit: usize, what: &str) -> Error {
    indus_kit::refusals::limit_reached(limit as u64, what)
}

#[init(decode_with = "argument", hidden)]
#[candid_method(init)]
fn init(args: InitArgs) {
    let memory = DefaultMemoryImpl::default();
    let own = api::canister_self();
    shell::start(State::create(memory, &shell::context(), own, args));
    timers::start::<Messaging>(&JOBS);
}

#[post_upgrade]
fn post_upgrade() {
    let own = api::canister_self();
    shell::upgrade(State::open(DefaultMemoryImpl::default(), own));
    timers::start::<Messaging>(&JOBS);
}

/// Persons: puts key packages of the calling device into store, and answers how many are in store. Repeatable.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
async fn upload_key_packages(args: UploadArgs) -> Result<u32, Error> {
    suite::with_holders(
        |state, context, subject| packages::keys(state, context, subject, &args),
        |state, context, subject, holders| {
            packages::upload(state, context, subject, &args, holders)
        },
    )
    .await
}

/// Persons: takes a key package of each device of other persons, to add them to a conversation. The same key gives the same ones.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
async fn claim_key_packages(args: ClaimArgs) -> Result<Claims, Error> {
    let bytes = api::msg_arg_data();
    suite::with_holders(
        |state, _, _| packages::devices(state, &args),
        |state, context, subject, holders| {
            packages::claim(state, context, subject, &args, &bytes, holders)
        },
    )
    .await
}

/// Persons whom the label admits: begins a conversation of the calling device alone. Repeatable.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
async fn create_conversation(args: CreateArgs) -> Result<ConversationView, Error> {
    suite::with_holders(
        |_, context, _| Ok(vec![conversations::creator(context, &args)?]),
        |state, context, subject, holders| {
            conversations::create(state, context, subject, args.clone(), holders)
        },
    )
    .await
}

/// Members: moves a conversation to its next epoch, if no other commit has. The owner adds and removes others, everybody their own
/// devices. Repeatable.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
async fn submit_commit(args: CommitArgs) -> Result<CommitOutcome, Error> {
    suite::with_holders(
        |state, _, subject| commits::keys(state, subject, &args),
        |state, context, subject, holders| {
            commits::submit(state, context, subject, args.clone(), holders)
        },
    )
    .await
}

/// Members: sends a message. Repeatable; the certified reply is the receipt.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
async fn post_message(args: PostArgs) -> Result<Receipt, Error> {
    let subject = suite::caller().await?;
    shell::update(|state: &mut Messaging, context| posts::post(state, context, &subject, args))
}

/// Persons: who they are here, asked for afresh, so that queries know it for a minute.
#[update(encode_with = "reply", hidden)]
#[candid_method(update)]
async fn refresh_subject() -> Result<Subject, Error> {
    suite::refresh_subject().await
}

/// Any authenticated caller: applies what the registry's governors decided about this canister's configuration. Repeatable.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
async fn apply_decision(proposal: u64) -> Result<(), Error> {
    suite::apply_decision(proposal).await
}

/// Members: entries of a conversation in their order, with the proof that they are the certified log's.
#[query(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(query)]
fn entries(args: EntriesArgs) -> Result<EntriesPage, Error> {
    let (entries, consistency) = shell::query(|state: &Messaging, context| {
        let subject = suite::known_caller(context)?;
        conversations::of_member(state, &subject, args.conversation)?;
        page(state, &args)
    })?;
    let certified = certified(CONVERSATIONS, &args.conversation.to_be_bytes())?;
    Ok(EntriesPage {
        entries,
        consistency: blobs(consistency),
        certified,
    })
}

/// Everybody: the hashes of entries, which is all that it takes to verify a conversation's log without reading it. At most 100.
#[query(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(query)]
fn entry_hashes(args: EntriesArgs) -> Result<Vec<ByteBuf>, Error> {
    let (entries, _) = shell::query(|state: &Messaging, _| page(state, &args))?;
    let hash = |entry| ByteBuf::from(entry_hash(args.conversation, entry));
    Ok(entries.iter().map(hash).collect())
}

/// Everybody: proof that entry `from` is among the first `size` of a conversation (RFC 9162, section 2.1.3).
#[query(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(query)]
fn entry_inclusion_proof(args: ProofArgs) -> Result<Vec<ByteBuf>, Error> {
    shell::query(|state: &Messaging, _| {
        let head = history::head(&state.conversation(args.conversation)?)?;
        let proof = state
            .logs
            .inclusion(args.conversation, &head, args.from, args.size);
        hashes(proof, head.size())
    })
}

/// Everybody: proof that a conversation's first `size` entries begin with its first `from` (RFC 9162, section 2.1.4).
#[query(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(query)]
fn entry_consistency_proof(args: ProofArgs) -> Result<Vec<ByteBuf>, Error> {
    shell::query(|state: &Messaging, _| {
        let head = history::head(&state.conversation(args.conversation)?)?;
        let proof = state
            .logs
            .consistency(args.conversation, &head, args.from, args.size);
        hashes(proof, head.size())
    })
}

/// Persons: the welcomes of a device of theirs, with the proof that they are the certified inbox's.
#[query(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(query)]
fn welcomes(args: WelcomesArgs) -> Result<WelcomesPage, Error> {
    let arrived = shell::query(|state: &Messaging, context| {
        inboxes::welcomes(state, &suite::known_caller(context)?, &args)
    })?;
    Ok(WelcomesPage {
        welcomes: arrived.welcomes,
        consistency: blobs(arrived.proof),
        certified: certified(INBOXES, &arrived.inbox)?,
    })
}

/// Members: a conversation, and who is in it. Not certified; its tree hash is.
#[query(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(query)]
fn get_conversation(id: u64) -> Result<ConversationView, Error> {
    shell::query(|state: &Messaging, context| {
        conversations::view(state, &suite::known_caller(context)?, id)
    })
}

/// Members: the ratchet tree of a conversation's epoch (RFC 9420, section 12.4.3.3), for whoever joins. Its hash is certified.
#[query(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(query)]
fn get_ratchet_tree(id: u64) -> Result<ByteBuf, Error> {
    shell::query(|state: &Messaging, context| {
        conversations::tree(state, &suite::known_caller(context)?, id)
    })
}

/// Persons: a page of the conversations that they are in, in the order of their ids. Not certified.
#[query(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(query)]
fn list_conversations(args: PageArgs<u64>) -> Result<Page<u64, Conversation>, Error> {
    shell::query(|state: &Messaging, context| {
        conversations::list(state, &suite::known_caller(context)?, args)
    })
}

/// Persons: their devices, and what is in store of each. Not certified.
#[query(encode_with = "reply", hidden)]
#[candid_method(query)]
fn my_devices() -> Result<Vec<Device>, Error> {
    shell::query(|state: &Messaging, context| inboxes::list(state, &suite::known_caller(context)?))
}

/// Everybody: the configuration in force. Not certified: that is the collection `configuration`.
#[query(encode_with = "reply", hidden)]
#[candid_method(query)]
fn get_configuration() -> Result<InForce, Error> {
    shell::query(|state: &Messaging, _| state.in_force())
}

/// Entries, and the proof from their end to the whole log.
fn page(state: &Messaging, args: &EntriesArgs) -> Result<(Vec<Entry>, Vec<[u8; 32]>), Error> {
    let id = args.conversation;
    let entries = history::page(state, id, args.from, args.limit)?;
    let until = args.from.saturating_add(entries.len() as u64);
    let proof = history::proof(state, id, until)?;
    Ok((entries, proof))
}

fn blobs(hashes: Vec<[u8; 32]>) -> Vec<ByteBuf> {
    hashes.into_iter().map(ByteBuf::from).collect()
}

fn hashes(
    proof: Result<Vec<[u8; 32]>, indus_certified::LogError>,
    size: u64,
) -> Result<Vec<ByteBuf>, Error> {
    let proof =
        proof.map_err(|_| invalid("size", format!("must be in order, and at most {size}")))?;
    Ok(blobs(proof))
}

/// A record with its proof, as `certified_read` answers.
fn certified(collection: &str, key: &[u8]) -> Result<indus_api::CertifiedRead, Error> {
    let path = indus_api::identity::path(collection, key);
    shell::certified_read::<Messaging>(&[path])
}

/// The Candid interface, as `candid/messaging.did` has it.
#[cfg(not(target_family = "wasm"))]
#[must_use]
pub fn candid_interface() -> String {
    candid::export_service!();
    __export_service()
}
