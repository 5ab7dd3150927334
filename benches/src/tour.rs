//! The 1,500 seats from the first application to the last claim, as `indus up --once` does it on a localnet: 2,000 people
//! who sign each of their calls, over HTTP.

use std::process::Command;

use anyhow::{Context as _, bail};

use crate::{machine, server};

/// What begins the line that says it: `licences: 2000 applications to 1500 claims in 36.4 s (…)`.
const LINE: &str = "licences:";
const CLAIMED: &str = "2000 applications to 1500 claims in ";

/// Seconds, as the command says them.
pub(crate) fn seconds() -> anyhow::Result<f64> {
    let project = machine::project()?;
    let folder = tempfile::tempdir()?;
    let run = Command::new(server::program("indus")?)
        .args(["up", "--once", "--project"])
        .arg(project)
        .arg("--trust")
        .arg(folder.path().join("trust.json"))
        .output()
        .context("indus up")?;
    if !run.status.success() {
        bail!("indus up: {}", String::from_utf8_lossy(&run.stderr));
    }
    let said = [run.stdout, run.stderr].concat();
    took(&String::from_utf8_lossy(&said)).context("indus up does not say what the seats took")
}

fn took(said: &str) -> Option<f64> {
    let line = said.lines().find_map(|line| line.trim().strip_prefix(LINE));
    let seconds = line?.trim().strip_prefix(CLAIMED)?;
    seconds.split_once(" s")?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_what_the_line_says_of_the_whole_tour() {
        let said = "registered:    145\nlicences:      2000 applications to 1500 claims in 36.4 s (7002 signed calls)\n";
        assert_eq!(took(said), Some(36.4));
        assert_eq!(took(&said.replace("1500", "12")), None);
        assert_eq!(took("registered:    145\n"), None);
    }
}
