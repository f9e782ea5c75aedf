//! Streams into and out of files: order, flow control, and what happens when one end stops.

use std::collections::VecDeque;

use vat::Rights;

use super::{World, with};
use crate::limits::{STREAM_CHUNK_BYTES, TRANSFER_LIMIT_BYTES};
use crate::problem::Word;
use crate::testing::calls::*;
use crate::testing::collector::{collector, pattern, until};
use crate::testing::link::badge;

pub fn a_stream_brings_what_was_asked_for_and_ends(make: fn() -> World) {
    with(make, Rights::READ, async |_, all, client| {
        let content = pattern(3 * STREAM_CHUNK_BYTES + 17);
        put_file(&all.root, "file", &content).await;
        let (file, _) = open_file(&client.root, "file", Rights::ALL).await.unwrap();
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

pub fn a_slow_reader_slows_the_stream_and_loses_nothing(make: fn() -> World) {
    with(make, Rights::READ, async |_, all, client| {
        let content = pattern(40 * STREAM_CHUNK_BYTES);
        put_file(&all.root, "file", &content).await;
        let (file, _) = open_file(&client.root, "file", Rights::ALL).await.unwrap();
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

pub fn a_reader_that_never_answers_is_sent_a_bounded_number_of_bytes(make: fn() -> World) {
    with(make, Rights::READ, async |world, all, client| {
        put_file(&all.root, "file", &pattern(40 * STREAM_CHUNK_BYTES)).await;
        let (file, _) = open_file(&client.root, "file", Rights::ALL).await.unwrap();
        let (sink, collected) = collector(client);
        collected.borrow_mut().held = Some(VecDeque::new());
        let call = tokio::task::spawn_local(read_to(&file, 0, 0, sink));
        until(&collected, |now| now.writes > 0).await;
        for _ in 0..200 {
            read(&file, 0, 1).await.unwrap();
        }
        let seen = collected.borrow().bytes.len();
        assert!(seen > 0 && seen <= 4 * world.stream_chunk_bytes, "{seen} bytes");
        // Dropping the call stops it: nothing holds the file any more, and the sink was not told of an end.
        call.abort();
        _ = call.await;
        drop(file);
        world.open_at_most(0).await;
        // What waited for an answer gets it, and still no more comes.
        collected.borrow_mut().held = None;
        for _ in 0..10 {
            list(&client.root, 0, 0).await.unwrap();
        }
        assert_eq!(collected.borrow().bytes.len(), seen);
        assert!(!collected.borrow().ended);
    });
}

pub fn a_stream_into_a_file_is_in_order_and_counts(make: fn() -> World) {
    with(make, Rights::ALL, async |_, _, client| {
        let file = put_file(&client.root, "file", b"0123456789").await;
        let sink = write_from(&file, 4).await.unwrap();
        let sent_content = pattern(500_000);
        let sent: Vec<_> = sent_content.chunks(7_001).map(|piece| put(&sink, piece)).collect();
        for result in futures::future::join_all(sent).await {
            result.unwrap();
        }
        assert_eq!(end(&sink).await.unwrap(), 500_000);
        assert!(content(&client.root, "file").await == [b"0123", &sent_content[..]].concat());
        assert_eq!(end(&sink).await.unwrap(), 500_000, "a second end says the same");
        assert!(put(&sink, b"late").await.and(end(&sink).await.map(drop)).is_err(), "nothing is taken after the end");
        assert_eq!(stat_file(&file).await.unwrap().size, 500_004);
    });
}

pub fn a_stream_that_is_dropped_before_its_end_leaves_what_came(make: fn() -> World) {
    with(make, Rights::ALL, async |world, all, client| {
        let file = create(&client.root, "file", true).await.unwrap().0;
        let sink = write_from(&file, 0).await.unwrap();
        put(&sink, b"first").await.unwrap();
        assert_eq!(append(&file, b"|").await.unwrap(), 5, "sent later, so it comes after");
        drop((sink, file));
        list(&client.root, 0, 0).await.unwrap();
        // And the file is closed, which nobody waits for.
        world.open_at_most(0).await;
        assert_eq!(content(&all.root, "file").await, b"first|");
    });
}

pub fn a_broken_stream_stays_broken(make: fn() -> World) {
    with(make, Rights::ALL, async |_, _, client| {
        let file = create(&client.root, "file", true).await.unwrap().0;
        let sink = write_from(&file, i64::MAX as u64 - 2).await.unwrap();
        // Whether a streamed call itself reports its error or the next one does is the engine's affair.
        let _ = put(&sink, b"too far").await;
        assert!(put(&sink, b"x").await.and(end(&sink).await.map(drop)).is_err());
        assert_eq!(word(end(&sink).await), is(Word::TooLarge));
        assert_eq!(all_of(&file).await, b"");
        let sink = write_from(&file, 0).await.unwrap();
        let _ = put(&sink, &vec![0; TRANSFER_LIMIT_BYTES + 1]).await;
        assert_eq!(word(end(&sink).await), is(Word::TooLarge));
    });
}

pub fn a_cut_in_the_middle_ends_everything_and_leaves_nothing_open(make: fn() -> World) {
    vat::native::run(async {
        let world = make();
        let client = world.connect(Rights::ALL);
        put_file(&client.root, "file", &pattern(40 * STREAM_CHUNK_BYTES)).await;
        let file = open_file(&client.root, "file", Rights::ALL).await.unwrap().0;
        let (sink, collected) = collector(&client);
        collected.borrow_mut().held = Some(VecDeque::new());
        let stream = tokio::task::spawn_local(read_to(&file, 0, 0, sink));
        until(&collected, |now| now.writes > 0).await;
        let appends: Vec<_> = (0..64_u64).map(|turn| append(&file, &turn.to_le_bytes())).collect();
        let held = open_directory(&client.root, "", Rights::ALL).await.unwrap().0;

        client.cutter.cut();
        client.ended.await.unwrap();
        let neighbour = world.link(&vat::Badge { grant: 8, ..badge(Rights::READ) });
        let length = stat(&neighbour.root, "file").await.unwrap().size;
        let disconnected = |kind| assert_eq!(kind, capnp::ErrorKind::Disconnected);
        disconnected(stream.await.unwrap().unwrap_err().kind);
        disconnected(list(&held, 0, 0).await.unwrap_err().kind);
        disconnected(read(&file, 0, 1).await.unwrap_err().kind);
        for call in appends {
            if let Err(error) = call.await {
                disconnected(error.kind);
            }
        }
        // Work that had begun on the disk may still end, and holds the file until then: one of this object at most.
        world.open_at_most(0).await;
        let after = stat(&neighbour.root, "file").await.unwrap().size;
        assert!(after - length <= 8, "{} bytes were written after the end", after - length);
        assert_eq!(names(&neighbour.root).await, ["file"]);
    })
    .unwrap();
}
