//! Services and access grants: who may use what, and the proof of it.
//!
//! A right is a leaf at (service, organisation), and there is no right without one. So the leaf, or its proved absence,
//! answers a question about one organisation, and a page of leaves the question who may use a service at all.
//!
//! Invariants:
//! - A published service's (organisation, slug) is unique. A retired one stays, so that old grants explain themselves.
//! - A grant is for operations that its service has. It ends with its validity, with the service, and while the
//!   organisation isn't active: [`access`] decides.
//!
//! Cost: O(log n) a call. A certified check is three ways down, and no Candid but the answer's.

use ic_stable_structures::Memory;
use indus_api::{
    Error,
    paging::{Page, PageArgs},
    registry::{
        Access, AccessGrant, CheckAccessArgs, GRANTS, GrantRecord, GrantRequest, MAX_NAME_BYTES,
        MAX_REASON_BYTES, MAX_SLUG_BYTES, ORGANISATIONS, SERVICES, Service, ServiceProfile,
        ServiceRecord, ServiceState, access, grant_key, id_key, path,
        services::{MAX_GRANT_NS, MAX_OPERATION_BYTES, MAX_OPERATIONS, MAX_PURPOSE_BYTES},
    },
};
use indus_kit::{
    Context,
    text::{self, invalid},
};
use serde_bytes::ByteBuf;

use crate::{
    organisations,
    state::{Effect, GRANT, ORGANISATION, Plan, SERVICE, State, conflict, not_found},
};

/// Publishes a service.
pub(crate) fn plan_publish<M: Memory>(
    state: &State<M>,
    context: &Context,
    profile: ServiceProfile,
) -> Result<Plan, Error> {
    check_profile(&profile)?;
    organisations::check_active(state, profile.organisation)?;
    let (organisation, slug) = (profile.organisation, profile.slug.clone());
    if state.service_by_slug(organisation, &slug).is_some() {
        return Err(Error::AlreadyExists {
            what: "service".into(),
            id: slug,
        });
    }
    let id = state.next_service();
    let service = Service {
        id,
        profile,
        state: ServiceState::Published,
        published_at_ns: context.time_ns,
        retired_at_ns: None,
    };
    Ok(Plan {
        changes: vec![SERVICE.put(&id_key(id), &ServiceRecord::V1(service))?],
        effects: vec![Effect::ServiceTaken {
            organisation,
            slug,
            id,
        }],
    })
}

/// Retires a service.
pub(crate) fn plan_retire<M: Memory>(
    state: &State<M>,
    context: &Context,
    id: u64,
    reason: &str,
) -> Result<Plan, Error> {
    text::name("reason", reason, MAX_REASON_BYTES)?;
    let service = published(state, id)?;
    let effect = Effect::ServiceFree {
        organisation: service.profile.organisation,
        slug: service.profile.slug.clone(),
    };
    let retired = Service {
        state: ServiceState::Retired,
        retired_at_ns: Some(context.time_ns),
        ..service
    };
    Ok(Plan {
        changes: vec![SERVICE.put(&id_key(id), &ServiceRecord::V1(retired))?],
        effects: vec![effect],
    })
}

/// Grants access, or replaces a grant.
pub(crate) fn plan_grant<M: Memory>(
    state: &State<M>,
    context: &Context,
    proposal: u64,
    request: GrantRequest,
) -> Result<Plan, Error> {
    let GrantRequest {
        service: id,
        organisation,
        operations,
        purpose,
        valid_until_ns,
    } = request;
    text::name("purpose", &purpose, MAX_PURPOSE_BYTES)?;
    check_operations(&operations)?;
    let latest_ns = context.time_ns.saturating_add(MAX_GRANT_NS);
    if !(context.time_ns + 1..=latest_ns).contains(&valid_until_ns) {
        return Err(invalid("valid_until_ns", "must be within the next 5 years"));
    }
    let service = published(state, id)?;
    let offered = &service.profile.operations;
    if let Some(unknown) = operations.iter().find(|one| !offered.contains(one)) {
        let reason = format!("must be operations of the service, {unknown} is none");
        return Err(invalid("operations", reason));
    }
    organisations::check_active(state, organisation)?;
    let grant = AccessGrant {
        service: id,
        organisation,
        operations,
        purpose,
        granted_at_ns: context.time_ns,
        valid_until_ns,
        proposal,
    };
    let key = grant_key(id, organisation);
    Ok(Plan {
        changes: vec![GRANT.put(&key, &GrantRecord::V1(grant))?],
        effects: vec![],
    })
}

