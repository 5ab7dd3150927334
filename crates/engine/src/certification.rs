//! What a subnet certifies: its state tree, its key, and certificates that are signed when somebody asks.
//!
//! ```text
//!   /time                                          every certificate reveals it
//!   /canister/<id>/{certified_data, controllers, module_hash, metadata/<name>}
//!   /canister_ranges/<subnet>/<first canister id>  which subnet is responsible for which canisters
//!   /request_status/<id>/{status, reply, reject_code, reject_message, error_code}
//!   /subnet/<id>/{public_key, canister_ranges, type, node/<node>/public_key}
//! ```
//!
//! (IC interface specification, "The system state tree" and "Certification".) The tree is kept up to date
//! path by path, in O(log n); a signature takes a millisecond, so it is made once for a root hash and only
//! when a certificate is read.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use candid::Principal;
use ic_certification::{
    AsHashTree as _, Certificate, Delegation, HashTree, NestedTree, merge_hash_trees,
};
use ic_verify_bls_signature::PrivateKey;
use serde::Serialize as _;
use sha2::{Digest as _, Sha256};

use crate::{Time, types::Path};

/// DER of a BLS12-381 public key up to the key itself (IC interface specification, "Certification").
const DER_PREFIX: [u8; 37] = [
    0x30, 0x81, 0x82, 0x30, 0x1d, 0x06, 0x0d, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0xdc, 0x7c, 0x05,
    0x03, 0x01, 0x02, 0x01, 0x06, 0x0c, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0xdc, 0x7c, 0x05, 0x03,
    0x02, 0x01, 0x03, 0x61, 0x00,
];
const STATE_ROOT_DOMAIN: &[u8] = b"\x0Dic-state-root";

/// The key of a subnet.
pub(crate) struct SubnetKey {
    private: PrivateKey,
    public_der: Vec<u8>,
    /// The last signature: until the state changes, every certificate carries the same.
    last: Mutex<Option<([u8; 32], [u8; 48])>>,
}

impl SubnetKey {
    /// The key of this seed.
    pub(crate) fn from_seed(seed: [u8; 32]) -> Self {
        // Any 32 bytes below the order of the group are a key; with the two highest bits off they are below.
        let mut scalar: [u8; 32] = Sha256::digest(seed).into();
        scalar[0] &= 0x3f;
        scalar[31] |= 1;
        let private = match PrivateKey::deserialize(&scalar) {
            Ok(private) => private,
            Err(_) => unreachable!("below the order of the group"),
        };
        let public_der = [&DER_PREFIX[..], &private.public_key().serialize()].concat();
        Self {
            private,
            public_der,
            last: Mutex::new(None),
        }
    }

    pub(crate) fn public_der(&self) -> &[u8] {
        &self.public_der
    }

    /// Id of the subnet that has this key.
    pub(crate) fn subnet_id(&self) -> Principal {
        Principal::self_authenticating(&self.public_der)
    }

    fn sign(&self, root: [u8; 32]) -> [u8; 48] {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match *last {
            Some((signed, signature)) if signed == root => signature,
            _ => {
                let message = [STATE_ROOT_DOMAIN, &root].concat();
                let signature = self.private.sign(&message).serialize();
                *last = Some((root, signature));
                signature
            }
        }
    }
}

/// A certificate that is signed when its bytes are first read.
pub(crate) struct LazyCertificate {
    tree: HashTree,
    key: Arc<SubnetKey>,
    delegation: Option<Arc<Delegation>>,
    bytes: OnceLock<Arc<[u8]>>,
}

impl LazyCertificate {
    /// The CBOR of the certificate.
    pub(crate) fn bytes(&self) -> Arc<[u8]> {
        let make = || {
            let certificate = Certificate {
                signature: self.key.sign(self.tree.digest()).to_vec(),
                tree: self.tree.clone(),
                delegation: self.delegation.as_deref().cloned(),
            };
            let mut serializer = serde_cbor::Serializer::new(Vec::new());
            let written = serializer
                .self_describe()
                .and_then(|()| certificate.serialize(&mut serializer));
            match written {
                Ok(()) => serializer.into_inner().into(),
                Err(_) => unreachable!("writing to a vector does not fail"),
            }
        };
        self.bytes.get_or_init(make).clone()
    }
}

/// The state tree of a subnet, and who signs it.
pub(crate) struct StateTree {
    tree: NestedTree<Vec<u8>, Vec<u8>>,
    key: Arc<SubnetKey>,
    /// From the root subnet; the root subnet itself has none.
    delegation: Option<Arc<Delegation>>,
}

