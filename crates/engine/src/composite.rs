//! Queries and the graph of calls that a composite query makes.
//!
//! ```text
//!   evaluate ──► method on a twin ──► calls ──► each: evaluate its callee, then the callback on the same twin
//! ```
//!
//! All of it happens on one subnet, within one budget of instructions, and leaves no trace. A callback that traps is
//! undone on its twin, runs its cleanup, and the other callbacks go on. A canister that is being asked can't be
//! asked again further down: the graph has no loops (IC interface specification, "Composite query methods").

use std::{collections::VecDeque, sync::Arc};

use candid::Principal;
use canister_module::MethodKind;

use crate::{
    ErrorCode, Query, Reject, SenderInfo,
    certification::LazyCertificate,
    ic0::{Answer, Context, Effects, OutgoingCall},
    queries::Look,
    subnet::{Held, Subnet},
    wasm::{Callable, Twin},
};

/// Deepest chain of calls.
const MAX_DEPTH: usize = 6;

/// What all calls of one user's query share.
struct Graph {
    /// Instructions that are left.
    instructions: u64,
    /// Canisters that wait for what is evaluated.
    path: Vec<Principal>,
}

/// A query to evaluate.
struct Asked {
    sender: Principal,
    sender_info: Option<SenderInfo>,
    canister: Principal,
    method: String,
    arg: Vec<u8>,
}

/// Answers a query of a user, composite or not.
pub(crate) fn evaluate(this: &mut Held<'_>, query: Query) -> Result<Vec<u8>, Reject> {
    let mut graph = Graph {
        instructions: this.limits.of_context(Context::Query),
        path: Vec::new(),
    };
    let asked = Asked {
        sender: query.sender,
        sender_info: query.sender_info,
        canister: query.canister_id,
        method: query.method,
        arg: query.arg,
    };
    graph.ask(this, asked)
}

impl Graph {
    fn ask(&mut self, this: &mut Held<'_>, asked: Asked) -> Result<Vec<u8>, Reject> {
        let id = asked.canister;
        if self.path.len() > MAX_DEPTH {
            let message = format!("Composite query call graph is deeper than {MAX_DEPTH}");
            return Err(Reject::new(ErrorCode::QueryCallGraphTooDeep, message));
        }
        if self.path.contains(&id) {
            let message =
                format!("Composite query call graph has a loop: canister {id} is in it twice");
            return Err(Reject::new(ErrorCode::QueryCallGraphLoopDetected, message));
        }
        let (_, kind) = this.query_entry(id, &asked.method)?;
        let context = match kind {
            MethodKind::CompositeQuery => Context::CompositeQuery,
            _ => Context::Query,
        };
        // Only the canister that the user asks can show a certificate.
        let direct = self.path.is_empty();
        let certificate = direct.then(|| this.data_certificate(&id));
        let twin = this.twin(id)?;
        self.path.push(id);
        let mut call = Call {
            asked,
            twin,
            answer: None,
            failed: None,
            instructions: 0,
            waiting: VecDeque::new(),
        };
        let export = Callable::Export(kind.export(&call.asked.method));
        let result = call.run(this, self, &export, context, certificate);
        self.path.pop();
        result
    }
}

/// A query under evaluation.
struct Call {
    asked: Asked,
    twin: Twin,
    answer: Option<Answer>,
    /// Why the last callback that failed did.
    failed: Option<Reject>,
    /// Executed so far.
    instructions: u64,
    waiting: VecDeque<OutgoingCall>,
}

