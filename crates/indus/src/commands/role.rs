//! `indus role`: what persons may do for organisations.

use std::time::Duration;

use candid::Principal;
use clap::{Args, Subcommand, ValueEnum};
use indus_api::identity::{GrantArgs, RevocationReason, RevokeRoleArgs, Role, id_key};

use crate::commands::network::Network;
use crate::commands::person::IDENTITY;
use crate::commands::sheet::{self, Fields};
use crate::commands::signing::{Consent, Signing};
use crate::console::Console;
use crate::failure::Failure;
use crate::when;

/// Roles: offer one, accept one, take one back, list them, show one.
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
    /// Offers a person a role: administrators of the organisation.
    Grant(Grant),
    /// Accepts a role that one was offered. It counts from then on.
    Accept(Which),
    /// Takes a role back, or gives it up: administrators of the organisation, or the role's person.
    Revoke {
        #[command(flatten)]
        which: Which,
        #[arg(long, value_enum)]
        reason: Reason,
    },
    /// Lists roles in any state, certified, none left out.
    List {
        /// Only those of this organisation.
        #[arg(long, value_name = "ID")]
        organisation: Option<u64>,
        /// Only those of this person.
        #[arg(long, value_name = "ID")]
        person: Option<Principal>,
    },
    /// Shows one, certified.
    Show(Which),
}

#[derive(Args)]
struct Which {
    #[arg(value_name = "ID")]
    id: u64,
}

#[derive(Args)]
struct Grant {
    /// The person's id.
    #[arg(long, value_name = "ID")]
    person: Principal,
    #[arg(long, value_name = "ID")]
    organisation: u64,
    /// The role, such as licence-officer, licence-reviewer, recovery-officer, credential-issuer.
    #[arg(long, value_name = "NAME")]
    role: String,
    /// How long it lasts, such as 365d; at most three years.
    #[arg(long, value_name = "DURATION", value_parser = when::duration)]
    valid_for: Duration,
    /// How long from now it begins, such as 24h [default: at once].
    #[arg(long, value_name = "DURATION", value_parser = when::duration, default_value = "0s", hide_default_value = true)]
    begins_in: Duration,
}

/// Why something is taken back: the words stay in a public log for ever, so there are no others.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Reason {
    /// The task or the employment has ended.
    Ended,
    /// Something else takes its place.
    Replaced,
    /// It should not have been given.
    Mistake,
    /// It was misused, or its holder's keys were lost.
    Misuse,
}

impl From<Reason> for RevocationReason {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::Ended => Self::Ended,
            Reason::Replaced => Self::Replaced,
            Reason::Mistake => Self::Mistake,
            Reason::Misuse => Self::Misuse,
        }
    }
}

/// Does it.
pub(crate) async fn role(command: Command, console: &mut Console) -> Result<(), Failure> {
    let Command {
        network,
        consent,
        verb,
    } = command;
    let signing = || Signing::new(&network, &consent, IDENTITY);
    let role: Role = match verb {
        Verb::Grant(grant) => {
            let args = grant.args(when::now().as_nanos())?;
            let about = vec![
                ("role", args.role.clone().into()),
                ("person", args.person.to_text().into()),
                ("organisation", args.organisation.into()),
                ("from", sheet::time(args.valid_from_ns)),
                ("until", sheet::time(args.valid_until_ns)),
            ];
            let sentence = "Offer a person a role in an organisation";
            signing()?
                .call("grant_role", &args, sentence, about, console)
                .await?
        }
        Verb::Accept(Which { id }) => {
            let signing = signing()?;
            let offered: Option<Role> = certified(&network, id).await?.0;
            let about = offered.as_ref().map(fields).unwrap_or_default();
            let sentence = "Accept a role: you may act for the organisation with it";
            signing
                .call("accept_role", &id, sentence, about, console)
                .await?
        }
        Verb::Revoke {
            which: Which { id },
            reason,
        } => {
            let signing = signing()?;
            let args = RevokeRoleArgs {
                id,
                reason: reason.into(),
            };
            let held: Option<Role> = certified(&network, id).await?.0;
            let mut about = held.as_ref().map(fields).unwrap_or_default();
            about.push(("reason", format!("{:?}", args.reason).into()));
            let sentence = "Take a role back, or give it up: it never counts again";
            signing
                .call("revoke_role", &args, sentence, about, console)
                .await?
        }
        Verb::List {
            organisation,
            person,
        } => {
            let found = network.canister(IDENTITY)?.records::<Role>().await;
            let found = found.map_err(Failure::failed)?;
            let asked = |role: &&Role| {
                organisation.is_none_or(|id| id == role.organisation)
                    && person.is_none_or(|id| id == role.person)
            };
            let things = found.value.iter().filter(asked).map(fields).collect();
            let columns = ["id", "role", "organisation", "state", "until", "person"];
            let at = Some(found.certified_at);
            sheet::list(&columns, things, at, network.json, console);
            return Ok(());
        }
        Verb::Show(Which { id }) => {
            let (role, certified_at) = certified(&network, id).await?;
            let role = role.ok_or_else(|| Failure::Failed(format!("no role {id}")))?;
            let mut shown = fields(&role);
            shown.push(("certified_at", when::utc(certified_at).into()));
            sheet::show(shown, network.json, console);
            return Ok(());
        }
    };
    sheet::show(fields(&role), network.json, console);
    Ok(())
}

