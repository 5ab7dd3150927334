//! From bytes and a root key to a [`VerifiedCertificate`].
//!
//! Order of the checks: encoding, delegation (root key, its time, the canister's range), signature of the
//! certificate, its time. Nothing in a tree is believed before the signature over it was checked.

use candid::Principal;

use crate::certificate::{Certificate, Delegation};
use crate::error::{Malformed, Part, VerifyError};
use crate::key::{self, DerKey, RootKey};
use crate::leb128;
use crate::path;
use crate::ranges;
use crate::signatures::GoodSignatures;
use crate::time::{Time, TimeBound};
use crate::tree::{HashTree, Lookup, MAX_TREE_BYTES};
use crate::verified::VerifiedCertificate;

/// Largest certificate, in bytes: the largest tree, and a delegation.
pub const MAX_CERTIFICATE_BYTES: usize = MAX_TREE_BYTES;

/// Verifies certificates against one root key.
///
/// It remembers the last signatures that it found good (64 of them, 2 KiB); all other checks are made each
/// time. Shared by reference between threads.
#[derive(Debug)]
pub struct Verifier {
    root: RootKey,
    good: GoodSignatures,
}

impl Verifier {
    /// A verifier that trusts `root` alone.
    pub fn new(root: RootKey) -> Self {
        Self {
            root,
            good: GoodSignatures::default(),
        }
    }

    /// The key that everything is verified against.
    pub fn root_key(&self) -> &RootKey {
        &self.root
    }

    /// Verifies a certificate that is to speak for `canister`, at the caller's time `now`.
    ///
    /// With a delegation, the root key must have signed it, and it must assign `canister` to the subnet whose
    /// key signed the certificate. Without one, the root key signed the certificate itself, and its subnet
    /// may speak for any canister (as in the interface specification).
    ///
    /// `certificate` is self-described CBOR of at most [`MAX_CERTIFICATE_BYTES`].
    ///
    /// Errors: what is wrong, see [`VerifyError`].
    pub fn certificate(
        &self,
        certificate: &[u8],
        canister: Principal,
        now: Time,
        bound: TimeBound,
    ) -> Result<VerifiedCertificate, VerifyError> {
        let part = Part::Certificate;
        let Certificate {
            tree,
            signature,
            delegation,
        } = parse(part, certificate)?;
        let subnet = delegation.as_ref().map(|delegation| delegation.subnet);
        let signed = match delegation {
            None => {
                let parse = || Ok(self.root.key().clone());
                self.good
                    .check(self.root.as_der(), parse, &tree.root_hash(), signature)?
            }
            Some(delegation) => {
                let key = self.delegated(&delegation, canister, now, bound)?;
                let parse = || key::parse(&key).ok_or(VerifyError::SubnetKey);
                self.good.check(&key, parse, &tree.root_hash(), signature)?
            }
        };
        if !signed {
            return Err(VerifyError::Signature(part));
        }
        let time = time(part, &tree)?;
        bound.check(part, time, now)?;
        Ok(VerifiedCertificate::new(canister, subnet, time, tree))
    }

    /// The key of the subnet that `delegation` makes responsible for `canister`.
    fn delegated(
        &self,
        delegation: &Delegation<'_>,
        canister: Principal,
        now: Time,
        bound: TimeBound,
    ) -> Result<DerKey, VerifyError> {
        let part = Part::Delegation;
        let Certificate {
            tree,
            signature,
            delegation: nested,
        } = parse(part, delegation.certificate)?;
        if nested.is_some() {
            return Err(VerifyError::NestedDelegation);
        }
        let parse = || Ok::<_, VerifyError>(self.root.key().clone());
        if !self
            .good
            .check(self.root.as_der(), parse, &tree.root_hash(), signature)?
        {
            return Err(VerifyError::Signature(part));
        }
        bound.check(part, time(part, &tree)?, now)?;
        ranges::check(&tree, delegation.subnet, canister)?;
        required(
            part,
            &tree,
            &[b"subnet", delegation.subnet.as_slice(), b"public_key"],
        )?
        .try_into()
        .map_err(|_| VerifyError::SubnetKey)
    }
}

fn parse(part: Part, bytes: &[u8]) -> Result<Certificate<'_>, VerifyError> {
    Certificate::from_cbor(bytes, MAX_CERTIFICATE_BYTES)
        .map_err(|malformed: Malformed| VerifyError::Malformed { part, malformed })
}

fn time(part: Part, tree: &HashTree) -> Result<Time, VerifyError> {
    let leaf = required(part, tree, &[b"time"])?;
    leb128::decode(leaf)
        .map(Time::from_nanos)
        .map_err(|_| VerifyError::Time(part))
}

/// A leaf that a certificate must have.
fn required<'a>(part: Part, tree: &'a HashTree, path: &[&[u8]]) -> Result<&'a [u8], VerifyError> {
    match tree.lookup(path) {
        Lookup::Found(leaf) => Ok(leaf),
        _ => Err(VerifyError::Missing {
            part,
            path: path::text(path),
        }),
    }
}
