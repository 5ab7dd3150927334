//! The report of an audit: for programs as JSON, for people as one page of HTML.
//!
//! The page needs nothing else: no script, no style sheet, no font, no picture, no network. Every text in it that is not this
//! program's is escaped, since canisters choose some of them.

use std::fmt::Write;

use serde::Serialize;

use crate::audit::check::{CanisterReport, Finding};
use crate::when;

/// What was checked of a folder, and what is wrong.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) format: &'static str,
    pub(crate) verified: bool,
    pub(crate) checked_at: String,
    /// SHA-256 of the root key's DER form.
    pub(crate) root_key_sha256: String,
    pub(crate) canisters: Vec<CanisterReport>,
    /// What is wrong with the folder itself.
    pub(crate) findings: Vec<Finding>,
}

pub(crate) const FORMAT: &str = "indus audit report 1";

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a}\
table{border-collapse:collapse;margin:.5rem 0 1.5rem}th,td{text-align:left;padding:.25rem .75rem;border-bottom:1px solid #ccc}\
td.n,th.n{text-align:right}code{overflow-wrap:anywhere;font-size:.85em}.good{color:#0a5c2b}.bad{color:#a30000}";

/// What was verified, for people who don't know.
const CHECKS: [&str; 6] = [
    "the certificates carry the signature of the network's root key, and speak for the canister",
    "each block of the log follows the one before, from the first to the certified last one (ICRC-3), and all of them make the certified tree (RFC 9162)",
    "the changes that the blocks list, replayed, make the certified root of every collection: nothing changed without an entry",
    "the folder has every record of every collection, and no other; the bytes that everybody may read are those that the log names",
    "controllers and module of the canister are those that the subnet certifies",
    "no file was changed since it was fetched (SHA256SUMS)",
];

impl Report {
    /// The page.
    pub(crate) fn html(&self) -> String {
        let mut page = String::new();
        // Writing to a string can't fail.
        let _ = self.write_html(&mut page);
        page
    }

    fn write_html(&self, page: &mut String) -> std::fmt::Result {
        write!(
            page,
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
             <title>Audit report</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>Audit report</h1>\n"
        )?;
        let (class, verdict) = verdict(self.verified);
        writeln!(page, "<p class=\"{class}\"><strong>{verdict}</strong></p>")?;
        writeln!(
            page,
            "<p>Checked {}. SHA-256 of the root key: <code>{}</code></p>",
            escaped(&self.checked_at),
            escaped(&self.root_key_sha256)
        )?;
        page.push_str("<h2>What was checked</h2>\n<ul>\n");
        for check in CHECKS {
            writeln!(page, "<li>{}</li>", escaped(check))?;
        }
        page.push_str("</ul>\n");
        write_findings(page, &self.findings)?;
        for canister in &self.canisters {
            write_canister(page, canister)?;
        }
        page.push_str("</body>\n</html>\n");
        Ok(())
    }

    /// The findings, each with the canister it is of.
    pub(crate) fn all_findings(&self) -> impl Iterator<Item = (Option<&str>, &Finding)> {
        let of_canisters = self.canisters.iter().flat_map(|canister| {
            let name = Some(canister.canister.as_str());
            canister.findings.iter().map(move |finding| (name, finding))
        });
        self.findings
            .iter()
            .map(|finding| (None, finding))
            .chain(of_canisters)
    }
}

/// When the report is made.
pub(crate) fn checked_at() -> String {
    when::utc(when::now())
}

fn verdict(verified: bool) -> (&'static str, &'static str) {
    if verified {
        ("good", "Verified: everything is as it was certified.")
    } else {
        ("bad", "Not verified: see the findings.")
    }
}

fn write_canister(page: &mut String, report: &CanisterReport) -> std::fmt::Result {
    let (class, verdict) = verdict(report.verified);
    let name = report.service.as_ref().map(|service| service.name.as_str());
    writeln!(
        page,
        "<h2>{} <code>{}</code></h2>\n<p class=\"{class}\">{verdict}</p>",
        escaped(name.unwrap_or("canister")),
        escaped(&report.canister)
    )?;
    write_findings(page, &report.findings)?;
    page.push_str("<table>\n");
    let mut row = |name: &str, value: &str| {
        writeln!(
            page,
            "<tr><th>{}</th><td><code>{}</code></td></tr>",
            escaped(name),
            escaped(value)
        )
    };
    if let Some(head) = &report.head {
        row("certified", &head.certified_at)?;
        row(
            "subnet",
            head.subnet.as_deref().unwrap_or("the root subnet"),
        )?;
        row("blocks", &head.blocks.to_string())?;
        row("root of the log", &head.log_root)?;
    }
    if let Some(tip) = &report.tip {
        row("last block", &format!("{} {}", tip.index, tip.hash))?;
    }
    if let Some(state) = &report.state {
        row("controllers", &state.controllers.join(", "))?;
        row(
            "module hash",
            state.module_hash.as_deref().unwrap_or("no module"),
        )?;
        row("both certified", &state.certified_at)?;
    }
    if let Some(service) = &report.service {
        let version = format!("{} {}", service.version, service.commit);
        row("version (not certified)", &version)?;
    }
    page.push_str("</table>\n");
    if !report.collections.is_empty() {
        page.push_str("<table>\n<tr><th>collection</th><th class=\"n\">records</th><th class=\"n\">with contents</th><th class=\"n\">bytes</th></tr>\n");
        for collection in &report.collections {
            writeln!(
                page,
                "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
                escaped(&collection.name),
                collection.records,
                collection.readable,
                collection.bytes
            )?;
        }
        page.push_str("</table>\n");
    }
    if !report.block_types.is_empty() {
        page.push_str("<table>\n<tr><th>blocks of type</th><th class=\"n\">count</th><th>first</th><th>last</th></tr>\n");
        for block_type in &report.block_types {
            writeln!(
                page,
                "<tr><td>{}</td><td class=\"n\">{}</td><td>{}</td><td>{}</td></tr>",
                escaped(&block_type.name),
                block_type.blocks,
                escaped(&block_type.first_at),
                escaped(&block_type.last_at)
            )?;
        }
        page.push_str("</table>\n");
    }
    Ok(())
}

fn write_findings(page: &mut String, findings: &[Finding]) -> std::fmt::Result {
    if findings.is_empty() {
        return Ok(());
    }
    page.push_str("<h3>Findings</h3>\n<ul class=\"bad\">\n");
    for Finding { place, fault } in findings {
        writeln!(
            page,
            "<li><code>{}</code>: {}</li>",
            escaped(place),
            escaped(fault)
        )?;
    }
    page.push_str("</ul>\n");
    Ok(())
}

/// `text` as it may stand in an element or in a quoted attribute.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // Overrides of the direction could show a text as another.
            '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => escaped.push('\u{FFFD}'),
            _ => escaped.push(character),
        }
    }
    escaped
}
