//! Commits of a large group, of which nobody but its founder has committed: the tree is blank but for the founder's path, so a commit
//! has a path secret for each other leaf.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use candid::Encode;
use indus_api::messaging::{CommitArgs, CommitOutcome, MAX_LEAVES};

use super::{
    device::Founder,
    setting::{Draft, Live, MINUTE_NS, SECOND_NS},
};

/// Commits that a figure is the mean of.
const COMMITS: u64 = 10;
/// Devices that are added, each by a commit of its own.
const ADDED: u64 = 5;

/// Instructions of one commit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    /// Of new keys for the committer.
    pub(crate) update: f64,
    /// With one device that is added; none where the group is full.
    pub(crate) add: Option<f64>,
}

/// The figures of a group with so many leaves.
pub(crate) fn commits(leaves: u64) -> anyhow::Result<Figures> {
    static KNOWN: Mutex<BTreeMap<u64, Figures>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(figures) = known.get(&leaves) {
        return Ok(*figures);
    }
    let figures = measure(leaves)?;
    eprintln!("bench: {leaves} leaves: {figures:?}");
    known.insert(leaves, figures);
    Ok(figures)
}

fn measure(leaves: u64) -> anyhow::Result<Figures> {
    let newcomers = ADDED.min(u64::from(MAX_LEAVES) - leaves);
    let (mut draft, mut devices) = Draft::new(leaves + newcomers)?;
    let newcomers = devices.split_off(usize::try_from(leaves)?);
    let others = devices.split_off(1);
    let founder = devices.remove(0);
    let (id, mut founder) = draft.conversation(founder, &others)?;
    let mut packages = Vec::new();
    for newcomer in &newcomers {
        packages.push(draft.upload(newcomer)?);
    }

    let mut live = draft.begin()?;
    let mut updates = Vec::new();
    for _ in 0..=COMMITS {
        let args = founder.commit(id, Vec::new())?;
        updates.push(submitted(&mut live, &mut founder, &args)?);
    }
    // The first one is for the types.
    let update = mean(&updates[1..]);
    let mut adds = Vec::new();
    for package in packages {
        let args = founder.commit(id, vec![package])?;
        adds.push(submitted(&mut live, &mut founder, &args)?);
    }
    let add = (!adds.is_empty()).then(|| mean(&adds));
    Ok(Figures { update, add })
}

/// Instructions of a commit, which is accepted, by a caller who is not known any more.
fn submitted(live: &mut Live, founder: &mut Founder, args: &CommitArgs) -> anyhow::Result<u64> {
    live.net.pass(MINUTE_NS + SECOND_NS);
    let argument = Encode!(args)?;
    let before = live.spent();
    let caller = founder.device.caller;
    let outcome: CommitOutcome = live.update(caller, "submit_commit", argument)?;
    let spent = live.spent() - before;
    if !matches!(outcome, CommitOutcome::Accepted(_)) {
        anyhow::bail!("a commit: {outcome:?}");
    }
    founder.accepted()?;
    Ok(spent)
}

#[allow(clippy::cast_precision_loss, reason = "far below 2^53")]
fn mean(all: &[u64]) -> f64 {
    all.iter().sum::<u64>() as f64 / all.len() as f64
}
