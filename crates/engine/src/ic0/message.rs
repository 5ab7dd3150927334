//! The message: argument, caller, reply, reject, method inspection.

use wasmtime::Linker;

use super::{
    Answer, Context, Host, MAX_QUERY_REPLY, MAX_REPLY,
    access::{Access, SystemCalls, size, system_call},
};
use crate::wasm::Trap;

pub(super) fn link(linker: &mut Linker<Host>, calls: &SystemCalls) -> wasmtime::Result<()> {
    system_call!(linker, calls, "msg_arg_data_size", () -> u32, |host| size(host.message()?.arg.len())?);
    system_call!(linker, calls, "msg_arg_data_copy", (to: u32, offset: u32, len: u32), |host|
        host.write_from((to, offset, len), |message| &message.arg)?);
    system_call!(linker, calls, "msg_caller_size", () -> u32, |host|
        size(host.message()?.caller.as_slice().len())?);
    system_call!(linker, calls, "msg_caller_copy", (to: u32, offset: u32, len: u32), |host|
        host.write_from((to, offset, len), |message| message.caller.as_slice())?);
    // Nobody attaches information about the sender here, so there is none.
    system_call!(linker, calls, "msg_caller_info_data_size", () -> u32, |_host| 0);
    system_call!(linker, calls, "msg_caller_info_data_copy", (to: u32, offset: u32, len: u32), |host|
        host.write(to, offset, len, &[])?);
    system_call!(linker, calls, "msg_caller_info_signer_size", () -> u32, |_host| 0);
    system_call!(linker, calls, "msg_caller_info_signer_copy", (to: u32, offset: u32, len: u32), |host|
        host.write(to, offset, len, &[])?);
    system_call!(linker, calls, "msg_method_name_size", () -> u32, |host| size(host.message()?.method.len())?);
    system_call!(linker, calls, "msg_method_name_copy", (to: u32, offset: u32, len: u32), |host|
        host.write_from((to, offset, len), |message| message.method.as_bytes())?);
    system_call!(linker, calls, "msg_deadline", () -> u64, |host| host.message()?.deadline);

    system_call!(linker, calls, "msg_reject_code", () -> u32, |host|
        host.message()?.reject.as_ref().map_or(0, |(code, _)| *code));
    system_call!(linker, calls, "msg_reject_msg_size", () -> u32, |host|
        size(host.message()?.reject.as_ref().map_or(0, |(_, text)| text.len()))?);
    system_call!(linker, calls, "msg_reject_msg_copy", (to: u32, offset: u32, len: u32), |host|
        host.write_from((to, offset, len), |message| {
            message.reject.as_ref().map_or(&[][..], |(_, text)| text.as_bytes())
        })?);

    system_call!(linker, calls, "msg_reply_data_append", (from: u32, len: u32), |host| append(host, from, len)?);
    system_call!(linker, calls, "msg_reply", (), |host| {
        unanswered(host)?;
        let data = std::mem::take(&mut host.effects().reply_data);
        host.effects().answer = Some(Answer::Reply(data));
    });
    system_call!(linker, calls, "msg_reject", (from: u32, len: u32), |host| {
        unanswered(host)?;
        let text = host.read(from, len, MAX_REPLY)?;
        let text = String::from_utf8(text)
            .map_err(|_| Trap::contract("ic0.msg_reject: the message is not valid UTF-8"))?;
        host.effects().answer = Some(Answer::Reject(text));
    });
    system_call!(linker, calls, "accept_message", (), |host| {
        if std::mem::replace(&mut host.effects().accepted, true) {
            Err(Trap::contract(
                "ic0.accept_message: the function was already called",
            ))?;
        }
    });
    Ok(())
}

/// A call is answered once.
fn unanswered(host: &mut Access<'_, '_>) -> Result<(), Trap> {
    if host.message()?.answered || host.effects().answer.is_some() {
        return Err(Trap::contract("the call is already replied"));
    }
    Ok(())
}

fn append(host: &mut Access<'_, '_>, from: u32, len: u32) -> Result<(), Trap> {
    unanswered(host)?;
    let limit = match host.context()? {
        Context::Query | Context::CompositeQuery => MAX_QUERY_REPLY,
        _ => MAX_REPLY,
    };
    let room = limit.saturating_sub(host.effects().reply_data.len());
    let bytes = host.read(from, len, room)?;
    host.effects().reply_data.extend_from_slice(&bytes);
    Ok(())
}
