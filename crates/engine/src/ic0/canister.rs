//! The canister and its subnet: identity, status, controllers, time, timer, certified data, log.

use candid::Principal;
use wasmtime::Linker;

use super::{
    Host,
    access::{Access, SystemCalls, size, system_call},
};
use crate::wasm::Trap;

/// Longest text of a trap or of one line of the log, in bytes; the rest is cut off.
const MAX_TEXT: u32 = 32 * 1024;
/// Lines that one message may leave in the log.
const MAX_LOG_LINES: usize = 1_000;
/// Longest certified data.
const CERTIFIED_DATA: usize = 32;
/// Longest name of an environment variable that is looked for.
const MAX_VARIABLE_NAME: usize = 128;

pub(super) fn link(linker: &mut Linker<Host>, calls: &SystemCalls) -> wasmtime::Result<()> {
    system_call!(linker, calls, "canister_self_size", () -> u32, |host|
        size(host.environment()?.canister.as_slice().len())?);
    system_call!(linker, calls, "canister_self_copy", (to: u32, offset: u32, len: u32), |host|
        host.write_from((to, offset, len), |message| message.environment.canister.as_slice())?);
    system_call!(linker, calls, "subnet_self_size", () -> u32, |host|
        size(host.environment()?.subnet.as_slice().len())?);
    system_call!(linker, calls, "subnet_self_copy", (to: u32, offset: u32, len: u32), |host|
        host.write_from((to, offset, len), |message| message.environment.subnet.as_slice())?);
    system_call!(linker, calls, "root_key_size", () -> u32, |host| size(host.environment()?.root_key.len())?);
    system_call!(linker, calls, "root_key_copy", (to: u32, offset: u32, len: u32), |host|
        host.write_from((to, offset, len), |message| &message.environment.root_key)?);
    system_call!(linker, calls, "canister_status", () -> u32, |host| host.environment()?.status);
    system_call!(linker, calls, "canister_version", () -> u64, |host| host.environment()?.version);
    system_call!(linker, calls, "in_replicated_execution", () -> u32, |host|
        u32::from(host.context()?.is_replicated()));
    system_call!(linker, calls, "is_controller", (from: u32, len: u32) -> u32, |host| {
        let bytes = host.read(from, len, Principal::MAX_LENGTH_IN_BYTES)?;
        u32::from(host.environment()?.controllers.iter().any(|c| c.as_slice() == bytes))
    });

    system_call!(linker, calls, "time", () -> u64, |host| host.environment()?.time.0);
    system_call!(linker, calls, "global_timer_set", (time: u64) -> u64, |host| {
        let before = host.environment()?.timer;
        host.effects().timer.replace(time).unwrap_or(before)
    });
    system_call!(linker, calls, "performance_counter", (kind: u32) -> u64, |host| match kind {
        0 => host.instructions(),
        1 => host.message()?.instructions_before + host.instructions(),
        _ => Err(Trap::contract(format!("ic0.performance_counter: no counter {kind}")))?,
    });

    system_call!(linker, calls, "certified_data_set", (from: u32, len: u32), |host| {
        let data = host.read(from, len, CERTIFIED_DATA)?;
        host.effects().certified_data = Some(data);
    });
    system_call!(linker, calls, "data_certificate_present", () -> u32, |host|
        u32::from(host.message()?.certificate.is_some()));
    system_call!(linker, calls, "data_certificate_size", () -> u32, |host| size(certificate(host)?.len())?);
    system_call!(linker, calls, "data_certificate_copy", (to: u32, offset: u32, len: u32), |host| {
        let certificate = certificate(host)?;
        host.write(to, offset, len, &certificate)?;
    });

    system_call!(linker, calls, "debug_print", (from: u32, len: u32), |host| {
        let line = text(host, from, len)?;
        let log = &mut host.effects().log;
        if log.len() < MAX_LOG_LINES {
            log.push(line);
        }
    });
    system_call!(linker, calls, "trap", (from: u32, len: u32), |host| {
        let text = text(host, from, len)?;
        Err(Trap::Called(text))?;
    });

    system_call!(linker, calls, "env_var_count", () -> u32, |host| size(host.environment()?.variables.len())?);
    system_call!(linker, calls, "env_var_name_size", (index: u32) -> u32, |host|
        size(variable(host, index)?.len())?);
    system_call!(linker, calls, "env_var_name_copy", (index: u32, to: u32, offset: u32, len: u32), |host| {
        let name = variable(host, index)?;
        host.write(to, offset, len, name.as_bytes())?;
    });
    system_call!(linker, calls, "env_var_name_exists", (from: u32, len: u32) -> u32, |host|
        u32::from(value(host, from, len)?.is_some()));
    system_call!(linker, calls, "env_var_value_size", (from: u32, len: u32) -> u32, |host|
        size(existing_value(host, from, len)?.len())?);
    system_call!(linker, calls, "env_var_value_copy",
        (from: u32, from_len: u32, to: u32, offset: u32, len: u32), |host| {
        let value = existing_value(host, from, from_len)?;
        host.write(to, offset, len, value.as_bytes())?;
    });
    Ok(())
}

fn certificate(host: &Access<'_, '_>) -> Result<std::sync::Arc<[u8]>, Trap> {
    let missing = || Trap::contract("there is no data certificate here");
    Ok(host
        .message()?
        .certificate
        .as_ref()
        .ok_or_else(missing)?
        .bytes())
}

fn text(host: &mut Access<'_, '_>, from: u32, len: u32) -> Result<String, Trap> {
    let bytes = host.read(from, len.min(MAX_TEXT), MAX_TEXT as usize)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn variable(host: &Access<'_, '_>, index: u32) -> Result<String, Trap> {
    let name = host
        .environment()?
        .variables
        .keys()
        .nth(index as usize)
        .cloned();
    name.ok_or_else(|| Trap::contract(format!("there is no environment variable {index}")))
}

fn value(host: &mut Access<'_, '_>, from: u32, len: u32) -> Result<Option<String>, Trap> {
    let name = host.read(from, len, MAX_VARIABLE_NAME)?;
    let name = String::from_utf8(name)
        .map_err(|_| Trap::contract("the name of an environment variable is not valid UTF-8"))?;
    Ok(host.environment()?.variables.get(&name).cloned())
}

fn existing_value(host: &mut Access<'_, '_>, from: u32, len: u32) -> Result<String, Trap> {
    value(host, from, len)?.ok_or_else(|| Trap::contract("there is no such environment variable"))
}
