//! `indus up` as people run it: all is verified, and whatever ends it, nothing of it stays.

#![allow(clippy::unwrap_used)]

use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};

use candid::Principal;
use end_to_end::{Run, icp, identity_module, processes_with, program, project, signal, wait_until};
use indus_api::identity;
use indus_client::{Connection, Deployment, Key, TrustFile};

/// Where a run can be interrupted: the beginning of a line that shows how far it is.
const MOMENTS: [&str; 6] = [
    "organisations:",
    "localnet:",
    "registry:",
    "registering: 58",
    "reading back and verifying: 58",
    "145 of 145 records verified offline",
];

fn localnets_of(run: &Run) -> Vec<u32> {
    processes_with(run.folder().join("indus-").to_str().unwrap())
}

#[test]
fn every_organisation_is_registered_and_verified() {
    let mut run = Run::start(&["--once"]);
    run.read_until("registered:    145, verified: 145");
    let (folder, trust) = (
        run.folder().to_owned(),
        TrustFile::load(&run.folder().join("trust.json")).unwrap(),
    );
    assert!(!localnets_of(&run).is_empty());
    run.read_until("absent:        organisation 151 (1 call of certified_read at ");
    run.read_until(
        "replayed:      581 blocks to the certified head (6 calls of icrc3_get_blocks at ",
    );
    run.read_until("complete:      150 organisations, root ");
    let proof = run.read_until(
        "145 of 145 records verified offline: present, complete, absent beyond; log of 581 blocks replayed to the \
         certified root: root key …",
    );
    let (subnet, registry) = (trust.subnet, trust.canister("registry").unwrap());
    let chain =
        format!("subnet {subnet} → registry {registry} (BLS certificates, Merkle witnesses)");
    assert!(proof.ends_with(&chain), "{proof}");

    let (status, stdout, stderr) = run.end();
    assert!(status.success(), "{stderr}");
    assert_eq!((stdout.as_str(), stderr.as_str()), ("", ""));
    assert!(processes_with(folder.to_str().unwrap()).is_empty());
}

#[test]
fn the_first_days_of_a_subnet_are_played_and_audited() {
    let icp = icp();
    let icp = icp.to_str().unwrap();
    let mut run = Run::start(&["--once", "--applicants", "60", "--icp", icp]);
    for line in [
        "controllers:   of all 6 canisters are canisters of the suite",
        "inventory:     6 canisters of the suite declared",
        "sites:         8 sites, 13 nodes of 6 operators (illustrative",
        "residency:     policy decided by 4 of 5; moving isb-1 to AE refused before anybody voted: ",
        "service:       licence-entitlements published; access of organisation ",
        "official:      enrolled with two devices, took office at organisation 3, issued credential 1",
        "signature:     credential 1, ",
        "recovery:      devices lost; two officials of the organisation gave a new one after the delay (recovery 1",
        "veto:          recovery 2 vetoed by the person; approving it refused: ",
        "leaving:       out of office; issuing refused at once: ",
        "conversation:  1: officials of organisations 3 and 4 and an auditor of 5; 3 messages",
        "devices:       a second device of an official added, and removed",
        "stranger:      refused: not authorized: needs a member of the conversation",
        "log verified:  conversation 1, ",
        "alarm:         a node left out entry ",
        "app:           kisan, deployed by plain icp: a back end (",
        "releases:      of ",
        "agency:        organisation 4 released to ",
        "upgraded:      ",
        "lifeline:      upgraded app_hosting (",
        "restored:      a bad upgrade ",
        "audited:       app_hosting ",
        "audited:       identity ",
        "audited:       license_manager ",
        "audited:       lifeline ",
        "audited:       messaging ",
        "audited:       registry ",
        "licences:      60 applications to 40 claims in ",
        "recounted:     40 seats held by 40 persons, 1 expired and passed on, 19 waiting, none overtaken; logs of ",
    ] {
        run.read_until(line);
    }
    let trust = TrustFile::load(&run.folder().join("trust.json")).unwrap();
    assert_eq!(trust.canisters.len(), 6);
    let (status, _, stderr) = run.end();
    assert!(status.success(), "{stderr}");
}

