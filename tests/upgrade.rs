//! Real modules on each stable memory that was ever released: upgraded, in maintenance, confirmed, changed, and audited from
//! its first block to its last.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use candid::{CandidType, Decode, Encode, Principal};
use end_to_end::{
    app_hosting_module, founding, identity_module, lifeline_module, messaging_module, pocket_ic,
    project, registry_module,
};
use ic_signature_verification::verify_canister_sig;
use indus_api::{
    CertifiedRead, Error,
    hosting::{self, Release, ReleaseState},
    icrc3::GetBlocksArgs,
    identity::{self, CredentialView},
    lifeline::{self, Intervention, InterventionState},
    messaging,
    registry::{Organisation, OrganisationKey, OrganisationKind, OrganisationProfile},
    service::ServiceInfo,
    signatures::{self, SEED},
};
use indus_verify::{Audit, LogRoot, RootKey, Time, TimeBound, Verifier, canister_signature};
use pocket_ic::{PocketIc, common::rest::BlobCompression};
use serde::de::DeserializeOwned;
use serde_bytes::ByteBuf;

const BOUND: TimeBound = TimeBound::within(Duration::from_secs(300));

struct Upgraded {
    pic: PocketIc,
    canister: Principal,
    controller: Principal,
}

impl Upgraded {
    /// A registry on the stable memory of this layout.
    fn registry(layout: &str) -> Self {
        let governor = |n: u8| Principal::self_authenticating([n]);
        let init = Encode!(&founding((1..=5).map(governor))).unwrap();
        Self::new(registry_module(), init, "registry/tests/layout", layout)
    }

    /// An identity on the stable memory of this layout.
    fn identity(layout: &str) -> Self {
        let init = identity::InitArgs {
            registry: Principal::from_slice(&[0, 0, 0, 0, 0, 0, 0, 2, 1, 1]),
            configuration: identity::Configuration {
                suite_canisters: vec![],
                recovery_delay_ns: None,
            },
        };
        let init = Encode!(&init).unwrap();
        Self::new(identity_module(), init, "identity/tests", layout)
    }

    /// A messaging canister on the stable memory of this layout.
    fn messaging(layout: &str) -> Self {
        let canister = |n| Principal::from_slice(&[0, 0, 0, 0, 0, 0, 0, n, 1, 1]);
        let init = messaging::InitArgs {
            identity: canister(2),
            registry: canister(3),
            configuration: messaging::Configuration::default(),
        };
        let init = Encode!(&init).unwrap();
        Self::new(messaging_module(), init, "messaging/tests", layout)
    }

    /// An app_hosting on the stable memory of this layout.
    fn app_hosting(layout: &str) -> Self {
        let canister = |n| Principal::from_slice(&[0, 0, 0, 0, 0, 0, 0, n, 1, 1]);
        let init = hosting::InitArgs {
            identity: canister(2),
            registry: canister(3),
            license_manager: canister(4),
            configuration: None,
        };
        let init = Encode!(&init).unwrap();
        Self::new(app_hosting_module(), init, "app_hosting/tests", layout)
    }

    /// A lifeline on the stable memory of this layout.
    fn lifeline(layout: &str) -> Self {
        let canister = |n| Principal::from_slice(&[0, 0, 0, 0, 0, 0, 0, n, 1, 1]);
        let init = lifeline::InitArgs {
            registry: canister(2),
            app_hosting: canister(3),
            keepers: [1, 2, 3]
                .map(|n| Principal::self_authenticating([n]))
                .into(),
            threshold: 2,
        };
        let init = Encode!(&init).unwrap();
        Self::new(lifeline_module(), init, "lifeline/tests", layout)
    }

    /// Hours pass until `is_over`.
    fn until(&self, is_over: impl Fn() -> bool) {
        for _ in 0..100 {
            if is_over() {
                return;
            }
            self.pic.advance_time(Duration::from_secs(3_600));
            for _ in 0..5 {
                self.pic.tick();
            }
        }
        panic!("it does not end");
    }

    /// A module on the stable memory of this layout.
    fn new(module: Vec<u8>, init: Vec<u8>, folder: &str, layout: &str) -> Self {
        // The root key is that of the root subnet.
        let pic = pocket_ic()
            .with_nns_subnet()
            .with_application_subnet()
            .build();
        // Later than anything that was recorded.
        pic.set_time(pocket_ic::Time::from_nanos_since_unix_epoch(
            1_800_000_000_000_000_000,
        ));
        let controller = Principal::self_authenticating(b"controller");
        let subnet = pic.topology().get_app_subnets()[0];
        let canister = pic.create_canister_on_subnet(Some(controller), None, subnet);
        pic.add_cycles(canister, 1_000_000_000_000_000);
        pic.install_canister(canister, module.clone(), init, Some(controller));
        let file = format!("canisters/{folder}/released/{layout}.bin.gz");
        let packed = std::fs::read(project().join(file)).unwrap();
        pic.set_stable_memory(canister, packed, BlobCompression::Gzip);
        let upgraded = pic.upgrade_canister(canister, module, Encode!().unwrap(), Some(controller));
        upgraded.unwrap();
        Self {
            pic,
            canister,
            controller,
        }
    }

