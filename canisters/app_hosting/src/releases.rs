//! Releases of apps' canisters, and upgrades of the suite's own: who agrees, what is installed, how it ended.
//!
//! ```text
//! owner's app:     propose ────────────────► Running ─► steps ([`indus_orchestrator`]) ─► Ended
//! agency's app:    propose ─► approve ─────►    ▲             each a message of its own
//! registry:        carry_out ───────────────────┘
//! ```
//!
//! Invariants:
//! - A canister has one release at most that is proposed or running.
//! - Of an agency's app nobody releases alone: who approves is another person, and app_hosting is the only controller.
//! - A decision of the governors that went live is never carried out again.
//! - What runs and what ran before it can be installed again: their modules are kept.
//!
//! Cost: O(log n) a call, besides hashing a module once.

mod work;

pub use work::{CARRY_OUT, MAX_RUNNING_OF_APP, answered, next};

use candid::Principal;
use ic_stable_structures::Memory;
use indus_api::{
    Error, Subject,
    hosting::{
        APP_APPROVER, AppOwner, ApproveReleaseArgs, CarryOutArgs, Ended, HealthCheck,
        HostedCanister, ListReleasesArgs, MAX_METHOD_BYTES, ProposeReleaseArgs, Release, ReleaseOf,
        ReleaseRecord, ReleaseState, RollBackArgs, release_key,
    },
    paging::{Page, PageArgs},
    registry::ApprovedUpgrade,
};
use indus_kit::{
    Change, Context,
    paging::PageRequest,
    text::{self, invalid},
};
use indus_orchestrator::{
    modules,
    orders::{
        check_argument, check_decided, check_in_time, check_ordered_argument, check_proposal,
        digest,
    },
};
use serde_bytes::ByteBuf;

use crate::{
    apps, creations,
    state::{
        RELEASE, RELEASE_PROPOSED, RELEASE_WITHDRAWN, State, conflict, not_found, unauthorized,
    },
};

/// A release takes one token of its proposer's rate, and one more for each such part of its module; in bytes.
const TOKEN_BYTES: u64 = 4 << 20;
/// Most of them, so that the largest module can be released.
const MAX_TOKENS: u32 = 10;
/// Proposes a release. That of a person's app begins at once; that of an agency's waits for another person. Who proposes again what
/// is open is answered with it.
///
/// # Errors
/// [`Error::NotFound`] for the canister or the module; [`Error::Unauthorized`]; [`Error::Invalid`]; [`Error::Conflict`] with
/// another release that is open; [`Error::RateLimited`].
pub fn propose<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    subject: &Subject,
    entitled: bool,
    args: ProposeReleaseArgs,
) -> Result<Release, Error> {
    let hosted = creations::get(state, args.canister)?;
    proposed(state, context, subject, entitled, &hosted, args, None)
}

/// Proposes to bring an earlier release's module back, as [`propose`] does.
///
/// # Errors
/// Those of [`propose`]; [`Error::NotFound`] for a release that there is none, or whose module is not kept any more;
/// [`Error::Conflict`] for one that was not live. One that is live can be named: its owner may have installed another module since.
pub fn roll_back<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    subject: &Subject,
    entitled: bool,
    args: RollBackArgs,
) -> Result<Release, Error> {
    let hosted = creations::get(state, args.canister)?;
    apps::check(subject, state.app(hosted.app)?.owner, entitled)?;
    let to = args.to.or(hosted.release_before);
    let to = get(state, to.ok_or_else(|| not_found("release", "before"))?)?;
    if to.canister != args.canister {
        return Err(not_found("release of the canister", to.id));
    }
    if !matches!(
        to.state,
        ReleaseState::Ended {
            how: Ended::Live,
            ..
        }
    ) {
        return Err(conflict("that release did not go live"));
    }
    let argument = state.arguments.get(&to.id).unwrap_or_default();
    let args = ProposeReleaseArgs {
        canister: args.canister,
        module_hash: to.module_hash,
        argument: ByteBuf::from(argument),
        health: to.health,
        keep_memory: to.keep_memory,
    };
    let again = Some(to.id);
    proposed(state, context, subject, entitled, &hosted, args, again)
}

