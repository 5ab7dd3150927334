//! Blocks as they are kept in a file, one behind the other.
//!
//! ```text
//! bytes    what
//! 4        length of the event, little-endian, at most MAX_BLOCK_BYTES
//! 8        time, nanoseconds since 1970, little-endian
//! 1        length of the type
//! …        the type, UTF-8
//! 32       hash of the block before, zeros in block 0
//! …        the event: the bytes of `tx`
//! ```
//!
//! An ICRC-3 block is hashed by what its fields mean, so its hash follows from these, however its Candid was written. The hash
//! of the block before follows from the file too; it is kept, so that a damaged block can be named.

use candid::Nat;
use indus_api::audit::{AuditEvent, LeafChange};
use indus_api::icrc3::Value;
use serde_bytes::ByteBuf;

use crate::audit::AuditError;
use crate::chain::{BlockFault, Fields, SKIPPING_QUOTA};
use crate::decode;
use crate::event;
use crate::time::Time;
use crate::tree::Hash;

/// Longest event of a block that is read: above the largest answer of a canister.
pub const MAX_BLOCK_BYTES: usize = 4 * 1024 * 1024;
/// Bytes in front of the type.
const HEAD: usize = 13;

/// A block in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredBlock<'a> {
    /// What happened.
    pub block_type: &'a str,
    /// When, by the subnet's time.
    pub time: Time,
    /// The hash of the block before; zeros in block 0.
    pub parent: &'a Hash,
    /// Candid of an [`AuditEvent`](indus_api::audit::AuditEvent).
    pub event: &'a [u8],
}

impl<'a> StoredBlock<'a> {
    /// The block that `bytes` begin with, and what follows it; none if they end inside of it.
    ///
    /// Errors: [`BlockFault::Stored`] if no block is like this.
    pub fn read(bytes: &'a [u8]) -> Result<Option<(Self, &'a [u8])>, BlockFault> {
        let Some(((time, kind, event), rest)) = parts(bytes)? else {
            return Ok(None);
        };
        let (kind, parent) = kind.split_at(kind.len() - 32);
        let (Ok(block_type), Ok(parent)) = (str::from_utf8(kind), parent.try_into()) else {
            return Err(BlockFault::Stored);
        };
        let block = Self {
            block_type,
            time,
            parent,
            event,
        };
        Ok(Some((block, rest)))
    }

    /// Appends its bytes to `file`.
    ///
    /// Errors: [`BlockFault::Stored`] if the type has more than 255 bytes, or the event more than [`MAX_BLOCK_BYTES`].
    pub fn write(&self, file: &mut Vec<u8>) -> Result<(), BlockFault> {
        let length = u32::try_from(self.event.len()).map_err(|_| BlockFault::Stored)?;
        let kind = u8::try_from(self.block_type.len()).map_err(|_| BlockFault::Stored)?;
        if self.event.len() > MAX_BLOCK_BYTES {
            return Err(BlockFault::Stored);
        }
        file.extend_from_slice(&length.to_le_bytes());
        file.extend_from_slice(&self.time.as_nanos().to_le_bytes());
        file.push(kind);
        file.extend_from_slice(self.block_type.as_bytes());
        file.extend_from_slice(self.parent);
        file.extend_from_slice(self.event);
        Ok(())
    }

    /// The leaves that its event changed.
    ///
    /// Errors: [`BlockFault::Event`].
    pub fn changes(&self) -> Result<Vec<LeafChange>, BlockFault> {
        if let Some(changes) = event::changes(self.event) {
            return Ok(changes.map(LeafChange::from).collect());
        }
        let AuditEvent::V1(event) = decode::one(self.event, SKIPPING_QUOTA)
            .map_err(|reason| BlockFault::Event { reason })?;
        Ok(event.changes)
    }

    /// As ICRC-3 shows it, if it is block `index`.
    pub fn to_value(&self, index: u64) -> Value {
        let blob = |bytes: &[u8]| Value::Blob(ByteBuf::from(bytes));
        let mut fields = vec![
            (String::from("btype"), Value::Text(self.block_type.into())),
            (
                String::from("ts"),
                Value::Nat(Nat::from(self.time.as_nanos())),
            ),
            (String::from("tx"), blob(self.event)),
        ];
        if index > 0 {
            fields.push((String::from("phash"), blob(self.parent)));
        }
        Value::Map(fields)
    }
}

