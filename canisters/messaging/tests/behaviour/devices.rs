//! Devices with openmls: what clients do, as far as tests of the canister need it. End-to-end tests use them too (`tests/suite`).

// Neither uses all of it.
#![allow(dead_code)]

use std::rc::Rc;

use candid::Principal;
use indus_api::messaging::{Authenticated, CommitArgs, MESSAGE_ID_BYTES, PAST_EPOCHS, PostArgs};
use indus_verify::LogRoot;
use openmls::prelude::{
    KeyPackage,
    tls_codec::{Deserialize as _, Serialize as _},
    *,
};
use openmls_basic_credential::SignatureKeyPair;
use openmls_rust_crypto::OpenMlsRustCrypto;
use serde_bytes::ByteBuf;

pub(crate) const SUITE: Ciphersuite = Ciphersuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519;

/// A device of a person's.
pub(crate) struct Device {
    pub(crate) person: Principal,
    provider: OpenMlsRustCrypto,
    signer: SignatureKeyPair,
    private: Vec<u8>,
}

/// A device in a conversation.
pub(crate) struct Seat {
    pub(crate) device: Rc<Device>,
    pub(crate) group: MlsGroup,
    next_message: u8,
}

impl Device {
    pub(crate) fn new(person: Principal) -> Self {
        let provider = OpenMlsRustCrypto::default();
        let scheme = SignatureScheme::ED25519;
        let (private, public) = provider.crypto().signature_key_gen(scheme).unwrap();
        Self {
            person,
            signer: SignatureKeyPair::from_raw(scheme, private.clone(), public),
            private,
            provider,
        }
    }

    /// Its messaging key's signature.
    pub(crate) fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        let crypto = self.provider.crypto();
        crypto
            .sign(SignatureScheme::ED25519, bytes, &self.private)
            .unwrap()
    }

    pub(crate) fn key(&self) -> [u8; 32] {
        self.signer.to_public_vec().try_into().unwrap()
    }

    fn credential(&self) -> CredentialWithKey {
        CredentialWithKey {
            credential: BasicCredential::new(self.person.as_slice().to_vec()).into(),
            signature_key: self.signer.to_public_vec().into(),
        }
    }

    pub(crate) fn package(&self) -> ByteBuf {
        self.package_by(KeyPackage::builder())
    }

    pub(crate) fn last_resort(&self) -> ByteBuf {
        // An extension of a package has to be among what its leaf says that it supports.
        let supported = [ExtensionType::LastResort];
        let capabilities = Capabilities::new(None, None, Some(&supported), None, None);
        let builder = KeyPackage::builder().leaf_node_capabilities(capabilities);
        self.package_by(builder.mark_as_last_resort())
    }

    pub(crate) fn package_by(&self, builder: KeyPackageBuilder) -> ByteBuf {
        let bundle = builder
            .build(SUITE, &self.provider, &self.signer, self.credential())
            .unwrap();
        bytes(MlsMessageOut::from(bundle.key_package().clone()))
    }

    /// A group of its own.
    pub(crate) fn found(self: Rc<Self>) -> Seat {
        let config = MlsGroupCreateConfig::builder()
            .ciphersuite(SUITE)
            .max_past_epochs(past())
            .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
            .build();
        let group =
            MlsGroup::new(&self.provider, &self.signer, &config, self.credential()).unwrap();
        Seat::new(self, group)
    }

    /// Joins by a welcome and the canister's tree, if there is none in the welcome.
    pub(crate) fn join(self: Rc<Self>, welcome: &[u8], tree: Option<&[u8]>) -> Seat {
        let message = MlsMessageIn::tls_deserialize_exact(welcome).unwrap();
        let MlsMessageBodyIn::Welcome(welcome) = message.extract() else {
            panic!("no Welcome");
        };
        let config = MlsGroupJoinConfig::builder()
            .max_past_epochs(past())
            .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
            .build();
        let tree = tree.map(|tree| RatchetTreeIn::tls_deserialize_exact(tree).unwrap());
        let group = StagedWelcome::new_from_welcome(&self.provider, &config, welcome, tree)
            .unwrap()
            .into_group(&self.provider)
            .unwrap();
        Seat::new(self, group)
    }
}

impl Seat {
    fn new(device: Rc<Device>, group: MlsGroup) -> Self {
        Self {
            device,
            group,
            next_message: 0,
        }
    }

    pub(crate) fn group_info(&self) -> ByteBuf {
        let info =
            self.group
                .export_group_info(self.device.provider.crypto(), &self.device.signer, true);
        bytes(info.unwrap())
    }

