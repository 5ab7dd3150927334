//! Names and types of the functions that a canister may import from `ic0`.
//!
//! IC interface specification, "System API imports" (ic0 1.2), with the legacy 32-bit stable memory and
//! 64-bit cycles functions that older modules still import, and what subnets have besides: the count of nodes,
//! the second price of HTTPS outcalls, and minting, which only the cycles minting canister may call.
//!
//! A type string has a letter for each parameter, a colon, and a letter for each result: `i` is `i32`,
//! `I` is `i64`, and `p` is a pointer or a length: `i32` in a module with a 32-bit memory, `i64` in one with a
//! 64-bit memory.

use wasmparser::ValType;

/// Every function of `ic0`, sorted by name, with its type.
pub const FUNCTIONS: &[(&str, &str)] = &[
    ("accept_message", ":"),
    ("call_cycles_add", "I:"),
    ("call_cycles_add128", "II:"),
    ("call_data_append", "pp:"),
    ("call_new", "pppppppp:"),
    ("call_on_cleanup", "pp:"),
    ("call_perform", ":i"),
    ("call_with_best_effort_response", "i:"),
    ("canister_cycle_balance", ":I"),
    ("canister_cycle_balance128", "p:"),
    ("canister_liquid_cycle_balance128", "p:"),
    ("canister_self_copy", "ppp:"),
    ("canister_self_size", ":p"),
    ("canister_status", ":i"),
    ("canister_version", ":I"),
    ("certified_data_set", "pp:"),
    ("cost_call", "IIp:"),
    ("cost_create_canister", "p:"),
    ("cost_http_request", "IIp:"),
    ("cost_http_request_v2", "ppp:"),
    ("cost_sign_with_ecdsa", "ppip:i"),
    ("cost_sign_with_schnorr", "ppip:i"),
    ("cost_vetkd_derive_key", "ppip:i"),
    ("cycles_burn128", "IIp:"),
    ("data_certificate_copy", "ppp:"),
    ("data_certificate_present", ":i"),
    ("data_certificate_size", ":p"),
    ("debug_print", "pp:"),
    ("env_var_count", ":p"),
    ("env_var_name_copy", "pppp:"),
    ("env_var_name_exists", "pp:i"),
    ("env_var_name_size", "p:p"),
    ("env_var_value_copy", "ppppp:"),
    ("env_var_value_size", "pp:p"),
    ("global_timer_set", "I:I"),
    ("in_replicated_execution", ":i"),
    ("is_controller", "pp:i"),
    ("mint_cycles", "I:I"),
    ("mint_cycles128", "IIp:"),
    ("msg_arg_data_copy", "ppp:"),
    ("msg_arg_data_size", ":p"),
    ("msg_caller_copy", "ppp:"),
    ("msg_caller_info_data_copy", "ppp:"),
    ("msg_caller_info_data_size", ":p"),
    ("msg_caller_info_signer_copy", "ppp:"),
    ("msg_caller_info_signer_size", ":p"),
    ("msg_caller_size", ":p"),
    ("msg_cycles_accept", "I:I"),
    ("msg_cycles_accept128", "IIp:"),
    ("msg_cycles_available", ":I"),
    ("msg_cycles_available128", "p:"),
    ("msg_cycles_refunded", ":I"),
    ("msg_cycles_refunded128", "p:"),
    ("msg_deadline", ":I"),
    ("msg_method_name_copy", "ppp:"),
    ("msg_method_name_size", ":p"),
    ("msg_reject", "pp:"),
    ("msg_reject_code", ":i"),
    ("msg_reject_msg_copy", "ppp:"),
    ("msg_reject_msg_size", ":p"),
    ("msg_reply", ":"),
    ("msg_reply_data_append", "pp:"),
    ("performance_counter", "i:I"),
    ("root_key_copy", "ppp:"),
    ("root_key_size", ":p"),
    ("stable64_grow", "I:I"),
    ("stable64_read", "III:"),
    ("stable64_size", ":I"),
    ("stable64_write", "III:"),
    ("stable_grow", "i:i"),
    ("stable_read", "iii:"),
    ("stable_size", ":i"),
    ("stable_write", "iii:"),
    ("subnet_self_copy", "ppp:"),
    ("subnet_self_node_count", ":i"),
    ("subnet_self_size", ":p"),
    ("time", ":I"),
    ("trap", "pp:"),
];

/// Functions that a module with a 64-bit memory can't import: they take or give numbers that are too small
/// for it.
const ONLY_FOR_MEMORY32: &[&str] = &[
    "call_cycles_add",
    "canister_cycle_balance",
    "mint_cycles",
    "msg_cycles_accept",
    "msg_cycles_available",
    "msg_cycles_refunded",
    "stable_grow",
    "stable_read",
    "stable_size",
    "stable_write",
];

/// Parameters and results of an `ic0` function, if there is one of that name, as a module with a 32-bit or
/// a 64-bit memory imports it.
#[must_use]
pub fn signature(name: &str, memory64: bool) -> Option<(Vec<ValType>, Vec<ValType>)> {
    if memory64 && ONLY_FOR_MEMORY32.contains(&name) {
        return None;
    }
    let at = FUNCTIONS.binary_search_by_key(&name, |(n, _)| n).ok()?;
    let (params, results) = FUNCTIONS[at].1.split_once(':')?;
    Some((types(params, memory64), types(results, memory64)))
}

fn types(letters: &str, memory64: bool) -> Vec<ValType> {
    letters
        .chars()
        .map(|letter| match letter {
            'I' => ValType::I64,
            'p' if memory64 => ValType::I64,
            _ => ValType::I32,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_well_formed() {
        assert!(FUNCTIONS.windows(2).all(|w| w[0].0 < w[1].0));
        for (name, letters) in FUNCTIONS {
            assert_eq!(letters.matches(':').count(), 1, "{name}");
            assert!(letters.chars().all(|c| "iIp:".contains(c)), "{name}");
        }
        assert_eq!(
            signature("trap", false),
            Some((vec![ValType::I32; 2], vec![]))
        );
        assert_eq!(
            signature("trap", true),
            Some((vec![ValType::I64; 2], vec![]))
        );
        assert_eq!(
            signature("cost_sign_with_ecdsa", true),
            Some((
                vec![ValType::I64, ValType::I64, ValType::I32, ValType::I64],
                vec![ValType::I32]
            ))
        );
        assert_eq!(signature("nothing", false), None);
        for name in ONLY_FOR_MEMORY32 {
            assert!(signature(name, false).is_some() && signature(name, true).is_none());
        }
    }
}
