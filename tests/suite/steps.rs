//! The steps of all flows in which one canister waits for another, one after the other: what faults are tried on.

use std::time::Duration;

use candid::{Encode, Principal, Reserved};
use indus_api::{
    CertifiedRead, Error, Subject,
    identity::{
        self, ApproveRecoveryArgs, CREDENTIAL_ISSUER, IssueArgs, MethodKind, NewMethod,
        OpenRecoveryArgs, RECOVERIES, RECOVERY_OFFICER, RevocationReason, RevokeRoleArgs, id_key,
        path,
    },
    licences::{self, Application, RenewArgs, SeatArgs},
};
use pocket_ic::RejectResponse;
use serde_bytes::ByteBuf;
use sha2::{Digest as _, Sha256};

use crate::{
    decisions::{configure, recorded, suite_canisters},
    licences::{application, review, round},
    suite::{DAY_NS, Suite, commitment, key},
};

/// One call.
pub(crate) struct Step {
    pub(crate) canister: fn(&Suite) -> Principal,
    pub(crate) caller: &'static str,
    pub(crate) method: &'static str,
    pub(crate) args: fn(&Suite) -> Vec<u8>,
    /// How long after the step before.
    pub(crate) after: Duration,
}

/// What came of a call: the answer, or that there was none.
pub(crate) type Outcome = Result<Result<Reserved, Error>, RejectResponse>;

impl Step {
    pub(crate) fn take(&self, suite: &Suite) -> Outcome {
        self.take_with(suite, (self.args)(suite))
    }

    /// With arguments that were made before.
    pub(crate) fn take_with(&self, suite: &Suite, args: Vec<u8>) -> Outcome {
        let (canister, caller) = ((self.canister)(suite), key(self.caller));
        let reply = suite.pic.update_call(canister, caller, self.method, args)?;
        Ok(candid::decode_one(&reply).unwrap())
    }
}

const fn step(
    canister: fn(&Suite) -> Principal,
    caller: &'static str,
    method: &'static str,
    args: fn(&Suite) -> Vec<u8>,
) -> Step {
    Step {
        canister,
        caller,
        method,
        args,
        after: Duration::ZERO,
    }
}

const fn identity(caller: &'static str, method: &'static str, args: fn(&Suite) -> Vec<u8>) -> Step {
    step(|suite| suite.identity, caller, method, args)
}

const fn licences(caller: &'static str, method: &'static str, args: fn(&Suite) -> Vec<u8>) -> Step {
    step(|suite| suite.license_manager, caller, method, args)
}

