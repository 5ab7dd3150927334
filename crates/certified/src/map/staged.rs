//! Changes that wait for their commit: a copy, on the heap, of the part of the trie that they touch.
//!
//! The first change on a way down copies its forks; the next ones find them there. A fork is *changed* if anything below
//! it is; then all forks above it are. The commit passes over the changed ones, children before parents.

use ic_stable_structures::Memory;

use super::{
    CertifiedMap, MAX_HEIGHT, MapError,
    layout::{FORK_BYTES, Fork, Leaf, Link, difference, leaf_bytes, side},
};
use crate::{Hash, sha256};

/// The staged part.
#[derive(Default)]
pub(super) struct Staged {
    forks: Vec<StagedFork>,
    leaves: Vec<StagedLeaf>,
    /// The root, if it is staged or removed.
    root: Option<Option<Link>>,
    /// The hash of the root, if it is another one than before and not changed itself.
    root_hash: Option<Hash>,
    changed: bool,
    /// Slots of what was removed.
    freed_forks: Vec<u64>,
    freed_leaves: Vec<u64>,
}

struct StagedFork {
    fork: Fork,
    /// Its slot, if it has one.
    address: Option<u64>,
    changed: bool,
}

struct StagedLeaf {
    leaf: Leaf,
    address: Option<u64>,
}

/// A staged fork on a way down, and the side that the way takes.
type Step = (usize, usize);

impl Staged {
    pub(super) fn is_changed(&self) -> bool {
        self.changed
    }

    pub(super) fn root(&self, stored: Option<Link>) -> Option<Link> {
        self.root.unwrap_or(stored)
    }

    pub(super) fn fork(&self, index: usize) -> &Fork {
        &self.forks[index].fork
    }

    pub(super) fn leaf(&self, index: usize) -> &Leaf {
        &self.leaves[index].leaf
    }

    fn add_fork(&mut self, fork: Fork, address: Option<u64>) -> Link {
        self.forks.push(StagedFork {
            fork,
            address,
            changed: address.is_none(),
        });
        Link::StagedFork(self.forks.len() - 1)
    }

    fn add_leaf(&mut self, leaf: Leaf, address: Option<u64>) -> Link {
        self.leaves.push(StagedLeaf { leaf, address });
        Link::StagedLeaf(self.leaves.len() - 1)
    }

    /// Lets the last step of `way`, or the root, lead to `link`, a subtree of that height.
    fn attach(&mut self, way: &[Step], link: Link, mut height: u8) {
        self.changed = true;
        match way.last() {
            None => self.root = Some(Some(link)),
            Some(&(index, side)) => self.forks[index].fork.sides[side] = link,
        }
        for &(index, side) in way.iter().rev() {
            let staged = &mut self.forks[index];
            staged.fork.heights[side] = height;
            staged.changed = true;
            height = staged.fork.height();
        }
    }
}

impl<M: Memory> CertifiedMap<M> {
    pub(super) fn stage_insert(
        &mut self,
        key: &[u8],
        value: &Hash,
    ) -> Result<Option<Hash>, MapError> {
        let Some((way, at)) = self.stage_way(key) else {
            self.make_room()?;
            let leaf = self.staged.add_leaf(Leaf::new(key, *value), None);
            self.staged.attach(&[], leaf, 0);
            self.header.len += 1;
            return Ok(None);
        };
        let found = self.leaf(at);
        let Some(bit) = difference(key, found.key()) else {
            let before = found.value;
            if before != *value {
                self.stage_value(&way, at, found, *value);
            }
            return Ok(Some(before));
        };
        let above = way.partition_point(|(index, _)| self.staged.fork(*index).bit < bit);
        let (link, height, hash) = self.subtree(&way, above, at);
        let depth = u8::try_from(above).unwrap_or(MAX_HEIGHT);
        if depth.saturating_add(height) >= MAX_HEIGHT {
            return Err(MapError::TooDeep);
        }
        self.make_room()?;
        let leaf = self.staged.add_leaf(Leaf::new(key, *value), None);
        let mut fork = Fork {
            bit,
            sides: [link; 2],
            heights: [height; 2],
            hashes: [hash; 2],
        };
        let side = side(key, bit);
        fork.sides[side] = leaf;
        fork.heights[side] = 0;
        let height = fork.height();
        let fork = self.staged.add_fork(fork, None);
        self.staged.attach(&way[..above], fork, height);
        self.header.len += 1;
        Ok(None)
    }

    pub(super) fn stage_remove(&mut self, key: &[u8]) -> Option<Hash> {
        let (way, at) = self.stage_way(key)?;
        let found = self.leaf(at);
        if found.key() != key {
            return None;
        }
        let address = match at {
            Link::StagedLeaf(index) => self.staged.leaves[index].address,
            other => Some(other.stored() & !1),
        };
        self.staged.freed_leaves.extend(address);
        self.header.len -= 1;
        let Some((&(parent, side), above)) = way.split_last() else {
            self.staged.root = Some(None);
            self.staged.changed = true;
            return Some(found.value);
        };
        let StagedFork { fork, address, .. } = &mut self.staged.forks[parent];
        let freed = address.take();
        let other = 1 - side;
        let (link, height, hash) = (fork.sides[other], fork.heights[other], fork.hashes[other]);
        self.staged.freed_forks.extend(freed);
        self.staged.attach(above, link, height);
        match above.last() {
            Some(&(index, side)) => self.staged.forks[index].fork.hashes[side] = hash,
            None => self.staged.root_hash = Some(hash),
        }
        Some(found.value)
    }

