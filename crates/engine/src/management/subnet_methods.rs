//! Methods about the subnet itself: randomness, its version, its nodes, its canisters.

use candid::Principal;
use ic_management_canister_types::{
    CanisterIdRange, ListCanistersResult, NodeMetrics, NodeMetricsHistoryArgs,
    NodeMetricsHistoryRecord, SubnetInfoArgs, SubnetInfoResult,
};

use super::{Call, Ended, Outcome, decode, reply};
use crate::{
    ErrorCode, Reject, calls::Origin, canister::Waiting, subnet::Subnet, topology::canister_number,
};

/// What the subnet says of its software.
const REPLICA_VERSION: &str = concat!("indus-localnet-", env!("CARGO_PKG_VERSION"));

/// Some methods serve the canisters of the subnet and those of the root subnet only.
pub(super) fn same_subnet(subnet: &Subnet, call: &Call) -> Result<(), Reject> {
    if !matches!(call.origin, Origin::Call { .. }) {
        return Ok(());
    }
    let sender = subnet.directory.of_canister(&call.sender);
    match sender {
        Some(id) if id != subnet.id && id != subnet.directory.root() => {
            let message = format!(
                "Incorrect sender subnet id: {id}. Sender should be on the same subnet or on the NNS subnet."
            );
            Err(Reject::new(ErrorCode::ContractViolation, message))
        }
        _ => Ok(()),
    }
}

pub(super) fn raw_rand(subnet: &mut Subnet, call: Call, arg: &[u8]) -> Outcome {
    let () = decode(arg)?;
    same_subnet(subnet, &call)?;
    let since = subnet.time;
    subnet.rounds.ask(Waiting {
        origin: call.origin,
        cycles: call.cycles,
        since,
    });
    Ok(Ended::Later)
}

/// Whether a call is about this subnet.
fn concerns(subnet: &Subnet, id: Principal) -> Result<(), Reject> {
    if id == subnet.id {
        return Ok(());
    }
    let message = format!(
        "Provided target subnet ID {id} does not match current subnet ID {}.",
        subnet.id
    );
    Err(Reject::new(ErrorCode::CanisterRejectedMessage, message))
}

pub(super) fn info(subnet: &Subnet, arg: &[u8]) -> Outcome {
    let (args,): (SubnetInfoArgs,) = decode(arg)?;
    concerns(subnet, args.subnet_id)?;
    reply(&SubnetInfoResult {
        replica_version: REPLICA_VERSION.to_owned(),
        registry_version: 1,
    })
}

/// One record for each day: the subnet's node has proposed a block for every round.
pub(super) fn node_metrics(subnet: &Subnet, arg: &[u8]) -> Outcome {
    let (args,): (NodeMetricsHistoryArgs,) = decode(arg)?;
    concerns(subnet, args.subnet_id)?;
    let days = subnet.rounds.days_since(args.start_at_timestamp_nanos);
    let records: Vec<_> = days
        .map(|(time, rounds)| NodeMetricsHistoryRecord {
            timestamp_nanos: time.0,
            node_metrics: vec![NodeMetrics {
                node_id: subnet.node,
                num_blocks_proposed_total: rounds,
                num_block_failures_total: 0,
            }],
        })
        .collect();
    reply(&records)
}

/// Ids of all canisters, in ranges; for admins of the subnet, where it has some.
pub(super) fn list(subnet: &Subnet, call: &Call, arg: &[u8]) -> Outcome {
    let () = decode(arg)?;
    let admins = &subnet.config.admins;
    if admins.is_empty() {
        let message = "list_canisters is only available on subnets with subnet admins";
        return Err(Reject::new(ErrorCode::CanisterRejectedMessage, message));
    }
    if !admins.contains(&call.sender) {
        let names: Vec<String> = admins.iter().map(Principal::to_text).collect();
        let message = format!(
            "Only the subnet admins can call this method.\nSubnet admins: {}\nCaller: {}",
            names.join(" "),
            call.sender
        );
        return Err(Reject::new(ErrorCode::InvalidSubnetAdmin, message));
    }
    let mut canisters: Vec<CanisterIdRange> = Vec::new();
    for id in subnet.canisters.keys() {
        let follows = canisters.last().is_some_and(|last| {
            let next = canister_number(&last.end).and_then(|number| number.checked_add(1));
            next.is_some() && next == canister_number(id)
        });
        match canisters.last_mut() {
            Some(last) if follows => last.end = *id,
            _ => canisters.push(CanisterIdRange {
                start: *id,
                end: *id,
            }),
        }
    }
    reply(&ListCanistersResult { canisters })
}
