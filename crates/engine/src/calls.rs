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

use std::collections::{BTreeMap, VecDeque};

use candid::Principal;

use crate::{Reject, RequestId, ic0::Callback};

/// Names a call context of a subnet.
pub(crate) type ContextId = u64;
/// Names a call that waits for its response.
pub(crate) type CallId = u64;

/// Who gets the answer to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A user, who reads the request's status.
    Ingress(RequestId),
    /// A canister of this subnet, with a callback.
    Call(CallId),
    /// Nobody: a timer or a heartbeat.
    System,
}

/// A call on its way to a canister or to the management canister.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) origin: Origin,
    pub(crate) sender: Principal,
    pub(crate) receiver: Principal,
    pub(crate) method: String,
    pub(crate) arg: Vec<u8>,
    pub(crate) cycles: u128,
    /// Of a best-effort call, else 0.
    pub(crate) deadline: u64,
}

/// What a subnet has to do next.
#[derive(Debug)]
pub(crate) enum Work {
    Request(Request),
    Response {
        call: CallId,
        result: Result<Vec<u8>, Reject>,
        refund: u128,
    },
    /// The global timer of a canister is due.
    Timer(Principal),
    Heartbeat(Principal),
}

/// A call that a canister is working on.
pub(crate) struct CallContext {
    pub(crate) canister: Principal,
    pub(crate) origin: Origin,
    pub(crate) caller: Principal,
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
}

/// All calls of a subnet.
#[derive(Default)]
pub(crate) struct Calls {
    pub(crate) queue: VecDeque<Work>,
    pub(crate) contexts: BTreeMap<ContextId, CallContext>,
    pub(crate) pending: BTreeMap<CallId, PendingCall>,
    next: u64,
}

impl Calls {
    pub(crate) fn open(&mut self, context: CallContext) -> ContextId {
        let id = self.fresh();
        self.contexts.insert(id, context);
        id
    }

    pub(crate) fn expect(&mut self, call: PendingCall) -> CallId {
        let id = self.fresh();
        self.pending.insert(id, call);
        id
    }

    fn fresh(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}
