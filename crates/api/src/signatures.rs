//! Canister signatures: what a canister signs for anybody to verify who knows no canister of this suite.
//!
//! ```text
//! root ─┬─ data ─ signatures ─ SHA-256(message) ── leaf, empty     a collection like any other: logged, listed, replayed
//!       └─ sig ── SHA-256(seed) ─ SHA-256(message) ── leaf, empty  the same tree, where verifiers of signatures look
//!
//! public key = DER(OID 1.3.6.1.4.1.56387.1.2, length of the canister's id ‖ id ‖ seed)
//! signature  = CBOR { certificate, tree }: a certificate over the canister's certified data, and the tree down to the leaf
//! ```
//!
//! A signature is a read with proof, put together by whoever asks ([`path`], `indus_verify::canister_signature`). It is as
//! young as its certificate: a message that was withdrawn can't be shown with a younger one.
//!
//! Source: Internet Computer interface specification, "Canister signatures".

use candid::Principal;
use serde_bytes::ByteBuf;
use sha2::{Digest as _, Sha256};

/// The label of the root below which signatures stand.
pub const SIG: &str = "sig";
/// The collection of all that the canister signs. Each record is empty, its key is [`key`].
pub const SIGNATURES: &str = "signatures";
/// The seed of the canister's only public key.
pub const SEED: &[u8] = b"indus";

/// An `AlgorithmIdentifier` with the object identifier 1.3.6.1.4.1.56387.1.2, in DER.
const ALGORITHM: [u8; 14] = [
    0x30, 0x0c, 0x06, 0x0a, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xb8, 0x43, 0x01, 0x02,
];

/// SHA-256 of the seed.
#[must_use]
pub fn seed_hash() -> [u8; 32] {
    Sha256::digest(SEED).into()
}

/// The key of a message in the collection.
#[must_use]
pub fn key(message: &[u8]) -> [u8; 32] {
    Sha256::digest(message).into()
}

/// The certified path of the signature of a message.
#[must_use]
pub fn path(message: &[u8]) -> Vec<ByteBuf> {
    vec![
        ByteBuf::from(SIG),
        ByteBuf::from(seed_hash()),
        ByteBuf::from(key(message)),
    ]
}

/// The public key of a canister, in DER.
#[must_use]
pub fn public_key(canister: Principal) -> Vec<u8> {
    // A principal has at most 29 bytes, so each length fits into one byte.
    let length = |bytes: usize| u8::try_from(bytes).unwrap_or(u8::MAX);
    let id = canister.as_slice();
    let raw = 1 + id.len() + SEED.len();
    let mut der = vec![0x30, length(ALGORITHM.len() + 3 + raw)];
    der.extend(ALGORITHM);
    der.extend([0x03, length(1 + raw), 0x00, length(id.len())]);
    der.extend(id);
    der.extend(SEED);
    der
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_key_is_der_of_canister_and_seed() {
        let der = public_key(Principal::from_slice(&[0, 0, 0, 0, 0, 0, 0, 7, 1, 1]));
        let hex: String = der.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            concat!(
                "3021",
                "300c060a2b0601040183b8430102",
                "031100",
                "0a00000000000000070101",
                "696e647573",
            )
        );
    }
}
