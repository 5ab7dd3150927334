//! Around every message: who calls, what is allowed now, and what is certified before it ends.
//!
//! ```text
//! update: decode ─► open? ─► logic ─► commit ─► certified data ─► reply
//! query:  decode ─► open? ─► logic ─► reply
//! ```
//!
//! A canister's shell keeps its state in one `thread_local`, implements [`Shell`] for it, and has one endpoint a method,
//! of a line each. [`standard_endpoints!`](crate::standard_endpoints) gives it those that all canisters have.
//!
//! Invariant: no message ends with something uncommitted: [`update`] commits whatever the logic answers, and calls to
//! others are refused while something is.

use std::{cell::RefCell, fmt, thread::LocalKey};

use candid::CandidType;
use ic_cdk::api;
use ic_stable_structures::Memory;
use indus_api::{CertifiedRead, Error, Subject};
use serde::de::DeserializeOwned;
use serde_bytes::ByteBuf;

use crate::{Context, arguments, calls, kit::Kit};

/// Bytes of a page of stable memory.
const PAGE: u64 = 65_536;

/// A canister's state, as its shell holds it.
pub trait Shell: Sized + 'static {
    /// The stable memory.
    type Memory: Memory;

    /// Where it is.
    fn state() -> &'static LocalKey<RefCell<Option<Self>>>;

    /// The kit's part.
    fn kit(&self) -> &Kit<Self::Memory>;

    /// The kit's part, to be changed.
    fn kit_mut(&mut self) -> &mut Kit<Self::Memory>;

    /// Who is calling, for what not everybody may read.
    ///
    /// # Errors
    /// Those of [`Subjects::subject`](crate::subjects::Subjects::subject).
    fn subject(&self, context: &Context) -> Result<Subject, Error>;

    /// What a call asks its signer's consent for, in a few words; nothing for methods that nobody signs for.
    fn consent(method: &str, argument: &[u8]) -> Option<String>;
}

impl<S: Shell> calls::Canister for S {
    fn is_committed() -> bool {
        with::<S, _>(|state| state.kit().certified.is_committed())
    }

    fn in_maintenance() -> bool {
        with::<S, _>(|state| state.kit().in_maintenance())
    }

    fn time_ns() -> u64 {
        api::time()
    }
}

/// The message that is being executed.
#[must_use]
pub fn context() -> Context {
    Context {
        caller: api::msg_caller(),
        time_ns: api::time(),
    }
}

/// Puts the opened state in its place, or ends the installation with what is wrong; no such error holds any input.
pub fn start<S: Shell, E: fmt::Display>(opened: Result<S, E>) {
    let mut state = opened.unwrap_or_else(|error| api::trap(error.to_string()));
    api::certified_data_set(state.kit_mut().certified.commit());
    S::state().set(Some(state));
}

/// Runs the logic of an update, and certifies what it changed.
///
/// # Errors
/// [`Error::Unavailable`] during maintenance; those of the logic.
pub fn update<S: Shell, T>(
    logic: impl FnOnce(&mut S, &Context) -> Result<T, Error>,
) -> Result<T, Error> {
    let context = context();
    with_mut::<S, _>(|state| {
        state
            .kit()
            .check_open(|| api::is_controller(&context.caller))?;
        let reply = logic(state, &context);
        certify(state);
        reply
    })
}

/// Runs the logic of a query.
///
/// # Errors
/// [`Error::Unavailable`] during maintenance; those of the logic.
pub fn query<S: Shell, T>(
    logic: impl FnOnce(&S, &Context) -> Result<T, Error>,
) -> Result<T, Error> {
    let context = context();
    with::<S, _>(|state| {
        state
            .kit()
            .check_open(|| api::is_controller(&context.caller))?;
        logic(state, &context)
    })
}

/// Runs what a timer does, and certifies what it changed.
pub fn tick<S: Shell, T>(logic: impl FnOnce(&mut S, &Context) -> T) -> T {
    let context = Context {
        caller: api::canister_self(),
        time_ns: api::time(),
    };
    with_mut::<S, _>(|state| {
        let result = logic(state, &context);
        certify(state);
        result
    })
}

/// Ends the maintenance, for a controller.
///
/// # Errors
/// [`Error::Unauthorized`] to everybody else.
pub fn confirm_upgrade<S: Shell>() -> Result<(), Error> {
    let context = context();
    if !api::is_controller(&context.caller) {
        return Err(Error::Unauthorized {
            needs: "a controller of the canister".into(),
        });
    }
    update::<S, _>(|state, context| state.kit_mut().confirm_upgrade(context))
}

/// A witness and the certificate over its root.
///
/// # Errors
/// [`Error::Unavailable`] without a certificate: the subnet gives one to queries that a node answers alone.
pub fn certified(kind: &str, witness: Vec<u8>) -> Result<CertifiedRead, Error> {
    let Some(certificate) = api::data_certificate() else {
        return Err(Error::Unavailable {
            canister: kind.into(),
            reason: "only a query that is not replicated has a certificate".into(),
        });
    };
    Ok(CertifiedRead {
        certificate: ByteBuf::from(certificate),
        witness: ByteBuf::from(witness),
    })
}

/// Size of the stable memory, in bytes.
#[must_use]
pub fn stable_bytes() -> u64 {
    api::stable_size().saturating_mul(PAGE)
}

/// Decodes the one argument of a method, or rejects the call.
#[must_use]
pub fn argument<T: CandidType + DeserializeOwned>(bytes: &[u8]) -> T {
    arguments::decode(bytes).unwrap_or_else(|refused| api::trap(refused.to_string()))
}

fn certify<S: Shell>(state: &mut S) {
    if !state.kit().certified.is_committed() {
        api::certified_data_set(state.kit_mut().certified.commit());
    }
}

fn with<S: Shell, T>(use_it: impl FnOnce(&S) -> T) -> T {
    S::state().with_borrow(|state| match state {
        Some(state) => use_it(state),
        None => api::trap("not installed"),
    })
}

fn with_mut<S: Shell, T>(use_it: impl FnOnce(&mut S) -> T) -> T {
    S::state().with_borrow_mut(|state| match state {
        Some(state) => use_it(state),
        None => api::trap("not installed"),
    })
}
