//! Groups of openmls whose handshakes are public, and their delivery service.
#![allow(unreachable_pub)]

pub mod rs;

use std::time::{SystemTime, UNIX_EPOCH};

use ed25519_dalek::SigningKey;
use indus_mls::{Accepted, GroupState, MemoryTree, MlsError, Nodes, group, tree};
use openmls::prelude::{
    tls_codec::{Deserialize as _, Serialize as _},
    *,
};
use openmls_basic_credential::SignatureKeyPair;
use openmls_rust_crypto::OpenMlsRustCrypto;

pub const SUITE: Ciphersuite = Ciphersuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519;

pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

/// Somebody with keys, who may be in a group.
pub struct Party {
    pub provider: OpenMlsRustCrypto,
    pub signer: SignatureKeyPair,
    /// The signer's.
    pub key: SigningKey,
    pub credential: CredentialWithKey,
}

/// A commit, as its author sends it.
#[derive(Clone)]
pub struct Bundle {
    pub commit: Vec<u8>,
    pub welcome: Option<Vec<u8>>,
    pub group_info: Vec<u8>,
}

impl Party {
    pub fn new(name: &str) -> Self {
        let key = SigningKey::from_bytes(&rand::random());
        let signer = SignatureKeyPair::from_raw(
            SignatureScheme::ED25519,
            key.to_bytes().to_vec(),
            key.verifying_key().to_bytes().to_vec(),
        );
        let provider = OpenMlsRustCrypto::default();
        signer.store(provider.storage()).unwrap();
        Self {
            credential: CredentialWithKey {
                credential: BasicCredential::new(name.as_bytes().to_vec()).into(),
                signature_key: signer.to_public_vec().into(),
            },
            provider,
            signer,
            key,
        }
    }

    pub fn key_package(&self) -> KeyPackage {
        self.key_package_by(KeyPackage::builder())
    }

    pub fn key_package_by(&self, builder: KeyPackageBuilder) -> KeyPackage {
        builder
            .build(SUITE, &self.provider, &self.signer, self.credential.clone())
            .unwrap()
            .key_package()
            .clone()
    }

    pub fn create(&self) -> MlsGroup {
        let config = MlsGroupCreateConfig::builder()
            .ciphersuite(SUITE)
            .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
            .build();
        MlsGroup::new(
            &self.provider,
            &self.signer,
            &config,
            self.credential.clone(),
        )
        .unwrap()
    }

    /// Joins by a Welcome and a ratchet tree.
    pub fn join(&self, welcome: &[u8], ratchet_tree: &[u8]) -> MlsGroup {
        let MlsMessageBodyIn::Welcome(welcome) = MlsMessageIn::tls_deserialize_exact(welcome)
            .unwrap()
            .extract()
        else {
            panic!("no Welcome");
        };
        let config = MlsGroupJoinConfig::builder()
            .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
            .build();
        let tree = RatchetTreeIn::tls_deserialize_exact(ratchet_tree).unwrap();
        StagedWelcome::new_from_welcome(&self.provider, &config, welcome, Some(tree))
            .unwrap()
            .into_group(&self.provider)
            .unwrap()
    }

    /// Commits to additions and removals, and leaves the commit pending.
    pub fn commit(
        &self,
        group: &mut MlsGroup,
        adds: Vec<KeyPackage>,
        removes: &[u32],
        path: bool,
    ) -> Bundle {
        let bundle = group
            .commit_builder()
            .propose_adds(adds)
            .propose_removals(removes.iter().map(|leaf| LeafNodeIndex::new(*leaf)))
            .force_self_update(path)
            .load_psks(self.provider.storage())
            .unwrap()
            .create_group_info(true)
            .build(
                self.provider.rand(),
                self.provider.crypto(),
                &self.signer,
                |_| true,
            )
            .unwrap()
            .stage_commit(&self.provider)
            .unwrap();
        let (commit, welcome, group_info) = bundle.into_messages();
        Bundle {
            commit: bytes(commit),
            welcome: welcome.map(bytes),
            group_info: bytes(group_info.unwrap()),
        }
    }

    pub fn group_info(&self, group: &MlsGroup) -> Vec<u8> {
        bytes(
            group
                .export_group_info(self.provider.crypto(), &self.signer, true)
                .unwrap(),
        )
    }

    /// Processes another member's commit.
    pub fn process(&self, group: &mut MlsGroup, commit: &[u8]) {
        let message = MlsMessageIn::tls_deserialize_exact(commit)
            .unwrap()
            .try_into_protocol_message()
            .unwrap();
        let processed = group.process_message(&self.provider, message).unwrap();
        let ProcessedMessageContent::StagedCommitMessage(staged) = processed.into_content() else {
            panic!("no commit");
        };
        group.merge_staged_commit(&self.provider, *staged).unwrap();
    }

    pub fn merge(&self, group: &mut MlsGroup) {
        group.merge_pending_commit(&self.provider).unwrap();
    }
}

pub fn bytes(message: MlsMessageOut) -> Vec<u8> {
    message.tls_serialize_detached().unwrap()
}

/// The delivery service.
#[derive(Clone)]
pub struct Service {
    pub state: GroupState,
    pub tree: MemoryTree,
}

impl Service {
    pub fn create(group_info: &[u8]) -> Self {
        let created = group::create(group_info, now()).unwrap();
        let mut tree = MemoryTree::default();
        tree.apply(created.width, &created.changes);
        assert_eq!(tree, created.tree);
        Self {
            state: created.state,
            tree,
        }
    }

    pub fn check(&self, commit: &[u8], group_info: &[u8]) -> Result<Accepted, MlsError> {
        group::commit(&self.state, &self.tree, commit, group_info, now())
    }

    pub fn accept(&mut self, bundle: &Bundle) -> Accepted {
        let accepted = self.check(&bundle.commit, &bundle.group_info).unwrap();
        self.tree.apply(accepted.width, &accepted.changes);
        self.state = accepted.state.clone();
        assert_eq!(self.tree.root_hash(), self.state.tree_hash);
        accepted
    }

    pub fn ratchet_tree(&self) -> Vec<u8> {
        tree::ratchet_tree(&self.tree)
    }

    /// The kept tree is the one that is made anew from its extension, in all it keeps.
    pub fn audit(&self) {
        let anew =
            MemoryTree::from_ratchet_tree(&self.ratchet_tree(), &self.state.group_id).unwrap();
        assert_eq!(anew, self.tree);
        for index in 0..2 * self.tree.width() - 1 {
            if let Some(node) = self.tree.node(index) {
                assert_eq!(indus_mls::Node::from_bytes(&node.to_bytes()), Ok(node));
            }
        }
    }
}

// What the tests of wrong messages sign and write by themselves.

/// A vector with its length.
pub fn vector(content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap();
    let head = match length {
        0..0x40 => vec![u8::try_from(length).unwrap()],
        0x40..0x4000 => u16::try_from(0x4000 | length)
            .unwrap()
            .to_be_bytes()
            .to_vec(),
        _ => (0x8000_0000 | length).to_be_bytes().to_vec(),
    };
    [&head, content].concat()
}

/// SignWithLabel, as a vector.
pub fn sign(key: &SigningKey, label: &str, content: &[u8]) -> Vec<u8> {
    use ed25519_dalek::Signer as _;
    let content = [
        vector(format!("MLS 1.0 {label}").as_bytes()),
        vector(content),
    ]
    .concat();
    vector(&key.sign(&content).to_bytes())
}
