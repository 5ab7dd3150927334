use std::collections::BTreeMap;

use ic_stable_structures::VectorMemory;
use proptest::prelude::*;

use super::*;

const HOUR: u64 = 3_600_000_000_000;
const START: u64 = 500_000 * HOUR;

fn keys() -> Idempotency<VectorMemory> {
    Idempotency::open(
        VectorMemory::default(),
        VectorMemory::default(),
        VectorMemory::default(),
    )
}

fn by(caller: u8, time_ns: u64) -> Context {
    Context {
        caller: Principal::from_slice(&[caller, 1]),
        time_ns,
    }
}

fn began(begin: Result<Begin, Error>) -> Ticket {
    match begin {
        Ok(Begin::New(ticket)) => ticket,
        other => panic!("{other:?}"),
    }
}

fn reply(bytes: &[u8]) -> Success {
    Success::of(bytes.to_vec(), Blob::default())
}

fn in_progress() -> Result<Begin, Error> {
    Err(Error::Conflict {
        reason: "in_progress".into(),
    })
}

/// Index and counts say what the records say.
fn check(keys: &Idempotency<VectorMemory>) {
    let mut index = Vec::new();
    let mut counts = BTreeMap::new();
    for entry in keys.records.iter() {
        let record = Record::decode(&entry.value()).unwrap();
        index.push((record.due(), *entry.key()));
        *counts.entry(entry.key().0).or_insert(0) += 1;
    }
    index.sort();
    assert_eq!(keys.index.keys().collect::<Vec<_>>(), index);
    let counted: BTreeMap<_, _> = keys.counts.iter().map(|entry| entry.into_pair()).collect();
    assert_eq!(counted, counts);
}

#[test]
fn a_success_is_answered_again_for_a_day() {
    let mut keys = keys();
    let ticket = began(keys.begin(&by(1, START), b"k", "apply", b"args"));
    assert_eq!(
        (ticket.caller(), ticket.key()),
        (by(1, 0).caller, &b"k"[..])
    );
    let done_at = START + HOUR;
    keys.succeed(&by(1, done_at), &ticket, reply(b"7")).unwrap();
    for later in [0, HOUR, LIFETIME_NS - 1] {
        assert_eq!(
            keys.begin(&by(1, done_at + later), b"k", "apply", b"args"),
            Ok(Begin::Repeat(Success::Stored(b"7".to_vec())))
        );
    }
    began(keys.begin(&by(1, done_at + LIFETIME_NS), b"k", "apply", b"args"));
    check(&keys);
}

#[test]
fn a_duplicate_in_flight_is_told_so() {
    let mut keys = keys();
    began(keys.begin(&by(1, START), b"k", "apply", b"args"));
    for later in [0, HOUR, 2 * LIFETIME_NS] {
        assert_eq!(
            keys.begin(&by(1, START + later), b"k", "apply", b"args"),
            in_progress()
        );
    }
}

#[test]
fn a_failure_is_not_kept() {
    let mut keys = keys();
    let ticket = began(keys.begin(&by(1, START), b"k", "apply", b"args"));
    keys.fail(&ticket).unwrap();
    assert!(keys.is_empty());
    check(&keys);
    began(keys.begin(&by(1, START), b"k", "apply", b"other args"));
}

#[test]
fn a_key_with_another_call_is_refused_in_flight_and_done() {
    let mut keys = keys();
    let ticket = began(keys.begin(&by(1, START), b"k", "apply", b"args"));
    let refused = Err(invalid(
        "idempotency_key",
        "was used for a call with other arguments",
    ));
    for _ in 0..2 {
        for (method, arguments) in [
            ("apply", &b"other"[..]),
            ("close", b"args"),
            ("appl", b"yargs"),
        ] {
            assert_eq!(keys.begin(&by(1, START), b"k", method, arguments), refused);
        }
        keys.succeed(&by(1, START), &ticket, reply(b"7")).unwrap();
    }
}

#[test]
fn callers_do_not_share_keys_and_anonymous_ones_have_none() {
    let mut keys = keys();
    let first = began(keys.begin(&by(1, START), b"k", "apply", b"args"));
    began(keys.begin(&by(2, START), b"k", "apply", b"other args"));
    keys.fail(&first).unwrap();
    assert_eq!(
        keys.begin(&by(2, START), b"k", "apply", b"other args"),
        in_progress()
    );
    let anonymous = Context {
        caller: Principal::anonymous(),
        time_ns: START,
    };
    assert!(matches!(
        keys.begin(&anonymous, b"k", "apply", b"args"),
        Err(Error::Unauthorized { .. })
    ));
}

