//! The calls that steps are: of the management canister, and of the canister itself.
//!
//! Source: Internet Computer interface specification, "The IC management canister". Of each answer only what is needed is decoded.

use candid::{CandidType, Principal};
use ic_cdk::api;
use indus_api::Error;
use indus_kit::calls::{Call, CallError, Canister, Reply};
use serde::Deserialize;
use serde_bytes::ByteBuf;

/// Longest answer that is read: the status of a canister with all its settings, or ten snapshots.
const MAX_REPLY_BYTES: usize = 20_000;
/// Changes that are asked for: more than an installation makes, however often it is begun anew; the subnet keeps no more of them.
const MAX_CHANGES: u64 = 20;
/// Longest name of a method.
pub const MAX_METHOD_BYTES: usize = 100;

/// How a module is installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Into an empty canister.
    Install,
    /// Over what runs. Whether its main memory stays: Motoko's enhanced orthogonal persistence needs it, other modules refuse it.
    Upgrade { keep_memory: bool },
}

/// One call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Who has changed it lately.
    Changes,
    Status,
    /// Its `service_info`.
    Info,
    ClearChunks,
    UploadChunk(Vec<u8>),
    Stop,
    Start,
    /// In the place of one that was taken before, if there is one.
    TakeSnapshot {
        replaced: Option<ByteBuf>,
    },
    ListSnapshots,
    LoadSnapshot(ByteBuf),
    DeleteSnapshot(ByteBuf),
    Uninstall,
    Install {
        mode: Mode,
        chunks: Vec<ByteBuf>,
        module_hash: ByteBuf,
        argument: ByteBuf,
    },
    /// A method of its own, without arguments.
    Probe(String),
    /// Its `confirm_upgrade`.
    Confirm,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Done,
    Changes(Changes),
    Status(Status),
    Info(Info),
    Chunk(ByteBuf),
    Snapshots(Vec<Snapshot>),
    /// It surely was not done: the system was busy.
    Unreachable,
    /// There is no such canister, or no such snapshot of it.
    Missing,
    /// It was refused; what the callee says.
    Rejected(String),
    /// Nobody knows.
    Unknown,
}

/// Changes of its code, its controllers and its state as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changes {
    /// Since it was created.
    pub total: u64,
    /// How many of the last ones were this canister's doing, without one of somebody else's between them.
    pub ours: u64,
}

/// What is needed of `canister_info`.
#[derive(CandidType, Deserialize)]
struct History {
    total_num_changes: u64,
    recent_changes: Vec<Change>,
}

#[derive(CandidType, Deserialize)]
struct Change {
    canister_version: u64,
    origin: ChangeOrigin,
}

#[derive(CandidType, Deserialize)]
enum ChangeOrigin {
    #[serde(rename = "from_user")]
    User {},
    #[serde(rename = "from_canister")]
    Canister { canister_id: Principal },
}

impl History {
    fn changes(mut self, own: Principal) -> Changes {
        let changes = &mut self.recent_changes;
        changes.sort_by_key(|change| change.canister_version);
        let is_ours = |change: &&Change| matches!(change.origin, ChangeOrigin::Canister { canister_id } if canister_id == own);
        Changes {
            total: self.total_num_changes,
            ours: changes.iter().rev().take_while(is_ours).count() as u64,
        }
    }
}

/// What is needed of a canister's status.
#[derive(CandidType, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Status {
    pub status: Running,
    pub module_hash: Option<ByteBuf>,
    pub settings: Settings,
}

/// Whether it runs.
#[derive(CandidType, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Running {
    #[serde(rename = "running")]
    Running,
    #[serde(rename = "stopping")]
    Stopping,
    #[serde(rename = "stopped")]
    Stopped,
}

/// What is needed of its settings.
#[derive(CandidType, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub controllers: Vec<Principal>,
}

/// What is needed of a suite canister's `service_info`.
#[derive(CandidType, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Info {
    pub name: String,
    pub maintenance: bool,
    pub blocks: u64,
}

/// A snapshot.
#[derive(CandidType, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub id: ByteBuf,
    pub taken_at_timestamp: u64,
}

#[derive(CandidType)]
struct Of {
    canister_id: Principal,
}

#[derive(CandidType)]
struct InfoArgs {
    canister_id: Principal,
    num_requested_changes: Option<u64>,
}

#[derive(CandidType)]
struct TakeArgs {
    canister_id: Principal,
    replace_snapshot: Option<ByteBuf>,
}

#[derive(CandidType)]
struct OfSnapshot<'a> {
    canister_id: Principal,
    snapshot_id: &'a ByteBuf,
}

#[derive(CandidType)]
struct ChunkArgs {
    canister_id: Principal,
    chunk: ByteBuf,
}

#[derive(CandidType, Deserialize, Clone)]
struct ChunkHash {
    hash: ByteBuf,
}

#[derive(CandidType)]
#[allow(non_camel_case_types, reason = "names of the interface")]
enum Persistence {
    keep,
}

#[derive(CandidType)]
struct UpgradeFlags {
    skip_pre_upgrade: Option<bool>,
    wasm_memory_persistence: Option<Persistence>,
}

#[derive(CandidType)]
#[allow(non_camel_case_types, reason = "names of the interface")]
enum InstallMode {
    install,
    upgrade(Option<UpgradeFlags>),
}

