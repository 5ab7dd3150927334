//! Failures as clients see them: code and words.

use candid::{Decode, Nat, Principal};
use engine::{ErrorCode, Reject};
use ic_management_canister_types::{CanisterIdRecord, ProvisionalCreateCanisterWithCyclesArgs};

use crate::{
    harness::{Net, alice},
    system_api::probe::imports,
};

/// What the replica adds where the toolchain is at fault.
const TOOLCHAIN: &str = "If you are running this canister in a test environment (e.g., dfx), make sure the test \
     environment is up to date. Otherwise, this is likely an error with the compiler/CDK toolchain being used to \
     build the canister. Please report the error to IC devs on the forum: https://forum.dfinity.org and include \
     which language/CDK was used to create the canister.";

/// What it adds where the author is at fault.
fn advice(text: &str, section: &str) -> String {
    let page = "https://internetcomputer.org/docs/current/references/execution-errors";
    let link = match section {
        "" => String::new(),
        section => format!("{page}#{section}"),
    };
    format!("{text} See documentation: {link}")
}

/// A module with all of `ic0`, one page of memory, and these functions.
fn module(functions: &str) -> String {
    format!(
        r#"(module {}
        (memory (export "memory") 1)
        (data (i32.const 0) "bad\ff\fe utf-8")
        (data (i32.const 100) "absent")
        (func $answer (param $number i64)
            (i64.store (i32.const 200) (local.get $number))
            (call $msg_reply_data_append (i32.const 200) (i32.const 8))
            (call $msg_reply))
        (func $new_call
            (call $call_new (i32.const 0) (i32.const 0) (i32.const 100) (i32.const 6)
                (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))
        {functions})"#,
        imports(false)
    )
}

/// A canister with the one update method `run`.
fn running(net: &mut Net, body: &str) -> Principal {
    net.install(&module(&format!(
        "(func (export \"canister_update run\") {body})"
    )))
}

fn number(reply: Result<Vec<u8>, Reject>) -> u64 {
    u64::from_le_bytes(reply.unwrap().try_into().unwrap())
}

/// Runs each body as an update, and compares the whole text.
fn fails(net: &mut Net, cases: &[(&str, ErrorCode, &str, &str)]) {
    for (body, code, text, help) in cases {
        let id = running(net, body);
        let reject = net.call(id, "run", b"argument").unwrap_err();
        let text = text.replace("{id}", &id.to_text());
        let expected = if help.is_empty() {
            format!("Error from Canister {id}: {text}")
        } else {
            format!("Error from Canister {id}: {text}.\n{help}")
        };
        assert_eq!(reject.message, expected, "{body}");
        assert_eq!(reject.error_code, Some(*code), "{body}");
    }
}

