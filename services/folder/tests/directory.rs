//! `Directory` over a link, as an app calls it.

mod common;
#[path = "common/rpc.rs"]
mod rpc;
use common::Tree;

use std::collections::BTreeSet;

use folder_service::problem::Word;
use rpc::*;
use schema::filesystem_capnp::{Kind, metadata};
use vat::Rights;

struct Seen {
    kind: Kind,
    size: u64,
    executable: bool,
    identity: u64,
}

fn seen(metadata: metadata::Reader<'_>) -> Seen {
    Seen {
        kind: metadata.get_kind().unwrap(),
        size: metadata.get_size(),
        executable: metadata.get_executable(),
        identity: metadata.get_identity(),
    }
}

async fn stat(client: &Client, path: &str, follow_link: bool) -> Result<Seen, capnp::Error> {
    let mut request = client.root.stat_request();
    request.get().set_path(path.as_bytes());
    request.get().set_follow_link(follow_link);
    Ok(seen(request.send().promise.await?.get()?.get_metadata()?))
}

#[test]
fn a_large_directory_is_listed_in_pages_each_name_once() {
    with(Rights::READ, async |tree, client| {
        let every: BTreeSet<String> = (0..2_500).map(|number| format!("file-{number}")).collect();
        for name in &every {
            tree.write(name, b"");
        }
        for (asked, most) in [(0, 1_000), (1, 1), (7, 7), (999, 999), (1_000, 1_000), (u32::MAX, 1_000)] {
            if asked == 1 {
                continue;
            }
            let (mut found, mut cursor) = (Vec::new(), 0);
            loop {
                let page = list(&client.root, cursor, asked).await.unwrap();
                assert!(page.names.len() <= most);
                assert!(page.end || !page.names.is_empty(), "a page that is not the last has something");
                (cursor, _) = (page.cursor, found.extend(page.names));
                if page.end {
                    break;
                }
            }
            assert_eq!(found.len(), every.len(), "limit {asked}");
            assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), every);
        }
        assert_eq!(list(&client.root, 0, 1).await.unwrap().names.len(), 1);
    });
}

