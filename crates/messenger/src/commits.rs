//! Conversations begin, and their groups change: by commits, one for each epoch, which the canister puts in order.
//!
//! ```text
//! commit ─► pending, on disk ─► submit ─┬─ accepted ─► found in the log ─► taken over
//!            ▲                          └─ stale ─► the winning commit is followed, this one dropped ─┐
//!            └──────────────────────────── made again in the next epoch ◄────────────────────────────┘
//! ```

use candid::Principal;
use indus_api::messaging::{
    ClaimArgs, Claims, CommitArgs, CommitOutcome, ConversationView, CreateArgs, Label,
};
use indus_api::{Error, Subject};
use indus_client::ClientError;
use openmls::prelude::{
    KeyPackage, LeafNodeIndex, MlsGroup, MlsMessageBodyIn, OpenMlsProvider as _, ProtocolVersion,
};
use serde_bytes::ByteBuf;

use crate::error::{MessengerError, mls};
use crate::group::{create_config, from_bytes, holder, to_bytes};
use crate::kept::{Founding, Kept, Log};
use crate::messenger::{Messenger, Standing};
use crate::node::Node;

/// How many epochs a change is tried in.
const TRIES: u32 = 10;

/// What came of an invitation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Invited {
    /// Persons by the devices that were added.
    pub added: Vec<Principal>,
    /// Messaging keys of devices that have no key package in store, or none that can be used.
    pub without: Vec<ByteBuf>,
}

impl<N: Node> Messenger<N> {
    /// Begins a conversation, in which this device is alone. Returns its number.
    ///
    /// # Errors
    /// [`MessengerError`]; one that was begun is finished when the device is opened again.
    pub async fn create(&mut self, label: Label) -> Result<u64, MessengerError> {
        if let Some(id) = self.finish_founding().await? {
            return Ok(id);
        }
        // Who took office a moment ago is known by it from now on, not in a minute.
        let _subject: Subject = self.messaging.update("refresh_subject", &()).await?;
        let group = MlsGroup::new(
            &self.provider,
            &self.signer,
            &create_config(),
            self.credential(),
        );
        let group = group.map_err(mls("beginning a group"))?;
        let info = group
            .export_group_info(self.crypto(), &self.signer, true)
            .map_err(mls("beginning a group"))?;
        let founding = Founding {
            group_id: ByteBuf::from(group.group_id().as_slice()),
            label,
            group_info: to_bytes(&info)?,
        };
        self.store().put_founding(Some(&founding))?;
        self.store().commit()?;
        let id = self.finish_founding().await?;
        id.ok_or(MessengerError::Store(crate::StoreError::Record(
            "a conversation that is being created",
        )))
    }

    /// Creates the conversation that was being created, if there is one.
    pub(crate) async fn finish_founding(&mut self) -> Result<Option<u64>, MessengerError> {
        let Some(founding) = self.store().founding()? else {
            return Ok(None);
        };
        let args = CreateArgs {
            group_info: founding.group_info,
            label: founding.label,
        };
        let created = self.messaging.update("create_conversation", &args).await;
        let view: ConversationView = match created {
            Ok(view) => view,
            Err(error) => {
                if is_final(&error) {
                    self.store().put_founding(None)?;
                    self.store().commit()?;
                }
                return Err(error.into());
            }
        };
        let id = view.conversation.id;
        let kept = Kept {
            group_id: founding.group_id,
            log: Log::default(),
            first: 0,
            first_epoch: 0,
            is_active: true,
            pending: None,
            unsent: Vec::new(),
            shown: 0,
        };
        self.store().put_kept(id, &kept)?;
        self.store().put_root(id, &kept.log.root()?)?;
        self.store().put_founding(None)?;
        self.store().commit()?;
        self.follow(id).await?;
        Ok(Some(id))
    }

