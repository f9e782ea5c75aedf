//! What is removed or cut goes a piece at a time, whatever stops it.

use std::path::Path;
use std::sync::Arc;

use super::super::index::{HOLE, KEPT, LEFT, SECTOR};
use super::super::{Account, Kind, OnDisk, Opened, Options, Store};
use super::keys::TestKeys;

/// More than two pieces.
const SECTORS: usize = 2_600;
const BYTES: usize = SECTORS * 16_384;
const ACCOUNT: [Account; 1] = [Account { grant: 4, quota_bytes: u64::MAX }];

fn open(folder: &Path) -> (Store, Opened) {
    let options = Options { segment_bytes: 8 << 20, compacts: false, ..Options::new(folder.join("index")) };
    Store::open(Arc::new(OnDisk::new(folder).unwrap()), Arc::new(TestKeys::new()), options).unwrap()
}

fn rows(store: &Store, letter: u8) -> usize {
    let mut count = 0;
    let index = store.shared().index.read().unwrap();
    let count_row = |_: &[u8], _: &[u8]| {
        count += 1;
        Ok(true)
    };
    index.as_ref().unwrap().scan(&[letter], &[], count_row).unwrap();
    count
}

fn used(store: &Store) -> u64 {
    store.status().accounts.iter().find(|one| one.grant == 4).map_or(0, |one| one.used_bytes)
}

/// A store with one large file of threes.
fn with_large_file(folder: &Path) -> Store {
    let (store, _) = open(folder);
    let file = store.create(&store.root(), b"large", Kind::File, &ACCOUNT).unwrap();
    for chunk in 0..BYTES / (1 << 20) + 1 {
        let begin = chunk << 20;
        let length = (1 << 20).min(BYTES - begin);
        store.write(&file, begin as u64, &vec![3; length], &ACCOUNT).unwrap();
    }
    store.sync().unwrap();
    assert_eq!(rows(&store, SECTOR), SECTORS);
    store
}

fn ways(index: &Path, way: usize) {
    // The index is there, or it is built anew.
    if way == 1 {
        std::fs::remove_dir_all(index).unwrap();
    }
}

#[test]
fn a_large_file_is_removed_in_pieces_also_across_a_kill() {
    for way in 0..2 {
        let folder = tempfile::tempdir().unwrap();
        let store = with_large_file(folder.path());
        let root = store.root();
        {
            let mut log = store.shared().lock_log();
            store.shared().remove(&mut log, &root, b"large").unwrap();
        }
        let left = rows(&store, SECTOR);
        assert!(left > 0 && left < SECTORS && rows(&store, LEFT) == 1, "{left} rows are left");
        assert_eq!(store.status().files, 0);
        drop(root);
        store.abandon();
        ways(&folder.path().join("index"), way);
        let (store, opened) = open(folder.path());
        assert!(opened.damage.is_empty(), "{opened:?}");
        assert_eq!((rows(&store, SECTOR), rows(&store, LEFT), used(&store)), (0, 0, 0));
        store.compact().unwrap();
        assert!(store.status().segments <= 2, "{:?}", store.status());
    }
}

#[test]
fn what_was_cut_never_comes_back_while_pieces_of_it_are_left() {
    for way in 0..2 {
        let folder = tempfile::tempdir().unwrap();
        let store = with_large_file(folder.path());
        let root = store.root();
        let file = store.find(&root, b"large").unwrap();
        let snapshot = store.snapshot(&root, "before").unwrap();
        let zeros_after = |store: &Store, from: usize| {
            let file = store.find(&store.root(), b"large").unwrap();
            let mut read = vec![1; BYTES];
            assert_eq!(store.read(&file, 0, &mut read).unwrap(), BYTES);
            assert!(read[..from].iter().all(|byte| *byte == 3) && read[from..].iter().all(|byte| *byte == 0));
        };
        {
            let mut log = store.shared().lock_log();
            store.shared().truncate(&mut log, &file, 100_000, &ACCOUNT).unwrap();
            assert_eq!(rows(&store, LEFT), 1);
            store.shared().truncate(&mut log, &file, BYTES as u64, &ACCOUNT).unwrap();
        }
        zeros_after(&store, 100_000);
        drop((file, root));
        store.abandon();
        ways(&folder.path().join("index"), way);
        let (store, opened) = open(folder.path());
        assert!(opened.damage.is_empty(), "{opened:?}");
        assert_eq!(rows(&store, LEFT), 0);
        zeros_after(&store, 100_000);
        let root = store.root();
        let then = store.open_snapshot(&root, snapshot.id).unwrap();
        let mut read = vec![0; BYTES];
        assert_eq!(store.read(&store.find(&then, b"large").unwrap(), 0, &mut read).unwrap(), BYTES);
        assert!(read.iter().all(|byte| *byte == 3), "the snapshot is as it was");
        drop(then);
        store.drop_snapshot(&root, snapshot.id).unwrap();
        assert_eq!(rows(&store, SECTOR), 7);
        assert!(rows(&store, HOLE) <= 2 && used(&store) < 130_000);
        zeros_after(&store, 100_000);
    }
}

