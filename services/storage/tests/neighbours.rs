//! No grant holds up another, and what one can ask for has bounds.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;

use std::sync::atomic::Ordering;

use common::*;
use files::problem::Word;
use vat::{Badge, Rights};

fn grant(number: u64) -> Badge {
    Badge { grant: number, object: format!("/{number}"), ..badge(Rights::ALL) }
}

/// Everything that takes no signature.
async fn is_served(root: &schema::filesystem_capnp::directory::Client) {
    let file = put_file(root, "file", b"content").await;
    assert_eq!(all_of(&file).await, b"content");
    assert_eq!(append(&file, b"!").await.unwrap(), 7);
    make_directory(root, "sub").await.unwrap();
    rename(root, "file", "sub/file", false).await.unwrap();
    assert_eq!(names(root).await, ["sub"]);
    remove(root, "sub/file").await.unwrap();
    remove(root, "sub").await.unwrap();
}

#[test]
fn who_waits_for_a_signature_holds_up_nobody() {
    vat::native::run(async {
        let served = served();
        let (one, other): (Client, Client) = (served.link(&grant(1)), served.link(&grant(2)));
        is_served(&one.root).await;
        is_served(&other.root).await;
        let file = put_file(&one.root, "file", b"x").await;
        let keys = served.keys.clone();
        let silence = keys.fall_silent();
        let before = keys.signed.load(Ordering::Relaxed);
        // More of them than it has threads.
        let mut syncs: Vec<_> = (0..20).map(|_| file.sync_request().send().promise).collect();
        let mut more: Vec<_> = (0..20).map(|_| one.root.sync_request().send().promise).collect();
        while keys.signed.load(Ordering::Relaxed) == before {
            tokio::task::yield_now().await;
        }
        is_served(&other.root).await;
        assert!(futures::poll!(&mut syncs[0]).is_pending() && futures::poll!(&mut more[0]).is_pending());
        drop(silence);
        for sync in syncs {
            sync.await.unwrap();
        }
        for sync in more {
            sync.await.unwrap();
        }
    })
    .unwrap();
}

#[test]
fn a_link_that_is_cut_while_it_waits_for_a_signature_is_quiet_after_it() {
    vat::native::run(async {
        let served = served();
        let client: Client = served.link(&grant(1));
        let file = put_file(&client.root, "file", b"x").await;
        let keys = served.keys.clone();
        let silence = keys.fall_silent();
        let before = keys.signed.load(Ordering::Relaxed);
        let sync = file.sync_request().send().promise;
        while keys.signed.load(Ordering::Relaxed) == before {
            tokio::task::yield_now().await;
        }
        client.cutter.cut();
        client.ended.await.unwrap();
        assert_eq!(sync.await.err().unwrap().kind, capnp::ErrorKind::Disconnected);
        let again: Client = served.link(&grant(1));
        assert_eq!(content(&again.root, "file").await, b"x");
        drop(silence);
        put_file(&again.root, "file", b"y").await;
        again.root.sync_request().send().promise.await.unwrap();
    })
    .unwrap();
}

#[test]
fn a_file_of_nearly_all_gap_takes_no_room_and_no_time() {
    vat::native::run(async {
        let served = served();
        let client: Client = served.link(&grant(1));
        let file = create(&client.root, "file", true).await.unwrap().0;
        write(&file, 0, b"first").await.unwrap();
        for size in [1 << 40, 1 << 62] {
            truncate(&file, size).await.unwrap();
            assert_eq!(stat_file(&file).await.unwrap().size, size);
            assert_eq!(read(&file, size - 5, 100).await.unwrap(), (vec![0; 5], true));
            assert_eq!(read(&file, size / 2, 3).await.unwrap(), (vec![0; 3], false));
        }
        write(&file, 1 << 61, b"far").await.unwrap();
        assert_eq!(read(&file, (1 << 61) - 2, 7).await.unwrap().0, b"\0\0far\0\0");
        truncate(&file, 3).await.unwrap();
        assert_eq!(all_of(&file).await, b"fir");
        truncate(&file, 1 << 62).await.unwrap();
        assert_eq!(read(&file, (1 << 61) - 2, 7).await.unwrap().0, [0; 7], "what was cut off does not come back");
        let on_disk: u64 = std::fs::read_dir(served.folder.path().join("segments"))
            .unwrap()
            .map(|entry| entry.unwrap().metadata().unwrap().len())
            .sum();
        assert!(on_disk < 1 << 20, "{on_disk} bytes");
    })
    .unwrap();
}

#[test]
fn directories_in_directories_without_end_hurt_nobody() {
    const DEPTH: usize = 2_000;
    vat::native::run(async {
        let served = served();
        let client: Client = served.link(&grant(1));
        let mut at = client.root.clone();
        for _ in 0..DEPTH {
            at = make_directory(&at, "d").await.unwrap();
        }
        put_file(&at, "file", b"deep").await;
        let path = vec!["d"; DEPTH].join("/") + "/file";
        assert_eq!(content(&client.root, &path).await, b"deep");
        rename(&client.root, &path, "up", false).await.unwrap();
        make_directory(&client.root, "top").await.unwrap();
        rename(&client.root, "d", "top/d", false).await.unwrap();
        let below = word(rename(&client.root, "top", "top/d/d/d/below", false).await);
        assert_eq!(below, is(Word::BadPath));
        assert_eq!(content(&client.root, "up").await, b"deep");
    })
    .unwrap();
}
