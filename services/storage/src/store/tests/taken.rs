//! Somebody has the disk of a store that is closed, and no key, and may have copies of it of other times: frames of the store's own hand
//! that they take out, or put in from another time, are found. What is served is of one time, but where the store is put back to
//! that as a whole.

use std::path::Path;
use std::sync::Arc;

use super::super::format::{ItemKind, SEGMENT_HEAD_BYTES, SegmentFront, SegmentHead};
use super::super::keys::{OwnKeys, Secret};
use super::super::{Kind, OnDisk, Options, Severity, Store, StoreError};
use super::forged::{FILES, LENGTH, is_found, judge, made, name, open};
use super::keys::TestKeys;
use super::life::check;
use super::model::copy_folder;
use super::segments::{Frame, change, forget_index, frames, numbers, segment};

/// The last frame but one with sectors.
fn a_late_write(folder: &Path) -> Frame {
    frames(folder).into_iter().rev().filter(|frame| frame.kinds.contains(&ItemKind::Sector)).nth(1).unwrap()
}

/// The head of a segment as somebody makes it who has no key.
fn forged_head(folder: &Path, like: u32, number: u32, first_sequence: u64, chain: [u8; 32]) -> Vec<u8> {
    let bytes = std::fs::read(segment(folder, like)).unwrap();
    let front = SegmentHead::decode(bytes[..SEGMENT_HEAD_BYTES].try_into().unwrap());
    let SegmentFront::Head(head, _) = front else { panic!("{like}") };
    let keys = OwnKeys::derive(&Secret::new([66; 32]));
    SegmentHead { number, first_sequence, chain, ..head }.encode(&keys).to_vec()
}

/// The chain before a frame, as its head says.
fn chain_before(bytes: &[u8], frame: &Frame) -> [u8; 32] {
    bytes[frame.begin + 16..frame.begin + 48].try_into().unwrap()
}

#[test]
fn a_frame_taken_out_with_the_rest_under_a_higher_number_is_found() {
    let made = made();
    is_found(made.path(), "split", |folder| {
        let late = a_late_write(folder);
        let last = *numbers(folder).last().unwrap();
        let rest = frames(folder).into_iter().find(|frame| frame.sequence == late.sequence + 1).unwrap();
        assert_eq!((rest.number, late.number), (last, last));
        let bytes = std::fs::read(segment(folder, last)).unwrap();
        let head = forged_head(folder, last, last + 2, rest.sequence, chain_before(&bytes, &rest));
        std::fs::write(segment(folder, last + 2), [&head[..], &bytes[rest.begin..]].concat()).unwrap();
        change(folder, last, |bytes| bytes.truncate(late.begin));
    });
}

/// A store with segments that were given up between others, closed.
fn with_gaps() -> tempfile::TempDir {
    let folder = made();
    let (store, _) = open(folder.path()).unwrap();
    // Each is written once more, between what is kept and what is removed.
    for at in 0..FILES {
        let other = store.create(&store.root(), b"other", Kind::File, &[]).unwrap();
        store.write(&other, 0, &[200; 120_000], &[]).unwrap();
        let kept = store.create(&store.root(), &[b'A' + at], Kind::File, &[]).unwrap();
        store.write(&kept, 0, &[at; 110_000], &[]).unwrap();
        let file = store.find(&store.root(), &name(at)).unwrap();
        store.write(&file, 0, &[at; LENGTH], &[]).unwrap();
        store.sync().unwrap();
        store.remove(&store.root(), b"other").unwrap();
    }
    store.compact().unwrap();
    drop(store);
    folder
}

#[test]
fn the_end_of_a_segment_before_a_gap_is_missed() {
    let made = with_gaps();
    let numbers = numbers(made.path());
    let before_gaps: Vec<u32> = numbers.windows(2).filter(|pair| pair[0] + 1 < pair[1]).map(|pair| pair[0]).collect();
    assert!(!before_gaps.is_empty(), "{numbers:?}");
    let mut cuts = 0;
    for number in before_gaps {
        for frame in frames(made.path()).iter().filter(|frame| frame.number == number) {
            for without_index in [false, true] {
                let copy = tempfile::tempdir().unwrap();
                copy_folder(made.path(), copy.path());
                change(copy.path(), number, |bytes| bytes.truncate(frame.begin));
                if without_index {
                    forget_index(copy.path());
                }
                let what = format!("segment {number} from frame {} on, without index: {without_index}", frame.sequence);
                let (store, opened) = open(copy.path()).unwrap();
                judge(&store, &what);
                // With its own index an opening does not read so far back.
                assert!(
                    !without_index || opened.damage.iter().any(|what| what.contains("its end is missing")),
                    "{what}"
                );
                assert!(!check(&store, false).0.clean, "{what}");
                cuts += 1;
            }
        }
    }
    assert!(cuts > 1, "{cuts}");
}