#[test]
fn broken_rules_of_the_toolchain_are_told_in_the_words_of_the_replica() {
    let cases: &[(&str, &str)] = &[
        (
            "(call $msg_arg_data_copy (i32.const 65530) (i32.const 0) (i32.const 7))",
            "ic0.msg_arg_data_copy heap: src=65530 + length=7 exceeds the slice size=65536",
        ),
        (
            "(call $msg_arg_data_copy (i32.const 0) (i32.const 2) (i32.const 7))",
            "ic0.msg_arg_data_copy payload: src=2 + length=7 exceeds the slice size=8",
        ),
        (
            "(call $canister_self_copy (i32.const 0) (i32.const 0) (i32.const 11))",
            "ic0.canister_self_copy id: src=0 + length=11 exceeds the slice size=10",
        ),
        (
            "(call $canister_cycle_balance128 (i32.const 65521))",
            "ic0_canister_cycle_balance128 failed because dst + size is out of bounds.Found dst = 65521 and size = \
             16 while must be <= 65536",
        ),
        (
            "(call $msg_reject (i32.const 0) (i32.const 10))",
            "ic0.msg_reject: invalid UTF-8 string provided",
        ),
        (
            "(call $msg_reply) (call $msg_reply)",
            "ic0.msg_reply: the call is already replied",
        ),
        (
            "(call $msg_reply) (call $msg_reject (i32.const 100) (i32.const 6))",
            "ic0.msg_reject: the call is already replied",
        ),
        (
            "(call $msg_reject (i32.const 100) (i32.const 6))
             (call $msg_reply_data_append (i32.const 0) (i32.const 0))",
            "ic0.msg_reply_data_append: the call is already replied.",
        ),
        (
            "(drop (call $call_perform))",
            "ic0.call_perform called when no call is under construction.",
        ),
        (
            "(call $new_call) (drop (call $call_perform)) (call $call_data_append (i32.const 0) (i32.const 1))",
            "ic0.call_data_append called when no call is under construction.",
        ),
        (
            "(call $call_on_cleanup (i32.const 0) (i32.const 0))",
            "ic0.call_on_cleanup called when no call is under construction.",
        ),
        (
            "(call $call_cycles_add128 (i64.const 0) (i64.const 1))",
            "ic0_call_cycles_add128 called when no call is under construction.",
        ),
        (
            "(call $call_with_best_effort_response (i32.const 1))",
            "ic0.call_with_best_effort_response called when no call is under construction.",
        ),
        (
            "(call $new_call) (call $call_on_cleanup (i32.const 0) (i32.const 0))
             (call $call_on_cleanup (i32.const 0) (i32.const 0))",
            "ic0.call_on_cleanup can be called at most once between `ic0.call_new` and `ic0.call_perform`",
        ),
        (
            "(call $new_call) (call $call_with_best_effort_response (i32.const 0))
             (call $call_with_best_effort_response (i32.const 0))",
            "ic0_call_with_best_effort_response failed because a timeout is already set.",
        ),
        (
            "(call $certified_data_set (i32.const 65530) (i32.const 7))",
            "ic0_certified_data_set failed because src + size is out of bounds. Found src = 65530 and size = 7 while \
             src + size must be <= 65536",
        ),
        (
            "(drop (call $mint_cycles (i64.const 1)))",
            "ic0.mint_cycles cannot be executed on non Cycles Minting Canister: {id} != rkp4c-7iaaa-aaaaa-aaaca-cai",
        ),
        (
            "(drop (call $cost_sign_with_ecdsa (i32.const 0) (i32.const 4) (i32.const 0) (i32.const 0)))",
            "Failed to decode key name bad\u{fffd}",
        ),
    ];
    let mut net = Net::new();
    for (body, text) in cases {
        let text = format!("Canister violated contract: {text}");
        fails(
            &mut net,
            &[(body, ErrorCode::ContractViolation, &text, TOOLCHAIN)],
        );
    }
    let principal = "Canister provided invalid principal id";
    for body in [
        "(drop (call $is_controller (i32.const 0) (i32.const 30)))",
        "(call $call_new (i32.const 0) (i32.const 30) (i32.const 100) (i32.const 6)
            (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))",
    ] {
        fails(
            &mut net,
            &[(body, ErrorCode::ContractViolation, principal, TOOLCHAIN)],
        );
    }
}

