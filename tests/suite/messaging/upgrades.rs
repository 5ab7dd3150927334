//! Messaging and whom it asks are upgraded between any two steps: nothing is lost, and what was certified stays so.

use super::{
    Post,
    steps::{STEPS, Scene},
};

#[test]
fn a_conversation_goes_on_over_upgrades_between_any_two_steps() {
    let mut scene = Scene::new(Post::new());
    for step in &STEPS {
        for canister in [scene.post.identity, scene.post.canister] {
            let (head, roots) = scene.post.roots(canister);
            scene.post.upgrade_to(canister, scene.post.module(canister));
            let (upgraded, certified) = scene.post.roots(canister);
            assert_eq!((upgraded.size, &certified), (head.size + 1, &roots));
            assert!(scene.post.service_info(canister).maintenance);
            scene.post.confirm(canister);
            let (confirmed, certified) = scene.post.roots(canister);
            assert_eq!((confirmed.size, &certified), (head.size + 2, &roots));
        }
        scene.take(step);
    }
}

#[test]
fn a_step_is_repeated_after_an_upgrade_and_has_the_same_answer() {
    let mut scene = Scene::new(Post::new());
    let canister = scene.post.canister;
    for step in &STEPS {
        let args = (step.args)(&mut scene);
        let first = step.take(&scene, args.clone());
        let roots = scene.post.roots(canister).1;
        scene.post.upgrade_to(canister, scene.post.module(canister));
        scene.post.confirm(canister);
        assert_eq!(step.take(&scene, args), first, "{}", step.method);
        assert_eq!(scene.post.roots(canister).1, roots, "{}", step.method);
        (step.then)(&mut scene, &first.unwrap());
    }
}
