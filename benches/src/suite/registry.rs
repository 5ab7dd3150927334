//! The registry: an admission, and proofs of access.

use candid::{Encode, Principal};
use ic_stable_structures::VectorMemory;
use indus_api::{
    CertifiedRead,
    registry::{
        Access, AccessGrant, Action, Application, Approval, ApproveArgs, CheckAccessArgs,
        DataClass, GrantRecord, InitArgs, Organisation, OrganisationProfile, OrganisationRecord,
        OrganisationStatus, Proposal, ProposalState, Quorum, Service, ServiceProfile,
        ServiceRecord, ServiceState, Step, grant_key, id_key, payload_hash,
    },
};
use indus_kit::Context;
use registry::{
    State,
    state::{EXECUTED, Effect, GRANT, ORGANISATION, Plan, SERVICE},
};
use serde_bytes::ByteBuf;

use super::{
    OPERATIONS,
    setting::{Suite, key, mean, unexpected},
};
use crate::{
    net::START_NS,
    upgrade::{FOUNDERS, founding, profile},
};

/// Organisations for each service.
const USERS: u64 = 100;
/// Which organisation comes next, so that neighbours in one collection are none in the other: a prime that divides no number
/// of records.
const STRIDE: u64 = 611_953;
const DAY_NS: u64 = 86_400_000_000_000;
const FILLED_NS: u64 = START_NS - 10 * DAY_NS;
const OPERATION: &str = "read-records";
/// Governors who decide.
const APPROVALS: u64 = 3;

/// Instructions of one call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    /// Of the approval that admits an organisation.
    pub(crate) write: f64,
    /// Of the proof that an organisation may use a service.
    pub(crate) check_access: f64,
    /// Of the proof that it may not, because there is no grant.
    pub(crate) check_access_absent: f64,
}

pub(super) fn init() -> InitArgs {
    founding()
}

/// Who acts for an organisation.
pub(super) fn administrator(organisation: u64) -> Principal {
    key("administrator", organisation)
}

fn governor(organisation: u64) -> Principal {
    Principal::self_authenticating(organisation.to_be_bytes())
}

/// The id of an organisation, from its number.
pub(super) const fn organisation(number: u64) -> u64 {
    FOUNDERS + number
}

/// The service and the organisation of a grant, from its number.
fn grant(number: u64, records: u64) -> (u64, u64) {
    let service = 1 + number % (records / USERS);
    (service, organisation(1 + number * STRIDE % records))
}

/// A registry with so many organisations, each admitted by a proposal, as many access grants, and services.
pub(super) fn fill(memory: VectorMemory, records: u64) -> anyhow::Result<()> {
    let context = Context {
        caller: governor(APPROVALS),
        time_ns: FILLED_NS,
    };
    let mut registry = State::create(memory, &context, init())?;
    for number in 1..=records {
        let plan = plan(number, records)?;
        registry.record(&context, EXECUTED, None, admission(number)?, plan)?;
        if number % 1_000 == 0 {
            registry.kit.certified.commit();
        }
    }
    registry.kit.certified.commit();
    Ok(())
}

/// What belongs to a number: an organisation, a grant, and a service perhaps.
fn plan(number: u64, records: u64) -> anyhow::Result<Plan> {
    let id = organisation(number);
    let mut plan = Plan {
        changes: vec![ORGANISATION.put(&id_key(id), &OrganisationRecord::V2(admitted(number)))?],
        effects: vec![Effect::SlugTaken {
            slug: profile(id).slug,
            id,
        }],
    };
    let (service, user) = grant(number, records);
    let right = AccessGrant {
        service,
        organisation: user,
        operations: vec![OPERATION.into()],
        purpose: "Checks what citizens hand in".into(),
        granted_at_ns: FILLED_NS,
        valid_until_ns: START_NS + 365 * DAY_NS,
        proposal: number,
    };
    let right = GRANT.put(&grant_key(service, user), &GrantRecord::V1(right))?;
    plan.changes.push(right);
    if number <= records / USERS {
        let service = ServiceRecord::V1(published(number));
        plan.changes.push(SERVICE.put(&id_key(number), &service)?);
        plan.effects.push(Effect::ServiceTaken {
            organisation: id,
            slug: format!("service-{number}"),
            id: number,
        });
    }
    Ok(plan)
}

fn admitted(number: u64) -> Organisation {
    let id = organisation(number);
    let step = |status, by, proposal| Step {
        status,
        at_ns: FILLED_NS,
        by,
        proposal,
        reason: String::new(),
    };
    Organisation {
        id,
        profile: profile(id),
        applicant: administrator(id),
        administrators: vec![administrator(id)],
        status: OrganisationStatus::Active,
        due_at_ns: FILLED_NS + 30 * DAY_NS,
        application: Some(number),
        steps: vec![
            step(OrganisationStatus::Pending, administrator(id), None),
            step(OrganisationStatus::InReview, governor(1), Some(number)),
            step(
                OrganisationStatus::Active,
                governor(APPROVALS),
                Some(number),
            ),
        ],
    }
}

