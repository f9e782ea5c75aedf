//! What somebody put into the store's folder that the store does not put there. Opening neither waits for it, nor reads it for
//! hours, nor touches what a link leads to.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::mpsc::channel;
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, OFlags, mkdirat, mknodat, openat};

use super::super::{Files, Kind, OnDisk, Opened, Store};
use super::basic;

/// To open what little is stored here takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(60);
/// A terabyte, of which there is nothing.
const MONSTROUS_BYTES: u64 = 1 << 40;
/// Deeper than a path or the descriptors of a process reach.
const DEPTH: usize = 1_500;

fn open(folder: &Path) -> (Store, Opened) {
    let (sender, receiver) = channel();
    let folder = folder.to_path_buf();
    std::thread::spawn(move || sender.send(basic::open(&folder)));
    receiver.recv_timeout(PATIENCE).expect("opening the store ended in time")
}

/// A store that holds one file and was closed.
fn made() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    let file = store.create(&store.root(), b"a", Kind::File, &[]).unwrap();
    store.write(&file, 0, b"of the store", &[]).unwrap();
    drop(file);
    folder
}

fn holds_its_file(store: &Store) -> bool {
    let mut read = [0; 20];
    let file = store.find(&store.root(), b"a").unwrap();
    store.read(&file, 0, &mut read).unwrap() == 12 && read.starts_with(b"of the store")
}

/// The index is built anew, and the next opening trusts it again.
fn is_built_anew(folder: &Path, why: &str) {
    let (store, opened) = open(folder);
    assert!(opened.rebuilt.as_deref().is_some_and(|told| told.contains(why)), "{opened:?}");
    assert!(opened.damage.is_empty() && holds_its_file(&store), "{opened:?}");
    drop(store);
    let (store, opened) = open(folder);
    assert!(opened.rebuilt.is_none() && holds_its_file(&store), "{opened:?}");
}

fn make_pipe(at: &Path) {
    mknodat(CWD, at, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

#[test]
fn nobody_waits_for_a_pipe_in_the_index() {
    for name in ["conf", "db", "snap.0000000000000000", "blobs/7", "other"] {
        let folder = made();
        let at = folder.path().join("index").join(name);
        let _ = std::fs::remove_file(&at);
        make_pipe(&at);
        is_built_anew(folder.path(), "is not of its database");
    }
}

#[test]
fn an_index_is_not_read_that_is_longer_than_it_can_be() {
    for name in ["db", "snap.0000000000000000", "blobs/7", "other"] {
        let folder = made();
        let at = folder.path().join("index").join(name);
        let file = std::fs::OpenOptions::new().write(true).create(true).truncate(false).open(at).unwrap();
        file.set_len(MONSTROUS_BYTES).unwrap();
        is_built_anew(folder.path(), "more than it can need");
    }
}

#[test]
fn no_link_in_the_index_is_followed() {
    let elsewhere = tempfile::tempdir().unwrap();
    let (theirs, below) = (elsewhere.path().join("theirs"), elsewhere.path().join("below"));
    std::fs::write(&theirs, b"of somebody else").unwrap();
    std::fs::create_dir(&below).unwrap();
    std::fs::write(below.join("db"), b"of somebody else").unwrap();
    for (name, target) in [("db", &theirs), ("blobs", &below), ("other", &below), ("", &below)] {
        let folder = made();
        let at = folder.path().join("index").join(name);
        match name {
            "" | "blobs" => std::fs::remove_dir_all(&at).unwrap(),
            _ => drop(std::fs::remove_file(&at)),
        }
        // Without the slash that an empty name leaves.
        symlink(target, at.components().as_path()).unwrap();
        is_built_anew(folder.path(), if name.is_empty() { "something else" } else { "is not of its database" });
        for there in [&theirs, &below.join("db")] {
            assert_eq!(std::fs::read(there).unwrap(), b"of somebody else");
        }
        assert_eq!(std::fs::read_dir(&below).unwrap().count(), 1, "nothing was put there either");
    }
}

#[test]
fn an_index_that_is_too_deep_or_has_too_many_files_is_built_anew() {
    let folder = made();
    let mut at: OwnedFd = std::fs::File::open(folder.path().join("index")).unwrap().into();
    for _ in 0..DEPTH {
        mkdirat(&at, "1.removed", Mode::RWXU).unwrap();
        at = openat(at.as_fd(), "1.removed", OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
    }
    is_built_anew(folder.path(), "is not of its database");
    let folder = made();
    for number in 0..1_100 {
        std::fs::write(folder.path().join(format!("index/{number}")), b"").unwrap();
    }
    is_built_anew(folder.path(), "more files");
    let folder = made();
    std::fs::remove_dir_all(folder.path().join("index")).unwrap();
    std::fs::write(folder.path().join("index"), b"no folder").unwrap();
    is_built_anew(folder.path(), "something else");
}

#[test]
fn a_marker_that_is_no_file_is_none() {
    let makers: [fn(&Path); 3] =
        [make_pipe, |at| std::fs::create_dir(at).unwrap(), |at| symlink("segments/00000001.seg", at).unwrap()];
    for (way, make) in makers.into_iter().enumerate() {
        let folder = made();
        let marker = folder.path().join("index.marker");
        std::fs::remove_file(&marker).unwrap();
        make(&marker);
        for _ in 0..2 {
            let (store, opened) = open(folder.path());
            assert!(opened.rebuilt.is_none() && holds_its_file(&store), "{way}: {opened:?}");
        }
        // A folder nobody takes away.
        assert_eq!(std::fs::symlink_metadata(&marker).unwrap().is_file(), way != 1, "{way}");
    }
}

#[test]
fn what_is_no_regular_file_is_not_opened() {
    let folder = tempfile::tempdir().unwrap();
    let files = OnDisk::new(folder.path()).unwrap();
    make_pipe(&folder.path().join("pipe"));
    std::fs::create_dir(folder.path().join("folder")).unwrap();
    std::fs::write(folder.path().join("file"), b"").unwrap();
    symlink("file", folder.path().join("link")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("socket")).unwrap();
    for name in ["pipe", "folder", "link", "socket"] {
        let refused = files.open(name).err().unwrap().to_string();
        assert_eq!(refused, format!("`{name}` is no regular file"));
    }
    assert!(files.open("file").is_ok());
}
