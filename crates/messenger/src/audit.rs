//! Verifying a conversation's log without reading it: for auditors, who are in no conversation.

use indus_api::identity::path;
use indus_api::messaging::{
    CONVERSATIONS, Conversation, ConversationRecord, EntriesArgs, MAX_ENTRIES,
};
use indus_client::{ClientError, Connection, SuiteCanister};
use indus_verify::{LogHead, LogRoot, Time, VerifyError};
use serde_bytes::ByteBuf;

const HASHES: &str = "entry_hashes";

/// A conversation whose whole log was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditedConversation {
    pub conversation: Conversation,
    pub head: LogHead,
    pub certified_at: Time,
}

/// Reads the hashes of all entries of a conversation, and verifies that they lead to the head that is certified; and, if a head is
/// known from before, that the log goes on from it. Everybody may.
///
/// # Errors
/// [`ClientError::Unverified`] if they don't; [`ClientError::Refused`] for a conversation that there isn't.
pub async fn audit(
    connection: &Connection,
    id: u64,
    known: Option<&LogHead>,
) -> Result<AuditedConversation, ClientError> {
    let messaging = SuiteCanister::new(connection.clone(), "messaging")?;
    let unverified = |reason| ClientError::Unverified {
        method: HASHES.into(),
        reason,
    };
    let place = path(CONVERSATIONS, &id.to_be_bytes());
    let read = messaging
        .certified_read_unverified(std::slice::from_ref(&place))
        .await?;
    let (certificate, witness) =
        connection.verify(messaging.canister(), "certified_read", &read)?;
    let ConversationRecord::V1(conversation) = witness.value(&place).map_err(unverified)?;
    let head = LogHead::from_leaf(&conversation.head).map_err(unverified)?;
    let mut log = LogRoot::default();
    let inconsistent = |from: u64| {
        unverified(VerifyError::NotConsistent {
            from,
            to: head.size,
        })
    };
    if known.is_some_and(|known| known.size > head.size) {
        return Err(inconsistent(known.map_or(0, |known| known.size)));
    }
    while log.size() < head.size {
        let left = head.size - log.size();
        let args = EntriesArgs {
            conversation: id,
            from: log.size(),
            limit: u32::try_from(left).unwrap_or(MAX_ENTRIES).min(MAX_ENTRIES),
        };
        let hashes: Vec<ByteBuf> = messaging.query_unverified(HASHES, &args).await?;
        if hashes.is_empty() {
            return Err(inconsistent(log.size()));
        }
        for hash in hashes {
            let hash = hash.as_slice().try_into();
            log.append(&hash.map_err(|_| inconsistent(log.size()))?);
            if known.is_some_and(|known| known.size == log.size() && *known != log.head()) {
                return Err(inconsistent(log.size()));
            }
        }
    }
    if log.head() != head {
        return Err(inconsistent(log.size()));
    }
    Ok(AuditedConversation {
        conversation,
        head,
        certified_at: certificate.time(),
    })
}
