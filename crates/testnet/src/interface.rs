//! What a Candid interface has.

use candid_parser::utils::CandidSource;

/// Updates that all canisters have, which the kit answers and tests.
const OF_THE_KIT: [&str; 2] = ["confirm_upgrade", "icrc21_canister_call_consent_message"];

/// The names of all updates of an interface but those of the kit, in their order: what a table of who may call what has to have.
///
/// # Panics
/// If this is no interface.
#[must_use]
pub fn updates(did: &str) -> Vec<String> {
    let (types, service) = CandidSource::Text(did).load().expect("Candid");
    let service = service.expect("a service");
    let methods = types.as_service(&service).expect("a service").iter();
    let mut updates: Vec<String> = methods
        .filter(|(_, method)| types.as_func(method).expect("a method").modes.is_empty())
        .map(|(name, _)| name.clone())
        .filter(|name| !OF_THE_KIT.contains(&name.as_str()))
        .collect();
    updates.sort_unstable();
    updates
}
