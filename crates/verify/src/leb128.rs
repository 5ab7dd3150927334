//! Unsigned LEB128 of 64-bit numbers, shortest form only: the encoding of `/time`.

use crate::error::Fault;

/// The number that `bytes` encode.
pub(crate) fn decode(bytes: &[u8]) -> Result<u64, Fault> {
    let mut value = 0;
    for (index, byte) in bytes.iter().enumerate() {
        let group = u64::from(byte & 0x7f);
        // Ten groups of seven bits hold 64; the tenth has room for one bit.
        if index > 9 || (index == 9 && group > 1) {
            return Err(Fault::OutOfRange);
        }
        value |= group << (7 * index);
        if byte & 0x80 == 0 {
            return match bytes.len() - 1 {
                last if last != index => Err(Fault::TrailingBytes),
                last if last > 0 && *byte == 0 => Err(Fault::NotShortest),
                _ => Ok(value),
            };
        }
    }
    Err(Fault::Truncated)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(mut value: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        loop {
            let group = u8::try_from(value & 0x7f).unwrap();
            value >>= 7;
            if value == 0 {
                bytes.push(group);
                return bytes;
            }
            bytes.push(group | 0x80);
        }
    }

    proptest::proptest! {
        #[test]
        fn every_number_has_one_encoding(value: u64, extra in 0_usize..4) {
            let mut bytes = encode(value);
            assert_eq!(decode(&bytes), Ok(value));
            let last = bytes.len() - 1;
            bytes[last] |= 0x80;
            bytes.extend(vec![0x80; extra]);
            bytes.push(0);
            assert!(matches!(decode(&bytes), Err(Fault::NotShortest | Fault::OutOfRange)));
        }

        #[test]
        fn what_decodes_encodes_to_the_same_bytes(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..12)) {
            if let Ok(value) = decode(&bytes) {
                assert_eq!(encode(value), bytes);
            }
        }
    }

    #[test]
    fn empty_open_trailing_and_oversized_numbers_are_refused() {
        assert_eq!(decode(&[]), Err(Fault::Truncated));
        assert_eq!(decode(&[0x80]), Err(Fault::Truncated));
        assert_eq!(decode(&[1, 1]), Err(Fault::TrailingBytes));
        assert_eq!(
            decode(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]),
            Err(Fault::OutOfRange)
        );
        assert_eq!(
            decode(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
            Ok(u64::MAX)
        );
    }
}
