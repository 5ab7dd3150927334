//! The ingress history: which update calls the subnet knows, and how far they have come.
//!
//! A request id is remembered until well after the call can no longer be sent again, so a call that is sent
//! twice runs once. Each status is certified under `/request_status/<id>`.

use std::collections::{BTreeMap, BTreeSet};

use candid::Principal;

use crate::{
    Ingress, Reject, RequestId, RequestStatus, Time,
    certification::{StateTree, leb128},
};

/// How long a status can be read after the call has expired, in nanoseconds.
const KEPT_NS: u64 = 5 * 60 * 1_000_000_000;

/// Calls that are remembered at once.
const MAX_CALLS: usize = 100_000;
/// Arguments that wait and answers that are kept, in bytes; more calls are taken when some have been forgotten.
const MAX_HELD: usize = 4 << 30;
/// What a call that is not answered yet counts as, besides its argument: the longest answer.
const RESERVED: usize = 2 << 20;

/// A call that was submitted.
struct Entry {
    sender: Principal,
    canister_id: Principal,
    /// Length of the argument.
    argument: usize,
    status: RequestStatus,
}

impl Entry {
    fn is_open(&self) -> bool {
        matches!(
            self.status,
            RequestStatus::Received | RequestStatus::Processing
        )
    }

    /// Bytes that the call takes, or may come to take.
    fn held(&self) -> usize {
        match &self.status {
            RequestStatus::Replied(reply) => reply.len(),
            RequestStatus::Rejected(reject) => reject.message.len(),
            _ => self.argument + RESERVED,
        }
    }
}

/// All calls that were submitted lately.
#[derive(Default)]
pub(crate) struct IngressHistory {
    entries: BTreeMap<RequestId, Entry>,
    by_expiry: BTreeSet<(Time, RequestId)>,
    held: usize,
}

impl IngressHistory {
    /// Records a new call; false where its id is known already.
    pub(crate) fn receive(&mut self, ingress: &Ingress, tree: &mut StateTree) -> bool {
        if self.entries.contains_key(&ingress.id) {
            return false;
        }
        let entry = Entry {
            sender: ingress.sender,
            canister_id: ingress.canister_id,
            argument: ingress.arg.len(),
            status: RequestStatus::Received,
        };
        self.held += entry.held();
        self.entries.insert(ingress.id, entry);
        self.by_expiry.insert((ingress.expiry, ingress.id));
        tree.insert(
            &[b"request_status", &ingress.id.0, b"status"],
            b"received".to_vec(),
        );
        true
    }

    /// Whether there is no room for another call.
    pub(crate) fn is_full(&self) -> bool {
        self.entries.len() >= MAX_CALLS || self.held >= MAX_HELD
    }

    pub(crate) fn status(&self, id: &RequestId) -> RequestStatus {
        self.entries
            .get(id)
            .map_or(RequestStatus::Unknown, |entry| entry.status.clone())
    }

    /// Who sent a call, and to which canister.
    pub(crate) fn parties(&self, id: &RequestId) -> Option<(Principal, Principal)> {
        self.entries
            .get(id)
            .map(|entry| (entry.sender, entry.canister_id))
    }

    pub(crate) fn processing(&mut self, id: &RequestId, tree: &mut StateTree) {
        if let Some(entry) = self.entries.get_mut(id) {
            entry.status = RequestStatus::Processing;
            tree.insert(
                &[b"request_status", &id.0, b"status"],
                b"processing".to_vec(),
            );
        }
    }

    /// Records how a call ended.
    pub(crate) fn finish(
        &mut self,
        id: &RequestId,
        result: Result<Vec<u8>, Reject>,
        tree: &mut StateTree,
    ) {
        let Some(entry) = self.entries.get_mut(id) else {
            return;
        };
        let before = entry.held();
        let mut set = |label: &[u8], value| tree.insert(&[b"request_status", &id.0, label], value);
        entry.status = match result {
            Ok(reply) => {
                set(b"status", b"replied".to_vec());
                set(b"reply", reply.clone());
                RequestStatus::Replied(reply)
            }
            Err(reject) => {
                set(b"status", b"rejected".to_vec());
                set(b"reject_code", leb128(reject.code as u64));
                set(b"reject_message", reject.message.clone().into_bytes());
                if let Some(code) = reject.error_code {
                    set(b"error_code", code.text().into_bytes());
                }
                RequestStatus::Rejected(reject)
            }
        };
        self.held = self.held + entry.held() - before;
    }

    /// Forgets answered calls that expired long ago.
    pub(crate) fn prune(&mut self, now: Time, tree: &mut StateTree) {
        while let Some((expiry, id)) = self.by_expiry.first().copied() {
            if expiry.plus(KEPT_NS) >= now {
                break;
            }
            self.by_expiry.pop_first();
            if self.entries.get(&id).is_some_and(Entry::is_open) {
                // Nothing that may still be answered is forgotten.
                self.by_expiry.insert((now, id));
                continue;
            }
            if let Some(entry) = self.entries.remove(&id) {
                self.held -= entry.held();
            }
            tree.delete(&[b"request_status", &id.0]);
        }
    }
}
