//! `indus access`: who may use which service.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use indus_api::registry::{Access, CheckAccessArgs};
use indus_client::RegistryClient;

use crate::commands::network::Network;
use crate::commands::sheet;
use crate::console::Console;
use crate::failure::Failure;
use crate::proof::Proof;
use crate::when;

/// Rights to use services: check one. `indus proposal propose` grants and revokes them.
#[derive(Args)]
pub(crate) struct Command {
    #[command(flatten)]
    network: Network,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Whether an organisation may use an operation of a service, from certified records: exit code 0 if it may, 1 if not.
    Check(Check),
}

#[derive(Args)]
struct Check {
    /// Who wants to use it.
    #[arg(long, value_name = "ID")]
    organisation: u64,
    #[arg(long, value_name = "ID")]
    service: u64,
    #[arg(long, value_name = "NAME")]
    operation: String,
    /// Write the proof, of a refusal too, into a file for `indus verify`, in place of what is there.
    #[arg(long, value_name = "PROOF")]
    out: Option<PathBuf>,
}

/// Does it.
pub(crate) async fn access(command: Command, console: &mut Console) -> Result<(), Failure> {
    let Command { network, verb } = command;
    let Verb::Check(options) = verb;
    let args = CheckAccessArgs {
        organisation: options.organisation,
        service: options.service,
        operation: options.operation,
    };
    let registry = network.registry()?;
    let answer = registry.access_answer_unverified(&args).await;
    let answer = answer.map_err(Failure::failed)?;
    let verified = registry.verify_access(&args, &answer);
    let (access, at) = verified.map_err(Failure::failed)?;
    if let Some(path) = &options.out {
        let labels = |path: Vec<_>| path.into_iter().map(serde_bytes::ByteBuf::into_vec);
        let proof = Proof {
            canister: registry.canister(),
            paths: RegistryClient::access_paths(&args)
                .map(|path| labels(path).collect())
                .to_vec(),
            certificate: answer.certificate.into_vec(),
            witness: answer.witness.into_vec(),
        };
        proof
            .save(path)
            .map_err(|error| Failure::file(path, error))?;
    }
    let (allowed, reason) = words(access);
    let shown = vec![
        ("allowed", allowed.into()),
        ("reason", reason.clone().into()),
        ("certified_at", when::utc(at).into()),
    ];
    sheet::show(shown, network.json, console);
    if allowed {
        Ok(())
    } else {
        Err(Failure::Failed(format!("not allowed: {reason}")))
    }
}

/// Whether it is allowed, and why.
fn words(access: Access) -> (bool, String) {
    let refused = |reason: &str| (false, String::from(reason));
    match access {
        Access::Allowed { until_ns } => {
            let until = when::utc(indus_verify::Time::from_nanos(until_ns));
            (true, format!("granted until {until}"))
        }
        Access::OrganisationNotActive => {
            refused("the organisation is not active, or there is none")
        }
        Access::ServiceNotPublished => refused("the service is retired, or there is none"),
        Access::NoGrant => refused("the organisation has no right to the service"),
        Access::OperationNotGranted => refused("the right does not include this operation"),
        Access::Expired => refused("the right is over"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_right_that_holds_is_allowed() {
        assert_eq!(
            words(Access::Allowed { until_ns: 0 }),
            (true, "granted until 1970-01-01T00:00:00Z".into())
        );
        for refused in [
            Access::OrganisationNotActive,
            Access::ServiceNotPublished,
            Access::NoGrant,
            Access::OperationNotGranted,
            Access::Expired,
        ] {
            assert!(!words(refused).0, "{refused:?}");
        }
    }
}
