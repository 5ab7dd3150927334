//! The `identity` canister: who is calling.
//!
//! This file is the shell: one endpoint a method, besides those that all canisters have. It decodes, asks the registry where
//! the logic needs it (`asks`), calls one function of the logic and replies; [`indus_kit::shell`] certifies what has
//! changed. Everything else runs natively over a [`State`].
//!
//! Other canisters of the suite call **`subject_of`**, an update: it asks the registry where the person's organisation stands
//! now, because they keep the answer for a minute themselves, and rejects the call rather than answer with what might be
//! outdated.

mod asks;
pub mod configuration;
mod consent;
pub mod credentials;
pub mod messaging_keys;
pub mod methods;
pub mod pairing;
pub mod persons;
pub mod recoveries;
pub mod roles;
pub mod standings;
pub mod state;
pub mod subjects;

use std::{cell::RefCell, marker::PhantomData, thread::LocalKey, time::Duration};

use candid::{CandidType, Principal, candid_method};
use ic_cdk::{api, init, post_upgrade, query, update};
use ic_stable_structures::DefaultMemoryImpl;
use indus_api::{
    Error, Subject,
    identity::{
        ApproveRecoveryArgs, BindMessagingKeyArgs, CredentialRecord, CredentialView, GrantArgs,
        InForce, InitArgs, IssueArgs, ListRolesArgs, MessagingKey, MessagingKeyRecord, Method,
        MethodRecord, OfferArgs, OpenRecoveryArgs, Pairing, Person, PersonRecord, PersonView,
        Recovery, RecoveryRecord, RegisterArgs, RevokeCredentialArgs, RevokeRoleArgs,
        RevokedCredential, Role,
    },
    paging::{Page, PageArgs},
};
use indus_kit::{
    Context, Definition, Kit, encoding,
    http::status::Metric,
    icrc21::Consent,
    shell::{self, Shell},
    standard_endpoints,
    timers::{self, Job, Progress},
};
use serde_bytes::ByteBuf;

pub use state::State;

type Identity = State<DefaultMemoryImpl>;

thread_local! {
    static STATE: RefCell<Option<Identity>> = const { RefCell::new(None) };
}

static JOBS: [Job; 2] = [
    shell::page_job::<Identity>(),
    Job {
        name: "prune",
        interval: Duration::from_secs(60),
        slice: 100,
        run: |context, slice| {
            let more = shell::tick(|state: &mut Identity, _| {
                let buckets = state.limits.prune(context.time_ns, slice);
                let keys = state.idempotency.prune(context.time_ns, slice);
                buckets || keys.unwrap_or(false)
            });
            if more { Progress::More } else { Progress::Done }
        },
    },
];

impl Shell for Identity {
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
        subjects::of_caller(self, context)
    }

    fn consent(method: &str, argument: &[u8]) -> Option<Consent> {
        consent::consent(method, argument)
    }

    fn prepare() {
        encoding::prepare::<PersonRecord>();
        encoding::prepare::<MethodRecord>();
        encoding::prepare::<RecoveryRecord>();
        encoding::prepare::<CredentialRecord>();
        encoding::prepare::<MessagingKeyRecord>();
        encoding::prepare::<Result<MessagingKey, Error>>();
        encoding::prepare::<u64>();
        encoding::prepare::<Result<PersonView, Error>>();
        encoding::prepare::<Result<Role, Error>>();
        encoding::prepare::<ListRolesArgs>();
        encoding::prepare::<Result<Page<u64, Role>, Error>>();
        encoding::prepare::<Result<Recovery, Error>>();
        encoding::prepare::<Result<CredentialView, Error>>();
        encoding::prepare::<PageArgs<u64>>();
        encoding::prepare::<Result<Page<u64, CredentialView>, Error>>();
        encoding::prepare::<Result<InForce, Error>>();
    }

    fn metrics(&self) -> Vec<Metric> {
        vec![
            Metric::gauge(
                "indus_pairings",
                "Pairings that are kept",
                self.pairings.len() as u64,
            ),
            Metric::gauge(
                "indus_standings",
                "Organisations of which it is remembered where they stand",
                self.standings.len() as u64,
            ),
        ]
    }
}

standard_endpoints!(Identity);

#[init(decode_with = "argument", hidden)]
#[candid_method(init)]
fn init(args: InitArgs) {
    let memory = DefaultMemoryImpl::default();
    let own = api::canister_self();
    shell::start(State::create(memory, &shell::context(), own, args));
    timers::start::<Identity>(&JOBS);
}

#[post_upgrade]
fn post_upgrade() {
    let own = api::canister_self();
    shell::upgrade(State::open(DefaultMemoryImpl::default(), own));
    timers::start::<Identity>(&JOBS);
}

/// Any authenticated key: becomes a person, of which it is the first method, or is answered with the person that it speaks
/// for. Repeatable.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
async fn register_person(args: RegisterArgs) -> Result<Person, Error> {
    asks::seeded().await?;
    shell::update(|state: &mut Identity, context| persons::register(state, context, args))
}

