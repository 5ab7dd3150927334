//! The canisters that are measured, in WAT.

use std::fmt::Write as _;

/// A counter in stable memory, certified, as small canisters have it: `count` adds one and replies with the number,
/// `get` reads it.
pub(crate) fn counter() -> Vec<u8> {
    wasm(
        r#"(module
        (import "ic0" "msg_reply" (func $reply))
        (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
        (import "ic0" "stable64_grow" (func $grow (param i64) (result i64)))
        (import "ic0" "stable64_read" (func $read (param i64 i64 i64)))
        (import "ic0" "stable64_write" (func $write (param i64 i64 i64)))
        (import "ic0" "certified_data_set" (func $certify (param i32 i32)))
        (memory 1)
        (func (export "canister_init") (drop (call $grow (i64.const 1))))
        (func $answer (call $append (i32.const 0) (i32.const 8)) (call $reply))
        (func (export "canister_update count")
            (call $read (i64.const 0) (i64.const 0) (i64.const 8))
            (i64.store (i32.const 0) (i64.add (i64.load (i32.const 0)) (i64.const 1)))
            (call $write (i64.const 0) (i64.const 0) (i64.const 8))
            (call $certify (i32.const 0) (i32.const 32))
            (call $answer))
        (func (export "canister_query get")
            (call $read (i64.const 0) (i64.const 0) (i64.const 8))
            (call $answer)))"#,
    )
}

/// A heap of 1 GiB: `fill` writes a byte of every page of 4 KiB in a part of it, `touch` writes ten pages and replies,
/// `touch_and_trap` writes ten pages and traps.
pub(crate) fn large_heap() -> Vec<u8> {
    wasm(
        r#"(module
        (import "ic0" "msg_reply" (func $reply))
        (memory 16384)
        (global $at (mut i32) (i32.const 0))
        (func $write (param $count i32) (param $step i32)
            (loop $next
                (i32.store8 (i32.and (global.get $at) (i32.const 0x3fffffff))
                    (i32.add (i32.const 1) (i32.load8_u (i32.and (global.get $at) (i32.const 0x3fffffff)))))
                (global.set $at (i32.add (global.get $at) (local.get $step)))
                (local.set $count (i32.sub (local.get $count) (i32.const 1)))
                (br_if $next (local.get $count))))
        (func (export "canister_update fill") (call $write (i32.const 262144) (i32.const 4096)) (call $reply))
        ;; Ten pages that lie far apart, others every time.
        (func $touch (call $write (i32.const 10) (i32.const 104857600)) (global.set $at (i32.add (global.get $at) (i32.const 40960))))
        (func (export "canister_update touch") (call $touch) (call $reply))
        (func (export "canister_update touch_and_trap") (call $touch) unreachable))"#,
    )
}

/// A module with more than 1 MB of code: many functions with loops, branches, loads and calls, no two alike. The seed
/// makes two modules differ.
pub(crate) fn large(seed: u32) -> Vec<u8> {
    const FUNCTIONS: u32 = 5_000;
    let mut wat = String::from(
        "(module (import \"ic0\" \"msg_reply\" (func $reply)) (memory 16) (global $sum (mut i64) (i64.const 0))\n",
    );
    for n in 0..FUNCTIONS {
        let salt = n.wrapping_mul(2_654_435_761).wrapping_add(seed);
        let (shift, mask, other) = (salt % 31 + 1, salt & 0xfff8, n.saturating_sub(1 + salt % 7));
        let call = if n == 0 {
            String::from("(local.get $b)")
        } else {
            format!("(call $f{other} (local.get $b) (i64.const {salt}))")
        };
        let _ = write!(
            wat,
            "(func $f{n} (param $a i64) (param $b i64) (result i64) (local $c i64) (local $i i32)
                (local.set $c (i64.xor (local.get $a) (i64.const {salt})))
                (loop $l
                    (i64.store offset={mask} (i32.and (local.get $i) (i32.const 4088))
                        (i64.add (local.get $c) (i64.load offset={mask} (i32.and (local.get $i) (i32.const 2040)))))
                    (local.set $c (i64.rotl (i64.mul (local.get $c) (i64.const {salt})) (i64.const {shift})))
                    (if (i64.lt_u (local.get $c) (local.get $b))
                        (then (local.set $c (i64.sub (local.get $c) (i64.shr_u (local.get $b) (i64.const {shift})))))
                        (else (global.set $sum (i64.add (global.get $sum) (local.get $c)))))
                    (local.set $i (i32.add (local.get $i) (i32.const {shift})))
                    (br_if $l (i32.lt_u (local.get $i) (i32.const 64))))
                (if (result i64) (i64.eqz (i64.and (local.get $c) (i64.const {mask})))
                    (then {call})
                    (else (i64.add (local.get $c) (i64.extend_i32_u (local.get $i)))))
                (i64.add (i64.clz (local.get $c)))
                (i64.xor (i64.mul (local.get $a) (i64.or (local.get $b) (i64.const {salt}))))
                (i64.sub (i64.rotr (local.get $c) (i64.popcnt (local.get $a))))
                (i64.add (i64.load32_u offset={mask} (i32.and (local.get $i) (i32.const 1020))))
                (i64.or (i64.shl (local.get $b) (i64.const {shift})))
                (i64.add (i64.mul (i64.const {salt}) (i64.xor (local.get $a) (local.get $c))))
                (i64.sub (i64.shr_s (local.get $c) (i64.const {shift}))))\n"
        );
    }
    let last = FUNCTIONS - 1;
    let _ = write!(
        wat,
        "(func (export \"canister_update run\") (drop (call $f{last} (i64.const 1) (i64.const 2))) (call $reply)))"
    );
    wasm(&wat)
}

fn wasm(wat: &str) -> Vec<u8> {
    wat::parse_str(wat).unwrap_or_else(|error| unreachable!("the modules here are valid: {error}"))
}
