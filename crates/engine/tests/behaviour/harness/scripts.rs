//! A canister that does what its argument says, and the scripts that it takes.
//!
//! ```text
//!   01 cycles(8)                                                 accept
//!   02 cycles(8)                                                 burn
//!   03 callee(10) cycles(8) seconds(4) then(1) len(4) script     call `act` with that script; best-effort if seconds > 0
//!   04                                                           reply, unless that has happened
//!   05                                                           trap
//!   06                                                           reject, unless that has happened
//! ```
//!
//! `then` says what the callback does: 0 nothing, 1 replies unless that has happened, 2 traps, 3 traps and so does
//! the cleanup.

use candid::Principal;

/// One thing to do.
#[derive(Clone, Debug)]
pub enum Op {
    Accept(u64),
    Burn(u64),
    Call {
        /// Index of the callee, as [`Script::named`] resolves it.
        callee: usize,
        cycles: u64,
        seconds: u32,
        then: u8,
        script: Script,
    },
    CallTo(Principal, u64, u32, u8, Vec<u8>),
    Reply,
    Trap,
    Reject,
}

#[derive(Clone, Debug, Default)]
pub struct Script(pub Vec<Op>);

impl Script {
    pub fn call(
        mut self,
        to: Principal,
        cycles: u64,
        seconds: u32,
        then: u8,
        script: Self,
    ) -> Self {
        self.0
            .push(Op::CallTo(to, cycles, seconds, then, script.bytes()));
        self
    }

    pub fn accept(mut self, cycles: u64) -> Self {
        self.0.push(Op::Accept(cycles));
        self
    }

    pub fn reply(mut self) -> Self {
        self.0.push(Op::Reply);
        self
    }

    /// The same with callees instead of their indices.
    pub fn named(self, names: &[Principal]) -> Self {
        let named = self.0.into_iter().map(|op| match op {
            Op::Call {
                callee,
                cycles,
                seconds,
                then,
                script,
            } => Op::CallTo(
                names[callee],
                cycles,
                seconds,
                then,
                script.named(names).bytes(),
            ),
            other => other,
        });
        Self(named.collect())
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for op in &self.0 {
            match op {
                Op::Accept(cycles) => bytes.extend([&[1][..], &cycles.to_le_bytes()].concat()),
                Op::Burn(cycles) => bytes.extend([&[2][..], &cycles.to_le_bytes()].concat()),
                Op::CallTo(to, cycles, seconds, then, script) => {
                    let len = u32::try_from(script.len()).unwrap();
                    bytes.push(3);
                    bytes.extend(to.as_slice());
                    bytes.extend(cycles.to_le_bytes());
                    bytes.extend(seconds.to_le_bytes());
                    bytes.push(*then);
                    bytes.extend(len.to_le_bytes());
                    bytes.extend(script);
                }
                Op::Call { .. } => panic!("callees have no names yet"),
                Op::Reply => bytes.push(4),
                Op::Trap => bytes.push(5),
                Op::Reject => bytes.push(6),
            }
        }
        bytes
    }
}

