//! A local subnet with the registry on it, for tests that call it.

use std::fs;
use std::process::{Child, Command, Stdio};

use candid::{Encode, Principal};
use indus_api::registry::{InitArgs, OrganisationKind, OrganisationProfile};
use indus_client::{Connection, Deployment, Key, RegistryClient, TrustFile, Url};
use indus_verify::RootKey;
use tempfile::TempDir;

use crate::{program, registry_module, wait_until};

/// A localnet process. Killed when dropped.
struct Localnet {
    child: Child,
    _folder: TempDir,
}

impl Drop for Localnet {
    fn drop(&mut self) {
        // Fails only if it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A subnet of this test's own, the registry deployed on it with one governor.
pub struct Subnet {
    pub trust: TrustFile,
    pub governor: Key,
    pub deployer: Key,
    /// Where calls that create canisters are addressed.
    pub default_effective_canister: Principal,
    _localnet: Localnet,
}

impl Subnet {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("status.json");
        let child = Command::new(program("localnet"))
            .args(["serve", "--port", "0", "--exit-with-stdin", "--status-file"])
            .arg(&file)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let localnet = Localnet {
            child,
            _folder: folder,
        };
        wait_until("localnet's status file", || file.exists());
        let status: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        let text = |field: &str| status[field].as_str().unwrap();
        let principal = |field: &str| Principal::from_text(text(field)).unwrap();

        let mut trust = TrustFile {
            network: Url::parse(&format!("http://127.0.0.1:{}", status["gateway_port"])).unwrap(),
            root_key: RootKey::from_der(&hex::decode(text("root_key")).unwrap()).unwrap(),
            root_key_source: String::from("the test's own localnet"),
            subnet: principal("application_subnet"),
            canisters: Default::default(),
        };
        let (governor, deployer) = (Key::generate(), Key::generate());
        let default_effective_canister = principal("default_effective_canister_id");
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
            _localnet: localnet,
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
