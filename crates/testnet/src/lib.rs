//! A subnet that signs what a test asks for: certificates as the Internet Computer has them, with a real BLS signature.
//!
//! ```text
//! certificate { tree, signature }    tree: canister/<id>/{certified_data, controllers, module_hash}, time
//! ```
//!
//! It is the root subnet of its network, so there is no delegation, and it may speak for any canister. Trees and encoding are
//! those of `ic-certification` and `serde_cbor`: nothing of a certificate comes from the code under test.

mod audit;
mod interface;
mod layouts;
mod log;

pub use interface::updates;
pub use layouts::{Basics, Layouts};
pub use log::LongLog;

use candid::Principal;
use ic_certification::{Certificate, HashTree, fork, labeled, leaf};
use ic_verify_bls_signature::PrivateKey;
use serde::Serialize;
use serde_bytes::ByteBuf;

/// Interface specification, "Certificate", `extract_der`: what stands before the 96 bytes of the key.
const DER_PREFIX: &str =
    "308182301d060d2b0601040182dc7c0503010201060c2b0601040182dc7c05030201036100";
/// What is signed begins with this (interface specification, "Certificate").
const DOMAIN: &[u8] = b"\x0Dic-state-root";

/// A subnet, whose key a test chooses by a number.
#[derive(Clone, Copy, Debug)]
pub struct Subnet {
    seed: u8,
}

impl Subnet {
    /// The subnet with this number, 1 to 100; each has another key.
    #[must_use]
    pub const fn new(seed: u8) -> Self {
        Self { seed }
    }

    /// Its public key in DER form: the root key of its network.
    ///
    /// # Panics
    /// If the number is no key.
    #[must_use]
    pub fn root_key_der(&self) -> Vec<u8> {
        let prefix = hex::decode(DER_PREFIX).expect("hexadecimal");
        [&prefix[..], &self.key().public_key().serialize()].concat()
    }

    /// Certifies the canister's 32 bytes of certified data.
    #[must_use]
    pub fn certificate(
        &self,
        canister: Principal,
        certified_data: [u8; 32],
        time_ns: u64,
    ) -> Vec<u8> {
        let data = labeled("certified_data", leaf(certified_data.to_vec()));
        self.sign(canister, data, time_ns)
    }

    /// Certifies what `read_state` shows everybody of a canister: its controllers and the hash of its module.
    #[must_use]
    pub fn canister_state(
        &self,
        canister: Principal,
        controllers: &[Principal],
        module_hash: [u8; 32],
        time_ns: u64,
    ) -> Vec<u8> {
        let controllers: Vec<ByteBuf> = controllers
            .iter()
            .map(|controller| ByteBuf::from(controller.as_slice()))
            .collect();
        let state = fork(
            labeled("controllers", leaf(cbor(&controllers))),
            labeled("module_hash", leaf(module_hash.to_vec())),
        );
        self.sign(canister, state, time_ns)
    }

    fn sign(&self, canister: Principal, state: HashTree, time_ns: u64) -> Vec<u8> {
        let tree = fork(
            labeled("canister", labeled(canister.as_slice(), state)),
            labeled("time", leaf(leb128(time_ns))),
        );
        let message = [DOMAIN, &tree.digest()].concat();
        cbor(&Certificate {
            tree,
            signature: self.key().sign(&message).serialize().to_vec(),
            delegation: None,
        })
    }

    fn key(&self) -> PrivateKey {
        PrivateKey::deserialize(&[self.seed; 32]).expect("a number below the order of the group")
    }
}

/// Self-described CBOR.
///
/// # Panics
/// If there is no CBOR form of it.
#[must_use]
pub fn cbor(value: &impl Serialize) -> Vec<u8> {
    let mut serializer = serde_cbor::Serializer::new(Vec::new());
    serializer
        .self_describe()
        .and_then(|()| value.serialize(&mut serializer))
        .expect("it has a CBOR form");
    serializer.into_inner()
}

fn leb128(value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    candid::Nat::from(value)
        .encode(&mut bytes)
        .expect("memory takes it");
    bytes
}
