//! Rounds.

use std::time::Duration;

use clap::Subcommand;
use indus_api::licences::{OpenRoundArgs, Round, id_key};

use super::{Desk, LICENSE_MANAGER};
use crate::commands::sheet::{self, Fields};
use crate::console::Console;
use crate::failure::Failure;
use crate::when;

#[derive(Subcommand)]
pub(super) enum Verb {
    /// Opens a round: licence officers.
    Open {
        #[arg(long)]
        title: String,
        /// How long applications are accepted, such as 30d.
        #[arg(long, value_name = "DURATION", value_parser = when::duration)]
        apply_for: Duration,
    },
    /// Closes a round, whose order is fixed from then on: licence officers.
    Close(Which),
    /// Lists all rounds, certified.
    List,
    /// Shows one, certified.
    Show(Which),
}

#[derive(clap::Args)]
pub(super) struct Which {
    #[arg(value_name = "ROUND")]
    id: u64,
}

/// Does it.
pub(super) async fn round(verb: Verb, desk: &Desk, console: &mut Console) -> Result<(), Failure> {
    let json = desk.network.json;
    let round: Round = match verb {
        Verb::Open { title, apply_for } => {
            let args = OpenRoundArgs {
                title,
                apply_until_ns: when::later(when::now().as_nanos(), apply_for)?,
            };
            let about = vec![
                ("title", args.title.clone().into()),
                ("apply_until", sheet::time(args.apply_until_ns)),
            ];
            let sentence = "Open a round: persons may apply for seats in it";
            desk.signing()?
                .call("open_round", &args, sentence, about, console)
                .await?
        }
        Verb::Close(Which { id }) => {
            let about = vec![("round", id.into())];
            let sentence = "Close a round: its order is fixed, and seats are granted in it";
            desk.signing()?
                .call("close_round", &id, sentence, about, console)
                .await?
        }
        Verb::List => {
            let licences = desk.network.canister(LICENSE_MANAGER)?;
            let found = licences.records::<Round>().await;
            let found = found.map_err(Failure::failed)?;
            let things = found.value.iter().map(fields).collect();
            let columns = ["id", "title", "state", "apply_until", "reviews_needed"];
            let at = Some(found.certified_at);
            sheet::list(&columns, things, at, json, console);
            return Ok(());
        }
        Verb::Show(Which { id }) => {
            let licences = desk.network.canister(LICENSE_MANAGER)?;
            let found = licences.record::<Round>(&id_key(id)).await;
            let found = found.map_err(Failure::failed)?;
            let Some(round) = found.value else {
                return Err(Failure::Failed(format!("no round {id}")));
            };
            let mut shown = fields(&round);
            shown.push(("certified_at", when::utc(found.certified_at).into()));
            sheet::show(shown, json, console);
            return Ok(());
        }
    };
    sheet::show(fields(&round), json, console);
    Ok(())
}

fn fields(round: &Round) -> Fields {
    let state = if round.closed_at_ns.is_some() {
        "closed"
    } else {
        "open"
    };
    vec![
        ("id", round.id.into()),
        ("title", round.title.clone().into()),
        ("state", state.into()),
        ("opened_by", round.opened_by.to_text().into()),
        ("opened_at", sheet::time(round.opened_at_ns)),
        ("apply_until", sheet::time(round.apply_until_ns)),
        ("reviews_needed", round.reviews_needed.into()),
        ("closed_at", round.closed_at_ns.map(sheet::time).into()),
    ]
}
