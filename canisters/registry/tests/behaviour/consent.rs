//! What people are told before they sign.

use candid::Encode;
use indus_api::registry::CancelArgs;
use registry::consent::consent;

#[test]
fn what_is_signed_is_told_and_nothing_else() {
    let args = CancelArgs {
        id: 7,
        reason: "no longer needed".into(),
    };
    let argument = Encode!(&args).unwrap();
    let told = consent("cancel", &argument).unwrap();
    assert_eq!(
        told.fields,
        [
            ("Proposal", "7".into()),
            ("Reason", "no longer needed".into())
        ]
    );
    assert_eq!(consent("cancel", b"DIDL\x00\x00"), None);
    assert_eq!(consent("list_organisations", &argument), None);
}
