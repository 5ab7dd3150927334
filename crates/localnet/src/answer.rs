//! Answers in CBOR (IC interface specification, "Request: Call", "Request: Query call", "Request: Read state").

use engine::{Reject, RequestId, Time};

use crate::{
    cbor::{Field, Value, encode, field},
    executor::QueryOutcome,
    hash::hash_of_map,
};

const RESPONSE_DOMAIN: &[u8] = b"\x0Bic-response";

/// A call that ended: the certificate says how.
pub(crate) fn call_ended(certificate: &[u8]) -> Vec<u8> {
    encode(&Value::Map(vec![
        field("status", Value::text("replied")),
        field("certificate", Value::blob(certificate)),
    ]))
}

/// A call that was refused before execution. The asynchronous endpoint gives no `status`.
pub(crate) fn call_not_taken(reject: &Reject, with_status: bool) -> Vec<u8> {
    let code = error_code(reject);
    let mut fields = reject_fields(reject, code.as_deref());
    if with_status {
        fields.push(field("status", Value::text("non_replicated_rejection")));
    }
    encode(&Value::Map(fields))
}

/// The answer to a query with the signature of the node.
pub(crate) fn query(outcome: &QueryOutcome) -> Vec<u8> {
    let code = outcome.result.as_ref().err().and_then(error_code);
    let mut fields = query_fields(&outcome.result, code.as_deref());
    let signature = Value::Map(vec![
        field("timestamp", Value::Nat(outcome.time.0)),
        field("signature", Value::blob(&outcome.signature.signature)),
        field("identity", Value::blob(outcome.signature.node.as_slice())),
    ]);
    fields.push(field("signatures", Value::Array(vec![signature])));
    encode(&Value::Map(fields))
}

/// What a node signs when it answers a query.
pub(crate) fn query_signable(
    result: &Result<Vec<u8>, Reject>,
    id: &RequestId,
    time: Time,
) -> Vec<u8> {
    let code = result.as_ref().err().and_then(error_code);
    let mut fields = query_fields(result, code.as_deref());
    fields.push(field("request_id", Value::blob(&id.0)));
    fields.push(field("timestamp", Value::Nat(time.0)));
    [RESPONSE_DOMAIN, &hash_of_map(&fields)].concat()
}

/// The certificate of a `read_state` request.
pub(crate) fn read_state(certificate: &[u8]) -> Vec<u8> {
    encode(&Value::Map(vec![field(
        "certificate",
        Value::blob(certificate),
    )]))
}

/// What the status endpoint says.
pub(crate) fn status(root_key: &[u8]) -> Vec<u8> {
    encode(&Value::Map(vec![
        field("root_key", Value::blob(root_key)),
        field("replica_health_status", Value::text("healthy")),
        field("impl_version", Value::text(env!("CARGO_PKG_VERSION"))),
    ]))
}

fn query_fields<'a>(
    result: &'a Result<Vec<u8>, Reject>,
    error_code: Option<&'a str>,
) -> Vec<Field<'a>> {
    match result {
        Ok(reply) => vec![
            field("status", Value::text("replied")),
            field("reply", Value::Map(vec![field("arg", Value::blob(reply))])),
        ],
        Err(reject) => {
            let mut fields = reject_fields(reject, error_code);
            fields.push(field("status", Value::text("rejected")));
            fields
        }
    }
}

fn reject_fields<'a>(reject: &'a Reject, error_code: Option<&'a str>) -> Vec<Field<'a>> {
    let mut fields = vec![
        field("reject_code", Value::Nat(reject.code as u64)),
        field("reject_message", Value::text(&reject.message)),
    ];
    fields.extend(error_code.map(|code| field("error_code", Value::text(code))));
    fields
}

fn error_code(reject: &Reject) -> Option<String> {
    reject.error_code.map(engine::ErrorCode::text)
}

#[cfg(test)]
mod tests {
    use candid::Principal;
    use engine::{ErrorCode, NodeSignature, RejectCode};
    use ic_transport_types::{QueryResponse, TransportCallResponse};

    use super::*;

    fn reject(error_code: Option<ErrorCode>) -> Reject {
        Reject {
            code: RejectCode::CanisterError,
            message: "no".into(),
            error_code,
        }
    }

    #[test]
    fn agents_read_an_answer_to_a_query_and_what_was_signed() {
        let id = RequestId([7; 32]);
        let time = Time(1_700_000_000_000_000_000);
        for result in [
            Ok(b"DIDL\0\0".to_vec()),
            Err(reject(Some(ErrorCode::Trapped))),
            Err(reject(None)),
        ] {
            let signature = NodeSignature {
                node: Principal::from_slice(&[9; 29]),
                signature: [1; 64],
            };
            let outcome = QueryOutcome {
                result,
                time,
                signature,
            };
            let read: QueryResponse = serde_cbor::from_slice(&query(&outcome)).unwrap();
            assert_eq!(read.signatures()[0].timestamp, time.0);
            let signed = read.signable(ic_transport_types::RequestId::new(&id.0), time.0);
            assert_eq!(query_signable(&outcome.result, &id, time), signed);
        }
    }

    #[test]
    fn agents_read_the_answers_to_a_call() {
        let ended = serde_cbor::from_slice(&call_ended(b"certificate")).unwrap();
        let TransportCallResponse::Replied { certificate } = ended else {
            panic!("replied")
        };
        assert_eq!(certificate, b"certificate");

        let not_taken = call_not_taken(&reject(Some(ErrorCode::MethodNotFound)), true);
        let not_taken = serde_cbor::from_slice(&not_taken).unwrap();
        let TransportCallResponse::NonReplicatedRejection(read) = not_taken else {
            panic!("rejected")
        };
        assert_eq!(
            (read.reject_message.as_str(), read.error_code.as_deref()),
            ("no", Some("IC0536"))
        );
    }
}
