//! What is asked of others: identity says who callers are, the license manager who holds a licence, the registry what was decided, the
//! subnet creates canisters.

use candid::{CandidType, Nat, Principal};
use ic_cdk::api;
use ic_stable_structures::{DefaultMemoryImpl, memory_manager::VirtualMemory};
use indus_api::{
    Error, Subject,
    hosting::{AppOwner, HostedCanister, engine::Settings},
    licences::{Entitlement, EntitlementArgs, PRODUCT},
    registry::ApprovedUpgrade,
};
use indus_kit::{
    Context,
    calls::{
        Call, CallError, Canister as _, ask,
        pending::{self, Operation, Pending, Saga, attempt},
    },
    decisions,
    guard::{Guard, Guards},
    shell,
    subjects::{Subjects as _, cache},
    timers::{self, Progress},
};
use indus_orchestrator::works;
use serde::Deserialize;
use serde_bytes::ByteBuf;

use crate::{
    Hosting, SUBJECTS,
    care::{self, Said},
    configuration,
    creations::{self, Creation},
    releases,
};

/// How identity is called in errors.
pub(crate) const IDENTITY: &str = "identity";
const LICENSE_MANAGER: &str = "license_manager";
const REGISTRY: &str = "registry";
const SUBNET: &str = "the subnet";

/// Calls of people that wait for an answer of others: half of what the system's queue between two canisters holds.
const MAX_UNDER_WAY: usize = 250;

/// Readings at once.
const MAX_READINGS: usize = 100;

/// Candid of no argument.
const EMPTY: &[u8] = b"DIDL\0\0";

/// Releases that are begun in one message.
pub(crate) const RELEASES_AT_ONCE: usize = 50;

/// And of callers whom identity has not named lately: keys are free, so they have places of their own.
const MAX_OF_STRANGERS: usize = 120;

/// And of one caller, whose tools create several canisters at once.
const MAX_OF_CALLER: u8 = 16;

thread_local! {
    static UNDER_WAY: Guards<(Principal, u8)> = Guards::new("calls under way", MAX_UNDER_WAY);
    static STRANGERS: Guards<(Principal, u8)> =
        Guards::new("calls of strangers under way", MAX_OF_STRANGERS);
    static READING: Guards<Principal> = Guards::new("readings under way", MAX_READINGS);
}

#[derive(CandidType)]
struct CreateArgs<'a> {
    settings: Option<&'a Settings>,
}

#[derive(CandidType, Deserialize)]
struct Created {
    canister_id: Principal,
}

/// So many calls of each caller at a time, and so many in all.
pub(crate) fn enter() -> Result<Guard<(Principal, u8)>, Error> {
    let caller = shell::context().authenticated()?;
    let is_known = SUBJECTS.with_borrow(|subjects| subjects.knows(&caller));
    let calls = if is_known { &UNDER_WAY } else { &STRANGERS };
    calls.with(|calls| calls.enter_one_of(&caller, MAX_OF_CALLER))
}

/// Asks identity who the caller is: a revocation holds at once.
pub(crate) async fn refresh_subject() -> Result<Subject, Error> {
    let identity = shell::query(|state: &Hosting, _| Ok(state.in_force()?.identity))?;
    cache::pull(
        &SUBJECTS,
        shell::context(),
        Hosting::time_ns,
        async |caller| {
            ask::<Hosting, _>(identity, "subject_of", &caller)
                .await
                .map_err(|failed| failed.of(IDENTITY))
        },
    )
    .await
}

/// Who the caller is, as identity said within the last minute: for what a revocation need not stop at once.
pub(crate) async fn subject() -> Result<Subject, Error> {
    let context = shell::context();
    if SUBJECTS.with_borrow(|subjects| subjects.needs_fresh(&context, false)) {
        return refresh_subject().await;
    }
    SUBJECTS.with_borrow(|subjects| subjects.subject(&context))
}

/// Whether who acts for this owner holds a valid licence now. Nobody is asked where none is needed.
pub(crate) async fn entitled(owner: AppOwner) -> Result<bool, Error> {
    let AppOwner::Person(person) = owner else {
        return Ok(false);
    };
    let manager = shell::query(|state: &Hosting, _| Ok(state.in_force()?.license_manager))?;
    let args = EntitlementArgs {
        person,
        product: PRODUCT.into(),
    };
    let entitlement: Result<Option<Entitlement>, Error> =
        ask::<Hosting, _>(manager, "check_entitlement", &args)
            .await
            .map_err(|failed| failed.of(LICENSE_MANAGER))?;
    Ok(entitlement?.is_some_and(|entitlement| entitlement.valid))
}

