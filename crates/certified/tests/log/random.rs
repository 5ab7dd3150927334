//! Random histories.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::operations::{self, Operation};

fn operation() -> impl Strategy<Value = Operation> {
    let length = prop_oneof![Just(0), 1..200u16, 200..8_000u16];
    prop_oneof![
        8 => (any::<u8>(), length).prop_map(|(seed, length)| Operation::Append { seed, length }),
        3 => any::<u16>().prop_map(|index| Operation::Prune { index }),
        1 => any::<u16>().prop_map(|index| Operation::Payload { index }),
        1 => Just(Operation::Reopen),
        1 => any::<u16>().prop_map(|size| Operation::RootAt { size }),
        2 => any::<(u16, u16)>().prop_map(|(index, size)| Operation::Inclusion { index, size }),
        2 => any::<(u16, u16)>().prop_map(|(from, to)| Operation::Consistency { from, to }),
        1 => (0..3u8, 0..3u8).prop_map(|(level, index)| Operation::Tile { level, index }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_log_answers_as_its_model_does(operations in vec(operation(), 0..300)) {
        operations::apply(&operations);
    }

    #[test]
    fn any_bytes_are_a_history_that_the_log_survives(bytes in vec(any::<u8>(), 0..1_500)) {
        operations::run(&bytes);
    }
}
