//! Envelopes: what a client posts, read into types (IC interface specification, "CBOR encoding of requests and responses").
//!
//! ```text
//!   envelope { content, sender_pubkey?, sender_sig?, sender_delegation? }
//!                 └─ { request_type, sender, nonce?, ingress_expiry,
//!                      canister_id, method_name, arg,    call, query
//!                      sender_info? { info, signer, sig }
//!                      paths }                           read_state
//! ```
//!
//! What is signed (the content and each delegation) may hold only fields that are known here: acting on a signed
//! request while ignoring a part of it could grant more than the signer meant. Unsigned extra fields are ignored.
//!
//! Cost: O(body); blobs are borrowed from it.

use std::borrow::Cow;

use candid::Principal;
use engine::{Path, RequestId, Time};
use thiserror::Error;

use crate::{
    cbor::{self, CborError, Field, Value},
    hash::{Hash, hash_of_map},
};

/// Longest `nonce`, in bytes.
pub(crate) const MAX_NONCE: usize = 32;
/// Longest `method_name`, in bytes: the sum of the names that a module may export.
pub(crate) const MAX_METHOD_NAME: usize = 20_000;
/// Most `paths` of a `read_state` request.
pub(crate) const MAX_PATHS: usize = 1_000;
/// Most labels of a path.
pub(crate) const MAX_LABELS: usize = 127;
/// Most delegations in a chain.
pub(crate) const MAX_DELEGATIONS: usize = 20;
/// Most `targets` of a delegation.
pub(crate) const MAX_TARGETS: usize = 1_000;

/// A request with what authenticates it, nothing of it checked yet but its form.
#[derive(Clone, Debug)]
pub(crate) struct Envelope<'a> {
    pub request_id: RequestId,
    pub sender: Principal,
    pub expiry: Time,
    pub request: Request<'a>,
    pub credentials: Credentials<'a>,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) enum Request<'a> {
    Call(Message<'a>),
    Query(Message<'a>),
    ReadState(Vec<Path>),
}

/// A message to a canister.
#[derive(Clone, Debug)]
pub(crate) struct Message<'a> {
    pub canister_id: Principal,
    pub method: Cow<'a, str>,
    pub arg: Cow<'a, [u8]>,
    pub sender_info: Option<SignedInfo<'a>>,
}

/// What a canister says about the sender.
#[derive(Clone, Debug)]
pub(crate) struct SignedInfo<'a> {
    pub info: Cow<'a, [u8]>,
    pub signer: Principal,
    pub signature: Cow<'a, [u8]>,
}

impl<'a> Request<'a> {
    pub(crate) fn sender_info(&self) -> Option<&SignedInfo<'a>> {
        match self {
            Self::Call(message) | Self::Query(message) => message.sender_info.as_ref(),
            Self::ReadState(_) => None,
        }
    }
}

/// The fields beside the content.
#[derive(Clone, Debug)]
pub(crate) struct Credentials<'a> {
    pub public_key: Option<Cow<'a, [u8]>>,
    pub signature: Option<Cow<'a, [u8]>>,
    pub delegations: Option<Vec<SignedDelegation<'a>>>,
}

/// One link of a chain of delegations.
#[derive(Clone, Debug)]
pub(crate) struct SignedDelegation<'a> {
    /// DER-encoded key that may sign from here on.
    pub public_key: Cow<'a, [u8]>,
    pub expiration: Time,
    /// None: all canisters.
    pub targets: Option<Vec<Principal>>,
    /// It may be used for queries and `read_state` alone.
    pub queries_only: bool,
    /// Hash that the preceding key has signed.
    pub hash: Hash,
    pub signature: Cow<'a, [u8]>,
}

