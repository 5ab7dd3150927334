//! Where nodes are in the array of a tree (RFC 9420, appendix C).
//!
//! Widths are powers of two, at most [`limits::LEAVES`](crate::limits::LEAVES): no sum overflows.

use std::ops::Range;

/// The node of a leaf.
pub(crate) fn leaf(index: u32) -> u32 {
    2 * index
}

/// The number of nodes of a tree with `width` leaves.
pub(crate) fn nodes(width: u32) -> u32 {
    (2 * width).saturating_sub(1)
}

pub(crate) fn root(width: u32) -> u32 {
    width.saturating_sub(1)
}

/// Height of a node: 0 for leaves.
pub(crate) fn level(node: u32) -> u32 {
    node.trailing_ones()
}

/// Left and right child of a parent; none of a leaf.
pub(crate) fn children(node: u32) -> Option<[u32; 2]> {
    let half = 1 << level(node).checked_sub(1)?;
    Some([node - half, node + half])
}

fn parent(node: u32) -> u32 {
    let bit = 1 << level(node);
    // The bit above is 0 in a left child, and 1 in a right one.
    (node | bit) & !(bit << 1)
}

/// From the parent of a node up to the root: each with its child on the way, and the other one, which is on the copath.
pub(crate) fn direct_path(node: u32, width: u32) -> impl Iterator<Item = Step> {
    let mut at = node;
    std::iter::from_fn(move || {
        if at == root(width) {
            return None;
        }
        let below = at;
        at = parent(at);
        Some(Step {
            node: at,
            copath: at + at - below,
        })
    })
}

pub(crate) struct Step {
    pub(crate) node: u32,
    pub(crate) copath: u32,
}

/// The leaves below a node.
pub(crate) fn leaves(node: u32) -> Range<u32> {
    let count = 1 << level(node);
    let first = (node + 1 - count) / 2;
    first..first + count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_of_eight_is_that_of_the_rfc() {
        assert_eq!(root(8), 7);
        assert_eq!(nodes(8), 15);
        assert_eq!(children(7), Some([3, 11]));
        assert_eq!(children(9), Some([8, 10]));
        assert_eq!(children(4), None);
        assert_eq!(leaves(11), 4..8);
        assert_eq!(leaves(5), 2..4);
        assert_eq!(leaves(6), 3..4);
        let path: Vec<_> = direct_path(10, 8)
            .map(|step| (step.node, step.copath))
            .collect();
        assert_eq!(path, [(9, 8), (11, 13), (7, 3)]);
        assert_eq!(direct_path(0, 1).count(), 0);
    }
}
