//! The registry's real module on each stable memory that was ever released: upgraded, in maintenance, confirmed, changed,
//! and audited from its first block to its last.

#![allow(clippy::unwrap_used)]

use candid::{CandidType, Decode, Encode, Principal};
use end_to_end::{founding, pocket_ic, project, registry_module};
use indus_api::{
    CertifiedRead, Error,
    icrc3::GetBlocksArgs,
    registry::{Organisation, OrganisationKey, OrganisationKind, OrganisationProfile},
    service::ServiceInfo,
};
use indus_verify::{Audit, RootKey, Time, TimeBound, Verifier};
use pocket_ic::{PocketIc, common::rest::BlobCompression};
use serde::de::DeserializeOwned;

struct Registry {
    pic: PocketIc,
    canister: Principal,
    controller: Principal,
}

impl Registry {
    /// A new module on the stable memory of this layout.
    fn upgraded_from(layout: &str) -> Self {
        // The root key is that of the root subnet.
        let pic = pocket_ic()
            .with_nns_subnet()
            .with_application_subnet()
            .build();
        let controller = Principal::self_authenticating(b"controller");
        let subnet = pic.topology().get_app_subnets()[0];
        let canister = pic.create_canister_on_subnet(Some(controller), None, subnet);
        pic.add_cycles(canister, 1_000_000_000_000_000);
        let governor = |n: u8| Principal::self_authenticating([n]);
        let init = founding((1..=5).map(governor));
        pic.install_canister(
            canister,
            registry_module(),
            Encode!(&init).unwrap(),
            Some(controller),
        );
        let file = format!("canisters/registry/tests/layout/released/{layout}.bin.gz");
        let packed = std::fs::read(project().join(file)).unwrap();
        pic.set_stable_memory(canister, packed, BlobCompression::Gzip);
        pic.upgrade_canister(
            canister,
            registry_module(),
            Encode!().unwrap(),
            Some(controller),
        )
        .unwrap();
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

    /// Replays the whole log against what the subnet certifies.
    fn audit(&self) -> u64 {
        let head: Result<CertifiedRead, Error> = self.query("log_head", Encode!().unwrap());
        let head = head.unwrap();
        let root_key = RootKey::from_der(&self.pic.root_key().unwrap()).unwrap();
        let now = Time::from_nanos(self.pic.get_time().as_nanos_since_unix_epoch());
        let bound = TimeBound::within(std::time::Duration::from_secs(300));
        let witness = Verifier::new(root_key)
            .certificate(&head.certificate, self.canister, now, bound)
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
    for (layout, first_slug, next) in [("1", "sbp", 6), ("2", "pmo", 10)] {
        let registry = Registry::upgraded_from(layout);
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
    let registry = Registry::upgraded_from("1");
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
