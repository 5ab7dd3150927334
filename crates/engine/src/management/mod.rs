//! The management canister `aaaaa-aa`: what a subnet does itself when it is called (IC interface
//! specification, "The IC management canister").
//!
//! ```text
//!   user ──accepts──► queue ──execute──► dispatch ──► one function per method ──► reply, reject, or later
//!   canister ───────────┘                                                   later: stopping, randomness
//! ```
//!
//! A method decodes its argument with bounded work, finds the canister, checks the caller ([`method`]), checks everything
//! that may fail, and only then changes anything: a reject has changed nothing. Methods of threshold signatures and of
//! vetKD are rejected by name.

mod chunks;
mod code;
mod lifecycle;
mod logs;
mod method;
mod outcalls;
mod settings;
mod snapshots;
mod status;
mod subnet_methods;
mod transfer;
mod waiting;

use candid::{
    CandidType, DecoderConfig, Principal, encode_args,
    utils::{ArgumentDecoder, decode_args_with_config},
};
use ic_management_canister_types::{CanisterIdRecord, ChangeOrigin};
use serde::Deserialize;

use crate::{
    ErrorCode, Ingress, Query, Reject,
    calls::{Origin, Request},
    canister::{Canister, history::change_origin},
    subnet::{Held, Subnet},
};
use method::Method;

/// Work that skipping what is not asked for in an argument may take, in candid's units: a message at its limit of 2 MiB
/// takes a few millions, even where all of it is skipped. What is asked for is bounded by the length of the message.
const SKIPPING_QUOTA: usize = 20_000_000;
/// The same as part of all work of decoding, where candid counts it fifty times.
const DECODING_QUOTA: usize = 50 * SKIPPING_QUOTA;

pub(crate) use code::remove_code;
pub use outcalls::{HttpReplication, HttpRequest, HttpResponse};
pub(crate) use outcalls::{Outcalls, answer as answer_http};
pub(crate) use waiting::{Rounds, begin_round, cycles_in_flight, has_work};

/// How a management call ends.
enum Ended {
    /// With this reply; so many of the cycles that came with the call were taken.
    Replied(Vec<u8>, u128),
    /// Later: the origin has been put where it will be answered from.
    Later,
}

type Outcome = Result<Ended, Reject>;

/// Who calls, and what came with the call besides the argument.
struct Call {
    method: Method,
    origin: Origin,
    sender: Principal,
    cycles: u128,
}

impl Call {
    /// Who makes a change, for the canister's history.
    fn change_origin(&self, sender_canister_version: Option<u64>) -> ChangeOrigin {
        change_origin(&self.origin, self.sender, sender_canister_version)
    }

    /// The canister that the call concerns, if the caller may call this method about it.
    fn canister<'a>(&self, subnet: &'a Subnet, id: Principal) -> Result<&'a Canister, Reject> {
        let canister = subnet
            .canisters
            .get(&id)
            .ok_or_else(|| Reject::not_found(id))?;
        self.method.check(subnet, canister, &self.sender)?;
        Ok(canister)
    }

    /// The same, to be changed.
    fn canister_mut<'a>(
        &self,
        subnet: &'a mut Subnet,
        id: Principal,
    ) -> Result<&'a mut Canister, Reject> {
        self.canister(subnet, id)?;
        subnet
            .canisters
            .get_mut(&id)
            .ok_or_else(|| Reject::not_found(id))
    }
}

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
    let Some(method) = Method::named(&ingress.method) else {
        let message = format!("ic00 interface does not expose method {}", ingress.method);
        return Err(Reject::new(ErrorCode::MethodNotFound, message));
    };
    method.accepts(subnet, &ingress.sender, || target(&ingress.arg))
}

/// Answers a query from the state as it is.
pub(crate) fn query(subnet: &Subnet, query: &Query) -> Result<Vec<u8>, Reject> {
    let Query {
        sender,
        method: name,
        arg,
        ..
    } = query;
    let method = Method::named(name);
    let call = |method| Call {
        method,
        origin: Origin::System,
        sender: *sender,
        cycles: 0,
    };
    let outcome = match method {
        Some(method @ Method::FetchCanisterLogs) => logs::fetch(subnet, &call(method), arg),
        Some(method @ Method::CanisterStatus) => status::status(subnet, &call(method), arg),
        Some(method @ Method::CanisterInfo) => status::info(subnet, &call(method), arg),
        Some(method @ Method::ListCanisters) => subnet_methods::list(subnet, &call(method), arg),
        _ => {
            let message = format!("Query method {name} not found.");
            return Err(Reject::new(ErrorCode::MethodNotFound, message));
        }
    };
    match outcome? {
        Ended::Replied(reply, _) => Ok(reply),
        Ended::Later => Err(Reject::new(
            ErrorCode::MethodNotFound,
            format!("Query method {name} not found."),
        )),
    }
}

/// The canister that a management call is about, by its argument.
pub(crate) fn target(arg: &[u8]) -> Result<Principal, Reject> {
    // `install_chunked_code` names it otherwise.
    #[derive(CandidType, Deserialize)]
    struct Target {
        canister_id: Option<Principal>,
        target_canister: Option<Principal>,
    }
    if let Ok((CanisterIdRecord { canister_id },)) = decode(arg) {
        return Ok(canister_id);
    }
    let (Target {
        canister_id,
        target_canister,
    },) = decode(arg)?;
    canister_id.or(target_canister).ok_or_else(|| {
        let message = "Error decoding candid: the argument names no canister";
        Reject::new(ErrorCode::InvalidManagementPayload, message)
    })
}

