//! Quotas, reservations, and the room that compaction gives back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::super::{Account, Kind, Store, StoreError};
use super::basic::{SEGMENT_BYTES, open};

const OUTER: Account = Account { grant: 1, quota_bytes: 1_000_000 };
const INNER: [Account; 2] = [Account { grant: 2, quota_bytes: 600_000 }, OUTER];
const OTHER: [Account; 2] = [Account { grant: 3, quota_bytes: u64::MAX }, OUTER];

fn used(store: &Store, grant: u64) -> u64 {
    store.status().accounts.iter().find(|one| one.grant == grant).map_or(0, |one| one.used_bytes)
}

#[test]
fn a_quota_holds_and_what_is_removed_counts_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    let root = store.root();
    let a = store.create(&root, b"a", Kind::File, &INNER).unwrap();
    store.write(&a, 0, &[1; 500_000], &INNER).unwrap();
    assert!(matches!(store.write(&a, 500_000, &[1; 200_000], &INNER), Err(StoreError::Quota { grant: 2, .. })));
    let b = store.create(&root, b"b", Kind::File, &OTHER).unwrap();
    assert!(matches!(store.write(&b, 0, &[1; 500_000], &OTHER), Err(StoreError::Quota { grant: 1, .. })));
    let room = store.room(&OTHER).unwrap();
    store.write(&b, 0, &vec![1; usize::try_from(room.free_bytes).unwrap()], &OTHER).unwrap();
    let before = used(&store, 1);
    drop((a, b));
    store.remove(&root, b"a").unwrap();
    assert!(before - used(&store, 1) > 500_000 && used(&store, 2) == 0);
    // Another's overwriting gives back to whose it was.
    let b = store.find(&root, b"b").unwrap();
    let (third, second) = (used(&store, 3), used(&store, 2));
    store.write(&b, 0, &[2; 100_000], &INNER).unwrap();
    assert!(used(&store, 3) < third - 98_000 && used(&store, 2) > second + 100_000);
}

#[test]
fn no_two_writers_are_promised_the_same_byte() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    let root = store.root();
    let written = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for thread in 0..4u8 {
            let (store, root, written) = (&store, &root, &written);
            scope.spawn(move || {
                let accounts = if thread % 2 == 0 { INNER } else { OTHER };
                let Ok(file) = store.create(root, &[b'a' + thread], Kind::File, &accounts) else { return };
                while store.append(&file, &[thread; 16_384], &accounts).is_ok() {
                    written.fetch_add(16_384, Ordering::Relaxed);
                }
            });
        }
    });
    let (all, inner) = (used(&store, 1), used(&store, 2));
    assert!(all <= 1_000_000 && inner <= 600_000, "{all} {inner}");
    assert!(written.load(Ordering::Relaxed) > 900_000, "all of it can be used");
}

#[test]
fn what_was_set_aside_is_there_for_who_asked() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    let root = store.root();
    let (a, b) = (
        store.create(&root, b"a", Kind::File, &INNER).unwrap(),
        store.create(&root, b"b", Kind::File, &OTHER).unwrap(),
    );
    let reservation = store.reserve(&INNER, 500_000).unwrap();
    assert!(matches!(store.reserve(&INNER, 200_000), Err(StoreError::Quota { grant: 2, .. })));
    assert!(matches!(store.write(&b, 0, &[1; 600_000], &OTHER), Err(StoreError::Quota { grant: 1, .. })));
    store.write(&b, 0, &[1; 400_000], &OTHER).unwrap();
    store.write(&a, 0, &[1; 400_000], &INNER).unwrap();
    assert!(reservation.left() < 100_000);
    drop(reservation);
    assert_eq!(store.status().accounts.iter().map(|one| one.reserved_bytes).sum::<u64>(), 0);
}

#[test]
fn who_has_no_room_is_told_how_much_there_was() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    let mine = [Account { grant: 5, quota_bytes: 100_000 }];
    let file = store.create(&store.root(), b"a", Kind::File, &mine).unwrap();
    store.write(&file, 0, &[1; 50_000], &mine).unwrap();
    let used = store.room(&mine).unwrap().used_bytes;
    let refused = store.write(&file, 50_000, &[1; 60_000], &mine).unwrap_err();
    let StoreError::Quota { grant: 5, quota_bytes: 100_000, short } = refused else { panic!("{refused:?}") };
    assert_eq!(short.left_bytes, 100_000 - used);
    // With its sectors, heads and metadata.
    assert!((60_000..80_000).contains(&short.asked_bytes), "{short:?}");
    let (left, asked) = (short.left_bytes, short.asked_bytes);
    let told = format!("of its 100000 bytes {left} are left, and this takes {asked}");
    assert!(refused.to_string().ends_with(&told), "{refused}");
    let reserved = store.reserve(&[], u64::MAX).err().unwrap();
    assert!(matches!(reserved, StoreError::NoSpace(Some(short)) if short.asked_bytes == u64::MAX), "{reserved}");
}

