//! Settings of a canister: checked as a whole, then put into effect as a whole.

use std::{collections::BTreeMap, sync::Arc};

use candid::{Nat, Principal};
use ic_management_canister_types::{
    CanisterSettings, ChangeDetails, ControllersChangeRecord, EnvironmentVariable, LogVisibility,
    SnapshotVisibility, StatusVisibility, UpdateSettingsArgs,
};
use num_bigint::BigUint;

use super::{Call, Outcome, cycles_text, decode, done, invalid};
use crate::{
    ErrorCode, Reject,
    canister::{Canister, Settings, Viewers, log},
    cycles::Occupied,
    subnet::Subnet,
};

/// Most controllers of a canister, and most viewers of something.
const MAX_PRINCIPALS: usize = 10;
/// Most environment variables of a canister.
const MAX_VARIABLES: usize = 20;
/// Longest name, and longest value, of an environment variable, in bytes.
const MAX_VARIABLE_BYTES: usize = 128;
/// Largest memory allocation, and largest limit of a heap, in bytes.
const MAX_MEMORY: u64 = 1 << 48;
/// Percents of compute that a subnet can promise; one is never given away.
const COMPUTE_CAPACITY: u64 = 200;
/// Bytes that a subnet can promise.
const MEMORY_CAPACITY: u64 = 2 << 40;

fn violation(message: String) -> Reject {
    Reject::new(ErrorCode::ContractViolation, message)
}

/// A Candid number that fits.
pub(super) fn number<T: TryFrom<BigUint>>(field: &str, value: &Nat) -> Result<T, Reject> {
    T::try_from(value.0.clone()).map_err(|_| invalid(format!("{field}: {value} is too large")))
}

/// A number that may be at most `limit`; else says what range is expected of it.
fn ranged<T: TryFrom<BigUint> + PartialOrd>(
    what: &str,
    range: &str,
    limit: Option<T>,
    value: &Nat,
) -> Result<T, Reject> {
    let number = T::try_from(value.0.clone()).ok();
    number
        .filter(|number| limit.is_none_or(|limit| *number <= limit))
        .ok_or_else(|| {
            let value = &value.0;
            violation(format!(
                "{what} expected to be in the range {range}, got {value}"
            ))
        })
}

fn bounded(principals: &[Principal]) -> Result<Vec<Principal>, Reject> {
    if principals.len() > MAX_PRINCIPALS {
        return Err(invalid(format!(
            "Error decoding candid: the number of elements {} exceeds maximum allowed {MAX_PRINCIPALS}",
            principals.len()
        )));
    }
    let mut principals = principals.to_vec();
    principals.sort_unstable();
    principals.dedup();
    Ok(principals)
}

macro_rules! viewers {
    ($($visibility:ident)+) => {$(
        impl TryFrom<&$visibility> for Viewers {
            type Error = Reject;

            fn try_from(visibility: &$visibility) -> Result<Self, Reject> {
                Ok(match visibility {
                    $visibility::Controllers => Self::Controllers,
                    $visibility::Public => Self::Public,
                    $visibility::AllowedViewers(allowed) => Self::Allowed(bounded(allowed)?),
                })
            }
        }

        impl From<&Viewers> for $visibility {
            fn from(viewers: &Viewers) -> Self {
                match viewers {
                    Viewers::Controllers => Self::Controllers,
                    Viewers::Public => Self::Public,
                    Viewers::Allowed(allowed) => Self::AllowedViewers(allowed.clone()),
                }
            }
        }
    )+};
}

viewers! { LogVisibility SnapshotVisibility StatusVisibility }

