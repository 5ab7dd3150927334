//! Calls and queries by anybody in anybody's name: submit, await, ask for the status.
//!
//! Where a request goes is said by its effective principal. Where that is left out, it is the canister that is called,
//! for the management canister the one that its argument is about, and for a new canister the subnet that takes those.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use candid::{CandidType, Principal};
use engine::{Effective, Ingress, Query, RequestId, RequestStatus, SenderInfo};
use pocket_ic::{
    RejectResponse,
    common::rest::{
        InstanceId, RawCanisterCall, RawCanisterResult, RawEffectivePrincipal,
        RawIngressStatusArgs, RawMessageId, RawSenderInfo,
    },
};
use serde::Deserialize;
use tokio::task::block_in_place;

use super::{
    Pocket,
    answer::{Answer, Body, Failure, principal},
    instances::Instance,
    reject,
};
use crate::{
    cbor::{Value, field},
    effective::{decode, subject},
    executor::AwaitFailed,
    expiry::MAX_TTL,
    hash::hash_of_map,
};

/// Largest argument of a call to an application subnet, and to a system subnet.
const MAX_ARGUMENT: usize = 2 << 20;
const MAX_SYSTEM_ARGUMENT: usize = 3_670_016;
const CREATE: &str = "provisional_create_canister_with_cycles";

/// A call or query that has been read, and where it goes.
struct Message {
    subnet: Principal,
    sender: Principal,
    canister_id: Principal,
    method: String,
    arg: Vec<u8>,
    sender_info: Option<SenderInfo>,
}

/// `POST update/submit_ingress_message`: takes a call in, without executing it.
pub(super) async fn submit(
    State(pocket): State<Arc<Pocket>>,
    Path(id): Path<InstanceId>,
    Body(call): Body<RawCanisterCall>,
) -> Answer<Result<RawMessageId, RejectResponse>> {
    let instance = pocket.instances.get(id)?;
    let message = read(&instance, call)?;
    let subnet = message.subnet;
    let ingress = ingress(&instance, message)?;
    let id = ingress.id;
    let submitted = block_in_place(|| instance.executor.reader().submit(subnet, ingress));
    Ok(Json(match submitted {
        Err(rejected) => Err(reject::response(rejected, false)),
        Ok(()) => {
            instance.executor.wake_if_live()?;
            Ok(RawMessageId {
                effective_principal: RawEffectivePrincipal::SubnetId(subnet.as_slice().to_vec()),
                message_id: id.0.to_vec(),
            })
        }
    }))
}

/// `POST update/await_ingress_message`: executes rounds until a call has ended.
pub(super) async fn finish(
    State(pocket): State<Arc<Pocket>>,
    Path(id): Path<InstanceId>,
    Body(message): Body<RawMessageId>,
) -> Answer<RawCanisterResult> {
    let instance = pocket.instances.get(id)?;
    let (subnet, id) = known(&instance, &message)?;
    let ended = instance
        .executor
        .run(move |driver| driver.finish(subnet, &id))
        .await?;
    match ended {
        Ok(result) => Ok(Json(
            result.map_err(|why| reject::response(why, true)).into(),
        )),
        Err(AwaitFailed { rounds }) => Err(unfinished(&id, rounds)),
    }
}

/// Calls the management canister about a canister, and waits for the reply.
///
/// # Errors
/// It is refused or rejected, or doesn't end.
pub(super) async fn manage(
    instance: &Instance,
    sender: Principal,
    canister: Principal,
    method: &str,
    arg: Vec<u8>,
) -> Result<Vec<u8>, Failure> {
    let message = Message {
        subnet: subnet(instance, &Effective::Canister(canister))?,
        sender,
        canister_id: Principal::management_canister(),
        method: method.to_owned(),
        arg,
        sender_info: None,
    };
    let subnet = message.subnet;
    let ingress = ingress(instance, message)?;
    let id = ingress.id;
    let rejected = |why| Failure::bad(reject::response(why, true).to_string());
    block_in_place(|| instance.executor.reader().submit(subnet, ingress)).map_err(rejected)?;
    let ended = instance
        .executor
        .run(move |driver| driver.finish(subnet, &id));
    match ended.await? {
        Ok(result) => result.map_err(rejected),
        Err(AwaitFailed { rounds }) => Err(unfinished(&id, rounds)),
    }
}

