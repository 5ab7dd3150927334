use std::collections::BTreeSet;

use candid::{Nat, Principal};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::*;

#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
struct Everything {
    zulu: u64,
    alpha: Option<u32>,
    text: String,
    blob: ByteBuf,
    bytes: Vec<u8>,
    #[serde(with = "serde_bytes")]
    hash: [u8; 32],
    who: Principal,
    flags: (bool, i16),
    many: Vec<Kind>,
    names: BTreeSet<String>,
    inner: Option<Inner>,
    pairs: Vec<(String, u8)>,
    result: Result<Inner, Kind>,
    wrapped: Wrapped,
}

#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
struct Inner {
    b: i64,
    a: String,
}

#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
struct Wrapped(u16);

#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
enum Kind {
    Unit,
    New(Inner),
    Fields { z: u8, y: Option<Principal> },
    Pair(u8, String),
}

/// What only candid itself reads.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
struct Unbounded {
    nat: Nat,
    nothing: Vec<()>,
}

fn principals() -> impl Strategy<Value = Principal> {
    proptest::collection::vec(any::<u8>(), 0..=29).prop_map(|bytes| Principal::from_slice(&bytes))
}

fn inner() -> impl Strategy<Value = Inner> {
    (any::<i64>(), ".{0,8}").prop_map(|(b, a)| Inner { b, a })
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![
        Just(Kind::Unit),
        inner().prop_map(Kind::New),
        (any::<u8>(), proptest::option::of(principals())).prop_map(|(z, y)| Kind::Fields { z, y }),
        (any::<u8>(), ".{0,8}").prop_map(|(a, b)| Kind::Pair(a, b)),
    ]
}

prop_compose! {
    fn everything()(
        numbers in (any::<u64>(), any::<Option<u32>>(), any::<u16>(), any::<(bool, i16)>()),
        texts in (".{0,300}", proptest::collection::btree_set(".{0,8}", 0..4)),
        bytes in (proptest::collection::vec(any::<u8>(), 0..300), proptest::collection::vec(any::<u8>(), 0..9)),
        hash: [u8; 32],
        who in principals(),
        many in proptest::collection::vec(kinds(), 0..4),
        inner in proptest::option::of(inner()),
        pairs in proptest::collection::vec((".{0,8}", any::<u8>()), 0..4),
        result in prop_oneof![inner().prop_map(Ok), kinds().prop_map(Err)],
    ) -> Everything {
        Everything {
            zulu: numbers.0,
            alpha: numbers.1,
            text: texts.0,
            blob: bytes.0.into(),
            bytes: bytes.1,
            hash,
            who,
            flags: numbers.3,
            many,
            names: texts.1,
            inner,
            pairs,
            result,
            wrapped: Wrapped(numbers.2),
        }
    }
}

proptest! {
    #[test]
    fn bytes_are_those_of_candid_and_are_read_without_it(value in everything()) {
        let bytes = encode(&value).unwrap();
        prop_assert_eq!(&bytes, &candid::encode_one(&value).unwrap());
        prop_assert_eq!(decode_own::<Everything>(&bytes), Some(value));
    }

    #[test]
    fn whatever_is_read_here_is_what_candid_reads(value in everything(), at: prop::sample::Index, byte: u8) {
        let mut bytes = encode(&value).unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Some(read) = decode_own::<Everything>(&bytes) {
            prop_assert_eq!(candid::decode_one::<Everything>(&bytes).unwrap(), read);
        }
    }

    #[test]
    fn what_is_cut_off_or_followed_by_something_is_not_read(value in everything(), cut in 1..40_usize) {
        let bytes = encode(&value).unwrap();
        let shorter = &bytes[..bytes.len().saturating_sub(cut)];
        prop_assert_eq!(decode_own::<Everything>(shorter), None);
        let longer = [&bytes[..], &[0]].concat();
        prop_assert_eq!(decode_own::<Everything>(&longer), None);
    }
}

#[test]
fn what_only_candid_reads_is_left_to_it() {
    let value = Unbounded {
        nat: Nat::from(7_u8),
        nothing: vec![(), ()],
    };
    let bytes = encode(&value).unwrap();
    assert_eq!(decode_own::<Unbounded>(&bytes), None);
    assert_eq!(decode::<Unbounded>(&bytes).unwrap(), value);
    // A million of nothing in a few bytes.
    let none = encode(&vec![(); 1]).unwrap();
    assert_eq!(decode_own::<Vec<()>>(&none), None);
}

#[test]
fn another_type_that_candid_takes_for_this_one_is_left_to_it() {
    #[derive(CandidType)]
    struct More {
        a: String,
        b: i64,
        c: u8,
    }
    let more = More {
        a: "a".into(),
        b: 1,
        c: 2,
    };
    let bytes = candid::encode_one(&more).unwrap();
    assert_eq!(decode_own::<Inner>(&bytes), None);
    let expected = Inner {
        a: "a".into(),
        b: 1,
    };
    assert_eq!(decode::<Inner>(&bytes).unwrap(), expected);
}
