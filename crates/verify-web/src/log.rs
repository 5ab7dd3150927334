//! Proofs about a canister's log.

use indus_verify::log;
use wasm_bindgen::prelude::*;

use crate::values;

/// Root and size of a log.
#[wasm_bindgen]
pub struct LogHead(pub(crate) indus_verify::LogHead);

#[wasm_bindgen]
impl LogHead {
    /// A head that was verified earlier and kept.
    #[wasm_bindgen(constructor)]
    pub fn new(root: &[u8], size: u64) -> Result<Self, JsError> {
        let root = values::hash(root)?;
        Ok(Self(indus_verify::LogHead { root, size }))
    }

    /// Root of the tree over the entries.
    #[wasm_bindgen(getter)]
    pub fn root(&self) -> Vec<u8> {
        self.0.root.to_vec()
    }

    /// How many entries there are.
    #[wasm_bindgen(getter)]
    pub fn size(&self) -> u64 {
        self.0.size
    }

    /// Verifies that `entry` (the hash of a block) is at `index` of this log, by an inclusion proof of RFC 9162.
    #[wasm_bindgen(js_name = verifyInclusion)]
    pub fn verify_inclusion(
        &self,
        entry: &[u8],
        index: u64,
        proof: Vec<JsValue>,
    ) -> Result<(), JsError> {
        let (entry, proof) = (values::hash(entry)?, values::hashes(&proof)?);
        Ok(log::verify_inclusion(&entry, index, &proof, &self.0)?)
    }

    /// Verifies that this log begins with the one whose head is `earlier`, by a consistency proof of RFC 9162.
    #[wasm_bindgen(js_name = verifyConsistency)]
    pub fn verify_consistency(
        &self,
        earlier: &LogHead,
        proof: Vec<JsValue>,
    ) -> Result<(), JsError> {
        let proof = values::hashes(&proof)?;
        Ok(log::verify_consistency(&earlier.0, &self.0, &proof)?)
    }
}