/// Frames of another time, at the end: `commits` tells whether with their commits.
fn add_fork(folder: &Path, other: &Path, from: u64, commits: bool) {
    let last = *numbers(folder).last().unwrap();
    for frame in frames(other).into_iter().filter(|frame| frame.sequence >= from) {
        if commits || !frame.kinds.contains(&ItemKind::Commit) {
            let bytes = std::fs::read(segment(other, frame.number)).unwrap();
            change(folder, last, |end| end.extend(&bytes[frame.begin..frame.end]));
        }
    }
}

#[test]
fn frames_of_another_time_put_at_the_end_are_not_taken_for_what_followed() {
    let made = made();
    let end = frames(made.path()).last().unwrap().sequence;
    // Two times that both went on from there.
    let [one, other] = [5u8, 6].map(|byte| {
        let copy = tempfile::tempdir().unwrap();
        copy_folder(made.path(), copy.path());
        let (store, _) = open(copy.path()).unwrap();
        // The other is longer.
        for at in [0, 3].into_iter().cycle().take(if byte == 5 { 2 } else { 6 }) {
            let file = store.find(&store.root(), &name(at)).unwrap();
            let bytes = if byte == 5 { [at; LENGTH] } else { [100 + at; LENGTH] };
            store.write(&file, 0, &bytes, &[]).unwrap();
            store.sync().unwrap();
        }
        drop(store);
        copy
    });
    let one_end = frames(one.path()).last().unwrap().sequence;
    for from in [end + 1, end + 2, one_end, one_end + 1] {
        for commits in [false, true] {
            for without_index in [false, true] {
                let copy = tempfile::tempdir().unwrap();
                copy_folder(one.path(), copy.path());
                add_fork(copy.path(), other.path(), from, commits);
                if without_index {
                    forget_index(copy.path());
                }
                let what = format!("from {from}, commits {commits}, without index {without_index}");
                let (store, opened) = open(copy.path()).unwrap_or_else(|error| panic!("{what}: {error:?}"));
                println!("{what}: {opened:?}");
                let good = judge_one_time(&store, &what);
                if good < FILES {
                    assert!(!check(&store, false).0.clean, "{what}");
                }
            }
        }
    }
}

/// All that is served is of the one time, or all of the other; how much that is.
fn judge_one_time(store: &Store, what: &str) -> u8 {
    let mut times = Vec::new();
    for at in [0, 3] {
        let mut bytes = vec![0; LENGTH];
        match store.find(&store.root(), &name(at)).and_then(|file| store.read(&file, 0, &mut bytes)) {
            Ok(_) => {
                assert!(bytes == vec![at; LENGTH] || bytes == vec![100 + at; LENGTH], "{what}: something else");
                times.push(bytes[0] >= 100);
            }
            Err(StoreError::Damaged(_)) => {}
            Err(error) => panic!("{what}: {error:?}"),
        }
    }
    assert!(times.windows(2).all(|pair| pair[0] == pair[1]), "{what}: of two times");
    (0..FILES).filter(|at| store.find(&store.root(), &name(*at)).is_ok()).count() as u8
}

