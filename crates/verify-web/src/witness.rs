//! What a canister certified.

use std::ops::Bound;

use indus_verify::VerifiedWitness;
use wasm_bindgen::prelude::*;

use crate::log::LogHead;
use crate::values;

/// The part of a canister's certified tree that was shown.
#[wasm_bindgen]
pub struct Witness(pub(crate) VerifiedWitness);

#[wasm_bindgen]
impl Witness {
    /// The bytes of the leaf at a path.
    pub fn leaf(&self, path: Vec<JsValue>) -> Result<Vec<u8>, JsError> {
        Ok(self.0.leaf(&values::path(&path)?)?.to_vec())
    }

    /// Returns if it is proved that there is nothing at a path.
    pub fn absent(&self, path: Vec<JsValue>) -> Result<(), JsError> {
        Ok(self.0.absent(&values::path(&path)?)?)
    }

    /// The hash of whatever is below a path.
    #[wasm_bindgen(js_name = subtreeHash)]
    pub fn subtree_hash(&self, path: Vec<JsValue>) -> Result<Vec<u8>, JsError> {
        Ok(self.0.subtree_hash(&values::path(&path)?)?.to_vec())
    }

    /// The entries directly below a path behind the label `after` (from the first, if it is left out), none between them
    /// left out: up to and with the label `until`, or else to the last that is shown.
    pub fn entries(
        &self,
        path: Vec<JsValue>,
        after: Option<Vec<u8>>,
        until: Option<Vec<u8>>,
    ) -> Result<Page, JsError> {
        let until = until.as_deref().map_or(Bound::Unbounded, Bound::Included);
        let path = values::path(&path)?;
        let page = self.0.entries(&path, after.as_deref(), until)?;
        let entries = page.entries.iter().map(|entry| Entry {
            label: entry.label.to_vec(),
            leaf: entry.leaf.map(<[u8]>::to_vec),
            hash: entry.hash.to_vec(),
        });
        Ok(Page {
            entries: entries.collect(),
            end: page.end,
        })
    }

    /// The certified head of the canister's audit log.
    #[wasm_bindgen(js_name = logHead)]
    pub fn log_head(&self) -> Result<LogHead, JsError> {
        Ok(LogHead(self.0.log_head()?))
    }
}

/// Entries of a collection, none between them left out.
#[wasm_bindgen(getter_with_clone)]
pub struct Page {
    /// In the order of their labels.
    #[wasm_bindgen(readonly)]
    pub entries: Vec<Entry>,
    /// It is proved that the collection has nothing behind them.
    #[wasm_bindgen(readonly)]
    pub end: bool,
}

/// One label of a collection and what is below it.
#[wasm_bindgen(getter_with_clone)]
#[derive(Clone)]
pub struct Entry {
    /// The key.
    #[wasm_bindgen(readonly)]
    pub label: Vec<u8>,
    /// The contents of the leaf, if they are shown.
    #[wasm_bindgen(readonly)]
    pub leaf: Option<Vec<u8>>,
    /// The hash of what is below the label.
    #[wasm_bindgen(readonly)]
    pub hash: Vec<u8>,
}
