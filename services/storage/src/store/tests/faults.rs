//! A disk that is full, or fails.

use std::sync::Arc;

use rustix::io::Errno;

use super::super::{Kind, Node, Store, StoreError};
use super::disk::{Disk, Fault};
use super::draw::{Draw, seed};
use super::keys::TestKeys;
use super::life::check;
use super::model::Model;
use super::power::{open_on, open_with};

#[test]
fn what_could_not_be_written_leaves_everything_as_it_was() {
    let draw = &mut Draw(seed());
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::default();
    let (mut store, _) = open_on(&disk, &folder.path().join("index"));

    let mut model = Model::new();
    let mut failed = 0;
    for _ in 0..400 {
        if draw.below(4) == 0 {
            let errno = if draw.below(2) == 0 { Errno::NOSPC } else { Errno::IO };
            disk.fail(Some(Fault::Write(errno)));
        }
        let before = model.tree.clone();
        match model.step(&store, draw) {
            Ok(()) => {}
            Err(StoreError::NoSpace(_) | StoreError::Io(_)) => {
                failed += 1;
                assert!(model.tree == before);
            }
            Err(error) => panic!("{error:?}"),
        }
        disk.fail(None);
        if draw.below(50) == 0 {
            model.compare(&store);
            store.abandon();
            let opened;
            (store, opened) = open_on(&disk, &folder.path().join("index"));
            assert!(opened.damage.is_empty() && opened.cut_off.is_none(), "{opened:?}");
            model.compare(&store);
        }
    }
    assert!(failed > 20, "only {failed} writes failed");
}

/// Does something, and once more where it failed because the disk was full.
fn patiently<T>(mut act: impl FnMut() -> Result<T, StoreError>) -> T {
    match act() {
        Err(StoreError::NoSpace(_)) => act().unwrap(),
        done => done.unwrap(),
    }
}

/// Uses all that writes: files, directories, snapshots, removal, compaction, a check that repairs.
fn use_all(store: &Store) {
    let root = store.root();
    let file = patiently(|| store.create(&root, b"a", Kind::File, &[]));
    patiently(|| store.write(&file, 0, &[1; 40_000], &[]));
    patiently(|| store.sync());
    let directory = patiently(|| store.create(&root, b"d", Kind::Directory, &[]));
    let other = patiently(|| store.create(&directory, b"b", Kind::File, &[]));
    patiently(|| store.write(&other, 0, b"there", &[]));
    patiently(|| store.snapshot(&directory, "then"));
    patiently(|| store.write(&file, 10_000, &[2; 20_000], &[]));
    patiently(|| store.truncate(&file, 35_000, &[]));
    patiently(|| store.write(&other, 0, b"after", &[]));
    let gone = patiently(|| store.create(&root, b"gone", Kind::File, &[]));
    patiently(|| store.write(&gone, 0, &[3; 50_000], &[]));
    patiently(|| store.remove(&root, b"gone"));
    drop(gone);
    patiently(|| store.sync());
    patiently(|| store.compact());
    let _ = check(store, true);
    patiently(|| store.sync());
}

#[track_caller]
fn holds_all(store: &Store) {
    let root = store.root();
    let read = |directory: &Node, name: &[u8]| {
        let mut bytes = vec![0; 50_000];
        let length = store.read(&store.find(directory, name).unwrap(), 0, &mut bytes).unwrap();
        bytes.truncate(length);
        bytes
    };
    let expected = [vec![1; 10_000], vec![2; 20_000], vec![1; 5_000]].concat();
    assert!(read(&root, b"a") == expected);
    let directory = store.find(&root, b"d").unwrap();
    assert_eq!(read(&directory, b"b"), b"after");
    let snapshots = store.snapshots(&directory, 0, 0).unwrap();
    let then = store.open_snapshot(&directory, snapshots[0].id).unwrap();
    assert_eq!(read(&then, b"b"), b"there");
    assert!(matches!(store.find(&root, b"gone"), Err(StoreError::NotFound)));
    let (summary, findings) = check(store, false);
    assert!(summary.clean, "{findings:?}");
}

#[test]
fn whichever_write_finds_the_disk_full_nothing_is_lost_and_it_goes_on() {
    let mut writes = 0;
    loop {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::default();
        let (store, _) = open_on(&disk, &folder.path().join("index"));
        disk.fail(Some(Fault::LaterWrite(writes, Errno::NOSPC)));
        use_all(&store);
        let done = disk.fault().is_some();
        disk.fail(None);
        holds_all(&store);
        store.abandon();
        let (store, opened) = open_on(&disk, &folder.path().join("index"));
        assert!(opened.damage.is_empty() && opened.cut_off.is_none(), "after write {writes}: {opened:?}");
        holds_all(&store);
        if done {
            break;
        }
        writes += 1;
    }
    assert!(writes > 20, "only {writes} writes");
}

#[test]
fn after_a_failed_sync_nothing_is_written_until_it_is_opened_anew() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::default();
    let (store, _) = open_on(&disk, &folder.path().join("index"));
    let root = store.root();
    let file = store.create(&root, b"a", Kind::File, &[]).unwrap();
    store.write(&file, 0, b"before", &[]).unwrap();
    disk.fail(Some(Fault::Sync));
    assert!(matches!(store.sync(), Err(StoreError::Refusing(_))));
    assert!(matches!(store.write(&file, 0, b"after", &[]), Err(StoreError::Refusing(_))));
    assert!(matches!(store.sync(), Err(StoreError::Refusing(_))));
    assert!(!store.status().trouble.is_empty());
    let mut read = [0; 6];
    assert_eq!(store.read(&file, 0, &mut read).unwrap(), 6);
    drop((file, root, store));
    let (store, _) = open_on(&disk, &folder.path().join("index"));
    let file = store.find(&store.root(), b"a").unwrap();
    store.write(&file, 0, b"after", &[]).unwrap();
    store.sync().unwrap();
}

