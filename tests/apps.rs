//! The commands of apps and of the lifeline, as founders, agencies and keepers type them, on a suite that `indus deploy` set up.
//!
//! The subnet is an instance of the project's PocketIC server, so that time can pass there: a minute, since clients take no answer of a clock
//! that is more than five ahead.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{Read, Write};
use std::ops::Deref;
use std::process::{Command, Stdio};
use std::time::Duration;

use end_to_end::{
    FOUNDERS, Office, app_hosting_module, bare, example_module, icp, project, text, wait_until,
};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use indus_client::ModuleHash;
use pocket_ic::nonblocking::PocketIc;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// Two of them decide.
const KEEPERS: [&str; 3] = ["keeper-1", "keeper-2", "keeper-3"];
/// The founding organisation whose app takes two persons.
const AGENCY: u64 = 4;
/// From one look for canisters whose reading is due to the next.
const CARE: Duration = Duration::from_secs(60);

/// A subnet with the suite on it, and the office of those who work there.
struct Suite {
    runtime: Runtime,
    instance: PocketIc,
    office: Office,
}

impl Deref for Suite {
    type Target = Office;

    fn deref(&self) -> &Office {
        &self.office
    }
}

impl Suite {
    /// Deployed from keys and a file of founders. The trust file is where commands look for it, unless they are told of another.
    fn deployed() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime = Runtime::new().unwrap();
        let (instance, told, anywhere) = runtime.block_on(bare());
        let trust = folder.path().join(".indus/trust.json");
        fs::create_dir(trust.parent().unwrap()).unwrap();
        told.save(&trust).unwrap();
        let office = Office::new(folder, trust);
        let founders = (1..=FOUNDERS).map(|n| {
            json!({
                "slug": format!("council-{n}"), "name": format!("Council {n}"), "sector": "governance",
                "seat": "Islamabad", "governor": office.key(&office.governor(n)),
            })
        });
        let founding = json!({
            "founders": founders.collect::<Vec<_>>(),
            "ordinary": [3, 3], "constitutional": [4, 3],
            "keepers": KEEPERS.map(|keeper| office.key(keeper)), "threshold": 2,
        });
        fs::write(office.path().join("founding.json"), founding.to_string()).unwrap();
        office.key("deployer");
        let modules = project().join("target/canisters");
        let modules = modules.display();
        let line =
            format!("deploy --founding founding.json --modules {modules} --anywhere {anywhere}");
        office.does("deployer", &line);
        Self {
            runtime,
            instance,
            office,
        }
    }

    /// With a back end to release, `backend.wasm`; the same one packed, `next.wasm.gz`, another module by its hash; and a module that answers
    /// nothing, `mute.wasm`.
    fn with_modules() -> Self {
        let suite = Self::deployed();
        let module = example_module("kisan");
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(&module).unwrap();
        suite.put("backend.wasm", &module);
        suite.put("next.wasm.gz", &packed.finish().unwrap());
        suite.put("mute.wasm", &wat::parse_str("(module)").unwrap());
        suite
    }

    /// A canister of the suite, by its name in the trust file.
    fn canister(&self, name: &str) -> String {
        let trust: Value = serde_json::from_slice(&fs::read(self.trust()).unwrap()).unwrap();
        text(&trust["canisters"], name)
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path().join(name), bytes).unwrap();
    }

    /// The hash by which a file is known where it is installed.
    fn hash(&self, name: &str) -> String {
        ModuleHash::of(&fs::read(self.path().join(name)).unwrap()).to_string()
    }

    /// Gives a person the seat of a round in which nobody else applies.
    fn seat(&self, applicant: &str) {
        self.official("officer", "licence-officer", 1);
        self.official("reviewer", "licence-reviewer", 2);
        let round = "licence round open --title First --apply-for 30d";
        let round = &self.does("officer", round)["id"];
        let apply = "licence apply --audience startups --sector other --text Prices --commitment statement.json";
        let application = &self.does(applicant, apply)["application"];
        let review = "--score 80 --text Good --commitment review.json";
        self.does(
            "reviewer",
            &format!("licence review {application} {review}"),
        );
        self.does("officer", &format!("licence round close {round}"));
        let granted = self.does("officer", &format!("licence grant {application}"));
        self.does(applicant, &format!("licence claim {}", granted["seat"]));
    }

    /// Something that a canister refuses to `who`, for this reason.
    fn refuses(&self, who: &str, line: &str, method: &str, reason: &str) {
        let said = self.refused(who, line);
        let expected = format!("indus: {method} was refused: {reason}\n");
        assert_eq!(said, expected, "{line}");
    }

    /// Something that fails with this exit code, for this reason.
    fn fails(&self, code: i32, line: &str, reason: &str) {
        assert_eq!(
            self.said(code, line),
            format!("indus: {reason}\n"),
            "{line}"
        );
    }

    /// icp-cli in a project's folder, with the founder's key.
    fn icp(&self, project: &str, line: &str) -> String {
        let home = self.path();
        let output = Command::new(icp())
            .args(line.split(' '))
            .current_dir(home.join(project))
            .env("HOME", home)
            .env("XDG_CONFIG_HOME", home.join("config"))
            .env("XDG_DATA_HOME", home.join("data"))
            .env("DO_NOT_TRACK", "1")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success(), "icp {line}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, path: &str) -> Value {
        serde_json::from_slice(&fs::read(self.path().join(path)).unwrap()).unwrap()
    }
}

