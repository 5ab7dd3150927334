//! The methods of the management canister, and who may call each.
//!
//! A call is checked twice: a user's before it is taken ([`Method::accepts`]), which costs a stranger nothing, and each
//! call again when it is executed ([`Method::check`]), since the state may have changed in between.

use candid::Principal;

use crate::{ErrorCode, Reject, canister::Canister, subnet::Subnet};

/// Who may call a method that concerns a canister.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    Anyone,
    Controllers,
    /// Controllers, and the canister itself.
    ControllersOrSelf,
    /// Controllers, and the admins of the subnet.
    ControllersOrAdmins,
    /// Whom `status_visibility` names, the canister itself, and the admins of the subnet.
    StatusViewers,
    /// Whom `snapshot_visibility` names.
    SnapshotViewers,
    /// Whom `log_visibility` names.
    LogViewers,
}

/// Which users may call a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Users {
    /// Those who may call it at all.
    Yes,
    /// None: nobody would pay for the work, or cycles have to come with the call.
    No,
    /// The admins of the subnet.
    Admins,
}

macro_rules! methods {
    ($($method:ident $name:literal $who:ident $users:ident;)+) => {
        /// A method of the management canister.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Method { $($method,)+ }

        impl Method {
            /// The method of this name.
            pub(super) fn named(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$method),)+ _ => None }
            }

            pub(super) fn name(self) -> &'static str {
                match self { $(Self::$method => $name,)+ }
            }

            fn who(self) -> Who {
                match self { $(Self::$method => Who::$who,)+ }
            }

            fn users(self) -> Users {
                match self { $(Self::$method => Users::$users,)+ }
            }
        }
    };
}

methods! {
    CreateCanister "create_canister" Anyone Admins;
    ProvisionalCreate "provisional_create_canister_with_cycles" Anyone Yes;
    ProvisionalTopUp "provisional_top_up_canister" Anyone Yes;
    UpdateSettings "update_settings" Controllers Yes;
    InstallCode "install_code" Controllers Yes;
    InstallChunkedCode "install_chunked_code" Controllers Yes;
    UninstallCode "uninstall_code" ControllersOrAdmins Yes;
    StartCanister "start_canister" ControllersOrAdmins Yes;
    StopCanister "stop_canister" ControllersOrAdmins Yes;
    DeleteCanister "delete_canister" ControllersOrAdmins Yes;
    CanisterStatus "canister_status" StatusViewers Yes;
    CanisterInfo "canister_info" Anyone No;
    CanisterMetadata "canister_metadata" Anyone No;
    UploadChunk "upload_chunk" ControllersOrSelf Yes;
    StoredChunks "stored_chunks" ControllersOrSelf Yes;
    ClearChunkStore "clear_chunk_store" ControllersOrSelf Yes;
    TakeSnapshot "take_canister_snapshot" Controllers Yes;
    LoadSnapshot "load_canister_snapshot" Controllers Yes;
    ListSnapshots "list_canister_snapshots" SnapshotViewers Yes;
    DeleteSnapshot "delete_canister_snapshot" Controllers Yes;
    ReadSnapshotMetadata "read_canister_snapshot_metadata" SnapshotViewers Yes;
    ReadSnapshotData "read_canister_snapshot_data" SnapshotViewers Yes;
    UploadSnapshotMetadata "upload_canister_snapshot_metadata" Controllers Yes;
    UploadSnapshotData "upload_canister_snapshot_data" Controllers Yes;
    FetchCanisterLogs "fetch_canister_logs" LogViewers No;
    DepositCycles "deposit_cycles" Anyone No;
    RawRand "raw_rand" Anyone No;
    HttpRequest "http_request" Anyone No;
    NodeMetricsHistory "node_metrics_history" Anyone No;
    SubnetInfo "subnet_info" Anyone No;
    ListCanisters "list_canisters" Anyone Admins;
    EcdsaPublicKey "ecdsa_public_key" Anyone No;
    SignWithEcdsa "sign_with_ecdsa" Anyone No;
    SchnorrPublicKey "schnorr_public_key" Anyone No;
    SignWithSchnorr "sign_with_schnorr" Anyone No;
    VetkdPublicKey "vetkd_public_key" Anyone No;
    VetkdDeriveKey "vetkd_derive_key" Anyone No;
}

impl Method {
    /// Whether a user may call this at all; `concerns` is the canister that the call is about, if any.
    pub(super) fn accepts(
        self,
        subnet: &Subnet,
        sender: &Principal,
        concerns: impl FnOnce() -> Result<Principal, Reject>,
    ) -> Result<(), Reject> {
        let name = self.name();
        match self.users() {
            Users::Yes => {}
            Users::Admins if subnet.config.admins.contains(sender) => {}
            Users::No | Users::Admins => {
                let message = format!("ic00 method {name} can not be called via ingress messages");
                return Err(Reject::new(ErrorCode::CanisterRejectedMessage, message));
            }
        }
        if self.who() == Who::Anyone {
            return Ok(());
        }
        let id = concerns()?;
        let canister = subnet
            .canisters
            .get(&id)
            .ok_or_else(|| Reject::not_found(id))?;
        self.check(subnet, canister, sender).map_err(|reject| {
            if reject.error_code != Some(ErrorCode::InvalidController) {
                return reject;
            }
            let message = format!("Only controllers of canister {id} can call ic00 method {name}");
            Reject::new(ErrorCode::InvalidController, message)
        })
    }

    /// Whether a caller may call this method about a canister.
    pub(super) fn check(
        self,
        subnet: &Subnet,
        canister: &Canister,
        caller: &Principal,
    ) -> Result<(), Reject> {
        let is_admin = subnet.config.admins.contains(caller);
        let is_itself = *caller == canister.id;
        let settings = &canister.settings;
        match self.who() {
            Who::Anyone => Ok(()),
            Who::ControllersOrSelf if is_itself => Ok(()),
            Who::Controllers | Who::ControllersOrSelf => controls(canister, caller),
            Who::ControllersOrAdmins if is_admin => Ok(()),
            Who::ControllersOrAdmins => controls(canister, caller),
            Who::StatusViewers
                if is_itself
                    || is_admin
                    || canister.is_visible_to(&settings.status_visibility, caller) =>
            {
                Ok(())
            }
            Who::StatusViewers => {
                let message = format!("Caller {caller} is not allowed to read the canister status");
                Err(Reject::new(ErrorCode::StatusAccessDenied, message))
            }
            Who::SnapshotViewers
                if canister.is_visible_to(&settings.snapshot_visibility, caller) =>
            {
                Ok(())
            }
            Who::SnapshotViewers => {
                let message = format!("Caller {caller} is not allowed to call {}", self.name());
                Err(Reject::new(ErrorCode::CanisterRejectedMessage, message))
            }
            Who::LogViewers if canister.is_visible_to(&settings.log_visibility, caller) => Ok(()),
            Who::LogViewers => {
                let message = format!("Caller {caller} is not allowed to access canister logs");
                Err(Reject::new(ErrorCode::CanisterRejectedMessage, message))
            }
        }
    }
}

/// Whether a caller is a controller.
pub(super) fn controls(canister: &Canister, caller: &Principal) -> Result<(), Reject> {
    if canister.is_controlled_by(caller) {
        return Ok(());
    }
    let controllers = canister.settings.controllers.iter();
    let controllers: Vec<String> = controllers.map(Principal::to_text).collect();
    let message = format!(
        "Only the controllers of the canister {} can control it.\nCanister's controllers: {}\nSender's ID: {caller}",
        canister.id,
        controllers.join(" ")
    );
    Err(Reject::new(ErrorCode::InvalidController, message))
}
