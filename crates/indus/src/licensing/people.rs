//! The people of a round: officers, reviewers, applicants, each with a key of their own.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use candid::Principal;
use indus_api::identity::{GrantArgs, MethodKind, Person, RegisterArgs, Role};
use indus_client::{Connection, Key, SuiteCanister};

use super::{IN_FLIGHT, LicensingError, at};
use crate::{bounded::Bounded, console::Console};

const OFFICER: &str = "licence-officer";
const REVIEWER: &str = "licence-reviewer";
/// Officers: each grants the seats of some queues, so that they work side by side.
const OFFICERS: usize = 5;
const REVIEWERS: usize = 8;
/// How long the roles of this demonstration last.
const TERM: Duration = Duration::from_hours(24);

/// Opens connections for people.
#[derive(Clone)]
pub(super) struct Desk {
    connection: Connection,
}

impl Desk {
    pub(super) fn new(connection: Connection) -> Self {
        Self { connection }
    }

    fn of(&self, key: &Key, name: &str) -> Result<SuiteCanister, LicensingError> {
        SuiteCanister::new(self.connection.signing_as(key), name).map_err(at("connecting"))
    }
}

/// Somebody who is registered.
#[derive(Clone)]
pub(super) struct Registered {
    /// Opaque id.
    pub(super) id: Principal,
    /// The license manager, in their name.
    pub(super) licences: SuiteCanister,
    /// Identity, in their name.
    pub(super) identity: SuiteCanister,
}

/// Those who run a round.
pub(super) struct Staff {
    pub(super) officers: Vec<Registered>,
    pub(super) reviewers: Vec<Registered>,
}

/// Registers somebody by a new key.
async fn register(desk: &Desk) -> Result<Registered, LicensingError> {
    let key = Key::generate();
    let identity = desk.of(&key, "identity")?;
    let args = RegisterArgs {
        kind: MethodKind::Ed25519,
        alias_commitment: None,
    };
    let person: Person = identity
        .update("register_person", &args)
        .await
        .map_err(at("registering a person"))?;
    Ok(Registered {
        id: person.id,
        licences: desk.of(&key, "license_manager")?,
        identity,
    })
}

/// Officers of the first founding organisation and reviewers of the second, appointed by their administrators.
pub(super) async fn staff(desk: &Desk, administrators: &[Key]) -> Result<Staff, LicensingError> {
    let mut staff = [Vec::new(), Vec::new()];
    let offices = [(OFFICERS, OFFICER), (REVIEWERS, REVIEWER)];
    for (((count, role), administrator), organisation) in
        offices.into_iter().zip(administrators).zip(1_u64..)
    {
        let administrator = desk.of(administrator, "identity")?;
        for _ in 0..count {
            let person = register(desk).await?;
            appoint(&administrator, organisation, role, &person).await?;
            if let Some(all) = staff.get_mut(usize::from(organisation > 1)) {
                all.push(person);
            }
        }
    }
    let [officers, reviewers] = staff;
    Ok(Staff {
        officers,
        reviewers,
    })
}

async fn appoint(
    administrator: &SuiteCanister,
    organisation: u64,
    role: &str,
    person: &Registered,
) -> Result<(), LicensingError> {
    let now_ns = now_ns();
    let term_ns = u64::try_from(TERM.as_nanos()).unwrap_or(u64::MAX);
    let args = GrantArgs {
        person: person.id,
        organisation,
        role: role.into(),
        valid_from_ns: now_ns,
        valid_until_ns: now_ns.saturating_add(term_ns),
    };
    let granted: Role = administrator
        .update("grant_role", &args)
        .await
        .map_err(at("granting a role"))?;
    let _accepted: Role = person
        .identity
        .update("accept_role", &granted.id)
        .await
        .map_err(at("accepting a role"))?;
    Ok(())
}

/// So many applicants.
pub(super) async fn applicants(
    desk: &Desk,
    count: usize,
    console: &mut Console,
) -> Result<Vec<Registered>, LicensingError> {
    console.begin("registering applicants", count);
    let mut calls = Bounded::new(IN_FLIGHT);
    for number in 0..count {
        let desk = desk.clone();
        calls.push(number, async move { register(&desk).await });
    }
    let mut applicants = Vec::with_capacity(count);
    while let Some((_, outcome)) = calls.next().await {
        applicants.push(outcome.map_err(|_| LicensingError::Aborted("a registration"))??);
        console.step();
    }
    Ok(applicants)
}

/// The time by this machine's clock, in nanoseconds since 1970.
pub(super) fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    })
}