/// Settings with these changes, if each is one that a canister may have.
pub(super) fn changed(before: &Settings, changes: &CanisterSettings) -> Result<Settings, Reject> {
    let mut new = before.clone();
    if let Some(controllers) = &changes.controllers {
        new.controllers = bounded(controllers)?.into();
    }
    if let Some(value) = &changes.compute_allocation {
        new.compute_allocation = ranged("ComputeAllocation", "[0..100]", Some(100), value)?;
    }
    if let Some(value) = &changes.memory_allocation {
        let range = format!("[0..{MAX_MEMORY}]");
        new.memory_allocation = ranged("MemoryAllocation", &range, Some(MAX_MEMORY), value)?;
    }
    if let Some(value) = &changes.freezing_threshold {
        new.freezing_threshold = ranged("Freezing threshold", "of [0..2^64-1]", None, value)?;
    }
    if let Some(value) = &changes.reserved_cycles_limit {
        let range = "of [0..2^128-1]";
        new.reserved_cycles_limit = ranged("Reserved cycles limit", range, None, value)?;
    }
    if let Some(value) = &changes.wasm_memory_limit {
        let range = "of [0..2^48]";
        new.wasm_memory_limit = ranged("Wasm memory limit", range, Some(MAX_MEMORY), value)?;
    }
    if let Some(value) = &changes.wasm_memory_threshold {
        let range = "of [0..2^64-1]";
        new.wasm_memory_threshold = ranged("Wasm memory threshold", range, None, value)?;
    }
    if let Some(value) = &changes.minimum_incoming_canister_call_cycles {
        let what = "Minimum incoming canister call cycles";
        new.minimum_incoming_cycles = ranged(what, "of [0..2^128-1]", None, value)?;
    }
    if let Some(value) = &changes.log_memory_limit {
        new.log_memory_limit = log_memory_limit(value)?;
    }
    if let Some(visibility) = &changes.log_visibility {
        new.log_visibility = visibility.try_into()?;
    }
    if let Some(visibility) = &changes.snapshot_visibility {
        new.snapshot_visibility = visibility.try_into()?;
    }
    if let Some(visibility) = &changes.status_visibility {
        new.status_visibility = visibility.try_into()?;
    }
    if let Some(variables) = &changes.environment_variables {
        new.variables = Arc::new(checked(variables)?);
    }
    Ok(new)
}

fn log_memory_limit(value: &Nat) -> Result<u64, Reject> {
    let refused = |what: &str, bound: &str, limit: u64| {
        let value = &value.0;
        let message = format!(
            "The canister log memory limit {value} is too {what}. It must be at {bound} {limit}."
        );
        Reject::new(ErrorCode::CanisterRejectedMessage, message)
    };
    match u64::try_from(value.0.clone()) {
        Ok(0) => Ok(0),
        Ok(limit) if limit < log::MIN_LIMIT => Err(refused("low", "least", log::MIN_LIMIT)),
        Ok(limit) if limit <= log::MAX_LIMIT => Ok(limit),
        _ => Err(refused("high", "most", log::MAX_LIMIT)),
    }
}

fn checked(variables: &[EnvironmentVariable]) -> Result<BTreeMap<String, String>, Reject> {
    let mut by_name = BTreeMap::new();
    for EnvironmentVariable { name, value } in variables.iter().take(MAX_VARIABLES + 1) {
        if by_name.insert(name.clone(), value.clone()).is_some() {
            return Err(invalid("Duplicate environment variables are not allowed"));
        }
    }
    if variables.len() > MAX_VARIABLES {
        let count = variables.len();
        return Err(invalid(format!(
            "Too many environment variables: {count} (max: {MAX_VARIABLES})"
        )));
    }
    for (name, value) in &by_name {
        for (what, text) in [("name", name), ("value", value)] {
            if text.len() > MAX_VARIABLE_BYTES {
                return Err(invalid(format!(
                    "Environment variable {what} \"{text}\" exceeds the maximum allowed length of {MAX_VARIABLE_BYTES}."
                )));
            }
        }
    }
    Ok(by_name)
}

