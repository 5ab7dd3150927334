//! What a proposal would do, in words: what a governor reads before signing.
//!
//! Invariant: every action and every field of it is shown. The matches have no wildcard, and name all fields, so that an
//! action or a field that is added does not compile until it has its words.

use candid::IDLArgs;
use candid::de::DecoderConfig;
use indus_api::registry::{
    Action, Application, CanisterProfile, Governor, GrantRequest, Node, OrganisationChange,
    OrganisationProfile, Quorum, Quorums, ResidencyPolicy, ServiceProfile, Site, UpgradeOrder,
};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::commands::sheet::{self, Fields};

/// Most work to decode a configuration, in Candid's units (about one for each byte): it has at most 10 KiB.
const DECODING_QUOTA: usize = 1_000_000;

/// A sentence, and all that it is about.
pub(crate) fn words(action: &Action) -> (&'static str, Fields) {
    match action {
        Action::Admit(Application {
            organisation,
            applicant,
            profile,
        }) => {
            let mut fields: Fields = vec![
                ("organisation", (*organisation).into()),
                ("applicant", applicant.to_text().into()),
            ];
            fields.extend(of_organisation(profile));
            ("Admit an organisation", fields)
        }
        Action::ChangeOrganisation {
            organisation,
            change,
        } => of_change(*organisation, change),
        Action::PublishService(profile) => ("Publish a service", of_service(profile)),
        Action::RetireService { service, reason } => (
            "Retire a service: nobody may use it any more",
            vec![
                ("service", (*service).into()),
                ("reason", reason.clone().into()),
            ],
        ),
        Action::GrantAccess(GrantRequest {
            service,
            organisation,
            operations,
            purpose,
            valid_until_ns,
        }) => (
            "Let an organisation use a service, in place of the right that it has",
            vec![
                ("service", (*service).into()),
                ("organisation", (*organisation).into()),
                ("operations", operations.clone().into()),
                ("purpose", purpose.clone().into()),
                ("valid_until", sheet::time(*valid_until_ns)),
            ],
        ),
        Action::RevokeAccess {
            service,
            organisation,
            reason,
        } => (
            "End an organisation's right to use a service",
            vec![
                ("service", (*service).into()),
                ("organisation", (*organisation).into()),
                ("reason", reason.clone().into()),
            ],
        ),
        Action::RecordCanister(CanisterProfile {
            canister,
            organisation,
            name,
            module_hash,
            data_class,
        }) => (
            "Record a canister in the inventory, or what is declared of it",
            vec![
                ("canister", canister.to_text().into()),
                ("organisation", (*organisation).into()),
                ("name", name.clone().into()),
                (
                    "module_hash",
                    module_hash
                        .as_ref()
                        .map_or_else(|| "any".into(), |hash| sheet::bytes(hash)),
                ),
                ("data_class", format!("{data_class:?}").into()),
            ],
        ),
        Action::RemoveCanister { canister, reason } => (
            "Remove a canister from the inventory",
            vec![
                ("canister", canister.to_text().into()),
                ("reason", reason.clone().into()),
            ],
        ),
        Action::RecordSite(Site {
            slug,
            city,
            country,
            operator,
        }) => (
            "Record a site, or a change of it",
            vec![
                ("site", slug.clone().into()),
                ("city", city.clone().into()),
                ("country", country.clone().into()),
                ("operator", operator.clone().into()),
            ],
        ),
        Action::RemoveSite { slug } => ("Remove a site", vec![("site", slug.clone().into())]),
        Action::RecordNode(Node { node, site }) => (
            "Record a node at a site, or its move there",
            vec![
                ("node", node.to_text().into()),
                ("site", site.clone().into()),
            ],
        ),
        Action::RemoveNode { node } => ("Remove a node", vec![("node", node.to_text().into())]),
        Action::Configure {
            canister,
            configuration,
        } => (
            "Decide a canister's configuration",
            vec![
                ("canister", canister.to_text().into()),
                (
                    "configuration",
                    candid_text(configuration)
                        .map_or_else(|| sheet::bytes(configuration), Value::from),
                ),
                (
                    "configuration_sha256",
                    sheet::bytes(&Sha256::digest(configuration)),
                ),
            ],
        ),
        Action::Upgrade(UpgradeOrder {
            canister,
            module_hash,
            argument_hash,
            previous_hash,
            source_commit,
            version,
        }) => (
            "Upgrade a canister, exactly so",
            vec![
                ("canister", canister.to_text().into()),
                ("version", version.clone().into()),
                ("module_hash", sheet::bytes(module_hash)),
                ("argument_hash", sheet::bytes(argument_hash)),
                ("replaces_module", sheet::bytes(previous_hash)),
                ("source_commit", source_commit.clone().into()),
            ],
        ),
        Action::SetGovernors { governors } => (
            "Replace all governors (constitutional)",
            vec![("governors", governors.iter().map(of_governor).collect())],
        ),
        Action::SetQuorums(Quorums {
            ordinary,
            constitutional,
        }) => (
            "Change how many governors decide (constitutional)",
            vec![
                ("ordinary", quorum(*ordinary).into()),
                ("constitutional", quorum(*constitutional).into()),
            ],
        ),
        Action::SetResidencyPolicy(ResidencyPolicy {
            countries,
            min_sites,
            min_operators,
            min_nodes,
            max_operator_percent,
        }) => (
            "Decide where the subnet has to be (constitutional)",
            vec![
                ("countries", countries.clone().into()),
                ("sites_at_least", (*min_sites).into()),
                ("operators_at_least", (*min_operators).into()),
                ("nodes_at_least", (*min_nodes).into()),
                (
                    "percent_of_one_operator_at_most",
                    (*max_operator_percent).into(),
                ),
            ],
        ),
    }
}

