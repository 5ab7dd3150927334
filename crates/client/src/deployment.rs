//! Deploying canisters through the management canister (`aaaaa-aa`), as on any subnet that gives cycles for tests.
//!
//! Flow: create → install in one message → the module hash that the subnet *certifies* must be that of what was
//! sent. Modules that don't fit into one message would need the chunk store, and are refused with a clear error.

use std::fmt;

use candid::Principal;
use candid::utils::{ArgumentDecoder, ArgumentEncoder};
use ic_management_canister_types::{
    CanisterIdRecord, CanisterInstallMode, CanisterSettings, CanisterStatusArgs,
    CanisterStatusResult, InstallCodeArgs, ProvisionalCreateCanisterWithCyclesArgs,
};
use sha2::{Digest, Sha256};

use crate::connection::Connection;
use crate::error::ClientError;

/// Most bytes of module and argument in one install message: a subnet accepts messages of 2 MiB, and the
/// envelope around them takes less than 16 KiB.
pub const MAX_INSTALL_BYTES: usize = 2 * 1024 * 1024 - 16 * 1024;

/// SHA-256 of a module as it was sent, compressed or not.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ModuleHash([u8; 32]);

impl ModuleHash {
    /// Of `module`.
    #[must_use]
    pub fn of(module: &[u8]) -> Self {
        Self(Sha256::digest(module).into())
    }
}

/// Hexadecimal.
impl fmt::Display for ModuleHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for ModuleHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ModuleHash({self})")
    }
}

/// Deploys on behalf of one caller, who becomes the controller of what is created.
#[derive(Clone, Debug)]
pub struct Deployment {
    connection: Connection,
}

impl Deployment {
    /// Deploys as the connection's caller.
    #[must_use]
    pub fn new(connection: Connection) -> Self {
        Self { connection }
    }

    /// Creates a canister on the subnet that `effective_canister` belongs to, with the subnet's default cycles.
    pub async fn create(&self, effective_canister: Principal) -> Result<Principal, ClientError> {
        let controllers = Some(vec![self.connection.caller()]);
        let arguments = ProvisionalCreateCanisterWithCyclesArgs {
            settings: Some(CanisterSettings {
                controllers,
                ..CanisterSettings::default()
            }),
            ..ProvisionalCreateCanisterWithCyclesArgs::default()
        };
        let method = "provisional_create_canister_with_cycles";
        let (created,): (CanisterIdRecord,) = self
            .management(effective_canister, method, (arguments,))
            .await?;
        Ok(created.canister_id)
    }

    /// Installs `module` (Wasm, or gzip of it) with the Candid argument `arg` into the empty `canister`, and checks
    /// the module hash that the subnet certifies.
    ///
    /// Errors: [`ClientError::ModuleTooLarge`], [`ClientError::WrongModule`], and those of any call.
    pub async fn install(
        &self,
        canister: Principal,
        module: Vec<u8>,
        arg: Vec<u8>,
    ) -> Result<ModuleHash, ClientError> {
        let bytes = module.len() + arg.len();
        if bytes > MAX_INSTALL_BYTES {
            return Err(ClientError::ModuleTooLarge {
                bytes,
                limit: MAX_INSTALL_BYTES,
            });
        }
        let installed = ModuleHash::of(&module);
        let arguments = InstallCodeArgs {
            mode: CanisterInstallMode::Install,
            canister_id: canister,
            wasm_module: module,
            arg,
            sender_canister_version: None,
        };
        let () = self
            .management(canister, "install_code", (arguments,))
            .await?;
        let certified = self.certified_module_hash(canister).await?;
        if certified != installed.0 {
            let (installed, certified) = (installed.to_string(), hex::encode(certified));
            return Err(ClientError::WrongModule {
                canister,
                installed,
                certified,
            });
        }
        Ok(installed)
    }

    /// Status of `canister`, for its controllers.
    pub async fn status(&self, canister: Principal) -> Result<CanisterStatusResult, ClientError> {
        let arguments = CanisterStatusArgs {
            canister_id: canister,
        };
        let (status,) = self
            .management(canister, "canister_status", (arguments,))
            .await?;
        Ok(status)
    }

    /// From the subnet's state tree, in a certificate that the agent verified against the pinned root key.
    async fn certified_module_hash(&self, canister: Principal) -> Result<Vec<u8>, ClientError> {
        self.connection
            .agent()
            .read_state_canister_module_hash(canister)
            .await
            .map_err(|error| ClientError::agent("read_state of the module hash", error))
    }

    async fn management<R>(
        &self,
        effective_canister: Principal,
        method: &str,
        arguments: impl ArgumentEncoder,
    ) -> Result<R, ClientError>
    where
        R: for<'a> ArgumentDecoder<'a>,
    {
        self.connection
            .update(
                Principal::management_canister(),
                effective_canister,
                method,
                arguments,
            )
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::example;

    #[tokio::test]
    async fn a_module_that_needs_the_chunk_store_is_refused_before_it_is_sent() {
        let deployment = Deployment::new(Connection::open(example()).unwrap());
        let canister = Principal::from_slice(&[1]);
        let error = deployment
            .install(canister, vec![0; MAX_INSTALL_BYTES], vec![0])
            .await
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "the module has 2080769 bytes with its argument; at most 2080768 can be installed in one message"
        );
    }
}
