//! A canister that calls any one function of `ic0` from any entry point.
//!
//! ```text
//!   select(entry, what) ──► stable memory ──► the entry point of that code runs `what`, each other nothing
//! ```
//!
//! Stable memory can be read from everywhere, `(start)` included, and outlives upgrades; so each entry point finds
//! out there whether it is the one under test. `canister_init`, which finds none, is told by its argument.

use std::fmt::Write as _;

use candid::{CandidType, Encode, Func, Principal};
use canister_module::system_api::{FUNCTIONS, signature};
use engine::{HttpResponse, Reject, RequestStatus};
use ic_management_canister_types::{
    CanisterInstallMode, CanisterSettings, EnvironmentVariable, HttpMethod, HttpRequestArgs,
    TransformContext, TransformFunc, UpdateSettingsArgs,
};

use crate::harness::{Net, alice, wasm};

/// Where a function is called from: a code of the specification's table, and how the replica calls it in errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) code: &'static str,
    pub(crate) mode: &'static str,
    entry: Entry,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    Start = 1,
    Init,
    PostUpgrade,
    PreUpgrade,
    Update,
    ReplicatedQuery,
    Query,
    CompositeQuery,
    Reply,
    Reject,
    Cleanup,
    CompositeReply,
    CompositeReject,
    CompositeCleanup,
    Inspect,
    Heartbeat,
    Timer,
    LowMemory,
    Transform,
}

const fn place(code: &'static str, mode: &'static str, entry: Entry) -> Place {
    Place { code, mode, entry }
}

pub(crate) const UPDATE: Place = place("U", "update", Entry::Update);
pub(crate) const QUERY: Place = place("NRQ", "non replicated query", Entry::Query);
pub(crate) const REPLY: Place = place("Ry", "reply callback", Entry::Reply);
pub(crate) const REJECT: Place = place("Rt", "reject callback", Entry::Reject);
pub(crate) const INSPECT: Place = place("F", "inspect message", Entry::Inspect);

pub(crate) const PLACES: &[Place] = &[
    place("s", "start", Entry::Start),
    place("I", "init", Entry::Init),
    place("I", "init", Entry::PostUpgrade),
    place("G", "pre upgrade", Entry::PreUpgrade),
    UPDATE,
    place("RQ", "replicated query", Entry::ReplicatedQuery),
    QUERY,
    place("CQ", "composite query", Entry::CompositeQuery),
    REPLY,
    REJECT,
    place("C", "cleanup", Entry::Cleanup),
    INSPECT,
    place("T", "heartbeat", Entry::Heartbeat),
    place("T", "global timer", Entry::Timer),
    place("T", "on low Wasm memory", Entry::LowMemory),
    place("TQ", "non replicated query", Entry::Transform),
    place("CRy", "composite reply callback", Entry::CompositeReply),
    place("CRt", "composite reject callback", Entry::CompositeReject),
    place("CC", "composite cleanup", Entry::CompositeCleanup),
];

/// Bytes that a call in the tests of charges moves, wherever a length is asked for.
pub(crate) const MOVED: u32 = 8;

/// What is run: a function, alone or after what it needs to succeed; or only what it needs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum What {
    Needs(usize),
    Bare(usize),
    Ready(usize),
}

impl What {
    fn number(self) -> u32 {
        let (kind, index) = match self {
            Self::Needs(index) => (1, index),
            Self::Bare(index) => (2, index),
            Self::Ready(index) => (3, index),
        };
        (index * 4 + kind) as u32
    }
}

#[derive(CandidType)]
struct Outcall {
    request_bytes: u64,
    http_roundtrip_time_ms: u64,
    raw_response_bytes: u64,
    transformed_response_bytes: u64,
    transform_instructions: u64,
}

/// Candid of the parameters of `cost_http_request_v2`.
fn outcall() -> Vec<u8> {
    let outcall = Outcall {
        request_bytes: 1,
        http_roundtrip_time_ms: 2,
        raw_response_bytes: 3,
        transformed_response_bytes: 4,
        transform_instructions: 5,
    };
    Encode!(&outcall).unwrap()
}

/// Whether a module with a memory of this width may import the function.
pub(crate) fn exists(function: usize, memory64: bool) -> bool {
    signature(FUNCTIONS[function].0, memory64).is_some()
}

