//! What every canister of the suite answers alike: pages of its collections, the head of its audit log, proofs about it.
//!
//! ```text
//! certified_list ─► a page, with nothing left out, and the head of the log at that moment
//! log_head ───────► head of the log, root of each collection   ─► audit.rs, export.rs
//! log_…_proof ────► this block is in the log; this log begins with that one (RFC 9162)
//! ```

use std::ops::Bound;

use candid::{Nat, Principal};
use indus_api::audit::{
    ConsistencyArgs, InclusionArgs, LAST_BLOCK_HASH, LAST_BLOCK_INDEX, LogProof,
};
use indus_api::certified::CertifiedListArgs;
use indus_api::icrc3::{GetBlocksArgs, TipCertificate};
use indus_api::registry::DATA;
use indus_api::service::ServiceInfo;
use indus_api::{CertifiedRead, Error};
use indus_verify::{Hash, LogHead, Time, VerifiedWitness, VerifyError, log};
use serde_bytes::ByteBuf;

use crate::connection::{Connection, accepted, unverified};
use crate::error::ClientError;

pub(crate) const CERTIFIED_LIST: &str = "certified_list";
const LOG_HEAD: &str = "log_head";
const TIP: &str = "icrc3_get_tip_certificate";

/// A record of a collection, as the subnet certified it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertifiedRecord {
    /// Its key in the collection.
    pub key: Vec<u8>,
    /// Its exact bytes; none if the caller may not read them.
    pub bytes: Option<Vec<u8>>,
    /// The hash of its leaf, which the audit log names.
    pub leaf: Hash,
}

/// A stretch of a collection without a gap, as the subnet certified it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertifiedPage {
    /// In the order of their keys, from the first behind the one that the page was to start behind.
    pub records: Vec<CertifiedRecord>,
    /// Whether the collection has nothing behind them.
    pub end: bool,
    /// The audit log at that moment: its blocks explain the page.
    pub head: LogHead,
    /// When the subnet's state was like this.
    pub certified_at: Time,
}

/// The head of an audit log, as the subnet certified it, and what [`AuditedCanister::audit`] checks against it.
#[derive(Clone, Debug)]
pub struct CertifiedHead {
    /// Root and size of the log.
    pub head: LogHead,
    /// When the subnet's state was like this.
    pub certified_at: Time,
    pub(crate) witness: VerifiedWitness,
}

/// The last block, as the subnet certified it for ICRC-3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertifiedTip {
    /// Its place in the log, from 0.
    pub index: u64,
    /// Its ICRC-3 hash, which stands for all blocks before it too.
    pub hash: Hash,
    /// When the subnet's state was like this.
    pub certified_at: Time,
}

/// A canister of the suite, whichever it is, on behalf of one caller.
#[derive(Clone, Debug)]
pub struct AuditedCanister {
    connection: Connection,
    canister: Principal,
}

impl AuditedCanister {
    /// The canister with this id.
    #[must_use]
    pub fn new(connection: Connection, canister: Principal) -> Self {
        Self {
            connection,
            canister,
        }
    }

    /// Its id.
    #[must_use]
    pub fn canister(&self) -> Principal {
        self.canister
    }

    /// A page of a collection, verified.
    pub async fn page(&self, args: &CertifiedListArgs) -> Result<CertifiedPage, ClientError> {
        let answer = self.page_answer_unverified(args).await?;
        self.verify_page(args, &answer)
    }

    /// The answer to `certified_list` with its proof, for [`verify_page`](Self::verify_page).
    pub async fn page_answer_unverified(
        &self,
        args: &CertifiedListArgs,
    ) -> Result<CertifiedRead, ClientError> {
        let (answer,): (Result<CertifiedRead, Error>,) = self
            .connection
            .query_unverified(self.canister, CERTIFIED_LIST, (args,))
            .await?;
        accepted(CERTIFIED_LIST, answer)
    }

