//! What plain tools call: icp-cli takes this canister for the operator of its subnet ([`indus_api::hosting::engine`]).

use candid::{Nat, Principal};
use indus_api::{
    Error,
    hosting::engine::{
        CreateCanisterArgs, CreateCanisterError, Operator, OperatorArgs, Settings, SubnetSelection,
    },
};
use indus_kit::text::invalid;

/// Longest memo and the like that anybody may send along: none of it is kept.
const MAX_SUBACCOUNT_BYTES: usize = 32;

/// This canister, if the subnet is its own.
#[must_use]
pub fn operator(args: &OperatorArgs, subnet: Principal, own: Principal) -> Operator {
    let is_own = args.subnet_id.is_none_or(|asked| asked == subnet);
    Operator {
        engine_operator_id: is_own.then_some(own),
    }
}

/// The settings that a canister on this subnet is asked for with.
///
/// # Errors
/// [`Error::Invalid`] for what means nothing, or another subnet.
pub fn settings(args: CreateCanisterArgs, subnet: Principal) -> Result<Settings, Error> {
    let subaccount = args.from_subaccount.as_ref();
    if subaccount.is_some_and(|bytes| bytes.len() != MAX_SUBACCOUNT_BYTES) {
        let reason = format!("must have {MAX_SUBACCOUNT_BYTES} bytes");
        return Err(invalid("from_subaccount", reason));
    }
    let Some(creation) = args.creation_args else {
        return Ok(Settings::default());
    };
    match creation.subnet_selection {
        Some(SubnetSelection::Subnet { subnet: asked }) if asked != subnet => {
            return Err(invalid("subnet_selection", "must be this subnet"));
        }
        Some(SubnetSelection::Filter { .. }) => {
            return Err(invalid("subnet_selection", "must be this subnet, or none"));
        }
        Some(SubnetSelection::Subnet { .. }) | None => {}
    }
    Ok(creation.settings.unwrap_or_default())
}

/// A refusal in the words that tools know.
#[must_use]
pub fn refusal(error: &Error) -> CreateCanisterError {
    match error {
        Error::Unavailable { .. } => CreateCanisterError::FailedToCreate {
            fee_block: None,
            refund_block: None,
            error: error.to_string(),
        },
        _ => CreateCanisterError::GenericError {
            error_code: Nat::from(0_u8),
            message: error.to_string(),
        },
    }
}
