//! What a run took, and what it proved.

use std::time::Duration;

use candid::Principal;
use indus_client::{LocalnetMetrics, TrustFile};

use crate::latency::Latencies;
use crate::readback::ReadBack;
use crate::registration::RegistrationLatencies;
use crate::whole::Whole;

/// Figures of a run.
pub(crate) struct Costs<'a> {
    pub(crate) registered: usize,
    pub(crate) took: &'a RegistrationLatencies,
    pub(crate) read_back: &'a ReadBack,
    pub(crate) whole: Option<&'a Whole>,
    pub(crate) metrics: &'a LocalnetMetrics,
    pub(crate) registry: Principal,
}

/// The figures as a table: what, how often, milliseconds, instructions that the registry took for one. Below it, a line for
/// each proof about the whole.
pub(crate) fn costs(costs: &Costs<'_>) -> Vec<String> {
    let Costs {
        registered,
        took,
        read_back,
        whole,
        metrics,
        registry,
    } = costs;
    let instructions = |method: &str| metrics.of(*registry, method).instructions_per_message();
    let read = instructions("certified_read");
    let mut lines = vec![
        format!(
            "registered:    {registered}, verified: {}",
            read_back.verified
        ),
        format!(
            "{:<34}{:>7}{:>10}{:>10}{:>10}{:>16}",
            "", "calls", "p50 ms", "p95 ms", "max ms", "instructions"
        ),
        row(
            "apply_for_organisation",
            &took.applications,
            instructions("apply_for_organisation"),
        ),
        row("certified_read by governors", &took.reads, read),
        row("approve", &took.approvals, instructions("approve")),
        row("certified_read by a reader", &read_back.reads, read),
        row(
            "verification of a read, offline",
            &read_back.verifications,
            None,
        ),
    ];
    if let Some(whole) = whole {
        lines.extend(proofs(whole, instructions));
    }
    lines
}

/// What was proved about the whole: by how many calls, of how many instructions, in what time.
fn proofs(whole: &Whole, instructions: impl Fn(&str) -> Option<u64>) -> [String; 3] {
    let calls = |calls: u64, method: &str| {
        let instructions = instructions(method).map_or_else(|| String::from("-"), thousands);
        let plural = if calls == 1 { "call" } else { "calls" };
        format!("{calls} {plural} of {method} at {instructions} instructions")
    };
    let (audit, export) = (&whole.audit, &whole.export);
    [
        format!(
            "absent:        organisation {} ({}, {} ms)",
            whole.absent,
            calls(1, "certified_read"),
            millis(whole.absence_took)
        ),
        format!(
            "replayed:      {} blocks to the certified head ({}, {} ms)",
            thousands(audit.replayed),
            calls(audit.pages, "icrc3_get_blocks"),
            millis(whole.audit_took)
        ),
        format!(
            "complete:      {} organisations, root {} ({}, {} ms)",
            export.records.len(),
            hex::encode(export.root),
            calls(export.pages, "certified_list"),
            millis(whole.export_took)
        ),
    ]
}

fn row(what: &str, latencies: &Latencies, instructions: Option<u64>) -> String {
    let summary = latencies.summary();
    let [p50, p95, max] = [summary.p50, summary.p95, summary.max].map(millis);
    let instructions = instructions.map_or_else(|| String::from("-"), thousands);
    format!(
        "{what:<34}{:>7}{p50:>10}{p95:>10}{max:>10}{instructions:>16}",
        summary.calls
    )
}

fn millis(duration: Duration) -> String {
    format!("{:.1}", duration.as_secs_f64() * 1_000.0)
}

/// With a comma at each third digit.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The last line: how many records were verified, what was proved about the whole, and by what chain.
pub(crate) fn proof(
    verified: usize,
    total: usize,
    whole: Option<&Whole>,
    trust: &TrustFile,
    registry: Principal,
) -> String {
    let whole = whole.map_or_else(String::new, |whole| {
        let blocks = whole.export.head.size;
        format!(" present, complete, absent beyond; log of {blocks} blocks replayed to the certified root:")
    });
    // The end of the key tells keys apart; its beginning is the same in all.
    let root_key = hex::encode(&trust.root_key.as_der()[trust.root_key.as_der().len() - 8..]);
    format!(
        "{verified} of {total} records verified offline:{whole} root key …{root_key} → subnet {} → registry {registry} \
         (BLS certificates, Merkle witnesses)",
        trust.subnet
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_numbers_are_readable() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(thousands(number), text);
        }
    }

    #[test]
    fn a_row_without_instructions_shows_none() {
        let mut latencies = Latencies::default();
        latencies.record(Duration::from_micros(1_250));
        let row = row("x", &latencies, None);
        assert_eq!(
            row.split_whitespace().collect::<Vec<_>>(),
            ["x", "1", "1.2", "1.2", "1.2", "-"]
        );
    }
}
