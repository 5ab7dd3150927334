//! How `messaging` writes what clients read of it; conversations are for the messenger.

use indus_api::messaging::{CONFIGURATION, CONFIGURATION_KEY, ConfigurationRecord, InForce};

use crate::records::Recorded;

impl Recorded for InForce {
    type Record = ConfigurationRecord;
    const COLLECTION: &'static str = CONFIGURATION;
    fn from_record(ConfigurationRecord::V1(in_force): ConfigurationRecord) -> Self {
        in_force
    }
    fn key(&self) -> Vec<u8> {
        CONFIGURATION_KEY.to_vec()
    }
}
