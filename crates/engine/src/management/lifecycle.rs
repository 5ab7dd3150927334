//! Creating, starting, stopping and deleting canisters, and giving them cycles.

use candid::Principal;
use ic_management_canister_types::{
    CanisterIdRecord, CreateCanisterArgs, ProvisionalCreateCanisterWithCyclesArgs,
    ProvisionalTopUpCanisterArgs,
};

use super::{
    Ended, Outcome, controlled, controlled_mut, decode, done, from_canister, reply, settings,
};
use crate::{
    ErrorCode, Reject,
    calls::Origin,
    canister::{Canister, Settings, Status},
    subnet::Subnet,
};

/// Cycles of a canister that asks for no particular amount.
const DEFAULT_CYCLES: u128 = 100_000_000_000_000;

pub(super) fn create(
    subnet: &mut Subnet,
    origin: &Origin,
    sender: Principal,
    arg: &[u8],
    cycles: u128,
) -> Outcome {
    from_canister(origin, "create_canister")?;
    let (args,): (CreateCanisterArgs,) = decode(arg)?;
    let created = add(subnet, sender, None, args.settings.as_ref(), cycles)?;
    match reply(&created)? {
        Ended::Replied(bytes, _) => Ok(Ended::Replied(bytes, cycles)),
        later => Ok(later),
    }
}

pub(super) fn provisional_create(subnet: &mut Subnet, sender: Principal, arg: &[u8]) -> Outcome {
    let (args,): (ProvisionalCreateCanisterWithCyclesArgs,) = decode(arg)?;
    let cycles = args.amount.as_ref().map_or(Ok(DEFAULT_CYCLES), |amount| {
        settings::number("amount", amount)
    })?;
    let created = add(subnet, sender, args.specified_id, args.settings.as_ref(), 0)?;
    subnet.mint(created.canister_id, cycles);
    reply(&created)
}

fn add(
    subnet: &mut Subnet,
    sender: Principal,
    wanted: Option<Principal>,
    changes: Option<&ic_management_canister_types::CanisterSettings>,
    cycles: u128,
) -> Result<CanisterIdRecord, Reject> {
    let mut settings = Settings::of(sender);
    if let Some(changes) = changes {
        settings::apply(&mut settings, changes)?;
    }
    let invalid = |message: String| Reject::new(ErrorCode::InvalidManagementPayload, message);
    let canister_id = match wanted {
        Some(id) if !subnet.is_responsible_for(&id) => {
            return Err(invalid(format!(
                "The `specified_id` {id} is not of this subnet"
            )));
        }
        Some(id) if subnet.is_taken(&id) => {
            return Err(invalid(format!("The `specified_id` {id} is already taken")));
        }
        Some(id) => id,
        None => subnet
            .new_canister_id()
            .ok_or_else(|| invalid("The subnet has no ids left".to_owned()))?,
    };
    let canister = Canister::new(canister_id, settings, cycles, subnet.time);
    canister.certify(&mut subnet.tree);
    subnet.canisters.insert(canister_id, canister);
    Ok(CanisterIdRecord { canister_id })
}

pub(super) fn provisional_top_up(subnet: &mut Subnet, arg: &[u8]) -> Outcome {
    let (args,): (ProvisionalTopUpCanisterArgs,) = decode(arg)?;
    let amount: u128 = settings::number("amount", &args.amount)?;
    let id = args.canister_id;
    subnet
        .mint(id, amount)
        .ok_or_else(|| Reject::not_found(id))?;
    done()
}

pub(super) fn deposit(subnet: &mut Subnet, arg: &[u8], cycles: u128) -> Outcome {
    let id = super::target(arg)?;
    let canister = subnet
        .canisters
        .get_mut(&id)
        .ok_or_else(|| Reject::not_found(id))?;
    canister.balance = canister.balance.saturating_add(cycles);
    Ok(Ended::Replied(super::nothing(), cycles))
}

pub(super) fn start(subnet: &mut Subnet, sender: Principal, arg: &[u8]) -> Outcome {
    let id = super::target(arg)?;
    let canister = controlled_mut(subnet, id, &sender)?;
    let before = std::mem::replace(&mut canister.status, Status::Running);
    if let Status::Stopping(waiting) = before {
        for origin in waiting {
            let message = format!("Canister {id}'s stop request was cancelled");
            subnet.respond(
                origin,
                Err(Reject::new(ErrorCode::StoppingCancelled, message)),
                0,
            );
        }
    }
    done()
}

pub(super) fn stop(subnet: &mut Subnet, origin: Origin, sender: Principal, arg: &[u8]) -> Outcome {
    let id = super::target(arg)?;
    let canister = controlled_mut(subnet, id, &sender)?;
    match &mut canister.status {
        Status::Stopped => return done(),
        Status::Stopping(waiting) => waiting.push(origin),
        Status::Running => canister.status = Status::Stopping(vec![origin]),
    }
    // At once, where nothing is open.
    subnet.settle(id);
    Ok(Ended::Later)
}

pub(super) fn delete(subnet: &mut Subnet, sender: Principal, arg: &[u8]) -> Outcome {
    let id = super::target(arg)?;
    let canister = controlled(subnet, id, &sender)?;
    if !matches!(canister.status, Status::Stopped) {
        let message = format!("Canister {id} must be stopped before it is deleted.");
        return Err(Reject::new(ErrorCode::NotStopped, message));
    }
    subnet.abandon(id);
    if let Some(canister) = subnet.canisters.remove(&id) {
        subnet.ledger.burned += canister.balance;
    }
    subnet.retired.insert(id);
    subnet.tree.delete(&[b"canister", id.as_slice()]);
    done()
}
