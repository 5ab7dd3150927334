//! Representation-independent hash (IC interface specification, "Representation-independent hashing of structured data").
//!
//! Request ids, delegations and answers to queries are signed by this hash: it depends on names and values of the
//! fields, not on how they are encoded. Every field that is present takes part.
//!
//! Cost: one SHA-256 over each value, and two of 64 bytes a field.

use sha2::{Digest, Sha256};

use crate::cbor::{Field, Value};

/// A SHA-256 hash.
pub(crate) type Hash = [u8; 32];

/// Hash of a map with these fields.
pub(crate) fn hash_of_map(fields: &[Field<'_>]) -> Hash {
    let mut pairs: Vec<(Hash, Hash)> = fields
        .iter()
        .map(|(name, value)| (sha256(name.as_bytes()), hash_of_value(value)))
        .collect();
    pairs.sort_unstable();
    let mut hasher = Sha256::new();
    for (name, value) in pairs {
        hasher.update(name);
        hasher.update(value);
    }
    hasher.finalize().into()
}

fn hash_of_value(value: &Value<'_>) -> Hash {
    match value {
        Value::Nat(n) => hash_of_nat(*n),
        Value::Blob(bytes) => sha256(bytes),
        Value::Text(text) => sha256(text.as_bytes()),
        Value::Array(items) => {
            let mut hasher = Sha256::new();
            for item in items {
                hasher.update(hash_of_value(item));
            }
            hasher.finalize().into()
        }
        Value::Map(fields) => hash_of_map(fields),
    }
}

/// Numbers are hashed in their shortest unsigned LEB128 form.
fn hash_of_nat(mut n: u64) -> Hash {
    let mut leb128 = Vec::with_capacity(10);
    loop {
        let low = n.to_le_bytes()[0] & 0x7f;
        n >>= 7;
        if n == 0 {
            leb128.push(low);
            return sha256(&leb128);
        }
        leb128.push(low | 0x80);
    }
}

fn sha256(bytes: &[u8]) -> Hash {
    Sha256::digest(bytes).into()
}

#[cfg(test)]
mod tests {
    use candid::Principal;
    use ic_transport_types::{EnvelopeContent, to_request_id};

    use super::*;
    use crate::cbor::{decode, field};

    #[test]
    fn the_request_id_of_the_specification_is_reproduced() {
        let content = [
            field("request_type", Value::text("call")),
            field("sender", Value::blob(&[0x04])),
            field("ingress_expiry", Value::Nat(1_685_570_400_000_000_000)),
            field("canister_id", Value::blob(b"\0\0\0\0\0\0\x04\xD2")),
            field("method_name", Value::text("hello")),
            field("arg", Value::blob(b"DIDL\0\xFD*")),
        ];
        let expected = "1d1091364d6bb8a6c16b203ee75467d59ead468f523eb058880ae8ec80e2b101";
        assert_eq!(hex::encode(hash_of_map(&content)), expected);
    }

    #[test]
    fn ids_agree_with_the_agents() {
        let contents = [
            EnvelopeContent::Call {
                nonce: Some(vec![7; 32]),
                ingress_expiry: 300,
                sender: Principal::anonymous(),
                canister_id: Principal::management_canister(),
                method_name: "install_code".into(),
                arg: vec![0; 70_000],
                sender_info: None,
            },
            EnvelopeContent::ReadState {
                ingress_expiry: 0,
                sender: Principal::anonymous(),
                paths: vec![
                    vec!["request_status".into(), vec![1; 32].into()],
                    vec!["time".into()],
                    vec![],
                ],
            },
        ];
        for content in contents {
            let bytes = serde_cbor::to_vec(&content).unwrap();
            let Value::Map(fields) = decode(&bytes).unwrap() else {
                panic!("a content is a map")
            };
            assert_eq!(hash_of_map(&fields), *to_request_id(&content).unwrap());
        }
    }

    #[test]
    fn the_order_of_fields_does_not_matter() {
        let (a, b) = (field("a", Value::Nat(1)), field("b", Value::Nat(128)));
        assert_eq!(hash_of_map(&[a.clone(), b.clone()]), hash_of_map(&[b, a]));
    }
}