    fn query<T: CandidType + DeserializeOwned>(&self, method: &str, arg: Vec<u8>) -> T {
        let reply = self
            .pic
            .query_call(self.canister, Principal::anonymous(), method, arg)
            .unwrap();
        Decode!(&reply, T).unwrap()
    }

    fn update<T: CandidType + DeserializeOwned>(
        &self,
        caller: Principal,
        method: &str,
        arg: Vec<u8>,
    ) -> T {
        let reply = self
            .pic
            .update_call(self.canister, caller, method, arg)
            .unwrap();
        Decode!(&reply, T).unwrap()
    }

    fn verifier(&self) -> Verifier {
        Verifier::new(RootKey::from_der(&self.pic.root_key().unwrap()).unwrap())
    }

    fn now(&self) -> Time {
        Time::from_nanos(self.pic.get_time().as_nanos_since_unix_epoch())
    }

    fn confirm(&self) {
        let arg = Encode!().unwrap();
        let confirmed: Result<(), Error> = self.update(self.controller, "confirm_upgrade", arg);
        confirmed.unwrap();
    }

    /// Replays the whole log against what the subnet certifies.
    fn audit(&self) -> u64 {
        let head: Result<CertifiedRead, Error> = self.query("log_head", Encode!().unwrap());
        let head = head.unwrap();
        let witness = self
            .verifier()
            .certificate(&head.certificate, self.canister, self.now(), BOUND)
            .unwrap()
            .witness(&head.witness)
            .unwrap();
        let size = witness.log_head().unwrap().size;
        let mut audit = Audit::default();
        while audit.size() < size {
            let range = GetBlocksArgs {
                start: audit.size().into(),
                length: 3_u64.into(),
            };
            let arg = Encode!(&vec![range]).unwrap();
            let page = self.pic.query_call(
                self.canister,
                Principal::anonymous(),
                "icrc3_get_blocks",
                arg,
            );
            audit.page(&page.unwrap(), size).unwrap();
        }
        // All of it: as many blocks as there are.
        let info: ServiceInfo = self.query("service_info", Encode!().unwrap());
        assert_eq!(size, info.blocks);
        audit.check(&witness).unwrap().size
    }
}

#[test]
fn an_identity_that_signed_nothing_signs_what_its_holder_asks_for() {
    let identity = Upgraded::identity("1");
    identity.confirm();
    let blocks = identity.audit();
    // The holder of credential 1, with the key that layout 1 was recorded with.
    let mut holder = [41; 29];
    holder[28] = 2;
    let sign = |id: u64| -> Result<CredentialView, Error> {
        let holder = Principal::from_slice(&holder);
        identity.update(holder, "sign_credential", Encode!(&id).unwrap())
    };
    let credential = sign(1).unwrap().credential;
    assert!(matches!(sign(2), Err(Error::Conflict { .. })));
    assert_eq!(identity.audit(), blocks + 1);

    let message = credential.signed_message().unwrap();
    let paths = Encode!(&vec![signatures::path(&message)]).unwrap();
    let read: Result<CertifiedRead, Error> = identity.query("certified_read", paths);
    let CertifiedRead {
        certificate,
        witness,
    } = read.unwrap();
    let signature = canister_signature::encode(&certificate, &witness).unwrap();
    let signer = identity.canister;
    identity
        .verifier()
        .canister_signature(signer, SEED, &message, &signature, identity.now(), BOUND)
        .unwrap();
    // What everybody else verifies such signatures with.
    let root_key = identity.pic.root_key().unwrap();
    let key = signatures::public_key(signer);
    verify_canister_sig(&message, &signature, &key, &root_key[37..]).unwrap();
}

#[test]
fn releases_of_a_released_layout_go_on_after_an_upgrade() {
    let hosting = Upgraded::app_hosting("1");
    let info: ServiceInfo = hosting.query("service_info", Encode!().unwrap());
    assert!(info.maintenance);
    hosting.confirm();
    // The one that was under way ends: there is no such canister here.
    let running = || -> Release {
        let release: Result<Release, Error> =
            hosting.query("get_release", Encode!(&4_u64).unwrap());
        release.unwrap()
    };
    hosting.until(|| matches!(running().state, ReleaseState::Ended { .. }));
    assert!(hosting.audit() > info.blocks + 1);
}

#[test]
fn interventions_of_a_released_layout_go_on_after_an_upgrade() {
    let line = Upgraded::lifeline("1");
    let info: ServiceInfo = line.query("service_info", Encode!().unwrap());
    assert!(info.maintenance);
    line.confirm();
    let get = |id: u64| -> Intervention {
        let intervention: Result<Intervention, Error> =
            line.query("get_intervention", Encode!(&id).unwrap());
        intervention.unwrap()
    };
    // The one that was under way ends: there is no such canister here.
    line.until(|| matches!(get(6).state, InterventionState::Ended { .. }));
    // Too few keepers agreed to the one that waited.
    line.until(|| matches!(get(5).state, InterventionState::Expired { .. }));
    assert!(line.audit() > info.blocks + 2);
}

