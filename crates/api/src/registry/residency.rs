//! Sites, nodes, and where the subnet has to be.

use candid::{CandidType, Principal};
use serde::{Deserialize, Serialize};

/// Collection of the sites; keys are [`slug_key`](super::slug_key)s, leaves [`SiteRecord`]s.
pub const SITES: &str = "sites";
/// Collection of the nodes; keys are [`principal_key`](super::principal_key)s, leaves [`NodeRecord`]s.
pub const NODES: &str = "nodes";

/// Most sites.
pub const MAX_SITES: u64 = 100;
/// Most nodes.
pub const MAX_NODES: u64 = 200;
/// Most countries of a policy.
pub const MAX_COUNTRIES: usize = 20;

/// A data centre.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Names it.
    pub slug: String,
    /// Written like a name.
    pub city: String,
    /// ISO 3166-1 alpha-2, in capitals.
    pub country: String,
    /// Who runs it, written like a slug.
    pub operator: String,
}

/// The certified leaf of a site.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum SiteRecord {
    V1(Site),
}

/// A node.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub node: Principal,
    /// Slug of its site.
    pub site: String,
}

/// The certified leaf of a node.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum NodeRecord {
    V1(Node),
}

/// Where the subnet has to be. It holds for the nodes that there are.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct ResidencyPolicy {
    /// All nodes are in these, 1 to [`MAX_COUNTRIES`].
    pub countries: Vec<String>,
    /// Least number of sites with nodes.
    pub min_sites: u32,
    /// Least number of operators with nodes.
    pub min_operators: u32,
    /// Least number of nodes.
    pub min_nodes: u32,
    /// Most nodes of one operator, in percent of all.
    pub max_operator_percent: u32,
}

/// Where the subnet is.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct ResidencyStatement {
    pub policy: Option<ResidencyPolicy>,
    /// Countries of its nodes, in order.
    pub countries: Vec<String>,
    pub sites: u32,
    pub operators: u32,
    pub nodes: u32,
    /// Nodes of the operator that has most of them.
    pub largest_operator_nodes: u32,
    pub as_of_ns: u64,
}
