//! The actions that can be proposed, as options of the command line. Only an application makes a proposal to admit.

use std::fs;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use candid::Principal;
use clap::{Subcommand, ValueEnum};
use indus_api::registry::{
    Action, CanisterProfile, DataClass, Governor, GrantRequest, Node, OrganisationChange, Quorum,
    Quorums, ResidencyPolicy, ServiceProfile, Site, UpgradeOrder,
};
use serde_bytes::ByteBuf;
use sha2::{Digest, Sha256};

use crate::failure::Failure;
use crate::when;

#[derive(Subcommand)]
pub(crate) enum Options {
    /// An organisation may not act for now.
    Suspend(OfOrganisation),
    /// A suspended organisation may act again.
    Reinstate(OfOrganisation),
    /// An organisation will never act again.
    Revoke(OfOrganisation),
    /// Who acts for an organisation.
    SetAdministrators {
        #[arg(long, value_name = "ID")]
        organisation: u64,
        /// Can be given many times.
        #[arg(long = "administrator", value_name = "PRINCIPAL", required = true)]
        administrators: Vec<Principal>,
    },
    /// A service becomes findable.
    PublishService {
        /// Who publishes it.
        #[arg(long, value_name = "ID")]
        organisation: u64,
        /// Short name.
        #[arg(long)]
        slug: String,
        #[arg(long)]
        name: String,
        /// The canister that serves it.
        #[arg(long, value_name = "ID")]
        canister: Principal,
        /// Its Candid interface file; the SHA-256 of it is published.
        #[arg(long, value_name = "FILE")]
        interface: PathBuf,
        /// An operation that can be granted; can be given many times.
        #[arg(long = "operation", value_name = "NAME", required = true)]
        operations: Vec<String>,
        /// What it handles at most.
        #[arg(long, value_enum)]
        data_class: Class,
    },
    /// Nobody may use a service any more.
    RetireService {
        #[arg(long, value_name = "ID")]
        service: u64,
        #[arg(long)]
        reason: String,
    },
    /// An organisation may use a service, in place of the right that it has.
    GrantAccess {
        #[arg(long, value_name = "ID")]
        service: u64,
        /// Who may use it.
        #[arg(long, value_name = "ID")]
        organisation: u64,
        /// An operation of the service; can be given many times.
        #[arg(long = "operation", value_name = "NAME", required = true)]
        operations: Vec<String>,
        /// What for.
        #[arg(long)]
        purpose: String,
        /// For how long from now, such as 365d.
        #[arg(long, value_name = "DURATION", value_parser = when::duration)]
        valid_for: Duration,
    },
    /// An organisation may not use a service any more.
    RevokeAccess {
        #[arg(long, value_name = "ID")]
        service: u64,
        #[arg(long, value_name = "ID")]
        organisation: u64,
        #[arg(long)]
        reason: String,
    },
    /// A canister comes into the inventory, or what is declared of it changes.
    RecordCanister {
        #[arg(long, value_name = "ID")]
        canister: Principal,
        /// Who answers for it.
        #[arg(long, value_name = "ID")]
        organisation: u64,
        /// Written like a short name.
        #[arg(long)]
        name: String,
        /// SHA-256 of the module that it should run [default: any].
        #[arg(long, value_name = "HEX")]
        module_hash: Option<Hash>,
        #[arg(long, value_enum)]
        data_class: Class,
    },
    /// A canister leaves the inventory.
    RemoveCanister {
        #[arg(long, value_name = "ID")]
        canister: Principal,
        #[arg(long)]
        reason: String,
    },
    /// A data centre, or a change of it.
    RecordSite {
        /// Short name.
        #[arg(long)]
        slug: String,
        #[arg(long)]
        city: String,
        /// ISO 3166-1 alpha-2, such as PK.
        #[arg(long)]
        country: String,
        /// Who runs it, written like a short name.
        #[arg(long)]
        operator: String,
    },
    /// A data centre leaves the list.
    RemoveSite {
        #[arg(long)]
        slug: String,
    },
    /// A node at a site, or its move there.
    RecordNode {
        #[arg(long, value_name = "PRINCIPAL")]
        node: Principal,
        /// Short name of the site.
        #[arg(long, value_name = "SLUG")]
        site: String,
    },
    /// A node leaves its site.
    RemoveNode {
        #[arg(long, value_name = "PRINCIPAL")]
        node: Principal,
    },
    /// Where the subnet has to be.
    ResidencyPolicy {
        /// ISO 3166-1 alpha-2; can be given many times.
        #[arg(long = "country", value_name = "CODE", required = true)]
        countries: Vec<String>,
        #[arg(long, value_name = "N")]
        min_sites: u32,
        #[arg(long, value_name = "N")]
        min_operators: u32,
        #[arg(long, value_name = "N")]
        min_nodes: u32,
        /// Most nodes of one operator, in percent of all.
        #[arg(long, value_name = "PERCENT")]
        max_operator_percent: u32,
    },
    /// A canister's configuration.
    Configure {
        #[arg(long, value_name = "ID")]
        canister: Principal,
        /// Binary Candid of the canister's Configuration.
        #[arg(long, value_name = "FILE")]
        configuration: PathBuf,
    },
    /// An upgrade of a canister, exactly as it is to be carried out.
    Upgrade {
        #[arg(long, value_name = "ID")]
        canister: Principal,
        /// SHA-256 of the module as it is installed.
        #[arg(long, value_name = "HEX")]
        module_hash: Hash,
        /// SHA-256 of the argument [default: that of no argument].
        #[arg(long, value_name = "HEX")]
        argument_hash: Option<Hash>,
        /// SHA-256 of the module that is replaced.
        #[arg(long, value_name = "HEX")]
        previous_hash: Hash,
        /// Commit of the source.
        #[arg(long, value_name = "HEX")]
        source_commit: String,
        /// Version of the source.
        #[arg(long)]
        version: String,
    },
    /// All governors from now on.
    SetGovernors {
        /// A governor and the organisation that they are of, such as aaaaa-aa@7; can be given many times.
        #[arg(long = "governor", value_name = "PRINCIPAL@ID", required = true, value_parser = governor)]
        governors: Vec<Governor>,
    },
    /// How many governors have to agree, and of how many organisations, such as 3@2.
    SetQuorums {
        #[arg(long, value_name = "N@N", value_parser = quorum)]
        ordinary: Quorum,
        #[arg(long, value_name = "N@N", value_parser = quorum)]
        constitutional: Quorum,
    },
}

