//! Messages on a heap of 1 GiB that is all resident, timed within this process: what the engine takes, without HTTP.

use std::time::Instant;

use anyhow::{Context as _, bail};
use candid::Principal;
use engine::RequestStatus;

use crate::{modules, net::Net, server::median};

/// Timed messages.
const SAMPLES: usize = 101;

fn filled() -> anyhow::Result<(Net, Principal)> {
    let mut net = Net::new()?;
    let canister = net.install(modules::large_heap(), Vec::new())?;
    // All of it written before, and resident.
    net.reply(canister, "fill", Vec::new())?;
    net.reply(canister, "fill", Vec::new())?;
    Ok((net, canister))
}

fn timed(method: &str, replies: bool) -> anyhow::Result<f64> {
    let (mut net, canister) = filled().context("filling the heap")?;
    let mut times = Vec::new();
    for _ in 0..SAMPLES {
        let start = Instant::now();
        let status = net.call(canister, method, Vec::new())?;
        times.push(start.elapsed().as_secs_f64() * 1_000.0);
        if matches!(status, RequestStatus::Replied(_)) != replies {
            bail!("{method}: {status:?}");
        }
    }
    Ok(median(times))
}

/// Ten written pages, rolled back.
pub(crate) fn trap() -> anyhow::Result<f64> {
    timed("touch_and_trap", false)
}

/// Ten written pages, committed.
pub(crate) fn commit() -> anyhow::Result<f64> {
    timed("touch", true)
}