type Parts<'a> = (Time, &'a [u8], &'a [u8]);

/// Time, type with the hash behind it, and event of the first block, and what follows.
fn parts(bytes: &[u8]) -> Result<Option<(Parts<'_>, &[u8])>, BlockFault> {
    let Some((head, rest)) = bytes.split_first_chunk::<HEAD>() else {
        return Ok(None);
    };
    let [l0, l1, l2, l3, t0, t1, t2, t3, t4, t5, t6, t7, kind] = *head;
    let event = usize::try_from(u32::from_le_bytes([l0, l1, l2, l3]))
        .ok()
        .filter(|event| *event <= MAX_BLOCK_BYTES)
        .ok_or(BlockFault::Stored)?;
    let time = Time::from_nanos(u64::from_le_bytes([t0, t1, t2, t3, t4, t5, t6, t7]));
    let Some((kind, rest)) = rest.split_at_checked(usize::from(kind) + 32) else {
        return Ok(None);
    };
    let Some((event, rest)) = rest.split_at_checked(event) else {
        return Ok(None);
    };
    Ok(Some(((time, kind, event), rest)))
}

/// What follows the first block; none if `bytes` end inside of it.
pub(crate) fn skip(bytes: &[u8]) -> Result<Option<&[u8]>, BlockFault> {
    Ok(parts(bytes)?.map(|(_, rest)| rest))
}

/// Appends to `file` the blocks of a Candid-encoded answer to `icrc3_get_blocks`, which must be `next`, `next + 1` and so on;
/// those from `until` on are left out. Returns how many there were. That each follows the one before it is for
/// [`Replay`](crate::Replay) to say.
///
/// Errors: [`AuditError::Page`], [`AuditError::Block`], and [`AuditError::Missing`] if there are none though some were left to
/// come. `file` may have some of the blocks then.
pub fn store_page(
    reply: &[u8],
    next: u64,
    until: u64,
    file: &mut Vec<u8>,
) -> Result<u64, AuditError> {
    let mut index = next;
    for (id, block) in crate::audit::blocks(reply)? {
        if index >= until {
            break;
        }
        let failed = |fault| AuditError::Block { index, fault };
        if id != index {
            return Err(failed(BlockFault::Index { expected: index }));
        }
        let fields = Fields::of(&block, index > 0).map_err(failed)?;
        StoredBlock {
            block_type: fields.block_type,
            time: fields.time,
            parent: match fields.parent {
                Some(parent) => parent.try_into().map_err(|_| failed(BlockFault::Parent))?,
                None => &[0; 32],
            },
            event: fields.event,
        }
        .write(file)
        .map_err(failed)?;
        index += 1;
    }
    if index == next && next < until {
        return Err(AuditError::Missing { index });
    }
    Ok(index - next)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_again_and_no_part_of_it_is_a_block(
            block_type in "[a-zن]{0,100}",
            nanos: u64,
            parent: Hash,
            event in proptest::collection::vec(any::<u8>(), 0..300),
            cut: proptest::sample::Index,
        ) {
            let block = StoredBlock { block_type: &block_type, time: Time::from_nanos(nanos), parent: &parent, event: &event };
            let mut file = Vec::new();
            block.write(&mut file).unwrap();
            let cut = &file[..cut.index(file.len())];
            prop_assert_eq!(StoredBlock::read(cut), Ok(None));
            let two = [&file[..], b"x"].concat();
            prop_assert_eq!(StoredBlock::read(&two), Ok(Some((block, &b"x"[..]))));
            prop_assert_eq!(skip(&two), Ok(Some(&b"x"[..])));
        }
    }

    #[test]
    fn lengths_that_no_block_has_are_refused() {
        assert_eq!(StoredBlock::read(&[0xff; 13]), Err(BlockFault::Stored));
        let block = StoredBlock {
            block_type: &"x".repeat(256),
            time: Time::default(),
            parent: &[0; 32],
            event: &[],
        };
        assert_eq!(block.write(&mut Vec::new()), Err(BlockFault::Stored));
    }
}
