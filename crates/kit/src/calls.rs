//! Calls to other canisters, and how they survive.
//!
//! Only this module calls out, in two ways:
//!
//! | | [`Call::suite`] | [`Call::outside`] |
//! | --- | --- | --- |
//! | for | canisters of the suite, and the management canister | all others |
//! | waits | until there is an answer | [`OUTSIDE_TIMEOUT_SECONDS`], then [`CallError::Unknown`] |
//! | stopping the caller | waits as well: so never for a canister that could withhold its answer | soon possible |
//!
//! A canister is stopped before it is upgraded, because the subnet does not wait by itself: it would bring the answers to calls
//! that are open, timers' calls to their own canister included, to a module that knows nothing of them.
//!
//! A call that must not be lost is recorded as a [pending] operation before it is made, and repeated by a timer
//! until it is settled.
//!
//! Invariants:
//! - Nothing is sent while the state has something uncommitted: with the call the message ends, and what it changed would
//!   be readable without its proof.
//! - A reply is bounded before it is decoded, and decoded with the bounds of arguments.
//! - No callee's text reaches further than [`MAX_MESSAGE_BYTES`] of it.
//!
//! Cost: what the subnet charges for a call (260,000 cycles and 1,000 a byte on 13 nodes); a reply is copied once
//! before its length is looked at (at most 2 MiB, so 2 million instructions).

pub mod pending;

use candid::{CandidType, Principal};
use ic_cdk::call::{Call as SystemCall, CallFailed, RejectCode};
use indus_api::Error;
use serde::de::DeserializeOwned;
use serde_bytes::ByteBuf;
use thiserror::Error as ThisError;

use crate::{
    arguments,
    codes::{UNCOMMITTED_CALL, internal},
    timers,
};

/// How long a canister outside the suite is waited for, in seconds: many times what a busy subnet takes to answer, and less
/// than an operator waits for an upgrade.
pub const OUTSIDE_TIMEOUT_SECONDS: u32 = 60;
/// Longest argument of a call: what the system takes between subnets, less some room for names.
pub const MAX_ARGUMENT_BYTES: usize = 2_000_000;
/// Longest reply, unless the call says otherwise: what the decoder's quota is made for.
pub const MAX_REPLY_BYTES: usize = 100_000;
/// What is kept of a callee's message.
pub const MAX_MESSAGE_BYTES: usize = 200;

/// Asks a canister of the suite, or the management canister, for an answer of one value. It may wait for as long as that one likes.
///
/// # Errors
/// [`CallError`].
pub async fn ask<S: Canister, R: CandidType + DeserializeOwned + 'static>(
    callee: Principal,
    method: &str,
    argument: &impl CandidType,
) -> Result<R, CallError> {
    let reply = Call::new(callee, method, argument)?.suite::<S>().await?;
    reply.candid()
}

/// 32 random bytes of the subnet's.
///
/// # Errors
/// [`Error::Unavailable`], which names the subnet.
pub async fn random<S: Canister>() -> Result<[u8; 32], Error> {
    const SUBNET: &str = "the subnet";
    let random: ByteBuf = ask::<S, _>(Principal::management_canister(), "raw_rand", &())
        .await
        .map_err(|failed| failed.of(SUBNET))?;
    <[u8; 32]>::try_from(random.as_slice()).map_err(|_| CallError::Malformed.of(SUBNET))
}

/// What the kit asks a canister's shell while messages come and go.
pub trait Canister: 'static {
    /// Whether the certified data stands for the state, so that a message may end here.
    fn is_committed() -> bool;

    /// Whether nobody but the orchestrator is answered.
    fn in_maintenance() -> bool;

    /// The subnet's time, in nanoseconds.
    fn time_ns() -> u64;
}

/// Why a call gave no reply.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
pub enum CallError {
    /// Nothing was sent: the state has something uncommitted. A fault of ours.
    #[error("the state was not committed before the call")]
    Uncommitted,
    /// The callee surely has not run: the system is busy, or the caller can't pay.
    #[error("it can't be reached")]
    Unreachable,
    /// There is no such canister; of the management canister: the one that the call is about.
    #[error("it does not exist")]
    Missing,
    /// The callee may have run, or may run still.
    #[error("it did not answer in time")]
    Unknown,
    /// The callee refused, trapped or is stopped. `code` is the system's reject code, 4 or 5. What it had committed
    /// before, at an `await` of its own, stays.
    #[error("it refused ({code}): {message}")]
    Rejected { code: u32, message: String },
    /// The argument is too long, or the reply is too long or not what was expected. In the latter case the callee has run.
    #[error("its reply is not what was expected, or too long")]
    Malformed,
}

