//! Commands of persons, roles, credentials and licences with input that is wrong: exit code 2, and nothing is sent before it
//! was confirmed.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};

use candid::Principal;
use indus_client::{TrustFile, Url};
use indus_verify::RootKey;
use tempfile::TempDir;
use testnet::Subnet;

/// A folder with a key, a trust file of a network that nobody answers at, and one that names no canister.
struct Desk {
    folder: TempDir,
}

/// A principal of a person.
const PERSON: &str = "j5gsp-qw3pp-wfrem-scqrv-7kjgc-dhrwu-6vayx-6b3ae-kq27s-3n56h-vx6";
const NONCE: &str = "00112233445566778899aabbccddeeff";

impl Desk {
    fn new() -> Self {
        let desk = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        assert_eq!(desk.indus("key new my.key").status.code(), Some(0));
        let mut trust = TrustFile {
            network: Url::parse("http://127.0.0.1:1").unwrap(),
            root_key: RootKey::from_der(&Subnet::new(1).root_key_der()).unwrap(),
            root_key_source: String::from("the test"),
            subnet: Principal::from_slice(&[1]),
            canisters: BTreeMap::new(),
        };
        trust.save(&desk.folder.path().join("empty.json")).unwrap();
        for (name, number) in [("identity", 2), ("license_manager", 3), ("messaging", 4)] {
            let canister = Principal::from_slice(&[0, 0, 0, 0, 0, 0, 0, number, 1, 1]);
            trust.canisters.insert(name.into(), canister);
        }
        trust.save(&desk.folder.path().join("trust.json")).unwrap();
        fs::write(desk.folder.path().join("text"), "a text").unwrap();
        desk
    }

