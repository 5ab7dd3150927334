//! Records of a collection as they are kept in a file, in the order of their keys, against the leaves that a log makes.
//!
//! ```text
//! bytes    what
//! 1        length of the key
//! …        the key
//! 32       hash of the leaf
//! 1        1 if the record follows, 0 if not everybody may read it
//! 4        length of the record, little-endian, at most MAX_RECORD_BYTES
//! …        the record: the contents of the leaf
//! ```
//!
//! Cost: one SHA-256 over each record.

use std::num::NonZero;
use std::thread;

use thiserror::Error;

use crate::leaves::Leaves;
use crate::node;
use crate::path;
use crate::tree::Hash;

/// Longest record that is read: above the largest answer of a canister.
pub const MAX_RECORD_BYTES: usize = 4 * 1024 * 1024;

/// A record in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredRecord<'a> {
    /// Its key, at most 255 bytes.
    pub key: &'a [u8],
    /// The hash of its leaf.
    pub leaf: &'a Hash,
    /// Its exact bytes; none if not everybody may read them.
    pub bytes: Option<&'a [u8]>,
}

/// What is wrong with a file of records.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RecordFault {
    /// What is stored at this place, counted from 0, is no record.
    #[error("record number {number} is not stored as a record is")]
    Stored { number: usize },
    /// The collection has this key, and the file doesn't.
    #[error("key {key}: the record is missing")]
    Missing { key: String },
    /// The file has this key, and the collection doesn't.
    #[error("key {key}: there is no such record in the collection, or not in this place")]
    Unknown { key: String },
    /// The log says another leaf.
    #[error("key {key}: its leaf hash is not the one that the log gives it")]
    Leaf { key: String },
    /// The bytes are not those of the leaf.
    #[error("key {key}: its bytes do not have its leaf hash")]
    Bytes { key: String },
}

/// Records that were checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordCounts {
    /// All of them.
    pub records: usize,
    /// Those whose bytes everybody may read.
    pub readable: usize,
    /// Bytes of those.
    pub bytes: u64,
}

impl<'a> StoredRecord<'a> {
    /// The record that `stored` begins with, and what follows it; none if it ends inside of it.
    ///
    /// Errors: [`RecordFault::Stored`] if no record is like this.
    pub fn read(stored: &'a [u8]) -> Result<Option<(Self, &'a [u8])>, RecordFault> {
        let Some((length, rest)) = stored.split_first() else {
            return Ok(None);
        };
        let Some((key, rest)) = rest.split_at_checked(usize::from(*length)) else {
            return Ok(None);
        };
        let Some((leaf, rest)) = rest.split_first_chunk() else {
            return Ok(None);
        };
        let Some((readable, rest)) = rest.split_first() else {
            return Ok(None);
        };
        let refused = RecordFault::Stored { number: 0 };
        let (bytes, rest) = match readable {
            0 => (None, rest),
            1 => {
                let Some((length, rest)) = rest.split_first_chunk() else {
                    return Ok(None);
                };
                let length = usize::try_from(u32::from_le_bytes(*length))
                    .ok()
                    .filter(|length| *length <= MAX_RECORD_BYTES)
                    .ok_or(refused)?;
                match rest.split_at_checked(length) {
                    Some((bytes, rest)) => (Some(bytes), rest),
                    None => return Ok(None),
                }
            }
            _ => return Err(refused),
        };
        Ok(Some((Self { key, leaf, bytes }, rest)))
    }

    /// Appends its bytes to `file`.
    ///
    /// Errors: [`RecordFault::Stored`] if the key or the record is too long.
    pub fn write(&self, file: &mut Vec<u8>) -> Result<(), RecordFault> {
        let refused = || RecordFault::Stored { number: 0 };
        let key = u8::try_from(self.key.len()).map_err(|_| refused())?;
        file.push(key);
        file.extend_from_slice(self.key);
        file.extend_from_slice(self.leaf);
        file.push(u8::from(self.bytes.is_some()));
        if let Some(bytes) = self.bytes {
            if bytes.len() > MAX_RECORD_BYTES {
                return Err(refused());
            }
            let length = u32::try_from(bytes.len()).map_err(|_| refused())?;
            file.extend_from_slice(&length.to_le_bytes());
            file.extend_from_slice(bytes);
        }
        Ok(())
    }
}