/// Who asks for a release of a canister, afresh, and whether they hold a licence, where one is needed.
pub(crate) async fn releasing(canister: Principal) -> Result<(Subject, bool), Error> {
    let subject = refresh_subject().await?;
    let owner = shell::query(|state: &Hosting, _| {
        let hosted = creations::get(state, canister)?;
        Ok(state.app(hosted.app)?.owner)
    })?;
    let entitled = entitled(owner).await?;
    Ok((subject, entitled))
}

/// How a creation ended.
pub(crate) enum Outcome {
    Created(Principal),
    /// The subnet surely created none.
    Refused(Error),
    /// It may have; its answer can't be read.
    Lost(Error),
}

/// Has the subnet create a canister.
pub(crate) async fn create(creation: &Creation, settings: &Settings) -> Outcome {
    let args = CreateArgs {
        settings: Some(settings),
    };
    let management = Principal::management_canister();
    let call = match Call::new(management, "create_canister", &args) {
        Ok(call) => call.with_cycles(creation.cycles.into()),
        Err(failed) => return Outcome::Refused(failed.of(SUBNET)),
    };
    let reply = match call.suite::<Hosting>().await {
        Ok(reply) => reply,
        Err(failed @ (CallError::Malformed | CallError::Unknown)) => {
            return Outcome::Lost(failed.of(SUBNET));
        }
        Err(failed) => return Outcome::Refused(failed.of(SUBNET)),
    };
    match reply.candid::<Created>() {
        Ok(created) => Outcome::Created(created.canister_id),
        Err(failed) => Outcome::Lost(failed.of(SUBNET)),
    }
}

/// Records a canister that the subnet created, in a message of its own: what is kept by then outlives a trap in this one. Answers with the
/// last block of the log, in which the canister is.
pub(crate) async fn record(operation: u64) -> Result<u64, Error> {
    // Nothing is asked of anybody: it is a call, whose answer is a message.
    let own = api::canister_self();
    let _any = Call::raw(own, "icrc10_supported_standards", EMPTY.to_vec())
        .suite::<Hosting>()
        .await;
    // What it can't do now, the job does.
    let _later = attempt::<Hosting>(operation).await?;
    shell::query(|state: &Hosting, _| Ok(state.kit.certified.log_len().saturating_sub(1)))
}

/// Asks the registry for an upgrade that was decided.
pub(crate) async fn upgrade(proposal: u64) -> Result<ApprovedUpgrade, Error> {
    let registry = shell::query(|state: &Hosting, _| Ok(state.in_force()?.registry))?;
    let upgrade: Result<ApprovedUpgrade, Error> =
        ask::<Hosting, _>(registry, "get_upgrade", &proposal)
            .await
            .map_err(|failed| failed.of(REGISTRY))?;
    upgrade
}

/// Has the releases that are due carried out, in messages of their own: whoever asked for one is answered at once.
pub(crate) fn carry_out_soon() {
    timers::soon(async {
        // What it can't do now, the job does.
        let _nothing_more = timers::retry_pending::<Hosting>(&shell::context(), RELEASES_AT_ONCE);
    });
}

#[derive(CandidType)]
struct Of {
    canister_id: Principal,
}

/// What is needed of `canister_status`.
#[derive(CandidType, Deserialize)]
struct Status {
    cycles: Nat,
    memory_size: Nat,
    idle_cycles_burned_per_day: Nat,
    module_hash: Option<ByteBuf>,
    settings: StatusSettings,
}

#[derive(CandidType, Deserialize)]
struct StatusSettings {
    controllers: Vec<Principal>,
}

async fn status(of: &Of) -> Result<Status, CallError> {
    ask::<Hosting, _>(Principal::management_canister(), "canister_status", of).await
}

