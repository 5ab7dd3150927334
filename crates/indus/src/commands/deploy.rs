//! `indus deploy`: the suite on a subnet, from modules and a file of founders; and the proof that no key controls it.

use std::fs;
use std::path::{Path, PathBuf};

use candid::Principal;
use clap::Args;
use indus_api::registry::{
    Governor, InitArgs, OrganisationKind, OrganisationProfile, Quorum, Quorums,
};
use indus_client::{Deployment, RegistryClient};
use serde::Deserialize;

use crate::commands::app::named;
use crate::commands::network::Network;
use crate::commands::sheet::{self, Fields};
use crate::commands::signing::Consent;
use crate::console::Console;
use crate::failure::Failure;
use crate::suite::{self, Beginning, Canisters, Modules};

/// Deploys the suite, so that its canisters control each other and no key does; or proves that it is so.
#[derive(Args)]
pub(crate) struct Command {
    #[command(flatten)]
    network: Network,
    #[command(flatten)]
    consent: Consent,
    /// Only proves: each canister's module, controllers and whom it obeys, as the subnet certifies them. Exit code 1 unless all are as they
    /// should be.
    #[arg(long)]
    verify: bool,
    /// Who founds the registry, and who keeps the lifeline (JSON, see docs/operator.md).
    #[arg(long, value_name = "FILE", required_unless_present = "verify")]
    founding: Option<PathBuf>,
    /// A canister that is there, empty and controlled by the key, such as identity=rrkah-fqaaa-aaaaa-aaaaq-cai; those that are not named are
    /// created, where the network gives cycles for tests.
    #[arg(long = "canister", value_name = "NAME=ID", value_parser = named)]
    canisters: Vec<(String, Principal)>,
    /// Folder of the modules.
    #[arg(long, value_name = "DIR", default_value = "target/canisters")]
    modules: PathBuf,
    /// An id on the subnet, by which canisters are created [default: that of a canister that is named].
    #[arg(long, value_name = "ID")]
    anywhere: Option<Principal>,
}

/// The file of founders.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Founding {
    /// The founding organisations, with a governor each.
    founders: Vec<Founder>,
    /// Approvals, and organisations that they have to be of.
    ordinary: [u32; 2],
    constitutional: [u32; 2],
    /// Keys of the lifeline's keepers.
    keepers: Vec<Principal>,
    threshold: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Founder {
    slug: String,
    name: String,
    sector: String,
    seat: String,
    governor: Principal,
}

impl Founding {
    fn load(path: &Path) -> Result<Beginning, Failure> {
        let text = fs::read_to_string(path).map_err(|error| Failure::file(path, error))?;
        let founding: Self =
            serde_json::from_str(&text).map_err(|error| Failure::file(path, error))?;
        let Self {
            founders,
            ordinary,
            constitutional,
            keepers,
            threshold,
        } = founding;
        let quorum = |[approvals, organisations]: [u32; 2]| Quorum {
            approvals,
            organisations,
        };
        Ok(Beginning {
            founding: InitArgs {
                governors: (1..)
                    .zip(&founders)
                    .map(|(organisation, founder)| Governor {
                        principal: founder.governor,
                        organisation,
                    })
                    .collect(),
                founders: founders.into_iter().map(profile).collect(),
                quorums: Quorums {
                    ordinary: quorum(ordinary),
                    constitutional: quorum(constitutional),
                },
            },
            seats: None,
            keepers,
            threshold,
        })
    }
}

fn profile(founder: Founder) -> OrganisationProfile {
    OrganisationProfile {
        slug: founder.slug,
        name: founder.name,
        kind: OrganisationKind::Agency,
        parent: None,
        sector: founder.sector,
        seat: founder.seat,
    }
}

/// Does it.
pub(crate) async fn deploy(command: Command, console: &mut Console) -> Result<(), Failure> {
    if !command.verify {
        deployed(&command, console).await?;
    }
    verified(&command.network, console).await
}

