//! Messages from device to device over a localnet: signed, encrypted, verified, decrypted.

use std::path::Path;
use std::time::Instant;

use anyhow::Context as _;
use candid::{Encode, Principal};
use indus_api::{identity, messaging};
use indus_client::{Connection, Deployment, Key, SuiteCanister, TrustFile};
use indus_messenger::Messenger;
use indus_verify::RootKey;
use pocket_ic::nonblocking::PocketIc;
use tokio::runtime::Runtime;

use crate::server::{Server, median};
use crate::{structures, upgrade};

/// Messages whose time is measured.
const SAMPLES: usize = 30;
/// Clients that send at once.
const CLIENTS: usize = 8;
/// A person may send sixty messages at once, less what it takes to set a device up, and one a second from then on: each client writes as
/// so many persons in turn.
const PERSONS: usize = 3;
/// Messages of each person.
const MESSAGES: usize = 35;
/// A text of 500 bytes.
const TEXT: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\
0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\
0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\
0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123";

/// A localnet with the canisters, and a folder for what devices keep.
struct Net {
    trust: TrustFile,
    folder: tempfile::TempDir,
    _pic: PocketIc,
    _server: Server,
}

impl Net {
    async fn start(cache: &Path) -> anyhow::Result<Self> {
        let server = Server::start(cache)?;
        let mut pic = server.two_subnets()?.build_async().await;
        let network = pic.make_live(None).await;
        let topology = pic.topology().await;
        let root_key = pic.root_key().await.context("no root key")?;
        let mut trust = TrustFile {
            network,
            root_key: RootKey::from_der(&root_key)?,
            root_key_source: String::from("the benchmark's own instance"),
            subnet: topology.get_app_subnets()[0],
            canisters: Default::default(),
        };
        let anywhere: Principal = topology.default_effective_canister_id.into();
        let connection = Connection::open(trust.clone())?;
        let deployer = Deployment::new(connection.signing_as(&Key::generate()));
        let mut created = Vec::new();
        for name in ["registry", "identity", "messaging"] {
            let canister = deployer.create(anywhere).await?;
            trust.canisters.insert(name.into(), canister);
            created.push(canister);
        }
        let [registry, identity, messaging] = created[..] else {
            anyhow::bail!("three canisters");
        };
        let founding = upgrade::founding();
        let identity_args = identity::InitArgs {
            registry,
            configuration: identity::Configuration {
                suite_canisters: vec![messaging],
                recovery_delay_ns: None,
            },
        };
        let messaging_args = messaging::InitArgs {
            identity,
            registry,
            configuration: messaging::Configuration::default(),
        };
        for (canister, name, args) in [
            (registry, "registry", Encode!(&founding)?),
            (identity, "identity", Encode!(&identity_args)?),
            (messaging, "messaging", Encode!(&messaging_args)?),
        ] {
            deployer
                .install(canister, structures::module(name)?, args)
                .await?;
        }
        Ok(Self {
            trust,
            folder: tempfile::tempdir()?,
            _pic: pic,
            _server: server,
        })
    }

    /// A new person with a device.
    async fn device(&self) -> anyhow::Result<Messenger> {
        let key = Key::generate();
        let connection = Connection::open(self.trust.clone())?;
        let identity = SuiteCanister::new(connection.signing_as(&key), "identity")?;
        let args = identity::RegisterArgs {
            kind: identity::MethodKind::Ed25519,
            alias_commitment: None,
        };
        let _person: identity::Person = identity.update("register_person", &args).await?;
        let path = self.folder.path().join(key.principal().to_text());
        Ok(Messenger::open(&connection, &key, &path).await?)
    }

    /// Devices of as many persons in one conversation.
    async fn conversation(&self, count: usize) -> anyhow::Result<(u64, Vec<Messenger>)> {
        let mut devices = Vec::new();
        for _ in 0..count {
            devices.push(self.device().await?);
        }
        let persons: Vec<_> = devices[1..].iter().map(Messenger::person).collect();
        let id = devices[0].create(messaging::Label::Open).await?;
        for some in persons.chunks(messaging::MAX_CLAIMED_PERSONS) {
            devices[0].invite(id, some).await?;
        }
        for device in &mut devices {
            device.receive_welcomes().await?;
            device.follow(id).await?;
        }
        Ok((id, devices))
    }
}

/// From the text on one device to the text on another, in milliseconds: the median.
pub(crate) fn end_to_end() -> anyhow::Result<f64> {
    let cache = tempfile::tempdir()?;
    Runtime::new()?.block_on(async {
        let net = Net::start(cache.path()).await?;
        let (id, mut devices) = net.conversation(2).await?;
        let mut reader = devices.pop().context("a reader")?;
        let mut writer = devices.pop().context("a writer")?;
        let mut times = Vec::new();
        for _ in 0..SAMPLES {
            let start = Instant::now();
            let reading = async {
                loop {
                    if !reader.follow(id).await?.is_empty() {
                        return Ok::<_, anyhow::Error>(start.elapsed());
                    }
                }
            };
            let sending = async { Ok(writer.send(id, TEXT).await?) };
            let (_, took) = tokio::try_join!(sending, reading)?;
            times.push(took.as_secs_f64() * 1_000.0);
            writer.follow(id).await?;
        }
        Ok(median(times))
    })
}

/// Messages a second, of clients that send at once.
pub(crate) fn rate() -> anyhow::Result<f64> {
    let cache = tempfile::tempdir()?;
    Runtime::new()?.block_on(async {
        let net = Net::start(cache.path()).await?;
        // Who invites all the others has done enough.
        let (id, mut devices) = net.conversation(1 + CLIENTS * PERSONS).await?;
        devices.remove(0);
        let mut clients: Vec<Vec<Messenger>> = Vec::new();
        while !devices.is_empty() {
            clients.push(devices.split_off(devices.len() - PERSONS));
        }
        let start = Instant::now();
        let sending: Vec<_> = clients
            .into_iter()
            .map(|mut persons| {
                tokio::spawn(async move {
                    for _ in 0..MESSAGES {
                        for person in &mut persons {
                            person.send(id, TEXT).await?;
                        }
                    }
                    Ok::<_, anyhow::Error>(())
                })
            })
            .collect();
        for client in sending {
            client.await??;
        }
        let sent = u32::try_from(CLIENTS * PERSONS * MESSAGES)?;
        Ok(f64::from(sent) / start.elapsed().as_secs_f64())
    })
}
