//! What a delivery service reads of Messaging Layer Security (RFC 9420), and never a secret.
//!
//! Group members send their handshakes as public messages, so that whoever orders them can read and check them: signatures,
//! proposals, the public half of the ratchet tree, transcript hashes. [`group::commit`] says whether a commit may become the
//! next epoch; what it accepts, each member accepts too, but for what only members can check, which [`group`] lists.
//!
//! One cipher suite (0x0001, `MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519`), version `mls10`, basic credentials. Values have
//! one encoding: lengths in shortest form, nothing after the end. Input is bounded ([`limits`]), nothing panics, recursion goes
//! no deeper than the tree. There is no clock, no randomness and no storage in here.

pub mod commit;
mod crypto;
mod error;
pub mod extensions;
pub mod group;
pub mod group_info;
pub mod key_package;
pub mod leaf_node;
pub mod limits;
pub mod message;
pub mod tree;
pub mod welcome;
mod wire;

pub use error::MlsError;
pub use group::{Accepted, Added, Created, GroupState, Removed};
pub use group_info::GroupInfo;
pub use key_package::KeyPackage;
pub use leaf_node::{Capabilities, LeafNode, LeafNodeSource, Lifetime};
pub use message::Message;
pub use tree::{MemoryTree, Node, NodeChange, Nodes, Occupied};
pub use welcome::Welcome;

/// A SHA-256 hash, which is the hash of the cipher suite.
pub type Hash = [u8; 32];

/// A public key of the cipher suite: X25519 or Ed25519.
pub type Key = [u8; 32];
