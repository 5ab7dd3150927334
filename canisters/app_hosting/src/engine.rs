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
pub(crate) fn operator(args: &OperatorArgs, subnet: Principal, own: Principal) -> Operator {
    let is_own = args.subnet_id.is_none_or(|asked| asked == subnet);
    Operator {
        engine_operator_id: is_own.then_some(own),
    }
}

/// The settings that a canister on this subnet is asked for with.
///
/// # Errors
/// [`Error::Invalid`] for what means nothing, or another subnet.
pub(crate) fn settings(args: CreateCanisterArgs, subnet: Principal) -> Result<Settings, Error> {
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
pub(crate) fn refusal(error: &Error) -> CreateCanisterError {
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

#[cfg(test)]
mod tests {
    use indus_api::hosting::engine::CreationArgs;
    use serde_bytes::ByteBuf;

    use super::*;

    fn subnet(n: u8) -> Principal {
        Principal::self_authenticating([n])
    }

    fn args(subnet_selection: Option<SubnetSelection>) -> CreateCanisterArgs {
        CreateCanisterArgs {
            from_subaccount: None,
            created_at_time: None,
            amount: Nat::from(7_u8),
            creation_args: Some(CreationArgs {
                subnet_selection,
                settings: Some(Settings {
                    compute_allocation: Some(Nat::from(1_u8)),
                    ..Settings::default()
                }),
            }),
        }
    }

    #[test]
    fn it_is_the_operator_of_its_own_subnet() {
        let own = Principal::from_slice(&[1]);
        let operator = |subnet_id| {
            let asked = OperatorArgs { subnet_id };
            operator(&asked, subnet(1), own).engine_operator_id
        };
        assert_eq!(operator(None), Some(own));
        assert_eq!(operator(Some(subnet(1))), Some(own));
        assert_eq!(operator(Some(subnet(2))), None);
    }

    #[test]
    fn canisters_are_on_this_subnet_or_nowhere() {
        let field = |refused: Result<Settings, Error>| match refused {
            Err(Error::Invalid { field, .. }) => field,
            other => format!("{other:?}"),
        };
        let here = Some(SubnetSelection::Subnet { subnet: subnet(1) });
        for selection in [None, here] {
            let taken = settings(args(selection), subnet(1)).map(|one| one.compute_allocation);
            assert_eq!(taken, Ok(Some(Nat::from(1_u8))));
        }
        let there = SubnetSelection::Subnet { subnet: subnet(2) };
        let any = SubnetSelection::Filter { subnet_type: None };
        for selection in [there, any] {
            let refused = settings(args(Some(selection)), subnet(1));
            assert_eq!(field(refused), "subnet_selection");
        }
        let mut wrong = args(None);
        wrong.from_subaccount = Some(ByteBuf::from([7; 31]));
        assert_eq!(field(settings(wrong, subnet(1))), "from_subaccount");
    }
}