#[test]
fn a_read_that_fails_is_tried_twice_more() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::default();
    let (store, _) = open_on(&disk, &folder.path().join("index"));
    let root = store.root();
    let file = store.create(&root, b"a", Kind::File, &[]).unwrap();
    store.write(&file, 0, b"there", &[]).unwrap();
    let mut read = [0; 5];
    for failing in [1, 2] {
        read.fill(0);
        disk.fail(Some(Fault::Reads(failing)));
        assert_eq!(store.read(&file, 0, &mut read).unwrap(), 5);
        assert_eq!((&read, disk.fault()), (b"there", None));
    }
    disk.fail(Some(Fault::Reads(3)));
    assert!(matches!(store.read(&file, 0, &mut read), Err(StoreError::Io(_))));
    assert_eq!(disk.fault(), None, "three times, and no more");
    disk.fail(Some(Fault::Read));
    assert!(matches!(store.read(&file, 0, &mut read), Err(StoreError::Io(_))));
}

#[test]
fn half_a_frame_that_cannot_be_cut_off_stops_all_writing_until_the_store_is_opened_anew() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::default();
    let index = folder.path().join("index");
    let (store, _) = open_on(&disk, &index);
    let root = store.root();
    let file = store.create(&root, b"a", Kind::File, &[]).unwrap();
    store.write(&file, 0, &[1; 40_000], &[]).unwrap();
    store.sync().unwrap();
    disk.fail(Some(Fault::WriteForGood(Errno::IO)));
    assert!(matches!(store.write(&file, 0, &[2; 40_000], &[]), Err(StoreError::Io(_))));
    disk.fail(None);
    // After what is left of it nothing can be written, and what was there is read.
    assert!(matches!(store.write(&file, 0, &[3; 40_000], &[]), Err(StoreError::Refusing(_))));
    assert!(!store.status().trouble.is_empty());
    let mut read = vec![0; 40_000];
    assert_eq!(store.read(&file, 0, &mut read).unwrap(), 40_000);
    assert!(read == [1; 40_000]);
    drop((file, root, store));
    let (store, opened) = open_on(&disk, &index);
    assert!(opened.cut_off.is_some() && opened.damage.is_empty(), "{opened:?}");
    let file = store.find(&store.root(), b"a").unwrap();
    assert_eq!(store.read(&file, 0, &mut read).unwrap(), 40_000);
    assert!(read == [1; 40_000]);
    store.write(&file, 0, &[4; 40_000], &[]).unwrap();
    store.sync().unwrap();
}

#[test]
fn an_index_that_cannot_be_written_takes_back_the_frame_and_is_built_anew() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::default();
    let index = folder.path().join("index");
    let (store, _) = open_on(&disk, &index);
    let file = store.create(&store.root(), b"a", Kind::File, &[]).unwrap();
    store.write(&file, 0, &[1; 40_000], &[]).unwrap();
    // As after a fault of the database: nothing can be looked up or written in it.
    drop(store.shared().index.write().unwrap().take());
    store.write(&file, 0, &[2; 40_000], &[]).unwrap();
    let mut read = vec![0; 40_000];
    assert_eq!(store.read(&file, 0, &mut read).unwrap(), 40_000);
    assert!(read == [2; 40_000]);
    store.sync().unwrap();
    assert!(check(&store, false).0.clean);
}

#[test]
fn whichever_write_of_an_opening_finds_the_disk_full_the_next_one_succeeds() {
    let folder = tempfile::tempdir().unwrap();
    let mut index = 0;
    let mut index = || {
        index += 1;
        folder.path().join(index.to_string())
    };
    for exchanged in [false, true] {
        let mut writes = 0;
        loop {
            let (disk, keys) = (Disk::default(), Arc::new(TestKeys::new()));
            if exchanged {
                let (store, _) = open_with(&disk, &index(), &keys).unwrap();
                store.create(&store.root(), b"a", Kind::File, &[]).unwrap();
                drop(store);
                keys.rotate_store().unwrap();
            }
            disk.fail(Some(Fault::LaterWrite(writes, Errno::NOSPC)));
            drop(open_with(&disk, &index(), &keys));
            let done = disk.fault().is_some();
            disk.fail(None);
            let what = format!("write {writes}, exchanged: {exchanged}");
            let (store, opened) = open_with(&disk, &index(), &keys).unwrap_or_else(|error| panic!("{what}: {error:?}"));
            assert!(opened.damage.is_empty(), "{what}: {opened:?}");
            if exchanged {
                store.find(&store.root(), b"a").unwrap();
            }
            store.create(&store.root(), b"b", Kind::File, &[]).unwrap();
            store.sync().unwrap();
            drop(store);
            if exchanged {
                keys.forget_before();
                open_with(&disk, &index(), &keys).unwrap();
            }
            if done {
                break;
            }
            writes += 1;
        }
        assert!(writes > 3, "only {writes} writes, exchanged: {exchanged}");
    }
}
