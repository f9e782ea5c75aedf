//! Exchanging keys: stopped anywhere, and while others read.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::super::{Kind, Store, StoreError};
use super::basic::open;
use super::life::check;
use super::model::{node_at, read_all};

fn path(text: &str) -> Vec<Vec<u8>> {
    text.split('/').filter(|name| !name.is_empty()).map(|name| name.as_bytes().to_vec()).collect()
}

/// Everything that is to be rotated, from the top.
const NODES: [&str; 5] = ["d", "d/a", "d/e", "d/e/b", "d/e/c"];

fn make(folder: &Path) -> Store {
    let (store, _) = open(folder);
    for node in NODES {
        let (parent, name) = node.rsplit_once('/').unwrap_or(("", node));
        let kind = if matches!(name, "d" | "e") { Kind::Directory } else { Kind::File };
        let made = store.create(&node_at(&store, &path(parent)).unwrap(), name.as_bytes(), kind, &[]).unwrap();
        if kind == Kind::File {
            store.write(&made, 0, node.as_bytes(), &[]).unwrap();
        }
    }
    store.sync().unwrap();
    store
}

fn generations(store: &Store) -> Vec<u32> {
    NODES.iter().map(|node| node_at(store, &path(node)).unwrap().keys().generation).collect()
}

#[test]
fn an_exchange_that_was_stopped_leaves_all_readable_and_is_gone_on_with_when_asked_again() {
    for stopped_after in 0..=NODES.len() {
        let folder = tempfile::tempdir().unwrap();
        let store = make(folder.path());
        let before = read_all(&store, &store.root()).unwrap();
        for node in &NODES[..stopped_after] {
            let (parent, name) = node.rsplit_once('/').unwrap_or(("", node));
            store.shared().rotate_one(&node_at(&store, &path(parent)).unwrap(), name.as_bytes()).unwrap();
        }
        store.abandon();
        let (store, opened) = open(folder.path());
        assert!(opened.damage.is_empty(), "{opened:?}");
        assert!(read_all(&store, &store.root()).unwrap() == before, "stopped after {stopped_after}");
        assert!(check(&store, false).0.clean);
        let (half, old) = (generations(&store), NODES.map(|node| node_at(&store, &path(node)).unwrap().keys()));
        assert_eq!(half.iter().filter(|generation| **generation == 1).count(), stopped_after);
        store.rotate(&store.root(), b"d").unwrap();
        assert!(generations(&store).iter().zip(&half).all(|(now, half)| now > half));
        assert!(read_all(&store, &store.root()).unwrap() == before);
        // No key of before opens what is written now.
        for (node, old) in NODES.iter().zip(old) {
            let node = node_at(&store, &path(node)).unwrap();
            let new = node.keys();
            node.set_keys(old);
            assert!(matches!(
                store.shared().known_at(&node.id(), u64::MAX, |generation| node.key_of(generation)),
                Err(StoreError::Damaged(_))
            ));
            node.set_keys(new);
        }
        store.abandon();
        let (store, _) = open(folder.path());
        assert!(read_all(&store, &store.root()).unwrap() == before);
    }
}

#[test]
fn nobody_who_reads_meanwhile_finds_anything_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let store = make(folder.path());
    let before = read_all(&store, &store.root()).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let kept = node_at(&store, &path("d/e/b")).unwrap();
                while !done.load(Ordering::Relaxed) {
                    let mut bytes = [0; 5];
                    assert_eq!(store.read(&kept, 0, &mut bytes).unwrap(), 5);
                    assert!(read_all(&store, &store.root()).unwrap() == before);
                }
            });
        }
        for _ in 0..100 {
            store.rotate(&store.root(), b"d").unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
}
