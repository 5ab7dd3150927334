//! What is inserted into the code of a module, so that its instructions can be counted exactly and the engine
//! learns of changes that it could not see otherwise.
//!
//! ```text
//!   operator                     inserted before it              the engine's weight   together
//!   memory.grow                  45 nop                          255                   300
//!   table.grow                   mark, 42 nop                    255                   300
//!   data.drop, elem.drop         mark, mark as dropped, 39 nop   255                   300
//!   table.set                    mark                            2                     5
//!   table.fill, .copy, .init     mark                            97                    100 (+ 1 an element)
//! ```
//!
//! wasmtime's weights end at 255, hence the `nop`s, which weigh 1 and do nothing. A *mark* is `i32.const 1,
//! global.set`, which weighs 3: it says that a table or a segment may have changed since the last commit, so
//! that all other messages need not look. Functions without such an operator are copied byte by byte.

use std::collections::BTreeMap;

use wasmparser::{BinaryReaderError, FunctionBody, Operator};

use crate::sections::leb128;

const NOP: u8 = 0x01;

/// A segment that code drops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Segment {
    Data(u32),
    Element(u32),
}

impl Segment {
    /// How its exports are named.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Data(index) => format!("data {index}"),
            Self::Element(index) => format!("element {index}"),
        }
    }

    /// The operator that drops it, encoded.
    pub(crate) fn drop(self) -> Vec<u8> {
        let (operator, index) = match self {
            Self::Data(index) => (9, index),
            Self::Element(index) => (13, index),
        };
        let mut bytes = vec![0xfc, operator];
        leb128(&mut bytes, index);
        bytes
    }
}

/// What is to be inserted where.
enum Insert {
    Nops,
    Mark { nops: usize },
    Drop(Segment),
}

/// An operator to insert before.
struct Site {
    /// Offset in the module.
    at: usize,
    insert: Insert,
}

/// Globals that the marks write.
#[derive(Default)]
pub(crate) struct Marks {
    /// A table or a segment has changed.
    pub(crate) changed: u32,
    /// This segment was dropped.
    pub(crate) dropped: BTreeMap<Segment, u32>,
}

/// The operators of a module that something is inserted before.
#[derive(Default)]
pub(crate) struct Sites<'a> {
    /// Each function of the code section, with its sites.
    functions: Vec<(FunctionBody<'a>, Vec<Site>)>,
    /// Code changes a table or drops a segment.
    pub(crate) marks: bool,
    /// Segments that code drops, in order.
    pub(crate) drops: BTreeMap<Segment, ()>,
}

/// What is to be inserted before an operator, if anything is.
fn insert(operator: &Operator<'_>) -> Option<Insert> {
    Some(match operator {
        Operator::MemoryGrow { .. } => Insert::Nops,
        Operator::TableGrow { .. } => Insert::Mark { nops: 42 },
        Operator::TableSet { .. }
        | Operator::TableFill { .. }
        | Operator::TableCopy { .. }
        | Operator::TableInit { .. } => Insert::Mark { nops: 0 },
        Operator::DataDrop { data_index } => Insert::Drop(Segment::Data(*data_index)),
        Operator::ElemDrop { elem_index } => Insert::Drop(Segment::Element(*elem_index)),
        _ => return None,
    })
}

/// Whether something is inserted before this operator.
pub(crate) fn is_site(operator: &Operator<'_>) -> bool {
    insert(operator).is_some()
}

impl<'a> Sites<'a> {
    /// Looks through the next function.
    pub(crate) fn add(&mut self, body: FunctionBody<'a>) -> Result<(), BinaryReaderError> {
        let mut sites = Vec::new();
        let mut operators = body.get_operators_reader()?;
        while !operators.eof() {
            let (operator, at) = operators.read_with_offset()?;
            let Some(insert) = insert(&operator) else {
                continue;
            };
            self.marks |= !matches!(insert, Insert::Nops);
            if let Insert::Drop(segment) = insert {
                self.drops.insert(segment, ());
            }
            sites.push(Site { at, insert });
        }
        self.functions.push((body, sites));
        Ok(())
    }

    /// Takes the next function as it is.
    pub(crate) fn keep(&mut self, body: FunctionBody<'a>) {
        self.functions.push((body, Vec::new()));
    }

    /// Functions that were added.
    pub(crate) fn len(&self) -> usize {
        self.functions.len()
    }

    /// Whether any function changes.
    pub(crate) fn is_empty(&self) -> bool {
        self.functions.iter().all(|(_, sites)| sites.is_empty())
    }

    /// The bodies, each with its size in front, as the code section holds them.
    pub(crate) fn encode(&self, wasm: &[u8], marks: &Marks) -> Vec<u8> {
        let mut section = Vec::new();
        for (body, sites) in &self.functions {
            let range = body.range();
            let mut bytes = Vec::with_capacity(range.len() + 64 * sites.len());
            let mut from = range.start;
            for site in sites {
                bytes.extend_from_slice(&wasm[from..site.at]);
                site.insert.encode(&mut bytes, marks);
                from = site.at;
            }
            bytes.extend_from_slice(&wasm[from..range.end]);
            sized(&mut section, &bytes);
        }
        section
    }
}

impl Insert {
    fn encode(&self, bytes: &mut Vec<u8>, marks: &Marks) {
        let nops = match self {
            Self::Nops => 45,
            Self::Mark { nops } => {
                mark(bytes, marks.changed);
                *nops
            }
            Self::Drop(segment) => {
                mark(bytes, marks.changed);
                mark(
                    bytes,
                    marks.dropped.get(segment).copied().unwrap_or(marks.changed),
                );
                39
            }
        };
        bytes.extend(std::iter::repeat_n(NOP, nops));
    }
}

/// `i32.const 1, global.set`.
fn mark(bytes: &mut Vec<u8>, global: u32) {
    bytes.extend([0x41, 1, 0x24]);
    leb128(bytes, global);
}

/// A function that drops a segment, with its size in front.
pub(crate) fn dropper(section: &mut Vec<u8>, segment: Segment) {
    // No locals; the operator; end.
    let mut body = vec![0];
    body.extend(segment.drop());
    body.push(0x0b);
    sized(section, &body);
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "a function is far smaller than 4 GiB, since its module is"
)]
fn sized(section: &mut Vec<u8>, body: &[u8]) {
    leb128(section, body.len() as u32);
    section.extend_from_slice(body);
}
