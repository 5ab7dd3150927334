//! An official: enrols, takes office, acts, loses their devices, is recovered, leaves.

use std::time::Duration;

use candid::Principal;
use indus_api::identity::{
    Achievement, ApproveRecoveryArgs, CREDENTIAL_ISSUER, Configuration, Credential, CredentialView,
    GrantArgs, IssueArgs, Method, MethodKind, NewMethod, OfferArgs, OpenRecoveryArgs, Pairing,
    Person, RECOVERIES, RECOVERY_OFFICER, Recovery, RegisterArgs, RevocationReason,
    RevokeCredentialArgs, RevokeRoleArgs, RevokedCredential, Role, id_key, person_key,
};
use indus_client::{ClientError, Connection, Key, MAX_CERTIFICATE_AGE, SuiteCanister, records};
use indus_verify::signed_credential::{ProvedCredential, SignedCredential};
use indus_verify::{TimeBound, Verifier};
use serde_bytes::ByteBuf;
use sha2::{Digest, Sha256};
use tokio::time::{Instant, sleep};

use super::{Council, Stage, TourError, at, refused, unexpected};
use crate::console::Console;
use crate::when;

const ACT: &str = "serving as an official";
/// The founding organisation that the official serves, and its administrator's number.
const MINISTRY: u64 = 3;
/// Delay of recoveries here; it is set back to 72 hours.
const DELAY_NS: u64 = 3_000_000_000;
/// How long the roles last: a day.
const TERM_NS: u64 = 86_400_000_000_000;
/// Longest wait for the delay to be over, and time between two tries.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(500);

/// A key, and identity in its name.
pub(super) struct Device {
    pub(super) key: Key,
    identity: SuiteCanister,
}

impl Device {
    fn new(connection: &Connection) -> Result<Self, TourError> {
        let key = Key::generate();
        let identity = SuiteCanister::new(connection.signing_as(&key), "identity");
        Ok(Self {
            key,
            identity: identity.map_err(at(ACT))?,
        })
    }

    /// A person that this is the first device of.
    pub(super) async fn registered(
        connection: &Connection,
    ) -> Result<(Self, Principal), TourError> {
        let device = Self::new(connection)?;
        let args = RegisterArgs {
            kind: MethodKind::Ed25519,
            alias_commitment: None,
        };
        let person: Person = device.update("register_person", &args).await?;
        Ok((device, person.id))
    }

    pub(super) async fn update<T: candid::CandidType + serde::de::DeserializeOwned>(
        &self,
        method: &str,
        argument: &impl candid::CandidType,
    ) -> Result<T, TourError> {
        let answer = self.identity.update(method, argument).await;
        answer.map_err(at(ACT))
    }

    /// Whether this person is certified, as they may read themselves.
    pub(super) async fn is_known(&self, person: Principal) -> Result<bool, TourError> {
        let found = self.identity.record::<Person>(&person_key(person)).await;
        Ok(found.map_err(at(ACT))?.value.is_some())
    }

    /// A credential as the canister signs it, if it does.
    async fn signed(&self, credential: &Credential) -> Result<Option<String>, TourError> {
        let signed = self.identity.signed_credential(credential).await;
        signed.map_err(at(ACT))
    }

    /// Issues a credential in the name of the organisation.
    async fn issue(&self, holder: Principal, number: u8) -> Result<CredentialView, ClientError> {
        let args = IssueArgs {
            idempotency_key: ByteBuf::from(vec![number]),
            holder,
            achievement: Achievement {
                programme: "app-builder-induction".into(),
                name: "App Builder Induction".into(),
                description: "Has built and deployed a first application on the subnet.".into(),
                criteria: "Attendance of both days, and an application that answers.".into(),
            },
            valid_until_ns: None,
        };
        self.identity.update("issue_credential", &args).await
    }
}

