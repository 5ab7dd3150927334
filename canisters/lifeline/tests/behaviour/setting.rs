//! A lifeline in a plain memory, with five keepers of whom three decide, and a subnet that answers its steps.

use candid::Principal;
use ic_stable_structures::VectorMemory;
use indus_api::{
    Error,
    lifeline::{
        Action, ApproveArgs, CarryOutArgs, Ended, HealthCheck, INTERVENTIONS, InitArgs,
        Intervention, InterventionRecord, KEEPERS, KEEPERS_KEY, Keepers, KeepersRecord, ModuleOf,
        ProposeArgs, UploadArgs, Uploaded, intervention_key,
    },
    registry::{ApprovedUpgrade, UpgradeOrder},
};
use indus_kit::{Context, calls::CallError};
use indus_orchestrator::{
    Answer, Going, Step,
    step::{Changes, Running, Settings, Snapshot, Status},
};
use indus_verify::VerifiedWitness;
use lifeline::{State, interventions, keepers, uploads};
use serde_bytes::ByteBuf;
use sha2::{Digest as _, Sha256};
use testnet::Subnet;

const SUBNET: Subnet = Subnet::new(1);
pub(crate) const MINUTE: u64 = 60_000_000_000;

pub(crate) const ONE: &[u8] = b"the first module";
pub(crate) const TWO: &[u8] = b"the second module";
pub(crate) const ARGUMENT: &[u8] = b"DIDL\0\0";

pub(crate) type Lifeline = State<VectorMemory>;

pub(crate) fn canister(n: u64) -> Principal {
    let mut bytes = [1; 10];
    bytes[..8].copy_from_slice(&n.to_be_bytes());
    Principal::from_slice(&bytes)
}

pub(crate) fn own() -> Principal {
    canister(1)
}

pub(crate) fn registry() -> Principal {
    canister(2)
}

pub(crate) fn hosting() -> Principal {
    canister(3)
}

/// Somebody's key. 1 to 5 are keepers; 11 and 12 governors.
pub(crate) fn key(n: u8) -> Principal {
    Principal::self_authenticating([n])
}

pub(crate) fn hash(bytes: &[u8]) -> ByteBuf {
    ByteBuf::from(Sha256::digest(bytes).to_vec())
}

pub(crate) fn init_args() -> InitArgs {
    InitArgs {
        registry: registry(),
        app_hosting: hosting(),
        keepers: (1..=5).map(key).collect(),
        threshold: 3,
    }
}

pub(crate) fn install(canister: Principal, module: &[u8]) -> Action {
    Action::Install {
        canister,
        module_hash: hash(module),
        argument_hash: hash(ARGUMENT),
        health: HealthCheck::Installs,
    }
}

pub(crate) fn set_keepers(keepers: &[u8], threshold: u32) -> Action {
    Action::SetKeepers {
        keepers: keepers.iter().copied().map(key).collect(),
        threshold,
    }
}

pub(crate) fn set_controllers(canister: Principal, others: &[u8]) -> Action {
    let mut controllers = vec![own()];
    controllers.extend(others.iter().copied().map(key));
    Action::SetControllers {
        canister,
        controllers,
    }
}

/// What the governors 11 and 12 decided: this module in the place of [`ONE`].
pub(crate) fn upgrade(proposal: u64, canister: Principal, module: &[u8]) -> ApprovedUpgrade {
    ApprovedUpgrade {
        proposal,
        order: UpgradeOrder {
            canister,
            module_hash: hash(module),
            argument_hash: hash(ARGUMENT),
            previous_hash: hash(ONE),
            source_commit: "0".repeat(40),
            version: "1".into(),
        },
        executed_at_ns: 1_700_000_000_000_000_000,
        decided_by: vec![key(11), key(12)],
    }
}

/// The canister, and the time.
pub(crate) struct Setting {
    pub(crate) state: Lifeline,
    pub(crate) memory: VectorMemory,
    pub(crate) time_ns: u64,
}

impl Setting {
    pub(crate) fn new() -> Self {
        Self::with(init_args())
    }

    pub(crate) fn with(args: InitArgs) -> Self {
        let memory = VectorMemory::default();
        let context = Context {
            caller: canister(9),
            time_ns: 1_700_000_000_000_000_000,
        };
        let mut state = State::create(memory.clone(), &context, own(), args).unwrap();
        state.kit.certified.commit();
        Self {
            state,
            memory,
            time_ns: context.time_ns,
        }
    }

