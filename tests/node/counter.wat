;; A counter that speaks Candid.
;;
;;   service : {
;;     inc : () -> (nat32);
;;     get : () -> (nat32) query;
;;     whoami : () -> (principal);
;;   }
;;
;; The count survives upgrades in stable memory.
(module
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_caller_size" (func $caller_size (result i32)))
  (import "ic0" "msg_caller_copy" (func $caller_copy (param i32 i32 i32)))
  (import "ic0" "stable64_grow" (func $stable_grow (param i64) (result i64)))
  (import "ic0" "stable64_size" (func $stable_size (result i64)))
  (import "ic0" "stable64_write" (func $stable_write (param i64 i64 i64)))
  (import "ic0" "stable64_read" (func $stable_read (param i64 i64 i64)))
  (memory 1)
  ;; 0: head of a nat32, 7 bytes; 8: the count; 16: head of a principal, 8 bytes, and its length
  (data (i32.const 0) "DIDL\00\01\79")
  (data (i32.const 16) "DIDL\00\01\68\01")
  (func $reply_count
    (call $append (i32.const 0) (i32.const 7))
    (call $append (i32.const 8) (i32.const 4))
    (call $reply))
  (func (export "canister_update inc")
    (i32.store (i32.const 8) (i32.add (i32.load (i32.const 8)) (i32.const 1)))
    (call $reply_count))
  (func (export "canister_query get") (call $reply_count))
  (func (export "canister_update whoami")
    (i32.store8 (i32.const 24) (call $caller_size))
    (call $caller_copy (i32.const 25) (i32.const 0) (call $caller_size))
    (call $append (i32.const 16) (i32.add (i32.const 9) (call $caller_size)))
    (call $reply))
  (func (export "canister_pre_upgrade")
    (if (i64.eqz (call $stable_size)) (then (drop (call $stable_grow (i64.const 1)))))
    (call $stable_write (i64.const 0) (i64.const 8) (i64.const 4)))
  (func (export "canister_post_upgrade")
    (call $stable_read (i64.const 8) (i64.const 0) (i64.const 4))))
