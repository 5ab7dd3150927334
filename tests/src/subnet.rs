//! A subnet with the registry on it, for tests that call it: an instance of a PocketIC server, through its public client.

use candid::{Encode, Principal};
use indus_api::registry::{
    Governor, InitArgs, OrganisationKind, OrganisationProfile, Proposal, Quorum, Quorums,
};
use indus_client::{Connection, Deployment, Key, RegistryClient, TrustFile};
use indus_verify::RootKey;
use pocket_ic::nonblocking::PocketIc;

use crate::{pocket_ic, registry_module};

/// Organisations that a registry begins with, each with one governor.
pub const FOUNDERS: u64 = 5;

/// What a registry is installed with: five founders, `council-1` and so on, a governor of each, three of whom decide.
pub fn founding(governors: impl IntoIterator<Item = Principal>) -> InitArgs {
    let quorum = |approvals| Quorum {
        approvals,
        organisations: 3,
    };
    InitArgs {
        founders: (1..=FOUNDERS)
            .map(|n| Subnet::profile(&format!("council-{n}")))
            .collect(),
        governors: governors
            .into_iter()
            .zip(1..)
            .map(|(principal, organisation)| Governor {
                principal,
                organisation,
            })
            .collect(),
        quorums: Quorums {
            ordinary: quorum(3),
            constitutional: quorum(4),
        },
    }
}

/// A live instance on which nothing is deployed, what is trusted of it, and where calls that create canisters are addressed.
pub async fn bare() -> (PocketIc, TrustFile, Principal) {
    let builder = pocket_ic().with_nns_subnet().with_application_subnet();
    let mut instance = builder.build_async().await;
    let network = instance.make_live(None).await;
    let topology = instance.topology().await;
    let trust = TrustFile {
        network,
        root_key: RootKey::from_der(&instance.root_key().await.unwrap()).unwrap(),
        root_key_source: String::from("the test's own instance"),
        subnet: topology.get_app_subnets()[0],
        canisters: Default::default(),
    };
    let anywhere = topology.default_effective_canister_id.into();
    (instance, trust, anywhere)
}

/// A subnet of this test's own, the registry deployed on it with five governors. It runs by the wall clock.
pub struct Subnet {
    pub trust: TrustFile,
    pub governors: Vec<Key>,
    pub deployer: Key,
    /// Where calls that create canisters are addressed.
    pub default_effective_canister: Principal,
    _instance: PocketIc,
}

impl Subnet {
    pub async fn start() -> Self {
        let (instance, mut trust, default_effective_canister) = bare().await;
        let governors: Vec<_> = (0..FOUNDERS).map(|_| Key::generate()).collect();
        let deployer = Key::generate();
        let deployment = Deployment::new(
            Connection::open(trust.clone())
                .unwrap()
                .signing_as(&deployer),
        );
        let registry = deployment.create(default_effective_canister).await.unwrap();
        let arguments = Encode!(&founding(governors.iter().map(Key::principal))).unwrap();
        deployment
            .install(registry, registry_module(), arguments)
            .await
            .unwrap();
        trust.canisters.insert(String::from("registry"), registry);
        Self {
            trust,
            governors,
            deployer,
            default_effective_canister,
            _instance: instance,
        }
    }

    /// The registry, for an anonymous caller.
    pub fn anonymous(&self) -> RegistryClient {
        RegistryClient::new(Connection::open(self.trust.clone()).unwrap()).unwrap()
    }

    /// The registry, for the holder of `key`.
    pub fn registry(&self, key: &Key) -> RegistryClient {
        RegistryClient::new(self.anonymous().connection().signing_as(key)).unwrap()
    }

    /// Has three governors read a proposal and approve it.
    pub async fn carried(&self, id: u64) -> Proposal {
        let mut carried = None;
        for key in &self.governors[..3] {
            let governor = self.registry(key);
            let read = governor.proposal(id).await.unwrap().unwrap();
            carried = Some(governor.approve(id, read.hash).await.unwrap());
        }
        carried.unwrap()
    }

    /// A profile that the registry accepts.
    pub fn profile(slug: &str) -> OrganisationProfile {
        OrganisationProfile {
            slug: slug.into(),
            name: String::from("وزارتِ خزانہ"),
            kind: OrganisationKind::Agency,
            parent: None,
            sector: String::from("finance"),
            seat: String::from("Islamabad"),
        }
    }
}
