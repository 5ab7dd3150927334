//! Automatic progress: the instance follows the wall clock, executes rounds, and performs HTTPS outcalls.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Path, State},
};
use pocket_ic::common::rest::{AutoProgressConfig, InstanceId};

use super::{
    Pocket,
    answer::{Answer, Body, Failure},
};

pub(super) async fn is_live(
    State(pocket): State<Arc<Pocket>>,
    Path(id): Path<InstanceId>,
) -> Answer<bool> {
    let instance = pocket.instances.get(id)?;
    Ok(Json(
        instance.executor.run(|driver| driver.is_live()).await?,
    ))
}

/// Answers when the time has been certified for the first time.
pub(super) async fn start(
    State(pocket): State<Arc<Pocket>>,
    Path(id): Path<InstanceId>,
    Body(config): Body<AutoProgressConfig>,
) -> Answer<()> {
    let instance = pocket.instances.get(id)?;
    let delay = Duration::from_millis(config.artificial_delay_ms.unwrap_or(0));
    if instance.executor.go_live(delay).await? {
        Ok(Json(()))
    } else {
        Err(Failure::bad("Auto progress mode has already been enabled."))
    }
}

/// The body is not looked at: clients differ in what they send.
pub(super) async fn stop(
    State(pocket): State<Arc<Pocket>>,
    Path(id): Path<InstanceId>,
) -> Answer<()> {
    let instance = pocket.instances.get(id)?;
    instance.executor.run(|driver| driver.stand_still()).await?;
    Ok(Json(()))
}
