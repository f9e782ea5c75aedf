//! The store on a disk that loses power at any moment, again and again, also while it recovers from the last time.

use std::path::Path;
use std::sync::Arc;

use super::super::{Kind, Opened, Options, Store, StoreError};
use super::disk::Disk;
use super::draw::{Draw, seed};
use super::keys::TestKeys;
use super::model::{Model, Tree, copy_folder, read_all};

const HISTORIES: u64 = 12;
const FAILURES: usize = 6;
const MOMENTS: usize = 4;

pub(crate) fn open_on(disk: &Disk, index: &Path) -> (Store, Opened) {
    open_with(disk, index, &Arc::new(TestKeys::new())).unwrap()
}

pub(crate) fn open_with(disk: &Disk, index: &Path, keys: &Arc<TestKeys>) -> Result<(Store, Opened), StoreError> {
    let options = Options { segment_bytes: 96 << 10, compacts: false, ..Options::new(index.to_path_buf()) };
    Store::open(Arc::new(disk.clone()), keys.clone(), options)
}

/// What one life of a store did.
struct Life {
    /// What it held after so many operations of the disk, first to last.
    states: Vec<(usize, Tree)>,
    /// After so many operations, so many of the states were acknowledged as synced.
    synced: Vec<(usize, usize)>,
    disk: Disk,
}

fn live(disk: &Disk, index: &Path, draw: &mut Draw, before: Option<(&Life, usize)>, what: &str) -> Life {
    let (store, opened) = open_on(disk, index);
    assert!(opened.damage.is_empty(), "{what}: {opened:?}");
    let found = read_all(&store, &store.root()).unwrap();
    if let Some((life, failed_after)) = before {
        let promised = life.synced.iter().rev().find(|(at, _)| *at <= failed_after).map_or(0, |(_, states)| *states);
        let allowed = &life.states[promised.saturating_sub(1)..];
        let there = allowed.iter().any(|(_, state)| *state == found);
        assert!(there, "{what}: what is found was never there since the last sync: {opened:?}");
    }
    let mut model = Model::new();
    model.tree = found;
    // It may be in the cache only.
    store.sync().unwrap();
    let mut states = vec![(disk.operations(), model.tree.clone())];
    let mut synced = vec![(0, 1), (disk.operations(), 1)];
    for _ in 0..6 + draw.below(20) {
        model.step(&store, draw).unwrap();
        states.push((disk.operations(), model.tree.clone()));
        if draw.below(4) == 0 {
            store.sync().unwrap();
            synced.push((disk.operations(), states.len()));
        }
    }
    if draw.below(3) == 0 {
        drop(store);
    } else {
        store.abandon();
    }
    Life { states, synced, disk: disk.clone() }
}

#[test]
fn what_was_synced_outlives_a_loss_of_power() {
    let seed = seed();
    let mut tried = 0;
    for history in 0..HISTORIES {
        let draw = &mut Draw(seed ^ history << 32);
        let folder = tempfile::tempdir().unwrap();
        let mut index = folder.path().join("0");
        let mut life = live(&Disk::default(), &index, draw, None, "the first");
        for failure in 0..FAILURES {
            let mut next = None;
            for moment in 0..MOMENTS {
                let after = draw.below(life.disk.operations() + 1);
                let disk = life.disk.without_power_after(after, draw);
                // The index is gone, or it is from another time: of the whole life, most of which the disk has not.
                let new_index = folder.path().join(format!("{failure}.{moment}"));
                if draw.below(2) == 0 {
                    copy_folder(&index, &new_index);
                }
                let what = format!("history {history}, failure {failure}, moment {moment}, after {after}");
                next = Some((live(&disk, &new_index, draw, Some((&life, after)), &what), new_index));
                tried += 1;
            }
            (life, index) = next.unwrap();
        }
    }
    println!("{tried} failures");
}

#[test]
fn a_commit_that_a_kill_kept_from_the_disk_is_not_taken_for_one_that_is_there() {
    static OLD: [u8; 20_000] = [1; 20_000];
    static NEW: [u8; 20_000] = [2; 20_000];
    const FATES: usize = 6;
    let draw = &mut Draw(seed());
    let folder = tempfile::tempdir().unwrap();
    let (disk, mut number) = (Disk::default(), 0);
    let mut index = || {
        number += 1;
        folder.path().join(number.to_string())
    };
    let (store, _) = open_on(&disk, &index());
    let file = store.create(&store.root(), b"file", super::super::Kind::File, &[]).unwrap();
    store.write(&file, 0, &OLD, &[]).unwrap();
    store.sync().unwrap();
    let begun = disk.operations();
    store.write(&file, 0, &NEW, &[]).unwrap();
    store.sync().unwrap();
    drop(file);
    store.abandon();
    for killed in begun..=disk.operations() {
        let next = disk.without_process_after(killed);
        let (store, _) = open_on(&next, &index());
        store.create(&store.root(), b"other", super::super::Kind::File, &[]).unwrap();
        store.sync().unwrap();
        store.abandon();
        for lost in killed..=next.operations() {
            for _ in 0..FATES {
                let left = next.without_power_after(lost, draw);
                let (store, opened) = open_on(&left, &index());
                let what = format!("killed after {killed} of {begun}.., power lost after {lost}: {opened:?}");
                assert!(opened.damage.is_empty(), "{what}");
                let mut content = [0; OLD.len()];
                let file = store.find(&store.root(), b"file").unwrap();
                assert_eq!(store.read(&file, 0, &mut content).unwrap(), content.len(), "{what}");
                assert!(content == OLD || content == NEW, "{what}");
            }
        }
    }
}

#[test]
fn no_moment_of_a_first_opening_or_of_an_exchange_of_the_keys_loses_the_store() {
    const FATES: usize = 6;
    let draw = &mut Draw(seed());
    let folder = tempfile::tempdir().unwrap();
    let mut number = 0;
    let mut index = || {
        number += 1;
        folder.path().join(number.to_string())
    };
    let (disk, keys) = (Disk::default(), Arc::new(TestKeys::new()));
    let (store, _) = open_with(&disk, &index(), &keys).unwrap();
    store.create(&store.root(), b"a", Kind::File, &[]).unwrap();
    store.sync().unwrap();
    let there = disk.operations();
    drop(store);
    keys.rotate_store().unwrap();
    let begun = disk.operations();
    drop(open_with(&disk, &index(), &keys).unwrap());
    let mut tried = 0;
    for lost in 0..=disk.operations() {
        for fate in 0..FATES {
            let left = disk.without_power_after(lost, draw);
            let now = Arc::new(TestKeys::new());
            if lost >= begun {
                now.rotate_store().unwrap();
            }
            if lost == disk.operations() {
                now.forget_before();
            }
            let what = format!("power lost after {lost} of {there}, {begun}, fate {fate}");
            let (store, opened) = open_with(&left, &index(), &now).unwrap_or_else(|error| panic!("{what}: {error:?}"));
            assert!(opened.damage.is_empty(), "{what}: {opened:?}");
            let found = store.find(&store.root(), b"a");
            assert!(found.is_ok() || lost < there, "{what}: {opened:?}");
            store.create(&store.root(), b"b", Kind::File, &[]).unwrap();
            store.sync().unwrap();
            store.abandon();
            drop(found);
            let (store, opened) = open_with(&left, &index(), &now).unwrap_or_else(|error| panic!("{what}: {error:?}"));
            assert!(opened.damage.is_empty(), "{what}: {opened:?}");
            store.find(&store.root(), b"b").unwrap();
            tried += 1;
        }
    }
    println!("{tried} failures");
}
