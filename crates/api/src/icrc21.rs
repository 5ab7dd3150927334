//! ICRC-21, "Canister Call Consent Messages": types of `icrc21_canister_call_consent_message`.

use candid::{CandidType, Nat};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// Language and time zone, asked for or given.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct ConsentMessageMetadata {
    /// A BCP 47 tag.
    pub language: String,
    /// Minutes from UTC. None in an answer: the message holds no times of day.
    pub utc_offset_minutes: Option<i16>,
}

/// What shows the message.
#[derive(CandidType, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceSpec {
    /// Shows Markdown.
    GenericDisplay,
    /// Shows titles and values, as plain text.
    FieldsDisplay,
}

/// What the person who reads the message prefers.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct ConsentMessageSpec {
    pub metadata: ConsentMessageMetadata,
    pub device_spec: Option<DeviceSpec>,
}

/// Asks what a call would do.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct ConsentMessageRequest {
    pub method: String,
    /// Candid of the call's arguments.
    pub arg: ByteBuf,
    pub user_preferences: ConsentMessageSpec,
}

/// A value that a display may put into its own form.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum FieldValue {
    TokenAmount {
        decimals: u8,
        amount: u64,
        symbol: String,
    },
    TimestampSeconds {
        amount: u64,
    },
    DurationSeconds {
        amount: u64,
    },
    Text {
        content: String,
    },
}

/// A message in fields.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct FieldsDisplay {
    /// What is going to happen, in a few words.
    pub intent: String,
    pub fields: Vec<(String, FieldValue)>,
}

/// What a call would do, for people.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum ConsentMessage {
    /// Markdown without external resources.
    GenericDisplayMessage(String),
    FieldsDisplayMessage(FieldsDisplay),
}

/// A message, and the language that it is in.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct ConsentInfo {
    pub consent_message: ConsentMessage,
    pub metadata: ConsentMessageMetadata,
}

/// Why there is no message, for developers.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct ErrorInfo {
    pub description: String,
}

/// Why there is no message.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum Icrc21Error {
    /// The call would be refused: no such method, or not its arguments.
    UnsupportedCanisterCall(ErrorInfo),
    /// The call can be made, but there is no message for it.
    ConsentMessageUnavailable(ErrorInfo),
    InsufficientPayment(ErrorInfo),
    GenericError {
        error_code: Nat,
        description: String,
    },
}
