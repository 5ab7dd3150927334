//! Reads with proof, and reads of the log.
//!
//! A witness is one tree from the root down, pruned to what was asked for. Whether the bytes of a record are shown is the
//! collection's rule, asked for each record; its key and the hash of its leaf are anybody's.

use std::collections::{BTreeMap, BTreeSet};

use candid::Nat;
use ic_stable_structures::Memory;
use indus_api::{
    Error, Subject,
    audit::{LAST_BLOCK_HASH, LAST_BLOCK_INDEX, LOG, LogProof, MAX_BLOCKS},
    certified::{CertifiedListArgs, MAX_LABEL_BYTES, MAX_LIST, MAX_PATH_LABELS, MAX_PATHS},
    icrc3::{BlockWithId, GetBlocksArgs, GetBlocksResult},
    signatures::{SIG, SIGNATURES, seed_hash},
};
use indus_certified::{Encoder, Hash, Request};
use serde_bytes::ByteBuf;

use super::{Certified, Collection, DATA, HTTP_EXPR, stored_block};
use crate::{codes, subjects::ReadRule, text::invalid};

/// Most ranges in one call of `icrc3_get_blocks`.
const MAX_BLOCK_RANGES: usize = 100;

/// What a witness shows.
#[derive(Default)]
struct Asked<'a> {
    /// Labels of the root.
    root: BTreeSet<&'a [u8]>,
    /// Labels below `data`, and what of each collection; nothing shows its root hash.
    collections: BTreeMap<&'a [u8], Vec<Request<'a>>>,
    /// Keys below `sig`, of which there is one tree.
    signatures: Vec<Request<'a>>,
    /// The encoded tree below `http_expr`.
    http_expr: Option<&'a [u8]>,
}

impl<M: Memory> Certified<M> {
    /// The witness of `certified_read`: the record at each of `paths`, or that there is none.
    ///
    /// # Errors
    /// [`Error::LimitReached`] for too many paths; [`Error::Invalid`] for none at all, for a path or a label that is too
    /// long, and for a path that ends above the records; [`Error::Unauthorized`] for a record that `reader` may not see.
    pub fn witness_of_paths(
        &self,
        paths: &[Vec<ByteBuf>],
        reader: Option<&Subject>,
    ) -> Result<Vec<u8>, Error> {
        check_paths(paths)?;
        let mut asked = Asked::default();
        for (index, path) in paths.iter().enumerate() {
            let labels: Vec<&[u8]> = path.iter().map(|label| &label[..]).collect();
            match labels[..] {
                [] | [_] if labels.first().is_none_or(|label| *label == DATA.as_bytes()) => {
                    return Err(invalid(
                        "paths",
                        format!("path {index} ends above the records"),
                    ));
                }
                [label, ..] if label == HTTP_EXPR.as_bytes() => {
                    let reason = format!("path {index} is of pages: http_request proves them");
                    return Err(invalid("paths", reason));
                }
                [label, ref rest @ ..] if label == SIG.as_bytes() => {
                    asked.root.insert(label);
                    if self.named(SIGNATURES.as_bytes()).is_none() {
                        continue;
                    }
                    let [seed, message, ..] = *rest else {
                        let reason = format!("path {index} ends above the signatures");
                        return Err(invalid("paths", reason));
                    };
                    if seed == seed_hash() {
                        asked.signatures.push(Request::Key(message));
                    }
                }
                [data, name, ref rest @ ..] if data == DATA.as_bytes() => {
                    asked.root.insert(data);
                    let requests = asked.collections.entry(name).or_default();
                    let Some(collection) = self.named(name) else {
                        continue;
                    };
                    let [key, ..] = *rest else {
                        let reason = format!("path {index} ends above the records");
                        return Err(invalid("paths", reason));
                    };
                    if collection
                        .get(key)
                        .is_some_and(|record| !collection.may_read(&record, reader))
                    {
                        return Err(Error::Unauthorized {
                            needs: collection.spec().rule.needs(),
                        });
                    }
                    requests.push(Request::Key(key));
                }
                ref labels => {
                    asked.root.extend(labels.first());
                }
            }
        }
        self.encode(&asked, reader)
    }

    /// Whether it matters who reads what is at `paths`, so that they have to be known.
    #[must_use]
    pub fn is_restricted(&self, paths: &[Vec<ByteBuf>]) -> bool {
        paths.iter().filter_map(|path| path.get(1)).any(|name| {
            self.named(name)
                .is_some_and(|collection| collection.spec().rule != ReadRule::Public)
        })
    }

