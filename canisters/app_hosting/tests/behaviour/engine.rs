//! What plain tools call.

use app_hosting::engine::{operator, settings};
use candid::{Nat, Principal};
use indus_api::{
    Error,
    hosting::engine::{CreateCanisterArgs, CreationArgs, OperatorArgs, Settings, SubnetSelection},
};
use serde_bytes::ByteBuf;

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
