//! What the methods that people sign for would do (ICRC-21), in words.

use indus_api::registry::{ApproveArgs, CloseArgs, OrganisationProfile};
use indus_kit::{arguments, icrc21::Consent};

/// What a call of `method` with `argument` would do; none where it would be refused.
pub(crate) fn consent(method: &str, argument: &[u8]) -> Option<Consent> {
    let (intent, fields) = match method {
        "apply_for_organisation" => {
            let profile: OrganisationProfile = arguments::decode(argument).ok()?;
            let fields = vec![
                ("Short name", profile.slug),
                ("Name", profile.name),
                ("Sector", profile.sector),
                ("Seat", profile.seat),
            ];
            ("Apply for an organisation", fields)
        }
        "approve_organisation" => {
            let args: ApproveArgs = arguments::decode(argument).ok()?;
            let fields = vec![
                ("Application", args.id.to_string()),
                (
                    "Hash of what is approved",
                    hex::encode(&args.application_hash),
                ),
            ];
            ("Approve an application", fields)
        }
        "close_application" => {
            let args: CloseArgs = arguments::decode(argument).ok()?;
            let fields = vec![
                ("Application", args.id.to_string()),
                ("Reason", args.reason),
            ];
            ("Withdraw or reject an application", fields)
        }
        _ => return None,
    };
    Some(Consent { intent, fields })
}

#[cfg(test)]
mod tests {
    use candid::Encode;

    use super::*;

    #[test]
    fn what_is_signed_is_told_and_nothing_else() {
        let args = CloseArgs {
            id: 7,
            reason: "no longer needed".into(),
        };
        let argument = Encode!(&args).unwrap();
        let told = consent("close_application", &argument).unwrap();
        assert_eq!(
            told.fields,
            [
                ("Application", "7".into()),
                ("Reason", "no longer needed".into())
            ]
        );
        assert_eq!(consent("close_application", b"DIDL\x00\x00"), None);
        assert_eq!(consent("list_organisations", &argument), None);
    }
}
