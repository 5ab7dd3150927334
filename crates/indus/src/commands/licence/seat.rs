//! Seats: read, claimed, kept, decided on, proved.
//!
//! Who decides on a seat decides on one grant of it: the application that it was granted for is read certified, shown, and
//! signed.

use std::path::PathBuf;
use std::time::Duration;

use candid::CandidType;
use clap::{Args, Subcommand};
use indus_api::licences::{
    Licence, Notice, NoticeCause, RenewArgs, Seat, SeatArgs, SeatState, id_key, seat_path,
};
use indus_verify::presentation::Shown;

use super::{Desk, LICENSE_MANAGER};
use crate::commands::committed::Text;
use crate::commands::present;
use crate::commands::sheet::{self, Fields};
use crate::console::Console;
use crate::failure::Failure;
use crate::proof::Proof;
use crate::when;

#[derive(Subcommand)]
pub(super) enum Verb {
    /// Lists the seats in use, certified, none left out.
    Seats,
    /// Shows a seat, certified.
    Seat(Which),
    /// Claims the seat that one was granted.
    Claim(Which),
    /// Shows that one's seat is in use, so that it is not reclaimed as idle.
    CheckIn(Which),
    /// Suspends a licence: licence officers. It is not valid until it is reinstated.
    Suspend(Decision),
    /// Takes a suspension or a notice back: licence officers.
    Reinstate(Decision),
    /// Gives notice that a seat will be reclaimed: licence officers.
    Reclaim(Decision),
    /// Lets a licence last longer: licence officers.
    Renew {
        #[command(flatten)]
        which: Which,
        /// How long from now, such as 365d; at most a term.
        #[arg(long = "for", value_name = "DURATION", value_parser = when::duration)]
        lasts: Duration,
    },
    /// Writes the offline licence file: it shows a verifier that a seat is valid and one's own, for `indus verify`.
    File {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        options: present::Options,
    },
    /// Writes the proof of what a seat is, or that nobody has it, for `indus verify`.
    Prove {
        #[command(flatten)]
        which: Which,
        /// The file, in place of what is there.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

#[derive(Args)]
pub(super) struct Which {
    #[arg(value_name = "SEAT", value_parser = clap::value_parser!(u64).range(1..=indus_api::licences::SEATS))]
    seat: u64,
}

#[derive(Args)]
pub(super) struct Decision {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    reason: Text,
}

/// Does it.
pub(super) async fn seat(verb: Verb, desk: &Desk, console: &mut Console) -> Result<(), Failure> {
    let json = desk.network.json;
    let changed: Seat = match verb {
        Verb::Seats => {
            let licences = desk.network.canister(LICENSE_MANAGER)?;
            let found = licences.records::<Seat>().await;
            let found = found.map_err(Failure::failed)?;
            let things = found.value.iter().map(fields).collect();
            let columns = ["seat", "state", "audience", "sector", "until", "holder"];
            let at = Some(found.certified_at);
            sheet::list(&columns, things, at, json, console);
            return Ok(());
        }
        Verb::Seat(Which { seat }) => {
            let (found, certified_at) = certified(desk, seat).await?;
            let Some(found) = found else {
                let at = when::utc(certified_at);
                return Err(Failure::Failed(format!(
                    "nobody has seat {seat}, certified {at}"
                )));
            };
            let mut shown = fields(&found);
            shown.push(("certified_at", when::utc(certified_at).into()));
            sheet::show(shown, json, console);
            return Ok(());
        }
        Verb::Claim(Which { seat }) => {
            let sentence = "Claim a seat: your licence begins";
            named(desk, "claim", seat, sentence, console).await?
        }
        Verb::CheckIn(Which { seat }) => {
            let sentence = "Show that your seat is in use";
            named(desk, "check_in", seat, sentence, console).await?
        }
        Verb::Suspend(decision) => {
            let sentence = "Suspend a licence: it is not valid until it is reinstated";
            decision.made(desk, "suspend", sentence, console).await?
        }
        Verb::Reinstate(decision) => {
            let sentence = "Take the suspension of a licence, or a notice, back";
            decision.made(desk, "reinstate", sentence, console).await?
        }
        Verb::Reclaim(decision) => {
            let sentence = "Give notice that a seat will be reclaimed";
            decision.made(desk, "reclaim", sentence, console).await?
        }
        Verb::Renew {
            which: Which { seat },
            lasts,
        } => {
            let held = held(desk, seat).await?;
            let args = RenewArgs {
                seat,
                application: held.application,
                expires_at_ns: when::later(when::now().as_nanos(), lasts)?,
            };
            let mut about = fields(&held);
            about.push(("new_expiry", sheet::time(args.expires_at_ns)));
            let sentence = "Let a licence last longer";
            signed(desk, "renew", &args, sentence, about, console).await?
        }
        Verb::File {
            which: Which { seat },
            options,
        } => {
            let shown = Shown::Licence { seat };
            let Desk { network, consent } = desk;
            return present::present(network, consent, shown, options, console).await;
        }
        Verb::Prove {
            which: Which { seat },
            out,
        } => return prove(desk, seat, &out, console).await,
    };
    sheet::show(fields(&changed), json, console);
    Ok(())
}

impl Decision {
    async fn made(
        self,
        desk: &Desk,
        method: &str,
        sentence: &str,
        console: &mut Console,
    ) -> Result<Seat, Failure> {
        let seat = self.which.seat;
        let held = held(desk, seat).await?;
        let args = SeatArgs {
            seat,
            application: held.application,
            reason: self.reason.commit()?,
        };
        let mut about = fields(&held);
        about.push(("reason_commitment", sheet::bytes(&args.reason)));
        about.push(("reason_kept_in", self.reason.file().into()));
        signed(desk, method, &args, sentence, about, console).await
    }
}

/// A call that names the seat alone.
async fn named(
    desk: &Desk,
    method: &str,
    seat: u64,
    sentence: &str,
    console: &mut Console,
) -> Result<Seat, Failure> {
    let about = fields(&held(desk, seat).await?);
    signed(desk, method, &seat, sentence, about, console).await
}

async fn signed(
    desk: &Desk,
    method: &str,
    args: &impl CandidType,
    sentence: &str,
    about: Fields,
    console: &mut Console,
) -> Result<Seat, Failure> {
    desk.signing()?
        .call(method, args, sentence, about, console)
        .await
}

/// A seat that somebody has, as it is certified.
async fn held(desk: &Desk, seat: u64) -> Result<Seat, Failure> {
    // Whoever has no key is told before anything is asked for.
    desk.network.signing_key()?;
    let (found, _) = certified(desk, seat).await?;
    found.ok_or_else(|| Failure::Failed(format!("nobody has seat {seat}")))
}

async fn certified(desk: &Desk, seat: u64) -> Result<(Option<Seat>, indus_verify::Time), Failure> {
    let licences = desk.network.canister(LICENSE_MANAGER)?;
    let found = licences.record(&id_key(seat)).await;
    let found = found.map_err(Failure::failed)?;
    Ok((found.value, found.certified_at))
}

async fn prove(
    desk: &Desk,
    seat: u64,
    out: &std::path::Path,
    console: &mut Console,
) -> Result<(), Failure> {
    let licences = desk.network.canister(LICENSE_MANAGER)?;
    let path = seat_path(seat);
    let answer = licences.proof(std::slice::from_ref(&path)).await;
    let answer = answer.map_err(Failure::failed)?;
    let labels = path.into_iter().map(serde_bytes::ByteBuf::into_vec);
    let proof = Proof {
        canister: licences.canister(),
        paths: vec![labels.collect()],
        certificate: answer.certificate.into_vec(),
        witness: answer.witness.into_vec(),
    };
    let root_key = licences.connection().trust().root_key.clone();
    let proved = proof.verify(root_key, None, when::now(), when::bound(None));
    let proved = proved.map_err(Failure::failed)?;
    let found = proved.statements.iter().any(|one| one.found.is_some());
    proof.save(out).map_err(|error| Failure::file(out, error))?;
    let state = if found { "in use" } else { "nobody has it" };
    let shown = vec![
        ("seat", seat.into()),
        ("state", state.into()),
        ("certified_at", when::utc(proved.time).into()),
        ("written", out.display().to_string().into()),
    ];
    sheet::show(shown, desk.network.json, console);
    Ok(())
}

pub(super) fn fields(seat: &Seat) -> Fields {
    let mut fields: Fields = vec![
        ("seat", seat.seat.into()),
        ("holder", seat.holder.to_text().into()),
        ("audience", format!("{:?}", seat.audience).into()),
        ("sector", format!("{:?}", seat.sector).into()),
        ("application", seat.application.into()),
        ("granted_at", sheet::time(seat.granted_at_ns)),
    ];
    fields.extend(state_fields(&seat.state));
    fields.push(("until", sheet::time(seat.ends_at_ns())));
    fields
}

pub(super) fn state_fields(state: &SeatState) -> Fields {
    let (word, licence) = match state {
        SeatState::Granted { claim_by_ns } => {
            return vec![
                ("state", "granted".into()),
                ("claim_by", sheet::time(*claim_by_ns)),
            ];
        }
        SeatState::Active(licence) => ("active", licence),
        SeatState::Suspended { licence, .. } => ("suspended", licence),
    };
    let Licence {
        claimed_at_ns,
        expires_at_ns,
        last_active_ns,
        idle_at_ns,
        notice,
    } = licence;
    let mut fields: Fields = vec![
        ("state", word.into()),
        ("claimed_at", sheet::time(*claimed_at_ns)),
        ("last_active", sheet::time(*last_active_ns)),
        ("idle_at", sheet::time(*idle_at_ns)),
        ("expires_at", sheet::time(*expires_at_ns)),
    ];
    if let SeatState::Suspended { reason, at_ns, .. } = state {
        fields.push(("suspended_at", sheet::time(*at_ns)));
        fields.push(("suspension_commitment", sheet::bytes(reason)));
    }
    if let Some(Notice {
        cause,
        given_at_ns,
        reclaim_at_ns,
    }) = notice
    {
        fields.push(("notice_given_at", sheet::time(*given_at_ns)));
        fields.push(("reclaimed_at", sheet::time(*reclaim_at_ns)));
        match cause {
            NoticeCause::Idle => fields.push(("notice_for", "idle".into())),
            NoticeCause::Decided { reason } => {
                fields.push(("notice_commitment", sheet::bytes(reason)));
            }
        }
    }
    fields
}