/// Whether the subnet still has a canister.
pub(crate) async fn exists(canister: Principal) -> Result<bool, Error> {
    let of = Of {
        canister_id: canister,
    };
    match status(&of).await {
        Err(CallError::Missing) => Ok(false),
        // It answers its controllers only, and this canister may be none of them any more.
        Ok(_) | Err(CallError::Rejected { .. }) => Ok(true),
        Err(failed) => Err(failed.of(SUBNET)),
    }
}

/// Reads what a canister has and uses of cycles, and gives it what it needs. One that does not answer is read next time.
pub(crate) async fn care_for(canister: Principal) {
    let Ok(_reading) = READING.with(|canisters| canisters.enter(canister)) else {
        return;
    };
    let seen = shell::query(|state: &Hosting, _| creations::get(state, canister));
    let Ok(HostedCanister { release: seen, .. }) = seen else {
        return;
    };
    let of = Of {
        canister_id: canister,
    };
    let Ok(status) = status(&of).await else {
        return;
    };
    let said = Said {
        cycles: bounded(&status.cycles),
        memory_bytes: u64::try_from(bounded(&status.memory_size)).unwrap_or(u64::MAX),
        idle_cycles_burned_per_day: bounded(&status.idle_cycles_burned_per_day),
        module_hash: status.module_hash,
        controllers: status.settings.controllers,
    };
    let treasury = api::canister_liquid_cycle_balance();
    let top_up = shell::tick(|state: &mut Hosting, context| {
        care::read(state, context, canister, &said, seen, treasury)
    });
    let Ok(Some(cycles)) = top_up else {
        return;
    };
    let management = Principal::management_canister();
    let Ok(call) = Call::new(management, "deposit_cycles", &of) else {
        return;
    };
    let given = call.with_cycles(cycles).suite::<Hosting>().await;
    if matches!(given, Err(failed) if !matches!(failed, CallError::Malformed | CallError::Unknown))
    {
        // What can't be booked back stays booked.
        let _back = shell::tick(|state: &mut Hosting, context| {
            care::not_given(state, context, canister, cycles)
        });
    }
}

/// Has the canisters read whose reading is due, each in messages of its own.
pub(crate) fn care_slice(_: &Context, slice: usize) -> Progress {
    let due = shell::tick(|state: &mut Hosting, context| care::due(state, context, slice));
    let due = due.unwrap_or_default();
    let more = due.len() == slice;
    for canister in due {
        timers::soon(care_for(canister));
    }
    if more { Progress::More } else { Progress::Done }
}

fn bounded(amount: &Nat) -> u128 {
    u128::try_from(&amount.0).unwrap_or(u128::MAX)
}

impl Saga for Hosting {
    type Memory = VirtualMemory<DefaultMemoryImpl>;

    fn pending<T>(run: impl FnOnce(&mut Pending<Self::Memory>) -> T) -> T {
        shell::tick(|state: &mut Hosting, _| run(&mut state.pending))
    }

    async fn perform(operation: Operation) -> pending::Outcome {
        if operation.kind == creations::RECORD {
            let recorded = shell::tick(|state: &mut Hosting, context| {
                creations::recorded(state, context, &operation.argument)
            });
            return match recorded {
                Ok(()) => pending::Outcome::Settled,
                Err(_) => pending::Outcome::Retry,
            };
        }
        let Ok(release) = works::of_operation(&operation.argument) else {
            return pending::Outcome::Retry;
        };
        works::perform::<Self>(
            || shell::tick(|state: &mut Hosting, context| releases::next(state, context, release)),
            |answer| {
                shell::tick(|state: &mut Hosting, context| {
                    releases::answered(state, context, release, answer)
                })
            },
            || shell::tick(|state: &mut Hosting, _| state.works.park(release)),
        )
        .await
    }
}

/// Asks the registry for a decision, and applies it.
pub(crate) async fn apply_decision(proposal: u64) -> Result<(), Error> {
    let registry = shell::query(|state: &Hosting, context| {
        let applied = configuration::is_applied(state, context, proposal)?;
        Ok((!applied).then_some(state.in_force()?.registry))
    })?;
    let Some(registry) = registry else {
        return Ok(());
    };
    let _under_way = enter()?;
    let decision = decisions::pull::<Hosting>(registry, proposal).await?;
    shell::update(|state: &mut Hosting, context| {
        configuration::apply(state, context, proposal, &decision)
    })
}
