//! Each step is called twice at the same time, and both calls wait for the same answer: what comes of it is what comes of one.

use candid::{Reserved, decode_one};
use indus_api::Error;

use crate::{
    steps::{STEPS, prepared},
    suite::{Suite, key},
};

/// How many records each collection has.
fn counts(suite: &Suite) -> Vec<(String, u64)> {
    let infos = suite.canisters().map(|one| suite.service_info(one));
    let collections = infos.into_iter().flat_map(|info| info.collections);
    collections.map(|one| (one.name, one.records)).collect()
}

#[test]
fn two_calls_at_once_do_what_one_does() {
    let (once, twice) = (prepared(), prepared());
    for step in &STEPS {
        once.pass(step.after);
        step.take(&once).unwrap().unwrap();

        twice.pass(step.after);
        let (canister, args) = ((step.canister)(&twice), (step.args)(&twice));
        let calls = [(); 2].map(|()| {
            twice
                .pic
                .submit_call(canister, key(step.caller), step.method, args.clone())
                .unwrap()
        });
        let answers = calls.map(|call| {
            let reply = twice.pic.await_call(call).unwrap();
            decode_one::<Result<Reserved, Error>>(&reply).unwrap()
        });
        assert!(
            answers.iter().any(Result::is_ok),
            "{}: {answers:?}",
            step.method
        );
        assert_eq!(counts(&twice), counts(&once), "{}", step.method);
    }
}
