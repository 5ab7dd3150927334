//! Certified answers, the same shape from every canister.

use candid::CandidType;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// First label of every certified path of a record.
pub const DATA: &str = "data";

/// Most paths that one `certified_read` may ask for.
pub const MAX_PATHS: usize = 100;
/// Most labels in one path.
pub const MAX_PATH_LABELS: usize = 8;
/// Longest label of a path, in bytes.
pub const MAX_LABEL_BYTES: usize = 64;

/// Most leaves in one answer of `certified_list`.
pub const MAX_LIST: u32 = 100;

/// Asks for a page of the leaves of one collection, in the order of their keys.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct CertifiedListArgs {
    pub collection: String,
    /// The page starts behind this key, which need not be in use; without it, at the first.
    pub after: Option<ByteBuf>,
    /// 1 to [`MAX_LIST`].
    pub limit: u32,
}

/// What `certified_read` answers: the values, and the proof that the subnet certified them.
///
/// `indus_verify` turns the two blobs and the subnet's root key into typed values.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct CertifiedRead {
    /// CBOR of the certificate (IC interface specification, "Certification") over the canister's
    /// certified data.
    pub certificate: ByteBuf,
    /// CBOR of the hash tree whose root is that certified data. Each path that was asked for ends in a
    /// leaf with the exact bytes of the stored record, or is proved absent.
    pub witness: ByteBuf,
}
