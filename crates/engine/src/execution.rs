//! Executing one message: enter the canister, then commit everything it did, or nothing of it.
//!
//! A message that succeeds commits heap, stable memory, globals, certified data, timer, answer, calls and
//! cycles at once; one that traps leaves all of them as they were. A callback that traps runs the cleanup
//! callback on that state (IC interface specification, "Abstract behaviour").

use candid::Principal;

use crate::{
    ErrorCode, Reject, RejectCode,
    calls::{CallContext, CallId, ContextId, Origin, PendingCall, Request, Work},
    canister::{Canister, Status},
    ic0::{Answer, Callback, Context, Effects, Message},
    management,
    subnet::Subnet,
    wasm::{Callable, Run, Trap, costs},
};
use canister_module::MethodKind;

impl Subnet {
    /// Executes one piece of work.
    pub(crate) fn execute(&mut self, work: Work) {
        match work {
            Work::Request(request) => {
                if let Origin::Ingress(id) = &request.origin {
                    self.ingress.processing(id, &mut self.tree);
                }
                if request.receiver == Principal::management_canister() {
                    management::execute(self, request);
                } else {
                    self.execute_request(request);
                }
            }
            Work::Response {
                call,
                result,
                refund,
            } => self.execute_response(call, result, refund),
            Work::Timer(canister) => self.execute_task(canister, "canister_global_timer"),
            Work::Heartbeat(canister) => self.execute_task(canister, "canister_heartbeat"),
        }
    }

    /// Hands the answer to whoever waits for it.
    pub(crate) fn respond(
        &mut self,
        origin: Origin,
        result: Result<Vec<u8>, Reject>,
        refund: u128,
    ) {
        match origin {
            Origin::Ingress(id) => self.ingress.finish(&id, result, &mut self.tree),
            Origin::Call(call) => self.calls.queue.push_back(Work::Response {
                call,
                result,
                refund,
            }),
            Origin::System => {}
        }
    }

    /// Why a canister can't take a call now, if it can't.
    pub(crate) fn availability(&self, id: Principal) -> Result<&Canister, Reject> {
        let canister = self
            .canisters
            .get(&id)
            .ok_or_else(|| Reject::not_found(id))?;
        match canister.status {
            Status::Running => {}
            Status::Stopping(_) => {
                return Err(Reject::new(
                    ErrorCode::Stopping,
                    format!("Canister {id} is stopping"),
                ));
            }
            Status::Stopped => {
                return Err(Reject::new(
                    ErrorCode::Stopped,
                    format!("Canister {id} is stopped"),
                ));
            }
        }
        if canister.instance.is_none() {
            let message =
                "Attempted to execute a message, but the canister contains no Wasm module";
            return Err(Reject::of(id, ErrorCode::ModuleNotFound, message));
        }
        Ok(canister)
    }

    /// The export behind an update call, and the context that it runs in.
    fn update_entry(canister: &Canister, method: &str) -> Result<(Callable, Context), Reject> {
        let instance = canister.instance.as_ref();
        let kind =
            instance.and_then(|instance| instance.program().module.entry_points.method(method));
        match kind {
            Some(kind @ MethodKind::Update) => {
                Ok((Callable::Export(kind.export(method)), Context::Update))
            }
            Some(kind @ MethodKind::Query) => Ok((
                Callable::Export(kind.export(method)),
                Context::ReplicatedQuery,
            )),
            Some(MethodKind::CompositeQuery) => Err(Reject::new(
                ErrorCode::CompositeQueryInReplicatedMode,
                "Composite query cannot be called in replicated mode",
            )),
            None => {
                let message = format!("Canister has no update method '{method}'");
                Err(Reject::of(canister.id, ErrorCode::MethodNotFound, &message))
            }
        }
    }

    fn execute_request(&mut self, request: Request) {
        let entry = self
            .availability(request.receiver)
            .and_then(|canister| Self::update_entry(canister, &request.method));
        let (callable, context) = match entry {
            Ok(entry) => entry,
            Err(reject) => return self.respond(request.origin, Err(reject), request.cycles),
        };
        let id = self.calls.open(CallContext {
            canister: request.receiver,
            origin: request.origin,
            caller: request.sender,
            method: request.method,
            cycles_available: request.cycles,
            answered: false,
            outstanding: 0,
            deadline: request.deadline,
            instructions: 0,
        });
        if let Some(canister) = self.canisters.get_mut(&request.receiver) {
            canister.open_contexts += 1;
        }
        let result = self.enter(id, &callable, context, request.arg, None, 0);
        // A query leaves no trace but its answer.
        self.close(id, result.err());
    }

