//! One file of three sectors, of which one is changed and, later, another. Whatever is lost or put in the place of the change, by a disk
//! or by somebody who has copies of other times, the file is never served as it was before that change and after the other.

use std::path::Path;

use rustix::io::Errno;

use super::super::files::Files;
use super::super::format::{FRAME_HEAD_BYTES, ItemKind};
use super::super::{Kind, Store, StoreError};
use super::disk::{Disk, Fault};
use super::draw::{Draw, seed};
use super::forged::open;
use super::life::check;
use super::model::copy_folder;
use super::power::open_on;
use super::segments::{change, forget_index, frames, numbers, segment};

const SECTOR: usize = 16 << 10;

fn make(store: &Store, name: &[u8], byte: u8, length: usize) {
    let file = store.create(&store.root(), name, Kind::File, &[]).unwrap();
    store.write(&file, 0, &vec![byte; length], &[]).unwrap();
    store.sync().unwrap();
}

fn write(store: &Store, name: &[u8], at: usize, byte: u8, length: usize) {
    let file = store.find(&store.root(), name).unwrap();
    store.write(&file, at as u64, &vec![byte; length], &[]).unwrap();
}

/// So many segments are filled.
fn fill(store: &Store, times: usize, length: usize) {
    for _ in 0..times {
        write(store, b"fill", 0, 9, length);
        store.sync().unwrap();
    }
}

/// The file and something to fill segments with.
fn begin(store: &Store) {
    make(store, b"a", 1, 2 * SECTOR + 10);
    make(store, b"fill", 9, 100);
    fill(store, 3, 80_000);
}

/// The change, another one much later, and another name and its own again, so that all of it but the change was written since.
fn go_on(store: &Store) {
    fill(store, 3, 80_000);
    write(store, b"a", SECTOR, 3, SECTOR);
    let root = store.root();
    store.rename(&root, b"a", &root, b"aa", false, &[]).unwrap();
    store.rename(&root, b"aa", &root, b"a", false, &[]).unwrap();
    store.sync().unwrap();
    fill(store, 2, 80_000);
}

/// A closed store with all of it, and the segment of the change.
fn made() -> (tempfile::TempDir, u32) {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path()).unwrap();
    begin(&store);
    write(&store, b"a", 0, 2, SECTOR);
    store.sync().unwrap();
    let changed = *numbers(folder.path()).last().unwrap();
    go_on(&store);
    drop(store);
    (folder, changed)
}

/// The first byte of each sector.
fn shown(store: &Store) -> Result<Vec<u8>, StoreError> {
    let file = store.find(&store.root(), b"a")?;
    let mut bytes = vec![0; 4 * SECTOR];
    let got = store.read(&file, 0, &mut bytes)?;
    Ok((0..got).step_by(SECTOR).map(|at| bytes[at]).collect())
}

#[track_caller]
fn is_refused(store: &Store) {
    let shown = shown(store);
    assert!(matches!(shown, Err(StoreError::Damaged(_))), "{shown:?}");
    assert!(!check(store, false).0.clean);
}

/// Refused, also by what is opened again with another index, until a repair.
#[track_caller]
fn is_refused_in(folder: &Path) {
    for again in [false, true] {
        if again {
            forget_index(folder);
        }
        is_refused(&open(folder).unwrap().0);
    }
    let (store, _) = open(folder).unwrap();
    let (summary, findings) = check(&store, true);
    assert!(summary.clean && summary.lost > 0, "{findings:#?}");
    assert!(check(&store, false).0.clean);
}

/// A copy that goes on by itself.
fn fork(of: &Path, act: impl FnOnce(&Store)) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    copy_folder(of, copy.path());
    act(&open(copy.path()).unwrap().0);
    copy
}

fn frame_of(folder: &Path, sequence: u64) -> Vec<u8> {
    let frame = frames(folder).into_iter().find(|frame| frame.sequence == sequence).unwrap();
    std::fs::read(segment(folder, frame.number)).unwrap()[frame.begin..frame.end].to_vec()
}