#[derive(clap::Args)]
pub(crate) struct OfOrganisation {
    #[arg(long, value_name = "ID")]
    organisation: u64,
    #[arg(long)]
    reason: String,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Class {
    Public,
    Official,
    Confidential,
    Secret,
}

impl From<Class> for DataClass {
    fn from(class: Class) -> Self {
        match class {
            Class::Public => Self::Public,
            Class::Official => Self::Official,
            Class::Confidential => Self::Confidential,
            Class::Secret => Self::Secret,
        }
    }
}

/// 32 bytes in hexadecimal.
#[derive(Clone)]
pub(crate) struct Hash([u8; 32]);

impl FromStr for Hash {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut hash = [0; 32];
        hex::decode_to_slice(text, &mut hash).map_err(|_| "a SHA-256 is 64 hexadecimal digits")?;
        Ok(Self(hash))
    }
}

impl From<Hash> for ByteBuf {
    fn from(Hash(hash): Hash) -> Self {
        Self::from(hash.to_vec())
    }
}

fn governor(text: &str) -> Result<Governor, String> {
    let (principal, organisation) = text
        .split_once('@')
        .ok_or("a governor is a principal, @, and the id of an organisation")?;
    Ok(Governor {
        principal: Principal::from_text(principal).map_err(|error| error.to_string())?,
        organisation: organisation
            .parse()
            .map_err(|_| "an organisation's id is a number")?,
    })
}

fn quorum(text: &str) -> Result<Quorum, &'static str> {
    let both = text.split_once('@').and_then(|(approvals, organisations)| {
        Some((approvals.parse().ok()?, organisations.parse().ok()?))
    });
    let (approvals, organisations) =
        both.ok_or("a quorum is a number of governors, @, and a number of organisations")?;
    Ok(Quorum {
        approvals,
        organisations,
    })
}