/// The items of a list.
fn items(list: &Value) -> &[Value] {
    list["items"].as_array().unwrap()
}

#[test]
fn a_founder_with_a_seat_has_apps_takes_releases_back_and_sees_what_they_cost() {
    let suite = Suite::with_modules();
    let founder = suite.person("founder");
    let no_seat = "not authorized: needs the holder of a valid licence";
    suite.refuses("founder", "app create kisan", "create_app", no_seat);
    suite.seat("founder");

    // Nothing is signed without a key, and a yes.
    let no_key = "this is signed: name a key file with --key; `indus key new FILE` makes one";
    suite.fails(2, "app create kisan", no_key);
    let unasked = suite.said(2, "app create kisan --key founder.key");
    let no_yes = "signing needs a yes: --yes, or a terminal to ask at\n";
    assert!(unasked.ends_with(no_yes), "{unasked}");
    let app = suite.does("founder", "app create kisan --no-canister");
    let id = &app["id"];
    assert_eq!(app["owner"], format!("person {founder}"));
    assert_eq!(
        (&app["canisters"], &app["canister"]),
        (&json!(0), &Value::Null)
    );
    // The same again is the same app, now with a canister.
    let again = suite.does("founder", "app create kisan");
    assert_eq!((&again["id"], &again["canisters"]), (id, &json!(1)));
    let backend = text(&again, "canister");
    let other = "there is an app of that name with another data class";
    let official = "app create kisan --data-class official";
    suite.refuses("founder", official, "create_app", other);
    suite.does("founder", "app create mandi --no-canister");

    // Everybody reads which apps there are.
    let listed = suite.ended(0, &format!("app list --person {founder}"));
    let names: Vec<_> = items(&listed).iter().map(|app| &app["name"]).collect();
    assert_eq!(names, ["kisan", "mandi"]);
    let of_others = suite.ended(0, &format!("app list --organisation {AGENCY}"));
    assert!(items(&of_others).is_empty());
    let table = suite.output("app list");
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(table.starts_with("ID  NAME   OWNER"), "{table}");
    let untold = suite.said(2, "app list --trust nowhere.json");
    assert!(
        untold.starts_with("indus: trust file nowhere.json: "),
        "{untold}"
    );

    let owner = "not authorized: needs the owner of the app";
    let choose = format!("app choose {id}");
    assert_eq!(suite.does("founder", &choose)["name"], "kisan");
    suite.refuses("officer", &choose, "choose_app", owner);
    let canister = format!("app canister {id}");
    let created = suite.does("founder", &canister);
    assert_eq!(created["app"], *id);
    suite.refuses("officer", &canister, "choose_app", owner);
    let shown = suite.ended(0, &format!("app show {id}"));
    let [key, hosting] = [suite.key_of("founder"), suite.canister("app_hosting")].map(Value::from);
    for canister in shown["its_canisters"].as_array().unwrap() {
        let controllers = canister["controllers"].as_array().unwrap();
        assert!(controllers.contains(&key) && controllers.contains(&hosting));
        assert_eq!(controllers.len(), 2);
    }
    assert_eq!(shown["canisters"], 2);
    suite.fails(1, "app show 99", "no app 99");

    // A release that does not answer undoes itself; the one before is back as soon as there is one.
    let release = |file: &str| format!("app release {backend} --module {file} --health health");
    let rollback = format!("app rollback {backend}");
    let live = suite.does("founder", &release("backend.wasm"));
    assert_eq!(
        (&live["state"], &live["number"]),
        (&json!("live"), &json!(1))
    );
    suite.refuses("founder", &rollback, "roll_back", "no release before");
    let restored = "the canister is again what it was (Unhealthy)";
    let mute = suite.refused("founder", &release("mute.wasm"));
    let said = format!("indus: release 2 did not go live: {restored}: ");
    assert!(mute.starts_with(&said), "{mute}");
    let to_mute = format!("{rollback} --to 2");
    let not_live = "that release did not go live";
    suite.refuses("founder", &to_mute, "roll_back", not_live);
    suite.refuses("officer", &release("next.wasm.gz"), "upload_chunk", owner);
    let identity = suite.canister("identity");
    let elsewhere = format!("app release {identity} --module backend.wasm --key founder.key --yes");
    let no_app = format!("{identity} is not a canister of an app");
    suite.fails(1, &elsewhere, &no_app);
    let missing = format!("{} --key founder.key --yes", release("missing.wasm"));
    suite.fails(
        2,
        &missing,
        "missing.wasm: No such file or directory (os error 2)",
    );
    let next = suite.does("founder", &release("next.wasm.gz"));
    assert_eq!(next["replaced"], suite.hash("backend.wasm"));
    suite.refuses("officer", &rollback, "roll_back", owner);
    assert_eq!(
        suite.does("founder", &rollback)["rolls_back_to"],
        live["id"]
    );

    let releases = suite.ended(0, &format!("app releases {backend}"));
    let (first, next) = (suite.hash("backend.wasm"), suite.hash("next.wasm.gz"));
    let listed: Vec<_> = items(&releases)
        .iter()
        .map(|one| (text(one, "module"), text(one, "state")))
        .collect();
    let live = |module: &String| (module.clone(), String::from("live"));
    let mute = (suite.hash("mute.wasm"), restored.into());
    assert_eq!(listed, [live(&first), mute, live(&next), live(&first)]);
    let shown = suite.ended(0, &format!("app show {id}"));
    let runs = |one: &&Value| one["canister"] == backend;
    let runs = shown["its_canisters"].as_array().unwrap().iter().find(runs);
    let runs = runs.unwrap();
    assert_eq!(
        (&runs["release"], &runs["module"]),
        (&json!(4), &json!(first))
    );
    let nobody = format!("app releases {identity}");
    assert!(items(&suite.ended(0, &nobody)).is_empty());
    let no_id = suite.said(2, "app releases nothing");
    assert!(
        no_id.starts_with("error: invalid value 'nothing' for '<CANISTER>'"),
        "{no_id}"
    );

    // Each canister is read within a minute, and by its first reading nothing is known to be used.
    suite.runtime.block_on(suite.instance.advance_time(CARE));
    let costs = format!("app costs {id}");
    let mut months = Value::Null;
    wait_until("a reading of both canisters", || {
        months = suite.ended(0, &costs);
        let readings = items(&months)
            .iter()
            .map(|month| month["readings"].as_u64());
        readings.sum::<Option<u64>>() == Some(2)
    });
    for month in items(&months) {
        let used = (&month["cycles_used"], &month["pkr"]);
        assert_eq!(used, (&json!("0"), &json!("0.00")));
    }
    suite.fails(1, "app costs 99", "list_costs was refused: no app 99");
}

