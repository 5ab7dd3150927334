//! The file of organisations: what is registered, read and checked before anything is started.
//!
//! Format: CSV (RFC 4180) in UTF-8, with or without a byte order mark. The first record names the columns `slug`,
//! `name`, `kind`, `parent`, `sector`, `seat`, in any order; others are refused, so that no column is silently
//! ignored. `parent` is the slug of another row, before or after, or empty. Blank lines are skipped.
//!
//! Invariants
//! - All that the registry would refuse is refused here, with the line it stands on.
//! - Rows come in levels: the parent of each row is in an earlier level than the row.
//!
//! Cost: linear in the size of the file, which is at most [`MAX_FILE_BYTES`].

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use indus_api::{
    registry::{MAX_NAME_BYTES, MAX_SLUG_BYTES, OrganisationKind},
    text::{self, TextFault},
};
use thiserror::Error;

use crate::hierarchy::{self, Cycle};

/// Largest file that is read.
pub(crate) const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

const COLUMNS: [&str; 6] = ["slug", "name", "kind", "parent", "sector", "seat"];
const KINDS: [(&str, OrganisationKind); 5] = [
    ("agency", OrganisationKind::Agency),
    ("enterprise", OrganisationKind::Enterprise),
    ("startup", OrganisationKind::Startup),
    ("university", OrganisationKind::University),
    ("auditor", OrganisationKind::Auditor),
];

/// One row of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) slug: String,
    pub(crate) name: String,
    pub(crate) kind: OrganisationKind,
    /// Index of the parent's row.
    pub(crate) parent: Option<usize>,
    pub(crate) sector: String,
    pub(crate) seat: String,
}

/// The file's rows, and an order in which they can be registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Organisations {
    /// In the order of the file; at least one.
    pub(crate) rows: Vec<Row>,
    /// Indices of rows: those without a parent, those whose parents are in the first level, and so on.
    pub(crate) levels: Vec<Vec<usize>>,
}

/// Where in which file something is wrong.
#[derive(Debug, Error)]
#[error("{}{}: {fault}", path.display(), line.map(|line| format!(":{line}")).unwrap_or_default())]
pub(crate) struct CsvError {
    pub(crate) path: PathBuf,
    /// From 1; `None` if it is the file as a whole.
    pub(crate) line: Option<u64>,
    pub(crate) fault: CsvFault,
}

