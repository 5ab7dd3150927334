//! Cycles: balances, and what calls would cost. Nothing costs anything on this subnet, so prices are 0.

use wasmtime::Linker;

use super::{
    Host,
    access::{Access, SystemCalls, system_call, u128_of},
};
use crate::wasm::Trap;

pub(super) fn link(linker: &mut Linker<Host>, calls: &SystemCalls) -> wasmtime::Result<()> {
    system_call!(linker, calls, "canister_cycle_balance", () -> u64, |host| low(balance(host)?)?);
    system_call!(linker, calls, "canister_cycle_balance128", (to: u32), |host| {
        let balance = balance(host)?;
        host.write_u128(to, balance)?;
    });
    system_call!(linker, calls, "canister_liquid_cycle_balance128", (to: u32), |host| {
        let balance = balance(host)?;
        host.write_u128(to, balance)?;
    });
    system_call!(linker, calls, "msg_cycles_available", () -> u64, |host| low(available(host)?)?);
    system_call!(linker, calls, "msg_cycles_available128", (to: u32), |host| {
        let available = available(host)?;
        host.write_u128(to, available)?;
    });
    system_call!(linker, calls, "msg_cycles_refunded", () -> u64, |host| low(host.message()?.cycles_refunded)?);
    system_call!(linker, calls, "msg_cycles_refunded128", (to: u32), |host| {
        let refunded = host.message()?.cycles_refunded;
        host.write_u128(to, refunded)?;
    });
    system_call!(linker, calls, "msg_cycles_accept", (max: u64) -> u64, |host| low(accept(host, max.into())?)?);
    system_call!(linker, calls, "msg_cycles_accept128", (high: u64, low: u64, to: u32), |host| {
        let accepted = accept(host, u128_of(high, low))?;
        host.write_u128(to, accepted)?;
    });
    system_call!(linker, calls, "cycles_burn128", (high: u64, low: u64, to: u32), |host| {
        let burned = u128_of(high, low).min(balance(host)?);
        host.effects().cycles_burned += burned;
        host.write_u128(to, burned)?;
    });

    system_call!(linker, calls, "cost_call", (_method: u64, _payload: u64, to: u32), |host|
        host.write_u128(to, 0)?);
    system_call!(linker, calls, "cost_create_canister", (to: u32), |host| host.write_u128(to, 0)?);
    system_call!(linker, calls, "cost_http_request", (_request: u64, _max: u64, to: u32), |host|
        host.write_u128(to, 0)?);
    // 2: there is no such key on this subnet.
    system_call!(linker, calls, "cost_sign_with_ecdsa", (_from: u32, _len: u32, _curve: u32, _to: u32) -> u32,
        |_host| 2);
    system_call!(linker, calls, "cost_sign_with_schnorr", (_from: u32, _len: u32, _algorithm: u32, _to: u32) -> u32,
        |_host| 2);
    system_call!(linker, calls, "cost_vetkd_derive_key", (_from: u32, _len: u32, _curve: u32, _to: u32) -> u32,
        |_host| 2);
    Ok(())
}

/// The balance as the message has left it so far.
pub(super) fn balance(host: &mut Access<'_, '_>) -> Result<u128, Trap> {
    let before = host.environment()?.balance;
    let effects = host.effects();
    let sent: u128 = effects
        .calls
        .iter()
        .chain(&effects.building)
        .map(|call| call.cycles + call.price)
        .sum();
    Ok(before
        .saturating_add(effects.cycles_accepted)
        .saturating_sub(sent + effects.cycles_burned))
}

/// The part of the balance that may be spent without freezing the canister.
pub(super) fn liquid(host: &mut Access<'_, '_>) -> Result<u128, Trap> {
    let reserve = host.environment()?.freezing_reserve;
    Ok(balance(host)?.saturating_sub(reserve))
}

/// What may still be accepted: nothing once the call is answered, since the rest has gone back with the answer.
fn available(host: &mut Access<'_, '_>) -> Result<u128, Trap> {
    let sent = host.message()?.cycles_available;
    let effects = host.effects();
    Ok(if effects.answer.is_some() {
        0
    } else {
        sent - effects.cycles_accepted
    })
}

fn accept(host: &mut Access<'_, '_>, max: u128) -> Result<u128, Trap> {
    let accepted = max.min(available(host)?);
    host.effects().cycles_accepted += accepted;
    Ok(accepted)
}

/// A number for the 64-bit functions of older modules, which trap where it doesn't fit.
fn low(cycles: u128) -> Result<u64, Trap> {
    u64::try_from(cycles).map_err(|_| Trap::contract("more cycles than a 64-bit function can tell"))
}
