//! `Directory`.

use std::collections::{BTreeMap, BTreeSet};

use schema::filesystem_capnp::Kind;
use vat::{Badge, Rights};

use super::{World, with};
use crate::limits::PAGE_LIMIT_ENTRIES;
use crate::problem::Word;
use crate::testing::calls::*;
use crate::testing::link::{badge, neighbour};

/// Makes empty files, many at once.
async fn make_files(at: &schema::filesystem_capnp::directory::Client, names: impl IntoIterator<Item = String>) {
    let calls = names.into_iter().map(|name| {
        let mut request = at.create_request();
        request.get().set_path(name.as_bytes());
        request.get().set_exclusive(true);
        request.send().promise
    });
    let mut calls: Vec<_> = calls.collect();
    for call in calls.drain(..) {
        call.await.unwrap();
    }
}

pub fn a_large_directory_is_listed_in_pages_each_name_once(make: fn() -> World) {
    with(make, Rights::READ, async |_, all, client| {
        let every: BTreeSet<String> = (0..2_500).map(|number| format!("file-{number}")).collect();
        for names in every.iter().cloned().collect::<Vec<_>>().chunks(500) {
            make_files(&all.root, names.iter().cloned()).await;
        }
        for (asked, most) in [(0, PAGE_LIMIT_ENTRIES), (7, 7), (999, 999), (u32::MAX, PAGE_LIMIT_ENTRIES)] {
            let (mut found, mut cursor, mut end) = (Vec::new(), 0, false);
            while !end {
                let page = list(&client.root, cursor, asked).await.unwrap();
                assert!(page.names.len() <= most);
                assert!(page.end || !page.names.is_empty(), "a page that is not the last has something");
                (cursor, end) = (page.cursor, page.end);
                found.extend(page.names);
            }
            assert_eq!(found.len(), every.len(), "limit {asked}");
            assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), every);
        }
        assert_eq!(list(&client.root, 0, 1).await.unwrap().names.len(), 1);
    });
}

pub fn pages_of_one_directory_do_not_disturb_each_other(make: fn() -> World) {
    with(make, Rights::READ, async |_, all, client| {
        make_files(&all.root, (0..300).map(|number| number.to_string())).await;
        let reader = async || {
            let (mut found, mut cursor, mut end) = (BTreeSet::new(), 0, false);
            while !end {
                let page = list(&client.root, cursor, 11).await.unwrap();
                (cursor, end) = (page.cursor, page.end);
                for name in page.names {
                    assert!(found.insert(name), "shown twice");
                }
            }
            found.len()
        };
        let counts = futures::join!(reader(), reader(), reader(), reader());
        assert_eq!(counts, (300, 300, 300, 300));
    });
}

pub fn long_names_make_shorter_pages(make: fn() -> World) {
    with(make, Rights::READ, async |_, all, client| {
        make_files(&all.root, (0..1_000).map(|number| format!("{number:0>255}"))).await;
        let (mut count, mut pages, mut cursor, mut end) = (0, 0, 0, false);
        while !end {
            let page = list(&client.root, cursor, 0).await.unwrap();
            (cursor, end) = (page.cursor, page.end);
            count += page.names.len();
            pages += 1;
        }
        assert_eq!(count, 1_000);
        assert!(pages > 1, "as many bytes as that are no single page");
    });
}

pub fn a_cursor_that_was_made_up_shows_nothing_else(make: fn() -> World) {
    with(make, Rights::READ, async |_, all, client| {
        make_files(&all.root, ["only".to_owned()]).await;
        for cursor in [1, 7, 1 << 31, 1 << 62, i64::MAX as u64, 1 << 63, u64::MAX] {
            match list(&client.root, cursor, 0).await {
                Ok(page) => assert!(page.names.iter().all(|name| name == "only"), "{cursor}"),
                refused => assert_eq!(word(refused), is(Word::BadPath), "{cursor}"),
            }
        }
        assert_eq!(list(&client.root, 0, 0).await.unwrap().names, ["only"], "and the directory is as it was");
    });
}

pub fn entries_say_what_they_are(make: fn() -> World) {
    with(make, Rights::READ, async |_, all, client| {
        put_file(&all.root, "file", b"12345").await;
        make_directory(&all.root, "directory").await.unwrap();
        let response = client.root.list_request().send().promise.await.unwrap();
        let entries = response.get().unwrap().get_entries().unwrap();
        let found: BTreeMap<Vec<u8>, (bool, u64)> = entries
            .iter()
            .map(|entry| {
                let metadata = entry.get_metadata().unwrap();
                let is_file = match metadata.get_kind().unwrap() {
                    Kind::File => true,
                    Kind::Directory => false,
                    _ => panic!("neither was made"),
                };
                (entry.get_name().unwrap().to_vec(), (is_file, metadata.get_size()))
            })
            .collect();
        assert_eq!(found, BTreeMap::from([(b"file".to_vec(), (true, 5)), (b"directory".to_vec(), (false, 0))]));
        assert!(stat(&client.root, "").await.unwrap().kind == Kind::Directory);
        assert!(stat(&client.root, "file").await.unwrap().kind == Kind::File);
        assert_eq!(word(stat(&client.root, "nothing").await), is(Word::NotFound));
        assert_eq!(word(stat(&client.root, "file/below").await), is(Word::NotDirectory));
    });
}