#[test]
fn broken_rules_of_the_author_come_with_advice() {
    let mut net = Net::new();
    let grow = "(drop (memory.grow (i32.const 200)))";
    let large_reply = advice(
        "Consider checking the response size and returning an error if it is too long.",
        "msg_reply_data_append-payload-too-large",
    );
    let large_reject = advice(
        "Try truncating the error messages that are too long.",
        "msg_reject-payload-too-large",
    );
    let certified = advice(
        "Try certifying just the hash of your data instead of the full contents.",
        "certified_data_set-payload-too-large",
    );
    let utf8 = advice(
        "Provide a valid UTF-8 string for the environment variable name.",
        "",
    );
    let cases: &[(&str, &str, &str)] = &[
        (
            "(call $msg_reply_data_append (i32.const 0) (i32.const 1))
             (call $msg_reply_data_append (i32.const 0) (i32.const 2097152))",
            "ic0.msg_reply_data_append: application payload size (2097153) cannot be larger than 2097152.",
            &large_reply,
        ),
        (
            "(call $msg_reject (i32.const 0) (i32.const 2097153))",
            "ic0.msg_reject: application payload size (2097153) cannot be larger than 2097152.",
            &large_reject,
        ),
        (
            "(call $certified_data_set (i32.const 0) (i32.const 33))",
            "ic0_certified_data_set failed because the passed data must be no larger than 32 bytes. Found 33 bytes.",
            &certified,
        ),
        (
            "(drop (call $performance_counter (i32.const 2)))",
            "Error getting performance counter type 2",
            "",
        ),
        (
            "(call $new_call) (call $call_data_append (i32.const 0) (i32.const 10485755))",
            "Request to aaaaa-aa:absent has a payload size of 10485761, which exceeds the allowed limit of 10485760.",
            "",
        ),
        (
            "(call $call_new (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 20001)
                (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))",
            "Size of method_name 20001 exceeds the allowed limit of 20000.",
            "",
        ),
        (
            "(drop (call $env_var_name_exists (i32.const 0) (i32.const 129)))",
            "ic0.env_var_name_exists: Variable name is too large.",
            "",
        ),
        (
            "(drop (call $env_var_value_size (i32.const 0) (i32.const 4)))",
            "ic0.env_var_value_size: Variable name is not a valid UTF-8 string.",
            &utf8,
        ),
    ];
    for (body, text, help) in cases {
        let text = format!("Canister violated contract: {text}");
        let body = format!("{grow} {body}");
        fails(
            &mut net,
            &[(&body, ErrorCode::ContractViolation, &text, help)],
        );
    }
    let refused: &[(&str, &str)] = &[
        (
            "(drop (call $env_var_name_size (i32.const 3)))",
            "Environment variable index 3 is out of bounds. The number of environment variables is 0.",
        ),
        (
            "(drop (call $env_var_value_size (i32.const 100) (i32.const 6)))",
            "Environment variable absent not found.",
        ),
        (
            "(call $new_call) (call $call_cycles_add128 (i64.const 1) (i64.const 0))",
            "Canister {id} is out of cycles",
        ),
    ];
    for (body, text) in refused {
        fails(&mut net, &[(body, ErrorCode::ContractViolation, text, "")]);
    }
}

#[test]
fn traps_say_what_trapped() {
    let mut net = Net::new();
    let handle = "Consider gracefully handling failures from this canister or altering the canister to handle \
         exceptions.";
    let explicit = advice(handle, "trapped-explicitly");
    let trapped = advice(handle, "trapped");
    fails(
        &mut net,
        &[
            (
                "(call $trap (i32.const 100) (i32.const 6))",
                ErrorCode::CalledTrap,
                "Canister called `ic0.trap` with message: 'absent'",
                &explicit,
            ),
            (
                "(call $trap (i32.const 3) (i32.const 8))",
                ErrorCode::CalledTrap,
                "Canister called `ic0.trap` with message: '\u{fffd}\u{fffd} utf-8'",
                &explicit,
            ),
            (
                "(call $trap (i32.const 65530) (i32.const 100))",
                ErrorCode::CalledTrap,
                "Canister called `ic0.trap` with message: '(trap message out of memory bounds)'",
                &explicit,
            ),
            (
                "(drop (call $stable64_grow (i64.const 65537))) (drop (call $stable_size))",
                ErrorCode::Trapped,
                "Canister trapped: 32 bit stable memory api used on a memory larger than 4GB",
                &trapped,
            ),
            (
                "(call $stable64_read (i64.const 0) (i64.const 0) (i64.const -1))",
                ErrorCode::Trapped,
                "Canister trapped: heap out of bounds",
                &trapped,
            ),
            (
                "(call $stable64_write (i64.const 0) (i64.const 0) (i64.const 1))",
                ErrorCode::Trapped,
                "Canister trapped: stable memory out of bounds",
                &trapped,
            ),
        ],
    );
    // Printing never fails.
    let id = running(
        &mut net,
        "(call $debug_print (i32.const 65530) (i32.const 100)) (call $msg_reply)",
    );
    assert_eq!(net.call(id, "run", &[]), Ok(vec![]));
}

