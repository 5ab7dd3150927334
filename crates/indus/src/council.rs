//! The governors, deciding.

use candid::{CandidType, Principal};
use indus_api::registry::{Action, Proposal, ProposalState, ProposeArgs};
use indus_client::{ClientError, Connection, Key, RegistryClient};
use serde_bytes::ByteBuf;

use thiserror::Error;

/// Why nothing was decided.
#[derive(Debug, Error)]
pub(crate) enum CouncilError {
    #[error("deciding: {0}")]
    Client(#[from] ClientError),
    #[error("there is no governor {0}")]
    NoGovernor(usize),
    #[error("proposal {0} is not what was said")]
    NotWhatWasSaid(u64),
    #[error("proposal {id} is {state:?} after all have agreed")]
    NotExecuted { id: u64, state: ProposalState },
    #[error("a configuration can't be encoded: {0}")]
    Configuration(#[from] candid::Error),
}

/// All governors, each with a connection of their own.
pub(crate) struct Council {
    governors: Vec<RegistryClient>,
}

impl Council {
    pub(crate) fn new(connection: &Connection, governors: &[Key]) -> Result<Self, CouncilError> {
        let registry = |key| RegistryClient::new(connection.signing_as(key));
        let governors = governors.iter().map(registry).collect::<Result<_, _>>();
        Ok(Self {
            governors: governors?,
        })
    }

    /// The governor with this number, from 1 on.
    pub(crate) fn governor(&self, number: usize) -> Result<&RegistryClient, CouncilError> {
        let found = self.governors.get(number.wrapping_sub(1));
        found.ok_or(CouncilError::NoGovernor(number))
    }

    /// What the first governor proposes, and as many others agree to as it needs: each reads the proposal certified, and
    /// agrees to that only if it is what was said.
    pub(crate) async fn decided(&self, action: Action) -> Result<Proposal, CouncilError> {
        let mut proposal = self.proposed(action.clone()).await?;
        for governor in self.governors.iter().skip(1) {
            if proposal.state != ProposalState::Open {
                break;
            }
            let id = proposal.id;
            let found = governor.proposal(id).await?;
            let found = found.filter(|found| found.action == action);
            let found = found.ok_or(CouncilError::NotWhatWasSaid(id))?;
            proposal = governor.approve(id, found.hash).await?;
        }
        match proposal.state {
            ProposalState::Executed { .. } => Ok(proposal),
            state => {
                let id = proposal.id;
                Err(CouncilError::NotExecuted { id, state })
            }
        }
    }

    /// What the first governor proposes.
    ///
    /// Errors: [`CouncilError::Client`] with the registry's refusal, among others.
    pub(crate) async fn proposed(&self, action: Action) -> Result<Proposal, CouncilError> {
        let governor = self.governor(1)?;
        let args = ProposeArgs {
            action,
            lifetime_ns: None,
            not_before_ns: None,
        };
        Ok(governor.propose(&args).await?)
    }

    /// A decision about the configuration of a canister, which applies it when it is told to.
    pub(crate) async fn configured(
        &self,
        canister: Principal,
        configuration: &impl CandidType,
    ) -> Result<Proposal, CouncilError> {
        self.decided(Action::Configure {
            canister,
            configuration: ByteBuf::from(candid::encode_one(configuration)?),
        })
        .await
    }
}