/// Parameters of a call that succeeds where it may be made: zeros, but for these.
fn arguments(name: &str) -> Vec<u64> {
    let (letters, _) = FUNCTIONS
        .iter()
        .find(|(n, _)| *n == name)
        .and_then(|(_, letters)| letters.split_once(':'))
        .unwrap();
    let mut arguments = vec![0; letters.len()];
    let moved = u64::from(MOVED);
    match name {
        // Everything that is long enough to be copied from.
        "canister_self_copy"
        | "subnet_self_copy"
        | "root_key_copy"
        | "msg_reject_msg_copy"
        | "data_certificate_copy" => arguments = vec![400, 0, moved],
        "msg_arg_data_copy" => arguments = vec![400, 0, 4],
        "msg_method_name_copy" => arguments = vec![400, 0, 3],
        // Nothing to copy from in some contexts: the management canister's id is empty.
        "msg_caller_copy"
        | "msg_caller_info_data_copy"
        | "msg_caller_info_signer_copy"
        | "env_var_name_size" => {}
        "msg_reply_data_append"
        | "msg_reject"
        | "call_data_append"
        | "certified_data_set"
        | "debug_print"
        | "trap"
        | "is_controller" => arguments = vec![300, moved],
        "call_new" => arguments = vec![0, 0, 300, moved, 0, 0, 0, 0],
        "stable64_read" | "stable_read" => arguments = vec![500, 0, moved],
        "stable64_write" | "stable_write" => arguments = vec![0, 500, moved],
        "cost_sign_with_ecdsa" | "cost_sign_with_schnorr" | "cost_vetkd_derive_key" => {
            arguments = vec![300, moved, 0, 400];
        }
        "cost_http_request_v2" => arguments = vec![2_000, outcall().len() as u64, 400],
        "env_var_name_copy" => arguments = vec![0, 400, 0, moved],
        "env_var_name_exists" | "env_var_value_size" => arguments = vec![200, moved],
        "env_var_value_copy" => arguments = vec![200, moved, 400, 0, moved],
        "call_with_best_effort_response" => arguments[0] = 10,
        // Not memory that anything else uses.
        _ if letters.ends_with('p') => *arguments.last_mut().unwrap() = 400,
        _ => {}
    }
    arguments
}

/// The bytes that a call with [`arguments`] pays for.
pub(crate) fn bytes(name: &str) -> u64 {
    let arguments = arguments(name);
    match name {
        "msg_arg_data_copy"
        | "canister_self_copy"
        | "subnet_self_copy"
        | "root_key_copy"
        | "msg_reject_msg_copy"
        | "data_certificate_copy"
        | "msg_caller_copy"
        | "msg_method_name_copy"
        | "stable64_read"
        | "stable_read"
        | "stable64_write"
        | "stable_write" => arguments[2],
        "msg_reply_data_append"
        | "msg_reject"
        | "call_data_append"
        | "certified_data_set"
        | "debug_print"
        | "trap"
        | "is_controller"
        | "cost_sign_with_ecdsa"
        | "cost_sign_with_schnorr"
        | "cost_vetkd_derive_key" => arguments[1],
        "call_new" => arguments[1] + arguments[3],
        "env_var_name_copy" => arguments[3],
        "env_var_value_copy" => arguments[4],
        _ => 0,
    }
}

/// Operators of a call besides the function: constants, and the drop of its result.
pub(crate) fn operators(name: &str) -> u64 {
    let (_, letters) = FUNCTIONS.iter().find(|(n, _)| *n == name).unwrap();
    letters.len() as u64 - 1
}

struct Source {
    text: String,
    memory64: bool,
}

impl Source {
    fn pointer(&self) -> &'static str {
        if self.memory64 { "i64" } else { "i32" }
    }

    fn call(&self, name: &str) -> String {
        let (_, letters) = FUNCTIONS.iter().find(|(n, _)| *n == name).unwrap();
        let (params, results) = letters.split_once(':').unwrap();
        let mut call = String::new();
        for (letter, value) in params.chars().zip(arguments(name)) {
            let ty = match letter {
                'I' => "i64",
                'p' => self.pointer(),
                _ => "i32",
            };
            write!(call, "({ty}.const {value}) ").unwrap();
        }
        write!(call, "(call ${name})").unwrap();
        if !results.is_empty() {
            call += " (drop)";
        }
        call
    }

    /// What a function needs before it.
    fn needs(&self, name: &str) -> String {
        if name.starts_with("call_") && name != "call_new" {
            self.call("call_new")
        } else {
            String::new()
        }
    }
}

