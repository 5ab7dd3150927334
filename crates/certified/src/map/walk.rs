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
struct Nearest {
    leaf: Leaf,
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

    /// The fork at a link, read into `room` if it isn't staged; none if a leaf is there.
    pub(super) fn fork<'a>(&'a self, link: Link, room: &'a mut Fork) -> Option<&'a Fork> {
        if link.is_leaf() {
            return None;
        }
        Some(match link.staged() {
            Some(index) => self.staged.fork(index),
            None => {
                room.read(&self.memory, link.address());
                room
            }
        })
    }

    /// The leaf at a link that no fork is at.
    pub(super) fn leaf(&self, link: Link) -> Leaf {
        match link.staged() {
            Some(index) => *self.staged.leaf(index),
            None => Leaf::read(&self.memory, link.address(), self.header.key_bytes),
        }
    }

    /// The leaf that `key` leads to, if it has that key.
    pub(super) fn find(&self, key: &[u8]) -> Option<Leaf> {
        if key.len() != self.header.key_bytes {
            return None;
        }
        let mut at = self.root_link()?;
        let mut room = Fork::ROOM;
        while let Some(fork) = self.fork(at, &mut room) {
            at = fork.link(side(key, fork.bit()));
        }
        Some(self.leaf(at)).filter(|leaf| leaf.key() == key)
    }

    /// Where `key` leads; none if the map is empty or the key of another length.
    fn nearest(&self, key: &[u8]) -> Option<Nearest> {
        if key.len() != self.header.key_bytes {
            return None;
        }
        let mut at = self.root_link()?;
        let mut way = Vec::with_capacity(32);
        let mut room = Fork::ROOM;
        while let Some(fork) = self.fork(at, &mut room) {
            let taken = side(key, fork.bit());
            way.push(Step {
                bit: fork.bit(),
                taken,
                other: fork.link(1 - taken),
                at,
            });
            at = fork.link(taken);
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
        let mut room = Fork::ROOM;
        while let Some(fork) = self.fork(link, &mut room) {
            link = fork.link(side);
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
        let mut room = Fork::ROOM;
        while let Some(fork) = self.map.fork(link, &mut room) {
            self.waiting.push(fork.link(1));
            link = fork.link(0);
        }
        Some(self.map.leaf(link))
    }
}
