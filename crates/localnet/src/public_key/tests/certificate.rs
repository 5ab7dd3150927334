//! Certificates and canister signatures, written out by hand (IC interface specification, "Certification").

use candid::Principal;
use ic_verify_bls_signature::PrivateKey;
use sha2::{Digest as _, Sha256};

use crate::{
    cbor::{Value, encode, field},
    public_key::{
        RootKey,
        canister::BLS_DER,
        der::{self, write},
    },
};

pub(crate) const CANISTER: Principal = Principal::from_slice(&[0, 0, 0, 0, 0, 0, 0, 5, 1, 1]);
pub(crate) const NEIGHBOUR: Principal = Principal::from_slice(&[0, 0, 0, 0, 0, 0, 0, 6, 1, 1]);
const FIRST: Principal = Principal::from_slice(&[0, 0, 0, 0, 0, 0, 0, 2, 1, 1]);
const LAST: Principal = Principal::from_slice(&[0, 0, 0, 0, 0, 0, 0, 9, 1, 1]);

/// How a canister signature comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Certified by the root key itself.
    Root,
    /// By a subnet whose ranges are under `/canister_ranges`.
    Delegated,
    /// By a subnet whose ranges are under `/subnet/<id>/canister_ranges`.
    DelegatedOldRanges,

    OutsideOfRanges,
    NestedDelegation,
    /// The subnet certifies its own key.
    DelegationByItself,
    OtherData,
    /// The message's leaf has a value.
    ValueInTree,
    /// The message's leaf isn't shown.
    PrunedTree,
    Untagged,
}

/// A root key and a subnet.
pub(crate) struct Network {
    root: PrivateKey,
    subnet: PrivateKey,
}

/// The key of a canister with a seed.
pub(crate) fn key(canister: Principal, seed: &[u8]) -> Vec<u8> {
    let id = canister.as_slice();
    let key = [&[u8::try_from(id.len()).unwrap()], id, seed].concat();
    write(der::CANISTER, &key)
}

impl Network {
    pub(crate) fn new(seed: u8) -> Self {
        let key = |n: u8| {
            let mut bytes = [0; 32];
            (bytes[30], bytes[31]) = (seed, n);
            PrivateKey::deserialize(&bytes).unwrap()
        };
        Self {
            root: key(1),
            subnet: key(2),
        }
    }

    pub(crate) fn root_key(&self) -> RootKey {
        RootKey::new(&der_of(&self.root))
    }

    /// The signature of [`CANISTER`] with this seed.
    pub(crate) fn sign(&self, shape: Shape, seed: &[u8], message: &[u8]) -> Vec<u8> {
        let value: &[u8] = if shape == Shape::ValueInTree {
            b"1"
        } else {
            b""
        };
        let leaf = Tree::leaf(value);
        let leaf = if shape == Shape::PrunedTree {
            Tree::Pruned(leaf.hash())
        } else {
            leaf
        };
        let (seed, message) = (Sha256::digest(seed), Sha256::digest(message));
        let tree = Tree::path(&[b"sig", &seed, &message], leaf);
        let data = if shape == Shape::OtherData {
            [0; 32]
        } else {
            tree.hash()
        };
        let certified = Tree::fork(
            Tree::path(
                &[b"canister", CANISTER.as_slice(), b"certified_data"],
                Tree::leaf(&data),
            ),
            Tree::path(&[b"time"], Tree::leaf(&[0])),
        );
        let certificate = if shape == Shape::Root {
            certificate(&certified, &self.root, None)
        } else {
            certificate(&certified, &self.subnet, Some(self.delegation(shape)))
        };
        let signature = encode(&Value::Map(vec![
            field("certificate", Value::blob(&certificate)),
            field("tree", tree.value()),
        ]));
        if shape == Shape::Untagged {
            signature[3..].to_vec()
        } else {
            signature
        }
    }