fn proposed<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    subject: &Subject,
    entitled: bool,
    hosted: &HostedCanister,
    args: ProposeReleaseArgs,
    rolls_back_to: Option<u64>,
) -> Result<Release, Error> {
    let app = state.app(hosted.app)?;
    apps::check(subject, app.owner, entitled)?;
    let ProposeReleaseArgs {
        canister,
        module_hash,
        argument,
        health,
        keep_memory,
    } = args;
    let hash = modules::module_hash(&module_hash)?;
    check_argument(&argument)?;
    if let HealthCheck::Method(method) = &health {
        text::name("health", method, MAX_METHOD_BYTES)?;
    }
    let argument_hash = digest(&argument);
    if let Some(open) = state.open_releases.get(&canister) {
        let open = get(state, open)?;
        let same = open.module_hash == module_hash
            && open.argument_hash == argument_hash
            && open.health == health
            && open.keep_memory == keep_memory;
        return if same {
            Ok(open)
        } else {
            Err(conflict("another release of the canister is open"))
        };
    }
    let of = ReleaseOf::App(app.id);
    let bytes = state.modules.get(of, &hash)?.bytes;
    // Every megabyte is hashed here, and sent to the canister.
    state.take_tokens(context, subject, tokens(bytes))?;
    let uploaded = state.modules.complete(of, &hash)?;
    let begins = matches!(app.owner, AppOwner::Person(_));
    let release = Release {
        id: RELEASE.len(&state.kit.certified) + 1,
        number: next_number(state, canister),
        of,
        canister,
        module_hash,
        module_bytes: uploaded.bytes,
        argument_hash,
        health,
        keep_memory,
        rolls_back_to,
        replaced: None,
        proposed_by: subject.person,
        proposed_at_ns: context.time_ns,
        approved_by: None,
        state: if begins {
            running(context)
        } else {
            ReleaseState::Proposed
        },
    };
    opened(state, context, release, argument.into_vec())
}

/// What a release of a module takes of its proposer's rate.
fn tokens(bytes: u64) -> u32 {
    let more = u32::try_from(bytes / TOKEN_BYTES).unwrap_or(u32::MAX);
    more.saturating_add(1).min(MAX_TOKENS)
}

/// Records a release that is new, and has it carried out if it runs.
fn opened<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    release: Release,
    argument: Vec<u8>,
) -> Result<Release, Error> {
    let actor = release.proposed_by;
    if matches!(release.state, ReleaseState::Running { .. }) {
        work::started(state, context, actor, &release, argument.clone())?;
    } else {
        state.record(context, RELEASE_PROPOSED, actor, vec![change(&release)?])?;
    }
    state.arguments.insert(release.id, argument);
    state.open_releases.insert(release.canister, release.id);
    let listed = (release.canister, release.id);
    state.releases_of.insert(listed, ());
    state
        .release_counts
        .insert(release.canister, release.number);
    Ok(release)
}

/// Approves a release of an agency's app, by another person than the one who proposed it, with the role for that. It begins at once.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Unauthorized`]; [`Error::Conflict`] if it does not wait; [`Error::Invalid`] for other hashes.
pub fn approve<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    subject: &Subject,
    args: &ApproveReleaseArgs,
) -> Result<Release, Error> {
    let release = get(state, args.release)?;
    let organisation = organisation(state, &release)?;
    if !acts_as(subject, organisation, APP_APPROVER) {
        return Err(unauthorized(format!(
            "who acts for the organisation and has the role {APP_APPROVER}"
        )));
    }
    if subject.person == release.proposed_by {
        return Err(unauthorized("another person than who proposed it"));
    }
    if release.module_hash != args.module_hash {
        return Err(invalid("module_hash", "must be that of the release"));
    }
    if release.argument_hash != args.argument_hash {
        return Err(invalid("argument_hash", "must be that of the release"));
    }
    if release.approved_by == Some(subject.person) {
        return Ok(release);
    }
    if release.state != ReleaseState::Proposed {
        return Err(conflict("the release does not wait for an approval"));
    }
    let release = Release {
        approved_by: Some(subject.person),
        state: running(context),
        ..release
    };
    let argument = state.arguments.get(&release.id).unwrap_or_default();
    work::started(state, context, subject.person, &release, argument)?;
    Ok(release)
}

/// Takes a proposed release back, by who may propose or approve one.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Unauthorized`]; [`Error::Conflict`] if it does not wait.
pub fn withdraw<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    subject: &Subject,
    id: u64,
) -> Result<Release, Error> {
    let release = get(state, id)?;
    let organisation = organisation(state, &release)?;
    if !acts_as(subject, organisation, APP_APPROVER) {
        apps::acting(subject, Some(organisation))?;
    }
    if matches!(release.state, ReleaseState::Withdrawn { .. }) {
        return Ok(release);
    }
    if release.state != ReleaseState::Proposed {
        return Err(conflict("the release does not wait for an approval"));
    }
    let release = Release {
        state: ReleaseState::Withdrawn {
            at_ns: context.time_ns,
        },
        ..release
    };
    let changes = vec![change(&release)?];
    state.record(context, RELEASE_WITHDRAWN, subject.person, changes)?;
    state.open_releases.remove(&release.canister);
    state.arguments.remove(&release.id);
    Ok(release)
}

