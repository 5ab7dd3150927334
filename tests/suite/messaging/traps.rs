//! Each canister that takes part traps, in each of its callbacks and at each of its replies: the call is answered with an error and
//! has changed nothing, in any of them; the same call succeeds afterwards.

use std::collections::BTreeMap;

use candid::Principal;
use end_to_end::{TrapsAt, trapping};
use indus_api::registry::CANISTERS;
use indus_verify::Hash;

use super::{
    Post,
    steps::{STEPS, Scene, is_ok},
};
use crate::traps::to_hour;

/// The certified roots of all collections, of all canisters; but of what the registry looks at every hour.
fn roots(post: &Post) -> Vec<BTreeMap<String, Hash>> {
    let mut roots = post.everyone().map(|canister| post.roots(canister).1);
    roots[0].remove(CANISTERS);
    roots.to_vec()
}

fn every_step_survives(which: fn(&Post) -> Principal, at: TrapsAt) {
    let mut scene = Scene::new(Post::new());
    let canister = which(&scene.post);
    to_hour(&scene.post, false);
    let module = trapping(&scene.post.module(canister), at);
    scene.post.upgrade_to(canister, module);
    scene.post.confirm(canister);

    let mut trapped = 0;
    for step in &STEPS {
        to_hour(&scene.post, false);
        let args = (step.args)(&mut scene);
        let before = roots(&scene.post);
        to_hour(&scene.post, true);
        let mut reply = step.take(&scene, args.clone());
        to_hour(&scene.post, false);
        if !is_ok(&reply) {
            assert_eq!(
                roots(&scene.post),
                before,
                "{} has changed something",
                step.method
            );
            reply = step.take(&scene, args);
            assert!(is_ok(&reply), "{}: {reply:?}", step.method);
            trapped += 1;
        }
        (step.then)(&mut scene, &reply.unwrap());
    }
    // Each asks identity, and identity the registry; one asks the registry alone.
    assert!(trapped >= STEPS.len() - 1);
}

#[test]
fn the_registry_traps_at_its_replies() {
    every_step_survives(|post| post.registry, TrapsAt::Reply);
}

#[test]
fn identity_traps_in_its_callbacks() {
    every_step_survives(|post| post.identity, TrapsAt::CallbackStart);
}

#[test]
fn identity_traps_at_its_replies() {
    every_step_survives(|post| post.identity, TrapsAt::Reply);
}

#[test]
fn messaging_traps_in_its_callbacks() {
    every_step_survives(|post| post.canister, TrapsAt::CallbackStart);
}

#[test]
fn messaging_traps_at_its_replies() {
    every_step_survives(|post| post.canister, TrapsAt::Reply);
}
