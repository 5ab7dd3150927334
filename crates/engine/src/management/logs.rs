//! Reading the log of a canister: by a query, or by a call of a canister.

use ic_management_canister_types::{FetchCanisterLogsArgs, FetchCanisterLogsResult};

use super::{Call, Outcome, decode, reply};
use crate::subnet::Subnet;

pub(super) fn fetch(subnet: &Subnet, call: &Call, arg: &[u8]) -> Outcome {
    let (args,): (FetchCanisterLogsArgs,) = decode(arg)?;
    let canister = call.canister(subnet, args.canister_id)?;
    reply(&FetchCanisterLogsResult {
        canister_log_records: canister.log.records(args.filter.as_ref()),
    })
}
