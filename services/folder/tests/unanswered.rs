//! A mount inside the folder whose file system stops answering: those who use it wait, and nobody else does.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;
#[path = "common/fuse.rs"]
mod fuse;
#[path = "common/rpc.rs"]
mod rpc;

use common::Tree;
use files::limits::DISK_OPERATIONS_PER_GRANT;
use folder_service::serve::Folder;
use fuse::{CONTENT, Fuse};
use futures::future::LocalBoxFuture;
use rpc::*;
use schema::filesystem_capnp::directory;
use vat::{Badge, Rights};

/// Runs a test with `mnt`, which can fall silent, and local files around it.
fn with_mount<F: AsyncFnOnce(&Folder, Fuse)>(test: F) {
    let tree = Tree::new();
    tree.write("local", b"local");
    tree.write("sub/local", b"local");
    tree.make_directory("mnt");
    vat::native::run(async {
        // It is gone before the runtime is, which waits for its threads.
        match Fuse::mount(&tree.folder.join("mnt")) {
            Some(fuse) => test(&folder(&tree), fuse).await,
            None => println!("skipped: no file system in user space can be mounted here"),
        }
    })
    .unwrap();
}

/// Everything that can be done with what is local.
async fn local_calls_are_answered(root: &directory::Client) {
    let (file, _) = open_file(root, "local", Rights::ALL).await.unwrap();
    assert_eq!(read(&file, 0, 10).await.unwrap().0, b"local");
    let (sub, _) = open_directory(root, "sub", Rights::ALL).await.unwrap();
    let mut stat = sub.stat_request();
    stat.get().set_path(b"local");
    stat.send().promise.await.unwrap();
    let (made, _) = create(&sub, "made", true).await.unwrap();
    append(&made, b"made").await.unwrap();
    made.sync_request().send().promise.await.unwrap();
    rename(&sub, "made", "moved", false).await.unwrap();
    remove(&sub, "moved").await.unwrap();
    assert_eq!(list(&sub, 0, 0).await.unwrap().names, ["local"]);
    // Also what the silent mount is in.
    assert_eq!(list(root, 0, 0).await.unwrap().names.len(), 3);
}

#[test]
fn a_call_that_gets_no_answer_holds_up_no_other() {
    with_mount(async |folder, fuse| {
        let (client, neighbour) = (connect(folder, &badge(Rights::ALL)), connect(folder, &neighbour(Rights::ALL)));
        let (file, _) = open_file(&client.root, "mnt/f", Rights::READ).await.unwrap();
        let (mount, _) = open_directory(&client.root, "mnt", Rights::ALL).await.unwrap();
        // An object of its own: calls on one object keep their order, whatever they wait for.
        let (other, _) = open_directory(&client.root, "", Rights::ALL).await.unwrap();
        let path = |name: &str| {
            let mut stat = client.root.stat_request();
            stat.get().set_path(name.as_bytes());
            async move { stat.send().promise.await.map(drop) }
        };
        let calls: Vec<(&str, LocalBoxFuture<'_, Result<(), capnp::Error>>)> = vec![
            ("a look", Box::pin(path("mnt/f"))),
            ("a look at a name that was never looked at", Box::pin(async { path("mnt/none").await.or(Ok(())) })),
            ("opening", Box::pin(async { open_file(&client.root, "mnt/f", Rights::READ).await.map(drop) })),
            (
                "opening a directory",
                Box::pin(async { open_directory(&client.root, "mnt", Rights::READ).await.map(drop) }),
            ),
            ("opening in it", Box::pin(async { open_file(&mount, "f", Rights::READ).await.map(drop) })),
            ("listing", Box::pin(async { list(&mount, 0, 0).await.map(drop) })),
            ("making", Box::pin(async { create(&client.root, "mnt/new", true).await.map(drop).or(Ok(())) })),
            ("a look at the file", Box::pin(async { file.stat_request().send().promise.await.map(drop) })),
            (
                "reading",
                Box::pin(async {
                    assert_eq!(read(&file, 0, 100).await?, (CONTENT.to_vec(), true));
                    Ok(())
                }),
            ),
            (
                "streaming",
                Box::pin(async {
                    let (sink, collected) = collector(&client);
                    assert_eq!(read_to(&file, 0, 0, sink).await?, CONTENT.len() as u64);
                    assert_eq!(collected.borrow().bytes, CONTENT);
                    Ok(())
                }),
            ),
        ];
        for (what, mut call) in calls {
            fuse.fall_silent();
            assert!(futures::poll!(&mut call).is_pending(), "{what}");
            fuse.asked().await;
            local_calls_are_answered(&other).await;
            local_calls_are_answered(&neighbour.root).await;
            assert!(futures::poll!(&mut call).is_pending(), "{what}");
            fuse.answer();
            call.await.expect(what);
        }
        // What those calls opened is closed by now, so that what is asked next is asked for this one.
        while folder.open_now() > 2 {
            tokio::task::yield_now().await;
        }
        fuse.fall_silent();
        drop(file);
        fuse.asked().await;
        local_calls_are_answered(&other).await;
        // What that opened is closed soon.
        while folder.open_now() > 2 {
            tokio::task::yield_now().await;
        }
        assert_eq!(folder.open_now(), 2, "a file counts until it is closed");
        fuse.answer();
        while folder.open_now() > 1 {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn ten_grants_that_have_all_their_calls_wait_hold_up_no_other() {
    with_mount(async |folder, fuse| {
        let grants = (100..110).map(|grant| connect(folder, &Badge { grant, ..badge(Rights::ALL) }));
        let clients: Vec<Client> = grants.collect();
        fuse.fall_silent();
        let calls: Vec<_> = clients
            .iter()
            .flat_map(|client| std::iter::repeat_n(&client.root, 64))
            .map(|root| {
                let mut stat = root.stat_request();
                stat.get().set_path(b"mnt/f");
                stat.send().promise
            })
            .collect();
        fuse.asked().await;
        local_calls_are_answered(&connect(folder, &neighbour(Rights::ALL)).root).await;
        fuse.answer();
        for call in calls {
            call.await.unwrap();
        }
    });
}

#[test]
fn a_grant_that_comes_back_again_and_again_has_no_more_threads() {
    with_mount(async |folder, fuse| {
        fuse.fall_silent();
        for _ in 0..3 {
            let client = connect(folder, &badge(Rights::ALL));
            let calls: Vec<_> = (0..DISK_OPERATIONS_PER_GRANT)
                .map(|_| {
                    let mut stat = client.root.stat_request();
                    stat.get().set_path(b"mnt/f");
                    stat.send().promise
                })
                .collect();
            fuse.asked().await;
            client.cutter.cut();
            client.ended.await.unwrap();
            for call in calls {
                assert_eq!(call.await.err().unwrap().kind, capnp::ErrorKind::Disconnected);
            }
        }
        local_calls_are_answered(&connect(folder, &neighbour(Rights::ALL)).root).await;
        fuse.answer();
    });
}
