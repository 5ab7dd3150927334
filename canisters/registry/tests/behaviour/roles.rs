//! Who may call what: a row for each update of the interface, a column for each kind of caller.

use std::collections::BTreeSet;

use crate::setting::{ANONYMOUS, APPLICANT, OTHER_APPLICANT, Setting, profile};
use indus_api::{
    Error,
    registry::{Action, Site},
};
use registry::proposals;

/// Callers: nobody, a stranger, the applicant and proposer of what is called about, a governor.
const CALLERS: [u8; 4] = [ANONYMOUS, OTHER_APPLICANT, APPLICANT, 1];

type Call = fn(&mut Setting, u8) -> Result<(), Error>;

/// Method, what it does here, and whether each caller may.
const ROWS: &[(&str, Call, [bool; 4])] = &[
    (
        "apply_for_organisation",
        |s, caller| s.apply(caller, profile("ptcl")).map(drop),
        [false, true, true, true],
    ),
    (
        "propose",
        |s, caller| {
            let site = Site {
                slug: "isb-1".into(),
                city: "Islamabad".into(),
                country: "PK".into(),
                operator: "ntc".into(),
            };
            s.propose(caller, Action::RecordSite(site)).map(drop)
        },
        [false, false, false, true],
    ),
    (
        "approve",
        |s, caller| s.agree(caller, 1).map(drop),
        [false, false, false, true],
    ),
    (
        "reject",
        |s, caller| s.reject(caller, 1, "no").map(drop),
        [false, false, false, true],
    ),
    (
        "cancel",
        |s, caller| s.cancel(caller, 1, "").map(drop),
        [false, false, true, false],
    ),
    (
        "execute",
        |s, caller| {
            let done = s.message(caller, |state, context| {
                proposals::execute(state, context, 1)
            });
            match done {
                // That it is open is no question of who asks.
                Err(Error::Conflict { .. }) => Ok(()),
                other => other.map(drop),
            }
        },
        [false, true, true, true],
    ),
];

/// Updates whose caller the shell checks: on a subnet, in the end-to-end tests.
const OF_THE_SHELL: &[&str] = &[
    "confirm_upgrade",
    "icrc21_canister_call_consent_message",
    "observe_canister",
];

#[test]
fn each_caller_may_what_the_table_says_and_nothing_else() {
    for (method, call, allowed) in ROWS {
        for (caller, may) in CALLERS.into_iter().zip(allowed) {
            let mut s = Setting::new();
            s.apply(APPLICANT, profile("nadra")).unwrap();
            if *may {
                call(&mut s, caller)
                    .unwrap_or_else(|error| panic!("{method} by {caller}: {error}"));
            } else {
                let error = s.refused(|s| call(s, caller));
                assert!(
                    matches!(error, Error::Unauthorized { .. }),
                    "{method} by {caller}: {error:?}"
                );
            }
        }
    }
}

#[test]
fn every_update_of_the_interface_has_a_row() {
    let interface = registry::candid_interface();
    let service = interface.split_once("service :").unwrap().1;
    let updates: BTreeSet<&str> = service
        .lines()
        .filter(|line| line.contains(" -> ") && !line.trim_end().ends_with("query;"))
        .filter_map(|line| line.trim_start().split_once(" : ("))
        .map(|(method, _)| method)
        .filter(|method| !method.starts_with('('))
        .collect();
    let rows = ROWS.iter().map(|(method, _, _)| *method);
    let known: BTreeSet<&str> = rows.chain(OF_THE_SHELL.iter().copied()).collect();
    assert_eq!(updates, known);
}
