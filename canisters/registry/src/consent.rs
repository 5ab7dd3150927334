//! What the methods that people sign for would do (ICRC-21), in words.

use candid::Principal;
use indus_api::registry::{
    Action, ApproveArgs, CancelArgs, OrganisationChange, OrganisationProfile, ProposeArgs,
    RejectArgs,
};
use indus_kit::{arguments, icrc21::Consent};

type Fields = Vec<(&'static str, String)>;

/// What a call of `method` with `argument` would do; none where it would be refused.
#[must_use]
pub fn consent(method: &str, argument: &[u8]) -> Option<Consent> {
    let (intent, fields) = match method {
        "apply_for_organisation" => {
            let profile: OrganisationProfile = arguments::decode(argument).ok()?;
            ("Apply for an organisation", of_profile(profile))
        }
        "propose" => {
            let args: ProposeArgs = arguments::decode(argument).ok()?;
            of_action(args.action)
        }
        "approve" => {
            let args: ApproveArgs = arguments::decode(argument).ok()?;
            ("Approve a proposal", of_vote(args.id, &args.payload_hash))
        }
        "reject" => {
            let args: RejectArgs = arguments::decode(argument).ok()?;
            let mut fields = of_vote(args.id, &args.payload_hash);
            fields.push(("Reason", args.reason));
            ("Refuse a proposal", fields)
        }
        "cancel" => {
            let args: CancelArgs = arguments::decode(argument).ok()?;
            let fields = vec![("Proposal", args.id.to_string()), ("Reason", args.reason)];
            ("Take a proposal back", fields)
        }
        "execute" => {
            let id: u64 = arguments::decode(argument).ok()?;
            let fields = vec![("Proposal", id.to_string())];
            ("Carry out an approved proposal", fields)
        }
        "observe_canister" => {
            let canister: Principal = arguments::decode(argument).ok()?;
            let fields = vec![("Canister", canister.to_text())];
            ("Look at a canister", fields)
        }
        _ => return None,
    };
    Some(Consent { intent, fields })
}

fn of_vote(id: u64, hash: &[u8]) -> Fields {
    vec![
        ("Proposal", id.to_string()),
        ("Hash of what is decided", hex::encode(hash)),
    ]
}

fn of_profile(profile: OrganisationProfile) -> Fields {
    vec![
        ("Short name", profile.slug),
        ("Name", profile.name),
        ("Sector", profile.sector),
        ("Seat", profile.seat),
    ]
}

/// What a proposal would do, in words.
fn of_action(action: Action) -> (&'static str, Fields) {
    match action {
        Action::Admit(application) => (
            "Propose to admit an organisation",
            of_profile(application.profile),
        ),
        Action::ChangeOrganisation {
            organisation,
            change,
        } => of_change(organisation, change),
        Action::PublishService(profile) => (
            "Propose to publish a service",
            vec![
                ("Organisation", profile.organisation.to_string()),
                ("Short name", profile.slug),
                ("Name", profile.name),
                ("Canister", profile.canister.to_text()),
                ("Interface hash", hex::encode(&profile.interface_hash)),
                ("Operations", profile.operations.join(", ")),
                ("Data class", format!("{:?}", profile.data_class)),
            ],
        ),
        Action::RetireService { service, reason } => (
            "Propose to retire a service",
            vec![("Service", service.to_string()), ("Reason", reason)],
        ),
        Action::GrantAccess(request) => (
            "Propose to grant access",
            vec![
                ("Service", request.service.to_string()),
                ("Organisation", request.organisation.to_string()),
                ("Operations", request.operations.join(", ")),
                ("Purpose", request.purpose),
                (
                    "Until (nanoseconds since 1970)",
                    request.valid_until_ns.to_string(),
                ),
            ],
        ),
        Action::RevokeAccess {
            service,
            organisation,
            reason,
        } => (
            "Propose to revoke access",
            vec![
                ("Service", service.to_string()),
                ("Organisation", organisation.to_string()),
                ("Reason", reason),
            ],
        ),
        Action::RecordCanister(profile) => (
            "Propose to record a canister",
            vec![
                ("Canister", profile.canister.to_text()),
                ("Organisation", profile.organisation.to_string()),
                ("Name", profile.name),
                (
                    "Module hash",
                    profile.module_hash.map_or("any".into(), hex::encode),
                ),
                ("Data class", format!("{:?}", profile.data_class)),
            ],
        ),
        Action::RemoveCanister { canister, reason } => (
            "Propose to remove a canister from the inventory",
            vec![("Canister", canister.to_text()), ("Reason", reason)],
        ),
        Action::RecordSite(site) => (
            "Propose to record a site",
            vec![
                ("Site", site.slug),
                ("City", site.city),
                ("Country", site.country),
                ("Operator", site.operator),
            ],
        ),
        Action::RemoveSite { slug } => ("Propose to remove a site", vec![("Site", slug)]),
        Action::RecordNode(node) => (
            "Propose to record a node",
            vec![("Node", node.node.to_text()), ("Site", node.site)],
        ),
        Action::RemoveNode { node } => ("Propose to remove a node", vec![("Node", node.to_text())]),
        Action::Configure {
            canister,
            configuration,
        } => (
            "Propose a canister's configuration",
            vec![
                ("Canister", canister.to_text()),
                ("Configuration (Candid)", hex::encode(&configuration)),
            ],
        ),
        Action::Upgrade(order) => (
            "Propose to upgrade a canister",
            vec![
                ("Canister", order.canister.to_text()),
                ("Version", order.version),
                ("Module hash", hex::encode(&order.module_hash)),
                ("Argument hash", hex::encode(&order.argument_hash)),
                ("Module hash now", hex::encode(&order.previous_hash)),
                ("Source commit", order.source_commit),
            ],
        ),
        Action::SetGovernors { governors } => {
            let named = governors
                .iter()
                .map(|one| format!("{} of {}", one.principal, one.organisation));
            (
                "Propose other governors",
                vec![("Governors", named.collect::<Vec<_>>().join(", "))],
            )
        }
        Action::SetQuorums(quorums) => {
            let of = |quorum: indus_api::registry::Quorum| {
                format!(
                    "{} governors of {} organisations",
                    quorum.approvals, quorum.organisations
                )
            };
            (
                "Propose other quorums",
                vec![
                    ("Ordinary", of(quorums.ordinary)),
                    ("Constitutional", of(quorums.constitutional)),
                ],
            )
        }
        Action::SetResidencyPolicy(policy) => (
            "Propose where the subnet has to be",
            vec![
                ("Countries", policy.countries.join(", ")),
                ("Sites at least", policy.min_sites.to_string()),
                ("Operators at least", policy.min_operators.to_string()),
                ("Nodes at least", policy.min_nodes.to_string()),
                (
                    "Percent of one operator at most",
                    policy.max_operator_percent.to_string(),
                ),
            ],
        ),
    }
}

fn of_change(organisation: u64, change: OrganisationChange) -> (&'static str, Fields) {
    let id = ("Organisation", organisation.to_string());
    match change {
        OrganisationChange::Suspend { reason } => (
            "Propose to suspend an organisation",
            vec![id, ("Reason", reason)],
        ),
        OrganisationChange::Reinstate { reason } => (
            "Propose to reinstate an organisation",
            vec![id, ("Reason", reason)],
        ),
        OrganisationChange::Revoke { reason } => (
            "Propose to revoke an organisation",
            vec![id, ("Reason", reason)],
        ),
        OrganisationChange::SetAdministrators { administrators } => {
            let named = administrators.iter().map(Principal::to_text);
            (
                "Propose an organisation's administrators",
                vec![id, ("Administrators", named.collect::<Vec<_>>().join(", "))],
            )
        }
    }
}
