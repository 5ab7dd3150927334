//! Audits of whole logs: what a canister did is verified at each block, and what it can't have done is refused.

use crate::audited::{Canister, Change, block_hash, field, listed, verified};
use crate::patricia;
use candid::{Int, Nat};
use ic_certification::{HashTree, empty, fork, labeled, leaf, pruned};
use indus_api::audit::LeafChange;
use indus_api::icrc3::Value;
use indus_verify::{
    Audit, AuditError, BlockFault, Chain, ChangeFault, Collections, LogRoot, Time, VerifyError,
};
use proptest::collection::vec;
use proptest::prelude::*;

const UNTIL_THE_END: u64 = u64::MAX;

/// An audit of all blocks of `canister`.
fn audit(canister: &Canister) -> Audit {
    let mut audit = Audit::default();
    for (index, block) in (0..).zip(&canister.blocks) {
        audit.append(index, block).unwrap();
    }
    audit
}

fn fields(block: &Value) -> Vec<(String, Value)> {
    match block {
        Value::Map(fields) => fields.clone(),
        other => panic!("{other:?} is no block"),
    }
}

#[test]
fn a_log_explains_what_its_canister_certified() {
    let canister = Canister::with_a_past();
    let mut audit = Audit::default();
    let nothing = verified(&Canister::default().head());
    assert_eq!(audit.check(&nothing).unwrap().size, 0);
    for (index, block) in (0..).zip(&canister.blocks) {
        let said = audit.append(index, block).unwrap();
        assert_eq!(said.hash, block_hash(block));
        assert_eq!(
            (said.index, said.block_type.as_str()),
            (index, "seat.granted")
        );
    }
    let witness = verified(&canister.head());
    let head = audit.check(&witness).unwrap();
    assert_eq!(head, witness.log_head().unwrap());
    assert_eq!(head.size, audit.size());
    for name in ["grants", "seats"] {
        let certified = witness.subtree_hash(&[b"data", name.as_bytes()]).unwrap();
        assert_eq!(audit.collections().root(name), certified);
    }
    assert!(audit.collections().names().eq(["grants", "seats"]));
}

#[test]
fn pages_of_a_log_are_taken_up_to_the_head_that_is_audited() {
    let mut canister = Canister::with_a_past();
    let witness = verified(&canister.head());
    let size = witness.log_head().unwrap().size;
    // The log grows while it is read.
    canister.act(&[("seats", vec![0, 99], Some(vec![1]))]);
    let mut audit = Audit::default();
    while audit.size() < size {
        let start = usize::try_from(audit.size()).unwrap();
        let blocks = audit.page(&canister.get_blocks(start, 4), size).unwrap();
        assert!(!blocks.is_empty());
    }
    audit.check(&witness).unwrap();
    assert_eq!(audit.page(&canister.get_blocks(0, 1), size), Ok(vec![]));
    assert_eq!(
        audit.page(&canister.get_blocks(50, 4), size + 1),
        Err(AuditError::Missing { index: size })
    );
    assert!(matches!(
        audit.page(b"DIDL", size),
        Err(AuditError::Page { .. })
    ));
}

#[test]
fn an_audit_goes_on_from_where_an_earlier_one_ended() {
    let canister = Canister::with_a_past();
    let witness = verified(&canister.head());
    for kept in 0..=canister.blocks.len() {
        let mut earlier = Audit::default();
        for (index, block) in (0..).zip(&canister.blocks[..kept]) {
            earlier.append(index, block).unwrap();
        }
        let chain = earlier.chain();
        let log = LogRoot::from_peaks(chain.log().size(), chain.log().peaks().to_vec()).unwrap();
        let chain = Chain::resume(
            log,
            chain.last_hash().unwrap_or_default(),
            chain.last_time().unwrap_or_default(),
        );
        let mut audit = Audit::resume(chain, earlier.collections().clone());
        for (index, block) in (0..).zip(&canister.blocks).skip(kept) {
            audit.append(index, block).unwrap();
        }
        audit.check(&witness).unwrap();
    }
}

