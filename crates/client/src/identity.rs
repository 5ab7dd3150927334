//! How `identity` writes what clients read of it.

use indus_api::identity::{
    CONFIGURATION, CONFIGURATION_KEY, CREDENTIALS, ConfigurationRecord, Credential,
    CredentialRecord, InForce, PERSONS, Person, PersonRecord, RECOVERIES, REVOKED_CREDENTIALS,
    ROLES, Recovery, RecoveryRecord, RevokedCredential, RevokedCredentialRecord, Role, RoleRecord,
    id_key, person_key,
};

use crate::records::Recorded;

impl Recorded for Person {
    type Record = PersonRecord;
    const COLLECTION: &'static str = PERSONS;
    fn from_record(PersonRecord::V1(person): PersonRecord) -> Self {
        person
    }
    fn key(&self) -> Vec<u8> {
        person_key(self.id).to_vec()
    }
}

impl Recorded for Role {
    type Record = RoleRecord;
    const COLLECTION: &'static str = ROLES;
    fn from_record(RoleRecord::V1(role): RoleRecord) -> Self {
        role
    }
    fn key(&self) -> Vec<u8> {
        id_key(self.id).to_vec()
    }
}

impl Recorded for Recovery {
    type Record = RecoveryRecord;
    const COLLECTION: &'static str = RECOVERIES;
    fn from_record(RecoveryRecord::V1(recovery): RecoveryRecord) -> Self {
        recovery
    }
    fn key(&self) -> Vec<u8> {
        id_key(self.id).to_vec()
    }
}

impl Recorded for Credential {
    type Record = CredentialRecord;
    const COLLECTION: &'static str = CREDENTIALS;
    fn from_record(CredentialRecord::V1(credential): CredentialRecord) -> Self {
        credential
    }
    fn key(&self) -> Vec<u8> {
        id_key(self.id).to_vec()
    }
}

impl Recorded for RevokedCredential {
    type Record = RevokedCredentialRecord;
    const COLLECTION: &'static str = REVOKED_CREDENTIALS;
    fn from_record(RevokedCredentialRecord::V1(revoked): RevokedCredentialRecord) -> Self {
        revoked
    }
    fn key(&self) -> Vec<u8> {
        id_key(self.id).to_vec()
    }
}

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