#[test]
fn plain_icp_deploys_what_is_linked_and_what_it_deletes_keeps_its_place_for_a_month() {
    let suite = Suite::with_modules();
    suite.person("founder");
    suite.seat("founder");
    let app = suite.does("founder", "app create kisan");
    let backend = text(&app, "canister");
    let site = suite.does("founder", &format!("app canister {}", app["id"]));
    let site = text(&site, "canister");

    // A canister of the suite is none of an app: nothing is written, of the others neither.
    let hosting = suite.canister("app_hosting");
    let foreign =
        format!("app link --canister backend={backend} --canister site={hosting} --project kisan");
    let no_app = format!("site: {hosting} is not a canister of an app");
    suite.fails(1, &foreign, &no_app);
    assert!(!suite.path().join("kisan").exists());
    let no_id = suite.said(2, "app link --canister backend");
    assert!(no_id.contains("must be NAME=ID"), "{no_id}");

    let link = format!(
        "app link --environment pk --canister backend={backend} --canister site={site} --project kisan"
    );
    let files = [
        "kisan/dfx.json",
        "kisan/canister_ids.json",
        "kisan/.icp/data/mappings/pk.ids.json",
        "kisan/icp.yaml",
    ];
    assert_eq!(suite.ended(0, &link)["written"], json!(files));
    let contents = || files.map(|file| fs::read(suite.path().join(file)).unwrap());
    let before = contents();
    assert_eq!(suite.ended(0, &link)["written"], json!([]));
    assert_eq!(contents(), before);
    let [dfx, ids, icp_ids] = [0, 1, 2].map(|file| suite.json(files[file]));
    assert_eq!(dfx["canisters"]["site"]["wasm"], "site.wasm");
    assert_eq!(dfx["networks"]["pk"]["type"], "persistent");
    assert_eq!(ids["backend"]["pk"], backend);
    assert_eq!(icp_ids, json!({ "backend": backend, "site": site }));

    // The files are all that icp-cli needs.
    for name in ["backend", "site"] {
        let module = suite.path().join(format!("kisan/{name}.wasm"));
        fs::copy(suite.path().join("backend.wasm"), module).unwrap();
    }
    let import = "identity import founder --from-pem ../founder.key --storage plaintext";
    suite.icp("kisan", import);
    suite.icp("kisan", "deploy -e pk --identity founder --yes");
    let prices = "canister call backend prices () --query -e pk --identity founder";
    assert_eq!(suite.icp("kisan", prices), "(vec {})\n");

    let forget = format!("app forget {site}");
    let refused = |who: &str, reason: &str| suite.refuses(who, &forget, "forget_canister", reason);
    refused("founder", "the canister exists: delete it first");
    suite.icp("kisan", "canister stop site -e pk --identity founder");
    suite.icp(
        "kisan",
        "canister delete site --no-recover-cycles -e pk --identity founder",
    );
    refused("founder", "the canister was created less than 30 days ago");
    refused("officer", "not authorized: needs the owner of the app");
    let shown = suite.ended(0, &format!("app show {}", app["id"]));
    assert_eq!(shown["canisters"], 2);
}

