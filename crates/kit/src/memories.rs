//! The memories of a canister, and which of them are the kit's.
//!
//! | memory | structure |
//! | --- | --- |
//! | 0 to 199 | the canister's own; its `state.rs` has the table |
//! | 200 | header of the installation ([`crate::installation`]) |
//! | 201, 202 | audit log: nodes, payloads |
//! | 203 to 254 | the kit's, see [`KitMemory`] |
//!
//! Ids are never used for anything else; none is retired so far. A memory takes at least 8 MiB of stable memory.

use ic_stable_structures::{
    Memory,
    memory_manager::{MemoryId, MemoryManager, VirtualMemory},
};
use thiserror::Error;

/// First bytes of a memory that a memory manager has laid out.
const MANAGED: &[u8; 3] = b"MGR";

/// Memories that the kit uses in every canister that has the structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum KitMemory {
    Installation = 200,
    LogNodes = 201,
    LogPayloads = 202,
    IdempotencyRecords = 203,
    IdempotencyIndex = 204,
    IdempotencyCounts = 205,
    RateLimits = 206,
    PendingCalls = 207,
    PendingCallsDue = 208,
}

/// Stable memory holds no memories.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("stable memory holds no canister of this kind: install, don't upgrade")]
pub struct NotManaged;

/// All memories of a canister.
pub struct Memories<M: Memory>(MemoryManager<M>);

impl<M: Memory> Memories<M> {
    /// Lays out `memory`; whatever was there is lost.
    pub fn create(memory: M) -> Self {
        if memory.size() > 0 {
            // The manager would go on with what it finds.
            memory.write(0, &[0; MANAGED.len()]);
        }
        Self(MemoryManager::init(memory))
    }

    /// Those that are in `memory`. The memory manager would lay out anew what it doesn't recognise; this refuses it.
    ///
    /// # Errors
    /// [`NotManaged`]; nothing is written then.
    pub fn open(memory: M) -> Result<Self, NotManaged> {
        let mut magic = [0; MANAGED.len()];
        if memory.size() == 0 {
            return Err(NotManaged);
        }
        memory.read(0, &mut magic);
        if &magic != MANAGED {
            return Err(NotManaged);
        }
        Ok(Self(MemoryManager::init(memory)))
    }

    /// A memory of the canister's own, 0 to 199.
    pub fn get(&self, id: u8) -> VirtualMemory<M> {
        self.0.get(MemoryId::new(id))
    }

    /// A memory of the kit's.
    pub fn kit(&self, memory: KitMemory) -> VirtualMemory<M> {
        self.0.get(MemoryId::new(memory as u8))
    }
}
