//! What the methods that people sign for would do (ICRC-21), in words.

use indus_api::hosting::{
    ApproveReleaseArgs, CarryOutArgs, CreateAppArgs, ProposeReleaseArgs, RollBackArgs,
    engine::CreateCanisterArgs,
};
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
        "create_app" => {
            let CreateAppArgs {
                organisation,
                name,
                data_class,
            } = decode(argument)?;
            let mut fields = vec![("Name", name), ("Data, at most", format!("{data_class:?}"))];
            fields.extend(organisation.map(|id| ("Organisation", id.to_string())));
            ("Make an app", fields)
        }
        "choose_app" => {
            let id: u64 = decode(argument)?;
            let fields = vec![("App", id.to_string())];
            ("Choose the app that tools create canisters for", fields)
        }
        "create_canister" => {
            let CreateCanisterArgs { creation_args, .. } = decode(argument)?;
            let settings = creation_args.and_then(|args| args.settings);
            let controllers = settings.and_then(|settings| settings.controllers);
            let fields = controllers.unwrap_or_default();
            let fields = fields.iter().map(|one| ("Controller", one.to_text()));
            ("Create a canister for the chosen app", fields.collect())
        }
        "propose_release" => {
            let args: ProposeReleaseArgs = decode(argument)?;
            let fields = vec![
                ("Canister", args.canister.to_text()),
                ("Module", hex::encode(&args.module_hash)),
                ("Check", format!("{:?}", args.health)),
            ];
            ("Release a module", fields)
        }
        "approve_release" => {
            let args: ApproveReleaseArgs = decode(argument)?;
            let fields = vec![
                ("Release", args.release.to_string()),
                ("Module", hex::encode(&args.module_hash)),
                ("Argument", hex::encode(&args.argument_hash)),
            ];
            ("Approve a release of somebody else", fields)
        }
        "withdraw_release" => {
            let id: u64 = decode(argument)?;
            ("Take a release back", vec![("Release", id.to_string())])
        }
        "roll_back" => {
            let args: RollBackArgs = decode(argument)?;
            let mut fields = vec![("Canister", args.canister.to_text())];
            fields.extend(args.to.map(|id| ("Release", id.to_string())));
            ("Bring an earlier release back", fields)
        }
        "carry_out" => {
            let args: CarryOutArgs = decode(argument)?;
            let fields = vec![("Proposal", args.proposal.to_string())];
            ("Carry out an upgrade that the governors decided", fields)
        }
        "apply_decision" => {
            let id: u64 = decode(argument)?;
            let fields = vec![("Proposal", id.to_string())];
            ("Apply a decision of the governors", fields)
        }
        _ => return Ok(None),
    };
    Ok(Some(told))
}

#[cfg(test)]
mod tests {
    use candid::{Encode, Nat, Principal};
    use indus_api::{hosting::HealthCheck, registry::DataClass};
    use serde_bytes::ByteBuf;

    use super::*;

    /// An argument of each method that people sign for.
    fn signed() -> Vec<(&'static str, Vec<u8>)> {
        let app = CreateAppArgs {
            organisation: Some(7),
            name: "tax-return".into(),
            data_class: DataClass::Official,
        };
        let canister = CreateCanisterArgs {
            from_subaccount: None,
            created_at_time: None,
            amount: Nat::from(0_u8),
            creation_args: None,
        };
        let someone = Principal::from_slice(&[7]);
        let hash = ByteBuf::from([7; 32]);
        let release = ProposeReleaseArgs {
            canister: someone,
            module_hash: hash.clone(),
            argument: ByteBuf::new(),
            health: HealthCheck::Installs,
            keep_memory: false,
        };
        let approval = ApproveReleaseArgs {
            release: 7,
            module_hash: hash.clone(),
            argument_hash: hash,
        };
        let back = RollBackArgs {
            canister: someone,
            to: Some(7),
        };
        let upgrade = CarryOutArgs {
            proposal: 7,
            argument: ByteBuf::new(),
        };
        let encoded = [
            ("propose_release", Encode!(&release)),
            ("approve_release", Encode!(&approval)),
            ("withdraw_release", Encode!(&7_u64)),
            ("roll_back", Encode!(&back)),
            ("carry_out", Encode!(&upgrade)),
            ("create_app", Encode!(&app)),
            ("choose_app", Encode!(&7_u64)),
            ("create_canister", Encode!(&canister)),
            ("apply_decision", Encode!(&7_u64)),
        ];
        encoded
            .map(|(method, argument)| (method, argument.unwrap_or_default()))
            .into()
    }

    #[test]
    fn each_method_that_people_sign_for_has_a_message_of_its_own() {
        let mut intents = Vec::new();
        for (method, argument) in signed() {
            let told = consent(method, &argument);
            intents.extend(told.map(|told| told.intent));
            assert_eq!(consent(method, b"no Candid"), None, "{method}");
        }
        intents.sort_unstable();
        intents.dedup();
        assert_eq!(intents.len(), signed().len());
        for method in ["refresh_subject", "get_app"] {
            assert_eq!(consent(method, &Encode!(&7_u64).unwrap_or_default()), None);
        }
    }

    #[test]
    fn each_update_of_the_interface_is_told_of_or_needs_no_signature() {
        let unsigned = [
            "confirm_upgrade",
            "icrc21_canister_call_consent_message",
            "refresh_subject",
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
