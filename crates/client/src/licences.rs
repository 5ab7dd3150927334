//! How `license_manager` writes what clients read of it.

use indus_api::licences::{
    APPLICATION_COLLECTION, Application, ApplicationRecord, Ledger, LedgerRecord, QUOTA_COLLECTION,
    ROUND_COLLECTION, Round, RoundRecord, SEAT_COLLECTION, SETTINGS_COLLECTION, SETTINGS_KEY, Seat,
    SeatRecord, Settings, SettingsRecord, id_key, ledger_key,
};

use crate::records::Recorded;

impl Recorded for Seat {
    type Record = SeatRecord;
    const COLLECTION: &'static str = SEAT_COLLECTION;
    fn from_record(SeatRecord::V1(seat): SeatRecord) -> Self {
        seat
    }
    fn key(&self) -> Vec<u8> {
        id_key(self.seat).to_vec()
    }
}

impl Recorded for Application {
    type Record = ApplicationRecord;
    const COLLECTION: &'static str = APPLICATION_COLLECTION;
    fn from_record(ApplicationRecord::V1(application): ApplicationRecord) -> Self {
        application
    }
    fn key(&self) -> Vec<u8> {
        id_key(self.content.id).to_vec()
    }
}

impl Recorded for Ledger {
    type Record = LedgerRecord;
    const COLLECTION: &'static str = QUOTA_COLLECTION;
    fn from_record(LedgerRecord::V1(ledger): LedgerRecord) -> Self {
        ledger
    }
    fn key(&self) -> Vec<u8> {
        ledger_key(self.audience, self.sector).to_vec()
    }
}

impl Recorded for Round {
    type Record = RoundRecord;
    const COLLECTION: &'static str = ROUND_COLLECTION;
    fn from_record(RoundRecord::V1(round): RoundRecord) -> Self {
        round
    }
    fn key(&self) -> Vec<u8> {
        id_key(self.id).to_vec()
    }
}

impl Recorded for Settings {
    type Record = SettingsRecord;
    const COLLECTION: &'static str = SETTINGS_COLLECTION;
    fn from_record(SettingsRecord::V1(settings): SettingsRecord) -> Self {
        settings
    }
    fn key(&self) -> Vec<u8> {
        SETTINGS_KEY.to_vec()
    }
}
