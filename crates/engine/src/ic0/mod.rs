//! The system API: the functions that a canister imports from `ic0` (IC interface specification,
//! "System API"), grouped as there.
//!
//! Each call first checks that it may be made from the current [`Context`] and pays its fixed charge; bytes
//! that it moves cost 1 instruction each. What the canister does to the outside is collected in
//! [`Effects`]; the subnet applies them only if the execution succeeds. What it prints stays in any case.

mod access;
mod calls;
mod canister;
mod context;
mod costs;
mod cycles;
mod limiter;
mod message;
mod pages;
mod stable;
mod variables;

use std::{collections::BTreeMap, sync::Arc};

use candid::Principal;
use wasmtime::{Linker, Memory};

use crate::{
    SenderInfo, Time,
    certification::LazyCertificate,
    cycles::{Occupied, Prices},
    memory::StableMemory,
    wasm::Trap,
};
use pages::PageSet;

pub(crate) use calls::{Callback, OutgoingCall};
pub(crate) use context::Context;
pub(crate) use limiter::{MAX_HEAP_32, MAX_HEAP_64};

/// Longest reply to an update call, in bytes.
const MAX_REPLY: u64 = 2 * 1024 * 1024;
/// Longest reply to a query, in bytes.
const MAX_QUERY_REPLY: u64 = 3 * 1024 * 1024;

/// What a canister can know of itself and its subnet.
#[derive(Clone)]
pub(crate) struct Environment {
    pub(crate) canister: Principal,
    pub(crate) subnet: Principal,
    pub(crate) time: Time,
    /// 1 running, 2 stopping, 3 stopped.
    pub(crate) status: u32,
    pub(crate) version: u64,
    pub(crate) controllers: Arc<[Principal]>,
    pub(crate) variables: Arc<BTreeMap<String, String>>,
    pub(crate) balance: u128,
    /// When the global timer fires, in nanoseconds; 0 where it is not set.
    pub(crate) timer: u64,
    pub(crate) root_key: Arc<[u8]>,
    /// Calls of this canister that are not answered yet, by callee.
    pub(crate) outgoing: Arc<BTreeMap<Principal, usize>>,
    /// Memory that the subnet has left for calls, in bytes.
    pub(crate) message_room: u64,
    pub(crate) prices: Prices,
    /// Nodes of the subnet.
    pub(crate) nodes: u32,
    pub(crate) occupation: Occupation,
    /// Instructions that a callback may execute: a call pays for it before.
    pub(crate) callback_limit: u64,
    pub(crate) memory64: bool,
    /// What the controllers allow the heap to grow to, in bytes; 0: as far as it can.
    pub(crate) wasm_memory_limit: u64,
}

/// What a canister pays for as time goes by, which says how much of its balance can't be spent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Occupation {
    /// Bytes that it uses before the message.
    pub(crate) memory: u64,
    /// Bytes that are reserved for it.
    pub(crate) memory_allocation: u64,
    /// Percents of a core that are reserved for it.
    pub(crate) compute: u64,
    /// For how many seconds it must be able to pay.
    pub(crate) freezing_threshold: u64,
}

impl Occupation {
    /// Bytes that are paid for once the canister has grown by so many.
    fn bytes(self, grown: u64) -> u64 {
        self.memory
            .saturating_add(grown)
            .max(self.memory_allocation)
    }

    /// The balance below which the canister is frozen then.
    fn reserve(self, prices: Prices, grown: u64) -> u128 {
        let occupied = Occupied {
            memory: self.bytes(grown),
            compute: self.compute,
        };
        prices.freezing_reserve(occupied, self.freezing_threshold)
    }
}

