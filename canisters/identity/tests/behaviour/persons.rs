//! Persons, their methods, and pairing.

use candid::Principal;
use identity::persons;
use indus_api::identity::{CODE_ALPHABET, CODE_CHARACTERS, MAX_METHODS, PERSON_CLASS};

use crate::setting::{Refusal, Setting, key, refusal};

/// Pairs one key more.
fn pair(s: &mut Setting, with: u8, new: u8) {
    let person = s.register(key(with)).unwrap().id;
    let code = s.open_pairing(key(with)).unwrap().code;
    s.offer(key(new), person, &code).unwrap();
    s.confirm(key(with), key(new)).unwrap();
}

fn methods(s: &Setting, n: u8) -> Vec<Principal> {
    let view = persons::view(&s.state, &s.at(key(n))).unwrap();
    let mut methods: Vec<_> = view
        .methods
        .iter()
        .map(|one| one.method.key.principal)
        .collect();
    methods.sort_unstable();
    methods
}

#[test]
fn registering_again_answers_the_same_person() {
    let mut s = Setting::new();
    let first = s.register(key(1)).unwrap();
    let other = s.register(key(2)).unwrap();
    let blocks = s.state.kit.certified.log_len();
    assert_eq!(s.register(key(1)), Ok(first.clone()));
    assert_eq!(s.state.kit.certified.log_len(), blocks);
    assert_ne!(first.id, other.id);
    assert_eq!(first.id.as_slice().len(), 29);
    assert_eq!(first.id.as_slice().last(), Some(&PERSON_CLASS));
    assert_ne!(first.salt, other.salt);
}

#[test]
fn nobody_registers_before_there_is_a_seed() {
    let mut s = Setting::new();
    let memory = crate::sparse::SparseMemory::default();
    let context = s.at(key(9));
    let init = crate::setting::init();
    s.state =
        identity::State::create(memory.clone(), &context, crate::setting::own(), init).unwrap();
    s.state.kit.certified.commit();
    s.memory = memory;
    let args = indus_api::identity::RegisterArgs {
        kind: indus_api::identity::MethodKind::Other,
        alias_commitment: None,
    };
    let context = s.at(key(1));
    let refused = persons::register(&mut s.state, &context, args);
    assert_eq!(refusal(refused), Refusal::Unavailable);
    s.state.randomness.seed([1; 32]);
    let first = s.register(key(1)).unwrap();
    // a second seed changes nothing
    s.state.randomness.seed([2; 32]);
    assert_eq!(s.register(key(1)), Ok(first));
}

#[test]
fn a_new_device_is_added_when_both_sides_have_agreed() {
    let mut s = Setting::new();
    let person = s.person(1);
    let pairing = s.open_pairing(key(1)).unwrap();
    assert_eq!(pairing.code.len(), CODE_CHARACTERS);
    assert!(
        pairing
            .code
            .bytes()
            .all(|byte| CODE_ALPHABET.contains(&byte))
    );
    // nothing was offered
    assert_eq!(refusal(s.confirm(key(1), key(2))), Refusal::NotFound);
    s.offer(key(2), person, &pairing.code).unwrap();
    s.offer(key(2), person, &pairing.code).unwrap();
    // another one that knows the code as well comes too late
    assert_eq!(
        refusal(s.offer(key(3), person, &pairing.code)),
        Refusal::Conflict
    );
    let view = persons::view(&s.state, &s.at(key(1))).unwrap();
    assert_eq!(view.pairing.unwrap().offer.unwrap().principal, key(2));
    // the person confirms what the device shows, and nothing else
    assert_eq!(refusal(s.confirm(key(1), key(3))), Refusal::NotFound);
    assert_eq!(methods(&s, 1), [key(1)]);
    let method = s.confirm(key(1), key(2)).unwrap();
    assert_eq!(s.confirm(key(1), key(2)), Ok(method));
    assert_eq!(methods(&s, 2), [key(1), key(2)]);
    assert_eq!(
        persons::view(&s.state, &s.at(key(2))).unwrap().pairing,
        None
    );
}