/// In the place of the frames from one to another, both included, others stand.
fn exchange(folder: &Path, from: u64, until: u64, by: &[u8]) {
    let all = frames(folder);
    let first = all.iter().find(|frame| frame.sequence == from).unwrap();
    let last = all.iter().find(|frame| frame.sequence == until).unwrap();
    assert_eq!(first.number, last.number);
    change(folder, first.number, |bytes| *bytes = [&bytes[..first.begin], by, &bytes[last.end..]].concat());
    forget_index(folder);
}

#[test]
fn of_segments_that_are_missing_together_nobody_knows_what_they_changed() {
    let (folder, changed) = made();
    for number in changed..changed + 3 {
        std::fs::remove_file(segment(folder.path(), number)).unwrap();
    }
    forget_index(folder.path());
    is_refused_in(folder.path());
}

#[test]
fn what_was_written_down_as_lost_is_not_lost_with_its_frame() {
    for cut in [false, true] {
        let (folder, changed) = made();
        std::fs::remove_file(segment(folder.path(), changed)).unwrap();
        forget_index(folder.path());
        let (store, _) = open(folder.path()).unwrap();
        make(&store, b"b", 5, 100);
        drop(store);
        let frame = frames(folder.path()).into_iter().find(|one| one.kinds.contains(&ItemKind::Losses)).unwrap();
        change(folder.path(), frame.number, |bytes| {
            if cut {
                bytes.drain(frame.begin..frame.end);
            } else {
                bytes[frame.begin + FRAME_HEAD_BYTES + 120] ^= 1;
            }
        });
        forget_index(folder.path());
        is_refused_in(folder.path());
    }
}

#[test]
fn commits_of_an_idle_time_do_not_take_the_place_of_a_change() {
    let made = fork(tempfile::tempdir().unwrap().path(), begin);
    let before = frames(made.path()).last().unwrap().sequence;
    let idle = fork(made.path(), |_| ());
    (0..3).for_each(|_| drop(open(idle.path()).unwrap()));
    let folder = fork(made.path(), |store| {
        write(store, b"a", 0, 2, SECTOR);
        store.sync().unwrap();
        write(store, b"a", 2 * SECTOR, 3, 10);
        store.sync().unwrap();
    });
    let idle = [frame_of(idle.path(), before + 1), frame_of(idle.path(), before + 2)].concat();
    exchange(folder.path(), before + 1, before + 2, &idle);
    is_refused_in(folder.path());
}

#[test]
fn a_commit_of_another_time_between_two_bad_places_names_nothing() {
    let made = fork(tempfile::tempdir().unwrap().path(), |store| {
        begin(store);
        make(store, b"tiny", 1, 10);
    });
    let before = frames(made.path()).last().unwrap().sequence;
    let folder = fork(made.path(), |store| {
        write(store, b"a", 0, 2, SECTOR);
        store.sync().unwrap();
        fill(store, 1, 2_000);
        write(store, b"a", 2 * SECTOR, 3, 10);
        store.sync().unwrap();
        (0..5).for_each(|_| write(store, b"tiny", 0, 1, 10));
        store.sync().unwrap();
    });
    let other = fork(made.path(), |store| {
        (0..2).for_each(|_| write(store, b"tiny", 0, 8, 10));
        store.sync().unwrap();
    });
    let middle = [vec![7; 100], frame_of(other.path(), before + 3)].concat();
    exchange(folder.path(), before + 1, before + 3, &middle);
    is_refused_in(folder.path());
}

