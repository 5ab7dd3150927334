//! The store as openmls uses it.
//!
//! A value's name is its label, the CBOR of what openmls finds it by, and the version of its storage. Everything that openmls writes
//! belongs to the step that is under way.

use openmls_traits::storage::{CURRENT_VERSION, Entity, StorageProvider, traits};
use serde::Serialize;

use super::{Store, StoreError, encoded};

const LEAF_NODES: &str = "own leaf nodes";
const PROPOSAL: &str = "proposal";
const PROPOSALS: &str = "proposals";
const JOIN_CONFIG: &str = "configuration";
const TREE: &str = "tree";
const INTERIM_TRANSCRIPT_HASH: &str = "interim transcript hash";
const CONTEXT: &str = "context";
const CONFIRMATION_TAG: &str = "confirmation tag";
const GROUP_STATE: &str = "state";
const MESSAGE_SECRETS: &str = "message secrets";
const RESUMPTION_PSKS: &str = "resumption psks";
const OWN_LEAF: &str = "own leaf";
const EPOCH_SECRETS: &str = "epoch secrets";
const EPOCH_KEYS: &str = "epoch keys";
const SIGNATURE_KEY: &str = "signature key";
const ENCRYPTION_KEY: &str = "encryption key";
const KEY_PACKAGE: &str = "key package";
const PSK: &str = "psk";

type Stored<T> = Result<T, StoreError>;

fn name(label: &str, key: &(impl Serialize + ?Sized)) -> Stored<Vec<u8>> {
    let version = CURRENT_VERSION.to_be_bytes();
    let key = encoded(key)?;
    Ok([b"mls ", label.as_bytes(), b" ", &key, &version].concat())
}

impl Store {
    fn write(
        &self,
        label: &str,
        key: &(impl Serialize + ?Sized),
        value: &(impl Serialize + ?Sized),
    ) -> Stored<()> {
        self.put(&name(label, key)?, encoded(value)?);
        Ok(())
    }

    fn read<V: Entity<CURRENT_VERSION>>(
        &self,
        label: &'static str,
        key: &(impl Serialize + ?Sized),
    ) -> Stored<Option<V>> {
        self.record(&name(label, key)?, label)
    }

    fn drop_at(&self, label: &str, key: &(impl Serialize + ?Sized)) -> Stored<()> {
        self.remove(&name(label, key)?);
        Ok(())
    }

    /// A list whose items are kept as the bytes that they were written as.
    fn list(
        &self,
        label: &'static str,
        key: &(impl Serialize + ?Sized),
    ) -> Stored<Vec<serde_bytes::ByteBuf>> {
        let list = self.record(&name(label, key)?, label)?;
        Ok(list.unwrap_or_default())
    }

    fn items<V: Entity<CURRENT_VERSION>>(
        &self,
        label: &'static str,
        key: &(impl Serialize + ?Sized),
    ) -> Stored<Vec<V>> {
        let items = self.list(label, key)?;
        let item = |bytes: serde_bytes::ByteBuf| ciborium::from_reader(bytes.as_slice());
        let items: Result<Vec<V>, _> = items.into_iter().map(item).collect();
        items.map_err(|_| StoreError::Record(label))
    }
}

impl StorageProvider<CURRENT_VERSION> for Store {
    type Error = StoreError;

    fn write_mls_join_config<
        G: traits::GroupId<CURRENT_VERSION>,
        V: traits::MlsGroupJoinConfig<CURRENT_VERSION>,
    >(
        &self,
        group: &G,
        value: &V,
    ) -> Stored<()> {
        self.write(JOIN_CONFIG, group, value)
    }

    fn append_own_leaf_node<
        G: traits::GroupId<CURRENT_VERSION>,
        V: traits::LeafNode<CURRENT_VERSION>,
    >(
        &self,
        group: &G,
        value: &V,
    ) -> Stored<()> {
        let mut list = self.list(LEAF_NODES, group)?;
        list.push(encoded(value)?.into());
        self.write(LEAF_NODES, group, &list)
    }

