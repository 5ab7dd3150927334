//! Calls to other canisters.
//!
//! A call is built step by step and leaves the canister with `call_perform`; until then, and where that fails, its
//! cycles are the canister's. Whether the callee's subnet takes so long an argument is found out on the way there.

use candid::Principal;
use wasmtime::Linker;

use super::{
    Host,
    access::{Access, Pointer, SystemCalls, system_call, u128_of},
    cycles::liquid,
};
use crate::{
    cycles::MAX_RESPONSE_BYTES,
    wasm::{Advice, Trap},
};

/// Method name and argument of a call within the subnet, in bytes.
const MAX_PAYLOAD: u64 = 10 * 1024 * 1024;
/// Longest method name, in bytes.
const MAX_METHOD_NAME: u64 = 20_000;
/// Calls from one canister to another that may be under way.
const MAX_OUTSTANDING: usize = 500;
/// Longest wait of a best-effort call, in seconds.
const MAX_WAIT_S: u32 = 300;
const SECOND_NS: u64 = 1_000_000_000;
/// What `call_perform` answers where the call could not be sent: `SYS_TRANSIENT`.
const NOT_SENT: u32 = 2;

/// A function of the canister's table, with its environment.
pub(crate) type Callback = (u64, u64);

/// A call that a message makes.
#[derive(Clone, Debug)]
pub(crate) struct OutgoingCall {
    pub(crate) callee: Principal,
    pub(crate) method: String,
    pub(crate) arg: Vec<u8>,
    pub(crate) cycles: u128,
    /// What the canister paid for sending it, and for its answer.
    pub(crate) price: u128,
    pub(crate) on_reply: Callback,
    pub(crate) on_reject: Callback,
    pub(crate) on_cleanup: Option<Callback>,
    /// Nanoseconds since 1970 for a best-effort call, else 0.
    pub(crate) deadline: u64,
}

impl OutgoingCall {
    fn payload(&self) -> u64 {
        (self.method.len() + self.arg.len()) as u64
    }

    /// Memory that the call and its longest answer take, in bytes.
    pub(crate) fn reserved(&self) -> u64 {
        self.payload() + MAX_RESPONSE_BYTES
    }
}

pub(super) fn link<P: Pointer>(
    linker: &mut Linker<Host>,
    calls: &SystemCalls,
) -> wasmtime::Result<()> {
    system_call!(linker, calls, "call_new",
        (callee: P, callee_len: P, method: P, method_len: P,
         reply: P, reply_env: P, reject: P, reject_env: P), |host| {
        let (callee, method) = destination(host, (callee.into(), callee_len.into()),
            (method.into(), method_len.into()))?;
        // A call that was begun and never performed is forgotten, and its cycles with it come back.
        host.effects().building = Some(OutgoingCall {
            callee,
            method,
            arg: Vec::new(),
            cycles: 0,
            price: 0,
            on_reply: (reply.into(), reply_env.into()),
            on_reject: (reject.into(), reject_env.into()),
            on_cleanup: None,
            deadline: 0,
        });
    });
    system_call!(linker, calls, "call_data_append", (from: P, len: P), |host|
        append(host, from.into(), len.into())?);
    system_call!(linker, calls, "call_on_cleanup", (function: P, environment: P), |host| {
        let cleanup = (function.into(), environment.into());
        if building(host, "ic0.call_on_cleanup")?.on_cleanup.replace(cleanup).is_some() {
            Err(Trap::contract(
                "ic0.call_on_cleanup can be called at most once between `ic0.call_new` and `ic0.call_perform`",
            ))?;
        }
    });
    system_call!(linker, calls, "call_with_best_effort_response", (seconds: u32), |host| {
        let now = host.environment()?.time;
        let deadline = now.plus(u64::from(seconds.min(MAX_WAIT_S)) * SECOND_NS).0;
        let call = building(host, "ic0.call_with_best_effort_response")?;
        if call.deadline != 0 {
            Err(Trap::contract("ic0_call_with_best_effort_response failed because a timeout is already set."))?;
        }
        // Deadlines are whole seconds, never 0: that means that there is none.
        call.deadline = (deadline - deadline % SECOND_NS).max(1);
    });
    if !P::MEMORY64 {
        system_call!(linker, calls, "call_cycles_add", (cycles: u64), |host|
            add_cycles(host, "ic0_call_cycles_add", cycles.into())?);
    }
    system_call!(linker, calls, "call_cycles_add128", (high: u64, low: u64), |host|
        add_cycles(host, "ic0_call_cycles_add128", u128_of(high, low))?);
    system_call!(linker, calls, "call_perform", () -> u32, |host| perform(host)?);
    Ok(())
}

