//! What a messenger asks of one node of the subnet, whose answers are believed for their proofs alone.
//!
//! Updates don't come by here: their replies are certified.

use std::future::Future;

use candid::Principal;
use indus_api::CertifiedRead;
use indus_api::messaging::{EntriesArgs, EntriesPage, ProofArgs, WelcomesArgs, WelcomesPage};
use indus_client::{ClientError, Connection, SuiteCanister};
use serde_bytes::ByteBuf;

use crate::error::MessengerError;

/// How often a node that lags behind is asked again.
const TRIES: u32 = 5;

/// One node's answers.
pub trait Node: Send + Sync {
    /// Entries of a conversation.
    fn entries(
        &self,
        args: &EntriesArgs,
    ) -> impl Future<Output = Result<EntriesPage, ClientError>> + Send;

    /// Welcomes of this device.
    fn welcomes(
        &self,
        args: &WelcomesArgs,
    ) -> impl Future<Output = Result<WelcomesPage, ClientError>> + Send;

    /// Proof that a log begins with a shorter one.
    fn consistency(
        &self,
        args: &ProofArgs,
    ) -> impl Future<Output = Result<Vec<ByteBuf>, ClientError>> + Send;

    /// What `canister` (`messaging` or `identity`) certifies at these paths.
    fn certified(
        &self,
        canister: Principal,
        paths: &[Vec<ByteBuf>],
    ) -> impl Future<Output = Result<CertifiedRead, ClientError>> + Send;
}

/// How often a node that lags behind was asked again.
#[derive(Default)]
pub(crate) struct Lag {
    tries: u32,
}

impl Lag {
    /// Whether it is to be asked again after this error; that counts.
    pub(crate) fn asks_again(&mut self, error: &MessengerError) -> bool {
        let is_older = matches!(error, MessengerError::Client(ClientError::Older { .. }));
        if !is_older || self.tries == TRIES {
            return false;
        }
        self.tries += 1;
        true
    }
}

/// The nodes of the network that a connection is to.
#[derive(Clone, Debug)]
pub struct Subnet {
    messaging: SuiteCanister,
    identity: SuiteCanister,
}

impl Subnet {
    /// # Errors
    /// [`ClientError::Trust`] if the trust file does not name both canisters.
    pub fn new(connection: &Connection) -> Result<Self, ClientError> {
        Ok(Self {
            messaging: SuiteCanister::new(connection.clone(), "messaging")?,
            identity: SuiteCanister::new(connection.clone(), "identity")?,
        })
    }
}

impl Node for Subnet {
    async fn entries(&self, args: &EntriesArgs) -> Result<EntriesPage, ClientError> {
        self.messaging
            .query_as_subject_unverified("entries", args)
            .await
    }

    async fn welcomes(&self, args: &WelcomesArgs) -> Result<WelcomesPage, ClientError> {
        self.messaging
            .query_as_subject_unverified("welcomes", args)
            .await
    }

    async fn consistency(&self, args: &ProofArgs) -> Result<Vec<ByteBuf>, ClientError> {
        self.messaging
            .query_unverified("entry_consistency_proof", args)
            .await
    }

    async fn certified(
        &self,
        canister: Principal,
        paths: &[Vec<ByteBuf>],
    ) -> Result<CertifiedRead, ClientError> {
        let of = if canister == self.identity.canister() {
            &self.identity
        } else {
            &self.messaging
        };
        of.certified_read_unverified(paths).await
    }
}
