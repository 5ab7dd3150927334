//! Environment variables of the canister.

use wasmtime::Linker;

use super::{
    Host,
    access::{Access, Pointer, SystemCalls, system_call},
};
use crate::wasm::{Advice, Trap};

/// Longest name that can be asked for, in bytes.
const MAX_NAME: u64 = 128;

pub(super) fn link<P: Pointer>(
    linker: &mut Linker<Host>,
    calls: &SystemCalls,
) -> wasmtime::Result<()> {
    system_call!(linker, calls, "env_var_count", () -> P, |host| P::of(host.environment()?.variables.len())?);
    system_call!(linker, calls, "env_var_name_size", (index: P) -> P, |host|
        P::of(name_at(host, index.into())?.len())?);
    system_call!(linker, calls, "env_var_name_copy", (index: P, to: P, offset: P, len: P), |host| {
        let name = name_at(host, index.into())?;
        host.write((to, offset, len), "name", name.as_bytes())?;
    });
    system_call!(linker, calls, "env_var_name_exists", (from: P, len: P) -> u32, |host| {
        let name = name(host, "env_var_name_exists", "heap", from, len)?;
        u32::from(host.environment()?.variables.contains_key(&name))
    });
    system_call!(linker, calls, "env_var_value_size", (from: P, len: P) -> P, |host| {
        let name = name(host, "env_var_value_size", "heap", from, len)?;
        P::of(value(host, &name)?.len())?
    });
    system_call!(linker, calls, "env_var_value_copy",
        (from: P, from_len: P, to: P, offset: P, len: P), |host| {
        let name = name(host, "env_var_value_copy", "name", from, from_len)?;
        let value = value(host, &name)?;
        host.write((to, offset, len), "value", value.as_bytes())?;
    });
    Ok(())
}

fn name_at(host: &Access<'_, '_>, index: u64) -> Result<String, Trap> {
    let names = &host.environment()?.variables;
    let name = usize::try_from(index)
        .ok()
        .and_then(|index| names.keys().nth(index));
    name.cloned().ok_or_else(|| {
        Trap::Refused(format!(
            "Environment variable index {index} is out of bounds. The number of environment variables is {}.",
            names.len()
        ))
    })
}

/// A name that the canister asks for. The fixed charge covers it.
fn name<P: Pointer>(
    host: &mut Access<'_, '_>,
    function: &str,
    what: &str,
    from: P,
    len: P,
) -> Result<String, Trap> {
    if len.into() > MAX_NAME {
        let text = format!("ic0.{function}: Variable name is too large.");
        return Err(Trap::Misuse(text, Advice::NONE));
    }
    let bytes = host.heap(&format!("ic0.{function} {what}"), from, len)?;
    let name = std::str::from_utf8(bytes).map_err(|_| {
        let text = format!("ic0.{function}: Variable name is not a valid UTF-8 string.");
        let advice = Advice::new(
            "Provide a valid UTF-8 string for the environment variable name.",
            "",
        );
        Trap::Misuse(text, advice)
    })?;
    Ok(name.to_owned())
}

fn value(host: &Access<'_, '_>, name: &str) -> Result<String, Trap> {
    let value = host.environment()?.variables.get(name).cloned();
    value.ok_or_else(|| Trap::Refused(format!("Environment variable {name} not found.")))
}
