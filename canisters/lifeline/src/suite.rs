//! What is asked of others: the registry what was decided, the subnet to install what is agreed.

use candid::{CandidType, Principal};
use ic_stable_structures::{DefaultMemoryImpl, memory_manager::VirtualMemory};
use indus_api::{Error, registry::ApprovedUpgrade};
use indus_kit::{
    calls::{
        Call, CallError,
        pending::{self, Operation, Pending, Saga},
    },
    guard::{Guard, Guards},
    shell, timers,
};
use indus_orchestrator::works;

use crate::{Lifeline, interventions, keepers};

const REGISTRY: &str = "registry";

/// Calls of governors that wait for an answer of the registry. Keepers wait for nobody.
const MAX_UNDER_WAY: usize = 100;

/// And of one caller.
const MAX_OF_CALLER: u8 = 4;

/// Interventions that are begun in one message: more than there can be.
pub(crate) const AT_ONCE: usize = 10;

thread_local! {
    static UNDER_WAY: Guards<(Principal, u8)> = Guards::new("calls under way", MAX_UNDER_WAY);
}

/// So many calls of each caller at a time, and so many in all.
pub(crate) fn enter() -> Result<Guard<(Principal, u8)>, Error> {
    let caller = shell::context().authenticated()?;
    UNDER_WAY.with(|calls| calls.enter_one_of(&caller, MAX_OF_CALLER))
}

/// Asks the registry for an upgrade that was decided. It is waited for as a canister outside of the suite: one that does not work can't keep
/// this one from being stopped.
pub(crate) async fn upgrade(proposal: u64) -> Result<ApprovedUpgrade, Error> {
    let registry = shell::query(|state: &Lifeline, _| Ok(keepers::get(state)?.registry))?;
    let asked = async {
        let call = Call::new(registry, "get_upgrade", &proposal)?;
        call.outside::<Lifeline>().await?.candid()
    };
    let upgrade: Result<Result<ApprovedUpgrade, Error>, CallError> = asked.await;
    upgrade.map_err(|failed| failed.of(REGISTRY))?
}

/// Has what is due carried out, in messages of its own: whoever asked for it is answered at once. Not for who was refused: during maintenance
/// nothing goes on.
pub(crate) fn carry_out_soon() {
    let _nothing_more = timers::retry_pending::<Lifeline>(&shell::context(), AT_ONCE);
}

#[derive(CandidType)]
struct UpdateSettings {
    canister_id: Principal,
    settings: Settings,
}

/// What is set of them; what is not named stays as it is.
#[derive(CandidType)]
struct Settings {
    controllers: Option<Vec<Principal>>,
}

/// Sets the controllers of a canister. It can be done again and again.
async fn set_controllers(id: u64, attempt: u32) -> Result<pending::Outcome, Error> {
    let Some((canister_id, controllers)) =
        shell::tick(|state: &mut Lifeline, _| interventions::controllers(state, id))?
    else {
        return Ok(pending::Outcome::Settled);
    };
    let args = UpdateSettings {
        canister_id,
        settings: Settings {
            controllers: Some(controllers),
        },
    };
    let asked = async {
        let management = Principal::management_canister();
        let call = Call::new(management, "update_settings", &args)?;
        call.suite::<Lifeline>().await.map(drop)
    };
    let answer = asked.await;
    let over = shell::tick(|state: &mut Lifeline, context| {
        interventions::controllers_set(state, context, id, attempt, answer)
    })?;
    Ok(if over {
        pending::Outcome::Settled
    } else {
        pending::Outcome::Retry
    })
}

impl Saga for Lifeline {
    type Memory = VirtualMemory<DefaultMemoryImpl>;

    fn pending<T>(run: impl FnOnce(&mut Pending<Self::Memory>) -> T) -> T {
        shell::tick(|state: &mut Lifeline, _| run(&mut state.pending))
    }

    async fn perform(operation: Operation) -> pending::Outcome {
        let Ok(id) = works::of_operation(&operation.argument) else {
            return pending::Outcome::Retry;
        };
        if operation.kind == interventions::SET_CONTROLLERS {
            if shell::is_stopping() {
                return pending::Outcome::Retry;
            }
            let set = set_controllers(id, operation.attempts).await;
            return set.unwrap_or(pending::Outcome::Retry);
        }
        works::perform::<Self>(
            || shell::tick(|state: &mut Lifeline, context| interventions::next(state, context, id)),
            |answer| {
                shell::tick(|state: &mut Lifeline, context| {
                    interventions::answered(state, context, id, answer)
                })
            },
            || shell::tick(|state: &mut Lifeline, _| state.works.park(id)),
        )
        .await
    }
}
