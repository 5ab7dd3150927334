//! Compiled modules are kept on disk for other runs.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use crate::harness::{Net, START, module, number};
use engine::NetworkConfig;

const ANSWER: &str = r#"(func (export "canister_query answer") (call $answer32 (i32.const 42)))"#;

/// An empty folder of this test's own.
fn folder(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&path);
    path
}

/// A new network, as a new process would have it, with this folder.
fn network(cache: &Path) -> Net {
    let mut config = NetworkConfig::new(START, [1; 32]);
    config.module_cache = Some(cache.to_owned());
    Net::with(&config)
}

/// The compiled modules, and the number of the file that each is in: one that is written again gets another.
fn entries(folder: &Path) -> BTreeMap<PathBuf, u64> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.append(&mut entries(&path));
        } else if path.parent().is_some_and(|p| p.ends_with("modules"))
            || path.extension().is_none()
                && !path.file_name().unwrap().to_string_lossy().starts_with('.')
        {
            found.insert(path.clone(), fs::metadata(&path).unwrap().ino());
        }
    }
    found
}

fn install_and_ask(net: &mut Net) {
    let id = net.install(&module(ANSWER));
    assert_eq!(number(net.query(id, "answer", &[])), 42);
}

#[test]
fn a_module_is_compiled_once_for_all_networks_that_share_a_folder() {
    let cache = folder("shared-modules");
    install_and_ask(&mut network(&cache));
    let first = entries(&cache);
    assert_eq!(first.len(), 1, "{first:?}");
    let mut again = network(&cache);
    install_and_ask(&mut again);
    install_and_ask(&mut again);
    assert_eq!(entries(&cache), first);
    // Another module has an entry of its own.
    again.install(&module(""));
    assert_eq!(entries(&cache).len(), 2);
}

#[test]
fn networks_that_live_at_the_same_time_share_compiled_modules() {
    let cache = folder("live-modules");
    let mut first = network(&cache);
    install_and_ask(&mut first);
    for path in entries(&cache).keys() {
        fs::remove_file(path).unwrap();
    }
    install_and_ask(&mut network(&cache));
    assert!(entries(&cache).is_empty());
    drop(first);
    install_and_ask(&mut network(&cache));
    assert_eq!(entries(&cache).len(), 1);
}

#[test]
fn a_damaged_entry_costs_a_compilation_and_nothing_else() {
    let cache = folder("damaged-modules");
    install_and_ask(&mut network(&cache));
    let (entry, _) = entries(&cache).pop_first().unwrap();
    let whole = fs::read(&entry).unwrap();
    for damaged in [
        Vec::new(),
        b"nonsense".to_vec(),
        whole[..whole.len() / 2].to_vec(),
    ] {
        fs::write(&entry, damaged).unwrap();
        install_and_ask(&mut network(&cache));
    }
}

#[test]
fn a_folder_that_can_not_be_made_is_told_at_the_start() {
    let file = folder("not-a-folder");
    fs::write(&file, b"a file").unwrap();
    let mut config = NetworkConfig::new(START, [1; 32]);
    config.module_cache = Some(file.join("modules"));
    let error = engine::Network::new(&config).err().unwrap();
    assert!(
        error.to_string().contains("the cache of compiled modules"),
        "{error}"
    );
}
