//! Raising alarms, and reading them.

use candid::Principal;
use indus_api::CertifiedRead;
use indus_api::messaging::Entry;
use indus_client::ClientError;
use indus_verify::{VerifiedCertificate, VerifiedWitness};
use serde_bytes::ByteBuf;

use crate::alarm::{Alarm, Evidence, Violation};
use crate::error::MessengerError;
use crate::messenger::{Messenger, now_ns};
use crate::node::Node;
use crate::store::{StoreError, name};

const ALARMS: &[u8] = b"alarms";
const METHOD: &str = "certified_read";
/// Alarms whose evidence is kept: who answers wrongly on purpose does not fill the disk.
const MAX_EVIDENCE: u64 = 1_000;

/// An answer that a node gave, as evidence keeps it.
pub(crate) struct Answer {
    pub(crate) canister: Principal,
    pub(crate) conversation: Option<u64>,
    pub(crate) read: CertifiedRead,
    pub(crate) entries: Vec<Entry>,
}

impl<N: Node> Messenger<N> {
    /// The alarms of this device, from the first on.
    ///
    /// # Errors
    /// [`MessengerError::Store`].
    pub fn alarms(&self) -> Result<Vec<Alarm>, MessengerError> {
        (1..=self.count()?)
            .filter_map(|number| {
                let alarm = self.store().record(&name("alarm", &[number]), "an alarm");
                alarm.transpose()
            })
            .map(|alarm| Ok(alarm?))
            .collect()
    }

    /// What an alarm rests on, if an answer of a node is part of it.
    ///
    /// # Errors
    /// [`MessengerError::Store`].
    pub fn evidence(&self, number: u64) -> Result<Option<Evidence>, MessengerError> {
        let name = name("evidence", &[number]);
        Ok(self.store().record(&name, "evidence")?)
    }

    /// The certificate and the witness of an answer, verified: a later one than what was verified before is not asked for here.
    ///
    /// # Errors
    /// [`MessengerError::Alarm`].
    pub(crate) fn verified_answer(
        &mut self,
        answer: &Answer,
    ) -> Result<(VerifiedCertificate, VerifiedWitness), MessengerError> {
        let connection = self.messaging.connection();
        match connection.verify(answer.canister, METHOD, &answer.read) {
            Ok(verified) => Ok(verified),
            Err(error @ (ClientError::Unverified { .. } | ClientError::ForeignSubnet { .. })) => {
                Err(self.alarm(Violation::Unverified(error.to_string()), answer)?)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Undoes the step that is under way, and keeps an alarm with the answer that it rests on.
    pub(crate) fn alarm(
        &mut self,
        violation: Violation,
        answer: &Answer,
    ) -> Result<MessengerError, StoreError> {
        self.abandon();
        let alarm = self.note(answer.conversation, violation, Some(answer))?;
        self.store().commit()?;
        Ok(MessengerError::Alarm(Box::new(alarm)))
    }

    /// As [`Messenger::alarm`], for what rests on nothing but what is in the store.
    pub(crate) fn alarm_alone(
        &mut self,
        conversation: Option<u64>,
        violation: Violation,
    ) -> Result<MessengerError, StoreError> {
        self.abandon();
        let alarm = self.note(conversation, violation, None)?;
        self.store().commit()?;
        Ok(MessengerError::Alarm(Box::new(alarm)))
    }

    /// Keeps an alarm and what it rests on, within the step that is under way. The same one again is not kept twice in a row.
    pub(crate) fn note(
        &self,
        conversation: Option<u64>,
        violation: Violation,
        answer: Option<&Answer>,
    ) -> Result<Alarm, StoreError> {
        let count = self.count()?;
        if let Some(last) = self
            .store()
            .record::<Alarm>(&name("alarm", &[count]), "an alarm")?
            && last.conversation == conversation
            && last.violation == violation
        {
            return Ok(last);
        }
        let alarm = Alarm {
            number: count + 1,
            found_at_ns: now_ns(),
            conversation,
            violation,
        };
        if let Some(answer) = answer
            && alarm.number <= MAX_EVIDENCE
        {
            let evidence = self.evidence_of(&alarm.violation, answer)?;
            self.store()
                .put_record(&name("evidence", &[alarm.number]), &evidence)?;
        }
        self.store()
            .put_record(&name("alarm", &[alarm.number]), &alarm)?;
        self.store().put_record(ALARMS, &alarm.number)?;
        Ok(alarm)
    }

    /// An answer, and the head up to which all had been verified before it.
    fn evidence_of(&self, violation: &Violation, answer: &Answer) -> Result<Evidence, StoreError> {
        let log = match answer.conversation {
            Some(id) => self.store().kept(id)?.map(|kept| kept.log),
            None => Some(self.store().inbox()?),
        };
        let log = log.unwrap_or_default().root()?;
        Ok(Evidence {
            canister: answer.canister,
            conversation: answer.conversation,
            violation: violation.to_string(),
            verified_size: log.size(),
            verified_root: ByteBuf::from(log.root()),
            answer: answer.read.clone(),
            entries: answer.entries.clone(),
        })
    }

    fn count(&self) -> Result<u64, StoreError> {
        Ok(self
            .store()
            .record(ALARMS, "the alarms")?
            .unwrap_or_default())
    }
}
