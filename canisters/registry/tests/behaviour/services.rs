//! What those who publish and use services can rely on.

use crate::setting::{
    APPLICANT, OTHER_APPLICANT, Setting, conflict, invalid_field, needs, not_found, person,
};
use candid::Principal;
use indus_api::{
    Error,
    registry::{
        Access, Action, CheckAccessArgs, DataClass, GrantRequest, OrganisationChange,
        ServiceProfile,
        services::{MAX_GRANT_NS, MAX_OPERATIONS},
    },
};
use indus_kit::Context;
use registry::services;

const DAY: u64 = 86_400_000_000_000;

fn service(organisation: u64, slug: &str) -> ServiceProfile {
    ServiceProfile {
        organisation,
        slug: slug.into(),
        name: "Verification of identity cards".into(),
        canister: Principal::from_slice(&[7; 10]),
        interface_hash: vec![1; 32].into(),
        operations: vec!["verify".into(), "read_photo".into()],
        data_class: DataClass::Confidential,
    }
}

fn grant(service: u64, organisation: u64, operations: &[&str], until: u64) -> GrantRequest {
    GrantRequest {
        service,
        organisation,
        operations: operations.iter().map(|one| (*one).into()).collect(),
        purpose: "opening of accounts".into(),
        valid_until_ns: until,
    }
}

/// Publisher, user, and the service of the first.
fn published(s: &mut Setting) -> (u64, u64, u64) {
    let (nadra, bank) = (s.active("nadra").id, s.active("bank").id);
    s.decided(Action::PublishService(service(nadra, "verify")));
    (nadra, bank, 1)
}

fn check(s: &Setting, organisation: u64, service: u64, operation: &str) -> Access {
    let args = CheckAccessArgs {
        organisation,
        service,
        operation: operation.into(),
    };
    let context = Context {
        caller: person(0),
        time_ns: s.time_ns,
    };
    services::check(&s.state, &context, &args).unwrap()
}

#[test]
fn a_right_holds_for_its_operations_until_its_end() {
    let mut s = Setting::new();
    let (_, bank, id) = published(&mut s);
    assert_eq!(check(&s, bank, id, "verify"), Access::NoGrant);
    let until_ns = s.time_ns + DAY;
    s.decided(Action::GrantAccess(grant(id, bank, &["verify"], until_ns)));
    assert_eq!(check(&s, bank, id, "verify"), Access::Allowed { until_ns });
    assert_eq!(
        check(&s, bank, id, "read_photo"),
        Access::OperationNotGranted
    );
    assert_eq!(check(&s, 1, id, "verify"), Access::NoGrant);
    assert_eq!(
        check(&s, bank, id + 1, "verify"),
        Access::ServiceNotPublished
    );
    assert_eq!(check(&s, 99, id, "verify"), Access::OrganisationNotActive);
    s.time_ns = until_ns - 1;
    assert_eq!(check(&s, bank, id, "verify"), Access::Allowed { until_ns });
    s.time_ns = until_ns;
    assert_eq!(check(&s, bank, id, "verify"), Access::Expired);
    s.assert_explained();
}

#[test]
fn a_right_ends_with_the_service_with_the_organisation_and_by_decision() {
    let mut s = Setting::new();
    let (_, bank, id) = published(&mut s);
    let until_ns = s.time_ns + DAY;
    let allowed = Access::Allowed { until_ns };
    let granted = Action::GrantAccess(grant(id, bank, &["verify"], until_ns));
    s.decided(granted.clone());
    let change = |change| Action::ChangeOrganisation {
        organisation: bank,
        change,
    };
    let reason = || String::from("audit");
    s.decided(change(OrganisationChange::Suspend { reason: reason() }));
    assert_eq!(check(&s, bank, id, "verify"), Access::OrganisationNotActive);
    s.decided(change(OrganisationChange::Reinstate { reason: reason() }));
    assert_eq!(check(&s, bank, id, "verify"), allowed);
    let revoked = Action::RevokeAccess {
        service: id,
        organisation: bank,
        reason: reason(),
    };
    s.decided(revoked.clone());
    assert_eq!(check(&s, bank, id, "verify"), Access::NoGrant);
    let error = s.refused(|s| s.propose(1, revoked));
    assert_eq!(error, not_found("access grant", format!("{id}/{bank}")));
    s.decided(granted.clone());
    s.decided(Action::RetireService {
        service: id,
        reason: reason(),
    });
    assert_eq!(check(&s, bank, id, "verify"), Access::ServiceNotPublished);
    let error = s.refused(|s| s.propose(1, granted));
    assert_eq!(conflict(error), "the service is retired");
    s.assert_explained();
}