fn unfinished(id: &RequestId, rounds: usize) -> Failure {
    Failure::bad_ingress(&format!(
        "Failed to answer to ingress 0x{} after {rounds} rounds.",
        hex::encode(id.0)
    ))
}

/// `POST read/ingress_status`: how a call has ended; null where it hasn't, or isn't known.
pub(super) async fn status(
    State(pocket): State<Arc<Pocket>>,
    Path(id): Path<InstanceId>,
    Body(RawIngressStatusArgs {
        raw_message_id,
        raw_caller,
    }): Body<RawIngressStatusArgs>,
) -> Answer<Option<RawCanisterResult>> {
    let instance = pocket.instances.get(id)?;
    let (subnet, id) = known(&instance, &raw_message_id)?;
    let reader = instance.executor.reader();
    if let Some(caller) = raw_caller {
        let caller = principal(&caller.principal_id, "caller")?;
        if reader
            .sender(subnet, &id)
            .is_some_and(|sender| sender != caller)
        {
            return Err(Failure::new(
                StatusCode::FORBIDDEN,
                "The user tries to access Request ID not signed by the caller.",
            ));
        }
    }
    let result = match reader.status(subnet, &id) {
        RequestStatus::Unknown | RequestStatus::Received | RequestStatus::Processing => {
            return Ok(Json(None));
        }
        RequestStatus::Replied(reply) => Ok(reply),
        RequestStatus::Rejected(why) => Err(reject::response(why, true)),
    };
    Ok(Json(Some(result.into())))
}

/// `POST read/query`.
pub(super) async fn query(
    State(pocket): State<Arc<Pocket>>,
    Path(id): Path<InstanceId>,
    Body(call): Body<RawCanisterCall>,
) -> Answer<RawCanisterResult> {
    let instance = pocket.instances.get(id)?;
    let message = read(&instance, call)?;
    let query = Query {
        sender: message.sender,
        canister_id: message.canister_id,
        method: message.method,
        arg: message.arg,
        sender_info: message.sender_info,
    };
    let result = block_in_place(|| instance.executor.reader().query(message.subnet, query));
    Ok(Json(
        result.map_err(|why| reject::response(why, false)).into(),
    ))
}

fn read(instance: &Instance, call: RawCanisterCall) -> Result<Message, Failure> {
    let sender = principal(&call.sender, "sender principal")?;
    let canister_id = principal(&call.canister_id, "canister id")?;
    let subnet = route(instance, &call, canister_id)?;
    Ok(Message {
        subnet,
        sender,
        canister_id,
        method: call.method,
        arg: call.payload,
        sender_info: call.sender_info.map(sender_info).transpose()?,
    })
}

/// What a canister says about the sender; that it says so is believed.
fn sender_info(raw: RawSenderInfo) -> Result<SenderInfo, Failure> {
    Ok(SenderInfo {
        info: raw.info,
        signer: principal(&raw.signer, "signer")?,
    })
}

#[derive(CandidType, Deserialize)]
struct SpecifiedId {
    specified_id: Option<Principal>,
}