fn published(number: u64) -> Service {
    Service {
        id: number,
        profile: ServiceProfile {
            organisation: organisation(number),
            slug: format!("service-{number}"),
            name: format!("Records of office {number}"),
            canister: Principal::from_slice(&[&number.to_be_bytes()[..], &[1, 1]].concat()),
            interface_hash: ByteBuf::from([7; 32]),
            operations: vec![OPERATION.into(), "write-records".into()],
            data_class: DataClass::Confidential,
        },
        state: ServiceState::Published,
        published_at_ns: FILLED_NS,
        retired_at_ns: None,
    }
}

/// The proposal by which an organisation was admitted.
fn admission(number: u64) -> anyhow::Result<Proposal> {
    let id = organisation(number);
    let action = Action::Admit(Application {
        organisation: id,
        applicant: administrator(id),
        profile: profile(id),
    });
    let approval = |organisation| Approval {
        governor: governor(organisation),
        organisation,
        at_ns: FILLED_NS,
    };
    Ok(Proposal {
        id: number,
        proposer: administrator(id),
        payload: ByteBuf::from(indus_kit::encoding::encode(&action)?),
        admits: Some(id),
        proposed_at_ns: FILLED_NS,
        expires_at_ns: FILLED_NS + 30 * DAY_NS,
        not_before_ns: None,
        quorum: Quorum {
            approvals: 3,
            organisations: 3,
        },
        approvals: (1..=APPROVALS).map(approval).collect(),
        rejections: Vec::new(),
        state: ProposalState::Executed { at_ns: FILLED_NS },
    })
}

pub(super) fn measure(suite: &mut Suite, records: u64) -> anyhow::Result<Figures> {
    let mut write = 0;
    for number in 0..=u64::from(OPERATIONS) {
        let spent = admit(suite, number)?;
        // The first one is for the types.
        if number > 0 {
            write += spent;
        }
    }
    Ok(Figures {
        write: mean(write, OPERATIONS),
        check_access: check_access(suite, records, 0)?,
        check_access_absent: check_access(suite, records, 1)?,
    })
}

/// Admits an organisation that somebody applies for. Returns what the last approval has taken.
fn admit(suite: &mut Suite, number: u64) -> anyhow::Result<u64> {
    let registry = suite.registry;
    let applicant = key("applicant", number);
    let profile = OrganisationProfile {
        slug: format!("applicant-{number}"),
        ..profile(number)
    };
    let applied: Organisation = suite.update(
        applicant,
        registry,
        "apply_for_organisation",
        Encode!(&profile)?,
    )?;
    let id = applied.application.unwrap_or_default();
    let proposal: Proposal = suite.query(applicant, registry, "get_proposal", Encode!(&id)?)??;
    let args = ApproveArgs {
        id,
        payload_hash: ByteBuf::from(payload_hash(&proposal.payload)),
    };
    let args = Encode!(&args)?;
    for organisation in 1..APPROVALS {
        let governor = governor(organisation);
        let _: Proposal = suite.update(governor, registry, "approve", args.clone())?;
    }
    let before = suite.spent();
    let decided: Proposal = suite.update(governor(APPROVALS), registry, "approve", args)?;
    let spent = suite.spent().since(before).registry;
    if !matches!(decided.state, ProposalState::Executed { .. }) {
        return Err(unexpected("an admission", &decided));
    }
    Ok(spent)
}

/// Proofs about organisations and services here and there; of the `beside`th service after the one that it may use.
fn check_access(suite: &Suite, records: u64, beside: u64) -> anyhow::Result<f64> {
    let services = records / USERS;
    let mut instructions = 0;
    for number in (1..=records).step_by(usize::try_from(records / u64::from(OPERATIONS))?) {
        let (service, organisation) = grant(number, records);
        let args = CheckAccessArgs {
            organisation,
            service: 1 + (service - 1 + beside) % services,
            operation: OPERATION.into(),
        };
        let args = Encode!(&args)?;
        let caller = crate::net::nobody();
        let access: Access =
            suite.query(caller, suite.registry, "check_access", args.clone())??;
        if matches!(access, Access::Allowed { .. }) != (beside == 0) {
            return Err(unexpected("access", &access));
        }
        let before = suite.spent();
        let _proof: CertifiedRead =
            suite.query(caller, suite.registry, "certified_check_access", args)??;
        instructions += suite.spent().since(before).registry;
    }
    Ok(mean(instructions, OPERATIONS))
}
