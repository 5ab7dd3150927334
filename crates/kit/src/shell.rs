//! Around every message: who calls, what is allowed now, and what is certified before it ends.
//!
//! ```text
//! update: decode ─► open? ─► logic ─► commit ─► certified data ─► reply
//! query:  decode ─► open? ─► logic ─► reply
//! ```
//!
//! A canister's shell keeps its state in one `thread_local`, implements [`Shell`] for it, and has one endpoint a method,
//! of a line each. [`standard_endpoints!`](crate::standard_endpoints) gives it those that all canisters have.
//!
//! Invariant: no message ends with something uncommitted: [`update`] commits whatever the logic answers, and calls to
//! others are refused while something is.

use std::{cell::RefCell, fmt, thread::LocalKey, time::Duration};

use candid::CandidType;
use ic_cdk::api::{self, CanisterStatusCode};
use ic_http_certification::StatusCode;
use ic_stable_structures::Memory;
use indus_api::{
    CertifiedRead, Error, Subject,
    audit::{ConsistencyArgs, InclusionArgs, LogProof},
    certified::CertifiedListArgs,
    icrc3::{GetBlocksArgs, GetBlocksResult, TipCertificate},
    service::ServiceInfo,
};
use serde::de::DeserializeOwned;
use serde_bytes::ByteBuf;

use crate::{
    Context, arguments, calls, encoding,
    http::{self, HttpRequest, HttpResponse, status::Metric},
    icrc21::Consent,
    kit::{Definition, Kit},
    timers::{self, Job, Progress},
};

/// Bytes of a page of stable memory.
const PAGE: u64 = 65_536;

/// A canister's state, as its shell holds it.
pub trait Shell: Sized + 'static {
    /// The stable memory.
    type Memory: Memory;

    /// What the canister is.
    const DEFINITION: &'static Definition;

    /// Where it is.
    fn state() -> &'static LocalKey<RefCell<Option<Self>>>;

    /// The kit's part.
    fn kit(&self) -> &Kit<Self::Memory>;

    /// The kit's part, to be changed.
    fn kit_mut(&mut self) -> &mut Kit<Self::Memory>;

    /// Who is calling, for what not everybody may read.
    ///
    /// # Errors
    /// Those of [`Subjects::subject`](crate::subjects::Subjects::subject).
    fn subject(&self, context: &Context) -> Result<Subject, Error>;

    /// What a call would do, for the person who signs it; none where it would be refused.
    fn consent(method: &str, argument: &[u8]) -> Option<Consent>;

    /// [Prepares](encoding::prepare) the types of its own queries.
    fn prepare() {}

    /// Numbers of the canister's own, for its pages.
    fn metrics(&self) -> Vec<Metric> {
        Vec::new()
    }
}

impl<S: Shell> calls::Canister for S {
    fn is_committed() -> bool {
        with::<S, _>(|state| state.kit().certified.is_committed())
    }

    fn in_maintenance() -> bool {
        with::<S, _>(|state| state.kit().in_maintenance())
    }

    fn time_ns() -> u64 {
        api::time()
    }
}

/// The message that is being executed.
#[must_use]
pub fn context() -> Context {
    Context {
        caller: api::msg_caller(),
        time_ns: api::time(),
    }
}

/// Whether the canister is being stopped: it gets no new calls, and what it has begun should end soon.
#[must_use]
pub fn is_stopping() -> bool {
    api::canister_status() == CanisterStatusCode::Stopping
}

/// Puts the opened state in its place, or ends the installation with what is wrong; no such error holds any input.
pub fn start<S: Shell, E: fmt::Display>(opened: Result<S, E>) {
    let mut state = opened.unwrap_or_else(|error| api::trap(error.to_string()));
    api::certified_data_set(state.kit_mut().certified.commit());
    S::state().set(Some(state));
}

/// The same after an upgrade: notes it, and begins the maintenance.
pub fn upgrade<S: Shell, E: fmt::Display>(opened: Result<S, E>) {
    let opened = opened.map_err(|error| error.to_string());
    start(opened.and_then(|mut state| {
        let noted = state.kit_mut().upgraded(&context());
        noted.map(|()| state).map_err(|error| error.to_string())
    }));
}

/// Runs the logic of an update, and certifies what it changed.
///
/// # Errors
/// [`Error::Unavailable`] during maintenance; those of the logic.
pub fn update<S: Shell, T>(
    logic: impl FnOnce(&mut S, &Context) -> Result<T, Error>,
) -> Result<T, Error> {
    let context = context();
    timers::awake_if_lost(context.time_ns);
    with_mut::<S, _>(|state| {
        state
            .kit()
            .check_open(|| api::is_controller(&context.caller))?;
        let reply = logic(state, &context);
        certify(state);
        reply
    })
}

