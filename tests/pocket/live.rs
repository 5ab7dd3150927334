//! Live instances: the wall clock, agents, timers without ticks, and the client that waits for nothing.

use std::time::{Duration, SystemTime};

use candid::Principal;
use end_to_end::{pocket_ic, wait_until};
use ic_agent::{Agent, identity::BasicIdentity};
use pocket_ic::{PocketIc, Time};

use crate::canisters::{counter, counter_module, get, update};

fn network() -> PocketIc {
    pocket_ic()
        .with_nns_subnet()
        .with_application_subnet()
        .build()
}

fn agent(url: &str) -> Agent {
    Agent::builder()
        .with_url(url)
        .with_identity(BasicIdentity::from_raw_key(&[1; 32]))
        .with_verify_query_signatures(true)
        .build()
        .unwrap()
}

#[test]
fn an_agent_verifies_what_a_live_instance_says() {
    let mut pic = network();
    let canister = counter(&pic);
    let url = pic.make_live(None);
    assert_eq!(pic.url(), Some(url.clone()));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let agent = agent(url.as_str());
        agent.fetch_root_key().await.unwrap();
        for count in 1..=3_u32 {
            let reply = agent
                .update(&canister, "inc")
                .call_and_wait()
                .await
                .unwrap();
            assert_eq!(reply, count.to_le_bytes());
            let reply = agent.query(&canister, "get").call().await.unwrap();
            assert_eq!(reply, count.to_le_bytes());
        }
        let hash = agent.read_state_canister_module_hash(canister).await;
        assert_eq!(hash.unwrap().len(), 32);
    });
    assert_eq!(pic.root_key().unwrap().len(), 133);
    assert_eq!(get(&pic, canister, "get"), 3);
    pic.stop_live();
    assert!(!pic.auto_progress_enabled());
    assert_eq!(pic.url(), None);
}

#[test]
fn an_agent_verifies_what_an_instance_without_a_gateway_says() {
    let pic = network();
    let canister = counter(&pic);
    let root_key = pic.root_key().unwrap();
    let url = pic.auto_progress();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let agent = agent(url.as_str());
        agent.set_root_key(root_key);
        let reply = agent
            .update(&canister, "inc")
            .call_and_wait()
            .await
            .unwrap();
        assert_eq!(reply, 1_u32.to_le_bytes());
    });
}

#[test]
fn a_live_instance_follows_the_wall_clock_and_makes_progress_by_itself() {
    let pic = network();
    let canister = counter(&pic);
    let before = Time::from(SystemTime::now());
    assert!(!pic.auto_progress_enabled());
    pic.auto_progress();
    assert!(pic.auto_progress_enabled());
    assert!(pic.get_time() >= before);
    let call = pic.submit_call(canister, Principal::anonymous(), "inc", vec![]);
    let reply = pic.await_call_no_ticks(call.unwrap()).unwrap();
    assert_eq!(reply, 1_u32.to_le_bytes());
    // Calls that are awaited work as well.
    assert_eq!(update(&pic, canister, "inc"), 2_u32.to_le_bytes());

    pic.stop_progress();
    let stopped = pic.get_time();
    assert_eq!(pic.get_time(), stopped);
}

#[test]
#[should_panic(expected = "already been enabled")]
fn progress_is_not_started_twice() {
    let pic = network();
    pic.auto_progress();
    pic.auto_progress();
}

#[test]
fn a_timer_fires_without_a_tick() {
    let pic = pocket_ic()
        .with_nns_subnet()
        .with_application_subnet()
        .with_auto_progress()
        .build();
    assert!(pic.auto_progress_enabled());
    let canister = counter(&pic);
    update(&pic, canister, "arm");
    wait_until("the timer", || get(&pic, canister, "get") == 100);
}

#[test]
fn an_instance_whose_time_is_ahead_stays_ahead_when_it_goes_live() {
    let pic = network();
    let ahead = Time::from(SystemTime::now()) + Duration::from_secs(1_000_000);
    pic.set_time(ahead);
    pic.auto_progress();
    assert!(pic.get_time() >= ahead);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_that_does_not_block_does_the_same() {
    let mut pic = pocket_ic()
        .with_nns_subnet()
        .with_application_subnet()
        .build_async()
        .await;
    let canister = pic.create_canister().await;
    pic.install_canister(canister, counter_module(), vec![], None)
        .await;
    let anonymous = Principal::anonymous();
    let calls = (0..3).map(|_| pic.update_call(canister, anonymous, "inc", vec![]));
    let mut replies: Vec<Vec<u8>> = Vec::new();
    for call in calls {
        replies.push(call.await.unwrap());
    }
    assert_eq!(replies[2], 3_u32.to_le_bytes());
    let got = pic
        .query_call(canister, anonymous, "get", vec![])
        .await
        .unwrap();
    assert_eq!(got, 3_u32.to_le_bytes());
    let url = pic.make_live(None).await;
    let agent = agent(url.as_str());
    agent.fetch_root_key().await.unwrap();
    let reply = agent
        .update(&canister, "inc")
        .call_and_wait()
        .await
        .unwrap();
    assert_eq!(reply, 4_u32.to_le_bytes());
    pic.stop_live().await;
    pic.drop().await;
}