/// Persons: opens a pairing of 15 minutes, and gives the code that the new device has to know.
#[update(encode_with = "reply", hidden)]
#[candid_method(update)]
fn open_pairing() -> Result<Pairing, Error> {
    shell::update(|state: &mut Identity, context| pairing::open(state, context))
}

/// Any authenticated key that is no person's, and knows the code: offers itself as a method. Repeatable. Three wrong codes end
/// the pairing.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
fn offer_method(args: OfferArgs) -> Result<(), Error> {
    shell::update(|state: &mut Identity, context| pairing::offer(state, context, args))
}

/// Persons: makes the key that was offered one of their methods. Repeatable.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
fn confirm_method(principal: Principal) -> Result<Method, Error> {
    shell::update(|state: &mut Identity, context| pairing::confirm(state, context, principal))
}

/// Persons: removes one of their methods, never the last one.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
fn remove_method(principal: Principal) -> Result<(), Error> {
    shell::update(|state: &mut Identity, context| methods::remove(state, context, principal))
}

/// Persons: for which organisation they act with the method that they call with; none for the only one. Repeatable.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
fn choose_office(organisation: Option<u64>) -> Result<Method, Error> {
    shell::update(|state: &mut Identity, context| {
        methods::choose_office(state, context, organisation)
    })
}

/// Administrators of the organisation, as the registry names them: offers a person a role. Repeatable.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
async fn grant_role(args: GrantArgs) -> Result<Role, Error> {
    let find = |_: &Identity, context: &Context| {
        roles::check(context, &args).map(|()| Some(args.organisation))
    };
    let standing = asks::standing(find).await?;
    shell::update(|state: &mut Identity, context| {
        roles::grant(state, context, args, standing.as_ref())
    })
}

/// The person to whom a role was offered: accepts it. Repeatable.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
fn accept_role(id: u64) -> Result<Role, Error> {
    shell::update(|state: &mut Identity, context| roles::accept(state, context, id))
}

/// Administrators of the organisation, or the role's person: takes a role back, or gives it up. Repeatable.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
async fn revoke_role(args: RevokeRoleArgs) -> Result<Role, Error> {
    let find =
        |state: &Identity, context: &Context| roles::revocation_asks(state, context, args.id);
    let standing = asks::standing(find).await?;
    shell::update(|state: &mut Identity, context| {
        roles::revoke(state, context, args, standing.as_ref())
    })
}

/// Recovery officers: opens the recovery of a person who holds a role in their organisation. Repeatable.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
async fn open_recovery(args: OpenRecoveryArgs) -> Result<Recovery, Error> {
    let find = |state: &Identity, context: &Context| subjects::office(state, context).map(Some);
    let standing = asks::standing(find).await?;
    shell::update(|state: &mut Identity, context| {
        recoveries::open(state, context, args, standing.as_ref())
    })
}

/// Recovery officers of the same organisation, another than the one who opened it: agrees to a recovery, exactly as it was
/// read. Repeatable.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
async fn approve_recovery(args: ApproveRecoveryArgs) -> Result<Recovery, Error> {
    let find = |state: &Identity, context: &Context| subjects::office(state, context).map(Some);
    let standing = asks::standing(find).await?;
    shell::update(|state: &mut Identity, context| {
        recoveries::approve(state, context, args, standing.as_ref())
    })
}

/// The person who is to be recovered, by any method: refuses, until the recovery is finished. Repeatable.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
fn veto_recovery(id: u64) -> Result<Recovery, Error> {
    shell::update(|state: &mut Identity, context| recoveries::veto(state, context, id))
}

/// The two officials of a recovery, or its new key: gives the person the new method, after the delay. Repeatable.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
async fn finish_recovery(id: u64) -> Result<Recovery, Error> {
    let find = |state: &Identity, context: &Context| recoveries::asks(state, context, id).map(Some);
    let standing = asks::standing(find).await?;
    shell::update(|state: &mut Identity, context| {
        recoveries::finish(state, context, id, standing.as_ref())
    })
}

/// Credential issuers: issues a credential in the name of their organisation. The same key gives the same credential.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
async fn issue_credential(args: IssueArgs) -> Result<CredentialView, Error> {
    let bytes = api::msg_arg_data();
    let find = |state: &Identity, context: &Context| subjects::office(state, context).map(Some);
    let standing = asks::standing(find).await?;
    shell::update(|state: &mut Identity, context| {
        credentials::issue(state, context, args, &bytes, standing.as_ref())
    })
}

/// The holder: has a credential signed that was issued before this canister signed them (layout 1). Repeatable. The signature
/// is read by `certified_read`, of the path `indus_api::signatures::path`.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
fn sign_credential(id: u64) -> Result<CredentialView, Error> {
    shell::update(|state: &mut Identity, context| credentials::sign(state, context, id))
}

/// Credential issuers of the organisation that issued it: takes a credential back. Repeatable.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
async fn revoke_credential(args: RevokeCredentialArgs) -> Result<RevokedCredential, Error> {
    let find = |state: &Identity, context: &Context| subjects::office(state, context).map(Some);
    let standing = asks::standing(find).await?;
    shell::update(|state: &mut Identity, context| {
        credentials::revoke(state, context, args, standing.as_ref())
    })
}

