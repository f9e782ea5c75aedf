//! `File` over a link, as an app calls it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;
#[path = "common/rpc.rs"]
mod rpc;
use common::Tree;

use std::os::fd::AsFd;

use files::problem::Word;
use rpc::*;
use schema::filesystem_capnp::file;
use vat::Rights;

async fn open(client: &Client, name: &str) -> file::Client {
    open_file(&client.root, name, Rights::ALL).await.unwrap().0
}

#[test]
fn reading_says_where_the_file_ends() {
    with(Rights::READ, async |tree, client| {
        tree.write("file", b"0123456789");
        let file = open(client, "file").await;
        for (offset, length, bytes, end) in [
            (0, 4, &b"0123"[..], false),
            (4, 6, b"456789", true),
            (4, 100, b"456789", true),
            (9, 1, b"9", true),
            (10, 5, b"", true),
            (0, 0, b"", false),
            (10, 0, b"", true),
            (u64::MAX, 10, b"", true),
            (i64::MAX as u64, u32::MAX, b"", true),
        ] {
            assert_eq!(read(&file, offset, length).await.unwrap(), (bytes.to_vec(), end), "{offset}+{length}");
        }
    });
}

#[test]
fn a_read_is_at_most_a_mebibyte() {
    with(Rights::READ, async |tree, client| {
        let content = pattern((1 << 20) + 10);
        tree.write("file", &content);
        let file = open(client, "file").await;
        let (bytes, end) = read(&file, 0, u32::MAX).await.unwrap();
        assert!(bytes == content[..1 << 20] && !end);
        let (bytes, end) = read(&file, 1 << 20, u32::MAX).await.unwrap();
        assert!(bytes == content[1 << 20..] && end);
    });
}

#[test]
fn a_file_that_the_system_gives_no_size_is_read_all_the_same() {
    // As in a mount of /proc within a folder.
    vat::native::run(async {
        let proc = rustix::fs::open("/proc/self", rustix::fs::OFlags::PATH, rustix::fs::Mode::empty()).unwrap();
        let folder = folder_service::serve::Folder::new(proc.as_fd(), 1_024).unwrap();
        let client = connect(&folder, &badge(Rights::READ));
        let status = open_file(&client.root, "status", Rights::READ).await.unwrap().0;
        let (bytes, _) = read(&status, 0, 1 << 20).await.unwrap();
        assert!(bytes.starts_with(b"Name:"));
        let (sink, collected) = collector(&client);
        let sent = read_to(&status, 0, 0, sink).await.unwrap();
        assert!(sent > 5 && collected.borrow().bytes.starts_with(b"Name:"));
    })
    .unwrap();
}

#[test]
fn writing_fills_gaps_with_zeros_and_truncating_cuts() {
    with(Rights::ALL, async |tree, client| {
        let file = create(&client.root, "file", true).await.unwrap().0;
        write(&file, 3, b"abc").await.unwrap();
        assert_eq!(tree.read("file"), b"\0\0\0abc");
        write(&file, 1, b"x").await.unwrap();
        truncate(&file, 4).await.unwrap();
        truncate(&file, 6).await.unwrap();
        assert_eq!(tree.read("file"), b"\0x\0a\0\0");
        file.sync_request().send().promise.await.unwrap();
        let response = file.stat_request().send().promise.await.unwrap();
        assert_eq!(response.get().unwrap().get_metadata().unwrap().get_size(), 6);
        for offset in [u64::MAX, i64::MAX as u64] {
            assert_eq!(word(write(&file, offset, b"xx").await), is(Word::TooLarge));
        }
        assert_eq!(word(truncate(&file, u64::MAX).await), is(Word::TooLarge));
        assert_eq!(word(write(&file, 0, &vec![0; (1 << 20) + 1]).await), is(Word::TooLarge));
        write(&file, 0, &pattern(1 << 20)).await.expect("a mebibyte is taken");
        assert_eq!(tree.read("file"), pattern(1 << 20));
    });
}

#[test]
fn appends_go_to_the_end_in_the_order_they_were_made() {
    with(Rights::ALL, async |tree, client| {
        let file = create(&client.root, "log", true).await.unwrap().0;
        // All at once; some are long, so that one that overtakes another would be seen.
        let pieces: Vec<Vec<u8>> = (0..100).map(|turn| vec![turn; 1 + usize::from(turn) * 131 % 4_000]).collect();
        let calls: Vec<_> = pieces.iter().map(|piece| append(&file, piece)).collect();
        let late = read(&file, 0, 1 << 20);
        let (offsets, late) = futures::join!(futures::future::join_all(calls), late);
        let mut expected = 0;
        for (offset, piece) in offsets.into_iter().zip(&pieces) {
            assert_eq!(offset.unwrap(), expected);
            expected += piece.len() as u64;
        }
        assert_eq!(tree.read("log"), pieces.concat());
        assert_eq!(late.unwrap().0, pieces.concat(), "a read that was sent later sees them all");
        assert_eq!(append(&file, b"").await.unwrap(), expected);
    });
}

#[test]
fn two_references_append_without_writing_over_each_other() {
    with(Rights::ALL, async |tree, client| {
        create(&client.root, "log", true).await.unwrap();
        let (one, other) = (open(client, "log").await, open(client, "log").await);
        let calls: Vec<_> =
            (0..200_u8).map(|turn| append(if turn % 2 == 0 { &one } else { &other }, &[turn; 10])).collect();
        let offsets = futures::future::join_all(calls).await;
        let content = tree.read("log");
        assert_eq!(content.len(), 2_000);
        for (turn, offset) in (0..200_u8).zip(offsets) {
            let at = usize::try_from(offset.unwrap()).unwrap();
            assert_eq!(content[at..at + 10], [turn; 10]);
        }
    });
}

#[test]
fn an_open_file_stays_itself_when_it_is_removed() {
    with(Rights::ALL, async |tree, client| {
        tree.write("file", b"still here");
        let file = open(client, "file").await;
        remove(&client.root, "file").await.unwrap();
        tree.write("file", b"another");
        assert_eq!(read(&file, 0, 100).await.unwrap().0, b"still here");
        append(&file, b"!").await.unwrap();
        assert_eq!(tree.read("file"), b"another");
    });
}

#[test]
fn a_full_disk_is_reported_and_what_fits_is_written() {
    let tree = Tree::new();
    tree.make_directory("small");
    if !tree.mount_tmpfs("small") {
        println!("skipped: this user may not mount");
        return;
    }
    let options = rustix::mount::MountFlags::empty();
    rustix::mount::mount_remount(tree.folder.join("small"), options, c"size=64k").unwrap();
    vat::native::run(async {
        let client = connect(&folder(&tree), &badge(Rights::ALL));
        let file = create(&client.root, "small/file", true).await.unwrap().0;
        assert_eq!(word(write(&file, 0, &pattern(1 << 20)).await), is(Word::NoSpace));
        assert_eq!(word(append(&file, &pattern(1 << 20)).await), is(Word::NoSpace));
        truncate(&file, 10).await.unwrap();
        write(&file, 0, b"fits").await.unwrap();
    })
    .unwrap();
}
