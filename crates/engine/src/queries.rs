//! What reads or asks without changing anything: queries, and the inspection of calls before they are
//! taken.

use std::sync::Arc;

use candid::Principal;

use crate::{
    ErrorCode, Ingress, Query, Reject, SenderInfo,
    canister::Canister,
    ic0::{Answer, Context, Effects, Message},
    management,
    subnet::{Held, Subnet},
    wasm::Callable,
};
use canister_module::MethodKind;

impl Subnet {
    /// Runs a query on the committed state, and forgets what it wrote.
    pub(crate) fn query(this: &mut Held<'_>, query: Query) -> Result<Vec<u8>, Reject> {
        if this.is_management(&query.canister_id) {
            return management::query(this, &query);
        }
        let canister = this.availability(query.canister_id)?;
        if canister.is_frozen(this.prices) {
            let message = format!(
                "Canister {} is unable to process query calls because it's frozen. Please top up the canister with cycles and try again.",
                canister.id
            );
            return Err(Reject::new(ErrorCode::OutOfCycles, message));
        }
        let program = canister.program();
        let kind = program.and_then(|p| p.module.entry_points.method(&query.method));
        let (kind, context) = match kind {
            Some(kind @ MethodKind::Query) => (kind, Context::Query),
            Some(kind @ MethodKind::CompositeQuery) => (kind, Context::CompositeQuery),
            _ => {
                let message = format!("Canister has no query method '{}'", query.method);
                return Err(Reject::of(canister.id, ErrorCode::MethodNotFound, &message));
            }
        };
        let id = canister.id;
        let path = vec![
            b"canister".to_vec(),
            id.as_slice().to_vec(),
            b"certified_data".to_vec(),
        ];
        let certificate = Arc::new(this.tree.certificate([&path]));
        let mut message = this.message(
            canister,
            context,
            (query.sender, query.sender_info),
            &query.method,
            query.arg,
        );
        message.certificate = Some(certificate);
        let callable = Callable::Export(kind.export(&query.method));
        let effects = Self::look(
            this,
            id,
            &callable,
            message,
            this.limits.of_context(context),
            (&query.method, "query"),
        )?;
        match effects.answer {
            Some(Answer::Reply(reply)) => Ok(reply),
            Some(Answer::Reject(message)) => Err(Reject::by_canister(message)),
            None => Err(Reject::of(
                id,
                ErrorCode::DidNotReply,
                "Canister did not reply to the call",
            )),
        }
    }

    /// Asks a canister that exports `canister_inspect_message` whether it takes a call.
    pub(crate) fn inspect(this: &mut Held<'_>, ingress: &Ingress) -> Result<(), Reject> {
        const HOOK: &str = "canister_inspect_message";
        let canister = this.availability(ingress.canister_id)?;
        let program = canister.program();
        if !program.is_some_and(|program| program.module.entry_points.has_hook(HOOK)) {
            return Ok(());
        }
        let id = canister.id;
        let arg = ingress.arg.clone();
        let message = this.message(
            canister,
            Context::Inspect,
            (ingress.sender, ingress.sender_info.clone()),
            &ingress.method,
            arg,
        );
        let callable = Callable::Export(HOOK.to_owned());
        let effects = Self::look(
            this,
            id,
            &callable,
            message,
            this.limits.of_context(Context::Inspect),
            (HOOK, "system"),
        )?;
        if effects.accepted {
            Ok(())
        } else {
            Err(Reject::new(
                ErrorCode::CanisterRejectedMessage,
                "Canister rejected the message",
            ))
        }
    }

    fn message(
        &self,
        canister: &Canister,
        context: Context,
        (sender, sender_info): (Principal, Option<SenderInfo>),
        method: &str,
        arg: Vec<u8>,
    ) -> Message {
        Message {
            context,
            environment: self.environment(canister),
            caller: sender,
            sender_info,
            method: method.to_owned(),
            arg,
            reject: None,
            cycles_available: 0,
            cycles_refunded: 0,
            deadline: 0,
            answered: false,
            certificate: None,
            instructions_before: 0,
        }
    }

    /// Runs a message and undoes it.
    fn look(
        this: &mut Held<'_>,
        id: Principal,
        callable: &Callable,
        message: Message,
        limit: u64,
        (counted_as, kind): (&str, &'static str),
    ) -> Result<Effects, Reject> {
        let subnet: &mut Self = this;
        let canister = subnet
            .canisters
            .get_mut(&id)
            .ok_or_else(|| Reject::not_found(id))?;
        let instance = canister
            .instance
            .as_mut()
            .ok_or_else(|| Reject::not_found(id))?;
        let request_bytes = message.arg.len();
        let run = instance.run(callable, message, limit);
        instance.rollback();
        if kind == "query" {
            let response_bytes = match run.result.as_ref().map(|effects| &effects.answer) {
                Ok(Some(Answer::Reply(reply))) => reply.len(),
                Ok(Some(Answer::Reject(message))) => message.len(),
                _ => 0,
            };
            let totals = &mut canister.query_stats;
            totals.count(run.instructions, request_bytes, response_bytes);
        }
        subnet.metrics.count(id, counted_as, kind, run.instructions);
        run.result.map_err(|trap| trap.reject(id))
    }
}
