//! Somebody has the disk of a store that is closed, knows the format, and has no key: what they put in, take away or put back is
//! found, and nothing of it is served.

use std::path::Path;
use std::sync::Arc;

use super::super::format::{
    FRAME_HEAD_BYTES, FrameHead, ItemHead, ItemKind, SEGMENT_HEAD_BYTES, SegmentFront, SegmentHead, items, part_of,
    payload_hash,
};
use super::super::index::{SECTOR, at, key};
use super::super::keys::{OwnKeys, Secret};
use super::super::{Kind, OnDisk, Opened, Options, Store, StoreError};
use super::keys::TestKeys;
use super::life::check;
use super::model::copy_folder;

pub(super) const FILES: u8 = 8;
pub(super) const LENGTH: usize = 20_000;

pub(super) fn open(folder: &Path) -> Result<(Store, Opened), StoreError> {
    let options = Options { segment_bytes: 128 << 10, compacts: false, ..Options::new(folder.join("index")) };
    Store::open(Arc::new(OnDisk::new(folder).unwrap()), Arc::new(TestKeys::new()), options)
}

pub(super) fn name(at: u8) -> [u8; 1] {
    [b'a' + at]
}

/// Files, each written twice with commits between, in several segments. The store is closed in order.
pub(super) fn made() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path()).unwrap();
    for at in 0..FILES {
        let file = store.create(&store.root(), &name(at), Kind::File, &[]).unwrap();
        store.write(&file, 0, &[100 + at; LENGTH], &[]).unwrap();
        store.sync().unwrap();
    }
    for at in 0..FILES {
        let file = store.find(&store.root(), &name(at)).unwrap();
        store.write(&file, 0, &[at; LENGTH], &[]).unwrap();
        store.sync().unwrap();
    }
    drop(store);
    folder
}

/// How many files are as they were written last; the others must be refused.
pub(super) fn judge(store: &Store, what: &str) -> u8 {
    let mut good = 0;
    for at in 0..FILES {
        let mut bytes = vec![0; LENGTH + 1];
        match store.find(&store.root(), &name(at)).and_then(|file| store.read(&file, 0, &mut bytes)) {
            Ok(got) => {
                assert!(got == LENGTH && bytes[..got] == vec![at; got], "{what}: something else was served");
                good += 1;
            }
            Err(StoreError::Damaged(_)) => {}
            Err(error) => panic!("{what}: {at}: {error:?}"),
        }
    }
    good
}

type Items = Vec<(ItemHead, Vec<u8>)>;