    pub(crate) fn update<T>(
        &mut self,
        caller: Principal,
        logic: impl FnOnce(&mut Lifeline, &Context) -> Result<T, Error>,
    ) -> Result<T, Error> {
        // The bucket of whoever calls fills again.
        self.time_ns += MINUTE;
        self.at_once(caller, logic)
    }

    pub(crate) fn at_once<T>(
        &mut self,
        caller: Principal,
        logic: impl FnOnce(&mut Lifeline, &Context) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let context = Context {
            caller,
            time_ns: self.time_ns,
        };
        let told = |state: &Lifeline| {
            let certified = &state.kit.certified;
            let pending = state.pending.len();
            (certified.log_len(), certified.root_hash(), pending)
        };
        let before = told(&self.state);
        let answer = logic(&mut self.state, &context);
        self.state.kit.certified.commit();
        if answer.is_err() {
            assert_eq!(told(&self.state), before);
        }
        answer
    }

    pub(crate) fn upload_chunk(
        &mut self,
        caller: Principal,
        args: UploadArgs,
    ) -> Result<Uploaded, Error> {
        self.update(caller, |state, context| {
            uploads::upload(state, context, args)
        })
    }

    /// Uploads a module in two chunks.
    pub(crate) fn upload(&mut self, n: u8, module: &[u8]) -> Result<Uploaded, Error> {
        let (first, second) = module.split_at(module.len() / 2);
        let args = |index, chunk: &[u8]| UploadArgs {
            of: ModuleOf::Keeper(key(n)),
            module_hash: hash(module),
            index,
            chunk: ByteBuf::from(chunk),
        };
        self.upload_chunk(key(n), args(0, first))?;
        self.upload_chunk(key(n), args(1, second))
    }

    pub(crate) fn propose(&mut self, n: u8, action: Action) -> Result<Intervention, Error> {
        let argument = match &action {
            Action::Install { .. } => ARGUMENT,
            _ => b"",
        };
        let args = ProposeArgs {
            action,
            argument: ByteBuf::from(argument),
        };
        self.update(key(n), |state, context| {
            interventions::propose(state, context, args)
        })
    }

    pub(crate) fn approve(&mut self, n: u8, one: &Intervention) -> Result<Intervention, Error> {
        let args = ApproveArgs {
            id: one.id,
            action_hash: one.action_hash.clone(),
        };
        self.update(key(n), |state, context| {
            interventions::approve(state, context, &args)
        })
    }

    /// What keeper 1 proposes, and keepers 2 and 3 approve.
    pub(crate) fn agreed(&mut self, action: Action) -> Result<Intervention, Error> {
        if let Action::Install { module_hash, .. } = &action {
            let module = if *module_hash == hash(ONE) { ONE } else { TWO };
            self.upload(1, module)?;
        }
        let proposed = self.propose(1, action)?;
        self.approve(2, &proposed)?;
        self.approve(3, &proposed)
    }

    pub(crate) fn withdraw(&mut self, n: u8, id: u64) -> Result<Intervention, Error> {
        self.update(key(n), |state, context| {
            interventions::withdraw(state, context, id)
        })
    }

    /// What the timer does.
    pub(crate) fn expire(&mut self) {
        self.update(own(), |state, context| {
            interventions::expire(state, context, 10)
        })
        .unwrap();
    }

    pub(crate) fn upload_decided(
        &mut self,
        caller: Principal,
        upgrade: &ApprovedUpgrade,
        module: &[u8],
    ) -> Result<Uploaded, Error> {
        let args = UploadArgs {
            of: ModuleOf::Decision {
                proposal: upgrade.proposal,
            },
            module_hash: hash(module),
            index: 0,
            chunk: ByteBuf::from(module),
        };
        self.update(caller, |state, context| {
            uploads::upload_for_upgrade(state, context, upgrade, args)
        })
    }

    pub(crate) fn carry_out(
        &mut self,
        caller: Principal,
        upgrade: &ApprovedUpgrade,
        argument: &[u8],
    ) -> Result<Intervention, Error> {
        let args = CarryOutArgs {
            proposal: upgrade.proposal,
            argument: ByteBuf::from(argument),
        };
        self.update(caller, |state, context| {
            interventions::carry_out(state, context, upgrade, args)
        })
    }

    /// Carries an installation out on a canister that runs `before`; it succeeds, or is refused. The lifeline is upgraded between any two
    /// steps.
    pub(crate) fn carried(
        &mut self,
        id: u64,
        before: Option<&[u8]>,
        good: bool,
    ) -> (Ended, Vec<Step>) {
        let answer = |step: &Step| match step {
            Step::Install { .. } if !good => Answer::Rejected("it trapped".into()),
            _ => Answer::Done,
        };
        self.taken(id, before, answer)
    }

