//! What an instance is asked to be, read into what a network can be.
//!
//! What this server can't do is refused in words that name the field; what makes no difference here is taken and
//! ignored: log levels, `icp_config`, `incomplete_state`.

use std::time::Duration;

use engine::{CostSchedule, NetworkConfig, SubnetConfig, Time};
use pocket_ic::common::rest::{
    CanisterCyclesCostSchedule, ExtendedSubnetConfigSet, IcpFeatures, InitialTime, InstanceConfig,
    InstanceHttpGatewayConfig, SubnetInstructionConfig, SubnetKind, SubnetSpec,
};
use sha2::{Digest as _, Sha256};

/// When an instance begins where it isn't asked otherwise: 2021-05-06 19:17:10 UTC.
pub(super) const GENESIS: Time = Time(1_620_328_630_000_000_000);
/// Most subnets of an instance.
const MAX_SUBNETS: usize = 100;

/// How to set up an instance.
#[derive(Debug)]
pub(super) struct Setup {
    pub network: NetworkConfig,
    /// The kinds of the subnets, in their order.
    pub kinds: Vec<SubnetKind>,
    /// Follow the wall clock, with so long a pause between rounds.
    pub live: Option<Duration>,
    pub gateway: Option<InstanceHttpGatewayConfig>,
    pub authenticates: bool,
}

/// Reads a configuration.
///
/// # Errors
/// It contradicts itself, or asks for what this server can't do.
pub(super) fn read(config: InstanceConfig) -> Result<Setup, String> {
    let features = config.icp_features.unwrap_or_default();
    if let Some(name) = first_feature(&features) {
        return Err(format!(
            "icp_features.{name}: this server comes without system canisters; install one at its own id instead"
        ));
    }
    let unsupported = [
        (
            config.state_dir.is_some(),
            "state_dir",
            "state is kept in memory alone",
        ),
        (
            config.bitcoind_addr.is_some_and(|nodes| !nodes.is_empty()),
            "bitcoind_addr",
            "there is no Bitcoin adapter",
        ),
        (
            config.dogecoind_addr.is_some_and(|nodes| !nodes.is_empty()),
            "dogecoind_addr",
            "there is no Dogecoin adapter",
        ),
        (
            config.mainnet_nns_subnet_id == Some(true),
            "mainnet_nns_subnet_id",
            "the id of a subnet is that of its key",
        ),
    ];
    if let Some((_, field, why)) = unsupported.iter().find(|(asked, ..)| *asked) {
        return Err(format!("{field} is not supported: {why}"));
    }
    config.subnet_config_set.validate()?;
    let subnets = subnets(config.subnet_config_set);
    if subnets.len() > MAX_SUBNETS {
        return Err(format!("{} subnets, at most {MAX_SUBNETS}", subnets.len()));
    }
    let (start, live) = match config.initial_time {
        None => (GENESIS, None),
        Some(InitialTime::Timestamp(time)) if time.nanos_since_epoch < GENESIS.0 => {
            return Err(format!(
                "The initial timestamp (unix timestamp in nanoseconds) must be no earlier than {} (provided {}).",
                GENESIS.0, time.nanos_since_epoch
            ));
        }
        Some(InitialTime::Timestamp(time)) => (Time(time.nanos_since_epoch), None),
        Some(InitialTime::AutoProgress(config)) => {
            let delay = Duration::from_millis(config.artificial_delay_ms.unwrap_or(0));
            (GENESIS, Some(delay))
        }
    };
    let kinds = subnets.iter().map(|(kind, _)| *kind).collect();
    let subnets: Result<Vec<_>, String> = subnets
        .into_iter()
        .map(|(kind, spec)| subnet(kind, &spec))
        .collect();
    Ok(Setup {
        network: NetworkConfig {
            start,
            // The same for each instance: tests may rely on ids.
            seed: Sha256::digest(b"a PocketIC instance").into(),
            subnets: subnets?,
            module_cache: None,
        },
        kinds,
        live,
        gateway: config.http_gateway_config,
        authenticates: config.disable_ingress_validation != Some(true),
    })
}

/// The subnets, in the order in which they get their ids.
fn subnets(set: ExtendedSubnetConfigSet) -> Vec<(SubnetKind, SubnetSpec)> {
    let named = [
        (SubnetKind::NNS, set.nns),
        (SubnetKind::SNS, set.sns),
        (SubnetKind::II, set.ii),
        (SubnetKind::Fiduciary, set.fiduciary),
        (SubnetKind::Bitcoin, set.bitcoin),
        (SubnetKind::TestThresholdKeys, set.test_threshold_keys),
    ];
    let others = [
        (SubnetKind::System, set.system),
        (SubnetKind::Application, set.application),
        (SubnetKind::CloudEngine, set.cloud_engine),
        (SubnetKind::VerifiedApplication, set.verified_application),
    ];
    let named = named
        .into_iter()
        .filter_map(|(kind, spec)| Some((kind, spec?)));
    let others = others
        .into_iter()
        .flat_map(|(kind, specs)| specs.into_iter().map(move |spec| (kind, spec)));
    named.chain(others).collect()
}

