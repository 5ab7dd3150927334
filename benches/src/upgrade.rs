//! What an upgrade of the registry takes, with ten records and with a million.

use std::sync::OnceLock;

use candid::{Encode, Principal};
use ic_management_canister_types::CanisterInstallMode;
use ic_stable_structures::VectorMemory;
use indus_api::registry::{
    Governor, InitArgs, Organisation, OrganisationKind, OrganisationProfile, OrganisationRecord,
    OrganisationStatus, Quorum, Quorums, organisation_key,
};
use indus_kit::{Change, CollectionId, Context, Event};
use registry::{State, state};

use crate::{net::Net, structures};

/// Records of the two registries. Their logs have as many peaks, before and after: what the head of a log takes depends on
/// their number, which is between 1 and 20 at any size.
const FEW: u64 = 10;
const MANY: u64 = (1 << 20) + 2;

pub(crate) const FOUNDERS: u64 = 5;

/// Instructions of an upgrade, the first update and the first query.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    pub(crate) few: f64,
    pub(crate) many: f64,
}

impl Figures {
    /// How much more many records take, in percent.
    pub(crate) fn difference(self) -> f64 {
        (self.many / self.few - 1.0).abs() * 100.0
    }
}

pub(crate) fn figures() -> anyhow::Result<Figures> {
    static KNOWN: OnceLock<Figures> = OnceLock::new();
    if let Some(known) = KNOWN.get() {
        return Ok(*known);
    }
    let figures = Figures {
        few: measure(FEW)?,
        many: measure(MANY)?,
    };
    eprintln!("bench: {figures:?}");
    Ok(*KNOWN.get_or_init(|| figures))
}

fn measure(records: u64) -> anyhow::Result<f64> {
    let mut net = Net::new()?;
    let module = structures::module("registry")?;
    let init = founding();
    let canister = net.install(module.clone(), Encode!(&init)?)?;
    {
        let memory = VectorMemory::default();
        fill(memory.clone(), init, records)?;
        net.load(canister, &memory.borrow())?;
    }
    let before = net.instructions(canister);
    net.install_code(
        canister,
        CanisterInstallMode::Upgrade(None),
        module,
        Vec::new(),
    )?;
    net.reply(canister, "confirm_upgrade", Encode!()?)?;
    net.query(canister, "service_info", Encode!()?)?;
    #[allow(clippy::cast_precision_loss, reason = "far below 2^53")]
    Ok((net.instructions(canister) - before) as f64)
}

/// Five founders, a governor of each, three of whom decide.
pub(crate) fn founding() -> InitArgs {
    let governor = |organisation: u64| Governor {
        principal: Principal::self_authenticating(organisation.to_be_bytes()),
        organisation,
    };
    let quorum = |approvals| Quorum {
        approvals,
        organisations: 3,
    };
    InitArgs {
        founders: (1..=FOUNDERS).map(profile).collect(),
        governors: (1..=FOUNDERS).map(governor).collect(),
        quorums: Quorums {
            ordinary: quorum(3),
            constitutional: quorum(4),
        },
    }
}

pub(crate) fn profile(id: u64) -> OrganisationProfile {
    OrganisationProfile {
        slug: format!("office-{id}"),
        name: format!("Office {id}"),
        kind: OrganisationKind::Agency,
        parent: None,
        sector: "government".into(),
        seat: "Islamabad".into(),
    }
}

/// A registry with so many withdrawn applications.
fn fill(memory: VectorMemory, init: InitArgs, records: u64) -> anyhow::Result<()> {
    let context = Context {
        caller: Principal::self_authenticating(b"applicant"),
        time_ns: 1,
    };
    let mut registry = State::create(memory, &context, init)?;
    for id in FOUNDERS + 1..=FOUNDERS + records {
        let record = OrganisationRecord::V2(Organisation {
            id,
            profile: profile(id),
            applicant: context.caller,
            administrators: vec![context.caller],
            status: OrganisationStatus::Withdrawn,
            due_at_ns: 2,
            application: None,
            steps: Vec::new(),
        });
        let change = Change {
            collection: CollectionId(0),
            key: organisation_key(id).to_vec(),
            record: Some(candid::encode_one(&record)?),
        };
        registry.kit.certified.record(Event {
            kind: state::CANCELLED,
            actor: context.caller,
            time_ns: 2,
            changes: vec![change],
            details: Vec::new(),
        })?;
        if id % 1_000 == 0 {
            registry.kit.certified.commit();
        }
    }
    registry.kit.certified.commit();
    drop(registry);
    Ok(())
}
