//! Following a conversation: page by page, each verified before anything in it is believed, and taken in as one step.
//!
//! ```text
//! page ─► certificate and witness ─► indices, hashes, consistency ─► entries: commits and messages ─► the group that is certified ─► on disk
//! ```
//!
//! A page that a server made wrong is refused as a whole, with an alarm: the next call asks again. A message that a member made wrong is
//! kept as unreadable, with an alarm, and the rest goes on: nobody stops a conversation by sending nonsense.

use indus_api::identity::path;
use indus_api::messaging::{
    Authenticated, CONVERSATIONS, Conversation, ConversationRecord, EntriesArgs, EntriesPage,
    Entry, EntryKind, MAX_ENTRIES, ProofArgs, entry_hash,
};
use indus_client::ClientError;
use indus_mls::message::Application;
use indus_verify::log::verify_consistency;
use indus_verify::{Hash, LogRoot};
use openmls::prelude::{MlsGroup, ProcessedMessage, ProcessedMessageContent, Sender, StagedCommit};

use crate::alarm::Violation;
use crate::alarms::Answer;
use crate::error::{MessengerError, mls};
use crate::group::{from_bytes, holder, person, text};
use crate::kept::{Kept, Log, Message, MessageId, What};
use crate::log::{self, Page, hashes};
use crate::messenger::Messenger;
use crate::node::{Lag, Node};

/// A page that is the certified log's.
struct Checked {
    log: LogRoot,
    certified: Conversation,
    certified_size: u64,
    certified_at_ns: u64,
}

/// What a member made wrong: it is noted, and the log goes on.
struct Wrong(Violation);

impl<N: Node> Messenger<N> {
    /// Takes in what is new in a conversation, and returns it.
    ///
    /// # Errors
    /// [`MessengerError::Alarm`] if what a node answers can't be so; what came before in other pages is kept.
    pub async fn follow(&mut self, id: u64) -> Result<Vec<Message>, MessengerError> {
        let mut new = Vec::new();
        let mut lag = Lag::default();
        loop {
            let kept = self.kept(id)?;
            if !kept.is_active {
                return if new.is_empty() {
                    Err(MessengerError::Removed(id))
                } else {
                    Ok(new)
                };
            }
            let args = EntriesArgs {
                conversation: id,
                from: kept.log.size(),
                limit: MAX_ENTRIES,
            };
            let page = match self.node.entries(&args).await {
                // That the page begins behind the end is true for a node that lags, and after a rollback: what is certified tells.
                Err(error) if is_behind(&error) => {
                    let place = path(CONVERSATIONS, &id.to_be_bytes());
                    let messaging = self.device.messaging;
                    let read = self.node.certified(messaging, std::slice::from_ref(&place));
                    EntriesPage {
                        entries: Vec::new(),
                        consistency: Vec::new(),
                        certified: read.await?,
                    }
                }
                page => page?,
            };
            let answer = Answer {
                canister: self.device.messaging,
                conversation: Some(id),
                read: page.certified.clone(),
                entries: page.entries.clone(),
            };
            let checked = match self.checked(id, &kept, &page, &answer).await {
                Err(error) if lag.asks_again(&error) => continue,
                checked => checked?,
            };
            let at_head = checked.log.size() == checked.certified_size;
            let taken = self
                .take_in(id, kept, &page.entries, &checked, &answer)
                .await;
            match taken {
                Ok(taken) => new.extend(taken),
                Err(error) => {
                    self.abandon();
                    return Err(error);
                }
            }
            if at_head {
                return Ok(new);
            }
        }
    }

