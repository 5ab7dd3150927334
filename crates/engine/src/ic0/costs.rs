//! What calls and management methods would cost, in cycles.

use candid::{CandidType, DecoderConfig, utils::decode_args_with_config};
use serde::Deserialize;
use wasmtime::Linker;

use super::{
    Host,
    access::{Access, Pointer, SystemCalls, system_call},
};
use crate::wasm::Trap;

/// What the functions that price signatures answer where the curve or the algorithm is not known.
const UNKNOWN_CURVE: u32 = 1;
/// And where there is no such key: this network has none.
const UNKNOWN_KEY: u32 = 2;

/// Curves of threshold ECDSA, algorithms of threshold Schnorr, curves of vetKD that are known.
const ECDSA_CURVES: u32 = 1;
const SCHNORR_ALGORITHMS: u32 = 2;
const VETKD_CURVES: u32 = 1;

/// Work that decoding parameters may take, in candid's units.
const DECODING_QUOTA: usize = 100_000;

pub(super) fn link<P: Pointer>(
    linker: &mut Linker<Host>,
    calls: &SystemCalls,
) -> wasmtime::Result<()> {
    system_call!(linker, calls, "cost_call", (method: u64, payload: u64, to: P), |host| {
        let environment = host.environment()?;
        let (limit, memory64) = (environment.callback_limit, environment.memory64);
        let cost = environment.prices.call(method.saturating_add(payload), limit, memory64);
        host.write_u128(to, cost)?;
    });
    system_call!(linker, calls, "cost_create_canister", (to: P), |host| {
        let cost = host.environment()?.prices.creation();
        host.write_u128(to, cost)?;
    });
    system_call!(linker, calls, "cost_http_request", (request: u64, max: u64, to: P), |host| {
        let cost = host.environment()?.prices.http_request(request, max);
        host.write_u128(to, cost)?;
    });
    system_call!(linker, calls, "cost_http_request_v2", (from: P, len: P, to: P), |host| {
        let outcall = outcall(host, from.into(), len.into())?;
        let environment = host.environment()?;
        let cost = if environment.prices.is_free() { 0 } else { outcall.price(environment.nodes) };
        host.write_u128(to, cost)?;
    });
    system_call!(linker, calls, "cost_sign_with_ecdsa", (from: P, len: P, curve: u32, _to: P) -> u32, |host|
        key(host, "cost_sign_with_ecdsa", (from.into(), len.into()), curve < ECDSA_CURVES)?);
    system_call!(linker, calls, "cost_sign_with_schnorr", (from: P, len: P, algorithm: u32, _to: P) -> u32, |host|
        key(host, "cost_sign_with_schnorr", (from.into(), len.into()), algorithm < SCHNORR_ALGORITHMS)?);
    system_call!(linker, calls, "cost_vetkd_derive_key", (from: P, len: P, curve: u32, _to: P) -> u32, |host|
        key(host, "cost_vetkd_derive_key", (from.into(), len.into()), curve < VETKD_CURVES)?);
    Ok(())
}

/// Answers for a key of this name.
fn key(
    host: &mut Access<'_, '_>,
    function: &str,
    (from, len): (u64, u64),
    known_curve: bool,
) -> Result<u32, Trap> {
    host.charge_bytes(len)?;
    let name = host.heap(&format!("ic0.{function} heap"), from, len)?;
    if std::str::from_utf8(name).is_err() {
        let name = String::from_utf8_lossy(name);
        return Err(Trap::contract(format!("Failed to decode key name {name}")));
    }
    Ok(if known_curve {
        UNKNOWN_KEY
    } else {
        UNKNOWN_CURVE
    })
}

/// What an HTTPS outcall is expected to use: the argument of `cost_http_request_v2`.
#[derive(CandidType, Debug, Deserialize)]
struct Outcall {
    request_bytes: u64,
    http_roundtrip_time_ms: u64,
    raw_response_bytes: u64,
    transformed_response_bytes: u64,
    transform_instructions: u64,
    outcall_type: Option<Replication>,
}

