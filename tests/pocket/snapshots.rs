//! Snapshots on disk: what is downloaded can be uploaded, to another canister too.

use candid::Principal;
use end_to_end::application;

use crate::canisters::{counter, get, update};

#[test]
fn a_snapshot_travels_over_a_folder_to_another_canister() {
    let pic = application();
    let (from, to) = (counter(&pic), counter(&pic));
    for _ in 0..3 {
        update(&pic, from, "inc");
    }
    let anonymous = Principal::anonymous();
    let snapshot = pic.take_canister_snapshot(from, None, None).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("snapshot");
    pic.canister_snapshot_download(from, anonymous, snapshot.id, folder.clone());
    assert!(folder.join("metadata.json").is_file());
    assert_eq!(
        folder.join("stable_memory.bin").metadata().unwrap().len(),
        65_536
    );

    let uploaded = pic.canister_snapshot_upload(to, anonymous, None, folder);
    pic.stop_canister(to, None).unwrap();
    pic.load_canister_snapshot(to, None, uploaded).unwrap();
    pic.start_canister(to, None).unwrap();
    assert_eq!(get(&pic, to, "get"), 3);
    assert_eq!(get(&pic, to, "get_stable"), 3);
}

#[test]
#[should_panic(expected = "is not empty")]
fn a_snapshot_is_not_downloaded_over_something_else() {
    let pic = application();
    let canister = counter(&pic);
    let snapshot = pic.take_canister_snapshot(canister, None, None).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("note"), "mine").unwrap();
    let to = folder.path().to_owned();
    pic.canister_snapshot_download(canister, Principal::anonymous(), snapshot.id, to);
}

#[test]
fn a_download_that_is_refused_leaves_no_folder() {
    let pic = application();
    let canister = counter(&pic);
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("snapshot");
    let request = serde_json::json!({
        "sender": {"principal_id": "BA=="},
        "canister_id": pocket_ic::common::rest::RawCanisterId::from(canister),
        "snapshot_id": "AAAA",
        "snapshot_dir": to,
    });
    let path = format!(
        "instances/{}/update/canister_snapshot_download",
        pic.instance_id()
    );
    let answer = reqwest::blocking::Client::new()
        .post(pic.get_server_url().join(&path).unwrap())
        .json(&request)
        .send()
        .unwrap();
    assert_eq!(answer.status(), 400);
    assert!(!to.exists());
}
