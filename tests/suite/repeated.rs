//! Each step is called twice at the same time, and both calls wait for the same answer, which comes soon or late: what comes of it
//! is what comes of one.

use std::time::Duration;

use candid::{Reserved, decode_one};
use indus_api::Error;

use crate::{
    steps::{STEPS, prepared, prepared_on},
    suite::{Suite, key},
};

/// How many records each collection has.
fn counts(suite: &Suite) -> Vec<(String, u64)> {
    let infos = suite.canisters().map(|one| suite.service_info(one));
    let collections = infos.into_iter().flat_map(|info| info.collections);
    collections.map(|one| (one.name, one.records)).collect()
}

/// `meanwhile` is done while the calls wait.
fn two_calls_do_what_one_does(twice: &Suite, meanwhile: fn(&Suite)) {
    let once = prepared();
    for step in &STEPS {
        once.pass(step.after);
        step.take(&once).unwrap().unwrap();

        twice.pass(step.after);
        let (canister, args) = ((step.canister)(twice), (step.args)(twice));
        let calls = [(); 2].map(|()| {
            twice
                .pic
                .submit_call(canister, key(step.caller), step.method, args.clone())
                .unwrap()
        });
        meanwhile(twice);
        let answers = calls.map(|call| {
            let reply = twice.pic.await_call(call).unwrap();
            decode_one::<Result<Reserved, Error>>(&reply).unwrap()
        });
        assert!(
            answers.iter().any(Result::is_ok),
            "{}: {answers:?}",
            step.method
        );
        assert_eq!(counts(twice), counts(&once), "{}", step.method);
    }
}

#[test]
fn two_calls_at_once_do_what_one_does() {
    two_calls_do_what_one_does(&prepared(), |_| ());
}

#[test]
fn so_they_do_where_the_registry_is_far_and_answers_late() {
    let suite = prepared_on(Suite::far_from_the_registry());
    two_calls_do_what_one_does(&suite, |suite| {
        suite.pic.tick();
        suite.pic.advance_time(Duration::from_secs(20));
        suite.pic.tick();
    });
}