/// Compares a file of records with a collection, part by part.
#[derive(Debug)]
pub struct RecordCheck<'a> {
    leaves: &'a Leaves,
    threads: NonZero<usize>,
    counts: RecordCounts,
}

impl<'a> RecordCheck<'a> {
    /// With a collection of a [`Replayed`](crate::Replayed) log, on so many threads.
    pub fn new(leaves: &'a Leaves, threads: NonZero<usize>) -> Self {
        Self {
            leaves,
            threads,
            counts: RecordCounts::default(),
        }
    }

    /// Compares the records of `stored` that are whole; returns how many bytes those are.
    ///
    /// Errors: [`RecordFault`].
    pub fn read(&mut self, stored: &[u8]) -> Result<usize, RecordFault> {
        let mut rest = stored;
        let mut records = Vec::new();
        let mut fault = None;
        loop {
            match StoredRecord::read(rest) {
                Ok(Some((record, after))) => {
                    records.push(record);
                    rest = after;
                }
                Ok(None) => break,
                Err(_) => {
                    let number = self.counts.records + records.len();
                    fault = Some(RecordFault::Stored { number });
                    break;
                }
            }
        }
        let leaves = self.leaves;
        let length = records.len().div_ceil(self.threads.get()).max(1);
        let mut pieces = (self.counts.records..)
            .step_by(length)
            .zip(records.chunks(length));
        let counted: Vec<Result<RecordCounts, RecordFault>> = thread::scope(|scope| {
            let own = pieces.next();
            let others: Vec<_> = pieces
                .map(|(first, piece)| scope.spawn(move || check(leaves, first, piece)))
                .collect();
            let own = own.map(|(first, piece)| check(leaves, first, piece));
            // None panics; if one did, its records would be missing at the end.
            let others = others.into_iter().filter_map(|piece| piece.join().ok());
            own.into_iter().chain(others).collect()
        });
        for counts in counted {
            let counts = counts?;
            self.counts.records += counts.records;
            self.counts.readable += counts.readable;
            self.counts.bytes += counts.bytes;
        }
        // A record before it may be to blame, and was named then.
        match fault {
            Some(fault) => Err(fault),
            None => Ok(stored.len() - rest.len()),
        }
    }

    /// Verifies that no record is missing.
    ///
    /// Errors: [`RecordFault::Missing`].
    pub fn end(self) -> Result<RecordCounts, RecordFault> {
        match self.leaves.get(self.counts.records) {
            None => Ok(self.counts),
            Some((key, _)) => Err(RecordFault::Missing {
                key: path::label(key),
            }),
        }
    }
}

/// Compares `records` with the leaves from number `first` on.
fn check(
    leaves: &Leaves,
    first: usize,
    records: &[StoredRecord<'_>],
) -> Result<RecordCounts, RecordFault> {
    let mut counts = RecordCounts::default();
    for (number, record) in (first..).zip(records) {
        let key = || path::label(record.key);
        match leaves.get(number) {
            Some((expected, leaf)) if expected == record.key => {
                if leaf != record.leaf {
                    return Err(RecordFault::Leaf { key: key() });
                }
            }
            // What comes next tells a key that was left out from one that was changed or put in.
            Some((expected, _))
                if leaves
                    .get(number + 1)
                    .is_some_and(|(next, _)| next == record.key) =>
            {
                return Err(RecordFault::Missing {
                    key: path::label(expected),
                });
            }
            _ => return Err(RecordFault::Unknown { key: key() }),
        }
        counts.records += 1;
        if let Some(bytes) = record.bytes {
            if node::leaf_hash(bytes) != *record.leaf {
                return Err(RecordFault::Bytes { key: key() });
            }
            counts.readable += 1;
            counts.bytes += bytes.len() as u64;
        }
    }
    Ok(counts)
}
