//! A disk that fails under the service.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::keys::TestKeys;
use common::*;
use files::problem::Word;
use schema::filesystem_capnp::directory;
use storage_service::store::{Files, OnDisk, StoreFile};
use vat::{Badge, Rights};

/// A real folder on a disk that can be told to fail.
struct Failing {
    real: OnDisk,
    disk: Arc<Disk>,
}

#[derive(Default)]
struct Disk {
    syncs_fail: AtomicBool,
    writes_fail: AtomicBool,
    reads_fail: AtomicBool,
    is_full: AtomicBool,
}

struct FailingFile(Arc<dyn StoreFile>, Arc<Disk>);

fn unless(failing: &AtomicBool) -> io::Result<()> {
    if failing.load(Ordering::Relaxed) { Err(rustix::io::Errno::IO.into()) } else { Ok(()) }
}

impl Files for Failing {
    fn open(&self, name: &str) -> io::Result<Arc<dyn StoreFile>> {
        Ok(Arc::new(FailingFile(self.real.open(name)?, self.disk.clone())))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn StoreFile>> {
        Ok(Arc::new(FailingFile(self.real.create(name)?, self.disk.clone())))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.real.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.real.remove(name)
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        self.real.list(folder)
    }

    fn make_folder(&self, folder: &str) -> io::Result<()> {
        self.real.make_folder(folder)
    }

    fn sync_folder(&self, folder: &str) -> io::Result<()> {
        unless(&self.disk.syncs_fail)?;
        self.real.sync_folder(folder)
    }

    fn free_bytes(&self) -> io::Result<u64> {
        if self.disk.is_full.load(Ordering::Relaxed) { Ok(0) } else { self.real.free_bytes() }
    }

    fn lock(&self, name: &str) -> io::Result<Option<Box<dyn Send + Sync>>> {
        self.real.lock(name)
    }
}

impl StoreFile for FailingFile {
    fn length(&self) -> io::Result<u64> {
        self.0.length()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        unless(&self.1.reads_fail)?;
        self.0.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        unless(&self.1.writes_fail)?;
        self.0.write_at(offset, bytes)
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.0.set_length(length)
    }

    fn sync(&self) -> io::Result<()> {
        unless(&self.1.syncs_fail)?;
        self.0.sync()
    }
}

fn on_a_disk() -> (Served, Arc<Disk>) {
    let folder = tempfile::tempdir().unwrap();
    let disk = Arc::<Disk>::default();
    let files = Failing { real: OnDisk::new(folder.path()).unwrap(), disk: disk.clone() };
    (serve(folder, Arc::new(files), Arc::new(TestKeys::fresh())), disk)
}

fn granted(served: &Served) -> Client<directory::Client> {
    served.link(&Badge { object: "/granted".to_owned(), ..badge(Rights::ALL) })
}

#[test]
fn after_a_sync_that_failed_nothing_is_taken_and_the_service_is_to_be_started_again() {
    vat::native::run(async {
        let (mut served, disk) = on_a_disk();
        let client = granted(&served);
        let file = put_file(&client.root, "file", b"synced").await;
        sync(&file).await.unwrap();
        write(&file, 0, b"SYNCED").await.unwrap();
        disk.syncs_fail.store(true, Ordering::Relaxed);
        assert_eq!(word(sync(&file).await), is(Word::Io));
        disk.syncs_fail.store(false, Ordering::Relaxed);
        assert_eq!(word(write(&file, 0, b"x").await), is(Word::Io), "though the disk would take it again");
        served.vault.refusing().await;
        let told = served.troubles.recv().await.unwrap();
        assert!(told.contains("opened anew"), "{told}");
    })
    .unwrap();
}

#[test]
fn a_write_that_failed_changes_nothing() {
    vat::native::run(async {
        let (served, disk) = on_a_disk();
        let client = granted(&served);
        let file = put_file(&client.root, "file", b"before").await;
        disk.writes_fail.store(true, Ordering::Relaxed);
        assert_eq!(word(write(&file, 0, b"x").await), is(Word::Io));
        assert_eq!(word(create(&client.root, "new", true).await), is(Word::Io));
        disk.writes_fail.store(false, Ordering::Relaxed);
        assert_eq!(all_of(&file).await, b"before");
        assert_eq!(names(&client.root).await, ["file"]);
        write(&file, 0, b"after").await.expect("and the next one works");
        sync(&file).await.unwrap();
    })
    .unwrap();
}

#[test]
fn reads_that_keep_failing_are_told_and_work_again_when_the_disk_does() {
    vat::native::run(async {
        let (mut served, disk) = on_a_disk();
        let client = granted(&served);
        let file = put_file(&client.root, "file", &pattern(50_000)).await;
        disk.reads_fail.store(true, Ordering::Relaxed);
        assert_eq!(word(read(&file, 0, 50_000).await), is(Word::Io));
        assert!(served.troubles.recv().await.is_some());
        disk.reads_fail.store(false, Ordering::Relaxed);
        assert!(all_of(&file).await == pattern(50_000));
    })
    .unwrap();
}

#[test]
fn a_full_disk_is_said_so_and_removing_still_works() {
    vat::native::run(async {
        let (mut served, disk) = on_a_disk();
        let client = granted(&served);
        let file = put_file(&client.root, "file", b"x").await;
        disk.is_full.store(true, Ordering::Relaxed);
        assert_eq!(word(append(&file, b"y").await), is(Word::NoSpace));
        assert_eq!(word(create(&client.root, "new", true).await), is(Word::NoSpace));
        remove(&client.root, "file").await.unwrap();
        sync(&file).await.unwrap();
        disk.is_full.store(false, Ordering::Relaxed);
        put_file(&client.root, "new", b"x").await;
        assert!(served.troubles.try_recv().is_err(), "whoever writes is told, and nobody else");
    })
    .unwrap();
}
