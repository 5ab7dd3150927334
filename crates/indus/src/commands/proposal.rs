//! `indus proposal`: what is decided, and who agreed to it.
//!
//! Invariants
//! - A vote signs the hash of the payload that was read certified and shown, and of nothing else.
//! - Nothing is approved without a yes ([`signing`]).

mod action;
mod words;

use std::time::Duration;

use clap::{Args, Subcommand};
use indus_api::registry::{Proposal, ProposalState, ProposeArgs};
use indus_client::{CertifiedProposal, RegistryClient};
use serde_json::Value;

use crate::commands::network::Network;
use crate::commands::sheet::{self, Fields};
use crate::commands::signing;
use crate::console::Console;
use crate::failure::Failure;
use crate::when;

/// Proposals: open one, read what it would do, approve it, refuse it, take it back, carry it out.
#[derive(Args)]
pub(crate) struct Command {
    #[command(flatten)]
    network: Network,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Opens a proposal.
    Propose(Box<Propose>),
    /// Lists all proposals, in any state, certified.
    List,
    /// Shows one, certified: what it would do, and the hash that approvals bind.
    Show(Which),
    /// Shows a proposal, asks, and approves exactly what was shown.
    Approve {
        #[command(flatten)]
        which: Which,
        /// Approve without asking.
        #[arg(long)]
        yes: bool,
    },
    /// Refuses a proposal as it is certified now.
    Reject {
        #[command(flatten)]
        which: Which,
        #[arg(long)]
        reason: String,
    },
    /// Takes a proposal of one's own back.
    Cancel {
        #[command(flatten)]
        which: Which,
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Carries out an approved proposal whose time has come.
    Execute(Which),
}

#[derive(Args)]
struct Which {
    #[arg(value_name = "ID")]
    id: u64,
}

#[derive(Args)]
struct Propose {
    /// How long it is open, such as 7d [default: 30d].
    #[arg(long, value_name = "DURATION", value_parser = when::duration)]
    open_for: Option<Duration>,
    /// How long from now it is not to be carried out, such as 48h.
    #[arg(long, value_name = "DURATION", value_parser = when::duration)]
    not_before: Option<Duration>,
    #[command(subcommand)]
    action: action::Options,
}

/// Does it.
pub(crate) async fn proposal(command: Command, console: &mut Console) -> Result<(), Failure> {
    let Command { network, verb } = command;
    let json = network.json;
    let voted = match verb {
        Verb::Propose(options) => {
            let registry = network.signing()?;
            let args = propose_args(*options, when::now().as_nanos())?;
            registry.propose(&args).await
        }
        Verb::List => return list(&network, console).await,
        Verb::Show(Which { id }) => {
            let found = certified(&network.registry()?, id).await?;
            sheet::show(certified_fields(&found), json, console);
            return Ok(());
        }
        Verb::Approve {
            which: Which { id },
            yes,
        } => {
            let registry = network.signing()?;
            let found = certified(&registry, id).await?;
            // Programs get one document, the outcome: who says yes for them has read `show`.
            if !(json && yes) {
                sheet::show(certified_fields(&found), false, console);
            }
            if !yes {
                let question = format!("Approve proposal {id}, exactly as above?");
                signing::confirm(&question, "approving", "not approved")?;
            }
            registry.approve(id, found.hash).await
        }
        Verb::Reject {
            which: Which { id },
            reason,
        } => {
            let registry = network.signing()?;
            let found = certified(&registry, id).await?;
            registry.reject(id, found.hash, &reason).await
        }
        Verb::Cancel {
            which: Which { id },
            reason,
        } => network.signing()?.cancel(id, &reason).await,
        Verb::Execute(Which { id }) => network.signing()?.execute(id).await,
    };
    let proposal = voted.map_err(Failure::failed)?;
    sheet::show(fields(&proposal), json, console);
    Ok(())
}

async fn list(network: &Network, console: &mut Console) -> Result<(), Failure> {
    let found = network.registry()?.proposals().await;
    let found = found.map_err(Failure::failed)?;
    let things = found.value.iter().map(fields).collect();
    let columns = ["id", "state", "approvals", "quorum", "expires_at", "would"];
    let at = Some(found.certified_at);
    sheet::list(&columns, things, at, network.json, console);
    Ok(())
}

async fn certified(registry: &RegistryClient, id: u64) -> Result<CertifiedProposal, Failure> {
    let found = registry.proposal(id).await.map_err(Failure::failed)?;
    found.ok_or_else(|| Failure::Failed(format!("no proposal {id}")))
}

fn propose_args(options: Propose, now_ns: u64) -> Result<ProposeArgs, Failure> {
    let ns = |duration: Duration| {
        u64::try_from(duration.as_nanos())
            .map_err(|_| Failure::Usage(String::from("a duration is too long")))
    };
    let not_before_ns = options.not_before.map(ns).transpose()?;
    Ok(ProposeArgs {
        action: action::action(options.action, now_ns)?,
        lifetime_ns: options.open_for.map(ns).transpose()?,
        not_before_ns: not_before_ns.map(|ns| now_ns.saturating_add(ns)),
    })
}

fn certified_fields(found: &CertifiedProposal) -> Fields {
    let mut fields = fields(&found.proposal);
    fields.push(("certified_at", when::utc(found.certified_at).into()));
    fields
}

fn fields(proposal: &Proposal) -> Fields {
    let hash = indus_client::PayloadHash::of(&proposal.payload);
    let (would, action) = match candid::decode_one(&proposal.payload) {
        Ok(action) => {
            let (sentence, fields) = words::words(&action);
            (sentence.into(), sheet::document(fields))
        }
        Err(_) => (
            "an action that this program does not know".into(),
            Value::Null,
        ),
    };
    let approvals = proposal.approvals.iter().map(|one| {
        let governor = one.governor;
        format!("{governor} of organisation {}", one.organisation)
    });
    let rejections = proposal.rejections.iter();
    let rejections = rejections.map(|one| format!("{}: {}", one.governor, one.reason));
    vec![
        ("id", proposal.id.into()),
        ("would", would),
        ("action", action),
        ("payload_hash", hash.to_string().into()),
        ("state", state(&proposal.state).into()),
        ("quorum", words::quorum(proposal.quorum).into()),
        ("approvals", proposal.approvals.len().into()),
        ("approved_by", approvals.collect::<Vec<_>>().into()),
        ("rejected_by", rejections.collect::<Vec<_>>().into()),
        ("proposer", proposal.proposer.to_text().into()),
        ("proposed_at", sheet::time(proposal.proposed_at_ns)),
        ("not_before", proposal.not_before_ns.map(sheet::time).into()),
        ("expires_at", sheet::time(proposal.expires_at_ns)),
    ]
}

/// Where a proposal stands, in words.
pub(crate) fn state(state: &ProposalState) -> String {
    let at = |ns| when::utc(indus_verify::Time::from_nanos(ns));
    match state {
        ProposalState::Open => String::from("open"),
        ProposalState::Approved { at_ns } => format!("approved {}", at(*at_ns)),
        ProposalState::Executed { at_ns } => format!("executed {}", at(*at_ns)),
        ProposalState::Failed { at_ns, reason } => format!("failed {}: {reason}", at(*at_ns)),
        ProposalState::Rejected { at_ns } => format!("rejected {}", at(*at_ns)),
        ProposalState::Cancelled { at_ns, reason } => {
            format!("cancelled {}: {reason}", at(*at_ns))
        }
        ProposalState::Expired { at_ns } => format!("expired {}", at(*at_ns)),
    }
}

#[cfg(test)]
mod tests {
    use candid::Principal;
    use indus_api::registry::{Action, Quorum};
    use serde_bytes::ByteBuf;

