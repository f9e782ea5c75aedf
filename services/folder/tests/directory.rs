//! `Directory` over a link, as an app calls it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;
#[path = "common/rpc.rs"]
mod rpc;
use common::Tree;

use std::collections::BTreeSet;

use files::problem::Word;
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
        for (directory, file, below) in
            [(0o700, 0o600, 0o700), (0o755, 0o644, 0o755), (0o1777, 0o644, 0o755), (0o750, 0o640, 0o750)]
        {
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
        assert_eq!(
            open_directory(&client.root, "sub", Rights::READ).await.err().unwrap().kind,
            capnp::ErrorKind::Overloaded
        );
        read(&held[0], 0, 1).await.expect("what is open still works");
        let neighbour = connect(&folder, &neighbour(Rights::READ));
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
        let strange = vat::Badge { interface: 1, ..badge(Rights::ALL) };
        let client = connect(&folder, &strange);
        assert_eq!(word(list(&client.root, 0, 0).await), is(Word::NotFound));
    })
    .unwrap();
}
