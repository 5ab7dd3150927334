//! Bounds of what is read, so that one message costs no more than its size allows.

/// Of an MLSMessage: what fits into one call of a canister.
pub const MESSAGE: usize = 2 << 20;
/// Of a key package.
pub const KEY_PACKAGE: usize = 16 << 10;
/// Of the identity in a basic credential.
pub const IDENTITY: usize = 1 << 10;
/// Of a group id.
pub const GROUP_ID: usize = 255;
/// Of the authenticated data of a message.
pub const AUTHENTICATED_DATA: usize = 16 << 10;
/// Values in each list of capabilities.
pub const CAPABILITIES: usize = 64;
/// Extensions in one list.
pub const EXTENSIONS: usize = 16;
/// Proposals in one commit: an Add takes two signatures to verify.
pub const PROPOSALS: usize = 1024;
/// Leaves of a tree. A power of two.
pub const LEAVES: u32 = 1 << 16;
/// Days of validity of a key package, in seconds; an hour more is for clocks that differ.
pub const LIFETIME: u64 = 84 * 24 * 3600 + 3600;
