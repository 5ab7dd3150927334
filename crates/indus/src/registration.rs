//! Registers the organisations of a file, each in its own name.
//!
//! Flow, for each row: a fresh key applies, which opens a proposal → as many governors as the quorum asks for, each in turn,
//! read the proposal certified, compare it with the file, and approve exactly that; the last approval admits. Parents come before children; up to [`IN_FLIGHT`] rows of a
//! level are under way at a time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use candid::Principal;
use indus_api::registry::{Action, Application, OrganisationProfile, Proposal, ProposalState};
use indus_client::{ClientError, Key, RegistryClient};
use thiserror::Error;

use crate::bounded::Bounded;
use crate::console::Console;
use crate::latency::Latencies;
use crate::organisations::{Organisations, Row};

/// Most rows that are under way at a time.
pub(crate) const IN_FLIGHT: usize = 8;

/// What became of one row: all that the registry must know of it from now on.
#[derive(Clone, Debug)]
pub(crate) struct Registered {
    pub(crate) id: u64,
    pub(crate) profile: OrganisationProfile,
    pub(crate) applicant: Principal,
    /// Whose approval completed the quorum.
    pub(crate) governor: Principal,
    pub(crate) proposal: u64,
}

/// How long the calls took.
#[derive(Clone, Debug, Default)]
pub(crate) struct RegistrationLatencies {
    pub(crate) applications: Latencies,
    pub(crate) reads: Latencies,
    pub(crate) approvals: Latencies,
}

/// Why a row could not be registered.
#[derive(Debug, Error)]
pub(crate) enum RegistrationError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("proposal {0} is proved absent after it was opened")]
    Absent(u64),
    #[error("application {0} has no proposal")]
    NoProposal(u64),
    #[error("proposal {id} is not what was applied for: {differs} differs")]
    NotWhatWasAppliedFor { id: u64, differs: &'static str },
    #[error("proposal {0} is not executed after all governors approved it")]
    NotExecuted(u64),
    #[error("a call ended abnormally: {0}")]
    Aborted(String),
}

/// Registers all rows; the result is in the order of the rows.
///
/// `applicant` is any connection to the registry, `governors` are as many that may approve as the quorum asks for.
///
/// Errors: the first row that failed, with its slug. Calls of other rows may have been made.
pub(crate) async fn register(
    organisations: &Organisations,
    applicant: &RegistryClient,
    governors: &[RegistryClient],
    console: &mut Console,
) -> Result<(Vec<Registered>, RegistrationLatencies), (String, RegistrationError)> {
    let rows = &organisations.rows;
    let governors: Arc<[RegistryClient]> = governors.into();
    let mut registered: Vec<Option<Registered>> = vec![None; rows.len()];
    let mut latencies = RegistrationLatencies::default();
    console.begin("registering", rows.len());
    for level in &organisations.levels {
        let mut calls = Bounded::new(IN_FLIGHT);
        for row in level {
            // Levels are in order: the parent is registered.
            let parent = rows[*row]
                .parent
                .and_then(|parent| registered[parent].as_ref())
                .map(|parent| parent.id);
            let profile = profile(&rows[*row], parent);
            let (applicant, governors) = (applicant.clone(), Arc::clone(&governors));
            calls.push(*row, async move {
                register_one(profile, &applicant, &governors).await
            });
        }
        while let Some((row, outcome)) = calls.next().await {
            let outcome =
                outcome.unwrap_or_else(|error| Err(RegistrationError::Aborted(error.to_string())));
            let (one, took) = outcome.map_err(|error| (rows[row].slug.clone(), error))?;
            registered[row] = Some(one);
            latencies.applications.record(took.application);
            took.reads
                .into_iter()
                .for_each(|read| latencies.reads.record(read));
            let approvals = took.approvals.into_iter();
            approvals.for_each(|approval| latencies.approvals.record(approval));
            console.step();
        }
    }
    Ok((registered.into_iter().flatten().collect(), latencies))
}

struct Took {
    application: Duration,
    reads: Vec<Duration>,
    approvals: Vec<Duration>,
}