    /// Verifies the answer to `args` without the network.
    ///
    /// Errors: as [`Connection::verify`]; [`ClientError::Unverified`] too if a record may be missing.
    pub fn verify_page(
        &self,
        args: &CertifiedListArgs,
        answer: &CertifiedRead,
    ) -> Result<CertifiedPage, ClientError> {
        let refused = |reason| unverified(CERTIFIED_LIST, reason);
        let (certificate, witness) =
            self.connection
                .verify(self.canister, CERTIFIED_LIST, answer)?;
        let path = [DATA.as_bytes(), args.collection.as_bytes()];
        let after = args.after.as_ref().map(|key| key.as_slice());
        let page = witness
            .entries(&path, after, Bound::Unbounded)
            .map_err(refused)?;
        let records = page.entries.iter().map(|entry| CertifiedRecord {
            key: entry.label.to_vec(),
            bytes: entry.leaf.map(<[u8]>::to_vec),
            leaf: entry.hash,
        });
        Ok(CertifiedPage {
            records: records.collect(),
            end: page.end,
            head: witness.log_head().map_err(refused)?,
            certified_at: certificate.time(),
        })
    }

    /// The head of the audit log, verified.
    pub async fn head(&self) -> Result<CertifiedHead, ClientError> {
        let answer = self.head_answer_unverified().await?;
        self.verify_head(&answer)
    }

    /// The answer to `log_head` with its proof, for [`verify_head`](Self::verify_head).
    pub async fn head_answer_unverified(&self) -> Result<CertifiedRead, ClientError> {
        let (answer,): (Result<CertifiedRead, Error>,) = self
            .connection
            .query_unverified(self.canister, LOG_HEAD, ())
            .await?;
        accepted(LOG_HEAD, answer)
    }

    /// Verifies the answer to `log_head` without the network.
    ///
    /// Errors: as [`Connection::verify`].
    pub fn verify_head(&self, answer: &CertifiedRead) -> Result<CertifiedHead, ClientError> {
        let (certificate, witness) = self.connection.verify(self.canister, LOG_HEAD, answer)?;
        Ok(CertifiedHead {
            head: witness
                .log_head()
                .map_err(|reason| unverified(LOG_HEAD, reason))?,
            certified_at: certificate.time(),
            witness,
        })
    }

    /// The answer to `icrc3_get_tip_certificate`, for [`verify_tip`](Self::verify_tip). That there is none proves nothing.
    pub async fn tip_answer_unverified(&self) -> Result<Option<TipCertificate>, ClientError> {
        let (answer,) = self
            .connection
            .query_unverified(self.canister, TIP, ())
            .await?;
        Ok(answer)
    }

    /// Verifies the certificate of the last block without the network.
    ///
    /// Errors: as [`Connection::verify`]; [`ClientError::Reply`] if what it certifies is no index and no hash.
    pub fn verify_tip(&self, answer: &TipCertificate) -> Result<CertifiedTip, ClientError> {
        let answer = CertifiedRead {
            certificate: answer.certificate.clone(),
            witness: answer.hash_tree.clone(),
        };
        let (certificate, witness) = self.connection.verify(self.canister, TIP, &answer)?;
        let leaf = |label: &str| {
            let leaf = witness.leaf(&[label]);
            leaf.map_err(|reason| unverified(TIP, reason))
        };
        let hash = leaf(LAST_BLOCK_HASH)?.try_into().ok();
        let index = Nat::decode(&mut leaf(LAST_BLOCK_INDEX)?)
            .ok()
            .and_then(|index| u64::try_from(&index.0).ok());
        match (index, hash) {
            (Some(index), Some(hash)) => Ok(CertifiedTip {
                index,
                hash,
                certified_at: certificate.time(),
            }),
            _ => Err(ClientError::Reply {
                method: TIP.into(),
                reason: String::from("what it certifies is no index and no hash"),
            }),
        }
    }