#[test]
fn without_once_it_serves_until_it_is_told_to_stop() {
    let mut run = Run::start(&["--port", "0"]);
    run.read_until("145 of 145 records verified offline");
    let network = TrustFile::load(&run.folder().join("trust.json"))
        .unwrap()
        .network;
    let address = ("127.0.0.1", network.port().unwrap());
    TcpStream::connect(address).unwrap();
    assert_eq!(localnets_of(&run).len(), 1);

    signal("TERM", run.pid());
    let folder = run.folder().to_owned();
    let (status, stdout, stderr) = run.end();
    assert_eq!(status.code(), Some(143));
    assert_eq!(
        (stdout.as_str(), stderr.as_str()),
        ("", "indus: ended by SIGTERM; no process is left\n")
    );
    assert!(processes_with(folder.to_str().unwrap()).is_empty());
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn an_interrupt_at_any_moment_leaves_no_process() {
    for moment in MOMENTS {
        let mut run = Run::start(&["--port", "0"]);
        run.read_until(moment);
        let folder = run.folder().to_owned();
        signal("INT", run.pid());
        let (status, _, stderr) = run.end();
        assert_eq!(status.code(), Some(130), "{moment}: {stderr}");
        assert_eq!(
            stderr, "indus: ended by SIGINT; no process is left\n",
            "{moment}"
        );
        assert!(
            processes_with(folder.to_str().unwrap()).is_empty(),
            "{moment}"
        );
    }
}

#[test]
fn a_localnet_does_not_outlive_an_indus_that_was_killed() {
    for moment in ["localnet:", "registering: 58"] {
        let mut run = Run::start(&["--port", "0"]);
        run.read_until(moment);
        let localnets = localnets_of(&run);
        assert_eq!(localnets.len(), 1, "{moment}");
        signal("KILL", run.pid());
        let text = run.folder().to_str().unwrap().to_owned();
        let (status, ..) = run.end();
        assert_eq!(status.code(), None, "{moment}");
        wait_until("the end of localnet", || processes_with(&text).is_empty());
    }
}

#[test]
fn a_localnet_that_is_killed_is_reported() {
    for moment in [
        "localnet:",
        "registering: 58",
        "145 of 145 records verified offline",
    ] {
        let mut run = Run::start(&["--port", "0"]);
        run.read_until(moment);
        localnets_of(&run)
            .into_iter()
            .for_each(|pid| signal("KILL", pid));
        let (status, _, stderr) = run.end();
        assert_eq!(status.code(), Some(1), "{moment}: {stderr}");
        let line = "indus: localnet ended by itself (signal: 9 (SIGKILL)): it said nothing\n";
        assert_eq!(stderr, line, "{moment}");
    }
}

#[test]
fn a_port_in_use_is_refused_in_one_line() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let run = Run::start(&["--once", "--port", &port]);
    let trust = run.folder().join("trust.json");
    let mut run = run;
    run.read_until("organisations:");
    assert!(!trust.exists());
    let (status, _, stderr) = run.end();
    assert_eq!(status.code(), Some(1), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(
        stderr.starts_with("indus: localnet did not start"),
        "{stderr}"
    );
    assert!(stderr.contains(&port), "{stderr}");
}

/// A localnet on which nothing is deployed, and what `indus deploy` needs to know of it.
struct Bare {
    folder: tempfile::TempDir,
    localnet: std::process::Child,
    anywhere: String,
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.localnet.kill();
        let _ = self.localnet.wait();
    }
}

impl Bare {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let status = folder.path().join("status.json");
        let localnet = Command::new(program("localnet"))
            .args(["serve", "--port", "0", "--exit-with-stdin", "--status-file"])
            .arg(&status)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        wait_until("localnet serves", || status.is_file());
        let status: serde_json::Value =
            serde_json::from_slice(&std::fs::read(status).unwrap()).unwrap();
        let text = |name: &str| status[name].as_str().unwrap().to_owned();
        let trust = serde_json::json!({
            "format": 1,
            "network": format!("http://127.0.0.1:{}", status["gateway_port"]),
            "root_key": text("root_key"),
            "root_key_source": "status file",
            "subnet": text("application_subnet"),
            "canisters": {},
        });
        std::fs::write(folder.path().join("trust.json"), trust.to_string()).unwrap();
        Self {
            folder,
            localnet,
            anywhere: text("default_effective_canister_id"),
        }
    }

    /// A canister with these controllers: empty, or another identity.
    fn made(
        &self,
        trust: &TrustFile,
        args: Option<&identity::InitArgs>,
        controllers: &[Principal],
    ) -> Principal {
        let somebody = Key::from_seed(&[99; 32]);
        let connection = Connection::open(trust.clone())
            .unwrap()
            .signing_as(&somebody);
        let anywhere = Principal::from_text(&self.anywhere).unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let deployment = Deployment::new(connection);
        runtime.block_on(async {
            let canister = deployment.create(anywhere).await.unwrap();
            if let Some(args) = args {
                let args = candid::encode_one(args).unwrap();
                let installed = deployment.install(canister, identity_module(), args).await;
                installed.unwrap();
            }
            let given = deployment
                .set_controllers(canister, controllers.to_vec())
                .await;
            given.unwrap();
            canister
        })
    }

    /// `indus …` there: whether it succeeded, and what it said.
    fn indus(&self, args: &[&str]) -> (bool, String) {
        let output = Command::new(program("indus"))
            .args(args)
            .args(["--trust", "trust.json"])
            .current_dir(self.folder.path())
            .output()
            .unwrap();
        let said = [&output.stdout[..], &output.stderr].concat();
        (
            output.status.success(),
            String::from_utf8_lossy(&said).into_owned(),
        )
    }
}

