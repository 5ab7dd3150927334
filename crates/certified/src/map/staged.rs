//! Changes that wait for their commit: a copy, on the heap, of the part of the trie that they touch.
//!
//! The first change on a way down copies its forks; the next ones find them there. A fork is *changed* if anything below
//! it is; then all forks above it are. The commit passes over the changed ones, children before parents.
//!
//! Forks stay the bytes that they are in memory: their hashes are hashed where they lie, and the slots of one way are
//! kept from commit to commit. So a fork of a way costs little but its two blocks of SHA-256, a read and a write.

use ic_stable_structures::Memory;

use super::{
    CertifiedMap, Entry, MAX_HEIGHT, MapError,
    layout::{FORK_BYTES, Fork, Leaf, Link, difference, leaf_bytes, side},
};
use crate::{Hash, sha256};

/// The staged part.
#[derive(Default)]
pub(super) struct Staged {
    forks: Forks,
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

/// Staged forks, and behind them room for more.
#[derive(Default)]
struct Forks {
    slots: Vec<StagedFork>,
    used: usize,
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

impl Forks {
    /// Room for a fork: its index, and bytes to be overwritten.
    fn add(&mut self, address: Option<u64>) -> (usize, &mut Fork) {
        let index = self.used;
        if index == self.slots.len() {
            self.slots.push(StagedFork {
                fork: Fork::ROOM,
                address: None,
                changed: false,
            });
        }
        self.used += 1;
        let slot = &mut self.slots[index];
        slot.address = address;
        slot.changed = address.is_none();
        (index, &mut slot.fork)
    }

    /// Forgets them, and keeps the room of one way.
    fn clear(&mut self) {
        self.used = 0;
        if self.slots.len() > usize::from(MAX_HEIGHT) {
            self.slots.truncate(usize::from(MAX_HEIGHT));
            self.slots.shrink_to_fit();
        }
    }
}

impl Staged {
    pub(super) fn is_changed(&self) -> bool {
        self.changed
    }

    pub(super) fn root(&self, stored: Option<Link>) -> Option<Link> {
        self.root.unwrap_or(stored)
    }

    pub(super) fn fork(&self, index: usize) -> &Fork {
        &self.forks.slots[index].fork
    }

    pub(super) fn leaf(&self, index: usize) -> &Leaf {
        &self.leaves[index].leaf
    }

    fn fork_mut(&mut self, index: usize) -> &mut Fork {
        &mut self.forks.slots[index].fork
    }

    fn add_leaf(&mut self, leaf: Leaf, address: Option<u64>) -> Link {
        self.leaves.push(StagedLeaf { leaf, address });
        Link::staged_leaf(self.leaves.len() - 1)
    }

    /// Lets the last step of `way`, or the root, lead to `link`.
    fn lead(&mut self, way: &[Step], link: Link) {
        match way.last() {
            None => self.root = Some(Some(link)),
            Some(&(index, side)) => self.fork_mut(index).set_link(side, link),
        }
    }

    /// The same with a change: a subtree of that height.
    fn attach(&mut self, way: &[Step], link: Link, mut height: u8) {
        self.changed = true;
        self.lead(way, link);
        for &(index, side) in way.iter().rev() {
            let staged = &mut self.forks.slots[index];
            // Above a changed fork all are changed; where the height stays, it stays above too.
            if staged.changed && staged.fork.side_height(side) == height {
                return;
            }
            staged.fork.set_side_height(side, height);
            staged.changed = true;
            height = staged.fork.height();
        }
    }

    /// Forgets everything.
    fn clear(&mut self) {
        self.forks.clear();
        self.leaves.clear();
        self.leaves.shrink_to(usize::from(MAX_HEIGHT));
        *self = Self {
            forks: std::mem::take(&mut self.forks),
            leaves: std::mem::take(&mut self.leaves),
            ..Self::default()
        };
    }
}

impl<M: Memory> CertifiedMap<M> {
    pub(super) fn stage_insert(
        &mut self,
        key: &[u8],
        entry: &Entry,
    ) -> Result<Option<Entry>, MapError> {
        let Some((way, at)) = self.stage_way(key) else {
            self.make_room()?;
            let leaf = self.staged.add_leaf(Leaf::new(key, entry), None);
            self.staged.attach(&[], leaf, 0);
            self.header.len += 1;
            return Ok(None);
        };
        let found = self.leaf(at);
        let Some(bit) = difference(key, found.key()) else {
            let before = found.entry();
            if before != *entry {
                self.stage_entry(&way, at, found, entry);
            }
            return Ok(Some(before));
        };
        let above = way.partition_point(|(index, _)| self.staged.fork(*index).bit() < bit);
        let (link, height, hash) = self.subtree(&way, above, at);
        let depth = u8::try_from(above).unwrap_or(MAX_HEIGHT);
        if depth.saturating_add(height) >= MAX_HEIGHT {
            return Err(MapError::TooDeep);
        }
        self.make_room()?;
        let leaf = self.staged.add_leaf(Leaf::new(key, entry), None);
        let (index, fork) = self.staged.forks.add(None);
        let side = side(key, bit);
        let other = 1 - side;
        fork.set_bit(bit);
        fork.set_link(side, leaf);
        fork.set_side_height(side, 0);
        fork.set_link(other, link);
        fork.set_side_height(other, height);
        fork.set_side_hash(other, &hash);
        let height = fork.height();
        self.staged
            .attach(&way[..above], Link::staged_fork(index), height);
        self.header.len += 1;
        Ok(None)
    }