/// All of `ic0`, in WAT, each function by its own name.
pub(crate) fn imports(memory64: bool) -> String {
    let mut out = String::new();
    for (name, _) in FUNCTIONS {
        if let Some((params, results)) = signature(name, memory64) {
            let types = |types: Vec<_>| {
                let types: Vec<String> = types.iter().map(ToString::to_string).collect();
                types.join(" ")
            };
            let (params, results) = (types(params), types(results));
            writeln!(
                out,
                "(import \"ic0\" \"{name}\" (func ${name} (param {params}) (result {results})))"
            )
            .unwrap();
        }
    }
    out
}

/// The module, in WAT.
fn source(memory64: bool) -> String {
    let mut source = Source {
        text: String::new(),
        memory64,
    };
    let p = source.pointer();
    let mut out = format!("(module {}", imports(memory64));
    let answers = |name: &str| matches!(name, "msg_reply" | "msg_reject" | "accept_message");
    let mut elements = String::new();
    for (index, (name, _)) in FUNCTIONS.iter().enumerate() {
        let (needs, call) = if exists(index, memory64) {
            (source.needs(name), source.call(name))
        } else {
            (String::new(), String::new())
        };
        let done = if answers(name) {
            "(global.set $answered (i32.const 1))"
        } else {
            ""
        };
        writeln!(
            source.text,
            "(func $n{index}) (func $p{index} {needs})
             (func $b{index} {call} {done}) (func $r{index} {needs} {call} {done})"
        )
        .unwrap();
        write!(elements, " $n{index} $p{index} $b{index} $r{index}").unwrap();
    }
    let candid: String = outcall()
        .iter()
        .map(|byte| format!("\\{byte:02x}"))
        .collect();
    let functions = &source.text;
    let count = FUNCTIONS.len() * 4 + 10;
    let entry = |entry: Entry| entry as u32;
    let [start, post, pre, update, replicated, query, composite] = [
        Entry::Start,
        Entry::PostUpgrade,
        Entry::PreUpgrade,
        Entry::Update,
        Entry::ReplicatedQuery,
        Entry::Query,
        Entry::CompositeQuery,
    ]
    .map(entry);
    let [reply, reject, cleanup, c_reply, c_reject, c_cleanup] = [
        Entry::Reply,
        Entry::Reject,
        Entry::Cleanup,
        Entry::CompositeReply,
        Entry::CompositeReject,
        Entry::CompositeCleanup,
    ]
    .map(entry);
    let [inspect, heartbeat, timer, low, transform] = [
        Entry::Inspect,
        Entry::Heartbeat,
        Entry::Timer,
        Entry::LowMemory,
        Entry::Transform,
    ]
    .map(entry);
    write!(
        out,
        r#"
        (memory {p} 1)
        (data ({p}.const 200) "variable")
        (data ({p}.const 300) "message!")
        (data ({p}.const 600) "ok") (data ({p}.const 610) "no") (data ({p}.const 620) "http_request")
        (data ({p}.const 2000) "{candid}")
        (type $void (func))
        (table {count} funcref)
        (elem (i32.const 0) $ignore $replied $rejected $traps $cleanup $c_replied $c_rejected $c_cleanup $fetched $not_fetched {elements})
        (global $answered (mut i32) (i32.const 0))
        (global $count (mut i32) (i32.const 0))
        {functions}
        (func $do (param $what i32)
            (global.set $answered (i32.const 0))
            (call_indirect (type $void) (i32.add (local.get $what) (i32.const 10))))
        (func $enter (param $entry i32)
            (global.set $answered (i32.const 0))
            (if (i64.ne (call $stable64_size) (i64.const 0)) (then
                (call $stable64_read (i64.const 1000) (i64.const 0) (i64.const 8))
                (if (i32.eq (i32.load ({p}.const 1000)) (local.get $entry)) (then
                    (call $do (i32.load ({p}.const 1004)))
                    (global.set $count (i32.add (global.get $count) (i32.const 1))))))))
        (func $reply (if (i32.eqz (global.get $answered)) (then (call $msg_reply))))

        (func $start (call $enter (i32.const {start})))
        (start $start)
        (func (export "canister_init")
            (if (i64.eq (i64.extend_i32_u (i32.const 4)) (i64.{extend}))
                (then
                    (call $msg_arg_data_copy ({p}.const 1000) ({p}.const 0) ({p}.const 4))
                    (drop (call $stable64_grow (i64.const 1)))
                    (call $do (i32.load ({p}.const 1000))))))
        (func (export "canister_post_upgrade") (call $enter (i32.const {post})))
        (func (export "canister_pre_upgrade") (call $enter (i32.const {pre})))
        (func (export "canister_update select")
            (if (i64.eqz (call $stable64_size)) (then (drop (call $stable64_grow (i64.const 1)))))
            (call $msg_arg_data_copy ({p}.const 1000) ({p}.const 0) ({p}.const 8))
            (call $stable64_write (i64.const 0) (i64.const 1000) (i64.const 8))
            (call $msg_reply))
        (func (export "canister_update run") (call $enter (i32.const {update})) (call $reply))
        (func (export "canister_query ask")
            (call $enter (i32.add (i32.const {query})
                (i32.mul (call $in_replicated_execution) (i32.const {difference}))))
            (call $reply))
        (func (export "canister_composite_query look") (call $enter (i32.const {composite})) (call $reply))

        (func $to (param $method {p}) (param $first {p}) (param $cleanup {p})
            (call $msg_arg_data_copy ({p}.const 700) ({p}.const 0) ({p}.const 10))
            (call $call_new ({p}.const 700) ({p}.const 10) (local.get $method) ({p}.const 2)
                (local.get $first) ({p}.const 0) ({p}.add (local.get $first) ({p}.const 1)) ({p}.const 0))
            (call $call_on_cleanup (local.get $cleanup) ({p}.const 0))
            (call $call_data_append ({p}.const 300) ({p}.const 8))
            (if (call $call_perform) (then unreachable)))
        (func (export "canister_update call_ok") (call $to ({p}.const 600) ({p}.const 1) ({p}.const 4)))
        (func (export "canister_update call_no") (call $to ({p}.const 610) ({p}.const 1) ({p}.const 4)))
        (func (export "canister_update call_trap") (call $to ({p}.const 600) ({p}.const 3) ({p}.const 4)))
        (func (export "canister_composite_query look_ok") (call $to ({p}.const 600) ({p}.const 5) ({p}.const 7)))
        (func (export "canister_composite_query look_no") (call $to ({p}.const 610) ({p}.const 5) ({p}.const 7)))
        (func (export "canister_composite_query look_trap") (call $to ({p}.const 600) ({p}.const 3) ({p}.const 7)))
        (func $ignore (param {p}))
        (func $replied (param {p}) (call $enter (i32.const {reply})) (call $reply))
        (func $rejected (param {p}) (call $enter (i32.const {reject})) (call $reply))
        (func $traps (param {p}) unreachable)
        (func $cleanup (param {p}) (call $enter (i32.const {cleanup})))
        (func $c_replied (param {p}) (call $enter (i32.const {c_reply})) (call $reply))
        (func $c_rejected (param {p}) (call $enter (i32.const {c_reject})) (call $reply))
        (func $c_cleanup (param {p}) (call $enter (i32.const {c_cleanup})))

        (func (export "canister_inspect_message")
            (global.set $answered (i32.const 0))
            ;; "run", and not "select", which would not get through where this fails
            (if ({p}.eq (call $msg_method_name_size) ({p}.const 3)) (then (call $enter (i32.const {inspect}))))
            (if (i32.eqz (global.get $answered)) (then (call $accept_message))))
        (func (export "canister_heartbeat") (call $enter (i32.const {heartbeat})))
        (func (export "canister_global_timer") (call $enter (i32.const {timer})))
        (func (export "canister_on_low_wasm_memory") (call $enter (i32.const {low})))
        (func (export "canister_query transform") (call $enter (i32.const {transform})) (call $reply))
        (func (export "canister_update fetch")
            (call $msg_arg_data_copy ({p}.const 4000) ({p}.const 0) (call $msg_arg_data_size))
            (call $call_new ({p}.const 0) ({p}.const 0) ({p}.const 620) ({p}.const 12)
                ({p}.const 8) ({p}.const 0) ({p}.const 9) ({p}.const 0))
            (call $call_data_append ({p}.const 4000) (call $msg_arg_data_size))
            (if (call $call_perform) (then unreachable)))
        (func $fetched (param {p}) (call $msg_reply))
        (func $not_fetched (param {p})
            (call $msg_reject_msg_copy ({p}.const 4000) ({p}.const 0) (call $msg_reject_msg_size))
            (call $msg_reject ({p}.const 4000) (call $msg_reject_msg_size)))
        (func (export "canister_update arm")
            (drop (call $global_timer_set (call $time)))
            (call $msg_reply))
        (func (export "canister_query count")
            (i32.store ({p}.const 400) (global.get $count))
            (call $msg_reply_data_append ({p}.const 400) ({p}.const 4))
            (call $msg_reply))
        )"#,
        extend = if memory64 {
            "add (call $msg_arg_data_size) (i64.const 0)"
        } else {
            "extend_i32_u (call $msg_arg_data_size)"
        },
        difference = i64::from(replicated) - i64::from(query),
    )
    .unwrap();
    out
}