/// See the module's documentation.
pub const CANISTER: &str = r#"(module
    (import "ic0" "msg_arg_data_size" (func $arg_size (result i32)))
    (import "ic0" "msg_arg_data_copy" (func $arg_copy (param i32 i32 i32)))
    (import "ic0" "msg_reply" (func $msg_reply))
    (import "ic0" "msg_reject" (func $msg_reject (param i32 i32)))
    (import "ic0" "msg_cycles_accept" (func $accept (param i64) (result i64)))
    (import "ic0" "cycles_burn128" (func $burn (param i64 i64 i32)))
    (import "ic0" "call_new" (func $call_new (param i32 i32 i32 i32 i32 i32 i32 i32)))
    (import "ic0" "call_on_cleanup" (func $call_on_cleanup (param i32 i32)))
    (import "ic0" "call_data_append" (func $call_data (param i32 i32)))
    (import "ic0" "call_cycles_add" (func $call_cycles (param i64)))
    (import "ic0" "call_with_best_effort_response" (func $best_effort (param i32)))
    (import "ic0" "call_perform" (func $call_perform (result i32)))
    (import "ic0" "canister_cycle_balance" (func $balance (result i64)))
    (import "ic0" "msg_deadline" (func $deadline (result i64)))
    (import "ic0" "trap" (func $trap (param i32 i32)))
    (memory 4)
    (data (i32.const 0) "act")
    (data (i32.const 16) "no")
    (table 3 funcref) (elem (i32.const 0) $back $cleanup)
    ;; Whether each message has answered is not known to the next one, so it is kept by the environment's high bit.
    (global $answered (mut i32) (i32.const 0))
    (func $answer (if (i32.eqz (global.get $answered)) (then (global.set $answered (i32.const 1)) (call $msg_reply))))
    (func $back (param $env i32)
        (global.set $answered (i32.shr_u (local.get $env) (i32.const 8)))
        (if (i32.eq (i32.and (local.get $env) (i32.const 255)) (i32.const 1)) (then (call $answer)))
        (if (i32.ge_u (i32.and (local.get $env) (i32.const 255)) (i32.const 2)) (then unreachable)))
    (func $cleanup (param $env i32)
        (if (i32.eq (i32.and (local.get $env) (i32.const 255)) (i32.const 3)) (then unreachable)))
    (func (export "canister_update act")
        (local $p i32) (local $end i32) (local $op i32) (local $env i32)
        (global.set $answered (i32.const 0))
        (local.set $p (i32.const 1024))
        (local.set $end (i32.add (i32.const 1024) (call $arg_size)))
        (call $arg_copy (i32.const 1024) (i32.const 0) (call $arg_size))
        (loop $next
            (if (i32.lt_u (local.get $p) (local.get $end)) (then
                (local.set $op (i32.load8_u (local.get $p)))
                (local.set $p (i32.add (local.get $p) (i32.const 1)))
                (if (i32.eq (local.get $op) (i32.const 1)) (then
                    (drop (call $accept (i64.load (local.get $p))))
                    (local.set $p (i32.add (local.get $p) (i32.const 8)))))
                (if (i32.eq (local.get $op) (i32.const 2)) (then
                    (call $burn (i64.const 0) (i64.load (local.get $p)) (i32.const 32))
                    (local.set $p (i32.add (local.get $p) (i32.const 8)))))
                (if (i32.eq (local.get $op) (i32.const 3)) (then
                    (local.set $env (i32.or
                        (i32.load8_u offset=22 (local.get $p))
                        (i32.shl (global.get $answered) (i32.const 8))))
                    (call $call_new (local.get $p) (i32.const 10) (i32.const 0) (i32.const 3)
                        (i32.const 0) (local.get $env) (i32.const 0) (local.get $env))
                    (call $call_on_cleanup (i32.const 1) (local.get $env))
                    (call $call_data (i32.add (local.get $p) (i32.const 27)) (i32.load offset=23 (local.get $p)))
                    (if (i64.lt_u (i64.load offset=10 (local.get $p)) (call $balance))
                        (then (call $call_cycles (i64.load offset=10 (local.get $p)))))
                    (if (i32.load offset=18 (local.get $p))
                        (then (call $best_effort (i32.load offset=18 (local.get $p)))))
                    (drop (call $call_perform))
                    (local.set $p (i32.add (i32.add (local.get $p) (i32.const 27)) (i32.load offset=23 (local.get $p))))))
                (if (i32.eq (local.get $op) (i32.const 4)) (then (call $answer)))
                (if (i32.eq (local.get $op) (i32.const 5)) (then unreachable))
                (if (i32.eq (local.get $op) (i32.const 6)) (then
                    (if (i32.eqz (global.get $answered)) (then
                        (global.set $answered (i32.const 1))
                        (call $msg_reject (i32.const 16) (i32.const 2))))))
                (br $next)))))
    (func (export "canister_query deadline") (drop (call $deadline)) (call $msg_reply))
)"#;
