//! Names, open nodes, snapshots, keys, checking, and who may open.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::super::{Finding, Kind, Node, OnDisk, Options, Severity, Store, StoreError, Told};
use super::basic::open;
use super::keys::TestKeys;

fn read(store: &Store, file: &Node) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(store.stat(file).unwrap().size).unwrap()];
    assert_eq!(store.read(file, 0, &mut bytes).unwrap(), bytes.len());
    bytes
}

fn file(store: &Store, name: &[u8], bytes: &[u8]) -> Node {
    let file = store.create(&store.root(), name, Kind::File, &[]).unwrap();
    store.write(&file, 0, bytes, &[]).unwrap();
    file
}

pub(super) fn check(store: &Store, repair: bool) -> (super::super::Summary, Vec<Finding>) {
    let mut findings = Vec::new();
    let (mut done, mut of) = (0, 0);
    let summary = store.check(repair, &mut |checked| {
        match checked {
            Told::Found(finding) => findings.push(finding),
            Told::Progress { done_bytes, of_bytes } => {
                assert!(done_bytes >= done && done_bytes <= of_bytes);
                (done, of) = (done_bytes, of_bytes);
            }
        }
        ControlFlow::Continue(())
    });
    let summary = summary.unwrap();
    assert!(of > 0 && done == of, "it ends at {done} of {of} bytes");
    (summary, findings)
}

#[test]
fn a_removed_file_is_there_while_it_is_open_and_gone_after() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    let root = store.root();
    let open_file = file(&store, b"a", b"still here");
    let clone = open_file.clone();
    store.remove(&root, b"a").unwrap();
    assert!(matches!(store.find(&root, b"a"), Err(StoreError::NotFound)));
    file(&store, b"a", b"another");
    drop(open_file);
    assert_eq!(read(&store, &clone), b"still here");
    store.write(&clone, 0, b"STILL", &[]).unwrap();
    assert_eq!(read(&store, &clone), b"STILL here");
    assert_eq!(store.status().files, 2);
    drop(clone);
    assert_eq!(store.status().files, 1);
    assert_eq!(read(&store, &store.find(&root, b"a").unwrap()), b"another");
}

#[test]
fn nothing_is_made_in_or_moved_to_a_directory_that_was_removed() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    let root = store.root();
    let gone = store.create(&root, b"d", Kind::Directory, &[]).unwrap();
    file(&store, b"a", b"x");
    store.remove(&root, b"d").unwrap();
    assert!(matches!(store.create(&gone, b"b", Kind::File, &[]), Err(StoreError::NotFound)));
    assert!(matches!(store.rename(&root, b"a", &gone, b"b", false, &[]), Err(StoreError::NotFound)));
    assert!(matches!(store.snapshot(&gone, "late"), Err(StoreError::NotFound)));
    assert_eq!(read(&store, &store.find(&root, b"a").unwrap()), b"x");
    drop(gone);
    assert_eq!((store.status().files, store.status().directories), (1, 1));
}

#[test]
fn what_was_open_without_a_name_is_gone_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    let kept = file(&store, b"a", b"x");
    store.remove(&store.root(), b"a").unwrap();
    store.abandon();
    drop(kept);
    let (store, _) = open(folder.path());
    assert_eq!((store.status().files, store.status().directories), (0, 1));
}

#[test]
fn a_snapshot_outlives_changes_and_can_only_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    let root = store.root();
    let directory = store.create(&root, b"d", Kind::Directory, &[]).unwrap();
    let kept = store.create(&directory, b"a", Kind::File, &[]).unwrap();
    store.write(&kept, 0, b"one", &[]).unwrap();
    let first = store.snapshot(&directory, "first").unwrap();
    store.write(&kept, 0, b"two", &[]).unwrap();
    store.remove(&directory, b"a").unwrap();
    let second = store.snapshot(&directory, "second").unwrap();
    let listed = store.snapshots(&directory, 0, 0).unwrap();
    assert_eq!(listed, [second.clone(), first.clone()]);
    assert_eq!(store.snapshots(&directory, second.id, 0).unwrap(), std::slice::from_ref(&first));
    let then = store.open_snapshot(&directory, first.id).unwrap();
    let old = store.find(&then, b"a").unwrap();
    assert_eq!(read(&store, &old), b"one");
    assert!(matches!(store.write(&old, 0, b"x", &[]), Err(StoreError::ReadOnly)));
    assert!(matches!(store.create(&then, b"b", Kind::File, &[]), Err(StoreError::ReadOnly)));
    assert!(matches!(store.remove(&root, b"d"), Err(StoreError::NotEmpty)));
    drop((old, kept));
    store.drop_snapshot(&directory, first.id).unwrap();
    assert!(matches!(store.open_snapshot(&directory, first.id), Err(StoreError::UnknownSnapshot)));
    assert_eq!(store.snapshots(&directory, 0, 0).unwrap(), [second]);
    assert_eq!(store.status().files, 0);
}