/// Replies to `ok` and rejects `no`, as updates and as queries.
const CALLEE: &str = r#"(module
    (import "ic0" "msg_reply" (func $reply))
    (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
    (import "ic0" "msg_reject" (func $reject (param i32 i32)))
    (memory 1)
    (data (i32.const 0) "certainly")
    (func $ok (call $append (i32.const 0) (i32.const 9)) (call $reply))
    (export "canister_query ok" (func $ok))
    (func (export "canister_query no") (call $reject (i32.const 0) (i32.const 9))))"#;

/// The probe and its callee, on a network.
pub(crate) struct Probe {
    pub(crate) net: Net,
    pub(crate) id: Principal,
    callee: Principal,
    module: Vec<u8>,
}

impl Probe {
    pub(crate) fn new(memory64: bool) -> Self {
        let mut net = Net::new();
        let module = wasm(&source(memory64));
        let callee = net.install(CALLEE);
        let id = net.create();
        let variable = EnvironmentVariable {
            name: "variable".to_owned(),
            value: "valuable".to_owned(),
        };
        let settings = CanisterSettings {
            environment_variables: Some(vec![variable]),
            ..CanisterSettings::default()
        };
        let args = UpdateSettingsArgs {
            canister_id: id,
            settings,
            sender_canister_version: None,
        };
        net.management("update_settings", &args).unwrap();
        net.install_code(id, CanisterInstallMode::Install, &module, &[])
            .unwrap();
        Self {
            net,
            id,
            callee,
            module,
        }
    }

