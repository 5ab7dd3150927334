//! A network of a root subnet and an application subnet, with keys of their own, that signs what a test
//! asks for. Trees and their encoding are those of `ic-certification` and `serde_cbor`, which the replica's
//! clients use, so that nothing here comes from the code under test.

use std::collections::BTreeMap;
use std::time::Duration;

use candid::Principal;
use ic_certification::{Certificate, Delegation, HashTree, empty, fork, labeled, leaf};
use ic_verify_bls_signature::PrivateKey;
use indus_verify::{RootKey, Time, TimeBound, VerifiedCertificate, Verifier, VerifyError};
use serde::Serialize;

/// Nanoseconds of all certificates, unless a test changes them.
pub(crate) const NOW: u64 = 1_700_000_000_000_000_000;
/// Bound of all verifications, unless a test changes it.
pub(crate) const BOUND: TimeBound = TimeBound::within(Duration::from_secs(300));
/// Content of the canister's tree: `data/greetings/<key>`.
pub(crate) const KEY: [u8; 8] = 7_u64.to_be_bytes();

const DER_PREFIX: &str =
    "308182301d060d2b0601040182dc7c0503010201060c2b0601040182dc7c05030201036100";

/// Leaves by their paths.
pub(crate) type State = BTreeMap<Vec<Vec<u8>>, Vec<u8>>;

pub(crate) fn path(labels: &[&[u8]]) -> Vec<Vec<u8>> {
    labels.iter().map(|label| label.to_vec()).collect()
}

/// A tree with all of `state` shown.
pub(crate) fn tree(state: &State) -> HashTree {
    let mut rows: BTreeMap<&[u8], State> = BTreeMap::new();
    for (path, content) in state {
        match path.split_first() {
            None => return leaf(content.clone()),
            Some((first, rest)) => {
                rows.entry(first)
                    .or_default()
                    .insert(rest.to_vec(), content.clone());
            }
        }
    }
    let row: Vec<HashTree> = rows
        .iter()
        .map(|(label, below)| labeled(*label, tree(below)))
        .collect();
    balanced(row)
}

fn balanced(mut row: Vec<HashTree>) -> HashTree {
    match row.len() {
        0 => empty(),
        1 => row.remove(0),
        length => {
            let right = row.split_off(length / 2);
            fork(balanced(row), balanced(right))
        }
    }
}

/// Self-described CBOR.
pub(crate) fn cbor(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut serializer = serde_cbor::Serializer::new(&mut bytes);
    serializer.self_describe().unwrap();
    value.serialize(&mut serializer).unwrap();
    bytes
}

pub(crate) fn leb128(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 127 {
        bytes.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
        value >>= 7;
    }
    bytes.push(u8::try_from(value).unwrap());
    bytes
}

/// CBOR of canister ranges.
pub(crate) fn ranges(ranges: &[(u64, u64)]) -> Vec<u8> {
    let encoded: Vec<[serde_bytes::ByteBuf; 2]> = ranges
        .iter()
        .map(|(first, last)| {
            [*first, *last].map(|id| serde_bytes::ByteBuf::from(canister(id).as_slice()))
        })
        .collect();
    cbor(&encoded)
}

/// The canister id that the system makes of a number.
pub(crate) fn canister(number: u64) -> Principal {
    Principal::from_slice(&[number.to_be_bytes().as_slice(), &[1, 1]].concat())
}

/// Who signs.
#[derive(Clone, Copy)]
pub(crate) struct Signer(PrivateKey);

impl Signer {
    pub(crate) fn new(seed: u8) -> Self {
        Self(PrivateKey::deserialize(&[seed; 32]).unwrap())
    }

    pub(crate) fn der(&self) -> Vec<u8> {
        [
            hex::decode(DER_PREFIX).unwrap().as_slice(),
            &self.0.public_key().serialize(),
        ]
        .concat()
    }

    pub(crate) fn root_key(&self) -> RootKey {
        RootKey::from_der(&self.der()).unwrap()
    }

