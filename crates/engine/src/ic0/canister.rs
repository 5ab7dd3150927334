//! The canister and its subnet: identity, status, controllers, time, timer, certified data, log.

use candid::Principal;
use wasmtime::Linker;

use super::{
    Host,
    access::{Access, Pointer, SystemCalls, system_call},
};
use crate::wasm::{Advice, Trap};

/// Longest text of a trap or of one line of the log, in bytes; the rest is cut off.
const MAX_TEXT: u64 = 32 * 1024;
/// Lines that one message may leave in the log.
const MAX_LOG_LINES: usize = 1_000;
/// Longest certified data.
const CERTIFIED_DATA: u64 = 32;

const CERTIFIED_DATA_TOO_LARGE: Advice = Advice::new(
    "Try certifying just the hash of your data instead of the full contents.",
    "certified_data_set-payload-too-large",
);

pub(super) fn link<P: Pointer>(
    linker: &mut Linker<Host>,
    calls: &SystemCalls,
) -> wasmtime::Result<()> {
    system_call!(linker, calls, "canister_self_size", () -> P, |host|
        P::of(host.environment()?.canister.as_slice().len())?);
    system_call!(linker, calls, "canister_self_copy", (to: P, offset: P, len: P), |host|
        host.write_from((to, offset, len), "id", |message| message.environment.canister.as_slice())?);
    system_call!(linker, calls, "subnet_self_size", () -> P, |host|
        P::of(host.environment()?.subnet.as_slice().len())?);
    system_call!(linker, calls, "subnet_self_copy", (to: P, offset: P, len: P), |host|
        host.write_from((to, offset, len), "id", |message| message.environment.subnet.as_slice())?);
    system_call!(linker, calls, "subnet_self_node_count", () -> u32, |host| host.environment()?.nodes);
    system_call!(linker, calls, "root_key_size", () -> P, |host| P::of(host.environment()?.root_key.len())?);
    system_call!(linker, calls, "root_key_copy", (to: P, offset: P, len: P), |host|
        host.write_from((to, offset, len), "bytes", |message| &message.environment.root_key)?);
    system_call!(linker, calls, "canister_status", () -> u32, |host| host.environment()?.status);
    system_call!(linker, calls, "canister_version", () -> u64, |host| host.environment()?.version);
    system_call!(linker, calls, "in_replicated_execution", () -> u32, |host|
        u32::from(host.context()?.is_replicated()));
    system_call!(linker, calls, "is_controller", (from: P, len: P) -> u32, |host| {
        host.charge_bytes(len.into())?;
        let id = Principal::try_from(host.heap("ic0.is_controller", from, len)?).map_err(|_| Trap::Principal)?;
        u32::from(host.environment()?.controllers.contains(&id))
    });

    system_call!(linker, calls, "time", () -> u64, |host| host.environment()?.time.0);
    system_call!(linker, calls, "global_timer_set", (time: u64) -> u64, |host| {
        let before = host.environment()?.timer;
        host.effects().timer.replace(time).unwrap_or(before)
    });
    system_call!(linker, calls, "performance_counter", (kind: u32) -> u64, |host| match kind {
        0 => host.instructions(),
        1 => host.message()?.instructions_before + host.instructions(),
        _ => Err(Trap::Misuse(format!("Error getting performance counter type {kind}"), Advice::NONE))?,
    });

    system_call!(linker, calls, "certified_data_set", (from: P, len: P), |host|
        certify(host, from.into(), len.into())?);
    system_call!(linker, calls, "data_certificate_present", () -> u32, |host|
        u32::from(host.message()?.certificate.is_some()));
    system_call!(linker, calls, "data_certificate_size", () -> P, |host| P::of(certificate(host)?.len())?);
    system_call!(linker, calls, "data_certificate_copy", (to: P, offset: P, len: P), |host|
        copy_certificate(host, to.into(), offset.into(), len.into())?);

    system_call!(linker, calls, "debug_print", (from: P, len: P), |host| {
        let line = text(host, from, len)?.unwrap_or_else(|| b"(debug_print message out of memory bounds)".to_vec());
        if host.host().log.len() < MAX_LOG_LINES {
            host.host().log.push(line);
        }
    });
    system_call!(linker, calls, "trap", (from: P, len: P), |host| {
        let text = text(host, from, len)?.unwrap_or_else(|| b"(trap message out of memory bounds)".to_vec());
        Err(Trap::Called(String::from_utf8_lossy(&text).into_owned()))?;
    });
    Ok(())
}

fn certify(host: &mut Access<'_, '_>, from: u64, len: u64) -> Result<(), Trap> {
    host.charge_bytes(len)?;
    if len > CERTIFIED_DATA {
        let text = format!(
            "ic0_certified_data_set failed because the passed data must be no larger than {CERTIFIED_DATA} bytes. \
             Found {len} bytes."
        );
        return Err(Trap::Misuse(text, CERTIFIED_DATA_TOO_LARGE));
    }
    let size = host.heap_size()?;
    let Ok(data) = host.heap("", from, len).map(<[u8]>::to_vec) else {
        return Err(Trap::contract(format!(
            "ic0_certified_data_set failed because src + size is out of bounds. Found src = {from} and size = {len} \
             while src + size must be <= {size}"
        )));
    };
    host.effects().certified_data = Some(data);
    Ok(())
}

fn certificate(host: &Access<'_, '_>) -> Result<std::sync::Arc<[u8]>, Trap> {
    let certificate = host.message()?.certificate.as_ref();
    Ok(certificate.ok_or_else(|| host.wrong_mode())?.bytes())
}

fn copy_certificate(host: &mut Access<'_, '_>, to: u64, offset: u64, len: u64) -> Result<(), Trap> {
    let certificate = certificate(host)?;
    let outside = |what: &str, at: u64, size: usize| {
        Trap::contract(format!(
            "ic0_data_certificate_copy failed because {what} + size is out of bounds. Found {what} = {at} and size = \
             {len} while {what} + size must be <= {size}"
        ))
    };
    let size = host.heap_size()?;
    let ends = |at: u64, size: usize| at.checked_add(len).is_some_and(|end| end <= size as u64);
    if !ends(offset, certificate.len()) {
        return Err(outside("offset", offset, certificate.len()));
    }
    if !ends(to, size) {
        return Err(outside("dst", to, size));
    }
    host.write((to, offset, len), "certificate", &certificate)
}

/// The beginning of a text; None where it lies outside of the heap.
fn text<P: Pointer>(host: &mut Access<'_, '_>, from: P, len: P) -> Result<Option<Vec<u8>>, Trap> {
    let len = len.into().min(MAX_TEXT);
    host.charge_bytes(len)?;
    Ok(host.heap("", from, len).ok().map(<[u8]>::to_vec))
}