#[test]
fn collections_that_were_read_page_by_page_can_begin_an_audit() {
    let mut canister = Canister::with_a_past();
    let audit = audit(&canister);
    let mut exported = Collections::default();
    for (name, contents) in &canister.collections {
        for (key, contents) in contents {
            let change = (name.as_str(), key.clone(), Some(contents.clone()));
            exported.apply(&listed(&[change])).unwrap();
        }
    }
    let mut audit = Audit::resume(audit.chain().clone(), exported);
    canister.act(&[("seats", vec![0, 20], None)]);
    let index = audit.size();
    audit
        .append(index, canister.blocks.last().unwrap())
        .unwrap();
    audit.check(&verified(&canister.head())).unwrap();
}

#[test]
fn a_block_that_is_no_next_block_of_an_audit_log_is_refused_and_changes_nothing() {
    let canister = Canister::with_a_past();
    let mut audit = audit(&canister);
    let index = audit.size();
    let good = fields(&canister.block(vec![]));
    let with = |name: &str, value: Value| {
        let mut fields = good.clone();
        fields.iter_mut().find(|field| field.0 == name).unwrap().1 = value;
        Value::Map(fields)
    };
    let without = |name: &str| {
        Value::Map(
            good.iter()
                .filter(|field| field.0 != name)
                .cloned()
                .collect(),
        )
    };
    let extended =
        |name: &str, value: Value| Value::Map([&good[..], &[field(name, value)]].concat());
    let blob = |bytes: &[u8]| Value::Blob(bytes.to_vec().into());
    let (now, ts) = (canister.time, |time: u64| Value::Nat(Nat::from(time)));
    let twice = [&good[..2], &good[1..3]].concat();
    let earlier = BlockFault::Time {
        time: Time::from_nanos(now - 1),
        before: Time::from_nanos(now),
    };
    for (block, fault) in [
        (with("phash", blob(&[0; 32])), BlockFault::Parent),
        (with("phash", blob(&[])), BlockFault::Parent),
        (
            with("phash", Value::Text(String::new())),
            BlockFault::Fields,
        ),
        (without("phash"), BlockFault::Fields),
        (without("btype"), BlockFault::Fields),
        (without("ts"), BlockFault::Fields),
        (without("tx"), BlockFault::Fields),
        (extended("op", Value::Array(vec![])), BlockFault::Fields),
        (extended("ts", ts(now)), BlockFault::Fields),
        (Value::Map(twice), BlockFault::Fields),
        (Value::Array(vec![]), BlockFault::Fields),
        (with("btype", blob(b"seat")), BlockFault::Fields),
        (with("ts", Value::Int(Int::from(now))), BlockFault::Fields),
        (
            with("ts", Value::Nat(Nat::from(u64::MAX) + 1_u8)),
            BlockFault::Fields,
        ),
        (with("ts", ts(now - 1)), earlier),
        (with("tx", Value::Map(vec![])), BlockFault::Fields),
    ] {
        let refused = audit.append(index, &block).unwrap_err();
        assert_eq!(refused, AuditError::Block { index, fault }, "{block:?}");
    }
    for event in [&b""[..], b"DIDL", &candid::encode_one("event").unwrap()] {
        let refused = audit.append(index, &with("tx", blob(event))).unwrap_err();
        assert!(
            refused
                .to_string()
                .starts_with("block 11: its event can't be read: "),
            "{refused}"
        );
    }
    for other in [0, index - 1, index + 1, u64::MAX] {
        let refused = audit.append(other, &Value::Map(good.clone())).unwrap_err();
        let fault = BlockFault::Index { expected: index };
        assert_eq!(
            refused,
            AuditError::Block {
                index: other,
                fault
            }
        );
    }
    audit.check(&verified(&canister.head())).unwrap();
    audit.append(index, &Value::Map(good.clone())).unwrap();
    // The first block has no parent.
    let fault = BlockFault::Fields;
    let refused = Audit::default().append(0, &Value::Map(good)).unwrap_err();
    assert_eq!(refused, AuditError::Block { index: 0, fault });
}

