//! Directories of the store, in the node in miniature.

use crate::testing::{Node, Tree};
use crate::{Error, ErrorKind, Folder, Result, Rights, StoredDirectory, ask};

async fn notes() -> Result<StoredDirectory> {
    ask("notes", "to test").await
}

#[test]
fn a_stored_directory_is_a_folder_with_snapshots() {
    let tree = Tree::new();
    let seen = tree.clone();
    let code = Node::new().grant("notes", &tree).run(async move {
        let notes = notes().await?;
        notes.write("a", "one").await?;
        let first = notes.snapshot("first").await?;
        notes.write("a", "two").await?;
        notes.write("b", "new").await?;
        let second = notes.snapshot("second").await?;
        notes.remove("a").await?;
        assert!(second.id() > first.id() && second.at() > first.at());
        let then = notes.open_snapshot(first.id()).await?;
        assert_eq!(then.read_to_string("a").await?, "one");
        assert_eq!(then.read("b").await.unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(notes.open_snapshot(second.id()).await?.read_to_string("a").await?, "two");
        assert_eq!(then.write("a", "x").await.unwrap_err().kind(), ErrorKind::ReadOnly);
        assert_eq!(then.rights().await?, Rights::READ);
        notes.drop_snapshot(first.id()).await?;
        assert_eq!(notes.open_snapshot(first.id()).await.unwrap_err().kind(), ErrorKind::UnknownSnapshot);
        assert_eq!(notes.drop_snapshot(first.id()).await.unwrap_err().kind(), ErrorKind::UnknownSnapshot);
        Ok::<(), Error>(())
    });
    assert_eq!(code, 0);
    assert_eq!(seen.snapshot_labels(), ["second"]);
}

#[test]
fn snapshots_come_the_latest_first_page_by_page() {
    let code = Node::new().grant("notes", &Tree::new()).run(async move {
        let notes = notes().await?;
        assert_eq!(notes.snapshots().next().await?, None);
        for number in 0..8 {
            notes.snapshot(&format!("number {number}")).await?;
        }
        let mut labels = vec![];
        let mut snapshots = notes.snapshots();
        while let Some(snapshot) = snapshots.next().await? {
            labels.push(snapshot.label().to_owned());
        }
        assert_eq!(labels, (0..8).rev().map(|number| format!("number {number}")).collect::<Vec<_>>());
        assert_eq!(snapshots.next().await?, None);
        Ok::<(), Error>(())
    });
    assert_eq!(code, 0);
}

#[test]
fn there_is_only_so_much_room() {
    let tree = Tree::new().file("a", "12345");
    tree.set_quota(Some(10));
    let code = Node::new().grant("notes", &tree).run(async move {
        let notes = notes().await?;
        let room = notes.room().await?;
        assert_eq!((room.used_bytes, room.quota_bytes, room.free_bytes), (5, Some(10), 5));
        assert_eq!(notes.reserve(6).await.unwrap_err().kind(), ErrorKind::Quota);
        assert_eq!(notes.reserve(5).await?.left_bytes().await?, 5);
        assert_eq!(notes.append("a", "678901").await.unwrap_err().kind(), ErrorKind::Quota);
        notes.append("a", "67890").await?;
        Ok::<(), Error>(())
    });
    assert_eq!(code, 0);
    assert_eq!(tree.content("a").unwrap(), b"1234567890");
}

#[test]
fn who_may_not_change_makes_no_snapshot() {
    let code = Node::new().grant("notes", &Tree::new()).run(async move {
        let read: StoredDirectory = ask("notes", "to test").read().await?;
        assert_eq!(read.snapshot("x").await.unwrap_err().kind(), ErrorKind::ReadOnly);
        let both: StoredDirectory = ask("notes", "to test").read().append().await?;
        assert_eq!(both.rights().await?, Rights { read: true, append: true, write: false });
        Ok::<(), Error>(())
    });
    assert_eq!(code, 0);
}

#[test]
fn a_folder_has_no_snapshots_and_a_revoked_directory_has_none_either() {
    let code = Node::new().grant("notes", &Tree::new()).run(async move {
        let folder: Folder = ask("notes", "to test").await?;
        let as_stored = StoredDirectory::new(folder);
        assert_eq!(as_stored.snapshot("x").await.unwrap_err().kind(), ErrorKind::Unimplemented);
        Ok::<(), Error>(())
    });
    assert_eq!(code, 0);
    let node = Node::new().grant("notes", &Tree::new()).after_calls(2, |hand| hand.revoke("notes", "no more"));
    let code = node.run(async move {
        let notes = notes().await?;
        notes.snapshot("x").await?;
        let error = loop {
            if let Err(error) = notes.snapshot("y").await {
                break error;
            }
        };
        assert_eq!(error.to_string(), "notes: revoked: it was taken back (no more)");
        Result::<()>::Err(error)
    });
    assert_eq!(code, crate::EXIT_CUT);
}