    fn select(&mut self, entry: u32, what: u32) {
        let arg = [entry.to_le_bytes(), what.to_le_bytes()].concat();
        self.net.call(self.id, "select", &arg).unwrap();
    }

    fn count(&mut self) -> Vec<u8> {
        self.net.query(self.id, "count", &[]).unwrap()
    }

    /// Runs `what` from `place`. Nobody hears of the failure of a system task, so its text is empty.
    pub(crate) fn run(&mut self, place: Place, what: What) -> Result<(), String> {
        self.select(place.entry as u32, what.number());
        let (id, callee) = (self.id, self.callee);
        let callee = callee.as_slice();
        let message = |reject: Reject| reject.message;
        let arg = b"argument";
        let result = match place.entry {
            Entry::Update | Entry::Inspect => self.net.call(id, "run", arg).map(|_| ()),
            Entry::ReplicatedQuery => self.net.call(id, "ask", arg).map(|_| ()),
            Entry::Query => self.net.query(id, "ask", arg).map(|_| ()),
            Entry::CompositeQuery => self.net.query(id, "look", arg).map(|_| ()),
            Entry::Start | Entry::PostUpgrade | Entry::PreUpgrade => {
                let mode = CanisterInstallMode::Upgrade(None);
                let module = self.module.clone();
                self.net.install_code(id, mode, &module, arg)
            }
            Entry::Init => {
                let module = self.module.clone();
                let arg = what.number().to_le_bytes();
                self.net
                    .install_code(id, CanisterInstallMode::Reinstall, &module, &arg)
            }
            Entry::Reply => self.net.call(id, "call_ok", callee).map(|_| ()),
            Entry::Reject => self.net.call(id, "call_no", callee).map(|_| ()),
            Entry::CompositeReply => self.net.query(id, "look_ok", callee).map(|_| ()),
            Entry::CompositeReject => self.net.query(id, "look_no", callee).map(|_| ()),
            Entry::Cleanup => return self.cleaned("call_trap"),
            Entry::CompositeCleanup => {
                let result = self.net.query(id, "look_trap", callee);
                return after_cleanup(result);
            }
            Entry::Heartbeat => return self.task(1_000_000_000),
            Entry::Timer => {
                self.net.call(id, "arm", &[]).unwrap();
                return self.task(1);
            }
            Entry::LowMemory => return self.low_memory(what),
            Entry::Transform => self.fetch(),
        };
        result.map_err(message)
    }

