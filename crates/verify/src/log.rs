//! Merkle trees of append-only logs (RFC 9162, section 2.1, with SHA-256).
//!
//! The entries of a log are hashes of 32 bytes: of blocks, in an audit log. A leaf of the tree is SHA-256(0x00 ‖ entry), an
//! inner node SHA-256(0x01 ‖ left ‖ right), and the tree of no entries SHA-256 of nothing. Everything here takes entries
//! and makes the leaves itself, so that an inner node can't pass for one.
//!
//! Cost: a proof takes one hash for each of its at most 126; appending takes 3 hashes on average, a root at most 63.

use indus_api::audit::LOG;

use crate::error::VerifyError;
use crate::leb128;
use crate::sha256;
use crate::tree::Hash;
use crate::witness::VerifiedWitness;

/// A log has fewer entries than this, so that counting them can't overflow.
const TOO_MANY: u64 = 1 << 63;

/// Root and size of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogHead {
    /// Root of the tree over the entries.
    pub root: Hash,
    /// How many entries there are.
    pub size: u64,
}

impl LogHead {
    /// From the contents of a certified leaf, as [`LogRoot::from_leaf`].
    ///
    /// Errors: [`VerifyError::LogHead`].
    pub fn from_leaf(contents: &[u8]) -> Result<Self, VerifyError> {
        Ok(LogRoot::from_leaf(contents)?.head())
    }
}

impl VerifiedWitness {
    /// The certified head of the canister's audit log.
    ///
    /// Errors: as [`VerifiedWitness::leaf`], and [`VerifyError::LogHead`].
    pub fn log_head(&self) -> Result<LogHead, VerifyError> {
        Ok(self.log_root()?.head())
    }

    /// The certified tree of the canister's audit log, from which it can be read on.
    ///
    /// Errors: as [`VerifiedWitness::log_head`].
    pub fn log_root(&self) -> Result<LogRoot, VerifyError> {
        LogRoot::from_leaf(self.leaf(&[LOG])?)
    }
}

/// Verifies that `entry` is at `index` of the log with `head` (RFC 9162, section 2.1.3.2).
///
/// Errors: [`VerifyError::NotIncluded`].
pub fn verify_inclusion(
    entry: &Hash,
    index: u64,
    proof: &[Hash],
    head: &LogHead,
) -> Result<(), VerifyError> {
    let refused = VerifyError::NotIncluded {
        index,
        size: head.size,
    };
    if index >= head.size {
        return Err(refused);
    }
    // The node whose hash is known: its number on its level, and the number of the last node there.
    let (mut number, mut last) = (index, head.size - 1);
    let mut hash = leaf(entry);
    for sibling in proof {
        if last == 0 {
            return Err(refused);
        }
        if number & 1 == 1 || number == last {
            hash = inner(sibling, &hash);
            (number, last) = up_to_a_right_side(number, last);
        } else {
            hash = inner(&hash, sibling);
        }
        number >>= 1;
        last >>= 1;
    }
    if last == 0 && hash == head.root {
        Ok(())
    } else {
        Err(refused)
    }
}

/// Verifies that the log with head `to` begins with the log with head `from` (RFC 9162, section 2.1.4.2). Every log
/// begins with the one of no entries, and with itself, by an empty proof.
///
/// Errors: [`VerifyError::NotConsistent`].
pub fn verify_consistency(from: &LogHead, to: &LogHead, proof: &[Hash]) -> Result<(), VerifyError> {
    if consistent(from, to, proof) {
        Ok(())
    } else {
        Err(VerifyError::NotConsistent {
            from: from.size,
            to: to.size,
        })
    }
}