#[test]
fn a_key_is_1_to_64_bytes_long() {
    let mut keys = keys();
    let refused = Err(invalid("idempotency_key", "must be 1 to 64 bytes long"));
    assert_eq!(keys.begin(&by(1, START), b"", "apply", b""), refused);
    assert_eq!(keys.begin(&by(1, START), &[1; 65], "apply", b""), refused);
    began(keys.begin(&by(1, START), &[1; 64], "apply", b""));
}

#[test]
fn of_a_long_success_the_digest_and_a_pointer_are_kept() {
    let pointer = Blob::try_from(&b"organisation 7"[..]).unwrap();
    let short = Success::of(vec![1; MAX_REPLY_BYTES], pointer);
    assert_eq!(short, Success::Stored(vec![1; MAX_REPLY_BYTES]));

    let long = vec![1; MAX_REPLY_BYTES + 1];
    let digest = Sha256::digest(&long).into();
    let mut keys = keys();
    let ticket = began(keys.begin(&by(1, START), b"k", "list", b""));
    keys.succeed(&by(1, START), &ticket, Success::of(long, pointer))
        .unwrap();
    assert_eq!(
        keys.begin(&by(1, START), b"k", "list", b""),
        Ok(Begin::Repeat(Success::Elsewhere { digest, pointer }))
    );
}

#[test]
fn nobody_has_more_keys_than_their_share() {
    let mut keys = keys();
    for n in 0..MAX_KEYS_PER_CALLER {
        let ticket = began(keys.begin(&by(1, START), &n.to_be_bytes(), "apply", b""));
        if n == 0 {
            keys.succeed(&by(1, START), &ticket, reply(b"7")).unwrap();
        }
    }
    let refused = Err(limit(1_000, "idempotency keys of one caller in 24 hours"));
    assert_eq!(
        keys.begin(&by(1, START), b"one more", "apply", b""),
        refused
    );
    // a repeated call needs no new key
    assert!(keys.begin(&by(1, START), &[0; 4], "apply", b"").is_ok());
    began(keys.begin(&by(2, START), b"one more", "apply", b""));
    keys.prune(START + LIFETIME_NS, 10).unwrap();
    began(keys.begin(&by(1, START + LIFETIME_NS), b"one more", "apply", b""));
}

#[test]
fn a_full_table_refuses_and_has_room_again_after_a_day() {
    let mut keys = keys();
    keys.max_keys = 3;
    for n in 0..3 {
        let ticket = began(keys.begin(&by(n, START), b"k", "apply", b""));
        keys.succeed(&by(n, START), &ticket, reply(b"7")).unwrap();
    }
    assert_eq!(
        keys.begin(&by(9, START), b"k", "apply", b""),
        Err(limit(3, "idempotency keys"))
    );
    let later = START + LIFETIME_NS;
    assert_eq!(keys.prune(later - 1, 10), Ok(false));
    assert_eq!(keys.len(), 3);
    assert_eq!(keys.prune(later, 2), Ok(true));
    assert_eq!(keys.prune(later, 2), Ok(false));
    assert!(keys.is_empty());
    check(&keys);
    began(keys.begin(&by(9, later), b"k", "apply", b""));
}

#[test]
fn keys_survive_an_upgrade_and_a_lost_end_is_found_and_settled() {
    let memories = [
        VectorMemory::default(),
        VectorMemory::default(),
        VectorMemory::default(),
    ];
    let open = || {
        let [records, index, counts] = memories.clone();
        Idempotency::open(records, index, counts)
    };
    let mut keys = open();
    for n in 0..5 {
        began(keys.begin(&by(n, START + u64::from(n)), b"k", "apply", b"args"));
    }
    drop(keys);

    let mut keys = open();
    assert_eq!(keys.unsettled(START, 10), []);
    let unsettled = keys.unsettled(START + 4, 3);
    let callers: Vec<_> = unsettled.iter().map(Ticket::caller).collect();
    assert_eq!(callers, [0, 1, 2].map(|n| by(n, 0).caller));
    // what has aged a day is in flight still
    assert_eq!(keys.prune(START + 10 * LIFETIME_NS, 10), Ok(false));
    keys.succeed(&by(9, START + HOUR), &unsettled[0], reply(b"7"))
        .unwrap();
    keys.fail(&unsettled[1]).unwrap();
    assert_eq!(
        keys.begin(&by(0, START + HOUR), b"k", "apply", b"args"),
        Ok(Begin::Repeat(reply(b"7")))
    );
    began(keys.begin(&by(1, START + HOUR), b"k", "apply", b"args"));
    assert_eq!(keys.unsettled(START + 4, 3).len(), 2);
    check(&keys);
}