#[test]
fn impossible_changes_are_refused_and_change_nothing() {
    let canister = Canister::with_a_past();
    let mut audit = audit(&canister);
    let index = audit.size();
    let (some, none) = (|| Some(vec![1]), None::<Vec<u8>>);
    let seat = |number: u8| vec![0, number];
    let mut short = listed(&[("seats", seat(0), some())]);
    short[0].leaf = Some(vec![0; 31].into());
    let key_length = |length, expected| ChangeFault::KeyLength { length, expected };
    let cases: Vec<(Vec<LeafChange>, ChangeFault)> = vec![
        (
            listed(&[("seats", seat(30), none.clone())]),
            ChangeFault::NothingToRemove,
        ),
        (
            listed(&[("none", seat(0), none.clone())]),
            ChangeFault::NothingToRemove,
        ),
        (listed(&[("seats", vec![0], some())]), key_length(1, 2)),
        (
            listed(&[("new", vec![0], some()), ("new", vec![1; 2], some())]),
            key_length(2, 1),
        ),
        (short, ChangeFault::LeafLength { length: 31 }),
        (
            listed(&[("seats", seat(1), some()), ("seats", seat(1), none)]),
            ChangeFault::Order,
        ),
        (
            listed(&[("seats", seat(2), some()), ("seats", seat(1), some())]),
            ChangeFault::Order,
        ),
        (
            listed(&[("seats", seat(2), some()), ("grants", vec![9; 32], some())]),
            ChangeFault::Order,
        ),
    ];
    for (changes, fault) in cases {
        let block = canister.block(changes.clone());
        match audit.append(index, &block) {
            Err(AuditError::Block {
                index: 11,
                fault: BlockFault::Change(change),
            }) => {
                assert_eq!(change.fault, fault, "{changes:?}");
            }
            other => panic!("{other:?}"),
        }
    }
    audit.check(&verified(&canister.head())).unwrap();
    let block = canister.block(listed(&[("seats", seat(30), None)]));
    assert_eq!(
        audit.append(index, &block).unwrap_err().to_string(),
        "block 11: the change of /seats/0x001e: it removes an entry that is not there"
    );
}

#[test]
fn an_emptied_collection_may_be_certified_as_empty_or_left_out() {
    let mut canister = Canister::default();
    canister.act(&[("seats", vec![1], Some(vec![1]))]);
    canister.act(&[("seats", vec![1], None)]);
    let mut audit = audit(&canister);
    assert_eq!(audit.collections().names().count(), 0);
    audit.check(&verified(&canister.head())).unwrap();
    canister.collections.clear();
    audit.check(&verified(&canister.head())).unwrap();
    // Keys keep their length.
    canister.act(&[("seats", vec![1, 2], Some(vec![1]))]);
    assert!(audit.append(2, &canister.blocks[2]).is_err());
}

#[test]
fn a_state_that_the_log_does_not_explain_is_refused() {
    let honest = Canister::with_a_past();
    let mut audit = audit(&honest);
    let differs = |name: &str| AuditError::Collection {
        name: String::from(name),
    };
    let mut changed = honest.clone();
    changed
        .collections
        .get_mut("seats")
        .unwrap()
        .insert(vec![0, 10], vec![]);
    let mut added = honest.clone();
    added
        .collections
        .get_mut("grants")
        .unwrap()
        .insert(vec![1; 32], vec![]);
    let mut unnamed = honest.clone();
    unnamed
        .collections
        .insert(String::from("secrets"), [(vec![1], vec![2])].into());
    let mut left_out = honest.clone();
    left_out.collections.remove("grants");
    for (canister, name) in [
        (changed, "seats"),
        (added, "grants"),
        (unnamed, "secrets"),
        (left_out, "grants"),
    ] {
        assert_eq!(audit.check(&verified(&canister.head())), Err(differs(name)));
    }
    // A name that isn't text can't be in a log.
    let odd = |below| {
        let tree = honest.tree_with(|_, whole| whole);
        let data = labeled("data", labeled([0xff], below));
        replaced(&tree, data)
    };
    assert_eq!(
        audit.check(&verified(&odd(leaf("x")))),
        Err(differs("0xff"))
    );
    audit.check(&verified(&honest.head())).unwrap();
}

/// The tree of a canister with another subtree of collections.
fn replaced(tree: &HashTree, data: HashTree) -> HashTree {
    let shown = |label: &str| match tree.lookup_path([label.as_bytes()]) {
        ic_certification::LookupResult::Found(contents) => labeled(label, leaf(contents)),
        other => panic!("{label}: {other:?}"),
    };
    ["last_block_hash", "last_block_index", "log"]
        .map(shown)
        .into_iter()
        .fold(data, fork)
}

