//! Certificates as subnets encode them, before anything is verified.
//!
//! ```text
//! 55799({ "tree": hash tree, "signature": 48 bytes, ? "delegation": { "subnet_id": bytes, "certificate": bytes } })
//! ```
//!
//! Fields come in the order in which the replica writes them; no other is accepted.

use candid::Principal;

use crate::cbor::Reader;
use crate::error::{Fault, Malformed};
use crate::key::SIGNATURE_BYTES;
use crate::tree::HashTree;

pub(crate) struct Certificate<'a> {
    pub(crate) tree: HashTree,
    pub(crate) signature: &'a [u8; SIGNATURE_BYTES],
    pub(crate) delegation: Option<Delegation<'a>>,
}

pub(crate) struct Delegation<'a> {
    pub(crate) subnet: Principal,
    pub(crate) certificate: &'a [u8],
}

impl<'a> Certificate<'a> {
    pub(crate) fn from_cbor(bytes: &'a [u8], max_bytes: usize) -> Result<Self, Malformed> {
        if bytes.len() > max_bytes {
            return Err(Malformed {
                at: max_bytes,
                fault: Fault::TooLarge,
            });
        }
        let mut reader = Reader::new(bytes);
        reader.self_described()?;
        let at = reader.position();
        let fields = reader.map()?;
        if !(2..=3).contains(&fields) {
            return Err(reader.fault_at(at, Fault::Unexpected));
        }
        reader.field("tree")?;
        let tree = HashTree::read(&mut reader)?;
        reader.field("signature")?;
        let signature = reader.bytes_of()?;
        let delegation = if fields == 3 {
            reader.field("delegation")?;
            Some(Delegation::read(&mut reader)?)
        } else {
            None
        };
        reader.end()?;
        Ok(Self {
            tree,
            signature,
            delegation,
        })
    }
}

impl<'a> Delegation<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let at = reader.position();
        if reader.map()? != 2 {
            return Err(reader.fault_at(at, Fault::Unexpected));
        }
        reader.field("subnet_id")?;
        let subnet = principal(reader)?;
        reader.field("certificate")?;
        Ok(Self {
            subnet,
            certificate: reader.bytes()?,
        })
    }
}

/// A principal: at most 29 bytes.
pub(crate) fn principal(reader: &mut Reader<'_>) -> Result<Principal, Malformed> {
    let at = reader.position();
    Principal::try_from_slice(reader.bytes()?).map_err(|_| reader.fault_at(at, Fault::Unexpected))
}
