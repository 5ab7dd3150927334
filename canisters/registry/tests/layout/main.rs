//! Every layout that was released opens, says what it said then, and can be changed.

use std::{
    env, fs,
    io::{Read as _, Write as _},
    path::PathBuf,
};

use candid::Principal;
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use ic_stable_structures::{Memory as _, VectorMemory};
use indus_api::registry::{
    ApproveArgs, CloseArgs, InitArgs, OrganisationKey, OrganisationKind, OrganisationProfile,
    OrganisationState,
};
use indus_kit::{Context, kit};
use registry::{State, organisations, state::LAYOUT};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use sha2::{Digest as _, Sha256};

/// What a recorded registry says.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Facts {
    certified_root: String,
    blocks: u64,
    governors: Vec<String>,
    /// SHA-256 of the stored bytes of each organisation, from id 1 on.
    records: Vec<String>,
    pending: u64,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/layout/released")
}

fn person(n: u8) -> Principal {
    Principal::from_slice(&[n, 1])
}

fn context(caller: u8, time_ns: u64) -> Context {
    Context {
        caller: person(caller),
        time_ns,
    }
}

fn profile(slug: &str, parent: Option<u64>) -> OrganisationProfile {
    OrganisationProfile {
        slug: slug.into(),
        name: format!("Office of {slug}"),
        kind: OrganisationKind::Agency,
        parent,
        sector: "government".into(),
        seat: "Islamabad".into(),
    }
}

fn hash(state: &State<VectorMemory>, id: u64) -> Option<[u8; 32]> {
    let key = indus_api::registry::organisation_key(id);
    let record = state.kit.certified.get(indus_kit::CollectionId(0), &key)?;
    Some(Sha256::digest(record).into())
}

fn facts(state: &State<VectorMemory>) -> Facts {
    let records = (1..state.next_id())
        .filter_map(|id| hash(state, id))
        .map(hex::encode);
    let governors = state.governors().expect("governors");
    Facts {
        certified_root: hex::encode(state.kit.certified.root_hash()),
        blocks: state.kit.certified.log_len(),
        governors: governors.iter().map(Principal::to_text).collect(),
        records: records.collect(),
        pending: state.pending_count(),
    }
}

/// A registry with an organisation in each of its states, one below another.
fn example() -> (VectorMemory, State<VectorMemory>) {
    let memory = VectorMemory::default();
    let governors = vec![person(1), person(2)];
    let mut state =
        State::create(memory.clone(), &context(9, 1), InitArgs { governors }).expect("a registry");
    let mut apply = |slug, parent| {
        let applied = organisations::apply(&mut state, &context(10, 2), profile(slug, parent))
            .expect("applied");
        applied.id
    };
    let [first, second] = ["sbp", "nadra"].map(|slug| apply(slug, None));
    approve(&mut state, first, 3);
    let below = organisations::apply(&mut state, &context(11, 4), profile("psd", Some(first)))
        .expect("applied")
        .id;
    approve(&mut state, below, 5);
    let close = CloseArgs {
        id: second,
        reason: "no such office".into(),
    };
    organisations::close(&mut state, &context(1, 6), close).expect("rejected");
    for slug in ["ptcl", "pta"] {
        organisations::apply(&mut state, &context(12, 7), profile(slug, None)).expect("applied");
    }
    let close = CloseArgs {
        id: 5,
        reason: String::new(),
    };
    organisations::close(&mut state, &context(12, 8), close).expect("withdrawn");
    state.kit.certified.commit();
    (memory, state)
}

fn approve(state: &mut State<VectorMemory>, id: u64, time_ns: u64) {
    let args = ApproveArgs {
        id,
        application_hash: ByteBuf::from(hash(state, id).expect("a record")),
    };
    organisations::approve(state, &context(1, time_ns), args).expect("approved");
}

/// The recorded memory and what it says, of a layout.
fn recorded(layout: u32) -> (VectorMemory, Facts) {
    let file = folder().join(format!("{layout}.bin.gz"));
    let packed = fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut bytes = Vec::new();
    GzDecoder::new(&packed[..])
        .read_to_end(&mut bytes)
        .expect("unpacked");
    let memory = VectorMemory::default();
    memory.grow(bytes.len() as u64 / 65_536);
    memory.write(0, &bytes);
    let facts = fs::read(folder().join(format!("{layout}.json"))).expect("what it says");
    (memory, serde_json::from_slice(&facts).expect("facts"))
}

#[test]
fn every_released_layout_opens_and_says_what_it_said() {
    if env::var_os("RECORD_LAYOUT").is_some() && !folder().join(format!("{LAYOUT}.bin.gz")).exists()
    {
        let (memory, state) = example();
        let mut packed = GzEncoder::new(Vec::new(), Compression::best());
        packed.write_all(&memory.borrow()).expect("packed");
        let file = |ending: &str| folder().join(format!("{LAYOUT}.{ending}"));
        fs::write(file("bin.gz"), packed.finish().expect("packed")).expect("written");
        let text = serde_json::to_string_pretty(&facts(&state)).expect("facts") + "\n";
        fs::write(file("json"), text).expect("written");
    }
    for layout in 1..=LAYOUT {
        let (memory, expected) = recorded(layout);
        let mut state = State::open(memory.clone()).expect("it opens");
        assert_eq!(facts(&state), expected, "layout {layout}");

        // It goes on from there, in maintenance first, and opens again.
        state.kit.upgraded(&context(9, 100)).expect("upgraded");
        assert!(state.kit.in_maintenance());
        state
            .kit
            .confirm_upgrade(&context(9, 101))
            .expect("confirmed");
        let pending = OrganisationKey::Id(4);
        let found = organisations::get(&state, pending.clone()).expect("an organisation");
        assert_eq!(found.state, OrganisationState::Pending);
        approve(&mut state, 4, 102);
        let root = state.kit.certified.commit();
        let again = State::open(memory).expect("it opens again");
        assert_eq!(again.kit.certified.root_hash(), root);
        assert_eq!(again.kit.certified.log_len(), expected.blocks + 3);
        let found = organisations::get(&again, pending).expect("an organisation");
        assert!(matches!(found.state, OrganisationState::Active { .. }));
        assert_eq!(
            again.kit.definition().supported_block_types()[0].block_type,
            kit::INSTALLED
        );
    }
}
