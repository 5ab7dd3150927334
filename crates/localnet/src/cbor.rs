//! The part of CBOR (RFC 8949) that requests and replies of the IC HTTP interface use.
//!
//! A [`Value`] is one item: a natural number, a blob, a text, an array or a map with text keys. Decoding borrows blobs
//! and texts from the input; encoding writes definite lengths and shortest heads.
//!
//! Decoding is for hostile bytes. It holds, whatever the input:
//! 1. nesting is at most [`MAX_DEPTH`], items are at most [`MAX_ITEMS`], fields of a map at most [`MAX_FIELDS`];
//! 2. nothing is reserved that the input doesn't pay for, byte by byte;
//! 3. a map with a repeated key, a float, a boolean, a negative number, a string in chunks or bytes after the item are refused.
//!
//! Arrays and maps of indefinite length are read. A field whose value is `null` or `undefined` counts as omitted,
//! because some agents write omitted fields that way.
//!
//! Cost: one pass, O(input).

use std::borrow::Cow;

use thiserror::Error;

/// Deepest nesting of arrays and maps. The deepest request, with the targets of a delegation, needs 5.
pub(crate) const MAX_DEPTH: usize = 8;

/// Most items in one input. The largest request needs 1,000 paths × 127 labels and 20 × 1,000 targets.
pub(crate) const MAX_ITEMS: usize = 160_000;

/// Most fields in one map. The largest map of a request has 8.
pub(crate) const MAX_FIELDS: usize = 32;

const SELF_DESCRIBED: u64 = 55_799;
const BIGNUM: u64 = 2;

