//! What the methods that people sign for would do (ICRC-21), in words.

use indus_api::licences::{
    ApplyArgs, DeclineArgs, OpenRoundArgs, RenewArgs, ReorderArgs, ReviewArgs, SeatArgs,
};
use indus_kit::{arguments, icrc21::Consent};

use crate::metrics::{audience_name, sector_name};

const APPLICATION: &str = "Application";
const SEAT: &str = "Seat";
const REASON: &str = "Reason";
const REASON_HASH: &str = "Hash of the reason";

/// What a call of `method` with `argument` would do; none where it would be refused.
pub(crate) fn consent(method: &str, argument: &[u8]) -> Option<Consent> {
    let (intent, fields) = match method {
        "open_round" => {
            let args: OpenRoundArgs = arguments::decode(argument).ok()?;
            let until = args.apply_until_ns.to_string();
            let fields = vec![
                ("Title", args.title),
                ("Applications until (ns since 1970)", until),
            ];
            ("Open a round", fields)
        }
        "close_round" => (
            "Close a round and fix its order",
            number("Round", argument)?,
        ),
        "apply" => {
            let args: ApplyArgs = arguments::decode(argument).ok()?;
            let fields = vec![
                ("Audience", audience_name(args.audience).into()),
                ("Sector", sector_name(args.sector).into()),
                ("Hash of the statement", hex::encode(args.statement)),
            ];
            ("Apply for a seat", fields)
        }
        "withdraw" => ("Take an application back", number(APPLICATION, argument)?),
        "review" => {
            let args: ReviewArgs = arguments::decode(argument).ok()?;
            let fields = vec![
                (APPLICATION, args.application.to_string()),
                ("Hash of what is reviewed", hex::encode(args.hash)),
                ("Score", args.score.to_string()),
                ("Hash of the comment", hex::encode(args.comment)),
            ];
            ("Review an application", fields)
        }
        "recuse" => (
            "Not review an application, for good",
            number(APPLICATION, argument)?,
        ),
        "decline" => {
            let args: DeclineArgs = arguments::decode(argument).ok()?;
            let fields = vec![
                (APPLICATION, args.application.to_string()),
                (REASON, args.reason),
            ];
            ("Decline an application", fields)
        }
        "reorder" => {
            let args: ReorderArgs = arguments::decode(argument).ok()?;
            let fields = vec![
                (APPLICATION, args.application.to_string()),
                ("Counts as with the score", args.score.to_string()),
                (REASON, args.reason),
            ];
            ("Change the order of applications", fields)
        }
        "grant" => (
            "Grant a seat to an application",
            number(APPLICATION, argument)?,
        ),
        "claim" => ("Claim a seat", number(SEAT, argument)?),
        "check_in" => ("Show that a seat is in use", number(SEAT, argument)?),
        "suspend" => ("Suspend a licence", decision(argument)?),
        "reinstate" => ("Take a suspension or a notice back", decision(argument)?),
        "reclaim" => (
            "Give notice that a seat will be reclaimed",
            decision(argument)?,
        ),
        "renew" => {
            let args: RenewArgs = arguments::decode(argument).ok()?;
            let fields = vec![
                (SEAT, args.seat.to_string()),
                (APPLICATION, args.application.to_string()),
                ("Expires at (ns since 1970)", args.expires_at_ns.to_string()),
            ];
            ("Renew a licence", fields)
        }
        "apply_decision" => (
            "Apply a decision of the registry",
            number("Decision", argument)?,
        ),
        _ => return None,
    };
    Some(Consent { intent, fields })
}

fn number(what: &'static str, argument: &[u8]) -> Option<Vec<(&'static str, String)>> {
    let id: u64 = arguments::decode(argument).ok()?;
    Some(vec![(what, id.to_string())])
}

fn decision(argument: &[u8]) -> Option<Vec<(&'static str, String)>> {
    let args: SeatArgs = arguments::decode(argument).ok()?;
    Some(vec![
        (SEAT, args.seat.to_string()),
        (APPLICATION, args.application.to_string()),
        (REASON_HASH, hex::encode(args.reason)),
    ])
}

#[cfg(test)]
mod tests {
    use candid::Encode;

    use super::*;

    #[test]
    fn what_is_signed_is_told_and_nothing_else() {
        let args = DeclineArgs {
            application: 7,
            reason: "incomplete".into(),
        };
        let argument = Encode!(&args).unwrap();
        let told = consent("decline", &argument).unwrap();
        assert_eq!(
            told.fields,
            [(APPLICATION, "7".into()), (REASON, "incomplete".into())]
        );
        assert_eq!(consent("decline", b"DIDL\x00\x00"), None);
        assert_eq!(consent("list_seats", &argument), None);
    }
}
