//! Certificates of subnets.

use candid::Principal;
use indus_verify::{RootKey, Time, TimeBound, VerifiedCertificate};
use wasm_bindgen::prelude::*;

use crate::values;
use crate::witness::Witness;

/// Verifies certificates against one root key.
#[wasm_bindgen]
pub struct Verifier(indus_verify::Verifier);

#[wasm_bindgen]
impl Verifier {
    /// A verifier that trusts one key alone: 133 bytes, DER. Pin it; never take it from the network that is to be verified.
    #[wasm_bindgen(constructor)]
    pub fn new(#[wasm_bindgen(js_name = rootKeyDer)] root_key_der: &[u8]) -> Result<Self, JsError> {
        let root = RootKey::from_der(root_key_der)?;
        Ok(Self(indus_verify::Verifier::new(root)))
    }

    /// Verifies a certificate that is to speak for a canister (its id as text), at the caller's time and for at most the
    /// given age, both in milliseconds.
    pub fn certificate(
        &self,
        bytes: &[u8],
        canister: &str,
        #[wasm_bindgen(js_name = nowMs)] now_ms: f64,
        #[wasm_bindgen(js_name = maxAgeMs)] max_age_ms: f64,
    ) -> Result<Certificate, JsError> {
        let canister = Principal::from_text(canister)?;
        let now = u64::try_from(values::milliseconds(now_ms)?.as_nanos())?;
        let bound = TimeBound::within(values::milliseconds(max_age_ms)?);
        let verified = self
            .0
            .certificate(bytes, canister, Time::from_nanos(now), bound)?;
        Ok(Certificate(verified))
    }
}

/// A certificate that was verified.
#[wasm_bindgen]
pub struct Certificate(VerifiedCertificate);

#[wasm_bindgen]
impl Certificate {
    /// When the subnet's state was like this: nanoseconds since 1970.
    #[wasm_bindgen(getter)]
    pub fn time(&self) -> u64 {
        self.0.time().as_nanos()
    }

    /// The id of the canister that it speaks for.
    #[wasm_bindgen(getter)]
    pub fn canister(&self) -> String {
        self.0.canister().to_text()
    }

    /// What the subnet says of the canister, such as `['module_hash']`.
    #[wasm_bindgen(js_name = canisterLeaf)]
    pub fn canister_leaf(&self, path: Vec<JsValue>) -> Result<Vec<u8>, JsError> {
        Ok(self.0.canister_leaf(&values::path(&path)?)?.to_vec())
    }

    /// Verifies that these bytes are a part of the tree that the canister certified. One certificate serves any number of
    /// witnesses.
    pub fn witness(&self, bytes: &[u8]) -> Result<Witness, JsError> {
        Ok(Witness(self.0.witness(bytes)?))
    }
}