    fn queue_proposal<
        G: traits::GroupId<CURRENT_VERSION>,
        R: traits::ProposalRef<CURRENT_VERSION>,
        P: traits::QueuedProposal<CURRENT_VERSION>,
    >(
        &self,
        group: &G,
        reference: &R,
        proposal: &P,
    ) -> Stored<()> {
        self.write(PROPOSAL, &(group, reference), proposal)?;
        let mut list = self.list(PROPOSALS, group)?;
        list.push(encoded(reference)?.into());
        self.write(PROPOSALS, group, &list)
    }

    fn write_tree<G: traits::GroupId<CURRENT_VERSION>, V: traits::TreeSync<CURRENT_VERSION>>(
        &self,
        group: &G,
        value: &V,
    ) -> Stored<()> {
        self.write(TREE, group, value)
    }

    fn write_interim_transcript_hash<
        G: traits::GroupId<CURRENT_VERSION>,
        V: traits::InterimTranscriptHash<CURRENT_VERSION>,
    >(
        &self,
        group: &G,
        value: &V,
    ) -> Stored<()> {
        self.write(INTERIM_TRANSCRIPT_HASH, group, value)
    }

    fn write_context<
        G: traits::GroupId<CURRENT_VERSION>,
        V: traits::GroupContext<CURRENT_VERSION>,
    >(
        &self,
        group: &G,
        value: &V,
    ) -> Stored<()> {
        self.write(CONTEXT, group, value)
    }

    fn write_confirmation_tag<
        G: traits::GroupId<CURRENT_VERSION>,
        V: traits::ConfirmationTag<CURRENT_VERSION>,
    >(
        &self,
        group: &G,
        value: &V,
    ) -> Stored<()> {
        self.write(CONFIRMATION_TAG, group, value)
    }

    fn write_group_state<
        V: traits::GroupState<CURRENT_VERSION>,
        G: traits::GroupId<CURRENT_VERSION>,
    >(
        &self,
        group: &G,
        value: &V,
    ) -> Stored<()> {
        self.write(GROUP_STATE, group, value)
    }

    fn write_message_secrets<
        G: traits::GroupId<CURRENT_VERSION>,
        V: traits::MessageSecrets<CURRENT_VERSION>,
    >(
        &self,
        group: &G,
        value: &V,
    ) -> Stored<()> {
        self.write(MESSAGE_SECRETS, group, value)
    }

    fn write_resumption_psk_store<
        G: traits::GroupId<CURRENT_VERSION>,
        V: traits::ResumptionPskStore<CURRENT_VERSION>,
    >(
        &self,
        group: &G,
        value: &V,
    ) -> Stored<()> {
        self.write(RESUMPTION_PSKS, group, value)
    }

    fn write_own_leaf_index<
        G: traits::GroupId<CURRENT_VERSION>,
        V: traits::LeafNodeIndex<CURRENT_VERSION>,
    >(
        &self,
        group: &G,
        value: &V,
    ) -> Stored<()> {
        self.write(OWN_LEAF, group, value)
    }

    fn write_group_epoch_secrets<
        G: traits::GroupId<CURRENT_VERSION>,
        V: traits::GroupEpochSecrets<CURRENT_VERSION>,
    >(
        &self,
        group: &G,
        value: &V,
    ) -> Stored<()> {
        self.write(EPOCH_SECRETS, group, value)
    }

    fn write_signature_key_pair<
        K: traits::SignaturePublicKey<CURRENT_VERSION>,
        V: traits::SignatureKeyPair<CURRENT_VERSION>,
    >(
        &self,
        key: &K,
        value: &V,
    ) -> Stored<()> {
        self.write(SIGNATURE_KEY, key, value)
    }