#[test]
fn a_balance_beyond_64_bits_ends_the_functions_of_older_modules() {
    let mut net = Net::new();
    let args = ProvisionalCreateCanisterWithCyclesArgs {
        amount: Some(Nat::from(1_u128 << 64)),
        ..ProvisionalCreateCanisterWithCyclesArgs::default()
    };
    let reply = net
        .management("provisional_create_canister_with_cycles", &args)
        .unwrap();
    let id = Decode!(&reply, CanisterIdRecord).unwrap().canister_id;
    let wasm = crate::harness::wasm(&module(
        r#"(func (export "canister_update low") (call $answer (call $canister_cycle_balance)))
        (func (export "canister_update high")
            (call $canister_cycle_balance128 (i32.const 300)) (call $answer (i64.load (i32.const 308))))"#,
    ));
    let mode = ic_management_canister_types::CanisterInstallMode::Install;
    net.install_code(id, mode, &wasm, &[]).unwrap();
    let reject = net.call(id, "low", &[]).unwrap_err();
    assert_eq!(reject.error_code, Some(ErrorCode::Trapped));
    let text = "Canister trapped: cycles amount exceeds 64-bit representation";
    assert!(reject.message.contains(text), "{reject:?}");
    assert_eq!(number(net.call(id, "high", &[])), 1);
}

#[test]
fn a_message_may_touch_so_much_stable_memory_and_no_more() {
    let mut net = Net::new();
    let id = net.install(&module(
        r#"(func $prepare
            (drop (call $stable64_grow (i64.const 40000)))
            (drop (memory.grow (i32.const 40000))))
        (func (export "canister_query within")
            (call $prepare)
            (call $stable64_read (i64.const 0) (i64.const 0) (i64.const 8192))
            (call $msg_reply))
        (func (export "canister_query beyond")
            (call $prepare)
            (call $stable64_read (i64.const 0) (i64.const 0) (i64.const 8192))
            (call $stable64_read (i64.const 0) (i64.const 8192) (i64.const 1073733633)))
        (func (export "canister_update write")
            (call $prepare)
            (call $stable64_write (i64.const 0) (i64.const 0) (i64.const 2147483649)))"#,
    ));
    assert_eq!(net.query(id, "within", &[]), Ok(vec![]));
    let help = advice(
        "Try optimizing the use of stable memory so that individual messages don't need to access as much stable \
         memory.",
        "memory-access-limit-exceeded",
    );
    let text = "Canister exceeded memory access limits: Exceeded the limit for the number of";
    for (reject, what) in [
        (
            net.query(id, "beyond", &[]).unwrap_err(),
            "accessed pages in the stable memory in a single message execution: limit 2097152 KB for regular messages \
             and 1048576 KB for queries.",
        ),
        (
            net.call(id, "write", &[]).unwrap_err(),
            "modified pages in the stable memory in a single execution: limit 2097152 KB for regular messages, \
             8388608 KB for upgrade messages and 1048576 KB for queries.",
        ),
    ] {
        assert_eq!(
            reject.error_code,
            Some(ErrorCode::MemoryAccessLimitExceeded)
        );
        assert_eq!(
            reject.message,
            format!("Error from Canister {id}: {text} {what}.\n{help}")
        );
    }
}