impl CallError {
    /// Whether the callee may have done what it was asked for.
    #[must_use]
    pub fn may_have_run(&self) -> bool {
        !matches!(self, Self::Uncommitted | Self::Unreachable | Self::Missing)
    }

    /// What the own caller is told, of the canister named `canister`.
    #[must_use]
    pub fn of(self, canister: &str) -> Error {
        if self == Self::Uncommitted {
            return internal(UNCOMMITTED_CALL);
        }
        Error::Unavailable {
            canister: canister.into(),
            reason: self.to_string(),
        }
    }
}

/// A call to be made.
#[must_use = "a call is made when it is awaited"]
#[derive(Clone, Debug)]
pub struct Call<'a> {
    callee: Principal,
    method: &'a str,
    argument: Vec<u8>,
    cycles: u128,
    max_reply_bytes: usize,
}

impl<'a> Call<'a> {
    /// A call of `method` with one argument.
    ///
    /// # Errors
    /// [`CallError::Malformed`] if the argument can't be encoded.
    pub fn new(
        callee: Principal,
        method: &'a str,
        argument: &impl CandidType,
    ) -> Result<Self, CallError> {
        let argument = candid::encode_one(argument).map_err(|_| CallError::Malformed)?;
        Ok(Self::raw(callee, method, argument))
    }

    /// A call of `method` with these bytes.
    pub fn raw(callee: Principal, method: &'a str, argument: Vec<u8>) -> Self {
        Self {
            callee,
            method,
            argument,
            cycles: 0,
            max_reply_bytes: MAX_REPLY_BYTES,
        }
    }

    /// Sends cycles along.
    pub fn with_cycles(self, cycles: u128) -> Self {
        Self { cycles, ..self }
    }

    /// Takes a longer reply, or only a shorter one.
    pub fn with_max_reply(self, max_reply_bytes: usize) -> Self {
        Self {
            max_reply_bytes,
            ..self
        }
    }

    /// Calls a canister of the suite, and waits for its answer.
    ///
    /// # Errors
    /// [`CallError`]; never [`CallError::Unknown`].
    pub async fn suite<C: Canister>(self) -> Result<Reply, CallError> {
        let call = SystemCall::unbounded_wait(self.callee, self.method);
        Self::made::<C>(call, self.argument, self.cycles, self.max_reply_bytes).await
    }

    /// Calls a canister outside the suite, and waits a minute at most.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn outside<C: Canister>(self) -> Result<Reply, CallError> {
        let call = SystemCall::bounded_wait(self.callee, self.method)
            .change_timeout(OUTSIDE_TIMEOUT_SECONDS);
        Self::made::<C>(call, self.argument, self.cycles, self.max_reply_bytes).await
    }

    async fn made<C: Canister>(
        call: SystemCall<'_, '_>,
        argument: Vec<u8>,
        cycles: u128,
        max_reply_bytes: usize,
    ) -> Result<Reply, CallError> {
        if !C::is_committed() {
            return Err(CallError::Uncommitted);
        }
        if argument.len() > MAX_ARGUMENT_BYTES {
            return Err(CallError::Malformed);
        }
        timers::awake_if_lost(C::time_ns());
        let reply = call.take_raw_args(argument).with_cycles(cycles).await;
        Reply::bounded(reply.map_err(failure)?.into_bytes(), max_reply_bytes)
    }
}

/// What a callee replied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply(Vec<u8>);

impl Reply {
    fn bounded(bytes: Vec<u8>, max: usize) -> Result<Self, CallError> {
        if bytes.len() > max {
            return Err(CallError::Malformed);
        }
        Ok(Self(bytes))
    }

    /// Its one value.
    ///
    /// # Errors
    /// [`CallError::Malformed`] if it isn't Candid of that type, or takes too much work to decode.
    pub fn candid<R: CandidType + DeserializeOwned + 'static>(&self) -> Result<R, CallError> {
        arguments::decode(&self.0).map_err(|_| CallError::Malformed)
    }

    /// Its bytes.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// What a failure of the system's means here. A code that is not known might mean anything.