#[test]
fn conversations_of_a_released_layout_are_read_and_proved_after_an_upgrade() {
    let messaging = Upgraded::messaging("1");
    let info: ServiceInfo = messaging.query("service_info", Encode!().unwrap());
    assert!(info.maintenance);
    messaging.confirm();
    assert_eq!(messaging.audit(), info.blocks + 1);
    // Everybody reads what is certified of a conversation, and has it proved that an entry is in its log.
    let path = identity::path(messaging::CONVERSATIONS, &1_u64.to_be_bytes());
    let read: Result<CertifiedRead, Error> =
        messaging.query("certified_read", Encode!(&vec![path.clone()]).unwrap());
    let CertifiedRead {
        certificate,
        witness,
    } = read.unwrap();
    let verified = messaging
        .verifier()
        .certificate(&certificate, messaging.canister, messaging.now(), BOUND)
        .unwrap()
        .witness(&witness)
        .unwrap();
    let messaging::ConversationRecord::V1(conversation) = verified.value(&path).unwrap();
    let size = LogRoot::from_leaf(&conversation.head).unwrap().size();
    assert!(size > 4);
    for from in 0..size {
        let args = messaging::ProofArgs {
            conversation: 1,
            from,
            size,
        };
        let proof: Result<Vec<ByteBuf>, Error> =
            messaging.query("entry_inclusion_proof", Encode!(&args).unwrap());
        assert!(!proof.unwrap().is_empty(), "{from}");
    }
    // Nobody is there who could say who a member is.
    let member: Result<Vec<messaging::Device>, Error> = messaging.update(
        Principal::self_authenticating(b"member"),
        "refresh_subject",
        Encode!().unwrap(),
    );
    assert!(
        matches!(member, Err(Error::Unavailable { .. })),
        "{member:?}"
    );
}

fn profile() -> OrganisationProfile {
    OrganisationProfile {
        slug: "fbr".into(),
        name: "Federal Board of Revenue".into(),
        kind: OrganisationKind::Agency,
        parent: Some(1),
        sector: "finance".into(),
        seat: "Islamabad".into(),
    }
}

#[test]
fn every_released_layout_is_upgraded_confirmed_changed_and_audited() {
    for (layout, first_slug, next) in [("1", "sbp", 6), ("2", "pmo", 10), ("3", "pmo", 10)] {
        let registry = Upgraded::registry(layout);
        let info: ServiceInfo = registry.query("service_info", Encode!().unwrap());
        assert!(info.maintenance);
        let blocks = info.blocks;

        // In maintenance nobody is answered but a controller.
        let first = Encode!(&OrganisationKey::Id(1)).unwrap();
        let get =
            || -> Result<Organisation, Error> { registry.query("get_organisation", first.clone()) };
        let applicant = Principal::self_authenticating(b"applicant");
        let apply = || -> Result<Organisation, Error> {
            registry.update(
                applicant,
                "apply_for_organisation",
                Encode!(&profile()).unwrap(),
            )
        };
        for refused in [get(), apply()] {
            assert!(
                matches!(refused, Err(Error::Unavailable { .. })),
                "{refused:?}"
            );
        }
        let confirm = |caller| -> Result<(), Error> {
            registry.update(caller, "confirm_upgrade", Encode!().unwrap())
        };
        assert!(matches!(
            confirm(applicant),
            Err(Error::Unauthorized { .. })
        ));
        confirm(registry.controller).unwrap();
        confirm(registry.controller).unwrap();

        assert_eq!(get().unwrap().profile.slug, first_slug);
        let applied = apply().unwrap();
        assert_eq!(applied.id, next);
        // Confirmed, applied; and what was due, by timer.
        assert!(registry.audit() >= blocks + 2);

        // What was there before an upgrade is there after it.
        let arg = Encode!().unwrap();
        registry
            .pic
            .upgrade_canister(
                registry.canister,
                registry_module(),
                arg,
                Some(registry.controller),
            )
            .unwrap();
        confirm(registry.controller).unwrap();
        let again: Result<Organisation, Error> = registry.query(
            "get_organisation",
            Encode!(&OrganisationKey::Id(next)).unwrap(),
        );
        assert_eq!(again.unwrap(), applied);
        assert!(registry.audit() >= blocks + 4);
    }
}

#[test]
fn a_memory_of_something_else_is_not_upgraded() {
    let registry = Upgraded::registry("1");
    registry.pic.set_stable_memory(
        registry.canister,
        vec![7; 65_536],
        BlobCompression::NoCompression,
    );
    let refused = registry
        .pic
        .upgrade_canister(
            registry.canister,
            registry_module(),
            Encode!().unwrap(),
            Some(registry.controller),
        )
        .unwrap_err();
    assert!(
        refused.reject_message.contains("install, don't upgrade"),
        "{refused:?}"
    );
}