/// The message that is executed.
pub(crate) struct Message {
    pub(crate) context: Context,
    pub(crate) environment: Environment,
    pub(crate) caller: Principal,
    /// What a canister says about the caller.
    pub(crate) sender_info: Option<SenderInfo>,
    /// The called method; of a system task, its hook.
    pub(crate) method: String,
    pub(crate) arg: Vec<u8>,
    /// Code and text, where a call of the canister was rejected.
    pub(crate) reject: Option<(u32, String)>,
    pub(crate) cycles_available: u128,
    pub(crate) cycles_refunded: u128,
    /// Of a best-effort call, else 0.
    pub(crate) deadline: u64,
    /// The call context has been answered by an earlier message.
    pub(crate) answered: bool,
    /// For queries only.
    pub(crate) certificate: Option<Arc<LazyCertificate>>,
    /// Instructions that earlier messages of the call context executed.
    pub(crate) instructions_before: u64,
}

/// A canister's answer to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Reply(Vec<u8>),
    Reject(String),
}

/// What an execution did to the outside.
#[derive(Default)]
pub(crate) struct Effects {
    reply_data: Vec<u8>,
    pub(crate) answer: Option<Answer>,
    /// `accept_message` was called.
    pub(crate) accepted: bool,
    pub(crate) certified_data: Option<Vec<u8>>,
    /// New time of the global timer, in nanoseconds; 0 deactivates it.
    pub(crate) timer: Option<u64>,
    pub(crate) calls: Vec<OutgoingCall>,
    building: Option<OutgoingCall>,
    pub(crate) cycles_accepted: u128,
    pub(crate) cycles_burned: u128,
    pub(crate) cycles_minted: u128,
}

/// A line of a canister's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogLine {
    /// Of the message that printed it.
    pub(crate) time: Time,
    pub(crate) content: Vec<u8>,
}

/// The host's side of a store.
pub(crate) struct Host {
    pub(crate) stable: StableMemory,
    pub(crate) memory: Option<Memory>,
    message: Option<Message>,
    effects: Effects,
    log: Vec<Vec<u8>>,
    limit: u64,
    /// Bytes that heap and stable memory grew by in this message.
    grown: u64,
    /// Pages of stable memory that this message wrote.
    written: PageSet,
    /// Pages of stable memory that this message read or wrote.
    touched: PageSet,
}

impl Host {
    pub(crate) fn new(stable: StableMemory) -> Self {
        Self {
            stable,
            memory: None,
            message: None,
            effects: Effects::default(),
            log: Vec::new(),
            limit: 0,
            grown: 0,
            written: PageSet::default(),
            touched: PageSet::default(),
        }
    }

    /// Prepares for a message that may execute `limit` instructions.
    pub(crate) fn begin(&mut self, message: Message, limit: u64) {
        self.message = Some(message);
        self.effects = Effects::default();
        self.limit = limit;
        self.grown = 0;
        self.log.clear();
        self.written.clear();
        self.touched.clear();
    }

    /// The balance as the message has left it so far.
    fn balance(&self) -> u128 {
        let before = self.message.as_ref();
        let before = before.map_or(0, |message| message.environment.balance);
        let effects = &self.effects;
        let under_way = effects.calls.iter().chain(&effects.building);
        let sent: u128 = under_way.map(|call| call.cycles + call.price).sum();
        before
            .saturating_add(effects.cycles_accepted)
            .saturating_add(effects.cycles_minted)
            .saturating_sub(sent + effects.cycles_burned)
    }

    /// What of it can't be spent without freezing the canister.
    fn reserve(&self) -> u128 {
        self.message.as_ref().map_or(0, |message| {
            let environment = &message.environment;
            environment
                .occupation
                .reserve(environment.prices, self.grown)
        })
    }

