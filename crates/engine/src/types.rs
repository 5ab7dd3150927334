//! Times, ids and messages as the outside of the engine sees them.

use std::fmt;

use candid::Principal;

use crate::Reject;

/// Nanoseconds since 1970-01-01 UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

impl Time {
    /// The time so many nanoseconds later.
    #[must_use]
    pub fn plus(self, nanos: u64) -> Self {
        Self(self.0.saturating_add(nanos))
    }
}

/// Representation-independent hash of a request's content (IC interface specification, "Request ids").
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub [u8; 32]);

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// An update call from outside, its signature checked already.
#[derive(Clone, Debug)]
pub struct Ingress {
    pub id: RequestId,
    pub sender: Principal,
    /// A canister, or the management canister `aaaaa-aa`.
    pub canister_id: Principal,
    pub method: String,
    pub arg: Vec<u8>,
    /// The id is remembered, so that the call runs once, until this time has passed.
    pub expiry: Time,
    pub sender_info: Option<SenderInfo>,
}

/// A query from outside, its signature checked already.
#[derive(Clone, Debug)]
pub struct Query {
    pub sender: Principal,
    pub canister_id: Principal,
    pub method: String,
    pub arg: Vec<u8>,
    pub sender_info: Option<SenderInfo>,
}

/// What a canister says about a sender, its signature checked already (IC interface specification, "Request: Call",
/// `sender_info`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SenderInfo {
    pub info: Vec<u8>,
    /// The canister that signed `info`.
    pub signer: Principal,
}

/// How far an update call has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestStatus {
    /// Never seen, or forgotten long after it expired.
    Unknown,
    Received,
    Processing,
    Replied(Vec<u8>),
    Rejected(Reject),
}

/// What a request is addressed to, by its URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effective {
    Canister(Principal),
    Subnet(Principal),
}

/// Labels of a path in the state tree.
pub type Path = Vec<Vec<u8>>;

/// Signature of a replica node (Ed25519) over an answer to a query.
#[derive(Clone, Debug)]
pub struct NodeSignature {
    pub node: Principal,
    pub signature: [u8; 64],
}

/// What the messages to one method of one canister have cost so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MethodMetrics {
    pub canister: Principal,
    pub method: String,
    /// `update`, `query`, `callback` or `system`.
    pub kind: &'static str,
    pub messages: u64,
    /// Executed instructions, counted as the Internet Computer counts them.
    pub instructions: u64,
}