#[test]
fn callbacks_that_can_not_be_called_are_told_apart() {
    let mut net = Net::new();
    let caller = |elements: &str, function: u32| {
        module(&format!(
            r#"(table 4 funcref) {elements}
            (func $wrong (param i64))
            (func (export "canister_update run")
                (call $call_new (i32.const 0) (i32.const 0) (i32.const 100) (i32.const 6)
                    (i32.const 0) (i32.const 0) (i32.const {function}) (i32.const 0))
                (drop (call $call_perform)))"#
        ))
    };
    for (elements, function, code, text) in [
        (
            "",
            77,
            ErrorCode::FunctionNotFound,
            "Canister requested to invoke a non-existent Wasm function 77 from table 0",
        ),
        (
            "",
            1,
            ErrorCode::ContractViolation,
            "Canister violated contract: unexpected null function reference",
        ),
        (
            "(elem (i32.const 1) $wrong)",
            1,
            ErrorCode::ContractViolation,
            "Canister violated contract: function invocation does not match its signature",
        ),
    ] {
        let id = net.install(&caller(elements, function));
        let reject = net.call(id, "run", &[]).unwrap_err();
        assert_eq!(reject.error_code, Some(code));
        assert_eq!(
            reject.message,
            format!("Error from Canister {id}: {text}.\n{TOOLCHAIN}")
        );
    }
}

#[test]
fn a_message_is_accepted_once() {
    let mut net = Net::new();
    let id = net.install(&module(
        r#"(func (export "canister_inspect_message") (call $accept_message) (call $accept_message))
        (func (export "canister_update run") (call $msg_reply))"#,
    ));
    let reject = net.call(id, "run", &[]).unwrap_err();
    assert_eq!(reject.error_code, Some(ErrorCode::ContractViolation));
    let text = "ic0.accept_message: the function was already called.";
    assert!(reject.message.contains(text), "{reject:?}");
}

#[test]
fn addresses_of_64_bits_that_overflow_are_no_addresses() {
    let mut net = Net::new();
    let id = net.install(&format!(
        r#"(module {} (memory i64 1)
        (func (export "canister_update run") (call $msg_reply_data_append (i64.const -1) (i64.const 2))))"#,
        imports(true)
    ));
    let reject = net.call(id, "run", &[]).unwrap_err();
    let text = "msg.reply: src=18446744073709551615 + length=2 is an invalid address";
    assert!(reject.message.contains(text), "{reject:?}");
}

#[test]
fn a_module_without_memory_can_not_be_copied_from() {
    let mut net = Net::new();
    let id = net.install(
        r#"(module (import "ic0" "msg_reject" (func $reject (param i32 i32)))
        (func (export "canister_update run") (call $reject (i32.const 0) (i32.const 0))))"#,
    );
    let reject = net.call(id, "run", &[]).unwrap_err();
    let text = "WebAssembly module must define memory";
    assert!(reject.message.contains(text), "{reject:?}");
}

#[test]
fn a_query_may_answer_longer_than_an_update() {
    let mut net = Net::new();
    let id = net.install(&module(
        r#"(func $long (param $bytes i32)
            (drop (memory.grow (i32.const 100)))
            (call $msg_reply_data_append (i32.const 0) (local.get $bytes))
            (call $msg_reply))
        (func (export "canister_query at_limit") (call $long (i32.const 3145728)))
        (func (export "canister_query beyond") (call $long (i32.const 3145729)))"#,
    ));
    assert_eq!(net.query(id, "at_limit", &[]).unwrap().len(), 3 << 20);
    for reject in [
        net.query(id, "beyond", &[]).unwrap_err(),
        // Agreed on by the subnet, it is an answer like that of an update.
        net.call(id, "at_limit", &[]).unwrap_err(),
    ] {
        assert!(
            reject.message.contains("cannot be larger than"),
            "{reject:?}"
        );
    }
}