/// Writes the frames anew as somebody can who has no key: all hashes and the chain fit. `change` says what a frame consists of;
/// nothing: it is left out.
fn forge(folder: &Path, mut change: impl FnMut(u64, Items) -> Option<Items>, append: &[Items]) {
    // Keys of the forger's own: a tag of the right length.
    let keys = OwnKeys::derive(&Secret::new([66; 32]));
    let mut paths: Vec<_> =
        std::fs::read_dir(folder.join("segments")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let (mut chain, mut sequence) = ([0; 32], 1);
    let mut changed = false;
    for (number, path) in paths.iter().enumerate() {
        let bytes = std::fs::read(path).unwrap();
        let SegmentFront::Head(head, _) = SegmentHead::decode(bytes[..SEGMENT_HEAD_BYTES].try_into().unwrap()) else {
            panic!("{path:?}");
        };
        let mut written = if (head.first_sequence, head.chain) == (sequence, chain) {
            bytes[..SEGMENT_HEAD_BYTES].to_vec()
        } else {
            SegmentHead { first_sequence: sequence, chain, ..head }.encode(&keys).to_vec()
        };
        let mut frames: Vec<(Option<Vec<u8>>, Items)> = Vec::new();
        let mut from = SEGMENT_HEAD_BYTES;
        while from < bytes.len() {
            let (head, _) = FrameHead::decode(&bytes[from..], None).unwrap();
            let until = from + FRAME_HEAD_BYTES + head.length as usize;
            let payload = &bytes[from + FRAME_HEAD_BYTES..until];
            let before: Items =
                items(payload).unwrap().into_iter().map(|item| (item.head, item.body.to_vec())).collect();
            match change(head.sequence, before.clone()) {
                Some(after) if after == before && !changed => {
                    frames.push((Some(bytes[from..until].to_vec()), after));
                }
                Some(after) => {
                    changed = true;
                    frames.push((None, after));
                }
                None => changed = true,
            }
            from = until;
        }
        if number + 1 == paths.len() {
            frames.extend(append.iter().map(|items| (None, items.clone())));
        }
        for (whole, items) in frames {
            let frame = whole.unwrap_or_else(|| {
                let mut payload = Vec::new();
                for (mut head, body) in items {
                    head.length = u32::try_from(body.len()).unwrap();
                    payload.extend(head.encode());
                    payload.extend(body);
                }
                let length = u32::try_from(payload.len()).unwrap();
                let head = FrameHead { length, sequence, before: chain, payload: payload_hash(&payload) };
                [&head.encode(&keys).0[..], &payload].concat()
            });
            chain = FrameHead::decode(&frame, None).unwrap().1;
            sequence += 1;
            written.extend(frame);
        }
        std::fs::write(path, written).unwrap();
    }
}

/// What somebody without keys can read of the frames: each with its sequence.
fn read_items(folder: &Path) -> Vec<(u64, Items)> {
    let mut found = Vec::new();
    let copy = tempfile::tempdir().unwrap();
    copy_folder(folder, copy.path());
    let note_all = |sequence, items: Items| {
        found.push((sequence, items.clone()));
        Some(items)
    };
    forge(copy.path(), note_all, &[]);
    found
}

/// The frame in which a file was written the second time, and the file: the last but one that has sectors.
fn a_late_write(folder: &Path) -> (u64, ItemHead) {
    let written = read_items(folder);
    let mut sectors = written.iter().rev().filter_map(|(sequence, items)| {
        items.iter().find(|(head, _)| head.kind == ItemKind::Sector).map(|(head, _)| (*sequence, head.clone()))
    });
    sectors.nth(1).unwrap()
}

/// In a copy, with the index and without: nothing but what was written last is served; and people are told when it is opened, or
/// by a check.
pub(super) fn is_found(made: &Path, what: &str, forge: impl Fn(&Path)) {
    for without_index in [false, true] {
        let copy = tempfile::tempdir().unwrap();
        copy_folder(made, copy.path());
        if without_index {
            std::fs::remove_dir_all(copy.path().join("index")).unwrap();
            std::fs::remove_file(copy.path().join("index.marker")).unwrap();
        }
        forge(copy.path());
        let what = format!("{what}, without index: {without_index}");
        let (store, opened) = open(copy.path()).unwrap_or_else(|error| panic!("{what}: {error:?}"));
        let good = judge(&store, &what);
        let told = !opened.damage.is_empty() || opened.cut_off.is_some();
        println!("{what}: {good} files are good; told: {:?} {:?}", opened.damage.first(), opened.cut_off);
        assert!(told || good < FILES, "{what}: nobody was told");
        assert!(!check(&store, false).0.clean || opened.cut_off.is_some(), "{what}");
    }
}

#[test]
fn a_frame_put_at_the_end_is_cut_off() {
    let made = made();
    let (_, of) = a_late_write(made.path());
    let last = read_items(made.path()).last().unwrap().0;
    let new = |kind, part| ItemHead { kind, part, sequence: last + 1, version: 0, generation: 0, ..of.clone() };
    for kind in [ItemKind::NodeRemoved, ItemKind::Hole, ItemKind::Orphaned] {
        let part = if kind == ItemKind::Hole { part_of(0, 1) } else { [0; 16] };
        let copy = tempfile::tempdir().unwrap();
        copy_folder(made.path(), copy.path());
        forge(copy.path(), |_, items| Some(items), &[vec![(new(kind, part), Vec::new())]]);
        let (store, opened) = open(copy.path()).unwrap();
        assert!(opened.cut_off.is_some() && opened.damage.is_empty(), "{kind:?}: {opened:?}");
        assert_eq!(judge(&store, "a frame at the end"), FILES);
        assert!(check(&store, false).0.clean);
    }
}

#[test]
fn what_is_put_into_the_log_or_taken_out_of_it_is_found_with_all_after_it_made_anew() {
    let made = made();
    let (late, of) = a_late_write(made.path());
    is_found(made.path(), "a write taken out", |folder| {
        forge(folder, |sequence, items| (sequence != late).then_some(items), &[]);
    });
    is_found(made.path(), "a write made a hole, without the commits after it", |folder| {
        let hole = ItemHead { kind: ItemKind::Hole, part: part_of(0, 2), generation: 0, ..of.clone() };
        let change = |sequence, items: Items| match sequence {
            _ if sequence == late => Some(vec![(hole.clone(), Vec::new())]),
            _ if sequence > late && items.iter().any(|(head, _)| head.kind == ItemKind::Commit) => None,
            _ => Some(items),
        };
        forge(folder, change, &[]);
    });
}

/// Who takes away all that knows of more, and all after a frame, has put the store back to what it was then, as a whole: that
/// takes a witness elsewhere. Nothing that they put in counts, and people are told that something was cut off.
#[test]
fn with_all_that_knows_better_taken_away_what_was_put_in_is_cut_off() {
    let made = made();
    let (late, of) = a_late_write(made.path());
    let gone = ItemHead { kind: ItemKind::NodeRemoved, part: [0; 16], generation: 0, ..of };
    let change = |sequence, mut items: Items| {
        if sequence == late {
            items.push((gone.clone(), Vec::new()));
        }
        Some(items)
    };
    forge(made.path(), change, &[]);
    std::fs::remove_file(made.path().join("synced")).unwrap();
    std::fs::remove_dir_all(made.path().join("index")).unwrap();
    std::fs::remove_file(made.path().join("index.marker")).unwrap();
    let (store, opened) = open(made.path()).unwrap();
    assert!(opened.cut_off.is_some(), "{opened:?}");
    for at in 0..FILES {
        // The last two files are as they were before.
        let expected = if at < FILES - 2 { at } else { 100 + at };
        let mut bytes = vec![0; LENGTH];
        store.read(&store.find(&store.root(), &name(at)).unwrap(), 0, &mut bytes).unwrap();
        assert!(bytes == [expected; LENGTH], "{at}");
    }
}

#[test]
fn an_index_that_leads_to_something_older_is_not_believed() {
    let made = made();
    let (late, of) = a_late_write(made.path());
    let written = read_items(made.path());
    let early = written.iter().find(|(_, items)| {
        items.iter().any(|(head, _)| head.kind == ItemKind::Sector && (head.node, head.part) == (of.node, of.part))
    });
    let early = early.unwrap().0;
    assert!(early < late);
    for with_marker in [false, true] {
        let copy = tempfile::tempdir().unwrap();
        copy_folder(made.path(), copy.path());
        {
            let database = sled::open(copy.path().join("index")).unwrap();
            let rows: Vec<_> = database.iter().map(|row| row.unwrap()).collect();
            let sector = key(SECTOR, &[&of.node, &0u64.to_be_bytes()]);
            let newest = at(&sector, late);
            assert!(rows.iter().any(|(key, _)| **key == newest[..]), "there is such a row");
            // It is as if the file had not been written again; and one of another file, too.
            database.remove(newest).unwrap();
            database.flush().unwrap();
        }
        let marker = copy.path().join("index.marker");
        if with_marker {
            std::fs::write(marker, blake3::hash(b"what they believe the hash to be").as_bytes()).unwrap();
        } else {
            std::fs::remove_file(marker).unwrap();
        }
        let (store, opened) = open(copy.path()).unwrap();
        assert!(opened.rebuilt.is_some(), "{opened:?}");
        assert_eq!(judge(&store, "another index"), FILES);
    }
}

#[test]
fn an_older_index_is_brought_to_where_the_segments_are() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path()).unwrap();
    let file = store.create(&store.root(), b"a", Kind::File, &[]).unwrap();
    store.write(&file, 0, &[100; LENGTH], &[]).unwrap();
    drop((file, store));
    let older = tempfile::tempdir().unwrap();
    copy_folder(folder.path(), older.path());
    let (store, _) = open(folder.path()).unwrap();
    let file = store.find(&store.root(), b"a").unwrap();
    store.write(&file, 0, &[1; LENGTH], &[]).unwrap();
    drop((file, store));
    std::fs::remove_dir_all(folder.path().join("index")).unwrap();
    copy_folder(&older.path().join("index"), &folder.path().join("index"));
    std::fs::copy(older.path().join("index.marker"), folder.path().join("index.marker")).unwrap();
    let (store, opened) = open(folder.path()).unwrap();
    assert!(opened.replayed_frames > 0 || opened.rebuilt.is_some(), "{opened:?}");
    let mut bytes = vec![0; LENGTH];
    store.read(&store.find(&store.root(), b"a").unwrap(), 0, &mut bytes).unwrap();
    assert_eq!(bytes, [1; LENGTH]);
}