    fn delegation(&self, shape: Shape) -> (Principal, Vec<u8>) {
        let subnet_key = der_of(&self.subnet);
        let id = Principal::self_authenticating(&subnet_key);
        let first = if shape == Shape::OutsideOfRanges {
            NEIGHBOUR
        } else {
            FIRST
        };
        let ranges = Tree::leaf(&encode(&Value::Array(vec![Value::Array(vec![
            Value::blob(first.as_slice()),
            Value::blob(LAST.as_slice()),
        ])])));
        let public_key = Tree::path(&[b"public_key"], Tree::leaf(&subnet_key));
        let tree = if shape == Shape::DelegatedOldRanges {
            let of_subnet = Tree::fork(Tree::path(&[b"canister_ranges"], ranges), public_key);
            Tree::path(&[b"subnet", id.as_slice()], of_subnet)
        } else {
            Tree::fork(
                Tree::path(
                    &[b"canister_ranges", id.as_slice(), first.as_slice()],
                    ranges,
                ),
                Tree::path(&[b"subnet", id.as_slice()], public_key),
            )
        };
        let signer = if shape == Shape::DelegationByItself {
            &self.subnet
        } else {
            &self.root
        };
        let nested = (shape == Shape::NestedDelegation).then(|| self.delegation(Shape::Delegated));
        (id, certificate(&tree, signer, nested))
    }
}

fn der_of(key: &PrivateKey) -> Vec<u8> {
    [&BLS_DER[..], &key.public_key().serialize()].concat()
}

fn certificate(
    tree: &Tree,
    signer: &PrivateKey,
    delegation: Option<(Principal, Vec<u8>)>,
) -> Vec<u8> {
    let message = [&b"\x0Dic-state-root"[..], &tree.hash()].concat();
    let signature = signer.sign(&message).serialize();
    let mut fields = vec![
        field("tree", tree.value()),
        field("signature", Value::blob(&signature)),
    ];
    if let Some((subnet, certificate)) = &delegation {
        fields.push(field(
            "delegation",
            Value::Map(vec![
                field("subnet_id", Value::blob(subnet.as_slice())),
                field("certificate", Value::blob(certificate)),
            ]),
        ));
    }
    encode(&Value::Map(fields))
}

/// A hash tree (IC interface specification, "Encoding of certificates").
enum Tree {
    Fork(Box<(Tree, Tree)>),
    Labeled(Vec<u8>, Box<Tree>),
    Leaf(Vec<u8>),
    Pruned([u8; 32]),
}

impl Tree {
    fn leaf(value: &[u8]) -> Self {
        Self::Leaf(value.to_vec())
    }

    fn fork(left: Self, right: Self) -> Self {
        Self::Fork(Box::new((left, right)))
    }

    fn path(labels: &[&[u8]], end: Self) -> Self {
        labels.iter().rev().fold(end, |tree, label| {
            Self::Labeled(label.to_vec(), Box::new(tree))
        })
    }

    fn hash(&self) -> [u8; 32] {
        let parts = match self {
            Self::Fork(both) => {
                [&b"\x10ic-hashtree-fork"[..], &both.0.hash(), &both.1.hash()].concat()
            }
            Self::Labeled(label, tree) => {
                [&b"\x13ic-hashtree-labeled"[..], label, &tree.hash()].concat()
            }
            Self::Leaf(value) => [&b"\x10ic-hashtree-leaf"[..], value].concat(),
            Self::Pruned(hash) => return *hash,
        };
        Sha256::digest(parts).into()
    }

    fn value(&self) -> Value<'_> {
        Value::Array(match self {
            Self::Fork(both) => vec![Value::Nat(1), both.0.value(), both.1.value()],
            Self::Labeled(label, tree) => vec![Value::Nat(2), Value::blob(label), tree.value()],
            Self::Leaf(value) => vec![Value::Nat(3), Value::blob(value)],
            Self::Pruned(hash) => vec![Value::Nat(4), Value::blob(hash)],
        })
    }
}