#[test]
fn another_log_than_the_certified_one_is_refused() {
    let honest = Canister::with_a_past();
    let witness = verified(&honest.head());
    // Fewer blocks, more blocks, other blocks.
    let mut audit = Audit::default();
    for (index, block) in (0..).zip(&honest.blocks[..10]) {
        audit.append(index, block).unwrap();
    }
    assert_eq!(
        audit.check(&witness),
        Err(AuditError::Size {
            certified: 11,
            size: 10
        })
    );
    let mut longer = honest.clone();
    longer.act(&[]);
    assert_eq!(
        self::audit(&longer).check(&witness),
        Err(AuditError::Size {
            certified: 11,
            size: 12
        })
    );
    let mut other = honest.clone();
    other.blocks.pop();
    other.time -= 1;
    let block = other.block(listed(&[("grants", vec![7; 32], None)]));
    other.blocks.push(block);
    assert_eq!(self::audit(&other).check(&witness), Err(AuditError::Log));
    // A tip that isn't the log's.
    let mut audit = self::audit(&honest);
    let tree = honest.head();
    let tip = |label: &str, contents: Vec<u8>| {
        let data = labeled("data", pruned([0; 32]));
        let mut nodes: Vec<HashTree> = vec![data];
        for name in ["last_block_hash", "last_block_index", "log"] {
            let contents = if name == label {
                contents.clone()
            } else {
                match tree.lookup_path([name.as_bytes()]) {
                    ic_certification::LookupResult::Found(contents) => contents.to_vec(),
                    other => panic!("{other:?}"),
                }
            };
            nodes.push(labeled(name, leaf(contents)));
        }
        verified(&nodes.into_iter().reduce(fork).unwrap())
    };
    for (label, contents) in [
        ("last_block_hash", vec![0; 32]),
        ("last_block_hash", vec![]),
        ("last_block_index", vec![11]),
        ("last_block_index", vec![0x8a, 0]),
        ("last_block_index", vec![]),
    ] {
        assert_eq!(
            audit.check(&tip(label, contents)),
            Err(AuditError::LastBlock)
        );
    }
    for head in [vec![], vec![0; 32]] {
        assert_eq!(
            audit.check(&tip("log", head)),
            Err(AuditError::Witness(VerifyError::LogHead))
        );
    }
}

#[test]
fn a_witness_that_hides_what_an_audit_needs_is_refused() {
    let honest = Canister::with_a_past();
    let mut audit = audit(&honest);
    let whole = honest.tree_with(|_, whole| whole);
    let grants = labeled("grants", pruned([0; 32]));
    let seats = labeled("seats", pruned([0; 32]));
    let hidden = |after: Option<&str>| {
        Err(AuditError::Witness(VerifyError::Hidden {
            path: String::from("/data"),
            after: after.map(String::from),
        }))
    };
    let check = |audit: &mut Audit, below| {
        audit.check(&verified(&replaced(&whole, labeled("data", below))))
    };
    assert_eq!(check(&mut audit, pruned([0; 32])), hidden(None));
    assert_eq!(
        check(&mut audit, fork(pruned([0; 32]), seats)),
        hidden(None)
    );
    assert_eq!(
        check(&mut audit, fork(grants, pruned([0; 32]))),
        hidden(Some("grants"))
    );
    assert_eq!(
        check(&mut audit, empty()),
        Err(AuditError::Collection {
            name: String::from("grants")
        })
    );
    let unknown = audit.check(&verified(&replaced(&whole, pruned([0; 32]))));
    assert!(
        matches!(
            unknown,
            Err(AuditError::Witness(VerifyError::Unknown { .. }))
        ),
        "{unknown:?}"
    );
}