    /// Has the canister fetch something, which its transform function looks at.
    fn fetch(&mut self) -> Result<(), Reject> {
        let function = TransformFunc(Func {
            principal: self.id,
            method: "transform".to_owned(),
        });
        let args = HttpRequestArgs {
            url: "https://example.org".to_owned(),
            max_response_bytes: None,
            method: HttpMethod::GET,
            headers: vec![],
            body: None,
            transform: Some(TransformContext {
                function,
                context: vec![],
            }),
            is_replicated: None,
            pricing_version: None,
        };
        let arg = Encode!(&args).unwrap();
        let request = self.net.submit(alice(), self.id, "fetch", &arg);
        self.net.run();
        let outcall = self.net.network.http_requests().remove(0);
        let response = HttpResponse {
            status: 200,
            headers: vec![],
            body: vec![],
        };
        let network = &self.net.network;
        assert!(network.answer_http(outcall.subnet, outcall.id, Ok(response)));
        self.net.run();
        match self.net.status(&request) {
            RequestStatus::Replied(_) => Ok(()),
            RequestStatus::Rejected(reject) => Err(reject),
            other => panic!("{other:?}"),
        }
    }

    fn cleaned(&mut self, method: &str) -> Result<(), String> {
        let callee = self.callee;
        after_cleanup(self.net.call(self.id, method, callee.as_slice()))
    }

    /// Whether a task that is due after so many nanoseconds ran to its end.
    fn task(&mut self, nanos: u64) -> Result<(), String> {
        let before = self.count();
        let now = self.net.network.time().plus(nanos);
        self.net.network.advance_time(now);
        self.net.run();
        if self.count() == before {
            Err(String::new())
        } else {
            Ok(())
        }
    }

    /// Whether the hook for little room ran to its end: it runs when the condition comes to hold, so it ends first.
    fn low_memory(&mut self, what: What) -> Result<(), String> {
        let entry = Entry::LowMemory as u32;
        self.threshold(0);
        self.select(entry, what.number());
        let before = self.count();
        // More than there is at most.
        self.threshold(1 << 40);
        self.select(entry, what.number());
        if self.count() == before {
            Err(String::new())
        } else {
            Ok(())
        }
    }

    fn threshold(&mut self, bytes: u64) {
        let args = UpdateSettingsArgs {
            canister_id: self.id,
            settings: CanisterSettings {
                wasm_memory_threshold: Some(bytes.into()),
                ..CanisterSettings::default()
            },
            sender_canister_version: None,
        };
        self.net.management("update_settings", &args).unwrap();
    }

    /// Instructions of all messages of one kind to a method so far.
    pub(crate) fn instructions(&self, kind: &str) -> u64 {
        let metrics = self.net.network.metrics();
        let own = metrics.iter().filter(|m| m.canister == self.id);
        own.filter(|m| m.kind == kind && m.method != "select")
            .map(|m| m.instructions)
            .sum()
    }
}

/// How a cleanup ended: the callback before it trapped in any case.
fn after_cleanup(result: Result<Vec<u8>, Reject>) -> Result<(), String> {
    let message = result.unwrap_err().message;
    assert!(message.contains("unreachable"), "{message}");
    match message.split_once("call_on_cleanup also failed:\n\n") {
        Some((_, text)) => Err(text.to_owned()),
        None => Ok(()),
    }
}
