//! Executing one message: enter the canister, then commit everything it did, or nothing of it.
//!
//! A message that succeeds commits heap, stable memory, globals, certified data, timer, answer, calls and
//! cycles at once; one that traps leaves all of them as they were. A callback that traps runs the cleanup
//! callback on that state (IC interface specification, "Abstract behaviour").

use std::sync::Arc;

use candid::Principal;
use parking_lot::MutexGuard;

use crate::{
    ErrorCode, Reject, RejectCode,
    calls::{CallContext, ContextId, Origin, PendingCall, Request, Response, Work},
    canister::{Canister, LowMemoryHook, Status},
    cycles::MAX_RESPONSE_BYTES,
    ic0::{Answer, Context, Effects, LogLine, Message},
    management,
    subnet::{Held, Subnet},
    wasm::{Callable, Run},
};
use canister_module::MethodKind;

/// Longest method name and argument of a call to another subnet, in bytes.
const MAX_REMOTE_REQUEST: u64 = 2 * 1024 * 1024;

/// One message of a call context.
struct Entry<'a> {
    callable: &'a Callable,
    context: Context,
    arg: Vec<u8>,
    /// Code and text, where a call of the canister was rejected.
    reject: Option<(u32, String)>,
    refunded: u128,
    /// Cycles that were taken for it before; none: they are taken now.
    prepaid: Option<u128>,
}

impl<'a> Entry<'a> {
    fn new(callable: &'a Callable, context: Context, arg: Vec<u8>) -> Self {
        Self {
            callable,
            context,
            arg,
            reject: None,
            refunded: 0,
            prepaid: None,
        }
    }
}

impl Subnet {
    /// Executes one piece of work.
    pub(crate) fn execute(this: &mut Held<'_>, work: Work) {
        match work {
            Work::Request(request) => {
                if let Origin::Ingress(id) = &request.origin {
                    let subnet: &mut Self = this;
                    subnet.ingress.processing(id, &mut subnet.tree);
                }
                if this.is_management(&request.receiver) {
                    management::execute(this, request);
                } else {
                    Self::execute_request(this, request);
                }
            }
            Work::Response(response) => Self::execute_response(this, response),
            Work::Timer(canister) => Self::execute_task(this, canister, "canister_global_timer"),
            Work::Heartbeat(canister) => Self::execute_task(this, canister, "canister_heartbeat"),
            Work::LowMemory(canister) => {
                Self::execute_task(this, canister, "canister_on_low_wasm_memory");
            }
        }
    }

