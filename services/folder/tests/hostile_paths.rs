//! Paths, links and special files that try to lead out, or to hang whoever opens them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;

use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use common::{EVERY_RIGHT, Tree, file_bytes, path, refusal};
use files::path::RelativePath;
use files::patience::Patience;
use files::problem::Word;
use folder_service::resolve;
use folder_service::{change, content, list};
use rustix::fs::{CWD, FileType, Mode};
use vat::words::Rights;

fn open_word(tree: &Tree, name: &str) -> Word {
    refusal(resolve::open_file(tree.top.as_fd(), &path(name), Rights::READ, Patience::Disk))
}

#[test]
fn links_that_stay_inside_are_followed() {
    let tree = Tree::new();
    tree.write("inside/file", b"content");
    tree.link("file", "inside/relative");
    tree.link("../inside/file", "inside/up-and-down");
    tree.link("inside", "to-directory");
    for name in ["inside/relative", "inside/up-and-down", "to-directory/file"] {
        assert_eq!(file_bytes(&tree, name), b"content", "{name}");
    }
}

#[test]
fn links_that_lead_out_are_refused_whatever_they_point_to() {
    let tree = Tree::new();
    tree.make_directory("sub");
    tree.write_outside("secret", b"secret");
    let outside = tree.outside.join("secret").display().to_string();
    let cases = [
        ("absolute", outside.as_str()),
        ("relative", "../outside/secret"),
        ("missing", "../nothing-there"),
        ("absolute-missing", "/nothing-there"),
        ("root", "/"),
        ("above", ".."),
        ("above-and-back", "../folder/file"),
        ("sub/deeper", "../../outside/secret"),
    ];
    tree.write("file", b"inside");
    for (name, target) in cases {
        tree.link(target, name);
        assert_eq!(open_word(&tree, name), Word::LeadsOut, "{name} -> {target}");
        assert_eq!(refusal(resolve::look(tree.top.as_fd(), &path(name), true, Patience::Disk)), Word::LeadsOut);
        assert_eq!(refusal(resolve::open_directory(tree.top.as_fd(), &path(name), Patience::Disk)), Word::LeadsOut);
        let under = path(&format!("{name}/x"));
        for result in [
            change::create_file(&tree.top, &under, Rights::ALL, false).map(drop),
            change::create_file(&tree.top, &under, Rights::ALL, true).map(drop),
            change::make_directory(&tree.top, &under).map(drop),
            change::remove(&tree.top, &under),
            change::rename(&tree.top, &path("file"), &under, true),
            change::rename(&tree.top, &under, &path("stolen"), true),
        ] {
            assert_eq!(result.expect_err("leads out").word(), Word::LeadsOut, "{name}");
        }
    }
    assert_eq!(std::fs::read(tree.outside.join("secret")).unwrap(), b"secret");
}

#[test]
fn a_link_in_a_subdirectory_may_not_leave_that_subdirectory() {
    let tree = Tree::new();
    tree.write("private/key", b"key");
    tree.make_directory("shared");
    tree.link("../private/key", "shared/link");
    assert_eq!(file_bytes(&tree, "shared/link"), b"key");
    let shared = tree.open("shared");
    let found = resolve::open_file(shared.as_fd(), &path("link"), Rights::READ, Patience::Disk);
    assert_eq!(refusal(found), Word::LeadsOut);
}

#[test]
fn creating_through_a_link_makes_nothing_outside() {
    let tree = Tree::new();
    tree.link("../outside/new", "out");
    tree.link("not-there", "dangling");
    for (name, word) in [("out", Word::LeadsOut), ("dangling", Word::NotFound)] {
        assert_eq!(refusal(change::create_file(&tree.top, &path(name), Rights::ALL, false)), word);
        assert_eq!(refusal(change::create_file(&tree.top, &path(name), Rights::ALL, true)), Word::Exists);
    }
    assert!(!tree.outside.join("new").exists() && !tree.folder.join("not-there").exists());
}

#[test]
fn loops_end() {
    let tree = Tree::new();
    tree.link("b", "a");
    tree.link("a", "b");
    tree.link("self/self", "self");
    for name in ["a", "self", "self/x"] {
        assert_eq!(open_word(&tree, name), Word::LeadsOut);
    }
}