#[test]
fn a_deployed_suite_is_controlled_by_no_key_and_says_so() {
    let bare = Bare::start();
    let founder = |n: u8| {
        serde_json::json!({
            "slug": format!("council-{n}"), "name": format!("Council {n}"),
            "sector": "governance", "seat": "Islamabad",
            "governor": Key::from_seed(&[n; 32]).principal().to_text(),
        })
    };
    let keeper = |n: u8| Key::from_seed(&[n; 32]).principal().to_text();
    let founding = serde_json::json!({
        "founders": (1..=5).map(founder).collect::<Vec<_>>(),
        "ordinary": [3, 3], "constitutional": [4, 3],
        "keepers": (6..=8).map(keeper).collect::<Vec<_>>(), "threshold": 2,
    });
    std::fs::write(
        bare.folder.path().join("founding.json"),
        founding.to_string(),
    )
    .unwrap();
    let (made, said) = {
        let output = Command::new(program("indus"))
            .args(["key", "new", "deployer.key"])
            .current_dir(bare.folder.path())
            .output()
            .unwrap();
        (
            output.status.success(),
            [output.stdout, output.stderr].concat(),
        )
    };
    let deployer = String::from_utf8(said).unwrap();
    assert!(made, "{deployer}");
    let deployer = Principal::from_text(deployer.trim()).unwrap();
    // Nothing is there yet.
    assert!(!bare.indus(&["deploy", "--verify"]).0);

    let path = bare.folder.path().join("trust.json");
    // One canister is there, as all are on a real subnet; the others are created.
    let given = bare.made(&TrustFile::load(&path).unwrap(), None, &[deployer]);
    let given = format!("messaging={given}");
    let modules = project().join("target/canisters");
    let modules = modules.to_str().unwrap();
    let deploy = [
        "deploy",
        "--founding",
        "founding.json",
        "--modules",
        modules,
        "--canister",
        &given,
        "--anywhere",
        &bare.anywhere,
        "--key",
        "deployer.key",
        "--yes",
    ];
    let (deployed, said) = bare.indus(&deploy);
    assert!(deployed, "{said}");
    // It can be asked for again: everything is there.
    let before = TrustFile::load(&path).unwrap();
    assert_eq!(before.canisters.len(), 6);
    let messaging = before.canister("messaging").unwrap();
    assert_eq!(format!("messaging={messaging}"), given);
    let (deployed, said) = bare.indus(&deploy);
    assert!(deployed, "{said}");
    let after = TrustFile::load(&path).unwrap();
    assert_eq!(after, before);

    let (right, said) = bare.indus(&["deploy", "--verify", "--json"]);
    assert!(right, "{said}");
    let shown: serde_json::Value = serde_json::from_str(&said).unwrap();
    let items = shown["items"].as_array().unwrap();
    assert_eq!(items.len(), 6);
    for one in items {
        assert_eq!(one["control"], "right");
        assert_eq!(one["declared"], "not yet");
    }
    for one in items {
        assert_eq!(one["obeys"], "the suite");
    }

    // The same module, but a key controls it; or it obeys another registry; or it tells somebody else who calls.
    let named = |name: &str| after.canister(name).unwrap();
    let asking = ["license_manager", "messaging", "app_hosting"].map(named);
    let (right, wrong) = (named("registry"), named("lifeline"));
    let more = [&asking[..], &[wrong]].concat();
    let (ours, theirs) = (named("app_hosting"), deployer);
    for (registry, asking, controller, expected) in [
        (right, &asking[..], theirs, ["wrong", "the suite"]),
        (wrong, &asking[..], ours, ["right", "another canister"]),
        (right, &asking[..2], ours, ["right", "another canister"]),
        (right, &more[..], ours, ["right", "another canister"]),
        // What the others don't ask is none of the suite, however it is made.
        (right, &asking[..], ours, ["right", "the suite"]),
    ] {
        let args = identity::InitArgs {
            registry,
            configuration: identity::Configuration {
                suite_canisters: asking.to_vec(),
                recovery_delay_ns: None,
            },
        };
        let mut other = after.clone();
        let substitute = bare.made(&after, Some(&args), &[controller]);
        other.canisters.insert("identity".into(), substitute);
        other.save(&path).unwrap();
        let (verified, said) = bare.indus(&["deploy", "--verify", "--json"]);
        assert!(!verified, "{said}");
        // What is said of the failure comes behind the list.
        let list = said.split("\nindus: ").next().unwrap();
        let shown: serde_json::Value = serde_json::from_str(list).unwrap();
        let items = shown["items"].as_array().unwrap();
        let identity = items.iter().find(|one| one["name"] == "identity").unwrap();
        assert_eq!(["control", "obeys"].map(|field| &identity[field]), expected);
    }
    after.save(&path).unwrap();

    let (kept, said) = bare.indus(&["lifeline", "keepers"]);
    assert!(kept && said.contains(&keeper(7)), "{said}");
}