    /// What a page proves, against what was verified before.
    async fn checked(
        &mut self,
        id: u64,
        kept: &Kept,
        page: &EntriesPage,
        answer: &Answer,
    ) -> Result<Checked, MessengerError> {
        let (certificate, witness) = self.verified_answer(answer)?;
        let certified_at_ns = certificate.time().as_nanos();
        let record = witness
            .value::<ConversationRecord>(&path(CONVERSATIONS, &id.to_be_bytes()))
            .map_err(|reason| Violation::Unverified(reason.to_string()))
            .and_then(|ConversationRecord::V1(record)| {
                let head = LogRoot::from_leaf(&record.head);
                let head = head.map_err(|reason| Violation::Unverified(reason.to_string()))?;
                Ok((record, head.head()))
            });
        let (certified, head) = match record {
            Ok(found) => found,
            Err(violation) => return Err(self.alarm(violation, answer)?),
        };
        let verified = kept.log.root()?;
        let entries: Vec<(u64, Hash)> = page
            .entries
            .iter()
            .map(|entry| (entry.index, entry_hash(id, entry)))
            .collect();
        let checked = log::checked(
            &verified,
            &Page {
                entries: &entries,
                consistency: &hashes(&page.consistency),
                certified: head,
            },
        );
        match checked {
            Ok(log) => Ok(Checked {
                log,
                certified,
                certified_size: head.size,
                certified_at_ns,
            }),
            // An earlier state of the subnet is no lie; a shorter log in a later state is.
            Err(Violation::RolledBack { .. }) if certified_at_ns < kept.log.certified_at_ns => {
                Err(MessengerError::Client(ClientError::Older {
                    method: "entries".into(),
                    size: head.size,
                    known: verified.size(),
                }))
            }
            Err(Violation::Falsified { from, until }) => {
                let args = ProofArgs {
                    conversation: id,
                    from,
                    size: head.size,
                };
                let proof = self.node.consistency(&args).await.unwrap_or_default();
                let goes_on = verify_consistency(&verified.head(), &head, &hashes(&proof)).is_ok();
                let violation = if goes_on {
                    Violation::Falsified { from, until }
                } else {
                    Violation::Rewritten { verified: from }
                };
                Err(self.alarm(violation, answer)?)
            }
            Err(violation) => Err(self.alarm(violation, answer)?),
        }
    }

    /// Takes the entries of a page in, as one step.
    async fn take_in(
        &mut self,
        id: u64,
        mut kept: Kept,
        entries: &[Entry],
        checked: &Checked,
        answer: &Answer,
    ) -> Result<Vec<Message>, MessengerError> {
        let mut group = self.take_group(id)?;
        let mut log = kept.log.root()?;
        let mut new = Vec::new();
        for entry in entries {
            let hash = entry_hash(id, entry);
            if let Some(promised) = self.store().promised(id, entry.index)?
                && promised != hash
            {
                let violation = Violation::BrokenReceipt { index: entry.index };
                return Err(self.alarm(violation, answer)?);
            }
            let what = match entry.kind {
                EntryKind::Created => What::Created,
                EntryKind::Commit => {
                    self.commit(id, &mut kept, &mut group, entry, answer)
                        .await?
                }
                EntryKind::Message if is_earlier(entry, &kept) => What::Earlier,
                EntryKind::Message => {
                    let mark = self.store().mark();
                    match self.read(id, &kept, &mut group, entry)? {
                        Ok(text) => What::Text(text),
                        Err(Wrong(violation)) => {
                            self.store().back_to(mark);
                            let found = MlsGroup::load(self.store(), group.group_id())?;
                            group = found.ok_or(crate::StoreError::Record("a group"))?;
                            self.note(Some(id), violation, Some(answer))?;
                            What::Unreadable
                        }
                    }
                }
            };
            if entry.kind == EntryKind::Message && what != What::Earlier {
                self.check_head(id, &kept, entry, answer)?;
            }
            log.append(&hash);
            self.store().put_root(id, &log)?;
            let message = Message {
                index: entry.index,
                at_ns: entry.at_ns,
                epoch: entry.epoch,
                sender: entry.sender,
                what,
            };
            self.store().put_message(id, &message)?;
            new.push(message);
            if !group.is_active() {
                kept.is_active = false;
                break;
            }
        }
        let at_head = log.size() == checked.certified_size;
        if at_head && kept.is_active && !is_certified(&group, &checked.certified) {
            let violation = Violation::AnotherGroup {
                epoch: checked.certified.epoch,
            };
            return Err(self.alarm(violation, answer)?);
        }
        kept.log = Log::new(&log, checked.certified_at_ns);
        self.store().put_kept(id, &kept)?;
        self.store().commit()?;
        if kept.is_active {
            self.put_group(id, group);
        }
        Ok(new)
    }

