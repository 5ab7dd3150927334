//! Consent messages (ICRC-21): what a call would do, in words that a wallet shows before it signs.
//!
//! ```text
//! method, argument ── the canister ──► Consent {intent, fields} ── the kit ──► Markdown, or plain fields
//! ```
//!
//! A canister says what would happen as an intent and named values; the kit writes it down for the device. Arguments are
//! chosen by whoever prepared the call, not by the one who signs it, so in Markdown every value stands in a code span of its
//! own, where it can't pose as text of the canister's.
//!
//! Invariants: a message depends on method and argument alone: not on the state, which may change before the call comes, and
//! not on who asks (cold wallets ask anonymously). It is in English, and says so, whatever language was asked for: the
//! standard prefers that to no message. A message that would be cut is refused instead.
//!
//! Cost: decoding the argument, within the bounds of [`crate::arguments`].

use indus_api::icrc21::{
    ConsentInfo, ConsentMessage, ConsentMessageMetadata, ConsentMessageRequest, DeviceSpec,
    ErrorInfo, FieldValue, FieldsDisplay, Icrc21Error,
};

/// Longest name of a method, in bytes.
pub const MAX_METHOD_BYTES: usize = 100;
/// Longest argument that there are messages for, in bytes: nobody reads more before signing.
pub const MAX_ARGUMENT_BYTES: usize = 16_384;
/// Longest message, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 4_096;

/// The language of all messages (BCP 47).
const LANGUAGE: &str = "en";

/// What a call would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consent {
    /// In a few words, of the canister's own: "Apply for an organisation".
    pub intent: &'static str,
    /// What is to be known before signing, each under a name of the canister's.
    pub fields: Vec<(&'static str, String)>,
}

/// Answers `icrc21_canister_call_consent_message`. `consent` says what a call of a method with an argument would do; none
/// means that it would be refused, because there is no such method or the argument isn't its own.
///
/// # Errors
/// [`Icrc21Error::UnsupportedCanisterCall`] for such a call, and one beyond the bounds;
/// [`Icrc21Error::ConsentMessageUnavailable`] if the message would be too long.
pub fn answer(
    request: &ConsentMessageRequest,
    consent: impl FnOnce(&str, &[u8]) -> Option<Consent>,
) -> Result<ConsentInfo, Icrc21Error> {
    let unsupported = |description: &str| {
        Icrc21Error::UnsupportedCanisterCall(ErrorInfo {
            description: description.into(),
        })
    };
    if request.method.len() > MAX_METHOD_BYTES || request.arg.len() > MAX_ARGUMENT_BYTES {
        return Err(unsupported("the method's name or the argument is too long"));
    }
    let consent = consent(&request.method, &request.arg)
        .ok_or_else(|| unsupported("there is no such method, or it takes another argument"))?;
    let consent_message = match request.user_preferences.device_spec {
        None | Some(DeviceSpec::GenericDisplay) => {
            ConsentMessage::GenericDisplayMessage(markdown(&consent))
        }
        Some(DeviceSpec::FieldsDisplay) => ConsentMessage::FieldsDisplayMessage(fields(&consent)),
    };
    if length(&consent_message) > MAX_MESSAGE_BYTES {
        return Err(Icrc21Error::ConsentMessageUnavailable(ErrorInfo {
            description: format!("the message would be longer than {MAX_MESSAGE_BYTES} bytes"),
        }));
    }
    Ok(ConsentInfo {
        consent_message,
        metadata: ConsentMessageMetadata {
            language: LANGUAGE.into(),
            utc_offset_minutes: None,
        },
    })
}

fn markdown(consent: &Consent) -> String {
    let mut text = format!("# {}", consent.intent);
    for (name, value) in &consent.fields {
        text.push_str(&format!("\n\n**{name}:** {}", code_span(value)));
    }
    text
}

fn fields(consent: &Consent) -> FieldsDisplay {
    let field = |(name, value): &(&str, String)| {
        let content = one_line(value);
        ((*name).to_owned(), FieldValue::Text { content })
    };
    FieldsDisplay {
        intent: consent.intent.into(),
        fields: consent.fields.iter().map(field).collect(),
    }
}

/// A code span (CommonMark 0.31, section 6.1) that shows `value`: its fence is longer than any run of backticks within.
fn code_span(value: &str) -> String {
    let value = one_line(value);
    let longest = value
        .split(|character| character != '`')
        .map(str::len)
        .max()
        .unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    if value.is_empty() {
        return "–".into();
    }
    format!("{fence} {value} {fence}")
}

