//! Where a node of the tree lies in memory, and which complete subtrees make up a range of entries.

use super::region;

const HASH: u64 = 32;
const REFERENCE: u64 = 8;

/// Where the tree starts: behind the two fields of the header.
const TREE: u64 = region::header_bytes(2);

/// Offset of subtree `index` of `level`.
pub(super) fn node(level: u32, index: u64) -> u64 {
    let last = ((index + 1) << level) - 1;
    let position = 2 * last - u64::from(last.count_ones()) + u64::from(level);
    // A parent lies behind its last leaf.
    let leaves = last + u64::from(level > 0);
    TREE + HASH * position + REFERENCE * leaves
}

/// Offset of an entry's payload reference.
pub(super) fn reference(index: u64) -> u64 {
    node(0, index) + HASH
}

/// Offset of the end of a tree of `size` entries, where the next leaf goes.
pub(super) fn end(size: u64) -> u64 {
    node(0, size)
}

/// Length of what appending entry `index` writes: leaf, reference, and the parents that it completes.
pub(super) fn appended(index: u64) -> usize {
    40 + 32 * index.trailing_ones() as usize
}

/// The complete subtrees of the tree over the entries from `start` to before `end`, as (level, index), the largest first.
/// `start` is a multiple of the largest power of two up to `end − start`, as in every split of RFC 9162.
pub(super) fn subtrees(start: u64, end: u64) -> impl DoubleEndedIterator<Item = (u32, u64)> {
    let length = end - start;
    (0..u64::BITS)
        .rev()
        .filter(move |level| length >> level & 1 == 1)
        .map(move |level| {
            // The bits of the length above this one are the subtrees to the left.
            let before = length >> level & !1;
            (level, (start >> level) + before)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All nodes over a power of two of entries, in post-order.
    fn walk(level: u32, index: u64, visit: &mut impl FnMut(u32, u64)) {
        if level > 0 {
            walk(level - 1, 2 * index, visit);
            walk(level - 1, 2 * index + 1, visit);
        }
        visit(level, index);
    }

    #[test]
    fn nodes_lie_one_behind_the_other_in_post_order() {
        let mut offset = TREE;
        walk(10, 0, &mut |level, index| {
            assert_eq!(node(level, index), offset, "level {level}, index {index}");
            if level == 0 {
                assert_eq!(end(index), offset);
                assert_eq!(end(index + 1) - offset, appended(index) as u64);
            }
            offset += if level == 0 { HASH + REFERENCE } else { HASH };
        });
        assert_eq!(end(1 << 10), offset);
    }

    #[test]
    fn subtrees_cover_their_range_without_gap_or_overlap() {
        for start in [0, 512, 1536] {
            for size in 0..512 {
                let mut at = start;
                for (level, index) in subtrees(start, start + size) {
                    assert_eq!(index << level, at);
                    at += 1 << level;
                }
                assert_eq!(at, start + size);
            }
        }
    }
}