/// Which nodes perform an outcall.
#[derive(CandidType, Debug, Deserialize)]
enum Replication {
    #[serde(rename = "fully_replicated")]
    Fully(candid::Reserved),
    #[serde(rename = "non_replicated")]
    None(candid::Reserved),
    #[serde(rename = "flexible")]
    Flexible(Option<Counts>),
}

/// How many nodes perform a flexible outcall, and how many of their answers are delivered.
#[derive(CandidType, Debug, Deserialize)]
struct Counts {
    min_responses: u32,
    max_responses: u32,
    total_requests: u32,
}

fn outcall(host: &mut Access<'_, '_>, from: u64, len: u64) -> Result<Outcall, Trap> {
    let bytes = host.heap("ic0.cost_http_request_v2 heap", from, len)?;
    let mut config = DecoderConfig::new();
    config
        .set_decoding_quota(DECODING_QUOTA)
        .set_skipping_quota(0)
        .set_full_error_message(false);
    match decode_args_with_config(bytes, &config) {
        Ok((outcall,)) => Ok(outcall),
        Err(error) => Err(Trap::contract(format!(
            "Failed to decode HttpRequestV2CostParams from Candid: {error}"
        ))),
    }
}

impl Outcall {
    /// Pay as you go: what every node is paid up front, what it uses, and what agreeing on the answers costs.
    fn price(&self, nodes: u32) -> u128 {
        let n = u128::from(nodes);
        let request = 1_000_000 + 50 * u128::from(self.request_bytes);
        let answer = u128::from(self.transformed_response_bytes);
        let agreeing_per_byte = (10 * n + 600) * n;
        let gossip = 50 * n * answer;
        let use_of_one = 50 * u128::from(self.raw_response_bytes)
            + 300 * u128::from(self.http_roundtrip_time_ms)
            + u128::from(self.transform_instructions) / 13;
        let of_some = |min: u128| request + 90_000 * n + 2_000 * n * min + 100_000 * min;
        match &self.outcall_type {
            None | Some(Replication::Fully(_)) => {
                n * (request + 140_000 * n + 800 * n * n + use_of_one) + agreeing_per_byte * answer
            }
            Some(Replication::None(_)) => {
                n * of_some(1) + use_of_one + gossip + agreeing_per_byte * answer
            }
            Some(Replication::Flexible(counts)) => {
                let (min, max, total) = counts.as_ref().map_or_else(
                    || (2 * n / 3 + 1, n, n),
                    |counts| {
                        (
                            u128::from(counts.min_responses),
                            u128::from(counts.max_responses),
                            u128::from(counts.total_requests),
                        )
                    },
                );
                n * of_some(min)
                    + total * (use_of_one + gossip)
                    + agreeing_per_byte * max * (181 + answer)
                    + (2_000 * n + 100_000) * n * max.saturating_sub(min)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcalls_cost_what_the_formula_says() {
        let outcall = |outcall_type| Outcall {
            request_bytes: 100,
            http_roundtrip_time_ms: 2_000,
            raw_response_bytes: 1_000,
            transformed_response_bytes: 500,
            transform_instructions: 26,
            outcall_type,
        };
        let use_of_one = 50 * 1_000 + 300 * 2_000 + 2;
        assert_eq!(
            outcall(None).price(13),
            38_482_600 + 13 * use_of_one + 730 * 13 * 500
        );
        let one = outcall(Some(Replication::None(candid::Reserved))).price(13);
        assert_eq!(
            one,
            13 * (1_005_000 + 90_000 * 13 + 2_000 * 13 + 100_000)
                + use_of_one
                + 50 * 13 * 500
                + 730 * 13 * 500
        );
        let flexible = outcall(Some(Replication::Flexible(Some(Counts {
            min_responses: 1,
            max_responses: 1,
            total_requests: 1,
        }))));
        // Like one that is not replicated, but for the overhead of an answer.
        assert_eq!(flexible.price(13), one + 730 * 13 * 181);
    }
}
