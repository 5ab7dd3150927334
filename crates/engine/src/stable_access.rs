//! Stable memories read and replaced from outside, as tests do with a copy of a deployed canister's.

use candid::Principal;

use crate::{
    memory::{StableMemory, WASM_PAGE},
    network::Reader,
};

impl Reader {
    /// The stable memory of a canister; None where there is no such canister, it has no module, or its memory is larger
    /// than `limit` bytes.
    #[must_use]
    pub fn stable_memory(&self, id: &Principal, limit: usize) -> Option<Vec<u8>> {
        self.with_canister(id, |subnet| {
            // The committed one, whether or not a message is running.
            let twins = subnet.canisters.get(id)?.twins()?;
            copy(&twins.stable(), limit)
        })
        .flatten()
    }

    /// Replaces the stable memory of a canister, in whole pages; false where there is no such canister, it has no
    /// module, a message of it is running, or there is no room.
    #[must_use]
    pub fn set_stable_memory(&self, id: &Principal, bytes: &[u8]) -> bool {
        let Some(stable) = filled(bytes) else {
            return false;
        };
        self.with_canister(id, |subnet| {
            let instance = subnet.canisters.get_mut(id)?.instance.as_mut()?;
            instance.give_stable(stable);
            instance.commit();
            Some(())
        })
        .flatten()
        .is_some()
    }
}

fn copy(stable: &StableMemory, limit: usize) -> Option<Vec<u8>> {
    let pages = usize::try_from(stable.pages()).ok()?;
    let len = pages.checked_mul(WASM_PAGE)?;
    if len > limit {
        return None;
    }
    let mut bytes = vec![0; len];
    stable.read(0, &mut bytes).ok()?;
    Some(bytes)
}

fn filled(bytes: &[u8]) -> Option<StableMemory> {
    let mut stable = StableMemory::new();
    let pages = u64::try_from(bytes.len().div_ceil(WASM_PAGE)).ok()?;
    stable.grow(pages)?;
    stable.write(0, bytes).ok()?;
    Some(stable)
}
