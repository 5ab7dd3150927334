//! Installing, upgrading and removing code.
//!
//! An installation is one commit: `(start)`, `pre_upgrade`, `init` or `post_upgrade` all succeed, or the
//! canister is as it was (IC interface specification, `install_code`).

use candid::Principal;
use ic_management_canister_types::{
    CanisterInstallMode, ChangeDetails, CodeDeploymentMode, CodeDeploymentRecord, InstallCodeArgs,
    UpgradeFlags, WasmMemoryPersistence,
};

use parking_lot::MutexGuard;

use super::{Call, Outcome, decode, done, target};
use crate::{
    ErrorCode, Reject,
    canister::Canister,
    ic0::{Context, Effects, LogLine, Message},
    memory::StableMemory,
    subnet::{Held, Subnet},
    wasm::{Callable, Instance, Program, Run, Trap},
};

/// The metadata section by which a module says that it takes over the heap of the one before it.
const PERSISTENCE_SECTION: &str = "enhanced-orthogonal-persistence";

/// What is to be installed, and where.
pub(super) struct Deployment {
    pub(super) id: Principal,
    pub(super) mode: CanisterInstallMode,
    /// As uploaded: plain or gzipped.
    pub(super) module: Vec<u8>,
    pub(super) arg: Vec<u8>,
    pub(super) sender_canister_version: Option<u64>,
}

pub(super) fn install(subnet: &mut Held<'_>, call: &Call, arg: &[u8]) -> Outcome {
    let (args,): (InstallCodeArgs,) = decode(arg)?;
    deploy(
        subnet,
        call,
        Deployment {
            id: args.canister_id,
            mode: args.mode,
            module: args.wasm_module,
            arg: args.arg,
            sender_canister_version: args.sender_canister_version,
        },
    )
}

pub(super) fn deploy(subnet: &mut Held<'_>, call: &Call, deployment: Deployment) -> Outcome {
    let Deployment {
        id,
        mode,
        module,
        arg,
        sender_canister_version,
    } = deployment;
    call.canister(subnet, id)?;
    let runtime = subnet.runtime.clone();
    // Compiling takes long, and concerns nobody else. Only this thread changes canisters meanwhile.
    let program = MutexGuard::unlocked(subnet, || runtime.load(&module));
    let old = subnet.canisters.get(&id).and_then(Canister::program);
    let program = match mode {
        CanisterInstallMode::Install if old.is_some() => {
            let message = format!(
                "Canister {id} cannot be installed because the canister is not empty. Try installing with mode='reinstall' instead."
            );
            return Err(Reject::new(ErrorCode::NonEmpty, message));
        }
        CanisterInstallMode::Upgrade(_) if old.is_none() => {
            let message = "Attempted to upgrade a canister that contains no Wasm module";
            return Err(Reject::of(id, ErrorCode::ModuleNotFound, message));
        }
        _ => program.map_err(|error| {
            let message = format!("Canister's Wasm module is not valid: {error}");
            Reject::of(id, ErrorCode::InvalidWasm, &message)
        })?,
    };
    if let (CanisterInstallMode::Upgrade(flags), Some(old)) = (mode, old) {
        check_persistence(flags.unwrap_or_default(), old, &program)?;
    }
    let hash = program.module.hash;
    let memory64 = program.module.memory64;
    let paid = pay(subnet, id, call.sender, memory64)?;
    let mut hooks = Hooks {
        subnet,
        id,
        sender: call.sender,
        instructions: 0,
        burned: 0,
        log: Vec::new(),
    };
    let (mode, installed) = match mode {
        CanisterInstallMode::Install => (CodeDeploymentMode::Install, hooks.fresh(program, arg)),
        CanisterInstallMode::Reinstall => {
            let installed = hooks.fresh(program, arg);
            if installed.is_ok() {
                hooks.subnet.abandon(id);
            }
            (CodeDeploymentMode::Reinstall, installed)
        }
        CanisterInstallMode::Upgrade(flags) => {
            let flags = flags.unwrap_or_default();
            (
                CodeDeploymentMode::Upgrade,
                hooks.upgrade(program, arg, flags),
            )
        }
    };
    let instructions = hooks.instructions;
    settle(subnet, id, paid, instructions, memory64);
    installed?;
    let subnet: &mut Subnet = subnet;
    if let Some(canister) = subnet.canisters.get_mut(&id) {
        canister.uploaded = Some(module.into());
        let details = ChangeDetails::CodeDeployment(CodeDeploymentRecord {
            mode,
            module_hash: hash.to_vec(),
        });
        let origin = call.change_origin(sender_canister_version);
        let version = canister.version;
        canister
            .history
            .record(subnet.time, version, origin, details);
        canister.certify(&mut subnet.tree);
    }
    done()
}