    fn write_encryption_key_pair<
        K: traits::EncryptionKey<CURRENT_VERSION>,
        V: traits::HpkeKeyPair<CURRENT_VERSION>,
    >(
        &self,
        key: &K,
        value: &V,
    ) -> Stored<()> {
        self.write(ENCRYPTION_KEY, key, value)
    }

    fn write_encryption_epoch_key_pairs<
        G: traits::GroupId<CURRENT_VERSION>,
        E: traits::EpochKey<CURRENT_VERSION>,
        V: traits::HpkeKeyPair<CURRENT_VERSION>,
    >(
        &self,
        group: &G,
        epoch: &E,
        leaf: u32,
        values: &[V],
    ) -> Stored<()> {
        self.write(EPOCH_KEYS, &(group, epoch, leaf), values)
    }

    fn write_key_package<
        K: traits::HashReference<CURRENT_VERSION>,
        V: traits::KeyPackage<CURRENT_VERSION>,
    >(
        &self,
        reference: &K,
        value: &V,
    ) -> Stored<()> {
        self.write(KEY_PACKAGE, reference, value)
    }

    fn write_psk<K: traits::PskId<CURRENT_VERSION>, V: traits::PskBundle<CURRENT_VERSION>>(
        &self,
        id: &K,
        value: &V,
    ) -> Stored<()> {
        self.write(PSK, id, value)
    }

    fn mls_group_join_config<
        G: traits::GroupId<CURRENT_VERSION>,
        V: traits::MlsGroupJoinConfig<CURRENT_VERSION>,
    >(
        &self,
        group: &G,
    ) -> Stored<Option<V>> {
        self.read(JOIN_CONFIG, group)
    }

    fn own_leaf_nodes<G: traits::GroupId<CURRENT_VERSION>, V: traits::LeafNode<CURRENT_VERSION>>(
        &self,
        group: &G,
    ) -> Stored<Vec<V>> {
        self.items(LEAF_NODES, group)
    }

    fn queued_proposal_refs<
        G: traits::GroupId<CURRENT_VERSION>,
        R: traits::ProposalRef<CURRENT_VERSION>,
    >(
        &self,
        group: &G,
    ) -> Stored<Vec<R>> {
        self.items(PROPOSALS, group)
    }

    fn queued_proposals<
        G: traits::GroupId<CURRENT_VERSION>,
        R: traits::ProposalRef<CURRENT_VERSION>,
        P: traits::QueuedProposal<CURRENT_VERSION>,
    >(
        &self,
        group: &G,
    ) -> Stored<Vec<(R, P)>> {
        let references: Vec<R> = self.items(PROPOSALS, group)?;
        references
            .into_iter()
            .map(|reference| {
                let proposal = self.read(PROPOSAL, &(group, &reference))?;
                let proposal = proposal.ok_or(StoreError::Record(PROPOSAL))?;
                Ok((reference, proposal))
            })
            .collect()
    }

    fn tree<G: traits::GroupId<CURRENT_VERSION>, V: traits::TreeSync<CURRENT_VERSION>>(
        &self,
        group: &G,
    ) -> Stored<Option<V>> {
        self.read(TREE, group)
    }

    fn group_context<
        G: traits::GroupId<CURRENT_VERSION>,
        V: traits::GroupContext<CURRENT_VERSION>,
    >(
        &self,
        group: &G,
    ) -> Stored<Option<V>> {
        self.read(CONTEXT, group)
    }

    fn interim_transcript_hash<
        G: traits::GroupId<CURRENT_VERSION>,
        V: traits::InterimTranscriptHash<CURRENT_VERSION>,
    >(
        &self,
        group: &G,
    ) -> Stored<Option<V>> {
        self.read(INTERIM_TRANSCRIPT_HASH, group)
    }

    fn confirmation_tag<
        G: traits::GroupId<CURRENT_VERSION>,
        V: traits::ConfirmationTag<CURRENT_VERSION>,
    >(
        &self,
        group: &G,
    ) -> Stored<Option<V>> {
        self.read(CONFIRMATION_TAG, group)
    }