/// Has an upgrade of a canister of the suite carried out, exactly as the governors decided, by one of those who did. Repeatable: one that
/// runs, or went live, is answered with.
///
/// # Errors
/// [`Error::Unauthorized`]; [`Error::Invalid`] for the argument, and for an upgrade of this canister; [`Error::NotFound`] for the
/// module; [`Error::Conflict`] with another release that is open; [`Error::Expired`] for what was decided 30 days ago; [`Error::RateLimited`].
pub fn carry_out<M: Memory>(
    state: &mut State<M>,
    context: &Context,
    upgrade: &ApprovedUpgrade,
    args: CarryOutArgs,
) -> Result<Release, Error> {
    check_decided(context, upgrade)?;
    check_proposal(upgrade, args.proposal)?;
    let ApprovedUpgrade {
        proposal, order, ..
    } = upgrade;
    if order.canister == state.own {
        return Err(invalid(
            "proposal",
            "is about this canister, which can't upgrade itself",
        ));
    }
    if creations::get(state, order.canister).is_ok() {
        let reason = "is about an app's canister, which its owner releases";
        return Err(invalid("proposal", reason));
    }
    if let Some(release) = state.upgrades.get(proposal) {
        let release = get(state, release)?;
        let over = |how| !matches!(how, Ended::Live);
        let again = matches!(release.state, ReleaseState::Ended { how, .. } if over(how));
        if !again {
            return Ok(release);
        }
    }
    check_in_time(context, upgrade)?;
    check_ordered_argument(order, &args.argument)?;
    if state.open_releases.contains_key(&order.canister) {
        return Err(conflict("another release of the canister is open"));
    }
    let of = ReleaseOf::Upgrade {
        proposal: *proposal,
    };
    let hash = modules::module_hash(&order.module_hash)?;
    let uploaded = state.modules.complete(of, &hash)?;
    state.limits.take(context, None, 1)?;
    let release = Release {
        id: RELEASE.len(&state.kit.certified) + 1,
        number: next_number(state, order.canister),
        of,
        canister: order.canister,
        module_hash: order.module_hash.clone(),
        module_bytes: uploaded.bytes,
        argument_hash: order.argument_hash.clone(),
        health: HealthCheck::Maintenance,
        keep_memory: false,
        rolls_back_to: None,
        replaced: Some(order.previous_hash.clone()),
        proposed_by: context.caller,
        proposed_at_ns: context.time_ns,
        approved_by: None,
        state: running(context),
    };
    let release = opened(state, context, release, args.argument.into_vec())?;
    state.upgrades.insert(*proposal, release.id);
    Ok(release)
}

/// What the canister, or the subnet, said of a release that did not go live: of an app's for who may change it, of an upgrade of the suite for
/// everybody.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Unauthorized`].
pub fn message<M: Memory>(
    state: &State<M>,
    subject: impl FnOnce() -> Result<Subject, Error>,
    id: u64,
) -> Result<Option<String>, Error> {
    let release = get(state, id)?;
    let ReleaseOf::App(app) = release.of else {
        return Ok(state.messages.get(&id));
    };
    let subject = subject()?;
    let owner = state.app(app)?.owner;
    let approves = match owner {
        AppOwner::Organisation(organisation) => acts_as(&subject, organisation, APP_APPROVER),
        AppOwner::Person(_) => false,
    };
    if !approves {
        apps::check(&subject, owner, true)?;
    }
    Ok(state.messages.get(&id))
}

/// A release.
///
/// # Errors
/// [`Error::NotFound`].
pub fn get<M: Memory>(state: &State<M>, id: u64) -> Result<Release, Error> {
    let record = RELEASE.get(&state.kit.certified, &release_key(id))?;
    let ReleaseRecord::V1(release) = record.ok_or_else(|| not_found("release", id))?;
    Ok(release)
}

/// A page of a canister's releases, in the order of their ids.
///
/// # Errors
/// [`Error::Invalid`] for the limit.
pub fn list<M: Memory>(
    state: &State<M>,
    args: ListReleasesArgs,
) -> Result<Page<u64, Release>, Error> {
    let ListReleasesArgs {
        canister,
        after,
        limit,
    } = args;
    let first = after.map_or(0, |id| id.saturating_add(1));
    let all = state
        .releases_of
        .keys_range((canister, first)..=(canister, u64::MAX));
    PageRequest::checked(PageArgs { after, limit })?.answer(
        all,
        |(_, id)| *id,
        |(_, id)| get(state, id).map(Some),
    )
}

fn running(context: &Context) -> ReleaseState {
    ReleaseState::Running {
        since_ns: context.time_ns,
    }
}

fn change(release: &Release) -> Result<Change, Error> {
    RELEASE.put(
        &release_key(release.id),
        &ReleaseRecord::V1(release.clone()),
    )
}

fn next_number<M: Memory>(state: &State<M>, canister: Principal) -> u64 {
    state.release_counts.get(&canister).unwrap_or(0) + 1
}

/// The agency of a release's app; nobody else has proposals that wait.
fn organisation<M: Memory>(state: &State<M>, release: &Release) -> Result<u64, Error> {
    let owner = match release.of {
        ReleaseOf::App(app) => Some(state.app(app)?.owner),
        ReleaseOf::Upgrade { .. } => None,
    };
    match owner {
        Some(AppOwner::Organisation(organisation)) => Ok(organisation),
        _ => Err(conflict("the release does not wait for an approval")),
    }
}

fn acts_as(subject: &Subject, organisation: u64, role: &str) -> bool {
    subject.organisation == Some(organisation) && subject.roles.contains(role)
}