/// One CBOR item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Nat(u64),
    Blob(Cow<'a, [u8]>),
    Text(Cow<'a, str>),
    Array(Vec<Value<'a>>),
    Map(Vec<Field<'a>>),
}

/// A field of a map.
pub(crate) type Field<'a> = (Cow<'a, str>, Value<'a>);

impl<'a> Value<'a> {
    pub(crate) fn blob(bytes: &'a [u8]) -> Self {
        Self::Blob(Cow::Borrowed(bytes))
    }

    pub(crate) fn text(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

/// A field with a name that is known here.
pub(crate) fn field<'a>(name: &'static str, value: Value<'a>) -> Field<'a> {
    (Cow::Borrowed(name), value)
}

/// Why bytes are not a request.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum CborError {
    #[error("the CBOR ends within an item")]
    Truncated,
    #[error("byte {at}: {what} can't be part of a request")]
    Unsupported { at: usize, what: &'static str },
    #[error("byte {at}: text that is not UTF-8")]
    NotUtf8 { at: usize },
    #[error("byte {at}: a number above 2^64 - 1")]
    NumberTooLarge { at: usize },
    #[error("byte {at}: a field that is there twice")]
    RepeatedField { at: usize },
    #[error("nested more than {MAX_DEPTH} deep")]
    TooDeep,
    #[error("more than {MAX_ITEMS} items")]
    TooManyItems,
    #[error("a map of more than {MAX_FIELDS} fields")]
    TooManyFields,
    #[error("bytes after the end of the CBOR")]
    TrailingBytes,
}

/// Decodes exactly one item, with or without the self-describing tag before it.
pub(crate) fn decode(bytes: &[u8]) -> Result<Value<'_>, CborError> {
    let mut reader = Reader {
        bytes,
        at: 0,
        items: 0,
    };
    let mut head = reader.head()?;
    if (head.major, head.argument) == (6, Some(SELF_DESCRIBED)) {
        head = reader.head()?;
    }
    let start = reader.at;
    let value = reader.item(head, 0)?.ok_or(CborError::Unsupported {
        at: start,
        what: "null",
    })?;
    if reader.at != bytes.len() {
        return Err(CborError::TrailingBytes);
    }
    Ok(value)
}

/// Encodes an item after the self-describing tag.
pub(crate) fn encode(value: &Value<'_>) -> Vec<u8> {
    let mut out = vec![0xd9, 0xd9, 0xf7];
    write_item(&mut out, value);
    out
}

fn write_item(out: &mut Vec<u8>, value: &Value<'_>) {
    match value {
        Value::Nat(n) => write_head(out, 0, *n),
        Value::Blob(bytes) => write_bytes(out, 2, bytes),
        Value::Text(text) => write_bytes(out, 3, text.as_bytes()),
        Value::Array(items) => {
            write_head(out, 4, items.len() as u64);
            for item in items {
                write_item(out, item);
            }
        }
        Value::Map(fields) => {
            write_head(out, 5, fields.len() as u64);
            for (name, item) in fields {
                write_bytes(out, 3, name.as_bytes());
                write_item(out, item);
            }
        }
    }
}

fn write_bytes(out: &mut Vec<u8>, major: u8, bytes: &[u8]) {
    write_head(out, major, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn write_head(out: &mut Vec<u8>, major: u8, argument: u64) {
    let major = major << 5;
    let bytes = argument.to_be_bytes();
    match argument {
        0..24 => out.push(major | bytes[7]),
        24..0x100 => out.extend_from_slice(&[major | 24, bytes[7]]),
        0x100..0x1_0000 => {
            out.push(major | 25);
            out.extend_from_slice(&bytes[6..]);
        }
        0x1_0000..0x1_0000_0000 => {
            out.push(major | 26);
            out.extend_from_slice(&bytes[4..]);
        }
        _ => {
            out.push(major | 27);
            out.extend_from_slice(&bytes);
        }
    }
}

/// First bytes of an item.
#[derive(Clone, Copy)]
struct Head {
    at: usize,
    major: u8,
    /// Low five bits of the first byte.
    info: u8,
    /// None for an indefinite length, and for the break that ends one.
    argument: Option<u64>,
}

impl Head {
    fn is_break(self) -> bool {
        self.major == 7 && self.argument.is_none()
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    items: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: u64) -> Result<&'a [u8], CborError> {
        let rest = &self.bytes[self.at..];
        let len = usize::try_from(len)
            .ok()
            .filter(|len| *len <= rest.len())
            .ok_or(CborError::Truncated)?;
        self.at += len;
        Ok(&rest[..len])
    }

    fn head(&mut self) -> Result<Head, CborError> {
        let at = self.at;
        let first = self.take(1)?[0];
        let (major, info) = (first >> 5, first & 0x1f);
        let argument = match info {
            0..24 => Some(u64::from(info)),
            24..28 => {
                let bytes = self.take(1 << (info - 24))?;
                Some(bytes.iter().fold(0, |n, byte| n << 8 | u64::from(*byte)))
            }
            31 => None,
            _ => {
                return Err(CborError::Unsupported {
                    at,
                    what: "a reserved length",
                });
            }
        };
        Ok(Head {
            at,
            major,
            info,
            argument,
        })
    }

    /// None for `null` and `undefined`.
    fn item(&mut self, head: Head, depth: usize) -> Result<Option<Value<'a>>, CborError> {
        self.items += 1;
        if self.items > MAX_ITEMS {
            return Err(CborError::TooManyItems);
        }
        let unsupported = |what| Err(CborError::Unsupported { at: head.at, what });
        let value = match (head.major, head.argument) {
            (0, Some(n)) => Value::Nat(n),
            (2, Some(len)) => Value::Blob(Cow::Borrowed(self.take(len)?)),
            (3, Some(len)) => Value::Text(Cow::Borrowed(self.utf8(head.at, len)?)),
            (4, len) => Value::Array(self.array(len, depth + 1)?),
            (5, len) => Value::Map(self.map(len, depth + 1)?),
            (6, Some(BIGNUM)) => Value::Nat(self.bignum(head.at)?),
            (7, Some(_)) if matches!(head.info, 22 | 23) => return Ok(None),
            (1, _) => return unsupported("a negative number"),
            (2 | 3, None) => return unsupported("a string in chunks"),
            (6, _) => return unsupported("this tag"),
            (7, Some(_)) => return unsupported("a float or a simple value"),
            _ => return unsupported("this byte"),
        };
        Ok(Some(value))
    }

    fn array(&mut self, len: Option<u64>, depth: usize) -> Result<Vec<Value<'a>>, CborError> {
        let mut items = Vec::new();
        self.each(len, depth, |reader, head| {
            let item = reader.item(head, depth)?;
            items.push(item.ok_or(CborError::Unsupported {
                at: head.at,
                what: "null",
            })?);
            Ok(())
        })?;
        Ok(items)
    }

    fn map(&mut self, len: Option<u64>, depth: usize) -> Result<Vec<Field<'a>>, CborError> {
        let mut names: Vec<&str> = Vec::new();
        let mut fields = Vec::new();
        self.each(len, depth, |reader, head| {
            let (3, Some(len)) = (head.major, head.argument) else {
                return Err(CborError::Unsupported {
                    at: head.at,
                    what: "a key that is not a text",
                });
            };
            let name = reader.utf8(head.at, len)?;
            if names.contains(&name) {
                return Err(CborError::RepeatedField { at: head.at });
            }
            names.push(name);
            if names.len() > MAX_FIELDS {
                return Err(CborError::TooManyFields);
            }
            let head = reader.head()?;
            if let Some(value) = reader.item(head, depth)? {
                fields.push((Cow::Borrowed(name), value));
            }
            Ok(())
        })?;
        Ok(fields)
    }

    /// Calls `element` with the head of each element of an array or a map.
    fn each(
        &mut self,
        len: Option<u64>,
        depth: usize,
        mut element: impl FnMut(&mut Self, Head) -> Result<(), CborError>,
    ) -> Result<(), CborError> {
        if depth > MAX_DEPTH {
            return Err(CborError::TooDeep);
        }
        let mut left = len;
        while left != Some(0) {
            let head = self.head()?;
            if left.is_none() && head.is_break() {
                break;
            }
            element(self, head)?;
            left = left.map(|n| n - 1);
        }
        Ok(())
    }

    fn utf8(&mut self, at: usize, len: u64) -> Result<&'a str, CborError> {
        std::str::from_utf8(self.take(len)?).map_err(|_| CborError::NotUtf8 { at })
    }

    fn bignum(&mut self, at: usize) -> Result<u64, CborError> {
        let head = self.head()?;
        let (2, Some(len)) = (head.major, head.argument) else {
            return Err(CborError::Unsupported {
                at,
                what: "a number that is no byte string",
            });
        };
        let bytes = self.take(len)?;
        bytes.iter().try_fold(0_u64, |n, byte| {
            n.checked_mul(256)
                .map(|n| n | u64::from(*byte))
                .ok_or(CborError::NumberTooLarge { at })
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values() -> impl Strategy<Value = Value<'static>> {
        let leaf = prop_oneof![
            any::<u64>().prop_map(Value::Nat),
            any::<Vec<u8>>().prop_map(|bytes| Value::Blob(bytes.into())),
            any::<String>().prop_map(|text| Value::Text(text.into())),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::Array),
                prop::collection::btree_map(any::<String>(), inner, 0..8).prop_map(|map| {
                    Value::Map(map.into_iter().map(|(k, v)| (k.into(), v)).collect())
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_the_same(value in values()) {
            let bytes = encode(&value);
            prop_assert_eq!(decode(&bytes), Ok(value));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in any::<Vec<u8>>()) {
            let _ = decode(&bytes);
        }

        #[test]
        fn damaged_encodings_never_panic(value in values(), at in any::<prop::sample::Index>(), byte: u8) {
            let mut bytes = encode(&value);
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let _ = decode(&bytes);
            let _ = decode(&bytes[..at]);
        }
    }

    #[test]
    fn it_agrees_with_another_encoder() {
        #[derive(serde::Serialize)]
        struct Sample {
            small: u64,
            large: u64,
            text: &'static str,
            #[serde(with = "serde_bytes")]
            blob: Vec<u8>,
            list: Vec<u32>,
        }
        let sample = Sample {
            small: 7,
            large: u64::MAX,
            text: "é",
            blob: vec![1; 300],
            list: vec![0, 70_000],
        };
        let ours = Value::Map(vec![
            field("small", Value::Nat(7)),
            field("large", Value::Nat(u64::MAX)),
            field("text", Value::text("é")),
            field("blob", Value::Blob(vec![1; 300].into())),
            field(
                "list",
                Value::Array(vec![Value::Nat(0), Value::Nat(70_000)]),
            ),
        ]);
        assert_eq!(encode(&ours)[3..], serde_cbor::to_vec(&sample).unwrap());
    }

    #[test]
    fn deep_nesting_is_refused() {
        let nested = |depth| [vec![0x81; depth], vec![0x00]].concat();
        assert!(decode(&nested(MAX_DEPTH)).is_ok());
        assert_eq!(decode(&nested(MAX_DEPTH + 1)), Err(CborError::TooDeep));
        assert_eq!(decode(&vec![0x9f; 1_000_000]), Err(CborError::TooDeep));
        assert_eq!(
            decode(&[0xd9, 0xd9, 0xf7].repeat(100_000)),
            Err(CborError::Unsupported {
                at: 3,
                what: "this tag"
            })
        );
    }

    #[test]
    fn more_items_than_the_limit_are_refused() {
        let items = |n: u32| [&[0x9a][..], &n.to_be_bytes(), &vec![0; n as usize]].concat();
        let most = u32::try_from(MAX_ITEMS).unwrap() - 1;
        assert!(decode(&items(most)).is_ok());
        assert_eq!(decode(&items(most + 1)), Err(CborError::TooManyItems));
    }

    #[test]
    fn a_length_that_the_input_does_not_hold_is_refused() {
        for major in [2_u8, 3, 4, 5] {
            let claim = [&[major << 5 | 27][..], &[0xff; 8]].concat();
            assert_eq!(decode(&claim), Err(CborError::Truncated));
        }
    }

    #[test]
    fn a_repeated_field_is_refused_even_if_null() {
        let at = 4;
        assert_eq!(
            decode(b"\xa2\x61a\x00\x61a\x01"),
            Err(CborError::RepeatedField { at })
        );
        assert_eq!(
            decode(b"\xa2\x61a\xf6\x61a\x01"),
            Err(CborError::RepeatedField { at })
        );
    }

    #[test]
    fn a_null_field_counts_as_omitted() {
        let fields = vec![field("b", Value::Nat(1))];
        assert_eq!(
            decode(b"\xa2\x61a\xf6\x61b\x01"),
            Ok(Value::Map(fields.clone()))
        );
        assert_eq!(
            decode(b"\xbf\x61a\xf7\x61b\x01\xff"),
            Ok(Value::Map(fields))
        );
    }

    #[test]
    fn a_big_number_is_read_if_it_fits() {
        assert_eq!(decode(b"\xc2\x43\x00\x01\x00"), Ok(Value::Nat(256)));
        assert_eq!(
            decode(b"\xc2\x49\x01\0\0\0\0\0\0\0\0"),
            Err(CborError::NumberTooLarge { at: 0 })
        );
    }

    #[test]
    fn what_requests_do_not_use_is_refused() {
        for bytes in [
            &b"\x20"[..],
            b"\xf4",
            b"\xf9\x00\x00",
            b"\x5f\x41a\xff",
            b"\xc1\x00",
            b"\xff",
            b"\x1c",
            b"\xf6",
        ] {
            assert!(
                matches!(decode(bytes), Err(CborError::Unsupported { .. })),
                "{bytes:x?}"
            );
        }
        assert_eq!(decode(b"\x00\x00"), Err(CborError::TrailingBytes));
        assert_eq!(decode(b""), Err(CborError::Truncated));
    }
}