#[test]
fn the_key_of_before_opens_nothing_that_is_written_after_an_exchange() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    let root = store.root();
    let directory = store.create(&root, b"d", Kind::Directory, &[]).unwrap();
    let inner = store.create(&directory, b"a", Kind::File, &[]).unwrap();
    store.write(&inner, 0, &[1; 40_000], &[]).unwrap();
    let snapshot = store.snapshot(&directory, "before").unwrap();
    let (old_directory, old_file) = (directory.keys(), inner.keys());
    store.rotate(&root, b"d").unwrap();
    store.write(&inner, 0, &[2; 20_000], &[]).unwrap();
    // Who has it open goes on, with what is new and what is old.
    assert_eq!(read(&store, &inner), [vec![2; 20_000], vec![1; 20_000]].concat());
    let then = store.open_snapshot(&directory, snapshot.id).unwrap();
    assert_eq!(read(&store, &store.find(&then, b"a").unwrap()), [1; 40_000]);
    drop(then);
    // The removed reader has the keys of before, and the whole folder.
    let new_directory = directory.keys();
    assert!(*new_directory.key != *old_directory.key && *inner.keys().key != *old_file.key);
    inner.set_keys(old_file.clone());
    assert!(matches!(store.stat(&inner), Err(StoreError::Damaged(_))));
    directory.set_keys(old_directory);
    let link = store.shared().link(&directory, b"a");
    assert!(matches!(link, Err(StoreError::Damaged(_))));
    drop((inner, directory, root, store));
    let (store, _) = open(folder.path());
    let directory = store.find(&store.root(), b"d").unwrap();
    let inner = store.find(&directory, b"a").unwrap();
    assert_eq!(read(&store, &inner), [vec![2; 20_000], vec![1; 20_000]].concat());
    assert!(check(&store, false).0.clean);
}

#[test]
fn a_check_finds_a_changed_byte_and_names_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    file(&store, b"good", &[1; 20_000]);
    file(&store, b"bad", &[2; 20_000]);
    store.sync().unwrap();
    let (summary, findings) = check(&store, false);
    assert!(summary.clean && findings.is_empty() && (summary.files, summary.directories) == (2, 1), "{findings:?}");
    drop(store);
    let segment = folder.path().join("segments/00000001.seg");
    let mut bytes = std::fs::read(&segment).unwrap();
    // The last 16 KiB but the metadata and the commits: in the first sector of the second file.
    let at = bytes.len() - 10_000;
    bytes[at] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let (store, _) = open(folder.path());
    let (summary, findings) = check(&store, false);
    assert!(!summary.clean && summary.files == 1, "{summary:?} {findings:?}");
    assert!(findings.iter().any(|one| one.severity == Severity::Lost && one.place == "/bad"), "{findings:?}");
    assert!(findings.iter().any(|one| one.place.starts_with("segment 1 at")), "{findings:?}");
    let root = store.root();
    assert_eq!(read(&store, &store.find(&root, b"good").unwrap()), [1; 20_000]);
    store.remove(&root, b"bad").unwrap();
}

#[test]
fn of_an_end_that_is_missing_the_index_says_what_it_changed() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    let root = store.root();
    let directory = store.create(&root, b"d", Kind::Directory, &[]).unwrap();
    for name in [b"good", b"late", b"gone"] {
        let file = store.create(&directory, name, Kind::File, &[]).unwrap();
        store.write(&file, 0, &[1; 1_000], &[]).unwrap();
    }
    store.sync().unwrap();
    let segment = folder.path().join("segments/00000001.seg");
    let length = std::fs::metadata(&segment).unwrap().len();
    store.write(&store.find(&directory, b"late").unwrap(), 0, &[2; 1_000], &[]).unwrap();
    store.remove(&directory, b"gone").unwrap();
    store.create(&directory, b"new", Kind::File, &[]).unwrap();
    drop((directory, root, store));
    std::fs::OpenOptions::new().write(true).open(&segment).unwrap().set_len(length).unwrap();
    let (store, opened) = open(folder.path());
    assert!(!opened.damage.is_empty(), "{opened:?}");
    let directory = store.find(&store.root(), b"d").unwrap();
    assert_eq!(read(&store, &store.find(&directory, b"good").unwrap()), [1; 1_000]);
    for name in [&b"late"[..], b"gone", b"new"] {
        let mut bytes = [0; 1_000];
        let found = store.find(&directory, name).and_then(|file| store.read(&file, 0, &mut bytes));
        assert!(matches!(found, Err(StoreError::Damaged(_))), "{name:?}: {found:?}");
    }
    let (summary, findings) = check(&store, true);
    assert!(summary.clean, "{findings:?}");
    assert!(check(&store, false).0.clean);
}

