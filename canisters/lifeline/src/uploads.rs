//! Modules that are uploaded, for what keepers propose and for what governors decided.
//!
//! Invariant: a keeper's modules make room for that keeper's only, so nobody can push out what somebody else uploads. What a keeper leaves
//! behind is dropped as soon as nothing that is open or runs needs it.

use candid::Principal;
use ic_stable_structures::Memory;
use indus_api::{
    Error,
    lifeline::{
        Action, Intervention, MODULE_BYTES, ModuleArgs, ModuleOf, UploadArgs, Uploaded, Why,
    },
    registry::ApprovedUpgrade,
};
use indus_kit::{Context, refusals::unauthorized, text::invalid};
use indus_orchestrator::{
    modules::{self, ModuleHash, Need, OWNER, Owner, owner_key},
    orders::check_decided,
};
use sha2::{Digest as _, Sha256};

use crate::{
    interventions,
    keepers::{self, for_keeper},
    state::State,
};

/// An owner as [`modules`] know them.
pub(crate) struct Of(pub(crate) ModuleOf);

impl Owner for Of {
    fn key(self) -> [u8; OWNER] {
        match self.0 {
            ModuleOf::Keeper(keeper) => {
                // Who finds a key with the same beginning shares the room of that keeper, no more.
                let digest: [u8; 32] = Sha256::digest(keeper.as_slice()).into();
                let mut id = [0; 8];
                id.copy_from_slice(&digest[..8]);
                owner_key(0, id)
            }
            ModuleOf::Decision { proposal } => owner_key(1, proposal.to_be_bytes()),
        }
    }
}

/// Takes in a chunk of a module that the keeper who calls is going to propose.
///
/// # Errors
/// [`Error::Unauthorized`]; those of [`modules::Modules::upload`].
pub fn upload<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    args: UploadArgs,
) -> Result<Uploaded, Error> {
    for_keeper(state, context)?;
    if args.of != ModuleOf::Keeper(context.caller) {
        return Err(unauthorized("the keeper whose module it is"));
    }
    let needed = needed(state, context.caller)?;
    taken(state, context, args, &needed)
}

/// The same for an upgrade of app_hosting that governors decided, by one of them.
///
/// # Errors
/// [`Error::Unauthorized`]; [`Error::Invalid`] for what they did not decide; those of [`modules::Modules::upload`].
pub fn upload_for_upgrade<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    upgrade: &ApprovedUpgrade,
    args: UploadArgs,
) -> Result<Uploaded, Error> {
    check_decided(context, upgrade)?;
    interventions::check_about(&keepers::get(state)?, upgrade)?;
    let of = ModuleOf::Decision {
        proposal: upgrade.proposal,
    };
    if args.of != of || args.module_hash != upgrade.order.module_hash {
        return Err(invalid("module_hash", "must be the one that was approved"));
    }
    taken(state, context, args, &[])
}

fn taken<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    args: UploadArgs,
    needed: &[ModuleHash],
) -> Result<Uploaded, Error> {
    let hash = modules::module_hash(&args.module_hash)?;
    state.modules.upload(
        context.time_ns,
        (Of(args.of), &hash),
        (args.index, args.chunk.into_vec()),
        MODULE_BYTES,
        |hash| {
            if needed.contains(hash) {
                Need::All
            } else {
                Need::None
            }
        },
    )
}

/// What there is of a module.
///
/// # Errors
/// [`Error::NotFound`].
pub fn get<M: Memory>(state: &State<M>, args: &ModuleArgs) -> Result<Uploaded, Error> {
    let hash = modules::module_hash(&args.module_hash)?;
    state.modules.get(Of(args.of), &hash)
}

/// The modules of a keeper that something needs which is open or runs.
fn needed<M: Memory>(state: &State<M>, keeper: Principal) -> Result<Vec<ModuleHash>, Error> {
    let mut needed = Vec::new();
    for one in interventions::active(state)? {
        if let (Action::Install { module_hash, .. }, ModuleOf::Keeper(of)) = (&one.action, of(&one))
            && of == keeper
        {
            needed.push(modules::module_hash(module_hash)?);
        }
    }
    Ok(needed)
}

/// Drops what is not needed any more after an intervention is over.
pub(crate) fn tidy<M: Memory>(
    state: &mut State<M>,
    over: &Intervention,
    live: bool,
) -> Result<(), Error> {
    let Action::Install { module_hash, .. } = &over.action else {
        return Ok(());
    };
    let hash = modules::module_hash(module_hash)?;
    let of = of(over);
    if let ModuleOf::Keeper(keeper) = of {
        if needed(state, keeper)?.contains(&hash) {
            return Ok(());
        }
        left(state, &keepers::get(state)?.keepers, keeper)?;
    }
    if live {
        state.modules.drop_module(Of(of), &hash);
    }
    Ok(())
}

/// Drops all that somebody uploaded who is none of the keepers any more, unless something needs it.
pub(crate) fn left<M: Memory>(
    state: &mut State<M>,
    keepers: &[Principal],
    who: Principal,
) -> Result<(), Error> {
    if !keepers.contains(&who) && needed(state, who)?.is_empty() {
        state.modules.drop_all(Of(ModuleOf::Keeper(who)));
    }
    Ok(())
}

/// Whom the module of an intervention was uploaded for.
pub(crate) fn of(intervention: &Intervention) -> ModuleOf {
    match intervention.why {
        Why::Votes { proposed_by, .. } => ModuleOf::Keeper(proposed_by),
        Why::Decision { proposal, .. } => ModuleOf::Decision { proposal },
    }
}
