//! What an installation knows of itself: its kind, its layout, and whether it is in maintenance.
//!
//! # Layout, version 1
//! ```text
//!  0  "IKI"
//!  3  version: 1
//!  4  layout version of the canister (u32, little-endian)
//!  8  1 in maintenance, 0 otherwise
//!  9  bytes of the kind (u8), at most 32
//! 10  kind
//! ```
//!
//! After an upgrade a canister is in maintenance: it answers its orchestrator only, until that confirms the upgrade. Until
//! then it can be put back to a snapshot without the loss of anything that somebody was told.

use std::ops::RangeInclusive;

use ic_stable_structures::{Memory, memory_manager::VirtualMemory};

use indus_api::Error;

use crate::{codes, open::OpenError};

const MAGIC: &[u8; 3] = b"IKI";
const VERSION: u8 = 1;
const FIXED_BYTES: usize = 10;
const MAX_KIND_BYTES: usize = 32;
const LAYOUT: u64 = 4;
const MAINTENANCE: u64 = 8;

/// The header of an installation.
pub struct Installation<M: Memory> {
    memory: VirtualMemory<M>,
    maintenance: bool,
}

impl<M: Memory> Installation<M> {
    /// Lays out the header of a canister of this kind, which is at most 32 bytes long.
    ///
    /// # Errors
    /// [`Error::Internal`] if stable memory can't grow.
    pub(crate) fn create(memory: VirtualMemory<M>, kind: &str, layout: u32) -> Result<Self, Error> {
        let mut bytes = Vec::with_capacity(FIXED_BYTES + kind.len());
        bytes.extend_from_slice(MAGIC);
        bytes.push(VERSION);
        bytes.extend_from_slice(&layout.to_le_bytes());
        bytes.push(0);
        bytes.push(u8::try_from(kind.len()).unwrap_or(u8::MAX));
        bytes.extend_from_slice(kind.as_bytes());
        if memory.size() == 0 && memory.grow(1) < 0 {
            return Err(codes::internal(codes::MEMORY_FULL));
        }
        memory.write(0, &bytes);
        Ok(Self {
            memory,
            maintenance: false,
        })
    }

    /// Opens the header of a canister of this kind, and one of these layouts.
    ///
    /// # Errors
    /// [`OpenError`] for anything else; nothing is written.
    pub(crate) fn open(
        memory: VirtualMemory<M>,
        kind: &'static str,
        layouts: RangeInclusive<u32>,
    ) -> Result<Self, OpenError> {
        let mut bytes = [0; FIXED_BYTES + MAX_KIND_BYTES];
        if memory.size() == 0 {
            return Err(OpenError::NotInstalled);
        }
        memory.read(0, &mut bytes);
        let length = usize::from(bytes[9]);
        if &bytes[..3] != MAGIC || bytes[3] != VERSION || length > MAX_KIND_BYTES {
            return Err(OpenError::Damaged("the header of the installation"));
        }
        let found = String::from_utf8_lossy(&bytes[FIXED_BYTES..FIXED_BYTES + length]);
        if found != kind {
            return Err(OpenError::AnotherKind {
                found: found.into_owned(),
                expected: kind,
            });
        }
        let found = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
        if !layouts.contains(&found) {
            return Err(OpenError::UnknownLayout {
                found,
                known: *layouts.end(),
            });
        }
        let maintenance = bytes[8] == 1;
        Ok(Self {
            memory,
            maintenance,
        })
    }

    /// Whether only the orchestrator is answered.
    #[must_use]
    pub fn in_maintenance(&self) -> bool {
        self.maintenance
    }

    /// Notes that the memory has this layout from now on.
    pub(crate) fn set_layout(&mut self, layout: u32) {
        self.memory.write(LAYOUT, &layout.to_le_bytes());
    }

    /// Begins or ends the maintenance.
    pub(crate) fn set_maintenance(&mut self, maintenance: bool) {
        self.maintenance = maintenance;
        self.memory.write(MAINTENANCE, &[u8::from(maintenance)]);
    }
}
