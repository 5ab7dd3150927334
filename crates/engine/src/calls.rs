//! Call contexts and callbacks: who waits for whose answer.
//!
//! ```text
//!   Origin ──Request──► CallContext ──Request──► callee
//!      ▲                 │  ▲                      │
//!      └────answer───────┘  └─PendingCall◄─Response┘
//! ```
//!
//! A context is open from the first message of a call until its last callback has run. It is answered at
//! most once; if it closes unanswered, its origin gets a reject (IC interface specification, "Call
//! contexts").

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use candid::Principal;

use crate::{Reject, RequestId, SenderInfo, ic0::Callback};

/// Names a call context of a subnet.
pub(crate) type ContextId = u64;
/// Names a call that waits for its response.
pub(crate) type CallId = u64;

/// Who gets the answer to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A user, who reads the request's status.
    Ingress(RequestId),
    /// A canister, with a callback. The subnet is the caller's.
    Call { subnet: Principal, call: CallId },
    /// Nobody: a timer or a heartbeat.
    System,
}

/// A call on its way to a canister or to the management canister.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) origin: Origin,
    pub(crate) sender: Principal,
    pub(crate) sender_info: Option<SenderInfo>,
    pub(crate) receiver: Principal,
    pub(crate) method: String,
    pub(crate) arg: Vec<u8>,
    pub(crate) cycles: u128,
    /// Of a best-effort call, else 0.
    pub(crate) deadline: u64,
}

/// The answer to a call of a canister, on its way back.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) call: CallId,
    pub(crate) result: Result<Vec<u8>, Reject>,
    /// Cycles that came with the call and were not accepted.
    pub(crate) refund: u128,
}

/// What a subnet has to do next.
#[derive(Debug)]
pub(crate) enum Work {
    Request(Request),
    Response(Response),
    /// The global timer of a canister is due.
    Timer(Principal),
    Heartbeat(Principal),
    /// The heap of a canister has little room left.
    LowMemory(Principal),
}

impl Work {
    /// Cycles that travel with it.
    pub(crate) fn cycles(&self) -> u128 {
        match self {
            Self::Request(request) => request.cycles,
            Self::Response(response) => response.refund,
            Self::Timer(_) | Self::Heartbeat(_) | Self::LowMemory(_) => 0,
        }
    }
}

/// A call that a canister is working on.
pub(crate) struct CallContext {
    pub(crate) canister: Principal,
    pub(crate) origin: Origin,
    pub(crate) caller: Principal,
    pub(crate) sender_info: Option<SenderInfo>,
    pub(crate) method: String,
    pub(crate) cycles_available: u128,
    pub(crate) answered: bool,
    /// Calls made in this context that wait for their responses.
    pub(crate) outstanding: usize,
    pub(crate) deadline: u64,
    pub(crate) instructions: u64,
}

/// A call that waits for its response.
pub(crate) struct PendingCall {
    pub(crate) context: ContextId,
    /// Who made it: refunds come back even where the context is gone.
    pub(crate) canister: Principal,
    pub(crate) on_reply: Callback,
    pub(crate) on_reject: Callback,
    pub(crate) on_cleanup: Option<Callback>,
    pub(crate) callee: Principal,
    /// Memory that is held for the request and its longest answer, in bytes.
    pub(crate) reserved: u64,
    /// Of a best-effort call, else 0.
    pub(crate) deadline: u64,
    /// Cycles set aside for the longest answer.
    pub(crate) transmission: u128,
    /// Cycles set aside for the most expensive callback.
    pub(crate) execution: u128,
}

/// All calls of a subnet.
#[derive(Default)]
pub(crate) struct Calls {
    pub(crate) queue: VecDeque<Work>,
    pub(crate) contexts: BTreeMap<ContextId, CallContext>,
    pub(crate) pending: BTreeMap<CallId, PendingCall>,
    /// Deadlines of the best-effort calls that are not answered yet, in nanoseconds.
    deadlines: BTreeSet<(u64, CallId)>,
    /// Who made the best-effort calls that have expired, to give back what a late answer brings.
    expired: BTreeMap<CallId, Principal>,
    /// Memory that is held for all of them, in bytes.
    reserved: u64,
    next: u64,
}

/// Memory that the calls of all canisters of a subnet may hold, in bytes, each counted with the longest answer.
const MESSAGE_MEMORY: u64 = 8 << 30;

impl Calls {
    pub(crate) fn open(&mut self, context: CallContext) -> ContextId {
        let id = self.fresh();
        self.contexts.insert(id, context);
        id
    }

    pub(crate) fn expect(&mut self, call: PendingCall) -> CallId {
        let id = self.fresh();
        if call.deadline != 0 {
            self.deadlines.insert((call.deadline, id));
        }
        self.reserved += call.reserved;
        self.pending.insert(id, call);
        id
    }

    /// The call that a response answers, which waits no longer.
    pub(crate) fn answered(&mut self, id: CallId) -> Option<PendingCall> {
        let call = self.pending.remove(&id)?;
        self.reserved -= call.reserved;
        self.deadlines.remove(&(call.deadline, id));
        Some(call)
    }

    /// Memory that is left for new calls, in bytes.
    pub(crate) fn room(&self) -> u64 {
        MESSAGE_MEMORY.saturating_sub(self.reserved)
    }

    /// Who made a call that expired before its answer came; asked when the answer comes after all.
    pub(crate) fn late(&mut self, id: CallId) -> Option<Principal> {
        self.expired.remove(&id)
    }

    /// Answers the best-effort calls whose deadline has come with a reject.
    pub(crate) fn expire(&mut self, now: u64) {
        while let Some((deadline, id)) = self.deadlines.first().copied() {
            if deadline > now {
                break;
            }
            self.deadlines.pop_first();
            if let Some(call) = self.pending.get(&id) {
                self.expired.insert(id, call.canister);
                self.queue.push_back(Work::Response(Response {
                    call: id,
                    result: Err(Reject::deadline_expired()),
                    refund: 0,
                }));
            }
        }
    }

    /// Whether a best-effort call expires by this time.
    pub(crate) fn expires(&self, now: u64) -> bool {
        self.deadlines
            .first()
            .is_some_and(|(deadline, _)| *deadline <= now)
    }

    /// Cycles that are in no balance: with messages, in open contexts, and set aside for answers.
    pub(crate) fn cycles_in_flight(&self) -> u128 {
        let queued = self.queue.iter().map(Work::cycles);
        let open = self
            .contexts
            .values()
            .map(|context| context.cycles_available);
        let aside = self
            .pending
            .values()
            .map(|call| call.transmission + call.execution);
        queued.chain(open).chain(aside).sum()
    }

    fn fresh(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}
