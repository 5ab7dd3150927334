//! Payloads in slots of segregated size classes, of a log or of records. The layout stands in [`super`].

use ic_stable_structures::Memory;

use super::error::{LogError, OpenError, check_bound};
use super::region::{self, Kind, Region};

/// Longest payload, 2 MiB: the longest message that the Internet Computer takes.
pub const MAX_PAYLOAD: usize = 2 << 20;

/// Size of the slots of class 0.
const SMALLEST_SLOT: u64 = 64;

/// Class 0, and four for each doubling from there to [`MAX_PAYLOAD`].
const CLASSES: usize = 61;

/// Where the slots begin: behind the header, aligned.
pub(crate) const SLOTS: u64 = region::header_bytes(CLASSES as u64).next_multiple_of(UNIT);

/// All slots start and end at multiples of this, so that a reference has room for a length.
const UNIT: u64 = 16;

const LENGTH_BITS: u32 = 22;

/// The highest end of a slot whose offset a reference can hold: 64 TiB.
const MAX_END: u64 = UNIT << (u64::BITS - LENGTH_BITS);

/// Where an entry's payload lies, as it is stored beside the leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reference(u64);

impl Reference {
    pub(crate) const EMPTY: Self = Self(0);
    /// No payload is as long as the 22 bits of its length say.
    pub(crate) const PRUNED: Self = Self(u64::MAX);

    fn new(offset: u64, length: u64) -> Self {
        Self(((offset / UNIT) << LENGTH_BITS) | length)
    }

    fn offset(self) -> u64 {
        (self.0 >> LENGTH_BITS) * UNIT
    }

    fn length(self) -> u64 {
        self.0 & ((1 << LENGTH_BITS) - 1)
    }

    pub(crate) fn from_number(number: u64) -> Self {
        Self(number)
    }

    pub(crate) fn to_number(self) -> u64 {
        self.0
    }

    pub(crate) fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(u64::from_le_bytes(bytes))
    }

    pub(crate) fn to_bytes(self) -> [u8; 8] {
        self.0.to_le_bytes()
    }
}

/// Room for a payload that is about to be written.
pub(crate) enum Slot {
    /// An empty payload needs none.
    None,
    /// At the end; `end` is the new one.
    New { offset: u64, end: u64 },
    /// The first free one of its class; `next` is the one behind it, or 0.
    Free {
        offset: u64,
        class: usize,
        next: u64,
    },
}

pub(crate) struct Payloads<M> {
    region: Region<M>,
    end: u64,
    /// The first free slot of each class, or 0, as in the header.
    free: [u64; CLASSES],
}

impl<M: Memory> Payloads<M> {
    pub(crate) fn create(memory: M, kind: Kind) -> Result<Self, LogError> {
        let region = Region::new(memory, kind);
        region.grow_to(SLOTS)?;
        let free = [0; CLASSES];
        region.write_header(free);
        Ok(Self {
            region,
            end: SLOTS,
            free,
        })
    }

    pub(crate) fn open(memory: M, kind: Kind, end: u64) -> Result<Self, OpenError> {
        let region = Region::new(memory, kind);
        let free = region.fields()?;
        region.check("end", end, region.bytes().min(MAX_END))?;
        if end < SLOTS || !end.is_multiple_of(UNIT) {
            return Err(OpenError::NotASlot {
                field: "end",
                offset: end,
            });
        }
        let payloads = Self { region, end, free };
        for (class, &offset) in free.iter().enumerate() {
            if offset != 0 && !payloads.holds(offset, slot_bytes(class)) {
                return Err(OpenError::NotASlot {
                    field: "first free slot",
                    offset,
                });
            }
        }
        Ok(payloads)
    }

    /// Where the next new slot will be.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// Finds room for a payload. Writes nothing, but grows the memory if there has to be a new slot.
    pub(crate) fn reserve(&self, length: usize) -> Result<Slot, LogError> {
        if length == 0 {
            return Ok(Slot::None);
        }
        let length = length as u64;
        check_bound("length of the payload", length, MAX_PAYLOAD as u64)?;
        let class = class_of(length);
        let bytes = slot_bytes(class);
        let offset = self.free[class];
        if offset == 0 {
            let offset = self.end;
            let end = offset + bytes;
            check_bound("end of the payloads", end, MAX_END)?;
            self.region.grow_to(end)?;
            return Ok(Slot::New { offset, end });
        }
        let next = u64::from_le_bytes(self.region.read(offset));
        if next != 0 && !self.holds(next, bytes) {
            return Err(LogError::Damaged {
                field: "next free slot",
                value: next,
            });
        }
        Ok(Slot::Free {
            offset,
            class,
            next,
        })
    }

    /// Makes sure that payloads which take so many bytes of slots find room, whatever slots are free.
    pub(crate) fn make_room(&self, slot_bytes: u64) -> Result<(), LogError> {
        let end = self.end.saturating_add(slot_bytes);
        check_bound("end of the payloads", end, MAX_END)?;
        self.region.grow_to(end)
    }

