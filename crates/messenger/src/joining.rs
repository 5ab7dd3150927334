//! Joining: the device's inbox is followed as conversations are, so a welcome that is withheld shows.
//!
//! The entry of a welcome says how long the conversation's log was, and what it was, when the device came into the group: from there
//! on the device verifies it. What came before is not for it to read.

use indus_api::identity::path;
use indus_api::messaging::{
    INBOXES, InboxRecord, MAX_ENTRIES, ProofArgs, WelcomeEntry, WelcomesArgs, welcome_hash,
};
use indus_client::ClientError;
use indus_verify::log::verify_consistency;
use indus_verify::{Hash, LogRoot};
use openmls::prelude::{MlsGroup, MlsMessageBodyIn, StagedWelcome};
use serde_bytes::ByteBuf;

use crate::alarm::Violation;
use crate::alarms::Answer;
use crate::error::MessengerError;
use crate::group::{from_bytes, holder, join_config, leaves};
use crate::kept::{Kept, Log};
use crate::log::{self, Page, hashes};
use crate::messenger::Messenger;
use crate::node::{Lag, Node};

impl<N: Node> Messenger<N> {
    /// Takes in the welcomes that are new, and returns the conversations that this device has come into.
    ///
    /// # Errors
    /// [`MessengerError::Alarm`] if what a node answers can't be so. A welcome that can't be used is noted, and the next one taken.
    pub async fn receive_welcomes(&mut self) -> Result<Vec<u64>, MessengerError> {
        let mut joined = Vec::new();
        let mut lag = Lag::default();
        loop {
            let verified = self.store().inbox()?;
            let args = WelcomesArgs {
                signature_key: self.device.signature_key.clone(),
                from: verified.size(),
                limit: MAX_ENTRIES,
            };
            let page = self.node.welcomes(&args).await?;
            let answer = Answer {
                canister: self.device.messaging,
                conversation: None,
                read: page.certified,
                entries: Vec::new(),
            };
            let checked = self.inbox(&verified, &page.welcomes, &page.consistency, &answer);
            let (log, certified_size, certified_at_ns) = match checked {
                Err(error) if lag.asks_again(&error) => continue,
                checked => checked?,
            };
            for entry in &page.welcomes {
                let came = self.join(entry, &answer).await;
                match came {
                    Ok(Some(id)) => joined.push(id),
                    Ok(None) => {}
                    Err(error) => {
                        self.abandon();
                        return Err(error);
                    }
                }
            }
            self.store().put_inbox(&Log::new(&log, certified_at_ns))?;
            self.store().commit()?;
            if log.size() == certified_size {
                joined.dedup();
                return Ok(joined);
            }
        }
    }

    /// What a page of the inbox proves.
    fn inbox(
        &mut self,
        verified: &Log,
        welcomes: &[WelcomeEntry],
        consistency: &[ByteBuf],
        answer: &Answer,
    ) -> Result<(LogRoot, u64, u64), MessengerError> {
        let (certificate, witness) = self.verified_answer(answer)?;
        let certified_at_ns = certificate.time().as_nanos();
        let place = self.device.inbox.clone().unwrap_or_default();
        let record = witness.value::<InboxRecord>(&path(INBOXES, &place));
        let head = match record {
            Ok(InboxRecord::V1(inbox))
                if inbox.signature_key == self.device.signature_key
                    && inbox.person == self.device.person =>
            {
                LogRoot::from_leaf(&inbox.head).map_err(|reason| reason.to_string())
            }
            Ok(_) => Err("the inbox is another device's".to_owned()),
            Err(reason) => Err(reason.to_string()),
        };
        let certified = match head {
            Ok(head) => head.head(),
            Err(reason) => return Err(self.alarm(Violation::Unverified(reason), answer)?),
        };
        let entries: Vec<(u64, Hash)> = welcomes
            .iter()
            .map(|entry| (entry.index, welcome_hash(entry)))
            .collect();
        let known = verified.root()?;
        let page = Page {
            entries: &entries,
            consistency: &hashes(consistency),
            certified,
        };
        match log::checked(&known, &page) {
            Ok(log) => Ok((log, certified.size, certified_at_ns)),
            Err(Violation::RolledBack { .. }) if certified_at_ns < verified.certified_at_ns => {
                Err(MessengerError::Client(ClientError::Older {
                    method: "welcomes".into(),
                    size: certified.size,
                    known: known.size(),
                }))
            }
            Err(violation) => Err(self.alarm(violation, answer)?),
        }
    }