#[test]
fn the_grant_the_organisation_and_the_service_are_what_a_proof_shows() {
    let mut s = Setting::new();
    let (nadra, bank, id) = published(&mut s);
    s.decided(Action::GrantAccess(grant(
        id,
        bank,
        &["verify"],
        s.time_ns + DAY,
    )));
    let shown = |organisation| {
        let args = CheckAccessArgs {
            organisation,
            service: id,
            operation: "verify".into(),
        };
        services::paths(&args)
            .unwrap()
            .map(|path| s.certified(&path).is_some())
    };
    assert_eq!(shown(bank), [true, true, true]);
    assert_eq!(shown(nadra), [false, true, true]);
    assert_eq!(shown(99), [false, false, true]);
}

#[test]
fn administrators_propose_for_services_of_their_organisation_and_no_others() {
    let mut s = Setting::new();
    let (nadra, bank, id) = published(&mut s);
    let until = s.time_ns + DAY;
    let request = Action::GrantAccess(grant(id, bank, &["verify"], until));
    s.propose(APPLICANT, request.clone()).unwrap();
    s.propose(APPLICANT, Action::PublishService(service(nadra, "second")))
        .unwrap();
    let who = "a governor, or an administrator of the organisation that publishes the service";
    for action in [
        request,
        Action::PublishService(service(nadra, "third")),
        Action::RetireService {
            service: id,
            reason: "old".into(),
        },
        Action::RetireService {
            service: 77,
            reason: "old".into(),
        },
    ] {
        let error = s.refused(|s| s.propose(OTHER_APPLICANT, action));
        assert_eq!(needs(error), who);
    }
}

#[test]
fn each_bad_field_is_refused_by_its_name() {
    let mut s = Setting::new();
    let (nadra, bank, id) = published(&mut s);
    let publish = |change: fn(&mut ServiceProfile)| {
        let mut profile = service(nadra, "another");
        change(&mut profile);
        Action::PublishService(profile)
    };
    let until = s.time_ns + DAY;
    let request = |change: fn(&mut GrantRequest)| {
        let mut request = grant(id, bank, &["verify"], until);
        change(&mut request);
        Action::GrantAccess(request)
    };
    let many = |count| (0..count).map(|n| format!("o{n}")).collect::<Vec<_>>();
    let mut crowded = service(nadra, "another");
    crowded.operations = many(MAX_OPERATIONS + 1);
    let mut late = grant(id, bank, &["verify"], s.time_ns + MAX_GRANT_NS + 100);
    late.purpose = "p".into();
    for (field, action) in [
        ("slug", publish(|p| p.slug = "A".into())),
        ("name", publish(|p| p.name.clear())),
        (
            "interface_hash",
            publish(|p| p.interface_hash = vec![1; 31].into()),
        ),
        ("operations", publish(|p| p.operations.clear())),
        (
            "operations",
            publish(|p| p.operations = vec!["a".into(), "a".into()]),
        ),
        ("operations", Action::PublishService(crowded)),
        ("operation", publish(|p| p.operations = vec!["A b".into()])),
        (
            "operation",
            publish(|p| p.operations = vec!["a".repeat(65)]),
        ),
        ("purpose", request(|r| r.purpose.clear())),
        (
            "operations",
            request(|r| r.operations = vec!["other".into()]),
        ),
        ("operations", request(|r| r.operations.clear())),
        ("valid_until_ns", request(|r| r.valid_until_ns = 0)),
        ("valid_until_ns", Action::GrantAccess(late)),
    ] {
        let error = s.refused(|s| s.propose(1, action));
        assert_eq!(invalid_field::<()>(Err(error)), field);
    }
    let error = s.refused(|s| s.propose(1, Action::PublishService(service(nadra, "verify"))));
    assert_eq!(
        error,
        Error::AlreadyExists {
            what: "service".into(),
            id: "verify".into()
        }
    );
    let error = s.refused(|s| s.propose(1, Action::PublishService(service(99, "x"))));
    assert_eq!(error, not_found("organisation", 99));
}