#[test]
fn the_note_of_another_time_does_not_take_a_change_for_a_commit() {
    let made = fork(tempfile::tempdir().unwrap().path(), |store| {
        begin(store);
        make(store, b"tiny", 1, 10);
    });
    let before = frames(made.path()).last().unwrap().sequence;
    let folder = fork(made.path(), |store| {
        write(store, b"tiny", 0, 2, 10);
        store.sync().unwrap();
        write(store, b"a", 0, 2, SECTOR);
        store.sync().unwrap();
        fill(store, 1, 20_000);
        write(store, b"a", 2 * SECTOR, 3, 10);
        store.sync().unwrap();
    });
    let idle = fork(made.path(), |_| ());
    while frames(idle.path()).last().unwrap().sequence < before + 3 {
        drop(open(idle.path()).unwrap());
    }
    std::fs::copy(idle.path().join("synced"), folder.path().join("synced")).unwrap();
    let length = frame_of(folder.path(), before + 3).len() + frame_of(folder.path(), before + 4).len();
    exchange(folder.path(), before + 3, before + 4, &vec![7; length]);
    is_refused_in(folder.path());
}

#[test]
fn a_segment_of_another_time_is_found_out_with_the_index_and_without() {
    let made = fork(tempfile::tempdir().unwrap().path(), begin);
    let before = frames(made.path()).last().unwrap().sequence;
    let [folder, other] = [2, 4].map(|byte| {
        fork(made.path(), |store| {
            write(store, b"a", 0, byte, SECTOR);
            store.sync().unwrap();
            go_on(store);
        })
    });
    let number = frames(folder.path()).into_iter().find(|frame| frame.sequence == before + 1).unwrap().number;
    std::fs::copy(segment(other.path(), number), segment(folder.path(), number)).unwrap();
    is_refused_in(folder.path());
}

#[test]
fn a_snapshot_does_not_show_what_was_before_a_lost_change_of_a_file_that_was_removed_since() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path()).unwrap();
    begin(&store);
    write(&store, b"a", 0, 2, SECTOR);
    store.sync().unwrap();
    let changed = *numbers(folder.path()).last().unwrap();
    fill(&store, 3, 80_000);
    let snapshot = store.snapshot(&store.root(), "then").unwrap().id;
    fill(&store, 3, 80_000);
    store.remove(&store.root(), b"a").unwrap();
    fill(&store, 3, 80_000);
    drop(store);
    std::fs::remove_file(segment(folder.path(), changed)).unwrap();
    forget_index(folder.path());
    let (store, _) = open(folder.path()).unwrap();
    let then = store.open_snapshot(&store.root(), snapshot).unwrap();
    let mut bytes = [0; 10];
    let read = store.find(&then, b"a").and_then(|file| store.read(&file, 0, &mut bytes));
    assert!(matches!(read, Err(StoreError::Damaged(_))), "{read:?}");
    assert!(matches!(store.find(&store.root(), b"a"), Err(StoreError::NotFound)));
}

/// Whichever write of the opening that finds it finds the disk full.
#[test]
fn what_could_not_be_written_down_as_lost_is_found_again() {
    let mut writes = 0;
    loop {
        let folder = tempfile::tempdir().unwrap();
        let (disk, index) = (Disk::default(), folder.path().join("index"));
        let (store, _) = open_on(&disk, &index);
        begin(&store);
        write(&store, b"a", 0, 2, SECTOR);
        store.sync().unwrap();
        let changed = store.status().segments;
        go_on(&store);
        drop(store);
        disk.remove(&format!("segments/{changed:08}.seg")).unwrap();
        let index = folder.path().join("other");
        disk.fail(Some(Fault::LaterWrite(writes, Errno::NOSPC)));
        let (store, _) = open_on(&disk, &index);
        let done = disk.fault().is_some();
        disk.fail(None);
        assert!(shown(&store).is_err());
        drop(store);
        is_refused(&open_on(&disk, &index).0);
        if done {
            break;
        }
        writes += 1;
    }
    assert!(writes > 0);
}

#[test]
fn an_index_that_was_not_finished_is_not_used() {
    let (folder, _) = made();
    let (store, _) = open(folder.path()).unwrap();
    store.shared().index.write().unwrap().as_mut().unwrap().set_judged(false).unwrap();
    drop(store);
    let (store, opened) = open(folder.path()).unwrap();
    assert!(opened.rebuilt.is_some_and(|why| why.contains("not finished")));
    assert_eq!(shown(&store).unwrap(), [2, 3, 1]);
}

