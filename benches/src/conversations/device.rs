//! A device with openmls: its key package, the group that it founds, its commits, a message.

use anyhow::{Context as _, anyhow};
use candid::Principal;
use ed25519_dalek::{Signer as _, SigningKey};
use indus_api::messaging::{Authenticated, CommitArgs, MESSAGE_ID_BYTES};
use openmls::prelude::{
    BasicCredential, Ciphersuite, CredentialWithKey, KeyPackage, MlsGroup, MlsGroupCreateConfig,
    MlsMessageOut, OpenMlsProvider as _, PURE_PLAINTEXT_WIRE_FORMAT_POLICY, SignatureScheme,
    tls_codec::Serialize as _,
};
use openmls_basic_credential::SignatureKeyPair;
use openmls_rust_crypto::OpenMlsRustCrypto;
use serde_bytes::ByteBuf;
use sha2::{Digest as _, Sha256};

const SUITE: Ciphersuite = Ciphersuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519;

/// A person's only device.
pub(super) struct Device {
    /// Who calls.
    pub(super) caller: Principal,
    pub(super) person: Principal,
    key: SigningKey,
    provider: OpenMlsRustCrypto,
    signer: SignatureKeyPair,
}

/// The device that founded a group, and is the only one to commit.
pub(super) struct Founder {
    pub(super) device: Device,
    group: MlsGroup,
}

/// A message of a group, and where its id stands. The canister, which reads no content, takes it again under another id.
pub(super) struct Template {
    message: Vec<u8>,
    id_at: usize,
}

impl Device {
    pub(super) fn new(number: u64, caller: Principal, person: Principal) -> Self {
        let seed = Sha256::digest([b"device", &number.to_be_bytes()[..]].concat());
        let key = SigningKey::from_bytes(&seed.into());
        let public = key.verifying_key().to_bytes();
        let signer = SignatureKeyPair::from_raw(
            SignatureScheme::ED25519,
            key.to_bytes().to_vec(),
            public.to_vec(),
        );
        Self {
            caller,
            person,
            key,
            provider: OpenMlsRustCrypto::default(),
            signer,
        }
    }

    /// Its messaging key.
    pub(super) fn key(&self) -> [u8; 32] {
        self.key.verifying_key().to_bytes()
    }

    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.key.sign(message).to_bytes().to_vec()
    }

    fn credential(&self) -> CredentialWithKey {
        CredentialWithKey {
            credential: BasicCredential::new(self.person.as_slice().to_vec()).into(),
            signature_key: self.key().to_vec().into(),
        }
    }

    pub(super) fn package(&self) -> anyhow::Result<KeyPackage> {
        let bundle = KeyPackage::builder()
            .build(SUITE, &self.provider, &self.signer, self.credential())
            .map_err(|error| anyhow!("a key package: {error:?}"))?;
        Ok(bundle.key_package().clone())
    }

    /// A group of its own.
    pub(super) fn found(self) -> anyhow::Result<Founder> {
        let config = MlsGroupCreateConfig::builder()
            .ciphersuite(SUITE)
            .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
            .build();
        let group = MlsGroup::new(&self.provider, &self.signer, &config, self.credential())
            .map_err(|error| anyhow!("a group: {error:?}"))?;
        Ok(Founder {
            device: self,
            group,
        })
    }
}

impl Founder {
    /// The GroupInfo of the group as it is, the ratchet tree in it.
    pub(super) fn group_info(&self) -> anyhow::Result<ByteBuf> {
        let (provider, signer) = (&self.device.provider, &self.device.signer);
        let info = self
            .group
            .export_group_info(provider.crypto(), signer, true)
            .map_err(|error| anyhow!("a GroupInfo: {error:?}"))?;
        bytes(&info)
    }

    /// A commit with a new path, which waits for its acceptance.
    pub(super) fn commit(
        &mut self,
        conversation: u64,
        added: Vec<KeyPackage>,
    ) -> anyhow::Result<CommitArgs> {
        let (provider, signer) = (&self.device.provider, &self.device.signer);
        let bundle = self
            .group
            .commit_builder()
            .propose_adds(added)
            .force_self_update(true)
            .load_psks(provider.storage())
            .map_err(|error| anyhow!("a commit: {error:?}"))?
            .create_group_info(true)
            .build(provider.rand(), provider.crypto(), signer, |_| true)
            .map_err(|error| anyhow!("a commit: {error:?}"))?
            .stage_commit(provider)
            .map_err(|error| anyhow!("a commit: {error:?}"))?;
        let (commit, welcome, group_info) = bundle.into_messages();
        let group_info = group_info.context("a commit has a GroupInfo")?;
        Ok(CommitArgs {
            conversation,
            commit: bytes(&commit)?,
            group_info: bytes(&group_info)?,
            welcome: welcome.as_ref().map(bytes).transpose()?,
        })
    }

    /// The commit that waits was accepted.
    pub(super) fn accepted(&mut self) -> anyhow::Result<()> {
        self.group
            .merge_pending_commit(&self.device.provider)
            .map_err(|error| anyhow!("a commit: {error:?}"))
    }

    /// A message whose sender has seen an empty log.
    pub(super) fn write(&mut self, text: &[u8]) -> anyhow::Result<Template> {
        let authenticated = Authenticated {
            id: [0xa5; MESSAGE_ID_BYTES],
            size: 0,
            root: [0; 32],
        };
        let authenticated = authenticated.to_bytes();
        self.group.set_aad(authenticated.to_vec());
        let message = self
            .group
            .create_message(&self.device.provider, &self.device.signer, text)
            .map_err(|error| anyhow!("a message: {error:?}"))?;
        let message = bytes(&message)?.into_vec();
        let at = message
            .windows(authenticated.len())
            .position(|window| window == authenticated)
            .context("a message has its authenticated data in the clear")?;
        // Behind the version.
        let id_at = at + 1;
        Ok(Template { message, id_at })
    }
}

impl Template {
    /// The message under an id of its own.
    pub(super) fn message(&self, number: u64) -> ByteBuf {
        let id = Sha256::digest(number.to_be_bytes());
        let mut message = self.message.clone();
        message[self.id_at..self.id_at + MESSAGE_ID_BYTES].copy_from_slice(&id[..MESSAGE_ID_BYTES]);
        ByteBuf::from(message)
    }
}

/// A key package as it is uploaded.
pub(super) fn uploaded(package: &KeyPackage) -> anyhow::Result<ByteBuf> {
    bytes(&MlsMessageOut::from(package.clone()))
}

fn bytes(message: &MlsMessageOut) -> anyhow::Result<ByteBuf> {
    let bytes = message.tls_serialize_detached();
    Ok(ByteBuf::from(bytes.context("a message of MLS")?))
}
