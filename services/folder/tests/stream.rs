//! Streams into and out of files over a link: order, flow control, and what happens when one end stops.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;
#[path = "common/rpc.rs"]
mod rpc;
use common::Tree;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use files::limits::STREAM_CHUNK_BYTES;
use files::problem::Word;
use rpc::*;
use schema::filesystem_capnp::file;
use schema::stream_capnp::byte_stream;
use vat::Rights;

async fn open(client: &Client, name: &str) -> file::Client {
    open_file(&client.root, name, Rights::ALL).await.unwrap().0
}

#[test]
fn a_stream_brings_what_was_asked_for_and_ends() {
    with(Rights::READ, async |tree, client| {
        let content = pattern(3 * STREAM_CHUNK_BYTES + 17);
        tree.write("file", &content);
        let file = open(client, "file").await;
        let length = content.len() as u64;
        for (offset, asked, from, to) in [
            (0, 0, 0, content.len()),
            (0, length, 0, content.len()),
            (0, length + 5, 0, content.len()),
            (10, 7, 10, 17),
            (length - 3, 0, content.len() - 3, content.len()),
            (length, 0, 0, 0),
            (u64::MAX, u64::MAX, 0, 0),
        ] {
            let (sink, collected) = collector(client);
            let sent = read_to(&file, offset, asked, sink).await.unwrap();
            let collected = collected.borrow();
            assert_eq!(sent, (to - from) as u64);
            assert!(collected.ended && collected.bytes == content[from..to], "{offset}+{asked}");
        }
    });
}

#[test]
fn a_slow_reader_slows_the_stream_and_loses_nothing() {
    with(Rights::READ, async |tree, client| {
        let content = pattern(100 * STREAM_CHUNK_BYTES);
        tree.write("file", &content);
        let file = open(client, "file").await;
        let (sink, collected) = collector(client);
        collected.borrow_mut().held = Some(VecDeque::new());
        let call = tokio::task::spawn_local(read_to(&file, 0, 0, sink));
        let mut most = 0;
        while !collected.borrow().ended {
            until(&collected, |now| now.ended || now.held.as_ref().is_some_and(|held| !held.is_empty())).await;
            // Whatever would come without having been let through, comes now: other calls take their turns meanwhile.
            for _ in 0..5 {
                read(&file, 0, 1).await.unwrap();
            }
            let mut collected = collected.borrow_mut();
            let held = collected.held.as_mut().unwrap();
            most = most.max(held.len());
            if let Some(sender) = held.pop_front() {
                sender.send(()).unwrap();
            }
        }
        assert_eq!(call.await.unwrap().unwrap(), content.len() as u64);
        assert!(collected.borrow().bytes == content);
        assert!(most <= 4, "{most} chunks were under way at once");
    });
}

#[test]
fn a_reader_that_never_answers_is_sent_a_bounded_number_of_bytes() {
    let tree = Tree::new();
    tree.write("file", &pattern(100 * STREAM_CHUNK_BYTES));
    vat::native::run(async {
        let folder = folder(&tree);
        let client = connect(&folder, &badge(Rights::READ));
        let file = open(&client, "file").await;
        let (sink, collected) = collector(&client);
        collected.borrow_mut().held = Some(VecDeque::new());
        let call = tokio::task::spawn_local(read_to(&file, 0, 0, sink));
        for _ in 0..500 {
            read(&file, 0, 1).await.unwrap();
        }
        let seen = collected.borrow().bytes.len();
        assert!(seen > 0 && seen <= 4 * STREAM_CHUNK_BYTES, "{seen} bytes");
        // Dropping the call stops it: nothing holds the file any more, and the sink was not told of an end.
        call.abort();
        _ = call.await;
        drop(file);
        while folder.open_now() > 0 {
            list(&client.root, 0, 0).await.unwrap();
        }
        // What waited for an answer gets it, and still no more comes.
        collected.borrow_mut().held = None;
        for _ in 0..10 {
            list(&client.root, 0, 0).await.unwrap();
        }
        assert_eq!(collected.borrow().bytes.len(), seen);
        assert!(!collected.borrow().ended);
    })
    .unwrap();
}

#[test]
fn a_sink_that_fails_fails_the_call() {
    with(Rights::READ, async |tree, client| {
        tree.write("file", &pattern(100 * STREAM_CHUNK_BYTES));
        let file = open(client, "file").await;
        struct Failing;
        impl byte_stream::Server for Failing {
            async fn write(self: Rc<Self>, _: byte_stream::WriteParams) -> Result<(), capnp::Error> {
                Err(capnp::Error::failed("full".to_owned()))
            }
        }
        let error = read_to(&file, 0, 0, client.exports.export(Failing)).await.unwrap_err();
        assert!(error.extra.contains("full"), "{error}");
        assert_eq!(read(&file, 0, 1).await.unwrap().0.len(), 1, "the link goes on");
    });
}

