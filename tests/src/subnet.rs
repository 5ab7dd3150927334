//! A subnet with the registry on it, for tests that call it: an instance of a PocketIC server, through its public client.

use candid::{Encode, Principal};
use indus_api::registry::{InitArgs, OrganisationKind, OrganisationProfile};
use indus_client::{Connection, Deployment, Key, RegistryClient, TrustFile};
use indus_verify::RootKey;
use pocket_ic::nonblocking::PocketIc;

use crate::{pocket_ic, registry_module};

/// A subnet of this test's own, the registry deployed on it with one governor. It runs by the wall clock.
pub struct Subnet {
    pub trust: TrustFile,
    pub governor: Key,
    pub deployer: Key,
    /// Where calls that create canisters are addressed.
    pub default_effective_canister: Principal,
    _instance: PocketIc,
}

impl Subnet {
    pub async fn start() -> Self {
        let builder = pocket_ic().with_nns_subnet().with_application_subnet();
        let mut instance = builder.build_async().await;
        let network = instance.make_live(None).await;
        let topology = instance.topology().await;
        let mut trust = TrustFile {
            network,
            root_key: RootKey::from_der(&instance.root_key().await.unwrap()).unwrap(),
            root_key_source: String::from("the test's own instance"),
            subnet: topology.get_app_subnets()[0],
            canisters: Default::default(),
        };
        let (governor, deployer) = (Key::generate(), Key::generate());
        let default_effective_canister = topology.default_effective_canister_id.into();
        let deployment = Deployment::new(
            Connection::open(trust.clone())
                .unwrap()
                .signing_as(&deployer),
        );
        let registry = deployment.create(default_effective_canister).await.unwrap();
        let arguments = Encode!(&InitArgs {
            governors: vec![governor.principal()]
        })
        .unwrap();
        deployment
            .install(registry, registry_module(), arguments)
            .await
            .unwrap();
        trust.canisters.insert(String::from("registry"), registry);
        Self {
            trust,
            governor,
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