/// All of them. The ids are those that come of them, in their order, on a suite that was [`prepared`].
pub(crate) static STEPS: [Step; 20] = [
    step(
        |suite| suite.registry,
        "anybody",
        "observe_canister",
        |suite| Encode!(&suite.identity).unwrap(),
    ),
    identity("anybody", "apply_decision", |_| {
        Encode!(&DECISIONS[0]).unwrap()
    }),
    licences("anybody", "apply_decision", |_| {
        Encode!(&DECISIONS[1]).unwrap()
    }),
    identity("administrator", "grant_role", |suite| {
        let person = suite.person(key("new"));
        Encode!(&suite.offer(person, "archivist")).unwrap()
    }),
    identity("administrator", "revoke_role", |_| {
        let args = RevokeRoleArgs {
            id: NEW_ROLE,
            reason: RevocationReason::Mistake,
        };
        Encode!(&args).unwrap()
    }),
    identity("rescuer 1", "open_recovery", |suite| {
        let args = OpenRecoveryArgs {
            person: suite.person(key("clerk")),
            new_method: NewMethod {
                principal: key("clerk's new device"),
                kind: MethodKind::Ed25519,
                alias_commitment: None,
            },
            remove_others: false,
        };
        Encode!(&args).unwrap()
    }),
    identity("rescuer 2", "approve_recovery", |suite| {
        let args = ApproveRecoveryArgs {
            id: 1,
            recovery_hash: recovery_hash(suite),
        };
        Encode!(&args).unwrap()
    }),
    Step {
        after: Duration::from_secs(72 * 60 * 60),
        ..identity("rescuer 2", "finish_recovery", |_| Encode!(&1_u64).unwrap())
    },
    identity("issuer", "issue_credential", |suite| {
        let args = IssueArgs {
            idempotency_key: ByteBuf::from(*b"once"),
            holder: suite.person(key("clerk")),
            achievement: identity::Achievement {
                programme: "archives".into(),
                name: "Archives".into(),
                description: "Knows where things are.".into(),
                criteria: "Has found one.".into(),
            },
            valid_until_ns: None,
        };
        Encode!(&args).unwrap()
    }),
    identity("issuer", "revoke_credential", |_| {
        let args = identity::RevokeCredentialArgs {
            id: 1,
            reason: RevocationReason::Mistake,
        };
        Encode!(&args).unwrap()
    }),
    licences("officer", "open_round", |suite| {
        Encode!(&round(suite)).unwrap()
    }),
    licences("ayesha", "apply", |_| {
        Encode!(&application("ayesha")).unwrap()
    }),
    licences("reviewer", "review", |suite| {
        let known: Result<Subject, Error> = suite.licences(key("officer"), "refresh_subject", ());
        known.unwrap();
        let reviewed: Result<Application, Error> = suite.query(
            suite.license_manager,
            key("officer"),
            "get_application",
            (1_u64,),
        );
        Encode!(&review(&reviewed.unwrap(), 70)).unwrap()
    }),
    licences("officer", "close_round", |_| Encode!(&1_u64).unwrap()),
    licences("officer", "grant", |_| Encode!(&1_u64).unwrap()),
    licences("ayesha", "claim", |_| Encode!(&1_u64).unwrap()),
    licences("officer", "suspend", |_| Encode!(&seat()).unwrap()),
    licences("officer", "reinstate", |_| Encode!(&seat()).unwrap()),
    licences("officer", "renew", |suite| {
        let args = RenewArgs {
            seat: 1,
            application: 1,
            expires_at_ns: suite.now_ns() + 365 * DAY_NS,
        };
        Encode!(&args).unwrap()
    }),
    licences("officer", "reclaim", |_| Encode!(&seat()).unwrap()),
];

/// The decisions for identity and the license manager.
const DECISIONS: [u64; 2] = [4, 5];
/// The role that is granted in a step: others come before it.
const NEW_ROLE: u64 = 7;

fn seat() -> SeatArgs {
    SeatArgs {
        seat: 1,
        application: 1,
        reason: commitment("reason"),
    }
}

/// The certified recovery's, as an official reads it.
fn recovery_hash(suite: &Suite) -> ByteBuf {
    // Queries know who somebody is for a minute.
    let official = key("rescuer 2");
    let known: Result<Subject, Error> = suite.identity(official, "refresh_subject", ());
    known.unwrap();
    let path = path(RECOVERIES, &id_key(1));
    let paths = (vec![path.clone()],);
    let answer: Result<CertifiedRead, Error> =
        suite.query(suite.identity, official, "certified_read", paths);
    let witness = suite.verified(suite.identity, &answer.unwrap());
    ByteBuf::from(Sha256::digest(witness.leaf(&path).unwrap()).to_vec())
}

/// A suite with all whom the steps need.
pub(crate) fn prepared() -> Suite {
    prepared_on(Suite::new())
}

/// The same of this suite, on which nothing was done.
pub(crate) fn prepared_on(suite: Suite) -> Suite {
    recorded(&suite);
    let identity = suite_canisters(vec![suite.license_manager]);
    let licences = licences::Configuration::default();
    let decisions = [
        configure(suite.identity, &identity),
        configure(suite.license_manager, &licences),
    ]
    .map(|action| suite.decided(action).id);
    assert_eq!(decisions, DECISIONS);
    suite.with_officials();
    for (person, role) in [
        ("rescuer 1", RECOVERY_OFFICER),
        ("rescuer 2", RECOVERY_OFFICER),
        ("clerk", "clerk"),
        ("issuer", CREDENTIAL_ISSUER),
    ] {
        suite.official(key(person), role);
    }
    for person in ["new", "ayesha"] {
        suite.person(key(person));
    }
    suite
}