#[test]
fn a_damaged_entry_hides_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    file(&store, b"good", b"x");
    file(&store, b"bad", b"x");
    let root = store.root();
    let hash = root.keys().name_hash(b"bad");
    let entry = super::super::index::key(super::super::index::ENTRY, &[&root.id(), &hash]);
    let place = store.shared().read_index(|index| index.newest(&entry, u64::MAX)).unwrap().unwrap().1.place;
    let segment = folder.path().join(format!("segments/{:08}.seg", place.segment));
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[(place.offset + place.length - 1) as usize] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let page = store.list(&root, 0, 0).unwrap();
    let names: Vec<_> = page.entries.iter().map(|entry| &entry.name[..]).collect();
    assert_eq!(names, [b"good"]);
    assert!(page.damaged.is_some());
}

#[test]
fn a_check_finds_a_changed_head_of_a_segment_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    file(&store, b"good", &[1; 20_000]);
    store.sync().unwrap();
    let segment = folder.path().join("segments/00000001.seg");
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[40] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let (summary, findings) = check(&store, false);
    assert!(!summary.clean && findings.iter().any(|one| one.place == "segment 1 at 0"), "{findings:?}");
    let (summary, findings) = check(&store, true);
    assert!(summary.clean, "{summary:?} {findings:?}");
    assert!(check(&store, false).0.clean);
    assert_eq!(read(&store, &store.find(&store.root(), b"good").unwrap()), [1; 20_000]);
}

#[test]
fn a_check_reads_nothing_of_a_hole_that_is_larger_than_any_disk() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    let huge = file(&store, b"huge", b"begin");
    store.write(&huge, 1 << 40, b"middle", &[]).unwrap();
    store.truncate(&huge, 1 << 62, &[]).unwrap();
    let (summary, findings) = check(&store, false);
    assert!(summary.clean && summary.files == 1, "{findings:?}");
}

#[test]
fn segments_of_which_nothing_can_be_read_are_kept_for_people() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    file(&store, b"a", &[1; 20_000]);
    let first_root = store.root().id();
    drop(store);
    let segment = folder.path().join("segments/00000001.seg");
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes.iter_mut().for_each(|byte| *byte ^= 0x55);
    std::fs::write(&segment, &bytes).unwrap();
    // Whatever says that there was something keeps an empty store from being begun, and stays.
    for _ in 0..2 {
        let refused = try_open(folder.path(), &Arc::new(TestKeys::new()));
        assert!(matches!(refused, Err(StoreError::Damaged(why)) if why.contains("nothing that this store wrote")));
    }
    std::fs::remove_file(folder.path().join("synced")).unwrap();
    assert!(try_open(folder.path(), &Arc::new(TestKeys::new())).is_err(), "the marker is there");
    for time in 0..2 {
        let _ = std::fs::remove_file(folder.path().join("index.marker"));
        let _ = std::fs::remove_file(folder.path().join("synced"));
        std::fs::write(&segment, &bytes).unwrap();
        let (store, opened) = open(folder.path());
        assert!(opened.created && opened.cut_off.is_some_and(|what| what.contains("lost")));
        let name = if time == 0 { "lost/00000001.seg" } else { "lost/00000001.seg.1" };
        assert_eq!(std::fs::read(folder.path().join(name)).unwrap(), bytes, "nothing there is written over");
        assert_ne!(store.root().id(), first_root, "what comes back is none of the new store");
        file(&store, b"b", b"new");
        store.sync().unwrap();
    }
}

