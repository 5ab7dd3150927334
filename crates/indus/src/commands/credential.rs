//! `indus credential`: what somebody achieved, said by an organisation.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use candid::Principal;
use clap::{Args, Subcommand};
use indus_api::identity::{
    Achievement, Credential, CredentialView, IssueArgs, RevokeCredentialArgs, RevokedCredential,
    id_key,
};
use indus_api::paging::{MAX_PAGE, Page, PageArgs};
use indus_client::SuiteCanister;
use indus_verify::presentation::Shown;
use serde_bytes::ByteBuf;

use crate::commands::network::Network;
use crate::commands::person::IDENTITY;
use crate::commands::present;
use crate::commands::role::Reason;
use crate::commands::sheet::{self, Fields};
use crate::commands::signing::{Consent, Signing};
use crate::console::Console;
use crate::failure::Failure;
use crate::when;

/// Credentials: issue one, take one back, list and show one's own, show one to a verifier, have one as a signed file.
#[derive(Args)]
pub(crate) struct Command {
    #[command(flatten)]
    network: Network,
    #[command(flatten)]
    consent: Consent,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Issues a credential in the name of one's organisation: credential issuers.
    Issue(Box<Issue>),
    /// Lists one's own, as one node says.
    List,
    /// Shows one of one's own, certified, and whether it is revoked.
    Show {
        #[command(flatten)]
        which: Which,
        /// Write its JSON (Open Badges 3.0) into this file, in place of what is there.
        #[arg(long, value_name = "FILE")]
        json_out: Option<PathBuf>,
    },
    /// Writes one of one's own as a file that the canister signed (a JWS), for verifiers who know nothing of this network but
    /// its root key. It does not show whose it is: that takes `present`.
    Sign {
        #[command(flatten)]
        which: Which,
        /// The file, in place of what is there.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Takes a credential back: credential issuers of the organisation that issued it.
    Revoke {
        #[command(flatten)]
        which: Which,
        #[arg(long, value_enum)]
        reason: Reason,
    },
    /// Writes a file that shows a verifier that a credential is valid and one's own, for `indus verify`.
    Present {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        options: present::Options,
    },
}

#[derive(Args)]
struct Which {
    #[arg(value_name = "ID")]
    id: u64,
}

#[derive(Args)]
struct Issue {
    /// The person's id.
    #[arg(long, value_name = "ID")]
    holder: Principal,
    /// Short name of the programme: lower-case letters, digits and single hyphens.
    #[arg(long, value_name = "SLUG")]
    programme: String,
    /// Name of the achievement.
    #[arg(long)]
    name: String,
    /// What it is.
    #[arg(long)]
    description: String,
    /// What it takes.
    #[arg(long)]
    criteria: String,
    /// How long it says something, such as 365d [default: for ever].
    #[arg(long, value_name = "DURATION", value_parser = when::duration)]
    valid_for: Option<Duration>,
    /// A word of yours: the same one gives the same credential again [default: a new one each time].
    #[arg(long, value_name = "TEXT")]
    idempotency_key: Option<String>,
}

/// Does it.
pub(crate) async fn credential(command: Command, console: &mut Console) -> Result<(), Failure> {
    let Command {
        network,
        consent,
        verb,
    } = command;
    let signing = || Signing::new(&network, &consent, IDENTITY);
    match verb {
        Verb::Issue(issue) => {
            let args = issue.args(when::now().as_nanos())?;
            let about = issue_words(&args);
            let sentence = "Issue a credential in your organisation's name, for anybody to verify";
            let issued: CredentialView = signing()?
                .call("issue_credential", &args, sentence, about, console)
                .await?;
            let CredentialView {
                credential,
                revoked,
                ..
            } = issued;
            sheet::show(fields(&credential, revoked.as_ref()), network.json, console);
        }
        Verb::List => list(&network, console).await?,
        Verb::Show {
            which: Which { id },
            json_out,
        } => show(&network, id, json_out, console).await?,
        Verb::Sign {
            which: Which { id },
            out,
        } => sign(&network, signing, id, &out, console).await?,
        Verb::Revoke {
            which: Which { id },
            reason,
        } => {
            let args = RevokeCredentialArgs {
                id,
                reason: reason.into(),
            };
            let about = vec![
                ("credential", id.into()),
                ("reason", format!("{:?}", args.reason).into()),
            ];
            let sentence = "Take a credential back: no verifier accepts it any more";
            let revoked: RevokedCredential = signing()?
                .call("revoke_credential", &args, sentence, about, console)
                .await?;
            let mut shown = vec![
                ("credential", revoked.id.into()),
                ("organisation", revoked.organisation.into()),
            ];
            shown.extend(revocation(&revoked));
            sheet::show(shown, network.json, console);
        }
        Verb::Present {
            which: Which { id },
            options,
        } => {
            let shown = Shown::Credential { id };
            present::present(&network, &consent, shown, options, console).await?;
        }
    }
    Ok(())
}

async fn list(network: &Network, console: &mut Console) -> Result<(), Failure> {
    let identity = network.signing_to(IDENTITY)?;
    let mut things = Vec::new();
    let mut after = None;
    loop {
        let args = PageArgs {
            after,
            limit: MAX_PAGE,
        };
        let page: Page<u64, CredentialView> = identity
            .query_as_subject_unverified("list_credentials", &args)
            .await
            .map_err(Failure::failed)?;
        let one = |view: &CredentialView| fields(&view.credential, view.revoked.as_ref());
        things.extend(page.items.iter().map(one));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let columns = ["id", "achievement", "organisation", "issued_at", "state"];
    sheet::list(&columns, things, None, network.json, console);
    Ok(())
}

async fn show(
    network: &Network,
    id: u64,
    json_out: Option<PathBuf>,
    console: &mut Console,
) -> Result<(), Failure> {
    let identity = network.signing_to(IDENTITY)?;
    let key = id_key(id);
    let credential = certified(&identity, id).await?;
    let json = credential.json().filter(|json| credential.check(json));
    let json = json.ok_or_else(|| {
        Failure::Failed(format!(
            "the JSON of credential {id} is not the one that was issued"
        ))
    })?;
    let revoked = identity.record::<RevokedCredential>(&key).await;
    let revoked = revoked.map_err(Failure::failed)?;
    let mut shown = fields(&credential, revoked.value.as_ref());
    shown.push(("certified_at", when::utc(revoked.certified_at).into()));
    if let Some(path) = json_out {
        fs::write(&path, json).map_err(|error| Failure::file(&path, error))?;
        shown.push(("written", path.display().to_string().into()));
    }
    sheet::show(shown, network.json, console);
    Ok(())
}

async fn certified(identity: &SuiteCanister, id: u64) -> Result<Credential, Failure> {
    let found = identity.record::<Credential>(&id_key(id)).await;
    let found = found.map_err(Failure::failed)?.value;
    found.ok_or_else(|| Failure::Failed(format!("no credential {id}")))
}

async fn sign(
    network: &Network,
    signing: impl FnOnce() -> Result<Signing, Failure>,
    id: u64,
    out: &Path,
    console: &mut Console,
) -> Result<(), Failure> {
    let identity = network.signing_to(IDENTITY)?;
    let credential = certified(&identity, id).await?;
    let mut signed = identity.signed_credential(&credential).await;
    if let Ok(None) = signed {
        // It was issued before the canister signed credentials, or is revoked: then this is refused.
        let sentence = "Have a credential of yours signed, for anybody to verify";
        let about = vec![("credential", id.into())];
        let _: CredentialView = signing()?
            .call("sign_credential", &id, sentence, about, console)
            .await?;
        signed = identity.signed_credential(&credential).await;
    }
    let jws = signed
        .map_err(Failure::failed)?
        .ok_or_else(|| Failure::Failed(format!("credential {id} is not signed")))?;
    fs::write(out, jws).map_err(|error| Failure::file(out, error))?;
    let shown = vec![
        ("credential", id.into()),
        ("written", out.display().to_string().into()),
    ];
    sheet::show(shown, network.json, console);
    Ok(())
}

impl Issue {
    fn args(self, now_ns: u64) -> Result<IssueArgs, Failure> {
        let until = |duration| when::later(now_ns, duration);
        Ok(IssueArgs {
            idempotency_key: match self.idempotency_key {
                Some(key) => ByteBuf::from(key),
                None => ByteBuf::from(rand::random::<[u8; 32]>()),
            },
            holder: self.holder,
            achievement: Achievement {
                programme: self.programme,
                name: self.name,
                description: self.description,
                criteria: self.criteria,
            },
            valid_until_ns: self.valid_for.map(until).transpose()?,
        })
    }
}

fn issue_words(args: &IssueArgs) -> Fields {
    let Achievement {
        programme,
        name,
        description,
        criteria,
    } = &args.achievement;
    vec![
        ("holder", args.holder.to_text().into()),
        ("achievement", name.clone().into()),
        ("programme", programme.clone().into()),
        ("description", description.clone().into()),
        ("criteria", criteria.clone().into()),
        ("valid_until", args.valid_until_ns.map(sheet::time).into()),
    ]
}

fn fields(credential: &Credential, revoked: Option<&RevokedCredential>) -> Fields {
    let achievement = &credential.achievement;
    let state = match revoked {
        Some(_) => "revoked",
        None if credential.is_valid(when::now().as_nanos()) => "valid",
        None => "over",
    };
    let mut fields: Fields = vec![
        ("id", credential.id.into()),
        ("state", state.into()),
        ("achievement", achievement.name.clone().into()),
        ("programme", achievement.programme.clone().into()),
        ("organisation", credential.organisation.into()),
        ("holder", credential.holder.to_text().into()),
        ("issued_at", sheet::time(credential.issued_at_ns)),
        (
            "valid_until",
            credential.valid_until_ns.map(sheet::time).into(),
        ),
        ("json_sha256", sheet::bytes(&credential.json_hash)),
    ];
    fields.extend(revoked.into_iter().flat_map(revocation));
    fields
}

fn revocation(revoked: &RevokedCredential) -> Fields {
    vec![
        ("revoked_at", sheet::time(revoked.revocation.at_ns)),
        ("revoked_by", revoked.revocation.by.to_text().into()),
        (
            "revoked_for",
            format!("{:?}", revoked.revocation.reason).into(),
        ),
    ]
}
