//! Every function of `ic0` from every context: allowed where the specification's table says so, and refused in the
//! replica's words everywhere else.

use std::collections::BTreeMap;

use canister_module::system_api::FUNCTIONS;

use crate::system_api::probe::{PLACES, Probe, What, exists};

/// The specification's table.
fn table() -> BTreeMap<&'static str, Vec<&'static str>> {
    let rows = include_str!("../../../src/ic0/contexts.csv")
        .lines()
        .skip(1);
    rows.map(|row| {
        let (name, codes) = row.split_once(',').unwrap();
        (name, codes.split(' ').collect())
    })
    .collect()
}

fn wrong_mode(name: &str, mode: &str) -> String {
    let dot = matches!(name, "root_key_copy" | "subnet_self_copy");
    let separator = if dot { '.' } else { '_' };
    format!(
        "Canister violated contract: \"ic0{separator}{name}\" cannot be executed in {mode} mode"
    )
}

const ADVICE: &str = "Check the ICP documentation to make sure APIs are being called in the correct message types. \
     See documentation: https://internetcomputer.org/docs/current/references/execution-errors\
     #calling-a-system-api-from-the-wrong-mode";

fn check(memory64: bool) {
    let table = table();
    let mut wrong = Vec::new();
    for place in PLACES {
        let mut probe = Probe::new(memory64);
        for (index, (name, _)) in FUNCTIONS.iter().enumerate() {
            if !exists(index, memory64) {
                continue;
            }
            let allowed = table[name].contains(&place.code);
            let what = if allowed {
                What::Ready(index)
            } else {
                What::Bare(index)
            };
            let result = probe.run(*place, what);
            let as_it_should = match (&result, *name) {
                // Always traps; the text says that it was let through.
                (Err(text), "trap") if allowed => {
                    text.contains("'message!'") || (text.is_empty() && place.code == "T")
                }
                (Err(text), "msg_reject") if allowed => text == "message!",
                (Err(text), "mint_cycles" | "mint_cycles128") if allowed => {
                    text.contains("on non Cycles Minting Canister")
                        || (text.is_empty() && place.code == "T")
                }
                (Ok(()), _) => allowed,
                // Nobody hears of these.
                (Err(text), _) if text.is_empty() => !allowed && place.code == "T",
                (Err(text), _) => {
                    // What is said of a cleanup ends with its error.
                    let advised = text.ends_with(ADVICE) || matches!(place.code, "C" | "CC");
                    !allowed && text.contains(&wrong_mode(name, place.mode)) && advised
                }
            };
            if !as_it_should {
                wrong.push(format!(
                    "{name} in {place:?} (allowed: {allowed}): {result:?}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_function_may_be_called_from_where_the_table_says_and_from_nowhere_else() {
    check(false);
}

#[test]
fn so_it_is_with_64_bit_memories() {
    check(true);
}

#[test]
fn every_context_of_the_table_is_tried() {
    for code in table().values().flatten() {
        assert!(PLACES.iter().any(|place| place.code == *code), "{code}");
    }
}