    /// Comes into a conversation by a welcome; none if it can't be used, which is noted. All in the step that is under way.
    async fn join(
        &mut self,
        entry: &WelcomeEntry,
        answer: &Answer,
    ) -> Result<Option<u64>, MessengerError> {
        let id = entry.conversation;
        let useless = |reason: String| Violation::UselessWelcome {
            index: entry.index,
            reason,
        };
        let mark = self.store().mark();
        let group = match self.group_of(entry) {
            Ok(group) => group,
            Err(reason) => {
                self.store().back_to(mark);
                self.note(None, useless(reason), None)?;
                return Ok(None);
            }
        };
        let Ok(log) = LogRoot::from_leaf(&entry.head) else {
            self.store().back_to(mark);
            self.note(None, useless("its head is none".to_owned()), None)?;
            return Ok(None);
        };
        let holders: Option<Vec<_>> = leaves(&group).map(|(_, holder)| holder).collect();
        let Some(holders) = holders else {
            self.store().back_to(mark);
            let reason = "a member is no person".to_owned();
            self.note(None, useless(reason), None)?;
            return Ok(None);
        };
        let known = self.store().kept(id)?;
        if let Some(known) = &known {
            self.goes_on(id, known, &log, answer).await?;
        }
        self.standings(Some(id), &holders).await?;
        let kept = Kept {
            group_id: ByteBuf::from(group.group_id().as_slice()),
            first: log.size(),
            first_epoch: entry.epoch,
            log: Log::new(&log, 0),
            is_active: true,
            pending: None,
            unsent: known
                .as_ref()
                .map(|known| known.unsent.clone())
                .unwrap_or_default(),
            shown: known.map_or(log.size(), |known| known.shown),
        };
        self.store().put_root(id, &log)?;
        self.store().put_kept(id, &kept)?;
        // Of another time that this device was in it.
        self.forget_group(id);
        Ok(Some(id))
    }

    /// The group that a welcome leads into.
    fn group_of(&mut self, entry: &WelcomeEntry) -> Result<MlsGroup, String> {
        let MlsMessageBodyIn::Welcome(welcome) = from_bytes(&entry.welcome)?.extract() else {
            return Err("it is something else".to_owned());
        };
        let provider = &self.provider;
        let staged = StagedWelcome::build_from_welcome(provider, &join_config(), welcome)
            .map_err(|error| error.to_string())?
            .replace_old_group()
            .build()
            .map_err(|error| error.to_string())?;
        let is_own = staged.own_leaf_node().and_then(holder)
            == self
                .device
                .signature_key
                .as_slice()
                .try_into()
                .ok()
                .map(|key| (self.device.person, key));
        if !is_own {
            return Err("it adds another device".to_owned());
        }
        if staged.group_context().epoch().as_u64() != entry.epoch {
            return Err("it leads into another epoch".to_owned());
        }
        staged
            .into_group(provider)
            .map_err(|error| error.to_string())
    }

    /// That the log of a conversation that was known before goes on to the one of a welcome.
    async fn goes_on(
        &mut self,
        id: u64,
        known: &Kept,
        log: &LogRoot,
        answer: &Answer,
    ) -> Result<(), MessengerError> {
        let verified = known.log.root()?;
        let args = ProofArgs {
            conversation: id,
            from: verified.size(),
            size: log.size(),
        };
        let proof = self.node.consistency(&args).await?;
        if verify_consistency(&verified.head(), &log.head(), &hashes(&proof)).is_err() {
            let violation = Violation::Rewritten {
                verified: verified.size(),
            };
            return Err(self.alarm(violation, answer)?);
        }
        Ok(())
    }
}
