//! A subnet with registry, identity and messaging, and persons with devices.

use std::path::PathBuf;

use candid::{Encode, Principal};
use end_to_end::{Subnet, identity_module, messaging_module};
use indus_api::identity::{self, MethodKind, Person, RegisterArgs};
use indus_api::messaging;
use indus_client::{Connection, Deployment, Key, SuiteCanister};
use indus_messenger::{
    Alarm, Message, Messenger, MessengerError, Node, Subnet as Nodes, Violation, What,
};
use tempfile::TempDir;

use crate::lying::Lying;

/// The subnet, and a folder for what devices keep.
pub(crate) struct Net {
    pub(crate) subnet: Subnet,
    pub(crate) deployer: Deployment,
    pub(crate) messaging: Principal,
    pub(crate) folder: TempDir,
}

/// A device, and what it takes to open it again.
pub(crate) struct Device {
    pub(crate) key: Key,
    pub(crate) path: PathBuf,
    pub(crate) messenger: Messenger<Lying>,
}

impl Net {
    pub(crate) async fn start() -> Self {
        let mut subnet = Subnet::start().await;
        let registry = subnet.trust.canister("registry").unwrap();
        let connection = Connection::open(subnet.trust.clone()).unwrap();
        let deployer = Deployment::new(connection.signing_as(&subnet.deployer));
        let anywhere = subnet.default_effective_canister;
        let identity = deployer.create(anywhere).await.unwrap();
        let messaging = deployer.create(anywhere).await.unwrap();
        let args = identity::InitArgs {
            registry,
            configuration: identity::Configuration {
                suite_canisters: vec![messaging],
                recovery_delay_ns: None,
            },
        };
        let args = Encode!(&args).unwrap();
        deployer
            .install(identity, identity_module(), args)
            .await
            .unwrap();
        let args = messaging::InitArgs {
            identity,
            registry,
            configuration: messaging::Configuration::default(),
        };
        let args = Encode!(&args).unwrap();
        deployer
            .install(messaging, messaging_module(), args)
            .await
            .unwrap();
        for (name, canister) in [("identity", identity), ("messaging", messaging)] {
            subnet.trust.canisters.insert(name.into(), canister);
        }
        Self {
            subnet,
            deployer,
            messaging,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn connection(&self) -> Connection {
        Connection::open(self.subnet.trust.clone()).unwrap()
    }

    /// Identity, for the holder of a key.
    pub(crate) fn identity(&self, key: &Key) -> SuiteCanister {
        SuiteCanister::new(self.connection().signing_as(key), "identity").unwrap()
    }

    /// A key that is a new person's.
    pub(crate) async fn registered(&self) -> (Key, Principal) {
        let key = Key::generate();
        let args = RegisterArgs {
            kind: MethodKind::Ed25519,
            alias_commitment: None,
        };
        let person: Person = self
            .identity(&key)
            .update("register_person", &args)
            .await
            .unwrap();
        (key, person.id)
    }

    /// A new person with one device.
    pub(crate) async fn device(&self) -> Device {
        let (key, _) = self.registered().await;
        self.device_of(key).await
    }

    /// The device of a key.
    pub(crate) async fn device_of(&self, key: Key) -> Device {
        let path = self.folder.path().join(format!("{}.redb", key.principal()));
        let messenger = self.opened(&key, &path).await.unwrap();
        Device {
            key,
            path,
            messenger,
        }
    }

    pub(crate) async fn opened(
        &self,
        key: &Key,
        path: &std::path::Path,
    ) -> Result<Messenger<Lying>, MessengerError> {
        let connection = self.connection();
        let node = Lying::new(Nodes::new(&connection.signing_as(key)).unwrap());
        Messenger::with_node(&connection, key, path, node).await
    }

    /// Takes a key package of each device of a person, and does not use them.
    pub(crate) async fn claimed(&self, by: &Key, person: Principal) {
        let connection = self.connection().signing_as(by);
        let messaging = SuiteCanister::new(connection, "messaging").unwrap();
        let args = messaging::ClaimArgs {
            idempotency_key: serde_bytes::ByteBuf::from(Key::generate().public_key()),
            persons: vec![person],
        };
        let _claims: messaging::Claims =
            messaging.update("claim_key_packages", &args).await.unwrap();
    }

    /// Devices of as many persons in one conversation, which the first one created.
    pub(crate) async fn conversation(&self, count: usize) -> (u64, Vec<Device>) {
        let mut devices = Vec::new();
        for _ in 0..count {
            devices.push(self.device().await);
        }
        let persons: Vec<_> = devices[1..]
            .iter()
            .map(|one| one.messenger.person())
            .collect();
        let first = &mut devices[0].messenger;
        let id = first.create(messaging::Label::Open).await.unwrap();
        if !persons.is_empty() {
            let invited = first.invite(id, &persons).await.unwrap();
            assert_eq!(invited.added.len(), persons.len());
        }
        for device in &mut devices[1..] {
            assert_eq!(device.messenger.receive_welcomes().await.unwrap(), [id]);
        }
        (id, devices)
    }
}

impl Device {
    /// Opens it again, as after the end of its process.
    pub(crate) async fn reopened(self, net: &Net) -> Self {
        let Self {
            key,
            path,
            messenger,
        } = self;
        drop(messenger);
        let messenger = net.opened(&key, &path).await.unwrap();
        Self {
            key,
            path,
            messenger,
        }
    }
}

/// The texts among messages, with their senders.
pub(crate) fn texts(messages: &[Message]) -> Vec<(Principal, String)> {
    let text = |message: &Message| match &message.what {
        What::Text(text) => Some((message.sender, text.clone())),
        _ => None,
    };
    messages.iter().filter_map(text).collect()
}

/// All texts that a device has of a conversation, in their order.
pub(crate) fn all_texts<N: Node>(messenger: &Messenger<N>, id: u64) -> Vec<(Principal, String)> {
    texts(&messenger.history(id, 0, usize::MAX).unwrap())
}

/// The violation that was raised instead of an answer.
pub(crate) fn alarm<T: std::fmt::Debug>(answer: Result<T, MessengerError>) -> Violation {
    match answer.unwrap_err() {
        MessengerError::Alarm(alarm) => alarm.violation,
        other => panic!("{other}"),
    }
}

/// The violations of all alarms of a device.
pub(crate) fn violations<N: Node>(messenger: &Messenger<N>) -> Vec<Violation> {
    let alarms = messenger.alarms().unwrap();
    alarms
        .into_iter()
        .map(|alarm: Alarm| alarm.violation)
        .collect()
}