/// What is wrong with the file.
#[derive(Debug, Error)]
pub(crate) enum CsvFault {
    #[error("{0}")]
    Read(io::Error),
    #[error("larger than {MAX_FILE_BYTES} bytes")]
    TooLarge,
    #[error("the file is empty; its first line must be {}", COLUMNS.join(","))]
    Empty,
    #[error("no organisation follows the header")]
    NoRows,
    #[error("not UTF-8: byte {0:#04x}")]
    NotUtf8(u8),
    #[error("column {0} is missing; the columns are {names}", names = COLUMNS.join(", "))]
    MissingColumn(&'static str),
    #[error("unknown column {0:?}; the columns are {names}", names = COLUMNS.join(", "))]
    UnknownColumn(String),
    #[error("column {0} is there twice")]
    DuplicateColumn(&'static str),
    #[error("{found} fields instead of {expected}")]
    Fields { found: usize, expected: usize },
    #[error("{column} has {bytes} bytes; it {fault}")]
    Length {
        column: &'static str,
        bytes: usize,
        fault: TextFault,
    },
    #[error("{column} {value:?} {fault}")]
    Text {
        column: &'static str,
        value: String,
        fault: TextFault,
    },
    #[error("unknown kind {0:?}; the kinds are {names}", names = KINDS.map(|(name, _)| name).join(", "))]
    UnknownKind(String),
    #[error("slug {slug} is on line {first} already")]
    DuplicateSlug { slug: String, first: u64 },
    #[error("{slug} names the parent {parent}, which is in no row")]
    UnknownParent { slug: String, parent: String },
    #[error("a cycle of parents: {slugs}", slugs = .0.join(" -> "))]
    Cycle(Vec<String>),
    #[error("{0}")]
    Csv(String),
}

impl Organisations {
    /// Reads and checks `path`.
    pub(crate) fn load(path: &Path) -> Result<Self, CsvError> {
        read(path)
            .and_then(|bytes| parse(&bytes))
            .map_err(|Flaw { line, fault }| CsvError {
                path: path.into(),
                line,
                fault,
            })
    }
}

/// A fault and its line, before the file's name is known.
#[derive(Debug)]
struct Flaw {
    line: Option<u64>,
    fault: CsvFault,
}

fn whole(fault: CsvFault) -> Flaw {
    Flaw { line: None, fault }
}

fn at(line: u64, fault: CsvFault) -> Flaw {
    Flaw {
        line: Some(line),
        fault,
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Flaw> {
    let failed = |error| whole(CsvFault::Read(error));
    let mut bytes = Vec::new();
    File::open(path)
        .map_err(failed)?
        .take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(whole(CsvFault::TooLarge));
    }
    Ok(bytes)
}

/// A row whose parent is still a slug.
struct Draft {
    line: u64,
    parent: String,
    row: Row,
}

fn parse(bytes: &[u8]) -> Result<Organisations, Flaw> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let good = &bytes[..error.valid_up_to()];
        let line = 1 + good.iter().filter(|byte| **byte == b'\n').count() as u64;
        at(line, CsvFault::NotUtf8(bytes[good.len()]))
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    let mut records = reader.records();

    let header = records
        .next()
        .ok_or(whole(CsvFault::Empty))?
        .map_err(csv_flaw)?;
    let columns = columns(&header).map_err(|fault| at(line(&header), fault))?;
    let mut drafts = Vec::new();
    let mut lines = HashMap::new();
    for record in records {
        let record = record.map_err(csv_flaw)?;
        let line = line(&record);
        let draft = draft(&record, &columns, header.len()).map_err(|fault| at(line, fault))?;
        let slug = draft.row.slug.clone();
        if let Some((first, _)) = lines.insert(slug.clone(), (line, drafts.len())) {
            return Err(at(line, CsvFault::DuplicateSlug { slug, first }));
        }
        drafts.push(draft);
    }
    if drafts.is_empty() {
        return Err(whole(CsvFault::NoRows));
    }

    for draft in drafts.iter_mut().filter(|draft| !draft.parent.is_empty()) {
        let Some((_, parent)) = lines.get(&draft.parent) else {
            let (slug, parent) = (draft.row.slug.clone(), draft.parent.clone());
            return Err(at(draft.line, CsvFault::UnknownParent { slug, parent }));
        };
        draft.row.parent = Some(*parent);
    }
    let parents: Vec<_> = drafts.iter().map(|draft| draft.row.parent).collect();
    let levels = hierarchy::levels(&parents).map_err(|Cycle(rows)| {
        let line = drafts[rows[0]].line;
        let around = rows
            .iter()
            .chain([&rows[0]])
            .map(|row| drafts[*row].row.slug.clone());
        at(line, CsvFault::Cycle(around.collect()))
    })?;
    Ok(Organisations {
        rows: drafts.into_iter().map(|draft| draft.row).collect(),
        levels,
    })
}

fn line(record: &csv::StringRecord) -> u64 {
    record.position().map_or(1, csv::Position::line)
}

fn csv_flaw(error: csv::Error) -> Flaw {
    let line = error.position().map(csv::Position::line);
    Flaw {
        line,
        fault: CsvFault::Csv(error.to_string()),
    }
}

/// For each of [`COLUMNS`], its place in the file.
fn columns(header: &csv::StringRecord) -> Result<[usize; COLUMNS.len()], CsvFault> {
    let mut places = [None; COLUMNS.len()];
    for (place, name) in header.iter().enumerate() {
        let Some(column) = COLUMNS.iter().position(|column| *column == name) else {
            return Err(CsvFault::UnknownColumn(name.into()));
        };
        if places[column].replace(place).is_some() {
            return Err(CsvFault::DuplicateColumn(COLUMNS[column]));
        }
    }
    let mut found = [0; COLUMNS.len()];
    for (column, place) in places.into_iter().enumerate() {
        found[column] = place.ok_or(CsvFault::MissingColumn(COLUMNS[column]))?;
    }
    Ok(found)
}

fn draft(
    record: &csv::StringRecord,
    columns: &[usize; COLUMNS.len()],
    expected: usize,
) -> Result<Draft, CsvFault> {
    if record.len() != expected {
        return Err(CsvFault::Fields {
            found: record.len(),
            expected,
        });
    }
    let [slug, name, kind, parent, sector, seat] =
        columns.map(|place| record.get(place).unwrap_or_default());
    let Some((_, kind)) = KINDS.iter().find(|(name, _)| *name == kind) else {
        return Err(CsvFault::UnknownKind(kind.into()));
    };
    let row = Row {
        slug: checked("slug", slug, MAX_SLUG_BYTES, text::slug)?,
        name: checked("name", name, MAX_NAME_BYTES, text::name)?,
        kind: *kind,
        parent: None,
        sector: checked("sector", sector, MAX_NAME_BYTES, text::slug)?,
        seat: checked("seat", seat, MAX_NAME_BYTES, text::name)?,
    };
    let line = line(record);
    Ok(Draft {
        line,
        parent: parent.into(),
        row,
    })
}

/// The value of a column, if the registry's rule for it is kept.
fn checked(
    column: &'static str,
    value: &str,
    limit: usize,
    rule: fn(&str, usize) -> Result<(), TextFault>,
) -> Result<String, CsvFault> {
    rule(value, limit)
        .map(|()| value.into())
        .map_err(|fault| match fault {
            // Too long to show.
            TextFault::Length { .. } => CsvFault::Length {
                column,
                bytes: value.len(),
                fault,
            },
            _ => CsvFault::Text {
                column,
                value: value.into(),
                fault,
            },
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEADER: &str = "slug,name,kind,parent,sector,seat\n";

    fn fault(text: impl AsRef<[u8]>) -> String {
        let Flaw { line, fault } = parse(text.as_ref()).unwrap_err();
        CsvError {
            path: PathBuf::from("F"),
            line,
            fault,
        }
        .to_string()
    }

    fn rows(text: &str) -> String {
        format!("{HEADER}{text}")
    }

    #[test]
    fn a_row_may_come_before_its_parent() {
        let read =
            parse(rows("b,B,startup,a,it,Lahore\na,A,agency,,it,Quetta\n").as_bytes()).unwrap();
        assert_eq!(read.rows[0].parent, Some(1));
        assert_eq!(read.rows[1].parent, None);
        assert_eq!(read.levels, [vec![1], vec![0]]);
    }

    #[test]
    fn columns_may_come_in_any_order() {
        let text = "seat,sector,parent,kind,name,slug\nLahore,it,,university,\"A, B\",x-1\n";
        let expected = Row {
            slug: String::from("x-1"),
            name: String::from("A, B"),
            kind: OrganisationKind::University,
            parent: None,
            sector: String::from("it"),
            seat: String::from("Lahore"),
        };
        assert_eq!(parse(text.as_bytes()).unwrap().rows, [expected]);
    }

    #[test]
    fn a_byte_order_mark_windows_line_ends_and_blank_lines_are_accepted() {
        let plain = parse(rows("a,A,agency,,it,Quetta\n").as_bytes()).unwrap();
        let marked = format!(
            "\u{feff}{}",
            rows("\r\na,A,agency,,it,Quetta").replace('\n', "\r\n")
        );
        assert_eq!(parse(marked.as_bytes()).unwrap(), plain);
    }

    #[test]
    fn a_file_without_rows_is_refused() {
        let expected =
            "F: the file is empty; its first line must be slug,name,kind,parent,sector,seat";
        for empty in ["", "\n\n", "\u{feff}"] {
            assert_eq!(fault(empty), expected);
        }
        assert_eq!(fault(HEADER), "F: no organisation follows the header");
    }

    #[test]
    fn wrong_columns_are_named() {
        let columns = "the columns are slug, name, kind, parent, sector, seat";
        assert_eq!(
            fault("slug,name,kind,parent,sector\n"),
            format!("F:1: column seat is missing; {columns}")
        );
        assert_eq!(
            fault("slug,nom\n"),
            format!("F:1: unknown column \"nom\"; {columns}")
        );
        assert_eq!(fault("slug,slug\n"), "F:1: column slug is there twice");
    }

    #[test]
    fn bytes_that_are_not_utf8_are_refused_with_their_line() {
        let mut text = rows("a,A,agency,,it,Quetta\nb,").into_bytes();
        text.extend(b"\xe9,agency,,it,Quetta\n");
        assert_eq!(fault(text), "F:3: not UTF-8: byte 0xe9");
    }

    #[test]
    fn every_bad_field_is_named_with_its_line() {
        let long = "x".repeat(101);
        for (row, message) in [
            ("a,A,agency,,it", "5 fields instead of 6"),
            ("a,A,agency,,it,Quetta,", "7 fields instead of 6"),
            (
                ",A,agency,,it,Quetta",
                "slug has 0 bytes; it must be 1 to 64 bytes long",
            ),
            (
                "a,,agency,,it,Quetta",
                "name has 0 bytes; it must be 1 to 100 bytes long",
            ),
            (
                "a,A,agency,,it,",
                "seat has 0 bytes; it must be 1 to 100 bytes long",
            ),
            (
                "a,A,agency,,,Quetta",
                "sector has 0 bytes; it must be 1 to 100 bytes long",
            ),
            (
                "A,A,agency,,it,Quetta",
                "slug \"A\" must be a-z, 0-9 and single hyphens between them",
            ),
            (
                "a--b,A,agency,,it,Quetta",
                "slug \"a--b\" must be a-z, 0-9 and single hyphens between them",
            ),
            (
                "a-,A,agency,,it,Quetta",
                "slug \"a-\" must be a-z, 0-9 and single hyphens between them",
            ),
            (
                "a,A,agency,,I T,Quetta",
                "sector \"I T\" must be a-z, 0-9 and single hyphens between them",
            ),
            (
                "a,A, agency,,it,Quetta",
                "unknown kind \" agency\"; the kinds are agency, enterprise, startup, university, auditor",
            ),
            (
                "a,A\u{7},agency,,it,Quetta",
                "name \"A\\u{7}\" must not hold control characters or directional overrides",
            ),
            (
                "a,\"A\nB\",agency,,it,Quetta",
                "name \"A\\nB\" must not hold control characters or directional overrides",
            ),
            (
                "a,\u{202e}A,agency,,it,Quetta",
                "name \"\\u{202e}A\" must not hold control characters or directional overrides",
            ),
            (
                "a,A,agency,,it, Quetta",
                "seat \" Quetta\" must not start or end with white space",
            ),
            (
                &format!("{long},A,agency,,it,Quetta"),
                "slug has 101 bytes; it must be 1 to 64 bytes long",
            ),
            (
                &format!("a,{long},agency,,it,Quetta"),
                "name has 101 bytes; it must be 1 to 100 bytes long",
            ),
            (
                &format!("a,A,agency,,{long},Quetta"),
                "sector has 101 bytes; it must be 1 to 100 bytes long",
            ),
            (
                &format!("a,A,agency,,it,{long}"),
                "seat has 101 bytes; it must be 1 to 100 bytes long",
            ),
        ] {
            assert_eq!(
                fault(rows(&format!("z,Z,agency,,it,Quetta\n{row}\n"))),
                format!("F:3: {message}")
            );
        }
    }

    #[test]
    fn a_slug_that_is_there_twice_is_refused_with_both_lines() {
        let text =
            rows("a,A,agency,,it,Quetta\n\"b\",B,agency,,it,Quetta\na,C,agency,,it,Quetta\n");
        assert_eq!(fault(text), "F:4: slug a is on line 2 already");
    }

    #[test]
    fn an_unknown_parent_is_refused() {
        assert_eq!(
            fault(rows("a,A,agency,nobody,it,Quetta\n")),
            "F:2: a names the parent nobody, which is in no row"
        );
    }

    #[test]
    fn a_cycle_is_shown() {
        let text =
            rows("r,R,agency,,it,Q\na,A,agency,c,it,Q\nb,B,agency,a,it,Q\nc,C,agency,b,it,Q\n");
        assert_eq!(fault(text), "F:3: a cycle of parents: a -> c -> b -> a");
        assert_eq!(
            fault(rows("a,A,agency,a,it,Q\n")),
            "F:2: a cycle of parents: a -> a"
        );
    }

    #[test]
    fn a_missing_file_and_a_folder_are_refused() {
        let error = Organisations::load(Path::new("/nonexistent.csv"))
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("/nonexistent.csv: No such file or directory"),
            "{error}"
        );
        let error = Organisations::load(Path::new("/")).unwrap_err().to_string();
        assert!(error.starts_with("/: Is a directory"), "{error}");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = parse(&bytes);
            let _ = parse(&[HEADER.as_bytes(), &bytes].concat());
        }

        #[test]
        fn what_is_accepted_is_within_the_registrys_limits(
            fields in proptest::collection::vec("[a-zA-Z0-9 \u{e9}-]{0,110}", 3),
        ) {
            let [slug, name, seat] = [0, 1, 2].map(|field: usize| fields[field].as_str());
            if let Ok(read) = parse(rows(&format!("{slug},{name},startup,,it,{seat}\n")).as_bytes()) {
                prop_assert!((1..=MAX_SLUG_BYTES).contains(&read.rows[0].slug.len()));
                prop_assert!((1..=MAX_NAME_BYTES).contains(&read.rows[0].name.len()));
                prop_assert_eq!((&read.rows[0].name, &read.rows[0].seat), (&name.into(), &seat.into()));
            }
        }
    }
}
