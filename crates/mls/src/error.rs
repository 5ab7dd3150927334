//! Why something is refused: one variant a check.

use thiserror::Error;

/// The check that failed.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum MlsError {
    // The wire.
    #[error("the message ends in the middle of a value")]
    Truncated,
    #[error("there are bytes after the end of {0}")]
    TrailingBytes(&'static str),
    #[error("a length isn't in its shortest form")]
    NotShortest,
    #[error("{0} is longer than is accepted")]
    TooLong(&'static str),
    #[error("{0} has a length that the cipher suite doesn't have")]
    WrongLength(&'static str),
    #[error("{what} has the value {value}, which isn't defined")]
    Undefined { what: &'static str, value: u64 },
    #[error("the protocol version is {0}, and not mls10")]
    Version(u16),
    #[error(
        "the cipher suite is {0:#06x}, and not MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519 (0x0001)"
    )]
    CipherSuite(u16),
    #[error("the credential is of type {0}, and not basic")]
    CredentialType(u16),
    #[error("the extension {0:#06x} is in a list twice")]
    ExtensionTwice(u16),
    #[error("{expected} was expected, not the wire format {found}")]
    WireFormat { expected: &'static str, found: u16 },

    // Messages.
    #[error(
        "a private message that isn't an application message: commits and proposals must be public"
    )]
    PrivateHandshake,
    #[error("an application message must be private")]
    PublicApplication,
    #[error("a proposal on its own; proposals travel in the commit")]
    Proposal,
    #[error("the sender is {0}, and not a member")]
    Sender(&'static str),
    #[error("the commit refers to a proposal instead of containing it")]
    ProposalByReference,
    #[error("the commit contains a proposal of type {0}; only Add and Remove are accepted")]
    ProposalType(&'static str),
    #[error("the commit contains a proposal of the unknown type {0:#06x}")]
    UnknownProposal(u16),

    // Signatures.
    #[error("the signature of the {0} is not one of its key")]
    Signature(&'static str),
    #[error("the signature key is not a point of Ed25519")]
    SignatureKey,

    // Key packages and leaves.
    #[error("the leaf node's source is not {0}")]
    LeafNodeSource(&'static str),
    #[error("the key package isn't valid yet")]
    NotYetValid,
    #[error("the key package has expired")]
    Expired,
    #[error("the key package's lifetime is longer than 84 days, or ends before it begins")]
    Lifetime,
    #[error("the key package's init key is its encryption key")]
    InitKey,
    #[error("the leaf's capabilities lack {what} {value:#06x}, which it or its group uses")]
    Capability { what: &'static str, value: u16 },

    // Trees.
    #[error("the tree is empty, or ends in a blank node")]
    TreeShape,
    #[error("the tree has more leaves than are accepted")]
    TreeFull,
    #[error("node {0} of the tree is a leaf where a parent belongs, or the other way round")]
    NodeType(u32),
    #[error("the unmerged leaves of node {0} aren't members below it, in order, each once")]
    UnmergedLeaves(u32),
    #[error("no descendant of node {0} has its parent hash")]
    ParentHash(u32),
    #[error("two nodes have the same encryption key, or a new one is in use already")]
    EncryptionKey,
    #[error("two leaves have the same signature key")]
    SignatureKeyTwice,
    #[error("the tree that was given is not the one of the state")]
    TreeOfState,

    // Groups.
    #[error("the message belongs to another group")]
    OtherGroup,
    #[error("the message is of epoch {given}; the current one is {current}")]
    WrongEpoch { current: u64, given: u64 },
    #[error("there is no next epoch")]
    LastEpoch,
    #[error("a new group is at epoch 0, with an empty transcript and one member at leaf 0")]
    NotNew,
    #[error("a new group's GroupInfo must contain the ratchet_tree extension")]
    NoRatchetTree,
    #[error("leaf {0} is no member")]
    NoMember(u32),
    #[error("the committer removes itself")]
    OwnRemoval,
    #[error("leaf {0} is removed twice")]
    RemovedTwice(u32),
    #[error("a key package is added twice")]
    AddedTwice,
    #[error("a commit that removes members, or has no proposals, needs an UpdatePath")]
    PathRequired,
    #[error("the UpdatePath has {given} nodes, the filtered direct path {expected}")]
    PathLength { expected: u32, given: u32 },
    #[error(
        "the UpdatePath has {given} ciphertexts for node {node}, which isn't one for each recipient"
    )]
    PathCiphertexts { node: u32, given: u32 },
    #[error("the parent hash of the UpdatePath's leaf isn't that of the path")]
    PathParentHash,
    #[error("the UpdatePath's leaf has another identity than the committer")]
    PathIdentity,

    // The GroupInfo of the next epoch.
    #[error("the GroupInfo's {0} differs from what the commit leads to")]
    GroupInfo(&'static str),
    #[error("the GroupInfo is signed by leaf {0}, and not by the committer")]
    GroupInfoSigner(u32),

    #[error("the Welcome has no secret for this key package")]
    NoSecret,
}
