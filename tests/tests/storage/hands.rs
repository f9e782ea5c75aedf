//! The store in a person's own hands, and what of it lies on the disk.

use crate::{PASSPHRASE, node, restart};
use std::process::{Command, Stdio};
use tests::person::contains;
use tests::processes::kill;
use tests::until;

#[test]
fn what_is_put_is_listed_read_fetched_and_removed() {
    let node = node();
    let large: Vec<u8> = (0..3_000_000_u32).flat_map(|number| number.to_le_bytes()).collect();
    node.store("storage:/docs/2026", "large", &large);
    node.store("storage:/docs/2026", "small", b"small");
    assert_eq!(node.expect(["ls", "storage:/docs"]), "2026/\n");
    assert_eq!(node.expect(["ls", "storage:/docs", "2026"]), "large\nsmall\n");
    assert_eq!(node.stored("storage:/docs", "2026/small"), b"small");
    let fetched = node.scratch().join("fetched");
    node.expect(["get".as_ref(), "storage:/docs/2026".as_ref(), "large".as_ref(), fetched.as_os_str()]);
    assert!(std::fs::read(&fetched).unwrap() == large);
    // What is there is replaced only where that is asked for.
    let file = node.scratch().join("small");
    let told = node.refused(["put".as_ref(), file.as_os_str(), "storage:/docs/2026".as_ref(), "small".as_ref()]);
    assert!(told.contains("next: --replace"), "{told}");
    restart(&node);
    assert!(node.stored("storage:/docs/2026", "large") == large);
    node.expect(["rm", "storage:/docs", "2026/small"]);
    assert_eq!(node.expect(["ls", "storage:/docs", "2026"]), "large\n");
    let told = node.refused(["cat", "storage:/docs", "2026/small"]);
    assert!(told.contains("nothing of that name"), "{told}");
    for none in ["storage:docs", "storage:/docs/../x", "storage:/docs//x"] {
        node.refused(["ls", none]);
    }
}

#[test]
fn a_slash_at_the_end_is_nothing_and_what_is_no_path_is_said() {
    let node = node();
    node.store("storage:/docs/2026/", "small", b"small");
    for words in [&["ls", "storage:/docs/2026//"][..], &["ls", "storage:/docs", "2026/"]] {
        assert_eq!(node.expect(words), "small\n", "{words:?}");
    }
    for none in ["storage", "storage:"] {
        let output = node.run(["ls", none]);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && told.contains("storage:/ is all of it"), "{told}");
    }
}

#[test]
fn a_store_that_is_all_gone_says_what_to_do_and_not_to_check_it_again() {
    let node = node();
    node.store("storage:/", "file", b"content");
    node.expect(["down"]);
    std::fs::remove_dir_all(node.state().join("storage/segments")).unwrap();
    crate::up(&node);
    let told = node.refused(["fsck"]);
    assert!(told.contains("Put them back") && !told.contains("latch fsck"), "{told}");
}

#[test]
fn what_would_be_refused_is_refused_before_it_is_sent() {
    let node = node();
    node.store("storage:/docs", "kept", b"kept");
    let words = ["put", "-", "storage:/docs", "kept"];
    let mut put = node.latch(words).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Its input has no end: who reads it first never comes to refuse.
    let mut code = None;
    until("it waits for what it does not need", || {
        code = put.try_wait().unwrap().and_then(|status| status.code());
        code.is_some()
    });
    let told = std::io::read_to_string(put.stderr.take().unwrap()).unwrap();
    assert!(code == Some(1) && told.contains("next: --replace"), "{told}");
    assert_eq!(node.stored("storage:/docs", "kept"), b"kept");
}