    /// The Candid answer to `icrc3_get_blocks`: `length` blocks from `start` on, if there are as many, and at most
    /// [`MAX_BLOCKS`](indus_api::audit::MAX_BLOCKS).
    pub async fn blocks_unverified(&self, start: u64, length: u64) -> Result<Vec<u8>, ClientError> {
        let range = GetBlocksArgs {
            start: start.into(),
            length: length.into(),
        };
        self.connection
            .query_bytes_unverified(self.canister, "icrc3_get_blocks", (vec![range],))
            .await
    }

    /// Asks for the proof that the block with hash `block` is at `index` of the log with `head`, and verifies it.
    pub async fn prove_inclusion(
        &self,
        block: &Hash,
        index: u64,
        head: &LogHead,
    ) -> Result<(), ClientError> {
        let size = head.size;
        let method = "log_inclusion_proof";
        let proof = self
            .log_proof(method, InclusionArgs { index, size })
            .await?;
        log::verify_inclusion(block, index, &proof, head)
            .map_err(|reason| unverified(method, reason))
    }

    /// Asks for the proof that the log with head `to` begins with the log with head `from`, and verifies it.
    pub async fn prove_consistency(&self, from: &LogHead, to: &LogHead) -> Result<(), ClientError> {
        let method = "log_consistency_proof";
        // Every log begins with the empty one; the canister proves it of no log.
        let proof = if from.size == 0 {
            Vec::new()
        } else {
            let (from, to) = (from.size, to.size);
            self.log_proof(method, ConsistencyArgs { from, to }).await?
        };
        log::verify_consistency(from, to, &proof).map_err(|reason| unverified(method, reason))
    }

    async fn log_proof(
        &self,
        method: &str,
        args: impl candid::CandidType,
    ) -> Result<Vec<Hash>, ClientError> {
        let (answer,): (Result<LogProof, Error>,) = self
            .connection
            .query_unverified(self.canister, method, (args,))
            .await?;
        let hashes = accepted(method, answer)?.hashes;
        let hash = |hash: ByteBuf| hash.into_vec().try_into();
        hashes
            .into_iter()
            .map(hash)
            .collect::<Result<_, _>>()
            .map_err(|_| ClientError::Reply {
                method: method.into(),
                reason: String::from("a hash of the proof has not 32 bytes"),
            })
    }

    /// Ends the maintenance after an upgrade, and wakes the timers after a snapshot was loaded. Controllers only.
    pub async fn confirm_upgrade(&self) -> Result<(), ClientError> {
        let method = "confirm_upgrade";
        let (answer,): (Result<(), Error>,) = self
            .connection
            .update(self.canister, self.canister, method, ())
            .await?;
        accepted(method, answer)
    }

    /// What the installation says of itself, as one node says.
    pub async fn service_info_unverified(&self) -> Result<ServiceInfo, ClientError> {
        let (info,) = self
            .connection
            .query_unverified(self.canister, "service_info", ())
            .await?;
        Ok(info)
    }
}

impl CertifiedHead {
    /// The certified names of all collections, those that are certified as empty included.
    ///
    /// Errors: [`VerifyError::Hidden`] if the answer left some out, [`VerifyError::NotALeaf`] if they are none.
    pub fn collections(&self) -> Result<Vec<Vec<u8>>, VerifyError> {
        match self.witness.entries(&[DATA], None, Bound::Unbounded) {
            Ok(page) if page.end => Ok(page
                .entries
                .iter()
                .map(|entry| entry.label.to_vec())
                .collect()),
            Ok(_) => Err(VerifyError::Hidden {
                path: format!("/{DATA}"),
                after: None,
            }),
            Err(VerifyError::Absent { .. }) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// The certified root of a collection at that moment.
    ///
    /// Errors: [`VerifyError::Absent`] if there is no such collection.
    pub fn collection_root(&self, collection: &str) -> Result<Hash, VerifyError> {
        self.witness.subtree_hash(&[DATA, collection])
    }
}
