//! What reads or asks without changing anything: queries, and the inspection of calls before they are
//! taken.
//!
//! A query runs on a twin of its canister, which has the last committed state, with the subnet's lock given up: beside
//! the message that executes, and beside other queries. The certificate that it sees is of the same state.
//! Composite queries are in [`crate::composite`].

use std::sync::Arc;

use candid::Principal;
use canister_module::MethodKind;
use parking_lot::MutexGuard;

use crate::{
    ErrorCode, Ingress, Query, Reject, SenderInfo,
    canister::Canister,
    certification::LazyCertificate,
    composite,
    ic0::{Answer, Context, Effects, Message},
    management,
    metrics::INSPECT,
    subnet::{Held, Subnet},
    wasm::{Callable, Run, RuntimeError, Twin},
};

/// One execution of a query, or of the inspection of a call.
pub(crate) struct Look<'a> {
    pub(crate) canister: Principal,
    pub(crate) context: Context,
    pub(crate) callable: &'a Callable,
    pub(crate) sender: Principal,
    pub(crate) sender_info: Option<SenderInfo>,
    pub(crate) method: &'a str,
    pub(crate) arg: Vec<u8>,
    /// Code and text, where a call of the composite query was rejected.
    pub(crate) reject: Option<(u32, String)>,
    pub(crate) certificate: Option<Arc<LazyCertificate>>,
    /// The call has been answered by an earlier execution.
    pub(crate) answered: bool,
    /// Instructions of earlier executions of the same call.
    pub(crate) instructions_before: u64,
    pub(crate) limit: u64,
}

impl<'a> Look<'a> {
    pub(crate) fn new(
        canister: Principal,
        context: Context,
        callable: &'a Callable,
        method: &'a str,
        limit: u64,
    ) -> Self {
        Self {
            canister,
            context,
            callable,
            sender: Principal::anonymous(),
            sender_info: None,
            method,
            arg: Vec::new(),
            reject: None,
            certificate: None,
            answered: false,
            instructions_before: 0,
            limit,
        }
    }
}

impl Subnet {
    /// Answers a query of a user.
    pub(crate) fn query(this: &mut Held<'_>, query: Query) -> Result<Vec<u8>, Reject> {
        if this.is_management(&query.canister_id) {
            return management::query(this, &query);
        }
        composite::evaluate(this, query)
    }

    /// The canister that is to answer a query, and how its method is entered.
    pub(crate) fn query_entry(
        &self,
        id: Principal,
        method: &str,
    ) -> Result<(&Canister, MethodKind), Reject> {
        let canister = self.availability(id)?;
        if canister.is_frozen(self.prices) {
            let message = format!(
                "Canister {id} is unable to process query calls because it's frozen. Please top up the canister with cycles and try again."
            );
            return Err(Reject::new(ErrorCode::OutOfCycles, message));
        }
        let program = canister.program();
        let kind = program.and_then(|p| p.module.entry_points.method(method));
        match kind {
            Some(kind @ (MethodKind::Query | MethodKind::CompositeQuery)) => Ok((canister, kind)),
            _ => {
                let message = format!("Canister has no query method '{method}'");
                Err(Reject::of(id, ErrorCode::MethodNotFound, &message))
            }
        }
    }

    /// What a query of a canister may show as proof of its certified data; signed only if it is read.
    pub(crate) fn data_certificate(&self, id: &Principal) -> Arc<LazyCertificate> {
        let path = vec![
            b"canister".to_vec(),
            id.as_slice().to_vec(),
            b"certified_data".to_vec(),
        ];
        Arc::new(self.tree.certificate([&path]))
    }

    /// A twin of a canister that has code, as of the last commit.
    pub(crate) fn twin(&self, id: Principal) -> Result<Twin, Reject> {
        let twins = self.canisters.get(&id).and_then(Canister::twins);
        let twins = twins.ok_or_else(|| Reject::not_found(id))?;
        twins.checkout().map_err(|error| no_twin(id, &error))
    }

    /// Runs a message on a twin with the lock given up, and counts it.
    pub(crate) fn look(
        this: &mut Held<'_>,
        twin: &mut Twin,
        look: Look<'_>,
        (counted_as, kind): (&str, &'static str),
    ) -> Result<(Effects, u64), (Reject, u64)> {
        let id = look.canister;
        let canister = this.canisters.get(&id);
        let canister = canister.ok_or_else(|| (Reject::not_found(id), 0))?;
        let request_bytes = look.arg.len();
        let message = Message {
            context: look.context,
            environment: this.environment(canister),
            caller: look.sender,
            sender_info: look.sender_info,
            method: look.method.to_owned(),
            arg: look.arg,
            reject: look.reject,
            cycles_available: 0,
            cycles_refunded: 0,
            deadline: 0,
            answered: look.answered,
            certificate: look.certificate,
            instructions_before: look.instructions_before,
        };
        let Run {
            result,
            instructions,
            ..
        } = MutexGuard::unlocked(this, || twin.run(look.callable, message, look.limit));
        this.metrics.count(id, counted_as, kind, instructions);
        if kind == "query"
            && let Some(canister) = this.canisters.get_mut(&id)
        {
            let response_bytes = match result.as_ref().map(|effects| &effects.answer) {
                Ok(Some(Answer::Reply(reply))) => reply.len(),
                Ok(Some(Answer::Reject(message))) => message.len(),
                _ => 0,
            };
            let totals = &mut canister.query_stats;
            totals.count(instructions, request_bytes, response_bytes);
        }
        match result {
            Ok(effects) => Ok((effects, instructions)),
            Err(trap) => Err((trap.reject(id), instructions)),
        }
    }

    /// Asks a canister that exports `canister_inspect_message` whether it takes a call.
    pub(crate) fn inspect(this: &mut Held<'_>, ingress: &Ingress) -> Result<(), Reject> {
        let canister = this.availability(ingress.canister_id)?;
        let program = canister.program();
        if !program.is_some_and(|program| program.module.entry_points.has_hook(INSPECT)) {
            return Ok(());
        }
        let id = canister.id;
        let callable = Callable::Export(INSPECT.to_owned());
        let limit = this.limits.of_context(Context::Inspect);
        let mut look = Look::new(id, Context::Inspect, &callable, &ingress.method, limit);
        look.sender = ingress.sender;
        look.sender_info.clone_from(&ingress.sender_info);
        look.arg.clone_from(&ingress.arg);
        let mut twin = this.twin(id)?;
        let (effects, _) =
            Self::look(this, &mut twin, look, (INSPECT, "system")).map_err(|(reject, _)| reject)?;
        if effects.accepted {
            Ok(())
        } else {
            Err(Reject::new(
                ErrorCode::CanisterRejectedMessage,
                "Canister rejected the message",
            ))
        }
    }
}

/// The machine has no room for another instance.
fn no_twin(id: Principal, error: &RuntimeError) -> Reject {
    let message = format!("Canister {id} can't answer now: {error}");
    Reject::new(ErrorCode::SubnetOversubscribed, message)
}