    /// A certificate over `state`.
    pub(crate) fn certify(&self, state: &State, delegation: Option<Delegation>) -> Vec<u8> {
        let tree = tree(state);
        let message = [b"\x0Dic-state-root".as_slice(), &tree.digest()].concat();
        cbor(&Certificate {
            tree,
            signature: self.0.sign(&message).serialize().to_vec(),
            delegation,
        })
    }
}

/// All that goes into a proof. A test changes what it wants to be wrong.
#[derive(Clone)]
pub(crate) struct Network {
    pub(crate) root: Signer,
    pub(crate) subnet: Signer,
    pub(crate) subnet_id: Principal,
    pub(crate) canister: Principal,
    /// What the root subnet says of the application subnet.
    pub(crate) delegated: State,
    /// What the application subnet says.
    pub(crate) state: State,
    /// What the canister certifies.
    pub(crate) data: State,
}

impl Network {
    pub(crate) fn new() -> Self {
        let (root, subnet) = (Signer::new(1), Signer::new(2));
        let subnet_id = Principal::self_authenticating(subnet.der());
        let canister = canister(0x10_0007);
        let data = State::from([
            (
                path(&[b"data", b"greetings", &KEY]),
                candid::encode_one("salaam").unwrap(),
            ),
            (
                path(&[b"data", b"greetings", &8_u64.to_be_bytes()]),
                candid::encode_one(true).unwrap(),
            ),
        ]);
        let delegated = State::from([
            (
                path(&[
                    b"canister_ranges",
                    subnet_id.as_slice(),
                    self::canister(0).as_slice(),
                ]),
                ranges(&[(0, 0xfffff)]),
            ),
            (
                path(&[
                    b"canister_ranges",
                    subnet_id.as_slice(),
                    self::canister(0x10_0000).as_slice(),
                ]),
                ranges(&[(0x10_0000, 0x1f_ffff), (0x30_0000, 0x3f_ffff)]),
            ),
            (
                path(&[b"subnet", subnet_id.as_slice(), b"public_key"]),
                subnet.der(),
            ),
            (path(&[b"time"]), leb128(NOW)),
        ]);
        let id = canister.as_slice();
        let state = State::from([
            (
                path(&[b"canister", id, b"certified_data"]),
                tree(&data).digest().to_vec(),
            ),
            (path(&[b"canister", id, b"module_hash"]), vec![5; 32]),
            (path(&[b"time"]), leb128(NOW)),
        ]);
        Self {
            root,
            subnet,
            subnet_id,
            canister,
            delegated,
            state,
            data,
        }
    }

    /// The path of the one leaf with the subnet's key.
    pub(crate) fn key_path(&self) -> Vec<Vec<u8>> {
        path(&[b"subnet", self.subnet_id.as_slice(), b"public_key"])
    }

    pub(crate) fn delegation(&self) -> Delegation {
        Delegation {
            subnet_id: self.subnet_id.as_slice().to_vec(),
            certificate: self.root.certify(&self.delegated, None),
        }
    }

    pub(crate) fn certificate(&self) -> Vec<u8> {
        self.subnet.certify(&self.state, Some(self.delegation()))
    }

    pub(crate) fn witness(&self) -> Vec<u8> {
        cbor(&tree(&self.data))
    }

    /// A verified certificate of a network in which the canister certifies the tree with the hash `root`.
    pub(crate) fn certifying(root: [u8; 32]) -> VerifiedCertificate {
        let mut network = Self::new();
        let id = network.canister.as_slice();
        let certified_data = path(&[b"canister", id, b"certified_data"]);
        network.state.insert(certified_data, root.to_vec());
        network.verify().unwrap()
    }

    pub(crate) fn verifier(&self) -> Verifier {
        Verifier::new(self.root.root_key())
    }

    /// Verifies what this network certifies now.
    pub(crate) fn verify(&self) -> Result<VerifiedCertificate, VerifyError> {
        self.verify_bytes(&self.certificate())
    }

    pub(crate) fn verify_bytes(
        &self,
        certificate: &[u8],
    ) -> Result<VerifiedCertificate, VerifyError> {
        self.verifier()
            .certificate(certificate, self.canister, Time::from_nanos(NOW), BOUND)
    }
}