    fn execute_task(&mut self, id: Principal, hook: &str) {
        if let Some(canister) = self.canisters.get_mut(&id) {
            canister.heartbeat_queued &= hook != "canister_heartbeat";
        }
        let Ok(canister) = self.availability(id) else {
            return;
        };
        let instance = canister.instance.as_ref();
        if !instance.is_some_and(|instance| instance.program().module.entry_points.has_hook(hook)) {
            return;
        }
        let context = self.calls.open(CallContext {
            canister: id,
            origin: Origin::System,
            caller: Principal::management_canister(),
            method: hook.to_owned(),
            cycles_available: 0,
            answered: true,
            outstanding: 0,
            deadline: 0,
            instructions: 0,
        });
        if let Some(canister) = self.canisters.get_mut(&id) {
            canister.open_contexts += 1;
        }
        let callable = Callable::Export(hook.to_owned());
        // Nobody waits for an answer; a trap is in the log.
        let _ = self.enter(context, &callable, Context::System, Vec::new(), None, 0);
        self.close(context, None);
    }

    fn execute_response(&mut self, call: CallId, result: Result<Vec<u8>, Reject>, refund: u128) {
        let Some(pending) = self.calls.pending.remove(&call) else {
            return;
        };
        let id = pending.context;
        let Some(canister) = self.canisters.get_mut(&pending.canister) else {
            return;
        };
        canister.balance = canister.balance.saturating_add(refund);
        let Some(context) = self.calls.contexts.get_mut(&id) else {
            return;
        };
        context.outstanding -= 1;
        canister.outstanding_calls -= 1;
        let (callback, entry, arg, reject) = match result {
            Ok(reply) => (pending.on_reply, Context::Reply, reply, None),
            Err(reject) => (
                pending.on_reject,
                Context::Reject,
                Vec::new(),
                Some((reject.code as u32, reject.message)),
            ),
        };
        let failed = self
            .enter(id, &table(callback), entry, arg, reject.clone(), refund)
            .err();
        let failed = match (failed, pending.on_cleanup) {
            (Some(failed), Some(cleanup)) => {
                let cleaned =
                    self.enter(id, &table(cleanup), Context::Cleanup, Vec::new(), reject, 0);
                Some(match cleaned {
                    Ok(()) => failed,
                    Err(again) => Reject {
                        message: format!(
                            "{}\n\ncall_on_cleanup also failed:\n\n{}",
                            failed.message, again.message
                        ),
                        ..failed
                    },
                })
            }
            (failed, _) => failed,
        };
        self.close(id, failed);
    }

    /// Runs one message of a call context; commits it and applies its effects, or undoes it.
    fn enter(
        &mut self,
        id: ContextId,
        callable: &Callable,
        context: Context,
        arg: Vec<u8>,
        reject: Option<(u32, String)>,
        refunded: u128,
    ) -> Result<(), Reject> {
        let gone = || Reject::new(ErrorCode::ModuleNotFound, "The canister is gone");
        let call = self.calls.contexts.get(&id).ok_or_else(gone)?;
        let canister = self.canisters.get(&call.canister).ok_or_else(gone)?;
        let message = Message {
            context,
            environment: self.environment(canister),
            caller: call.caller,
            method: call.method.clone(),
            arg,
            reject,
            cycles_available: call.cycles_available,
            cycles_refunded: refunded,
            deadline: call.deadline,
            answered: call.answered,
            certificate: None,
            instructions_before: call.instructions,
        };
        let limit = match context {
            Context::ReplicatedQuery => costs::QUERY_LIMIT,
            _ => costs::MESSAGE_LIMIT,
        };
        let (canister_id, method) = (canister.id, call.method.clone());
        let canister = self.canisters.get_mut(&canister_id).ok_or_else(gone)?;
        let instance = canister.instance.as_mut().ok_or_else(gone)?;
        let Run {
            result,
            instructions,
        } = instance.run(callable, message, limit);
        let kind = match context {
            Context::ReplicatedQuery => "query",
            Context::Reply | Context::Reject | Context::Cleanup => "callback",
            Context::System => "system",
            _ => "update",
        };
        self.metrics.count(canister_id, &method, kind, instructions);
        if let Some(call) = self.calls.contexts.get_mut(&id) {
            call.instructions += instructions;
        }
        match result {
            Ok(effects) if context == Context::ReplicatedQuery => {
                instance.rollback();
                self.apply(id, effects);
                Ok(())
            }
            Ok(effects) => {
                instance.commit();
                canister.version += 1;
                self.apply(id, effects);
                Ok(())
            }
            Err(trap) => {
                instance.rollback();
                Err(self.trapped(canister_id, &trap))
            }
        }
    }

    /// The reject for a trap; the trap is logged too.
    pub(crate) fn trapped(&mut self, id: Principal, trap: &Trap) -> Reject {
        let reject = trap.reject(id);
        if let Some(canister) = self.canisters.get_mut(&id) {
            canister.append_log(vec![format!("[TRAP]: {trap}")]);
        }
        reject
    }

