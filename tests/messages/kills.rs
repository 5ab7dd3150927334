//! Devices whose process is killed at any moment, 200 times: no message is lost or shown twice, and no key is used twice (a second
//! message with the same key could not be read).

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use std::{fs, thread};

use end_to_end::program;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use crate::net::Net;

const KILLS: usize = 200;
const PEOPLE: [&str; 3] = ["owner", "second", "third"];
/// Longest time that a command has before it is killed, in milliseconds: most need less when nothing else is going on.
const MOST_MS: u64 = 250;

/// A folder with a trust file and the keys of persons.
struct Desk<'a> {
    folder: &'a Path,
}

impl Desk<'_> {
    fn command(&self, who: &str, words: &[&str]) -> Command {
        let mut command = Command::new(program("indus"));
        command
            .arg("msg")
            .args(words)
            .args(["--trust", "trust.json", "--json", "--key"])
            .arg(format!("{who}.key"))
            .current_dir(self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn done(&self, who: &str, words: &[&str]) -> Value {
        let output = self.command(who, words).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{who} {words:?}: {output:?}");
        // A text that waited is a line of its own.
        let last = said.lines().last().unwrap_or("null");
        serde_json::from_str(last).unwrap()
    }

    /// Kills it after a time, unless it has ended before; whether it had, and well.
    fn killed(&self, who: &str, words: &[&str], after: Duration) -> Option<Output> {
        let mut child = self.command(who, words).spawn().unwrap();
        thread::sleep(after);
        let _ = child.kill();
        let output = child.wait_with_output().unwrap();
        output.status.success().then_some(output)
    }

    /// The texts that a device shows, in their order.
    fn texts(&self, who: &str, id: &str) -> Vec<String> {
        let read = self.done(who, &["read", id, "--all", "--limit", "100000"]);
        let items = read["items"].as_array().unwrap().iter();
        let texts = items.map(|item| item["what"].as_str().unwrap().to_owned());
        texts.filter(|text| text.starts_with("text ")).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_that_are_killed_200_times_lose_nothing_and_show_nothing_twice() {
    let net = Net::start().await;
    let folder = net.folder.path().to_owned();
    let trust = net.subnet.trust.clone();
    trust.save(&folder.join("trust.json")).unwrap();
    tokio::task::spawn_blocking(move || played(&folder))
        .await
        .unwrap();
    drop(net);
}

fn played(folder: &Path) {
    let desk = Desk { folder };
    let mut persons = Vec::new();
    for who in PEOPLE {
        let made = Command::new(program("indus"))
            .args(["key", "new", &format!("{who}.key")])
            .current_dir(folder)
            .output()
            .unwrap();
        assert!(made.status.success());
        let registered = Command::new(program("indus"))
            .args([
                "person",
                "register",
                "--yes",
                "--trust",
                "trust.json",
                "--key",
            ])
            .arg(format!("{who}.key"))
            .current_dir(folder)
            .output()
            .unwrap();
        assert!(registered.status.success(), "{registered:?}");
        let set_up = desk.done(who, &["setup"]);
        persons.push(set_up["person"].as_str().unwrap().to_owned());
    }
    let id = desk.done("owner", &["create", "--label", "open"])["conversation"].to_string();
    let invite = [&["invite", &id][..], &[&persons[1], &persons[2]]].concat();
    desk.done("owner", &invite);
    for who in &PEOPLE[1..] {
        desk.done(who, &["read", &id]);
    }

    let mut rng = ChaCha8Rng::seed_from_u64(200);
    let mut written = Vec::new();
    let mut acknowledged = BTreeSet::new();
    let mut survived = 0;
    for number in 0..KILLS {
        let who = PEOPLE[rng.random_range(0..PEOPLE.len())];
        let after = Duration::from_millis(rng.random_range(0..MOST_MS));
        let text = format!("text {number}");
        let words: Vec<&str> = match rng.random_range(0..10) {
            0..6 => {
                written.push(text.clone());
                vec!["send", &id, &text]
            }
            6..8 => vec!["read", &id],
            _ => vec!["renew", &id],
        };
        if desk.killed(who, &words, after).is_some() {
            survived += 1;
            if words[0] == "send" {
                acknowledged.insert(text);
            }
        }
    }
    assert!(survived < KILLS, "nothing was killed in time");

    // Whatever waits goes out with the next message.
    for who in PEOPLE {
        desk.done(who, &["send", &id, &format!("the last of {who}")]);
    }
    let texts = desk.texts(PEOPLE[0], &id);
    for who in &PEOPLE[1..] {
        assert_eq!(desk.texts(who, &id), texts, "{who}");
    }
    let once: BTreeSet<_> = texts.iter().cloned().collect();
    assert_eq!(once.len(), texts.len(), "a text was shown twice");
    let lost: Vec<_> = acknowledged.difference(&once).collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
    assert!(once.iter().all(|text| written.contains(text)));
    for who in PEOPLE {
        let alarms = desk.done(who, &["alarms"]);
        assert_eq!(alarms["items"], Value::Array(vec![]), "{who}");
    }
    let stores = fs::read_dir(folder.join(".indus/messages"))
        .unwrap()
        .count();
    assert_eq!(stores, PEOPLE.len());
}
