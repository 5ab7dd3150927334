//! The registry through the typed client, on a subnet of the test's own.

#![allow(clippy::unwrap_used)]

use candid::Principal;
use end_to_end::{Subnet, project, registry_module};
use indus_api::Error;
use indus_api::registry::{ListArgs, OrganisationKey, OrganisationState};
use indus_client::{
    ApplicationHash, ClientError, Connection, Deployment, Key, ModuleHash, RegistryClient,
    TrustFile,
};
use indus_verify::{RootKey, VerifyError};

#[tokio::test(flavor = "multi_thread")]
async fn an_application_becomes_an_organisation_by_a_governors_approval() {
    let subnet = Subnet::start().await;
    let (applicant, governor) = (Key::generate(), subnet.registry(&subnet.governor));
    let profile = Subnet::profile("mof");

    let applied = subnet
        .registry(&applicant)
        .apply_for_organisation(&profile)
        .await
        .unwrap();
    assert_eq!(
        (applied.applicant, &applied.state),
        (applicant.principal(), &OrganisationState::Pending)
    );
    let pending = governor.organisation(applied.id).await.unwrap().unwrap();
    assert_eq!(pending.organisation, applied);

    let approved = governor
        .approve_organisation(applied.id, pending.hash)
        .await
        .unwrap();
    let OrganisationState::Active {
        by,
        application_hash,
        ..
    } = &approved.state
    else {
        panic!("{:?}", approved.state);
    };
    assert_eq!(
        (*by, application_hash.as_slice()),
        (
            subnet.governor.principal(),
            pending.hash.as_bytes().as_slice()
        )
    );

    // Whoever reads it, certified or not, by whatever key, gets that.
    let reader = subnet.anonymous();
    assert_eq!(
        reader
            .organisation(applied.id)
            .await
            .unwrap()
            .unwrap()
            .organisation,
        approved
    );
    for key in [
        OrganisationKey::Id(applied.id),
        OrganisationKey::Slug(String::from("mof")),
    ] {
        assert_eq!(
            reader.organisation_unverified(&key).await.unwrap(),
            approved
        );
    }
    let page = reader
        .organisations_unverified(&ListArgs {
            after: None,
            limit: 10,
        })
        .await
        .unwrap();
    assert_eq!((page.organisations, page.next), (vec![approved], None));
    let governors = reader.governors_unverified().await.unwrap();
    assert_eq!(governors, [subnet.governor.principal()]);
    let info = reader.service_info_unverified().await.unwrap();
    let sizes: Vec<_> = info
        .collections
        .iter()
        .map(|collection| (&collection.name[..], collection.records))
        .collect();
    assert_eq!(sizes, [("organisations", 1), ("governors", 1)]);
    // Installed, applied, approved.
    assert_eq!((info.blocks, info.maintenance), (3, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_gets_a_typed_error() {
    let subnet = Subnet::start().await;
    let profile = Subnet::profile("mof");
    let refusal = |outcome: Result<_, ClientError>| outcome.unwrap_err().refusal().cloned();

    let anonymous = refusal(subnet.anonymous().apply_for_organisation(&profile).await);
    assert!(
        matches!(anonymous, Some(Error::Unauthorized { .. })),
        "{anonymous:?}"
    );

    let applicant = subnet.registry(&Key::generate());
    let applied = applicant.apply_for_organisation(&profile).await.unwrap();
    let hash = applicant
        .organisation(applied.id)
        .await
        .unwrap()
        .unwrap()
        .hash;
    for nobody in [
        applicant,
        subnet.anonymous(),
        subnet.registry(&subnet.deployer),
    ] {
        let refused = refusal(nobody.approve_organisation(applied.id, hash).await);
        assert!(
            matches!(refused, Some(Error::Unauthorized { .. })),
            "{refused:?}"
        );
    }
    let governor = subnet.registry(&subnet.governor);
    let stale = refusal(
        governor
            .approve_organisation(applied.id, ApplicationHash::of(b"another"))
            .await,
    );
    assert_eq!(
        stale,
        Some(Error::Stale {
            current: hash.to_string()
        })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn absence_is_proved() {
    let subnet = Subnet::start().await;
    assert_eq!(subnet.anonymous().organisation(1).await.unwrap(), None);
    let applied = subnet
        .registry(&Key::generate())
        .apply_for_organisation(&Subnet::profile("mof"))
        .await
        .unwrap();
    assert!(
        subnet
            .anonymous()
            .organisation(applied.id)
            .await
            .unwrap()
            .is_some()
    );
    for absent in [0, applied.id + 1, u64::MAX] {
        assert_eq!(subnet.anonymous().organisation(absent).await.unwrap(), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_which_a_byte_was_changed_is_refused() {
    let subnet = Subnet::start().await;
    let id = subnet
        .registry(&Key::generate())
        .apply_for_organisation(&Subnet::profile("mof"))
        .await
        .unwrap()
        .id;
    let reader = subnet.anonymous();
    let answer = reader.organisation_answer_unverified(id).await.unwrap();
    assert!(reader.verify_organisation(id, &answer).unwrap().is_some());

    for position in 0..answer.witness.len() {
        let mut changed = answer.clone();
        changed.witness[position] ^= 1;
        assert!(
            reader.verify_organisation(id, &changed).is_err(),
            "byte {position} of the witness"
        );
    }
    // A check of a signature takes milliseconds.
    for position in (0..answer.certificate.len()).step_by(7) {
        let mut changed = answer.clone();
        changed.certificate[position] ^= 0x10;
        assert!(
            reader.verify_organisation(id, &changed).is_err(),
            "byte {position} of the certificate"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_believed_that_another_root_key_or_subnet_signed() {
    let subnet = Subnet::start().await;
    // The Internet Computer's own.
    let key = "crates/verify/tests/fixtures/internet-computer-flat-ranges/root_key.der";
    let key = std::fs::read(project().join(key)).unwrap();
    let id = subnet
        .registry(&Key::generate())
        .apply_for_organisation(&Subnet::profile("mof"))
        .await
        .unwrap()
        .id;
    let answer = subnet
        .anonymous()
        .organisation_answer_unverified(id)
        .await
        .unwrap();

    let registry =
        |trust: TrustFile| RegistryClient::new(Connection::open(trust).unwrap()).unwrap();
    let wrong_key = registry(TrustFile {
        root_key: RootKey::from_der(&key).unwrap(),
        ..subnet.trust.clone()
    });
    let error = wrong_key.verify_organisation(id, &answer).unwrap_err();
    assert!(
        matches!(
            error,
            ClientError::Unverified {
                reason: VerifyError::Signature(_),
                ..
            }
        ),
        "{error}"
    );
    assert!(
        wrong_key
            .apply_for_organisation(&Subnet::profile("mof"))
            .await
            .is_err()
    );
    assert!(wrong_key.organisation(id).await.is_err());

    let subnets = TrustFile {
        subnet: Principal::from_slice(&[1; 29]),
        ..subnet.trust.clone()
    };
    let error = registry(subnets)
        .verify_organisation(id, &answer)
        .unwrap_err();
    assert!(
        matches!(error, ClientError::ForeignSubnet { .. }),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subnet_says_what_it_rejects() {
    let subnet = Subnet::start().await;
    let nowhere = Principal::from_slice(&[0, 0, 0, 0, 0x7f, 0, 0, 0, 1, 1]);
    let mut trust = subnet.trust.clone();
    trust.canisters.insert(String::from("registry"), nowhere);
    let registry = RegistryClient::new(
        Connection::open(trust)
            .unwrap()
            .signing_as(&Key::generate()),
    )
    .unwrap();
    let error = registry
        .apply_for_organisation(&Subnet::profile("mof"))
        .await
        .unwrap_err();
    assert!(!error.to_string().contains('\n'), "{error}");
    assert!(
        matches!(
            error,
            ClientError::Rejected { .. } | ClientError::Agent { .. }
        ),
        "{error:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_interface_in_the_repository_is_that_of_the_installed_module() {
    let subnet = Subnet::start().await;
    let registry = subnet.anonymous();
    let agent = registry.connection().agent();
    let certified = agent
        .read_state_canister_metadata(registry.canister(), "candid:service")
        .await
        .unwrap();
    let committed = std::fs::read(project().join("candid/registry.did")).unwrap();
    assert_eq!(
        String::from_utf8(certified).unwrap().trim(),
        String::from_utf8(committed).unwrap().trim()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_is_what_was_deployed() {
    let subnet = Subnet::start().await;
    let deployment = Deployment::new(subnet.anonymous().connection().signing_as(&subnet.deployer));
    let status = deployment
        .status(subnet.anonymous().canister())
        .await
        .unwrap();
    assert_eq!(status.settings.controllers, [subnet.deployer.principal()]);
    assert_eq!(
        status.module_hash.map(hex::encode),
        Some(ModuleHash::of(&registry_module()).to_string())
    );

    let canister = deployment
        .create(subnet.default_effective_canister)
        .await
        .unwrap();
    let error = deployment
        .install(canister, b"no module".to_vec(), Vec::new())
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            ClientError::Rejected {
                certified: true,
                ..
            }
        ),
        "{error:?}"
    );
    let stranger = Deployment::new(subnet.anonymous().connection().signing_as(&Key::generate()));
    assert!(
        stranger
            .install(canister, registry_module(), Vec::new())
            .await
            .is_err()
    );
}
