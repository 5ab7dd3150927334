//! Recoveries. An official agrees to exactly what was read, certified: the approval binds its hash.

use candid::Principal;
use clap::{Subcommand, ValueEnum};
use indus_api::identity::{
    ApproveRecoveryArgs, MethodKind, NewMethod, OpenRecoveryArgs, RECOVERIES, Recovery,
    RecoveryEnd, id_key,
};
use indus_client::{Certified, SuiteCanister, records};
use serde_bytes::ByteBuf;
use sha2::{Digest, Sha256};

use super::IDENTITY;
use crate::commands::network::Network;
use crate::commands::sheet::{self, Fields};
use crate::commands::signing::{Consent, Signing};
use crate::console::Console;
use crate::failure::Failure;
use crate::when;

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Opens the recovery of a person of one's organisation: recovery officers.
    Open {
        /// The person's id.
        #[arg(long, value_name = "ID")]
        person: Principal,
        /// The principal of the key that they have now.
        #[arg(long, value_name = "PRINCIPAL")]
        new_key: Principal,
        /// What holds that key.
        #[arg(long, value_enum, default_value_t = Kind::Ed25519)]
        kind: Kind,
        /// Remove their other methods.
        #[arg(long)]
        remove_others: bool,
    },
    /// Shows one, certified: its person and recovery officers.
    Show(Which),
    /// Shows one, asks, and agrees to exactly what was shown: a second recovery officer.
    Approve(Which),
    /// Refuses one: its person, by any of their methods.
    Veto(Which),
    /// Gives the person the new key, after the delay: the officials, or the new key itself.
    Finish(Which),
}

#[derive(clap::Args)]
pub(crate) struct Which {
    #[arg(value_name = "ID")]
    id: u64,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Kind {
    Passkey,
    Ed25519,
    Secp256k1,
    P256,
    Other,
}

impl From<Kind> for MethodKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Passkey => Self::Passkey,
            Kind::Ed25519 => Self::Ed25519,
            Kind::Secp256k1 => Self::Secp256k1,
            Kind::P256 => Self::P256,
            Kind::Other => Self::Other,
        }
    }
}

/// Does it.
pub(super) async fn recovery(
    verb: Verb,
    network: &Network,
    consent: &Consent,
    console: &mut Console,
) -> Result<(), Failure> {
    let signing = || Signing::new(network, consent, IDENTITY);
    let recovery: Recovery = match verb {
        Verb::Open {
            person,
            new_key,
            kind,
            remove_others,
        } => {
            let args = OpenRecoveryArgs {
                person,
                new_method: NewMethod {
                    principal: new_key,
                    kind: kind.into(),
                    alias_commitment: None,
                },
                remove_others,
            };
            let about = vec![
                ("person", person.to_text().into()),
                ("new_key", new_key.to_text().into()),
                ("remove_other_keys", remove_others.into()),
            ];
            let sentence = "Open the recovery of a person: a second official has to agree";
            signing()?
                .call("open_recovery", &args, sentence, about, console)
                .await?
        }
        Verb::Show(Which { id }) => {
            let (found, hash) = certified(&network.signing_to(IDENTITY)?, id).await?;
            sheet::show(certified_fields(&found, hash), network.json, console);
            return Ok(());
        }
        Verb::Approve(Which { id }) => {
            let signing = signing()?;
            let (found, hash) = certified(&signing.canister, id).await?;
            let args = ApproveRecoveryArgs {
                id,
                recovery_hash: ByteBuf::from(hash),
            };
            let sentence = "Agree to a recovery: after the delay the new key speaks for the person";
            let about = certified_fields(&found, hash);
            signing
                .call("approve_recovery", &args, sentence, about, console)
                .await?
        }
        Verb::Veto(Which { id }) => {
            let signing = signing()?;
            let (found, hash) = certified(&signing.canister, id).await?;
            let about = certified_fields(&found, hash);
            let sentence = "Refuse a recovery of yourself: the new key will not speak for you";
            signing
                .call("veto_recovery", &id, sentence, about, console)
                .await?
        }
        Verb::Finish(Which { id }) => {
            let about = vec![("recovery", id.into())];
            let sentence = "Finish a recovery: the new key speaks for the person from now on";
            signing()?
                .call("finish_recovery", &id, sentence, about, console)
                .await?
        }
    };
    sheet::show(fields(&recovery), network.json, console);
    Ok(())
}

/// A recovery, and SHA-256 of its certified bytes.
async fn certified(
    identity: &SuiteCanister,
    id: u64,
) -> Result<(Certified<Recovery>, [u8; 32]), Failure> {
    let key = id_key(id);
    let found = identity.leaf(RECOVERIES, &key).await;
    let found = found.map_err(Failure::failed)?;
    let Some(bytes) = found.value else {
        return Err(Failure::Failed(format!("no recovery {id}")));
    };
    let recovery = Certified {
        value: records::read(&bytes, &key).map_err(Failure::failed)?,
        certified_at: found.certified_at,
    };
    Ok((recovery, Sha256::digest(&bytes).into()))
}

fn certified_fields(found: &Certified<Recovery>, hash: [u8; 32]) -> Fields {
    let mut fields = fields(&found.value);
    fields.push(("recovery_hash", sheet::bytes(&hash)));
    fields.push(("certified_at", when::utc(found.certified_at).into()));
    fields
}

pub(super) fn fields(recovery: &Recovery) -> Fields {
    let approval = recovery.approval.as_ref();
    let new = &recovery.new_method;
    vec![
        ("recovery", recovery.id.into()),
        ("state", state(recovery).into()),
        ("person", recovery.person.to_text().into()),
        ("organisation", recovery.organisation.into()),
        ("new_key", new.principal.to_text().into()),
        ("kind", format!("{:?}", new.kind).into()),
        ("remove_other_keys", recovery.remove_others.into()),
        ("opened_by", recovery.opened_by.to_text().into()),
        ("opened_at", sheet::time(recovery.opened_at_ns)),
        (
            "approved_by",
            approval.map(|approval| approval.by.to_text()).into(),
        ),
        (
            "ready_at",
            approval
                .map(|approval| sheet::time(approval.ready_at_ns))
                .into(),
        ),
        ("ends_at", sheet::time(recovery.ends_at_ns)),
    ]
}

fn state(recovery: &Recovery) -> &'static str {
    match (&recovery.end, &recovery.approval) {
        (Some(RecoveryEnd::Vetoed { .. }), _) => "vetoed",
        (Some(RecoveryEnd::Finished { .. }), _) => "finished",
        (None, _) if !recovery.is_open(when::now().as_nanos()) => "over",
        (None, Some(_)) => "approved",
        (None, None) => "opened",
    }
}