/// Persons: binds a key that the calling device signs with in encrypted conversations, in place of its earlier one. Repeatable.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
fn bind_messaging_key(args: BindMessagingKeyArgs) -> Result<MessagingKey, Error> {
    shell::update(|state: &mut Identity, context| messaging_keys::bind(state, context, args))
}

/// Persons: ends a messaging key of theirs, of whichever device. Repeatable.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
fn end_messaging_key(signature_key: ByteBuf) -> Result<MessagingKey, Error> {
    shell::update(|state: &mut Identity, context| {
        messaging_keys::end(state, context, &signature_key)
    })
}

/// Canisters of the suite: who holds these messaging keys now, in their order, at most 100: the subject of the device that each
/// was bound to. None for a key that is not bound, or has ended. Rejects the call where the registry has to be asked and can't.
#[update(decode_with = "argument", hidden, manual_reply = true)]
#[candid_method(update)]
async fn holders_of(signature_keys: Vec<ByteBuf>) -> PhantomData<Vec<Option<Subject>>> {
    reply_or_reject(&asks::holders_of(&signature_keys).await);
    PhantomData
}

/// Canisters of the suite about anybody, everybody about themselves: the person that a principal speaks for, their
/// organisation and roles. None for a principal that is nobody's, and to everybody else. Rejects the call where the registry
/// has to be asked and can't.
#[update(decode_with = "argument", hidden, manual_reply = true)]
#[candid_method(update)]
async fn subject_of(principal: Principal) -> PhantomData<Option<Subject>> {
    reply_or_reject(&asks::subject_of(principal).await);
    PhantomData
}

/// Persons: who they are here, asked for afresh if it has to be, so that queries know it for a minute.
#[update(encode_with = "reply", hidden)]
#[candid_method(update)]
async fn refresh_subject() -> Result<Subject, Error> {
    asks::refresh_subject().await
}

/// Any authenticated caller: applies what the registry's governors decided about this canister's configuration. Repeatable.
#[update(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(update)]
async fn apply_decision(proposal: u64) -> Result<(), Error> {
    asks::apply_decision(proposal).await
}

/// Persons: what they see of themselves: methods, the open pairing, the open recovery. Not certified.
#[query(encode_with = "reply", hidden)]
#[candid_method(query)]
fn my_person() -> Result<PersonView, Error> {
    shell::query(|state: &Identity, context| persons::view(state, context))
}

/// Everybody: a role, in any state. Not certified.
#[query(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(query)]
fn get_role(id: u64) -> Result<Role, Error> {
    shell::query(|state: &Identity, _| roles::get(state, id))
}

/// Everybody: a page of roles, in any state, in the order of their ids. Not certified.
#[query(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(query)]
fn list_roles(args: ListRolesArgs) -> Result<Page<u64, Role>, Error> {
    shell::query(|state: &Identity, _| roles::list(state, args))
}

/// The person who is recovered, and recovery officers: a recovery. Not certified.
#[query(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(query)]
fn get_recovery(id: u64) -> Result<Recovery, Error> {
    shell::query(|state: &Identity, context| recoveries::read(state, context, id))
}

/// The holder: a credential with its JSON. Not certified.
#[query(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(query)]
fn get_credential(id: u64) -> Result<CredentialView, Error> {
    shell::query(|state: &Identity, context| credentials::read(state, context, id))
}

/// Persons: a messaging key of anybody, also one that has ended. Not certified.
#[query(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(query)]
fn get_messaging_key(signature_key: ByteBuf) -> Result<MessagingKey, Error> {
    shell::query(|state: &Identity, context| messaging_keys::read(state, context, &signature_key))
}

/// Persons: a page of the credentials that they hold, in the order of their ids. Not certified.
#[query(decode_with = "argument", encode_with = "reply", hidden)]
#[candid_method(query)]
fn list_credentials(args: PageArgs<u64>) -> Result<Page<u64, CredentialView>, Error> {
    shell::query(|state: &Identity, context| credentials::list(state, context, args))
}

/// Everybody: the configuration in force. Not certified: that is the collection `configuration`.
#[query(encode_with = "reply", hidden)]
#[candid_method(query)]
fn get_configuration() -> Result<InForce, Error> {
    shell::query(|state: &Identity, _| state.in_force())
}

/// Answers a canister of the suite, whose answer has no room for an error: it is a reject.
fn reply_or_reject<T: CandidType + 'static>(answer: &Result<T, Error>) {
    match answer {
        Ok(answer) => match encoding::encode(answer) {
            Ok(reply) => api::msg_reply(reply),
            Err(_) => api::msg_reject("the answer can't be encoded"),
        },
        Err(error) => api::msg_reject(error.to_string()),
    }
}

/// The Candid interface, as `candid/identity.did` has it.
#[cfg(not(target_family = "wasm"))]
#[must_use]
pub fn candid_interface() -> String {
    candid::export_service!();
    __export_service()
}
