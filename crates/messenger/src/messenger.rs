//! A device that writes and reads.

use std::collections::HashMap;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use candid::Principal;
use indus_api::Subject;
use indus_client::{Connection, Key, SuiteCanister};
use openmls::prelude::{GroupId, MlsGroup, SignatureScheme};
use openmls_basic_credential::SignatureKeyPair;
use serde_bytes::ByteBuf;

use crate::error::{MessengerError, mls};
use crate::group::{self, Provider};
use crate::kept::{Device, Kept, Message};
use crate::node::{Node, Subnet};
use crate::store::Store;

/// What the store's secret is derived from the device's key for.
const PURPOSE: &str = "indus-message-store";

/// One device of one person.
pub struct Messenger<N = Subnet> {
    pub(crate) node: N,
    pub(crate) messaging: SuiteCanister,
    pub(crate) identity: SuiteCanister,
    pub(crate) provider: Provider,
    pub(crate) device: Device,
    pub(crate) signer: SignatureKeyPair,
    /// Groups as they are in the store: those that were used before.
    groups: HashMap<u64, MlsGroup>,
    /// Keys that identity has certified while this runs.
    pub(crate) certified: HashMap<[u8; 32], Principal>,
}

/// Whether a member's key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Holds,
    /// Its device was removed, or has another key. Whoever owns the conversation should remove it.
    Ended {
        at_ns: u64,
    },
}

/// A device in a conversation, its key certified by identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberOf {
    pub leaf: u32,
    pub person: Principal,
    pub signature_key: ByteBuf,
    pub standing: Standing,
    pub is_this_device: bool,
}

impl Messenger<Subnet> {
    /// Opens the device of `key`, whose store is in `path`; sets it up if it isn't yet: a messaging key, bound in identity to the person
    /// that the key is a method of, and key packages in store, so that others can add it while it is offline.
    ///
    /// # Errors
    /// [`MessengerError`]; what was begun goes on when it is called again.
    pub async fn open(
        connection: &Connection,
        key: &Key,
        path: &Path,
    ) -> Result<Self, MessengerError> {
        let connection = connection.signing_as(key);
        let node = Subnet::new(&connection)?;
        Self::with_node(&connection, key, path, node).await
    }
}

impl<N: Node> Messenger<N> {
    /// As [`Messenger::open`], with another way to ask nodes.
    ///
    /// # Errors
    /// As [`Messenger::open`].
    pub async fn with_node(
        connection: &Connection,
        key: &Key,
        path: &Path,
        node: N,
    ) -> Result<Self, MessengerError> {
        let connection = connection.signing_as(key);
        let messaging = SuiteCanister::new(connection.clone(), "messaging")?;
        let identity = SuiteCanister::new(connection, "identity")?;
        let store = Store::open(path, &key.derived(PURPOSE))?;
        let (device, signer) = match store.device()? {
            Some(device) => {
                let of = (device.caller, device.messaging, device.identity);
                let expected = (key.principal(), messaging.canister(), identity.canister());
                if of != expected {
                    let shown = |(caller, messaging, _): (Principal, Principal, Principal)| {
                        format!("{caller} at messaging {messaging}")
                    };
                    return Err(MessengerError::AnotherDevice {
                        found: shown(of),
                        expected: shown(expected),
                    });
                }
                let scheme = SignatureScheme::ED25519;
                let signer = SignatureKeyPair::read(&store, &device.signature_key, scheme)
                    .ok_or(crate::StoreError::Record("the messaging key"))?;
                (device, signer)
            }
            None => {
                let subject: Subject = messaging.update("refresh_subject", &()).await?;
                let signer = SignatureKeyPair::new(SignatureScheme::ED25519)
                    .map_err(|error| mls("making a key")(format!("{error:?}")))?;
                signer.store(&store)?;
                let device = Device {
                    caller: key.principal(),
                    person: subject.person,
                    messaging: messaging.canister(),
                    identity: identity.canister(),
                    signature_key: ByteBuf::from(signer.to_public_vec()),
                    inbox: None,
                    is_bound: false,
                };
                store.put_device(&device)?;
                store.commit()?;
                (device, signer)
            }
        };
        let mut messenger = Self {
            node,
            messaging,
            identity,
            provider: Provider::new(store),
            device,
            signer,
            groups: HashMap::new(),
            certified: HashMap::new(),
        };
        if !messenger.device.is_bound {
            messenger.bind(key).await?;
        }
        if messenger.device.inbox.is_none() {
            messenger.restock().await?;
        }
        messenger.finish_founding().await?;
        Ok(messenger)
    }

    /// Whose device it is.
    #[must_use]
    pub fn person(&self) -> Principal {
        self.device.person
    }

