//! Collections in the form in which canisters certify them, built as the form is defined: from the first bit in which
//! keys differ, over nodes of `ic-certification`.

use ic_certification::{HashTree, empty, fork, labeled, leaf, pruned};

/// Keys of one length in their order, and what is below them.
pub(crate) type Entries = [(Vec<u8>, HashTree)];

/// The tree of `entries`. Of each node, `keep` says whether it is shown or pruned, given the entries below it.
pub(crate) fn tree(entries: &Entries, keep: &mut impl FnMut(&Entries) -> bool) -> HashTree {
    let node = match entries {
        [] => empty(),
        [(key, below)] => labeled(key.clone(), below.clone()),
        [(first, _), .., (last, _)] => {
            let bit = (0..8 * first.len())
                .find(|at| bit(first, *at) != bit(last, *at))
                .unwrap();
            let (left, right) =
                entries.split_at(entries.partition_point(|(key, _)| !self::bit(key, bit)));
            fork(tree(left, keep), tree(right, keep))
        }
    };
    if keep(entries) {
        node
    } else {
        pruned(node.digest())
    }
}

/// All of it.
pub(crate) fn whole(entries: &Entries) -> HashTree {
    tree(entries, &mut |_| true)
}

/// What shows the entries whose keys are `wanted`, and nothing else of the row.
pub(crate) fn showing(entries: &Entries, wanted: impl Fn(&[u8]) -> bool) -> HashTree {
    tree(entries, &mut |below| {
        below.iter().any(|(key, _)| wanted(key))
    })
}

/// Entries with leaves.
pub(crate) fn leaves<'a>(
    contents: impl IntoIterator<Item = (&'a Vec<u8>, &'a Vec<u8>)>,
) -> Vec<(Vec<u8>, HashTree)> {
    contents
        .into_iter()
        .map(|(key, contents)| (key.clone(), leaf(contents.clone())))
        .collect()
}

fn bit(key: &[u8], at: usize) -> bool {
    key[at / 8] & (0x80 >> (at % 8)) != 0
}