    /// The witness of `certified_list`: a page of one collection, with nothing left out. Records that `reader` may not see
    /// are shown without their bytes.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the collection; [`Error::Invalid`] for the key or the limit.
    pub fn witness_of_list(
        &self,
        args: &CertifiedListArgs,
        reader: Option<&Subject>,
    ) -> Result<Vec<u8>, Error> {
        let CertifiedListArgs {
            collection,
            after,
            limit,
        } = args;
        if !(1..=MAX_LIST).contains(limit) {
            return Err(invalid("limit", format!("must be 1 to {MAX_LIST}")));
        }
        let found = self
            .named(collection.as_bytes())
            .ok_or_else(|| Error::NotFound {
                what: "collection".into(),
                id: collection.chars().take(MAX_LABEL_BYTES).collect(),
            })?;
        let key_bytes = found.spec().key_bytes;
        if after.as_ref().is_some_and(|after| after.len() != key_bytes) {
            return Err(invalid("after", format!("must be {key_bytes} bytes long")));
        }
        let page = Request::Range {
            after: after.as_ref().map(|after| &after[..]),
            until: None,
            limit: usize::try_from(*limit).unwrap_or_default(),
        };
        let asked = Asked {
            // With the head of the log, so that pages read at different times can be rolled forward to one head.
            root: BTreeSet::from([DATA.as_bytes(), LOG.as_bytes()]),
            collections: BTreeMap::from([(collection.as_bytes(), vec![page])]),
            ..Asked::default()
        };
        self.encode(&asked, reader)
    }

    /// The witness of `log_head`: the head of the log, the last block, and the root of each collection at that size, that of the
    /// signatures at both of its places.
    ///
    /// # Errors
    /// [`Error::Internal`] while something is uncommitted.
    pub fn witness_of_head(&self) -> Result<Vec<u8>, Error> {
        let labels = [DATA, LAST_BLOCK_HASH, LAST_BLOCK_INDEX, LOG, SIG].map(str::as_bytes);
        let names = self
            .collections
            .iter()
            .map(|collection| collection.spec().name);
        let asked = Asked {
            root: BTreeSet::from(labels),
            collections: names.map(|name| (name.as_bytes(), Vec::new())).collect(),
            ..Asked::default()
        };
        self.encode(&asked, None)
    }

    /// The witness of `icrc3_get_tip_certificate`; none before the first block.
    ///
    /// # Errors
    /// [`Error::Internal`] while something is uncommitted.
    pub fn witness_of_tip(&self) -> Result<Option<Vec<u8>>, Error> {
        if self.tip.is_none() {
            return Ok(None);
        }
        let asked = Asked {
            root: BTreeSet::from([LAST_BLOCK_HASH, LAST_BLOCK_INDEX].map(str::as_bytes)),
            ..Asked::default()
        };
        self.encode(&asked, None).map(Some)
    }

    /// The witness of a page: the tree with `subtree` below `http_expr`.
    ///
    /// # Errors
    /// [`Error::Internal`] while something is uncommitted.
    pub fn witness_of_http(&self, subtree: &[u8]) -> Result<Vec<u8>, Error> {
        let asked = Asked {
            root: BTreeSet::from([HTTP_EXPR.as_bytes()]),
            http_expr: Some(subtree),
            ..Asked::default()
        };
        self.encode(&asked, None)
    }

    /// RFC 9162 proof that block `index` is in the log of `size` blocks.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an index or a size that there isn't.
    pub fn log_inclusion_proof(&self, index: u64, size: u64) -> Result<LogProof, Error> {
        self.check_size("size", size)?;
        self.log
            .inclusion(index, size)
            .map(proof)
            .map_err(|_| invalid("index", "must be below size"))
    }

    /// RFC 9162 proof that the log of `to` blocks begins with that of `from`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for sizes that there aren't, or that go backwards.
    pub fn log_consistency_proof(&self, from: u64, to: u64) -> Result<LogProof, Error> {
        self.check_size("to", to)?;
        if !(1..=to).contains(&from) {
            return Err(invalid("from", "must be 1 to the other size"));
        }
        let hashes = self.log.consistency(from, to);
        hashes
            .map(proof)
            .map_err(|_| codes::internal(codes::BLOCK_UNREADABLE))
    }