    /// The key that it signs with in conversations.
    #[must_use]
    pub fn signature_key(&self) -> &[u8] {
        &self.device.signature_key
    }

    /// The way that nodes are asked.
    pub fn node(&mut self) -> &mut N {
        &mut self.node
    }

    /// The conversations that it has been in.
    ///
    /// # Errors
    /// [`MessengerError::Store`].
    pub fn conversations(&self) -> Result<Vec<u64>, MessengerError> {
        Ok(self.store().conversations()?)
    }

    /// Whether it is in a conversation, as far as it has followed it, and how many entries it has verified.
    ///
    /// # Errors
    /// [`MessengerError::NotIn`].
    pub fn verified(&self, id: u64) -> Result<(bool, u64), MessengerError> {
        let kept = self.kept(id)?;
        Ok((kept.is_active, kept.log.size()))
    }

    /// Size and root of what it has verified of a conversation's log.
    ///
    /// # Errors
    /// [`MessengerError::NotIn`].
    pub fn head(&self, id: u64) -> Result<(u64, [u8; 32]), MessengerError> {
        let log = self.kept(id)?.log.root()?;
        Ok((log.size(), log.root()))
    }

    /// What it has verified and kept of a conversation from an index on, at most `limit` entries.
    ///
    /// # Errors
    /// [`MessengerError::NotIn`].
    pub fn history(
        &self,
        id: u64,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Message>, MessengerError> {
        let kept = self.kept(id)?;
        (from..kept.log.size())
            .filter_map(|index| self.store().message(id, index).transpose())
            .take(limit)
            .map(|message| Ok(message?))
            .collect()
    }

    /// What was not shown yet, in its order. It counts as shown once it is told so by [`Messenger::shown`].
    ///
    /// # Errors
    /// [`MessengerError::NotIn`].
    pub fn unshown(&self, id: u64, limit: usize) -> Result<Vec<Message>, MessengerError> {
        self.history(id, self.kept(id)?.shown, limit)
    }

    /// Notes that entries up to an index were shown.
    ///
    /// # Errors
    /// [`MessengerError::NotIn`].
    pub fn shown(&mut self, id: u64, index: u64) -> Result<(), MessengerError> {
        let mut kept = self.kept(id)?;
        kept.shown = kept.shown.max(index.saturating_add(1));
        self.store().put_kept(id, &kept)?;
        Ok(self.store().commit()?)
    }

    /// The devices of a conversation's group, each with what identity says of its key now.
    ///
    /// # Errors
    /// [`MessengerError::Alarm`] for a key that identity does not certify as that person's.
    pub async fn members(&mut self, id: u64) -> Result<Vec<MemberOf>, MessengerError> {
        let group = self.take_group(id)?;
        let (leaves, holders): (Vec<u32>, Vec<_>) = group::leaves(&group)
            .filter_map(|(leaf, holder)| Some((leaf, holder?)))
            .unzip();
        let own = group.own_leaf_index().u32();
        self.put_group(id, group);
        let standings = self.standings(Some(id), &holders).await?;
        Ok(leaves
            .into_iter()
            .zip(holders)
            .zip(standings)
            .map(|((leaf, (person, key)), standing)| MemberOf {
                leaf,
                person,
                signature_key: ByteBuf::from(key),
                standing,
                is_this_device: leaf == own,
            })
            .collect())
    }

    pub(crate) fn store(&self) -> &Store {
        &self.provider.store
    }

    pub(crate) fn kept(&self, id: u64) -> Result<Kept, MessengerError> {
        self.store().kept(id)?.ok_or(MessengerError::NotIn(id))
    }

    /// A conversation's group. It has to be put back when its step is committed, and never otherwise.
    pub(crate) fn take_group(&mut self, id: u64) -> Result<MlsGroup, MessengerError> {
        if let Some(group) = self.groups.remove(&id) {
            return Ok(group);
        }
        let kept = self.kept(id)?;
        let group = MlsGroup::load(self.store(), &GroupId::from_slice(&kept.group_id))?;
        group.ok_or(MessengerError::Store(crate::StoreError::Record("a group")))
    }

    pub(crate) fn put_group(&mut self, id: u64, group: MlsGroup) {
        self.groups.insert(id, group);
    }

    /// Has the group read from the store when it is needed next.
    pub(crate) fn forget_group(&mut self, id: u64) {
        self.groups.remove(&id);
    }

    /// Undoes the step that is under way. The group that it took is read from the store again.
    pub(crate) fn abandon(&mut self) {
        self.store().discard();
        self.groups.clear();
    }
}

/// By this device's clock.
pub(crate) fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    })
}
