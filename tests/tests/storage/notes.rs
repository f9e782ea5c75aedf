//! The app `notes`, as a person uses it on a folder of the store.

use crate::{node, restart};
use tests::node::Node;

/// What `notes` prints.
fn notes(node: &Node, words: &[&str]) -> String {
    node.expect([&["run", "notes", "--"], words].concat())
}

#[test]
fn notes_are_kept_found_and_shown_as_they_were() {
    let node = node();
    node.expect(["install".as_ref(), tests::package("notes").as_os_str(), "--trust".as_ref()]);
    let added = node.expect([
        "run",
        "notes",
        "--grant",
        "notes=storage:/notes,quota=1MiB",
        "--",
        "add",
        "Hello there",
        "first text",
    ]);
    assert!(added.starts_with("hello-there: kept as version "), "{added}");
    notes(&node, &["add", "Other", "nothing of that"]);
    notes(&node, &["edit", "hello-there", "second text"]);
    let listed = notes(&node, &["list"]);
    assert!(listed.lines().count() == 2 && listed.contains("Hello there") && listed.contains("other"), "{listed}");
    assert!(notes(&node, &["show", "hello-there"]).contains("second text"));
    let found = notes(&node, &["find", "TEXT"]);
    assert!(found.contains("hello-there:") && found.contains("second text") && !found.contains("other"), "{found}");
    let history = notes(&node, &["history", "hello-there"]);
    let versions: Vec<&str> = history.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(versions.len(), 2, "{history}");
    restart(&node);
    let first = notes(&node, &["show", "hello-there", "--at", versions[1]]);
    assert!(first.contains("first text") && !first.contains("second"), "{first}");
    assert!(notes(&node, &["show", "hello-there", "--at", versions[0]]).contains("second text"));
    notes(&node, &["remove", "hello-there"]);
    assert!(!notes(&node, &["list"]).contains("Hello there"));
    assert!(notes(&node, &["show", "hello-there", "--at", versions[1]]).contains("first text"), "its versions stay");
    // It sees its folder and nothing else; nothing of it is in plain on the disk.
    assert!(node.expect(["ls", "storage:/"]).contains("notes/"));
    node.expect(["down"]);
    // What was typed as words of a command stands in the node's log, as all of a run does.
    for (path, bytes) in node.state_files().iter().filter(|(path, _)| path.starts_with(node.state().join("storage"))) {
        assert!(!tests::person::contains(bytes, b"second text"), "{}", path.display());
    }
}
