//! Calls to other canisters.

use candid::Principal;
use wasmtime::Linker;

use super::{
    Host,
    access::{Access, SystemCalls, system_call, u128_of},
    cycles::{balance, liquid},
};
use crate::wasm::Trap;

/// Longest argument of a call within the subnet, in bytes.
const MAX_ARGUMENT: usize = 10 * 1024 * 1024;
/// Longest method name, in bytes.
const MAX_METHOD_NAME: usize = 20_000;
/// Calls that a canister may have under way to one other.
const MAX_OUTSTANDING: usize = 500;
/// Longest wait of a best-effort call, in seconds.
const MAX_WAIT_S: u32 = 300;
/// What `call_perform` answers where the call could not be sent: `SYS_TRANSIENT`.
const NOT_SENT: u32 = 2;

/// A function of the canister's table, with its environment.
pub(crate) type Callback = (u32, u32);

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

pub(super) fn link(linker: &mut Linker<Host>, calls: &SystemCalls) -> wasmtime::Result<()> {
    system_call!(linker, calls, "call_new",
        (callee: u32, callee_len: u32, method: u32, method_len: u32,
         reply: u32, reply_env: u32, reject: u32, reject_env: u32), |host| {
        let callee = host.read(callee, callee_len, Principal::MAX_LENGTH_IN_BYTES)?;
        let callee = Principal::try_from(callee).map_err(|e| Trap::contract(e.to_string()))?;
        let method = String::from_utf8(host.read(method, method_len, MAX_METHOD_NAME)?)
            .map_err(|_| Trap::contract("ic0.call_new: the method name is not valid UTF-8"))?;
        // A call that was begun and never performed is forgotten, and its cycles with it come back.
        host.effects().building = Some(OutgoingCall {
            callee,
            method,
            arg: Vec::new(),
            cycles: 0,
            price: 0,
            on_reply: (reply, reply_env),
            on_reject: (reject, reject_env),
            on_cleanup: None,
            deadline: 0,
        });
    });
    system_call!(linker, calls, "call_data_append", (from: u32, len: u32), |host| {
        let room = MAX_ARGUMENT.saturating_sub(building(host)?.arg.len());
        let bytes = host.read(from, len, room)?;
        building(host)?.arg.extend_from_slice(&bytes);
    });
    system_call!(linker, calls, "call_on_cleanup", (function: u32, environment: u32), |host| {
        if building(host)?.on_cleanup.replace((function, environment)).is_some() {
            Err(Trap::contract("ic0.call_on_cleanup: called twice"))?;
        }
    });
    system_call!(linker, calls, "call_with_best_effort_response", (seconds: u32), |host| {
        let now = host.environment()?.time;
        let deadline = now.plus(u64::from(seconds.min(MAX_WAIT_S)) * 1_000_000_000).0;
        let call = building(host)?;
        if call.deadline != 0 {
            Err(Trap::contract("ic0.call_with_best_effort_response: called twice"))?;
        }
        call.deadline = deadline;
    });
    system_call!(linker, calls, "call_cycles_add", (cycles: u64), |host| add_cycles(host, cycles.into())?);
    system_call!(linker, calls, "call_cycles_add128", (high: u64, low: u64), |host|
        add_cycles(host, u128_of(high, low))?);
    system_call!(linker, calls, "call_perform", () -> u32, |host| {
        let callee = building(host)?.callee;
        let under_way = host.environment()?.outgoing.get(&callee).copied().unwrap_or(0)
            + host.effects().calls.iter().filter(|call| call.callee == callee).count();
        let spendable = liquid(host)?;
        let (prices, limit) = (host.environment()?.prices, host.environment()?.callback_limit);
        let memory64 = host.environment()?.memory64;
        let call = host.effects().building.take().map(|mut call| {
            call.price = prices.call((call.method.len() + call.arg.len()) as u64, limit, memory64);
            call
        });
        let affordable = call.as_ref().is_some_and(|call| call.price <= spendable);
        if under_way >= MAX_OUTSTANDING || !affordable {
            NOT_SENT
        } else {
            host.effects().calls.extend(call);
            0
        }
    });
    Ok(())
}

fn building<'a>(host: &'a mut Access<'_, '_>) -> Result<&'a mut OutgoingCall, Trap> {
    let missing = || Trap::contract("no call is under construction: ic0.call_new comes first");
    host.effects().building.as_mut().ok_or_else(missing)
}

fn add_cycles(host: &mut Access<'_, '_>, cycles: u128) -> Result<(), Trap> {
    building(host)?;
    if cycles > balance(host)? {
        return Err(Trap::contract(
            "ic0.call_cycles_add: the balance is too low",
        ));
    }
    building(host)?.cycles += cycles;
    Ok(())
}
