//! The table and the dropped segments of a canister are part of its state: each message changes all of them, or
//! nothing.

use crate::harness::{Net, code, module, number};
use candid::Principal;
use engine::ErrorCode;

/// A canister with a table of six elements: one, two, three, null, null, `ic0.time`.
const TABLES: &str = r#"
    (type $number (func (result i32)))
    (type $time (func (result i64)))
    (table $t 6 funcref)
    (elem (i32.const 0) $one $two $three)
    (elem (i32.const 5) $time)
    (elem $spare func $three $two)
    (elem declare func $four)
    (data $text "four")
    (func $one (result i32) (i32.const 1))
    (func $two (result i32) (i32.const 2))
    (func $three (result i32) (i32.const 3))
    (func $four (result i32) (i32.const 4))

    ;; A digit for each element: what its function returns, 8 for ic0.time, 9 for null.
    (func $digits (result i32) (local $at i32) (local $all i32)
        (loop $next
            (local.set $all (i32.add
                (i32.mul (local.get $all) (i32.const 10))
                (if (result i32) (ref.is_null (table.get $t (local.get $at)))
                    (then (i32.const 9))
                    (else (if (result i32) (i32.eq (local.get $at) (i32.const 5))
                        (then (drop (call_indirect $t (type $time) (local.get $at))) (i32.const 8))
                        (else (call_indirect $t (type $number) (local.get $at))))))))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br_if $next (i32.lt_u (local.get $at) (table.size $t))))
        (local.get $all))

    (func $set (table.set $t (i32.const 3) (ref.func $four)))
    (func $fill (table.fill $t (i32.const 0) (ref.null func) (i32.const 2)))
    (func $copy (table.copy $t $t (i32.const 3) (i32.const 0) (i32.const 2)))
    (func $init (table.init $t $spare (i32.const 3) (i32.const 0) (i32.const 2)))
    (func $grow (drop (table.grow $t (ref.func $four) (i32.const 2))))
    (func $drop_elements (elem.drop $spare))
    (func $drop_data (data.drop $text))
    (func $init_data (memory.init $text (i32.const 100) (i32.const 0) (i32.const 4)))
    (func $enlarge (drop (memory.grow (i32.const 3))))

    (func (export "canister_query digits") (call $answer32 (call $digits)))
    (func (export "canister_query pages") (call $answer32 (memory.size)))
    (func (export "canister_update enlarge") (call $enlarge) (call $reply))
    (func (export "canister_update enlarge and trap") (call $enlarge) (call $boom))
    "#;

const CHANGES: [&str; 8] = [
    "set",
    "fill",
    "copy",
    "init",
    "grow",
    "drop_elements",
    "drop_data",
    "init_data",
];

/// The canister, with three methods for each change: make it, make it and trap, make it in a query.
fn canister(net: &mut Net) -> Principal {
    let methods = CHANGES.map(|change| {
        format!(
            r#"(func (export "canister_update {change}") (call ${change}) (call $reply))
            (func (export "canister_update {change} and trap") (call ${change}) (call $boom))
            (func (export "canister_query {change} in a query")
                (call ${change}) (call $answer32 (call $digits)))"#
        )
    });
    net.install(&module(&format!("{TABLES}{}", methods.concat())))
}

fn digits(net: &mut Net, id: Principal) -> u32 {
    number(net.query(id, "digits", &[]))
}

const AT_FIRST: u32 = 123_998;
/// What each change of the table makes of it.
const AFTER: [(&str, u32); 5] = [
    ("set", 123_498),
    ("fill", 993_998),
    ("copy", 123_128),
    ("init", 123_328),
    ("grow", 12_399_844),
];

#[test]
fn what_a_message_changed_in_the_table_stays() {
    for (change, after) in AFTER {
        let mut net = Net::new();
        let id = canister(&mut net);
        assert_eq!(digits(&mut net, id), AT_FIRST);
        net.call(id, change, &[]).unwrap();
        assert_eq!(digits(&mut net, id), after, "{change}");
        // A later trap goes back to this, not to the module's table.
        assert_eq!(
            code(net.call(id, "set and trap", &[])),
            ErrorCode::CalledTrap
        );
        assert_eq!(digits(&mut net, id), after, "{change}");
    }
}

#[test]
fn a_trap_and_a_query_leave_the_table_as_it_was() {
    let mut net = Net::new();
    let id = canister(&mut net);
    for (change, after) in AFTER {
        let trapped = net.call(id, &format!("{change} and trap"), &[]);
        assert_eq!(code(trapped), ErrorCode::CalledTrap);
        assert_eq!(digits(&mut net, id), AT_FIRST, "{change}");
        let seen = net.query(id, &format!("{change} in a query"), &[]);
        assert_eq!(number(seen), after, "{change}");
        assert_eq!(digits(&mut net, id), AT_FIRST, "{change}");
    }
}

#[test]
fn a_new_instance_after_a_failed_growth_has_the_same_table_and_heap() {
    let mut net = Net::new();
    let id = canister(&mut net);
    for change in ["set", "grow", "enlarge"] {
        net.call(id, change, &[]).unwrap();
        let before = digits(&mut net, id);
        let pages = number(net.query(id, "pages", &[]));
        assert_eq!(
            code(net.call(id, "enlarge and trap", &[])),
            ErrorCode::CalledTrap
        );
        assert_eq!(digits(&mut net, id), before, "{change}");
        assert_eq!(number(net.query(id, "pages", &[])), pages, "{change}");
    }
    assert_eq!(digits(&mut net, id), 12_349_844);
    // The new instance is watched as the old one was.
    assert_eq!(
        code(net.call(id, "fill and trap", &[])),
        ErrorCode::CalledTrap
    );
    assert_eq!(digits(&mut net, id), 12_349_844);
    net.call(id, "fill", &[]).unwrap();
    assert_eq!(digits(&mut net, id), 99_349_844);
}