    /// Moves the group to its next epoch.
    async fn commit(
        &mut self,
        id: u64,
        kept: &mut Kept,
        group: &mut MlsGroup,
        entry: &Entry,
        answer: &Answer,
    ) -> Result<What, MessengerError> {
        let (index, epoch) = (entry.index, entry.epoch);
        let current = group.epoch().as_u64();
        let out_of_turn = if epoch < current {
            Some(Violation::SecondCommit {
                index,
                epoch,
                current,
            })
        } else if epoch > current {
            Some(Violation::EpochSkipped {
                index,
                epoch,
                current,
            })
        } else {
            None
        };
        if let Some(violation) = out_of_turn {
            return Err(self.alarm(violation, answer)?);
        }
        let is_own = kept
            .pending
            .as_ref()
            .is_some_and(|pending| pending.commit == entry.payload);
        kept.pending = None;
        if is_own && let Some(staged) = group.pending_commit() {
            let (added, removed) = changes(group, staged);
            group
                .merge_pending_commit(&self.provider)
                .map_err(mls("taking over a commit"))?;
            return Ok(changed(&added, removed));
        }
        group.clear_pending_commit(self.store())?;
        let unreadable = |reason: String| Violation::Unreadable {
            index,
            sender: entry.sender,
            reason,
        };
        let processed = match self.processed(group, entry) {
            Ok(processed) => processed,
            Err(reason) => return Err(self.alarm(unreadable(reason), answer)?),
        };
        if let Some(signed) = person(processed.credential())
            && signed != entry.sender
        {
            let violation = Violation::ForgedSender {
                index,
                said: entry.sender,
                signed,
            };
            return Err(self.alarm(violation, answer)?);
        }
        let ProcessedMessageContent::StagedCommitMessage(staged) = processed.into_content() else {
            let reason = "it is said to be a commit".to_owned();
            return Err(self.alarm(unreadable(reason), answer)?);
        };
        let (added, removed) = changes(group, &staged);
        self.check_added(id, &added, entry.at_ns).await?;
        group
            .merge_staged_commit(&self.provider, *staged)
            .map_err(mls("taking over a commit"))?;
        Ok(changed(&added, removed))
    }

    /// The text of a message.
    fn read(
        &mut self,
        id: u64,
        kept: &Kept,
        group: &mut MlsGroup,
        entry: &Entry,
    ) -> Result<Result<String, Wrong>, MessengerError> {
        let index = entry.index;
        let unreadable = |reason: String| {
            Wrong(Violation::Unreadable {
                index,
                sender: entry.sender,
                reason,
            })
        };
        let Some((message_id, _)) = authenticated(entry) else {
            let reason = "its authenticated data is not a message id and a head".to_owned();
            return Ok(Err(unreadable(reason)));
        };
        if let Some(first) = self.store().seen(id, &message_id)? {
            return Ok(Err(Wrong(Violation::Replayed { index, first })));
        }
        self.store().put_seen(id, &message_id, index)?;
        if let Some(written) = self.store().outgoing(id, &message_id)? {
            // Nobody reads their own messages by MLS; what was written is here.
            if written.payload != entry.payload || entry.sender != self.device.person {
                let reason = "it has the id of a message that was written here".to_owned();
                return Ok(Err(unreadable(reason)));
            }
            self.store().remove_outgoing(id, &message_id);
            debug_assert!(kept.is_active);
            return Ok(Ok(written.text));
        }
        let processed = match self.processed(group, entry) {
            Ok(processed) => processed,
            Err(reason) => return Ok(Err(unreadable(reason))),
        };
        let signed = match processed.sender() {
            Sender::Member(_) => person(processed.credential()),
            _ => None,
        };
        if signed != Some(entry.sender) {
            let violation = match signed {
                Some(signed) => Wrong(Violation::ForgedSender {
                    index,
                    said: entry.sender,
                    signed,
                }),
                None => unreadable("no member signed it".to_owned()),
            };
            return Ok(Err(violation));
        }
        let ProcessedMessageContent::ApplicationMessage(content) = processed.into_content() else {
            return Ok(Err(unreadable("it is said to be a message".to_owned())));
        };
        Ok(match text(&content.into_bytes()) {
            Some(text) => Ok(text),
            None => Err(unreadable(
                "its content is not one that is known".to_owned(),
            )),
        })
    }

