//! COSE keys (RFC 9052, RFC 9053, RFC 8230) as authenticators make them: a CBOR map with numbers as keys.
//!
//! | | `kty` 1 | `alg` 3 | parameters |
//! | --- | --- | --- | --- |
//! | ES256 | 2 | -7 | `crv` -1 is 1, `x` -2, `y` -3 |
//! | RS256 | 3 | -257 | `n` -1, `e` -2 |
//!
//! Other parameters are read over; `key_ops` 4 must be `verify` where it is there.
//!
//! Cost: O(key), one pass, nothing nested.

use super::KeyError;

const KTY: i64 = 1;
const ALG: i64 = 3;
const KEY_OPS: i64 = 4;
/// Most parameters of a key.
const MAX_PARAMETERS: u64 = 16;

/// What a key is made of.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum CoseKey<'a> {
    Es256 {
        x: &'a [u8],
        y: &'a [u8],
    },
    Rs256 {
        modulus: &'a [u8],
        exponent: &'a [u8],
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Item<'a> {
    Int(i64),
    Bytes(&'a [u8]),
    Text(&'a [u8]),
}

/// Reads a COSE key of one of the two algorithms.
pub(super) fn read(bytes: &[u8]) -> Result<CoseKey<'_>, KeyError> {
    let malformed = |reason| KeyError::Malformed {
        scheme: "WebAuthn",
        reason,
    };
    let parameters = parameters(bytes).ok_or_else(|| malformed("not a COSE key"))?;
    let get = |label| {
        let found = parameters.iter().find(|(found, _)| *found == label);
        found.map(|(_, item)| *item)
    };
    let bytes = |label| match get(label) {
        Some(Item::Bytes(bytes)) => Ok(bytes),
        _ => Err(malformed("a parameter of the COSE key is missing")),
    };
    if !matches!(get(KEY_OPS), None | Some(Item::Text(b"verify"))) {
        return Err(malformed("the COSE key is not for verification"));
    }
    match (get(KTY), get(ALG), get(-1)) {
        (Some(Item::Int(2)), Some(Item::Int(-7)), Some(Item::Int(1))) => Ok(CoseKey::Es256 {
            x: bytes(-2)?,
            y: bytes(-3)?,
        }),
        (Some(Item::Int(3)), Some(Item::Int(-257)), _) => Ok(CoseKey::Rs256 {
            modulus: bytes(-1)?,
            exponent: bytes(-2)?,
        }),
        _ => Err(malformed(
            "the algorithm of the COSE key is neither ES256 nor RS256",
        )),
    }
}

/// The entries of the map, which must be all there is.
fn parameters(bytes: &[u8]) -> Option<Vec<(i64, Item<'_>)>> {
    let (major, count, mut rest) = head(bytes)?;
    if major != 5 || count > MAX_PARAMETERS {
        return None;
    }
    let mut parameters = Vec::new();
    for _ in 0..count {
        let (label, after) = item(rest)?;
        let (value, after) = item(after)?;
        rest = after;
        let Item::Int(label) = label else {
            return None;
        };
        if parameters.iter().any(|(before, _)| *before == label) {
            return None;
        }
        parameters.push((label, value));
    }
    rest.is_empty().then_some(parameters)
}

fn item(bytes: &[u8]) -> Option<(Item<'_>, &[u8])> {
    let (major, argument, rest) = head(bytes)?;
    let string = || rest.split_at_checked(usize::try_from(argument).ok()?);
    Some(match major {
        0 => (Item::Int(i64::try_from(argument).ok()?), rest),
        1 => (Item::Int(-1 - i64::try_from(argument).ok()?), rest),
        2 => string().map(|(bytes, rest)| (Item::Bytes(bytes), rest))?,
        3 => string().map(|(text, rest)| (Item::Text(text), rest))?,
        _ => return None,
    })
}

/// Major type and argument of the item at the start, and what comes after.
fn head(bytes: &[u8]) -> Option<(u8, u64, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let (major, info) = (first >> 5, first & 0x1f);
    let len = match info {
        0..24 => return Some((major, u64::from(info), rest)),
        24..28 => 1 << (info - 24),
        _ => return None,
    };
    let (argument, rest) = rest.split_at_checked(len)?;
    let argument = argument.iter().fold(0, |n, byte| n << 8 | u64::from(*byte));
    Some((major, argument, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn es256() -> Vec<u8> {
        let head = hex::decode("a5010203262001215820").unwrap();
        [
            &head[..],
            &[7; 32],
            &hex::decode("225820").unwrap(),
            &[9; 32],
        ]
        .concat()
    }

    #[test]
    fn a_key_for_es256_is_read() {
        let (x, y) = (&[7; 32][..], &[9; 32][..]);
        assert_eq!(read(&es256()), Ok(CoseKey::Es256 { x, y }));
    }

    #[test]
    fn a_key_for_rs256_is_read() {
        let key = hex::decode("a4010303390100204301020321430100ff").unwrap();
        let (modulus, exponent) = (&[1, 2, 3][..], &[1, 0, 255][..]);
        assert_eq!(read(&key), Ok(CoseKey::Rs256 { modulus, exponent }));
    }

    #[test]
    fn keys_for_other_uses_are_refused() {
        let with = |entry: &str| {
            let mut key = es256();
            key[0] += 1;
            [key, hex::decode(entry).unwrap()].concat()
        };
        assert!(read(&with("0466766572696679")).is_ok(), "verify");
        assert!(read(&with("04647369676e")).is_err(), "sign");
        assert!(read(&with("0326")).is_err(), "a parameter twice");
        assert!(read(&with("0581")).is_err(), "a list");
        let mut key = es256();
        key[4] = 0x27; // EdDSA
        assert!(read(&key).is_err());
        assert!(read(&[es256(), vec![0]].concat()).is_err());
    }

    proptest! {
        #[test]
        fn damaged_keys_never_panic(at in any::<prop::sample::Index>(), byte: u8) {
            let mut key = es256();
            let at = at.index(key.len());
            prop_assert!(read(&key[..at]).is_err());
            key[at] = byte;
            let _ = read(&key);
        }
    }
}
