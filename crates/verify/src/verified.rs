//! A certificate that was verified, and what may be read from it.
//!
//! A subnet's key speaks for the canisters in its ranges and for the subnet itself. The tree under its
//! signature could say anything about others, so paths of other canisters and subnets are refused.

use candid::Principal;

use crate::cbor::Reader;
use crate::certificate::principal;
use crate::error::{Malformed, Part, VerifyError};
use crate::path;
use crate::time::Time;
use crate::tree::{Hash, HashTree, Lookup};
use crate::witness::VerifiedWitness;

/// The part of a subnet's state tree that a certificate showed.
#[derive(Clone, Debug)]
pub struct VerifiedCertificate {
    canister: Principal,
    subnet: Option<Principal>,
    time: Time,
    tree: HashTree,
}

impl VerifiedCertificate {
    pub(crate) fn new(
        canister: Principal,
        subnet: Option<Principal>,
        time: Time,
        tree: HashTree,
    ) -> Self {
        Self {
            canister,
            subnet,
            time,
            tree,
        }
    }

    /// The canister that it speaks for.
    pub fn canister(&self) -> Principal {
        self.canister
    }

    /// The subnet that signed it; `None` is the root subnet.
    pub fn subnet(&self) -> Option<Principal> {
        self.subnet
    }

    /// When the subnet's state was like this.
    pub fn time(&self) -> Time {
        self.time
    }

    /// What it proves about `path` in the subnet's state tree, such as `request_status`/id/`status` or
    /// `canister`/id/`module_hash`.
    ///
    /// Errors: [`VerifyError::NotAuthoritative`] for a path of another canister or subnet.
    pub fn lookup<P: AsRef<[u8]>>(&self, path: &[P]) -> Result<Lookup<'_>, VerifyError> {
        if self.speaks_for(path) {
            Ok(self.tree.lookup(path))
        } else {
            Err(VerifyError::NotAuthoritative {
                path: path::text(path),
            })
        }
    }

    /// The leaf at `path` in the subnet's state tree.
    ///
    /// Errors: as [`VerifiedCertificate::lookup`], and [`VerifyError::Absent`], [`VerifyError::Unknown`] or
    /// [`VerifyError::NotALeaf`] if there is no leaf.
    pub fn leaf<P: AsRef<[u8]>>(&self, path: &[P]) -> Result<&[u8], VerifyError> {
        found(self.lookup(path)?, path)
    }

    /// The leaf at `path` below `canister`/id, such as `module_hash`, `controllers` or
    /// `metadata`/`candid:service`.
    ///
    /// Errors: as [`VerifiedCertificate::leaf`].
    pub fn canister_leaf<P: AsRef<[u8]>>(&self, path: &[P]) -> Result<&[u8], VerifyError> {
        let mut whole: Vec<&[u8]> = vec![b"canister", self.canister.as_slice()];
        whole.extend(path.iter().map(AsRef::as_ref));
        self.leaf(&whole)
    }

    /// The controllers of the canister, as the subnet knows them.
    ///
    /// Errors: as [`VerifiedCertificate::canister_leaf`], and [`VerifyError::Value`].
    pub fn controllers(&self) -> Result<Vec<Principal>, VerifyError> {
        let label = "controllers";
        controllers(self.canister_leaf(&[label])?).map_err(|malformed| VerifyError::Value {
            path: path::text(&[label]),
            reason: malformed.to_string(),
        })
    }

    /// SHA-256 of the module that the canister runs; none if it is proved to run none.
    ///
    /// Errors: as [`VerifiedCertificate::canister_leaf`], and [`VerifyError::Value`].
    pub fn module_hash(&self) -> Result<Option<Hash>, VerifyError> {
        let label = "module_hash";
        match self.canister_leaf(&[label]) {
            Ok(hash) => match hash.try_into() {
                Ok(hash) => Ok(Some(hash)),
                Err(_) => Err(VerifyError::Value {
                    path: path::text(&[label]),
                    reason: String::from("it is no hash"),
                }),
            },
            Err(VerifyError::Absent { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What the canister certified: the root hash of its own tree.
    ///
    /// Errors: [`VerifyError::Missing`] if the certificate doesn't show it, [`VerifyError::CertifiedData`] if
    /// it is no hash.
    pub fn certified_data(&self) -> Result<Hash, VerifyError> {
        let path: [&[u8]; 3] = [b"canister", self.canister.as_slice(), b"certified_data"];
        let Lookup::Found(data) = self.tree.lookup(&path) else {
            return Err(VerifyError::Missing {
                part: Part::Certificate,
                path: path::text(&path),
            });
        };
        data.try_into()
            .map_err(|_| VerifyError::CertifiedData { length: data.len() })
    }

    /// Verifies that `witness` is (a part of) the tree that the canister certified. One certificate serves
    /// any number of witnesses.
    ///
    /// `witness` is self-described CBOR of at most [`MAX_TREE_BYTES`](crate::MAX_TREE_BYTES).
    ///
    /// Errors: as [`VerifiedCertificate::certified_data`], [`VerifyError::Malformed`],
    /// [`VerifyError::WrongWitness`].
    pub fn witness(&self, witness: &[u8]) -> Result<VerifiedWitness, VerifyError> {
        let tree = HashTree::from_cbor(witness).map_err(|malformed| VerifyError::Malformed {
            part: Part::Witness,
            malformed,
        })?;
        self.witness_of(tree)
    }

    /// The same of a tree that was read.
    pub(crate) fn witness_of(&self, tree: HashTree) -> Result<VerifiedWitness, VerifyError> {
        if tree.root_hash() != self.certified_data()? {
            return Err(VerifyError::WrongWitness);
        }
        Ok(VerifiedWitness::new(tree))
    }

    fn speaks_for<P: AsRef<[u8]>>(&self, path: &[P]) -> bool {
        let owner = path.get(1).map(AsRef::as_ref);
        match path.first().map(AsRef::as_ref) {
            Some(b"canister") => owner == Some(self.canister.as_slice()),
            // The root subnet speaks for all subnets.
            Some(b"subnet" | b"canister_ranges") => self
                .subnet
                .is_none_or(|subnet| owner == Some(subnet.as_slice())),
            _ => true,
        }
    }
}

/// Self-described CBOR of a list of principals.
fn controllers(leaf: &[u8]) -> Result<Vec<Principal>, Malformed> {
    let mut reader = Reader::new(leaf);
    reader.self_described()?;
    let mut controllers = Vec::new();
    for _ in 0..reader.array()? {
        controllers.push(principal(&mut reader)?);
    }
    reader.end()?;
    Ok(controllers)
}

/// The leaf that a lookup of `path` found, or why it found none.
pub(crate) fn found<'a, P: AsRef<[u8]>>(
    lookup: Lookup<'a>,
    path: &[P],
) -> Result<&'a [u8], VerifyError> {
    match lookup {
        Lookup::Found(leaf) => Ok(leaf),
        other => Err(missing(other, path)),
    }
}

/// Why a lookup of `path` found no leaf.
pub(crate) fn missing<P: AsRef<[u8]>>(lookup: Lookup<'_>, path: &[P]) -> VerifyError {
    let path = path::text(path);
    match lookup {
        Lookup::Absent => VerifyError::Absent { path },
        Lookup::Unknown => VerifyError::Unknown { path },
        Lookup::NotALeaf | Lookup::Found(_) => VerifyError::NotALeaf { path },
    }
}