#[test]
fn the_end_of_a_call_that_was_settled_before_changes_nothing() {
    let mut keys = keys();
    let late = began(keys.begin(&by(1, START), b"k", "apply", b"args"));
    keys.fail(&late).unwrap();
    let again = began(keys.begin(&by(1, START + HOUR), b"k", "apply", b"args"));
    keys.fail(&late).unwrap();
    keys.succeed(&by(1, START + HOUR), &late, reply(b"old"))
        .unwrap();
    keys.succeed(&by(1, START + HOUR), &again, reply(b"new"))
        .unwrap();
    keys.fail(&again).unwrap();
    assert_eq!(
        keys.begin(&by(1, START + HOUR), b"k", "apply", b"args"),
        Ok(Begin::Repeat(reply(b"new")))
    );
    check(&keys);
}

#[test]
fn version_1_of_a_record_is_read_for_ever() {
    let call = hex::encode([0xab; 32]);
    let since = "1500000000000000";
    let record = |success| Record {
        since_ns: 0x15,
        call: [0xab; 32],
        success,
    };
    let pointer = Blob::try_from(&b"p"[..]).unwrap();
    let elsewhere = Success::Elsewhere {
        digest: [0xcd; 32],
        pointer,
    };
    for (bytes, record) in [
        (format!("0100{since}{call}"), record(None)),
        (format!("0101{since}{call}3738"), record(Some(reply(b"78")))),
        (
            format!("0102{since}{call}{}70", hex::encode([0xcd; 32])),
            record(Some(elsewhere)),
        ),
    ] {
        let bytes = hex::decode(bytes).unwrap();
        assert_eq!(record.encode(), bytes);
        assert_eq!(Record::decode(&bytes), Ok(record));
    }
}

#[test]
fn a_record_of_another_version_is_an_error_and_no_panic() {
    let mut keys = keys();
    let ticket = began(keys.begin(&by(1, START), b"k", "apply", b"args"));
    let mut bytes = keys.records.get(&ticket.key).unwrap();
    bytes[0] = 2;
    keys.records.insert(ticket.key, bytes);
    let damaged = internal(IDEMPOTENCY_UNREADABLE);
    assert_eq!(
        keys.begin(&by(1, START), b"k", "apply", b"args"),
        Err(damaged.clone())
    );
    assert_eq!(keys.fail(&ticket), Err(damaged));
}

proptest! {
    #[test]
    fn no_bytes_make_decoding_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(record) = Record::decode(&bytes) {
            prop_assert_eq!(record.encode(), bytes);
        }
    }

    /// The model keeps, for each key, when it began or what it answered and when.
    #[test]
    fn every_history_answers_as_the_model_does(
        steps in proptest::collection::vec((0..6_u8, 0..3_u8, 0..3_u8, 0..3_u8, 0..12_u64), 1..120)
    ) {
        let mut keys = keys();
        let mut model: BTreeMap<(u8, u8), (u64, u8, Option<u8>)> = BTreeMap::new();
        let mut tickets: BTreeMap<(u8, u8), Ticket> = BTreeMap::new();
        let mut now = START;
        for (step, (action, caller, key, arguments, hours)) in (0_u8..).zip(steps) {
            now += hours * HOUR;
            let id = (caller, key);
            match action {
                0..=2 => {
                    let answer = keys.begin(&by(caller, now), &[key], "m", &[arguments]);
                    match model.get(&id) {
                        Some((_, first, None)) if *first == arguments => prop_assert_eq!(answer, in_progress()),
                        Some((done, first, Some(value))) if now - done < LIFETIME_NS && *first == arguments => {
                            prop_assert_eq!(answer, Ok(Begin::Repeat(reply(&[*value]))));
                        }
                        Some((done, _, success)) if success.is_none() || now - done < LIFETIME_NS => {
                            let refused = matches!(answer, Err(Error::Invalid { .. }));
                            prop_assert!(refused);
                        }
                        _ => {
                            tickets.insert(id, began(answer));
                            model.insert(id, (now, arguments, None));
                        }
                    }
                }
                3 => if let Some(ticket) = tickets.remove(&id) {
                    keys.succeed(&by(caller, now), &ticket, reply(&[step])).unwrap();
                    model.entry(id).and_modify(|entry| *entry = (now, entry.1, Some(step)));
                },
                4 => if let Some(ticket) = tickets.remove(&id) {
                    keys.fail(&ticket).unwrap();
                    model.remove(&id);
                },
                _ => { keys.prune(now, 2).unwrap(); }
            }
            check(&keys);
        }
        while keys.prune(now, 2).unwrap() {}
        model.retain(|_, (done, _, success)| success.is_none() || now - *done < LIFETIME_NS);
        prop_assert_eq!(keys.len(), model.len() as u64);
    }
}