#[derive(CandidType)]
struct InstallArgs<'a> {
    mode: InstallMode,
    target_canister: Principal,
    store_canister: Option<Principal>,
    chunk_hashes_list: Vec<ChunkHash>,
    wasm_module_hash: &'a ByteBuf,
    arg: &'a ByteBuf,
}

impl Step {
    /// Makes the call, to or about `canister`.
    pub async fn take<C: Canister>(self, canister: Principal) -> Answer {
        match self.taken::<C>(canister).await {
            Ok(answer) => answer,
            Err(CallError::Unreachable | CallError::Uncommitted) => Answer::Unreachable,
            Err(CallError::Missing) => Answer::Missing,
            Err(CallError::Rejected { message, .. }) => Answer::Rejected(message),
            Err(CallError::Unknown | CallError::Malformed) => Answer::Unknown,
        }
    }

    async fn taken<C: Canister>(self, canister: Principal) -> Result<Answer, CallError> {
        let of = Of {
            canister_id: canister,
        };
        let done = |_: Reply| Ok(Answer::Done);
        match self {
            Self::Changes => {
                let args = InfoArgs {
                    canister_id: canister,
                    num_requested_changes: Some(MAX_CHANGES),
                };
                let history: History = asked::<C>("canister_info", &args).await?.candid()?;
                Ok(Answer::Changes(history.changes(api::canister_self())))
            }
            Self::Status => {
                let reply = asked::<C>("canister_status", &of).await?;
                reply.candid().map(Answer::Status)
            }
            Self::Info => {
                let call = without_arguments(canister, "service_info")?;
                let reply = call.outside::<C>().await?;
                reply.candid().map(Answer::Info)
            }
            Self::ClearChunks => asked::<C>("clear_chunk_store", &of).await.and_then(done),
            Self::UploadChunk(bytes) => {
                let args = ChunkArgs {
                    canister_id: canister,
                    chunk: ByteBuf::from(bytes),
                };
                let reply = asked::<C>("upload_chunk", &args).await?;
                let hash: ChunkHash = reply.candid()?;
                Ok(Answer::Chunk(hash.hash))
            }
            Self::Stop => {
                let management = Principal::management_canister();
                let call = Call::new(management, "stop_canister", &of)?;
                call.outside::<C>().await.and_then(done)
            }
            Self::Start => asked::<C>("start_canister", &of).await.and_then(done),
            Self::TakeSnapshot { replaced } => {
                let args = TakeArgs {
                    canister_id: canister,
                    replace_snapshot: replaced,
                };
                let reply = asked::<C>("take_canister_snapshot", &args).await?;
                let taken: Snapshot = reply.candid()?;
                Ok(Answer::Snapshots(vec![taken]))
            }
            Self::ListSnapshots => {
                let reply = asked::<C>("list_canister_snapshots", &of).await?;
                reply.candid().map(Answer::Snapshots)
            }
            Self::LoadSnapshot(id) => {
                let args = OfSnapshot {
                    canister_id: canister,
                    snapshot_id: &id,
                };
                let loaded = asked::<C>("load_canister_snapshot", &args).await;
                loaded.and_then(done)
            }
            Self::DeleteSnapshot(id) => {
                let args = OfSnapshot {
                    canister_id: canister,
                    snapshot_id: &id,
                };
                let deleted = asked::<C>("delete_canister_snapshot", &args).await;
                deleted.and_then(done)
            }
            Self::Uninstall => asked::<C>("uninstall_code", &of).await.and_then(done),
            Self::Install {
                mode,
                chunks,
                module_hash,
                argument,
            } => {
                let args = InstallArgs {
                    mode: match mode {
                        Mode::Install => InstallMode::install,
                        Mode::Upgrade { keep_memory: false } => InstallMode::upgrade(None),
                        Mode::Upgrade { keep_memory: true } => {
                            InstallMode::upgrade(Some(UpgradeFlags {
                                skip_pre_upgrade: None,
                                wasm_memory_persistence: Some(Persistence::keep),
                            }))
                        }
                    },
                    target_canister: canister,
                    store_canister: None,
                    chunk_hashes_list: chunks.into_iter().map(|hash| ChunkHash { hash }).collect(),
                    wasm_module_hash: &module_hash,
                    arg: &argument,
                };
                let installed = asked::<C>("install_chunked_code", &args).await;
                installed.and_then(done)
            }
            Self::Probe(method) => {
                // Whatever it replies.
                let call = without_arguments(canister, &method)?.with_max_reply(usize::MAX);
                call.outside::<C>().await.and_then(done)
            }
            Self::Confirm => {
                let call = without_arguments(canister, "confirm_upgrade")?;
                let confirmed: Result<(), Error> = call.outside::<C>().await?.candid()?;
                Ok(match confirmed {
                    Ok(()) => Answer::Done,
                    Err(error) => Answer::Rejected(error.to_string()),
                })
            }
        }
    }
}

/// A call of a method that takes nothing: not even one value that means nothing.
fn without_arguments(canister: Principal, method: &str) -> Result<Call<'_>, CallError> {
    let nothing = candid::encode_args(()).map_err(|_| CallError::Malformed)?;
    Ok(Call::raw(canister, method, nothing))
}

/// Asks the management canister, which answers whatever the canister does.
async fn asked<C: Canister>(method: &str, args: &impl CandidType) -> Result<Reply, CallError> {
    let call = Call::new(Principal::management_canister(), method, args)?;
    call.with_max_reply(MAX_REPLY_BYTES).suite::<C>().await
}
