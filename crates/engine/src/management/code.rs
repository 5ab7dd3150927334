//! Installing, upgrading and removing code.
//!
//! An installation is one commit: `(start)`, `pre_upgrade`, `init` or `post_upgrade` all succeed, or the
//! canister is as it was (IC interface specification, `install_code`).

use candid::Principal;
use ic_management_canister_types::{
    CanisterInstallMode, InstallCodeArgs, UpgradeFlags, WasmMemoryPersistence,
};

use super::{Outcome, controlled, controlled_mut, decode, done};
use crate::{
    ErrorCode, Reject,
    ic0::{Context, Effects, LogLine, Message},
    memory::StableMemory,
    subnet::{Held, Subnet},
    wasm::{Callable, Instance, Program, Run, Trap, costs},
};

pub(super) fn install(subnet: &mut Held<'_>, sender: Principal, arg: &[u8]) -> Outcome {
    let (args,): (InstallCodeArgs,) = decode(arg)?;
    let id = args.canister_id;
    let canister = controlled(subnet, id, &sender)?;
    let has_code = canister.instance.is_some();
    match args.mode {
        CanisterInstallMode::Install if has_code => {
            let message = format!(
                "Canister {id} cannot be installed because the canister is not empty. Try installing with mode='reinstall' instead."
            );
            return Err(Reject::new(ErrorCode::NonEmpty, message));
        }
        CanisterInstallMode::Upgrade(_) if !has_code => {
            let message = "Attempted to upgrade a canister that contains no Wasm module";
            return Err(Reject::of(id, ErrorCode::ModuleNotFound, message));
        }
        _ => {}
    }
    let program = subnet.runtime.load(&args.wasm_module).map_err(|error| {
        Reject::of(
            id,
            ErrorCode::InvalidWasm,
            &format!("Canister's Wasm module is not valid: {error}"),
        )
    })?;
    match args.mode {
        CanisterInstallMode::Install => fresh(subnet, id, sender, program, args.arg)?,
        CanisterInstallMode::Reinstall => {
            fresh(subnet, id, sender, program, args.arg)?;
            subnet.abandon(id);
        }
        CanisterInstallMode::Upgrade(flags) => {
            upgrade(
                subnet,
                id,
                sender,
                program,
                args.arg,
                flags.unwrap_or_default(),
            )?;
        }
    }
    let subnet: &mut Subnet = subnet;
    if let Some(canister) = subnet.canisters.get(&id) {
        canister.certify(&mut subnet.tree);
    }
    done()
}

pub(super) fn uninstall(subnet: &mut Subnet, sender: Principal, arg: &[u8]) -> Outcome {
    let id = super::target(arg)?;
    controlled_mut(subnet, id, &sender)?;
    remove_code(subnet, id);
    done()
}

/// Removes the code of a canister and its memories; what it owes answers to is rejected.
pub(crate) fn remove_code(subnet: &mut Subnet, id: Principal) {
    let Some(canister) = subnet.canisters.get_mut(&id) else {
        return;
    };
    canister.instance = None;
    canister.certified_data.clear();
    canister.timer = None;
    canister.version += 1;
    subnet.abandon(id);
    if let Some(canister) = subnet.canisters.get(&id) {
        canister.certify(&mut subnet.tree);
    }
}

/// The hooks of one installation, which share one budget of instructions.
struct Hooks<'a> {
    subnet: &'a Subnet,
    id: Principal,
    sender: Principal,
    instructions: u64,
    /// Cycles that hooks have burned so far.
    burned: u128,
    /// What hooks have printed so far.
    log: Vec<LogLine>,
}

impl Hooks<'_> {
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
        let limit = costs::INSTALL_LIMIT - self.instructions;
        let Run {
            result,
            instructions,
            log,
        } = instance.run(callable, message, limit);
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

/// Installs a module on empty memories.
fn fresh(
    subnet: &mut Subnet,
    id: Principal,
    sender: Principal,
    program: Program,
    arg: Vec<u8>,
) -> Result<(), Reject> {
    let mut instance = Instance::new(&subnet.runtime, program, StableMemory::new())
        .map_err(|(error, _)| Reject::of(id, ErrorCode::InvalidWasm, &error.to_string()))?;
    let mut hooks = Hooks {
        subnet,
        id,
        sender,
        instructions: 0,
        burned: 0,
        log: Vec::new(),
    };
    let started = hooks.begin(&mut instance, "canister_init", arg);
    let (instructions, log) = (hooks.instructions, hooks.log);
    subnet
        .metrics
        .count(id, "install_code", "system", instructions);
    subnet.append_log(id, log);
    let effects = started.map_err(|trap| trap.reject(id))?;
    subnet.put(id, instance, effects, true);
    Ok(())
}

/// Installs a module on the stable memory of the one before it.
fn upgrade(
    subnet: &mut Subnet,
    id: Principal,
    sender: Principal,
    program: Program,
    arg: Vec<u8>,
    flags: UpgradeFlags,
) -> Result<(), Reject> {
    if matches!(
        flags.wasm_memory_persistence,
        Some(WasmMemoryPersistence::Keep)
    ) {
        let message = "Keeping the Wasm memory over an upgrade is not supported yet";
        return Err(Reject::of(id, ErrorCode::InvalidManagementPayload, message));
    }
    let gone = || Reject::not_found(id);
    let taken = subnet
        .canisters
        .get_mut(&id)
        .and_then(|canister| canister.instance.take());
    let mut old = taken.ok_or_else(gone)?;
    let mut hooks = Hooks {
        subnet,
        id,
        sender,
        instructions: 0,
        burned: 0,
        log: Vec::new(),
    };
    let result = hooks.upgrade(
        &mut old,
        program,
        arg,
        flags.skip_pre_upgrade.unwrap_or(false),
    );
    let (instructions, log) = (hooks.instructions, hooks.log);
    subnet.metrics.count(id, "upgrade", "system", instructions);
    subnet.append_log(id, log);
    match result {
        Ok((instance, effects)) => {
            subnet.put(id, instance, effects, false);
            Ok(())
        }
        Err(failed) => {
            old.rollback();
            if let Some(canister) = subnet.canisters.get_mut(&id) {
                canister.instance = Some(old);
            }
            Err(match failed {
                Failed::Trap(trap) => trap.reject(id),
                Failed::Instance(message) => Reject::of(id, ErrorCode::InvalidWasm, &message),
            })
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

impl Hooks<'_> {
    /// Runs all hooks; where one fails, `old` has its stable memory back, not yet rolled back.
    fn upgrade(
        &mut self,
        old: &mut Instance,
        program: Program,
        arg: Vec<u8>,
        skip_pre_upgrade: bool,
    ) -> Result<(Instance, Effects), Failed> {
        let mut before = Effects::default();
        if !skip_pre_upgrade
            && old
                .program()
                .module
                .entry_points
                .has_hook("canister_pre_upgrade")
        {
            let hook = Callable::Export("canister_pre_upgrade".to_owned());
            before = self.run(old, &hook, Context::PreUpgrade, Vec::new())?;
        }
        let mut new = match Instance::new(&self.subnet.runtime, program, old.take_stable()) {
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
            canister.instance = Some(instance);
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
