//! Results: a file of JSON, and the table that is made from it.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

/// Between these lines of a document stands the table.
const BEGIN: &str = "<!-- made by scripts/bench from benches/results.json -->";
const END: &str = "<!-- end -->";

/// How much worse a result may be than the committed one: another order of the same instructions.
const TOLERANCE: f64 = 0.02;

/// Which values reach a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Direction {
    /// Up to the target.
    Less,
    /// From the target on.
    More,
}

/// One result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) unit: String,
    /// None for what is shown for comparison only.
    pub(crate) target: Option<f64>,
    pub(crate) direction: Direction,
    pub(crate) commit: String,
    pub(crate) compiler: String,
    pub(crate) machine: String,
}

impl Measured {
    pub(crate) fn is_reached(&self) -> bool {
        self.target.is_none_or(|target| match self.direction {
            Direction::Less => self.value <= target,
            Direction::More => self.value >= target,
        })
    }

    /// Whether it is worse than `before` by more than [`TOLERANCE`].
    pub(crate) fn is_worse_than(&self, before: &Self) -> bool {
        match self.direction {
            Direction::Less => self.value > before.value * (1.0 + TOLERANCE),
            Direction::More => self.value < before.value * (1.0 - TOLERANCE),
        }
    }

    fn bound(&self) -> String {
        let sign = match self.direction {
            Direction::Less => '≤',
            Direction::More => '≥',
        };
        self.target
            .map_or_else(String::new, |target| format!("{sign} {target}"))
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let missed = if self.is_reached() { "" } else { ": missed" };
        let (name, value, unit, bound) = (&self.name, self.value, &self.unit, self.bound());
        if bound.is_empty() {
            return write!(f, "{name}: {value} {unit}");
        }
        write!(f, "{name}: {value} {unit} (must be {bound}){missed}")
    }
}

/// Three significant digits, or all digits before the point.
pub(crate) fn rounded(value: f64) -> f64 {
    if value >= 100.0 {
        value.round()
    } else if value >= 10.0 {
        (value * 10.0).round() / 10.0
    } else {
        (value * 1_000.0).round() / 1_000.0
    }
}

/// All results, in the order of their names.
pub(crate) struct Results {
    file: PathBuf,
    results: Vec<Measured>,
}

impl Results {
    pub(crate) fn load(file: &Path) -> anyhow::Result<Self> {
        let results = match fs::read_to_string(file) {
            Ok(text) => serde_json::from_str(&text).with_context(|| file.display().to_string())?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error).with_context(|| file.display().to_string()),
        };
        Ok(Self {
            file: file.to_owned(),
            results,
        })
    }

    /// The result of this name.
    pub(crate) fn get(&self, name: &str) -> Option<&Measured> {
        self.results.iter().find(|result| result.name == name)
    }

    /// Adds a result in place of an older one of the same name.
    pub(crate) fn put(&mut self, measured: Measured) {
        self.results.retain(|result| result.name != measured.name);
        self.results.push(measured);
        self.results.sort_by(|a, b| a.name.cmp(&b.name));
    }

    pub(crate) fn save(&self) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(&self.results)? + "\n";
        fs::write(&self.file, text).with_context(|| self.file.display().to_string())
    }

    /// Writes the table into a document, between its two marks.
    pub(crate) fn document(&self, file: &Path) -> anyhow::Result<()> {
        let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
        let (before, rest) = text
            .split_once(BEGIN)
            .with_context(|| format!("{} has no line {BEGIN}", file.display()))?;
        let (_, after) = rest
            .split_once(END)
            .with_context(|| format!("{} has no line {END}", file.display()))?;
        let table = self.table();
        fs::write(file, format!("{before}{BEGIN}\n\n{table}\n{END}{after}"))
            .with_context(|| file.display().to_string())
    }

    fn table(&self) -> String {
        let mut table = String::from("| name | value | must be | |\n| --- | --- | --- | --- |\n");
        for result in &self.results {
            let (name, value, unit) = (&result.name, result.value, &result.unit);
            let mark = if result.is_reached() {
                ""
            } else {
                "**missed**"
            };
            table += &format!(
                "| `{name}` | {value} {unit} | {} | {mark} |\n",
                result.bound()
            );
        }
        let mut machines: Vec<_> = self
            .results
            .iter()
            .map(|r| format!("{}; {}", r.machine, r.compiler))
            .collect();
        machines.sort();
        machines.dedup();
        table + &format!("\n{}.\n", machines.join(". "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(value: f64, direction: Direction) -> Measured {
        Measured {
            name: "a".into(),
            value,
            unit: "ms".into(),
            target: Some(10.0),
            direction,
            commit: String::new(),
            compiler: "rustc".into(),
            machine: "two cores".into(),
        }
    }

    #[test]
    fn a_target_can_be_reached_from_either_side() {
        assert!(measured(10.0, Direction::Less).is_reached());
        assert!(!measured(10.1, Direction::Less).is_reached());
        assert!(measured(10.0, Direction::More).is_reached());
        assert!(!measured(9.9, Direction::More).is_reached());
    }

    #[test]
    fn two_percent_more_are_worse() {
        let before = measured(100.0, Direction::Less);
        assert!(!measured(102.0, Direction::Less).is_worse_than(&before));
        assert!(measured(102.1, Direction::Less).is_worse_than(&before));
        assert!(!measured(98.0, Direction::More).is_worse_than(&before));
        assert!(measured(97.9, Direction::More).is_worse_than(&before));
    }

    #[test]
    fn the_newest_result_replaces_the_older_one_in_file_and_document() {
        let folder = tempfile::tempdir().expect("a folder");
        let document = folder.path().join("performance.md");
        fs::write(&document, format!("before\n{BEGIN}\nold\n{END}\nafter\n")).expect("written");
        let mut results = Results::load(&folder.path().join("results.json")).expect("none yet");
        results.put(measured(11.0, Direction::Less));
        results.put(measured(12.0, Direction::Less));
        results.save().expect("saved");
        results.document(&document).expect("documented");
        let again = Results::load(&folder.path().join("results.json")).expect("loaded");
        assert_eq!(again.results, [measured(12.0, Direction::Less)]);
        let text = fs::read_to_string(&document).expect("read");
        assert!(
            text.starts_with("before\n") && text.ends_with("after\n"),
            "{text}"
        );
        assert!(
            text.contains("| `a` | 12 ms | ≤ 10 | **missed** |"),
            "{text}"
        );
        assert!(!text.contains("old") && !text.contains("11"), "{text}");
    }
}
