//! What a canister says about itself: once for people, once for Prometheus.
//!
//! Both pages are made of one [`Status`], so that they never differ. All text is escaped where it is written: HTML by the
//! five characters that mean something in it, the exposition format by its own three.
//!
//! Cost: some 100 instructions a byte of the pages.

use std::fmt::Write as _;

use indus_api::time::rfc3339;

use super::{Page, STYLE};

const NANOS_A_SECOND: u64 = 1_000_000_000;

/// A canister's state, at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Name of the canister.
    pub name: &'static str,
    /// What it is for, in a sentence.
    pub about: &'static str,
    /// The subnet's time, in nanoseconds: the pages state it.
    pub time_ns: u64,
    /// What is no number: version, source commit, maintenance…, each under its name.
    pub facts: Vec<(&'static str, String)>,
    /// Numbers.
    pub metrics: Vec<Metric>,
}

/// Whether a number may fall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
}

/// A number, perhaps for each of several labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Name in Prometheus: letters, digits and `_`, with its unit, such as `indus_stable_memory_bytes`.
    pub name: &'static str,
    /// What it counts, for people.
    pub help: &'static str,
    pub kind: Kind,
    pub samples: Vec<Sample>,
}

/// One value of a metric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Name and value of the label that tells it from the metric's other samples.
    pub label: Option<(&'static str, String)>,
    pub value: u64,
}

impl Metric {
    /// A number that may rise and fall.
    #[must_use]
    pub fn gauge(name: &'static str, help: &'static str, value: u64) -> Self {
        let samples = vec![Sample { label: None, value }];
        Self {
            name,
            help,
            kind: Kind::Gauge,
            samples,
        }
    }
}

impl Status {
    /// The pages `/` and `/metrics`.
    #[must_use]
    pub fn pages(&self) -> Vec<Page> {
        vec![
            Page {
                path: "/",
                content_type: "text/html; charset=utf-8",
                body: self.html(),
            },
            Page {
                path: "/metrics",
                content_type: "text/plain; version=0.0.4; charset=utf-8",
                body: self.prometheus(),
            },
        ]
    }

    fn html(&self) -> String {
        let name = html(self.name);
        let about = html(self.about);
        let time = rfc3339(self.time_ns);
        let mut rows = String::new();
        let mut row = |name: &str, value: &str| {
            let (name, value) = (html(name), html(value));
            // Writing into a string can't fail.
            let _ = write!(
                rows,
                "<tr><th scope=\"row\">{name}</th><td>{value}</td></tr>"
            );
        };
        for (name, value) in &self.facts {
            row(name, value);
        }
        for metric in &self.metrics {
            for Sample { label, value } in &metric.samples {
                match label {
                    None => row(metric.help, &value.to_string()),
                    Some((_, label)) => {
                        row(&format!("{}: {label}", metric.help), &value.to_string());
                    }
                }
            }
        }
        format!(
            "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{name}</title>\
             <meta name=\"viewport\" content=\"width=device-width\"><style>{STYLE}</style></head>\
             <body><h1>{name}</h1><p>{about}</p><table>{rows}</table>\
             <p>As of <time datetime=\"{time}\">{time}</time>, certified by the subnet.</p></body></html>\n"
        )
    }

    /// Prometheus' text-based exposition format, version 0.0.4.
    fn prometheus(&self) -> String {
        let rendered = Metric::gauge(
            "indus_rendered_timestamp_seconds",
            "Time at which this page was rendered, in seconds since 1970",
            self.time_ns / NANOS_A_SECOND,
        );
        let mut text = String::new();
        for metric in self.metrics.iter().chain([&rendered]) {
            let Metric { name, help, .. } = metric;
            let help = help.replace('\\', "\\\\").replace('\n', "\\n");
            let kind = match metric.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
            };
            let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
            for Sample { label, value } in &metric.samples {
                let _ = match label {
                    None => writeln!(text, "{name} {value}"),
                    Some((key, label)) => {
                        writeln!(text, "{name}{{{key}=\"{}\"}} {value}", quoted(label))
                    }
                };
            }
        }
        text
    }
}

fn html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

fn quoted(label: &str) -> String {
    label
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> Status {
        Status {
            name: "registry",
            about: "Who and what is on the subnet",
            time_ns: 1_795_551_192_999_999_999,
            facts: vec![("Version", "0.1.0 <b>\"&'".into())],
            metrics: vec![
                Metric::gauge("indus_organisations", "Organisations", 12),
                Metric {
                    name: "indus_refusals_total",
                    help: "Refused calls\nby \\ reason",
                    kind: Kind::Counter,
                    samples: vec![
                        Sample {
                            label: Some(("reason", "a \"b\" \\ \n<i>".into())),
                            value: 3,
                        },
                        Sample {
                            label: Some(("reason", "c".into())),
                            value: u64::MAX,
                        },
                    ],
                },
            ],
        }
    }

    fn body(path: &str) -> String {
        let pages = status().pages();
        let page = pages.into_iter().find(|page| page.path == path);
        page.unwrap().body
    }

    #[test]
    fn the_page_for_people_shows_all_escaped_and_its_time() {
        let page = body("/");
        for shown in [
            "<h1>registry</h1>",
            "<th scope=\"row\">Version</th><td>0.1.0 &lt;b&gt;&quot;&amp;&#39;</td>",
            "<th scope=\"row\">Organisations</th><td>12</td>",
            "\\ reason: a &quot;b&quot; \\ \n&lt;i&gt;</th><td>3</td>",
            "<time datetime=\"2026-11-24T20:13:12Z\">2026-11-24T20:13:12Z</time>",
        ] {
            assert!(page.contains(shown), "{shown}");
        }
        assert!(!page.contains("<b>") && !page.contains("<i>"));
    }

    #[test]
    fn metrics_are_in_the_exposition_format() {
        assert_eq!(
            body("/metrics"),
            "# HELP indus_organisations Organisations\n\
             # TYPE indus_organisations gauge\n\
             indus_organisations 12\n\
             # HELP indus_refusals_total Refused calls\\nby \\\\ reason\n\
             # TYPE indus_refusals_total counter\n\
             indus_refusals_total{reason=\"a \\\"b\\\" \\\\ \\n<i>\"} 3\n\
             indus_refusals_total{reason=\"c\"} 18446744073709551615\n\
             # HELP indus_rendered_timestamp_seconds Time at which this page was rendered, in seconds since 1970\n\
             # TYPE indus_rendered_timestamp_seconds gauge\n\
             indus_rendered_timestamp_seconds 1795551192\n"
        );
    }
}