/// Takes a right back.
pub(crate) fn plan_revoke<M: Memory>(
    state: &State<M>,
    service: u64,
    organisation: u64,
    reason: &str,
) -> Result<Plan, Error> {
    text::name("reason", reason, MAX_REASON_BYTES)?;
    let key = grant_key(service, organisation);
    if !GRANT.contains(&state.kit.certified, &key) {
        return Err(not_found(
            "access grant",
            format!("{service}/{organisation}"),
        ));
    }
    Ok(Plan {
        changes: vec![GRANT.removed(&key)],
        effects: vec![],
    })
}

/// Whether an organisation may use an operation of a service, at this moment.
///
/// # Errors
/// [`Error::Invalid`] for the operation.
pub fn check<M: Memory>(
    state: &State<M>,
    context: &Context,
    args: &CheckAccessArgs,
) -> Result<Access, Error> {
    check_operation(&args.operation)?;
    let certified = &state.kit.certified;
    let organisation = ORGANISATION.get(certified, &id_key(args.organisation))?;
    let organisation = organisation.map(|record| record.into_current());
    let service = service(state, args.service)?;
    let key = grant_key(args.service, args.organisation);
    let grant = GRANT.get(certified, &key)?;
    let grant = grant.map(|GrantRecord::V1(grant)| grant);
    Ok(access(
        organisation.as_ref(),
        service.as_ref(),
        grant.as_ref(),
        &args.operation,
        context.time_ns,
    ))
}

/// The certified paths from which anybody can find the same answer.
///
/// # Errors
/// [`Error::Invalid`] for the operation.
pub fn paths(args: &CheckAccessArgs) -> Result<[Vec<ByteBuf>; 3], Error> {
    check_operation(&args.operation)?;
    Ok([
        path(GRANTS, &grant_key(args.service, args.organisation)),
        path(ORGANISATIONS, &id_key(args.organisation)),
        path(SERVICES, &id_key(args.service)),
    ])
}

/// A service.
///
/// # Errors
/// [`Error::NotFound`].
pub fn get<M: Memory>(state: &State<M>, id: u64) -> Result<Service, Error> {
    service(state, id)?.ok_or_else(|| not_found("service", id))
}

/// A page of services, in the order of their ids.
///
/// # Errors
/// [`Error::Invalid`] for the limit.
pub fn list<M: Memory>(state: &State<M>, args: PageArgs<u64>) -> Result<Page<u64, Service>, Error> {
    SERVICE.page(&state.kit.certified, args, |ServiceRecord::V1(service)| {
        Ok(Some(service))
    })
}

/// The organisation that publishes a service, if there is one.
pub(crate) fn publisher<M: Memory>(state: &State<M>, id: u64) -> Result<Option<u64>, Error> {
    Ok(service(state, id)?.map(|service| service.profile.organisation))
}

fn service<M: Memory>(state: &State<M>, id: u64) -> Result<Option<Service>, Error> {
    let record = SERVICE.get(&state.kit.certified, &id_key(id))?;
    Ok(record.map(|ServiceRecord::V1(service)| service))
}

fn published<M: Memory>(state: &State<M>, id: u64) -> Result<Service, Error> {
    let service = get(state, id)?;
    if service.state != ServiceState::Published {
        return Err(conflict("the service is retired"));
    }
    Ok(service)
}

fn check_profile(profile: &ServiceProfile) -> Result<(), Error> {
    text::slug("slug", &profile.slug, MAX_SLUG_BYTES)?;
    text::name("name", &profile.name, MAX_NAME_BYTES)?;
    if profile.interface_hash.len() != 32 {
        return Err(invalid("interface_hash", "must be 32 bytes long"));
    }
    check_operations(&profile.operations)
}

fn check_operations(operations: &[String]) -> Result<(), Error> {
    if !(1..=MAX_OPERATIONS).contains(&operations.len()) {
        return Err(invalid(
            "operations",
            format!("must be 1 to {MAX_OPERATIONS}"),
        ));
    }
    for (at, operation) in operations.iter().enumerate() {
        check_operation(operation)?;
        if operations[..at].contains(operation) {
            return Err(invalid("operations", "must not name one twice"));
        }
    }
    Ok(())
}

fn check_operation(operation: &str) -> Result<(), Error> {
    let fits = (1..=MAX_OPERATION_BYTES).contains(&operation.len())
        && operation
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'));
    if fits {
        return Ok(());
    }
    let reason = format!("must be 1 to {MAX_OPERATION_BYTES} of a-z, 0-9, _ and -");
    Err(invalid("operation", reason))
}
