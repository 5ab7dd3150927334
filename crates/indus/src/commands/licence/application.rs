//! Applications: made, read, reviewed, decided on.
//!
//! A review binds the hash of the content that was read ([`ApplicationContent::hash`]): the canister refuses it for any other.

use clap::{Args, Subcommand};
use indus_api::licences::{
    Application, ApplicationContent, ApplicationState, ApplyArgs, DeclineArgs, QueueKey, Regrading,
    ReorderArgs, Review, ReviewArgs, Seat,
};
use indus_api::paging::{MAX_PAGE, Page, PageArgs};
use indus_client::SuiteCanister;
use serde_bytes::ByteBuf;
use serde_json::Value;

use super::queue::Queue;
use super::{Desk, LICENSE_MANAGER, figures, seat};
use crate::commands::committed::Text;
use crate::commands::sheet::{self, Fields};
use crate::console::Console;
use crate::failure::Failure;

#[derive(Subcommand)]
pub(super) enum Verb {
    /// Applies for a seat in the open round, with a statement that only its commitment is sent of. Repeatable.
    Apply {
        #[command(flatten)]
        queue: Queue,
        #[command(flatten)]
        statement: Text,
    },
    /// Lists one's own open applications, as one node says.
    Applications,
    /// Shows an application, as one node says: its applicant, licence officers, and who may review it.
    Application(Which),
    /// Takes an application back: its applicant.
    Withdraw(Which),
    /// Lists the applications that lack reviews, as one node says.
    ToReview,
    /// Shows an application, asks, and reviews exactly what was shown: licence reviewers. Replaces one's earlier review.
    Review {
        #[command(flatten)]
        which: Which,
        /// 0 to 100.
        #[arg(long, value_parser = clap::value_parser!(u8).range(0..=100))]
        score: u8,
        #[command(flatten)]
        comment: Text,
    },
    /// Is recused from an application, which one knows the applicant of: licence reviewers.
    Recuse(Which),
    /// Turns an application down: licence officers.
    Decline {
        #[command(flatten)]
        which: Which,
        /// The reason, which the applicant reads, and which stays in the record.
        #[arg(long)]
        reason: String,
    },
    /// Decides that an application of a closed round counts as with another score: licence officers.
    Reorder {
        #[command(flatten)]
        which: Which,
        /// 0 to 100.
        #[arg(long, value_parser = clap::value_parser!(u8).range(0..=100))]
        score: u8,
        /// The reason, which stays in the record.
        #[arg(long)]
        reason: String,
    },
    /// Grants a seat to the application that is first in its order: licence officers.
    Grant(Which),
}

#[derive(Args)]
pub(super) struct Which {
    #[arg(value_name = "APPLICATION")]
    id: u64,
}

/// Does it.
pub(super) async fn application(
    verb: Verb,
    desk: &Desk,
    console: &mut Console,
) -> Result<(), Failure> {
    let json = desk.network.json;
    let application: Application = match verb {
        Verb::Apply { queue, statement } => {
            let signing = desk.signing()?;
            let QueueKey { audience, sector } = QueueKey::from(&queue);
            let commitment = statement.commit()?;
            let args = ApplyArgs {
                audience,
                sector,
                // The same statement in the same file is the same application.
                idempotency_key: commitment.clone(),
                statement: commitment,
            };
            let about = vec![
                ("audience", format!("{audience:?}").into()),
                ("sector", format!("{sector:?}").into()),
                ("statement_commitment", sheet::bytes(&args.statement)),
                ("statement_kept_in", statement.file().into()),
            ];
            let sentence = "Apply for a seat in the open round";
            signing
                .call("apply", &args, sentence, about, console)
                .await?
        }
        Verb::Applications => return list_own(desk, console).await,
        Verb::ToReview => return list_to_review(desk, console).await,
        Verb::Application(Which { id }) => {
            let licences = desk.network.signing_to(LICENSE_MANAGER)?;
            read(&licences, id).await?
        }
        Verb::Withdraw(Which { id }) => {
            let about = vec![("application", id.into())];
            let sentence = "Take an application back";
            desk.signing()?
                .call("withdraw", &id, sentence, about, console)
                .await?
        }
        Verb::Review {
            which: Which { id },
            score,
            comment,
        } => {
            let signing = desk.signing()?;
            let read = read(&signing.canister, id).await?;
            let hash = read.content.hash().map_err(Failure::failed)?;
            let args = ReviewArgs {
                application: id,
                hash: ByteBuf::from(hash),
                score,
                comment: comment.commit()?,
            };
            let mut about = content_fields(&read.content);
            about.extend([
                ("content_sha256", sheet::bytes(&hash)),
                ("your_score", score.into()),
                ("comment_commitment", sheet::bytes(&args.comment)),
                ("comment_kept_in", comment.file().into()),
            ]);
            let sentence = "Give an application this score, by what it says here";
            signing
                .call("review", &args, sentence, about, console)
                .await?
        }
        Verb::Recuse(Which { id }) => {
            let about = vec![("application", id.into())];
            let sentence = "Be recused from an application: you can't review it any more";
            desk.signing()?
                .call("recuse", &id, sentence, about, console)
                .await?
        }
        Verb::Decline {
            which: Which { id },
            reason,
        } => {
            let signing = desk.signing()?;
            let mut about = fields(&read(&signing.canister, id).await?);
            about.push(("reason", reason.clone().into()));
            let args = DeclineArgs {
                application: id,
                reason,
            };
            let sentence = "Turn an application down";
            signing
                .call("decline", &args, sentence, about, console)
                .await?
        }
        Verb::Reorder {
            which: Which { id },
            score,
            reason,
        } => {
            let signing = desk.signing()?;
            let mut about = fields(&read(&signing.canister, id).await?);
            about.push(("new_score", score.into()));
            about.push(("reason", reason.clone().into()));
            let args = ReorderArgs {
                application: id,
                score,
                reason,
            };
            let sentence = "Change the place of an application in its order";
            signing
                .call("reorder", &args, sentence, about, console)
                .await?
        }
        Verb::Grant(Which { id }) => {
            let signing = desk.signing()?;
            let about = fields(&read(&signing.canister, id).await?);
            let sentence = "Grant a seat to an application, if it is the first in its order";
            let granted: Seat = signing.call("grant", &id, sentence, about, console).await?;
            sheet::show(seat::fields(&granted), json, console);
            return Ok(());
        }
    };
    sheet::show(fields(&application), json, console);
    Ok(())
}

