//! What the methods that people sign for would do (ICRC-21), in words.

use candid::Principal;
use indus_api::{
    identity::{
        ApproveRecoveryArgs, BindMessagingKeyArgs, GrantArgs, IssueArgs, MethodKind, NewMethod,
        OfferArgs, OpenRecoveryArgs, RegisterArgs, RevocationReason, RevokeCredentialArgs,
        RevokeRoleArgs,
    },
    time::rfc3339,
};
use indus_kit::{
    arguments::{self, decode},
    icrc21::Consent,
};
use serde_bytes::ByteBuf;

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
        "sign_credential" => ("Have a credential of yours signed", id("Credential")?),
        "revoke_credential" => {
            let RevokeCredentialArgs { id, reason } = decode(argument)?;
            (
                "Take a credential back",
                revocation_fields("Credential", id, reason),
            )
        }
        "bind_messaging_key" => {
            let BindMessagingKeyArgs { signature_key, .. } = decode(argument)?;
            let fields = vec![("Key", hex::encode(signature_key))];
            ("Let a key sign your encrypted messages", fields)
        }
        "end_messaging_key" => {
            let key: ByteBuf = decode(argument)?;
            let fields = vec![("Key", hex::encode(key))];
            ("End a key that signs your encrypted messages", fields)
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

#[cfg(test)]
mod tests {
    use candid::Encode;
    use indus_api::identity::Achievement;

    use super::*;

    const PERSON: Principal = Principal::from_slice(&[7, 0x7f]);

    /// Each method that people sign for, with an argument of its own.
    fn signed() -> Vec<(&'static str, Vec<u8>)> {
        let (kind, alias_commitment) = (MethodKind::P256, None);
        let reason = RevocationReason::Misuse;
        let new_method = NewMethod {
            principal: PERSON,
            kind,
            alias_commitment: None,
        };
        let offer = OfferArgs {
            person: PERSON,
            code: "ABCDEFGH".into(),
            kind,
            alias_commitment: None,
        };
        let grant = GrantArgs {
            person: PERSON,
            organisation: 3,
            role: "recovery-officer".into(),
            valid_from_ns: 0,
            valid_until_ns: 1_795_551_192_000_000_000,
        };
        let open = OpenRecoveryArgs {
            person: PERSON,
            new_method,
            remove_others: true,
        };
        let approve = ApproveRecoveryArgs {
            id: 7,
            recovery_hash: ByteBuf::from([0xab; 32]),
        };
        let issue = IssueArgs {
            idempotency_key: ByteBuf::new(),
            holder: PERSON,
            achievement: Achievement {
                programme: "rust".into(),
                name: "Rust".into(),
                description: "Six weeks".into(),
                criteria: "Passes".into(),
            },
            valid_until_ns: None,
        };
        let encoded = [
            (
                "register_person",
                Encode!(&RegisterArgs {
                    kind,
                    alias_commitment
                }),
            ),
            ("open_pairing", Encode!()),
            ("offer_method", Encode!(&offer)),
            ("confirm_method", Encode!(&PERSON)),
            ("remove_method", Encode!(&PERSON)),
            ("choose_office", Encode!(&Some(3_u64))),
            ("grant_role", Encode!(&grant)),
            ("accept_role", Encode!(&7_u64)),
            ("revoke_role", Encode!(&RevokeRoleArgs { id: 7, reason })),
            ("open_recovery", Encode!(&open)),
            ("approve_recovery", Encode!(&approve)),
            ("veto_recovery", Encode!(&7_u64)),
            ("finish_recovery", Encode!(&7_u64)),
            ("issue_credential", Encode!(&issue)),
            ("sign_credential", Encode!(&7_u64)),
            (
                "revoke_credential",
                Encode!(&RevokeCredentialArgs { id: 7, reason }),
            ),
            (
                "bind_messaging_key",
                Encode!(&BindMessagingKeyArgs {
                    signature_key: ByteBuf::from([7; 32]),
                    proof: ByteBuf::from([8; 64]),
                }),
            ),
            ("end_messaging_key", Encode!(&ByteBuf::from([7; 32]))),
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
        // what canisters call, and queries
        for method in ["subject_of", "refresh_subject", "my_person", "list_roles"] {
            assert_eq!(consent(method, &Encode!(&7_u64).unwrap_or_default()), None);
        }
    }

    #[test]
    fn each_update_of_the_interface_is_told_of_or_needs_no_signature() {
        let told = signed();
        for name in testnet::updates(&crate::candid_interface()) {
            let is_told = told.iter().any(|(method, _)| *method == name);
            assert!(
                is_told || ["holders_of", "refresh_subject", "subject_of"].contains(&&*name),
                "{name}"
            );
        }
    }

    #[test]
    fn what_is_told_names_everything_that_counts() {
        let told = |method| {
            let (_, argument) = signed().into_iter().find(|one| one.0 == method)?;
            let fields = consent(method, &argument)?.fields;
            Some(
                fields
                    .into_iter()
                    .map(|(_, value)| value)
                    .collect::<Vec<_>>()
                    .join("|"),
            )
        };
        let person = PERSON.to_text();
        assert_eq!(
            told("grant_role"),
            Some(format!(
                "{person}|3|recovery-officer|1970-01-01T00:00:00Z|2026-11-24T20:13:12Z"
            ))
        );
        assert_eq!(
            told("open_recovery"),
            Some(format!("{person}|{person}|P-256|are removed"))
        );
        assert_eq!(
            told("approve_recovery"),
            Some(format!("7|{}", "ab".repeat(32)))
        );
    }
}
