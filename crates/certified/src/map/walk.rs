//! Ways down the trie: to the leaf that is nearest to a key, to its neighbours, and along a range.
//!
//! Nothing here changes anything; staged nodes are seen like stored ones.

use ic_stable_structures::Memory;

use super::{
    CertifiedMap,
    layout::{Fork, Leaf, Link, difference, side},
};

/// A fork on a way down.
#[derive(Clone, Debug)]
struct Step {
    bit: u16,
    /// The side that the way takes.
    taken: usize,
    /// The other side.
    other: Link,
    /// The fork itself.
    at: Link,
}

/// The leaf that a key leads to. No other has more bits in common with the key.
pub(super) struct Nearest {
    pub(super) leaf: Leaf,
    at: Link,
    way: Vec<Step>,
}

/// The key before and the key behind a place.
pub(super) struct Neighbours {
    pub(super) before: Option<Leaf>,
    pub(super) behind: Option<Leaf>,
}

impl<M: Memory> CertifiedMap<M> {
    pub(super) fn root_link(&self) -> Option<Link> {
        self.staged.root(self.header.root)
    }

    pub(super) fn fork(&self, link: Link) -> Option<Fork> {
        match link {
            Link::Fork(address) => Some(Fork::read(&self.memory, address)),
            Link::StagedFork(index) => Some(self.staged.fork(index).clone()),
            Link::Leaf(_) | Link::StagedLeaf(_) => None,
        }
    }

    pub(super) fn leaf(&self, link: Link) -> Leaf {
        match link {
            Link::StagedLeaf(index) => self.staged.leaf(index).clone(),
            Link::Leaf(at) | Link::Fork(at) => Leaf::read(&self.memory, at, self.header.key_bytes),
            // Only asked for where `fork` said that it is none.
            Link::StagedFork(_) => Leaf::new(&[], [0; 32]),
        }
    }

    /// Where `key` leads; none if the map is empty or the key of another length.
    pub(super) fn nearest(&self, key: &[u8]) -> Option<Nearest> {
        if key.len() != self.header.key_bytes {
            return None;
        }
        let mut at = self.root_link()?;
        let mut way = Vec::new();
        while let Some(fork) = self.fork(at) {
            let taken = side(key, fork.bit);
            way.push(Step {
                bit: fork.bit,
                taken,
                other: fork.sides[1 - taken],
                at,
            });
            at = fork.sides[taken];
        }
        Some(Nearest {
            leaf: self.leaf(at),
            at,
            way,
        })
    }

    /// The neighbours of a key that is absent; of a present one, what is before and behind it.
    pub(super) fn neighbours(&self, key: &[u8]) -> Neighbours {
        let mut neighbours = Neighbours {
            before: None,
            behind: None,
        };
        let Some(nearest) = self.nearest(key) else {
            return neighbours;
        };
        let (way, aside) = self.place(key, &nearest);
        let nearest_aside = |wanted: usize| {
            let step = way.iter().rev().find(|step| step.taken != wanted)?;
            Some(step.other)
        };
        let (before, behind) = match aside {
            // All of it is behind the key.
            Some((subtree, 0)) => (nearest_aside(0), Some(subtree)),
            Some((subtree, _)) => (Some(subtree), nearest_aside(1)),
            None => (nearest_aside(0), nearest_aside(1)),
        };
        neighbours.before = before.map(|subtree| self.outermost(subtree, 1));
        neighbours.behind = behind.map(|subtree| self.outermost(subtree, 0));
        neighbours
    }

    /// The forks above the place of `key`, and, if it is absent, the subtree that a fork there would put on the other side
    /// of it, with the side that the key would be on.
    fn place<'a>(&self, key: &[u8], nearest: &'a Nearest) -> (&'a [Step], Option<(Link, usize)>) {
        let Some(bit) = difference(key, nearest.leaf.key()) else {
            return (&nearest.way, None);
        };
        let above = nearest.way.partition_point(|step| step.bit < bit);
        let subtree = nearest.way.get(above).map_or(nearest.at, |step| step.at);
        (&nearest.way[..above], Some((subtree, side(key, bit))))
    }

    /// The first (side 0) or last (side 1) leaf below a link.
    fn outermost(&self, mut link: Link, side: usize) -> Leaf {
        while let Some(fork) = self.fork(link) {
            link = fork.sides[side];
        }
        self.leaf(link)
    }

    /// The leaves behind `after`, or all of them, in the order of their keys.
    pub(super) fn after(&self, after: Option<&[u8]>) -> Leaves<'_, M> {
        let mut waiting = Vec::new();
        match after {
            None => waiting.extend(self.root_link()),
            Some(key) => {
                if let Some(nearest) = self.nearest(key) {
                    let (way, aside) = self.place(key, &nearest);
                    let right_of_it = way.iter().filter(|step| step.taken == 0);
                    waiting.extend(right_of_it.map(|step| step.other));
                    waiting.extend(
                        aside
                            .filter(|(_, side)| *side == 0)
                            .map(|(subtree, _)| subtree),
                    );
                }
            }
        }
        Leaves { map: self, waiting }
    }
}

/// Leaves in the order of their keys.
pub(super) struct Leaves<'a, M: Memory> {
    map: &'a CertifiedMap<M>,
    /// Subtrees that are still to come, the next one last.
    waiting: Vec<Link>,
}

impl<M: Memory> Iterator for Leaves<'_, M> {
    type Item = Leaf;

    fn next(&mut self) -> Option<Leaf> {
        let mut link = self.waiting.pop()?;
        while let Some(fork) = self.map.fork(link) {
            self.waiting.push(fork.sides[1]);
            link = fork.sides[0];
        }
        Some(self.map.leaf(link))
    }
}