/// An application, as one node answers it: what is decided binds it, or names it.
async fn read(licences: &SuiteCanister, id: u64) -> Result<Application, Failure> {
    licences
        .query_as_subject_unverified("get_application", &id)
        .await
        .map_err(Failure::failed)
}

async fn list_own(desk: &Desk, console: &mut Console) -> Result<(), Failure> {
    let licences = desk.network.signing_to(LICENSE_MANAGER)?;
    let mut things = Vec::new();
    let mut after = None;
    loop {
        let page: Page<u64, Application> = page(&licences, "list_my_applications", after).await?;
        things.extend(page.items.iter().map(fields));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let columns = ["application", "round", "audience", "sector", "state"];
    sheet::list(&columns, things, None, desk.network.json, console);
    Ok(())
}

async fn list_to_review(desk: &Desk, console: &mut Console) -> Result<(), Failure> {
    let licences = desk.network.canister(LICENSE_MANAGER)?;
    let mut things: Vec<Fields> = Vec::new();
    let mut after = None;
    loop {
        let page: Page<u64, u64> = page(&licences, "list_to_review", after).await?;
        let one = |id: &u64| vec![("application", (*id).into())];
        things.extend(page.items.iter().map(one));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    sheet::list(&["application"], things, None, desk.network.json, console);
    Ok(())
}

async fn page<T: candid::CandidType + serde::de::DeserializeOwned>(
    licences: &SuiteCanister,
    method: &str,
    after: Option<u64>,
) -> Result<Page<u64, T>, Failure> {
    let args = PageArgs {
        after,
        limit: MAX_PAGE,
    };
    licences
        .query_as_subject_unverified(method, &args)
        .await
        .map_err(Failure::failed)
}

fn content_fields(content: &ApplicationContent) -> Fields {
    vec![
        ("application", content.id.into()),
        ("round", content.round.into()),
        ("applicant", content.applicant.to_text().into()),
        ("organisation", content.organisation.into()),
        ("audience", format!("{:?}", content.audience).into()),
        ("sector", format!("{:?}", content.sector).into()),
        ("statement_commitment", sheet::bytes(&content.statement)),
        ("applied_at", sheet::time(content.applied_at_ns)),
    ]
}

fn fields(application: &Application) -> Fields {
    let mut fields = content_fields(&application.content);
    let regraded = |Regrading {
                        score,
                        by,
                        reason,
                        at_ns,
                    }: &Regrading| {
        sheet::document(vec![
            ("score", (*score).into()),
            ("by", by.to_text().into()),
            ("reason", reason.clone().into()),
            ("at", sheet::time(*at_ns)),
        ])
    };
    let reviews: Vec<Value> = application.reviews.iter().map(review).collect();
    fields.extend([
        ("state", state(&application.state).into()),
        ("score", figures::score(application.rank())),
        ("reviews", reviews.into()),
        ("recused", sheet::principals(&application.recusals)),
        (
            "regraded",
            application.regrading.as_ref().map(regraded).into(),
        ),
    ]);
    fields
}

fn review(review: &Review) -> Value {
    sheet::document(vec![
        ("score", review.score.into()),
        ("by", review.reviewer.to_text().into()),
        ("comment_commitment", sheet::bytes(&review.comment)),
        ("at", sheet::time(review.at_ns)),
    ])
}

fn state(state: &ApplicationState) -> String {
    match state {
        ApplicationState::Open => String::from("open"),
        ApplicationState::Withdrawn { .. } => String::from("withdrawn"),
        ApplicationState::Declined { reason, .. } => format!("declined: {reason}"),
        ApplicationState::Granted { seat, .. } => format!("granted seat {seat}"),
        ApplicationState::Superseded { application, .. } => {
            format!("superseded by application {application}")
        }
    }
}
