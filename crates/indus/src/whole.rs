//! Proves what no record shows by itself: that nothing is beyond them, missing between them, or unexplained.
//!
//! Flow: the id after the last one is proved absent → the whole log is replayed to the certified head → all organisations
//! are exported, complete at a head → they are compared with what was registered, all of them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use indus_client::{AuditReport, CertifiedOrganisation, ClientError, Export, RegistryClient};
use indus_verify::Audit;
use thiserror::Error;

use crate::readback::{ReadBackError, compare};
use crate::registration::Registered;

/// What was proved, and how long it took.
#[derive(Debug)]
pub(crate) struct Whole {
    /// The id that is proved absent.
    pub(crate) absent: u64,
    pub(crate) absence_took: Duration,
    pub(crate) audit: AuditReport,
    pub(crate) audit_took: Duration,
    pub(crate) export: Export,
    pub(crate) export_took: Duration,
}

/// Why the registry as a whole is not what it should be.
#[derive(Debug, Error)]
pub(crate) enum WholeError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("organisation {0} is certified, and was not registered")]
    Unregistered(u64),
    #[error("organisation {id} ({slug}) is proved missing")]
    Missing { id: u64, slug: String },
    #[error("{slug}: {reason}")]
    Differs { slug: String, reason: ReadBackError },
}

/// Proves it of the registry that has exactly `founders` founding organisations, and `registered`.
pub(crate) async fn prove(
    founders: u64,
    registered: &[Registered],
    reader: &RegistryClient,
) -> Result<Whole, WholeError> {
    let ids = registered.iter().map(|one| one.id);
    let absent = ids.max().unwrap_or(founders) + 1;
    let start = Instant::now();
    if reader.organisation(absent).await?.is_some() {
        return Err(WholeError::Unregistered(absent));
    }
    let absence_took = start.elapsed();

    let mut audit = Audit::default();
    let start = Instant::now();
    let report = reader.audited().audit(&mut audit).await?;
    let audit_took = start.elapsed();

    let start = Instant::now();
    let (organisations, export) = reader.all_organisations(&mut audit).await?;
    let export_took = start.elapsed();
    let applied = |one: &CertifiedOrganisation| one.organisation.id > founders;
    let organisations: Vec<_> = organisations.into_iter().filter(applied).collect();
    compare_all(&organisations, registered)?;
    Ok(Whole {
        absent,
        absence_took,
        audit: report,
        audit_took,
        export,
        export_took,
    })
}

/// The same ones, and each the same.
fn compare_all(
    found: &[CertifiedOrganisation],
    registered: &[Registered],
) -> Result<(), WholeError> {
    let mut expected: BTreeMap<u64, &Registered> =
        registered.iter().map(|one| (one.id, one)).collect();
    for CertifiedOrganisation { organisation, .. } in found {
        let one = expected
            .remove(&organisation.id)
            .ok_or(WholeError::Unregistered(organisation.id))?;
        compare(organisation, one).map_err(|reason| WholeError::Differs {
            slug: one.profile.slug.clone(),
            reason,
        })?;
    }
    match expected.first_key_value() {
        None => Ok(()),
        Some((id, one)) => Err(WholeError::Missing {
            id: *id,
            slug: one.profile.slug.clone(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use indus_verify::Time;

    use super::*;
    use crate::readback::tests::example;

    fn example_with(id: u64) -> (CertifiedOrganisation, Registered) {
        let (mut organisation, mut registered) = example();
        organisation.id = id;
        registered.id = id;
        let certified = CertifiedOrganisation {
            organisation,
            certified_at: Time::default(),
        };
        (certified, registered)
    }

    #[test]
    fn one_too_many_one_missing_and_one_changed_are_found_and_named() {
        let (found, registered): (Vec<_>, Vec<_>) = [1, 2, 3].map(example_with).into_iter().unzip();
        compare_all(&found, &registered).unwrap();
        let fault =
            |found: &[_], registered: &[_]| compare_all(found, registered).unwrap_err().to_string();
        assert_eq!(
            fault(&found, &registered[..2]),
            "organisation 3 is certified, and was not registered"
        );
        assert_eq!(
            fault(&found[1..], &registered),
            "organisation 1 (a) is proved missing"
        );
        let mut changed = found;
        changed[1].organisation.profile.name.push('x');
        assert_eq!(
            fault(&changed, &registered),
            "a: name is \"Ax\" in the registry, \"A\" was registered"
        );
    }
}