#[test]
fn pages_of_one_directory_do_not_disturb_each_other() {
    with(Rights::READ, async |tree, client| {
        for number in 0..300 {
            tree.write(&format!("{number}"), b"");
        }
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

#[test]
fn long_names_make_shorter_pages() {
    with(Rights::READ, async |tree, client| {
        for number in 0..1_000 {
            tree.write(&format!("{number:0>255}"), b"");
        }
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

#[test]
fn a_cursor_that_was_made_up_shows_nothing_else() {
    with(Rights::READ, async |tree, client| {
        tree.write("only", b"");
        for cursor in [1, 7, 1 << 31, 1 << 62, i64::MAX as u64, 1 << 63, u64::MAX] {
            if let Ok(page) = list(&client.root, cursor, 0).await {
                assert!(page.names.iter().all(|name| name == "only"), "{cursor}");
            }
        }
        assert_eq!(word(list(&client.root, u64::MAX, 0).await), is(Word::BadPath));
        assert_eq!(list(&client.root, 0, 0).await.unwrap().names, ["only"], "and the directory is as it was");
    });
}

#[test]
fn entries_say_what_they_are() {
    with(Rights::READ, async |tree, client| {
        tree.write("file", b"12345");
        tree.link("file", "link");
        tree.make_directory("directory");
        let response = client.root.list_request().send().promise.await.unwrap();
        for entry in response.get().unwrap().get_entries().unwrap() {
            let (name, seen) = (entry.get_name().unwrap(), seen(entry.get_metadata().unwrap()));
            let expected = match name {
                b"file" => (Kind::File, 5),
                b"link" => (Kind::Symlink, 0),
                _ => (Kind::Directory, 0),
            };
            assert!((seen.kind, seen.size) == expected, "{name:?}");
        }
    });
}

#[test]
fn stat_follows_links_where_asked() {
    with(Rights::READ, async |tree, client| {
        tree.write("sub/program", b"12345");
        tree.link("sub/program", "link");
        tree.link("../outside", "out");
        let mode = rustix::fs::Mode::RWXU;
        rustix::fs::chmod(tree.folder.join("sub/program"), mode).unwrap();
        let (program, through) = (stat(client, "sub/program", true).await, stat(client, "link", true).await);
        let (program, through) = (program.unwrap(), through.unwrap());
        assert!(program.kind == Kind::File && program.size == 5 && program.executable);
        assert_eq!(program.identity, through.identity);
        assert!(stat(client, "link", false).await.unwrap().kind == Kind::Symlink);
        assert!(stat(client, "out", false).await.unwrap().kind == Kind::Symlink);
        assert_eq!(word(stat(client, "out", true).await), is(Word::LeadsOut));
        assert!(stat(client, "", true).await.unwrap().kind == Kind::Directory);
        assert_eq!(word(stat(client, "sub/../sub", true).await), is(Word::BadPath));
        assert_eq!(word(stat(client, "nothing", false).await), is(Word::NotFound));
    });
}

#[test]
fn entries_are_made_renamed_and_removed() {
    with(Rights::ALL, async |tree, client| {
        let root = &client.root;
        let sub = make_directory(root, "sub").await.unwrap();
        assert_eq!(word(make_directory(root, "sub").await), is(Word::Exists));
        assert_eq!(word(make_directory(root, "no/parent").await), is(Word::NotFound));
        let (file, created) = create(&sub, "file", true).await.unwrap();
        assert!(created);
        write(&file, 0, b"content").await.unwrap();
        assert_eq!(word(create(root, "sub/file", true).await), is(Word::Exists));
        assert!(!create(root, "sub/file", false).await.unwrap().1, "opened, not made anew");

        rename(root, "sub/file", "top", false).await.unwrap();
        assert_eq!(tree.read("top"), b"content");
        tree.write("other", b"other");
        assert_eq!(word(rename(root, "other", "top", false).await), is(Word::Exists));
        rename(root, "other", "top", true).await.unwrap();
        assert_eq!(tree.read("top"), b"other");
        assert_eq!(read(&file, 0, 100).await.unwrap().0, b"content", "an open file stays the file that it was");
        assert_eq!(word(rename(root, "nothing", "x", true).await), is(Word::NotFound));
        assert_eq!(word(rename(root, "sub", "sub/below", true).await), is(Word::BadPath));
        assert_eq!(word(rename(root, "top", "sub", true).await), is(Word::IsDirectory));

        create(&sub, "last", false).await.unwrap();
        assert_eq!(word(remove(root, "sub").await), is(Word::NotEmpty));
        remove(root, "sub/last").await.unwrap();
        remove(root, "sub").await.unwrap();
        assert_eq!(word(remove(root, "sub").await), is(Word::NotFound));
        assert_eq!(word(create(&sub, "late", false).await), is(Word::NotFound), "in a directory that was removed");
        root.sync_request().send().promise.await.unwrap();
        assert_eq!(list(root, 0, 0).await.unwrap().names, ["top"]);
    });
}

#[test]
fn what_is_made_is_as_visible_as_its_directory() {
    use std::os::unix::fs::PermissionsExt;
    with(Rights::ALL, async |tree, client| {
        let mode = |name: &str| tree.folder.join(name).metadata().unwrap().permissions().mode() & 0o7777;
        for (directory, file, below) in [(0o700, 0o600, 0o700), (0o755, 0o644, 0o755), (0o1777, 0o644, 0o755), (0o750, 0o640, 0o750)] {
            let name = format!("{directory:o}");
            tree.make_directory(&name);
            rustix::fs::chmod(tree.folder.join(&name), rustix::fs::Mode::from_raw_mode(directory)).unwrap();
            create(&client.root, &format!("{name}/file"), true).await.unwrap();
            make_directory(&client.root, &format!("{name}/below")).await.unwrap();
            // The mask of whoever runs the tests may take more away.
            assert_eq!(mode(&format!("{name}/file")) & !file, 0, "{name}");
            assert_eq!(mode(&format!("{name}/below")) & !below, 0, "{name}");
        }
    });
}

#[test]
fn calls_on_a_directory_take_effect_in_the_order_they_were_made() {
    with(Rights::ALL, async |_, client| {
        // Nothing is awaited in between.
        let mut calls = Vec::new();
        for turn in 0..40 {
            let (from, to) = (format!("{turn}"), format!("{}", turn + 1));
            let mut request = client.root.rename_request();
            request.get().set_from(from.as_bytes());
            request.get().set_to(to.as_bytes());
            if turn == 0 {
                let mut made = client.root.make_directory_request();
                made.get().set_path(b"0");
                drop(made.send().promise.await.unwrap());
            }
            calls.push(request.send().promise);
        }
        for call in futures::future::join_all(calls).await {
            call.unwrap();
        }
        assert_eq!(list(&client.root, 0, 0).await.unwrap().names, ["40"]);
    });
}

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

#[test]
fn hostile_paths_are_refused_by_every_method() {
    with(Rights::ALL, async |tree, client| {
        tree.write("file", b"x");
        let long = "n".repeat(256);
        let longer = "n/".repeat(2_048);
        let root = &client.root;
        for path in ["..", "../outside", "/etc/passwd", ".", "file/..", "a//b", "file/", "a\0b", &long, &longer] {
            let bad = is(Word::BadPath);
            assert_eq!(word(stat(client, path, true).await), bad, "{path:?}");
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
    });
}

#[test]
fn too_much_open_is_refused_and_what_is_dropped_makes_room() {
    let tree = Tree::new();
    tree.write("file", b"x");
    tree.make_directory("sub");
    vat::native::run(async {
        let folder = folder(&tree);
        let client = connect(&folder, &badge(Rights::READ));
        let mut held = Vec::new();
        let overload = loop {
            match open_file(&client.root, "file", Rights::READ).await {
                Ok((file, _)) => held.push(file),
                Err(error) => break error,
            }
        };
        assert_eq!(overload.kind, capnp::ErrorKind::Overloaded);
        assert!(overload.extra.contains("are open here already"), "{overload}");
        assert_eq!(open_directory(&client.root, "sub", Rights::READ).await.err().unwrap().kind, capnp::ErrorKind::Overloaded);
        read(&held[0], 0, 1).await.expect("what is open still works");
        let neighbour = connect(&folder, &badge(Rights::READ));
        open_file(&neighbour.root, "file", Rights::READ).await.expect("and a neighbour is not in need");
        held.clear();
        // The release travels behind the drop and before this call.
        open_file(&client.root, "file", Rights::READ).await.expect("there is room again");
    })
    .unwrap();
}

#[test]
fn an_object_that_it_does_not_have_is_refused() {
    let tree = Tree::new();
    vat::native::run(async {
        let folder = folder(&tree);
        for strange in [
            vat::Badge { object: "sub".to_owned(), ..badge(Rights::ALL) },
            vat::Badge { interface: 1, ..badge(Rights::ALL) },
        ] {
            let client = connect(&folder, &strange);
            assert_eq!(word(list(&client.root, 0, 0).await), is(Word::NotFound));
        }
    })
    .unwrap();
}