#[test]
fn nothing_is_released_to_an_agencys_app_by_one_person_alone() {
    let suite = Suite::with_modules();
    let developer = suite.official("developer", "app-developer", AGENCY);
    let approver = suite.official("approver", "app-approver", AGENCY);
    let needs = |role: &str| {
        format!("not authorized: needs who acts for the organisation and has the role {role}")
    };
    let create = format!("app create tax-return --organisation {AGENCY}");
    suite.refuses("approver", &create, "create_app", &needs("app-developer"));
    let app = suite.does("developer", &create);
    let canister = text(&app, "canister");
    assert_eq!(app["owner"], format!("organisation {AGENCY}"));
    let shown = |field: &str| {
        let shown = suite.ended(0, &format!("app show {}", app["id"]));
        shown["its_canisters"][0][field].clone()
    };
    assert_eq!(shown("controllers"), json!([suite.canister("app_hosting")]));

    let release = |file: &str| format!("app release {canister} --module {file} --health health");
    let backend = release("backend.wasm");
    suite.refuses(
        "approver",
        &backend,
        "upload_chunk",
        &needs("app-developer"),
    );
    let proposed = suite.does("developer", &backend);
    assert_eq!(proposed["state"], "proposed");
    assert_eq!(suite.does("developer", &backend)["id"], proposed["id"]);
    assert_eq!(
        (shown("release"), shown("module")),
        (Value::Null, Value::Null)
    );

    // Nor by one person with both roles, nor is another module approved than the one that is there.
    let approve = format!("app approve {} --module backend.wasm", proposed["id"]);
    suite.refuses(
        "developer",
        &approve,
        "approve_release",
        &needs("app-approver"),
    );
    suite.appoint("developer", &developer, "app-approver", AGENCY);
    let alone = "not authorized: needs another person than who proposed it";
    suite.refuses("developer", &approve, "approve_release", alone);
    let next = approve.replace("backend.wasm", "next.wasm.gz --key approver.key --yes");
    let other = "next.wasm.gz: it is not the module that is proposed";
    suite.fails(2, &next, other);
    suite.fails(
        1,
        "app approve 99 --key approver.key --yes",
        "no release 99",
    );
    let live = suite.does("approver", &approve);
    assert_eq!(live["state"], "live");
    let people = (&live["proposed_by"], &live["approved_by"]);
    assert_eq!(people, (&json!(developer), &json!(approver)));
    assert_eq!(shown("module"), suite.hash("backend.wasm"));

    // What waits is taken back by who could propose or approve it, and is over then.
    let over = "the release does not wait for an approval";
    let withdraw = format!("app withdraw {}", live["id"]);
    suite.refuses("developer", &withdraw, "withdraw_release", over);
    let waits = suite.does("developer", &release("next.wasm.gz"));
    let withdraw = format!("app withdraw {}", waits["id"]);
    suite.person("stranger");
    let stranger = suite.refused("stranger", &withdraw);
    assert!(
        stranger.starts_with("indus: withdraw_release was refused: not authorized: "),
        "{stranger}"
    );
    assert_eq!(suite.does("approver", &withdraw)["state"], "withdrawn");
    let approve = format!("app approve {}", waits["id"]);
    suite.refuses("approver", &approve, "approve_release", over);
    assert_eq!(shown("release"), live["id"]);
}