/// Why a body is not an envelope.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum EnvelopeError {
    #[error("malformed CBOR: {0}")]
    Cbor(#[from] CborError),
    #[error("malformed request: {field} is missing")]
    Missing { field: &'static str },
    #[error("malformed request: {field} is not {expected}")]
    WrongType {
        field: &'static str,
        expected: &'static str,
    },
    #[error("malformed request: {place} has a field that is not known")]
    UnknownField { place: &'static str },
    #[error("malformed request: {field} has more than {limit} {unit}")]
    TooLong {
        field: &'static str,
        limit: usize,
        unit: &'static str,
    },
    #[error("malformed request: request_type is not {expected}")]
    WrongRequestType { expected: &'static str },
}

impl<'a> Envelope<'a> {
    /// Reads an envelope that must hold a request of the type `kind`: `call`, `query` or `read_state`.
    ///
    /// # Errors
    /// The body isn't CBOR, isn't an envelope, or is beyond a limit of this module.
    pub(crate) fn decode(body: &'a [u8], kind: &'static str) -> Result<Self, EnvelopeError> {
        let mut envelope = Fields::of("the envelope", cbor::decode(body)?)?;
        let credentials = Credentials {
            public_key: envelope.optional_blob("sender_pubkey")?,
            signature: envelope.optional_blob("sender_sig")?,
            delegations: envelope
                .optional_array("sender_delegation")?
                .map(delegations)
                .transpose()?,
        };
        let mut content = Fields::of("content", envelope.required("content")?)?;
        let request_id = RequestId(hash_of_map(&content.fields));
        if content.text("request_type")? != kind {
            return Err(EnvelopeError::WrongRequestType { expected: kind });
        }
        let sender = content.principal("sender")?;
        let expiry = Time(content.nat("ingress_expiry")?);
        if let Some(nonce) = content.optional_blob("nonce")? {
            at_most("nonce", nonce.len(), MAX_NONCE, "bytes")?;
        }
        let request = match kind {
            "call" => Request::Call(message(&mut content)?),
            "query" => Request::Query(message(&mut content)?),
            _ => Request::ReadState(paths(content.array("paths")?)?),
        };
        content.end()?;
        Ok(Self {
            request_id,
            sender,
            expiry,
            request,
            credentials,
        })
    }
}

fn message<'a>(content: &mut Fields<'a>) -> Result<Message<'a>, EnvelopeError> {
    let message = Message {
        canister_id: content.principal("canister_id")?,
        method: content.text("method_name")?,
        arg: content.blob("arg")?,
        sender_info: content
            .optional("sender_info")
            .map(sender_info)
            .transpose()?,
    };
    at_most(
        "method_name",
        message.method.len(),
        MAX_METHOD_NAME,
        "bytes",
    )?;
    Ok(message)
}

fn sender_info(value: Value<'_>) -> Result<SignedInfo<'_>, EnvelopeError> {
    let mut fields = Fields::of("sender_info", value)?;
    let signed = SignedInfo {
        info: fields.blob("info")?,
        signer: fields.principal("signer")?,
        signature: fields.blob("sig")?,
    };
    fields.end()?;
    Ok(signed)
}

fn paths(values: Vec<Value<'_>>) -> Result<Vec<Path>, EnvelopeError> {
    at_most("paths", values.len(), MAX_PATHS, "paths")?;
    let mut paths = Vec::with_capacity(values.len());
    for value in values {
        let Value::Array(labels) = value else {
            return Err(EnvelopeError::WrongType {
                field: "paths",
                expected: "a list of lists of blobs",
            });
        };
        at_most("a path", labels.len(), MAX_LABELS, "labels")?;
        let labels = labels
            .into_iter()
            .map(|label| blob("a label of a path", label).map(Cow::into_owned));
        paths.push(labels.collect::<Result<Path, _>>()?);
    }
    Ok(paths)
}

fn delegations(values: Vec<Value<'_>>) -> Result<Vec<SignedDelegation<'_>>, EnvelopeError> {
    at_most(
        "sender_delegation",
        values.len(),
        MAX_DELEGATIONS,
        "delegations",
    )?;
    values.into_iter().map(delegation).collect()
}

fn delegation(value: Value<'_>) -> Result<SignedDelegation<'_>, EnvelopeError> {
    let mut signed = Fields::of("a signed delegation", value)?;
    let signature = signed.blob("signature")?;
    let mut fields = Fields::of("delegation", signed.required("delegation")?)?;
    let hash = hash_of_map(&fields.fields);
    let delegation = SignedDelegation {
        public_key: fields.blob("pubkey")?,
        expiration: Time(fields.nat("expiration")?),
        targets: fields.optional_array("targets")?.map(targets).transpose()?,
        queries_only: match fields.optional("permissions") {
            None => false,
            Some(Value::Text(text)) if text == "all" => false,
            Some(Value::Text(text)) if text == "queries" => true,
            Some(_) => {
                return Err(EnvelopeError::WrongType {
                    field: "permissions",
                    expected: "`queries` or `all`",
                });
            }
        },
        hash,
        signature,
    };
    fields.end()?;
    Ok(delegation)
}

fn targets(values: Vec<Value<'_>>) -> Result<Vec<Principal>, EnvelopeError> {
    at_most("targets", values.len(), MAX_TARGETS, "canisters")?;
    values
        .into_iter()
        .map(|value| principal("targets", value))
        .collect()
}

fn at_most(
    field: &'static str,
    len: usize,
    limit: usize,
    unit: &'static str,
) -> Result<(), EnvelopeError> {
    if len > limit {
        Err(EnvelopeError::TooLong { field, limit, unit })
    } else {
        Ok(())
    }
}

fn blob<'a>(field: &'static str, value: Value<'a>) -> Result<Cow<'a, [u8]>, EnvelopeError> {
    match value {
        Value::Blob(bytes) => Ok(bytes),
        _ => Err(EnvelopeError::WrongType {
            field,
            expected: "a blob",
        }),
    }
}

fn principal(field: &'static str, value: Value<'_>) -> Result<Principal, EnvelopeError> {
    let bytes = blob(field, value)?;
    Principal::try_from_slice(&bytes).map_err(|_| EnvelopeError::WrongType {
        field,
        expected: "a principal (at most 29 bytes)",
    })
}

/// The fields of a map that haven't been read yet.
struct Fields<'a> {
    place: &'static str,
    fields: Vec<Field<'a>>,
}

impl<'a> Fields<'a> {
    fn of(place: &'static str, value: Value<'a>) -> Result<Self, EnvelopeError> {
        match value {
            Value::Map(fields) => Ok(Self { place, fields }),
            _ => Err(EnvelopeError::WrongType {
                field: place,
                expected: "a map",
            }),
        }
    }

    fn optional(&mut self, field: &str) -> Option<Value<'a>> {
        let at = self.fields.iter().position(|(name, _)| name == field)?;
        Some(self.fields.swap_remove(at).1)
    }

    fn required(&mut self, field: &'static str) -> Result<Value<'a>, EnvelopeError> {
        self.optional(field).ok_or(EnvelopeError::Missing { field })
    }

    fn blob(&mut self, field: &'static str) -> Result<Cow<'a, [u8]>, EnvelopeError> {
        blob(field, self.required(field)?)
    }

    fn optional_blob(
        &mut self,
        field: &'static str,
    ) -> Result<Option<Cow<'a, [u8]>>, EnvelopeError> {
        self.optional(field)
            .map(|value| blob(field, value))
            .transpose()
    }

    fn principal(&mut self, field: &'static str) -> Result<Principal, EnvelopeError> {
        principal(field, self.required(field)?)
    }

    fn text(&mut self, field: &'static str) -> Result<Cow<'a, str>, EnvelopeError> {
        match self.required(field)? {
            Value::Text(text) => Ok(text),
            _ => Err(EnvelopeError::WrongType {
                field,
                expected: "a text",
            }),
        }
    }

    fn nat(&mut self, field: &'static str) -> Result<u64, EnvelopeError> {
        match self.required(field)? {
            Value::Nat(n) => Ok(n),
            _ => Err(EnvelopeError::WrongType {
                field,
                expected: "a natural number",
            }),
        }
    }

    fn array(&mut self, field: &'static str) -> Result<Vec<Value<'a>>, EnvelopeError> {
        self.optional_array(field)?
            .ok_or(EnvelopeError::Missing { field })
    }

    fn optional_array(
        &mut self,
        field: &'static str,
    ) -> Result<Option<Vec<Value<'a>>>, EnvelopeError> {
        match self.optional(field) {
            None => Ok(None),
            Some(Value::Array(items)) => Ok(Some(items)),
            Some(_) => Err(EnvelopeError::WrongType {
                field,
                expected: "a list",
            }),
        }
    }

    fn end(self) -> Result<(), EnvelopeError> {
        if self.fields.is_empty() {
            Ok(())
        } else {
            Err(EnvelopeError::UnknownField { place: self.place })
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cbor::field;

    fn call() -> Vec<Field<'static>> {
        vec![
            field("request_type", Value::text("call")),
            field("sender", Value::blob(&[4])),
            field("ingress_expiry", Value::Nat(9)),
            field("canister_id", Value::blob(&[1, 2])),
            field("method_name", Value::text("greet")),
            field("arg", Value::blob(b"DIDL\0\0")),
        ]
    }

    fn read_state(paths: Value<'static>) -> Vec<u8> {
        let mut content = call();
        content.truncate(3);
        content[0].1 = Value::text("read_state");
        content.push(field("paths", paths));
        envelope(content)
    }

    fn envelope(content: Vec<Field<'_>>) -> Vec<u8> {
        cbor::encode(&Value::Map(vec![field("content", Value::Map(content))]))
    }

    fn refusal(body: &[u8], kind: &'static str) -> EnvelopeError {
        Envelope::decode(body, kind).unwrap_err()
    }

    #[test]
    fn a_call_is_read() {
        let body = envelope(call());
        let envelope = Envelope::decode(&body, "call").unwrap();
        assert_eq!(
            (envelope.sender, envelope.expiry),
            (Principal::anonymous(), Time(9))
        );
        assert_eq!(envelope.request_id, RequestId(hash_of_map(&call())));
        let Request::Call(message) = envelope.request else {
            panic!("a call")
        };
        assert_eq!(message.canister_id, Principal::from_slice(&[1, 2]));
        assert_eq!(
            (&*message.method, &*message.arg),
            ("greet", &b"DIDL\0\0"[..])
        );
    }

    #[test]
    fn the_tag_before_a_request_may_be_left_out() {
        assert!(Envelope::decode(&envelope(call())[3..], "call").is_ok());
    }

    #[test]
    fn every_field_of_a_call_is_required() {
        for missing in 0..call().len() {
            let mut content = call();
            let name = content.remove(missing).0;
            let EnvelopeError::Missing { field } = refusal(&envelope(content), "call") else {
                panic!("{name} should be missed")
            };
            assert_eq!(field, name);
        }
    }

    #[test]
    fn every_field_of_a_call_must_have_its_type() {
        for wrong in 0..call().len() {
            let mut content = call();
            content[wrong].1 = Value::Array(vec![]);
            let error = refusal(&envelope(content), "call");
            assert!(matches!(error, EnvelopeError::WrongType { .. }), "{error}");
        }
    }

    #[test]
    fn a_signed_field_that_is_not_known_is_refused() {
        let mut content = call();
        content.push(field("priority", Value::Nat(1)));
        assert_eq!(
            refusal(&envelope(content), "call"),
            EnvelopeError::UnknownField { place: "content" }
        );
    }

    #[test]
    fn a_request_of_another_type_is_refused() {
        let error = refusal(&envelope(call()), "query");
        assert_eq!(error, EnvelopeError::WrongRequestType { expected: "query" });
    }

    #[test]
    fn limits_hold_at_their_edge() {
        let with_nonce = |len| {
            let mut content = call();
            content.push(field("nonce", Value::Blob(vec![0; len].into())));
            envelope(content)
        };
        assert!(Envelope::decode(&with_nonce(MAX_NONCE), "call").is_ok());
        assert!(matches!(
            refusal(&with_nonce(MAX_NONCE + 1), "call"),
            EnvelopeError::TooLong { .. }
        ));

        let with_paths = |paths, labels| {
            read_state(Value::Array(vec![
                Value::Array(vec![
                    Value::blob(b"x");
                    labels
                ]);
                paths
            ]))
        };
        assert!(Envelope::decode(&with_paths(MAX_PATHS, MAX_LABELS), "read_state").is_ok());
        assert!(matches!(
            refusal(&with_paths(MAX_PATHS + 1, 1), "read_state"),
            EnvelopeError::TooLong { .. }
        ));
        assert!(matches!(
            refusal(&with_paths(1, MAX_LABELS + 1), "read_state"),
            EnvelopeError::TooLong { .. }
        ));
    }

    #[test]
    fn a_principal_of_30_bytes_is_refused() {
        let mut content = call();
        content[3].1 = Value::Blob(vec![0; 30].into());
        assert!(matches!(
            refusal(&envelope(content), "call"),
            EnvelopeError::WrongType {
                field: "canister_id",
                ..
            }
        ));
    }

    #[test]
    fn information_about_the_sender_is_whole_or_refused() {
        let info = vec![
            field("info", Value::blob(b"knows")),
            field("signer", Value::blob(&[1, 2])),
            field("sig", Value::blob(&[3])),
        ];
        let with = |info: &[Field<'static>]| {
            let mut content = call();
            content.push(field("sender_info", Value::Map(info.to_vec())));
            envelope(content)
        };
        let body = with(&info);
        let read = Envelope::decode(&body, "call").unwrap();
        let signed = read.request.sender_info().unwrap();
        assert_eq!(
            (&*signed.info, signed.signer, &*signed.signature),
            (&b"knows"[..], Principal::from_slice(&[1, 2]), &[3][..])
        );
        for missing in 0..info.len() {
            let mut info = info.clone();
            info.remove(missing);
            assert!(matches!(
                refusal(&with(&info), "call"),
                EnvelopeError::Missing { .. }
            ));
        }
        let more = [info, vec![field("more", Value::Nat(1))]].concat();
        let place = "sender_info";
        assert_eq!(
            refusal(&with(&more), "call"),
            EnvelopeError::UnknownField { place }
        );
    }

    #[test]
    fn a_read_carries_no_information_about_its_sender() {
        let mut content = call();
        content.truncate(3);
        content[0].1 = Value::text("read_state");
        content.push(field("paths", Value::Array(vec![])));
        content.push(field("sender_info", Value::Map(vec![])));
        assert_eq!(
            refusal(&envelope(content), "read_state"),
            EnvelopeError::UnknownField { place: "content" }
        );
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in any::<Vec<u8>>()) {
            for kind in ["call", "query", "read_state"] {
                prop_assert!(Envelope::decode(&bytes, kind).is_err());
            }
        }

        #[test]
        fn a_damaged_request_never_panics(at in any::<prop::sample::Index>(), byte: u8) {
            let mut body = envelope(call());
            let at = at.index(body.len());
            body[at] = byte;
            let _ = Envelope::decode(&body, "call");
            prop_assert!(Envelope::decode(&body[..at], "call").is_err());
        }
    }
}