/// Nothing was in doubt as long as the index was there, for what it leads to proves itself; what is lost is known all the same when it
/// is gone.
#[test]
fn what_was_lost_while_the_index_was_good_is_known_when_it_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path()).unwrap();
    begin(&store);
    write(&store, b"a", 0, 2, SECTOR);
    store.sync().unwrap();
    let changed = frames(folder.path()).iter().rfind(|one| one.kinds.contains(&ItemKind::Sector)).unwrap().sequence;
    // So that no commit later on names it again.
    write(&store, b"fill", 0, 9, 10);
    store.sync().unwrap();
    write(&store, b"fill", 0, 8, 10);
    drop(store);
    let naming: Vec<_> =
        frames(folder.path()).into_iter().filter(|one| (changed..=changed + 1).contains(&one.sequence)).collect();
    for frame in &naming {
        change(folder.path(), frame.number, |bytes| bytes[frame.begin + 20] ^= 1);
    }
    let (store, opened) = open(folder.path()).unwrap();
    assert!(opened.rebuilt.is_none(), "{opened:?}");
    write(&store, b"a", SECTOR, 3, SECTOR);
    drop(store);
    forget_index(folder.path());
    is_refused(&open(folder.path()).unwrap().0);
}

/// An older index with segments of its time, but a note of later: the end is missing.
#[test]
fn an_end_that_is_missing_is_known_where_the_index_ends_with_it() {
    let made = fork(tempfile::tempdir().unwrap().path(), begin);
    let later = fork(made.path(), |store| {
        write(store, b"a", 0, 2, SECTOR);
        store.sync().unwrap();
    });
    std::fs::copy(later.path().join("synced"), made.path().join("synced")).unwrap();
    is_refused_in(made.path());
}

/// A commit of later, put where an earlier one could be, lists segments that never were: an opening comes to an end.
#[test]
fn a_list_of_later_does_not_lead_an_opening_astray() {
    let (folder, _) = made();
    let later = fork(folder.path(), |store| fill(store, 4, 80_000));
    let last = *numbers(folder.path()).last().unwrap();
    let of_later = frames(later.path());
    let commit = of_later.iter().rfind(|one| one.number > last + 1 && one.kinds.contains(&ItemKind::Commit)).unwrap();
    let commit = frame_of(later.path(), commit.sequence);
    for with_note in [true, false] {
        let copy = tempfile::tempdir().unwrap();
        copy_folder(folder.path(), copy.path());
        forget_index(copy.path());
        if !with_note {
            std::fs::remove_file(copy.path().join("synced")).unwrap();
        }
        change(copy.path(), last, |bytes| {
            bytes.splice(
                super::super::format::SEGMENT_HEAD_BYTES..super::super::format::SEGMENT_HEAD_BYTES,
                commit.clone(),
            );
        });
        let (store, opened) = open(copy.path()).unwrap();
        assert!(!check(&store, false).0.clean || opened.cut_off.is_some() || !opened.damage.is_empty());
    }
}

/// A loss of power leaves a torn frame before a commit, and there is no room for what is kept of it.
#[test]
fn a_torn_end_is_cut_off_on_a_full_disk() {
    let folder = tempfile::tempdir().unwrap();
    let (disk, index) = (Disk::default(), folder.path().join("index"));
    let (store, _) = open_on(&disk, &index);
    begin(&store);
    let sure = disk.operations();
    write(&store, b"a", 0, 2, SECTOR);
    store.sync().unwrap();
    store.abandon();
    let draw = &mut Draw(seed());
    let mut kept = 0;
    for lost in sure..=disk.operations() {
        for full in [false, true] {
            let left = disk.without_power_after(lost, draw);
            left.fail(full.then_some(Fault::LaterWrite(0, Errno::NOSPC)));
            let (store, opened) = open_on(&left, &folder.path().join("other"));
            assert!(opened.damage.is_empty(), "{opened:?}");
            assert!([[1, 1, 1], [2, 1, 1]].contains(&shown(&store).unwrap().try_into().unwrap()));
            kept += usize::from(opened.cut_off.is_some_and(|what| what.contains("kept in")));
            store.abandon();
        }
    }
    println!("{kept} ends were kept");
}