#[test]
fn keepers_mend_the_suite_together_and_replace_each_other() {
    let suite = Suite::with_modules();
    let [hosting, registry, lifeline, identity] =
        ["app_hosting", "registry", "lifeline", "identity"].map(|name| suite.canister(name));
    let keepers = suite.ended(0, "lifeline keepers");
    assert_eq!(
        keepers["keepers"],
        json!(KEEPERS.map(|keeper| suite.key_of(keeper)))
    );
    assert_eq!(keepers["threshold"], 2);
    // Deploying gives nobody a say, and the keepers have none about others.
    let mut module = Vec::new();
    let packed = app_hosting_module();
    GzDecoder::new(&packed[..])
        .read_to_end(&mut module)
        .unwrap();
    suite.put("app_hosting.wasm", &module);
    let install = format!("lifeline install {hosting} --module app_hosting.wasm");
    let keeper = "not authorized: needs a keeper";
    suite.refuses("deployer", &install, "upload_chunk", keeper);
    let theirs = "canister: must be the registry or app_hosting";
    let on_identity = format!("lifeline install {identity} --module mute.wasm");
    suite.refuses("keeper-1", &on_identity, "propose", theirs);
    let of_identity = format!("lifeline set-controllers {identity}");
    suite.refuses("keeper-1", &of_identity, "propose", theirs);

    // Another build of what runs: unpacked, it has another hash.
    let proposed = suite.does("keeper-1", &install);
    let id = &proposed["id"];
    assert_eq!(
        (&proposed["state"], &proposed["approved_by"]),
        (&json!("open"), &json!([suite.key_of("keeper-1")]))
    );
    let second = format!("lifeline set-controllers {registry} --controller {hosting}");
    let one_each = "at most 1 open interventions of one keeper";
    suite.refuses("keeper-1", &second, "propose", one_each);
    let approve = |id: &Value| format!("lifeline approve {id}");
    assert_eq!(suite.does("keeper-1", &approve(id))["state"], "open");
    suite.refuses("deployer", &approve(id), "approve", keeper);
    let shown = suite.ended(0, &format!("lifeline show {id}"));
    assert_eq!(shown, proposed);
    suite.fails(1, "lifeline show 99", "no intervention 99");
    let ended = suite.does("keeper-2", &approve(id));
    assert_eq!(
        (&ended["state"], &ended["module"]),
        (&json!("live"), &json!(suite.hash("app_hosting.wasm")))
    );
    suite.ended(0, "app list");
    let withdraw = |id: &Value| format!("lifeline withdraw {id}");
    let over = "the intervention is not open";
    suite.refuses("keeper-1", &withdraw(id), "withdraw", over);

    // What does not come up is put back.
    let mute = format!("lifeline install {registry} --module mute.wasm");
    let mute = suite.does("keeper-1", &mute);
    let approved = format!("{} --key keeper-2.key --yes", approve(&mute["id"]));
    let restored = "the canister is again what it was (Unhealthy)";
    let said = suite.said(1, &approved);
    assert_eq!(said, format!("indus: {restored}\n"));
    let shown = suite.ended(0, &format!("lifeline show {}", mute["id"]));
    assert_eq!(shown["state"], restored);
    assert_eq!(items(&suite.ended(0, "org list")).len() as u64, FOUNDERS);

    // Somebody is let in who can mend what they can't, and taken out again.
    let mechanic = suite.key("mechanic");
    let let_in = format!("lifeline set-controllers {hosting} --controller {mechanic}");
    let let_in = suite.does("keeper-1", &let_in);
    assert_eq!(let_in["controllers"], json!([mechanic, lifeline]));
    let proposer = "not authorized: needs the keeper who proposed it";
    suite.refuses("keeper-2", &withdraw(&let_in["id"]), "withdraw", proposer);
    assert_eq!(
        suite.does("keeper-3", &approve(&let_in["id"]))["state"],
        "live"
    );
    let verified = |code: i32| {
        let verified = suite.ended(code, "deploy --verify");
        let hosting = |one: &&Value| one["name"] == "app_hosting";
        items(&verified).iter().find(hosting).unwrap().clone()
    };
    assert_eq!(verified(1)["control"], "wrong");
    let out = suite.does("keeper-2", &format!("lifeline set-controllers {hosting}"));
    assert_eq!(
        suite.does("keeper-3", &approve(&out["id"]))["state"],
        "live"
    );
    assert_eq!(verified(0)["module"], suite.hash("app_hosting.wasm"));

    // Whoever is no keeper any more takes along what they proposed.
    let left = suite.does("keeper-1", &second);
    let new = suite.key("keeper-4");
    let [two, three] = ["keeper-2", "keeper-3"].map(|keeper| suite.key_of(keeper));
    let replace = |threshold: u32| {
        format!(
            "lifeline set-keepers --keeper {two} --keeper {three} --keeper {new} --threshold {threshold}"
        )
    };
    suite.refuses(
        "keeper-2",
        &replace(1),
        "propose",
        "threshold: must be 2 to 3",
    );
    let replaced = suite.does("keeper-2", &replace(2));
    assert_eq!(
        suite.does("keeper-3", &approve(&replaced["id"]))["state"],
        "live"
    );
    assert_eq!(
        suite.ended(0, "lifeline keepers")["keepers"],
        json!([two, three, new])
    );
    suite.refuses("keeper-1", &second, "propose", keeper);
    suite.refuses("keeper-2", &approve(&left["id"]), "approve", over);
    // What each of them tries once a year.
    let tried = suite.does("keeper-4", &second);
    assert_eq!(
        suite.does("keeper-4", &withdraw(&tried["id"]))["state"],
        "withdrawn"
    );
    suite.refuses("keeper-2", &approve(&tried["id"]), "approve", over);

    let all = suite.ended(0, "lifeline list");
    let states: Vec<_> = items(&all).iter().map(|one| text(one, "state")).collect();
    assert_eq!(
        states,
        [
            "live",
            restored,
            "live",
            "live",
            "withdrawn",
            "live",
            "withdrawn"
        ]
    );
}
