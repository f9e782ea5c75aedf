//! What is large or hostile takes no more memory and no more descriptors than it has to.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::log::DIRTY_FILES;
use super::super::segments::OPEN_FILES;
use super::super::{Files, Kind, Node, OnDisk, Opened, Options, Store, StoreFile};
use super::keys::TestKeys;
use super::life::check;

/// A folder on the disk, and what is asked of it.
struct Watched {
    disk: OnDisk,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    open: AtomicUsize,
    most_open: AtomicUsize,
    largest_read: AtomicUsize,
    read: AtomicUsize,
}

struct WatchedFile(Arc<dyn StoreFile>, Arc<Seen>);

impl Watched {
    fn watch(&self, file: io::Result<Arc<dyn StoreFile>>) -> io::Result<Arc<dyn StoreFile>> {
        let file = file?;
        let open = self.seen.open.fetch_add(1, Ordering::Relaxed) + 1;
        self.seen.most_open.fetch_max(open, Ordering::Relaxed);
        Ok(Arc::new(WatchedFile(file, self.seen.clone())))
    }
}

impl Drop for WatchedFile {
    fn drop(&mut self) {
        self.1.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Files for Watched {
    fn open(&self, name: &str) -> io::Result<Arc<dyn StoreFile>> {
        self.watch(self.disk.open(name))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn StoreFile>> {
        self.watch(self.disk.create(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        self.disk.list(folder)
    }

    fn make_folder(&self, folder: &str) -> io::Result<()> {
        self.disk.make_folder(folder)
    }

    fn sync_folder(&self, folder: &str) -> io::Result<()> {
        self.disk.sync_folder(folder)
    }

    fn free_bytes(&self) -> io::Result<u64> {
        self.disk.free_bytes()
    }

    fn lock(&self, name: &str) -> io::Result<Option<Box<dyn Send + Sync>>> {
        self.disk.lock(name)
    }
}

impl StoreFile for WatchedFile {
    fn length(&self) -> io::Result<u64> {
        self.0.length()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.1.largest_read.fetch_max(buffer.len(), Ordering::Relaxed);
        let got = self.0.read_at(offset, buffer)?;
        self.1.read.fetch_add(got, Ordering::Relaxed);
        Ok(got)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_at(offset, bytes)
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.0.set_length(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }
}

fn open(folder: &Path, segment_bytes: u64) -> (Store, Opened, Arc<Seen>) {
    let seen = Arc::<Seen>::default();
    let files = Watched { disk: OnDisk::new(folder).unwrap(), seen: seen.clone() };
    let options = Options { segment_bytes, compacts: false, ..Options::new(folder.join("index")) };
    let (store, opened) = Store::open(Arc::new(files), Arc::new(TestKeys::new()), options).unwrap();
    (store, opened, seen)
}

fn write(store: &Store, name: &str, bytes: &[u8]) -> Node {
    let file = store.create(&store.root(), name.as_bytes(), Kind::File, &[]).unwrap();
    store.write(&file, 0, bytes, &[]).unwrap();
    file
}

fn holds(store: &Store, name: &str, bytes: &[u8]) -> bool {
    let mut read = vec![0; bytes.len() + 1];
    let file = store.find(&store.root(), name.as_bytes()).unwrap();
    store.read(&file, 0, &mut read).unwrap() == bytes.len() && read[..bytes.len()] == *bytes
}

#[test]
fn a_segment_is_read_a_piece_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let (store, ..) = open(folder.path(), 16 << 20);
    for at in 0..160u8 {
        write(&store, &at.to_string(), &vec![at; 60_000]);
    }
    store.abandon();
    std::fs::remove_dir_all(folder.path().join("index")).unwrap();
    let (store, opened, seen) = open(folder.path(), 16 << 20);
    assert!(opened.rebuilt.is_some() || opened.replayed_frames > 0);
    assert!((0..160u8).all(|at| holds(&store, &at.to_string(), &vec![at; 60_000])));
    let largest = seen.largest_read.load(Ordering::Relaxed);
    assert!(largest <= 1 << 20, "{largest} bytes were read at once");
}

#[test]
fn many_segments_need_few_descriptors() {
    let folder = tempfile::tempdir().unwrap();
    let count = 2 * (OPEN_FILES + DIRTY_FILES);
    let names: Vec<String> = (0..count).map(|at| at.to_string()).collect();
    let (store, _, seen) = open(folder.path(), 20_000);
    for name in &names {
        write(&store, name, &[7; 20_000]);
    }
    let most_while_written = seen.most_open.load(Ordering::Relaxed);
    store.abandon();
    let (store, _, seen) = open(folder.path(), 20_000);
    assert!(store.status().segments as usize >= count);
    // Twice, so that files that were closed are opened again.
    for name in names.iter().chain(&names) {
        assert!(holds(&store, name, &[7; 20_000]));
    }
    store.sync().unwrap();
    // The note, and a file that is being exchanged for another.
    let bound = OPEN_FILES + DIRTY_FILES + 3;
    let most = seen.most_open.load(Ordering::Relaxed).max(most_while_written);
    assert!(most <= bound, "{most} files were open at once, of {bound}");
}

/// A terabyte, of which there is nothing.
const MONSTROUS_BYTES: u64 = 1 << 40;

#[test]
fn what_is_longer_than_any_segment_is_not_read_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let segment = |number: u32| folder.path().join(format!("segments/{number:08}.seg"));
    let (store, ..) = open(folder.path(), 100_000);
    for at in 0..10u8 {
        write(&store, &at.to_string(), &vec![at; 60_000]);
    }
    let last = u32::try_from(store.status().segments).unwrap();
    store.sync().unwrap();
    store.sync().unwrap();
    drop(store);
    let grow = |number: u32| {
        let file = OpenOptions::new().write(true).open(segment(number)).unwrap();
        let before = file.metadata().unwrap().len();
        file.set_len(MONSTROUS_BYTES).unwrap();
        before
    };
    // The end of the last was never made sure of, and is cut off; a segment in the middle keeps what nobody wrote there.
    let before = grow(last);
    grow(2);
    std::fs::remove_dir_all(folder.path().join("index")).unwrap();
    let (store, opened, seen) = open(folder.path(), 100_000);
    assert!(opened.cut_off.is_some_and(|what| what.contains(&format!("segment {last}"))));
    assert_eq!(std::fs::metadata(segment(last)).unwrap().len(), before);
    assert!(opened.damage.iter().any(|what| what.contains("segment 2") && what.contains("no frame")));
    assert_eq!(opened.damage.len(), 1, "{:?}", opened.damage);
    assert!((0..10u8).all(|at| holds(&store, &at.to_string(), &vec![at; 60_000])), "no frame was lost by it");
    assert!(seen.largest_read.load(Ordering::Relaxed) <= 1 << 20);
}

#[test]
fn a_check_reads_once_what_many_snapshots_show() {
    const SNAPSHOTS: usize = 200;
    let folder = tempfile::tempdir().unwrap();
    let (store, _, seen) = open(folder.path(), 64 << 20);
    let directory = store.create(&store.root(), b"d", Kind::Directory, &[]).unwrap();
    for name in [b"a", b"b"] {
        let file = store.create(&directory, name, Kind::File, &[]).unwrap();
        store.write(&file, 0, &vec![1; 1 << 20], &[]).unwrap();
    }
    let changes = store.create(&directory, b"c", Kind::File, &[]).unwrap();
    for at in 0..SNAPSHOTS {
        store.write(&changes, 0, &[at as u8; 100], &[]).unwrap();
        store.snapshot(&directory, "as it was").unwrap();
    }
    seen.read.store(0, Ordering::Relaxed);
    let (summary, findings) = check(&store, false);
    assert!(summary.clean && summary.snapshots == SNAPSHOTS as u64, "{summary:?} {findings:?}");
    let read = seen.read.load(Ordering::Relaxed);
    // The segments, twice all that is stored, and little for each snapshot.
    assert!(read < 3 * usize::try_from(summary.bytes).unwrap() + SNAPSHOTS * 2_000, "{read} of {}", summary.bytes);
    // And what only one of them shows is looked at.
    let row = {
        let index = store.shared().index.read().unwrap();
        let mut places = Vec::new();
        let sectors = super::super::index::key(super::super::index::SECTOR, &[&changes.id()]);
        let mut add = |_: &[u8], value: &[u8]| {
            places.push(super::super::index::Row::decode(value).unwrap().place);
            Ok(true)
        };
        index.as_ref().unwrap().scan(&sectors, &[], &mut add).unwrap();
        assert_eq!(places.len(), SNAPSHOTS);
        places[SNAPSHOTS / 2]
    };
    let segment = folder.path().join("segments/00000001.seg");
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[(row.offset + row.length - 1) as usize] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let (summary, findings) = check(&store, false);
    assert!(!summary.clean && findings.iter().any(|one| one.place.starts_with("/d@")), "{findings:?}");
}
