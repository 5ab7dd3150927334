//! Hashes of ICRC-3 values: the vectors of the standard, and agreement with `icrc-ledger-types`.

use std::collections::BTreeMap;
use std::mem::ManuallyDrop;

use candid::{Int, Nat};
use icrc_ledger_types::icrc::generic_value::ICRC3Value as Oracle;
use indus_api::icrc3::Value;
use indus_verify::icrc3::hash;
use num_bigint::{BigInt, BigUint};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_bytes::ByteBuf;
use sha2::{Digest, Sha256};

fn blob(hexadecimal: &str) -> Value {
    Value::Blob(ByteBuf::from(hex::decode(hexadecimal).unwrap()))
}

#[test]
fn the_vectors_of_the_standard_agree() {
    for (value, expected) in [
        (
            Value::Nat(Nat::from(42_u8)),
            "684888c0ebb17f374298b65ee2807526c066094c701bcc7ebbe1c1095f494fc1",
        ),
        (
            Value::Int(Int::from(-42)),
            "de5a6f78116eca62d7fc5ce159d23ae6b889b365a1739ad2cf36f925a140d0cc",
        ),
        (
            Value::Text(String::from("Hello, World!")),
            "dffd6021bb2bd5b0af676290809ec3a53191dd81c7f70a4b28688a362182986f",
        ),
        (
            blob("01020304"),
            "9f64a747e1b97f131fabb6b447296c9b6f0201e79fb3c5356e6c77e89b6a806a",
        ),
        (
            Value::Array(vec![
                Value::Nat(Nat::from(3_u8)),
                Value::Text(String::from("foo")),
                blob("0506"),
            ]),
            "514a04011caa503990d446b7dec5d79e19c221ae607fb08b2848c67734d468d6",
        ),
    ] {
        assert_eq!(hex::encode(hash(&value)), expected, "{value:?}");
    }
}

fn number() -> impl Strategy<Value = BigInt> {
    prop_oneof![
        any::<i64>().prop_map(BigInt::from),
        (-300_i64..300).prop_map(BigInt::from),
        vec(any::<u8>(), 0..40).prop_map(|bytes| BigInt::from_signed_bytes_le(&bytes)),
    ]
}

/// A value, and what the oracle calls it. The oracle writes numbers of type Int that aren't negative as LEB128, where the
/// standard says SLEB128; so it is asked about the others only.
fn values() -> impl Strategy<Value = (Value, Oracle)> {
    let text = "[a-c]{0,3}";
    let end = prop_oneof![
        vec(any::<u8>(), 0..80).prop_map(|bytes| {
            let bytes = ByteBuf::from(bytes);
            (Value::Blob(bytes.clone()), Oracle::Blob(bytes))
        }),
        text.prop_map(|text| (Value::Text(text.clone()), Oracle::Text(text))),
        number().prop_map(|number| {
            let number = Nat(number.magnitude().clone());
            (Value::Nat(number.clone()), Oracle::Nat(number))
        }),
        (i128::MIN..0).prop_map(|number| {
            let number = Int::from(number);
            (Value::Int(number.clone()), Oracle::Int(number))
        }),
    ];
    end.prop_recursive(4, 40, 6, move |below| {
        prop_oneof![
            vec(below.clone(), 0..6).prop_map(|items| {
                let (ours, oracle) = items.into_iter().unzip();
                (Value::Array(ours), Oracle::Array(oracle))
            }),
            btree_map(text, below, 0..6).prop_map(|fields| {
                let mut ours: Vec<(String, Value)> = Vec::new();
                let mut oracle = BTreeMap::new();
                for (name, (value, same)) in fields {
                    // The order in which fields come doesn't matter.
                    ours.insert(ours.len() / 2, (name.clone(), value));
                    oracle.insert(name, same);
                }
                (Value::Map(ours), Oracle::Map(oracle))
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn hashes_agree((ours, oracle) in values()) {
        prop_assert_eq!(hash(&ours), oracle.hash());
    }

    #[test]
    fn numbers_are_hashed_in_the_encodings_that_candid_has(number in number()) {
        let mut encoded = Vec::new();
        let int = Int(number.clone());
        int.encode(&mut encoded).unwrap();
        prop_assert_eq!(hash(&Value::Int(int)).to_vec(), Sha256::digest(&encoded).to_vec());
        let nat = Nat(number.magnitude().clone());
        encoded.clear();
        nat.encode(&mut encoded).unwrap();
        prop_assert_eq!(hash(&Value::Nat(nat)).to_vec(), Sha256::digest(&encoded).to_vec());
    }
}

#[test]
fn a_number_of_a_megabyte_is_hashed() {
    let groups = 1 << 20;
    let number = (BigUint::from(1_u8) << (7 * groups)) - 1_u8;
    let mut encoded = vec![0xff; groups];
    encoded[groups - 1] = 0x7f;
    let hashed = hash(&Value::Nat(Nat(number)));
    assert_eq!(hashed.to_vec(), Sha256::digest(encoded).to_vec());
}

#[test]
fn values_inside_of_a_million_others_are_hashed() {
    let depth = 1_000_000;
    let mut expected: [u8; 32] = Sha256::digest([]).into();
    let mut value = Value::Array(Vec::new());
    for _ in 1..depth {
        value = Value::Array(vec![value]);
        expected = Sha256::digest(expected).into();
    }
    // Dropping it would take the stack that hashing doesn't.
    assert_eq!(hash(&ManuallyDrop::new(value)), expected);
}