    /// Copies the forks on the way to where `key` leads; none if the map is empty.
    fn stage_way(&mut self, key: &[u8]) -> Option<(Vec<Step>, Link)> {
        let mut at = self.root_link()?;
        let mut way: Vec<Step> = Vec::with_capacity(32);
        loop {
            let index = match at {
                Link::StagedFork(index) => index,
                Link::Fork(address) => {
                    let fork = Fork::read(&self.memory, address);
                    let link = self.staged.add_fork(fork, Some(address));
                    match way.last() {
                        None => self.staged.root = Some(Some(link)),
                        Some(&(index, side)) => {
                            self.staged.forks[index].fork.sides[side] = link;
                        }
                    }
                    self.staged.forks.len() - 1
                }
                leaf => return Some((way, leaf)),
            };
            let fork = self.staged.fork(index);
            let side = side(key, fork.bit);
            at = fork.sides[side];
            way.push((index, side));
        }
    }

    /// Gives the leaf at the end of a way another value.
    fn stage_value(&mut self, way: &[Step], at: Link, mut leaf: Leaf, value: Hash) {
        let link = if let Link::StagedLeaf(index) = at {
            self.staged.leaves[index].leaf.value = value;
            at
        } else {
            leaf.value = value;
            self.staged.add_leaf(leaf, Some(at.stored() & !1))
        };
        self.staged.attach(way, link, 0);
    }

    /// What is below the first `above` steps of a way: the link, its height, and its hash if it isn't changed.
    fn subtree(&self, way: &[Step], above: usize, end: Link) -> (Link, u8, Hash) {
        let link = way
            .get(above)
            .map_or(end, |(index, _)| Link::StagedFork(*index));
        match above.checked_sub(1).map(|last| way[last]) {
            Some((index, side)) => {
                let fork = self.staged.fork(index);
                (link, fork.heights[side], fork.hashes[side])
            }
            None => {
                let height = way
                    .first()
                    .map_or(0, |(index, _)| self.staged.fork(*index).height());
                (link, height, self.unchanged_root_hash())
            }
        }
    }

    /// The hash of the root, unless it is changed.
    fn unchanged_root_hash(&self) -> Hash {
        self.staged.root_hash.unwrap_or(self.header.root_hash)
    }

    /// Forgets the copies of a way that led to no change.
    pub(super) fn forget_staged(&mut self) {
        self.staged = Staged::default();
    }

    /// Writes all changes, and the header.
    pub(super) fn write_staged(&mut self) {
        let root = self.root_link();
        self.header.root = root.map(|link| {
            let (link, hash) = self.settle(link, self.unchanged_root_hash());
            self.header.root_hash = hash;
            link
        });
        if root.is_none() {
            self.header.root_hash = sha256::empty();
        }
        for (freed, forks) in [
            (std::mem::take(&mut self.staged.freed_forks), true),
            (std::mem::take(&mut self.staged.freed_leaves), false),
        ] {
            for address in freed {
                self.release(address, forks);
            }
        }
        self.header.write(&self.memory);
        self.staged = Staged::default();
    }

    /// Writes the changes below `link`, whose hash is `hash` unless it is changed.
    fn settle(&mut self, link: Link, hash: Hash) -> (Link, Hash) {
        match link {
            Link::StagedFork(index) => {
                let staged = &self.staged.forks[index];
                if let (false, Some(address)) = (staged.changed, staged.address) {
                    return (Link::Fork(address), hash);
                }
                let mut fork = staged.fork.clone();
                let address = staged.address;
                for side in 0..2 {
                    (fork.sides[side], fork.hashes[side]) =
                        self.settle(fork.sides[side], fork.hashes[side]);
                }
                let address = address.unwrap_or_else(|| self.allocate(true));
                fork.write(&self.memory, address);
                let hash = sha256::fork(&fork.hashes[0], &fork.hashes[1]);
                (Link::Fork(address), hash)
            }
            Link::StagedLeaf(index) => {
                let address = self.staged.leaves[index].address;
                let address = address.unwrap_or_else(|| self.allocate(false));
                let leaf = &self.staged.leaves[index].leaf;
                leaf.write(&self.memory, address);
                (
                    Link::Leaf(address),
                    sha256::labeled(leaf.key(), &leaf.value),
                )
            }
            stored => (stored, hash),
        }
    }

    /// A free slot: of what was just removed, of the free list, or behind all others. There is room for it.
    fn allocate(&mut self, fork: bool) -> u64 {
        let (freed, free, bytes) = if fork {
            (
                &mut self.staged.freed_forks,
                &mut self.header.free_forks,
                FORK_BYTES,
            )
        } else {
            (
                &mut self.staged.freed_leaves,
                &mut self.header.free_leaves,
                leaf_bytes(self.header.key_bytes),
            )
        };
        if let Some(address) = freed.pop() {
            return address;
        }
        if *free != 0 {
            let address = *free;
            let mut next = [0; 8];
            self.memory.read(address, &mut next);
            *free = u64::from_le_bytes(next);
            return address;
        }
        let address = self.header.end;
        self.header.end += bytes;
        self.header.leaf_slots += u64::from(!fork);
        address
    }

    /// Puts a slot into its free list.
    fn release(&mut self, address: u64, fork: bool) {
        let free = if fork {
            &mut self.header.free_forks
        } else {
            &mut self.header.free_leaves
        };
        self.memory.write(address, &free.to_le_bytes());
        *free = address;
    }
}