#[test]
fn an_older_segment_put_back_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path()).unwrap();
    for at in 0..FILES {
        let file = store.create(&store.root(), &name(at), Kind::File, &[]).unwrap();
        store.write(&file, 0, &[at; LENGTH], &[]).unwrap();
        store.sync().unwrap();
        if at == 1 {
            std::fs::copy(folder.path().join("segments/00000001.seg"), folder.path().join("older")).unwrap();
        }
    }
    drop(store);
    assert!(folder.path().join("segments/00000002.seg").exists());
    is_found(folder.path(), "an older first segment", |folder| {
        std::fs::rename(folder.join("older"), folder.join("segments/00000001.seg")).unwrap();
    });
}

#[test]
fn after_a_clean_close_an_end_that_is_missing_is_found() {
    let made = made();
    let (late, _) = a_late_write(made.path());
    let copy = tempfile::tempdir().unwrap();
    copy_folder(made.path(), copy.path());
    // Frames as they were written, and `synced` to fit: only the marker and the index know of more.
    forge(copy.path(), |sequence, items| (sequence < late).then_some(items), &[]);
    std::fs::remove_file(copy.path().join("synced")).unwrap();
    let (store, opened) = open(copy.path()).unwrap();
    assert!(opened.damage.iter().any(|what| what.contains("the end is missing")), "{opened:?}");
    assert!(!check(&store, false).0.clean);
    judge(&store, "the end cut off");
}