#[test]
fn two_times_are_not_mixed_behind_a_damaged_frame() {
    // Frames as of one time up to a place, and of another after it: what is between is damaged, so no chain tells.
    let made = made();
    {
        // So that a segment was just begun.
        let (store, _) = open(made.path()).unwrap();
        let fill = store.create(&store.root(), b"fill", Kind::File, &[]).unwrap();
        store.write(&fill, 0, &[1; 30_000], &[]).unwrap();
    }
    let base = frames(made.path()).last().unwrap().sequence;
    let fork = |old: bool| {
        let copy = tempfile::tempdir().unwrap();
        copy_folder(made.path(), copy.path());
        let (store, _) = open(copy.path()).unwrap();
        let (first, second) = if old { (0, 3) } else { (1, 2) };
        for at in [first, second, 4, 5] {
            let file = store.find(&store.root(), &name(at)).unwrap();
            store.write(&file, 0, &[if old { 100 + at } else { at }; 1_000], &[]).unwrap();
        }
        store.sync().unwrap();
        drop(store);
        copy
    };
    let (one, other) = (fork(true), fork(false));
    let (of_one, of_other) = (frames(one.path()), frames(other.path()));
    let last = of_one.iter().rposition(|frame| frame.sequence == base).unwrap();
    let mut mixed = 0;
    for take in 1..4 {
        for damaged in [1, 300] {
            let copy = tempfile::tempdir().unwrap();
            copy_folder(other.path(), copy.path());
            forget_index(copy.path());
            // The first of the one, then bytes that are nothing, then the rest of the other.
            let number = of_other[last + 1].number;
            let (from_one, from_other) = (&of_one[last + 1..=last + take], &of_other[last + take + 2..]);
            if of_one[last + take].number != number || from_other.iter().any(|frame| frame.number != number) {
                continue;
            }
            let (one_bytes, other_bytes) = (
                std::fs::read(segment(one.path(), number)).unwrap(),
                std::fs::read(segment(other.path(), number)).unwrap(),
            );
            let head = &other_bytes[..of_other[last + 1].begin];
            let first = &one_bytes[from_one[0].begin..from_one[take - 1].end];
            let rest = &other_bytes[from_other[0].begin..];
            std::fs::write(segment(copy.path(), number), [head, first, &vec![7; damaged], rest].concat()).unwrap();
            let (store, opened) = open(copy.path()).unwrap();
            println!("{take} frames of another time, {damaged} bytes: {opened:?}");
            assert!(!check(&store, false).0.clean);
            for at in 0..FILES {
                let mut bytes = vec![0; LENGTH];
                match store.find(&store.root(), &name(at)).and_then(|file| store.read(&file, 0, &mut bytes)) {
                    Ok(_) => assert!(bytes == vec![at; LENGTH], "{at} is as of another time"),
                    Err(StoreError::Damaged(_)) => {}
                    Err(error) => panic!("{error:?}"),
                }
            }
            mixed += 1;
        }
    }
    assert!(mixed > 0, "the frames are in one segment");
}

#[test]
fn a_segment_that_claims_to_begin_earlier_or_to_be_far_away_is_set_aside() {
    let made = made();
    let last = *numbers(made.path()).last().unwrap();
    let some_bytes = std::fs::read(segment(made.path(), last)).unwrap();
    for (number, own_head) in [(last + 1, false), (last + 1, true), (u32::MAX, false), (4_000_000_000, true)] {
        for without_index in [false, true] {
            let copy = tempfile::tempdir().unwrap();
            copy_folder(made.path(), copy.path());
            let head = if own_head {
                some_bytes[..SEGMENT_HEAD_BYTES].to_vec()
            } else {
                forged_head(copy.path(), last, number, 3, [1; 32])
            };
            std::fs::write(segment(copy.path(), number), [&head, &some_bytes[SEGMENT_HEAD_BYTES..]].concat()).unwrap();
            if without_index {
                forget_index(copy.path());
            }
            let what = format!("{number}, own head: {own_head}, without index: {without_index}");
            let (store, opened) = open(copy.path()).unwrap();
            assert!(!opened.damage.is_empty() || opened.cut_off.is_some(), "{what}: {opened:?}");
            assert_eq!(judge(&store, &what), FILES, "{what}: {opened:?}");
            // And it can be written to, for good.
            let file = store.create(&store.root(), b"new", Kind::File, &[]).unwrap();
            store.write(&file, 0, &[9; 200_000], &[]).unwrap();
            drop((file, store));
            let (store, opened) = open(copy.path()).unwrap();
            assert!(opened.damage.is_empty() && opened.cut_off.is_none(), "{what}: {opened:?}");
            store.find(&store.root(), b"new").unwrap();
            assert!(check(&store, false).0.clean, "{what}");
        }
    }
}

#[test]
fn a_segment_that_was_given_up_and_put_back_is_taken_away() {
    let folder = made();
    let before = tempfile::tempdir().unwrap();
    copy_folder(folder.path(), before.path());
    let (store, _) = open(folder.path()).unwrap();
    store.compact().unwrap();
    drop(store);
    let gone: Vec<u32> =
        numbers(before.path()).into_iter().filter(|number| !segment(folder.path(), *number).exists()).collect();
    assert!(!gone.is_empty());
    for without_index in [false, true] {
        for number in &gone {
            std::fs::copy(segment(before.path(), *number), segment(folder.path(), *number)).unwrap();
        }
        if without_index {
            forget_index(folder.path());
        }
        let (store, opened) = open(folder.path()).unwrap();
        assert!(opened.damage.is_empty(), "{opened:?}");
        assert_eq!(judge(&store, "given up and put back"), FILES);
        assert!(gone.iter().all(|number| !segment(folder.path(), *number).exists()));
        assert!(check(&store, false).0.clean);
    }
}

