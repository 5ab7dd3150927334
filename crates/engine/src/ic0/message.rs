//! The message: argument, caller, reply, reject, method inspection.

use wasmtime::Linker;

use super::{
    Answer, Context, Host, MAX_QUERY_REPLY, MAX_REPLY, Message,
    access::{Access, Pointer, SystemCalls, system_call},
};
use crate::wasm::{Advice, Trap};

const REPLY_TOO_LARGE: Advice = Advice::new(
    "Consider checking the response size and returning an error if it is too long.",
    "msg_reply_data_append-payload-too-large",
);
const REJECT_TOO_LARGE: Advice = Advice::new(
    "Try truncating the error messages that are too long.",
    "msg_reject-payload-too-large",
);

pub(super) fn link<P: Pointer>(
    linker: &mut Linker<Host>,
    calls: &SystemCalls,
) -> wasmtime::Result<()> {
    system_call!(linker, calls, "msg_arg_data_size", () -> P, |host| P::of(host.message()?.arg.len())?);
    system_call!(linker, calls, "msg_arg_data_copy", (to: P, offset: P, len: P), |host|
        host.write_from((to, offset, len), "payload", |message| &message.arg)?);
    system_call!(linker, calls, "msg_caller_size", () -> P, |host|
        P::of(host.message()?.caller.as_slice().len())?);
    system_call!(linker, calls, "msg_caller_copy", (to: P, offset: P, len: P), |host|
        host.write_from((to, offset, len), "id", |message| message.caller.as_slice())?);
    system_call!(linker, calls, "msg_caller_info_data_size", () -> P, |host|
        P::of(info(host.message()?).len())?);
    system_call!(linker, calls, "msg_caller_info_data_copy", (to: P, offset: P, len: P), |host|
        host.write_from((to, offset, len), "data", info)?);
    system_call!(linker, calls, "msg_caller_info_signer_size", () -> P, |host|
        P::of(signer(host.message()?).len())?);
    system_call!(linker, calls, "msg_caller_info_signer_copy", (to: P, offset: P, len: P), |host|
        host.write_from((to, offset, len), "signer", signer)?);
    system_call!(linker, calls, "msg_method_name_size", () -> P, |host| P::of(host.message()?.method.len())?);
    system_call!(linker, calls, "msg_method_name_copy", (to: P, offset: P, len: P), |host|
        host.write_from((to, offset, len), "payload", |message| message.method.as_bytes())?);
    system_call!(linker, calls, "msg_deadline", () -> u64, |host| {
        let message = host.message()?;
        // Queries have no deadline, even where the call that is answered by one has.
        if message.context.is_query() { 0 } else { message.deadline }
    });

    system_call!(linker, calls, "msg_reject_code", () -> u32, |host|
        host.message()?.reject.as_ref().map_or(0, |(code, _)| *code));
    system_call!(linker, calls, "msg_reject_msg_size", () -> P, |host| P::of(reject_text(host.message()?).len())?);
    system_call!(linker, calls, "msg_reject_msg_copy", (to: P, offset: P, len: P), |host|
        host.write_from((to, offset, len), "msg", reject_text)?);

    system_call!(linker, calls, "msg_reply_data_append", (from: P, len: P), |host| append(host, from.into(), len.into())?);
    system_call!(linker, calls, "msg_reply", (), |host| {
        unanswered(host, "ic0.msg_reply: the call is already replied")?;
        let data = std::mem::take(&mut host.effects().reply_data);
        host.effects().answer = Some(Answer::Reply(data));
    });
    system_call!(linker, calls, "msg_reject", (from: P, len: P), |host| reject(host, from.into(), len.into())?);
    system_call!(linker, calls, "accept_message", (), |host| {
        if std::mem::replace(&mut host.effects().accepted, true) {
            Err(Trap::contract(
                "ic0.accept_message: the function was already called.",
            ))?;
        }
    });
    Ok(())
}

fn info(message: &Message) -> &[u8] {
    message.sender_info.as_ref().map_or(&[], |info| &info.info)
}

fn signer(message: &Message) -> &[u8] {
    message
        .sender_info
        .as_ref()
        .map_or(&[], |info| info.signer.as_slice())
}

fn reject_text(message: &Message) -> &[u8] {
    message
        .reject
        .as_ref()
        .map_or(&[], |(_, text)| text.as_bytes())
}

/// A call is answered once.
fn unanswered(host: &mut Access<'_, '_>, otherwise: &str) -> Result<(), Trap> {
    if host.message()?.answered || host.effects().answer.is_some() {
        return Err(Trap::contract(otherwise));
    }
    Ok(())
}

fn longest_answer(context: Context) -> u64 {
    match context {
        Context::Query | Context::Transform | Context::CompositeQuery => MAX_QUERY_REPLY,
        _ => MAX_REPLY,
    }
}

fn append(host: &mut Access<'_, '_>, from: u64, len: u64) -> Result<(), Trap> {
    host.charge_bytes(len)?;
    unanswered(
        host,
        "ic0.msg_reply_data_append: the call is already replied.",
    )?;
    let limit = longest_answer(host.context()?);
    let size = (host.effects().reply_data.len() as u64).saturating_add(len);
    if size > limit {
        let text = format!(
            "ic0.msg_reply_data_append: application payload size ({size}) cannot be larger than {limit}."
        );
        return Err(Trap::Misuse(text, REPLY_TOO_LARGE));
    }
    let bytes = host.heap("msg.reply", from, len)?.to_vec();
    host.effects().reply_data.extend_from_slice(&bytes);
    Ok(())
}

fn reject(host: &mut Access<'_, '_>, from: u64, len: u64) -> Result<(), Trap> {
    host.charge_bytes(len)?;
    unanswered(host, "ic0.msg_reject: the call is already replied")?;
    let limit = longest_answer(host.context()?);
    if len > limit {
        let text = format!(
            "ic0.msg_reject: application payload size ({len}) cannot be larger than {limit}."
        );
        return Err(Trap::Misuse(text, REJECT_TOO_LARGE));
    }
    let text = std::str::from_utf8(host.heap("ic0.msg_reject", from, len)?)
        .map_err(|_| Trap::contract("ic0.msg_reject: invalid UTF-8 string provided"))?
        .to_owned();
    host.effects().answer = Some(Answer::Reject(text));
    Ok(())
}
