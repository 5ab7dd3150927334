//! Creating, starting, stopping and deleting canisters, and giving them cycles.

use candid::Principal;
use ic_management_canister_types::{
    CanisterIdRecord, CanisterSettings, ChangeDetails, ChangeOrigin, CreateCanisterArgs,
    CreationRecord, ProvisionalCreateCanisterWithCyclesArgs, ProvisionalTopUpCanisterArgs,
};

use super::{
    Call, Ended, Outcome, cycles_text, decode, done, invalid, nothing, reply, reply_taking,
    settings, subnet_methods::same_subnet, target,
};
use crate::{
    ErrorCode, Reject,
    canister::{Canister, Settings, Status, Waiting, history::variables_hash},
    subnet::Subnet,
};

/// Cycles of a canister that asks for no particular amount.
const DEFAULT_CYCLES: u128 = 100_000_000_000_000;

pub(super) fn create(subnet: &mut Subnet, call: &Call, arg: &[u8]) -> Outcome {
    same_subnet(subnet, call)?;
    let (args,): (CreateCanisterArgs,) = decode(arg)?;
    let fee = subnet.prices.creation();
    let Some(balance) = call.cycles.checked_sub(fee) else {
        let message = format!(
            "Creating a canister requires a fee of {} that is deducted from the canister's initial balance but only {} cycles were received with the create_canister request.",
            cycles_text(fee),
            cycles_text(call.cycles)
        );
        let code = ErrorCode::InsufficientCyclesForCreateCanister;
        return Err(Reject::new(code, message));
    };
    let canister_id = add(
        subnet,
        None,
        args.settings.as_ref(),
        balance,
        call.sender,
        call.change_origin(args.sender_canister_version),
    )?;
    if let Some(canister) = subnet.canisters.get_mut(&canister_id) {
        canister.balance = balance;
    }
    subnet.ledger.burned += fee;
    reply_taking(&CanisterIdRecord { canister_id }, call.cycles)
}

pub(super) fn provisional_create(subnet: &mut Subnet, call: &Call, arg: &[u8]) -> Outcome {
    let (args,): (ProvisionalCreateCanisterWithCyclesArgs,) = decode(arg)?;
    let cycles = args.amount.as_ref().map_or(Ok(DEFAULT_CYCLES), |amount| {
        settings::number("amount", amount)
    })?;
    let canister_id = add(
        subnet,
        args.specified_id,
        args.settings.as_ref(),
        cycles,
        call.sender,
        call.change_origin(args.sender_canister_version),
    )?;
    subnet.mint(canister_id, cycles);
    reply(&CanisterIdRecord { canister_id })
}

/// Adds a canister that will have this balance, and has none yet.
fn add(
    subnet: &mut Subnet,
    wanted: Option<Principal>,
    changes: Option<&CanisterSettings>,
    balance: u128,
    creator: Principal,
    origin: ChangeOrigin,
) -> Result<Principal, Reject> {
    let mut settings = Settings::of(creator);
    if let Some(changes) = changes {
        settings = settings::changed(&settings, changes)?;
        settings::check_allocations(subnet, None, balance, &settings)?;
    }
    let id = match wanted {
        Some(id) => {
            check_wanted(subnet, id)?;
            id
        }
        None => subnet.new_canister_id().ok_or_else(|| {
            let message =
                "Could not create canister. Subnet has surpassed its canister ID allocation.";
            Reject::new(ErrorCode::SubnetOversubscribed, message)
        })?,
    };
    let has_variables = changes.is_some_and(|changes| changes.environment_variables.is_some());
    let details = ChangeDetails::Creation(CreationRecord {
        controllers: settings.controllers.to_vec(),
        environment_variables_hash: has_variables
            .then(|| variables_hash(settings.variables.iter()).to_vec()),
    });
    let mut canister = Canister::new(id, settings, 0, subnet.time);
    canister.history.record(subnet.time, 0, origin, details);
    canister.certify(&mut subnet.tree);
    subnet.canisters.insert(id, canister);
    Ok(id)
}

/// Whether a canister may get an id of the caller's choice: one that the subnet has, but does not give out itself.
fn check_wanted(subnet: &Subnet, id: Principal) -> Result<(), Reject> {
    if !subnet.is_responsible_for(&id) {
        let message = format!(
            "Unsuccessful validation of specified ID: Specified CanisterId {id} is not hosted by subnet {}.",
            subnet.id
        );
        return Err(Reject::new(ErrorCode::NotHostedBySubnet, message));
    }
    if subnet.gives_out(&id) {
        return Err(invalid(format!(
            "The `specified_id` {id} is invalid because it belongs to the canister allocation ranges of the test environment."
        )));
    }
    if subnet.is_taken(&id) {
        let message = format!("Canister {id} is already installed.");
        return Err(Reject::new(ErrorCode::AlreadyInstalled, message));
    }
    Ok(())
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

pub(super) fn deposit(subnet: &mut Subnet, call: &Call, arg: &[u8]) -> Outcome {
    let canister = call.canister_mut(subnet, target(arg)?)?;
    let before = canister.balance;
    canister.balance = before.saturating_add(call.cycles);
    Ok(Ended::Replied(nothing(), canister.balance - before))
}

pub(super) fn start(subnet: &mut Subnet, call: &Call, arg: &[u8]) -> Outcome {
    let id = target(arg)?;
    let canister = call.canister_mut(subnet, id)?;
    let before = std::mem::replace(&mut canister.status, Status::Running);
    if let Status::Stopping(waiting) = before {
        for call in waiting {
            let message = format!("Canister {id}'s stop request was cancelled");
            let reject = Reject::new(ErrorCode::StoppingCancelled, message);
            subnet.respond(call.origin, Err(reject), call.cycles);
        }
    }
    done()
}

pub(super) fn stop(subnet: &mut Subnet, call: Call, arg: &[u8]) -> Outcome {
    let id = target(arg)?;
    let since = subnet.time;
    let canister = call.canister_mut(subnet, id)?;
    let waiting = Waiting {
        origin: call.origin,
        cycles: call.cycles,
        since,
    };
    match &mut canister.status {
        Status::Stopped => return done(),
        Status::Stopping(all) => all.push(waiting),
        Status::Running => canister.status = Status::Stopping(vec![waiting]),
    }
    // At once, where nothing is open.
    subnet.settle(id);
    Ok(Ended::Later)
}

pub(super) fn delete(subnet: &mut Subnet, call: &Call, arg: &[u8]) -> Outcome {
    let id = target(arg)?;
    let canister = call.canister(subnet, id)?;
    if call.sender == id {
        let message = format!("Canister {id} cannot delete itself.");
        return Err(Reject::new(ErrorCode::InvalidController, message));
    }
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
