//! `/instances/{instance}/update/…` besides calls: time, rounds, cycles and stable memory.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use engine::Time;
use pocket_ic::common::rest::{
    InstanceId, RawAddCycles, RawCycles, RawSetStableMemory, RawSubnetId, RawTickConfigs, RawTime,
};
use tokio::task::block_in_place;

use super::{
    Pocket,
    answer::{Answer, Body, Failure, principal},
};

/// Sets the time of the next round.
pub(super) async fn set_time(
    pocket: State<Arc<Pocket>>,
    id: Path<InstanceId>,
    time: Body<RawTime>,
) -> Answer<()> {
    set(pocket, id, time).await
}

/// Sets the time that certificates have from now on. Here that is the same.
pub(super) async fn set_certified_time(
    pocket: State<Arc<Pocket>>,
    id: Path<InstanceId>,
    time: Body<RawTime>,
) -> Answer<()> {
    set(pocket, id, time).await
}

async fn set(
    State(pocket): State<Arc<Pocket>>,
    Path(id): Path<InstanceId>,
    Body(time): Body<RawTime>,
) -> Answer<()> {
    let instance = pocket.instances.get(id)?;
    let time = Time(time.nanos_since_epoch);
    let set = instance.executor.run(move |driver| driver.set_time(time));
    set.await?.map_err(|passed| {
        let (now, set) = (passed.now.0, passed.set.0);
        Failure::bad(format!("SettingTimeIntoPast(({now}, {set}))"))
    })?;
    Ok(Json(()))
}

/// Executes a round. Who makes the block is of no consequence here.
pub(super) async fn tick(
    State(pocket): State<Arc<Pocket>>,
    Path(id): Path<InstanceId>,
    Body(configs): Body<RawTickConfigs>,
) -> Answer<()> {
    let instance = pocket.instances.get(id)?;
    for blockmaker in configs.blockmakers.unwrap_or_default() {
        let subnet = principal(&blockmaker.subnet.subnet_id, "subnet id")?;
        if instance.executor.reader().subnet_key(subnet).is_none() {
            return Err(Failure::subnet_not_found(subnet));
        }
    }
    instance.executor.run(|driver| driver.round()).await?;
    Ok(Json(()))
}

/// Mints cycles for a canister, and answers its balance.
pub(super) async fn add_cycles(
    State(pocket): State<Arc<Pocket>>,
    Path(id): Path<InstanceId>,
    Body(RawAddCycles {
        canister_id,
        amount,
    }): Body<RawAddCycles>,
) -> Answer<RawCycles> {
    let instance = pocket.instances.get(id)?;
    let canister = principal(&canister_id, "canister id")?;
    let cycles = instance.executor.reader().add_cycles(&canister, amount);
    let cycles = cycles.ok_or_else(|| Failure::canister_not_found(canister))?;
    Ok(Json(RawCycles { cycles }))
}

/// Replaces a canister's stable memory by a blob, rounded up to whole pages.
pub(super) async fn set_stable_memory(
    State(pocket): State<Arc<Pocket>>,
    Path(id): Path<InstanceId>,
    Body(RawSetStableMemory {
        canister_id,
        blob_id,
    }): Body<RawSetStableMemory>,
) -> Answer<()> {
    let instance = pocket.instances.get(id)?;
    let canister = principal(&canister_id, "canister id")?;
    if instance.executor.reader().subnet_of(&canister).is_none() {
        return Err(Failure::canister_not_found(canister));
    }
    block_in_place(|| {
        let memory = pocket.blobs.unpacked(&blob_id.0)?;
        let reader = instance.executor.reader();
        if reader.set_stable_memory(&canister, &memory) {
            Ok(Json(()))
        } else {
            Err(Failure::canister_is_empty(canister))
        }
    })
}

/// Subnets stay as long as their instance.
pub(super) async fn delete_subnet(
    State(pocket): State<Arc<Pocket>>,
    Path(id): Path<InstanceId>,
    Body(_): Body<RawSubnetId>,
) -> Answer<()> {
    pocket.instances.get(id)?;
    Err(Failure::bad(
        "delete_subnet is not supported by this server",
    ))
}