/// Runs the logic of a query.
///
/// # Errors
/// [`Error::Unavailable`] during maintenance; those of the logic.
pub fn query<S: Shell, T>(
    logic: impl FnOnce(&S, &Context) -> Result<T, Error>,
) -> Result<T, Error> {
    let context = context();
    with::<S, _>(|state| {
        state
            .kit()
            .check_open(|| api::is_controller(&context.caller))?;
        logic(state, &context)
    })
}

/// Runs what a timer does, and certifies what it changed.
pub fn tick<S: Shell, T>(logic: impl FnOnce(&mut S, &Context) -> T) -> T {
    let context = Context {
        caller: api::canister_self(),
        time_ns: api::time(),
    };
    with_mut::<S, _>(|state| {
        let result = logic(state, &context);
        certify(state);
        result
    })
}

/// Ends the maintenance, for a controller, and wakes the timers: the subnet forgets when to call them where a snapshot is
/// loaded.
///
/// # Errors
/// [`Error::Unauthorized`] to everybody else.
pub fn confirm_upgrade<S: Shell>() -> Result<(), Error> {
    let context = context();
    if !api::is_controller(&context.caller) {
        return Err(Error::Unauthorized {
            needs: "a controller of the canister".into(),
        });
    }
    update::<S, _>(|state, context| state.kit_mut().confirm_upgrade(context))?;
    timers::awake();
    Ok(())
}

/// Answers `certified_read`.
///
/// # Errors
/// Those of [`Certified::witness_of_paths`](crate::Certified::witness_of_paths), of the source of subjects where not
/// everybody may read, and [`Error::Unavailable`] without a certificate.
pub fn certified_read<S: Shell>(paths: &[Vec<ByteBuf>]) -> Result<CertifiedRead, Error> {
    query::<S, _>(|state, context| {
        let certified = &state.kit().certified;
        let reader = if certified.is_restricted(paths) {
            Some(state.subject(context)?)
        } else {
            None
        };
        with_certificate::<S>(certified.witness_of_paths(paths, reader.as_ref())?)
    })
}

/// Answers `certified_list`.
///
/// # Errors
/// Those of [`Certified::witness_of_list`](crate::Certified::witness_of_list), and [`Error::Unavailable`] without a
/// certificate.
pub fn certified_list<S: Shell>(args: &CertifiedListArgs) -> Result<CertifiedRead, Error> {
    query::<S, _>(|state, context| {
        // Who isn't known sees the keys.
        let reader = state.subject(context).ok();
        let witness = state
            .kit()
            .certified
            .witness_of_list(args, reader.as_ref())?;
        with_certificate::<S>(witness)
    })
}

/// Answers `log_head`.
///
/// # Errors
/// [`Error::Unavailable`] without a certificate.
pub fn log_head<S: Shell>() -> Result<CertifiedRead, Error> {
    query::<S, _>(|state, _| with_certificate::<S>(state.kit().certified.witness_of_head()?))
}

/// Answers `log_inclusion_proof`.
///
/// # Errors
/// [`Error::Invalid`] for an index or a size that there isn't.
pub fn log_inclusion_proof<S: Shell>(args: &InclusionArgs) -> Result<LogProof, Error> {
    query::<S, _>(|state, _| {
        state
            .kit()
            .certified
            .log_inclusion_proof(args.index, args.size)
    })
}

/// Answers `log_consistency_proof`.
///
/// # Errors
/// [`Error::Invalid`] for sizes that there aren't.
pub fn log_consistency_proof<S: Shell>(args: &ConsistencyArgs) -> Result<LogProof, Error> {
    query::<S, _>(|state, _| {
        state
            .kit()
            .certified
            .log_consistency_proof(args.from, args.to)
    })
}

/// Answers `icrc3_get_blocks`, whose type has no errors: what is refused, traps.
#[must_use]
pub fn icrc3_get_blocks<S: Shell>(ranges: &[GetBlocksArgs]) -> GetBlocksResult {
    query::<S, _>(|state, _| state.kit().certified.blocks(ranges))
        .unwrap_or_else(|error| api::trap(error.to_string()))
}

