//! A strict CBOR reader (RFC 8949) for the few shapes that certification uses.
//!
//! Accepts definite lengths and shortest forms only, so that each value has one encoding. The caller says
//! what comes next; there is no generic value, hence no recursion and no allocation.

use crate::error::{Fault, Malformed};

/// The self-describing tag 55799 (RFC 8949, section 3.4.6).
const SELF_DESCRIBED: [u8; 3] = [0xd9, 0xd9, 0xf7];

const UNSIGNED: u8 = 0;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;

pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Offset of the next item.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// All the bytes from `start` up to the next item.
    pub(crate) fn since(&self, start: usize) -> &'a [u8] {
        &self.bytes[start..self.at]
    }

    /// The tag in front of every certificate, tree and list of ranges.
    pub(crate) fn self_described(&mut self) -> Result<(), Malformed> {
        if !self.bytes[self.at..].starts_with(&SELF_DESCRIBED) {
            return Err(self.fault_at(self.at, Fault::MissingTag));
        }
        self.at += SELF_DESCRIBED.len();
        Ok(())
    }

    /// An unsigned integer.
    pub(crate) fn unsigned(&mut self) -> Result<u64, Malformed> {
        self.head(UNSIGNED)
    }

    /// The head of an array: how many items follow.
    pub(crate) fn array(&mut self) -> Result<u64, Malformed> {
        self.head(ARRAY)
    }

    /// The head of an array of exactly `length` items.
    pub(crate) fn array_of(&mut self, length: u64) -> Result<(), Malformed> {
        let at = self.at;
        if self.array()? == length {
            Ok(())
        } else {
            Err(self.fault_at(at, Fault::Unexpected))
        }
    }

    /// The head of a map: how many pairs follow.
    pub(crate) fn map(&mut self) -> Result<u64, Malformed> {
        self.head(MAP)
    }

    /// The name of a field of a map.
    pub(crate) fn field(&mut self, name: &str) -> Result<(), Malformed> {
        let at = self.at;
        let length = self.head(TEXT)?;
        if self.take(length)? == name.as_bytes() {
            Ok(())
        } else {
            Err(self.fault_at(at, Fault::Unexpected))
        }
    }

    /// A byte string.
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.head(BYTES)?;
        self.take(length)
    }

    /// A byte string of exactly `N` bytes.
    pub(crate) fn bytes_of<const N: usize>(&mut self) -> Result<&'a [u8; N], Malformed> {
        let at = self.at;
        self.bytes()?
            .try_into()
            .map_err(|_| self.fault_at(at, Fault::Unexpected))
    }

    /// The end of the input.
    pub(crate) fn end(self) -> Result<(), Malformed> {
        if self.at == self.bytes.len() {
            Ok(())
        } else {
            Err(self.fault_at(self.at, Fault::TrailingBytes))
        }
    }

    pub(crate) fn fault_at(&self, at: usize, fault: Fault) -> Malformed {
        Malformed { at, fault }
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], Malformed> {
        let taken = usize::try_from(length)
            .ok()
            .and_then(|length| self.bytes[self.at..].get(..length))
            .ok_or_else(|| self.fault_at(self.bytes.len(), Fault::Truncated))?;
        self.at += taken.len();
        Ok(taken)
    }

    /// The argument of the next item, which must be of the major type `major`.
    fn head(&mut self, major: u8) -> Result<u64, Malformed> {
        let at = self.at;
        let initial = self.take(1)?[0];
        if initial >> 5 != major {
            return Err(self.fault_at(at, Fault::Unexpected));
        }
        let (width, smallest) = match initial & 0x1f {
            value @ 0..=23 => return Ok(u64::from(value)),
            24 => (1, 24),
            25 => (2, 1 << 8),
            26 => (4, 1 << 16),
            27 => (8, 1 << 32),
            31 => return Err(self.fault_at(at, Fault::IndefiniteLength)),
            _ => return Err(self.fault_at(at, Fault::Unexpected)),
        };
        let value = self
            .take(width)?
            .iter()
            .fold(0, |value, byte| value << 8 | u64::from(*byte));
        if value < smallest {
            return Err(self.fault_at(at, Fault::NotShortest));
        }
        Ok(value)
    }
}

/// Writes the self-describing tag.
pub(crate) fn self_described(out: &mut Vec<u8>) {
    out.extend_from_slice(&SELF_DESCRIBED);
}

/// Writes the head of a map of so many pairs.
pub(crate) fn map(out: &mut Vec<u8>, pairs: u64) {
    push_head(out, MAP, pairs);
}