impl Call {
    fn run(
        &mut self,
        this: &mut Held<'_>,
        graph: &mut Graph,
        export: &Callable,
        context: Context,
        certificate: Option<Arc<LazyCertificate>>,
    ) -> Result<Vec<u8>, Reject> {
        let arg = std::mem::take(&mut self.asked.arg);
        let effects = self.enter(this, graph, export, context, |look| {
            look.arg = arg;
            look.certificate = certificate;
        })?;
        self.take(effects);
        while let Some(call) = self.waiting.pop_front() {
            let asked = Asked {
                sender: self.asked.canister,
                sender_info: None,
                canister: call.callee,
                method: call.method.clone(),
                arg: call.arg.clone(),
            };
            let result = graph.ask(this, asked);
            self.call_back(this, graph, &call, result)?;
        }
        let id = self.asked.canister;
        match self.answer.take() {
            Some(Answer::Reply(reply)) => Ok(reply),
            Some(Answer::Reject(message)) => Err(Reject::by_canister(message)),
            None => Err(self.failed.take().unwrap_or_else(|| {
                Reject::of(
                    id,
                    ErrorCode::DidNotReply,
                    "Canister did not reply to the call",
                )
            })),
        }
    }

    /// Runs the callback of a call that has ended; its trap is kept, an instance that fails is returned.
    fn call_back(
        &mut self,
        this: &mut Held<'_>,
        graph: &mut Graph,
        call: &OutgoingCall,
        result: Result<Vec<u8>, Reject>,
    ) -> Result<(), Reject> {
        let id = self.asked.canister;
        let broken = |error: crate::wasm::RuntimeError| {
            Reject::of(id, ErrorCode::QueryCallGraphInternal, &error.to_string())
        };
        let before = self.twin.checkpoint().map_err(broken)?;
        let (callback, context, arg, reject) = match result {
            Ok(reply) => (call.on_reply, Context::CompositeReply, reply, None),
            Err(reject) => (
                call.on_reject,
                Context::CompositeReject,
                Vec::new(),
                Some((reject.code as u32, reject.message)),
            ),
        };
        let callable = Callable::callback(callback);
        let entered = self.enter(this, graph, &callable, context, |look| {
            look.arg = arg;
            look.reject.clone_from(&reject);
        });
        match entered {
            Ok(effects) => self.take(effects),
            Err(failed) => {
                self.twin.restore(&before).map_err(broken)?;
                let cleaned = call.on_cleanup.map(|cleanup| {
                    let callable = Callable::callback(cleanup);
                    self.enter(this, graph, &callable, Context::CompositeCleanup, |look| {
                        look.reject = reject;
                    })
                });
                self.failed = Some(match cleaned {
                    Some(Err(again)) => {
                        self.twin.restore(&before).map_err(broken)?;
                        failed.and_cleanup(&again)
                    }
                    _ => failed,
                });
            }
        }
        Ok(())
    }

    /// Executes one message of the query.
    fn enter(
        &mut self,
        this: &mut Held<'_>,
        graph: &mut Graph,
        callable: &Callable,
        context: Context,
        complete: impl FnOnce(&mut Look<'_>),
    ) -> Result<Effects, Reject> {
        let asked = &self.asked;
        let limit = graph.instructions;
        let mut look = Look::new(asked.canister, context, callable, &asked.method, limit);
        look.sender = asked.sender;
        look.sender_info.clone_from(&asked.sender_info);
        look.answered = self.answer.is_some();
        look.instructions_before = self.instructions;
        complete(&mut look);
        let looked = Subnet::look(this, &mut self.twin, look, (&asked.method, "query"));
        let (Ok((_, executed)) | Err((_, executed))) = &looked;
        graph.instructions = graph.instructions.saturating_sub(*executed);
        self.instructions += executed;
        let effects = looked.map(|(effects, _)| effects);
        effects.map_err(|(reject, _)| match reject.error_code {
            Some(ErrorCode::InstructionLimitExceeded) if graph.path.len() > 1 => Reject::new(
                ErrorCode::QueryCallGraphTotalInstructionLimitExceeded,
                "Query call graph exceeded the limit of instructions",
            ),
            _ => reject,
        })
    }

    fn take(&mut self, effects: Effects) {
        self.answer = self.answer.take().or(effects.answer);
        self.waiting.extend(effects.calls);
    }
}