    /// An entry's payload, decrypted and verified by MLS; or why it can't be.
    fn processed(&self, group: &mut MlsGroup, entry: &Entry) -> Result<ProcessedMessage, String> {
        let message = from_bytes(&entry.payload)?
            .try_into_protocol_message()
            .map_err(|error| error.to_string())?;
        group
            .process_message(&self.provider, message)
            .map_err(|error| error.to_string())
    }

    /// Compares the head that a sender was shown with what was seen here.
    fn check_head(
        &mut self,
        id: u64,
        kept: &Kept,
        entry: &Entry,
        answer: &Answer,
    ) -> Result<(), MessengerError> {
        let Some((_, seen)) = authenticated(entry) else {
            return Ok(());
        };
        let known = self.store().root_at(id, kept, seen.size)?;
        let agrees = match known {
            Some(root) => root == seen.root,
            // Before this device joined nothing is known; nobody has seen what was not there yet.
            None => seen.size < kept.first,
        };
        if !agrees {
            let violation = Violation::SplitView {
                index: entry.index,
                sender: entry.sender,
                size: seen.size,
            };
            self.note(Some(id), violation, Some(answer))?;
        }
        Ok(())
    }
}

/// The id of a message, and the head that its sender had verified.
fn authenticated(entry: &Entry) -> Option<(MessageId, Authenticated)> {
    let message = Application::from_message(&entry.payload).ok()?;
    let authenticated = Authenticated::from_bytes(message.authenticated_data)?;
    Some((authenticated.id, authenticated))
}

/// Whether a message was encrypted in an epoch before this device came: it was under way when the commit won.
fn is_earlier(entry: &Entry, kept: &Kept) -> bool {
    let message = Application::from_message(&entry.payload);
    message.is_ok_and(|message| message.epoch == entry.epoch && message.epoch < kept.first_epoch)
}

/// Who is added by a commit, and who is removed.
fn changes(
    group: &MlsGroup,
    staged: &StagedCommit,
) -> (Vec<(candid::Principal, [u8; 32])>, Vec<candid::Principal>) {
    let added = staged
        .add_proposals()
        .filter_map(|proposal| holder(proposal.add_proposal().key_package().leaf_node()));
    let removed = staged
        .remove_proposals()
        .filter_map(|proposal| group.member(proposal.remove_proposal().removed()))
        .filter_map(person);
    (added.collect(), removed.collect())
}

fn changed(added: &[(candid::Principal, [u8; 32])], removed: Vec<candid::Principal>) -> What {
    What::Changed {
        added: added.iter().map(|(person, _)| *person).collect(),
        removed,
    }
}

/// Whether a group is the one that is certified.
fn is_certified(group: &MlsGroup, certified: &Conversation) -> bool {
    let context = group.public_group().group_context();
    group.epoch().as_u64() == certified.epoch
        && context.tree_hash() == certified.tree_hash.as_slice()
        && context.confirmed_transcript_hash() == certified.confirmed_transcript_hash.as_slice()
}

/// Whether a page was said to begin behind the end of the log.
fn is_behind(error: &ClientError) -> bool {
    matches!(
        error.refusal(),
        Some(indus_api::Error::Invalid { field, .. }) if field == "from"
    )
}
