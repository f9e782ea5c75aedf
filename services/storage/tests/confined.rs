//! The real process under its real profile: born with a door and the folder of its state, with keys that another vat serves
//! over links, it does all that it should, through restarts of its own and of the keys.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;
#[path = "common/process.rs"]
mod process;

use std::path::Path;
use std::sync::Arc;

use common::keys::TestKeys;
use common::*;
use files::limits::TRANSFER_LIMIT_BYTES;
use files::problem::Word;
use futures::StreamExt;
use process::{Process, granted};
use schema::filesystem_capnp::directory;
use schema::storage_capnp::stored_directory;
use vat::Badge;
use vat::door::{Begin, FromVat, ToVat};

/// The folder of the state, with a process that serves it.
fn with<F: AsyncFnOnce(&Path, &Arc<TestKeys>)>(test: F) {
    let folder = tempfile::tempdir().unwrap();
    let keys = Arc::new(TestKeys::fresh());
    vat::native::run(test(folder.path(), &keys)).unwrap();
}

/// Every file below a folder.
fn files_below(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files_below(&path)) } else { found.push(path) }
    }
    found
}

#[test]
fn everything_works_inside_the_confinement_and_is_there_after_a_restart() {
    with(async |folder, keys| {
        let body = pattern(3 << 20);
        let mut process = Process::start(folder);
        process.give_keys(keys);
        let (_, root, exports, _) = process.link::<stored_directory::Client>(&granted());
        let top = plain(&root);
        let sub = make_directory(&top, "sub").await.unwrap();
        let (file, created) = create(&sub, "file", true).await.unwrap();
        assert!(created);
        write(&file, 5, b"content").await.unwrap();
        assert_eq!(append(&file, b"more").await.unwrap(), 12);
        truncate(&file, 14).await.unwrap();
        let sink = write_from(&file, 14).await.unwrap();
        for chunk in body.chunks(1 << 16) {
            put(&sink, chunk).await.unwrap();
        }
        assert_eq!(end(&sink).await.unwrap(), body.len() as u64);
        let before = snapshot(&root, "before").await.unwrap();
        let collected = std::rc::Rc::<std::cell::RefCell<Collected>>::default();
        let collector = exports.export(Collector(collected.clone()));
        assert_eq!(read_to(&file, 14, 0, collector).await.unwrap(), body.len() as u64);
        assert!(collected.borrow().bytes == body);
        rename(&top, "sub/file", "moved", false).await.unwrap();
        remove(&top, "sub").await.unwrap();
        put_file(&top, "synced", b"synced").await;
        sync(&file).await.unwrap();
        process.stop().await;

        let mut process = Process::start(folder);
        process.give_keys(keys);
        let root: stored_directory::Client = process.granted();
        let top = plain(&root);
        assert_eq!(names(&top).await, ["moved", "synced"]);
        assert!(content(&top, "moved").await == [&b"\0\0\0\0\0contentmo"[..], &body].concat());
        let then = plain(&open_snapshot(&root, before.id).await.unwrap());
        assert_eq!(names(&then).await, ["sub"]);
        assert_eq!(stat(&then, "sub/file").await.unwrap().size, 14 + body.len() as u64);
        process.stop().await;
    });
}

#[test]
fn nothing_that_it_stores_can_be_read_from_its_folder() {
    with(async |folder, keys| {
        let (name, secret) = (b"a-name-that-is-secret", b"a content that is secret");
        let mut process = Process::start(folder);
        process.give_keys(keys);
        let top: directory::Client = process.granted();
        let file = put_file(&top, "a-name-that-is-secret", &secret.repeat(1_000)).await;
        sync(&file).await.unwrap();
        process.stop().await;
        let files = files_below(folder);
        let everything: Vec<u8> = files.iter().flat_map(|file| std::fs::read(file).unwrap()).collect();
        assert!(everything.len() > 24_000, "it is there, somewhere");
        for clear in [&name[..], secret] {
            assert!(!everything.windows(clear.len()).any(|window| window == clear));
        }
    });
}

#[test]
fn a_call_waits_for_keys_that_are_still_on_their_way() {
    with(async |folder, keys| {
        let mut process = Process::start(folder);
        let top: directory::Client = process.granted();
        let mut call = Box::pin(create(&top, "file", true));
        assert!(futures::poll!(&mut call).is_pending());
        process.give_keys(keys);
        call.await.expect("they came in time");
        process.stop().await;
    });
}

#[test]
fn locked_keys_are_named_and_all_works_once_they_are_unlocked() {
    with(async |folder, keys| {
        keys.lock(true);
        let mut process = Process::start(folder);
        process.give_keys(keys);
        let top: directory::Client = process.granted();
        assert_eq!(word(list(&top, 0, 0).await), is(Word::Locked));
        keys.lock(false);
        put_file(&top, "file", b"x").await;
        assert_eq!(content(&top, "file").await, b"x");
        process.stop().await;
    });
}

