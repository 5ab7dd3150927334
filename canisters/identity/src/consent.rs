//! What the methods that people sign for would do (ICRC-21), in words.

use candid::Principal;
use indus_api::{
    identity::{
        ApproveRecoveryArgs, GrantArgs, IssueArgs, MethodKind, NewMethod, OfferArgs,
        OpenRecoveryArgs, RegisterArgs, RevocationReason, RevokeCredentialArgs, RevokeRoleArgs,
    },
    time::rfc3339,
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
    let id = |name: &'static str| {
        let id: u64 = decode(argument)?;
        Ok(vec![(name, id.to_string())])
    };
    let principal = |name: &'static str| {
        let principal: Principal = decode(argument)?;
        Ok(vec![(name, principal.to_text())])
    };
    let told = match method {
        "register_person" => {
            let RegisterArgs { kind, .. } = decode(argument)?;
            let fields = vec![("Kind of key", kind_name(kind).into())];
            ("Register as a person", fields)
        }
        "open_pairing" => {
            // It takes no argument.
            if argument != EMPTY {
                return Ok(None);
            }
            ("Add a device: show a code for it", vec![])
        }
        "offer_method" => {
            let OfferArgs {
                person, code, kind, ..
            } = decode(argument)?;
            let fields = vec![
                ("Person", person.to_text()),
                ("Code", code),
                ("Kind of key", kind_name(kind).into()),
            ];
            ("Let this key speak for a person", fields)
        }
        "confirm_method" => (
            "Let another key speak for you",
            principal("Key, as the new device shows it")?,
        ),
        "remove_method" => ("Remove a key that speaks for you", principal("Key")?),
        "choose_office" => {
            let office: Option<u64> = decode(argument)?;
            let office = office.map_or_else(|| "the only one".into(), |id| id.to_string());
            (
                "Choose whom you act for with this key",
                vec![("Organisation", office)],
            )
        }
        "grant_role" => ("Offer a person a role", role_fields(decode(argument)?)),
        "accept_role" => ("Accept a role", id("Role")?),
        "revoke_role" => {
            let RevokeRoleArgs { id, reason } = decode(argument)?;
            (
                "Take a role back, or give it up",
                revocation_fields("Role", id, reason),
            )
        }
        "open_recovery" => {
            let OpenRecoveryArgs {
                person,
                new_method,
                remove_others,
            } = decode(argument)?;
            let fields = recovery_fields(person, &new_method, remove_others);
            ("Open the recovery of a person", fields)
        }
        "approve_recovery" => {
            let ApproveRecoveryArgs { id, recovery_hash } = decode(argument)?;
            let fields = vec![
                ("Recovery", id.to_string()),
                ("Hash of what is approved", hex::encode(recovery_hash)),
            ];
            ("Approve the recovery of a person", fields)
        }
        "veto_recovery" => ("Refuse your recovery", id("Recovery")?),
        "finish_recovery" => ("Finish a recovery", id("Recovery")?),
        "issue_credential" => ("Issue a credential", credential_fields(decode(argument)?)),
        "revoke_credential" => {
            let RevokeCredentialArgs { id, reason } = decode(argument)?;
            (
                "Take a credential back",
                revocation_fields("Credential", id, reason),
            )
        }
        "apply_decision" => ("Apply a decision of the governors", id("Proposal")?),
        _ => return Ok(None),
    };
    Ok(Some(told))
}

/// Candid of no arguments.
const EMPTY: &[u8] = b"DIDL\0\0";

fn role_fields(args: GrantArgs) -> Fields {
    vec![
        ("Person", args.person.to_text()),
        ("Organisation", args.organisation.to_string()),
        ("Role", args.role),
        ("From", rfc3339(args.valid_from_ns)),
        ("Until", rfc3339(args.valid_until_ns)),
    ]
}

fn recovery_fields(person: Principal, new_method: &NewMethod, remove_others: bool) -> Fields {
    let others = if remove_others { "are removed" } else { "stay" };
    vec![
        ("Person", person.to_text()),
        ("New key", new_method.principal.to_text()),
        ("Kind of key", kind_name(new_method.kind).into()),
        ("Their other keys", others.into()),
    ]
}

fn credential_fields(args: IssueArgs) -> Fields {
    let until = args
        .valid_until_ns
        .map_or_else(|| "without end".into(), rfc3339);
    vec![
        ("Holder", args.holder.to_text()),
        ("Programme", args.achievement.programme),
        ("Name", args.achievement.name),
        ("Description", args.achievement.description),
        ("Criteria", args.achievement.criteria),
        ("Until", until),
    ]
}

fn revocation_fields(what: &'static str, id: u64, reason: RevocationReason) -> Fields {
    let reason = match reason {
        RevocationReason::Ended => "it has ended",
        RevocationReason::Replaced => "something else takes its place",
        RevocationReason::Mistake => "it was a mistake",
        RevocationReason::Misuse => "it was misused, or keys were lost",
    };
    vec![(what, id.to_string()), ("Reason", reason.into())]
}

fn kind_name(kind: MethodKind) -> &'static str {
    match kind {
        MethodKind::Passkey => "passkey",
        MethodKind::Ed25519 => "Ed25519",
        MethodKind::Secp256k1 => "secp256k1",
        MethodKind::P256 => "P-256",
        MethodKind::Other => "other",
    }
}