/// Whether the subnet can promise what these settings ask for, and a canister with this balance can pay for it.
/// `before` is None where the canister is created.
pub(super) fn check_allocations(
    subnet: &Subnet,
    before: Option<&Canister>,
    balance: u128,
    new: &Settings,
) -> Result<(), Reject> {
    let (compute, memory, usage) = before.map_or((0, 0, 0), |canister| {
        let settings = &canister.settings;
        let usage = canister.memory_usage();
        (
            settings.compute_allocation,
            settings.memory_allocation,
            usage,
        )
    });
    let more_compute = new.compute_allocation > compute;
    let more_memory = new.memory_allocation > memory;
    if more_compute {
        let canisters = subnet.canisters.values();
        let used: u64 = canisters.map(|c| c.settings.compute_allocation).sum();
        let available = COMPUTE_CAPACITY.saturating_sub(used).saturating_sub(1) + compute;
        if new.compute_allocation > available {
            let message = format!(
                "Canister requested a compute allocation of {}% which cannot be satisfied because the Subnet's remaining compute capacity is {available}%.",
                new.compute_allocation
            );
            return Err(Reject::new(ErrorCode::SubnetOversubscribed, message));
        }
    }
    if more_memory {
        let used: u64 = subnet.canisters.values().map(|c| c.occupied().memory).sum();
        let available = MEMORY_CAPACITY.saturating_sub(used) + memory.max(usage);
        if new.memory_allocation > available {
            let message = format!(
                "Canister requested {} of memory but only {} are available in the subnet.",
                gibibytes(new.memory_allocation),
                gibibytes(available)
            );
            return Err(Reject::new(ErrorCode::SubnetOversubscribed, message));
        }
    }
    let occupied = Occupied {
        memory: usage.max(new.memory_allocation),
        compute: new.compute_allocation,
    };
    let reserve = subnet
        .prices
        .freezing_reserve(occupied, new.freezing_threshold);
    if balance >= reserve {
        return Ok(());
    }
    // A longer freezing threshold may freeze a canister; a larger allocation may not.
    let (what, amount, code) = if more_compute {
        let amount = format!("{}%", new.compute_allocation);
        let code = ErrorCode::InsufficientCyclesInComputeAllocation;
        ("compute", amount, code)
    } else if more_memory {
        let amount = gibibytes(new.memory_allocation);
        let code = ErrorCode::InsufficientCyclesInMemoryAllocation;
        ("memory", amount, code)
    } else {
        return Ok(());
    };
    let missing = cycles_text(reserve - balance);
    let message = format!(
        "Cannot increase {what} allocation to {amount} due to insufficient cycles. At least {missing} additional cycles are required."
    );
    Err(Reject::new(code, message))
}

/// Whether a canister may take so many bytes more, besides paying a fee.
pub(super) fn check_growth(
    subnet: &Subnet,
    canister: &Canister,
    bytes: u64,
    fee: u128,
) -> Result<(), Reject> {
    let used: u64 = subnet.canisters.values().map(|c| c.occupied().memory).sum();
    let available = MEMORY_CAPACITY.saturating_sub(used);
    if bytes > available {
        let message = format!(
            "Canister requested {} of memory but only {} are available in the subnet.",
            gibibytes(bytes),
            gibibytes(available)
        );
        return Err(Reject::new(ErrorCode::SubnetOversubscribed, message));
    }
    let settings = &canister.settings;
    let usage = canister.memory_usage().saturating_add(bytes);
    let occupied = Occupied {
        memory: usage.max(settings.memory_allocation),
        compute: settings.compute_allocation,
    };
    let reserve = subnet
        .prices
        .freezing_reserve(occupied, settings.freezing_threshold);
    let needed = reserve.saturating_add(fee);
    if canister.balance >= needed {
        return Ok(());
    }
    let missing = cycles_text(needed - canister.balance);
    let message = format!(
        "Canister cannot grow memory by {bytes} bytes due to insufficient cycles. At least {missing} additional cycles are required."
    );
    Err(Reject::new(
        ErrorCode::InsufficientCyclesInMemoryGrow,
        message,
    ))
}

fn gibibytes(bytes: u64) -> String {
    let hundredths = (u128::from(bytes) * 100) >> 30;
    format!("{}.{:02} GiB", hundredths / 100, hundredths % 100)
}

pub(super) fn update(subnet: &mut Subnet, call: &Call, arg: &[u8]) -> Outcome {
    let (args,): (UpdateSettingsArgs,) = decode(arg)?;
    let id = args.canister_id;
    let canister = call.canister(subnet, id)?;
    let new = changed(&canister.settings, &args.settings)?;
    check_allocations(subnet, Some(canister), canister.balance, &new)?;
    let now = subnet.time;
    if let Some(canister) = subnet.canisters.get_mut(&id) {
        canister.settings = new;
        canister.log.set_limit(canister.settings.log_memory_limit);
        canister.version += 1;
        if args.settings.controllers.is_some() {
            let details = ChangeDetails::ControllersChange(ControllersChangeRecord {
                controllers: canister.settings.controllers.to_vec(),
            });
            let origin = call.change_origin(args.sender_canister_version);
            canister
                .history
                .record(now, canister.version, origin, details);
        }
        canister.certify(&mut subnet.tree);
    }
    done()
}