/// The action. `now_ns`: what durations count from, in nanoseconds since 1970.
pub(crate) fn action(options: Options, now_ns: u64) -> Result<Action, Failure> {
    let of = |OfOrganisation {
                  organisation,
                  reason,
              },
              change: fn(String) -> OrganisationChange| Action::ChangeOrganisation {
        organisation,
        change: change(reason),
    };
    Ok(match options {
        Options::Suspend(options) => of(options, |reason| OrganisationChange::Suspend { reason }),
        Options::Reinstate(options) => {
            of(options, |reason| OrganisationChange::Reinstate { reason })
        }
        Options::Revoke(options) => of(options, |reason| OrganisationChange::Revoke { reason }),
        Options::SetAdministrators {
            organisation,
            administrators,
        } => Action::ChangeOrganisation {
            organisation,
            change: OrganisationChange::SetAdministrators { administrators },
        },
        Options::PublishService {
            organisation,
            slug,
            name,
            canister,
            interface,
            operations,
            data_class,
        } => Action::PublishService(ServiceProfile {
            organisation,
            slug,
            name,
            canister,
            interface_hash: ByteBuf::from(Sha256::digest(read(&interface)?).to_vec()),
            operations,
            data_class: data_class.into(),
        }),
        Options::RetireService { service, reason } => Action::RetireService { service, reason },
        Options::GrantAccess {
            service,
            organisation,
            operations,
            purpose,
            valid_for,
        } => Action::GrantAccess(GrantRequest {
            service,
            organisation,
            operations,
            purpose,
            valid_until_ns: u64::try_from(valid_for.as_nanos())
                .ok()
                .and_then(|ns| now_ns.checked_add(ns))
                .ok_or_else(|| Failure::Usage(String::from("--valid-for is too long")))?,
        }),
        Options::RevokeAccess {
            service,
            organisation,
            reason,
        } => Action::RevokeAccess {
            service,
            organisation,
            reason,
        },
        Options::RecordCanister {
            canister,
            organisation,
            name,
            module_hash,
            data_class,
        } => Action::RecordCanister(CanisterProfile {
            canister,
            organisation,
            name,
            module_hash: module_hash.map(Into::into),
            data_class: data_class.into(),
        }),
        Options::RemoveCanister { canister, reason } => Action::RemoveCanister { canister, reason },
        Options::RecordSite {
            slug,
            city,
            country,
            operator,
        } => Action::RecordSite(Site {
            slug,
            city,
            country,
            operator,
        }),
        Options::RemoveSite { slug } => Action::RemoveSite { slug },
        Options::RecordNode { node, site } => Action::RecordNode(Node { node, site }),
        Options::RemoveNode { node } => Action::RemoveNode { node },
        Options::ResidencyPolicy {
            countries,
            min_sites,
            min_operators,
            min_nodes,
            max_operator_percent,
        } => Action::SetResidencyPolicy(ResidencyPolicy {
            countries,
            min_sites,
            min_operators,
            min_nodes,
            max_operator_percent,
        }),
        Options::Configure {
            canister,
            configuration,
        } => Action::Configure {
            canister,
            configuration: ByteBuf::from(read(&configuration)?),
        },
        Options::Upgrade {
            canister,
            module_hash,
            argument_hash,
            previous_hash,
            source_commit,
            version,
        } => Action::Upgrade(UpgradeOrder {
            canister,
            module_hash: module_hash.into(),
            argument_hash: match argument_hash {
                Some(hash) => hash.into(),
                None => {
                    let none = candid::encode_args(()).map_err(Failure::failed)?;
                    ByteBuf::from(Sha256::digest(none).to_vec())
                }
            },
            previous_hash: previous_hash.into(),
            source_commit,
            version,
        }),
        Options::SetGovernors { governors } => Action::SetGovernors { governors },
        Options::SetQuorums {
            ordinary,
            constitutional,
        } => Action::SetQuorums(Quorums {
            ordinary,
            constitutional,
        }),
    })
}

fn read(path: &PathBuf) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| Failure::file(path, error))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(subcommand)]
        options: Options,
    }

    fn proposed(line: &str) -> Option<Action> {
        let words = std::iter::once("propose").chain(line.split(' '));
        let line = Line::try_parse_from(words).ok()?;
        action(line.options, 5).ok()
    }

    #[test]
    fn each_way_to_change_an_organisation_is_its_own() {
        let change = |verb: &str| proposed(&format!("{verb} --organisation 7 --reason late"));
        let reason = || String::from("late");
        for (verb, change_of) in [
            ("suspend", OrganisationChange::Suspend { reason: reason() }),
            (
                "reinstate",
                OrganisationChange::Reinstate { reason: reason() },
            ),
            ("revoke", OrganisationChange::Revoke { reason: reason() }),
        ] {
            let expected = Action::ChangeOrganisation {
                organisation: 7,
                change: change_of,
            };
            assert_eq!(change(verb), Some(expected), "{verb}");
        }
    }

    #[test]
    fn a_right_is_valid_from_now_on() {
        let line = "grant-access --service 1 --organisation 2 --operation read --operation list --purpose audit";
        let Some(Action::GrantAccess(request)) = proposed(&format!("{line} --valid-for 1s")) else {
            panic!("not a grant");
        };
        assert_eq!(request.valid_until_ns, 1_000_000_005);
        assert_eq!(request.operations, ["read", "list"]);
        assert_eq!(proposed(&format!("{line} --valid-for 9999999d")), None);
    }

    #[test]
    fn quorums_governors_and_hashes_are_read_exactly() {
        let expected = Quorum {
            approvals: 3,
            organisations: 2,
        };
        assert_eq!(quorum("3@2"), Ok(expected));
        assert!(quorum("3").is_err() && quorum("-1@2").is_err());
        assert_eq!(governor("aaaaa-aa@7").unwrap().organisation, 7);
        assert!(governor("aaaaa-ab@7").is_err() && governor("aaaaa-aa").is_err());
        assert!("ab".repeat(32).parse::<Hash>().is_ok());
        assert!("ab".repeat(31).parse::<Hash>().is_err());
    }

    #[test]
    fn a_file_that_is_missing_is_a_wrong_command_line() {
        let words = [
            "propose",
            "configure",
            "--canister",
            "aaaaa-aa",
            "--configuration",
            "/no/such",
        ];
        let line = Line::try_parse_from(words).unwrap();
        assert_eq!(action(line.options, 0).unwrap_err().exit_code(), 2);
    }
}
