//! The commands of persons, roles, credentials and licences, as people type them, on a subnet that `indus up` started: from
//! keys to the files that prove a licence and a credential offline.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::ops::Deref;

use end_to_end::{Office, Run, text};
use serde_json::Value;

/// Nonces of verifiers.
const NONCE: &str = "00112233445566778899aabbccddeeff";
const OTHER_NONCE: &str = "ffeeddccbbaa99887766554433221100";

/// A subnet that `indus up` started, and the office of those who work on it.
struct Local {
    _run: Run,
    office: Office,
}

impl Deref for Local {
    type Target = Office;

    fn deref(&self) -> &Office {
        &self.office
    }
}

impl Local {
    /// Seats of all sectors but "other" are in use already.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let organisations = folder.path().join("organisations.csv");
        let row = "slug,name,kind,parent,sector,seat\nmof,Ministry of Finance,agency,,finance,Islamabad\n";
        fs::write(&organisations, row).unwrap();
        let organisations = organisations.to_str().unwrap().to_owned();
        let mut run = Run::start(&[
            "--port",
            "0",
            "--applicants",
            "2",
            "--organisations",
            &organisations,
        ]);
        run.read_until("1 of 1 records verified offline");
        let trust = run.folder().join("trust.json");
        Self {
            _run: run,
            office: Office::new(folder, trust),
        }
    }

    /// Whether a file is verified for this nonce, and why not.
    fn verified(&self, code: i32, file: &str, more: &str) -> Value {
        self.ended(code, &format!("verify {file} --max-age 1h {more}"))
    }

    /// A round with one applicant, whose licence is claimed: the seat.
    fn seat_of(&self, who: &str) -> u64 {
        self.official("officer", "licence-officer", 1);
        self.official("reviewer", "licence-reviewer", 2);
        let round = self.does(
            "officer",
            "licence round open --title Second --apply-for 30d",
        );
        self.person(who);
        let apply = "licence apply --audience startups --sector other --text 'A clinic' --commitment statement.json";
        let applied = self.does(who, apply);
        let id = &applied["application"];
        assert_eq!(self.does(who, apply)["application"], *id);
        let read = self.does("reviewer", &format!("licence application {id}"));
        assert_eq!(
            read["statement_commitment"],
            applied["statement_commitment"]
        );
        let of = format!("--of {}", text(&read, "statement_commitment"));
        let checked = self.output(&format!("commitment check statement.json {of}"));
        assert!(checked.status.success(), "{checked:?}");

        let waits = self.ended(0, "licence to-review");
        assert_eq!(waits["items"][0]["application"], *id);
        let review = "--score 80 --text Good --commitment comment.json";
        self.does("reviewer", &format!("licence review {id} {review}"));
        self.does("officer", &format!("licence round close {}", round["id"]));
        let order = self.ended(0, "licence order --audience startups --sector other");
        assert_eq!(order["items"][0]["application"], *id);
        let granted = self.does("officer", &format!("licence grant {id}"));
        let seat = granted["seat"].as_u64().unwrap();
        // Nothing is to be shown before it is claimed.
        let file = format!("licence file {seat} --nonce {NONCE} --out early.json");
        assert!(self.refused(who, &file).contains("the seat is not claimed"));
        self.does(who, &format!("licence claim {seat}"));
        self.does(who, &format!("licence check-in {seat}"));
        seat
    }
}

#[test]
fn a_licence_is_applied_for_granted_and_proved_offline_until_it_is_suspended() {
    let office = Local::new();
    let seat = office.seat_of("ayesha");
    let entitled = format!(
        "licence check {}",
        text(&office.does("ayesha", "person show"), "person")
    );
    assert_eq!(office.ended(0, &entitled)["valid"], true);

    let file =
        format!("licence file {seat} --nonce {NONCE} --verifier Caffeine --out licence.json");
    office.does("ayesha", &file);
    let challenge = format!("--nonce {NONCE} --verifier Caffeine");
    let valid = office.verified(0, "licence.json", &challenge);
    assert_eq!(valid["licence"], format!("seat {seat}"));
    assert_eq!(valid["verified"], true);
    for (more, said) in [
        (
            format!("--nonce {OTHER_NONCE} --verifier Caffeine"),
            "it was signed for another nonce",
        ),
        (
            format!("--nonce {NONCE}"),
            "it was signed for the verifier \"Caffeine\"",
        ),
        (
            format!("{challenge} --canister aaaaa-aa"),
            "what is shown is of canister",
        ),
        (
            format!("{challenge} --identity aaaaa-aa"),
            "the holder's key is of canister",
        ),
    ] {
        let refused = office.verified(1, "licence.json", &more);
        assert!(text(&refused, "error").starts_with(said), "{refused}");
    }
    // Without nonce or limit it is not looked at; nor with a nonce that a proof has no use for.
    let root_key = office.trust();
    let root_key = root_key.to_str().unwrap();
    for line in [
        format!("verify licence.json --root-key {root_key} --max-age 1h"),
        format!("verify licence.json --root-key {root_key} --nonce {NONCE}"),
    ] {
        assert_eq!(office.output(&line).status.code(), Some(2), "{line}");
    }

    // The proofs serve again for another verifier, without a network; not with another's key.
    let again = format!(
        "licence file {seat} --from licence.json --nonce {OTHER_NONCE} --out again.json --yes --trust nowhere"
    );
    let output = office.output(&format!("{again} --key ayesha.key"));
    assert!(output.status.success(), "{output:?}");
    office.verified(0, "again.json", &format!("--nonce {OTHER_NONCE}"));
    let output = office.output(&format!("{again} --key officer.key"));
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let foreign = format!("licence file {seat} --nonce {NONCE} --out foreign.json");
    assert!(
        office
            .refused("officer", &foreign)
            .contains("its holder is")
    );

    // A damaged file.
    let bytes = fs::read(office.path().join("licence.json")).unwrap();
    for at in [60, bytes.len() / 2, bytes.len() - 100] {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        fs::write(office.path().join("damaged.json"), damaged).unwrap();
        office.verified(1, "damaged.json", &challenge);
    }

    // Decisions of officers.
    let decide = |what: &str| {
        let reason = format!("--text 'It is {what}ed' --commitment {what}.json");
        office.does("officer", &format!("licence {what} {seat} {reason}"))
    };
    assert_eq!(decide("suspend")["state"], "suspended");
    assert_eq!(office.ended(1, &entitled)["valid"], false);
    let suspended = office.refused("ayesha", &file);
    assert!(
        suspended.contains("the licence has been suspended since"),
        "{suspended}"
    );
    assert_eq!(decide("reinstate")["state"], "active");
    let noticed = decide("reclaim");
    assert_eq!(noticed["reclaimed_at"], noticed["until"]);

    // That nobody has a seat is proved like a seat.
    office.ended(0, "licence prove 1500 --out free.json");
    let free = office.ended(0, "verify free.json");
    assert_eq!(free["paths"][0]["found"], "absent");
    office.ended(1, "licence seat 1500");
    let seats = office.ended(0, "licence seats");
    let quotas = office.ended(0, "licence quotas");
    let held = quotas["items"].as_array().unwrap().iter();
    let held: u64 = held.map(|quota| quota["held"].as_u64().unwrap()).sum();
    assert_eq!(seats["items"].as_array().unwrap().len() as u64, held);
}