/// The subnet that a request goes to.
fn route(
    instance: &Instance,
    call: &RawCanisterCall,
    canister_id: Principal,
) -> Result<Principal, Failure> {
    let management = canister_id == Principal::management_canister();
    let creates = management && call.method == CREATE;
    let effective = match &call.effective_principal {
        RawEffectivePrincipal::SubnetId(id) => Some(Effective::Subnet(principal(id, "subnet id")?)),
        RawEffectivePrincipal::CanisterId(id) => {
            Some(Effective::Canister(principal(id, "effective canister id")?))
        }
        RawEffectivePrincipal::None if creates => {
            let specified = decode::<SpecifiedId>(&call.payload).and_then(|arg| arg.specified_id);
            specified.map(Effective::Canister)
        }
        RawEffectivePrincipal::None if management => {
            let about = subject(&call.method, &call.payload);
            let about = about.ok_or_else(|| {
                Failure::bad_ingress("Effective principal must be specified for all calls but canister creation via the provisional management canister API.")
            })?;
            Some(Effective::Canister(about))
        }
        RawEffectivePrincipal::None => Some(Effective::Canister(canister_id)),
    };
    match effective {
        None => Ok(instance.default_subnet().id),
        Some(Effective::Canister(id)) if creates && id == Principal::management_canister() => {
            Ok(instance.default_subnet().id)
        }
        Some(effective) => subnet(instance, &effective),
    }
}

fn subnet(instance: &Instance, effective: &Effective) -> Result<Principal, Failure> {
    let subnet = instance.executor.reader().route(effective);
    subnet.ok_or_else(|| {
        Failure::bad_ingress(&match effective {
            Effective::Subnet(id) => format!("Subnet with ID {id} not found"),
            Effective::Canister(id) => format!("Canister {id} does not belong to any subnet."),
        })
    })
}

/// Where a call went that was submitted before, and its id.
fn known(instance: &Instance, message: &RawMessageId) -> Result<(Principal, RequestId), Failure> {
    let id = <[u8; 32]>::try_from(&message.message_id[..])
        .map_err(|_| Failure::bad("Bad message id"))?;
    let effective = match &message.effective_principal {
        RawEffectivePrincipal::SubnetId(id) => Effective::Subnet(principal(id, "subnet id")?),
        RawEffectivePrincipal::CanisterId(id) => {
            Effective::Canister(principal(id, "effective canister id")?)
        }
        RawEffectivePrincipal::None => {
            return Err(Failure::bad_ingress(
                "Effective principal must be specified for the status of a call.",
            ));
        }
    };
    Ok((subnet(instance, &effective)?, RequestId(id)))
}

/// The call as a client of the HTTP interface would have sent it, so that its id is one of the same kind.
fn ingress(instance: &Instance, message: Message) -> Result<Ingress, Failure> {
    let reader = instance.executor.reader();
    let subnets = reader.topology();
    let system = subnets
        .iter()
        .any(|subnet| subnet.id == message.subnet && subnet.config.kind.is_system());
    let limit = if system {
        MAX_SYSTEM_ARGUMENT
    } else {
        MAX_ARGUMENT
    };
    let ttl = u64::try_from(MAX_TTL.as_nanos()).unwrap_or(u64::MAX);
    let expiry = instance.executor.now().plus(ttl);
    let nonce = instance.next_nonce().to_be_bytes();
    let id = hash_of_map(&[
        field("request_type", Value::text("call")),
        field("sender", Value::blob(message.sender.as_slice())),
        field("ingress_expiry", Value::Nat(expiry.0)),
        field("canister_id", Value::blob(message.canister_id.as_slice())),
        field("method_name", Value::text(&message.method)),
        field("arg", Value::blob(&message.arg)),
        field("nonce", Value::blob(&nonce)),
    ]);
    let size = message.arg.len() + message.method.len();
    if size > limit {
        return Err(Failure::bad_ingress(&format!(
            "Request 0x{} is too large. Message byte size {size} is larger than the max allowed {limit}.",
            hex::encode(id)
        )));
    }
    Ok(Ingress {
        id: RequestId(id),
        sender: message.sender,
        canister_id: message.canister_id,
        method: message.method,
        arg: message.arg,
        expiry,
        sender_info: message.sender_info,
    })
}