#[test]
fn three_wrong_codes_end_a_pairing() {
    let mut s = Setting::new();
    let person = s.person(1);
    let code = s.open_pairing(key(1)).unwrap().code;
    let wrong = if code == "AAAAAAAA" {
        "BBBBBBBB"
    } else {
        "AAAAAAAA"
    };
    for _ in 0..2 {
        assert_eq!(
            refusal(s.offer(key(2), person, wrong)),
            Refusal::Unauthorized
        );
    }
    s.offer(key(2), person, &code).unwrap();
    assert_eq!(
        refusal(s.offer(key(2), person, wrong)),
        Refusal::Unauthorized
    );
    assert_eq!(refusal(s.offer(key(2), person, &code)), Refusal::NotFound);
    assert_eq!(refusal(s.confirm(key(1), key(2))), Refusal::NotFound);
    // and opening again gives another code
    assert_ne!(s.open_pairing(key(1)).unwrap().code, code);
}

#[test]
fn a_key_is_one_persons_method() {
    let mut s = Setting::new();
    let person = s.person(1);
    s.person(2);
    let code = s.open_pairing(key(1)).unwrap().code;
    assert_eq!(
        refusal(s.offer(key(2), person, &code)),
        Refusal::AlreadyExists
    );
    // one that registers after it was offered
    s.offer(key(3), person, &code).unwrap();
    s.person(3);
    assert_eq!(refusal(s.confirm(key(1), key(3))), Refusal::AlreadyExists);
}

#[test]
fn a_person_has_one_to_ten_methods() {
    let mut s = Setting::new();
    s.person(1);
    assert_eq!(refusal(s.remove(key(1), key(1))), Refusal::Conflict);
    for n in 2..=u8::try_from(MAX_METHODS).unwrap() {
        pair(&mut s, 1, n);
    }
    assert_eq!(methods(&s, 1).len(), MAX_METHODS);
    assert_eq!(refusal(s.open_pairing(key(1))), Refusal::Limit);
    for n in 2..=u8::try_from(MAX_METHODS).unwrap() {
        s.remove(key(1), key(n)).unwrap();
    }
    assert_eq!(methods(&s, 1), [key(1)]);
    // whoever was removed may register anew
    let first = s.register(key(1)).unwrap().id;
    assert_ne!(s.register(key(2)).unwrap().id, first);
    assert_eq!(refusal(s.remove(key(1), key(2))), Refusal::NotFound);
}

#[test]
fn a_method_may_remove_itself_when_another_is_left() {
    let mut s = Setting::new();
    s.person(1);
    pair(&mut s, 1, 2);
    s.remove(key(1), key(1)).unwrap();
    assert_eq!(refusal(s.open_pairing(key(1))), Refusal::Unauthorized);
    assert_eq!(methods(&s, 2), [key(2)]);
}

#[test]
fn a_caller_registers_no_faster_than_their_bucket_fills_and_all_together_no_faster_than_theirs() {
    let mut s = Setting::new();
    let mut registered = 0;
    while registered < 10_000 {
        let mut bytes = [0; 29];
        bytes[..8].copy_from_slice(&u64::to_be_bytes(registered + 1));
        bytes[28] = 2;
        match s.register(Principal::from_slice(&bytes)) {
            Ok(_) => registered += 1,
            Err(refused) => {
                assert_eq!(refusal::<()>(Err(refused)), Refusal::RateLimited);
                break;
            }
        }
    }
    assert_eq!(registered, 3_000);
    s.wait(crate::setting::SECOND / 10);
    assert!(s.register(key(1)).is_ok());
}

#[test]
fn an_upgrade_ends_pairings_and_nothing_else() {
    let mut s = Setting::new();
    let person = s.person(1);
    let code = s.open_pairing(key(1)).unwrap().code;
    s.reopen();
    assert_eq!(refusal(s.offer(key(2), person, &code)), Refusal::NotFound);
    pair(&mut s, 1, 2);
    s.reopen();
    assert_eq!(methods(&s, 2), [key(1), key(2)]);
    assert_eq!(s.register(key(2)).unwrap().id, person);
}