    /// Puts a payload in the place of another: into the same slot, if it fits.
    pub(crate) fn replace(
        &mut self,
        old: Reference,
        payload: &[u8],
    ) -> Result<Reference, LogError> {
        let length = payload.len() as u64;
        if old != Reference::EMPTY && length > 0 && class_of(old.length()) == class_of(length) {
            let longer = self.check(old)?.saturating_sub(payload.len());
            self.region.write(old.offset(), payload);
            if longer > 0 {
                self.region.write(old.offset() + length, &vec![0; longer]);
            }
            return Ok(Reference::new(old.offset(), length));
        }
        let slot = self.reserve(payload.len())?;
        let new = self.store(slot, payload);
        self.release(old)?;
        Ok(new)
    }

    /// Writes a payload into the slot that was reserved for its length.
    pub(crate) fn store(&mut self, slot: Slot, payload: &[u8]) -> Reference {
        let offset = match slot {
            Slot::None => return Reference::EMPTY,
            Slot::New { offset, end } => {
                self.end = end;
                offset
            }
            Slot::Free {
                offset,
                class,
                next,
            } => {
                self.set_free(class, next);
                offset
            }
        };
        self.region.write(offset, payload);
        Reference::new(offset, payload.len() as u64)
    }

    pub(crate) fn load(&self, reference: Reference) -> Result<Option<Vec<u8>>, LogError> {
        match reference {
            Reference::PRUNED => Ok(None),
            Reference::EMPTY => Ok(Some(Vec::new())),
            _ => {
                let length = self.check(reference)?;
                Ok(Some(self.region.read_vec(reference.offset(), length)))
            }
        }
    }

    /// Erases a payload that was not pruned yet, and puts its slot before the free ones of its class.
    pub(crate) fn release(&mut self, reference: Reference) -> Result<(), LogError> {
        if reference == Reference::EMPTY {
            return Ok(());
        }
        let length = self.check(reference)?;
        let class = class_of(reference.length());
        let next = self.free[class].to_le_bytes();
        let mut erased = vec![0; length.max(next.len())];
        erased[..next.len()].copy_from_slice(&next);
        self.region.write(reference.offset(), &erased);
        self.set_free(class, reference.offset());
        Ok(())
    }

    fn set_free(&mut self, class: usize, offset: u64) {
        self.free[class] = offset;
        self.region.write_fields(class, [offset]);
    }

    /// The length of the payload that a stored reference stands for, if it can be one.
    fn check(&self, reference: Reference) -> Result<usize, LogError> {
        let length = reference.length();
        let possible = (1..=MAX_PAYLOAD as u64).contains(&length)
            && self.holds(reference.offset(), slot_bytes(class_of(length)));
        usize::try_from(length)
            .ok()
            .filter(|_| possible)
            .ok_or(LogError::Damaged {
                field: "payload reference",
                value: reference.0,
            })
    }

    /// Whether there can be a slot of so many bytes.
    fn holds(&self, offset: u64, bytes: u64) -> bool {
        (SLOTS..self.end).contains(&offset)
            && offset.is_multiple_of(UNIT)
            && bytes <= self.end - offset
    }
}

/// Bytes of the slot of a payload of so many.
pub(crate) fn slot_of(length: usize) -> u64 {
    match length as u64 {
        0 => 0,
        length => slot_bytes(class_of(length)),
    }
}

/// The class whose slots a payload of 1 to [`MAX_PAYLOAD`] bytes takes: the smallest that it fits in.
fn class_of(length: u64) -> usize {
    let Some(doublings) = (length - 1)
        .checked_ilog2()
        .and_then(|log| log.checked_sub(SMALLEST_SLOT.ilog2()))
    else {
        return 0;
    };
    // The two bits after the highest one say which of the doubling's four classes it is.
    let quarter = (length - 1) >> (doublings + SMALLEST_SLOT.ilog2() - 2) & 3;
    1 + 4 * doublings as usize + quarter as usize
}

/// Size of the slots of a class.
fn slot_bytes(class: usize) -> u64 {
    let Some(above) = (class as u64).checked_sub(1) else {
        return SMALLEST_SLOT;
    };
    ((5 + above % 4) * (SMALLEST_SLOT / 4)) << (above / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_takes_the_smallest_slot_that_it_fits_in() {
        let mut class = 0;
        for length in 1..=MAX_PAYLOAD as u64 {
            if length > slot_bytes(class) {
                class += 1;
            }
            assert_eq!(class_of(length), class, "of {length} bytes");
        }
        assert_eq!(class, CLASSES - 1);
        assert_eq!(slot_bytes(class), MAX_PAYLOAD as u64);
    }

    #[test]
    fn slots_are_aligned_and_waste_at_most_a_quarter() {
        for class in 1..CLASSES {
            let (smaller, bytes) = (slot_bytes(class - 1), slot_bytes(class));
            assert!(bytes.is_multiple_of(UNIT));
            assert!(4 * bytes <= 5 * smaller, "from {smaller} to {bytes}");
        }
    }

    #[test]
    fn a_reference_holds_the_longest_payload_at_the_highest_offset() {
        for (offset, length) in [
            (SLOTS, 1),
            (MAX_END - MAX_PAYLOAD as u64, MAX_PAYLOAD as u64),
            (MAX_END - 64, 64),
        ] {
            let reference = Reference::from_bytes(Reference::new(offset, length).to_bytes());
            assert_eq!((reference.offset(), reference.length()), (offset, length));
            assert!(reference != Reference::PRUNED && reference != Reference::EMPTY);
        }
    }
}
