//! What a localnet counts: messages and instructions, by canister and method.
//!
//! Source: `/_/metrics` in Prometheus' text format; lines of interest are
//! `localnet_messages_total{canister="…",method="…",kind="…"} 145` and `localnet_instructions_total{…} 12345`.
//! Real subnets have no such page. Nothing here is certified: it is for showing costs, never for deciding.

use std::collections::BTreeMap;

use candid::Principal;

use crate::connection::Connection;
use crate::error::{ClientError, one_line, with_sources};

const PAGE: &str = "_/metrics";

/// Counts of one method of one canister, over all kinds of messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MethodCounts {
    pub messages: u64,
    pub instructions: u64,
}

impl MethodCounts {
    /// Instructions of a message, on average and rounded down; `None` without messages.
    #[must_use]
    pub fn instructions_per_message(&self) -> Option<u64> {
        self.instructions.checked_div(self.messages)
    }
}

/// Counts by canister and method.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalnetMetrics(BTreeMap<(String, String), MethodCounts>);

impl LocalnetMetrics {
    /// Asks the localnet that `connection` leads to.
    pub async fn unverified(connection: &Connection) -> Result<Self, ClientError> {
        Ok(Self::parse(&connection.page_unverified(PAGE).await?))
    }

    /// The counts of `method` of `canister`; zero if it was never called.
    #[must_use]
    pub fn of(&self, canister: Principal, method: &str) -> MethodCounts {
        self.0
            .get(&(canister.to_text(), method.into()))
            .copied()
            .unwrap_or_default()
    }

    /// Lines of other metrics, comments, and what can't be understood are skipped.
    fn parse(text: &str) -> Self {
        let mut counts = BTreeMap::<_, MethodCounts>::new();
        for sample in text.lines().filter_map(sample) {
            let counts = counts.entry((sample.canister, sample.method)).or_default();
            let count = match sample.metric {
                "localnet_messages_total" => &mut counts.messages,
                "localnet_instructions_total" => &mut counts.instructions,
                _ => continue,
            };
            *count = count.saturating_add(sample.value);
        }
        Self(counts)
    }
}

struct Sample<'a> {
    metric: &'a str,
    canister: String,
    method: String,
    value: u64,
}

fn sample(line: &str) -> Option<Sample<'_>> {
    let (metric, rest) = line.split_once('{')?;
    let (labels, value) = rest.rsplit_once('}')?;
    let value = value.trim().parse().ok()?;
    Some(Sample {
        metric,
        canister: label(labels, "canister")?,
        method: label(labels, "method")?,
        value,
    })
}

/// The value of one label in `name="value",…`; in values, `\"`, `\\` and `\n` are escapes.
fn label(labels: &str, wanted: &str) -> Option<String> {
    let mut rest = labels;
    loop {
        let (name, after) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut characters = after.char_indices();
        let end = loop {
            match characters.next()? {
                (end, '"') => break end,
                (_, '\\') => value.push(match characters.next()?.1 {
                    'n' => '\n',
                    other => other,
                }),
                (_, other) => value.push(other),
            }
        };
        if name.trim_start_matches([',', ' ']) == wanted {
            return Some(value);
        }
        rest = &after[end + 1..];
    }
}

impl Connection {
    /// A page of the network's HTTP interface as text.
    async fn page_unverified(&self, page: &str) -> Result<String, ClientError> {
        let failed = |reason: String| ClientError::Agent {
            method: format!("GET /{page}"),
            reason: one_line(&reason),
        };
        let url = self
            .trust()
            .network
            .join(page)
            .map_err(|error| failed(error.to_string()))?;
        let answer = self
            .http()
            .get(url)
            .send()
            .await
            .map_err(|error| failed(with_sources(&error)))?;
        let answer = answer
            .error_for_status()
            .map_err(|error| failed(with_sources(&error)))?;
        answer
            .text()
            .await
            .map_err(|error| failed(with_sources(&error)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_messages_are_summed() {
        let text = "# HELP localnet_messages_total messages\n\
                    localnet_messages_total{canister=\"aaaaa-aa\",method=\"m\",kind=\"update\"} 3\n\
                    localnet_messages_total{canister=\"aaaaa-aa\",method=\"m\",kind=\"query\"} 1\n\
                    localnet_instructions_total{kind=\"update\", method=\"m\", canister=\"aaaaa-aa\"} 1001\n\
                    localnet_instructions_total{canister=\"aaaaa-aa\",method=\"other\",kind=\"update\"} 5\n\
                    localnet_rounds_total 9\n";
        let metrics = LocalnetMetrics::parse(text);
        let counts = metrics.of(Principal::management_canister(), "m");
        assert_eq!(
            counts,
            MethodCounts {
                messages: 4,
                instructions: 1001
            }
        );
        assert_eq!(counts.instructions_per_message(), Some(250));
        assert_eq!(
            metrics
                .of(Principal::anonymous(), "m")
                .instructions_per_message(),
            None
        );
    }

    #[test]
    fn escapes_in_labels_are_understood() {
        assert_eq!(
            label(r#"a="x\"},b=\\\n",b="y""#, "a").unwrap(),
            "x\"},b=\\\n"
        );
        assert_eq!(label(r#"a="x\"},b=\\\n",b="y""#, "b").unwrap(), "y");
        assert_eq!(label(r#"a="x"#, "a"), None);
        assert_eq!(label(r#"a="x""#, "b"), None);
    }

    #[test]
    fn what_is_no_sample_is_skipped() {
        for text in [
            "",
            "x",
            "}{",
            "a{b} c",
            "m{canister=\"x\"} 1",
            "m{canister=\"x\",method=\"y\"} NaN",
            "{\u{fe}\"=",
        ] {
            let metrics = LocalnetMetrics::parse(text);
            assert_eq!(metrics, LocalnetMetrics::default(), "{text}");
        }
    }
}
