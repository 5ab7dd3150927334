//! Random operations, and random sets of keys.

use indus_certified::sha256;
use proptest::prelude::*;

use crate::model::{Model, insert, new};
use crate::operations;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_operations_leave_the_map_equal_to_a_plain_one(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        operations::run(&bytes);
    }

    #[test]
    fn the_root_depends_on_the_contents_alone(
        keys in proptest::collection::btree_set(any::<[u8; 8]>(), 1..60),
        removed in proptest::collection::btree_set(any::<[u8; 8]>(), 0..40),
        order in any::<u64>(),
    ) {
        let mut model = Model::new();
        let (_, mut ascending) = new(8);
        for key in &keys {
            insert(&mut ascending, &mut model, key, key);
        }
        let (_, mut other) = new(8);
        let mut shuffled: Vec<_> = keys.iter().chain(&removed).collect();
        shuffled.sort_by_key(|key| sha256::digest(&[&key[..], &order.to_be_bytes()].concat()));
        for (at, key) in shuffled.into_iter().enumerate() {
            insert(&mut other, &mut Model::new(), key, key);
            if at % 7 == 0 {
                other.commit();
            }
        }
        for key in removed.difference(&keys) {
            other.remove(key).expect("removed");
        }
        prop_assert_eq!(ascending.commit(), other.commit());
    }
}