fn failure(failed: CallFailed) -> CallError {
    let rejected = match failed {
        CallFailed::InsufficientLiquidCycleBalance(_) | CallFailed::CallPerformFailed(_) => {
            return CallError::Unreachable;
        }
        CallFailed::CallRejected(rejected) => rejected,
    };
    match rejected.reject_code() {
        Ok(RejectCode::SysFatal | RejectCode::SysTransient) => CallError::Unreachable,
        Ok(RejectCode::DestinationInvalid) => CallError::Missing,
        Ok(RejectCode::CanisterReject | RejectCode::CanisterError) => {
            let message = rejected.reject_message();
            CallError::Rejected {
                code: rejected.raw_reject_code(),
                message: message[..message.floor_char_boundary(MAX_MESSAGE_BYTES)].into(),
            }
        }
        Ok(RejectCode::SysUnknown) | Err(_) => CallError::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        task::{Context, Poll, Waker},
    };

    use candid::Encode;
    use ic_cdk::call::{CallPerformFailed, CallRejected, InsufficientLiquidCycleBalance};

    use super::*;

    struct InTheMiddle;

    impl Canister for InTheMiddle {
        fn is_committed() -> bool {
            false
        }

        fn in_maintenance() -> bool {
            false
        }

        fn time_ns() -> u64 {
            1
        }
    }

    fn refused(future: impl Future<Output = Result<Reply, CallError>>) -> Result<Reply, CallError> {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(result) => result,
            Poll::Pending => panic!("a call was made"),
        }
    }

    fn rejection(code: u32, message: &str) -> CallError {
        failure(CallRejected::with_rejection(code, message.into()).into())
    }

    #[test]
    fn nothing_is_sent_in_the_middle_of_a_change() {
        let call = Call::new(Principal::management_canister(), "raw_rand", &()).unwrap();
        let uncommitted = Err(CallError::Uncommitted);
        assert_eq!(refused(call.clone().suite::<InTheMiddle>()), uncommitted);
        assert_eq!(refused(call.outside::<InTheMiddle>()), uncommitted);
    }

    #[test]
    fn every_failure_says_whether_the_callee_may_have_run() {
        let unpaid = InsufficientLiquidCycleBalance {
            available: 1,
            required: 2,
        };
        assert_eq!(failure(unpaid.into()), CallError::Unreachable);
        assert_eq!(failure(CallPerformFailed.into()), CallError::Unreachable);
        for code in [1, 2] {
            assert_eq!(rejection(code, "system"), CallError::Unreachable);
        }
        assert_eq!(rejection(3, "system"), CallError::Missing);
        assert!(!CallError::Missing.may_have_run());
        for code in [4, 5] {
            let refused = CallError::Rejected {
                code,
                message: "no".into(),
            };
            assert_eq!(rejection(code, "no"), refused);
            assert!(refused.may_have_run());
        }
        for code in [6, 7, u32::MAX] {
            assert_eq!(rejection(code, "?"), CallError::Unknown);
        }
        assert!(CallError::Unknown.may_have_run() && CallError::Malformed.may_have_run());
        assert!(!CallError::Unreachable.may_have_run() && !CallError::Uncommitted.may_have_run());
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let CallError::Rejected { message, .. } = rejection(4, &"پ".repeat(150)) else {
            panic!("not rejected");
        };
        assert_eq!(message, "پ".repeat(100));
        let CallError::Rejected { message, .. } = rejection(4, &format!("a{}", "پ".repeat(150)))
        else {
            panic!("not rejected");
        };
        assert_eq!(message.len(), 199);
    }

    #[test]
    fn a_reply_is_bounded_before_and_while_it_is_decoded() {
        assert!(Reply::bounded(vec![0; MAX_REPLY_BYTES], MAX_REPLY_BYTES).is_ok());
        let long = Reply::bounded(vec![0; MAX_REPLY_BYTES + 1], MAX_REPLY_BYTES);
        assert_eq!(long, Err(CallError::Malformed));
        let reply = Reply(Encode!(&7_u64).unwrap());
        assert_eq!(reply.candid(), Ok(7_u64));
        assert_eq!(reply.candid::<String>(), Err(CallError::Malformed));
        // vec null with 100,000,000 elements
        let bomb = Reply(b"DIDL\x01\x6d\x7f\x01\x00\x80\xc2\xd7\x2f".to_vec());
        assert_eq!(bomb.candid::<Vec<()>>(), Err(CallError::Malformed));
    }

    #[test]
    fn the_own_caller_learns_which_canister_failed() {
        assert_eq!(
            CallError::Unknown.of("identity"),
            Error::Unavailable {
                canister: "identity".into(),
                reason: "it did not answer in time".into()
            }
        );
        let ours = CallError::Uncommitted.of("identity");
        assert_eq!(ours, internal(UNCOMMITTED_CALL));
    }
}
