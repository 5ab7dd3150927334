//! Reads and writes the presentation language of TLS with MLS's variable-length vectors (RFC 9420, section 2.1).
//!
//! A reader hands out slices of its input, so that what was signed or hashed can be taken as it was sent. Lengths are in shortest
//! form and at most 2^30 - 1, always: it doesn't depend on a feature of a library. Nothing is allocated but what the caller keeps.

use crate::MlsError;

/// The largest length that a vector's head can say.
const MAX: usize = (1 << 30) - 1;

#[derive(Clone)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Offset of what comes next.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// All that was read from `start` on.
    pub(crate) fn since(&self, start: usize) -> &'a [u8] {
        self.bytes.get(start..self.at).unwrap_or_default()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// The end of `what`.
    pub(crate) fn end(&self, what: &'static str) -> Result<(), MlsError> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(MlsError::TrailingBytes(what))
        }
    }

    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], MlsError> {
        let end = self.at.checked_add(length).ok_or(MlsError::Truncated)?;
        let taken = self.bytes.get(self.at..end).ok_or(MlsError::Truncated)?;
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], MlsError> {
        self.take(N)?.try_into().map_err(|_| MlsError::Truncated)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, MlsError> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    pub(crate) fn u16(&mut self) -> Result<u16, MlsError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, MlsError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, MlsError> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    /// `optional<T>`: whether a value follows.
    pub(crate) fn optional(&mut self) -> Result<bool, MlsError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            value => Err(MlsError::Undefined {
                what: "the presence of an optional value",
                value: value.into(),
            }),
        }
    }

    /// The content of a vector `<V>` of any length (section 2.1.2).
    pub(crate) fn vector(&mut self) -> Result<&'a [u8], MlsError> {
        let first = self.u8()?;
        let (more, smallest) = match first >> 6 {
            0 => (0, 0),
            1 => (1, 1 << 6),
            2 => (3, 1 << 14),
            value => {
                return Err(MlsError::Undefined {
                    what: "the prefix of a length",
                    value: value.into(),
                });
            }
        };
        let length = self
            .take(more)?
            .iter()
            .fold(usize::from(first & 0x3f), |length, byte| {
                length << 8 | usize::from(*byte)
            });
        if length < smallest {
            return Err(MlsError::NotShortest);
        }
        self.take(length)
    }

    /// A vector of at most `most` bytes.
    pub(crate) fn vector_up_to(
        &mut self,
        most: usize,
        what: &'static str,
    ) -> Result<&'a [u8], MlsError> {
        let vector = self.vector()?;
        if vector.len() > most {
            return Err(MlsError::TooLong(what));
        }
        Ok(vector)
    }

    /// A vector of exactly `N` bytes.
    pub(crate) fn vector_of<const N: usize>(
        &mut self,
        what: &'static str,
    ) -> Result<[u8; N], MlsError> {
        self.vector()?
            .try_into()
            .map_err(|_| MlsError::WrongLength(what))
    }

    /// A hash, or nothing.
    pub(crate) fn optional_hash(&mut self, what: &'static str) -> Result<&'a [u8], MlsError> {
        match self.vector()? {
            hash if hash.is_empty() || hash.len() == 32 => Ok(hash),
            _ => Err(MlsError::WrongLength(what)),
        }
    }
}

/// Writes values one after the other.
#[derive(Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn u8(&mut self, value: u8) -> &mut Self {
        self.raw(&[value])
    }

    pub(crate) fn u16(&mut self, value: u16) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }

    pub(crate) fn u32(&mut self, value: u32) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }

    pub(crate) fn u64(&mut self, value: u64) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }

    /// A vector `<V>`. What is written was read, or is far below 2^30 bytes by the limits of what is read.
    pub(crate) fn vector(&mut self, content: &[u8]) -> &mut Self {
        debug_assert!(content.len() <= MAX);
        let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
        let head = match length {
            0..0x40 => length << 24,
            0x40..0x4000 => 0x4000_0000 | length << 16,
            _ => 0x8000_0000 | length,
        }
        .to_be_bytes();
        let width = match length {
            0..0x40 => 1,
            0x40..0x4000 => 2,
            _ => 4,
        };
        self.raw(&head[..width]).raw(content)
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_is_read_as_it_is_written() {
        for length in [0, 1, 63, 64, 16_383, 16_384, 70_000] {
            let mut writer = Writer::new();
            writer.vector(&vec![7; length]);
            let bytes = writer.finish();
            let mut reader = Reader::new(&bytes);
            assert_eq!(reader.vector(), Ok(&vec![7; length][..]));
            assert_eq!(reader.end("it"), Ok(()));
        }
    }

    #[test]
    fn longer_forms_of_a_length_are_refused() {
        for head in [&[0x40, 0x3f][..], &[0x80, 0, 0, 0], &[0x80, 0, 0x3f, 0xff]] {
            let bytes = [head, &[0; 20_000]].concat();
            assert_eq!(Reader::new(&bytes).vector(), Err(MlsError::NotShortest));
        }
    }

    #[test]
    fn a_length_beyond_the_end_is_refused_whatever_it_claims() {
        for bytes in [
            &[][..],
            &[1],
            &[0x40],
            &[0x7f, 0xff, 1],
            &[0xbf, 0xff, 0xff, 0xff],
        ] {
            assert_eq!(Reader::new(bytes).vector(), Err(MlsError::Truncated));
        }
        assert!(matches!(
            Reader::new(&[0xc0; 9]).vector(),
            Err(MlsError::Undefined { value: 3, .. })
        ));
    }
}