/// Whom a new call goes to, and which method it calls.
fn destination(
    host: &mut Access<'_, '_>,
    (callee, callee_len): (u64, u64),
    (method, method_len): (u64, u64),
) -> Result<(Principal, String), Trap> {
    host.charge_bytes(callee_len.saturating_add(method_len))?;
    if method_len > MAX_METHOD_NAME {
        let text = format!(
            "Size of method_name {method_len} exceeds the allowed limit of {MAX_METHOD_NAME}."
        );
        return Err(Trap::Misuse(text, Advice::NONE));
    }
    let method = host.heap("ic0.call_new method_name", method, method_len)?;
    let method = String::from_utf8_lossy(method).into_owned();
    let callee = host.heap("ic0.call_new callee_src", callee, callee_len)?;
    let callee = Principal::try_from(callee).map_err(|_| Trap::Principal)?;
    Ok((callee, method))
}

fn building<'a>(
    host: &'a mut Access<'_, '_>,
    function: &str,
) -> Result<&'a mut OutgoingCall, Trap> {
    let missing = || {
        Trap::contract(format!(
            "{function} called when no call is under construction."
        ))
    };
    host.effects().building.as_mut().ok_or_else(missing)
}

fn append(host: &mut Access<'_, '_>, from: u64, len: u64) -> Result<(), Trap> {
    host.charge_bytes(len)?;
    let call = building(host, "ic0.call_data_append")?;
    let size = call.payload().saturating_add(len);
    if size > MAX_PAYLOAD {
        let text = format!(
            "Request to {}:{} has a payload size of {size}, which exceeds the allowed limit of {MAX_PAYLOAD}.",
            call.callee, call.method
        );
        return Err(Trap::Misuse(text, Advice::NONE));
    }
    let bytes = host.heap("ic0.call_data_append", from, len)?.to_vec();
    building(host, "ic0.call_data_append")?
        .arg
        .extend_from_slice(&bytes);
    Ok(())
}

fn add_cycles(host: &mut Access<'_, '_>, function: &str, cycles: u128) -> Result<(), Trap> {
    building(host, function)?;
    if cycles > liquid(host) {
        let canister = host.environment()?.canister;
        return Err(Trap::Refused(format!(
            "Canister {canister} is out of cycles"
        )));
    }
    building(host, function)?.cycles += cycles;
    Ok(())
}

/// Sends the call, and pays for it and for its answer; where it can't be sent, its cycles come back.
fn perform(host: &mut Access<'_, '_>) -> Result<u32, Trap> {
    let call = building(host, "ic0.call_perform")?;
    let (callee, bytes, reserved) = (call.callee, call.payload(), call.reserved());
    let performed = host.effects().calls.iter();
    let held: u64 = performed.clone().map(OutgoingCall::reserved).sum();
    let performed = performed.filter(|call| call.callee == callee).count();
    let spendable = liquid(host);
    let is_replicated = host.context()?.is_replicated();
    let environment = host.environment()?;
    let waiting = environment.outgoing.get(&callee).copied().unwrap_or(0);
    let (limit, memory64) = (environment.callback_limit, environment.memory64);
    let price = if is_replicated {
        environment.prices.call(bytes, limit, memory64)
    } else {
        // Composite queries pay for nothing.
        0
    };
    let room = environment.message_room;
    let call = host.effects().building.take();
    if waiting + performed >= MAX_OUTSTANDING || held + reserved > room || price > spendable {
        return Ok(NOT_SENT);
    }
    host.effects()
        .calls
        .extend(call.map(|call| OutgoingCall { price, ..call }));
    Ok(0)
}
