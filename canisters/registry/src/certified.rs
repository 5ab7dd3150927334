//! The certified tree: what the subnet signs for this canister.
//!
//! ```text
//! data ── organisations ─┬─ id 1 (u64, big-endian) ── leaf: the exact stored bytes of organisation 1
//!                        ├─ id 2 ── …
//! ```
//!
//! The tree holds the hash of each leaf; the bytes live once, in stable memory, and are put into a witness when one
//! is asked for. It is on the heap, and rebuilt from the stored records when the state is opened: O(n), which is why a
//! certified map in stable memory will take its place behind this same interface.
//!
//! Invariants: a tree rebuilt from the records has the same root as the one that grew with them (records are only
//! appended in the order of their ids, or changed in place, so both have the same shape). A witness hashes to the root.
//!
//! Cost: a change and a path of a witness are O(log n) hashes.

use ic_certified_map::{AsHashTree, Hash, HashTree, RbTree, leaf_hash};
use indus_api::{
    Error,
    certified::{MAX_LABEL_BYTES, MAX_PATH_LABELS, MAX_PATHS},
    registry::{DATA, ORGANISATIONS, organisation_key},
};
use indus_kit::text::invalid;
use serde_bytes::ByteBuf;
// `HashTree` serializes through the trait of the serde that the CBOR serializer is built on.
use serde::Serialize as _;

/// The root hash of a certified tree: 32 bytes, what `certified_data_set` takes.
pub type RootHash = [u8; 32];

/// Code of [`Error::Internal`]: a witness could not be encoded.
const WITNESS_NOT_ENCODED: u32 = 1;

type Organisations = RbTree<[u8; 8], LeafHash>;
type Collections = RbTree<&'static str, Organisations>;

/// Certifies the stored records.
pub struct CertifiedRecords {
    root: RbTree<&'static str, Collections>,
}

/// Stands for a leaf whose bytes are in stable memory.
struct LeafHash(Hash);

impl AsHashTree for LeafHash {
    fn root_hash(&self) -> Hash {
        self.0
    }

    fn as_hash_tree(&self) -> HashTree<'_> {
        HashTree::Pruned(self.0)
    }
}

impl CertifiedRecords {
    /// Certifies that there are no records.
    #[must_use]
    pub fn new() -> Self {
        let mut collections = Collections::new();
        collections.insert(ORGANISATIONS, Organisations::new());
        let mut root = RbTree::new();
        root.insert(DATA, collections);
        Self { root }
    }

    /// Certifies `record` as the bytes of organisation `id`.
    pub fn set(&mut self, id: u64, record: &[u8]) {
        let leaf = LeafHash(leaf_hash(record));
        self.root.modify(DATA.as_bytes(), |collections| {
            collections.modify(ORGANISATIONS.as_bytes(), |organisations| {
                organisations.insert(organisation_key(id), leaf);
            });
        });
    }

    /// What the subnet has to certify.
    #[must_use]
    pub fn root(&self) -> RootHash {
        self.root.root_hash()
    }

    /// The CBOR of one hash tree (IC interface specification, "Certification", with the self-describing tag 55799) that
    /// shows the leaf at each of `paths`, or that there is none. `record` gives the stored bytes of an organisation.
    ///
    /// # Errors
    /// [`Error::LimitReached`] for too many paths; [`Error::Invalid`] for none at all, for a path or a label that is too
    /// long, and for a path that ends above the records.
    pub fn witness(
        &self,
        paths: &[Vec<ByteBuf>],
        record: impl Fn(u64) -> Option<Vec<u8>>,
    ) -> Result<Vec<u8>, Error> {
        check(paths)?;
        let tree = paths
            .iter()
            .map(|path| self.path_witness(path, &record))
            .reduce(merge)
            .unwrap_or_else(|| HashTree::Pruned(self.root()));
        let mut serializer = serde_cbor::Serializer::new(Vec::new());
        serializer
            .self_describe()
            .and_then(|()| tree.serialize(&mut serializer))
            .map_err(|_| Error::Internal {
                code: WITNESS_NOT_ENCODED,
            })?;
        Ok(serializer.into_inner())
    }

    /// The witness of one path that [`check`] accepted.
    fn path_witness<'a>(
        &'a self,
        path: &[ByteBuf],
        record: &impl Fn(u64) -> Option<Vec<u8>>,
    ) -> HashTree<'a> {
        let label = |at: usize| path.get(at).map_or(&[][..], |label| label.as_slice());
        self.root.nested_witness(label(0), |collections| {
            collections.nested_witness(label(1), |organisations| {
                organisations.nested_witness(label(2), |leaf| {
                    let id = <[u8; 8]>::try_from(label(2)).map(u64::from_be_bytes);
                    // A path that goes on below a leaf is absent, and the leaf is the proof.
                    match id.ok().and_then(record) {
                        Some(bytes) => HashTree::Leaf(bytes.into()),
                        None => leaf.as_hash_tree(),
                    }
                })
            })
        })
    }
}

impl Default for CertifiedRecords {
    fn default() -> Self {
        Self::new()
    }
}

/// Refuses what is too large to answer, or too short to name a record.
fn check(paths: &[Vec<ByteBuf>]) -> Result<(), Error> {
    if paths.is_empty() {
        return Err(invalid("paths", "must name at least one record"));
    }
    if paths.len() > MAX_PATHS {
        return Err(Error::LimitReached {
            limit: MAX_PATHS as u64,
            what: "paths in one read".into(),
        });
    }
    for (index, path) in paths.iter().enumerate() {
        if path.len() > MAX_PATH_LABELS {
            return Err(invalid(
                "paths",
                format!("path {index} has more than {MAX_PATH_LABELS} labels"),
            ));
        }
        if path.iter().any(|label| label.len() > MAX_LABEL_BYTES) {
            let reason = format!("path {index} has a label longer than {MAX_LABEL_BYTES} bytes");
            return Err(invalid("paths", reason));
        }
        let collection = [DATA, ORGANISATIONS];
        let above = path.len() <= collection.len()
            && path
                .iter()
                .zip(collection)
                .all(|(label, name)| label.as_slice() == name.as_bytes());
        if above {
            return Err(invalid(
                "paths",
                format!("path {index} ends above the records"),
            ));
        }
    }
    Ok(())
}

/// Joins two witnesses of one tree: shows whatever either of them shows.
///
/// Both were cut from the same tree, so where both show something, it is the same.
fn merge<'a>(left: HashTree<'a>, right: HashTree<'a>) -> HashTree<'a> {
    match (left, right) {
        (HashTree::Pruned(_), shown) | (shown, HashTree::Pruned(_)) => shown,
        (HashTree::Fork(left), HashTree::Fork(right)) => {
            let ((a, b), (c, d)) = (*left, *right);
            HashTree::Fork(Box::new((merge(a, c), merge(b, d))))
        }
        (HashTree::Labeled(label, left), HashTree::Labeled(_, right)) => {
            HashTree::Labeled(label, Box::new(merge(*left, *right)))
        }
        (shown, _) => shown,
    }
}