async fn register_one(
    profile: OrganisationProfile,
    registry: &RegistryClient,
    governors: &[RegistryClient],
) -> Result<(Registered, Took), RegistrationError> {
    let key = Key::generate();
    let applicant = RegistryClient::new(registry.connection().signing_as(&key))?;

    let start = Instant::now();
    let applied = applicant.apply_for_organisation(&profile).await?;
    let mut took = Took {
        application: start.elapsed(),
        reads: Vec::new(),
        approvals: Vec::new(),
    };
    let id = applied
        .application
        .ok_or(RegistrationError::NoProposal(applied.id))?;
    let expected = Application {
        organisation: applied.id,
        applicant: key.principal(),
        profile: profile.clone(),
    };
    let mut last = None;
    for governor in governors {
        let start = Instant::now();
        let found = governor.proposal(id).await?;
        took.reads.push(start.elapsed());
        let found = found.ok_or(RegistrationError::Absent(id))?;
        review(&found.proposal, &found.action, &expected)
            .map_err(|differs| RegistrationError::NotWhatWasAppliedFor { id, differs })?;
        let start = Instant::now();
        let state = governor.approve(id, found.hash).await?.state;
        took.approvals.push(start.elapsed());
        last = Some((governor.connection().caller(), state));
    }
    let Some((governor, ProposalState::Executed { .. })) = last else {
        return Err(RegistrationError::NotExecuted(id));
    };
    Ok((
        Registered {
            id: applied.id,
            profile,
            applicant: key.principal(),
            governor,
            proposal: id,
        },
        took,
    ))
}

/// What a governor looks at before approving; otherwise what differs.
fn review(
    proposal: &Proposal,
    action: &Action,
    expected: &Application,
) -> Result<(), &'static str> {
    if proposal.proposer != expected.applicant {
        Err("proposer")
    } else if proposal.state != ProposalState::Open {
        Err("state")
    } else if *action != Action::Admit(expected.clone()) {
        Err("application")
    } else {
        Ok(())
    }
}

fn profile(row: &Row, parent: Option<u64>) -> OrganisationProfile {
    OrganisationProfile {
        slug: row.slug.clone(),
        name: row.name.clone(),
        kind: row.kind,
        parent,
        sector: row.sector.clone(),
        seat: row.seat.clone(),
    }
}

#[cfg(test)]
mod tests {
    use indus_api::registry::{OrganisationKind, Quorum};

    use super::*;

    #[test]
    fn a_governor_approves_only_what_was_applied_for() {
        let row = Row {
            slug: String::from("a"),
            name: String::from("A"),
            kind: OrganisationKind::Agency,
            parent: None,
            sector: String::from("it"),
            seat: String::from("Quetta"),
        };
        let applicant = Key::from_seed(&[1; 32]).principal();
        let expected = Application {
            organisation: 9,
            applicant,
            profile: profile(&row, Some(7)),
        };
        let action = Action::Admit(expected.clone());
        let good = Proposal {
            id: 3,
            proposer: applicant,
            payload: Vec::new().into(),
            admits: Some(9),
            proposed_at_ns: 1,
            expires_at_ns: 2,
            not_before_ns: None,
            quorum: Quorum {
                approvals: 3,
                organisations: 3,
            },
            approvals: Vec::new(),
            rejections: Vec::new(),
            state: ProposalState::Open,
        };
        assert_eq!(review(&good, &action, &expected), Ok(()));

        let another = Proposal {
            proposer: Principal::anonymous(),
            ..good.clone()
        };
        assert_eq!(review(&another, &action, &expected), Err("proposer"));
        let withdrawn = Proposal {
            state: ProposalState::Cancelled {
                at_ns: 2,
                reason: String::new(),
            },
            ..good.clone()
        };
        assert_eq!(review(&withdrawn, &action, &expected), Err("state"));
        let mut moved = expected.clone();
        moved.profile.parent = Some(8);
        let moved = Action::Admit(moved);
        assert_eq!(review(&good, &moved, &expected), Err("application"));
    }
}
