//! What the methods that people sign for would do (ICRC-21), in words.

use indus_api::messaging::{ClaimArgs, CommitArgs, CreateArgs, PostArgs, UploadArgs};
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
        "upload_key_packages" => {
            let UploadArgs { key_packages } = decode(argument)?;
            let fields = vec![("Key packages", key_packages.len().to_string())];
            ("Let others add this device to conversations", fields)
        }
        "claim_key_packages" => {
            let ClaimArgs { persons, .. } = decode(argument)?;
            let fields = persons.iter().map(|one| ("Person", one.to_text()));
            (
                "Get ready to add persons to a conversation",
                fields.collect(),
            )
        }
        "create_conversation" => {
            let CreateArgs { label, .. } = decode(argument)?;
            let fields = vec![("Label", format!("{label:?}"))];
            ("Create a conversation", fields)
        }
        "submit_commit" => {
            let CommitArgs { conversation, .. } = decode(argument)?;
            let fields = vec![("Conversation", conversation.to_string())];
            ("Change who is in a conversation, or its keys", fields)
        }
        "post_message" => {
            let PostArgs {
                conversation,
                message,
            } = decode(argument)?;
            let fields = vec![
                ("Conversation", conversation.to_string()),
                ("Bytes", message.len().to_string()),
            ];
            ("Send an encrypted message", fields)
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
    use candid::{Encode, Principal};
    use indus_api::messaging::Label;
    use serde_bytes::ByteBuf;

    use super::*;

    /// An argument of each method that people sign for.
    fn signed() -> Vec<(&'static str, Vec<u8>)> {
        let blob = || ByteBuf::from([7; 40]);
        let commit = CommitArgs {
            conversation: 3,
            commit: blob(),
            group_info: blob(),
            welcome: None,
        };
        let claim = ClaimArgs {
            idempotency_key: blob(),
            persons: vec![Principal::from_slice(&[1, 0x7f])],
        };
        let encoded = [
            (
                "upload_key_packages",
                Encode!(&UploadArgs {
                    key_packages: vec![blob()]
                }),
            ),
            ("claim_key_packages", Encode!(&claim)),
            (
                "create_conversation",
                Encode!(&CreateArgs {
                    group_info: blob(),
                    label: Label::Restricted
                }),
            ),
            ("submit_commit", Encode!(&commit)),
            (
                "post_message",
                Encode!(&PostArgs {
                    conversation: 3,
                    message: blob()
                }),
            ),
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
        for method in ["refresh_subject", "entries", "my_devices"] {
            assert_eq!(consent(method, &Encode!(&7_u64).unwrap_or_default()), None);
        }
    }

    #[test]
    fn each_update_of_the_interface_is_told_of_or_needs_no_signature() {
        let told = signed();
        for name in testnet::updates(&crate::candid_interface()) {
            let is_told = told.iter().any(|(method, _)| *method == name);
            assert!(is_told || ["refresh_subject"].contains(&&*name), "{name}");
        }
    }
}