fn consistent(from: &LogHead, to: &LogHead, proof: &[Hash]) -> bool {
    if from.size == to.size {
        return proof.is_empty() && from.root == to.root;
    }
    if from.size == 0 {
        return proof.is_empty() && from.root == LogRoot::default().root();
    }
    if from.size > to.size {
        return false;
    }
    // A complete tree is a node of the longer log's, which then isn't repeated in the proof.
    let (start, proof) = if from.size.is_power_of_two() {
        (from.root, proof)
    } else {
        match proof.split_first() {
            Some((first, rest)) => (*first, rest),
            None => return false,
        }
    };
    let (mut number, mut last) = (from.size - 1, to.size - 1);
    while number & 1 == 1 {
        number >>= 1;
        last >>= 1;
    }
    // The roots as they are rebuilt.
    let (mut shorter, mut longer) = (start, start);
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if number & 1 == 1 || number == last {
            shorter = inner(sibling, &shorter);
            longer = inner(sibling, &longer);
            (number, last) = up_to_a_right_side(number, last);
        } else {
            longer = inner(&longer, sibling);
        }
        number >>= 1;
        last >>= 1;
    }
    last == 0 && shorter == from.root && longer == to.root
}

/// Goes up while the node is a left side without a right one, which takes no hash.
fn up_to_a_right_side(mut number: u64, mut last: u64) -> (u64, u64) {
    while number & 1 == 0 && number != 0 {
        number >>= 1;
        last >>= 1;
    }
    (number, last)
}

/// The tree of a log that is read from its beginning, or from where one was known.
///
/// It keeps the roots of the complete subtrees that the log falls into, from the largest to the smallest: one for each
/// bit that is set in the size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogRoot {
    size: u64,
    peaks: Vec<Hash>,
}

impl LogRoot {
    /// Goes on from a log of `size` entries. None if `peaks` are not as many as the size has, or the size is 2^63 or
    /// more. Compare [`LogRoot::root`] with a head that was verified before anything is built on it.
    pub fn from_peaks(size: u64, peaks: Vec<Hash>) -> Option<Self> {
        let fits = usize::try_from(size.count_ones()) == Ok(peaks.len());
        (fits && size < TOO_MANY).then_some(Self { size, peaks })
    }

    /// From the contents of a certified leaf: the size (LEB128), then the roots of the complete subtrees, 32 bytes each,
    /// from the largest to the smallest.
    ///
    /// Errors: [`VerifyError::LogHead`].
    pub fn from_leaf(contents: &[u8]) -> Result<Self, VerifyError> {
        let end = contents.iter().position(|byte| byte & 0x80 == 0);
        let (size, peaks) = end
            .and_then(|last| contents.split_at_checked(last + 1))
            .ok_or(VerifyError::LogHead)?;
        let size = leb128::decode(size).map_err(|_| VerifyError::LogHead)?;
        let (peaks, rest) = peaks.as_chunks();
        let root = Self::from_peaks(size, peaks.to_vec());
        root.filter(|_| rest.is_empty()).ok_or(VerifyError::LogHead)
    }

    /// Appends an entry.
    pub fn append(&mut self, entry: &Hash) {
        self.append_subtree(0, leaf(entry));
    }

    /// Appends the complete subtree over the next 2^`level` entries; the size is a multiple of that.
    pub(crate) fn append_subtree(&mut self, level: u32, root: Hash) {
        let mut complete = root;
        for _ in 0..(self.size >> level).trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                complete = inner(&left, &complete);
            }
        }
        self.peaks.push(complete);
        self.size += 1 << level;
    }

    /// How many entries there are.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Roots of the complete subtrees, from the largest to the smallest.
    pub fn peaks(&self) -> &[Hash] {
        &self.peaks
    }

    /// The root of the whole tree.
    pub fn root(&self) -> Hash {
        self.peaks
            .iter()
            .rev()
            .copied()
            .reduce(|right, left| inner(&left, &right))
            .unwrap_or_else(|| sha256::digest(&[]))
    }

    /// Root and size.
    pub fn head(&self) -> LogHead {
        LogHead {
            root: self.root(),
            size: self.size,
        }
    }
}

pub(crate) fn leaf(entry: &Hash) -> Hash {
    sha256::short::<1>(&[&[0], entry])
}

pub(crate) fn inner(left: &Hash, right: &Hash) -> Hash {
    sha256::short::<2>(&[&[1], left, right])
}