/// What a random call does: to which collection, to which key, and whether it sets or removes it.
type Call = Vec<(bool, [u8; 2], Option<u8>)>;

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let byte = || prop_oneof![0_u8..3, 126..130_u8];
    let change = (
        any::<bool>(),
        [byte(), byte()],
        proptest::option::weighted(0.7, any::<u8>()),
    );
    vec(vec(change, 0..5), 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn whatever_a_canister_does_its_log_explains(calls in calls()) {
        let mut canister = Canister::default();
        let mut audit = Audit::default();
        for call in calls {
            let mut changes: Vec<Change<'_>> = Vec::new();
            for (which, key, value) in call {
                let name = if which { "seats" } else { "grants" };
                let there = canister.collections.get(name).is_some_and(|all| all.contains_key(key.as_slice()));
                if value.is_some() || there {
                    changes.push((name, key.to_vec(), value.map(|value| vec![value])));
                }
            }
            changes.sort();
            changes.dedup_by(|later, earlier| (later.0, &later.1) == (earlier.0, &earlier.1));
            canister.act(&changes);
            let index = audit.size();
            audit.append(index, canister.blocks.last().unwrap()).unwrap();
            for (name, contents) in &canister.collections {
                let certified = patricia::whole(&patricia::leaves(contents)).digest();
                prop_assert_eq!(audit.collections().root(name), certified);
            }
            prop_assert_eq!(audit.chain().log().root().to_vec(), canister.log().root().as_bytes().to_vec());
        }
        audit.check(&verified(&canister.head())).unwrap();
    }

    #[test]
    fn a_changed_page_of_blocks_passes_only_if_its_blocks_are_the_same(at: usize, difference in 1_u8..=255) {
        let canister = Canister::with_a_past();
        let mut page = canister.get_blocks(0, 11);
        let at = at % page.len();
        let honest = Audit::default().page(&page, UNTIL_THE_END).unwrap();
        page[at] ^= difference;
        let mut audit = Audit::default();
        if let Ok(blocks) = audit.page(&page, UNTIL_THE_END) && audit.check(&verified(&canister.head())).is_ok() {
            prop_assert_eq!(blocks, honest);
        }
    }
}

#[test]
fn a_page_of_blocks_cut_anywhere_is_refused() {
    let canister = Canister::with_a_past();
    let page = canister.get_blocks(0, 11);
    for length in 0..page.len() {
        let refused = Audit::default().page(&page[..length], UNTIL_THE_END);
        assert!(matches!(refused, Err(AuditError::Page { .. })), "{length}");
    }
}

#[test]
fn a_page_with_another_block_than_audit_logs_have_is_refused() {
    for block in [
        Value::Array(vec![]),
        Value::Map(vec![field("tx", Value::Map(vec![]))]),
        Value::Map(vec![field("tx", Value::Array(vec![]))]),
    ] {
        let mut canister = Canister::default();
        canister.blocks.push(block);
        let refused = Audit::default().page(&canister.get_blocks(0, 1), UNTIL_THE_END);
        assert!(matches!(refused, Err(AuditError::Page { .. })));
    }
}

#[test]
fn a_canister_signs_what_its_log_says_and_nothing_else() {
    use indus_api::signatures::{SIGNATURES, seed_hash};
    let mut canister = Canister::with_a_past();
    let check = |canister: &Canister| audit(canister).check(&verified(&canister.head())).map(drop);
    // Nothing is signed: the label is left out, or there is nothing below it.
    assert_eq!(check(&canister), Ok(()));
    canister.signatures = Some(labeled(seed_hash(), empty()));
    assert_eq!(check(&canister), Ok(()));

    canister.act(&[(SIGNATURES, vec![5; 32], Some(vec![]))]);
    canister.act(&[(SIGNATURES, vec![6; 32], Some(vec![]))]);
    let signed = patricia::whole(&patricia::leaves(&canister.collections[SIGNATURES]));
    let below = |seed: &[u8]| labeled(seed, pruned(signed.digest()));
    canister.signatures = Some(below(&seed_hash()));
    assert_eq!(check(&canister), Ok(()));

    let [one, more] = [vec![5; 32], vec![7; 32]].map(|key| {
        let mut other = canister.clone();
        let signed = other.collections.get_mut(SIGNATURES).unwrap();
        if signed.remove(&key).is_none() {
            signed.insert(key, vec![]);
        }
        labeled(
            seed_hash(),
            patricia::whole(&patricia::leaves(&other.collections[SIGNATURES])),
        )
    });
    let also = fork(below(&[0; 32]), below(&[0xff; 32]));
    for wrong in [
        None,
        Some(labeled(seed_hash(), empty())),
        Some(one),
        Some(more),
        Some(below(&[1; 32])),
        Some(also),
        Some(leaf("")),
    ] {
        canister.signatures = wrong;
        let refused = check(&canister).unwrap_err();
        assert!(
            matches!(
                refused,
                AuditError::Signatures | AuditError::Witness(VerifyError::NotALeaf { .. })
            ),
            "{refused}"
        );
    }
    // What is signed must be shown.
    canister.signatures = Some(pruned([1; 32]));
    assert!(matches!(
        check(&canister),
        Err(AuditError::Witness(
            VerifyError::Unknown { .. } | VerifyError::Hidden { .. }
        ))
    ));
}