fn subnet(kind: SubnetKind, spec: &SubnetSpec) -> Result<SubnetConfig, String> {
    if spec.get_state_path().is_some() || !spec.is_supported() {
        return Err(String::from(
            "state_config: subnets can only be `New`; state is kept in memory alone",
        ));
    }
    Ok(SubnetConfig {
        kind: match kind {
            SubnetKind::NNS => engine::SubnetKind::Nns,
            SubnetKind::SNS => engine::SubnetKind::Sns,
            SubnetKind::II => engine::SubnetKind::Ii,
            SubnetKind::Fiduciary => engine::SubnetKind::Fiduciary,
            SubnetKind::Bitcoin => engine::SubnetKind::Bitcoin,
            // It has nothing but its keys that a system subnet has not.
            SubnetKind::System | SubnetKind::TestThresholdKeys => engine::SubnetKind::System,
            SubnetKind::Application => engine::SubnetKind::Application,
            SubnetKind::CloudEngine => engine::SubnetKind::CloudEngine,
            SubnetKind::VerifiedApplication => engine::SubnetKind::VerifiedApplication,
        },
        cost_schedule: match spec.get_cost_schedule() {
            CanisterCyclesCostSchedule::Normal => CostSchedule::Normal,
            CanisterCyclesCostSchedule::Free => CostSchedule::Free,
        },
        admins: spec.get_subnet_admins().unwrap_or_default(),
        benchmarking: spec.get_instruction_config() == SubnetInstructionConfig::Benchmarking,
    })
}

pub(super) fn cost_schedule(schedule: CostSchedule) -> CanisterCyclesCostSchedule {
    match schedule {
        CostSchedule::Normal => CanisterCyclesCostSchedule::Normal,
        CostSchedule::Free => CanisterCyclesCostSchedule::Free,
    }
}

pub(super) fn instructions(benchmarking: bool) -> SubnetInstructionConfig {
    if benchmarking {
        SubnetInstructionConfig::Benchmarking
    } else {
        SubnetInstructionConfig::Production
    }
}

/// The first feature that is asked for. The pattern names all of them, so that a new one is not overlooked.
fn first_feature(features: &IcpFeatures) -> Option<&'static str> {
    let IcpFeatures {
        registry,
        cycles_minting,
        icp_token,
        cycles_token,
        nns_governance,
        sns,
        ii,
        nns_ui,
        bitcoin,
        dogecoin,
        canister_migration,
    } = features;
    let all = [
        (registry, "registry"),
        (cycles_minting, "cycles_minting"),
        (icp_token, "icp_token"),
        (cycles_token, "cycles_token"),
        (nns_governance, "nns_governance"),
        (sns, "sns"),
        (ii, "ii"),
        (nns_ui, "nns_ui"),
        (bitcoin, "bitcoin"),
        (dogecoin, "dogecoin"),
        (canister_migration, "canister_migration"),
    ];
    let asked = all.iter().find(|(feature, _)| feature.is_some());
    asked.map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use pocket_ic::common::rest::{IcpFeaturesConfig, RawTime};

    use super::*;

    fn with(subnet_config_set: ExtendedSubnetConfigSet) -> InstanceConfig {
        InstanceConfig {
            subnet_config_set,
            ..InstanceConfig::default()
        }
    }

    fn application() -> ExtendedSubnetConfigSet {
        ExtendedSubnetConfigSet {
            application: vec![SubnetSpec::default()],
            ..ExtendedSubnetConfigSet::default()
        }
    }

    #[test]
    fn subnets_come_in_the_order_of_the_configuration() {
        let set = ExtendedSubnetConfigSet {
            nns: Some(SubnetSpec::default()),
            bitcoin: Some(SubnetSpec::default()),
            system: vec![SubnetSpec::default()],
            ..application()
        };
        let setup = read(with(set)).unwrap();
        let expected = [
            SubnetKind::NNS,
            SubnetKind::Bitcoin,
            SubnetKind::System,
            SubnetKind::Application,
        ];
        assert_eq!(setup.kinds, expected);
        assert_eq!(setup.network.subnets.len(), 4);
        assert_eq!(setup.network.start, GENESIS);
        assert!(setup.authenticates);
    }

    #[test]
    fn what_cannot_be_is_refused_by_its_name() {
        let features = IcpFeatures {
            icp_token: Some(IcpFeaturesConfig::DefaultConfig),
            ..IcpFeatures::default()
        };
        let early = InitialTime::Timestamp(RawTime {
            nanos_since_epoch: 1,
        });
        let from_disk = ExtendedSubnetConfigSet {
            nns: Some(SubnetSpec::default().with_state_dir("/nowhere".into())),
            ..application()
        };
        let cases = [
            (
                with(ExtendedSubnetConfigSet::default()),
                "at least one subnet",
            ),
            (with(from_disk), "state_config"),
            (
                InstanceConfig {
                    icp_features: Some(features),
                    ..with(application())
                },
                "icp_features.icp_token",
            ),
            (
                InstanceConfig {
                    state_dir: Some("/tmp".into()),
                    ..with(application())
                },
                "state_dir",
            ),
            (
                InstanceConfig {
                    initial_time: Some(early),
                    ..with(application())
                },
                "no earlier than 1620328630000000000",
            ),
        ];
        for (config, words) in cases {
            let error = read(config).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn what_an_older_client_writes_is_read() {
        let text = r#"{"subnet_config_set":{"nns":null,"sns":null,"ii":null,"fiduciary":null,"bitcoin":null,
            "system":[],"verified_application":[],"application":[{"state_config":"New",
            "instruction_config":"Production","dts_flag":"Enabled"}]},"nonmainnet_features":false}"#;
        let config: InstanceConfig = serde_json::from_str(text).unwrap();
        assert_eq!(read(config).unwrap().kinds, [SubnetKind::Application]);
    }
}