    /// Gives a staged leaf another note; whether there is one.
    pub(super) fn stage_note(&mut self, key: &[u8], note: u64) -> bool {
        // The last one: an older leaf of this key was removed.
        let mut leaves = self.staged.leaves.iter_mut().rev();
        let Some(staged) = leaves.find(|staged| staged.leaf.key() == key) else {
            return false;
        };
        let entry = Entry {
            note,
            ..staged.leaf.entry()
        };
        staged.leaf.set_entry(&entry);
        true
    }

    pub(super) fn stage_remove(&mut self, key: &[u8]) -> Option<Entry> {
        let (way, at) = self.stage_way(key)?;
        let found = self.leaf(at);
        if found.key() != key {
            return None;
        }
        let address = match at.staged() {
            Some(index) => self.staged.leaves[index].address,
            None => Some(at.address()),
        };
        self.staged.freed_leaves.extend(address);
        self.header.len -= 1;
        let Some((&(parent, side), above)) = way.split_last() else {
            self.staged.root = Some(None);
            self.staged.changed = true;
            return Some(found.entry());
        };
        let StagedFork { fork, address, .. } = &mut self.staged.forks.slots[parent];
        let freed = address.take();
        let other = 1 - side;
        let (link, height) = (fork.link(other), fork.side_height(other));
        let hash = *fork.side_hash(other);
        self.staged.freed_forks.extend(freed);
        self.staged.attach(above, link, height);
        match above.last() {
            Some(&(index, side)) => self.staged.fork_mut(index).set_side_hash(side, &hash),
            None => self.staged.root_hash = Some(hash),
        }
        Some(found.entry())
    }

    /// Copies the forks on the way to where `key` leads; none if the map is empty.
    fn stage_way(&mut self, key: &[u8]) -> Option<(Vec<Step>, Link)> {
        let mut at = self.root_link()?;
        let mut way: Vec<Step> = Vec::with_capacity(32);
        while !at.is_leaf() {
            let index = at.staged().unwrap_or_else(|| {
                let address = at.address();
                let (index, fork) = self.staged.forks.add(Some(address));
                fork.read(&self.memory, address);
                self.staged.lead(&way, Link::staged_fork(index));
                index
            });
            let fork = self.staged.fork(index);
            let side = side(key, fork.bit());
            at = fork.link(side);
            way.push((index, side));
        }
        Some((way, at))
    }

    /// Gives the leaf at the end of a way another entry.
    fn stage_entry(&mut self, way: &[Step], at: Link, mut leaf: Leaf, entry: &Entry) {
        let link = if let Some(index) = at.staged() {
            self.staged.leaves[index].leaf.set_entry(entry);
            at
        } else {
            leaf.set_entry(entry);
            self.staged.add_leaf(leaf, Some(at.address()))
        };
        self.staged.attach(way, link, 0);
    }

    /// What is below the first `above` steps of a way: the link, its height, and its hash if it isn't changed.
    fn subtree(&self, way: &[Step], above: usize, end: Link) -> (Link, u8, Hash) {
        let link = way
            .get(above)
            .map_or(end, |(index, _)| Link::staged_fork(*index));
        match above.checked_sub(1).map(|last| way[last]) {
            Some((index, side)) => {
                let fork = self.staged.fork(index);
                (link, fork.side_height(side), *fork.side_hash(side))
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
        self.staged.clear();
    }

    /// Writes all changes, and the header.
    pub(super) fn write_staged(&mut self) {
        let root_hash = self.unchanged_root_hash();
        (self.header.root, self.header.root_hash) = match self.root_link() {
            Some(root) => {
                let (root, hash) = self.settle(root);
                (Some(root), hash.unwrap_or(root_hash))
            }
            None => (None, sha256::empty()),
        };
        for (freed, forks) in [
            (std::mem::take(&mut self.staged.freed_forks), true),
            (std::mem::take(&mut self.staged.freed_leaves), false),
        ] {
            for address in freed {
                self.release(address, forks);
            }
        }
        self.header.write(&self.memory);
        self.staged.clear();
    }

    /// Writes the changes at and below `link`: where it is stored then, and its hash if it is changed.
    fn settle(&mut self, link: Link) -> (Link, Option<Hash>) {
        let Some(index) = link.staged() else {
            return (link, None);
        };
        if link.is_leaf() {
            let address = self.staged.leaves[index].address;
            let address = address.unwrap_or_else(|| self.allocate(false));
            let leaf = &self.staged.leaves[index].leaf;
            leaf.write(&self.memory, address);
            let hash = sha256::labeled(leaf.key(), &leaf.hash());
            return (Link::leaf(address), Some(hash));
        }
        let staged = &self.staged.forks.slots[index];
        let address = staged.address;
        if let (false, Some(address)) = (staged.changed, address) {
            return (Link::fork(address), None);
        }
        for side in 0..2 {
            let below = self.staged.fork(index).link(side);
            if below.staged().is_some() {
                let (stored, hash) = self.settle(below);
                let fork = self.staged.fork_mut(index);
                fork.set_link(side, stored);
                if let Some(hash) = hash {
                    fork.set_side_hash(side, &hash);
                }
            }
        }
        let address = address.unwrap_or_else(|| self.allocate(true));
        let fork = self.staged.fork(index);
        fork.write(&self.memory, address);
        (Link::fork(address), Some(sha256::fork_of(fork.hashes())))
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
