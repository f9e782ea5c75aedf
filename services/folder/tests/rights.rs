//! Read-only and append-only hold for everything that is reached through a reference.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;
#[path = "common/rpc.rs"]
mod rpc;

use files::problem::Word;
use rpc::*;
use vat::Rights;

/// Every way to change something, tried on a directory and all that can be had through it.
async fn refuses_every_change(root: &schema::filesystem_capnp::directory::Client, path: &str, expected: Word) {
    let name = |last: &str| if path.is_empty() { last.to_owned() } else { format!("{path}/{last}") };
    assert_eq!(word(rename(root, &name("file"), &name("renamed"), true).await), is(expected));
    assert_eq!(word(remove(root, &name("file")).await), is(expected));
}

#[test]
fn read_only_holds_for_everything_below() {
    with(Rights::READ, async |tree, client| {
        tree.write("file", b"as it was");
        tree.write("sub/file", b"as it was");
        tree.write("sub/deep/file", b"as it was");
        let (sub, rights) = open_directory(&client.root, "sub", Rights::ALL).await.unwrap();
        assert_eq!(rights, Rights::READ, "never more than the reference has");
        let (deep, rights) = open_directory(&sub, "deep", Rights::ALL).await.unwrap();
        assert_eq!(rights, Rights::READ);
        let (again, rights) = open_directory(&deep, "", Rights::ALL).await.unwrap();
        assert_eq!(rights, Rights::READ);
        for directory in [&client.root, &sub, &deep, &again] {
            refuses_every_change(directory, "", Word::ReadOnly).await;
            assert_eq!(word(create(directory, "new", true).await), is(Word::ReadOnly));
            assert_eq!(word(create(directory, "file", false).await), is(Word::ReadOnly));
            assert_eq!(word(make_directory(directory, "new").await), is(Word::ReadOnly));
            assert_eq!(word(open_file(directory, "file", APPEND).await), is(Word::ReadOnly));
            let write = Rights { write: true, ..Rights::NONE };
            assert_eq!(word(open_directory(directory, "", write).await), is(Word::ReadOnly));
            let (file, rights) = open_file(directory, "file", Rights::ALL).await.unwrap();
            assert_eq!(rights, Rights::READ);
            assert_eq!(read(&file, 0, 100).await.unwrap(), (b"as it was".to_vec(), true));
            assert_eq!(word(write_at(&file).await), is(Word::ReadOnly));
            assert_eq!(word(append(&file, b"x").await), is(Word::ReadOnly));
            assert_eq!(word(truncate(&file, 0).await), is(Word::ReadOnly));
            assert_eq!(word(write_from(&file, 0).await), is(Word::ReadOnly));
        }
        for name in ["file", "sub/file", "sub/deep/file"] {
            assert_eq!(tree.read(name), b"as it was");
        }
    });
}

async fn write_at(file: &schema::filesystem_capnp::file::Client) -> Result<(), capnp::Error> {
    write(file, 0, b"x").await
}

#[test]
fn append_only_adds_and_changes_nothing_anywhere_below() {
    with(READ_APPEND, async |tree, client| {
        tree.write("file", b"old ");
        tree.write("sub/file", b"old ");
        let (sub, rights) = open_directory(&client.root, "sub", Rights::ALL).await.unwrap();
        assert_eq!(rights, READ_APPEND);
        let made = make_directory(&sub, "made").await.unwrap();
        create(&made, "file", true).await.unwrap();
        for (directory, expected) in [(&client.root, &b"old "[..]), (&sub, b"old "), (&made, b"")] {
            refuses_every_change(directory, "", Word::AppendOnly).await;
            let (opened, rights) = open_file(directory, "file", Rights::ALL).await.unwrap();
            assert_eq!(rights, READ_APPEND);
            let (created, is_new) = create(directory, "file", false).await.unwrap();
            assert!(!is_new);
            for file in [&opened, &created] {
                assert_eq!(word(write_at(file).await), is(Word::AppendOnly));
                assert_eq!(word(truncate(file, 0).await), is(Word::AppendOnly));
            }
            assert_eq!(append(&opened, b"one ").await.unwrap(), expected.len() as u64);
            assert_eq!(append(&created, b"two ").await.unwrap(), expected.len() as u64 + 4);
            // The offset of a stream is ignored: nothing that is there is written over.
            let sink = write_from(&opened, 0).await.unwrap();
            put(&sink, b"three").await.unwrap();
            assert_eq!(end(&sink).await.unwrap(), 5);
            let all = [expected, b"one two three"].concat();
            assert_eq!(read(&opened, 0, 100).await.unwrap(), (all, true));
        }
        let fresh = create(&client.root, "fresh", true).await.unwrap().0;
        assert_eq!(word(write_at(&fresh).await), is(Word::AppendOnly), "also of a file that it made");
        assert_eq!(tree.read("sub/made/file"), b"one two three");
    });
}

#[test]
fn adding_without_reading_shows_nothing() {
    with(APPEND, async |tree, client| {
        tree.write("secret", b"secret");
        tree.make_directory("sub");
        let (sub, _) = open_directory(&client.root, "sub", Rights::ALL).await.unwrap();
        for directory in [&client.root, &sub] {
            assert_eq!(word(list(directory, 0, 0).await), is(Word::NotPermitted));
            assert_eq!(word(directory.stat_request().send().promise.await), is(Word::NotPermitted));
        }
        assert_eq!(word(open_file(&client.root, "secret", Rights::READ).await), is(Word::NotPermitted));
        let (secret, rights) = open_file(&client.root, "secret", Rights::ALL).await.unwrap();
        assert_eq!(rights, APPEND);
        assert_eq!(word(read(&secret, 0, 10).await), is(Word::NotPermitted));
        assert_eq!(word(secret.stat_request().send().promise.await), is(Word::NotPermitted));
        let stolen = Default::default();
        let sink = client.exports.export(Collector(std::rc::Rc::clone(&stolen)));
        assert_eq!(word(read_to(&secret, 0, 0, sink).await), is(Word::NotPermitted));
        assert!(stolen.borrow().bytes.is_empty());
        let (made, _) = create(&sub, "made", true).await.unwrap();
        append(&made, b"added").await.unwrap();
        assert_eq!(tree.read("sub/made"), b"added");
    });
}

#[test]
fn asking_for_no_rights_is_refused() {
    with(Rights::ALL, async |tree, client| {
        tree.write("file", b"");
        assert_eq!(word(open_file(&client.root, "file", Rights::NONE).await), is(Word::NotPermitted));
        assert_eq!(word(open_directory(&client.root, "", Rights::NONE).await), is(Word::NotPermitted));
    });
}

#[test]
fn a_narrowed_reference_stays_narrow() {
    with(Rights::ALL, async |tree, client| {
        tree.write("sub/file", b"x");
        let (narrow, _) = open_directory(&client.root, "", Rights::READ).await.unwrap();
        let (sub, rights) = open_directory(&narrow, "sub", Rights::ALL).await.unwrap();
        assert_eq!(rights, Rights::READ);
        refuses_every_change(&sub, "", Word::ReadOnly).await;
        remove(&client.root, "sub/file").await.expect("while the wide one is as it was");
    });
}