/// Takes the most that an installation can cost.
fn pay(
    subnet: &mut Subnet,
    id: Principal,
    sender: Principal,
    memory64: bool,
) -> Result<u128, Reject> {
    let limit = subnet.limits.of_context(Context::Init);
    let most = subnet.prices.execution(limit, memory64);
    let canister = subnet.canisters.get_mut(&id);
    let canister = canister.ok_or_else(|| Reject::not_found(id))?;
    canister
        .withdraw(most, subnet.prices, &sender)
        .map_err(|reject| Reject {
            message: format!("Canister installation failed with `{}`.", reject.message),
            ..reject
        })?;
    Ok(most)
}

/// Gives back what an installation did not cost.
fn settle(subnet: &mut Subnet, id: Principal, paid: u128, instructions: u64, memory64: bool) {
    let cost = subnet.prices.execution(instructions, memory64).min(paid);
    subnet.ledger.burned += cost;
    if let Some(canister) = subnet.canisters.get_mut(&id) {
        canister.balance = canister.balance.saturating_add(paid - cost);
    }
}

/// Whether the flags of an upgrade go with both modules: a heap is lost, or kept, only where that is meant.
fn check_persistence(flags: UpgradeFlags, old: &Program, new: &Program) -> Result<(), Reject> {
    let persists = |program: &Program| program.module.metadata.contains_key(PERSISTENCE_SECTION);
    let message = match flags.wasm_memory_persistence {
        None if persists(old) => {
            "Missing upgrade option: Enhanced orthogonal persistence requires the `wasm_memory_persistence` upgrade option."
        }
        Some(WasmMemoryPersistence::Keep) if !persists(new) => {
            "Invalid upgrade option: The `wasm_memory_persistence: opt Keep` upgrade option requires that the new canister module supports enhanced orthogonal persistence."
        }
        _ => return Ok(()),
    };
    Err(Reject::new(ErrorCode::ContractViolation, message))
}

pub(super) fn uninstall(subnet: &mut Subnet, call: &Call, arg: &[u8]) -> Outcome {
    // Besides the canister, it says which version the sender has.
    #[derive(candid::CandidType, serde::Deserialize)]
    struct Args {
        sender_canister_version: Option<u64>,
    }
    let id = target(arg)?;
    call.canister(subnet, id)?;
    let (args,): (Args,) = decode(arg)?;
    let origin = call.change_origin(args.sender_canister_version);
    remove_code(subnet, id);
    record_uninstall(subnet, id, origin);
    done()
}

/// Records that code was removed at somebody's request.
pub(super) fn record_uninstall(
    subnet: &mut Subnet,
    id: Principal,
    origin: ic_management_canister_types::ChangeOrigin,
) {
    let now = subnet.time;
    if let Some(canister) = subnet.canisters.get_mut(&id) {
        let version = canister.version;
        let details = ChangeDetails::CodeUninstall;
        canister.history.record(now, version, origin, details);
    }
}

/// Removes the code of a canister with its memories, chunks and log; what it owes answers to is rejected.
pub(crate) fn remove_code(subnet: &mut Subnet, id: Principal) {
    let Some(canister) = subnet.canisters.get_mut(&id) else {
        return;
    };
    canister.instance = None;
    canister.uploaded = None;
    canister.certified_data.clear();
    canister.timer = None;
    canister.chunks.clear();
    canister.log.clear();
    canister.version += 1;
    subnet.abandon(id);
    if let Some(canister) = subnet.canisters.get(&id) {
        canister.certify(&mut subnet.tree);
    }
}

/// The hooks of one installation, which share one budget of instructions.
///
/// The subnet's lock is given up while one runs.
struct Hooks<'a, 'b> {
    subnet: &'a mut Held<'b>,
    id: Principal,
    sender: Principal,
    instructions: u64,
    /// Cycles that hooks have burned so far.
    burned: u128,
    /// What hooks have printed so far.
    log: Vec<LogLine>,
}

impl Hooks<'_, '_> {
    fn run(
        &mut self,
        instance: &mut Instance,
        callable: &Callable,
        context: Context,
        arg: Vec<u8>,
    ) -> Result<Effects, Trap> {
        let gone = || Trap::contract("the canister is gone");
        let canister = self.subnet.canisters.get(&self.id).ok_or_else(gone)?;
        let mut environment = self.subnet.environment(canister);
        environment.balance -= self.burned;
        if context != Context::PreUpgrade {
            // The new code sees the version that its installation makes, and no timer of the old one.
            environment.version += 1;
            environment.timer = 0;
        }
        let message = Message {
            context,
            environment,
            caller: self.sender,
            sender_info: None,
            method: String::new(),
            arg,
            reject: None,
            cycles_available: 0,
            cycles_refunded: 0,
            deadline: 0,
            answered: true,
            certificate: None,
            instructions_before: 0,
        };
        let limit = self.subnet.limits.of_context(Context::Init) - self.instructions;
        let Run {
            result,
            instructions,
            log,
        } = MutexGuard::unlocked(self.subnet, || instance.run(callable, message, limit));
        self.instructions += instructions;
        self.log.extend(log);
        if let Ok(effects) = &result {
            self.burned += effects.cycles_burned;
        }
        result
    }