    /// The same of one that answers `service_info`; how often it was asked before, is told.
    pub(crate) fn carried_with(
        &mut self,
        id: u64,
        before: Option<&[u8]>,
        info: impl Fn(u64) -> Answer,
    ) -> (Ended, Vec<Step>) {
        let mut asked = 0;
        self.taken(id, before, |step| match step {
            Step::Info => {
                asked += 1;
                info(asked - 1)
            }
            _ => Answer::Done,
        })
    }

    fn taken(
        &mut self,
        id: u64,
        before: Option<&[u8]>,
        mut answer: impl FnMut(&Step) -> Answer,
    ) -> (Ended, Vec<Step>) {
        let mut steps = Vec::new();
        for _ in 0..50 {
            let (step, going) = self.step(id, before, &mut answer);
            steps.push(step);
            if let Going::Ended(ended) = going {
                return (ended, steps);
            }
        }
        panic!("it does not end");
    }

    /// One step of an installation, on a canister that runs `before`.
    pub(crate) fn step(
        &mut self,
        id: u64,
        before: Option<&[u8]>,
        answer: impl FnOnce(&Step) -> Answer,
    ) -> (Step, Going) {
        self.reopen();
        let next = self.update(own(), |state, context| {
            interventions::next(state, context, id)
        });
        let (_, step) = next.unwrap().expect("it has not ended");
        let told = match &step {
            Step::Status => Answer::Status(Status {
                status: Running::Running,
                module_hash: before.map(hash),
                settings: Settings {
                    controllers: vec![own()],
                },
            }),
            Step::UploadChunk(bytes) => Answer::Chunk(hash(bytes)),
            Step::Changes => Answer::Changes(Changes { total: 1, ours: 0 }),
            Step::TakeSnapshot { .. } => Answer::Snapshots(vec![Snapshot {
                id: ByteBuf::from([1]),
                taken_at_timestamp: u64::MAX,
            }]),
            step => answer(step),
        };
        let going = self.update(own(), |state, context| {
            interventions::answered(state, context, id, told)
        });
        (step, going.unwrap())
    }

    /// The subnet answers an attempt to set controllers. Whether it is over.
    pub(crate) fn set(&mut self, id: u64, attempt: u32, answer: Result<(), CallError>) -> bool {
        self.reopen();
        self.update(own(), |state, context| {
            interventions::controllers_set(state, context, id, attempt, answer)
        })
        .unwrap()
    }

    /// An intervention, and the keepers, as they are certified.
    pub(crate) fn get(&self, id: u64) -> Intervention {
        let one = interventions::get(&self.state, id).unwrap();
        let InterventionRecord::V1(certified) =
            self.certified(INTERVENTIONS, &intervention_key(id));
        assert_eq!(certified, one);
        one
    }

    pub(crate) fn keepers(&self) -> Keepers {
        let keepers = keepers::get(&self.state).unwrap();
        let KeepersRecord::V1(certified) = self.certified(KEEPERS, &KEEPERS_KEY);
        assert_eq!(certified, keepers);
        keepers
    }

    pub(crate) fn reopen(&mut self) {
        self.state = State::open(self.memory.clone(), own()).unwrap();
    }

    /// Replays the whole log against what is certified.
    pub(crate) fn audit(&self) {
        SUBNET.audit(own(), &self.state.kit, self.time_ns);
    }

    fn certified<R: candid::CandidType + serde::de::DeserializeOwned>(
        &self,
        collection: &str,
        key: &[u8],
    ) -> R {
        let path = indus_api::identity::path(collection, key);
        let certified = &self.state.kit.certified;
        let witness = certified.witness_of_paths(std::slice::from_ref(&path), None);
        self.verified(&witness.unwrap()).value(&path).unwrap()
    }

    fn verified(&self, witness: &[u8]) -> VerifiedWitness {
        SUBNET.verified(own(), &self.state.kit, self.time_ns, witness)
    }
}

/// What kind of refusal it is.
pub(crate) fn refusal<T: std::fmt::Debug>(answer: Result<T, Error>) -> String {
    match answer.unwrap_err() {
        Error::Unauthorized { .. } => "unauthorized".into(),
        Error::NotFound { what, .. } => format!("no {what}"),
        Error::Invalid { field, .. } => format!("invalid {field}"),
        Error::LimitReached { limit, .. } => format!("limit {limit}"),
        Error::RateLimited { .. } => "rate limited".into(),
        Error::Conflict { .. } => "conflict".into(),
        Error::Expired => "expired".into(),
        other => panic!("{other:?}"),
    }
}
