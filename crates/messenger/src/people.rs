//! Whose keys are whose: what identity certifies.

use candid::Principal;
use indus_api::identity::{MESSAGING_KEYS, MessagingKeyRecord, messaging_key_key, path};
use indus_api::{CertifiedRead, messaging::Entry};

use crate::alarm::Violation;
use crate::alarms::Answer;
use crate::error::MessengerError;
use crate::messenger::{Messenger, Standing};
use crate::node::Node;

/// Keys that are asked for at a time.
const KEYS: usize = 50;

impl<N: Node> Messenger<N> {
    /// What identity certifies of these persons' keys now.
    ///
    /// # Errors
    /// [`MessengerError::Alarm`] for a key that is not certified as that person's.
    pub(crate) async fn standings(
        &mut self,
        conversation: Option<u64>,
        holders: &[(Principal, [u8; 32])],
    ) -> Result<Vec<Standing>, MessengerError> {
        let identity = self.device.identity;
        let mut standings = Vec::with_capacity(holders.len());
        for some in holders.chunks(KEYS) {
            let paths: Vec<_> = some
                .iter()
                .map(|(_, key)| path(MESSAGING_KEYS, &messaging_key_key(key)))
                .collect();
            let read = self.node.certified(identity, &paths).await?;
            let about = |read: &CertifiedRead| Answer {
                canister: identity,
                conversation,
                read: read.clone(),
                entries: Vec::<Entry>::new(),
            };
            let (_, witness) = self.verified_answer(&about(&read))?;
            for ((person, key), path) in some.iter().zip(&paths) {
                let record = witness.value::<MessagingKeyRecord>(path);
                let standing = match record {
                    Ok(MessagingKeyRecord::V1(found))
                        if found.person == *person && found.signature_key == key.as_slice() =>
                    {
                        self.certified.insert(*key, *person);
                        found
                            .ended_at_ns
                            .map_or(Standing::Holds, |at_ns| Standing::Ended { at_ns })
                    }
                    _ => {
                        let violation = Violation::ForeignKey {
                            person: *person,
                            key: hex::encode(key),
                        };
                        return Err(self.alarm(violation, &about(&read))?);
                    }
                };
                standings.push(standing);
            }
        }
        Ok(standings)
    }

    /// That those who are added held their keys when they were. What was certified before is not asked for again.
    pub(crate) async fn check_added(
        &mut self,
        conversation: u64,
        holders: &[(Principal, [u8; 32])],
        at_ns: u64,
    ) -> Result<(), MessengerError> {
        let unknown: Vec<_> = holders
            .iter()
            .filter(|(person, key)| self.certified.get(key) != Some(person))
            .copied()
            .collect();
        let standings = self.standings(Some(conversation), &unknown).await?;
        for ((person, key), standing) in unknown.iter().zip(standings) {
            if let Standing::Ended { at_ns: ended } = standing
                && ended < at_ns
            {
                let violation = Violation::ForeignKey {
                    person: *person,
                    key: hex::encode(key),
                };
                return Err(self.alarm_alone(Some(conversation), violation)?);
            }
        }
        Ok(())
    }
}
