//! What the methods that people sign for would do (ICRC-21), in words.

use candid::Principal;
use indus_api::lifeline::{Action, ApproveArgs, CarryOutArgs, ProposeArgs};
use indus_kit::{
    arguments::{self, decode},
    icrc21::Consent,
};

type Fields = Vec<(&'static str, String)>;

/// What a call of `method` with `argument` would do; none where it would be refused.
pub(crate) fn consent(method: &str, argument: &[u8]) -> Option<Consent> {
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

#[cfg(test)]
mod tests {
    use candid::Encode;
    use indus_api::lifeline::HealthCheck;
    use serde_bytes::ByteBuf;

    use super::*;

    fn propose(action: Action) -> (&'static str, Vec<u8>) {
        let args = ProposeArgs {
            action,
            argument: ByteBuf::new(),
        };
        ("propose", Encode!(&args).unwrap_or_default())
    }

    /// An argument of each method that people sign for, and of each action.
    fn signed() -> Vec<(&'static str, Vec<u8>)> {
        let someone = Principal::from_slice(&[7]);
        let hash = ByteBuf::from([7; 32]);
        let approval = ApproveArgs {
            id: 7,
            action_hash: hash.clone(),
        };
        let upgrade = CarryOutArgs {
            proposal: 7,
            argument: ByteBuf::new(),
        };
        vec![
            propose(Action::Install {
                canister: someone,
                module_hash: hash.clone(),
                argument_hash: hash,
                health: HealthCheck::Maintenance,
            }),
            propose(Action::SetKeepers {
                keepers: vec![someone],
                threshold: 1,
            }),
            propose(Action::SetControllers {
                canister: someone,
                controllers: vec![someone],
            }),
            ("approve", Encode!(&approval).unwrap_or_default()),
            ("withdraw", Encode!(&7_u64).unwrap_or_default()),
            ("carry_out", Encode!(&upgrade).unwrap_or_default()),
        ]
    }

    #[test]
    fn each_call_that_people_sign_for_has_a_message_of_its_own() {
        let mut intents = Vec::new();
        for (method, argument) in signed() {
            let told = consent(method, &argument);
            intents.extend(told.map(|told| told.intent));
            assert_eq!(consent(method, b"no Candid"), None, "{method}");
        }
        intents.sort_unstable();
        intents.dedup();
        assert_eq!(intents.len(), signed().len());
        let argument = Encode!(&7_u64).unwrap_or_default();
        assert_eq!(consent("get_intervention", &argument), None);
    }

    #[test]
    fn each_update_of_the_interface_is_told_of_or_needs_no_signature() {
        let unsigned = [
            "confirm_upgrade",
            "icrc21_canister_call_consent_message",
            "upload_chunk",
        ];
        let interface = crate::candid_interface();
        let (_, service) = interface.split_once("service :").unwrap_or_default();
        for line in service
            .lines()
            .filter(|line| line.contains(" : (") && !line.contains("query;"))
        {
            let name = line.trim().split(' ').next().unwrap_or_default();
            let told = signed().iter().any(|(method, _)| *method == name);
            assert!(told || unsigned.contains(&name), "{name}");
        }
    }
}