/// Whatever was said to be lost, with the index and without.
#[test]
fn what_is_put_back_before_a_repair_is_there_again() {
    for without_index in [false, true] {
        for is_missing in [false, true] {
            let (folder, changed) = made();
            let path = segment(folder.path(), changed);
            let good = std::fs::read(&path).unwrap();
            forget_index(folder.path());
            if is_missing {
                std::fs::remove_file(&path).unwrap();
            } else {
                let frame = frames(folder.path()).into_iter().rfind(|one| one.number == changed).unwrap();
                change(folder.path(), changed, |bytes| bytes[frame.begin - 3_000..].fill(7));
            }
            for _ in 0..2 {
                let (store, _) = open(folder.path()).unwrap();
                is_refused(&store);
                make(&store, format!("new{}", store.status().files).as_bytes(), 5, 100);
            }
            std::fs::write(&path, &good).unwrap();
            if without_index {
                forget_index(folder.path());
            }
            let (store, opened) = open(folder.path()).unwrap();
            assert!(opened.damage.is_empty(), "{opened:?}");
            assert_eq!(shown(&store).unwrap(), [2, 3, 1], "{opened:?}");
            assert!(check(&store, false).0.clean);
            drop(store);
            let (store, opened) = open(folder.path()).unwrap();
            assert!(opened.damage.is_empty() && opened.rebuilt.is_none(), "{opened:?}");
            assert!(check(&store, false).0.clean);
        }
    }
}

/// After a repair, which did without it, it is of no use, and kept.
#[test]
fn what_is_put_back_after_a_repair_is_kept() {
    let (folder, changed) = made();
    let path = segment(folder.path(), changed);
    let good = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let (store, _) = open(folder.path()).unwrap();
    assert!(check(&store, true).0.clean);
    drop(store);
    std::fs::write(&path, &good).unwrap();
    let (store, opened) = open(folder.path()).unwrap();
    assert!(opened.cut_off.is_some_and(|what| what.contains("lost/")));
    assert_eq!(std::fs::read(folder.path().join(format!("lost/{changed:08}.seg"))).unwrap(), good);
    assert_eq!(shown(&store).unwrap(), [1, 3, 1]);
}

/// Whoever dies while they open an index that nothing vouches for is not to die of it again.
#[test]
fn an_index_that_an_opening_did_not_outlive_is_not_opened_again() {
    let (folder, _) = made();
    std::fs::remove_file(folder.path().join("index.marker")).unwrap();
    std::fs::write(folder.path().join("index.opening"), []).unwrap();
    std::fs::write(folder.path().join("index").join("mine"), b"of no database").unwrap();
    let (store, opened) = open(folder.path()).unwrap();
    assert!(opened.replayed_frames > 0 || opened.rebuilt.is_some(), "{opened:?}");
    assert!(!folder.path().join("index.opening").exists() && !folder.path().join("index/mine").exists());
    assert_eq!(shown(&store).unwrap(), [2, 3, 1]);
}

/// One lost change costs one file, also where the index is built anew after other changes.
#[test]
fn what_is_in_doubt_does_not_grow() {
    let (folder, _) = made();
    let frame =
        frames(folder.path()).into_iter().filter(|one| one.kinds.contains(&ItemKind::Sector)).nth_back(3).unwrap();
    change(folder.path(), frame.number, |bytes| bytes[frame.begin + FRAME_HEAD_BYTES + 200] ^= 1);
    for _ in 0..3 {
        forget_index(folder.path());
        let (store, opened) = open(folder.path()).unwrap();
        assert!(!opened.damage.iter().any(|what| what.contains("nothing written")), "{opened:?}");
        make(&store, format!("new{}", store.status().files).as_bytes(), 5, 100);
        assert!(!check(&store, false).0.clean);
        store.abandon();
    }
}
