//! The system API: the functions that a canister imports from `ic0` (IC interface specification,
//! "System API"), grouped as there.
//!
//! Each call first checks that it may be made from the current [`Context`] and pays its fixed charge; bytes
//! that it moves cost 1 instruction each. What the canister does to the outside is collected in
//! [`Effects`]; the subnet applies them only if the execution succeeds.

mod access;
mod calls;
mod canister;
mod context;
mod cycles;
mod message;
mod stable;

use std::{collections::BTreeMap, collections::HashSet, sync::Arc};

use candid::Principal;
use wasmtime::{Linker, Memory, StoreLimits, StoreLimitsBuilder};

use crate::{
    Time, certification::LazyCertificate, cycles::Prices, memory::StableMemory, topology::Directory,
};

pub(crate) use calls::{Callback, OutgoingCall};
pub(crate) use context::Context;

/// Longest reply to an update call, in bytes.
const MAX_REPLY: usize = 2 * 1024 * 1024;
/// Longest reply to a query, in bytes.
const MAX_QUERY_REPLY: usize = 3 * 1024 * 1024;
/// Largest table of a canister, in elements.
const MAX_TABLE: usize = canister_module::limits::TABLE_ELEMENTS;

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
    /// Which subnet has which canisters.
    pub(crate) directory: Arc<Directory>,
    pub(crate) prices: Prices,
    /// Nodes of the subnet.
    pub(crate) nodes: u32,
    /// Cycles of the balance that can't be spent.
    pub(crate) freezing_reserve: u128,
    /// Instructions that a callback may execute: a call pays for it before.
    pub(crate) callback_limit: u64,
    pub(crate) memory64: bool,
}

/// The message that is executed.
pub(crate) struct Message {
    pub(crate) context: Context,
    pub(crate) environment: Environment,
    pub(crate) caller: Principal,
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
    /// What the canister printed.
    pub(crate) log: Vec<String>,
}

/// The host's side of a store.
pub(crate) struct Host {
    pub(crate) stable: StableMemory,
    pub(crate) memory: Option<Memory>,
    pub(crate) limits: StoreLimits,
    message: Option<Message>,
    effects: Effects,
    limit: u64,
    /// 4 KiB pages of stable memory that this message wrote.
    stable_pages: HashSet<u64>,
}

impl Host {
    pub(crate) fn new(stable: StableMemory) -> Self {
        Self {
            stable,
            memory: None,
            limits: StoreLimitsBuilder::new()
                .table_elements(MAX_TABLE)
                .instances(1)
                .memories(1)
                .build(),
            message: None,
            effects: Effects::default(),
            limit: 0,
            stable_pages: HashSet::new(),
        }
    }

    /// Prepares for a message that may execute `limit` instructions.
    pub(crate) fn begin(&mut self, message: Message, limit: u64) {
        self.message = Some(message);
        self.effects = Effects::default();
        self.limit = limit;
        self.stable_pages.clear();
    }

    /// Ends it, and hands out what it did.
    pub(crate) fn end(&mut self) -> Effects {
        self.message = None;
        std::mem::take(&mut self.effects)
    }
}

/// Links all of `ic0`.
pub(crate) fn linker(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<Host>> {
    let mut linker = Linker::new(engine);
    let calls = access::SystemCalls::new();
    message::link(&mut linker, &calls)?;
    canister::link(&mut linker, &calls)?;
    calls::link(&mut linker, &calls)?;
    cycles::link(&mut linker, &calls)?;
    stable::link(&mut linker, &calls)?;
    Ok(linker)
}
