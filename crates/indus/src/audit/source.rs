//! Where an audit's folder comes from: the standard endpoints of one canister, nothing of it verified yet.

use candid::Principal;
use indus_api::CertifiedRead;
use indus_api::certified::CertifiedListArgs;
use indus_api::icrc3::TipCertificate;
use indus_api::service::ServiceInfo;
use indus_client::{AuditedCanister, ClientError, Connection};

/// A canister that answers.
pub(crate) trait Source {
    /// `log_head`.
    async fn head(&self) -> Result<CertifiedRead, ClientError>;
    /// `certified_list`.
    async fn page(&self, args: &CertifiedListArgs) -> Result<CertifiedRead, ClientError>;
    /// `icrc3_get_tip_certificate`.
    async fn tip(&self) -> Result<Option<TipCertificate>, ClientError>;
    /// `icrc3_get_blocks`, Candid.
    async fn blocks(&self, start: u64, length: u64) -> Result<Vec<u8>, ClientError>;
    /// `read_state` of its controllers and module hash: the certificate.
    async fn state(&self) -> Result<Vec<u8>, ClientError>;
    /// `service_info`.
    async fn info(&self) -> Result<ServiceInfo, ClientError>;
}

/// A canister on a network.
pub(crate) struct Network {
    connection: Connection,
    audited: AuditedCanister,
}

impl Network {
    pub(crate) fn new(connection: Connection, canister: Principal) -> Self {
        Self {
            audited: AuditedCanister::new(connection.clone(), canister),
            connection,
        }
    }
}

impl Source for Network {
    async fn head(&self) -> Result<CertifiedRead, ClientError> {
        self.audited.head_answer_unverified().await
    }

    async fn page(&self, args: &CertifiedListArgs) -> Result<CertifiedRead, ClientError> {
        self.audited.page_answer_unverified(args).await
    }

    async fn tip(&self) -> Result<Option<TipCertificate>, ClientError> {
        self.audited.tip_answer_unverified().await
    }

    async fn blocks(&self, start: u64, length: u64) -> Result<Vec<u8>, ClientError> {
        self.audited.blocks_unverified(start, length).await
    }

    async fn state(&self) -> Result<Vec<u8>, ClientError> {
        let canister = self.audited.canister();
        self.connection.canister_state_unverified(canister).await
    }

    async fn info(&self) -> Result<ServiceInfo, ClientError> {
        self.audited.service_info_unverified().await
    }
}