    fn group_state<V: traits::GroupState<CURRENT_VERSION>, G: traits::GroupId<CURRENT_VERSION>>(
        &self,
        group: &G,
    ) -> Stored<Option<V>> {
        self.read(GROUP_STATE, group)
    }

    fn message_secrets<
        G: traits::GroupId<CURRENT_VERSION>,
        V: traits::MessageSecrets<CURRENT_VERSION>,
    >(
        &self,
        group: &G,
    ) -> Stored<Option<V>> {
        self.read(MESSAGE_SECRETS, group)
    }

    fn resumption_psk_store<
        G: traits::GroupId<CURRENT_VERSION>,
        V: traits::ResumptionPskStore<CURRENT_VERSION>,
    >(
        &self,
        group: &G,
    ) -> Stored<Option<V>> {
        self.read(RESUMPTION_PSKS, group)
    }

    fn own_leaf_index<
        G: traits::GroupId<CURRENT_VERSION>,
        V: traits::LeafNodeIndex<CURRENT_VERSION>,
    >(
        &self,
        group: &G,
    ) -> Stored<Option<V>> {
        self.read(OWN_LEAF, group)
    }

    fn group_epoch_secrets<
        G: traits::GroupId<CURRENT_VERSION>,
        V: traits::GroupEpochSecrets<CURRENT_VERSION>,
    >(
        &self,
        group: &G,
    ) -> Stored<Option<V>> {
        self.read(EPOCH_SECRETS, group)
    }

    fn signature_key_pair<
        K: traits::SignaturePublicKey<CURRENT_VERSION>,
        V: traits::SignatureKeyPair<CURRENT_VERSION>,
    >(
        &self,
        key: &K,
    ) -> Stored<Option<V>> {
        self.read(SIGNATURE_KEY, key)
    }

    fn encryption_key_pair<
        V: traits::HpkeKeyPair<CURRENT_VERSION>,
        K: traits::EncryptionKey<CURRENT_VERSION>,
    >(
        &self,
        key: &K,
    ) -> Stored<Option<V>> {
        self.read(ENCRYPTION_KEY, key)
    }

    fn encryption_epoch_key_pairs<
        G: traits::GroupId<CURRENT_VERSION>,
        E: traits::EpochKey<CURRENT_VERSION>,
        V: traits::HpkeKeyPair<CURRENT_VERSION>,
    >(
        &self,
        group: &G,
        epoch: &E,
        leaf: u32,
    ) -> Stored<Vec<V>> {
        let keys = self.record(&name(EPOCH_KEYS, &(group, epoch, leaf))?, EPOCH_KEYS)?;
        Ok(keys.unwrap_or_default())
    }

    fn key_package<
        K: traits::HashReference<CURRENT_VERSION>,
        V: traits::KeyPackage<CURRENT_VERSION>,
    >(
        &self,
        reference: &K,
    ) -> Stored<Option<V>> {
        self.read(KEY_PACKAGE, reference)
    }

    fn psk<V: traits::PskBundle<CURRENT_VERSION>, K: traits::PskId<CURRENT_VERSION>>(
        &self,
        id: &K,
    ) -> Stored<Option<V>> {
        self.read(PSK, id)
    }

    fn remove_proposal<
        G: traits::GroupId<CURRENT_VERSION>,
        R: traits::ProposalRef<CURRENT_VERSION>,
    >(
        &self,
        group: &G,
        reference: &R,
    ) -> Stored<()> {
        let mut list = self.list(PROPOSALS, group)?;
        let removed = encoded(reference)?;
        list.retain(|item| *item != removed);
        self.write(PROPOSALS, group, &list)?;
        self.drop_at(PROPOSAL, &(group, reference))
    }

