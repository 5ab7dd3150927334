//! Registers the organisations of a file, each in its own name.
//!
//! Flow, for each row: a fresh key applies → a governor reads the application certified and compares it with the
//! file → the governor approves exactly those bytes. Parents come before children; up to [`IN_FLIGHT`] rows of a
//! level are under way at a time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use candid::Principal;
use indus_api::registry::{Organisation, OrganisationProfile, OrganisationState};
use indus_client::{ApplicationHash, ClientError, Key, RegistryClient};
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
    pub(crate) governor: Principal,
    pub(crate) application: ApplicationHash,
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
    #[error("application {0} is proved absent after it was accepted")]
    Absent(u64),
    #[error("application {id} is not what was applied for: {differs} differs")]
    NotWhatWasAppliedFor { id: u64, differs: &'static str },
    #[error("a call ended abnormally: {0}")]
    Aborted(String),
}

/// Registers all rows; the result is in the order of the rows.
///
/// `applicant` is any connection to the registry, `governor` one that may approve.
///
/// Errors: the first row that failed, with its slug. Calls of other rows may have been made.
pub(crate) async fn register(
    organisations: &Organisations,
    applicant: &RegistryClient,
    governor: &RegistryClient,
    console: &mut Console,
) -> Result<(Vec<Registered>, RegistrationLatencies), (String, RegistrationError)> {
    let rows = &organisations.rows;
    let governor = Arc::new(governor.clone());
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
            let (applicant, governor) = (applicant.clone(), Arc::clone(&governor));
            calls.push(*row, async move {
                register_one(profile, &applicant, &governor).await
            });
        }
        while let Some((row, outcome)) = calls.next().await {
            let outcome =
                outcome.unwrap_or_else(|error| Err(RegistrationError::Aborted(error.to_string())));
            let (one, took) = outcome.map_err(|error| (rows[row].slug.clone(), error))?;
            registered[row] = Some(one);
            latencies.applications.record(took.application);
            latencies.reads.record(took.read);
            latencies.approvals.record(took.approval);
            console.step();
        }
    }
    Ok((registered.into_iter().flatten().collect(), latencies))
}

struct Took {
    application: Duration,
    read: Duration,
    approval: Duration,
}

async fn register_one(
    profile: OrganisationProfile,
    registry: &RegistryClient,
    governor: &RegistryClient,
) -> Result<(Registered, Took), RegistrationError> {
    let key = Key::generate();
    let applicant = RegistryClient::new(registry.connection().signing_as(&key))?;

    let start = Instant::now();
    let id = applicant.apply_for_organisation(&profile).await?.id;
    let applied = Instant::now();
    let found = governor
        .organisation(id)
        .await?
        .ok_or(RegistrationError::Absent(id))?;
    let read = Instant::now();
    review(&found.organisation, &profile, key.principal())
        .map_err(|differs| RegistrationError::NotWhatWasAppliedFor { id, differs })?;
    let reviewed = Instant::now();
    governor.approve_organisation(id, found.hash).await?;
    let took = Took {
        application: applied - start,
        read: read - applied,
        approval: reviewed.elapsed(),
    };

    let governor = governor.connection().caller();
    Ok((
        Registered {
            id,
            profile,
            applicant: key.principal(),
            governor,
            application: found.hash,
        },
        took,
    ))
}

/// What a governor looks at before approving; otherwise what differs.
fn review(
    application: &Organisation,
    profile: &OrganisationProfile,
    applicant: Principal,
) -> Result<(), &'static str> {
    if application.applicant != applicant {
        Err("applicant")
    } else if application.state != OrganisationState::Pending {
        Err("state")
    } else if application.profile != *profile {
        Err("profile")
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
    use indus_api::registry::OrganisationKind;

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
        let (profile, applicant) = (profile(&row, Some(7)), Key::from_seed(&[1; 32]).principal());
        let good = Organisation {
            id: 9,
            profile: profile.clone(),
            applicant,
            applied_at_ns: 1,
            state: OrganisationState::Pending,
        };
        assert_eq!(review(&good, &profile, applicant), Ok(()));

        let another = Organisation {
            applicant: Principal::anonymous(),
            ..good.clone()
        };
        assert_eq!(review(&another, &profile, applicant), Err("applicant"));
        let withdrawn = Organisation {
            state: OrganisationState::Withdrawn {
                at_ns: 2,
                reason: String::new(),
            },
            ..good.clone()
        };
        assert_eq!(review(&withdrawn, &profile, applicant), Err("state"));
        let moved = OrganisationProfile {
            parent: Some(8),
            ..profile.clone()
        };
        assert_eq!(
            review(
                &Organisation {
                    profile: moved,
                    ..good
                },
                &profile,
                applicant
            ),
            Err("profile")
        );
    }
}
