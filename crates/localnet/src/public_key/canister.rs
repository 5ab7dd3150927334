//! Canister signatures (IC interface specification, "Canister signatures"): a canister signs by certifying a tree that
//! holds the hash of the message.
//!
//! ```text
//!   key        = len(canister id) ‖ canister id ‖ seed
//!   signature  = 55799({ certificate, tree })
//!   tree       : sig / SHA-256(seed) / SHA-256(message) = ""
//!   certificate: canister / canister id / certified_data = root hash of the tree
//! ```
//!
//! The certificate is by the root key, or by a subnet that the root key has delegated the canister's id to. It may be of any
//! age: a canister withdraws a signature by nothing but the expiry of what it signed.

use candid::Principal;
use ic_signature_verification::verify_canister_sig;

use super::{KeyError, MAX_SIGNATURE};

const SCHEME: &str = "canister";

/// DER of a BLS12-381 key on G2 up to the 96 bytes of the key.
pub(super) const BLS_DER: [u8; 37] = [
    0x30, 0x81, 0x82, 0x30, 0x1d, 0x06, 0x0d, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0xdc, 0x7c, 0x05,
    0x03, 0x01, 0x02, 0x01, 0x06, 0x0c, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0xdc, 0x7c, 0x05, 0x03,
    0x02, 0x01, 0x03, 0x61, 0x00,
];

/// What `ic-signature-verification` skips before the key: a head whose lengths it doesn't read, so that a seed may
/// be longer than they say.
const HEAD: [u8; 19] = [
    0x30, 0x00, 0x30, 0x0c, 0x06, 0x0a, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xb8, 0x43, 0x01, 0x02,
    0x03, 0x00, 0x00,
];

/// The key that all certificates of a network go back to.
#[derive(Clone, Debug)]
pub(crate) struct RootKey(Vec<u8>);

impl RootKey {
    /// The key of a network from its DER form. If that isn't a BLS key, no canister signature verifies.
    pub(crate) fn new(der: &[u8]) -> Self {
        Self(der.strip_prefix(&BLS_DER).unwrap_or_default().to_vec())
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Key {
    canister: Principal,
    /// [`HEAD`] and the key.
    der: Vec<u8>,
}

impl Key {
    pub(super) fn read(key: &[u8]) -> Result<Self, KeyError> {
        let canister = key
            .split_first()
            .and_then(|(len, rest)| rest.get(..usize::from(*len)))
            .and_then(|id| Principal::try_from_slice(id).ok())
            .ok_or(KeyError::Malformed {
                scheme: SCHEME,
                reason: "it does not start with a canister id",
            })?;
        Ok(Self {
            canister,
            der: [&HEAD, key].concat(),
        })
    }

    pub(super) fn canister(&self) -> Principal {
        self.canister
    }

    pub(super) fn verify(
        &self,
        message: &[u8],
        signature: &[u8],
        root: &RootKey,
    ) -> Result<(), KeyError> {
        if signature.len() > MAX_SIGNATURE {
            return Err(KeyError::MalformedSignature {
                scheme: SCHEME,
                reason: "longer than 64 KiB",
            });
        }
        verify_canister_sig(message, signature, &self.der, &root.0)
            .map_err(KeyError::WrongCanisterSignature)
    }
}
