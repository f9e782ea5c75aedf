//! A disk that is full, or fails.

use rustix::io::Errno;

use super::super::{Kind, StoreError};
use super::disk::{Disk, Fault};
use super::draw::{Draw, seed};
use super::model::Model;
use super::power::open_on;

#[test]
fn what_could_not_be_written_leaves_everything_as_it_was() {
    let draw = &mut Draw(seed());
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::default();
    let (mut store, _) = open_on(&disk, &folder.path().join("index"));
    store.root().unwrap();
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
            Err(StoreError::NoSpace | StoreError::Io(_)) => {
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

#[test]
fn after_a_failed_sync_nothing_is_written_until_it_is_opened_anew() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::default();
    let (store, _) = open_on(&disk, &folder.path().join("index"));
    let root = store.root().unwrap();
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
    let file = store.find(&store.root().unwrap(), b"a").unwrap();
    store.write(&file, 0, b"after", &[]).unwrap();
    store.sync().unwrap();
}

#[test]
fn a_read_that_fails_is_tried_twice_more() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::default();
    let (store, _) = open_on(&disk, &folder.path().join("index"));
    let root = store.root().unwrap();
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
