//! app_hosting is upgraded, or has no cycles, between any two steps of an upgrade that it carries out on another subnet, where each takes some
//! rounds.

use std::{collections::BTreeSet, time::Duration};

use candid::{Encode, Principal};
use end_to_end::{app_hosting_module, identity_module};
use indus_api::{
    Error,
    hosting::{Ended, Failure, Release},
    service::ServiceInfo,
};

use crate::{
    decisions::recorded,
    hosting::Host,
    releases::{BAD, ended, hash, labelled, live},
    suite::{CONTROLLER, governor},
};

/// Where identity is seen to be while it is upgraded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Seen {
    Running,
    Stopped,
    /// The new module runs, and waits to be told to go on.
    Maintenance,
    /// A module runs that answers nothing.
    Mute,
}

impl Host {
    /// Looks without letting the subnet go on.
    fn seen(&self) -> Seen {
        let (anybody, args) = (Principal::anonymous(), Encode!().unwrap());
        let answer = self
            .pic
            .query_call(self.identity, anybody, "service_info", args);
        match answer {
            Ok(info) => {
                let info: ServiceInfo = candid::decode_one(&info).unwrap();
                if info.maintenance {
                    Seen::Maintenance
                } else {
                    Seen::Running
                }
            }
            Err(refused) if refused.reject_message.contains("has no query method") => Seen::Mute,
            Err(_) => Seen::Stopped,
        }
    }
}

/// Has something happen to app_hosting after 0, `every`, 2 × `every` … rounds of an upgrade of identity, until one ends before that. Where
/// identity was seen.
fn interrupted(bad: bool, every: u32, happens: impl Fn(&Host)) -> BTreeSet<Seen> {
    let host = Host::far();
    host.orchestrates();
    let (mut running, mut seen) = (identity_module(), BTreeSet::new());
    for label in 0.. {
        let next = if bad {
            // The inventory declares what was put back before.
            recorded(&host);
            wat::parse_str(BAD).unwrap()
        } else {
            labelled(&identity_module(), 1 + label % 2)
        };
        let (before, rounds) = (host.roots(host.identity), every * u32::from(label));
        let proposal = host.ordered(host.identity, &running, &next);
        let release = host.carry_out(governor(1), proposal).unwrap();
        for _ in 0..rounds {
            host.pic.tick();
        }
        let under_way = host.is_running(release.id);
        if under_way {
            seen.insert(host.seen());
            happens(&host);
        }
        let release = host.settled(release.id);
        if bad {
            assert_eq!(ended(&release), Ended::Restored(Failure::Unhealthy));
            assert_eq!(host.roots(host.identity), before, "{rounds}");
        } else {
            assert!(live(&release), "{rounds}: {release:?}");
            running = next;
        }
        let status = host.pic.canister_status(host.identity, Some(CONTROLLER));
        let runs = status.unwrap().module_hash.unwrap();
        assert_eq!(runs, hash(&running).into_vec(), "{rounds}");
        assert_eq!(host.seen(), Seen::Running, "{rounds}");
        if !under_way {
            // Each step takes two rounds at least.
            assert!(rounds > 20, "{rounds}");
            break;
        }
    }
    // Whom app_hosting asks answers it.
    host.create_app("ayesha", "kisan").unwrap();
    seen
}

fn upgraded(host: &Host) {
    host.upgrade_hosting(app_hosting_module());
}

fn frozen(host: &Host) {
    host.frozen(host.canister, CONTROLLER, true);
    for _ in 0..20 {
        host.pic.tick();
    }
    host.pass(Duration::from_secs(90));
    host.frozen(host.canister, CONTROLLER, false);
    // Whoever calls next wakes its timers, which the subnet has forgotten meanwhile.
    let waked: Result<Release, Error> = host
        .hosting("ayesha", "withdraw_release", (9_999_u64,))
        .unwrap();
    waked.unwrap_err();
}

#[test]
fn app_hosting_is_upgraded_between_any_two_steps_of_an_upgrade() {
    let everywhere = [Seen::Running, Seen::Stopped, Seen::Maintenance];
    assert_eq!(interrupted(false, 3, upgraded), everywhere.into());
}

#[test]
fn app_hosting_is_upgraded_between_any_two_steps_of_an_upgrade_that_is_put_back() {
    let seen = interrupted(true, 3, upgraded);
    let everywhere = [Seen::Running, Seen::Stopped, Seen::Mute];
    assert!(everywhere.iter().all(|one| seen.contains(one)), "{seen:?}");
}

#[test]
fn app_hosting_without_cycles_goes_on_when_it_has_some() {
    let everywhere = [Seen::Running, Seen::Stopped, Seen::Maintenance];
    assert_eq!(interrupted(false, 7, frozen), everywhere.into());
}