fn of_change(organisation: u64, change: &OrganisationChange) -> (&'static str, Fields) {
    let with = |name: &'static str, value: Value| -> Fields {
        vec![("organisation", organisation.into()), (name, value)]
    };
    match change {
        OrganisationChange::Suspend { reason } => (
            "Suspend an organisation: it may not act for now",
            with("reason", reason.clone().into()),
        ),
        OrganisationChange::Reinstate { reason } => (
            "Reinstate an organisation: it may act again",
            with("reason", reason.clone().into()),
        ),
        OrganisationChange::Revoke { reason } => (
            "Revoke an organisation: it will never act again",
            with("reason", reason.clone().into()),
        ),
        OrganisationChange::SetAdministrators { administrators } => (
            "Replace the administrators of an organisation",
            with("administrators", sheet::principals(administrators)),
        ),
    }
}

fn of_organisation(profile: &OrganisationProfile) -> Fields {
    let OrganisationProfile {
        slug,
        name,
        kind,
        parent,
        sector,
        seat,
    } = profile;
    vec![
        ("slug", slug.clone().into()),
        ("name", name.clone().into()),
        ("kind", format!("{kind:?}").into()),
        ("parent", (*parent).into()),
        ("sector", sector.clone().into()),
        ("seat", seat.clone().into()),
    ]
}

fn of_service(profile: &ServiceProfile) -> Fields {
    let ServiceProfile {
        organisation,
        slug,
        name,
        canister,
        interface_hash,
        operations,
        data_class,
    } = profile;
    vec![
        ("organisation", (*organisation).into()),
        ("slug", slug.clone().into()),
        ("name", name.clone().into()),
        ("canister", canister.to_text().into()),
        ("interface_hash", sheet::bytes(interface_hash)),
        ("operations", operations.clone().into()),
        ("data_class", format!("{data_class:?}").into()),
    ]
}

fn of_governor(governor: &Governor) -> Value {
    let Governor {
        principal,
        organisation,
    } = governor;
    format!("{principal} of organisation {organisation}").into()
}

/// A quorum in words.
pub(crate) fn quorum(quorum: Quorum) -> String {
    let Quorum {
        approvals,
        organisations,
    } = quorum;
    format!("{approvals} governors, of {organisations} organisations")
}

/// A configuration as Candid text. Names of fields are numbers in it: the bytes don't hold them.
fn candid_text(bytes: &[u8]) -> Option<String> {
    let mut config = DecoderConfig::new();
    config.set_decoding_quota(DECODING_QUOTA);
    let decoded = IDLArgs::from_bytes_with_config(bytes, &config).ok()?;
    // Of one line, as all fields are.
    let text = decoded.to_string();
    Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use candid::Principal;
    use serde_bytes::ByteBuf;

    use super::*;

    fn text(action: &Action) -> String {
        let (sentence, fields) = words(action);
        format!("{sentence}: {}", sheet::document(fields))
    }

    #[test]
    fn an_admission_tells_who_applied_and_with_what() {
        let action = Action::Admit(Application {
            organisation: 7,
            applicant: Principal::anonymous(),
            profile: OrganisationProfile {
                slug: "pta".into(),
                name: "Telecommunication Authority".into(),
                kind: indus_api::registry::OrganisationKind::Agency,
                parent: None,
                sector: "telecom".into(),
                seat: "Islamabad".into(),
            },
        });
        assert_eq!(
            text(&action),
            "Admit an organisation: {\"applicant\":\"2vxsx-fae\",\"kind\":\"Agency\",\"name\":\"Telecommunication \
             Authority\",\"organisation\":7,\"parent\":null,\"seat\":\"Islamabad\",\"sector\":\"telecom\",\"slug\":\"pta\"}"
        );
    }

    #[test]
    fn the_changes_of_an_organisation_differ_in_words() {
        let reason = || String::from("inspection");
        let sentence = |change| {
            words(&Action::ChangeOrganisation {
                organisation: 7,
                change,
            })
            .0
        };
        assert!(sentence(OrganisationChange::Suspend { reason: reason() }).starts_with("Suspend"));
        assert!(
            sentence(OrganisationChange::Reinstate { reason: reason() }).starts_with("Reinstate")
        );
        assert!(sentence(OrganisationChange::Revoke { reason: reason() }).starts_with("Revoke"));
    }

    #[test]
    fn a_configuration_is_shown_as_candid_or_else_as_bytes() {
        let configure = |bytes: Vec<u8>| Action::Configure {
            canister: Principal::management_canister(),
            configuration: ByteBuf::from(bytes),
        };
        let good = text(&configure(candid::encode_one("dark").unwrap()));
        assert!(good.contains(r#""configuration":"(\"dark\")""#), "{good}");
        let bad = text(&configure(vec![0xab, 0xcd]));
        assert!(bad.contains(r#""configuration":"abcd""#), "{bad}");
    }
}
