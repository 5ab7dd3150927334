//! Names and types of the functions that a canister may import from `ic0`.
//!
//! IC interface specification, "System API imports" (ic0 1.2), with the legacy 32-bit stable memory and
//! 64-bit cycles functions that older modules still import.
//!
//! A type string has a letter for each parameter, a colon, and a letter for each result: `i` is `i32`,
//! `I` is `i64`, and `p` is a pointer or a length, `i32` in a 32-bit module.

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
    ("subnet_self_size", ":p"),
    ("time", ":I"),
    ("trap", "pp:"),
];

/// Parameters and results of an `ic0` function in a 32-bit module, if there is one of that name.
#[must_use]
pub fn signature(name: &str) -> Option<(Vec<ValType>, Vec<ValType>)> {
    let at = FUNCTIONS.binary_search_by_key(&name, |(n, _)| n).ok()?;
    let (params, results) = FUNCTIONS[at].1.split_once(':')?;
    Some((types(params), types(results)))
}

fn types(letters: &str) -> Vec<ValType> {
    letters
        .chars()
        .map(|c| if c == 'I' { ValType::I64 } else { ValType::I32 })
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
        assert_eq!(signature("trap"), Some((vec![ValType::I32; 2], vec![])));
        assert_eq!(signature("nothing"), None);
    }
}
