//! A node that lies: it passes on what the subnet answers, changed.
//!
//! Signatures of nodes are not what a messenger relies on, so the lie is told behind them: as a node would whose key is in the subnet.

use std::sync::{Arc, Mutex};

use candid::Principal;
use indus_api::CertifiedRead;
use indus_api::messaging::{EntriesArgs, EntriesPage, ProofArgs, WelcomesArgs, WelcomesPage};
use indus_client::ClientError;
use indus_messenger::{Node, Subnet};
use serde_bytes::ByteBuf;

type Lie<T> = Arc<Mutex<Option<Box<dyn FnMut(&mut T) + Send>>>>;

/// The nodes of a subnet, with a lie or none for each kind of answer.
pub(crate) struct Lying {
    nodes: Subnet,
    entries: Lie<EntriesPage>,
    welcomes: Lie<WelcomesPage>,
    certified: Lie<CertifiedRead>,
}

impl Lying {
    pub(crate) fn new(nodes: Subnet) -> Self {
        Self {
            nodes,
            entries: Lie::default(),
            welcomes: Lie::default(),
            certified: Lie::default(),
        }
    }

    /// From now on, pages of entries are changed like this.
    pub(crate) fn lie(&mut self, lie: impl FnMut(&mut EntriesPage) + Send + 'static) {
        *self.entries.lock().unwrap() = Some(Box::new(lie));
    }

    /// From now on, pages of welcomes are.
    pub(crate) fn lie_about_welcomes(
        &mut self,
        lie: impl FnMut(&mut WelcomesPage) + Send + 'static,
    ) {
        *self.welcomes.lock().unwrap() = Some(Box::new(lie));
    }

    /// From now on, what is certified of keys is.
    pub(crate) fn lie_about_keys(&mut self, lie: impl FnMut(&mut CertifiedRead) + Send + 'static) {
        *self.certified.lock().unwrap() = Some(Box::new(lie));
    }

    /// From now on, nothing is changed.
    pub(crate) fn be_honest(&mut self) {
        *self.entries.lock().unwrap() = None;
        *self.welcomes.lock().unwrap() = None;
        *self.certified.lock().unwrap() = None;
    }
}

fn told<T>(lie: &Lie<T>, mut answer: T) -> T {
    if let Some(lie) = &mut *lie.lock().unwrap() {
        lie(&mut answer);
    }
    answer
}

impl Node for Lying {
    async fn entries(&self, args: &EntriesArgs) -> Result<EntriesPage, ClientError> {
        let page = self.nodes.entries(args).await?;
        Ok(told(&self.entries, page))
    }

    async fn welcomes(&self, args: &WelcomesArgs) -> Result<WelcomesPage, ClientError> {
        let page = self.nodes.welcomes(args).await?;
        Ok(told(&self.welcomes, page))
    }

    async fn consistency(&self, args: &ProofArgs) -> Result<Vec<ByteBuf>, ClientError> {
        self.nodes.consistency(args).await
    }

    async fn certified(
        &self,
        canister: Principal,
        paths: &[Vec<ByteBuf>],
    ) -> Result<CertifiedRead, ClientError> {
        let read = self.nodes.certified(canister, paths).await?;
        Ok(told(&self.certified, read))
    }
}
