//! Pages of a memory in a persistent tree: copying the tree is copying one pointer.
//!
//! ```text
//!   PageTree ─► Root ─► Branch ─► Twig ─► Page      512 children each, 4 KiB a page: 512 GiB
//!        ▲        └───► …
//!   another copy of the tree shares every node that neither has changed since
//! ```
//!
//! A page that was never written is absent, and reads as zeros. A node is changed in place while nobody else
//! holds it, and copied first where somebody does; so a query or a snapshot keeps its tree as it was, at the
//! price of what changes in the meantime, and without a lock.
//!
//! Pages and nodes are counted in the budget ([`super::budget`]) as long as anyone holds them.

use std::sync::Arc;

use super::budget::Charge;

/// Size of a page, in bytes.
pub(crate) const PAGE: usize = 4096;
/// Children of a node.
const FANOUT: usize = 512;
/// Bytes that a tree can hold.
pub(super) const CAPACITY: u64 = (FANOUT * FANOUT * FANOUT * PAGE) as u64;

/// One page, counted in the budget.
pub(super) struct Page {
    pub(super) bytes: [u8; PAGE],
    _charge: Charge,
}

impl Page {
    /// A page of zeros, where the budget has room.
    pub(super) fn zeroed() -> Option<Self> {
        Some(Self {
            bytes: [0; PAGE],
            _charge: Charge::reserve(PAGE as u64)?,
        })
    }

    /// A copy of these bytes, where the budget has room.
    pub(super) fn copy_of(bytes: &[u8; PAGE]) -> Option<Self> {
        Some(Self {
            bytes: *bytes,
            _charge: Charge::reserve(PAGE as u64)?,
        })
    }
}

struct Node<T> {
    children: [Option<Arc<T>>; FANOUT],
    _charge: Charge,
}

type Twig = Node<Page>;
type Branch = Node<Twig>;
type Root = Node<Branch>;

impl<T> Node<T> {
    fn empty() -> Self {
        Self {
            children: [const { None }; FANOUT],
            _charge: Charge::take(size_of::<Self>() as u64),
        }
    }
}

impl<T> Clone for Node<T> {
    fn clone(&self) -> Self {
        Self {
            children: self.children.clone(),
            _charge: Charge::take(size_of::<Self>() as u64),
        }
    }
}

/// The child at `index`, made if it is missing, and copied if it is shared.
fn child<T>(parent: &mut Arc<Node<Node<T>>>, index: usize) -> &mut Arc<Node<T>> {
    Arc::make_mut(parent).children[index].get_or_insert_with(|| Arc::new(Node::empty()))
}

/// Indices of a page on its way from the root.
#[allow(clippy::cast_possible_truncation, reason = "nine bits each")]
fn path(page: u64) -> [usize; 3] {
    let index = |shift: u32| (page >> shift) as usize % FANOUT;
    [index(18), index(9), index(0)]
}

/// See the module's documentation.
#[derive(Clone, Default)]
pub(super) struct PageTree {
    root: Option<Arc<Root>>,
}

impl PageTree {
    /// The bytes of a page, where it was ever written.
    pub(super) fn get(&self, page: u64) -> Option<&[u8; PAGE]> {
        let [branch, twig, leaf] = path(page);
        let root = self.root.as_ref()?;
        let twig = root.children[branch].as_ref()?.children[twig].as_ref()?;
        twig.children[leaf].as_ref().map(|page| &page.bytes)
    }

    fn slot(&mut self, page: u64) -> &mut Option<Arc<Page>> {
        assert!(page < CAPACITY / PAGE as u64);
        let [branch, twig, leaf] = path(page);
        let root = self.root.get_or_insert_with(|| Arc::new(Node::empty()));
        let twig = child(child(root, branch), twig);
        &mut Arc::make_mut(twig).children[leaf]
    }

    /// Replaces a page.
    pub(super) fn set(&mut self, page: u64, bytes: Arc<Page>) {
        *self.slot(page) = Some(bytes);
    }

    /// A page to change, made if it is missing; None where the budget has no room for it.
    pub(super) fn edit(&mut self, page: u64) -> Option<&mut [u8; PAGE]> {
        let slot = self.slot(page);
        if slot
            .as_mut()
            .is_none_or(|page| Arc::get_mut(page).is_none())
        {
            let fresh = match slot {
                Some(shared) => Page::copy_of(&shared.bytes)?,
                None => Page::zeroed()?,
            };
            *slot = Some(Arc::new(fresh));
        }
        slot.as_mut()
            .and_then(Arc::get_mut)
            .map(|page| &mut page.bytes)
    }

    /// Copies bytes out; what was never written is 0.
    pub(super) fn read(&self, offset: u64, to: &mut [u8]) {
        for (page, within, part) in parts(offset, to.len()) {
            let to = &mut to[part];
            match self.get(page) {
                Some(bytes) => to.copy_from_slice(&bytes[within..within + to.len()]),
                None => to.fill(0),
            }
        }
    }

    /// Copies bytes in; false where the budget has no room for them.
    pub(super) fn write(&mut self, offset: u64, from: &[u8]) -> bool {
        parts(offset, from.len()).all(|(page, within, part)| {
            let from = &from[part];
            let Some(bytes) = self.edit(page) else {
                return false;
            };
            bytes[within..within + from.len()].copy_from_slice(from);
            true
        })
    }

    /// Calls `each` for every page that was written, in order, until it fails.
    pub(super) fn for_each<E>(
        &self,
        mut each: impl FnMut(u64, &[u8; PAGE]) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(root) = &self.root else {
            return Ok(());
        };
        for (high, branch) in present(root) {
            for (middle, twig) in present(branch) {
                for (low, page) in present(twig) {
                    each((high << 18) | (middle << 9) | low, &page.bytes)?;
                }
            }
        }
        Ok(())
    }

    /// Forgets all pages from this one on.
    pub(super) fn truncate(&mut self, pages: u64) {
        let mut surplus = Vec::new();
        let _ = self.for_each(|page, _| {
            if page >= pages {
                surplus.push(page);
            }
            Ok::<(), ()>(())
        });
        for page in surplus {
            *self.slot(page) = None;
        }
    }
}

fn present<T>(node: &Node<T>) -> impl Iterator<Item = (u64, &Arc<T>)> {
    (0_u64..)
        .zip(&node.children)
        .filter_map(|(index, child)| Some((index, child.as_ref()?)))
}

/// Splits an access by pages: page, offset within it, and part of the caller's buffer.
#[allow(clippy::cast_possible_truncation, reason = "a remainder of PAGE")]
pub(super) fn parts(
    offset: u64,
    len: usize,
) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        if done == len {
            return None;
        }
        let at = offset + done as u64;
        let within = (at % PAGE as u64) as usize;
        let part = done..len.min(done + PAGE - within);
        done = part.end;
        Some((at / PAGE as u64, within, part))
    })
}
