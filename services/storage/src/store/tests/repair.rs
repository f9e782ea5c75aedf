//! Repair: every loss is named, and what is left is sound.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::super::{Finding, Kind, Node, OnDisk, Opened, Options, Severity, Store, StoreError};
use super::draw::{Draw, seed};
use super::keys::TestKeys;
use super::life::check;

const ROUNDS: u64 = 60;

fn open(folder: &Path, keys: &Arc<TestKeys>) -> (Store, Opened) {
    let options = Options { segment_bytes: 100_000, compacts: false, ..Options::new(folder.join("index")) };
    Store::open(Arc::new(OnDisk::new(folder).unwrap()), keys.clone(), options).unwrap()
}

/// What every file holds, by path.
fn make(store: &Store) -> BTreeMap<String, Vec<u8>> {
    let mut written = BTreeMap::new();
    let root = store.root();
    for at in 0..4u8 {
        let name = format!("d{at}");
        let directory = store.create(&root, name.as_bytes(), Kind::Directory, &[]).unwrap();
        for inner in 0..4u8 {
            let file_name = format!("f{inner}");
            let file = store.create(&directory, file_name.as_bytes(), Kind::File, &[]).unwrap();
            store.write(&file, 0, &vec![100 + inner; 9_000], &[]).unwrap();
            if inner % 2 == 0 {
                store.sync().unwrap();
            }
            let bytes = vec![1 + at * 4 + inner; 3_000 + 9_000 * usize::from(inner)];
            store.write(&file, 0, &bytes, &[]).unwrap();
            let mut whole = vec![100 + inner; 9_000.max(bytes.len())];
            whole[..bytes.len()].copy_from_slice(&bytes);
            written.insert(format!("/{name}/{file_name}"), whole);
        }
    }
    store.sync().unwrap();
    store.sync().unwrap();
    written
}

fn content(store: &Store, path: &str) -> Option<Vec<u8>> {
    let names = path.split('/').filter(|name| !name.is_empty());
    let found = names.into_iter().try_fold(store.root(), |node: Node, name| store.find(&node, name.as_bytes()));
    let file = match found {
        Ok(file) => file,
        Err(StoreError::NotFound) => return None,
        Err(error) => panic!("{path}: {error:?}"),
    };
    let mut bytes = vec![0; 60_000];
    let length = store.read(&file, 0, &mut bytes).unwrap_or_else(|error| panic!("{path}: {error:?}"));
    bytes.truncate(length);
    Some(bytes)
}

fn is_named(findings: &[Finding], path: &str) -> bool {
    findings.iter().filter(|finding| finding.severity == Severity::Lost).any(|finding| {
        let above = path.starts_with(&finding.place) || finding.place == "/";
        finding.place == path || (above && finding.done.contains("removed")) || finding.place == "everything"
    })
}

#[test]
fn after_a_repair_every_loss_was_named_and_the_store_is_clean() {
    let seed = seed();
    let (mut changed, mut rounds_with_loss) = (0, 0);
    for round in 0..ROUNDS {
        let draw = &mut Draw(seed ^ round << 32);
        let folder = tempfile::tempdir().unwrap();
        let keys = Arc::new(TestKeys::new());
        let (store, _) = open(folder.path(), &keys);
        let written = make(&store);
        drop(store);
        for _ in 0..1 + draw.below(4) {
            let number = 1 + draw.below(std::fs::read_dir(folder.path().join("segments")).unwrap().count());
            let path = folder.path().join(format!("segments/{number:08}.seg"));
            let mut bytes = std::fs::read(&path).unwrap();
            let begin = draw.below(bytes.len());
            let end = bytes.len().min(begin + [1, 1, 600, 5_000][draw.below(4)]);
            bytes[begin..end].iter_mut().for_each(|byte| *byte ^= 0xa5);
            std::fs::write(path, bytes).unwrap();
        }
        if draw.below(2) == 0 {
            std::fs::remove_dir_all(folder.path().join("index")).unwrap();
        }
        let (store, opened) = open(folder.path(), &keys);
        let what = format!("round {round}, {opened:?}");
        assert!(!check(&store, false).0.clean, "{what}: it is damaged");
        let (summary, findings) = check(&store, true);
        assert!(summary.clean, "{what}: {findings:#?}");
        let losses = written.iter().filter(|(path, bytes)| content(&store, path).as_ref() != Some(*bytes));
        let losses: Vec<_> = losses.map(|(path, _)| path.clone()).collect();
        for path in &losses {
            assert!(is_named(&findings, path), "{what}: {path} is not as it was, and was not named: {findings:#?}");
        }
        changed += losses.len();
        rounds_with_loss += usize::from(!losses.is_empty());
        let (summary, findings) = check(&store, false);
        assert!(summary.clean && findings.is_empty(), "{what}: {findings:#?}");
        let now: Vec<_> = written.keys().map(|path| content(&store, path)).collect();
        // Also what is built anew of it, and it can be written to.
        store.create(&store.root(), b"new", Kind::File, &[]).unwrap();
        drop(store);
        if draw.below(2) == 0 {
            std::fs::remove_dir_all(folder.path().join("index")).unwrap();
        }
        let (store, opened) = open(folder.path(), &keys);
        assert!(opened.damage.is_empty(), "{what}, again: {opened:?}");
        let (summary, findings) = check(&store, false);
        assert!(summary.clean && findings.is_empty(), "{what}, again: {findings:#?}");
        assert!(now == written.keys().map(|path| content(&store, path)).collect::<Vec<_>>(), "{what}");
    }
    println!("{changed} files of {} were changed, in {rounds_with_loss} of {ROUNDS} rounds", ROUNDS * 16);
    assert!(rounds_with_loss > 10 && changed < 16 * 60 / 4, "some is lost, and most is not");
}

#[test]
fn a_commit_that_this_node_did_not_sign_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let keys = Arc::new(TestKeys::new());
    let (store, _) = open(folder.path(), &keys);
    make(&store);
    keys.rotate_commits();
    make_one(&store);
    assert!(check(&store, false).0.clean, "what was signed before the key was exchanged is fine");
    keys.forget_signers();
    let (summary, findings) = check(&store, true);
    assert!(!summary.clean, "no repair makes it this node's");
    assert!(findings.iter().any(|one| one.severity == Severity::Lost && one.what.contains("none of this node's")));
}

fn make_one(store: &Store) {
    store.create(&store.root(), b"one", Kind::File, &[]).unwrap();
    store.sync().unwrap();
}