/// Answers `icrc3_get_tip_certificate`; nothing before the first block, and without a certificate.
#[must_use]
pub fn icrc3_get_tip_certificate<S: Shell>() -> Option<TipCertificate> {
    let witness = query::<S, _>(|state, _| state.kit().certified.witness_of_tip()).ok()??;
    let proof = with_certificate::<S>(witness).ok()?;
    Some(TipCertificate {
        certificate: proof.certificate,
        hash_tree: proof.witness,
    })
}

/// Answers `service_info`, during maintenance too.
#[must_use]
pub fn service_info<S: Shell>() -> ServiceInfo {
    let stable_bytes = api::stable_size().saturating_mul(PAGE);
    with::<S, _>(|state| state.kit().service_info(&context(), stable_bytes))
}

/// Answers `http_request`.
#[must_use]
pub fn http_request<S: Shell>(request: &HttpRequest<'_>) -> HttpResponse<'static> {
    with::<S, _>(|state| {
        let certified = &state.kit().certified;
        match &state.kit().site {
            Some(site) if certified.is_committed() => {
                let tree = |subtree: &[u8]| certified.witness_of_http(subtree).unwrap_or_default();
                site.respond(request, api::data_certificate().as_deref(), tree)
            }
            _ => HttpResponse::builder()
                .with_status_code(StatusCode::SERVICE_UNAVAILABLE)
                .with_headers(vec![("retry-after".into(), "60".into())])
                .build(),
        }
    })
}

/// The job that renders the pages, once a minute.
#[must_use]
pub const fn page_job<S: Shell>() -> Job {
    Job {
        name: "pages",
        interval: Duration::from_nanos(http::RENDER_INTERVAL_NS),
        slice: 1,
        run: |_, _| {
            render_pages::<S>();
            Progress::Done
        },
    }
}

/// Renders and certifies the pages, in a message of its own.
pub fn render_pages<S: Shell>() {
    let stable_bytes = api::stable_size().saturating_mul(PAGE);
    tick::<S, _>(|state, context| {
        prepare_standard();
        S::prepare();
        let own = state.metrics();
        state.kit_mut().render(context, stable_bytes, own);
    });
}

/// Prepares the types of the standard queries.
fn prepare_standard() {
    encoding::prepare::<Vec<Vec<ByteBuf>>>();
    encoding::prepare::<CertifiedListArgs>();
    encoding::prepare::<Result<CertifiedRead, Error>>();
    encoding::prepare::<InclusionArgs>();
    encoding::prepare::<ConsistencyArgs>();
    encoding::prepare::<Result<LogProof, Error>>();
    encoding::prepare::<Vec<GetBlocksArgs>>();
    encoding::prepare::<GetBlocksResult>();
    encoding::prepare::<Option<TipCertificate>>();
    encoding::prepare::<ServiceInfo>();
    encoding::prepare::<HttpRequest<'static>>();
    encoding::prepare::<HttpResponse<'static>>();
}

/// A witness and the certificate over its root: the subnet gives one to queries that a node answers alone.
fn with_certificate<S: Shell>(witness: Vec<u8>) -> Result<CertifiedRead, Error> {
    let Some(certificate) = api::data_certificate() else {
        return Err(Error::Unavailable {
            canister: S::DEFINITION.kind.into(),
            reason: "only a query that is not replicated has a certificate".into(),
        });
    };
    Ok(CertifiedRead {
        certificate: ByteBuf::from(certificate),
        witness: ByteBuf::from(witness),
    })
}

/// Decodes the one argument of a method, or rejects the call.
#[must_use]
pub fn argument<T: CandidType + DeserializeOwned + 'static>(bytes: &[u8]) -> T {
    arguments::decode(bytes).unwrap_or_else(|refused| api::trap(refused.to_string()))
}

/// Encodes the answer of a method.
#[must_use]
pub fn reply<T: CandidType + 'static>(answer: T) -> Vec<u8> {
    encoding::encode(&answer).unwrap_or_else(|error| api::trap(error.to_string()))
}

fn certify<S: Shell>(state: &mut S) {
    if !state.kit().certified.is_committed() {
        api::certified_data_set(state.kit_mut().certified.commit());
    }
}

fn with<S: Shell, T>(use_it: impl FnOnce(&S) -> T) -> T {
    S::state().with_borrow(|state| match state {
        Some(state) => use_it(state),
        None => api::trap("not installed"),
    })
}

fn with_mut<S: Shell, T>(use_it: impl FnOnce(&mut S) -> T) -> T {
    S::state().with_borrow_mut(|state| match state {
        Some(state) => use_it(state),
        None => api::trap("not installed"),
    })
}