#[test]
fn a_changed_byte_in_the_head_of_any_segment_costs_nothing() {
    let made = tempfile::tempdir().unwrap();
    let (store, _) = open(made.path());
    for name in 0..12u8 {
        file(&store, &[b'a' + name], &[name; 60_000]);
        store.sync().unwrap();
    }
    // A segment is given up: the one after it is the first, or follows a gap.
    for name in [0, 1, 2, 6, 7, 8] {
        store.remove(&store.root(), &[b'a' + name]).unwrap();
    }
    store.compact().unwrap();
    drop(store);
    let numbers = super::segments::numbers(made.path());
    assert!(numbers[0] > 1 && numbers.len() > 1, "{numbers:?}");
    for number in numbers {
        for (at, without_index) in [(40, true), (50, true), (100, true), (120, true), (50, false)] {
            let copy = tempfile::tempdir().unwrap();
            super::model::copy_folder(made.path(), copy.path());
            super::segments::change(copy.path(), number, |bytes| bytes[at] ^= 1);
            if without_index {
                super::segments::forget_index(copy.path());
                let _ = std::fs::remove_file(copy.path().join("synced"));
                let _ = std::fs::remove_file(copy.path().join("root"));
            }
            let (store, opened) = open(copy.path());
            let what = format!("segment {number} at {at}: {opened:?}");
            assert!(!opened.created && opened.cut_off.is_none(), "{what}");
            for name in [3, 4, 5, 9, 10, 11] {
                let found =
                    store.find(&store.root(), &[b'a' + name]).unwrap_or_else(|error| panic!("{what}: {error:?}"));
                assert_eq!(read(&store, &found), [name; 60_000], "{what}");
            }
            assert!(!check(&store, false).0.clean, "{what}");
            assert!(check(&store, true).0.clean && check(&store, false).0.clean, "{what}");
        }
    }
}

fn try_open(folder: &Path, keys: &Arc<TestKeys>) -> Result<Store, StoreError> {
    let files = Arc::new(OnDisk::new(folder).unwrap());
    Store::open(files, keys.clone(), Options::new(folder.join("index"))).map(|(store, _)| store)
}

#[test]
fn a_second_opener_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let keys = Arc::new(TestKeys::new());
    let store = try_open(folder.path(), &keys).unwrap();
    assert!(matches!(try_open(folder.path(), &keys), Err(StoreError::Held(what)) if what.contains("lock")));
    drop(store);
    try_open(folder.path(), &keys).unwrap();
}

#[test]
fn a_newer_format_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let keys = Arc::new(TestKeys::new());
    drop(try_open(folder.path(), &keys).unwrap());
    let segment = folder.path().join("segments/00000001.seg");
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[8] = 2;
    // A newer program would have written this, too.
    let hash = blake3::derive_key("latchkey 2026 store segment v1", &bytes[..80]);
    bytes[80..112].copy_from_slice(&hash);
    std::fs::write(&segment, bytes).unwrap();
    assert!(matches!(try_open(folder.path(), &keys), Err(StoreError::Newer { format: 2 })));
}

#[test]
fn locked_keys_open_nothing_and_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let keys = Arc::new(TestKeys::new());
    file(&try_open(folder.path(), &keys).unwrap(), b"a", b"x");
    keys.locked.store(true, Ordering::Relaxed);
    let before = super::flips::all_bytes(folder.path());
    let refused = try_open(folder.path(), &keys).map(drop);
    assert!(matches!(refused, Err(StoreError::Keys(super::super::KeysError::Locked))));
    assert!(super::flips::all_bytes(folder.path()) == before);
    keys.locked.store(false, Ordering::Relaxed);
    let store = try_open(folder.path(), &keys).unwrap();
    let a = store.find(&store.root(), b"a").unwrap();
    assert_eq!(read(&store, &a), b"x");
}

#[test]
fn a_segment_that_is_taken_away_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    for name in 0..20u8 {
        file(&store, &[b'a' + name], &[name; 60_000]);
        store.sync().unwrap();
    }
    drop(store);
    std::fs::remove_file(folder.path().join("segments/00000003.seg")).unwrap();
    let (store, opened) = open(folder.path());
    assert!(opened.damage.iter().any(|what| what.contains("segment 3")), "{opened:?}");
    let root = store.root();
    let (mut good, mut lost) = (0, 0);
    for name in 0..20u8 {
        let mut bytes = vec![0; 60_000];
        match store.find(&root, &[b'a' + name]).and_then(|file| store.read(&file, 0, &mut bytes)) {
            Ok(length) => {
                assert!(length == 60_000 && bytes.iter().all(|byte| *byte == name), "something else was served");
                good += 1;
            }
            Err(StoreError::Damaged(_)) => lost += 1,
            Err(error) => panic!("{error:?}"),
        }
    }
    println!("{good} files are good, {lost} lost");
    assert!(lost > 0 && good >= 15, "a segment holds at most five of them");
}
