//! Bytes anywhere in the store, drawn at random, changed: it is found, or changes nothing; never is anything else served than what was written.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::{Kind, OnDisk, Options, Store, StoreError};
use super::draw::{Draw, seed};
use super::keys::TestKeys;
use super::model::copy_folder;

const SAMPLE: usize = 250;

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files_below(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// All that is on the disk.
pub(super) fn all_bytes(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    files_below(folder).into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

/// Every file: its name, and what it was, the latest first.
fn written() -> Vec<(Vec<u8>, Vec<u8>)> {
    (0..12u8).map(|at| (vec![b'a' + at], vec![at + 1; 700 * (usize::from(at) + 1)])).collect()
}

fn make(folder: &Path) {
    let options = Options { segment_bytes: 32 << 10, compacts: false, ..Options::new(folder.join("index")) };
    let files = Arc::new(OnDisk::new(folder).unwrap());
    let (store, _) = Store::open(files, Arc::new(TestKeys::new()), options).unwrap();
    let root = store.root();
    let directory = store.create(&root, b"d", Kind::Directory, &[]).unwrap();
    for (name, bytes) in written() {
        let file = store.create(&directory, &name, Kind::File, &[]).unwrap();
        store.write(&file, 0, b"what was there before", &[]).unwrap();
        store.sync().unwrap();
        store.write(&file, 0, &bytes, &[]).unwrap();
        store.sync().unwrap();
    }
}

/// Opens and reads everything; how many files could not be read, and whether anything was said when it was opened.
fn judge(folder: &Path) -> Result<(usize, bool), StoreError> {
    let options = Options { segment_bytes: 32 << 10, compacts: false, ..Options::new(folder.join("index")) };
    let files = Arc::new(OnDisk::new(folder).unwrap());
    let (store, opened) = Store::open(files, Arc::new(TestKeys::new()), options)?;
    assert!(opened.cut_off.is_none(), "what was synced was cut off: {opened:?}");
    let told = !opened.damage.is_empty();
    let directory = store.find(&store.root(), b"d")?;
    let mut lost = 0;
    for (name, bytes) in written() {
        let read = store.find(&directory, &name).and_then(|file| {
            let mut read = vec![0; 20_000];
            let length = store.read(&file, 0, &mut read)?;
            read.truncate(length);
            Ok(read)
        });
        match read {
            Ok(read) => assert!(read == bytes, "something else was served"),
            Err(StoreError::Damaged(_)) => lost += 1,
            Err(error) => return Err(error),
        }
    }
    store.abandon();
    Ok((lost, told))
}

#[test]
fn no_changed_byte_is_served() {
    let draw = &mut Draw(seed());
    let made = tempfile::tempdir().unwrap();
    make(made.path());
    assert_eq!(judge_copy(made.path(), |_| {}).unwrap(), (0, false));
    let (mut served, mut noticed) = (0, 0);
    for sample in 0..SAMPLE {
        let (which, with_index) = (draw.below(1 << 30), draw.below(3) > 0);
        let mut place = String::new();
        let judged = judge_copy(made.path(), |copy| {
            if !with_index {
                std::fs::remove_dir_all(copy.join("index")).unwrap();
                let _ = std::fs::remove_file(copy.join("index.marker"));
            }
            let files = files_below(copy);
            let segments: Vec<_> =
                files.iter().filter(|path| path.extension().is_some_and(|end| end == "seg")).collect();
            let path = if draw.below(4) == 0 { &files[which % files.len()] } else { segments[which % segments.len()] };
            let mut bytes = std::fs::read(path).unwrap();
            if !bytes.is_empty() {
                let at = draw.below(bytes.len());
                bytes[at] ^= 1 << draw.below(8);
                place = format!("sample {sample}: {path:?} at {at}, index: {with_index}");
                std::fs::write(path, bytes).unwrap();
            }
        });
        match judged {
            Ok((lost, told)) => {
                // With its own index, at most one file suffers; without, what its frame was about.
                assert!(lost <= 1, "{place}: {lost} files are lost");
                served += 1;
                noticed += usize::from(lost > 0 || told);
            }
            Err(StoreError::Damaged(_) | StoreError::Newer { .. } | StoreError::Keys(_)) => noticed += 1,
            Err(error) => panic!("{place}: {error:?}"),
        }
    }
    println!("{served} of {SAMPLE} stores could be read, {noticed} changes were noticed");
    assert!(noticed > SAMPLE / 4, "only {noticed} changes were noticed");
}

fn judge_copy(made: &Path, change: impl FnOnce(&Path)) -> Result<(usize, bool), StoreError> {
    let copy = tempfile::tempdir().unwrap();
    copy_folder(made, copy.path());
    change(copy.path());
    judge(copy.path())
}