    /// `(start)`, and then the hook of this name, if there is one.
    fn begin(
        &mut self,
        instance: &mut Instance,
        hook: &str,
        arg: Vec<u8>,
    ) -> Result<Effects, Trap> {
        let entry_points = instance.program().module.entry_points.clone();
        if entry_points.start {
            self.run(instance, &Callable::Start, Context::Start, Vec::new())?;
        }
        if entry_points.has_hook(hook) {
            self.run(
                instance,
                &Callable::Export(hook.to_owned()),
                Context::Init,
                arg,
            )
        } else {
            Ok(Effects::default())
        }
    }
}

/// Why an upgrade did not happen.
enum Failed {
    Trap(Trap),
    Instance(String),
}

impl From<Trap> for Failed {
    fn from(trap: Trap) -> Self {
        Self::Trap(trap)
    }
}

impl Hooks<'_, '_> {
    /// Installs a module on empty memories.
    fn fresh(&mut self, program: Program, arg: Vec<u8>) -> Result<(), Reject> {
        let id = self.id;
        let mut instance = Instance::new(&self.subnet.runtime, program, StableMemory::new())
            .map_err(|(error, _)| Reject::of(id, ErrorCode::InvalidWasm, &error.to_string()))?;
        let started = self.begin(&mut instance, "canister_init", arg);
        self.count("install_code");
        if let Some(canister) = self.canister_mut().filter(|_| started.is_ok()) {
            // What the code before it printed goes with it.
            canister.log.clear();
        }
        self.keep_log();
        let effects = started.map_err(|trap| trap.reject(id))?;
        self.subnet.put(id, instance, effects, true);
        Ok(())
    }

    /// Installs a module on the stable memory of the one before it.
    fn upgrade(
        &mut self,
        program: Program,
        arg: Vec<u8>,
        flags: UpgradeFlags,
    ) -> Result<(), Reject> {
        let id = self.id;
        let lent = self.canister_mut().and_then(Canister::lend);
        let mut old = lent.ok_or_else(|| Reject::not_found(id))?;
        let result = self.replace(&mut old, program, arg, flags);
        self.count("upgrade");
        self.keep_log();
        match result {
            Ok((instance, effects)) => {
                self.subnet.put(id, instance, effects, false);
                Ok(())
            }
            Err(failed) => {
                old.rollback();
                if let Some(canister) = self.canister_mut() {
                    canister.take_back(old);
                }
                Err(match failed {
                    Failed::Trap(trap) => trap.reject(id),
                    Failed::Instance(message) => Reject::of(id, ErrorCode::InvalidWasm, &message),
                })
            }
        }
    }

    fn canister_mut(&mut self) -> Option<&mut Canister> {
        self.subnet.canisters.get_mut(&self.id)
    }

    fn count(&mut self, method: &str) {
        let (id, instructions) = (self.id, self.instructions);
        self.subnet
            .metrics
            .count(id, method, "system", instructions);
    }

    fn keep_log(&mut self) {
        let log = std::mem::take(&mut self.log);
        self.subnet.append_log(self.id, log);
    }

    /// Runs all hooks; where one fails, `old` has its stable memory back, not yet rolled back.
    fn replace(
        &mut self,
        old: &mut Instance,
        program: Program,
        arg: Vec<u8>,
        flags: UpgradeFlags,
    ) -> Result<(Instance, Effects), Failed> {
        let mut before = Effects::default();
        if flags.skip_pre_upgrade != Some(true)
            && old
                .program()
                .module
                .entry_points
                .has_hook("canister_pre_upgrade")
        {
            let hook = Callable::Export("canister_pre_upgrade".to_owned());
            before = self.run(old, &hook, Context::PreUpgrade, Vec::new())?;
        }
        let runtime = &self.subnet.runtime.clone();
        let new = match flags.wasm_memory_persistence {
            Some(WasmMemoryPersistence::Keep) => Instance::keeping_heap(runtime, program, old),
            _ => Instance::new(runtime, program, old.take_stable()),
        };
        let mut new = match new {
            Ok(new) => new,
            Err((error, stable)) => {
                old.give_stable(stable);
                return Err(Failed::Instance(error.to_string()));
            }
        };
        match self.begin(&mut new, "canister_post_upgrade", arg) {
            Ok(mut effects) => {
                // What the old code certified last stands, unless the new one certifies something else.
                effects.certified_data = effects.certified_data.or(before.certified_data);
                effects.cycles_burned = self.burned;
                Ok((new, effects))
            }
            Err(trap) => {
                old.give_stable(new.take_stable());
                Err(trap.into())
            }
        }
    }
}

impl Subnet {
    /// Commits an installation.
    fn put(&mut self, id: Principal, mut instance: Instance, mut effects: Effects, anew: bool) {
        instance.commit();
        if let Some(canister) = self.canisters.get_mut(&id) {
            canister.take_back(instance);
            canister.version += 1;
            // Any change of code deactivates the timer.
            canister.timer = None;
            if anew {
                canister.certified_data.clear();
            }
        }
        self.apply_to_canister(id, &mut effects);
    }
}
