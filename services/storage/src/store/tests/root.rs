//! The key of the root: it is there more than once, and follows the keys that seal it.

use std::path::Path;
use std::sync::Arc;

use super::super::index::ROOT;
use super::super::{Kind, OnDisk, Options, Store, StoreError};
use super::flips::all_bytes;
use super::keys::TestKeys;
use super::model::copy_folder;
use super::segments::{frames, segment};

fn open(folder: &Path, keys: &Arc<TestKeys>) -> Store {
    try_open(folder, keys).unwrap()
}

fn try_open(folder: &Path, keys: &Arc<TestKeys>) -> Result<Store, StoreError> {
    let options = Options { segment_bytes: 64 << 10, compacts: false, ..Options::new(folder.join("index")) };
    Ok(Store::open(Arc::new(OnDisk::new(folder).unwrap()), keys.clone(), options)?.0)
}

/// A store with one file, closed.
fn made() -> (tempfile::TempDir, Arc<TestKeys>) {
    let folder = tempfile::tempdir().unwrap();
    let keys = Arc::new(TestKeys::new());
    let store = open(folder.path(), &keys);
    store.create(&store.root(), b"a", Kind::File, &[]).unwrap();
    drop(store);
    (folder, keys)
}

#[test]
fn no_one_lost_frame_costs_the_root() {
    let made = tempfile::tempdir().unwrap();
    let keys = Arc::new(TestKeys::new());
    let store = open(made.path(), &keys);
    let root = store.root();
    for at in 0..12u8 {
        let file = store.create(&root, &[b'a' + at], Kind::File, &[]).unwrap();
        store.write(&file, 0, &[at; 12_000], &[]).unwrap();
        store.sync().unwrap();
    }
    // The segments that it was made in go.
    for at in 0..6u8 {
        store.remove(&root, &[b'a' + at]).unwrap();
    }
    store.compact().unwrap();
    store.sync().unwrap();
    drop((root, store));
    let frames = frames(made.path());
    assert!(frames.len() > 20, "{frames:?}");
    for super::segments::Frame { number, begin, end, .. } in frames {
        for with_index in [true, false] {
            let copy = tempfile::tempdir().unwrap();
            copy_folder(made.path(), copy.path());
            if !with_index {
                std::fs::remove_dir_all(copy.path().join("index")).unwrap();
                std::fs::remove_file(copy.path().join("root")).unwrap();
            }
            let path = &segment(copy.path(), number);
            let mut bytes = std::fs::read(path).unwrap();
            bytes[begin..end].iter_mut().for_each(|byte| *byte ^= 0x55);
            std::fs::write(path, bytes).unwrap();
            let what = format!("{path:?} {begin}..{end}, index: {with_index}");
            let store = open(copy.path(), &keys);
            let root = store.root();
            let good = (6..12u8).filter(|at| match store.find(&root, &[b'a' + at]) {
                Ok(file) => {
                    let mut read = vec![0; 12_001];
                    store.read(&file, 0, &mut read).is_ok_and(|got| got == 12_000 && read[..got] == vec![*at; got])
                }
                Err(StoreError::Damaged(why)) => {
                    println!("{what}: {why}");
                    false
                }
                Err(error) => panic!("{what}: {error:?}"),
            });
            let good = good.count();
            // A frame of copies holds two or three.
            assert!(good >= 3, "{what}: {good} files are good");
            // And it is repeated where it was lost.
            store.create(&root, b"new", Kind::File, &[]).unwrap_or_else(|error| panic!("{what}: {error:?}"));
        }
    }
}

#[test]
fn no_changed_byte_of_its_item_makes_another_root_of_it() {
    let made = tempfile::tempdir().unwrap();
    let keys = Arc::new(TestKeys::new());
    let store = open(made.path(), &keys);
    store.create(&store.root(), b"a", Kind::File, &[]).unwrap();
    let place = store.shared().read_index(|index| index.newest(&[ROOT], u64::MAX)).unwrap().unwrap().1.place;
    drop(store);
    for at in (0..place.length as usize).step_by(3) {
        for in_log in [true, false] {
            let copy = tempfile::tempdir().unwrap();
            copy_folder(made.path(), copy.path());
            let file = copy.path().join("root");
            let (path, at) = if in_log {
                std::fs::remove_file(&file).unwrap();
                (segment(copy.path(), place.segment), place.offset as usize + at)
            } else {
                (file, at)
            };
            let mut bytes = std::fs::read(&path).unwrap();
            bytes[at] ^= 1;
            std::fs::write(&path, bytes).unwrap();
            let store = open(copy.path(), &keys);
            store.find(&store.root(), b"a").unwrap_or_else(|error| panic!("{path:?} at {at}: {error:?}"));
        }
    }
}

#[test]
fn the_root_follows_the_key_that_seals_it_so_that_it_can_be_exchanged_again() {
    let (folder, keys) = made();
    for _ in 0..5 {
        keys.rotate_store().unwrap();
        assert!(keys.rotate_store().is_err(), "the key before is needed still");
        let store = open(folder.path(), &keys);
        store.find(&store.root(), b"a").unwrap();
        // Whatever happens then, the new key opens what is on the disk.
        store.abandon();
    }
    std::fs::remove_dir_all(folder.path().join("index")).unwrap();
    let store = open(folder.path(), &keys);
    store.find(&store.root(), b"a").unwrap();
}

#[test]
fn the_keys_of_another_node_open_nothing_and_lose_nothing() {
    let (folder, keys) = made();
    let before = all_bytes(folder.path());
    let others = Arc::new(TestKeys::of_another_node());
    assert!(
        matches!(try_open(folder.path(), &others).map(drop), Err(StoreError::Damaged(why)) if why.contains("backup"))
    );
    assert!(all_bytes(folder.path()) == before);
    let store = open(folder.path(), &keys);
    store.find(&store.root(), b"a").unwrap();
}
