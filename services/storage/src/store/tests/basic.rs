//! The plain things.

use std::path::Path;
use std::sync::Arc;

use super::super::format::file_name;
use super::super::index::{ENTRY, NODE, key, sector_key};
use super::super::{Kind, Node, OnDisk, Opened, Options, Store, StoreError};
use super::keys::TestKeys;

/// Small, so that there are several.
pub(super) const SEGMENT_BYTES: u64 = 256 << 10;

pub(crate) fn open(folder: &Path) -> (Store, Opened) {
    let options = Options { segment_bytes: SEGMENT_BYTES, compacts: false, ..Options::new(folder.join("index")) };
    Store::open(Arc::new(OnDisk::new(folder).unwrap()), Arc::new(TestKeys::new()), options).unwrap()
}

/// Changes a byte of a sector on the disk.
pub(crate) fn spoil_sector(folder: &Path, store: &Store, file: &Node, sector: u64) {
    spoil(folder, store, &sector_key(&file.id(), sector));
}

/// The same of what a node is.
pub(crate) fn spoil_metadata(folder: &Path, store: &Store, node: &Node) {
    spoil(folder, store, &key(NODE, &[&node.id()]));
}

/// The same of what has a name.
pub(crate) fn spoil_entry(folder: &Path, store: &Store, directory: &Node, name: &[u8]) {
    spoil(folder, store, &key(ENTRY, &[&directory.id(), &directory.keys().name_hash(name)]));
}

fn spoil(folder: &Path, store: &Store, key: &[u8]) {
    let (_, row) = store.shared().read_index(|index| index.newest(key, u64::MAX)).unwrap().unwrap();
    let segment = folder.join(file_name(row.place.segment));
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[(row.place.offset + row.place.length - 1) as usize] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
}

#[test]
fn what_is_written_is_read_again_also_after_a_new_start() {
    let folder = tempfile::tempdir().unwrap();
    let (store, opened) = open(folder.path());
    assert!(opened.created);
    let root = store.root();
    let notes = store.create(&root, b"notes", Kind::Directory, &[]).unwrap();
    let file = store.create(&notes, b"a", Kind::File, &[]).unwrap();
    let bytes: Vec<u8> = (0..3_000_000u32).map(|at| (at % 251) as u8).collect();
    store.write(&file, 5, &bytes, &[]).unwrap();
    assert_eq!(store.append(&file, b"end", &[]).unwrap(), 3_000_005);
    assert!(matches!(store.create(&notes, b"a", Kind::File, &[]), Err(StoreError::Exists)));
    store.sync().unwrap();
    drop((file, notes, root, store));
    let (store, opened) = open(folder.path());
    assert!(opened.rebuilt.is_none() && opened.damage.is_empty(), "{opened:?}");
    let notes = store.find(&store.root(), b"notes").unwrap();
    let file = store.find(&notes, b"a").unwrap();
    assert_eq!(store.stat(&file).unwrap().size, 3_000_008);
    let mut read = vec![1; 4_000_000];
    assert_eq!(store.read(&file, 0, &mut read).unwrap(), 3_000_008);
    assert_eq!(read[..5], [0; 5]);
    assert!(read[5..3_000_005] == bytes);
    assert_eq!(&read[3_000_005..3_000_008], b"end");
    let page = store.list(&notes, 0, 0).unwrap();
    assert!(page.end && page.entries.len() == 1 && page.entries[0].name == b"a");
}
