//! Read-only and append-only hold for everything that is reached through a reference.

use schema::filesystem_capnp::directory;
use vat::Rights;

use super::{World, with};
use crate::problem::Word;
use crate::testing::calls::*;
use crate::testing::collector::collector;
use crate::testing::link::{APPEND, READ_APPEND};

async fn refuses_every_change(root: &directory::Client, expected: Word) {
    assert_eq!(word(rename(root, "file", "renamed", true).await), is(expected));
    assert_eq!(word(remove(root, "file").await), is(expected));
}

pub fn read_only_holds_for_everything_below(make: fn() -> World) {
    with(make, Rights::READ, async |_, all, client| {
        make_directory(&all.root, "sub").await.unwrap();
        make_directory(&all.root, "sub/deep").await.unwrap();
        for name in ["file", "sub/file", "sub/deep/file"] {
            put_file(&all.root, name, b"as it was").await;
        }
        let (sub, rights) = open_directory(&client.root, "sub", Rights::ALL).await.unwrap();
        assert_eq!(rights, Rights::READ, "never more than the reference has");
        let (deep, rights) = open_directory(&sub, "deep", Rights::ALL).await.unwrap();
        assert_eq!(rights, Rights::READ);
        let (again, rights) = open_directory(&deep, "", Rights::ALL).await.unwrap();
        assert_eq!(rights, Rights::READ);
        for directory in [&client.root, &sub, &deep, &again] {
            refuses_every_change(directory, Word::ReadOnly).await;
            assert_eq!(word(create(directory, "new", true).await), is(Word::ReadOnly));
            assert_eq!(word(create(directory, "file", false).await), is(Word::ReadOnly));
            assert_eq!(word(make_directory(directory, "new").await), is(Word::ReadOnly));
            assert_eq!(word(open_file(directory, "file", APPEND).await), is(Word::ReadOnly));
            let write_only = Rights { write: true, ..Rights::NONE };
            assert_eq!(word(open_directory(directory, "", write_only).await), is(Word::ReadOnly));
            let (file, rights) = open_file(directory, "file", Rights::ALL).await.unwrap();
            assert_eq!(rights, Rights::READ);
            assert_eq!(read(&file, 0, 100).await.unwrap(), (b"as it was".to_vec(), true));
            assert_eq!(word(write(&file, 0, b"x").await), is(Word::ReadOnly));
            assert_eq!(word(append(&file, b"x").await), is(Word::ReadOnly));
            assert_eq!(word(truncate(&file, 0).await), is(Word::ReadOnly));
            assert_eq!(word(write_from(&file, 0).await), is(Word::ReadOnly));
        }
        for name in ["file", "sub/file", "sub/deep/file"] {
            assert_eq!(content(&all.root, name).await, b"as it was");
        }
    });
}

pub fn append_only_adds_and_changes_nothing_anywhere_below(make: fn() -> World) {
    with(make, READ_APPEND, async |_, all, client| {
        make_directory(&all.root, "sub").await.unwrap();
        put_file(&all.root, "file", b"old ").await;
        put_file(&all.root, "sub/file", b"old ").await;
        let (sub, rights) = open_directory(&client.root, "sub", Rights::ALL).await.unwrap();
        assert_eq!(rights, READ_APPEND);
        let made = make_directory(&sub, "made").await.unwrap();
        create(&made, "file", true).await.unwrap();
        for (directory, expected) in [(&client.root, &b"old "[..]), (&sub, b"old "), (&made, b"")] {
            refuses_every_change(directory, Word::AppendOnly).await;
            let (opened, rights) = open_file(directory, "file", Rights::ALL).await.unwrap();
            assert_eq!(rights, READ_APPEND);
            let (created, is_new) = create(directory, "file", false).await.unwrap();
            assert!(!is_new);
            for file in [&opened, &created] {
                assert_eq!(word(write(file, 0, b"x").await), is(Word::AppendOnly));
                assert_eq!(word(truncate(file, 0).await), is(Word::AppendOnly));
            }
            assert_eq!(append(&opened, b"one ").await.unwrap(), expected.len() as u64);
            assert_eq!(append(&created, b"two ").await.unwrap(), expected.len() as u64 + 4);
            // The offset of a stream is ignored: nothing that is there is written over.
            let sink = write_from(&opened, 0).await.unwrap();
            put(&sink, b"three").await.unwrap();
            assert_eq!(end(&sink).await.unwrap(), 5);
            assert_eq!(all_of(&opened).await, [expected, b"one two three"].concat());
        }
        let fresh = create(&client.root, "fresh", true).await.unwrap().0;
        assert_eq!(word(write(&fresh, 0, b"x").await), is(Word::AppendOnly), "also of a file that it made");
        assert_eq!(content(&all.root, "sub/made/file").await, b"one two three");
    });
}

pub fn adding_without_reading_shows_nothing(make: fn() -> World) {
    with(make, APPEND, async |_, all, client| {
        put_file(&all.root, "secret", b"secret").await;
        make_directory(&all.root, "sub").await.unwrap();
        let (sub, _) = open_directory(&client.root, "sub", Rights::ALL).await.unwrap();
        for directory in [&client.root, &sub] {
            assert_eq!(word(list(directory, 0, 0).await), is(Word::NotPermitted));
            assert_eq!(word(stat(directory, "").await), is(Word::NotPermitted));
        }
        assert_eq!(word(open_file(&client.root, "secret", Rights::READ).await), is(Word::NotPermitted));
        let (secret, rights) = open_file(&client.root, "secret", Rights::ALL).await.unwrap();
        assert_eq!(rights, APPEND);
        assert_eq!(word(read(&secret, 0, 10).await), is(Word::NotPermitted));
        assert_eq!(word(stat_file(&secret).await), is(Word::NotPermitted));
        let (sink, stolen) = collector(client);
        assert_eq!(word(read_to(&secret, 0, 0, sink).await), is(Word::NotPermitted));
        assert!(stolen.borrow().bytes.is_empty());
        let (made, _) = create(&sub, "made", true).await.unwrap();
        append(&made, b"added").await.unwrap();
        assert_eq!(content(&all.root, "sub/made").await, b"added");
    });
}

pub fn asking_for_no_rights_is_refused(make: fn() -> World) {
    with(make, Rights::ALL, async |_, _, client| {
        put_file(&client.root, "file", b"").await;
        assert_eq!(word(open_file(&client.root, "file", Rights::NONE).await), is(Word::NotPermitted));
        assert_eq!(word(open_directory(&client.root, "", Rights::NONE).await), is(Word::NotPermitted));
    });
}

pub fn a_narrowed_reference_stays_narrow(make: fn() -> World) {
    with(make, Rights::ALL, async |_, _, client| {
        make_directory(&client.root, "sub").await.unwrap();
        put_file(&client.root, "sub/file", b"x").await;
        let (narrow, _) = open_directory(&client.root, "", Rights::READ).await.unwrap();
        let (sub, rights) = open_directory(&narrow, "sub", Rights::ALL).await.unwrap();
        assert_eq!(rights, Rights::READ);
        refuses_every_change(&sub, Word::ReadOnly).await;
        remove(&client.root, "sub/file").await.expect("while the wide one is as it was");
    });
}