    /// Whether a call to this id is one to the management canister of this subnet.
    pub(crate) fn is_management(&self, receiver: &Principal) -> bool {
        *receiver == Principal::management_canister() || *receiver == self.id
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
            Origin::Call { subnet, call } => self.send(
                subnet,
                Work::Response(Response {
                    call,
                    result,
                    refund,
                }),
            ),
            Origin::System => {}
        }
    }

    /// Where a call goes. One that no subnet takes stays here, and is rejected.
    fn subnet_for(&self, request: &Request) -> Principal {
        let receiver = &request.receiver;
        let found = if self.directory.is_subnet(receiver) {
            Some(*receiver)
        } else if *receiver == Principal::management_canister() {
            // Calls that concern a canister or a subnet go there.
            match management::target(&request.arg) {
                Ok(canister) => self.directory.of_canister(&canister),
                Err(_) => management::target_subnet(&request.arg)
                    .filter(|subnet| self.directory.is_subnet(subnet)),
            }
        } else {
            self.directory.of_canister(receiver)
        };
        found.unwrap_or(self.id)
    }

    /// Queues a message here, or for the network to deliver.
    fn send(&mut self, subnet: Principal, work: Work) {
        if subnet == self.id {
            self.calls.queue.push_back(work);
        } else {
            self.outbox.push((subnet, work));
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
        if canister.program().is_none() {
            let message =
                "Attempted to execute a message, but the canister contains no Wasm module";
            return Err(Reject::of(id, ErrorCode::ModuleNotFound, message));
        }
        Ok(canister)
    }

    /// The export behind an update call, and the context that it runs in.
    fn update_entry(canister: &Canister, method: &str) -> Result<(Callable, Context), Reject> {
        let program = canister.program();
        let kind = program.and_then(|program| program.module.entry_points.method(method));
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

    fn execute_request(this: &mut Held<'_>, request: Request) {
        if request.deadline != 0 && request.deadline <= this.time.0 {
            // Its caller has been told already that it expired.
            let expired = Err(Reject::deadline_expired());
            return this.respond(request.origin, expired, request.cycles);
        }
        let entry = this
            .availability(request.receiver)
            .and_then(|canister| brings_enough(canister, &request).map(|()| canister))
            .and_then(|canister| Self::update_entry(canister, &request.method));
        let (callable, context) = match entry {
            Ok(entry) => entry,
            Err(reject) => return this.respond(request.origin, Err(reject), request.cycles),
        };
        let id = this.calls.open(CallContext {
            canister: request.receiver,
            origin: request.origin,
            caller: request.sender,
            sender_info: request.sender_info,
            method: request.method,
            cycles_available: request.cycles,
            answered: false,
            outstanding: 0,
            deadline: request.deadline,
            instructions: 0,
        });
        if let Some(canister) = this.canisters.get_mut(&request.receiver) {
            canister.open_contexts += 1;
        }
        let entry = Entry::new(&callable, context, request.arg);
        let result = Self::enter(this, id, entry);
        // A query leaves no trace but its answer.
        this.close(id, result.err());
    }

    fn execute_task(this: &mut Held<'_>, id: Principal, hook: &str) {
        if let Some(canister) = this.canisters.get_mut(&id) {
            canister.heartbeat_queued &= hook != "canister_heartbeat";
            if hook == "canister_on_low_wasm_memory" {
                canister.low_memory = LowMemoryHook::Executed;
            }
        }
        let Ok(canister) = this.availability(id) else {
            let now = this.time;
            // It was stopped after its timer fired, which fires again when it runs.
            if hook == "canister_global_timer"
                && let Some(canister) = this.canisters.get_mut(&id)
                && !matches!(canister.status, Status::Running)
            {
                canister.timer.get_or_insert(now);
            }
            return;
        };
        let program = canister.program();
        if !program.is_some_and(|program| program.module.entry_points.has_hook(hook)) {
            return;
        }
        let context = this.calls.open(CallContext {
            canister: id,
            origin: Origin::System,
            caller: Principal::management_canister(),
            sender_info: None,
            method: hook.to_owned(),
            cycles_available: 0,
            answered: true,
            outstanding: 0,
            deadline: 0,
            instructions: 0,
        });
        if let Some(canister) = this.canisters.get_mut(&id) {
            canister.open_contexts += 1;
        }
        let callable = Callable::Export(hook.to_owned());
        // Nobody waits for an answer; a trap is in the log.
        let _ = Self::enter(
            this,
            context,
            Entry::new(&callable, Context::System, Vec::new()),
        );
        this.close(context, None);
    }

    fn execute_response(this: &mut Held<'_>, response: Response) {
        let Response {
            call,
            result,
            refund,
        } = response;
        let subnet: &mut Self = this;
        let Some(pending) = subnet.calls.answered(call) else {
            // Too late, but what was not accepted is still the caller's.
            let caller = subnet.calls.late(call);
            return subnet.credit(caller, refund);
        };
        let id = pending.context;
        let bytes = result
            .as_ref()
            .map_or_else(|reject| reject.message.len(), Vec::len);
        let transmitted = subnet
            .prices
            .transmission(bytes as u64)
            .min(pending.transmission);
        subnet.ledger.burned += transmitted;
        subnet.credit(
            Some(pending.canister),
            refund + pending.transmission - transmitted,
        );
        let open = subnet.calls.contexts.get_mut(&id);
        let (Some(context), Some(canister)) = (open, subnet.canisters.get_mut(&pending.canister))
        else {
            return subnet.credit(Some(pending.canister), pending.execution);
        };
        context.outstanding -= 1;
        canister.calls_to(pending.callee, -1);
        let (callback, context, arg, reject) = match result {
            Ok(reply) => (pending.on_reply, Context::Reply, reply, None),
            Err(reject) => (
                pending.on_reject,
                Context::Reject,
                Vec::new(),
                Some((reject.code as u32, reject.message)),
            ),
        };
        let callable = Callable::callback(callback);
        let mut entry = Entry::new(&callable, context, arg);
        entry.reject.clone_from(&reject);
        entry.refunded = refund;
        entry.prepaid = Some(pending.execution);
        let failed = Self::enter(this, id, entry).err();
        let failed = match (failed, pending.on_cleanup) {
            (Some(failed), Some(cleanup)) => {
                let callable = Callable::callback(cleanup);
                let mut entry = Entry::new(&callable, Context::Cleanup, Vec::new());
                entry.reject = reject;
                // Paid for with the callback.
                entry.prepaid = Some(0);
                Some(match Self::enter(this, id, entry) {
                    Ok(()) => failed,
                    Err(again) => failed.and_cleanup(&again),
                })
            }
            (failed, _) => failed,
        };
        this.close(id, failed);
    }

    /// Gives cycles back to a canister; those of a canister that is gone are gone too.
    fn credit(&mut self, canister: Option<Principal>, cycles: u128) {
        match canister.and_then(|id| self.canisters.get_mut(&id)) {
            Some(canister) => canister.balance = canister.balance.saturating_add(cycles),
            None => self.ledger.burned += cycles,
        }
    }

    /// Runs one message of a call context; commits it and applies its effects, or undoes it.
    ///
    /// The most that it can cost is taken before, and the rest comes back after.
    fn enter(this: &mut Held<'_>, id: ContextId, entry: Entry<'_>) -> Result<(), Reject> {
        let gone = || Reject::new(ErrorCode::ModuleNotFound, "The canister is gone");
        let context = entry.context;
        let subnet: &mut Self = this;
        let call = subnet.calls.contexts.get(&id).ok_or_else(gone)?;
        let canister_id = call.canister;
        let caller = call.caller;
        let limit = subnet.limits.of_context(context);
        let canister = subnet.canisters.get_mut(&canister_id).ok_or_else(gone)?;
        let memory64 = canister.is_memory64();
        let paid = match entry.prepaid {
            Some(paid) => paid,
            None => {
                let most = subnet.prices.execution(limit, memory64);
                canister.withdraw(most, subnet.prices, &caller)?;
                most
            }
        };
        let canister = subnet.canisters.get(&canister_id).ok_or_else(gone)?;
        let call = subnet.calls.contexts.get(&id).ok_or_else(gone)?;
        let message = Message {
            context,
            environment: subnet.environment(canister),
            caller,
            sender_info: call.sender_info.clone(),
            method: call.method.clone(),
            arg: entry.arg,
            reject: entry.reject,
            cycles_available: call.cycles_available,
            cycles_refunded: entry.refunded,
            deadline: call.deadline,
            answered: call.answered,
            certificate: None,
            instructions_before: call.instructions,
        };
        let method = call.method.clone();
        let canister = subnet.canisters.get_mut(&canister_id).ok_or_else(gone)?;
        let mut instance = canister.lend().ok_or_else(gone)?;
        let Run {
            result,
            instructions,
            log,
        } = MutexGuard::unlocked(this, || instance.run(entry.callable, message, limit));
        let subnet: &mut Self = this;
        let canister = subnet.canisters.get_mut(&canister_id).ok_or_else(gone)?;
        let cost = subnet.prices.execution(instructions, memory64).min(paid);
        canister.balance = canister.balance.saturating_add(paid - cost);
        subnet.ledger.burned += cost;
        let kind = match context {
            Context::ReplicatedQuery => "query",
            Context::Reply | Context::Reject | Context::Cleanup => "callback",
            Context::System => "system",
            _ => "update",
        };
        subnet
            .metrics
            .count(canister_id, &method, kind, instructions);
        if let Some(call) = subnet.calls.contexts.get_mut(&id) {
            call.instructions += instructions;
        }
        let ended = match result {
            Ok(effects) => {
                if context == Context::ReplicatedQuery {
                    // A query leaves no trace but its answer.
                    instance.rollback();
                } else {
                    instance.commit();
                    canister.version += 1;
                }
                Ok(effects)
            }
            Err(trap) => {
                instance.rollback();
                Err(trap)
            }
        };
        canister.take_back(instance);
        canister.append_log(log);
        match ended {
            Ok(effects) => {
                subnet.apply(id, effects);
                Ok(())
            }
            Err(trap) => Err(trap.reject(canister_id)),
        }
    }

    /// Keeps what a canister printed.
    pub(crate) fn append_log(&mut self, id: Principal, lines: Vec<LogLine>) {
        if let Some(canister) = self.canisters.get_mut(&id) {
            canister.append_log(lines);
        }
    }

    /// What a message did to the canister itself: certified data, timer, cycles.
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
        let sent = effects.calls.iter().map(|call| call.cycles + call.price);
        let sent: u128 = sent.sum();
        canister.balance = canister
            .balance
            .saturating_add(effects.cycles_accepted)
            .saturating_add(effects.cycles_minted)
            - sent
            - effects.cycles_burned;
        self.ledger.burned += effects.cycles_burned;
        self.ledger.minted += effects.cycles_minted;
        if canister.runs_low() {
            // Before everything else that waits.
            self.calls.queue.push_front(Work::LowMemory(id));
        }
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
        let transmission = self.prices.transmission(MAX_RESPONSE_BYTES);
        for call in effects.calls {
            let bytes = (call.method.len() + call.arg.len()) as u64;
            let fee = self.prices.request(bytes).min(call.price);
            let execution = call.price - fee - transmission.min(call.price - fee);
            self.ledger.burned += fee;
            let waiting = self.calls.expect(PendingCall {
                context: id,
                canister: canister_id,
                callee: call.callee,
                reserved: call.reserved(),
                on_reply: call.on_reply,
                on_reject: call.on_reject,
                on_cleanup: call.on_cleanup,
                deadline: call.deadline,
                transmission: call.price - fee - execution,
                execution,
            });
            if let Some(context) = self.calls.contexts.get_mut(&id) {
                context.outstanding += 1;
            }
            if let Some(canister) = self.canisters.get_mut(&canister_id) {
                canister.calls_to(call.callee, 1);
            }
            let request = Request {
                origin: Origin::Call {
                    subnet: self.id,
                    call: waiting,
                },
                sender: canister_id,
                sender_info: None,
                receiver: call.callee,
                method: call.method,
                arg: call.arg,
                cycles: call.cycles,
                deadline: call.deadline,
            };
            let subnet = self.subnet_for(&request);
            if subnet != self.id && bytes > MAX_REMOTE_REQUEST {
                let message = format!(
                    "Inter-canister request too large: {bytes} bytes to another subnet, at most {MAX_REMOTE_REQUEST}"
                );
                let reject = Reject::new(ErrorCode::InvalidManagementPayload, message);
                self.respond(request.origin, Err(reject), request.cycles);
            } else {
                self.send(subnet, Work::Request(request));
            }
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
            for call in waiting {
                self.respond(call.origin, Ok(management::nothing()), call.cycles);
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
            canister.outgoing = Arc::default();
        }
        self.settle(id);
    }
}

/// Whether a call from another canister brings the cycles that its receiver asks of every such call.
fn brings_enough(canister: &Canister, request: &Request) -> Result<(), Reject> {
    let minimum = canister.settings.minimum_incoming_cycles;
    if !matches!(request.origin, Origin::Call { .. })
        || request.sender == canister.id
        || request.cycles >= minimum
    {
        return Ok(());
    }
    let message = format!(
        "Canister {} requires at least {minimum} transferred cycles, but only {} were transferred",
        canister.id, request.cycles
    );
    Err(Reject::new(ErrorCode::InsufficientCyclesInCall, message))
}