/// Line breaks and other control characters would end a span, or draw over what surrounds it; so would directional overrides.
fn one_line(value: &str) -> String {
    let deceptive = |character: char| {
        character.is_control()
            || matches!(character, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    value
        .chars()
        .map(|character| if deceptive(character) { ' ' } else { character })
        .collect()
}

fn length(message: &ConsentMessage) -> usize {
    match message {
        ConsentMessage::GenericDisplayMessage(text) => text.len(),
        ConsentMessage::FieldsDisplayMessage(display) => {
            let value = |value: &FieldValue| match value {
                FieldValue::Text { content } => content.len(),
                FieldValue::TokenAmount { symbol, .. } => symbol.len(),
                FieldValue::TimestampSeconds { .. } | FieldValue::DurationSeconds { .. } => 0,
            };
            let fields = display
                .fields
                .iter()
                .map(|field| field.0.len() + value(&field.1));
            display.intent.len() + fields.sum::<usize>()
        }
    }
}

#[cfg(test)]
mod tests {
    use candid::{CandidType, Encode, types::subtype};
    use icrc_ledger_types::icrc21::{errors, requests, responses};
    use proptest::prelude::*;
    use serde_bytes::ByteBuf;

    use super::*;
    use crate::arguments;

    fn request(method: &str, arg: Vec<u8>) -> ConsentMessageRequest {
        ConsentMessageRequest {
            method: method.into(),
            arg: ByteBuf::from(arg),
            user_preferences: indus_api::icrc21::ConsentMessageSpec {
                metadata: ConsentMessageMetadata {
                    language: "ur-PK".into(),
                    utc_offset_minutes: Some(300),
                },
                device_spec: None,
            },
        }
    }

    fn consent(method: &str, argument: &[u8]) -> Option<Consent> {
        let name: String = arguments::decode(argument).ok()?;
        (method == "apply").then(|| Consent {
            intent: "Apply for an organisation",
            fields: vec![("Name", name)],
        })
    }

    fn message(name: &str) -> String {
        let arg = Encode!(&name).unwrap();
        match answer(&request("apply", arg), consent)
            .unwrap()
            .consent_message
        {
            ConsentMessage::GenericDisplayMessage(text) => text,
            ConsentMessage::FieldsDisplayMessage(_) => panic!("not asked for"),
        }
    }

    #[test]
    fn a_message_says_what_the_call_does_in_english_whatever_was_asked_for() {
        let answer = answer(&request("apply", Encode!(&"NADRA").unwrap()), consent).unwrap();
        assert_eq!(answer.metadata.language, "en");
        assert_eq!(answer.metadata.utc_offset_minutes, None);
        assert_eq!(
            message("NADRA"),
            "# Apply for an organisation\n\n**Name:** ` NADRA `"
        );
    }

    #[test]
    fn a_display_of_fields_gets_plain_fields() {
        let mut request = request("apply", Encode!(&"`a`\n*b*").unwrap());
        request.user_preferences.device_spec = Some(DeviceSpec::FieldsDisplay);
        let content = "`a` *b*".into();
        assert_eq!(
            answer(&request, consent).unwrap().consent_message,
            ConsentMessage::FieldsDisplayMessage(FieldsDisplay {
                intent: "Apply for an organisation".into(),
                fields: vec![("Name".into(), FieldValue::Text { content })],
            })
        );
    }

    #[test]
    fn calls_that_would_be_refused_have_no_message() {
        let good = Encode!(&"NADRA").unwrap();
        for request in [
            request("destroy", good.clone()),
            request("apply", b"not candid".to_vec()),
            request(&"a".repeat(MAX_METHOD_BYTES + 1), good),
            request("apply", vec![0; MAX_ARGUMENT_BYTES + 1]),
        ] {
            assert!(matches!(
                answer(&request, consent),
                Err(Icrc21Error::UnsupportedCanisterCall(_))
            ));
        }
    }

    #[test]
    fn a_message_is_whole_or_refused() {
        let room = MAX_MESSAGE_BYTES - message("a").len() + 1;
        assert_eq!(message(&"a".repeat(room)).len(), MAX_MESSAGE_BYTES);
        let long = request("apply", Encode!(&"a".repeat(room + 1)).unwrap());
        assert!(matches!(
            answer(&long, consent),
            Err(Icrc21Error::ConsentMessageUnavailable(_))
        ));
    }

    #[test]
    fn types_are_those_of_the_standard() {
        fn same<Ours: CandidType, Theirs: CandidType>() {
            let mut env = candid::types::internal::TypeContainer::new();
            let (ours, theirs) = (env.add::<Ours>(), env.add::<Theirs>());
            subtype::equal(&mut subtype::Gamma::new(), &env.env, &ours, &theirs).unwrap();
        }
        same::<ConsentMessageRequest, requests::ConsentMessageRequest>();
        same::<Result<ConsentInfo, Icrc21Error>, Result<responses::ConsentInfo, errors::Icrc21Error>>(
        );
    }

    proptest! {
        #[test]
        fn no_value_leaves_its_code_span(value in "[`*\\[\\]()#\n\r a-z\u{202e}\u{2028}]{0,40}") {
            let text = message(&value);
            let shown = text.strip_prefix("# Apply for an organisation\n\n**Name:** ").unwrap();
            let deceives = shown.chars().any(|c| c.is_control() || c == '\u{202e}' || c == '\u{2028}');
            prop_assert!(!deceives);
            if !value.is_empty() {
                let fence: String = shown.chars().take_while(|c| *c == '`').collect();
                let within = shown.strip_prefix(&fence).unwrap().strip_suffix(&fence).unwrap();
                prop_assert!(within.starts_with(' ') && within.ends_with(' '));
                prop_assert!(!within.contains(&fence));
            }
        }
    }
}
