//! Typed client of the Indus canisters.
//!
//! ```text
//! trust file ─► Connection ─► RegistryClient ─► update: signed call, certified reply (checked by ic-agent)
//! (root key,    (HTTP, root   (typed methods)   read:   certified_read ─► indus-verify ─► typed value
//!  subnet, ids)  key pinned)                    query:  …_unverified
//!                           ─► AuditedCanister   page, head, proofs; audit: the whole log; export: a whole collection
//! ```
//!
//! Invariants
//! - The root key comes from a [`TrustFile`]; nothing here asks a network for its root key.
//! - A value is returned by a method that isn't named `…_unverified` only if the subnet certified it: a reply of
//!   an update call in the certified request status, a record in a witness that [`indus_verify`] accepted.
//! - A certificate counts only if the subnet of the trust file signed it.
//!
//! Cost: an update or a read is one round trip and at most two BLS checks, some milliseconds each.

mod audit;
mod audited;
mod connection;
mod deployment;
mod engines;
mod error;
mod export;
mod hosting;
mod identity;
mod key;
mod licences;
mod lifeline;
mod messaging;
mod metrics;
pub mod records;
mod registry;
mod suite;
mod trust;
mod uploads;

pub use audit::AuditReport;
pub use audited::{AuditedCanister, CertifiedHead, CertifiedPage, CertifiedRecord, CertifiedTip};
pub use connection::{Connection, MAX_CERTIFICATE_AGE};
pub use deployment::{Deployment, MAX_INSTALL_BYTES, ModuleHash};
pub use engines::register_engine_operator;
pub use error::ClientError;
pub use export::{Export, key_before};
pub use hosting::{APP_HOSTING, HostingClient};
pub use key::Key;
pub use lifeline::{LIFELINE, LifelineClient};
pub use metrics::{LocalnetMetrics, MethodCounts};
pub use records::{Certified, Recorded};
pub use registry::{
    CertifiedOrganisation, CertifiedOrganisationPage, CertifiedProposal, PayloadHash,
    RegistryClient,
};
/// Addresses of networks.
pub use reqwest::Url;
pub use suite::SuiteCanister;
pub use trust::{MAX_TRUST_FILE_BYTES, TrustFile, TrustFileError};