/// Plays the official's life.
pub(crate) async fn officials(
    stage: &Stage<'_>,
    council: &Council,
    console: &mut Console,
) -> Result<(), TourError> {
    let connection = &stage.connection;
    let administrator = SuiteCanister::new(
        council
            .governor(usize::try_from(MINISTRY).unwrap_or_default())?
            .connection()
            .clone(),
        "identity",
    );
    let administrator = administrator.map_err(at(ACT))?;
    shortened(stage, council, Some(DELAY_NS)).await?;

    let (first, official) = Device::registered(connection).await?;
    let second = paired(connection, &first, official).await?;
    let office = appointed(
        &administrator,
        &first,
        MINISTRY,
        official,
        CREDENTIAL_ISSUER,
    )
    .await?;
    let mut officers = Vec::new();
    for _ in 0..2 {
        let (device, person) = Device::registered(connection).await?;
        appointed(&administrator, &device, MINISTRY, person, RECOVERY_OFFICER).await?;
        officers.push(device);
    }
    let [one, other] = &officers[..] else {
        return Err(unexpected(ACT, "there are two recovery officers"));
    };
    let (badge, holder) = Device::registered(connection).await?;
    let issued = second.issue(holder, 1).await.map_err(at(ACT))?;
    console.line(format_args!(
        "official:      enrolled with two devices, took office at organisation {MINISTRY}, issued credential {}",
        issued.credential.id
    ));
    let jws = badge.signed(&issued.credential).await?;
    let jws = jws.ok_or_else(|| unexpected(ACT, "the canister signs what it issued"))?;
    let proved = proved(stage, &jws)?;
    if Some(&proved.json) != issued.credential.json().as_ref() {
        return Err(unexpected(ACT, "what is signed is what was issued"));
    }
    let revocation = RevokeCredentialArgs {
        id: issued.credential.id,
        reason: RevocationReason::Mistake,
    };
    let _revoked: RevokedCredential = second.update("revoke_credential", &revocation).await?;
    if badge.signed(&issued.credential).await?.is_some() {
        return Err(unexpected(ACT, "what was taken back is signed no longer"));
    }
    console.line(format_args!(
        "signature:     credential {}, {} bytes, signed by the canister, verified offline against the root key; \
         taken back, and signed no longer",
        issued.credential.id,
        jws.len()
    ));

    let found = Device::new(connection)?;
    let recovery = recovered(one, other, &found, official).await?;
    for lost in [&first, &second] {
        let silent = lost.issue(holder, 2).await;
        refused(ACT, "a device that was lost", silent)?;
    }
    found.issue(holder, 3).await.map_err(at(ACT))?;
    console.line(format_args!(
        "recovery:      devices lost; two officials of the organisation gave a new one after the delay (recovery {recovery}, \
         certified at each step); the lost ones refused",
    ));

    let thief = Device::new(connection)?;
    let stolen: Recovery = one
        .update("open_recovery", &opening(official, &thief))
        .await?;
    let vetoed: Recovery = found.update("veto_recovery", &stolen.id).await?;
    let late = approval(other, vetoed.id).await?;
    let late = other
        .identity
        .update::<Recovery>("approve_recovery", &late)
        .await;
    let refusal = refused(ACT, "a recovery that was vetoed", late)?;
    console.line(format_args!(
        "veto:          recovery {} vetoed by the person; approving it refused: {refusal}",
        stolen.id
    ));

    let args = RevokeRoleArgs {
        id: office.id,
        reason: RevocationReason::Ended,
    };
    let left: Result<Role, _> = administrator.update("revoke_role", &args).await;
    left.map_err(at(ACT))?;
    let refusal = refused(ACT, "who left office", found.issue(holder, 4).await)?;
    console.line(format_args!(
        "leaving:       out of office; issuing refused at once: {refusal}"
    ));
    shortened(stage, council, None).await
}

/// What a signed credential proves to somebody who has nothing but it and the root key.
fn proved(stage: &Stage<'_>, jws: &str) -> Result<ProvedCredential, TourError> {
    let root_key = stage.connection.trust().root_key.clone();
    let bound = TimeBound::within(MAX_CERTIFICATE_AGE);
    SignedCredential::from_jws(jws.as_bytes())
        .and_then(|signed| {
            let identity = stage.canisters.identity;
            signed.verify(&Verifier::new(root_key), identity, when::now(), bound)
        })
        .map_err(|error| unexpected(ACT, error.to_string()))
}

/// Decides how long recoveries wait, and has identity apply it.
async fn shortened(
    stage: &Stage<'_>,
    council: &Council,
    recovery_delay_ns: Option<u64>,
) -> Result<(), TourError> {
    let identity = stage.canisters.identity;
    let configuration = Configuration {
        suite_canisters: stage.canisters.that_ask_identity(),
        recovery_delay_ns,
    };
    let decision = council.configured(identity, &configuration).await?;
    let anybody = council.governor(1)?.connection().clone();
    let anybody = SuiteCanister::new(anybody, "identity").map_err(at(ACT))?;
    let applied = anybody.update("apply_decision", &decision.id).await;
    applied.map_err(at(ACT))
}