#[test]
fn a_segment_stays_dropped_only_where_the_message_that_dropped_it_stayed() {
    for (use_it, drop_it) in [("init", "drop_elements"), ("init_data", "drop_data")] {
        let mut net = Net::new();
        let id = canister(&mut net);
        let trapped = net.call(id, &format!("{drop_it} and trap"), &[]);
        assert_eq!(code(trapped), ErrorCode::CalledTrap);
        net.query(id, &format!("{drop_it} in a query"), &[])
            .unwrap();
        net.call(id, use_it, &[]).unwrap();

        net.call(id, drop_it, &[]).unwrap();
        assert_eq!(code(net.call(id, use_it, &[])), ErrorCode::Trapped);
        let trapped = net.call(id, "enlarge and trap", &[]);
        assert_eq!(code(trapped), ErrorCode::CalledTrap);
        assert_eq!(code(net.call(id, use_it, &[])), ErrorCode::Trapped);
        net.call(id, "set", &[]).unwrap();
    }
}

#[test]
fn a_query_that_used_up_its_instructions_leaves_nothing_in_the_way_of_others() {
    let mut net = Net::new();
    let spin = r#"(func (export "canister_query spin") (loop $again
        (memory.fill (i32.const 0) (i32.const 0) (i32.const 50000)) (br $again)))"#;
    let id = net.install(&module(&format!(
        r#"{TABLES}{spin}
        (func (export "canister_update drop") (call $drop_data) (call $set) (call $reply))
        (func (export "canister_query use") (call $init_data) (call $reply))"#
    )));
    net.query(id, "use", &[]).unwrap();
    let spun = net.query(id, "spin", &[]);
    assert_eq!(code(spun), ErrorCode::InstructionLimitExceeded);
    net.call(id, "drop", &[]).unwrap();
    assert_eq!(code(net.query(id, "use", &[])), ErrorCode::Trapped);
    assert_eq!(digits(&mut net, id), 123_498);
}

#[test]
fn an_upgrade_starts_with_the_table_of_the_new_module() {
    let mut net = Net::new();
    let id = canister(&mut net);
    net.call(id, "grow", &[]).unwrap();
    net.upgrade(id, &module(TABLES)).unwrap();
    assert_eq!(digits(&mut net, id), AT_FIRST);
}

#[test]
fn a_table_ends_at_a_million_elements_whoever_grows_it() {
    let mut net = Net::new();
    let id = net.install(&module(
        r#"
        (table 1 funcref)
        (func (export "canister_update grow") (local $size i32)
            (loop $again
                (local.set $size (table.size))
                (br_if $again (i32.ne (i32.const -1)
                    (table.grow (ref.null func) (i32.const 99999)))))
            (call $answer32 (local.get $size)))
        (func (export "canister_query size") (call $answer32 (table.size)))"#,
    ));
    assert_eq!(number(net.call(id, "grow", &[])), 999_991);
    assert_eq!(number(net.query(id, "size", &[])), 999_991);
}

#[test]
fn a_callback_is_looked_up_in_the_table_as_it_is_then() {
    let mut net = Net::new();
    let callee = net.install(&module(
        r#"(func (export "canister_update any") (call $reply))"#,
    ));
    let bytes: String = callee
        .as_slice()
        .iter()
        .map(|byte| format!("\\{byte:02x}"))
        .collect();
    let calls = |callback: u32| {
        format!(
            r#"(call $call_new
                (i32.const 200) (i32.const {}) (i32.const 300) (i32.const 3)
                (i32.const {callback}) (i32.const 7) (i32.const {callback}) (i32.const 7))
            (drop (call $call_perform))"#,
            callee.as_slice().len()
        )
    };
    let id = net.install(&module(&format!(
        r#"
        (table 3 funcref)
        (elem (i32.const 0) $wrong $takes_nothing)
        (elem declare func $right)
        (data (i32.const 200) "{bytes}") (data (i32.const 300) "any")
        (func $wrong (param i32) (call $answer32 (i32.const 1)))
        (func $right (param i32) (call $answer32 (i32.add (local.get 0) (i32.const 100))))
        (func $takes_nothing)
        (func (export "canister_update changed")
            {} (table.set (i32.const 0) (ref.func $right)))
        (func (export "canister_update null") {})
        (func (export "canister_update other type") {})
        (func (export "canister_update outside") {})"#,
        calls(0),
        calls(2),
        calls(1),
        calls(99),
    )));
    assert_eq!(number(net.call(id, "changed", &[])), 107);
    for (method, error, text) in [
        (
            "null",
            ErrorCode::ContractViolation,
            "unexpected null function reference",
        ),
        (
            "other type",
            ErrorCode::ContractViolation,
            "function invocation does not match its signature",
        ),
        (
            "outside",
            ErrorCode::FunctionNotFound,
            "Canister requested to invoke a non-existent Wasm function 99 from table 0",
        ),
    ] {
        let reject = net.call(id, method, &[]).unwrap_err();
        assert_eq!(reject.error_code, Some(error), "{method}");
        assert!(reject.message.contains(text), "{}", reject.message);
    }
}
