//! The life of a canister: installed, upgraded, in maintenance, confirmed.

use std::time::Duration;

use candid::{Encode, Principal};
use indus_api::{Error, service::ServiceInfo};
use sample::interface::{Ending, Note, Stamp, Wait};

use crate::desks::{CONTROLLER, Desks, note, person};

#[test]
fn after_an_upgrade_only_controllers_are_answered_until_one_confirms_it() {
    let desks = Desks::new();
    let args = note("mine", Wait::Suite);
    let first = desks.write(person(1), "post_note", &args).unwrap().unwrap();
    desks.upgrade(false).unwrap();

    let unavailable = |answer: Result<Note, Error>| {
        assert!(
            matches!(answer, Err(Error::Unavailable { .. })),
            "{answer:?}"
        );
    };
    unavailable(desks.write(person(1), "post_note", &args).unwrap());
    unavailable(desks.write(person(1), "file_note", &args).unwrap());
    let id = Encode!(&first.id).unwrap();
    unavailable(
        desks
            .query(desks.desk, person(1), "get_note", id.clone())
            .unwrap(),
    );
    for method in ["log_head", "certified_list", "certified_read"] {
        let argument = match method {
            "log_head" => Encode!().unwrap(),
            "certified_list" => Encode!(&indus_api::certified::CertifiedListArgs {
                collection: "notes".into(),
                after: None,
                limit: 1
            })
            .unwrap(),
            _ => Encode!(&vec![vec![serde_bytes::ByteBuf::from("log")]]).unwrap(),
        };
        let answer: Result<indus_api::CertifiedRead, Error> = desks
            .query(desks.desk, person(1), method, argument)
            .unwrap();
        assert!(matches!(answer, Err(Error::Unavailable { .. })), "{method}");
    }
    // What is in maintenance says so, to everybody.
    let info: ServiceInfo = desks
        .query(desks.desk, person(1), "service_info", Encode!().unwrap())
        .unwrap();
    assert!(info.maintenance);
    let note: Result<Note, Error> = desks
        .query(desks.desk, CONTROLLER, "get_note", id.clone())
        .unwrap();
    assert_eq!(note.unwrap().id, first.id);

    for stranger in [person(1), Principal::anonymous(), desks.peer] {
        let refused = desks.confirm(stranger);
        assert!(
            matches!(refused, Err(Error::Unauthorized { .. })),
            "{refused:?}"
        );
    }
    assert!(desks.service_info(desks.desk).maintenance);
    desks.confirm(CONTROLLER).unwrap();
    desks.confirm(CONTROLLER).unwrap();
    assert_eq!(
        desks.write(person(1), "post_note", &args).unwrap(),
        Ok(first),
        "the first success again"
    );
    let blocks = desks.block_types(desks.desk);
    let life: Vec<_> = blocks
        .iter()
        .filter(|block| block.starts_with("canister."))
        .collect();
    assert_eq!(
        life,
        [
            "canister.installed",
            "canister.upgraded",
            "canister.confirmed"
        ]
    );
}

#[test]
fn a_first_installation_is_not_in_maintenance() {
    let desks = Desks::new();
    assert!(!desks.service_info(desks.desk).maintenance);
}

#[test]
fn no_timer_works_during_maintenance_and_all_do_afterwards() {
    let desks = Desks::new();
    desks.peer_ends(Ending::Trap);
    let args = note("mine", Wait::Suite);
    desks.write(person(1), "post_note", &args).unwrap().unwrap();
    desks.peer_ends(Ending::Reply);
    desks.upgrade(false).unwrap();
    for _ in 0..3 {
        desks.pass(Duration::from_secs(70));
    }
    let work = desks.work();
    assert_eq!((work.pending, work.last_runs), (1, vec![]));
    desks.confirm(CONTROLLER).unwrap();
    desks.pass(Duration::from_secs(70));
    let work = desks.work();
    assert_eq!((work.pending, work.last_runs.len()), (0, 4));
    assert_eq!(desks.notes()[0].stamp, Stamp::Given(1));
}

#[test]
fn an_upgrade_that_traps_has_not_been() {
    let desks = Desks::new();
    let args = note("mine", Wait::Suite);
    let first = desks.write(person(1), "post_note", &args).unwrap();
    desks.upgrade(true).unwrap_err();
    assert!(!desks.service_info(desks.desk).maintenance);
    assert_eq!(desks.write(person(1), "post_note", &args).unwrap(), first);
    desks.pass(Duration::from_secs(70));
    assert_eq!(desks.work().last_runs.len(), 4);
}

#[test]
fn a_module_of_another_kind_is_refused_and_nothing_is_lost() {
    let desks = Desks::new();
    let args = note("mine", Wait::Suite);
    let first = desks.write(person(1), "post_note", &args).unwrap();
    let registry = end_to_end::registry_module();
    let refused = desks
        .pic
        .upgrade_canister(desks.desk, registry, vec![], Some(CONTROLLER))
        .unwrap_err();
    assert!(refused.reject_message.contains("sample"), "{refused}");
    assert_eq!(desks.write(person(1), "post_note", &args).unwrap(), first);
}

#[test]
fn upgrades_one_after_the_other_lose_nothing() {
    let desks = Desks::new();
    for number in 1..=5_u8 {
        let args = note(&format!("note {number}"), Wait::Suite);
        desks.write(person(1), "post_note", &args).unwrap().unwrap();
        desks.stop(desks.desk);
        desks.upgrade(false).unwrap();
        desks.upgrade(false).unwrap();
        desks.start(desks.desk);
        desks.confirm(CONTROLLER).unwrap();
        assert_eq!(desks.notes().len(), usize::from(number));
    }
    let notes = desks.notes();
    assert!(
        notes
            .iter()
            .all(|note| matches!(note.stamp, Stamp::Given(_)))
    );
}
