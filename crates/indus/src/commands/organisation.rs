//! `indus org`: organisations.

use clap::{Args, Subcommand, ValueEnum};
use indus_api::registry::{
    Organisation, OrganisationKey, OrganisationKind, OrganisationProfile, Step,
};
use serde_json::Value;

use crate::commands::network::Network;
use crate::commands::sheet::{self, Fields};
use crate::console::Console;
use crate::failure::Failure;
use crate::when;

/// Organisations: apply for one, list them, show one.
#[derive(Args)]
pub(crate) struct Command {
    #[command(flatten)]
    network: Network,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Applies for an organisation in the name of the key's holder, which opens the proposal to admit it.
    Apply(Profile),
    /// Lists all organisations, in any state, certified.
    List,
    /// Shows one, certified.
    Show {
        /// Its id, or the short name of an active one.
        #[arg(value_name = "ID_OR_SLUG")]
        organisation: String,
    },
}

#[derive(Args)]
struct Profile {
    /// Short name: lower-case letters, digits and single hyphens.
    #[arg(long)]
    slug: String,
    /// Full name.
    #[arg(long)]
    name: String,
    #[arg(long, value_enum)]
    kind: Kind,
    /// Id of the organisation above it.
    #[arg(long, value_name = "ID")]
    parent: Option<u64>,
    /// Field of work, written like a short name.
    #[arg(long)]
    sector: String,
    /// City of the head office.
    #[arg(long)]
    seat: String,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    Agency,
    Enterprise,
    Startup,
    University,
    Auditor,
}

impl From<Kind> for OrganisationKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Agency => Self::Agency,
            Kind::Enterprise => Self::Enterprise,
            Kind::Startup => Self::Startup,
            Kind::University => Self::University,
            Kind::Auditor => Self::Auditor,
        }
    }
}

/// Does it.
pub(crate) async fn organisation(command: Command, console: &mut Console) -> Result<(), Failure> {
    let Command { network, verb } = command;
    match verb {
        Verb::Apply(profile) => {
            let profile = OrganisationProfile {
                slug: profile.slug,
                name: profile.name,
                kind: profile.kind.into(),
                parent: profile.parent,
                sector: profile.sector,
                seat: profile.seat,
            };
            let registry = network.signing()?;
            let applied = registry.apply_for_organisation(&profile).await;
            let applied = applied.map_err(Failure::failed)?;
            sheet::show(fields(&applied), network.json, console);
            Ok(())
        }
        Verb::List => {
            let registry = network.registry()?;
            let mut things = Vec::new();
            let (mut after, mut first) = (None, None);
            loop {
                let limit = indus_api::certified::MAX_LIST;
                let page = registry.organisation_page(after, limit).await;
                let page = page.map_err(Failure::failed)?;
                first.get_or_insert(page.certified_at);
                things.extend(
                    page.organisations
                        .iter()
                        .map(|one| fields(&one.organisation)),
                );
                let last = page.organisations.last().map(|one| one.organisation.id);
                if page.end || last.is_none() {
                    break;
                }
                after = last;
            }
            let columns = ["id", "slug", "status", "kind", "name"];
            sheet::list(&columns, things, first, network.json, console);
            Ok(())
        }
        Verb::Show { organisation } => {
            let registry = network.registry()?;
            let id = match organisation.parse() {
                Ok(id) => id,
                Err(_) => {
                    // The id is a hint of one node; what is shown is certified, its short name too.
                    let key = OrganisationKey::Slug(organisation.clone());
                    let hint = registry.organisation_unverified(&key).await;
                    hint.map_err(Failure::failed)?.id
                }
            };
            let found = registry.organisation(id).await.map_err(Failure::failed)?;
            let found = found.filter(|found| {
                organisation.parse() == Ok(id) || found.organisation.profile.slug == organisation
            });
            let Some(found) = found else {
                return Err(Failure::Failed(format!("no organisation {organisation}")));
            };
            let mut shown = fields(&found.organisation);
            shown.push(("certified_at", when::utc(found.certified_at).into()));
            sheet::show(shown, network.json, console);
            Ok(())
        }
    }
}

fn fields(organisation: &Organisation) -> Fields {
    let profile = &organisation.profile;
    vec![
        ("id", organisation.id.into()),
        ("slug", profile.slug.clone().into()),
        ("name", profile.name.clone().into()),
        ("kind", format!("{:?}", profile.kind).into()),
        ("status", format!("{:?}", organisation.status).into()),
        ("parent", profile.parent.into()),
        ("sector", profile.sector.clone().into()),
        ("seat", profile.seat.clone().into()),
        ("applicant", organisation.applicant.to_text().into()),
        (
            "administrators",
            sheet::principals(&organisation.administrators),
        ),
        ("decided_by_proposal", organisation.application.into()),
        ("due_at", sheet::time(organisation.due_at_ns)),
        ("steps", organisation.steps.iter().map(step).collect()),
    ]
}

fn step(step: &Step) -> Value {
    sheet::document(vec![
        ("status", format!("{:?}", step.status).into()),
        ("at", sheet::time(step.at_ns)),
        ("by", step.by.to_text().into()),
        ("proposal", step.proposal.into()),
        ("reason", step.reason.clone().into()),
    ])
}

#[cfg(test)]
mod tests {
    use candid::Principal;
    use indus_api::registry::OrganisationStatus;

    use super::*;

    #[test]
    fn an_organisation_has_all_of_its_fields_for_programs() {
        let organisation = Organisation {
            id: 7,
            profile: OrganisationProfile {
                slug: "pta".into(),
                name: "Telecommunication Authority".into(),
                kind: OrganisationKind::Agency,
                parent: Some(2),
                sector: "telecom".into(),
                seat: "Islamabad".into(),
            },
            applicant: Principal::anonymous(),
            administrators: vec![Principal::anonymous()],
            status: OrganisationStatus::InReview,
            due_at_ns: 0,
            application: Some(3),
            steps: Vec::new(),
        };
        assert_eq!(
            sheet::document(fields(&organisation)),
            serde_json::json!({
                "id": 7, "slug": "pta", "name": "Telecommunication Authority", "kind": "Agency",
                "status": "InReview", "parent": 2, "sector": "telecom", "seat": "Islamabad",
                "applicant": "2vxsx-fae", "administrators": ["2vxsx-fae"], "decided_by_proposal": 3,
                "due_at": "1970-01-01T00:00:00Z", "steps": [],
            })
        );
    }
}