    /// Notes that heap or stable memory grows, which must not freeze the canister. Queries, callbacks and
    /// installations are let through: the former are undone, the latter looked at as a whole.
    fn grow(&mut self, bytes: u64) -> Result<(), Trap> {
        let Some(message) = &self.message else {
            return Ok(());
        };
        let before = self.grown;
        self.grown = before.saturating_add(bytes);
        let checked = matches!(message.context, Context::Update | Context::System);
        let (balance, reserve) = (self.balance(), self.reserve());
        let occupation = message.environment.occupation;
        let bytes = occupation.bytes(self.grown) - occupation.bytes(before);
        if !checked || bytes == 0 || balance >= reserve {
            return Ok(());
        }
        let is_controller = message.environment.controllers.contains(&message.caller);
        Err(Trap::CannotPayGrowth {
            bytes,
            missing: is_controller.then_some(reserve - balance),
        })
    }

    /// Ends it, and hands out what it did, and what it printed; a trap leaves a line too.
    pub(crate) fn end(&mut self, trap: Option<&Trap>) -> (Effects, Vec<LogLine>) {
        let time = self.message.take().map(|message| message.environment.time);
        let time = time.unwrap_or_default();
        let printed = std::mem::take(&mut self.log).into_iter();
        let last = trap.and_then(Trap::log_line).map(String::into_bytes);
        let line = |content| LogLine { time, content };
        let log = printed.chain(last).map(line).collect();
        (std::mem::take(&mut self.effects), log)
    }
}

impl Message {
    /// How the replica calls the entry point, in errors.
    fn mode(&self) -> &'static str {
        match (self.context, self.method.as_str()) {
            (Context::System, "canister_heartbeat") => "heartbeat",
            (Context::System, "canister_global_timer") => "global timer",
            (Context::System, "canister_on_low_wasm_memory") => "on low Wasm memory",
            (context, _) => context.name(),
        }
    }
}

/// Links all of `ic0`, for modules with a 32-bit or with a 64-bit memory.
pub(crate) fn linker(engine: &wasmtime::Engine, memory64: bool) -> wasmtime::Result<Linker<Host>> {
    if memory64 {
        link::<u64>(engine)
    } else {
        link::<u32>(engine)
    }
}

fn link<P: access::Pointer>(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<Host>> {
    let mut linker = Linker::new(engine);
    let calls = access::SystemCalls::new();
    message::link::<P>(&mut linker, &calls)?;
    canister::link::<P>(&mut linker, &calls)?;
    variables::link::<P>(&mut linker, &calls)?;
    calls::link::<P>(&mut linker, &calls)?;
    cycles::link::<P>(&mut linker, &calls)?;
    costs::link::<P>(&mut linker, &calls)?;
    stable::link::<P>(&mut linker, &calls)?;
    Ok(linker)
}

#[cfg(test)]
mod tests {
    use canister_module::system_api::{FUNCTIONS, signature};
    use wasmtime::{Extern, Module, Store};

    use super::*;

    /// Each function that a module may import is linked, with the same type; no other is.
    #[test]
    fn what_may_be_imported_is_what_is_linked() {
        let engine = wasmtime::Engine::default();
        for memory64 in [false, true] {
            let linker = linker(&engine, memory64).unwrap();
            let mut store = Store::new(&engine, Host::new(StableMemory::new()));
            let mut linked: Vec<String> = linker
                .iter(&mut store)
                .map(|(module, name, function)| {
                    assert!(matches!(function, Extern::Func(_)));
                    assert_eq!(module, "ic0");
                    name.to_owned()
                })
                .collect();
            linked.sort();
            let mut module = "(module".to_owned();
            let mut importable = Vec::new();
            for (name, _) in FUNCTIONS {
                let Some((params, results)) = signature(name, memory64) else {
                    continue;
                };
                importable.push((*name).to_owned());
                let types = |types: Vec<_>| {
                    let types: Vec<String> = types.iter().map(ToString::to_string).collect();
                    types.join(" ")
                };
                module += &format!(
                    "(import \"ic0\" \"{name}\" (func (param {}) (result {})))",
                    types(params),
                    types(results)
                );
            }
            module += ")";
            assert_eq!(linked, importable);
            let module = Module::new(&engine, wat::parse_str(&module).unwrap()).unwrap();
            linker.instantiate(&mut store, &module).unwrap();
        }
    }
}