/// Writes a text.
pub(crate) fn text(out: &mut Vec<u8>, text: &str) {
    push_head(out, TEXT, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Writes a byte string.
pub(crate) fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    push_head(out, BYTES, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Writes the head of an item in its shortest form.
fn push_head(out: &mut Vec<u8>, major: u8, value: u64) {
    let bytes = value.to_be_bytes();
    let (info, width) = match value {
        0..24 => {
            out.push(major << 5 | bytes[7]);
            return;
        }
        24..0x100 => (24, 1),
        0x100..0x1_0000 => (25, 2),
        0x1_0000..0x1_0000_0000 => (26, 4),
        _ => (27, 8),
    };
    out.push(major << 5 | info);
    out.extend_from_slice(&bytes[8 - width..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unsigned(bytes: &[u8]) -> Result<u64, Fault> {
        let mut reader = Reader::new(bytes);
        let value = reader.unsigned().map_err(|malformed| malformed.fault)?;
        reader.end().map_err(|malformed| malformed.fault)?;
        Ok(value)
    }

    #[test]
    fn what_is_written_is_read() {
        let lengths = [0, 1, 23, 24, 255, 256, 65_535, 65_536];
        for length in lengths {
            let mut out = Vec::new();
            self_described(&mut out);
            map(&mut out, length as u64);
            text(&mut out, &"a".repeat(length));
            bytes(&mut out, &vec![7; length]);
            let mut reader = Reader::new(&out);
            reader.self_described().unwrap();
            assert_eq!(reader.map(), Ok(length as u64));
            reader.field(&"a".repeat(length)).unwrap();
            assert_eq!(reader.bytes().unwrap().len(), length);
            reader.end().unwrap();
        }
        for number in [u64::from(u32::MAX), 1 << 32, u64::MAX] {
            let mut out = Vec::new();
            map(&mut out, number);
            assert_eq!(Reader::new(&out).map(), Ok(number));
        }
    }

    #[test]
    fn every_width_is_read_in_its_shortest_form_only() {
        for (bytes, value) in [
            (&[0x00][..], 0),
            (&[0x17], 23),
            (&[0x18, 24], 24),
            (&[0x18, 0xff], 255),
            (&[0x19, 1, 0], 256),
            (&[0x1a, 0, 1, 0, 0], 1 << 16),
            (&[0x1b, 0, 0, 0, 1, 0, 0, 0, 0], 1 << 32),
            (&[0x1b, 255, 255, 255, 255, 255, 255, 255, 255], u64::MAX),
        ] {
            assert_eq!(unsigned(bytes), Ok(value));
        }
        for bytes in [
            &[0x18, 23][..],
            &[0x19, 0, 255],
            &[0x1a, 0, 0, 255, 255],
            &[0x1b, 0, 0, 0, 0, 255, 255, 255, 255],
        ] {
            assert_eq!(unsigned(bytes), Err(Fault::NotShortest));
        }
    }

    #[test]
    fn reserved_and_indefinite_lengths_are_refused() {
        for initial in [0x1c, 0x1d, 0x1e] {
            assert_eq!(unsigned(&[initial, 0, 0]), Err(Fault::Unexpected));
        }
        let fault = |result: Result<u64, Malformed>| result.unwrap_err().fault;
        assert_eq!(
            fault(Reader::new(&[0x1f]).unsigned()),
            Fault::IndefiniteLength
        );
        assert_eq!(
            fault(Reader::new(&[0x9f, 0xff]).array()),
            Fault::IndefiniteLength
        );
        assert_eq!(
            fault(Reader::new(&[0xbf, 0xff]).map()),
            Fault::IndefiniteLength
        );
        assert_eq!(
            Reader::new(&[0x5f, 0xff]).bytes().unwrap_err().fault,
            Fault::IndefiniteLength
        );
    }

    #[test]
    fn a_length_beyond_the_end_is_refused_whatever_it_claims() {
        for bytes in [
            &[0x41][..],
            &[0x5b, 255, 255, 255, 255, 255, 255, 255, 255, 0],
            &[0x59, 1],
            &[],
        ] {
            assert_eq!(
                Reader::new(bytes).bytes().unwrap_err().fault,
                Fault::Truncated
            );
        }
    }

    #[test]
    fn another_type_another_field_and_another_length_are_refused() {
        assert_eq!(
            Reader::new(&[0x41, 0]).unsigned().unwrap_err().fault,
            Fault::Unexpected
        );
        assert_eq!(
            Reader::new(&[0x61, b'a']).field("b").unwrap_err().fault,
            Fault::Unexpected
        );
        assert_eq!(
            Reader::new(&[0x42, 0, 0])
                .bytes_of::<3>()
                .unwrap_err()
                .fault,
            Fault::Unexpected
        );
        assert_eq!(
            Reader::new(&[0x81, 0]).array_of(2).unwrap_err().fault,
            Fault::Unexpected
        );
    }

    #[test]
    fn the_tag_is_required_in_its_shortest_form() {
        assert_eq!(Reader::new(&[0xd9, 0xd9, 0xf7]).self_described(), Ok(()));
        for bytes in [
            &[0x80][..],
            &[0xd9, 0xd9],
            &[0xda, 0, 0, 0xd9, 0xf7],
            &[0xd9, 0xd9, 0xf8],
        ] {
            assert_eq!(
                Reader::new(bytes).self_described().unwrap_err().fault,
                Fault::MissingTag
            );
        }
    }
}