pub fn entries_are_made_renamed_and_removed(make: fn() -> World) {
    with(make, Rights::ALL, async |_, _, client| {
        let root = &client.root;
        let sub = make_directory(root, "sub").await.unwrap();
        assert_eq!(word(make_directory(root, "sub").await), is(Word::Exists));
        assert_eq!(word(make_directory(root, "no/parent").await), is(Word::NotFound));
        let (file, created) = create(&sub, "file", true).await.unwrap();
        assert!(created);
        write(&file, 0, b"content").await.unwrap();
        assert_eq!(word(create(root, "sub/file", true).await), is(Word::Exists));
        assert!(!create(root, "sub/file", false).await.unwrap().1, "opened, not made anew");
        assert_eq!(word(create(root, "sub", false).await), is(Word::IsDirectory));
        assert_eq!(word(open_file(root, "sub", Rights::READ).await), is(Word::IsDirectory));
        assert_eq!(word(open_directory(root, "sub/file", Rights::READ).await), is(Word::NotDirectory));
        assert_eq!(word(create(root, "sub/file/below", false).await), is(Word::NotDirectory));

        rename(root, "sub/file", "top", false).await.unwrap();
        assert_eq!(content(root, "top").await, b"content");
        put_file(root, "other", b"other").await;
        assert_eq!(word(rename(root, "other", "top", false).await), is(Word::Exists));
        rename(root, "other", "top", true).await.unwrap();
        assert_eq!(content(root, "top").await, b"other");
        assert_eq!(all_of(&file).await, b"content", "an open file stays the file that it was");
        assert_eq!(word(rename(root, "nothing", "x", true).await), is(Word::NotFound));
        assert_eq!(word(rename(root, "sub", "sub/below", true).await), is(Word::BadPath));
        assert_eq!(word(rename(root, "top", "sub", true).await), is(Word::IsDirectory));
        assert_eq!(word(rename(root, "sub", "top", true).await), is(Word::NotDirectory));
        rename(root, "top", "top", true).await.expect("to the name that it has");
        assert_eq!(content(root, "top").await, b"other");

        create(&sub, "last", false).await.unwrap();
        assert_eq!(word(remove(root, "sub").await), is(Word::NotEmpty));
        make_directory(root, "empty").await.unwrap();
        assert_eq!(word(rename(root, "empty", "sub", true).await), is(Word::NotEmpty));
        remove(root, "sub/last").await.unwrap();
        rename(root, "empty", "sub", true).await.expect("in the place of an empty directory");
        remove(root, "sub").await.unwrap();
        assert_eq!(word(remove(root, "sub").await), is(Word::NotFound));
        root.sync_request().send().promise.await.unwrap();
        assert_eq!(names(root).await, ["top"]);
    });
}

/// It would be lost with the directory.
pub fn nothing_is_made_in_a_directory_that_was_removed(make: fn() -> World) {
    with(make, Rights::ALL, async |_, _, client| {
        let root = &client.root;
        let (removed, replaced) =
            (make_directory(root, "removed").await.unwrap(), make_directory(root, "replaced").await.unwrap());
        remove(root, "removed").await.unwrap();
        make_directory(root, "other").await.unwrap();
        rename(root, "other", "replaced", true).await.unwrap();
        for directory in [&removed, &replaced] {
            assert_eq!(word(create(directory, "file", false).await), is(Word::NotFound));
            assert_eq!(word(make_directory(directory, "directory").await), is(Word::NotFound));
        }
        assert_eq!(names(root).await, ["replaced"]);
        assert_eq!(names(&open_directory(root, "replaced", Rights::READ).await.unwrap().0).await, [""; 0]);
    });
}

pub fn a_file_has_one_identity_whatever_its_name(make: fn() -> World) {
    with(make, Rights::ALL, async |_, _, client| {
        let root = &client.root;
        let file = put_file(root, "one", b"1").await;
        put_file(root, "other", b"2").await;
        let (one, other) = (stat(root, "one").await.unwrap().identity, stat(root, "other").await.unwrap().identity);
        assert_ne!(one, other);
        make_directory(root, "sub").await.unwrap();
        rename(root, "one", "sub/renamed", false).await.unwrap();
        assert_eq!(stat(root, "sub/renamed").await.unwrap().identity, one);
        assert_eq!(stat_file(&file).await.unwrap().identity, one);
    });
}