#[test]
fn persons_pair_and_come_back_and_show_what_they_achieved() {
    let office = Local::new();
    let ayesha = office.official("ayesha", "learner", 1);
    for (who, role) in [
        ("issuer", "credential-issuer"),
        ("first", "recovery-officer"),
        ("second", "recovery-officer"),
    ] {
        office.official(who, role, 1);
    }
    let achieved = "--programme rust --name Rust --description Weeks --criteria Passes";
    let issued = office.does(
        "issuer",
        &format!("credential issue --holder {ayesha} {achieved}"),
    );
    let id = &issued["id"];
    let present = format!("credential present {id} --nonce {NONCE} --out credential.json");
    office.does("ayesha", &present);
    let nonce = format!("--nonce {NONCE}");
    let valid = office.verified(0, "credential.json", &nonce);
    assert_eq!(
        (&valid["holder"], &valid["achievement"]),
        (&ayesha.clone().into(), &"Rust".into())
    );
    let shown = office.does(
        "ayesha",
        &format!("credential show {id} --json-out badge.json"),
    );
    assert_eq!(shown["state"], "valid");
    let badge: Value =
        serde_json::from_slice(&fs::read(office.path().join("badge.json")).unwrap()).unwrap();
    assert_eq!(badge["name"], "Rust");
    office.does(
        "issuer",
        &format!("credential revoke {id} --reason mistake"),
    );
    assert!(
        office
            .refused("ayesha", &present)
            .contains("the credential is revoked")
    );
    let own = office.does("ayesha", "credential list");
    assert_eq!(own["items"][0]["state"], "revoked");

    // A second device, by a code.
    let phone = office.key("phone");
    let code = text(&office.does("ayesha", "person pair"), "code");
    office.does(
        "phone",
        &format!("person offer --person {ayesha} --code {code}"),
    );
    let confirmed = office.does("ayesha", &format!("person confirm {phone}"));
    assert_eq!(confirmed["person"], ayesha);
    let methods = |who| {
        office.does(who, "person show")["methods"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(methods("phone"), 2);
    assert_eq!(office.does("phone", "person office 1")["office"], 1);
    let first = office.key_of("ayesha");
    office.does("phone", &format!("person remove {first}"));
    assert_eq!(methods("phone"), 1);
    office.refused("ayesha", "person show");

    // A recovery: two officials, exactly as it was read, a delay, a veto.
    let new = office.key("new");
    let opened = office.does(
        "first",
        &format!("person recovery open --person {ayesha} --new-key {new} --remove-others"),
    );
    let id = &opened["recovery"];
    let approve = format!("person recovery approve {id}");
    assert!(office.refused("first", &approve).contains("not authorized"));
    let approved = office.does("second", &approve);
    assert_eq!(approved["state"], "approved");
    assert_eq!(
        office.does("phone", &format!("person recovery show {id}"))["state"],
        "approved"
    );
    let finish = format!("person recovery finish {id}");
    assert!(
        office
            .refused("new", &finish)
            .contains("the delay is not over")
    );
    let vetoed = office.does("phone", &format!("person recovery veto {id}"));
    assert_eq!(vetoed["state"], "vetoed");

    // Roles end.
    let held = office.ended(0, &format!("role list --person {ayesha}"));
    let role = &held["items"][0]["id"];
    assert_eq!(
        office.does("phone", &format!("role revoke {role} --reason ended"))["state"],
        "revoked"
    );
    assert_eq!(
        office.ended(0, &format!("role show {role}"))["revoked_for"],
        "Ended"
    );
}