/// A second device of somebody: a code from the one to the other, and a look at what was offered.
pub(super) async fn paired(
    connection: &Connection,
    first: &Device,
    person: Principal,
) -> Result<Device, TourError> {
    let second = Device::new(connection)?;
    paired_key(connection, &first.identity, person, &second.key).await?;
    Ok(second)
}

/// One more key for a person, agreed to by who has one: identity in their name.
pub(super) async fn paired_key(
    connection: &Connection,
    first: &SuiteCanister,
    person: Principal,
    key: &Key,
) -> Result<(), TourError> {
    let pairing = first.update::<Pairing>("open_pairing", &()).await;
    let offer = OfferArgs {
        person,
        code: pairing.map_err(at(ACT))?.code,
        kind: MethodKind::Ed25519,
        alias_commitment: None,
    };
    let second = SuiteCanister::new(connection.signing_as(key), "identity").map_err(at(ACT))?;
    let offered = second.update::<()>("offer_method", &offer).await;
    offered.map_err(at(ACT))?;
    let method = key.principal();
    let confirmed = first.update::<Method>("confirm_method", &method).await;
    confirmed.map(drop).map_err(at(ACT))
}

/// A role, offered and accepted.
pub(super) async fn appointed(
    administrator: &SuiteCanister,
    device: &Device,
    organisation: u64,
    person: Principal,
    role: &str,
) -> Result<Role, TourError> {
    let valid_from_ns = when::now().as_nanos();
    let args = GrantArgs {
        person,
        organisation,
        role: role.into(),
        valid_from_ns,
        valid_until_ns: valid_from_ns.saturating_add(TERM_NS),
    };
    let granted: Result<Role, _> = administrator.update("grant_role", &args).await;
    let granted = granted.map_err(at(ACT))?;
    device.update("accept_role", &granted.id).await
}

fn opening(person: Principal, device: &Device) -> OpenRecoveryArgs {
    OpenRecoveryArgs {
        person,
        new_method: NewMethod {
            principal: device.key.principal(),
            kind: MethodKind::Ed25519,
            alias_commitment: None,
        },
        remove_others: true,
    }
}

/// What an official agrees to: the recovery as it is certified.
async fn approval(officer: &Device, id: u64) -> Result<ApproveRecoveryArgs, TourError> {
    let (bytes, _) = certified(officer, id).await?;
    Ok(ApproveRecoveryArgs {
        id,
        recovery_hash: ByteBuf::from(Sha256::digest(bytes).to_vec()),
    })
}

async fn certified(officer: &Device, id: u64) -> Result<(Vec<u8>, Recovery), TourError> {
    let key = id_key(id);
    let leaf = officer.identity.leaf(RECOVERIES, &key).await;
    let bytes = leaf.map_err(at(ACT))?.value;
    let bytes = bytes.ok_or_else(|| unexpected(ACT, format!("recovery {id} is proved absent")))?;
    let recovery = records::read(&bytes, &key).map_err(at(ACT))?;
    Ok((bytes, recovery))
}

/// Has two officials give somebody a new device, and take all others. Returns the recovery's id.
async fn recovered(
    one: &Device,
    other: &Device,
    found: &Device,
    person: Principal,
) -> Result<u64, TourError> {
    let opened: Recovery = one.update("open_recovery", &opening(person, found)).await?;
    let id = opened.id;
    let agreed = approval(other, id).await?;
    let approved: Recovery = other.update("approve_recovery", &agreed).await?;
    let early = other
        .identity
        .update::<Recovery>("finish_recovery", &id)
        .await;
    let give_up = Instant::now() + PATIENCE;
    let mut finished = early;
    while let Err(error) = finished {
        // Before the delay is over it is refused; nothing else is.
        if error.refusal().is_none() || Instant::now() > give_up {
            return Err(at(ACT)(error));
        }
        sleep(PAUSE).await;
        finished = other.identity.update("finish_recovery", &id).await;
    }
    let (_, certified) = certified(one, id).await?;
    let delayed = approved.approval.map(|one| one.ready_at_ns);
    let ended = certified.end.map(|end| match end {
        indus_api::identity::RecoveryEnd::Finished { at_ns } => at_ns,
        indus_api::identity::RecoveryEnd::Vetoed { .. } => 0,
    });
    if delayed.is_none() || ended < delayed {
        let what = format!(
            "recovery {id} is certified as {:?} {ended:?}",
            certified.end
        );
        return Err(unexpected(ACT, what));
    }
    Ok(id)
}
