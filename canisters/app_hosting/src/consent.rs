//! What the methods that people sign for would do (ICRC-21), in words.

use candid::Principal;
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
        "forget_canister" => {
            let id: Principal = decode(argument)?;
            let fields = vec![("Canister", id.to_text())];
            ("Forget a canister that was deleted", fields)
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
