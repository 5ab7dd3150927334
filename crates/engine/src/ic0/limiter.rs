//! How far heaps and tables may grow.
//!
//! A heap that grows beyond what its controllers allow ends the message, where the message may be refused: updates
//! and installations. Queries, callbacks and system tasks are let through (IC interface specification, setting
//! `wasm_memory_limit`). One that could no longer be paid for ends updates and system tasks.

use wasmtime::ResourceLimiter;

use super::{Context, Host};
use crate::wasm::Trap;

/// Largest table of a canister, in elements.
const MAX_TABLE: usize = canister_module::limits::TABLE_ELEMENTS;
/// Largest heap, in bytes, by the width of its addresses.
pub(crate) const MAX_HEAP_32: u64 = 4 << 30;
pub(crate) const MAX_HEAP_64: u64 = 6 << 30;

impl ResourceLimiter for Host {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let bytes = desired as u64;
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        // Instantiation comes before the message.
        let Some(message) = &self.message else {
            return Ok(bytes <= MAX_HEAP_64);
        };
        let environment = &message.environment;
        let most = if environment.memory64 {
            MAX_HEAP_64
        } else {
            MAX_HEAP_32
        };
        if bytes > most {
            return Ok(false);
        }
        let limit = environment.wasm_memory_limit;
        let limited = matches!(
            message.context,
            Context::Start | Context::Init | Context::Update
        );
        if limited && limit != 0 && bytes > limit {
            return Err(Trap::WasmMemoryLimit { bytes, limit }.into());
        }
        self.grow(desired.saturating_sub(current) as u64)?;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= MAX_TABLE)
    }

    fn instances(&self) -> usize {
        1
    }

    fn memories(&self) -> usize {
        1
    }
}
