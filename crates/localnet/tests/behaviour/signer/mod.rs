//! A canister that signs (IC interface specification, "Canister signatures"): it certifies the root hash that it is told,
//! and tells its certificate; the tree is made here.

use candid::Principal;
use ic_agent::Agent;
use ic_certification::{HashTree, labeled, leaf};
use serde_bytes::Bytes;
use sha2::{Digest as _, Sha256};

/// `certify` sets the certified data to its argument, `certificate` queries the certificate; `whoami` and
/// `whoami_query` reply the caller's bytes, `caller_info` and `caller_info_query` what is said about the caller and who says so.
const MODULE: &str = r#"
(module
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_arg_data_size" (func $arg_size (result i32)))
  (import "ic0" "msg_arg_data_copy" (func $arg_copy (param i32 i32 i32)))
  (import "ic0" "msg_caller_size" (func $caller_size (result i32)))
  (import "ic0" "msg_caller_copy" (func $caller_copy (param i32 i32 i32)))
  (import "ic0" "msg_caller_info_data_size" (func $info_size (result i32)))
  (import "ic0" "msg_caller_info_data_copy" (func $info_copy (param i32 i32 i32)))
  (import "ic0" "msg_caller_info_signer_size" (func $signer_size (result i32)))
  (import "ic0" "msg_caller_info_signer_copy" (func $signer_copy (param i32 i32 i32)))
  (import "ic0" "certified_data_set" (func $certify (param i32 i32)))
  (import "ic0" "data_certificate_size" (func $certificate_size (result i32)))
  (import "ic0" "data_certificate_copy" (func $certificate_copy (param i32 i32 i32)))
  (memory 1)
  (func $reply_with (param $len i32)
    (call $append (i32.const 0) (local.get $len))
    (call $reply))
  (func $whoami
    (call $caller_copy (i32.const 0) (i32.const 0) (call $caller_size))
    (call $reply_with (call $caller_size)))
  (func $caller_info
    (call $info_copy (i32.const 0) (i32.const 0) (call $info_size))
    (call $signer_copy (call $info_size) (i32.const 0) (call $signer_size))
    (call $reply_with (i32.add (call $info_size) (call $signer_size))))
  (func (export "canister_update certify")
    (call $arg_copy (i32.const 0) (i32.const 0) (call $arg_size))
    (call $certify (i32.const 0) (call $arg_size))
    (call $reply))
  (func (export "canister_query certificate")
    (call $certificate_copy (i32.const 0) (i32.const 0) (call $certificate_size))
    (call $reply_with (call $certificate_size)))
  (func (export "canister_update whoami") (call $whoami))
  (func (export "canister_query whoami_query") (call $whoami))
  (func (export "canister_update caller_info") (call $caller_info))
  (func (export "canister_query caller_info_query") (call $caller_info)))
"#;

pub(crate) fn module() -> Vec<u8> {
    wat::parse_str(MODULE).unwrap()
}

/// A canister with the module, and an agent that may call it.
pub(crate) struct Signer {
    pub(crate) agent: Agent,
    pub(crate) canister: Principal,
}

#[derive(serde::Serialize)]
struct Signature<'a> {
    certificate: &'a Bytes,
    tree: HashTree,
}

impl Signer {
    /// Has the canister sign a message for the user with this seed.
    pub(crate) async fn sign(&self, seed: &[u8], message: &[u8]) -> Vec<u8> {
        let (seed, message) = (Sha256::digest(seed), Sha256::digest(message));
        let tree = labeled("sig", labeled(&seed[..], labeled(&message[..], leaf(b""))));
        let certify = self.agent.update(&self.canister, "certify");
        let certify = certify.with_arg(tree.digest().to_vec());
        certify.call_and_wait().await.unwrap();
        let certificate = self.agent.query(&self.canister, "certificate");
        let certificate = certificate.call().await.unwrap();
        let signature = Signature {
            certificate: Bytes::new(&certificate),
            tree,
        };
        [
            &b"\xd9\xd9\xf7"[..],
            &serde_cbor::to_vec(&signature).unwrap(),
        ]
        .concat()
    }
}

/// The public key of a canister's user, in DER.
pub(crate) fn key(canister: Principal, seed: &[u8]) -> Vec<u8> {
    let algorithm = hex::decode("300c060a2b0601040183b8430102").unwrap();
    let id = canister.as_slice();
    let len = |bytes: usize| u8::try_from(bytes).unwrap();
    let bits = [&[0, len(id.len())], id, seed].concat();
    let bits = [&[3, len(bits.len())], &bits[..]].concat();
    [
        &[0x30, len(algorithm.len() + bits.len())],
        &algorithm[..],
        &bits,
    ]
    .concat()
}