    /// Adds all devices of these persons that are not in yet.
    ///
    /// # Errors
    /// [`MessengerError`], and [`MessengerError::NobodyAdded`] if there is no such device.
    pub async fn invite(
        &mut self,
        id: u64,
        persons: &[Principal],
    ) -> Result<Invited, MessengerError> {
        self.settle(id).await?;
        let args = ClaimArgs {
            idempotency_key: ByteBuf::from(self.rand()),
            persons: persons.to_vec(),
        };
        let claims: Claims = self.messaging.update("claim_key_packages", &args).await?;
        let mut packages = Vec::new();
        let mut without = claims.without;
        for claimed in &claims.claimed {
            // Who put something useless into store is not added; the others are.
            let Ok(package) = self.claimed(&claimed.key_package) else {
                without.push(claimed.signature_key.clone());
                continue;
            };
            let of = holder(package.leaf_node());
            let expected = claimed.signature_key.as_slice().try_into().ok();
            if of.is_none() || of != expected.map(|key| (claimed.person, key)) {
                return Err(MessengerError::NobodyAdded(format!(
                    "what was handed out for {} is another's",
                    claimed.person
                )));
            }
            packages.extend(of.map(|of| (of, package)));
        }
        let holders: Vec<_> = packages.iter().map(|(of, _)| *of).collect();
        let standings = self.standings(Some(id), &holders).await?;
        let mut standings = standings.into_iter();
        packages.retain(|_| standings.next() == Some(Standing::Holds));
        for _ in 0..TRIES {
            let group = self.take_group(id)?;
            let here: Vec<Vec<u8>> = group.members().map(|one| one.signature_key).collect();
            self.put_group(id, group);
            packages.retain(|((_, key), _)| !here.contains(&key.to_vec()));
            if packages.is_empty() {
                return Err(MessengerError::NobodyAdded(
                    "no other device of theirs has a key package in store".to_owned(),
                ));
            }
            let added = packages
                .iter()
                .map(|(_, package)| package.clone())
                .collect();
            self.propose(id, added, &[])?;
            if self.submit(id).await? {
                return Ok(Invited {
                    added: packages.iter().map(|((person, _), _)| *person).collect(),
                    without,
                });
            }
        }
        Err(MessengerError::TooFast { id, tries: TRIES })
    }

    /// Removes devices of a person: all, or the one with a messaging key. Returns how many were removed.
    ///
    /// # Errors
    /// [`MessengerError`], and [`MessengerError::NoMember`] if there is no such device but this one.
    pub async fn remove(
        &mut self,
        id: u64,
        person: Principal,
        device: Option<&[u8]>,
    ) -> Result<usize, MessengerError> {
        self.settle(id).await?;
        for _ in 0..TRIES {
            let group = self.take_group(id)?;
            let own = group.own_leaf_index();
            let leaves: Vec<LeafNodeIndex> = group
                .members()
                .filter(|member| member.index != own)
                .filter(|member| crate::group::person(&member.credential) == Some(person))
                .filter(|member| device.is_none_or(|key| member.signature_key == key))
                .map(|member| member.index)
                .collect();
            self.put_group(id, group);
            if leaves.is_empty() {
                return Err(MessengerError::NoMember(person));
            }
            self.propose(id, Vec::new(), &leaves)?;
            if self.submit(id).await? {
                return Ok(leaves.len());
            }
        }
        Err(MessengerError::TooFast { id, tries: TRIES })
    }

    /// Gives this device new keys in the group: who had stolen the old ones reads nothing that is sent from then on.
    ///
    /// # Errors
    /// [`MessengerError`].
    pub async fn renew(&mut self, id: u64) -> Result<(), MessengerError> {
        self.settle(id).await?;
        for _ in 0..TRIES {
            self.propose(id, Vec::new(), &[])?;
            if self.submit(id).await? {
                return Ok(());
            }
        }
        Err(MessengerError::TooFast { id, tries: TRIES })
    }

    /// Goes on with what was begun: a commit that may have been sent, then messages that wait.
    ///
    /// # Errors
    /// [`MessengerError`].
    pub async fn settle(&mut self, id: u64) -> Result<(), MessengerError> {
        self.follow(id).await?;
        if self.kept(id)?.pending.is_some() {
            self.submit(id).await?;
        }
        self.flush(id).await?;
        Ok(())
    }