impl StateTree {
    pub(crate) fn new(key: Arc<SubnetKey>) -> Self {
        Self {
            tree: NestedTree::default(),
            key,
            delegation: None,
        }
    }

    pub(crate) fn delegate(&mut self, delegation: Delegation) {
        self.delegation = Some(Arc::new(delegation));
    }

    pub(crate) fn set_time(&mut self, time: Time) {
        self.insert(&[b"time"], leb128(time.0));
    }

    pub(crate) fn insert(&mut self, path: &[&[u8]], value: Vec<u8>) {
        self.tree.insert(&owned(path), value);
    }

    pub(crate) fn delete(&mut self, path: &[&[u8]]) {
        self.tree.delete(&owned(path));
    }

    /// A certificate that reveals these paths, or that they are absent, and the time.
    pub(crate) fn certificate<'a>(
        &self,
        paths: impl IntoIterator<Item = &'a Path>,
    ) -> LazyCertificate {
        let time = self.tree.witness(&[b"time".to_vec()]);
        let tree = paths.into_iter().fold(time, |tree, path| {
            let witness = if path.is_empty() {
                self.tree.as_hash_tree()
            } else {
                self.tree.witness(path)
            };
            merge_hash_trees(tree, witness)
        });
        LazyCertificate {
            tree,
            key: self.key.clone(),
            delegation: self.delegation.clone(),
            bytes: OnceLock::new(),
        }
    }
}

fn owned(path: &[&[u8]]) -> Path {
    path.iter().map(|label| label.to_vec()).collect()
}

/// Unsigned LEB128.
pub(crate) fn leb128(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            bytes.push(byte);
            return bytes;
        }
        bytes.push(byte | 0x80);
    }
}

/// CBOR of a list of canister ranges, both ends included.
pub(crate) fn ranges_cbor(ranges: &[(Principal, Principal)]) -> Vec<u8> {
    let ranges: Vec<_> = ranges
        .iter()
        .map(|(first, last)| (bytes(first), bytes(last)))
        .collect();
    cbor(&ranges)
}

/// CBOR of a list of principals.
pub(crate) fn principals_cbor(principals: &[Principal]) -> Vec<u8> {
    cbor(&principals.iter().map(bytes).collect::<Vec<_>>())
}

fn bytes(principal: &Principal) -> &serde_bytes::Bytes {
    serde_bytes::Bytes::new(principal.as_slice())
}

pub(crate) fn cbor<T: serde::Serialize>(value: &T) -> Vec<u8> {
    let mut serializer = serde_cbor::Serializer::new(Vec::new());
    let written = serializer
        .self_describe()
        .and_then(|()| value.serialize(&mut serializer));
    match written {
        Ok(()) => serializer.into_inner(),
        Err(_) => unreachable!("writing to a vector does not fail"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_proves_what_is_there_and_what_is_not() {
        let key = Arc::new(SubnetKey::from_seed([7; 32]));
        let mut state = StateTree::new(key.clone());
        state.set_time(Time(5));
        for id in 0..50_u8 {
            state.insert(&[b"request_status", &[id * 2], b"status"], vec![id]);
        }
        let path = |id: u8| vec![b"request_status".to_vec(), vec![id], b"status".to_vec()];
        let lazy = state.certificate([&path(8), &path(9)]);
        let certificate: Certificate = serde_cbor::from_slice(&lazy.bytes()).unwrap();

        use ic_certification::LookupResult;
        assert_eq!(
            certificate.tree.lookup_path([b"time".as_slice()]),
            LookupResult::Found(&[5])
        );
        assert_eq!(
            certificate.tree.lookup_path(path(8).iter()),
            LookupResult::Found(&[4])
        );
        assert_eq!(
            certificate.tree.lookup_path(path(9).iter()),
            LookupResult::Absent
        );
        assert_eq!(
            certificate.tree.lookup_path(path(20).iter()),
            LookupResult::Unknown
        );
        let message = [STATE_ROOT_DOMAIN, &certificate.tree.digest()].concat();
        let public = &key.public_der()[DER_PREFIX.len()..];
        assert!(
            ic_verify_bls_signature::verify_bls_signature(&certificate.signature, &message, public)
                .is_ok()
        );
    }

    #[test]
    fn numbers_are_leb128() {
        assert_eq!(leb128(0), [0]);
        assert_eq!(leb128(624_485), [0xe5, 0x8e, 0x26]);
    }
}