    /// A commit that waits for its acceptance. Who is added has the tree of the canister.
    pub(crate) fn commit(
        &mut self,
        conversation: u64,
        added: &[ByteBuf],
        removed: &[u32],
    ) -> CommitArgs {
        self.commit_with(conversation, added, removed, false)
    }

    /// The same, with or without the tree in the Welcome: who has it there may come later than the next commit.
    pub(crate) fn commit_with(
        &mut self,
        conversation: u64,
        added: &[ByteBuf],
        removed: &[u32],
        tree: bool,
    ) -> CommitArgs {
        let provider = &self.device.provider;
        let added = added.iter().map(|package| {
            let message = MlsMessageIn::tls_deserialize_exact(package.as_slice()).unwrap();
            let MlsMessageBodyIn::KeyPackage(package) = message.extract() else {
                panic!("no key package");
            };
            let validated = package.validate(provider.crypto(), ProtocolVersion::Mls10);
            validated.unwrap()
        });
        let added: Vec<KeyPackage> = added.collect();
        let bundle = self
            .group
            .commit_builder()
            .propose_adds(added)
            .propose_removals(removed.iter().map(|leaf| LeafNodeIndex::new(*leaf)))
            .force_self_update(true)
            .load_psks(provider.storage())
            .unwrap()
            .use_ratchet_tree_extension(tree)
            .create_group_info(true)
            .build(
                provider.rand(),
                provider.crypto(),
                &self.device.signer,
                |_| true,
            )
            .unwrap()
            .stage_commit(provider)
            .unwrap();
        let (commit, welcome, group_info) = bundle.into_messages();
        CommitArgs {
            conversation,
            commit: bytes(commit),
            group_info: bytes(group_info.unwrap()),
            welcome: welcome.map(bytes),
        }
    }

    pub(crate) fn merge(&mut self) {
        self.group
            .merge_pending_commit(&self.device.provider)
            .unwrap();
    }

    pub(crate) fn give_up(&mut self) {
        let storage = self.device.provider.storage();
        self.group.clear_pending_commit(storage).unwrap();
    }

    /// Forgets the group, which the device is no longer in.
    pub(crate) fn leave(&mut self) {
        let storage = self.device.provider.storage();
        self.group.delete(storage).unwrap();
    }

    /// The ratchet tree, as the device has it.
    pub(crate) fn tree(&self) -> Vec<u8> {
        let tree = self.group.export_ratchet_tree();
        tree.tls_serialize_detached().unwrap()
    }

    /// Takes in another member's entry; the text, if it is a message.
    pub(crate) fn receive(&mut self, payload: &[u8]) -> Option<Vec<u8>> {
        let message = MlsMessageIn::tls_deserialize_exact(payload).unwrap();
        let message = message.try_into_protocol_message().unwrap();
        let provider = &self.device.provider;
        let processed = self.group.process_message(provider, message).unwrap();
        match processed.into_content() {
            ProcessedMessageContent::ApplicationMessage(text) => Some(text.into_bytes()),
            ProcessedMessageContent::StagedCommitMessage(staged) => {
                self.group.merge_staged_commit(provider, *staged).unwrap();
                None
            }
            _ => panic!("another message"),
        }
    }

    /// A message with the next id, whose sender saw an empty log.
    pub(crate) fn write(&mut self, conversation: u64, text: &[u8]) -> PostArgs {
        self.write_after(conversation, text, &LogRoot::default())
    }

    /// A message with the next id, whose sender saw this log.
    pub(crate) fn write_after(
        &mut self,
        conversation: u64,
        text: &[u8],
        log: &LogRoot,
    ) -> PostArgs {
        self.next_message += 1;
        let mut id = [self.next_message; MESSAGE_ID_BYTES];
        id[1..].copy_from_slice(&self.device.key()[1..MESSAGE_ID_BYTES]);
        let authenticated = Authenticated {
            id,
            size: log.size(),
            root: log.root(),
        };
        self.write_with(conversation, text, &authenticated.to_bytes())
    }

    pub(crate) fn write_with(&mut self, conversation: u64, text: &[u8], aad: &[u8]) -> PostArgs {
        self.group.set_aad(aad.to_vec());
        let provider = &self.device.provider;
        let message = self
            .group
            .create_message(provider, &self.device.signer, text)
            .unwrap();
        PostArgs {
            conversation,
            message: bytes(message),
        }
    }
}

fn bytes(message: MlsMessageOut) -> ByteBuf {
    ByteBuf::from(message.tls_serialize_detached().unwrap())
}

/// Epochs that are over of which devices still read messages.
fn past() -> usize {
    usize::try_from(PAST_EPOCHS).unwrap()
}
