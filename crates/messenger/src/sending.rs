//! Sending: a message is encrypted and kept before it leaves, and sent until the canister has taken it.
//!
//! ```text
//! write ─► encrypt in the epoch that was followed last ─► on disk ─► post ─► receipt ─► on disk
//!                                   ▲                                 │
//!                                   └── follow ◄── epoch is over ─────┘     the same id, another ciphertext
//! ```
//!
//! A ciphertext that may have arrived is sent as it is; another one takes its place only when the canister has said that it did not
//! take it. So a message is in the log once.

use indus_api::Error;
use indus_api::messaging::{Authenticated, PostArgs, Receipt};
use indus_client::ClientError;
use openmls::prelude::MlsGroup;

use crate::error::{MessengerError, mls};
use crate::group::{content, to_bytes};
use crate::kept::{Kept, MessageId, Outgoing};
use crate::messenger::Messenger;
use crate::node::Node;

/// How often a message is encrypted again because its epoch is over.
const TRIES: u32 = 10;

/// A message that the canister has taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    pub text: String,
    /// What the subnet certified in the reply: where the message is in the log. Following holds the canister to it.
    pub receipt: Receipt,
}

impl<N: Node> Messenger<N> {
    /// Sends a text, after those that wait. Returns all that were sent, this one last.
    ///
    /// # Errors
    /// [`MessengerError`]. A text that was encrypted is sent by the next [`Messenger::send`] or [`Messenger::flush`], even if this
    /// process is killed now.
    pub async fn send(&mut self, id: u64, text: &str) -> Result<Vec<Sent>, MessengerError> {
        self.write(id, text)?;
        self.flush(id).await
    }

    /// Encrypts a text and keeps it, to be sent.
    ///
    /// # Errors
    /// [`MessengerError::TooLong`], [`MessengerError::NotIn`], [`MessengerError::Removed`].
    pub fn write(&mut self, id: u64, text: &str) -> Result<(), MessengerError> {
        let mut kept = self.kept(id)?;
        let message_id = self.rand();
        self.encrypt(id, &kept, message_id, text)?;
        kept.unsent.push(message_id);
        self.store().put_kept(id, &kept)?;
        Ok(self.store().commit()?)
    }

    /// Sends what waits, in its order.
    ///
    /// # Errors
    /// [`MessengerError`]; what was not sent goes on waiting.
    pub async fn flush(&mut self, id: u64) -> Result<Vec<Sent>, MessengerError> {
        let mut sent = Vec::new();
        let mut tries = 0;
        while let Some(message_id) = self.kept(id)?.unsent.first().copied() {
            let Some(outgoing) = self.store().outgoing(id, &message_id)? else {
                // It was found in the log before its receipt came.
                self.took(id, message_id, None)?;
                continue;
            };
            let args = PostArgs {
                conversation: id,
                message: outgoing.payload,
            };
            match self.messaging.update("post_message", &args).await {
                Ok(receipt) => {
                    self.took(id, message_id, Some(&receipt))?;
                    sent.push(Sent {
                        text: outgoing.text,
                        receipt,
                    });
                }
                Err(error) if is_stale(&error) && tries < TRIES => {
                    tries += 1;
                    self.follow(id).await?;
                    let kept = self.kept(id)?;
                    // What following found in the log was taken after all.
                    if self.store().outgoing(id, &message_id)?.is_some() {
                        self.encrypt(id, &kept, message_id, &outgoing.text)?;
                        self.store().commit()?;
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(sent)
    }

    /// Encrypts a message in the current epoch, with what was verified of the log. Its keys and its ciphertext are in the step.
    fn encrypt(
        &mut self,
        id: u64,
        kept: &Kept,
        message_id: MessageId,
        text: &str,
    ) -> Result<(), MessengerError> {
        if !kept.is_active {
            return Err(MessengerError::Removed(id));
        }
        let content = content(text)?;
        let log = kept.log.root()?;
        let authenticated = Authenticated {
            id: message_id,
            size: log.size(),
            root: log.root(),
        };
        let mut group: MlsGroup = self.take_group(id)?;
        group.set_aad(authenticated.to_bytes().to_vec());
        let message = group
            .create_message(&self.provider, &self.signer, &content)
            .map_err(mls("encrypting a message"));
        let message = match message.and_then(|message| to_bytes(&message)) {
            Ok(message) => message,
            Err(error) => {
                self.abandon();
                return Err(error);
            }
        };
        let outgoing = Outgoing {
            text: text.to_owned(),
            payload: message,
        };
        self.store().put_outgoing(id, &message_id, &outgoing)?;
        self.put_group(id, group);
        Ok(())
    }

    /// Notes that the canister has taken a message, and what it promised.
    fn took(
        &mut self,
        id: u64,
        message_id: MessageId,
        receipt: Option<&Receipt>,
    ) -> Result<(), MessengerError> {
        let mut kept = self.kept(id)?;
        kept.unsent.retain(|one| *one != message_id);
        if let Some(receipt) = receipt {
            self.store()
                .put_promised(id, receipt.index, &receipt.entry_hash);
        }
        self.store().put_kept(id, &kept)?;
        Ok(self.store().commit()?)
    }
}

fn is_stale(error: &ClientError) -> bool {
    matches!(error.refusal(), Some(Error::Stale { .. }))
}
