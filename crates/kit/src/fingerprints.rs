//! Numbers that are found by a hash, in eight bytes each: the hash says where to look, and who looks sees whether it is there.
//!
//! A hash table by linear hashing (Litwin, 1980): it grows by one bucket at a time, so no call pays for all that is in it.
//!
//! ```text
//! first memory
//!  0               8         12        16          24          32
//! ┌───────────────┬─────────┬─────────┬───────────┬───────────┬──────────┬──────────┬───
//! │ "INDFPRNT"    │ version │ 0       │ buckets   │ numbers   │ bucket 0 │ bucket 1 │ …
//! │               │ u32 = 1 │ u32     │ u64       │ u64       │ 128 B    │ 128 B    │
//! └───────────────┴─────────┴─────────┴───────────┴───────────┴──────────┴──────────┴───
//!     bucket   16 slots of u64, little-endian: (number + 1) · 2³² + hash; 0 is free
//!
//! second memory   B-tree: (bucket, slot) → (), of those that found their bucket full
//! ```
//!
//! With 2^(k−1) < n ≤ 2^k buckets, a hash `h` is at home in bucket `h mod 2^k` where there is one, else in `h mod 2^(k−1)`.
//!
//! Invariants
//! - A number stands in the bucket of its hash, or in the overflow of that. There is a bucket for each `LOAD` numbers, unless
//!   stable memory could not grow.
//! - Under a hash every number is found that was put there, and none twice but if it was put twice.
//!
//! Cost: a bucket read and a slot written; every `LOAD`th time a bucket is split. About 15 bytes a number.

use ic_stable_structures::{Memory, StableBTreeMap};

use crate::open::OpenError;

const MAGIC: &[u8; 8] = b"INDFPRNT";
const VERSION: u64 = 1;
const HEADER: u64 = 32;
const PAGE: u64 = 65_536;

/// Slots of a bucket.
const SLOTS: usize = 16;
/// Bytes of one.
const BUCKET: u64 = 8 * SLOTS as u64;
/// Numbers for each bucket.
const LOAD: u64 = 9;
/// As many as hashes tell apart.
const MAX_BUCKETS: u64 = 1 << 32;

/// Numbers by their hashes.
pub struct Fingerprints<M: Memory> {
    memory: M,
    overflow: StableBTreeMap<(u64, u64), (), M>,
    buckets: u64,
    numbers: u64,
}

impl<M: Memory> Fingerprints<M> {
    /// What is in these memories; nothing, if the first one is empty.
    ///
    /// # Errors
    /// [`OpenError::Damaged`] for what is not one of these; nothing is written then.
    pub fn open(memory: M, overflow: M) -> Result<Self, OpenError> {
        let damaged = OpenError::Damaged("fingerprints");
        let is_new = memory.size() == 0;
        if is_new && memory.grow(1) < 0 {
            return Err(damaged);
        }
        let mut opened = Self {
            memory,
            overflow: StableBTreeMap::init(overflow),
            buckets: 1,
            numbers: 0,
        };
        if is_new {
            opened.memory.write(0, MAGIC);
            opened.memory.write(8, &VERSION.to_le_bytes());
            opened.write_header();
            return Ok(opened);
        }
        let [magic, version, buckets, numbers] = opened.read::<4>(0);
        let known = magic == u64::from_le_bytes(*MAGIC) && version == VERSION;
        let most = (PAGE * opened.memory.size() - HEADER) / BUCKET;
        if !known || !(1..=most.min(MAX_BUCKETS)).contains(&buckets) {
            return Err(damaged);
        }
        (opened.buckets, opened.numbers) = (buckets, numbers);
        Ok(opened)
    }

    /// The numbers that were put under a hash.
    #[must_use]
    pub fn get(&self, hash: u32) -> Vec<u32> {
        let home = home(hash, self.buckets);
        let slots = self.read::<SLOTS>(offset(home));
        let overflow = match slots.last() {
            Some(0) | None => None,
            Some(_) => Some(self.overflow.keys_range((home, 0)..=(home, u64::MAX))),
        };
        let overflow = overflow.into_iter().flatten().map(|(_, slot)| slot);
        slots
            .into_iter()
            .chain(overflow)
            .filter(|slot| hash_of(*slot) == hash)
            .filter_map(number_of)
            .collect()
    }

    /// Puts a number, which is not the largest of its type, under a hash.
    pub fn insert(&mut self, hash: u32, number: u32) {
        let slot = (u64::from(number) + 1) << 32 | u64::from(hash);
        let home = home(hash, self.buckets);
        let slots = self.read::<SLOTS>(offset(home));
        match (0..).zip(slots).find(|(_, slot)| *slot == 0) {
            Some((at, _)) => self
                .memory
                .write(offset(home) + 8 * at, &slot.to_le_bytes()),
            None => {
                self.overflow.insert((home, slot), ());
            }
        }
        self.numbers += 1;
        if self.numbers > LOAD * self.buckets {
            self.split();
        }
        self.write_header();
    }

