//! The file of sites: data centres, and how many nodes each has. What it says is illustrative: no real assignment is public.
//!
//! Format: CSV (RFC 4180) with the columns `site`, `city`, `country`, `operator`, `nodes`.
//!
//! Invariant: all that the registry would refuse of a site is refused here, with the line it stands on.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use indus_api::registry::residency::{MAX_NODES, MAX_SITES};
use indus_api::registry::{MAX_NAME_BYTES, MAX_SLUG_BYTES, Site};
use indus_api::text::{self, TextFault};
use serde::Deserialize;
use thiserror::Error;

/// Largest file that is read.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// One row of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) site: Site,
    pub(crate) nodes: u32,
}

/// The file's rows, in its order; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sites {
    pub(crate) rows: Vec<Row>,
}

/// Where in which file something is wrong.
#[derive(Debug, Error)]
#[error("{}{}: {fault}", path.display(), line.map(|line| format!(":{line}")).unwrap_or_default())]
pub(crate) struct SitesError {
    path: PathBuf,
    line: Option<u64>,
    fault: Fault,
}

#[derive(Debug, Error)]
enum Fault {
    #[error("{0}")]
    Read(#[from] io::Error),
    #[error("larger than {MAX_FILE_BYTES} bytes")]
    TooLarge,
    #[error("{0}")]
    Csv(String),
    #[error("there is no site")]
    NoRows,
    #[error("{column} {fault}")]
    Text {
        column: &'static str,
        fault: TextFault,
    },
    #[error("country must be two capitals (ISO 3166-1 alpha-2)")]
    Country,
    #[error("site {0} is there twice")]
    Duplicate(String),
    #[error("more than {limit} {what}")]
    TooMany { limit: u64, what: &'static str },
}

/// A row as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    site: String,
    city: String,
    country: String,
    operator: String,
    nodes: u32,
}

impl Sites {
    /// Reads and checks `path`.
    pub(crate) fn load(path: &Path) -> Result<Self, SitesError> {
        let error = |(line, fault)| SitesError {
            path: path.into(),
            line,
            fault,
        };
        read(path)
            .map_err(|fault| (None, fault))
            .and_then(|bytes| parse(&bytes))
            .map_err(error)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(Fault::TooLarge);
    }
    Ok(bytes)
}

fn parse(bytes: &[u8]) -> Result<Sites, (Option<u64>, Fault)> {
    let mut reader = csv::Reader::from_reader(bytes);
    let mut rows: Vec<Row> = Vec::new();
    let mut names = BTreeSet::new();
    let mut nodes = 0;
    let mut written = reader.deserialize::<Written>();
    while let Some(row) = written.next() {
        let row = row.map_err(|error| {
            let line = error.position().map(csv::Position::line);
            (line, Fault::Csv(error.to_string()))
        })?;
        // Behind the row, which stands on one line: its fields have no line breaks.
        let line = Some(written.reader().position().line().saturating_sub(1));
        let row = checked(row).map_err(|fault| (line, fault))?;
        if !names.insert(row.site.slug.clone()) {
            return Err((line, Fault::Duplicate(row.site.slug)));
        }
        nodes += u64::from(row.nodes);
        rows.push(row);
        for (count, limit, what) in [
            (rows.len() as u64, MAX_SITES, "sites"),
            (nodes, MAX_NODES, "nodes"),
        ] {
            if count > limit {
                return Err((line, Fault::TooMany { limit, what }));
            }
        }
    }
    if rows.is_empty() {
        return Err((None, Fault::NoRows));
    }
    Ok(Sites { rows })
}

fn checked(row: Written) -> Result<Row, Fault> {
    let Written {
        site: slug,
        city,
        country,
        operator,
        nodes,
    } = row;
    let check = |column, outcome: Result<(), TextFault>| {
        outcome.map_err(|fault| Fault::Text { column, fault })
    };
    check("site", text::slug(&slug, MAX_SLUG_BYTES))?;
    check("city", text::name(&city, MAX_NAME_BYTES))?;
    check("operator", text::slug(&operator, MAX_SLUG_BYTES))?;
    if country.len() != 2 || !country.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Err(Fault::Country);
    }
    Ok(Row {
        site: Site {
            slug,
            city,
            country,
            operator,
        },
        nodes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "site,city,country,operator,nodes\n";

    fn fault(text: &str) -> String {
        let (line, fault) = parse(text.as_bytes()).unwrap_err();
        let path = PathBuf::from("F");
        SitesError { path, line, fault }.to_string()
    }

    #[test]
    fn the_project_s_file_can_be_read() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/sites.csv");
        let rows = Sites::load(&path).unwrap().rows;
        let operators: BTreeSet<_> = rows.iter().map(|row| &row.site.operator).collect();
        let nodes: u32 = rows.iter().map(|row| row.nodes).sum();
        assert_eq!((rows.len(), nodes, operators.len()), (8, 13, 6));
        assert!(rows.iter().all(|row| row.site.country == "PK"));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let rows = |rows: &str| format!("{HEADER}{rows}");
        for (text, said) in [
            (String::new(), "F: there is no site"),
            (rows(""), "F: there is no site"),
            (rows("Isb,A,PK,o,1\n"), "F:2: site "),
            (
                rows("isb,A,PK,o,1\nisb,A,PK,o,1\n"),
                "F:3: site isb is there twice",
            ),
            (rows("isb,A,Pk,o,1\n"), "F:2: country must be two capitals"),
            (rows("isb,,PK,o,1\n"), "F:2: city "),
            (rows("isb,A,PK,o,-1\n"), "F:2: "),
            (rows("isb,A,PK,o\n"), "F:2: "),
            (rows("isb,A,PK,o,201\n"), "F:2: more than 200 nodes"),
            ("site,city\n".into(), "F: there is no site"),
            ("site,city,land\nisb,A,PK\n".into(), "F:2: "),
        ] {
            let fault = fault(&text);
            assert!(fault.starts_with(said), "{text:?}: {fault}");
        }
    }
}