#[test]
fn keys_that_come_back_on_another_link_are_used_again() {
    with(async |folder, keys| {
        let mut process = Process::start(folder);
        let serving = process.give_keys(keys);
        let top: directory::Client = process.granted();
        let file = put_file(&top, "file", b"one").await;
        sync(&file).await.unwrap();
        for task in serving {
            task.abort();
            _ = task.await;
        }
        write(&file, 0, b"two").await.expect("nothing is signed for that");
        let signed = keys.signed.load(std::sync::atomic::Ordering::Relaxed);
        let mut call = Box::pin(sync(&file));
        assert!(futures::poll!(&mut call).is_pending());
        process.give_keys(keys);
        call.await.unwrap();
        assert!(keys.signed.load(std::sync::atomic::Ordering::Relaxed) > signed);
        process.stop().await;
    });
}

#[test]
fn what_was_acknowledged_is_there_after_a_kill() {
    with(async |folder, keys| {
        let mut expected: Vec<(String, Vec<u8>)> = Vec::new();
        for round in 0..4 {
            let mut process = Process::start(folder);
            process.give_keys(keys);
            let top: directory::Client = process.granted();
            assert_eq!(names(&top).await.len(), expected.len());
            for (name, bytes) in &expected {
                assert!(content(&top, name).await == *bytes, "{name}");
            }
            for (number, synced) in [false, true, false].into_iter().enumerate() {
                let (name, bytes) = (format!("{round}-{number}"), pattern(40_000 * (round + number + 1)));
                let file = put_file(&top, &name, &bytes).await;
                if synced {
                    sync(&file).await.unwrap();
                }
                expected.push((name, bytes));
            }
            process.kill();
        }
    });
}

#[test]
fn nothing_lands_after_the_end_of_a_cut_link_was_confirmed() {
    const ROUNDS: usize = 6;
    const FILES: usize = 4;
    with(async |folder, keys| {
        let mut process = Process::start(folder);
        process.give_keys(keys);
        let watching: directory::Client = process.link(&Badge { grant: 8, ..granted() }).1;
        let large = vec![7; TRANSFER_LIMIT_BYTES];
        let mut at_end = Vec::new();
        for round in 0..ROUNDS {
            let (cut, top, _exports, spare) = process.link::<directory::Client>(&granted());
            let mut calls = futures::stream::FuturesUnordered::new();
            let names: Vec<String> = (0..FILES).map(|file| format!("{round}-{file}")).collect();
            for name in &names {
                let (file, _) = create(&top, name, true).await.unwrap();
                for at in 0..FILES as u64 {
                    let mut request = file.write_request();
                    request.get().set_offset(at * TRANSFER_LIMIT_BYTES as u64);
                    request.get().set_bytes(&large);
                    calls.push(request.send().promise);
                }
            }
            calls.next().await.unwrap().unwrap();
            spare.shutdown(std::net::Shutdown::Both).unwrap();
            assert!(matches!(process.hear(), FromVat::Ended { link } if link == cut));
            for name in names {
                at_end.push((stat(&watching, &name).await.unwrap().size, name));
            }
        }
        for (size, name) in at_end {
            assert_eq!(stat(&watching, &name).await.unwrap().size, size, "{name} has grown");
        }
        process.stop().await;
    });
}

#[test]
fn a_second_process_over_the_same_state_is_refused_and_says_why() {
    with(async |folder, keys| {
        let mut first = Process::start(folder);
        first.give_keys(keys);
        let top: directory::Client = first.granted();
        put_file(&top, "file", b"x").await;
        let mut second = Process::start(folder);
        let mut troubles = second.give_session();
        second.give_keys(keys);
        let refused: directory::Client = second.granted();
        assert_eq!(word(list(&refused, 0, 0).await), is(Word::Io));
        let told = troubles.wait_for(|troubles| !troubles.is_empty()).await.unwrap()[0].clone();
        assert!(told.contains("lock"), "{told}");
        assert_eq!(content(&top, "file").await, b"x", "and the first goes on");
        second.stop().await;
        first.stop().await;
    });
}

#[test]
fn damage_is_never_served_and_people_are_told() {
    with(async |folder, keys| {
        let body = pattern(200_000);
        let mut process = Process::start(folder);
        process.give_keys(keys);
        let top: directory::Client = process.granted();
        let file = put_file(&top, "file", &body).await;
        sync(&file).await.unwrap();
        process.stop().await;
        // In the middle of what was written last, which is sealed content.
        let segment = files_below(&folder.join("segments")).into_iter().max().unwrap();
        let mut bytes = std::fs::read(&segment).unwrap();
        let middle = bytes.len() - 100_000;
        bytes[middle] ^= 1;
        std::fs::write(&segment, bytes).unwrap();

        let mut process = Process::start(folder);
        let mut troubles = process.give_session();
        process.give_keys(keys);
        let top: directory::Client = process.granted();
        let (file, _) = open_file(&top, "file", vat::Rights::READ).await.unwrap();
        assert_eq!(word(read(&file, 0, 1 << 20).await), is(Word::Damaged));
        troubles.wait_for(|troubles| troubles.iter().any(|text| text.contains("segment"))).await.unwrap();
        put_file(&top, "other", b"other").await;
        assert_eq!(content(&top, "other").await, b"other", "all else is served");
        process.stop().await;
    });
}

#[test]
fn a_process_without_its_state_says_so_and_exits() {
    let mut process = Process::bare();
    process.say(&ToVat::Begin(Begin::default()), None);
    assert!(matches!(process.hear(), FromVat::Last(word) if word.contains("state")));
    assert!(!process.child.wait().unwrap().success());
}
