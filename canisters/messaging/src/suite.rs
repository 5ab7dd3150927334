//! What is asked of others: identity says who callers are and whose keys are whose, the registry what was decided, the subnet gives
//! randomness.
//!
//! ```text
//! update ── checked ── await: who calls (kept for a minute) ── checked ── await: whose keys ─► checked again from the start ── commit
//! ```
//!
//! Invariant: each `await` is a question that changes nothing, here or there. Only the message after the last answer decides, on the
//! state that it finds.

use candid::Principal;
use indus_api::{Error, Subject};
use indus_kit::{
    Context,
    calls::{CallError, Canister as _, ask, random},
    decisions,
    guard::{Guard, Guards},
    shell,
    subjects::{Subjects as _, cache},
};
use serde_bytes::ByteBuf;

use crate::{Messaging, SUBJECTS, configuration, conversations::Holders};

/// How identity is called in errors.
pub(crate) const IDENTITY: &str = "identity";
/// Most questions about keys, and about decisions, at once: half of what the system's queue between two canisters holds.
const MAX_QUESTIONS: usize = 250;
/// Most of them for one caller.
const MAX_QUESTIONS_OF_CALLER: u8 = 16;

thread_local! {
    static QUESTIONS: Guards<(Principal, u8)> = Guards::new("questions at once", MAX_QUESTIONS);
}

/// The caller, as identity said within the last minute.
pub(crate) async fn caller() -> Result<Subject, Error> {
    let context = shell::context();
    if SUBJECTS.with_borrow(|subjects| subjects.needs_fresh(&context, false)) {
        refresh_subject().await
    } else {
        SUBJECTS.with_borrow(|subjects| subjects.subject(&context))
    }
}

/// The caller of a query.
pub(crate) fn known_caller(context: &Context) -> Result<Subject, Error> {
    SUBJECTS.with_borrow(|subjects| subjects.subject(context))
}

/// Asks identity who the caller is.
pub(crate) async fn refresh_subject() -> Result<Subject, Error> {
    let identity = shell::query(|state: &Messaging, _| Ok(state.in_force()?.identity))?;
    cache::pull(
        &SUBJECTS,
        shell::context(),
        Messaging::time_ns,
        async |caller| {
            ask::<Messaging, _>(identity, "subject_of", &caller)
                .await
                .map_err(|failed| failed.of(IDENTITY))
        },
    )
    .await
}

/// Runs the logic of an update that rests on who holds messaging keys now: `keys` says which, from what is certain so far.
pub(crate) async fn with_holders<T>(
    keys: impl FnOnce(&Messaging, &Context, &Subject) -> Result<Vec<[u8; 32]>, Error>,
    logic: impl FnOnce(&mut Messaging, &Context, &Subject, &Holders) -> Result<T, Error>,
) -> Result<T, Error> {
    let subject = caller().await?;
    let (identity, keys) = shell::query(|state: &Messaging, context| {
        Ok((state.in_force()?.identity, keys(state, context, &subject)?))
    })?;
    let holders = if keys.is_empty() {
        Holders::new()
    } else {
        let _open = question()?;
        let argument: Vec<ByteBuf> = keys.iter().map(|key| ByteBuf::from(*key)).collect();
        let holders: Vec<Option<Subject>> = ask::<Messaging, _>(identity, "holders_of", &argument)
            .await
            .map_err(|failed| failed.of(IDENTITY))?;
        if holders.len() != keys.len() {
            return Err(CallError::Malformed.of(IDENTITY));
        }
        keys.into_iter().zip(holders).collect()
    };
    shell::update(|state, context| logic(state, context, &subject, &holders))
}

/// Asks the registry for a decision, and applies it.
pub(crate) async fn apply_decision(proposal: u64) -> Result<(), Error> {
    let registry = shell::query(|state: &Messaging, context| {
        let applied = configuration::is_applied(state, context, proposal)?;
        Ok((!applied).then_some(state.in_force()?.registry))
    })?;
    let Some(registry) = registry else {
        return Ok(());
    };
    let open = question()?;
    let decision = decisions::pull::<Messaging>(registry, proposal).await;
    drop(open);
    let decision = decision?;
    shell::update(|state: &mut Messaging, context| {
        configuration::apply(state, context, proposal, &decision)
    })
}

/// Draws the seed, if there is none.
pub(crate) async fn draw_seed() -> Result<(), Error> {
    if shell::tick(|state: &mut Messaging, _| state.randomness.is_seeded()) {
        return Ok(());
    }
    let seed = random::<Messaging>().await?;
    shell::tick(|state: &mut Messaging, _| state.randomness.seed(seed));
    Ok(())
}

/// Enters a question among those that are open.
fn question() -> Result<Guard<(Principal, u8)>, Error> {
    let caller = shell::context().authenticated()?;
    QUESTIONS.with(|questions| questions.enter_one_of(&caller, MAX_QUESTIONS_OF_CALLER))
}