#[test]
fn removing_and_renaming_take_the_link_and_not_its_target() {
    let tree = Tree::new();
    tree.write_outside("secret", b"secret");
    tree.link("../outside/secret", "link");
    change::rename(&tree.top, &path("link"), &path("renamed"), false).unwrap();
    assert!(tree.folder.join("renamed").symlink_metadata().unwrap().is_symlink());
    change::remove(&tree.top, &path("renamed")).unwrap();
    assert_eq!(std::fs::read(tree.outside.join("secret")).unwrap(), b"secret");
}

#[test]
fn special_files_are_listed_removed_and_never_opened() {
    let tree = Tree::new();
    rustix::fs::mknodat(CWD, tree.folder.join("fifo"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(tree.folder.join("socket")).unwrap();
    let mut names = vec!["fifo", "socket"];
    let null = rustix::fs::makedev(1, 3);
    if rustix::fs::mknodat(CWD, tree.folder.join("null"), FileType::CharacterDevice, Mode::RWXU, null).is_ok() {
        names.push("null");
    }
    for name in names {
        // No thread ever sits in an open of the FIFO: this test would not end.
        for rights in EVERY_RIGHT {
            let opened = resolve::open_file(tree.top.as_fd(), &path(name), rights, Patience::Disk);
            assert_eq!(refusal(opened), Word::Special, "{name}");
            assert_eq!(refusal(change::create_file(&tree.top, &path(name), rights, false)), Word::Special, "{name}");
        }
        assert_eq!(refusal(resolve::open_directory(tree.top.as_fd(), &path(name), Patience::Disk)), Word::NotDirectory);
        let page = list::page(&tree.top, 0, 0).unwrap();
        let entry = page.entries.iter().find(|entry| entry.name == name.as_bytes()).expect("is listed");
        assert_eq!(entry.metadata.kind, schema::filesystem_capnp::Kind::Other);
        change::remove(&tree.top, &path(name)).unwrap();
    }
}

#[test]
fn a_directory_is_no_file_and_a_file_no_directory() {
    let tree = Tree::new();
    tree.write("directory/file", b"");
    assert_eq!(open_word(&tree, "directory"), Word::IsDirectory);
    assert_eq!(open_word(&tree, "directory/file/x"), Word::NotDirectory);
    assert_eq!(open_word(&tree, "directory/nothing"), Word::NotFound);
    assert_eq!(open_word(&tree, "nothing/nothing"), Word::NotFound);
    let created = change::create_file(&tree.top, &path("directory"), Rights::ALL, false);
    assert_eq!(refusal(created), Word::IsDirectory);
    assert_eq!(refusal(change::remove(&tree.top, &path("directory"))), Word::NotEmpty);
}

#[test]
fn names_are_bytes() {
    let tree = Tree::new();
    let name = RelativePath::new(b"\xff\xfe\n\x1b[31m").unwrap();
    let (file, created) = change::create_file(&tree.top, &name, Rights::ALL, true).unwrap();
    assert!(created);
    content::write(file.as_fd(), 0, b"x").unwrap();
    assert_eq!(list::page(&tree.top, 0, 0).unwrap().entries[0].name, name.whole().to_bytes());
    change::remove(&tree.top, &name).unwrap();
    let long = RelativePath::new(&[b'n'; 255]).unwrap();
    change::create_file(&tree.top, &long, Rights::ALL, true).unwrap();
}

#[test]
fn the_longest_path_is_taken() {
    let tree = Tree::new();
    // 15 names of 255 bytes and what is left of 4,095: every component of it really exists.
    let name = "n".repeat(255);
    let mut parts = vec![name; 15];
    parts.push("n".repeat(4_095 - 15 * 256));
    let longest = path(&parts.join("/"));
    let mut at = tree.top.as_fd().try_clone_to_owned().unwrap();
    for part in &parts[..15] {
        rustix::fs::mkdirat(&at, part.as_str(), Mode::RWXU).unwrap();
        at = rustix::fs::openat(&at, part.as_str(), rustix::fs::OFlags::PATH, Mode::empty()).unwrap();
    }
    change::create_file(&tree.top, &longest, Rights::ALL, true).unwrap();
    resolve::open_file(tree.top.as_fd(), &longest, Rights::READ, Patience::Disk).unwrap();
}

#[test]
fn hard_links_are_two_names_of_one_file() {
    let tree = Tree::new();
    tree.write("one", b"same");
    std::fs::hard_link(tree.folder.join("one"), tree.folder.join("two")).unwrap();
    assert_eq!(file_bytes(&tree, "two"), b"same");
    let page = list::page(&tree.top, 0, 0).unwrap();
    assert_eq!(page.entries[0].metadata.identity, page.entries[1].metadata.identity);
}

#[test]
fn links_of_proc_are_not_followed() {
    // A folder that somebody made of /proc/self: `root` and `cwd` there are links past the file system.
    let proc = common::top_at(Path::new("/proc/self"));
    for name in ["root/etc/passwd", "cwd/Cargo.toml", "fd/0", "exe"] {
        let opened = resolve::open_file(proc.as_fd(), &path(name), Rights::READ, Patience::Disk);
        assert_eq!(refusal(opened), Word::LeadsOut, "{name}");
    }
    // And what a folder that contains a mount of it has there is still read: its size says 0, and it has bytes.
    let status = resolve::open_file(proc.as_fd(), &path("status"), Rights::READ, Patience::Disk).unwrap();
    let mut bytes = [0; 5];
    assert_eq!(content::read(status.as_fd(), 0, &mut bytes).unwrap(), 5);
    assert_eq!(&bytes, b"Name:");
}

#[test]
fn mounts_inside_are_crossed() {
    let tree = Tree::new();
    tree.make_directory("mount");
    if !tree.mount_tmpfs("mount") {
        println!("skipped: this user may not mount");
        return;
    }
    tree.write("mount/deep/file", b"mounted");
    assert_eq!(file_bytes(&tree, "mount/deep/file"), b"mounted");
    // `..` out of the mount is still inside the folder.
    tree.write("beside", b"beside");
    tree.link("../beside", "mount/up");
    assert_eq!(file_bytes(&tree, "mount/up"), b"beside");
    let deep = tree.open("mount/deep");
    deep.still_inside(Patience::Disk).expect("inside, across the mount");
    tree.write("plain", b"");
    let moved = change::rename(&tree.top, &path("plain"), &path("mount/plain"), true);
    assert_eq!(refusal(moved), Word::Io);
    assert_eq!(refusal(change::remove(&tree.top, &path("mount"))), Word::NotPermitted);
}

#[test]
fn a_directory_that_is_moved_out_serves_nothing_more() {
    let tree = Tree::new();
    tree.write("sub/deep/file", b"");
    let deep = tree.open("sub/deep");
    deep.still_inside(Patience::Disk).unwrap();
    deep.still_inside(Patience::Memory).expect("now known without waiting");
    // Within the folder it may move: it is the same directory.
    std::fs::rename(tree.folder.join("sub/deep"), tree.folder.join("moved")).unwrap();
    assert_eq!(list::page(&deep, 0, 0).unwrap().entries.len(), 1);
    std::fs::rename(tree.folder.join("moved"), tree.outside.join("moved")).unwrap();
    assert_eq!(refusal(list::page(&deep, 0, 0)), Word::LeadsOut);
    assert_eq!(refusal(change::create_file(&deep, &path("new"), Rights::ALL, false)), Word::LeadsOut);
    assert_eq!(refusal(change::make_directory(&deep, &path("new"))), Word::LeadsOut);
    assert_eq!(refusal(change::remove(&deep, &path("file"))), Word::LeadsOut);
    assert_eq!(refusal(change::sync(&deep)), Word::LeadsOut);
    assert_eq!(std::fs::read_dir(tree.outside.join("moved")).unwrap().count(), 1);
    std::fs::rename(tree.outside.join("moved"), tree.folder.join("back")).unwrap();
    assert_eq!(list::page(&deep, 0, 0).unwrap().entries.len(), 1, "and when it is back it is inside again");
}

#[test]
fn what_the_person_may_not_read_is_not_read() {
    let tree = Tree::new();
    tree.write("closed", b"x");
    rustix::fs::chmod(tree.folder.join("closed"), Mode::empty()).unwrap();
    if tree.folder.metadata().unwrap().uid() == 0 {
        println!("skipped: root reads everything (shown under the real profile instead)");
        return;
    }
    assert_eq!(open_word(&tree, "closed"), Word::NotPermitted);
}

#[test]
fn a_folder_that_is_no_directory_is_refused_at_the_start() {
    let tree = Tree::new();
    tree.write("file", b"");
    let file = std::fs::File::open(tree.folder.join("file")).unwrap();
    assert_eq!(resolve::probe(file.as_fd()).expect_err("is no directory").word(), Word::NotDirectory);
    resolve::probe(tree.top.as_fd()).unwrap();
    symlink("x", tree.folder.join("y")).unwrap();
}
