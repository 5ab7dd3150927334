//! What a figure was measured on.

use std::{fs, path::Path, process::Command};

use anyhow::Context as _;

/// The folder of the project, as it was when this was built.
pub(crate) fn project() -> anyhow::Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("benches/ is in the project")
}

/// Processor, cores, memory and kernel.
pub(crate) fn describe() -> String {
    let read = |file| fs::read_to_string(file).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or("an unknown processor", |(_, model)| model.trim())
        .to_owned();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = read("/proc/meminfo");
    let kib = memory
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next())
        .and_then(|kib| kib.parse::<u64>().ok())
        .unwrap_or(0);
    let kernel = read("/proc/sys/kernel/osrelease");
    let gib = (kib + (1 << 19)) >> 20;
    format!(
        "{cores} cores of {model}, {gib} GiB, Linux {}",
        kernel.trim()
    )
}

/// The compiler that built what is measured.
pub(crate) fn compiler() -> String {
    output(Command::new("rustc").arg("--version"))
}

/// The commit that is checked out.
pub(crate) fn commit(project: &Path) -> String {
    output(
        Command::new("git")
            .current_dir(project)
            .args(["describe", "--always", "--dirty"]),
    )
}

fn output(command: &mut Command) -> String {
    let output = command.output().ok();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.filter(|text| !text.is_empty())
        .unwrap_or_else(|| "unknown".to_owned())
}