    /// Runs a command line of words.
    fn indus(&self, line: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_indus"))
            .args(line.split(' '))
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// What it says on standard error, with the exit code 2.
    fn refused(&self, line: &str) -> String {
        let output = self.indus(line);
        assert_eq!(output.status.code(), Some(2), "{line}: {output:?}");
        String::from_utf8(output.stderr).unwrap()
    }
}

/// A call of each command that signs, with all that it needs but a key.
fn signed() -> Vec<String> {
    let text = "--text-file text --commitment kept.json";
    let grant = format!("--person {PERSON} --organisation 1 --role officer --valid-for 1d");
    let issue = format!("--holder {PERSON} --programme a --name A --description A --criteria A");
    let file = format!("--nonce {NONCE} --out out.json");
    [
        "person register",
        "person pair",
        &format!("person offer --person {PERSON} --code ABCDEFGH"),
        &format!("person confirm {PERSON}"),
        &format!("person remove {PERSON}"),
        "person office 1",
        &format!("person recovery open --person {PERSON} --new-key {PERSON}"),
        "person recovery approve 1",
        "person recovery veto 1",
        "person recovery finish 1",
        &format!("role grant {grant}"),
        "role accept 1",
        "role revoke 1 --reason ended",
        &format!("credential issue {issue}"),
        "credential revoke 1 --reason mistake",
        &format!("credential present 1 {file}"),
        "credential sign 1 --out out.json",
        "licence round open --title A --apply-for 30d",
        "licence round close 1",
        &format!("licence apply --audience startups --sector health {text}"),
        "licence withdraw 1",
        &format!("licence review 1 --score 100 {text}"),
        "licence recuse 1",
        "licence decline 1 --reason A",
        "licence reorder 1 --score 0 --reason A",
        "licence grant 1",
        "licence claim 1",
        "licence check-in 1500",
        &format!("licence suspend 1 {text}"),
        &format!("licence reinstate 1 {text}"),
        &format!("licence reclaim 1 {text}"),
        "licence renew 1 --for 365d",
        &format!("licence file 1 {file}"),
    ]
    .map(String::from)
    .to_vec()
}

/// A call of each command that reads as somebody.
const READ_AS_SOMEBODY: [&str; 6] = [
    "person show",
    "person recovery show 1",
    "credential list",
    "credential show 1",
    "licence applications",
    "licence application 1",
];

/// A call of each command that anybody may read with.
fn read() -> Vec<String> {
    let check = format!("licence check {PERSON}");
    [
        "role list",
        "role show 1",
        "licence settings",
        "licence quotas",
        "licence order --audience startups --sector health",
        &check,
        "licence round list",
        "licence round show 1",
        "licence to-review",
        "licence seats",
        "licence seat 1",
        "licence prove 1 --out out.json",
    ]
    .map(String::from)
    .to_vec()
}

#[test]
fn what_is_signed_needs_a_key_that_nobody_else_can_read() {
    let desk = Desk::new();
    let path = desk.folder.path().join("open.key");
    fs::copy(desk.folder.path().join("my.key"), &path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let somebody = READ_AS_SOMEBODY.map(String::from);
    for line in signed().into_iter().chain(somebody) {
        let said = desk.refused(&format!("{line} --trust trust.json --yes"));
        let expected =
            "indus: this is signed: name a key file with --key; `indus key new FILE` makes one\n";
        assert_eq!(said, expected, "{line}");
        let said = desk.refused(&format!("{line} --trust trust.json --yes --key open.key"));
        assert!(
            said.starts_with("indus: open.key: others can use it"),
            "{line}: {said}"
        );
        let said = desk.refused(&format!("{line} --trust trust.json --yes --key no.key"));
        assert!(said.starts_with("indus: no.key: No such file"), "{said}");
    }
}

#[test]
fn nothing_is_signed_without_a_yes_or_a_terminal() {
    let desk = Desk::new();
    // Those that first read what is to be signed need a network for it.
    let reads = [
        "recovery approve",
        "recovery veto",
        "role accept",
        "role revoke",
        "credential present",
        "credential sign",
        "licence review",
        "licence decline",
        "licence reorder",
        "licence grant",
        "licence claim",
        "licence check-in",
        "licence suspend",
        "licence reinstate",
        "licence reclaim",
        "licence renew",
        "licence file",
    ];
    for line in signed() {
        let output = desk.indus(&format!("{line} --trust trust.json --key my.key"));
        let said = String::from_utf8(output.stderr).unwrap();
        if reads.iter().any(|read| line.contains(read)) {
            assert_eq!(output.status.code(), Some(1), "{line}: {said}");
            continue;
        }
        assert_eq!(output.status.code(), Some(2), "{line}: {said}");
        assert_eq!(
            said, "indus: signing needs a yes: --yes, or a terminal to ask at\n",
            "{line}"
        );
        let shown = String::from_utf8(output.stdout).unwrap();
        assert!(shown.starts_with("this would:"), "{line}: {shown}");
        assert!(shown.contains("\nargument sha256:"), "{line}: {shown}");
    }
}

#[test]
fn a_trust_file_that_is_missing_or_names_no_such_canister_is_refused() {
    let desk = Desk::new();
    let somebody = READ_AS_SOMEBODY.map(String::from);
    for line in read().into_iter().chain(signed()).chain(somebody) {
        let said = desk.refused(&format!("{line} --trust no.json --key my.key --yes"));
        assert!(said.contains("no.json: No such file"), "{line}: {said}");
        let said = desk.refused(&format!("{line} --trust empty.json --key my.key --yes"));
        assert!(
            said.contains("empty.json: the trust file names no canister"),
            "{line}: {said}"
        );
    }
}

#[test]
fn a_network_that_does_not_answer_is_a_failure_and_nothing_is_written() {
    let desk = Desk::new();
    let somebody = READ_AS_SOMEBODY.map(String::from);
    for line in read().into_iter().chain(somebody) {
        let output = desk.indus(&format!("{line} --trust trust.json --key my.key"));
        assert_eq!(output.status.code(), Some(1), "{line}: {output:?}");
        assert!(output.stdout.is_empty(), "{line}: {output:?}");
        assert_eq!(String::from_utf8(output.stderr).unwrap().lines().count(), 1);
    }
    assert!(!desk.folder.path().join("out.json").exists());
}

/// A call of each command of a device that writes and reads.
fn messages() -> Vec<String> {
    [
        "msg setup",
        "msg create",
        "msg list",
        &format!("msg invite 1 {PERSON}"),
        &format!("msg remove 1 {PERSON}"),
        "msg renew 1",
        "msg send 1 text",
        "msg read 1",
        "msg follow 1",
        "msg members 1",
        "msg alarms",
    ]
    .map(String::from)
    .to_vec()
}

#[test]
fn a_device_that_converses_needs_a_key_a_trust_file_and_a_network() {
    let desk = Desk::new();
    for line in messages() {
        let said = desk.refused(&format!("{line} --trust trust.json"));
        assert!(
            said.contains("name a key file with --key"),
            "{line}: {said}"
        );
        let said = desk.refused(&format!("{line} --trust no.json --key my.key"));
        assert!(said.contains("no.json: No such file"), "{line}: {said}");
        let said = desk.refused(&format!("{line} --trust empty.json --key my.key"));
        let expected = "empty.json: the trust file names no canister";
        assert!(said.contains(expected), "{line}: {said}");
        let output = desk.indus(&format!("{line} --trust trust.json --key my.key"));
        assert_eq!(output.status.code(), Some(1), "{line}: {output:?}");
        assert!(output.stdout.is_empty(), "{line}: {output:?}");
        assert_eq!(String::from_utf8(output.stderr).unwrap().lines().count(), 1);
    }
    // To verify a log takes no key.
    let said = desk.refused("msg verify 1 --trust empty.json");
    assert!(said.contains("names no canister"), "{said}");
    let output = desk.indus("msg verify 1 --trust trust.json");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}

#[test]
fn arguments_that_can_not_be_meant_are_refused_before_anything_is_asked() {
    let desk = Desk::new();
    let text = "--text A --commitment kept.json";
    for (line, said) in [
        ("person confirm somebody", "invalid value 'somebody'"),
        (
            &format!("role grant --person {PERSON} --organisation 1 --role a --valid-for soon"),
            "a duration is a number and s, m, h or d",
        ),
        ("role revoke 1 --reason because", "[possible values: ended,"),
        ("role show one", "invalid value 'one'"),
        (
            "credential present 1 --nonce 0011 --out a.json",
            "a nonce has 16 to 64 bytes",
        ),
        (
            "credential present 1 --nonce xyz --out a.json",
            "it is not hexadecimal",
        ),
        (&format!("licence file 1 --nonce {NONCE}"), "--out <FILE>"),
        ("licence seat 0", "0 is not in 1..=1500"),
        (
            &format!("licence suspend 1501 {text}"),
            "1501 is not in 1..=1500",
        ),
        (
            &format!("licence review 1 --score 101 {text}"),
            "101 is not in 0..=100",
        ),
        (
            &format!("licence apply --audience army --sector health {text}"),
            "[possible values: government, education, startups]",
        ),
        ("msg invite 1", "<PERSON>"),
        ("msg send one text", "invalid value 'one'"),
        (
            &format!("msg remove 1 {PERSON} --device 00"),
            "64 hexadecimal digits",
        ),
        (
            "msg create --label secret",
            "[possible values: open, official, restricted, confidential]",
        ),
        ("licence suspend 1 --commitment kept.json", "--text <TEXT>"),
        ("licence suspend 1 --text A", "--commitment <FILE>"),
        (
            "licence suspend 1 --text A --text-file text --commitment kept.json",
            "cannot be used with",
        ),
        (
            "licence renew 1 --for 99999999999999999d",
            "a duration is a number and s, m, h or d",
        ),
    ] {
        let yes = if line.starts_with("msg") {
            ""
        } else {
            " --yes"
        };
        let refused = desk.refused(&format!("{line} --trust trust.json --key my.key{yes}"));
        assert!(refused.contains(said), "{line}: {refused}");
    }
}

#[test]
fn a_commitment_is_checked_and_never_replaced() {
    let desk = Desk::new();
    let apply = "licence apply --audience startups --sector health --trust trust.json --key my.key";
    // It is kept before anything is sent.
    let refused = desk.refused(&format!("{apply} --text-file text --commitment kept.json"));
    assert!(refused.contains("needs a yes"), "{refused}");
    let kept = fs::read(desk.folder.path().join("kept.json")).unwrap();
    let refused = desk.refused(&format!("{apply} --text other --commitment kept.json"));
    assert_eq!(
        refused,
        "indus: kept.json: it commits to another text; a commitment is never replaced\n"
    );
    assert_eq!(
        fs::read(desk.folder.path().join("kept.json")).unwrap(),
        kept
    );

    let output = desk.indus("commitment check kept.json");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.starts_with("text:        a text\n"), "{shown}");
    let other = desk.indus(&format!("commitment check kept.json --of {NONCE}"));
    assert_eq!(other.status.code(), Some(1), "{other:?}");
    let changed = String::from_utf8(kept).unwrap().replace("a text", "A text");
    fs::write(desk.folder.path().join("kept.json"), changed).unwrap();
    let refused = desk.refused("commitment check kept.json");
    let said = "indus: kept.json: its commitment is not that of its salt and its text\n";
    assert_eq!(refused, said);
}

#[test]
fn an_upgrade_needs_a_key_a_module_and_whole_ids() {
    let desk = Desk::new();
    for (arguments, said) in [
        ("1 --module text", "name a key file with --key"),
        ("one --module text --key my.key", "invalid digit"),
        ("1 --key my.key", "--module"),
        (
            "1 --module text --key my.key --trust empty.json",
            "registry",
        ),
    ] {
        let refusal = desk.refused(&format!("canister upgrade {arguments}"));
        assert!(refusal.contains(said), "{arguments}: {refusal}");
    }
}