#[test]
fn what_a_canister_says_of_a_sender_is_told_to_the_called_canister_alone() {
    use engine::{RequestStatus, SenderInfo};
    let mut net = Net::new();
    let told = r#"(func $told
            (call $msg_caller_info_data_copy (i32.const 400) (i32.const 0) (call $msg_caller_info_data_size))
            (call $msg_reply_data_append (i32.const 400) (call $msg_caller_info_data_size))
            (call $msg_caller_info_signer_copy (i32.const 400) (i32.const 0) (call $msg_caller_info_signer_size))
            (call $msg_reply_data_append (i32.const 400) (call $msg_caller_info_signer_size)))"#;
    let other = net.install(&module(&format!(
        r#"{told} (func (export "canister_update absent") (call $told) (call $msg_reply))"#
    )));
    let id = net.install(&module(&format!(
        r#"{told} (table 1 funcref) (elem (i32.const 0) $back)
        (func $back (param i32)
            (call $told)
            (call $msg_arg_data_copy (i32.const 500) (i32.const 0) (call $msg_arg_data_size))
            (call $msg_reply_data_append (i32.const 500) (call $msg_arg_data_size))
            (call $msg_reply))
        (func (export "canister_update run")
            (call $msg_arg_data_copy (i32.const 300) (i32.const 0) (i32.const 10))
            (call $call_new (i32.const 300) (i32.const 10) (i32.const 100) (i32.const 6)
                (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
            (drop (call $call_perform)))"#
    )));
    let mut ingress = net.ingress(alice(), id, "run", other.as_slice());
    ingress.sender_info = Some(SenderInfo {
        info: b"a citizen".to_vec(),
        signer: other,
    });
    let subnet = net.network.application_subnet();
    net.network.submit(subnet, ingress.clone()).unwrap();
    net.run();
    // In the callback as before it; and nothing from the other canister, whose caller is a canister.
    let expected = [b"a citizen", other.as_slice()].concat();
    assert_eq!(net.status(&ingress.id), RequestStatus::Replied(expected));
}

#[test]
fn keys_that_do_not_exist_have_no_price() {
    let mut net = Net::new();
    let id = net.install(&module(
        r#"(func (export "canister_query ecdsa") (call $answer (i64.extend_i32_u (i32.add
            (i32.mul (i32.const 10) (call $cost_sign_with_ecdsa (i32.const 100) (i32.const 6) (i32.const 1) (i32.const 300)))
            (call $cost_sign_with_ecdsa (i32.const 100) (i32.const 6) (i32.const 0) (i32.const 300))))))
        (func (export "canister_query schnorr") (call $answer (i64.extend_i32_u (i32.add
            (i32.mul (i32.const 10) (call $cost_sign_with_schnorr (i32.const 100) (i32.const 6) (i32.const 2) (i32.const 300)))
            (call $cost_sign_with_schnorr (i32.const 100) (i32.const 6) (i32.const 1) (i32.const 300))))))
        (func (export "canister_query vetkd") (call $answer (i64.extend_i32_u (i32.add
            (i32.mul (i32.const 10) (call $cost_vetkd_derive_key (i32.const 100) (i32.const 6) (i32.const 1) (i32.const 300)))
            (call $cost_vetkd_derive_key (i32.const 100) (i32.const 6) (i32.const 0) (i32.const 300))))))"#,
    ));
    for method in ["ecdsa", "schnorr", "vetkd"] {
        // 1: no such curve; 2: no such key.
        assert_eq!(number(net.query(id, method, &[])), 12, "{method}");
    }
}

#[test]
fn a_callback_and_its_cleanup_that_both_fail_are_told_together() {
    let mut net = Net::new();
    let id = net.install(&module(
        r#"(table 2 funcref) (elem (i32.const 0) $back $cleanup)
        (func $back (param i32) (call $trap (i32.const 100) (i32.const 6)))
        (func $cleanup (param i32) (call $accept_message))
        (func (export "canister_update run")
            (call $new_call)
            (call $call_on_cleanup (i32.const 1) (i32.const 0))
            (drop (call $call_perform)))"#,
    ));
    let reject = net.call(id, "run", &[]).unwrap_err();
    assert_eq!(reject.error_code, Some(ErrorCode::CalledTrap));
    assert_eq!(
        reject.message,
        format!(
            "Error from Canister {id}: Canister called `ic0.trap` with message: 'absent'\n\n\
             call_on_cleanup also failed:\n\n\
             Canister violated contract: \"ic0_accept_message\" cannot be executed in cleanup mode"
        )
    );
}