    /// Makes a commit and keeps it, to be submitted.
    fn propose(
        &mut self,
        id: u64,
        added: Vec<KeyPackage>,
        removed: &[LeafNodeIndex],
    ) -> Result<(), MessengerError> {
        let mut kept = self.kept(id)?;
        let mut group = self.take_group(id)?;
        let made = self.commit_of(&mut group, id, added, removed);
        match made {
            Ok(pending) => kept.pending = Some(pending),
            Err(error) => {
                self.abandon();
                return Err(error);
            }
        }
        self.store().put_kept(id, &kept)?;
        self.store().commit()?;
        self.put_group(id, group);
        Ok(())
    }

    fn commit_of(
        &self,
        group: &mut MlsGroup,
        id: u64,
        added: Vec<KeyPackage>,
        removed: &[LeafNodeIndex],
    ) -> Result<CommitArgs, MessengerError> {
        const DOING: &str = "making a commit";
        // Who joins needs the tree; who is in has it.
        let with_tree = !added.is_empty();
        let provider = &self.provider;
        let bundle = group
            .commit_builder()
            .propose_adds(added)
            .propose_removals(removed.iter().copied())
            .force_self_update(true)
            .load_psks(provider.storage())
            .map_err(mls(DOING))?
            .use_ratchet_tree_extension(with_tree)
            .create_group_info(true)
            .build(provider.rand(), provider.crypto(), &self.signer, |_| true)
            .map_err(mls(DOING))?
            .stage_commit(provider)
            .map_err(mls(DOING))?;
        let (commit, welcome, group_info) = bundle.into_messages();
        let group_info = group_info.ok_or_else(|| mls(DOING)("there is no GroupInfo"))?;
        Ok(CommitArgs {
            conversation: id,
            commit: to_bytes(&commit)?,
            group_info: to_bytes(&group_info)?,
            welcome: welcome.as_ref().map(to_bytes).transpose()?,
        })
    }

    /// Submits the commit that waits, and follows. Whether it was the one that was accepted.
    async fn submit(&mut self, id: u64) -> Result<bool, MessengerError> {
        let Some(pending) = self.kept(id)?.pending else {
            return Ok(false);
        };
        let outcome: Result<CommitOutcome, ClientError> =
            self.messaging.update("submit_commit", &pending).await;
        match outcome {
            Ok(outcome) => {
                self.follow(id).await?;
                Ok(matches!(outcome, CommitOutcome::Accepted(_)))
            }
            Err(error) => {
                if is_final(&error) {
                    self.drop_pending(id)?;
                }
                Err(error.into())
            }
        }
    }

    fn drop_pending(&mut self, id: u64) -> Result<(), MessengerError> {
        let mut kept = self.kept(id)?;
        let mut group = self.take_group(id)?;
        group.clear_pending_commit(self.store())?;
        kept.pending = None;
        self.store().put_kept(id, &kept)?;
        self.store().commit()?;
        self.put_group(id, group);
        Ok(())
    }

    /// A key package that was handed out.
    fn claimed(&self, bytes: &[u8]) -> Result<KeyPackage, MessengerError> {
        const DOING: &str = "reading a key package";
        let message = from_bytes(bytes).map_err(mls(DOING))?;
        let MlsMessageBodyIn::KeyPackage(package) = message.extract() else {
            return Err(mls(DOING)("it is something else"));
        };
        package
            .validate(self.crypto(), ProtocolVersion::Mls10)
            .map_err(mls(DOING))
    }
}

/// Whether the canister has refused it for good: it has changed nothing, and would refuse it again.
fn is_final(error: &ClientError) -> bool {
    matches!(
        error.refusal(),
        Some(
            Error::Unauthorized { .. }
                | Error::NotFound { .. }
                | Error::AlreadyExists { .. }
                | Error::Invalid { .. }
                | Error::LimitReached { .. }
                | Error::Conflict { .. }
        )
    )
}
