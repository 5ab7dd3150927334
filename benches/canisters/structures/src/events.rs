//! Whole audit events through the kit: the record, its leaf, the block, the log, the root.

use std::cell::RefCell;

use candid::Principal;
use ic_cdk::update;
use ic_stable_structures::{DefaultMemoryImpl, Memory};
use indus_kit::{
    Change, CollectionId, CollectionSpec, Context, Definition, Event, Kit, Memories,
    subjects::ReadRule,
};

use crate::{Took, key, record, took};

const RECORDS: CollectionId = CollectionId(0);
const STORED: &str = "record.stored";

static DEFINITION: Definition = Definition {
    kind: "structures",
    about: "What is measured.",
    version: "1",
    layout: 1,
    collections: &[CollectionSpec {
        name: "records",
        key_bytes: 8,
        records: 0,
        trie: 1,
        rule: ReadRule::Public,
        owner: |_| None,
    }],
    block_types: &[STORED],
};

thread_local! {
    static KIT: RefCell<Option<Kit<DefaultMemoryImpl>>> = const { RefCell::new(None) };
}

/// Lays out a canister with records 1 to `records` under their ids, each stored by an event of its own.
///
/// # Panics
/// If the memory can't grow.
#[allow(clippy::expect_used, reason = "a benchmark")]
pub fn fill<M: Memory>(memory: M, records: u64) {
    let memories = Memories::create(memory);
    let mut kit = Kit::create(&memories, &DEFINITION).expect("a kit");
    let context = Context {
        caller: Principal::management_canister(),
        time_ns: 1,
    };
    kit.installed(&context, Vec::new()).expect("a first block");
    for id in 1..=records {
        kit.certified.record(event(id, id)).expect("recorded");
        if id % 1_000 == 0 {
            kit.certified.commit();
        }
    }
    kit.certified.commit();
}

/// That record `id` has the contents `n` now.
fn event(id: u64, n: u64) -> Event {
    Event {
        kind: STORED,
        actor: Principal::self_authenticating([7; 44]),
        time_ns: 1_780_000_000_000_000_000,
        changes: vec![Change {
            collection: RECORDS,
            key: id.to_be_bytes().to_vec(),
            record: Some(record(n)),
        }],
        details: Vec::new(),
    }
}

fn record_all(events: Vec<Event>) -> Took {
    KIT.with_borrow_mut(|kit| match kit {
        Some(kit) => took(|| {
            for event in events {
                let _ = kit.certified.record(event);
                ic_cdk::api::certified_data_set(kit.certified.commit());
            }
            0
        }),
        None => ic_cdk::api::trap("open first"),
    })
}

/// Takes over what was loaded into stable memory.
#[update]
fn events_open() {
    let opened = Memories::open(DefaultMemoryImpl::default())
        .map(|memories| Kit::open(&memories, &DEFINITION));
    match opened {
        Ok(Ok(kit)) => KIT.set(Some(kit)),
        _ => ic_cdk::api::trap("no kit"),
    }
}

/// `count` events, each of a new record with the next id.
#[update]
fn events_add(from: u64, to: u64) -> Took {
    record_all((from..to).map(|id| event(id, id)).collect())
}

/// `count` events, each of a record that there is, of `records`, at random.
#[update]
fn events_change(records: u64, count: u64) -> Took {
    let random = |n: u64| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&key(n)[..8]);
        1 + u64::from_be_bytes(bytes) % records
    };
    record_all((0..count).map(|n| event(random(n), n + records)).collect())
}
