//! Pages of lists, the same shape from every canister.

use candid::CandidType;
use serde::{Deserialize, Serialize};

/// Most items in one page.
pub const MAX_PAGE: u32 = 100;

/// Asks for a page, in the order of the list's keys.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct PageArgs<K> {
    /// The page starts behind this key, which need not be in use; without it, at the first.
    pub after: Option<K>,
    /// 1 to [`MAX_PAGE`].
    pub limit: u32,
}

/// A page. It may hold fewer items than asked for, even none, and still not be the last: `next` alone says so.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Page<K, T> {
    pub items: Vec<T>,
    /// `after` of the next page, if there is one.
    pub next: Option<K>,
}
