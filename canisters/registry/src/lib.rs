//! The `registry` canister: who and what is on the subnet.
//!
//! This file is the shell: one endpoint per method, in the order of `candid/registry.did`. It decodes, calls one
//! function of the logic, certifies and replies. It alone asks the system who calls and what time it is; everything
//! else runs natively ([`organisations`] over a [`State`]).
//!
//! Invariant: an update sets the certified data before it replies. No update awaits anything.

pub mod certified;
mod governors;
pub mod organisations;
pub mod state;

use std::cell::RefCell;

use candid::{CandidType, candid_method};
use ic_cdk::{init, post_upgrade, query, update};
use ic_stable_structures::DefaultMemoryImpl;
use indus_api::{
    CertifiedRead, Error,
    registry::{
        ApproveArgs, CloseArgs, InitArgs, ListArgs, Organisation, OrganisationKey,
        OrganisationPage, OrganisationProfile, ServiceInfo,
    },
};
use serde::de::DeserializeOwned;
use serde_bytes::ByteBuf;

pub use indus_kit::Context;
pub use state::State;

type Registry = State<DefaultMemoryImpl>;

thread_local! {
    static STATE: RefCell<Option<Registry>> = const { RefCell::new(None) };
}

#[init(decode_with = "arguments", hidden)]
#[candid_method(init)]
fn init(args: InitArgs) {
    start(State::create(DefaultMemoryImpl::default(), args));
}

#[post_upgrade]
fn post_upgrade() {
    start(State::open(DefaultMemoryImpl::default()));
}

/// Applies for an organisation in the caller's name. The identical application, while pending, is answered again.
#[update(decode_with = "arguments", hidden)]
#[candid_method(update)]
fn apply_for_organisation(profile: OrganisationProfile) -> Result<Organisation, Error> {
    change(|state, context| organisations::apply(state, context, profile))
}

/// Governors: makes the organisation of a pending application active, exactly as it was read. Repeatable.
#[update(decode_with = "arguments", hidden)]
#[candid_method(update)]
fn approve_organisation(args: ApproveArgs) -> Result<Organisation, Error> {
    change(|state, context| organisations::approve(state, context, args))
}

/// The exact bytes at these paths, or their absence, with witness and certificate. Paths of organisations are
/// `data`/`organisations`/id (8 bytes, big-endian).
#[query(decode_with = "arguments", hidden)]
#[candid_method(query)]
fn certified_read(paths: Vec<Vec<ByteBuf>>) -> Result<CertifiedRead, Error> {
    read(|state| organisations::certified_read(state, ic_cdk::api::data_certificate(), &paths))
}

/// Ends a pending application: withdrawn by its applicant, or rejected by a governor. Repeatable.
#[update(decode_with = "arguments", hidden)]
#[candid_method(update)]
fn close_application(args: CloseArgs) -> Result<Organisation, Error> {
    change(|state, context| organisations::close(state, context, args))
}

/// One organisation: in any state by its id, active by its slug. Not certified.
#[query(decode_with = "arguments", hidden)]
#[candid_method(query)]
fn get_organisation(key: OrganisationKey) -> Result<Organisation, Error> {
    read(|state| organisations::get(state, key))
}

/// A page of organisations, in any state, in the order of their ids. Not certified.
#[query(decode_with = "arguments", hidden)]
#[candid_method(query)]
fn list_organisations(args: ListArgs) -> Result<OrganisationPage, Error> {
    read(|state| organisations::list(state, args))
}

/// Version, layout, governors and sizes of this installation.
#[query]
fn service_info() -> ServiceInfo {
    read(State::service_info)
}

/// Puts the opened state in its place, or ends the installation with what is wrong. Neither error holds any input.
fn start<E: std::fmt::Display>(opened: Result<Registry, E>) {
    let state = opened.unwrap_or_else(|error| ic_cdk::api::trap(error.to_string()));
    ic_cdk::api::certified_data_set(state.certified_root());
    STATE.set(Some(state));
}

fn change<T>(logic: impl FnOnce(&mut Registry, &Context) -> T) -> T {
    let context = Context {
        caller: ic_cdk::api::msg_caller(),
        time_ns: ic_cdk::api::time(),
    };
    STATE.with_borrow_mut(|state| {
        let state = state
            .as_mut()
            .unwrap_or_else(|| ic_cdk::api::trap("not installed"));
        let reply = logic(state, &context);
        ic_cdk::api::certified_data_set(state.certified_root());
        reply
    })
}

fn read<T>(logic: impl FnOnce(&Registry) -> T) -> T {
    STATE.with_borrow(|state| {
        logic(
            state
                .as_ref()
                .unwrap_or_else(|| ic_cdk::api::trap("not installed")),
        )
    })
}

/// Decodes the one argument of a method, or rejects the call.
fn arguments<T: CandidType + DeserializeOwned>(bytes: Vec<u8>) -> T {
    indus_kit::arguments::decode(&bytes)
        .unwrap_or_else(|refused| ic_cdk::api::trap(refused.to_string()))
}

/// The Candid interface, as `candid/registry.did` has it.
#[cfg(not(target_family = "wasm"))]
#[must_use]
pub fn candid_interface() -> String {
    candid::export_service!();
    __export_service()
}