impl Grant {
    fn args(self, now_ns: u64) -> Result<GrantArgs, Failure> {
        let valid_from_ns = when::later(now_ns, self.begins_in)?;
        Ok(GrantArgs {
            person: self.person,
            organisation: self.organisation,
            role: self.role,
            valid_from_ns,
            valid_until_ns: when::later(valid_from_ns, self.valid_for)?,
        })
    }
}

async fn certified(
    network: &Network,
    id: u64,
) -> Result<(Option<Role>, indus_verify::Time), Failure> {
    let found = network.canister(IDENTITY)?.record(&id_key(id)).await;
    let found = found.map_err(Failure::failed)?;
    Ok((found.value, found.certified_at))
}

fn fields(role: &Role) -> Fields {
    let revoked = role.revocation.as_ref();
    vec![
        ("id", role.id.into()),
        ("role", role.role.clone().into()),
        ("organisation", role.organisation.into()),
        ("person", role.person.to_text().into()),
        ("state", state(role, when::now().as_nanos()).into()),
        ("from", sheet::time(role.valid_from_ns)),
        ("until", sheet::time(role.valid_until_ns)),
        ("granted_by", role.granted_by.to_text().into()),
        ("granted_at", sheet::time(role.granted_at_ns)),
        ("accepted_at", role.accepted_at_ns.map(sheet::time).into()),
        (
            "revoked_by",
            revoked.map(|revoked| revoked.by.to_text()).into(),
        ),
        (
            "revoked_for",
            revoked
                .map(|revoked| format!("{:?}", revoked.reason))
                .into(),
        ),
    ]
}

/// Whether it counts, if the organisation is active.
fn state(role: &Role, now_ns: u64) -> &'static str {
    match role {
        Role {
            revocation: Some(_),
            ..
        } => "revoked",
        _ if role.has_ended(now_ns) => "over",
        Role {
            accepted_at_ns: None,
            ..
        } => "offered",
        _ if role.is_held(now_ns) => "held",
        _ => "to begin",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_held_from_its_acceptance_on_within_its_time_until_it_is_revoked() {
        let offered = Role {
            id: 1,
            person: Principal::anonymous(),
            organisation: 1,
            role: "licence-officer".into(),
            valid_from_ns: 10,
            valid_until_ns: 20,
            granted_by: Principal::anonymous(),
            granted_at_ns: 5,
            accepted_at_ns: None,
            revocation: None,
        };
        assert_eq!(state(&offered, 15), "offered");
        let accepted = Role {
            accepted_at_ns: Some(6),
            ..offered
        };
        let states = [9, 10, 19, 20].map(|now_ns| state(&accepted, now_ns));
        assert_eq!(states, ["to begin", "held", "held", "over"]);
        let revoked = Role {
            revocation: Some(indus_api::identity::Revocation {
                by: Principal::anonymous(),
                at_ns: 12,
                reason: RevocationReason::Ended,
            }),
            ..accepted
        };
        assert_eq!(state(&revoked, 15), "revoked");
    }
}
