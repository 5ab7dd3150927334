//! The registry through the typed client, on a subnet of the test's own.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use candid::Principal;
use end_to_end::{FOUNDERS, Subnet, project, registry_module};
use indus_api::Error;
use indus_api::certified::CertifiedListArgs;
use indus_api::paging::PageArgs;
use indus_api::registry::{
    Action, Application, GOVERNORS, ORGANISATIONS, OrganisationKey, OrganisationStatus, POLICIES,
    ProposalState, SERVICES, organisation_key, principal_key,
};
use indus_client::{
    AuditedCanister, ClientError, Connection, Deployment, Key, ModuleHash, PayloadHash,
    RegistryClient, TrustFile,
};
use indus_verify::{Audit, LogRoot, RootKey, VerifyError};
use tokio::task::JoinSet;

#[tokio::test(flavor = "multi_thread")]
async fn an_application_becomes_an_organisation_by_the_approval_of_three() {
    let subnet = Subnet::start().await;
    let applicant = Key::generate();
    let profile = Subnet::profile("mof");

    let applied = subnet
        .registry(&applicant)
        .apply_for_organisation(&profile)
        .await
        .unwrap();
    assert_eq!(
        (applied.applicant, applied.status),
        (applicant.principal(), OrganisationStatus::Pending)
    );
    let reader = subnet.anonymous();
    let pending = reader.organisation(applied.id).await.unwrap().unwrap();
    assert_eq!(pending.organisation, applied);

    let id = applied.application.unwrap();
    let carried = subnet.carried(id).await;
    assert!(matches!(carried.state, ProposalState::Executed { .. }));
    // The receipt: who approved what.
    let receipt = reader.proposal(id).await.unwrap().unwrap();
    assert_eq!(receipt.proposal, carried);
    let by: Vec<_> = carried.approvals.iter().map(|one| one.governor).collect();
    let governors: Vec<_> = subnet.governors.iter().map(Key::principal).collect();
    assert_eq!(by, governors[..3]);
    let expected = Application {
        organisation: applied.id,
        applicant: applicant.principal(),
        profile,
    };
    assert_eq!(receipt.action, Action::Admit(expected));
    let admitted = reader.organisation(applied.id).await.unwrap().unwrap();
    let approved = admitted.organisation;
    assert_eq!(approved.status, OrganisationStatus::Active);

    // Whoever reads it, by whatever key, gets that.
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
        .organisations_unverified(&PageArgs {
            after: Some(FOUNDERS),
            limit: 10,
        })
        .await
        .unwrap();
    assert_eq!((page.items, page.next), (vec![approved], None));
    let named = reader.governors_unverified().await.unwrap();
    assert_eq!(named.len(), governors.len());
    assert!(named.iter().all(|one| governors.contains(&one.principal)));
    let info = reader.service_info_unverified().await.unwrap();
    let sizes: Vec<_> = info
        .collections
        .iter()
        .filter(|collection| collection.records > 0)
        .map(|collection| (&collection.name[..], collection.records))
        .collect();
    assert_eq!(
        sizes,
        [
            ("organisations", 6),
            ("governors", 5),
            ("policies", 1),
            ("proposals", 1)
        ]
    );
    // Installed, applied, approved by three.
    assert_eq!((info.blocks, info.maintenance), (5, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_gets_a_typed_error() {
    let subnet = Subnet::start().await;
    let profile = Subnet::profile("mof");
    let anonymous = subnet.anonymous().apply_for_organisation(&profile).await;
    let anonymous = anonymous.unwrap_err().refusal().cloned();
    assert!(
        matches!(anonymous, Some(Error::Unauthorized { .. })),
        "{anonymous:?}"
    );

    let applicant = subnet.registry(&Key::generate());
    let applied = applicant.apply_for_organisation(&profile).await.unwrap();
    let id = applied.application.unwrap();
    let hash = applicant.proposal(id).await.unwrap().unwrap().hash;
    for nobody in [
        applicant,
        subnet.anonymous(),
        subnet.registry(&subnet.deployer),
    ] {
        let refused = nobody.approve(id, hash).await.unwrap_err();
        let refused = refused.refusal().cloned();
        assert!(
            matches!(refused, Some(Error::Unauthorized { .. })),
            "{refused:?}"
        );
    }
    let governor = subnet.registry(&subnet.governors[0]);
    let other = PayloadHash::of(b"another");
    let stale = governor.approve(id, other).await.unwrap_err();
    let stale = stale.refusal().cloned();
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
    let next = FOUNDERS + 1;
    assert_eq!(subnet.anonymous().organisation(next).await.unwrap(), None);
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

/// Applies for `count` organisations, each by a key of its own, a few at a time: each one's proposal, and who may take it
/// back.
async fn apply(subnet: &Subnet, count: usize) -> BTreeMap<u64, RegistryClient> {
    const AT_A_TIME: usize = 16;
    let mut calls = JoinSet::new();
    let mut applied = BTreeMap::new();
    for number in 0..count {
        if calls.len() == AT_A_TIME {
            applied.extend([calls.join_next().await.unwrap().unwrap()]);
        }
        let applicant = subnet.registry(&Key::generate());
        calls.spawn(async move {
            let profile = Subnet::profile(&format!("o-{number}"));
            let organisation = applicant.apply_for_organisation(&profile).await.unwrap();
            (organisation.application.unwrap(), applicant)
        });
    }
    applied.extend(calls.join_all().await);
    applied
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_show_every_organisation_and_prove_that_none_is_left_out() {
    let subnet = Subnet::start().await;
    let reader = subnet.anonymous();
    let founders = reader.organisation_page(None, 10).await.unwrap();
    assert_eq!((founders.organisations.len(), founders.end), (5, true));
    assert_eq!(founders.head.size, 1);

    apply(&subnet, 3).await;
    let first = reader.organisation_page(Some(5), 2).await.unwrap();
    let rest = reader.organisation_page(Some(7), 2).await.unwrap();
    assert_eq!((first.end, rest.end), (false, true));
    assert_eq!((first.head, rest.head.size), (rest.head, 4));
    let mut ids = Vec::new();
    for found in first.organisations.iter().chain(&rest.organisations) {
        let id = found.organisation.id;
        let alone = reader.organisation(id).await.unwrap().unwrap();
        assert_eq!(found.organisation, alone.organisation);
        ids.push(id);
    }
    assert_eq!(ids, [6, 7, 8]);
    for behind in [8, u64::MAX] {
        let page = reader.organisation_page(Some(behind), 2).await.unwrap();
        assert_eq!((page.organisations.len(), page.end), (0, true));
    }

    // A page behind another key is no answer, and neither is one with a byte changed.
    let args = |after: Option<u64>| CertifiedListArgs {
        collection: ORGANISATIONS.into(),
        after: after.map(|id| organisation_key(id).to_vec().into()),
        limit: 2,
    };
    let canister = reader.audited();
    let answer = canister
        .page_answer_unverified(&args(Some(7)))
        .await
        .unwrap();
    canister.verify_page(&args(Some(7)), &answer).unwrap();
    let error = canister.verify_page(&args(None), &answer).unwrap_err();
    assert!(
        matches!(
            error,
            ClientError::Unverified {
                reason: VerifyError::Hidden { .. },
                ..
            }
        ),
        "{error}"
    );
    for position in 0..answer.witness.len() {
        let mut changed = answer.clone();
        changed.witness[position] ^= 1;
        assert!(
            canister.verify_page(&args(Some(7)), &changed).is_err(),
            "byte {position} of the witness"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_log_is_audited_and_an_audit_goes_on_where_it_ended() {
    let subnet = Subnet::start().await;
    let canister = subnet.anonymous().audited();
    let mut audit = Audit::default();
    let installed = canister.audit(&mut audit).await.unwrap();
    assert_eq!((installed.replayed, installed.head.size), (1, 1));
    let names: Vec<_> = installed.collections.keys().collect();
    assert_eq!(names, [GOVERNORS, ORGANISATIONS, POLICIES]);

    // More than one page of blocks.
    apply(&subnet, 110).await;
    let before = audit.clone();
    let report = canister.audit(&mut audit).await.unwrap();
    assert_eq!(
        (report.replayed, report.pages, report.head.size),
        (110, 2, 111)
    );
    let head = canister.head().await.unwrap();
    assert_eq!(head.head, report.head);
    assert_eq!(report.collections.len(), 4);
    for (name, root) in &report.collections {
        assert_eq!(head.collection_root(name).unwrap(), *root);
    }
    let again = canister.audit(&mut audit).await.unwrap();
    assert_eq!((again.replayed, again.pages), (0, 0));
    let whole = canister.audit(&mut Audit::default()).await.unwrap();
    assert_eq!(
        (whole.replayed, whole.head, whole.collections),
        (111, report.head, report.collections)
    );

    // An audit that knows another log is told so.
    let mut other = Audit::resume(audit.chain().clone(), before.clone().collections().clone());
    let error = canister.audit(&mut other).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "the audit of canister {} failed: the log does not explain the collection organisations",
            canister.canister()
        )
    );

    // The same log by its proofs: the last block, each prefix, each entry.
    let tip = canister.tip_answer_unverified().await.unwrap().unwrap();
    let certified = canister.verify_tip(&tip).unwrap();
    let last = audit.chain().last_hash().unwrap();
    assert_eq!((certified.index, certified.hash), (110, last));
    let mut changed = tip;
    changed.hash_tree[40] ^= 1;
    assert!(canister.verify_tip(&changed).is_err());
    canister
        .prove_inclusion(&last, 110, &head.head)
        .await
        .unwrap();
    assert!(
        canister
            .prove_inclusion(&last, 109, &head.head)
            .await
            .is_err()
    );
    for from in [LogRoot::default().head(), installed.head, head.head] {
        canister.prove_consistency(&from, &head.head).await.unwrap();
    }
    let mut forked = installed.head;
    forked.root[0] ^= 1;
    let error = canister.prove_consistency(&forked, &head.head).await;
    assert!(matches!(error, Err(ClientError::Unverified { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_complete_at_one_head_while_others_write() {
    let subnet = Subnet::start().await;
    let applied = apply(&subnet, 120).await;
    let reader = subnet.anonymous();
    let writer = tokio::spawn(async move {
        for (id, applicant) in applied {
            applicant.cancel(id, "a test").await.unwrap();
        }
    });
    let mut audit = Audit::default();
    for _ in 0..3 {
        let (organisations, export) = reader.all_organisations(&mut audit).await.unwrap();
        let ids: Vec<_> = organisations
            .iter()
            .map(|found| found.organisation.id)
            .collect();
        assert_eq!(ids, (1..=125).collect::<Vec<_>>());
        // Installed, applied for, and in their order closed: the state at exactly this head.
        let closed = usize::try_from(export.head.size).unwrap() - 121;
        for found in organisations.into_iter().map(|found| found.organisation) {
            let Some(id) = found.application else {
                continue;
            };
            let pending = found.status == OrganisationStatus::Pending;
            let open = usize::try_from(id).unwrap() > closed;
            assert_eq!(pending, open, "{id} of {closed} that were taken back");
        }
        assert_eq!(audit.size(), export.head.size);
        assert_eq!(audit.collections().root(ORGANISATIONS), export.root);
    }
    writer.await.unwrap();
    let (_, export) = reader
        .all_organisations(&mut Audit::default())
        .await
        .unwrap();
    assert_eq!(
        (export.head.size, export.pages, export.read_again),
        (241, 2, 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn any_collection_of_any_canister_is_exported_and_one_that_is_not_there_is_not() {
    let subnet = Subnet::start().await;
    let registry = subnet.anonymous();
    let canister = AuditedCanister::new(registry.connection().clone(), registry.canister());
    let mut audit = Audit::default();
    let export = canister.export(GOVERNORS, &mut audit).await.unwrap();
    let keys: Vec<_> = export
        .records
        .iter()
        .map(|record| &record.key[..])
        .collect();
    let governors = subnet.governors.iter().map(Key::principal);
    let mut expected: Vec<_> = governors.map(principal_key).collect();
    expected.sort_unstable();
    assert_eq!(keys, expected);
    let none = canister.export(SERVICES, &mut audit).await.unwrap();
    assert_eq!((none.records.len(), none.head), (0, export.head));
    let error = canister.export("persons", &mut audit).await.unwrap_err();
    assert!(
        matches!(error.refusal(), Some(Error::NotFound { .. })),
        "{error}"
    );
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