#[test]
fn snapshots_count() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    let mine = [Account { grant: 5, quota_bytes: 20_000 }];
    let kept = store.create(&store.root(), b"kept", Kind::Directory, &mine).unwrap();
    let mut made = Vec::new();
    let refused = loop {
        match store.snapshot_for(&kept, &"label".repeat(40), &mine) {
            Ok(snapshot) => made.push(snapshot.id),
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, StoreError::Quota { grant: 5, .. }), "{refused}");
    assert!((10..100).contains(&made.len()), "{}", made.len());
    store.drop_snapshot(&kept, made[0]).unwrap();
    store.snapshot_for(&kept, "again", &mine).unwrap();
}

#[test]
fn compaction_gives_room_back_while_others_write() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    let root = store.root();
    let names: Vec<[u8; 1]> = (0..10u8).map(|at| [b'a' + at]).collect();
    for name in &names {
        store.create(&root, name, Kind::File, &[]).unwrap();
    }
    let done = Arc::new(AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                store.compact().unwrap();
            }
        });
        for round in 0..20u8 {
            for (at, name) in names.iter().enumerate() {
                let file = store.find(&root, name).unwrap();
                store.write(&file, 0, &vec![round; 30_000 + at], &[]).unwrap();
                let mut bytes = vec![0; 30_000 + at];
                assert_eq!(store.read(&file, 0, &mut bytes).unwrap(), bytes.len());
                assert!(bytes.iter().all(|byte| *byte == round));
            }
            store.sync().unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
    store.compact().unwrap();
    let status = store.status();
    assert!(status.bytes < 1_500_000, "{status:?}");
    store.abandon();
    for index in [true, false] {
        if !index {
            std::fs::remove_dir_all(folder.path().join("index")).unwrap();
        }
        let (store, opened) = open(folder.path());
        assert!(opened.damage.is_empty() && opened.cut_off.is_none(), "{opened:?}");
        let root = store.root();
        for (at, name) in names.iter().enumerate() {
            let mut bytes = vec![0; 40_000];
            let length = store.read(&store.find(&root, name).unwrap(), 0, &mut bytes).unwrap();
            assert!(length == 30_000 + at && bytes[..length].iter().all(|byte| *byte == 19));
        }
        store.abandon();
    }
}

#[test]
fn compaction_takes_the_room_of_a_few_segments_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    let root = store.root();
    let files: Vec<_> = (0..60u8).map(|at| store.create(&root, &[b'A' + at], Kind::File, &[]).unwrap()).collect();
    for (at, file) in files.iter().enumerate() {
        store.write(file, 0, &vec![at as u8; 30_000], &[]).unwrap();
    }
    // Every segment is half dead then.
    for at in (0..60u8).step_by(2) {
        store.remove(&root, &[b'A' + at]).unwrap();
    }
    drop(files);
    store.sync().unwrap();
    let before = store.status().bytes;
    let done = AtomicBool::new(false);
    let most = std::thread::scope(|scope| {
        let watching = scope.spawn(|| {
            let mut most = 0;
            while !done.load(Ordering::Relaxed) {
                most = most.max(store.status().bytes);
            }
            most
        });
        store.compact().unwrap();
        done.store(true, Ordering::Relaxed);
        watching.join().unwrap()
    });
    let after = store.status().bytes;
    println!("{before} bytes before, at most {most} meanwhile, {after} after");
    assert!(after < before * 2 / 3, "{before} bytes before, {after} after");
    assert!(most < before + 4 * SEGMENT_BYTES, "{before} bytes before, {most} meanwhile");
}

#[test]
fn many_threads_share_commits() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    let root = store.root();
    let before = store.status().commits;
    // All have written before the first asks: one commit is enough for each round.
    let written = std::sync::Barrier::new(8);
    std::thread::scope(|scope| {
        for thread in 0..8u8 {
            let (store, root, written) = (&store, &root, &written);
            scope.spawn(move || {
                let file = store.create(root, &[b'a' + thread], Kind::File, &[]).unwrap();
                for _ in 0..20 {
                    store.append(&file, b"line\n", &[]).unwrap();
                    written.wait();
                    store.sync().unwrap();
                    written.wait();
                }
            });
        }
    });
    let commits = store.status().commits - before;
    // Who asks as it ends cannot tell the commit itself from what somebody wrote, and asks for one more.
    assert!((20..=40).contains(&commits), "{commits} commits for 160 syncs");
    for thread in 0..8u8 {
        let file = store.find(&root, &[b'a' + thread]).unwrap();
        assert_eq!(store.stat(&file).unwrap().size, 100);
    }
}
