//! Reads every organisation back, and believes nothing that can't be proved.
//!
//! Flow, for each: certified read → verification without the network, against the trust file that was loaded
//! afresh → comparison of every field with what was registered.

use std::time::{Duration, Instant};

use indus_api::registry::{Organisation, OrganisationStatus};
use indus_client::{ClientError, RegistryClient};
use thiserror::Error;

use crate::bounded::Bounded;
use crate::console::Console;
use crate::latency::Latencies;
use crate::registration::{IN_FLIGHT, Registered};

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct ReadBack {
    pub(crate) verified: usize,
    /// Slugs of the others, and why.
    pub(crate) refused: Vec<(String, ReadBackError)>,
    /// From the question to the answer.
    pub(crate) reads: Latencies,
    /// From the answer to the verified record.
    pub(crate) verifications: Latencies,
}

/// Why a record does not count as verified.
#[derive(Debug, Error)]
pub(crate) enum ReadBackError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("it is proved absent")]
    Absent,
    #[error("{field} is {found} in the registry, {expected} was registered")]
    Differs {
        field: &'static str,
        found: String,
        expected: String,
    },
    #[error("reading it ended abnormally: {0}")]
    Aborted(String),
}

/// Reads and verifies all of `registered`.
pub(crate) async fn read_back(
    registered: &[Registered],
    reader: &RegistryClient,
    console: &mut Console,
) -> ReadBack {
    let mut read_back = ReadBack::default();
    let mut calls = Bounded::new(IN_FLIGHT);
    console.begin("reading back and verifying", registered.len());
    for one in registered {
        let (one, reader) = (one.clone(), reader.clone());
        calls.push(one.profile.slug.clone(), async move {
            read_one(&one, &reader).await
        });
    }
    while let Some((slug, outcome)) = calls.next().await {
        match outcome.unwrap_or_else(|error| Err(ReadBackError::Aborted(error.to_string()))) {
            Ok((read, verification)) => {
                read_back.verified += 1;
                read_back.reads.record(read);
                read_back.verifications.record(verification);
            }
            Err(error) => read_back.refused.push((slug, error)),
        }
        console.step();
    }
    read_back
}

async fn read_one(
    one: &Registered,
    reader: &RegistryClient,
) -> Result<(Duration, Duration), ReadBackError> {
    let start = Instant::now();
    let answer = reader.organisation_answer_unverified(one.id).await?;
    let read = Instant::now();
    let found = reader
        .verify_organisation(one.id, &answer)?
        .ok_or(ReadBackError::Absent)?;
    let verification = read.elapsed();
    compare(&found.organisation, one)?;
    Ok((read - start, verification))
}

/// Compares all that is known of a registered organisation; only its times are the subnet's.
pub(crate) fn compare(found: &Organisation, expected: &Registered) -> Result<(), ReadBackError> {
    let profile = (&found.profile, &expected.profile);
    same("id", &found.id, &expected.id)?;
    same("slug", &profile.0.slug, &profile.1.slug)?;
    same("name", &profile.0.name, &profile.1.name)?;
    same("kind", &profile.0.kind, &profile.1.kind)?;
    same("parent", &profile.0.parent, &profile.1.parent)?;
    same("sector", &profile.0.sector, &profile.1.sector)?;
    same("seat", &profile.0.seat, &profile.1.seat)?;
    same(
        "applicant",
        &found.applicant.to_text(),
        &expected.applicant.to_text(),
    )?;
    same("status", &found.status, &OrganisationStatus::Active)?;
    same("proposal", &found.application, &Some(expected.proposal))?;
    let admitted = found
        .steps
        .last()
        .map(|step| (step.by.to_text(), step.proposal));
    let expected = (expected.governor.to_text(), Some(expected.proposal));
    same("admission", &admitted, &Some(expected))
}

fn same<T: PartialEq + std::fmt::Debug>(
    field: &'static str,
    found: &T,
    expected: &T,
) -> Result<(), ReadBackError> {
    if found == expected {
        return Ok(());
    }
    Err(ReadBackError::Differs {
        field,
        found: format!("{found:?}"),
        expected: format!("{expected:?}"),
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use candid::Principal;
    use indus_api::registry::{OrganisationKind, OrganisationProfile, Step};

    use super::*;

    type Change = fn(&mut Organisation);

    /// A record, and what was registered as it.
    pub(crate) fn example() -> (Organisation, Registered) {
        let profile = OrganisationProfile {
            slug: String::from("a"),
            name: String::from("A"),
            kind: OrganisationKind::Agency,
            parent: Some(1),
            sector: String::from("it"),
            seat: String::from("Quetta"),
        };
        let registered = Registered {
            id: 2,
            profile: profile.clone(),
            applicant: Principal::from_slice(&[1]),
            governor: Principal::from_slice(&[2]),
            proposal: 5,
        };
        let admission = Step {
            status: OrganisationStatus::Active,
            at_ns: 9,
            by: registered.governor,
            proposal: Some(5),
            reason: String::new(),
        };
        (
            Organisation {
                id: 2,
                profile,
                applicant: registered.applicant,
                administrators: vec![registered.applicant],
                status: OrganisationStatus::Active,
                due_at_ns: 10,
                application: Some(5),
                steps: vec![admission],
            },
            registered,
        )
    }

    #[test]
    fn the_record_that_was_registered_is_accepted() {
        let (found, expected) = example();
        compare(&found, &expected).unwrap();
    }

    #[test]
    fn a_difference_in_any_field_is_found_and_named() {
        let changes: [(&str, Change); 11] = [
            ("id", |o| o.id = 3),
            ("slug", |o| o.profile.slug.push('x')),
            ("name", |o| o.profile.name.push('x')),
            ("kind", |o| o.profile.kind = OrganisationKind::Auditor),
            ("parent", |o| o.profile.parent = None),
            ("sector", |o| o.profile.sector.push('x')),
            ("seat", |o| o.profile.seat.push('x')),
            ("applicant", |o| o.applicant = Principal::anonymous()),
            ("status", |o| o.status = OrganisationStatus::Pending),
            ("proposal", |o| o.application = None),
            ("admission", |o| o.steps[0].by = Principal::anonymous()),
        ];
        for (field, change) in changes {
            let (mut found, expected) = example();
            change(&mut found);
            let error = compare(&found, &expected).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("{field} is ")),
                "{field}: {error}"
            );
        }
    }
}
