//! Audits of whole logs.

use indus_api::audit::AuditEvent;
use wasm_bindgen::prelude::*;

use crate::log::LogHead;
use crate::witness::Witness;

/// The log and the collections of a canister, as far as blocks were given.
#[wasm_bindgen]
#[derive(Default)]
pub struct Audit(indus_verify::Audit);

#[wasm_bindgen]
impl Audit {
    /// Begins at block 0.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many blocks there are so far: the index of the next one.
    #[wasm_bindgen(getter)]
    pub fn size(&self) -> u64 {
        self.0.size()
    }

    /// Appends the blocks of a canister's answer to `icrc3_get_blocks`, its Candid bytes, but none from index `until` on;
    /// and says which they were.
    pub fn page(&mut self, reply: &[u8], until: u64) -> Result<Vec<Block>, JsError> {
        let blocks = self.0.page(reply, until)?;
        Ok(blocks.into_iter().map(Block::from).collect())
    }

    /// The hash that a collection has after these blocks, as `Witness.subtreeHash(['data', name])` gives it.
    #[wasm_bindgen(js_name = collectionRoot)]
    pub fn collection_root(&mut self, name: &str) -> Vec<u8> {
        self.0.collections().root(name).to_vec()
    }

    /// Verifies that the canister certified exactly this log, and exactly the collections that it makes.
    pub fn check(&mut self, witness: &Witness) -> Result<LogHead, JsError> {
        Ok(LogHead(self.0.check(&witness.0)?))
    }
}

/// A block of an audit log.
#[wasm_bindgen(getter_with_clone)]
pub struct Block {
    /// Its place in the log.
    #[wasm_bindgen(readonly)]
    pub index: u64,
    /// Its hash, which is its entry in the log.
    #[wasm_bindgen(readonly)]
    pub hash: Vec<u8>,
    /// What happened.
    #[wasm_bindgen(readonly, js_name = blockType)]
    pub block_type: String,
    /// When: nanoseconds since 1970.
    #[wasm_bindgen(readonly)]
    pub time: u64,
    /// Who did it, as text.
    #[wasm_bindgen(readonly)]
    pub actor: String,
    /// Candid of what the changed leaves don't tell.
    #[wasm_bindgen(readonly)]
    pub details: Vec<u8>,
}

impl From<indus_verify::Block> for Block {
    fn from(block: indus_verify::Block) -> Self {
        let AuditEvent::V1(event) = block.event;
        Self {
            index: block.index,
            hash: block.hash.to_vec(),
            block_type: block.block_type,
            time: block.time.as_nanos(),
            actor: event.actor.to_text(),
            details: event.details.into_vec(),
        }
    }
}