    use super::*;

    fn proposal(payload: Vec<u8>) -> Proposal {
        Proposal {
            id: 7,
            proposer: Principal::anonymous(),
            payload: ByteBuf::from(payload),
            admits: None,
            proposed_at_ns: 0,
            expires_at_ns: 0,
            not_before_ns: None,
            quorum: Quorum {
                approvals: 3,
                organisations: 2,
            },
            approvals: Vec::new(),
            rejections: Vec::new(),
            state: ProposalState::Open,
        }
    }

    #[test]
    fn a_proposal_is_shown_in_words_with_the_hash_of_its_payload() {
        let payload = candid::encode_one(Action::RemoveSite {
            slug: "lahore-1".into(),
        })
        .unwrap();
        let hash = hex::encode(indus_api::registry::payload_hash(&payload));
        let shown = sheet::document(fields(&proposal(payload)));
        assert_eq!(shown["would"], "Remove a site");
        assert_eq!(shown["action"], serde_json::json!({ "site": "lahore-1" }));
        assert_eq!(shown["payload_hash"], hash);
        assert_eq!(shown["quorum"], "3 governors, of 2 organisations");
    }

    #[test]
    fn an_unknown_action_is_not_taken_for_another() {
        let payload = candid::encode_one(7_u8).unwrap();
        let shown = sheet::document(fields(&proposal(payload)));
        assert_eq!(shown["would"], "an action that this program does not know");
    }
}