    /// Adds a bucket, and moves into it what is at home there from now on.
    fn split(&mut self) {
        let new = self.buckets;
        let end = offset(new) + BUCKET;
        let is_room = end <= PAGE * self.memory.size() || self.memory.grow(1) >= 0;
        if new == MAX_BUCKETS || !is_room {
            return;
        }
        let old = home(u32::try_from(new).unwrap_or(0), new);
        let mut all = self.read::<SLOTS>(offset(old)).to_vec();
        let overflow = self.overflow.keys_range((old, 0)..=(old, u64::MAX));
        let overflow: Vec<_> = overflow.collect();
        for key in overflow {
            self.overflow.remove(&key);
            all.push(key.1);
        }
        all.retain(|slot| *slot != 0);
        self.buckets += 1;
        let (moved, kept): (Vec<u64>, Vec<u64>) = all
            .into_iter()
            .partition(|slot| home(hash_of(*slot), self.buckets) == new);
        self.fill(old, &kept);
        self.fill(new, &moved);
    }

    fn fill(&mut self, bucket: u64, all: &[u64]) {
        let (within, beyond) = all.split_at(all.len().min(SLOTS));
        let mut slots = [0; SLOTS];
        slots[..within.len()].copy_from_slice(within);
        let bytes = slots.map(u64::to_le_bytes);
        self.memory.write(offset(bucket), bytes.as_flattened());
        for slot in beyond {
            self.overflow.insert((bucket, *slot), ());
        }
    }

    fn read<const N: usize>(&self, offset: u64) -> [u64; N] {
        let mut bytes = [[0; 8]; N];
        self.memory.read(offset, bytes.as_flattened_mut());
        bytes.map(u64::from_le_bytes)
    }

    fn write_header(&self) {
        let fields = [self.buckets, self.numbers].map(u64::to_le_bytes);
        self.memory.write(16, fields.as_flattened());
    }
}

/// The bucket of a hash, among so many.
fn home(hash: u32, buckets: u64) -> u64 {
    let power = buckets.next_power_of_two();
    let bucket = u64::from(hash) & (power - 1);
    if bucket < buckets {
        bucket
    } else {
        bucket - power / 2
    }
}

fn offset(bucket: u64) -> u64 {
    HEADER + BUCKET * bucket
}

fn hash_of(slot: u64) -> u32 {
    let [a, b, c, d, ..] = slot.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// None of a free slot.
fn number_of(slot: u64) -> Option<u32> {
    u32::try_from(slot >> 32).ok()?.checked_sub(1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use ic_stable_structures::VectorMemory;
    use proptest::prelude::*;

    use super::*;

    fn opened(memories: &[VectorMemory; 2]) -> Fingerprints<VectorMemory> {
        Fingerprints::open(memories[0].clone(), memories[1].clone()).unwrap()
    }

    /// A hash as good as any.
    fn mixed(number: u32) -> u32 {
        let mixed = (u64::from(number) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        u32::try_from(mixed >> 32).unwrap()
    }

    #[test]
    fn a_hundred_thousand_are_found_again_and_take_sixteen_bytes_each() {
        let memories = [VectorMemory::default(), VectorMemory::default()];
        let mut all = opened(&memories);
        for number in 0..100_000 {
            all.insert(mixed(number), number);
        }
        let all = opened(&memories);
        for number in 0..100_000 {
            assert!(all.get(mixed(number)).contains(&number), "{number}");
        }
        assert_eq!(all.buckets, 100_000_u64.div_ceil(LOAD));
        let bytes: usize = memories.iter().map(|memory| memory.borrow().len()).sum();
        assert!(bytes < 16 * 100_000, "{bytes} bytes");
    }

    #[test]
    fn those_under_one_hash_are_all_found() {
        let memories = [VectorMemory::default(), VectorMemory::default()];
        let mut all = opened(&memories);
        for number in 0..1_000 {
            all.insert(7, number);
        }
        all.insert(8, u32::MAX - 1);
        let mut found = opened(&memories).get(7);
        found.sort_unstable();
        assert!(found.into_iter().eq(0..1_000));
        assert_eq!(all.get(8), [u32::MAX - 1]);
        assert_eq!(all.get(9), [0; 0]);
    }

    #[test]
    fn another_memory_is_refused_and_left_as_it_is() {
        for (at, byte) in [(0, b'X'), (8, 2), (16, 0), (23, 1)] {
            let memories = [VectorMemory::default(), VectorMemory::default()];
            opened(&memories).insert(1, 1);
            memories[0].borrow_mut()[at] = byte;
            let before = memories[0].borrow().clone();
            let refused = Fingerprints::open(memories[0].clone(), memories[1].clone());
            assert!(matches!(refused, Err(OpenError::Damaged(_))), "{at}");
            assert!(*memories[0].borrow() == before);
        }
    }

    proptest! {
        #[test]
        fn it_finds_what_a_map_finds(
            hashes in proptest::collection::vec(prop_oneof![0_u32..40, any::<u32>()], 0..600),
            absent: u32,
        ) {
            let memories = [VectorMemory::default(), VectorMemory::default()];
            let mut all = opened(&memories);
            let mut expected: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
            for (number, hash) in (0..).zip(&hashes) {
                all.insert(*hash, number);
                expected.entry(*hash).or_default().push(number);
            }
            let all = opened(&memories);
            for hash in hashes.into_iter().chain([absent]) {
                let mut found = all.get(hash);
                found.sort_unstable();
                prop_assert_eq!(found, expected.get(&hash).cloned().unwrap_or_default());
            }
        }
    }
}
