//! What is asked of others: identity says who callers are, the registry what was decided, the subnet gives randomness.

use candid::Principal;
use indus_api::{Error, Subject};
use indus_kit::{
    Context,
    calls::{Canister as _, ask, random},
    decisions, shell,
    subjects::{Subjects as _, cache},
};

use crate::{Manager, SUBJECTS, configuration};

/// How identity is called in errors.
pub(crate) const IDENTITY: &str = "identity";

/// Runs the logic of an update that may rest on what identity said within the last minute.
pub(crate) async fn ordinary<T>(
    logic: impl FnOnce(&mut Manager, &Context, &Subject) -> Result<T, Error>,
) -> Result<T, Error> {
    run(false, logic).await
}

/// Runs the logic of an update for which identity is asked now: a revocation holds at once.
pub(crate) async fn sensitive<T>(
    logic: impl FnOnce(&mut Manager, &Context, &Subject) -> Result<T, Error>,
) -> Result<T, Error> {
    run(true, logic).await
}

async fn run<T>(
    sensitive: bool,
    logic: impl FnOnce(&mut Manager, &Context, &Subject) -> Result<T, Error>,
) -> Result<T, Error> {
    let context = shell::context();
    let subject = if SUBJECTS.with_borrow(|subjects| subjects.needs_fresh(&context, sensitive)) {
        refresh_subject().await?
    } else {
        SUBJECTS.with_borrow(|subjects| subjects.subject(&context))?
    };
    shell::update(|state, context| logic(state, context, &subject))
}

/// Asks identity who the caller is.
pub(crate) async fn refresh_subject() -> Result<Subject, Error> {
    let identity = shell::query(|state: &Manager, _| Ok(state.settings().identity))?;
    cache::pull(
        &SUBJECTS,
        shell::context(),
        Manager::time_ns,
        async |caller| {
            ask::<Manager, _>(identity, "subject_of", &caller)
                .await
                .map_err(|failed| failed.of(IDENTITY))
        },
    )
    .await
}

/// Fetches a decision from the registry and applies it. `this` is the canister itself.
pub(crate) async fn apply_decision(this: Principal, id: u64) -> Result<(), Error> {
    let begun = shell::query(|state: &Manager, context| {
        if configuration::is_applied(state, context, id)? {
            return Ok(None);
        }
        Ok(Some((
            state.settings().registry,
            state.under_way.enter(id)?,
        )))
    })?;
    let Some((registry, _under_way)) = begun else {
        return Ok(());
    };
    let decision = decisions::pull::<Manager>(registry, id).await?;
    shell::update(|state: &mut Manager, context| {
        configuration::apply(state, context, this, id, &decision)
    })
}

/// Draws the randomness that salts are made of, if there is none yet.
pub(crate) async fn draw_seed() -> Result<(), Error> {
    if shell::tick(|state: &mut Manager, _| state.is_seeded()) {
        return Ok(());
    }
    let seed = random::<Manager>().await?;
    shell::tick(|state: &mut Manager, _| state.seed(seed));
    Ok(())
}
