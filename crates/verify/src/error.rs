//! What can be wrong with a proof, in one line each.

use std::time::Duration;

use candid::Principal;
use thiserror::Error;

use crate::time::Time;

/// The piece of a proof that an error speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Part {
    /// The certificate that the subnet of the canister signed.
    #[error("the certificate")]
    Certificate,
    /// The certificate inside of the delegation, that the root key signed.
    #[error("the delegation")]
    Delegation,
    /// The canister ranges that the delegation certifies.
    #[error("the list of canister ranges")]
    CanisterRanges,
    /// The hash tree that the canister made.
    #[error("the witness")]
    Witness,
    /// A certificate and a witness, as a signature.
    #[error("the canister signature")]
    CanisterSignature,
}

/// How bytes differ from the one encoding that is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// The bytes end inside of an item.
    #[error("it ends too early")]
    Truncated,
    /// Bytes follow the last item.
    #[error("bytes follow its end")]
    TrailingBytes,
    /// There are more bytes than any such thing may have.
    #[error("it is too large")]
    TooLarge,
    /// The self-describing CBOR tag 55799 is not there.
    #[error("the self-describing CBOR tag is missing")]
    MissingTag,
    /// An integer or a length is not in its shortest form.
    #[error("a number is longer than it needs to be")]
    NotShortest,
    /// A length is left open (CBOR indefinite length).
    #[error("a length is indefinite")]
    IndefiniteLength,
    /// A number does not fit into 64 bits.
    #[error("a number is out of range")]
    OutOfRange,
    /// Another type, field or length was expected here.
    #[error("something else is expected here")]
    Unexpected,
    /// A hash tree has more than [`MAX_DEPTH`](crate::MAX_DEPTH) nodes above one another.
    #[error("the tree is too deep")]
    TooDeep,
    /// The labels at one level of a hash tree do not increase from left to right.
    #[error("the labels of the tree are out of order")]
    UnorderedLabels,
    /// A leaf of a hash tree stands beside other nodes.
    #[error("a leaf of the tree has siblings")]
    LeafInFork,
    /// Ranges are out of order, overlap, or end before they begin.
    #[error("the ranges are out of order")]
    UnorderedRanges,
}

/// Bytes that aren't the one accepted encoding: where, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("byte {at}: {fault}")]
pub struct Malformed {
    /// Offset of the item that is wrong, in bytes from the beginning.
    pub at: usize,
    /// What is wrong with it.
    pub fault: Fault,
}

/// Why something was not verified. Nothing of what was given may be believed then.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum VerifyError {
    /// The root key is not the 133-byte DER form of a BLS12-381 public key in G2.
    #[error("the root key is not a DER-encoded BLS12-381 public key")]
    RootKey,
    /// The public key that the delegation certifies for the subnet is not in that form.
    #[error("the delegation's public key is not a DER-encoded BLS12-381 public key")]
    SubnetKey,
    /// A part is not encoded as it must be.
    #[error("{part} is malformed at {malformed}")]
    Malformed { part: Part, malformed: Malformed },
    /// The signature is not that of the key that must have signed: the root key over the delegation (or a
    /// certificate without one), the subnet's key over the certificate.
    #[error("{0} is not signed by the key that must have signed it")]
    Signature(Part),
    /// The certificate in the delegation has a delegation of its own.
    #[error("the delegation is itself delegated")]
    NestedDelegation,
    /// A certificate says nothing about a path that it must certify.
    #[error("{part} does not certify {path}")]
    Missing { part: Part, path: String },
    /// The subnet that signed is not responsible for the canister.
    #[error("canister {canister} is not in the ranges of subnet {subnet}")]
    ForeignCanister {
        canister: Principal,
        subnet: Principal,
    },
    /// The path belongs to a canister or subnet that this certificate doesn't speak for.
    #[error("the certificate does not speak for {path}")]
    NotAuthoritative { path: String },
    /// The time in a certificate is further back than the caller accepts.
    #[error("{part} is of {time}, more than {max_age:?} ago")]
    Stale {
        part: Part,
        time: Time,
        max_age: Duration,
    },
    /// The time in a certificate is further ahead than the caller accepts.
    #[error("{part} is of {time}, more than {max_ahead:?} ahead")]
    Future {
        part: Part,
        time: Time,
        max_ahead: Duration,
    },
    /// The time in a certificate is not the shortest LEB128 form of a 64-bit number.
    #[error("the time in {0} is malformed")]
    Time(Part),
    /// The canister's certified data is not a hash: `length` bytes instead of 32.
    #[error("the certified data has {length} bytes instead of 32")]
    CertifiedData { length: usize },
    /// The witness is not of the tree that the canister certified.
    #[error("the witness does not belong to the certified data")]
    WrongWitness,
    /// It is proved that there is nothing at the path.
    #[error("{path} is proved absent")]
    Absent { path: String },
    /// The tree doesn't show what is at the path.
    #[error("nothing is proved about {path}")]
    Unknown { path: String },
    /// It is proved that there is something at the path.
    #[error("{path} is proved present")]
    Present { path: String },
    /// Entries may be hidden in a stretch that was to be shown whole: behind `after`, or from the beginning.
    #[error("entries of {path} may be hidden {}", behind(.after))]
    Hidden { path: String, after: Option<String> },
    /// The path ends above a leaf, or goes on below one.
    #[error("{path} is not the path of a leaf")]
    NotALeaf { path: String },
    /// A leaf does not decode to the type that is asked for; `reason` is Candid's.
    #[error("the leaf at {path} is not of the expected type: {reason}")]
    Value { path: String, reason: String },
    /// The certified head of a log is not a size (shortest LEB128, below 2^63) and 32 bytes for each bit that is set in it.
    #[error("the certified head of the log is malformed")]
    LogHead,
    /// The proof does not show that the log of `size` entries with that root has the entry at `index`.
    #[error("it is not proved that the log of {size} entries has this entry {index}")]
    NotIncluded { index: u64, size: u64 },
    /// The proof does not show that the log of `to` entries begins with the log of `from` entries.
    #[error("it is not proved that the log of {to} entries begins with the one of {from}")]
    NotConsistent { from: u64, to: u64 },
}

fn behind(after: &Option<String>) -> String {
    match after {
        Some(label) => format!("behind {label}"),
        None => String::from("before the first that is shown"),
    }
}