    /// What a message did to the canister itself: certified data, timer, log, cycles.
    pub(crate) fn apply_to_canister(&mut self, id: Principal, effects: &mut Effects) {
        let Some(canister) = self.canisters.get_mut(&id) else {
            return;
        };
        if let Some(data) = effects.certified_data.take() {
            canister.certified_data = data;
            canister.certify_data(&mut self.tree);
        }
        if let Some(timer) = effects.timer.take() {
            canister.timer = (timer != 0).then_some(crate::Time(timer));
        }
        canister.append_log(std::mem::take(&mut effects.log));
        let sent: u128 = effects.calls.iter().map(|call| call.cycles).sum();
        canister.balance =
            canister.balance.saturating_add(effects.cycles_accepted) - sent - effects.cycles_burned;
    }

    /// What a message did to the outside.
    fn apply(&mut self, id: ContextId, mut effects: Effects) {
        let Some(call) = self.calls.contexts.get_mut(&id) else {
            return;
        };
        let canister_id = call.canister;
        call.cycles_available -= effects.cycles_accepted;
        if let Some(answer) = effects.answer.take() {
            call.answered = true;
            let refund = std::mem::take(&mut call.cycles_available);
            let origin = call.origin.clone();
            let result = match answer {
                Answer::Reply(reply) => Ok(reply),
                Answer::Reject(message) => Err(Reject::by_canister(message)),
            };
            self.respond(origin, result, refund);
        }
        self.apply_to_canister(canister_id, &mut effects);
        for call in effects.calls {
            let waiting = self.calls.expect(PendingCall {
                context: id,
                canister: canister_id,
                on_reply: call.on_reply,
                on_reject: call.on_reject,
                on_cleanup: call.on_cleanup,
            });
            if let Some(context) = self.calls.contexts.get_mut(&id) {
                context.outstanding += 1;
            }
            if let Some(canister) = self.canisters.get_mut(&canister_id) {
                canister.outstanding_calls += 1;
            }
            self.calls.queue.push_back(Work::Request(Request {
                origin: Origin::Call(waiting),
                sender: canister_id,
                receiver: call.callee,
                method: call.method,
                arg: call.arg,
                cycles: call.cycles,
                deadline: call.deadline,
            }));
        }
    }

    /// Closes a call context that waits for nothing more; if it was not answered, its origin is told why.
    fn close(&mut self, id: ContextId, failed: Option<Reject>) {
        let Some(context) = self.calls.contexts.get(&id) else {
            return;
        };
        if context.outstanding > 0 {
            return;
        }
        let Some(context) = self.calls.contexts.remove(&id) else {
            return;
        };
        if !context.answered {
            let silent = || {
                Reject::of(
                    context.canister,
                    ErrorCode::DidNotReply,
                    "Canister did not reply to the call",
                )
            };
            let reject = failed.unwrap_or_else(silent);
            self.respond(context.origin, Err(reject), context.cycles_available);
        }
        if let Some(canister) = self.canisters.get_mut(&context.canister) {
            canister.open_contexts -= 1;
        }
        self.settle(context.canister);
    }

    /// Ends the stopping of a canister that has no open call context left.
    pub(crate) fn settle(&mut self, id: Principal) {
        let Some(canister) = self.canisters.get_mut(&id) else {
            return;
        };
        if canister.open_contexts > 0 {
            return;
        }
        if let Status::Stopping(waiting) = &mut canister.status {
            let waiting = std::mem::take(waiting);
            canister.status = Status::Stopped;
            for origin in waiting {
                self.respond(origin, Ok(management::nothing()), 0);
            }
        }
    }

    /// Rejects everything that a canister still owes an answer to, when its code is removed.
    pub(crate) fn abandon(&mut self, id: Principal) {
        let open: Vec<ContextId> = self
            .calls
            .contexts
            .iter()
            .filter(|(_, c)| c.canister == id)
            .map(|(id, _)| *id)
            .collect();
        for context in open {
            let Some(context) = self.calls.contexts.remove(&context) else {
                continue;
            };
            if !context.answered {
                let reject = Reject {
                    code: RejectCode::CanisterReject,
                    message: "Canister has been uninstalled.".to_owned(),
                    error_code: Some(ErrorCode::CanisterRejectedMessage),
                };
                self.respond(context.origin, Err(reject), context.cycles_available);
            }
        }
        if let Some(canister) = self.canisters.get_mut(&id) {
            canister.open_contexts = 0;
            canister.outstanding_calls = 0;
        }
        self.settle(id);
    }
}

fn table((function, environment): Callback) -> Callable {
    Callable::Table {
        function,
        environment,
    }
}
