//! What JavaScript gives: paths, hashes and durations. Anything of another type is an error, because a label that was
//! misunderstood could be proved absent.

use std::time::Duration;

use indus_verify::Hash;
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    type Uint8Array;

    #[wasm_bindgen(static_method_of = Uint8Array, js_name = from)]
    fn copy(array: &Uint8Array) -> Vec<u8>;
}

fn bytes(value: &JsValue) -> Option<Vec<u8>> {
    value.dyn_ref().map(Uint8Array::copy)
}

/// The labels of a path.
pub(crate) fn path(labels: &[JsValue]) -> Result<Vec<Vec<u8>>, JsError> {
    let label = |label: &JsValue| {
        label
            .as_string()
            .map(String::into_bytes)
            .or_else(|| bytes(label))
    };
    let labels: Option<Vec<Vec<u8>>> = labels.iter().map(label).collect();
    labels.ok_or_else(|| JsError::new("a label of a path is neither a string nor a Uint8Array"))
}

/// The hashes of a proof.
pub(crate) fn hashes(proof: &[JsValue]) -> Result<Vec<Hash>, JsError> {
    let hash = |value: &JsValue| bytes(value)?.try_into().ok();
    let hashes: Option<Vec<Hash>> = proof.iter().map(hash).collect();
    hashes.ok_or_else(|| JsError::new("a hash of a proof is not a Uint8Array of 32 bytes"))
}

pub(crate) fn hash(bytes: &[u8]) -> Result<Hash, JsError> {
    let hash = bytes.try_into();
    hash.map_err(|_| JsError::new("a hash is not a Uint8Array of 32 bytes"))
}

pub(crate) fn milliseconds(number: f64) -> Result<Duration, JsError> {
    let duration = Duration::try_from_secs_f64(number / 1_000.0);
    duration.map_err(|_| JsError::new("a number of milliseconds is negative or too large"))
}