#[test]
fn the_part_of_a_put_that_was_killed_is_told_of_by_the_next() {
    let node = node();
    node.store("storage:/", "other", b"");
    let words = ["put", "-", "storage:/", "docs/large"];
    node.store("storage:/docs", "kept", b"kept");
    let mut put = node.latch(words).stdin(Stdio::piped()).spawn().unwrap();
    let part = format!("large.{}.part", put.id());
    until("nothing is there of it", || node.expect(["ls", "storage:/docs"]).contains(&part));
    let again = |name: &str| {
        let file = node.scratch().join("other");
        let output = node.run(["put".as_ref(), file.as_os_str(), "storage:/".as_ref(), name.as_ref()]);
        assert!(output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    assert_eq!(again("docs/large"), "", "it may still be under way");
    put.kill().unwrap();
    put.wait().unwrap();
    assert_eq!(again("docs/another"), "", "of another file");
    node.expect(["rm", "storage:/", "docs/large"]);
    let told = again("docs/large");
    let next = format!("latch rm storage:/ docs/{part}");
    assert!(told.contains(&format!("next: {next}")), "{told}");
    node.expect(next.split(' ').skip(1));
    assert_eq!(node.expect(["ls", "storage:/docs"]), "another\nkept\nlarge\n");
}

#[test]
fn what_people_put_by_hand_is_one_row_of_the_store() {
    let node = node();
    for name in ["first", "second", "third"] {
        node.store("storage:/docs", name, &[7; 5_000]);
    }
    let shown = node.expect(["store"]);
    let rows: Vec<&str> = shown.lines().filter(|line| line.contains("shell")).collect();
    assert!(rows.len() == 1 && rows[0].contains("this shell and earlier ones"), "{shown}");
    assert_eq!(node.json(["store"])["accounts"].as_array().unwrap().len(), 3, "programs see each grant");
}

#[test]
fn neither_names_nor_contents_can_be_read_in_the_state() {
    let node = node();
    let (folder, name, content) =
        ("a-folder-nobody-sees", "a-name-nobody-sees", "a content that nobody sees ".repeat(900));
    // The folder is not a grant of its own: what is granted stands in the powerbox's log.
    let file = node.scratch().join("local");
    std::fs::write(&file, &content).unwrap();
    let place = format!("{folder}/{name}");
    node.store("storage:/top", "plain", b"x");
    let grant = format!("storage:/{folder}");
    node.expect(["put".as_ref(), file.as_os_str(), grant.as_ref(), name.as_ref()]);
    assert_eq!(node.stored("storage:/", &place), content.as_bytes());
    node.expect(["down"]);
    let files = node.state_files();
    let stored: usize = files
        .iter()
        .filter(|(path, _)| path.starts_with(node.state().join("storage")))
        .map(|(_, bytes)| bytes.len())
        .sum();
    assert!(stored > content.len(), "it is there, somewhere");
    for (path, bytes) in &files {
        for secret in [name, "content that nobody sees"] {
            assert!(!contains(bytes, secret.as_bytes()), "{} shows {secret:?}", path.display());
        }
        let of_the_store = path.starts_with(node.state().join("storage"));
        assert!(!of_the_store || !contains(bytes, folder.as_bytes()), "{} shows a folder's name", path.display());
    }
}

#[test]
fn locked_keys_are_said_and_all_is_there_once_they_are_open() {
    let node = node();
    node.store("storage:/", "file", b"content");
    node.expect(["down"]);
    node.up();
    let warnings = |node: &tests::node::Node| node.json(["status"])["warnings"].to_string();
    assert!(warnings(&node).contains("locked") && warnings(&node).contains("`latch keys unlock`"));
    for words in [&["ls", "storage:/"][..], &["cat", "storage:/", "file"], &["rm", "storage:/", "file"]] {
        let told = node.refused(words);
        assert!(told.contains("locked") && told.contains("next: latch keys"), "{words:?}: {told}");
    }
    node.unlock_keys(PASSPHRASE);
    assert!(!warnings(&node).contains("locked"));
    assert_eq!(node.stored("storage:/", "file"), b"content");
}

#[test]
fn a_store_that_was_killed_comes_back_with_everything() {
    let node = node();
    for round in 0..3 {
        node.store("storage:/", &format!("file{round}"), b"content");
        let storage = node.processes("storage")[0];
        assert!(kill(storage));
        until("the store is not started again", || node.processes("storage").iter().any(|process| *process != storage));
        until("the store does not answer", || {
            let listed = node.run(["ls", "storage:/"]);
            let told = String::from_utf8_lossy(&listed.stderr);
            assert!(listed.status.success() || told.contains("latch status"), "what to do is said: {told}");
            listed.status.success()
        });
        for earlier in 0..=round {
            assert_eq!(node.stored("storage:/", &format!("file{earlier}")), b"content");
        }
    }
    assert!(node.expect(["fsck"]).starts_with("clean"));
}

#[test]
fn a_folder_of_a_store_that_is_in_use_is_refused_to_a_second_node() {
    let node = node();
    node.store("storage:/", "file", b"content");
    // Somebody else has the store's lock: as a second process on the same folder would.
    node.expect(["down"]);
    let lock = node.state().join("storage/lock");
    let mut holder = Command::new("flock");
    holder
        .args(["--exclusive".as_ref(), lock.as_os_str(), "cat".as_ref()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut holder = holder.spawn().expect("`flock` of util-linux");
    // It answers once it has the lock.
    std::io::Write::write_all(holder.stdin.as_mut().unwrap(), b"x").unwrap();
    std::io::Read::read_exact(holder.stdout.as_mut().unwrap(), &mut [0]).unwrap();
    crate::up(&node);
    let told = node.refused(["ls", "storage:/"]);
    assert!(told.contains("lock"), "{told}");
    assert!(node.json(["status"])["warnings"].to_string().contains("lock"), "people are told");
    drop(holder.stdin.take());
    holder.wait().unwrap();
    assert_eq!(node.stored("storage:/", "file"), b"content", "and with nothing to restart");
}
