//! What the methods that people sign for would do (ICRC-21), in words.

use candid::Principal;
use indus_api::lifeline::{Action, ApproveArgs, CarryOutArgs, ProposeArgs};
use indus_kit::{
    arguments::{self, decode},
    icrc21::Consent,
};

type Fields = Vec<(&'static str, String)>;

/// What a call of `method` with `argument` would do; none where it would be refused.
#[must_use]
pub fn consent(method: &str, argument: &[u8]) -> Option<Consent> {
    let (intent, fields) = of_method(method, argument).ok()??;
    Some(Consent { intent, fields })
}

fn of_method(
    method: &str,
    argument: &[u8],
) -> Result<Option<(&'static str, Fields)>, arguments::Refused> {
    let told = match method {
        "propose" => {
            let args: ProposeArgs = decode(argument)?;
            proposed(args.action)
        }
        "approve" => {
            let args: ApproveArgs = decode(argument)?;
            let fields = vec![
                ("Intervention", args.id.to_string()),
                ("Hash of its action", hex::encode(&args.action_hash)),
            ];
            ("Approve an intervention", fields)
        }
        "withdraw" => {
            let id: u64 = decode(argument)?;
            let fields = vec![("Intervention", id.to_string())];
            ("Take an intervention back", fields)
        }
        "carry_out" => {
            let args: CarryOutArgs = decode(argument)?;
            let fields = vec![("Proposal", args.proposal.to_string())];
            let intent = "Carry out an upgrade of app_hosting that the governors decided";
            (intent, fields)
        }
        _ => return Ok(None),
    };
    Ok(Some(told))
}

fn proposed(action: Action) -> (&'static str, Fields) {
    let each = |name, principals: Vec<Principal>| {
        let text = move |one: Principal| (name, one.to_text());
        principals.into_iter().map(text)
    };
    match action {
        Action::Install {
            canister,
            module_hash,
            argument_hash,
            health,
        } => {
            let fields = vec![
                ("Canister", canister.to_text()),
                ("Module", hex::encode(&module_hash)),
                ("Argument", hex::encode(&argument_hash)),
                ("Check", format!("{health:?}")),
            ];
            ("Propose to install a module, past the governors", fields)
        }
        Action::SetKeepers { keepers, threshold } => {
            let mut fields = vec![("Threshold", threshold.to_string())];
            fields.extend(each("Keeper", keepers));
            ("Propose other keepers of the lifeline", fields)
        }
        Action::SetControllers {
            canister,
            controllers,
        } => {
            let mut fields = vec![("Canister", canister.to_text())];
            fields.extend(each("Controller", controllers));
            ("Propose other controllers of a canister", fields)
        }
    }
}