/// What is lost stays lost, whatever happens to the index and to the commits that named it, until a repair does without it.
#[test]
fn what_was_lost_is_not_forgotten() {
    let folder = made();
    let victim = numbers(folder.path())[2];
    std::fs::remove_file(segment(folder.path(), victim)).unwrap();
    let (store, opened) = open(folder.path()).unwrap();
    assert!(!opened.damage.is_empty());
    let good = judge(&store, "without a segment");
    assert!(good < FILES);
    // The commits that follow list the segments that there are.
    store.create(&store.root(), b"new", Kind::File, &[]).unwrap();
    store.sync().unwrap();
    assert!(matches!(store.compact(), Err(StoreError::Damaged(_))));
    drop(store);
    for without_index in [true, false, true] {
        if without_index {
            forget_index(folder.path());
        }
        let (store, opened) = open(folder.path()).unwrap();
        assert_eq!(judge(&store, "again"), good, "{opened:?}");
        let (summary, findings) = check(&store, false);
        assert!(!summary.clean && findings.iter().any(|one| one.severity == Severity::Lost));
    }
    let (store, _) = open(folder.path()).unwrap();
    assert!(check(&store, true).0.clean);
    store.compact().unwrap();
    drop(store);
    forget_index(folder.path());
    let (store, opened) = open(folder.path()).unwrap();
    assert!(opened.damage.is_empty(), "{opened:?}");
    assert!(check(&store, false).0.clean);
    for at in 0..FILES {
        let mut bytes = vec![0; LENGTH];
        let read = store.find(&store.root(), &name(at)).and_then(|file| store.read(&file, 0, &mut bytes));
        assert!(!matches!(read, Err(StoreError::Damaged(_))), "{read:?}");
    }
}

/// A hole and a removal have no body that proves them: a repair writes them as the index knows them.
#[test]
fn a_repair_believes_no_head_in_a_bad_frame() {
    let made = tempfile::tempdir().unwrap();
    {
        let (store, _) = open(made.path()).unwrap();
        for at in 0..3 {
            let file = store.create(&store.root(), &name(at), Kind::File, &[]).unwrap();
            store.write(&file, 0, &[at; 100_000], &[]).unwrap();
        }
        let file = store.find(&store.root(), &name(0)).unwrap();
        store.truncate(&file, 20_000, &[]).unwrap();
        store.truncate(&file, 100_000, &[]).unwrap();
        store.remove(&store.root(), &name(1)).unwrap();
    }
    let kinds = [ItemKind::Hole, ItemKind::EntryRemoved, ItemKind::NodeRemoved];
    for kind in kinds {
        let folder = tempfile::tempdir().unwrap();
        copy_folder(made.path(), folder.path());
        let frame = frames(folder.path()).into_iter().rfind(|frame| frame.kinds.contains(&kind)).unwrap();
        change(folder.path(), frame.number, |bytes| {
            // Each item of that kind is about something else: part, node and home begin at 8.
            let mut at = frame.begin + super::super::format::FRAME_HEAD_BYTES;
            while at < frame.end {
                let head = super::super::format::ItemHead::decode(&bytes[at..]).unwrap();
                if head.kind == kind {
                    bytes[at + 40] ^= 0xff;
                    bytes[at + 48] ^= 0xff;
                }
                at += head.whole_bytes() as usize;
            }
        });
        let (store, _) = open(folder.path()).unwrap();
        assert!(!check(&store, false).0.clean, "{kind:?}");
        let (summary, findings) = check(&store, true);
        assert!(summary.clean, "{kind:?}: {findings:#?}");
        drop(store);
        forget_index(folder.path());
        let (store, opened) = open(folder.path()).unwrap();
        assert!(opened.damage.is_empty(), "{kind:?}: {opened:?}");
        let mut bytes = vec![0; 100_000];
        let file = store.find(&store.root(), &name(0)).unwrap();
        assert_eq!(store.read(&file, 0, &mut bytes).unwrap(), 100_000);
        assert!(bytes.iter().all(|byte| *byte == 0));
        assert!(matches!(store.find(&store.root(), &name(1)), Err(StoreError::NotFound)), "{kind:?}");
        let file = store.find(&store.root(), &name(2)).unwrap();
        assert_eq!(store.read(&file, 0, &mut bytes).unwrap(), 100_000);
        assert!(bytes.iter().all(|byte| *byte == 2));
    }
}

