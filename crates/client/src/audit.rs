//! Audits of canisters: every block of the log, replayed, against a certified head.
//!
//! ```text
//! log_head ─► certified head ───────────────────────────────────────────────┐
//! icrc3_get_blocks, page by page ─► Audit: chain, tree of the log, collections ─► the head is theirs, or an error
//! ```
//!
//! An [`Audit`] that was checked can be kept; the next one goes on where it ended, so that each block is read once.
//!
//! Cost: a query for each [`MAX_BLOCKS`] blocks, one page of them in memory; what [`Audit`] keeps of the collections.

use std::collections::BTreeMap;

use indus_api::audit::MAX_BLOCKS;
use indus_verify::{Audit, Block, Hash, LogHead, Time};

use crate::audited::{AuditedCanister, CertifiedHead};
use crate::error::ClientError;

/// What an audit found: the log with this head explains all that the canister certifies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditReport {
    /// Blocks that were replayed; fewer than the log has if an earlier audit went on.
    pub replayed: u64,
    /// Pages that they came in.
    pub pages: u64,
    /// The certified head.
    pub head: LogHead,
    /// Certified roots of the collections that have records, by their names.
    pub collections: BTreeMap<String, Hash>,
    /// When the subnet's state was like this.
    pub certified_at: Time,
}

impl AuditedCanister {
    /// Replays all blocks that `audit` doesn't have yet, up to the head that the subnet certifies now.
    ///
    /// If an answer fails to come, `audit` can go on later. After [`ClientError::Audit`] it is worth nothing: a copy from
    /// before is.
    ///
    /// Errors: as [`AuditedCanister::head`]; [`ClientError::Older`] if the head is behind `audit`; [`ClientError::Audit`].
    pub async fn audit(&self, audit: &mut Audit) -> Result<AuditReport, ClientError> {
        let head = self.head().await?;
        self.replay(audit, &head, |_| {}).await
    }

    /// The same up to a head that is known, showing each block to `see`. What was seen is verified only if it succeeds.
    pub(crate) async fn replay(
        &self,
        audit: &mut Audit,
        certified: &CertifiedHead,
        mut see: impl FnMut(&Block),
    ) -> Result<AuditReport, ClientError> {
        let failed = |reason| ClientError::Audit {
            canister: self.canister(),
            reason,
        };
        let (known, size) = (audit.size(), certified.head.size);
        if size < known {
            return Err(ClientError::Older {
                method: String::from("log_head"),
                size,
                known,
            });
        }
        let mut pages = 0;
        while audit.size() < size {
            let length = (size - audit.size()).min(MAX_BLOCKS);
            let reply = self.blocks_unverified(audit.size(), length).await?;
            let blocks = audit.page(&reply, size).map_err(failed)?;
            blocks.iter().for_each(&mut see);
            pages += 1;
        }
        let head = audit.check(&certified.witness).map_err(failed)?;
        let names: Vec<String> = audit.collections().names().map(String::from).collect();
        let root = |name: String| {
            let root = audit.collections().root(&name);
            (name, root)
        };
        Ok(AuditReport {
            replayed: size - known,
            pages,
            head,
            collections: names.into_iter().map(root).collect(),
            certified_at: certified.certified_at,
        })
    }
}
