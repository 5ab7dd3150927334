//! The management canister `aaaaa-aa`: what a subnet does itself when it is called (IC interface
//! specification, "The IC management canister").
//!
//! Methods: `create_canister`, `provisional_create_canister_with_cycles`, `provisional_top_up_canister`,
//! `install_code`, `uninstall_code`, `update_settings`, `canister_status`, `start_canister`,
//! `stop_canister`, `delete_canister`, `deposit_cycles`, `raw_rand`. Every other is rejected by name.

mod code;
mod lifecycle;
mod settings;

use candid::{
    CandidType, DecoderConfig, Principal, encode_args,
    utils::{ArgumentDecoder, decode_args_with_config},
};
use ic_management_canister_types::CanisterIdRecord;
use rand::Rng as _;

use crate::{
    ErrorCode, Ingress, Reject,
    calls::{Origin, Request},
    canister::Canister,
    subnet::{Held, Subnet},
};

/// Work that decoding an argument may take, in candid's units: an `install_code` message at its limit of 2 MiB takes a
/// few millions, even where all of it is skipped.
const DECODING_QUOTA: usize = 20_000_000;

pub(crate) use code::remove_code;

/// How a management call ends.
enum Ended {
    /// With this reply; so many of the cycles that came with the call were taken.
    Replied(Vec<u8>, u128),
    /// Later: the origin has been put where it will be answered from.
    Later,
}

type Outcome = Result<Ended, Reject>;

/// Candid of an empty answer.
pub(crate) fn nothing() -> Vec<u8> {
    match encode_args(()) {
        Ok(bytes) => bytes,
        Err(_) => unreachable!("an empty tuple has a Candid form"),
    }
}

/// Executes a call of a user or of a canister.
pub(crate) fn execute(subnet: &mut Held<'_>, request: Request) {
    let (origin, cycles) = (request.origin.clone(), request.cycles);
    match dispatch(subnet, request) {
        Ok(Ended::Replied(reply, taken)) => subnet.respond(origin, Ok(reply), cycles - taken),
        Ok(Ended::Later) => {}
        Err(reject) => subnet.respond(origin, Err(reject), cycles),
    }
}

/// Whether a user may call this method at all; asked before the call is taken.
pub(crate) fn accepts(subnet: &Subnet, ingress: &Ingress) -> Result<(), Reject> {
    match ingress.method.as_str() {
        "provisional_create_canister_with_cycles" | "provisional_top_up_canister" => Ok(()),
        "create_canister" | "deposit_cycles" | "raw_rand" => {
            let message = format!("{} can be called by canisters only", ingress.method);
            Err(Reject::new(ErrorCode::CanisterRejectedMessage, message))
        }
        "install_code" | "uninstall_code" | "update_settings" | "canister_status"
        | "start_canister" | "stop_canister" | "delete_canister" => {
            let id = target(&ingress.arg)?;
            controlled(subnet, id, &ingress.sender).map(|_| ())
        }
        method => Err(unknown(method)),
    }
}

/// The canister that a management call is about: the `canister_id` of its argument.
pub(crate) fn target(arg: &[u8]) -> Result<Principal, Reject> {
    let (CanisterIdRecord { canister_id },) = decode(arg)?;
    Ok(canister_id)
}

fn unknown(method: &str) -> Reject {
    let message = format!("Management canister has no method '{method}'");
    Reject::new(ErrorCode::UnknownManagementMessage, message)
}

fn dispatch(subnet: &mut Held<'_>, request: Request) -> Outcome {
    let Request {
        origin,
        sender,
        method,
        arg,
        cycles,
        ..
    } = request;
    match method.as_str() {
        "create_canister" => lifecycle::create(subnet, &origin, sender, &arg, cycles),
        "provisional_create_canister_with_cycles" => {
            lifecycle::provisional_create(subnet, sender, &arg)
        }
        "provisional_top_up_canister" => lifecycle::provisional_top_up(subnet, &arg),
        "install_code" => code::install(subnet, sender, &arg),
        "uninstall_code" => code::uninstall(subnet, sender, &arg),
        "update_settings" => settings::update(subnet, sender, &arg),
        "canister_status" => settings::status(subnet, sender, &arg),
        "start_canister" => lifecycle::start(subnet, sender, &arg),
        "stop_canister" => lifecycle::stop(subnet, origin, sender, &arg),
        "delete_canister" => lifecycle::delete(subnet, sender, &arg),
        "deposit_cycles" => lifecycle::deposit(subnet, &arg, cycles),
        "raw_rand" => {
            from_canister(&origin, &method)?;
            let mut bytes = vec![0_u8; 32];
            subnet.random.fill_bytes(&mut bytes);
            reply(&serde_bytes::ByteBuf::from(bytes))
        }
        _ => Err(unknown(&method)),
    }
}

fn from_canister(origin: &Origin, method: &str) -> Result<(), Reject> {
    match origin {
        Origin::Call { .. } => Ok(()),
        _ => {
            let message = format!("{method} can be called by canisters only");
            Err(Reject::new(ErrorCode::CanisterRejectedMessage, message))
        }
    }
}

/// Decodes an argument from anybody with bounded work.
fn decode<'a, T: ArgumentDecoder<'a>>(arg: &'a [u8]) -> Result<T, Reject> {
    let mut config = DecoderConfig::new();
    config
        .set_decoding_quota(DECODING_QUOTA)
        .set_skipping_quota(DECODING_QUOTA)
        .set_full_error_message(false);
    decode_args_with_config(arg, &config).map_err(|error| {
        let message = format!("Error decoding candid: {error}");
        Reject::new(ErrorCode::InvalidManagementPayload, message)
    })
}

fn reply<T: CandidType>(value: &T) -> Outcome {
    match encode_args((value,)) {
        Ok(bytes) => Ok(Ended::Replied(bytes, 0)),
        Err(error) => Err(Reject::new(
            ErrorCode::InvalidManagementPayload,
            error.to_string(),
        )),
    }
}

fn done() -> Outcome {
    Ok(Ended::Replied(nothing(), 0))
}

/// The canister, if the caller controls it.
fn controlled<'a>(
    subnet: &'a Subnet,
    id: Principal,
    caller: &Principal,
) -> Result<&'a Canister, Reject> {
    let canister = subnet
        .canisters
        .get(&id)
        .ok_or_else(|| Reject::not_found(id))?;
    if canister.is_controlled_by(caller) {
        return Ok(canister);
    }
    let message =
        format!("Only controllers of canister {id} can call ic00 method; {caller} is none");
    Err(Reject::new(ErrorCode::InvalidController, message))
}

/// The same, to be changed.
fn controlled_mut<'a>(
    subnet: &'a mut Subnet,
    id: Principal,
    caller: &Principal,
) -> Result<&'a mut Canister, Reject> {
    controlled(subnet, id, caller)?;
    subnet
        .canisters
        .get_mut(&id)
        .ok_or_else(|| Reject::not_found(id))
}
