//! Deploying canisters through the management canister (`aaaaa-aa`), as on any subnet that gives cycles for tests.
//!
//! Flow: create → install in one message → the module hash that the subnet *certifies* must be that of what was
//! sent. Modules that don't fit into one message would need the chunk store, and are refused with a clear error.
//!
//! An upgrade that can be taken back: stop → snapshot → upgrade → start; and stop → restore → start.

use std::fmt;

use candid::Principal;
use candid::utils::{ArgumentDecoder, ArgumentEncoder};
use ic_agent::AgentError;
use ic_management_canister_types::{
    CanisterIdRecord, CanisterInstallMode, CanisterSettings, CanisterStatusArgs,
    CanisterStatusResult, DeleteCanisterSnapshotArgs, InstallCodeArgs, LoadCanisterSnapshotArgs,
    ProvisionalCreateCanisterWithCyclesArgs, Snapshot, TakeCanisterSnapshotArgs,
    UpdateSettingsArgs,
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

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
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
        self.install_code(canister, CanisterInstallMode::Install, module, arg)
            .await
    }

    /// Replaces the module of `canister`, whose stable memory stays, and checks the module hash that the subnet certifies.
    ///
    /// Errors: as [`install`](Self::install); [`ClientError::Rejected`] if the new module does not take the state over: then
    /// the old one runs.
    pub async fn upgrade(
        &self,
        canister: Principal,
        module: Vec<u8>,
        arg: Vec<u8>,
    ) -> Result<ModuleHash, ClientError> {
        self.install_code(canister, CanisterInstallMode::Upgrade(None), module, arg)
            .await
    }

    async fn install_code(
        &self,
        canister: Principal,
        mode: CanisterInstallMode,
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
            mode,
            canister_id: canister,
            wasm_module: module,
            arg,
            sender_canister_version: None,
        };
        let () = self
            .management(canister, "install_code", (arguments,))
            .await?;
        let certified = self.module_hash(canister).await?;
        if certified != Some(installed) {
            let certified = certified.map_or_else(|| "none".into(), |hash| hash.to_string());
            return Err(ClientError::WrongModule {
                canister,
                installed: installed.to_string(),
                certified,
            });
        }
        Ok(installed)
    }

    /// Has `canister` controlled by these, and nobody else.
    pub async fn set_controllers(
        &self,
        canister: Principal,
        controllers: Vec<Principal>,
    ) -> Result<(), ClientError> {
        let arguments = UpdateSettingsArgs {
            canister_id: canister,
            settings: CanisterSettings {
                controllers: Some(controllers),
                ..CanisterSettings::default()
            },
            sender_canister_version: None,
        };
        self.management(canister, "update_settings", (arguments,))
            .await
    }

    /// Stops `canister`: waits until no call of its is open.
    pub async fn stop(&self, canister: Principal) -> Result<(), ClientError> {
        self.of(canister, "stop_canister").await
    }

    /// Starts `canister`.
    pub async fn start(&self, canister: Principal) -> Result<(), ClientError> {
        self.of(canister, "start_canister").await
    }

    /// Keeps all of `canister` as it is, module and memories, and names what was kept. It should be stopped.
    pub async fn take_snapshot(&self, canister: Principal) -> Result<Vec<u8>, ClientError> {
        let arguments = TakeCanisterSnapshotArgs {
            canister_id: canister,
            replace_snapshot: None,
            uninstall_code: None,
            sender_canister_version: None,
        };
        let (snapshot,): (Snapshot,) = self
            .management(canister, "take_canister_snapshot", (arguments,))
            .await?;
        Ok(snapshot.id)
    }

    /// Makes `canister` what it was when the snapshot was taken. It should be stopped.
    ///
    /// Its global timer is not restored (IC interface specification, "load_canister_snapshot"): the canister has to be told.
    pub async fn restore(&self, canister: Principal, snapshot: &[u8]) -> Result<(), ClientError> {
        let arguments = LoadCanisterSnapshotArgs {
            canister_id: canister,
            snapshot_id: snapshot.to_vec(),
            sender_canister_version: None,
        };
        self.management(canister, "load_canister_snapshot", (arguments,))
            .await
    }

    /// Forgets a snapshot.
    pub async fn delete_snapshot(
        &self,
        canister: Principal,
        snapshot: &[u8],
    ) -> Result<(), ClientError> {
        let arguments = DeleteCanisterSnapshotArgs {
            canister_id: canister,
            snapshot_id: snapshot.to_vec(),
        };
        self.management(canister, "delete_canister_snapshot", (arguments,))
            .await
    }

    /// The connection below.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.connection
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

    /// Hash of the module of `canister`, in a certificate that the agent verified against the pinned root key; none if it has
    /// no module.
    pub async fn module_hash(
        &self,
        canister: Principal,
    ) -> Result<Option<ModuleHash>, ClientError> {
        let method = "read_state of the module hash";
        let agent = self.connection.agent();
        match agent.read_state_canister_module_hash(canister).await {
            Ok(hash) => match hash.try_into() {
                Ok(hash) => Ok(Some(ModuleHash(hash))),
                Err(_) => Err(ClientError::Reply {
                    method: method.into(),
                    reason: String::from("a module hash has 32 bytes"),
                }),
            },
            Err(AgentError::LookupPathAbsent(_)) => Ok(None),
            Err(error) => Err(ClientError::agent(method, error)),
        }
    }

    /// Controllers of `canister`, in order, in a certificate that the agent verified against the pinned root key.
    pub async fn controllers(&self, canister: Principal) -> Result<Vec<Principal>, ClientError> {
        let agent = self.connection.agent();
        let read = agent.read_state_canister_controllers(canister).await;
        let mut controllers =
            read.map_err(|error| ClientError::agent("read_state of the controllers", error))?;
        controllers.sort_unstable();
        Ok(controllers)
    }

    async fn of(&self, canister: Principal, method: &str) -> Result<(), ClientError> {
        let arguments = CanisterIdRecord {
            canister_id: canister,
        };
        self.management(canister, method, (arguments,)).await
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
