//! Two who install: app_hosting, the lifeline, and what becomes of the work of one when the other is at work.

use candid::Principal;
use end_to_end::{app_hosting_module, lifeline_module, registry_module};
use indus_api::{
    hosting::{Ended, Failure},
    lifeline::ModuleOf,
    registry::{Action, CanisterProfile, DataClass},
};

use crate::{
    decisions::recorded,
    hosting::Host,
    lifeline::Line,
    releases::{ended, good, hash, labelled, live, thorough},
    suite::{CONTROLLER, governor},
};

/// Has app_hosting control a canister too.
fn controlled(line: &Line, canister: Principal, others: &[Principal]) {
    let all = [&[CONTROLLER, line.canister], others].concat();
    line.pic
        .set_controllers(canister, Some(CONTROLLER), all)
        .unwrap();
}

#[test]
fn the_lifeline_upgrades_app_hosting_between_any_two_steps_of_a_release() {
    let line = Line::new();
    let canister = line.create("ayesha").unwrap().canister_id;
    assert!(live(&line.released("ayesha", &good(1), canister)));
    let mut running = app_hosting_module();
    for rounds in 0.. {
        let module = thorough(2 + rounds);
        let release = Host::propose(&line, "ayesha", &module, canister).id;
        for _ in 0..rounds {
            line.pic.tick();
        }
        if !line.is_running(release) {
            assert!(rounds > 3, "{rounds}");
            break;
        }
        let next = labelled(&app_hosting_module(), rounds);
        let proposal = line.ordered(&running, &next);
        line.upload(governor(2), ModuleOf::Decision { proposal }, &next);
        let begun = line.carry_out(governor(1), proposal).unwrap();
        assert_eq!(line.ended(begun.id), Ended::Live);
        let release = line.settled(release);
        assert!(live(&release), "{rounds}: {release:?}");
        assert_eq!(line.counts(canister), (2 + rounds, 0));
        running = next;
    }
}

#[test]
fn what_keepers_install_during_an_upgrade_stays() {
    let mut noticed = 0;
    for rounds in [2, 6, 10, 14] {
        let line = Line::far();
        line.orchestrates();
        controlled(&line, line.registry, &[line.lifeline]);
        let next = labelled(&registry_module(), 1);
        let proposal = Host::ordered(&line, line.registry, &registry_module(), &next);
        let release = Host::carry_out(&line, governor(1), proposal).unwrap();
        for _ in 0..rounds {
            line.pic.tick();
        }
        let was_running = line.is_running(release.id);
        let mended = labelled(&registry_module(), 2);
        let begun = line.install(line.registry, &mended);
        let installed = line.ended(begun.id);
        let release = line.settled(release.id);
        assert!(was_running, "{rounds}");
        // Nothing is put back over what keepers installed, and it runs.
        assert_eq!(installed, Ended::Live, "{rounds}");
        assert!(!live(&release), "{rounds}");
        assert_eq!(line.runs(line.registry), Some(hash(&mended)), "{rounds}");
        assert!(!line.service_info(line.registry).maintenance, "{rounds}");
        noticed += u32::from(ended(&release) == Ended::Broken(Failure::OtherModule));
    }
    assert!(noticed > 1, "{noticed}");
}

#[test]
fn app_hosting_upgrades_the_lifeline_as_it_was_decided() {
    let line = Line::new();
    controlled(&line, line.lifeline, &[]);
    recorded(&line);
    line.decided(Action::RecordCanister(CanisterProfile {
        canister: line.lifeline,
        organisation: line.organisation,
        name: "lifeline".into(),
        module_hash: None,
        data_class: DataClass::Official,
    }));
    let next = labelled(&lifeline_module(), 1);
    let proposal = Host::ordered(&line, line.lifeline, &lifeline_module(), &next);
    let release = Host::carry_out(&line, governor(1), proposal).unwrap();
    assert!(live(&line.settled(release.id)));
    let info = line.service_info(line.lifeline);
    assert!(!info.maintenance);
    // And it does what it is for.
    let begun = line.install(line.canister, &labelled(&app_hosting_module(), 1));
    assert_eq!(line.ended(begun.id), Ended::Live);
}