#[test]
fn whoever_cuts_and_extends_a_file_again_and_again_does_not_make_it_slow() {
    const SECTOR: u64 = 16_384;
    const TIMES: u64 = 3_000;
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    let file = store.create(&store.root(), b"a", Kind::File, &ACCOUNT).unwrap();
    for at in 1..TIMES {
        store.truncate(&file, at * SECTOR, &ACCOUNT).unwrap();
    }
    assert_eq!(rows(&store, HOLE), 1, "to extend it makes no hole twice");
    // What only a snapshot shows of it makes no difference.
    store.write(&file, (TIMES + 1) * SECTOR, &vec![1; 600 * SECTOR as usize], &ACCOUNT).unwrap_err();
    for piece in 0..2 {
        store.write(&file, (TIMES + 1 + piece * 400) * SECTOR, &vec![1; 400 * SECTOR as usize], &ACCOUNT).unwrap();
    }
    let snapshot = store.snapshot(&store.root(), "longer").unwrap();
    store.truncate(&file, TIMES * SECTOR, &ACCOUNT).unwrap();
    for at in 1..TIMES {
        store.write(&file, (at + TIMES) * SECTOR, b"x", &ACCOUNT).unwrap();
        store.truncate(&file, (at + TIMES) * SECTOR, &ACCOUNT).unwrap();
    }
    assert!((500..1_100).contains(&rows(&store, HOLE)), "{} holes", rows(&store, HOLE));
    store.drop_snapshot(&store.root(), snapshot.id).unwrap();
    for way in 0..2 {
        let (size, last) = ((2 * TIMES - 1) * SECTOR, (2 * TIMES - 2) * SECTOR);
        if way == 1 {
            store.shared().rebuild_index().unwrap();
        }
        assert_eq!(store.stat(&file).unwrap().size, size);
        store.truncate(&file, size + 2 * SECTOR, &ACCOUNT).unwrap();
        let mut read = vec![1; 4 * SECTOR as usize];
        assert_eq!(store.read(&file, last, &mut read).unwrap(), 3 * SECTOR as usize);
        assert!(read[..3 * SECTOR as usize].iter().all(|byte| *byte == 0), "what was cut off comes back");
        store.truncate(&file, size, &ACCOUNT).unwrap();
    }
}

#[test]
fn what_is_kept_for_a_snapshot_is_noted_once_however_often_the_file_is_cut() {
    const CUTS: usize = 50;
    const CHUNK: usize = 4 << 20;
    const LARGE: usize = 4 * CHUNK;
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    let root = store.root();
    let file = store.create(&root, b"a", Kind::File, &ACCOUNT).unwrap();
    for begin in (0..LARGE).step_by(CHUNK) {
        store.write(&file, begin as u64, &vec![3; CHUNK], &ACCOUNT).unwrap();
    }
    let sectors = rows(&store, SECTOR);
    let snapshot = store.snapshot(&root, "before").unwrap();
    store.truncate(&file, 0, &ACCOUNT).unwrap();
    let once = rows(&store, KEPT);
    assert!((sectors..sectors + 4).contains(&once), "{once} notes of {sectors} sectors");
    for _ in 0..CUTS {
        store.truncate(&file, LARGE as u64, &ACCOUNT).unwrap();
        store.truncate(&file, 0, &ACCOUNT).unwrap();
    }
    assert_eq!((rows(&store, KEPT), rows(&store, SECTOR)), (once, sectors));
    store.shared().rebuild_index().unwrap();
    assert_eq!((rows(&store, KEPT), rows(&store, SECTOR)), (once, sectors));
    {
        let then = store.open_snapshot(&root, snapshot.id).unwrap();
        let mut read = vec![0; LARGE];
        assert_eq!(store.read(&store.find(&then, b"a").unwrap(), 0, &mut read).unwrap(), LARGE);
        assert!(read.iter().all(|byte| *byte == 3), "the snapshot is as it was");
    }
    // A later one shows nothing of it, and does not keep it either.
    store.snapshot(&root, "after").unwrap();
    store.truncate(&file, LARGE as u64, &ACCOUNT).unwrap();
    store.truncate(&file, 0, &ACCOUNT).unwrap();
    store.drop_snapshot(&root, snapshot.id).unwrap();
    assert_eq!(rows(&store, SECTOR), 0, "what the last snapshot needed that shows it went with that");
    assert!(rows(&store, KEPT) < 4 && used(&store) < 10_000, "{} notes", rows(&store, KEPT));
}