pub fn calls_on_a_directory_take_effect_in_the_order_they_were_made(make: fn() -> World) {
    with(make, Rights::ALL, async |_, _, client| {
        drop(make_directory(&client.root, "0").await.unwrap());
        // Nothing is awaited in between.
        let calls: Vec<_> = (0..40)
            .map(|turn| {
                let mut request = client.root.rename_request();
                request.get().set_from(turn.to_string().as_bytes());
                request.get().set_to((turn + 1).to_string().as_bytes());
                request.send().promise
            })
            .collect();
        for call in futures::future::join_all(calls).await {
            call.unwrap();
        }
        assert_eq!(names(&client.root).await, ["40"]);
    });
}

pub fn hostile_paths_are_refused_by_every_method(make: fn() -> World) {
    with(make, Rights::ALL, async |_, _, client| {
        let root = &client.root;
        put_file(root, "file", b"x").await;
        let long = "n".repeat(256);
        let longer = "n/".repeat(2_048);
        for path in ["..", "../outside", "/etc/passwd", ".", "file/..", "a//b", "file/", "a\0b", &long, &longer] {
            let bad = is(Word::BadPath);
            assert_eq!(word(stat(root, path).await), bad, "{path:?}");
            assert_eq!(word(open_file(root, path, Rights::READ).await), bad);
            assert_eq!(word(open_directory(root, path, Rights::READ).await), bad);
            assert_eq!(word(create(root, path, false).await), bad);
            assert_eq!(word(make_directory(root, path).await), bad);
            assert_eq!(word(remove(root, path).await), bad);
            assert_eq!(word(rename(root, path, "x", true).await), bad);
            assert_eq!(word(rename(root, "file", path, true).await), bad);
        }
        assert_eq!(word(create(root, "", false).await), is(Word::BadPath));
        assert_eq!(word(remove(root, "").await), is(Word::BadPath));
        // As many names as a path can have, none of which is there.
        let deep = "n/".repeat(2_047) + "n";
        assert_eq!(word(stat(root, &deep).await), is(Word::NotFound));
        assert_eq!(names(root).await, ["file"]);
    });
}

pub fn names_need_not_be_text(make: fn() -> World) {
    with(make, Rights::ALL, async |_, _, client| {
        let every: BTreeSet<Vec<u8>> =
            [&b"\xff\xfe"[..], b"...", b"..a", b" ", b"a\nb", b"-rf", &[b'n'; 255], b"\x01"].map(<[u8]>::to_vec).into();
        for name in &every {
            let mut request = client.root.create_request();
            request.get().set_path(name);
            request.send().promise.await.unwrap();
        }
        let response = client.root.list_request().send().promise.await.unwrap();
        let entries = response.get().unwrap().get_entries().unwrap();
        assert_eq!(entries.iter().map(|entry| entry.get_name().unwrap().to_vec()).collect::<BTreeSet<_>>(), every);
    });
}

pub fn too_much_open_is_refused_and_what_is_dropped_makes_room(make: fn() -> World) {
    vat::native::run(async {
        let world = make();
        let client = world.connect(Rights::ALL);
        put_file(&client.root, "file", b"x").await;
        make_directory(&client.root, "sub").await.unwrap();
        let mut held = Vec::new();
        let overload = loop {
            match open_file(&client.root, "file", Rights::READ).await {
                Ok((file, _)) => held.push(file),
                Err(error) => break error,
            }
        };
        assert_eq!(overload.kind, capnp::ErrorKind::Overloaded);
        assert!(overload.extra.contains("are open here already"), "{overload}");
        let overloaded = open_directory(&client.root, "sub", Rights::READ).await.err().unwrap();
        assert_eq!(overloaded.kind, capnp::ErrorKind::Overloaded);
        read(&held[0], 0, 1).await.expect("what is open still works");
        let neighbour = world.link(&neighbour(Rights::READ));
        open_file(&neighbour.root, "file", Rights::READ).await.expect("and a neighbour is not in need");
        held.clear();
        // The release travels behind the drop and before this call.
        open_file(&client.root, "file", Rights::READ).await.expect("there is room again");
    })
    .unwrap();
}

pub fn an_object_that_it_does_not_have_is_refused(make: fn() -> World) {
    vat::native::run(async {
        let client = make().link(&Badge { interface: 1, ..badge(Rights::ALL) });
        assert_eq!(word(list(&client.root, 0, 0).await), is(Word::NotFound));
    })
    .unwrap();
}