    fn delete_own_leaf_nodes<G: traits::GroupId<CURRENT_VERSION>>(&self, group: &G) -> Stored<()> {
        self.drop_at(LEAF_NODES, group)
    }

    fn delete_group_config<G: traits::GroupId<CURRENT_VERSION>>(&self, group: &G) -> Stored<()> {
        self.drop_at(JOIN_CONFIG, group)
    }

    fn delete_tree<G: traits::GroupId<CURRENT_VERSION>>(&self, group: &G) -> Stored<()> {
        self.drop_at(TREE, group)
    }

    fn delete_confirmation_tag<G: traits::GroupId<CURRENT_VERSION>>(
        &self,
        group: &G,
    ) -> Stored<()> {
        self.drop_at(CONFIRMATION_TAG, group)
    }

    fn delete_group_state<G: traits::GroupId<CURRENT_VERSION>>(&self, group: &G) -> Stored<()> {
        self.drop_at(GROUP_STATE, group)
    }

    fn delete_context<G: traits::GroupId<CURRENT_VERSION>>(&self, group: &G) -> Stored<()> {
        self.drop_at(CONTEXT, group)
    }

    fn delete_interim_transcript_hash<G: traits::GroupId<CURRENT_VERSION>>(
        &self,
        group: &G,
    ) -> Stored<()> {
        self.drop_at(INTERIM_TRANSCRIPT_HASH, group)
    }

    fn delete_message_secrets<G: traits::GroupId<CURRENT_VERSION>>(&self, group: &G) -> Stored<()> {
        self.drop_at(MESSAGE_SECRETS, group)
    }

    fn delete_all_resumption_psk_secrets<G: traits::GroupId<CURRENT_VERSION>>(
        &self,
        group: &G,
    ) -> Stored<()> {
        self.drop_at(RESUMPTION_PSKS, group)
    }

    fn delete_own_leaf_index<G: traits::GroupId<CURRENT_VERSION>>(&self, group: &G) -> Stored<()> {
        self.drop_at(OWN_LEAF, group)
    }

    fn delete_group_epoch_secrets<G: traits::GroupId<CURRENT_VERSION>>(
        &self,
        group: &G,
    ) -> Stored<()> {
        self.drop_at(EPOCH_SECRETS, group)
    }

    fn clear_proposal_queue<
        G: traits::GroupId<CURRENT_VERSION>,
        R: traits::ProposalRef<CURRENT_VERSION>,
    >(
        &self,
        group: &G,
    ) -> Stored<()> {
        for reference in self.queued_proposal_refs::<G, R>(group)? {
            self.drop_at(PROPOSAL, &(group, reference))?;
        }
        self.drop_at(PROPOSALS, group)
    }

    fn delete_signature_key_pair<K: traits::SignaturePublicKey<CURRENT_VERSION>>(
        &self,
        key: &K,
    ) -> Stored<()> {
        self.drop_at(SIGNATURE_KEY, key)
    }

    fn delete_encryption_key_pair<K: traits::EncryptionKey<CURRENT_VERSION>>(
        &self,
        key: &K,
    ) -> Stored<()> {
        self.drop_at(ENCRYPTION_KEY, key)
    }

    fn delete_encryption_epoch_key_pairs<
        G: traits::GroupId<CURRENT_VERSION>,
        E: traits::EpochKey<CURRENT_VERSION>,
    >(
        &self,
        group: &G,
        epoch: &E,
        leaf: u32,
    ) -> Stored<()> {
        self.drop_at(EPOCH_KEYS, &(group, epoch, leaf))
    }

    fn delete_key_package<K: traits::HashReference<CURRENT_VERSION>>(
        &self,
        reference: &K,
    ) -> Stored<()> {
        self.drop_at(KEY_PACKAGE, reference)
    }

    fn delete_psk<K: traits::PskId<CURRENT_VERSION>>(&self, id: &K) -> Stored<()> {
        self.drop_at(PSK, id)
    }
}