    /// The blocks of these ranges that there are, [`MAX_BLOCKS`] at most.
    ///
    /// # Errors
    /// [`Error::LimitReached`] for too many ranges; [`Error::Internal`] for a block that can't be read.
    pub fn blocks(&self, ranges: &[GetBlocksArgs]) -> Result<GetBlocksResult, Error> {
        if ranges.len() > MAX_BLOCK_RANGES {
            return Err(Error::LimitReached {
                limit: MAX_BLOCK_RANGES as u64,
                what: "ranges in one call".into(),
            });
        }
        let length = self.log.len();
        let number = |nat: &Nat| u64::try_from(&nat.0).unwrap_or(u64::MAX);
        let mut left = MAX_BLOCKS;
        let mut blocks = Vec::new();
        for range in ranges {
            let start = number(&range.start);
            let end = start
                .saturating_add(number(&range.length))
                .min(length)
                .min(start.saturating_add(left));
            for index in start..end {
                let block = stored_block(&self.log, index)
                    .ok_or_else(|| codes::internal(codes::BLOCK_UNREADABLE))?;
                blocks.push(BlockWithId {
                    id: Nat::from(index),
                    block: block.to_value(),
                });
            }
            left -= end.saturating_sub(start);
        }
        Ok(GetBlocksResult {
            log_length: Nat::from(length),
            blocks,
            archived_blocks: Vec::new(),
        })
    }

    fn check_size(&self, field: &str, size: u64) -> Result<(), Error> {
        let blocks = self.log.len();
        if (1..=blocks).contains(&size) {
            return Ok(());
        }
        Err(invalid(
            field,
            format!("must be 1 to {blocks}, the blocks that there are"),
        ))
    }

    pub(super) fn named(&self, name: &[u8]) -> Option<&Collection<M>> {
        self.collections
            .iter()
            .find(|collection| collection.spec().name.as_bytes() == name)
    }

    fn encode(&self, asked: &Asked<'_>, reader: Option<&Subject>) -> Result<Vec<u8>, Error> {
        if !self.committed {
            return Err(codes::internal(codes::UNCOMMITTED));
        }
        let mut encoder = Encoder::new();
        let root: Vec<&[u8]> = asked.root.iter().copied().collect();
        let names: Vec<&[u8]> = asked.collections.keys().copied().collect();
        let mut collection = |name: &'static str, encoder: &mut Encoder| -> Result<(), Error> {
            let requests = asked.collections.get(name.as_bytes());
            match (self.named(name.as_bytes()), requests) {
                (Some(collection), Some(requests)) if !requests.is_empty() => {
                    collection.witness(requests, reader, encoder)?;
                }
                (Some(collection), _) => encoder.pruned(&collection.root_hash()),
                (None, _) => encoder.empty(),
            }
            Ok(())
        };
        let leaves = self.log_leaves();
        let mut below = |label: &'static str, encoder: &mut Encoder| -> Result<(), Error> {
            if label == DATA {
                return self.data.witness(&names, &mut collection, encoder);
            }
            if let (SIG, Some(signatures)) = (label, self.named(SIGNATURES.as_bytes())) {
                encoder.labeled(&seed_hash());
                if asked.signatures.is_empty() {
                    encoder.pruned(&signatures.root_hash());
                    return Ok(());
                }
                return signatures.witness(&asked.signatures, reader, encoder);
            }
            if let (HTTP_EXPR, Some(subtree)) = (label, asked.http_expr) {
                encoder.encoded(subtree);
            }
            for (name, leaf) in &leaves {
                if *name == label {
                    encoder.leaf(leaf);
                }
            }
            Ok(())
        };
        self.root.witness(&root, &mut below, &mut encoder)?;
        Ok(encoder.finish())
    }
}

/// Refuses what is too large to answer.
fn check_paths(paths: &[Vec<ByteBuf>]) -> Result<(), Error> {
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
            let reason = format!("path {index} has more than {MAX_PATH_LABELS} labels");
            return Err(invalid("paths", reason));
        }
        if path.iter().any(|label| label.len() > MAX_LABEL_BYTES) {
            let reason = format!("path {index} has a label longer than {MAX_LABEL_BYTES} bytes");
            return Err(invalid("paths", reason));
        }
    }
    Ok(())
}

fn proof(hashes: Vec<Hash>) -> LogProof {
    LogProof {
        hashes: hashes
            .into_iter()
            .map(|hash| ByteBuf::from(hash.to_vec()))
            .collect(),
    }
}