#[test]
fn the_root_of_another_store_of_this_node_does_not_hide_the_stores_own() {
    let (folder, another) = (made(), made());
    std::fs::copy(another.path().join("root"), folder.path().join("root")).unwrap();
    for without_index in [false, true] {
        if without_index {
            forget_index(folder.path());
            std::fs::copy(another.path().join("root"), folder.path().join("root")).unwrap();
        }
        let (store, opened) = open(folder.path()).unwrap();
        assert!(opened.damage.is_empty() && !opened.created, "{opened:?}");
        assert_eq!(judge(&store, "with another root"), FILES);
    }
}

#[test]
fn what_was_begun_is_not_begun_anew_where_its_segments_are_gone() {
    let made = made();
    for leave in ["synced", "index.marker"] {
        let folder = tempfile::tempdir().unwrap();
        copy_folder(made.path(), folder.path());
        std::fs::remove_dir_all(folder.path().join("segments")).unwrap();
        for name in ["synced", "index.marker"] {
            if name != leave {
                std::fs::remove_file(folder.path().join(name)).unwrap();
            }
        }
        for _ in 0..2 {
            assert!(matches!(open(folder.path()), Err(StoreError::Damaged(_))), "with {leave}");
        }
    }
    // Segments without their root and without a copy of it are no reason to begin anew either.
    let keys = Arc::new(TestKeys::of_another_node());
    let options = Options { segment_bytes: 128 << 10, compacts: false, ..Options::new(made.path().join("index")) };
    let opened = Store::open(Arc::new(OnDisk::new(made.path()).unwrap()), keys, options);
    assert!(matches!(opened, Err(StoreError::Damaged(_))));
}

/// Where nothing says what lost frames changed, what was written since is served, but not what is around it in the same file.
#[test]
fn a_file_that_was_written_since_shows_nothing_of_before_what_nobody_can_name() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path()).unwrap();
    let file = store.create(&store.root(), b"f", Kind::File, &[]).unwrap();
    store.write(&file, 0, &[1; 50_000], &[]).unwrap();
    store.sync().unwrap();
    store.write(&file, 0, &[2; 100], &[]).unwrap();
    store.sync().unwrap();
    store.write(&file, 40_000, &[3; 100], &[]).unwrap();
    store.sync().unwrap();
    store.abandon();
    drop(file);
    // What wrote the first sector again, and the commits that name it: but the last, all of them.
    let all = frames(folder.path());
    let lost = all.iter().filter(|frame| frame.kinds.contains(&ItemKind::Sector)).nth(1).unwrap().sequence;
    let last = all.last().unwrap().sequence;
    let until = all.iter().rev().find(|frame| frame.kinds.contains(&ItemKind::Sector)).unwrap().sequence;
    for frame in all.iter().filter(|frame| frame.sequence >= lost && frame.sequence < last && frame.sequence != until) {
        change(folder.path(), frame.number, |bytes| bytes[frame.begin + 20] ^= 1);
    }
    forget_index(folder.path());
    let (store, _) = open(folder.path()).unwrap();
    let mut bytes = vec![0; 50_000];
    let read = store.find(&store.root(), b"f").and_then(|file| store.read(&file, 0, &mut bytes));
    assert!(matches!(read, Err(StoreError::Damaged(_))), "{read:?}");
}

/// As by somebody's mistake: it is found to be missing where it belongs, and nothing of it is thrown away where it does not.
#[test]
fn a_segment_under_the_next_number_is_kept() {
    let made = made();
    let all = numbers(made.path());
    let (moved, next) = (all[1], all.last().unwrap() + 1);
    let bytes = std::fs::read(segment(made.path(), moved)).unwrap();
    std::fs::rename(segment(made.path(), moved), segment(made.path(), next)).unwrap();
    let (store, opened) = open(made.path()).unwrap();
    assert!(!check(&store, false).0.clean && judge(&store, "under another name") < FILES, "{opened:?}");
    drop(store);
    assert_eq!(std::fs::read(made.path().join(format!("lost/{next:08}.seg"))).unwrap(), bytes);
}
