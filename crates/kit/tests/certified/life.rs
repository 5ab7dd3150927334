//! Installed, upgraded, confirmed; and what is not opened.

use ic_stable_structures::{Memory, VectorMemory};
use indus_api::Error;
use indus_kit::{Definition, Kit, Memories, OpenError, kit};

use crate::canister::{DEFINITION, Example, context};

/// Types of the blocks, in order.
fn kinds(example: &Example) -> Vec<String> {
    let range = indus_api::icrc3::GetBlocksArgs {
        start: 0_u64.into(),
        length: 100_u64.into(),
    };
    let blocks = example.kit.certified.blocks(&[range]).unwrap().blocks;
    let kind = |block| match block {
        indus_api::icrc3::Value::Map(fields) => match &fields[0] {
            (name, indus_api::icrc3::Value::Text(kind)) if name == "btype" => kind.clone(),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    blocks.into_iter().map(|block| kind(block.block)).collect()
}

#[test]
fn an_upgrade_begins_a_maintenance_that_its_confirmation_ends() {
    let mut example = Example::new();
    assert_eq!(example.kit.check_open(|| false), Ok(()));
    for round in 0..2 {
        example.reopen();
        example.kit.upgraded(&context(10 + round)).unwrap();
        let refused = example.kit.check_open(|| false);
        assert!(
            matches!(refused, Err(Error::Unavailable { canister, .. }) if canister == "example")
        );
        assert_eq!(example.kit.check_open(|| true), Ok(()));
    }
    // It lasts over upgrades, and ends once.
    for _ in 0..2 {
        example.kit.confirm_upgrade(&context(20)).unwrap();
        assert_eq!(example.kit.check_open(|| false), Ok(()));
    }
    example.reopen();
    assert_eq!(example.kit.check_open(|| false), Ok(()));
    let life = [kit::INSTALLED, kit::UPGRADED, kit::UPGRADED, kit::CONFIRMED];
    assert_eq!(kinds(&example), life);
    example.audit();
}

fn refusal(memory: &VectorMemory, definition: &'static Definition) -> OpenError {
    let before = memory.borrow().clone();
    let refused = Memories::open(memory.clone())
        .map_err(OpenError::from)
        .and_then(|memories| Kit::open(&memories, definition));
    assert!(
        *memory.borrow() == before,
        "opening wrote into what it refused"
    );
    refused.err().expect("refused")
}

#[test]
fn another_canister_another_layout_and_damage_are_refused_and_left_alone() {
    static OTHER: Definition = Definition {
        kind: "other",
        collections: &[],
        ..DEFINITION_OF_LAYOUT_4
    };
    static NEWER: Definition = DEFINITION_OF_LAYOUT_4;
    let example = Example::new();
    let another = OpenError::AnotherKind {
        found: "example".into(),
        expected: "other",
    };
    assert_eq!(refusal(&example.memory, &OTHER), another);
    let unknown = OpenError::UnknownLayout { found: 3, known: 4 };
    assert_eq!(refusal(&example.memory, &NEWER), unknown);
    assert!(matches!(
        refusal(&VectorMemory::default(), &DEFINITION),
        OpenError::NotManaged(_)
    ));
    let foreign = VectorMemory::default();
    foreign.grow(1);
    assert!(matches!(
        refusal(&foreign, &DEFINITION),
        OpenError::NotManaged(_)
    ));
    for (memory, what) in [
        (1, "a collection"),
        (2, "a collection"),
        (201, "the audit log"),
        (200, "the header of the installation"),
    ] {
        let example = Example::new();
        let manager =
            ic_stable_structures::memory_manager::MemoryManager::init(example.memory.clone());
        let id = ic_stable_structures::memory_manager::MemoryId::new(memory);
        manager.get(id).write(0, b"\0\0\0\0");
        assert_eq!(
            refusal(&example.memory, &DEFINITION),
            OpenError::Damaged(what)
        );
    }
}

const DEFINITION_OF_LAYOUT_4: Definition = Definition {
    kind: "example",
    about: "",
    version: "2.0.0",
    layout: 4,
    collections: &[],
    block_types: &[],
};