#[test]
fn a_stream_into_a_file_is_in_order_and_counts() {
    with(Rights::ALL, async |tree, client| {
        tree.write("file", b"0123456789");
        let file = open(client, "file").await;
        let sink = write_from(&file, 4).await.unwrap();
        let content = pattern(500_000);
        let mut sent = Vec::new();
        for piece in content.chunks(7_001) {
            sent.push(put(&sink, piece));
        }
        for result in futures::future::join_all(sent).await {
            result.unwrap();
        }
        assert_eq!(end(&sink).await.unwrap(), 500_000);
        assert!(tree.read("file") == [b"0123", &content[..]].concat());
        assert_eq!(end(&sink).await.unwrap(), 500_000, "a second end says the same");
        assert!(put(&sink, b"late").await.and(end(&sink).await.map(drop)).is_err(), "nothing is taken after the end");
        assert_eq!(tree.read("file").len(), 500_004);
    });
}

#[test]
fn a_stream_that_is_dropped_before_its_end_leaves_what_came() {
    let tree = Tree::new();
    vat::native::run(async {
        let folder = folder(&tree);
        let client = connect(&folder, &badge(Rights::ALL));
        let file = create(&client.root, "file", true).await.unwrap().0;
        let sink = write_from(&file, 0).await.unwrap();
        put(&sink, b"first").await.unwrap();
        assert_eq!(append(&file, b"|").await.unwrap(), 5, "sent later, so it comes after");
        drop((sink, file));
        list(&client.root, 0, 0).await.unwrap();
        assert_eq!(tree.read("file"), b"first|");
        // And the file is closed, which nobody waits for.
        while folder.open_now() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .unwrap();
}

#[test]
fn a_broken_stream_stays_broken() {
    with(Rights::ALL, async |tree, client| {
        let file = create(&client.root, "file", true).await.unwrap().0;
        let sink = write_from(&file, i64::MAX as u64 - 2).await.unwrap();
        // Whether a streamed call itself reports its error or the next one does is the engine's affair.
        let _ = put(&sink, b"too far").await;
        assert!(put(&sink, b"x").await.and(end(&sink).await.map(drop)).is_err());
        assert_eq!(word(end(&sink).await), is(Word::TooLarge));
        assert_eq!(tree.read("file"), b"");
        let sink = write_from(&file, 0).await.unwrap();
        let _ = put(&sink, &vec![0; (1 << 20) + 1]).await;
        assert_eq!(word(end(&sink).await), is(Word::TooLarge));
    });
}

#[test]
fn a_cut_in_the_middle_ends_everything_and_leaves_nothing_open() {
    let tree = Tree::new();
    tree.write("file", &pattern(100 * STREAM_CHUNK_BYTES));
    vat::native::run(async {
        let folder = folder(&tree);
        let Client { root, exports, cutter, ended } = connect(&folder, &badge(Rights::ALL));
        let file = open_file(&root, "file", Rights::ALL).await.unwrap().0;
        let collected = Rc::<RefCell<Collected>>::default();
        collected.borrow_mut().held = Some(VecDeque::new());
        let stream = tokio::task::spawn_local(read_to(&file, 0, 0, exports.export(Collector(collected.clone()))));
        until(&collected, |now| now.writes > 0).await;
        let writes: Vec<_> = (0..64_u64).map(|turn| append(&file, &turn.to_le_bytes())).collect();
        let held = open_directory(&root, "", Rights::ALL).await.unwrap().0;

        cutter.cut();
        ended.await.unwrap();
        let length = tree.read("file").len();
        let disconnected = |kind| assert_eq!(kind, capnp::ErrorKind::Disconnected);
        disconnected(stream.await.unwrap().unwrap_err().kind);
        disconnected(list(&held, 0, 0).await.unwrap_err().kind);
        disconnected(read(&file, 0, 1).await.unwrap_err().kind);
        for write in writes {
            if let Err(error) = write.await {
                disconnected(error.kind);
            }
        }
        // Work that had begun on the disk may still end, and holds the file until then: one of this object at most.
        while folder.open_now() > 0 {
            tokio::task::yield_now().await;
        }
        let after = tree.read("file").len();
        assert!(after - length <= 8, "{} bytes were written after the end", after - length);
        let neighbour = connect(&folder, &badge(Rights::READ));
        assert_eq!(list(&neighbour.root, 0, 0).await.unwrap().names, ["file"]);
    })
    .unwrap();
}
