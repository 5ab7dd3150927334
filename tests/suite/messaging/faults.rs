//! A canister that messaging asks does not answer: messaging refuses, changes nothing, and works again afterwards.

use std::time::Duration;

use candid::{Principal, Reserved};
use indus_api::Error;

use super::{
    Post, decoded,
    steps::{STEPS, Scene, is_ok},
};
use crate::{faults::submit_stop, suite::Suite};

/// What is done to a canister.
type Done = fn(&Suite, Principal);

/// Whose name the error has, for each step whose question is not answered.
type Blamed = fn(&str) -> Option<&'static str>;

fn every_step_waits(which: fn(&Post) -> Principal, blamed: Blamed) {
    let mut scene = Scene::new(Post::new());
    let canister = which(&scene.post);
    let stopped: (Done, Done) = (Suite::stop, Suite::start);
    let in_maintenance = (Suite::upgrade as fn(&Suite, Principal), Suite::confirm as _);
    for (step, (begins, ends)) in STEPS.iter().zip([stopped, in_maintenance].iter().cycle()) {
        let args = (step.args)(&mut scene);
        // Whatever was known is over.
        scene.post.pass(Duration::from_secs(60));
        begins(&scene.post, canister);
        let before = scene.post.roots(scene.post.canister);
        let mut reply = step.take(&scene, args.clone());
        if let Some(blamed) = blamed(step.method) {
            match decoded::<Reserved>(reply) {
                Err(Error::Unavailable { canister, .. }) => assert_eq!(canister, blamed),
                other => panic!("{}: {other:?}", step.method),
            }
            assert_eq!(scene.post.roots(scene.post.canister), before);
            ends(&scene.post, canister);
            reply = step.take(&scene, args);
        } else {
            ends(&scene.post, canister);
        }
        assert!(is_ok(&reply), "{}: {reply:?}", step.method);
        (step.then)(&mut scene, &reply.unwrap());
    }
}

#[test]
fn while_identity_does_not_answer_messaging_refuses() {
    every_step_waits(
        |post| post.identity,
        |method| (method != "apply_decision").then_some("identity"),
    );
}

#[test]
fn while_the_registry_does_not_answer_nobody_is_known_as_an_official() {
    every_step_waits(
        |post| post.registry,
        |method| {
            let decides = method == "apply_decision";
            Some(if decides { "registry" } else { "identity" })
        },
    );
}

/// A canister stops when no call of its own is open: what was begun comes to its end, and can be asked for again.
#[test]
fn what_is_under_way_when_a_canister_stops_comes_to_its_end() {
    let mut scene = Scene::new(Post::far_from_identity());
    for (step, n) in STEPS.iter().zip(0..) {
        let args = (step.args)(&mut scene);
        scene.post.pass(Duration::from_secs(60));
        let stopped = [scene.post.canister, scene.post.identity][n % 2];
        let call = step.begin(&scene, args.clone());
        // The question is on its way, or the answer.
        for _ in 0..n / 2 {
            scene.post.pic.tick();
        }
        let stop = submit_stop(&scene.post, stopped);
        let first = scene.post.pic.await_call(call);
        scene.post.pic.await_call(stop).unwrap();
        scene.post.start(stopped);
        let reply = step.take(&scene, args);
        assert!(is_ok(&reply), "{}: {reply:?}", step.method);
        if is_ok(&first) {
            assert_eq!(first, reply, "{}", step.method);
        }
        (step.then)(&mut scene, &reply.unwrap());
    }
}
