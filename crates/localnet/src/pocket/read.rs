//! `/instances/{instance}/read/…`: what an instance is and has. None of it changes anything.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use pocket_ic::common::rest::{
    InstanceId, RawCanisterId, RawCycles, RawPrincipalId, RawStableMemory, RawSubnetId, RawTime,
    Topology,
};
use tokio::task::block_in_place;

use super::{
    Pocket,
    answer::{Answer, Body, Failure, principal},
    blobs::MAX_BLOB,
};

pub(super) async fn topology(
    State(pocket): State<Arc<Pocket>>,
    Path(id): Path<InstanceId>,
) -> Answer<Topology> {
    Ok(Json(pocket.instances.get(id)?.topology()))
}

pub(super) async fn time(
    State(pocket): State<Arc<Pocket>>,
    Path(id): Path<InstanceId>,
) -> Answer<RawTime> {
    let instance = pocket.instances.get(id)?;
    let time = instance.executor.run(|driver| driver.network().time());
    Ok(Json(RawTime {
        nanos_since_epoch: time.await?.0,
    }))
}

pub(super) async fn cycles(
    State(pocket): State<Arc<Pocket>>,
    Path(id): Path<InstanceId>,
    Body(canister): Body<RawCanisterId>,
) -> Answer<RawCycles> {
    let instance = pocket.instances.get(id)?;
    let canister = principal(&canister.canister_id, "canister id")?;
    let cycles = instance.executor.reader().cycles(&canister);
    let cycles = cycles.ok_or_else(|| Failure::canister_not_found(canister))?;
    Ok(Json(RawCycles { cycles }))
}

pub(super) async fn controllers(
    State(pocket): State<Arc<Pocket>>,
    Path(id): Path<InstanceId>,
    Body(canister): Body<RawCanisterId>,
) -> Answer<Vec<RawPrincipalId>> {
    let instance = pocket.instances.get(id)?;
    let canister = principal(&canister.canister_id, "canister id")?;
    let controllers = instance.executor.reader().controllers(&canister);
    let controllers = controllers.ok_or_else(|| Failure::canister_not_found(canister))?;
    Ok(Json(controllers.into_iter().map(Into::into).collect()))
}

/// The subnet that a canister is on; null where there is no such canister.
pub(super) async fn subnet(
    State(pocket): State<Arc<Pocket>>,
    Path(id): Path<InstanceId>,
    Body(canister): Body<RawCanisterId>,
) -> Answer<Option<RawSubnetId>> {
    let instance = pocket.instances.get(id)?;
    let canister = principal(&canister.canister_id, "canister id")?;
    let subnet = instance.executor.reader().subnet_of(&canister);
    Ok(Json(subnet.map(Into::into)))
}

pub(super) async fn stable_memory(
    State(pocket): State<Arc<Pocket>>,
    Path(id): Path<InstanceId>,
    Body(canister): Body<RawCanisterId>,
) -> Answer<RawStableMemory> {
    let instance = pocket.instances.get(id)?;
    let canister = principal(&canister.canister_id, "canister id")?;
    let reader = instance.executor.reader();
    if reader.subnet_of(&canister).is_none() {
        return Err(Failure::canister_not_found(canister));
    }
    let blob = block_in_place(|| reader.stable_memory(&canister, MAX_BLOB));
    let blob = blob.ok_or_else(|| Failure::canister_is_empty(canister))?;
    Ok(Json(RawStableMemory { blob }))
}

/// The key of a subnet, in DER, as an array of numbers.
pub(super) async fn public_key(
    State(pocket): State<Arc<Pocket>>,
    Path(id): Path<InstanceId>,
    Body(subnet): Body<RawSubnetId>,
) -> Answer<Vec<u8>> {
    let instance = pocket.instances.get(id)?;
    let subnet = principal(&subnet.subnet_id, "subnet id")?;
    let key = instance.executor.reader().subnet_key(subnet);
    let key = key.ok_or_else(|| Failure::subnet_not_found(subnet))?;
    Ok(Json(key.to_vec()))
}
