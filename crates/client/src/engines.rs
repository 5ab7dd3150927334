//! Telling a localnet which canister creates others on its subnet.

use candid::{CandidType, Principal};
use serde::Deserialize;

use crate::connection::Connection;
use crate::error::ClientError;

/// Where icp-cli looks for the registry of cloud engines.
const ENGINES: Principal = Principal::from_slice(&[0, 0, 0, 0, 2, 0x30, 0x0f, 0xff, 1, 1]);

#[derive(CandidType)]
struct SetOperatorArgs {
    subnet_id: Principal,
    engine_operator_id: Principal,
}

#[derive(CandidType, Deserialize)]
enum SetOperatorResult {
    Ok,
    Err(String),
}

/// Has localnet's registry of engines name `operator` for `subnet`, so that icp-cli asks it to create canisters there. On the
/// Internet Computer this registry is written by whoever runs the network, and has no such method.
///
/// Errors: those of any call; [`ClientError::Unregistered`] if another caller has registered an operator before.
pub async fn register_engine_operator(
    connection: &Connection,
    subnet: Principal,
    operator: Principal,
) -> Result<(), ClientError> {
    let args = SetOperatorArgs {
        subnet_id: subnet,
        engine_operator_id: operator,
    };
    let set = connection.update(ENGINES, ENGINES, "setEngineOperator", (args,));
    match set.await? {
        (SetOperatorResult::Ok,) => Ok(()),
        (SetOperatorResult::Err(reason),) => Err(ClientError::Unregistered(reason)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registry_is_where_icp_cli_looks_for_it() {
        assert_eq!(ENGINES.to_text(), "q6cfj-fyaaa-aaaar-qb77q-cai");
    }
}
