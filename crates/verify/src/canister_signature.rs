//! Canister signatures: a message that a canister signs by certifying its hash.
//!
//! ```text
//! 55799({ "certificate": bytes, "tree": hash tree })
//!           │ certified data = root hash of ─┘ └ sig ─ SHA-256(seed) ─ SHA-256(message) ── leaf, empty
//! ```
//!
//! Fields come in the order in which libraries of the Internet Computer write them; no other is accepted.
//!
//! Source: the Internet Computer interface specification, "Canister signatures".

use candid::Principal;
use indus_api::signatures::SIG;
use sha2::{Digest as _, Sha256};

use crate::cbor::{self, Reader};
use crate::error::{Fault, Malformed, Part, VerifyError};
use crate::path;
use crate::time::{Time, TimeBound};
use crate::tree::{HashTree, MAX_TREE_BYTES};
use crate::verified::VerifiedCertificate;
use crate::verifier::{MAX_CERTIFICATE_BYTES, Verifier};

/// Largest signature, in bytes: the largest certificate and the largest tree.
pub const MAX_SIGNATURE_BYTES: usize = MAX_CERTIFICATE_BYTES + MAX_TREE_BYTES;

/// The signature that a certificate and a witness of its canister make, where the witness shows the path of the message.
/// Nothing is verified.
///
/// Errors: [`VerifyError::Malformed`] for a witness that is no self-described CBOR.
pub fn encode(certificate: &[u8], witness: &[u8]) -> Result<Vec<u8>, VerifyError> {
    let mut reader = Reader::new(witness);
    reader
        .self_described()
        .map_err(|malformed| VerifyError::Malformed {
            part: Part::Witness,
            malformed,
        })?;
    let mut bytes = Vec::with_capacity(certificate.len() + witness.len() + 32);
    cbor::self_described(&mut bytes);
    cbor::map(&mut bytes, 2);
    cbor::text(&mut bytes, "certificate");
    cbor::bytes(&mut bytes, certificate);
    cbor::text(&mut bytes, "tree");
    bytes.extend_from_slice(&witness[reader.position()..]);
    Ok(bytes)
}

impl Verifier {
    /// Verifies that `signer`, with the key of this seed, signs `message`, at the caller's time `now`.
    ///
    /// A canister signs as of the certificate's time, which is what `bound` is about: what was signed once and is not any
    /// more has no younger certificate.
    ///
    /// Errors: those of [`Verifier::certificate`] and [`VerifiedCertificate::witness`]; [`VerifyError::Absent`],
    /// [`VerifyError::Unknown`] or [`VerifyError::NotALeaf`] if the tree does not show that it signs the message;
    /// [`VerifyError::Value`] if the leaf is not empty.
    pub fn canister_signature(
        &self,
        signer: Principal,
        seed: &[u8],
        message: &[u8],
        signature: &[u8],
        now: Time,
        bound: TimeBound,
    ) -> Result<VerifiedCertificate, VerifyError> {
        let (certificate, tree) = parse(signature).map_err(|malformed| VerifyError::Malformed {
            part: Part::CanisterSignature,
            malformed,
        })?;
        let certificate = self.certificate(certificate, signer, now, bound)?;
        let witness = certificate.witness_of(tree)?;
        let (seed, message) = (Sha256::digest(seed), Sha256::digest(message));
        let place = [SIG.as_bytes(), &seed, &message];
        if !witness.leaf(&place)?.is_empty() {
            return Err(VerifyError::Value {
                path: path::text(&place),
                reason: String::from("it is not empty"),
            });
        }
        Ok(certificate)
    }
}

fn parse(bytes: &[u8]) -> Result<(&[u8], HashTree), Malformed> {
    if bytes.len() > MAX_SIGNATURE_BYTES {
        return Err(Malformed {
            at: MAX_SIGNATURE_BYTES,
            fault: Fault::TooLarge,
        });
    }
    let mut reader = Reader::new(bytes);
    reader.self_described()?;
    let at = reader.position();
    if reader.map()? != 2 {
        return Err(reader.fault_at(at, Fault::Unexpected));
    }
    reader.field("certificate")?;
    let certificate = reader.bytes()?;
    reader.field("tree")?;
    let at = reader.position();
    let tree = HashTree::read(&mut reader)?;
    if reader.position() - at > MAX_TREE_BYTES {
        return Err(reader.fault_at(at, Fault::TooLarge));
    }
    reader.end()?;
    Ok((certificate, tree))
}