async fn deployed(command: &Command, console: &mut Console) -> Result<(), Failure> {
    let network = &command.network;
    let Some(founding) = &command.founding else {
        return Err(Failure::Usage("name the founders with --founding".into()));
    };
    let beginning = Founding::load(founding)?;
    let modules = Modules::load(&command.modules).map_err(Failure::failed)?;
    let key = network.signing_key()?;
    let mut trust = network.connection()?.trust().clone();
    let names = [
        "registry",
        "identity",
        "license_manager",
        "messaging",
        "app_hosting",
        "lifeline",
    ];
    if let Some((name, _)) = command
        .canisters
        .iter()
        .find(|(name, _)| !names.contains(&&**name))
    {
        return Err(Failure::Usage(format!("there is no canister {name}")));
    }
    trust.canisters.extend(command.canisters.iter().cloned());
    let missing: Vec<_> = names
        .into_iter()
        .filter(|name| !trust.canisters.contains_key(*name))
        .collect();
    let about: Fields = vec![
        (
            "this_would",
            "Deploy the suite, and give its control away".into(),
        ),
        ("network", trust.network.as_str().into()),
        ("founders", beginning.founding.founders.len().into()),
        (
            "keepers",
            format!("{} of {}", beginning.threshold, beginning.keepers.len()).into(),
        ),
        ("created", missing.join(", ").into()),
        ("deployed_by", key.principal().to_text().into()),
    ];
    command.consent.agree(about, network.json, console)?;
    let deployer = Deployment::new(network.connection()?.signing_as(&key));
    let anywhere = command.anywhere;
    for name in missing {
        let anywhere = anywhere.or_else(|| trust.canisters.values().next().copied());
        let Some(anywhere) = anywhere else {
            let reason =
                "no canister of the subnet is known to create others by: name one with --anywhere";
            return Err(Failure::Usage(reason.into()));
        };
        let canister = deployer.create(anywhere).await.map_err(Failure::failed)?;
        trust.canisters.insert(name.into(), canister);
        // What was created is not created again, whatever comes next.
        network.save(&trust)?;
    }
    network.save(&trust)?;
    let canisters = Canisters::of(&trust).map_err(Failure::failed)?;
    let done = suite::deploy(&deployer, &canisters, &modules, &beginning).await;
    done.map_err(Failure::failed)
}

/// Shows who controls what.
async fn verified(network: &Network, console: &mut Console) -> Result<(), Failure> {
    let connection = network.connection()?;
    let canisters = Canisters::of(connection.trust()).map_err(Failure::failed)?;
    let registry = RegistryClient::new(connection.clone()).map_err(Failure::failed)?;
    let reader = Deployment::new(connection);
    let controls = suite::controls(&reader, &canisters).await;
    let controls = controls.map_err(Failure::failed)?;
    let mut things = Vec::new();
    let mut wrong = Vec::new();
    for control in &controls {
        let entry = registry.canister_entry(control.canister).await;
        let entry = entry.map_err(Failure::failed)?.value;
        let declared = entry.and_then(|entry| entry.profile.module_hash);
        let declared = declared.map(|hash| {
            control
                .module
                .is_some_and(|module| module.as_bytes()[..] == hash[..])
        });
        if !control.is_of_suite() || declared == Some(false) {
            wrong.push(control.name);
        }
        things.push(vec![
            ("name", control.name.into()),
            ("canister", control.canister.to_text().into()),
            (
                "control",
                if control.is_right { "right" } else { "wrong" }.into(),
            ),
            (
                "obeys",
                match control.obeys {
                    Some(true) => "the suite",
                    Some(false) => "another canister",
                    None => "nothing",
                }
                .into(),
            ),
            (
                "declared",
                match declared {
                    Some(true) => "as it runs",
                    Some(false) => "another module",
                    None => "not yet",
                }
                .into(),
            ),
            ("module", control.module.map(|hash| hash.to_string()).into()),
            ("controllers", sheet::principals(&control.controllers)),
        ]);
    }
    let columns = ["name", "canister", "control", "obeys", "declared", "module"];
    sheet::list(&columns, things, None, network.json, console);
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Failure::Failed(format!(
        "not as it should be: {}",
        wrong.join(", ")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{
        "founders": [
            { "slug": "council", "name": "Council", "sector": "governance", "seat": "Islamabad", "governor": "rrkah-fqaaa-aaaaa-aaaaq-cai" }
        ],
        "ordinary": [1, 1], "constitutional": [1, 1],
        "keepers": ["rrkah-fqaaa-aaaaa-aaaaq-cai"], "threshold": 1
    }"#;

    fn load(text: &str) -> Result<Beginning, Failure> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("founding.json");
        fs::write(&path, text).unwrap();
        Founding::load(&path)
    }

    #[test]
    fn founders_have_a_governor_each() {
        let beginning = load(GOOD).unwrap();
        assert_eq!(beginning.founding.founders[0].slug, "council");
        assert_eq!(beginning.founding.governors[0].organisation, 1);
        assert_eq!((beginning.keepers.len(), beginning.threshold), (1, 1));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for wrong in [
            GOOD.replace("threshold", "treshold"),
            GOOD.replace("rrkah-", "rrkai-"),
            String::new(),
        ] {
            assert!(load(&wrong).is_err(), "{wrong}");
        }
    }
}