/// The subnet that a management call is about, by its argument.
pub(crate) fn target_subnet(arg: &[u8]) -> Option<Principal> {
    #[derive(CandidType, Deserialize)]
    struct Target {
        subnet_id: Principal,
    }
    let (Target { subnet_id },) = decode(arg).ok()?;
    Some(subnet_id)
}

fn dispatch(subnet: &mut Held<'_>, request: Request) -> Outcome {
    let Some(method) = Method::named(&request.method) else {
        let message = format!("Management canister has no method '{}'", request.method);
        return Err(Reject::new(ErrorCode::MethodNotFound, message));
    };
    let call = Call {
        method,
        origin: request.origin,
        sender: request.sender,
        cycles: request.cycles,
    };
    let arg = &request.arg;
    match method {
        Method::CreateCanister => lifecycle::create(subnet, &call, arg),
        Method::ProvisionalCreate => lifecycle::provisional_create(subnet, &call, arg),
        Method::ProvisionalTopUp => lifecycle::provisional_top_up(subnet, arg),
        Method::DepositCycles => lifecycle::deposit(subnet, &call, arg),
        Method::StartCanister => lifecycle::start(subnet, &call, arg),
        Method::StopCanister => lifecycle::stop(subnet, call, arg),
        Method::DeleteCanister => lifecycle::delete(subnet, &call, arg),
        Method::UpdateSettings => settings::update(subnet, &call, arg),
        Method::CanisterStatus => status::status(subnet, &call, arg),
        Method::CanisterInfo => status::info(subnet, &call, arg),
        Method::CanisterMetadata => status::metadata(subnet, &call, arg),
        Method::InstallCode => code::install(subnet, &call, arg),
        Method::InstallChunkedCode => chunks::install(subnet, &call, arg),
        Method::UninstallCode => code::uninstall(subnet, &call, arg),
        Method::UploadChunk => chunks::upload(subnet, &call, arg),
        Method::StoredChunks => chunks::stored(subnet, &call, arg),
        Method::ClearChunkStore => chunks::clear(subnet, &call, arg),
        Method::FetchCanisterLogs => logs::fetch(subnet, &call, arg),
        Method::RawRand => subnet_methods::raw_rand(subnet, call, arg),
        Method::NodeMetricsHistory => subnet_methods::node_metrics(subnet, arg),
        Method::SubnetInfo => subnet_methods::info(subnet, arg),
        Method::ListCanisters => subnet_methods::list(subnet, &call, arg),
        Method::HttpRequest => outcalls::request(subnet, call, arg),
        Method::TakeSnapshot => snapshots::take(subnet, &call, arg),
        Method::LoadSnapshot => snapshots::load(subnet, &call, arg),
        Method::ListSnapshots => snapshots::list(subnet, &call, arg),
        Method::DeleteSnapshot => snapshots::delete(subnet, &call, arg),
        Method::ReadSnapshotMetadata => transfer::read_metadata(subnet, &call, arg),
        Method::ReadSnapshotData => transfer::read_data(subnet, &call, arg),
        Method::UploadSnapshotMetadata => transfer::upload_metadata(subnet, &call, arg),
        Method::UploadSnapshotData => transfer::upload_data(subnet, &call, arg),
        Method::EcdsaPublicKey
        | Method::SignWithEcdsa
        | Method::SchnorrPublicKey
        | Method::SignWithSchnorr
        | Method::VetkdPublicKey
        | Method::VetkdDeriveKey => {
            let message = format!("{} is not available on this subnet", method.name());
            Err(Reject::new(ErrorCode::CanisterRejectedMessage, message))
        }
    }
}

/// Decodes an argument from anybody with bounded work.
fn decode<'a, T: ArgumentDecoder<'a>>(arg: &'a [u8]) -> Result<T, Reject> {
    let mut config = DecoderConfig::new();
    config
        .set_decoding_quota(DECODING_QUOTA)
        .set_skipping_quota(SKIPPING_QUOTA)
        .set_full_error_message(false);
    decode_args_with_config(arg, &config).map_err(|error| {
        let message = format!("Error decoding candid: {error}");
        Reject::new(ErrorCode::InvalidManagementPayload, message)
    })
}

fn reply<T: CandidType>(value: &T) -> Outcome {
    reply_taking(value, 0)
}

/// Replies, and keeps so many of the cycles that came with the call.
fn reply_taking<T: CandidType>(value: &T, taken: u128) -> Outcome {
    match encode_args((value,)) {
        Ok(bytes) => Ok(Ended::Replied(bytes, taken)),
        Err(error) => Err(invalid(error.to_string())),
    }
}

fn done() -> Outcome {
    Ok(Ended::Replied(nothing(), 0))
}

fn invalid(message: impl Into<String>) -> Reject {
    Reject::new(ErrorCode::InvalidManagementPayload, message)
}

/// An amount of cycles as it is written in texts: digits in groups of three.
fn cycles_text(cycles: u128) -> String {
    let digits = cycles.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('_');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_in_groups_of_three_digits() {
        for (cycles, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1_000"),
            (12_345_678, "12_345_678"),
        ] {
            assert_eq!(cycles_text(cycles), text);
        }
    }
}
